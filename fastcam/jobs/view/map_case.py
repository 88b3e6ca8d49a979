"""An image or volume of a store of maps that is open: its pictures and its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from fastcam_kernels import resize
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.map_figure import DIVERGING_TABLE, uniform_note
from fastcam.figures.map_scales import MapScale
from fastcam.figures.slice_geometry import slice_geometry
from fastcam.jobs.render.maps.image import (
    FlatImage,
    OpenImage,
    VolumeImage,
)
from fastcam.jobs.render.maps.map_task import MapFigures, MapTask, OpenMaps, open_inputs, scale_of
from fastcam.jobs.render.maps.plan import VolumeHeat, heat_of
from fastcam.jobs.view.image_planes import flat_plane, geometry_of
from fastcam.jobs.view.numbered_maps import row_of
from fastcam.jobs.view.opened_case import Limits, Look, OpenedCase, Reading, Slot
from fastcam.jobs.view.planes import Plane, plane_of, position_of, raw_window
from fastcam.jobs.view.run import prepared_style
from fastcam.options import Scale, Sources
from fastcam.read.volumes.geometry import Affine
from fastcam.read.volumes.masks import mask_along
from fastcam.read.volumes.slice_axis import slices_first, volume_along
from fastcam.store.map_rows import MapCase, MapRow
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore
from fastcam.store.random_weights import RANDOM_WEIGHTS

# The values of a map, and of a volume where along it they lie.
Cut = tuple[NDArray[np.float32], VolumeHeat | None]


@dataclass(frozen=True, eq=False)
class MapViewCase(OpenedCase):
    """An image or volume of a store of maps.

    Attributes:
        store: the store of maps.
        sources: the images and masks, and their geometry.
        rows: every map of the store.
        index: its number in the store, from 0.
        image: its pixels.
        cuts: its maps that were read already, by the axis that they are cut along: their values
            and, of a volume, where it has its heat.
        scales: the scales of these maps.
        inputs: of a model with several images those that were opened, by number.
    """

    store: MapStore
    sources: Sources
    rows: tuple[MapRow, ...]
    index: int
    image: OpenImage
    cuts: dict[tuple[MapRow, int], Cut] = field(default_factory=dict)
    scales: dict[tuple[MapRow, Scale, bool, Limits | None], MapScale] = field(default_factory=dict)
    inputs: dict[int, OpenImage] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels and the mask; maps are a fraction of it."""
        if isinstance(self.image, FlatImage):
            picture = self.image.picture
            return picture.image.nbytes + (0 if picture.mask is None else picture.mask.nbytes)
        mask = self.image.mask
        return self.image.volume.voxels.nbytes + (0 if mask is None else mask.inside.nbytes)

    @property
    def header(self) -> MapHeader:
        """What the store says of it."""
        return self.store.headers[self.index]

    @property
    def first(self) -> int:
        """0: a store of maps counts a volume's slices as its file does."""
        return 0

    @property
    def affine(self) -> Affine | None:
        """That of the volume."""
        return None if isinstance(self.image, FlatImage) else self.image.volume.affine

    @cached_property
    def planes(self) -> Mapping[int, Plane]:
        """The slices that the model saw; of a whole volume all three planes."""
        turned = self.sources.orient == "radiological"
        if isinstance(self.image, FlatImage):
            return {0: flat_plane(self.image)}
        volume = self.image.volume
        depth, height, width = volume.voxels.shape
        rows, columns = self.image.field
        whole = self.image.field == (slice(0, height), slice(0, width))
        planes = {
            axis: plane_of((depth, height, width), volume.affine, axis, turned)
            for axis in ((0, 1, 2) if whole and depth > 1 else (0,))
        }
        planes[0] = replace(
            planes[0], height=rows.stop - rows.start, width=columns.stop - columns.start
        )
        return planes

    @cached_property
    def _first_heat(self) -> VolumeHeat | None:
        if isinstance(self.image, FlatImage):
            return None
        return self._cut(self.rows[0], 0)[1]

    def facts(self) -> dict[str, Any]:
        """Slices, their mean heat, those that the model saw where these aren't all, geometry,
        window and warnings."""
        heat, image = self._first_heat, self.image
        window: list[float] | None = None
        if isinstance(image, VolumeImage):
            volume = image.volume
            window = [volume.slope * edge + volume.intercept for edge in image.window]
        header = self.header
        return {
            "first": 0,
            "best": 0 if heat is None else heat.best_slice,
            "slices": {}
            if heat is None
            else {str(index): mean for index, mean in heat.slice_averages.items()},
            "seen": None if heat is None or heat.model_slices is None else list(heat.model_slices),
            "planes": {str(axis): plane.facts() for axis, plane in self.planes.items()},
            "window": window,
            "channels": image.picture.image.shape[2] if isinstance(image, FlatImage) else 1,
            "mask": self._has_mask,
            "warnings": list(image.warnings),
            "targets": header.targets.tolist(),
        }

    @property
    def _has_mask(self) -> bool:
        if isinstance(self.image, FlatImage):
            return self.image.picture.mask is not None
        return self.image.mask is not None

    def _cut(self, row: MapRow, axis: int) -> Cut:
        if (row, axis) not in self.cuts:
            if axis:
                values, heat = self._cut(row, 0)
                assert heat is not None
                self.cuts[row, axis] = _across(values, heat, axis, self.planes[axis].depth)
            else:
                values = row.read(self.store, self.index)
                heat = None
                if isinstance(self.image, VolumeImage):
                    heat = heat_of(MapCase(self.header), values, row.signed)
                self.cuts[row, 0] = values, heat
        return self.cuts[row, axis]

    def sheet(self, slot: Slot, look: Look) -> Sheet:
        """The figure of an image or slice with one map."""
        row = row_of(self.store, self.rows, slot.map, slot.head)
        case_maps = self._opened(row, slot, look)
        figures = MapFigures(self._task(row, look), case_maps, self._prepared(case_maps, look))
        sheet, _ = figures.sheet(slot.index)
        return sheet

    def notes(self, slot: Slot, look: Look) -> tuple[str, ...]:
        """Whether the weights were random, or the attention is all but uniform, and the map's own
        note."""
        row = row_of(self.store, self.rows, slot.map, slot.head)
        scale, notes = self._scale(row, look), [row.note]
        if scale.nearly_uniform and not look.style.classic:
            notes.insert(0, uniform_note(scale.times_uniform or 0.0))
        if self.store.attrs.settings.get("random_weights"):
            notes.insert(0, RANDOM_WEIGHTS)
        return tuple(filter(None, notes))

    def colors(self, slot: Slot, look: Look) -> str:
        """The diverging table where there is evidence for and against."""
        row = row_of(self.store, self.rows, slot.map, slot.head)
        return DIVERGING_TABLE if self._scale(row, look).diverging else look.style.colormap

    def _prepared(self, case_maps: OpenMaps, look: Look) -> Any:
        return prepared_style(look.style, *case_maps.image.size)

    def _task(self, row: MapRow, look: Look) -> MapTask:
        store = self.store
        return MapTask(
            store_path=store.path,
            store_created=store.attrs.created,
            output_dir=store.path,
            rows=(row,),
            sources=self.sources,
            style=look.style,
            mode="all_slices",
            characters="",
            fonts=(),
        )

    def _opened(self, row: MapRow, slot: Slot, look: Look) -> OpenMaps:
        """The case as figures have it, cut along the slot's axis."""
        plane = self.planes.get(slot.axis)
        if plane is None or not 0 <= slot.index < plane.depth:
            raise CaseError(f"has no slice {slot.index} along axis {slot.axis}")
        values, heat = self._cut(row, slot.axis)
        scale = self._scale(row, look)
        image = self._image_along(slot.axis, look, self._image_of(row, look))
        labels = self._labels if slot.axis == 0 else None
        return OpenMaps(MapCase(self.header), image, (values,), (scale,), heat, labels=labels)

    @cached_property
    def _labels(self) -> NDArray[np.int32] | None:
        """Of a segmentation the class predicted of every pixel."""
        return self.store.label_map(self.index)

    def _scale(self, row: MapRow, look: Look) -> MapScale:
        """The scale of a map; limits that the reader has set are in the unit of its color bar."""
        values, _ = self._cut(row, 0)
        key = row, look.style.scale, look.style.classic, look.cohort
        if key not in self.scales:
            self.scales[key] = scale_of(row, values, look.style, look.cohort)
        scale = self.scales[key]
        if look.limits is None:
            return scale
        unit = scale.uniform or 1.0
        low, high = look.limits
        return replace(
            scale, kind="patient", limits=(low * unit, high * unit), constant=False, ranks=None
        )

    def _image_of(self, row: MapRow, look: Look) -> OpenImage:
        """The image that a map lies over. CaseError where that lies otherwise than the case's
        first, by which the page is laid out."""
        if row.input is None:
            return self.image
        if row.input not in self.inputs:
            self.inputs.update(open_inputs(self._task(row, look), self.header, self.image))
        image = self.inputs[row.input]
        if geometry_of(image) != geometry_of(self.image):
            raise CaseError(
                f"{row.input_name} lies otherwise than the case's first image; fastcam render draws"
                " its maps"
            )
        return image

    def _image_along(self, axis: int, look: Look | None, image: OpenImage) -> OpenImage:
        if not isinstance(image, VolumeImage):
            return image
        if look is not None and look.window is not None:
            image = replace(image, window=raw_window(image.volume, look.window))
        if not axis:
            return image
        depth, height, width = image.volume.voxels.shape
        plane, volume = self.planes[axis], volume_along(image.volume, axis)
        return replace(
            image,
            volume=volume,
            mask=image.mask and mask_along(image.mask, (depth, height, width), axis),
            field=(slice(0, plane.height), slice(0, plane.width)),
            display=plane.display,
            left_side=plane.letters[0],
            geometry=slice_geometry(volume, plane.display, image.window, plane.depth),
        )

    def mask_of(self, slot: Slot) -> NDArray[np.uint8] | None:
        """The mask of a picture as it is turned."""
        return self._image_along(slot.axis, None, self.image).cut(slot.index).mask

    def reading(self, slot: Slot, look: Look, across: float, down: float) -> Reading:
        """Voxel, value and heat at a place of a picture; heat as it is enlarged to the panel."""
        plane = self.planes[slot.axis]
        height, width = plane.size
        x, y = min(int(across * width), width - 1), min(int(down * height), height - 1)
        row = row_of(self.store, self.rows, slot.map, slot.head)
        case_maps = self._opened(row, slot, look)
        layer = case_maps.values[0]
        if case_maps.heat is not None:
            layer = case_maps.heat.of_slice(layer, slot.index)
        turned = np.ascontiguousarray(case_maps.image.display.apply(layer), np.float32)
        enlarged = resize.resize(turned, height, width, resize.BILINEAR)
        heat = float(enlarged[y, x]) / (case_maps.scales[0].uniform or 1.0)
        voxel = plane.voxel(slot.index, x, y)
        cell = self._cell(row, voxel)
        image = self._image_of(row, look)
        if isinstance(image, FlatImage):
            pixel = tuple(float(value) for value in image.picture.image[y, x])
            return Reading(voxel=voxel, image=pixel, heat=heat, cell=cell)
        rows, columns = image.field
        z, down_at, across_at = voxel
        if slot.axis == 0:
            down_at, across_at = down_at + rows.start, across_at + columns.start
        volume = image.volume
        value = float(volume.voxels[z, down_at, across_at]) * volume.slope + volume.intercept
        return Reading(
            voxel=self._file_voxel(z, down_at, across_at),
            position=position_of(volume.affine, (z, down_at, across_at)),
            image=(value,),
            heat=heat,
            cell=cell,
        )

    def _cell(self, row: MapRow, voxel: tuple[int, int, int]) -> float | None:
        """The store's value of the cell that a voxel of the model's field lies in."""
        values, heat = self._cut(row, 0)
        plane = self.planes[0]
        z, y, x = voxel
        down, across = values.shape[-2:]
        y, x = y * down // plane.height, x * across // plane.width
        if heat is None:
            return float(values[y, x])
        if heat.model_slices is not None:
            return (
                float(values[heat.model_slices.index(z), y, x]) if z in heat.model_slices else None
            )
        return float(values[z * len(values) // heat.depth, y, x])

    def _file_voxel(self, z: int, y: int, x: int) -> tuple[int, int, int]:
        """A voxel of the slices that the model saw, in the order (z, y, x) of the file."""
        voxel = [0, 0, 0]
        order = slices_first(self.store.axis(self.index))
        for axis, number in zip(order, (z, y, x), strict=True):
            voxel[axis] = number
        return voxel[0], voxel[1], voxel[2]


def _across(values: NDArray[np.float32], heat: VolumeHeat, axis: int, depth: int) -> Cut:
    """A volume's map cut along another axis; slices that the model did not see have no heat."""
    if heat.model_slices is not None:
        whole = np.zeros((heat.depth, *values.shape[1:]), np.float32)
        whole[list(heat.model_slices)] = values
        values = whole
    turned = np.ascontiguousarray(values.transpose(slices_first(axis)))
    return turned, VolumeHeat(heat.case, turned, depth, heat.signed)
