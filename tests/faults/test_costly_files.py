"""Small files that ask for work or memory without end are refused: within two seconds, 512 MiB.

Each family is read in a process that is ended, by the system, when it takes far more.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from fastcam_kernels import pickle_cost

from tests.faults.hostile_files import (
    PICKLES,
    inflating_torch,
    pickled,
    torch_legacy,
    torch_zip,
)

# What reads them, beginning with what it needs: its own imports are no part of what is measured.
READ = """
import json, resource, sys
from pathlib import Path
from fastcam.errors import InputError
{imports}
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024
answers = []
for path in sys.argv[1:]:
    seconds, megabytes = used()
    try:
        {read}(Path(path))
        said = "accepted"
    except InputError as error:
        said = str(error)
    now = used()
    answers.append([said, now[0] - seconds, now[1] - megabytes])
print(json.dumps(answers))
"""
RESULTS = READ.format(
    imports="from fastcam.read.results.results import read_results", read="read_results"
)
CHECKPOINTS = READ.format(
    imports="from fastcam.models.checkpoints import read_state_dict", read="read_state_dict"
)
INSPECT = READ.format(
    imports="import torch\nfrom fastcam.jobs.inspect.inventory import describe", read="describe"
)
MEGABYTES = 512
# A process that hangs is ended; two seconds are for each of them, the rest for its imports.
SECONDS_EACH, SECONDS_MORE = 2, 60


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    pickle_cost.cost(np.frombuffer(b"N.", np.uint8), 0, 1, 1)


def answers(program: str, paths: list[Path]) -> list[tuple[str, float, int]]:
    seconds = SECONDS_MORE + SECONDS_EACH * len(paths)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [(said, seconds, size) for said, seconds, size in json.loads(done.stdout)]


def check_refused(program: str, paths: list[Path]) -> None:
    for path, (said, _, megabytes) in zip(paths, answers(program, paths), strict=True):
        assert said.startswith(str(path)), said
        assert "\n" not in said
        assert megabytes < MEGABYTES, (said, megabytes)


def test_pickles(tmp_path: Path) -> None:
    paths = []
    for number, body in enumerate(PICKLES.values()):
        paths.append(tmp_path / f"{number}.pkl")
        paths[-1].write_bytes(pickled(body))
    check_refused(RESULTS, paths)
    check_refused(INSPECT, paths)


def test_checkpoints(tmp_path: Path) -> None:
    paths = []
    for number, body in enumerate(PICKLES.values()):
        for kind in (torch_zip, torch_legacy):
            paths.append(tmp_path / f"{number}{kind.__name__}.pth")
            paths[-1].write_bytes(kind(body))
    paths.append(tmp_path / "inflating.pth")
    inflating_torch(paths[-1], 1 << 30)
    check_refused(CHECKPOINTS, paths)
    check_refused(INSPECT, paths)


def test_a_tensor_that_repeats_a_number_is_no_weight(tmp_path: Path) -> None:
    path = tmp_path / "repeated.pth"
    torch.save({"weight": torch.zeros(1).expand(10**12)}, path)
    ((said, _, megabytes),) = answers(CHECKPOINTS, [path])
    assert "repeats the 4 bytes that are stored" in said
    assert megabytes < MEGABYTES


def test_archives_of_arrays(tmp_path: Path) -> None:
    large, lying = tmp_path / "large.npz", tmp_path / "lying.npz"
    with (
        zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("prob.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f8", "fortran_order": False, "shape": (1 << 26,)}
        )
        for _ in range(512):
            member.write(bytes(1 << 20))
    with zipfile.ZipFile(lying, "w") as archive, archive.open("prob.npy", "w") as member:
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)}
        )
    (first, _, _), (second, _, _) = answers(RESULTS, [large, lying])
    assert "zip bomb" in first
    assert "its header says shape (1099511627776,)" in second
    check_refused(RESULTS, [large, lying])


def test_the_header_of_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "shape.safetensors"
    shape = [2**62] * 200_000
    header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    longer = tmp_path / "longer.safetensors"
    longer.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    check_refused(INSPECT, [path, longer])
    check_refused(CHECKPOINTS, [path, longer])


def test_cases_may_share_their_positions(tmp_path: Path) -> None:
    # What scripts with one grid of patches for all cases write: expanded it is far larger.
    import pickle

    from fastcam.read.results.results import read_results
    from tests.read.results.records import record

    shared = record("A", 50)
    weights = shared["attention_weights"]
    cases = [
        shared | {"patient_name": str(n), "attention_weights": weights.copy()} for n in range(300)
    ]
    path = tmp_path / "shared.pkl"
    path.write_bytes(pickle.dumps(cases))
    assert len(read_results(path).cases) == 300
