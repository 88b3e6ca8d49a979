"""What an export is asked for: which maps of which store, and as what files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fastcam.options import MapChoice, Selection, Sources
from fastcam.store.maps import MapStore
from fastcam.store.patches import RunStore

ExportFormat = Literal["tif", "npy", "dcm"]


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """The settings of an export.

    Attributes:
        store: the run store or store of maps.
        output_dir: the folder of the files; made if need be.
        sources: the images of patch attention, and their geometry.
        selection: which cases are exported.
        choice: which maps of a store of maps are exported.
        format: the format of images' maps; ``dcm`` makes DICOM of volumes instead of NIfTI.
        overwrite: whether all files are written anew; else those of an earlier export are kept.
        trust_inputs: whether sources that changed since the model saw them are not looked for.
    """

    store: RunStore | MapStore
    output_dir: Path
    sources: Sources
    selection: Selection
    choice: MapChoice = field(default_factory=MapChoice)
    format: ExportFormat = "tif"
    overwrite: bool = False
    trust_inputs: bool = False

    @property
    def volume_suffix(self) -> str:
        """The suffix of a volume's file."""
        return "dcm" if self.format == "dcm" else "nii.gz"
