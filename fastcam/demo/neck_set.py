"""A made-up test set: neck volumes, masks, and the results of a model that looked at plaques.

For the demo, the benchmarks and the tests. The same seed gives the same files, byte for byte.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fastcam.demo.limits import check_minimum
from fastcam.demo.phantom import FIELD_OF_VIEW, SLICE_SPACING, PlaqueKind, neck
from fastcam.errors import InputError
from fastcam.models.patch_attention.patches import box_sums, boxes_at, plan_patches
from fastcam.run.files import make_folder, write_bytes, write_text

Source = Literal["nii.gz", "nii", "npy", "jpg"]

PATCH = 24
STRIDE = 12
WINDOW = (-200.0, 500.0)  # HU shown from black to white


@dataclass(frozen=True, slots=True)
class SyntheticSet:
    """Where the files are.

    Attributes:
        images: the volumes, or folders of slices.
        masks: their masks.
        results: the results file of the made-up model.
        truth: JSON: case -> ``label``, ``focus`` and ``lesions``. ``lesions`` lists ``slice`` and
            ``bbox`` (x1, y1, x2, y2; exclusive ends) of the plaque on each slice that has one;
            ``focus`` says whether the model is made to look at it: it is where the prediction is
            right.
    """

    images: Path
    masks: Path
    results: Path
    truth: Path


@dataclass(frozen=True, slots=True)
class _Patches:
    """N patches.

    Attributes:
        boxes: (N, 4) int32, x1 y1 x2 y2.
        slices: (N,) int32.
        roi: (N,) int32, the component's number on its slice.
        ratios: (N,) share of each box inside the mask.
        hits: (N,) share of each box on the plaque.
    """

    boxes: NDArray[np.int32]
    slices: NDArray[np.int32]
    roi: NDArray[np.int32]
    ratios: NDArray[np.float64]
    hits: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Lesion:
    slice: int
    bbox: tuple[int, int, int, int]


def make_test_set(
    folder: Path,
    *,
    cases: int = 8,
    slices: int = 40,
    size: int = 256,
    seed: int = 0,
    source: Source = "nii.gz",
    patches_per_slice: int | None = None,
) -> SyntheticSet:
    """Write ``images/``, ``masks/``, ``results.pkl`` and ``truth.json`` into ``folder``.

    Volumes are (slices, size, size) int16 in HU, masks 0 or 1; ``jpg`` writes folders of numbered
    8-bit slices, and masks as PNG, 0 or 255. Every other case has a plaque (label 1); one
    prediction in seven, the fifth first, is wrong. Patches are 24 x 24 on a grid of 12, at least
    30 % inside the mask, at most 12 per component and slice; ``patches_per_slice`` takes exactly
    that many instead, those most inside. Raises ``InputError`` and ``OutputError``.
    """
    _check(cases, slices, size, source, patches_per_slice)
    paths = SyntheticSet(
        folder / "images", folder / "masks", folder / "results.pkl", folder / "truth.json"
    )
    _make_folders(paths.images, paths.masks)
    results: list[dict[str, Any]] = []
    truth: dict[str, Any] = {}
    for index in range(cases):
        rng = np.random.default_rng([seed, index])
        name, label, right = f"neck_{index + 1:03d}", int(index % 2 == 0), index % 7 != 4
        volume, mask, lesion = neck_volume(rng, slices, size, label == 1)
        patches = _cut_patches(mask, lesion, patches_per_slice)
        results.append(_result(rng, name, label, right, patches))
        lesions = [asdict(box) for box in _lesions(lesion)]
        truth[name] = {"label": label, "focus": bool(lesions) and right, "lesions": lesions}
        _write_case(paths, name, volume, mask, source)
    write_bytes(paths.results, [pickle.dumps(results, protocol=4)])
    write_text(paths.truth, json.dumps(truth, indent=1) + "\n")
    return paths


def _check(cases: int, slices: int, size: int, source: str, patches: int | None) -> None:
    if source not in get_args(Source):
        raise InputError(f"source {source!r} is not known: use {', '.join(get_args(Source))}")
    check_minimum(cases=(cases, 1), slices=(slices, 1), size=(size, 96))
    most = ((size - PATCH) // STRIDE + 1) ** 2
    if patches is not None and not 1 <= patches <= most:
        raise InputError(
            f"patches_per_slice {patches} can't be had: a slice of size {size} has 1 to {most}"
        )


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        make_folder(folder)


def neck_volume(
    rng: np.random.Generator,
    slices: int,
    size: int,
    with_plaque: bool,
    kind: PlaqueKind | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.bool_]]:
    """Volume in HU, mask (0 or 1) and plaque of one neck, each (slices, size, size)."""
    volume = np.empty((slices, size, size), dtype=np.int16)
    mask = np.empty((slices, size, size), dtype=np.uint8)
    lesion = np.empty((slices, size, size), dtype=np.bool_)
    for index, phantom in enumerate(neck(rng, slices, size, with_plaque, kind)):
        volume[index], mask[index], lesion[index] = phantom.image, phantom.mask, phantom.lesion
    return volume, mask, lesion


def _lesions(lesion: NDArray[np.bool_]) -> Iterator[_Lesion]:
    for index in np.flatnonzero(lesion.any(axis=(1, 2))).tolist():
        rows, columns = np.nonzero(lesion[index])
        corner = int(columns.min()), int(rows.min())
        yield _Lesion(index, (*corner, int(columns.max()) + 1, int(rows.max()) + 1))


def _cut_patches(
    mask: NDArray[np.uint8], lesion: NDArray[np.bool_], per_slice: int | None
) -> _Patches:
    parts = [
        _most_inside(mask[index], per_slice) if per_slice else _by_component(mask[index])
        for index in range(len(mask))
    ]
    boxes = np.concatenate([part[0] for part in parts])
    slices = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part[0]) for part in parts])
    ratios, hits = np.empty(len(boxes)), np.empty(len(boxes))
    for index, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        ratios[index] = mask[slices[index], y1:y2, x1:x2].mean()
        hits[index] = np.count_nonzero(lesion[slices[index], y1:y2, x1:x2]) / PATCH**2
    return _Patches(boxes, slices, np.concatenate([part[1] for part in parts]), ratios, hits)


def _by_component(mask: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Boxes (n, 4) and component numbers (n,) of one slice's patches."""
    plan = plan_patches(mask[np.newaxis])
    return plan.boxes, plan.roi


