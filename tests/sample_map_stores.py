"""Small stores of maps, made by hand, with the images and volumes they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fastcam.read.inputs.inputs import Item
from fastcam.store.map_batch import BatchRows
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore
from fastcam.store.new_maps import create_maps

CLASSES = 3
STRETCH = {
    "size": [32, 32],
    "channels": 3,
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "fit": "stretch",
    "interpolation": "bilinear",
}


def attrs_of(root: Path, dims: int = 2, sign: str = "positive", **preprocessing) -> MapAttrs:
    return MapAttrs(
        sha256="e" * 64,
        root=str(root),
        model="resnet18",
        checkpoint="",
        methods=("gradcam",),
        layers=(),
        preprocessing=STRETCH | preprocessing,
        settings={"sign": sign},
        dims=dims,
    )


def make_image(path: Path, height: int, width: int, seed: int) -> np.ndarray:
    """A picture of smooth colours, so that enlarging it can be followed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR).save(path)
    return np.asarray(Image.open(path))


def image_store(
    folder: Path,
    labels=("1", "0", ""),
    size=(24, 40),
    sign: str = "positive",
    maps=None,
    regression: bool = False,
    masks: bool = False,
    batch: int = 2,
    ids=(),
    **preprocessing,
) -> MapStore:
    """``a0``, ``a1``, ... in ``folder/images``, all predicted class 1; ``maps`` by name.

    ``ids``: what they are called in the store instead.
    """
    root = folder / "images"
    root.mkdir()
    count = len(labels)
    items = []
    for i, label in enumerate(labels):
        make_image(root / f"a{i}.png", size[0], size[1], seed=i)
        mask = None
        if masks:
            mask = root / f"a{i}_mask.png"
            inside = np.zeros(size, np.uint8)
            inside[4:12, 6:20] = 255
            Image.fromarray(inside).save(mask)
        items.append(Item(ids[i] if ids else f"a{i}", "", root / f"a{i}.png", mask, label))
    store = create_maps(folder / "run.zarr", attrs_of(root, 2, sign, **preprocessing), items, batch)
    maps = usual_maps(count) if maps is None else maps
    for index in range(store.batches):
        at = store.rows(index)
        store.append(
            index,
            answers(
                len(at), {n: m[at.start : at.stop] for n, m in maps.items()}, (1, *size), regression
            ),
        )
    return store


def usual_maps(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(9)
    return {
        "gradcam/layer3": rng.random((count, 6, 6), dtype=np.float32),
        "gradcam/layer4": rng.random((count, 3, 3), dtype=np.float32) * 0.01,
        "attention": rng.random((count, 4, 2, 4, 4), dtype=np.float32),
    }


def answers(count: int, maps, shape, regression: bool = False, affine=None) -> BatchRows:
    layers = next((m.shape[1] for m in maps.values() if m.ndim == 5), 0)
    common = {
        "reasons": ("",) * count,
        "maps": maps,
        "shape": np.tile(shape, (count, 1)),
        "affine": affine,
        "layer_names": {name: [f"blocks.{i}" for i in range(layers)] for name in maps},
    }
    if regression:
        return BatchRows(output=np.full((count, 1), 3.25, np.float32), **common)
    probability = np.tile(np.array([0.1, 0.7, 0.2], np.float32), (count, 1))
    return BatchRows(
        output=np.log(probability),
        prediction=np.ones(count),
        confidence=probability[:, 1],
        probability=probability,
        target=np.ones((count, 1)),
        **common,
    )


VOLUME = (10, 20, 16)
# x to the patient's left, y to the back, 2 mm a slice: shown as it lies.
AFFINE = np.diag([-1.0, -1.5, 2.0, 1.0])


def volume_store(folder: Path, maps=None, affine=AFFINE, kind: str = "nii.gz") -> MapStore:
    """``v0`` and ``v1``, volumes of VOLUME voxels (z, y, x), with maps at half their resolution."""
    import nibabel

    root = folder / "images"
    root.mkdir()
    rng = np.random.default_rng(4)
    items = []
    for i in range(2):
        voxels = rng.integers(0, 900, VOLUME).astype(np.int16)
        path = root / f"v{i}.{kind}"
        nibabel.Nifti1Image(voxels.transpose(2, 1, 0), affine).to_filename(path)
        items.append(Item(f"v{i}", "", path, None, str(i)))
    store = create_maps(folder / "run.zarr", attrs_of(root, 3, size=[8, 8, 8]), items, 2)
    if maps is None:
        maps = {"gradcam/features": rng.random((2, 5, 8, 6), dtype=np.float32)}
    store.append(0, answers(2, maps, VOLUME, affine=np.stack([affine] * 2)))
    return store
