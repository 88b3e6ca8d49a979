"""One map of an export, from the store to its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.jobs.export import dicom, nifti
from fastcam.jobs.export.grids import image_grid, patch_grid, slice_grid, volume_grid
from fastcam.options import Sources
from fastcam.read.volumes.frames import parse_slices
from fastcam.read.volumes.geometry import Grid
from fastcam.read.volumes.slice_axis import grid_back, voxels_back
from fastcam.read.volumes.volumes import open_volume, uneven_slices, volume_warnings
from fastcam.read.volumes.voxels import check_even
from fastcam.run.work_items import CaseSlices
from fastcam.storage.locations import as_path
from fastcam.store.map_rows import MapRow, check_done
from fastcam.store.maps import MapStore
from fastcam.store.patches import RunStore


def write_map(
    store: MapStore, index: int, row: MapRow, description: str, path: Path
) -> tuple[str, ...]:
    """Write a map of image or volume ``index`` on the grid of its source.

    ``description`` is that of a DICOM series. What is odd about the source comes back. CaseError
    where there is no map, OutputError when the file can't be written.
    """
    header = store.headers[index]
    check_done(header)
    if min(header.shape) < 1:
        raise CaseError(f"{header.source}: the store doesn't say how large it is")
    values = row.read(store, index)
    if store.attrs.dims == 3:
        source, volume = as_path(header.source), store.attrs.settings.get("volume")
        check_even(uneven_slices(source, volume), source, "export")
        affine = header.affine
        if header.slices is None:
            grid = volume_grid(values, header.shape)
        else:
            axis = store.axis(index)
            along_slices = slice_grid(
                values, header.slices.index, header.shape, store.attrs.preprocessing
            )
            grid = np.ascontiguousarray(voxels_back(along_slices, axis))
            affine = grid_back(Grid(header.shape, affine), axis).affine
        _write_volume(path, grid, affine, source, description, volume)
        return volume_warnings(source, volume)
    height, width = header.shape[1:]
    nifti.write_image(path, image_grid(values, height, width, store.attrs.preprocessing))
    return ()


def write_patches(
    store: RunStore, case_slices: CaseSlices, sources: Sources, path: Path
) -> tuple[str, ...]:
    """Write the heat of a case's patches on the grid of its volume; what is odd about that comes
    back.

    CaseError where the volume can't be read or doesn't fit the patches, OutputError when the file
    can't be written.
    """
    if case_slices.image is None:
        raise CaseError(case_slices.image_missing)
    image = as_path(case_slices.image)
    volume = open_volume(image, sources.axes, volume=sources.volume)
    check_even(volume.uneven, image, "export")
    first = parse_slices(sources.slices).first(len(volume.voxels))
    depth, height, width = volume.voxels.shape
    case = store.case(case_slices.case)
    grid = patch_grid(case, (depth, height, width), first, sources.axes)
    _write_volume(path, grid, volume.affine, image, "patch attention", sources.volume)
    return volume.warnings


def _write_volume(
    path: Path,
    grid: NDArray[np.float32],
    affine: NDArray[np.float64] | None,
    source: Path,
    description: str,
    volume: str | None,
) -> None:
    if path.suffix == ".dcm":
        dicom.write_dicom(path, grid, affine, source, description, volume)
    else:
        nifti.write_nifti(path, grid, affine)
