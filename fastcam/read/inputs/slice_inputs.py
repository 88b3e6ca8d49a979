"""Whether the inputs of a 2-D model are images, or volumes that it sees slice by slice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from fastcam.errors import InputError, NoInputsError
from fastcam.read.inputs.flat_files import (
    IMAGE_SUFFIXES,
    is_flat,
    is_located,
    may_be_dicom,
    nifti_shape,
)
from fastcam.read.inputs.folders import slices_beside
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.slice_images import is_nifti_name
from fastcam.read.inputs.slicing import Pool, Slicing
from fastcam.read.volumes.slice_axis import Plane
from fastcam.read.volumes.sources import ITK_SUFFIXES, is_picture, natural_key
from fastcam.storage.listing import listed
from fastcam.storage.locations import crowded, on_each
from fastcam.storage.object_starts import by_starts

# Files of these are volumes, whatever they hold; DICOM and NIfTI files may be of one slice.
_VOLUMES = (".npy", ".npz", *ITK_SUFFIXES)


def choose_slicing(
    find: Callable[[int], Sequence[Item]],
    dims: int,
    *,
    axis: Plane | None = None,
    slices: str | None = None,
    context: int | None = None,
    pool: Pool | None = None,
    usual: str = "all",
) -> Slicing | None:
    """How a model of ``dims`` 2 sees its inputs slice by slice; None where these are images.

    ``find`` gives the images (2) or volumes (3) that are named. They are volumes where one of the
    options says so, where their files are, and where a folder has no images but volumes, of which
    NIfTI and DICOM files may be of one slice. ``usual`` are the slices where none are chosen.
    InputError where the model takes whole volumes and an option of slices is given, and where
    images and volumes are named together.
    """
    values = {"--axis": axis, "--slices": slices, "--context": context, "--pool": pool}
    options = [option for option, value in values.items() if value is not None]
    if dims == 3:
        if options:
            raise InputError(
                f"{options[0]} is for 2-D models, which see a volume slice by slice; this model "
                "takes whole volumes: leave it out"
            )
        return None
    if not options and not holds_volumes(find):
        return None
    return Slicing(
        axis=axis,
        slices=usual if slices is None else slices,
        context=1 if context is None else context,
        pool="mean" if pool is None else pool,
    )


def holds_volumes(find: Callable[[int], Sequence[Item]]) -> bool:
    """Whether the inputs are volumes rather than images; InputError where there are neither, and
    for both together."""
    try:
        items = find(2)
    except InputError as no_images:
        try:
            find(3)
        except InputError as no_volumes:
            if isinstance(no_images, NoInputsError) and not isinstance(no_volumes, NoInputsError):
                # There are volumes, and what is wrong is with their masks or their table.
                raise no_volumes from None
        else:
            return True
        raise
    kinds = _kinds([item.source for item in items])
    volumes, images = ([source for source, is_one in kinds if is_one is k] for k in (True, False))
    # NIfTI and DICOM files may be images, or volumes of one slice; what is beside them tells.
    named = volumes if all(map(is_nifti_name, images)) else []
    beside = named or _stacks_beside(find, images)
    if images and beside:
        _check_own_slices([image for image in images if is_nifti_name(image)], beside[0])
        return True
    if volumes and images:
        raise InputError(
            f"{volumes[0]} is a volume and {images[0]} an image: give one kind at a time"
        )
    return bool(volumes)


def _stacks_beside(find: Callable[[int], Sequence[Item]], images: Sequence[Path]) -> list[Path]:
    """The volumes of several slices that ``find`` gives beside ``images`` which may be volumes,
    too: NIfTI files, and DICOM files that lie somewhere in space, each alone in its folder."""
    if any(image.name.lower().endswith(IMAGE_SUFFIXES) for image in images):
        return []
    dicom = [image for image in images if not is_nifti_name(image)]
    folders = {image.parent for image in dicom}
    if len(folders) < len(dicom):
        return []
    try:
        found = {item.source for item in find(3)}
    except InputError:
        return []
    alone = folders <= found and all(by_starts(is_located, dicom)) and not slices_beside({*dicom})
    others = sorted(
        (s for s in found.difference(images, folders) if "_mask" not in s.name.casefold()),
        key=lambda source: natural_key(str(source)),
    )
    return list(itertools.compress(others, by_starts(_is_stack, others))) if alone else []


def _is_stack(source: Path) -> bool:
    """Whether a volume has several slices for sure: NumPy files may hold anything, and damaged
    ones say nothing of the others."""
    if is_nifti_name(source):
        shape = nifti_shape(source)
        return shape is not None and 1 not in shape
    return source.is_dir() or source.name.lower().endswith(ITK_SUFFIXES)


def _check_own_slices(images: Sequence[Path], volume: Path) -> None:
    """InputError for one of NIfTI ``images`` that isn't one slice of its own, but flat along
    another axis."""
    shapes = by_starts(nifti_shape, images)
    for image, shape in zip(images, shapes, strict=True):
        if shape is not None and shape[0] > 1:
            raise InputError(
                f"{image} is an image, flat along another axis than that of slices, and {volume} a "
                "volume: give --axis to run both slice by slice, or images in a folder of their own"
            )


def _kinds(sources: Sequence[Path]) -> list[tuple[Path, bool]]:
    """The sources, each with whether it is a volume."""
    # Of a picture only the name counts, unless it is that of a folder.
    pictures = [source for source in sources if is_picture(source)]
    others = [source for source in sources if not is_picture(source)]
    with listed(*crowded(sources)):
        return [
            *zip(pictures, on_each(is_volume, pictures), strict=True),
            *zip(others, by_starts(is_volume, others), strict=True),
        ]


def is_volume(source: Path) -> bool:
    """Whether a file or folder is a volume, by its name or by its header: of several slices."""
    if source.is_dir() or source.name.lower().endswith(_VOLUMES):
        return True
    return (is_nifti_name(source) or may_be_dicom(source)) and not is_flat(source)
