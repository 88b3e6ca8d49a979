"""Maps of DICOM series as DICOM: one Parametric Map in the study of the source (PS3.3 A.75)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam._version import __version__
from fastcam.errors import CaseError, InputError
from fastcam.read.volumes.volumes import dicom_headers
from fastcam.read.volumes.voxels import LPS_TO_RAS
from fastcam.run.files import write_bytes

# After the scanner's own series in a viewer's list.
_SERIES_NUMBER = 9000
_LONGEST = {"SH": 16, "LO": 64}  # characters of a short and a long string
# Attributes of the patient and the study that must be there but may be empty (type 2 in PS3.3
# C.7.1.1 and C.7.2.1). Anonymised series often lack them altogether, and highdicom asks for them.
_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)


def check_dicom() -> None:
    """InputError where highdicom is not installed."""
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise InputError(
            "--format dcm needs highdicom: install fastcam[dicom], or leave --format out for NIfTI"
        ) from error


def write_dicom(
    path: Path,
    volume: NDArray[np.float32],
    affine: NDArray[np.float64] | None,
    source: Path,
    description: str,
    volume_name: str | None = None,
) -> None:
    """Write a volume (z, y, x) float32 as one multi-frame file, as a whole or not at all.

    ``affine`` (4, 4) takes voxel (x, y, z, 1) to RAS millimetres. Patient, study and frame of
    reference are those of the series or file ``source``, so that viewers lay it over that;
    ``description`` is the series', ``volume_name`` the volume of the source where it has several.
    Values are raw, without a unit.

    CaseError where the source is no DICOM, has no positions, or lacks what a study must say;
    OutputError when the file can't be written.
    """
    if affine is None:
        raise CaseError(f"{source}: says nothing of positions, which a DICOM map must; use NIfTI")
    headers = dicom_headers(source, volume_name)
    try:
        parametric_map = _parametric_map(headers, volume, affine, description)
    except (AttributeError, ValueError, TypeError, LookupError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise CaseError(f"{source}: no DICOM map can be made of it: {reason}; use NIfTI") from error
    buffer = io.BytesIO()
    parametric_map.save_as(buffer, enforce_file_format=True)
    write_bytes(path, [buffer.getbuffer()])


def _parametric_map(
    headers: list[Any], volume: NDArray[np.float32], affine: NDArray[np.float64], description: str
) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    geometry = LPS_TO_RAS @ affine  # its own inverse
    columns, rows, step, start = geometry[:3].T
    sizes = [float(np.linalg.norm(axis)) for axis in (rows, columns, step)]
    for header in headers:
        for keyword in _MAY_BE_EMPTY:
            header.setdefault(keyword, None)
        if header.get("SliceThickness") is None:  # may be left out, but highdicom asks for it
            header.SliceThickness = sizes[2]
    low, high = float(np.nanmin(volume)), float(np.nanmax(volume))
    high = high if high > low else low + 1.0
    parametric_map = highdicom.pm.ParametricMap(
        source_images=headers,
        pixel_array=np.ascontiguousarray(volume),
        series_instance_uid=generate_uid(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="fastcam",
        manufacturer_model_name="fastcam",
        software_versions=__version__,
        device_serial_number="0",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            highdicom.pm.RealWorldValueMapping(
                lut_label=description[: _LONGEST["SH"]],
                lut_explanation=description[: _LONGEST["LO"]],
                unit=codes.UCUM.NoUnits,
                value_range=(low, high),
                slope=1.0,
                intercept=0.0,
            )
        ],
        voi_lut_transformations=[
            highdicom.VOILUTTransformation(window_center=(low + high) / 2, window_width=high - low)
        ],
        content_label="FASTCAM",
        content_description=description[: _LONGEST["LO"]],
        pixel_measures=highdicom.PixelMeasuresSequence(sizes[:2], sizes[2], sizes[2]),
        plane_orientation=highdicom.PlaneOrientationSequence(
            "PATIENT", [*(columns / sizes[1]), *(rows / sizes[0])]
        ),
        plane_positions=[
            highdicom.PlanePositionSequence("PATIENT", list(start + z * step))
            for z in range(len(volume))
        ],
    )
    parametric_map.SeriesDescription = description[: _LONGEST["LO"]]
    return parametric_map