def _most_inside(
    mask: NDArray[np.uint8], count: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The same for exactly ``count`` patches, numbered by the half of the slice they lie in."""
    tops, lefts = (np.arange(0, length - PATCH + 1, STRIDE) for length in mask.shape)
    grid = boxes_at(tops, lefts, PATCH)
    densest = np.sort(np.argsort(-box_sums(mask != 0, grid), kind="stable")[:count])
    boxes = grid[densest]
    return boxes, (boxes[:, 0] + PATCH // 2 >= mask.shape[1] // 2).astype(np.int32)


def _result(
    rng: np.random.Generator, name: str, label: int, right: bool, patches: _Patches
) -> dict[str, Any]:
    """One case as a training script would have saved it."""
    predicted = label if right else 1 - label
    confidence = float(rng.uniform(0.75, 0.99) if right else rng.uniform(0.51, 0.85))
    weights = _attention(rng, predicted, right, patches)
    positions = [
        {
            "center_x": box[0] + PATCH // 2,
            "center_y": box[1] + PATCH // 2,
            "bbox": tuple(box),
            "roi_id": roi,
            "mask_ratio": ratio,
            "slice_idx": index,
        }
        for box, roi, ratio, index in zip(
            patches.boxes.tolist(),
            patches.roi.tolist(),
            patches.ratios,  # stays a NumPy scalar, as in real files
            patches.slices.tolist(),
            strict=True,
        )
    ]
    return {
        "patient_name": name,
        "true_label": label,
        "predicted_label": predicted,
        "prob_class_0": confidence if predicted == 0 else 1.0 - confidence,
        "prob_class_1": confidence if predicted == 1 else 1.0 - confidence,
        "confidence": confidence,
        "is_correct": right,
        "num_patches": len(positions),
        "attention_weights": weights,
        "positions": positions,
    }


def _attention(
    rng: np.random.Generator, predicted: int, right: bool, patches: _Patches
) -> NDArray[np.float32]:
    """Softmax over the case's patches (N,) of a score that is high on the plaque.

    A prediction of disease without a plaque looks at a random place; the others look around.
    """
    score = 0.5 * rng.standard_normal(len(patches.ratios)) + patches.ratios
    if predicted == 1 and right:
        score += 6.0 * patches.hits / max(float(patches.hits.max()), 1e-9)
    elif predicted == 1:
        center = int(rng.integers(len(score)))
        far = np.hypot(*(patches.boxes[:, :2] - patches.boxes[center, :2]).T) / PATCH
        far += np.abs(patches.slices - patches.slices[center]) / 3.0
        score += 4.0 * np.exp(-(far**2))
    powers = np.exp(score - score.max())
    weights: NDArray[np.float32] = (powers / powers.sum()).astype(np.float32)
    return weights


def _write_case(
    paths: SyntheticSet,
    name: str,
    volume: NDArray[np.int16],
    mask: NDArray[np.uint8],
    source: Source,
) -> None:
    if source == "jpg":
        low, high = WINDOW
        grey = np.clip((volume - low) / (high - low) * 255.0 + 0.5, 0, 255).astype(np.uint8)
        _write_slices(paths.images / name / "scan_JPG", grey, "jpg")
        _write_slices(paths.masks / name / "scan_JPG", mask * np.uint8(255), "png")
        return
    for array, folder in ((volume, paths.images), (mask, paths.masks)):
        pieces = _npy(array) if source == "npy" else _nifti(array, compress=source == "nii.gz")
        write_bytes(folder / f"{name}.{source}", pieces)


def _write_slices(folder: Path, pictures: NDArray[np.uint8], kind: str) -> None:
    from PIL import Image

    _make_folders(folder)
    for index, picture in enumerate(pictures):
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, "jpeg" if kind == "jpg" else kind, quality=92)
        write_bytes(folder / f"{index:03d}.{kind}", [encoded.getvalue()])


def write_nifti(path: Path, array: NDArray[Any]) -> None:
    """Write an array (z, y, x) of a neck as ``.nii.gz``; OutputError where it can't be."""
    write_bytes(path, _nifti(array, compress=True))


def _npy(array: NDArray[Any]) -> list[bytes | memoryview]:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return [header.getvalue(), array.data]


def _nifti(array: NDArray[Any], *, compress: bool) -> list[bytes | memoryview]:
    """A NIfTI-1 file of a (z, y, x) array; x runs to the patient's left, y back, z up."""
    from isal import isal_zlib
    from nibabel.nifti1 import Nifti1Header

    pixel = FIELD_OF_VIEW / array.shape[-1]
    header: Any = Nifti1Header(endianness="<")
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape[::-1])
    affine = np.diag([-pixel, -pixel, SLICE_SPACING, 1.0])
    affine[:2, 3] = (FIELD_OF_VIEW - pixel) / 2  # the middle of the slice is at 0, 0
    header.set_sform(affine, code=1)
    header.set_qform(affine, code=1)
    header.set_xyzt_units("mm")
    header["vox_offset"] = 352
    if array.dtype == np.int16:
        header["cal_min"], header["cal_max"] = WINDOW
    # nibabel would copy the volume into Fortran order, which for (x, y, z) is what lies here.
    uncompressed = [header.binaryblock + bytes(4), array.data]
    if not compress:
        return uncompressed
    deflate = isal_zlib.compressobj(level=1, wbits=31)
    return [*(deflate.compress(piece) for piece in uncompressed), deflate.flush()]
