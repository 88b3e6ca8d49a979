"""What a NIfTI file's series is called, and the unit of its voxels, as far as anybody wrote it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fastcam.errors import one_line

# Keys of the JSON file that dcm2niix and BIDS put beside an image; the first that is there counts.
_SERIES = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
_LARGEST = 1 << 20
_LONGEST = 64
# ``descrip`` is where programs leave their own name, or settings: that says nothing of the series.
_OF_PROGRAMS = re.compile(
    r"[=;<>/\\]|^\W*$|^(fsl|spm|mrtrix|freesurfer|itk|elastix|ants|afni|dcm2nii|nibabel|simpleitk|"
    r"matlab|slicer|mricro|brainvoyager|mango|nifti)",
    re.IGNORECASE,
)


def names_of(path: Path, header: Any) -> tuple[str, str, str]:
    """(series, unit, modality) of a NIfTI file with nibabel's ``header``; empty: not said.

    They are from the JSON file beside it, which also says that a CT has Hounsfield units. Else the
    series is the header's ``intent_name``, or its ``descrip`` where that isn't a program's.
    """
    facts = _sidecar(path)
    series = next((text for name in _SERIES if (text := _text(facts.get(name)))), "")
    unit = _text(facts.get("Units"))
    modality = _text(facts.get("Modality"))
    if not unit and modality == "CT":
        unit = "HU"
    if not series:
        series = _text(_decoded(header["intent_name"]))
    described = _text(_decoded(header["descrip"]))
    if not series and not _OF_PROGRAMS.search(described):
        series = described
    return series, unit, modality


def _sidecar(path: Path) -> dict[str, Any]:
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    beside = path.with_name(f"{name}.json")
    try:
        if not beside.is_file() or beside.stat().st_size > _LARGEST:
            return {}
        content = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}  # it only names things
    return content if isinstance(content, dict) else {}


def _decoded(value: Any) -> str:
    return bytes(value.item() if hasattr(value, "item") else value).decode("latin-1")


def _text(value: object) -> str:
    return one_line(value.strip("\0 \t\r\n")[:_LONGEST]) if isinstance(value, str) else ""
