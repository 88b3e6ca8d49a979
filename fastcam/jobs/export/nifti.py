"""Arrays on a source's grid as files: NIfTI for volumes, TIFF or NumPy for images."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.run.files import write_bytes

# Maps are smooth: level 1 packs them as well as level 3 does, in half the time.
_LEVEL = 1


def write_nifti(
    path: Path, volume: NDArray[np.float32], affine: NDArray[np.float64] | None
) -> None:
    """Write a volume (z, y, x) float32 as gzipped NIfTI-1, as a whole file or not at all.

    ``affine`` (4, 4) takes voxel (x, y, z, 1) to RAS millimetres; None, where a source has none,
    leaves the file without one. OutputError when it can't be written.
    """
    from isal import igzip
    from nibabel.nifti1 import Nifti1Image

    # NIfTI's order is (x, y, z), x fastest: the transpose, of the same bytes.
    image = Nifti1Image(volume.T, affine)
    image.header.set_xyzt_units("mm")
    finite = volume[np.isfinite(volume)]
    if finite.size and finite.min() < finite.max():
        # The window in which viewers show it first.
        image.header["cal_min"], image.header["cal_max"] = finite.min(), finite.max()
    write_bytes(path, [igzip.compress(image.to_bytes(), _LEVEL, mtime=0)])


def write_image(path: Path, picture: NDArray[np.float32]) -> None:
    """Write (h, w) float32 as ``.npy`` or ``.tif``, as a whole file or not at all."""
    buffer = io.BytesIO()
    if path.suffix == ".npy":
        np.save(buffer, picture)
    else:
        from PIL import Image

        Image.fromarray(picture).save(buffer, "TIFF", compression="tiff_adobe_deflate")
    write_bytes(path, [buffer.getbuffer()])
