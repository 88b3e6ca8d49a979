"""A run's store as an analysis sees it: image by image, of volumes slice by slice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.map_figure import MapPicture
from fastcam.figures.slice_geometry import pixel_aspect
from fastcam.jobs.render.maps.image import (
    SliceView,
    VolumeImage,
    open_image,
    open_volume_image,
)
from fastcam.options import Orient, Sources
from fastcam.read.inputs.images import read_image
from fastcam.read.inputs.model_input import prepare, prepare_planes
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.read.inputs.slice_images import slice_grid
from fastcam.read.inputs.slicing import Slicing
from fastcam.read.inputs.volume_slices import VolumeChoice, VolumeSlices, open_slices
from fastcam.read.volumes.orientation import IDENTITY, Orientation, for_display, left_side
from fastcam.run.records import Failure
from fastcam.storage.locations import is_path
from fastcam.store.map_fields import over_input
from fastcam.store.map_schema import MapAttrs, MapHeader
from fastcam.store.maps import MapStore


@dataclass(frozen=True)
class _Slice:
    """A slice of a volume.

    Attributes:
        case: the volume's 0-based number in the store.
        index: the slice, from 0.
        row: its place among the finished slices of the volume; None where it isn't one.
    """

    case: int
    index: int
    row: int | None


class ImageStore:
    """The images of a run, each with a header and maps (h, w).

    Of volumes that the model saw slice by slice every slice that was run is an image, called
    ``<id>_slice042``; its header has the shape (1, h, w), and the volume's own source and affine
    with the slices first. Readers raise what those of :class:`fastcam.store.maps.MapStore` raise.
    """

    def __init__(self, path: Path, show_channel: int | None = None) -> None:
        self.maps = MapStore.open(path)
        self._show_channel = show_channel
        # A volume's slices are analyzed one after the other.
        self._case_map = lru_cache(maxsize=16)(self.maps.shown_map)
        self._open_case = lru_cache(maxsize=1)(self._read_case)

    @property
    def path(self) -> Path:
        """The store's folder."""
        return self.maps.path

    @property
    def attrs(self) -> MapAttrs:
        """Where the maps come from."""
        return self.maps.attrs

    def __len__(self) -> int:
        """Number of images."""
        return len(self.headers)

    @cached_property
    def headers(self) -> tuple[MapHeader, ...]:
        """Every image without its maps, in the order of the run."""
        if self.maps.table is None:
            return self.maps.headers
        return tuple(self._slice_header(place, part) for place, part in enumerate(self._slices))

    @property
    def failures(self) -> list[Failure]:
        """Why images have no maps; a volume that failed by one cause is one failure."""
        failures = []
        for failure in self.maps.failures:
            header = self.maps.headers[failure.case]
            place = header.place
            if self.maps.table is not None:
                place = self.maps.table.rows(failure.case).start + 1
            failures.append(Failure("error", place, header.id, failure.slice, 0, failure.reason))
        return failures

    def map(self, name: str, index: int) -> NDArray[np.float32]:
        """What is shown of map ``name`` (h, w) of an image, not scaled, at its layer's
        resolution."""
        if self.maps.table is None:
            return self.maps.shown_map(name, index)
        part = self._slices[index]
        if part.row is None:
            raise CaseError(f"{self.headers[index].id}: has no map")
        values: NDArray[np.float32] = self._case_map(name, part.case)[part.row]
        return values

    def placed_map(self, name: str, index: int) -> NDArray[np.float32]:
        """``map``, laid over the whole of the model's input where its cells don't share it out."""
        return over_input(self.map(name, index), self.maps.field(name))

    @property
    def main_input(self) -> str:
        """Of a model with several images the one that a case is called after; empty for one."""
        images = [entry["name"] for entry in self._inputs if entry["kind"] == "image"]
        return str(images[0]) if len(images) > 1 else ""

    def input_name(self, name: str) -> str:
        """The image that map ``name`` lies over, the first of those that it was made of; empty for
        a model of one."""
        main = self.main_input
        over: str = self.attrs.settings.get("map_images", {}).get(name, [main])[0] if main else ""
        return over

    def display(self, index: int, input_name: str = "") -> Orientation:
        """How an image and its maps are turned in figures: as a radiologist expects it where a
        DICOM or NIfTI file says how it lies. Bilateral halves stay where the model had them."""
        if self._halved:
            return IDENTITY
        return for_display(self._affine(index, input_name))

    def pixel_aspect(self, index: int) -> float:
        """The height of an image's pixel as shown over its width, in mm."""
        return pixel_aspect(self._affine(index), self.display(index))

    def picture(self, index: int, input_name: str = "") -> MapPicture:
        """What the model saw of an image, turned by :meth:`display`. CaseError where it can't be
        read."""
        header, preprocessing = self._header_of(index, input_name), self.attrs.preprocessing
        if self.maps.table is not None:
            part = self._slices[index]
            return self._open_case(part.case).cut(part.index)
        orient: Orient = "array" if self._halved else "radiological"
        picture = open_image(header, None, "", preprocessing, orient).picture
        display = self.display(index, input_name)
        return replace(picture, left_side=left_side(self._affine(index, input_name), display))

    def size(self, index: int, input_name: str = "") -> tuple[int, int]:
        """(h, w) of an image as it is stored."""
        header = self._header_of(index, input_name)
        if any(header.shape):
            return header.shape[1], header.shape[2]
        height, width = read_image(header.source).shape[:2]
        return height, width

    def model_input(self, index: int, preprocessing: Preprocessing) -> NDArray[np.float32]:
        """(c, H, W) float32, as a model of one image takes it. CaseError where it can't be read."""
        if self.maps.table is None:
            source = self.headers[index].source
            return prepare(read_image(source, preprocessing.grey), preprocessing)
        part = self._slices[index]
        planes = self._case_slices(part.case, preprocessing).planes(part.index)
        return prepare_planes(planes, preprocessing)

    @property
    def _halved(self) -> bool:
        return bool(self.attrs.preprocessing.get("halves", "no") != "no")

    @property
    def _inputs(self) -> list[Any]:
        return list(self.attrs.settings.get("inputs", ()))

    def _header_of(self, index: int, input_name: str) -> MapHeader:
        """That of an image, or of another image that went into the model with it; the store has
        only the first one's shape."""
        header = self.headers[index]
        number = next((n for n, e in enumerate(self._inputs) if e["name"] == input_name), None)
        source = header.source if number is None else header.inputs[number]
        if not is_path(source) or source == header.source:
            return header
        return replace(header, source=source, shape=(0, 0, 0))

    def _affine(self, index: int, input_name: str = "") -> NDArray[np.float64] | None:
        header = self._header_of(index, input_name)
        if self.maps.table is not None:
            return header.affine
        try:
            return slice_grid(header.source, (1, *self.size(index, input_name))).affine
        except CaseError:
            return None  # a failure where the image's own figures are drawn

    @cached_property
    def _slices(self) -> list[_Slice]:
        table = self.maps.table
        assert table is not None
        slices = []
        for case, header in enumerate(self.maps.headers):
            answers = header.slices
            assert answers is not None
            for row in table.rows(case):
                index = int(table.index[row])
                slices.append(_Slice(case, index, answers.row(index)))
        return slices

    def _slice_header(self, place: int, part: _Slice) -> MapHeader:
        of_case = self.maps.headers[part.case]
        answers = of_case.slices
        assert answers is not None
        own: dict[str, Any] = {
            "place": place + 1,
            "id": f"{of_case.id}_slice{max(0, part.index):03d}",
            "shape": (1, *of_case.shape[1:]),
            "slices": None,
        }
        if part.row is None:
            # Of a volume that is done, or open, in part.
            return replace(of_case, **own, status="failed", reason=of_case.reason or "failed")
        classes = answers.probability.shape[1] > 0
        return replace(
            of_case,
            **own,
            output=answers.output[part.row],
            prediction=int(answers.prediction[part.row]) if classes else None,
            confidence=float(answers.confidence[part.row]),
            probabilities=answers.probability[part.row],
            targets=answers.targets[part.row],
            measures=answers.measures[part.row],
            status="done",
            reason="",
        )

    def _read_case(self, case: int) -> VolumeImage:
        settings, preprocessing = self.attrs.settings, self.attrs.preprocessing
        sources = Sources(
            axes=settings["axes"],
            volume=settings.get("volume"),
            show_channel=self._show_channel,
        )
        header, view = self.maps.headers[case], SliceView.of(self.maps, case)
        return open_volume_image(header, None, "", sources, preprocessing, view)

    def _case_slices(self, case: int, preprocessing: Preprocessing) -> VolumeSlices:
        settings = self.attrs.settings
        return open_slices(
            self.maps.headers[case].source,
            self.maps.axis(case),
            Slicing.of_settings(settings),
            preprocessing,
            VolumeChoice(settings["axes"], settings.get("volume")),
        )
