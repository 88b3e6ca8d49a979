"""Masks that lie beside their images by convention: ``Images/x.jpg`` and ``Masks/x.png``, or
``Images/x.nii.gz`` and ``Masks/x.nii.gz``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fastcam.read.inputs.inputs import Item, stem_of

MASK_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nii.gz", ".nii", ".npy", ".npz")
_PAIRS = {"Images": "Masks", "images": "masks", "IMAGES": "MASKS", "Image": "Mask", "image": "mask"}


def with_masks_beside(items: Sequence[Item]) -> list[Item]:
    """The images with the masks of ``Masks/`` folders beside their ``Images/`` folder.

    The last folder of an image's path that is called so counts; in ``Masks/`` the mask has the
    same path with or without ``_mask``, and one of MASK_SUFFIXES. An image whose mask is known
    keeps it. Masks that were found as images, because the folder above both was given, are left
    out.
    """
    pairs = [item if item.mask else replace(item, mask=mask_beside(item.source)) for item in items]
    masks = {item.mask.resolve() for item in pairs if item.mask}
    return [item for item in pairs if item.source.resolve() not in masks]


def mask_beside(source: Path) -> Path | None:
    """The mask of an image by the ``Images/`` -> ``Masks/`` convention, if there is one."""
    parts = source.absolute().parts
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] not in _PAIRS:
            continue
        # parents[0] has all parts but the last.
        above = source.absolute().parents[len(parts) - 1 - index]
        folder = above.joinpath(_PAIRS[parts[index]], *parts[index + 1 : -1])
        stem = stem_of(source.name)
        for name in (stem, f"{stem}_mask"):
            for suffix in MASK_SUFFIXES:
                for ending in (suffix, suffix.upper()):
                    if (folder / f"{name}{ending}").is_file():
                        return folder / f"{name}{ending}"
        return None
    return None
