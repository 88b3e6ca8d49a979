"""The images and volumes below a folder, and what is left out of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fastcam.errors import InputError
from fastcam.read.inputs.flat_files import IMAGE_SUFFIXES, flat_files, stacked_files
from fastcam.read.volumes.sources import DICOM_SUFFIXES, ITK_SUFFIXES, is_dicom, natural_key
from fastcam.storage.locations import as_path, entries

VOLUME_NAMES = (".nii.gz", ".nii", ".npy", ".npz", ".tif", ".tiff", *ITK_SUFFIXES)
# What fastcam itself writes among pictures.
_STORE_SUFFIX = ".zarr"


def is_own_or_hidden(relative: Path) -> bool:
    """Hidden, or inside something hidden or a run store."""
    return any(part.startswith(".") or part.endswith(_STORE_SUFFIX) for part in relative.parts)


def natural(paths: Iterable[Path], base: Path) -> list[Path]:
    def key(path: Path) -> list[tuple[list[str | int], str]]:
        return [natural_key(part) for part in path.relative_to(base).parts]

    return sorted(paths, key=key)


def walk(
    folder: Path, dims: int, skipped: Path | None, visited: set[tuple[int, int]] | None = None
) -> Iterator[Path]:
    """The inputs below ``folder``; each folder is entered once, whatever links lead there."""
    visited = set() if visited is None else visited
    try:
        inside = [entry for entry in entries(folder) if not entry.name.startswith(".")]
        status = folder.stat()
    except OSError as error:
        if not visited:
            raise InputError(f"{folder}: can't be read: {error.strerror or error}") from error
        return
    identity = status.st_dev, status.st_ino
    if identity in visited:
        return
    visited.add(identity)
    files = [as_path(entry.path) for entry in inside if entry.is_file()]
    yield from flat_files(files) if dims == 2 else _volumes(folder, files)
    for entry in inside:
        if not entry.is_dir() or entry.name.endswith(_STORE_SUFFIX):
            continue
        below = as_path(entry.path)
        if skipped is None or below.resolve() != skipped:
            yield from walk(below, dims, skipped, visited)


def _volumes(folder: Path, files: list[Path]) -> list[Path]:
    """The volume files; where there is none, the folder itself if it holds slices."""
    volumes = [file for file in files if file.name.lower().endswith(VOLUME_NAMES)]
    rest = [file for file in files if file not in volumes]
    slices = any(file.name.lower().endswith((*DICOM_SUFFIXES, *IMAGE_SUFFIXES)) for file in rest)
    # DICOM files often have no suffix at all.
    if not volumes and (slices or any(not file.suffix and is_dicom(file) for file in rest)):
        return [folder]
    return volumes


def why_empty(folder: Path, dims: int) -> str:
    """What is wrong with a folder that holds no inputs."""
    if not any(folder.iterdir()):
        return "is empty; give the folder that holds the images"
    if dims == 3:
        return f"holds no volumes: no {', '.join(VOLUME_NAMES)} and no folder of slices"
    others = sum(1 for _ in walk(folder, 3, None))
    hint = ""
    if others:
        hint = f", but {others} volume{'' if others == 1 else 's'}: infer, evaluate, explain and "
        hint += "analyze run a 2-D model on slices of volumes"
    suffixes = ", ".join(IMAGE_SUFFIXES)
    return f"holds no images: no {suffixes} and no DICOM or NIfTI of one slice{hint}"


def left_out(sources: Sequence[Path], dims: int, skipped: Path | None = None) -> str:
    """What lies in folders among ``sources`` beside the images (``dims`` 2) or volumes (3), in one
    line; empty where nothing does.

    Masks beside their images, ``<image>_mask``, and what is in the folder ``skipped`` don't count.
    """
    volumes: list[Path] = []
    files: list[Path] = []
    for folder in (source for source in sources if source.is_dir()):
        if dims == 2:
            images = {*walk(folder, 2, skipped)}
            volumes += _other_volumes(folder, images, skipped)
            files += slices_beside(images)
        else:
            files += _other_files(folder, skipped)
    kinds = ("slice of a volume", "slices of volumes") if dims == 2 else ("image", "images")
    counts = [_counted(volumes, "volume", "volumes"), _counted(files, *kinds)]
    if not any(counts):
        return ""
    run, other = ("images", "volumes") if dims == 2 else ("volumes", "images")
    return (
        f"{' and '.join(filter(None, counts))}: the folder also holds {run}, and these are run; "
        f"give {other} in a folder of their own"
    )


def _counted(paths: Sequence[Path], one: str, several: str) -> str:
    """How many of them are left out, but for masks, and the first."""
    others = [path for path in paths if "_mask" not in path.name.casefold()]
    if not others:
        return ""
    first = min(others, key=lambda path: natural_key(str(path)))
    are = f"{one} is" if len(others) == 1 else f"{several} are"
    return f"{len(others)} {are} left out, such as {first}"


def _other_volumes(folder: Path, images: set[Path], skipped: Path | None) -> list[Path]:
    """The volumes that are no images, nor folders of some."""
    if not images:
        return []
    folders = {image.parent for image in images}
    return [v for v in walk(folder, 3, skipped) if v not in images and v not in folders]


def slices_beside(images: set[Path]) -> list[Path]:
    """The DICOM files in the folders of images that are none: a series beside its localizer."""
    return [
        file
        for parent in {image.parent for image in images}
        for file in stacked_files([file for file in _files_in(parent) if file not in images])
    ]


def _other_files(folder: Path, skipped: Path | None) -> list[Path]:
    """The pictures and DICOM files that are no volumes, nor slices of some. By their names: to tell
    a DICOM image from a slice would take all their headers."""
    volumes = {*walk(folder, 3, skipped)}
    suffixes = (*IMAGE_SUFFIXES, *DICOM_SUFFIXES)
    return [
        file
        for parent in {volume.parent for volume in volumes if not volume.is_dir()}
        for file in _files_in(parent)
        if file.name.lower().endswith(suffixes) and file not in volumes
    ]


def _files_in(folder: Path) -> list[Path]:
    # From the folder's listing: in a bucket each question of its own would be a request.
    return [as_path(entry.path) for entry in entries(folder) if entry.is_file()]
