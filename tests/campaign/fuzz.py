"""Coverage-guided fuzzing of what reads untrusted files, with atheris (``pip install atheris``).

    python -m tests.campaign.fuzz pickle FOLDER --minutes 10

keeps the inputs that reach new code in FOLDER, and stops at the first file that ends otherwise than
read or refused, takes ten seconds or two gigabytes; that file is left in FOLDER, too. Reading
happens in this process, so thousands of files are tried in a second.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# What coverage is counted of: the project's readers and the libraries in Python below them.
_INSTRUMENTED = ("fastcam.read", "fastcam.models.checkpoints", "nibabel", "pydicom", "zipfile")
_SECONDS, _MEGABYTES = 10, 2048


def main() -> int:
    """Fuzz one kind of file for as long as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=SUFFIXES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # No stub says what it has, and it is in no extra: it needs a compiler where there is no wheel.
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        read = _reader(options.kind)
    corpus = options.folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(_good_files(options.kind)):
        (corpus / f"good-{number}").write_bytes(data)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"file{SUFFIXES[options.kind]}"

        def try_one(data: bytes) -> None:
            path.write_bytes(data)
            read(path)

        arguments = [
            *(f"-max_total_time={int(options.minutes * 60)}", f"-seed={options.seed + 1}"),
            *(f"-timeout={_SECONDS}", f"-rss_limit_mb={_MEGABYTES}", "-max_len=16384"),
            *(f"-artifact_prefix={options.folder}/", "-print_final_stats=1"),
        ]
        atheris.Setup([sys.argv[0], *arguments, str(corpus)], try_one)
        atheris.Fuzz()
    return 0


SUFFIXES = {
    "pickle": ".pkl",
    "json": ".json",
    "results-npz": ".npz",
    "checkpoint": ".pth",
    "safetensors": ".safetensors",
    "nifti": ".nii",
    "dicom": ".dcm",
    "array": ".npy",
    "array-npz": ".npz",
    "meta-image": ".mha",
    "tiff": ".tif",
}
_RESULTS = ("pickle", "json", "results-npz")
_WEIGHTS = ("checkpoint", "safetensors")


def _reader(kind: str) -> Callable[[Path], None]:
    """Reads a file of that kind in every way there is; what isn't a refusal gets out."""
    from fastcam.errors import FastcamError
    from fastcam.models.checkpoints import read_state_dict
    from fastcam.read.results.results import read_results
    from fastcam.read.volumes.volumes import open_volume, volume_grid, volume_shape, volume_warnings

    readers: tuple[Callable[[Path], Any], ...]
    if kind in _RESULTS:
        readers = (read_results,)
    elif kind in _WEIGHTS:
        readers = (read_state_dict,)
    else:
        readers = (volume_shape, volume_grid, volume_warnings, open_volume)

    def read(path: Path) -> None:
        for reader in readers:
            with contextlib.suppress(FastcamError):
                reader(path)

    return read


def _good_files(kind: str) -> Iterator[bytes]:
    """Small good files, from which the fuzzer starts."""
    import nibabel as nib
    import numpy as np
    import torch
    from PIL import Image
    from safetensors.torch import save

    from tests.stored_volumes import write_series

    voxels = np.arange(2 * 4 * 4, dtype=np.int16).reshape(2, 4, 4)
    stream = io.BytesIO()
    if kind in _RESULTS:
        yield from _good_results(kind)
    elif kind == "checkpoint":
        for new in (True, False):
            stream = io.BytesIO()
            weights = {"a.weight": torch.ones(2, 2), "a.bias": torch.ones(2).half()}
            torch.save({"model": weights}, stream, _use_new_zipfile_serialization=new)
            yield stream.getvalue()
    elif kind == "safetensors":
        yield save({"a.weight": torch.ones(2, 2), "a.bias": torch.ones(2).half()})
    elif kind == "nifti":
        for image in (nib.Nifti1Image, nib.Nifti2Image):
            yield image(voxels.T, np.eye(4)).to_bytes()
    elif kind == "array":
        np.save(stream, voxels)
        yield stream.getvalue()
    elif kind == "array-npz":
        np.savez_compressed(stream, voxels=voxels)
        yield stream.getvalue()
    elif kind == "tiff":
        pages = [Image.fromarray(layer.astype(np.uint8)) for layer in voxels]
        pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
        yield stream.getvalue()
    else:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if kind == "dicom":
                write_series(folder / "series", voxels, np.eye(4))
            else:
                import SimpleITK

                SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), folder / "a.mha")
            for path in sorted(folder.rglob("*.*")):
                yield path.read_bytes()


def _good_results(kind: str) -> Iterator[bytes]:
    import json

    import numpy as np

    position = {"bbox": (0, 0, 4, 4), "slice_idx": 0, "center_x": 2, "center_y": 2}
    record: dict[str, Any] = {
        **{"patient_name": "a", "true_label": 0, "predicted_label": 1, "is_correct": False},
        **{"prob_class_0": 0.25, "prob_class_1": 0.75, "confidence": 0.75, "num_patches": 2},
        "attention_weights": [0.5, 0.5],
        "positions": [{**position, "roi_id": 0, "mask_ratio": 0.5}] * 2,
    }
    if kind == "json":
        yield json.dumps([record]).encode()
    elif kind == "pickle":
        for weights in (np.array([0.5, 0.5], np.float32), [0.5, 0.5]):
            for protocol in (0, 2, 4, 5):
                yield pickle.dumps([{**record, "attention_weights": weights}], protocol)
    else:
        flat = {name: [record[name]] for name in record if name not in ("positions", "num_patches")}
        stream = io.BytesIO()
        arrays: dict[str, Any] = {
            name: np.array(values) for name, values in flat.items() if not name.startswith("prob")
        }
        np.savez(
            stream,
            **arrays,
            num_patches=np.array([2]),
            prob=np.array([[0.25, 0.75]]),
            bbox=np.array([[0, 0, 4, 4]] * 2, np.int32),
            slice_idx=np.array([0, 0], np.int32),
        )
        yield stream.getvalue()


if __name__ == "__main__":
    sys.exit(main())
