"""Small runs for the reading room: patch attention and maps, over volumes turned every way."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import nibabel as nib
import numpy as np

from fastcam.jobs.view.map_run import MapRun
from fastcam.jobs.view.request import ViewRequest
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.service import Service, open_service
from fastcam.options import Sources
from fastcam.store.maps import MapStore
from tests.sample_map_stores import volume_store
from tests.sample_runs import make_case, make_store

# (x, y, z) as nibabel has them.
SIZE = (20, 16, 7)
SPACING = (1.5, 0.75, 3.0)


def save_volume(path: Path, codes: str = "LPS", seed: int = 0) -> np.ndarray:
    """A NIfTI file whose axes lead to ``codes``; its voxels (x, y, z)."""
    rng = np.random.default_rng(seed)
    voxels = rng.integers(-900, 900, SIZE).astype(np.int16)
    axes = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, code in enumerate(codes):
        axis, sign = axes[code]
        affine[axis, column] = sign * SPACING[column]
    affine[:3, 3] = (5, -7, 11)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return voxels


def loaded(path: Path) -> nib.Nifti1Image:
    """A NIfTI file as nibabel has it."""
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image)
    return image


def stored(room: Room) -> MapStore:
    """The store of a room of maps."""
    run = room.runs[0]
    assert isinstance(run, MapRun)
    return run.store


def patch_run(folder: Path, names=("p0", "p1", "p2"), codes: str = "LPS") -> Path:
    """A run store of patch attention over NIfTI volumes in ``folder / "images"``."""
    (folder / "images").mkdir()
    cases = []
    for number, name in enumerate(names):
        save_volume(folder / "images" / f"{name}.nii.gz", codes, number)
        case = make_case(
            number + 1,
            name,
            slices=[1, 3, 3],
            weights=[0.2, 0.5 - 0.1 * number, 0.3],
            boxes=[[1, 2, 7, 9], [3, 4, 12, 11], [8, 6, 15, 13]],
        )
        cases.append(case)
    return make_store(folder, *cases).path


def patch_request(folder: Path, **options) -> ViewRequest:
    names = options.pop("names", ("p0", "p1", "p2"))
    store = patch_run(folder, names, options.pop("codes", "LPS"))
    return ViewRequest(runs=(store,), sources=Sources(root_dir=folder / "images"), **options)


def map_room(folder: Path, **options) -> Room:
    return Room(ViewRequest(runs=(volume_store(folder, **options).path,)))


def service_of(folder: Path, **options) -> Service:
    return open_service(patch_request(folder, **options))


def ask(service: Service, path: str, query=None, method="GET", headers=None, body=None):
    """(status, headers, body) of a request below the token."""
    parts = urlsplit(service.address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    target = parts.path + path + (f"?{urlencode(query)}" if query else "")
    connection.request(method, target, body=body, headers=headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def ask_json(service: Service, path: str, query=None):
    status, _, content = ask(service, path, query)
    assert status == 200, content
    return json.loads(content)
