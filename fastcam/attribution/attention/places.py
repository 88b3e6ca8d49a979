"""What is known of a forward pass, and where in the image the keys of one of its calls are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor, nn

from fastcam.attribution.attention.key_order import KeyOrder, Packing
from fastcam.attribution.attention.tokens import Prefix
from fastcam.attribution.attention.windows import WindowLayout, merge_windows
from fastcam.attribution.geometry.fields import field_of, placement_note
from fastcam.attribution.geometry.grids import Grid
from fastcam.attribution.layer_names import split_call
from fastcam.store.map_fields import MapField

MapKind = Literal["cls", "received", "windows", "pooling", "overlap", "channel"]


@dataclass(frozen=True)
class PassContext:
    """What is known of a forward pass.

    - ``model``: the model that ran, uncompiled
    - ``batch``: how many images it had
    - ``image``: their size (h, w) or (d, h, w) in pixels
    - ``patch``: a patch's sides in pixels; None where the model states none
    - ``prefix``: the tokens before the patches
    - ``shapes``: by dotted path, the shape of the first tensor given to each module that ran
    - ``grids``: by call of a module where what it gave lies in the image, as far as that is known
    - ``reweighed``: by number of a record, why it is no attention of a place to places
    """

    model: nn.Module
    batch: int
    image: tuple[int, ...]
    patch: tuple[int, ...] | None
    prefix: Prefix
    shapes: dict[str, tuple[int, ...]]
    grids: Mapping[str, Grid | None] = field(default_factory=dict)
    reweighed: Mapping[int, str] = field(default_factory=dict)

    def call_grid(self, name: str) -> Grid | None:
        """Where what the call ``name`` gave lies in the image; None where that isn't known."""
        # A module may make several calls while it is called once.
        return self.grids.get(name, self.grids.get(split_call(name)[0]))


@dataclass(frozen=True)
class KeyPositions:
    """Where in the image the keys of a record are.

    - ``index``: the record's, in the order of the calls
    - ``path``: dotted path of its module
    - ``kind``: what its value is
    - ``heads``: how many maps it has
    - ``grid``: (h, w) or (d, h, w) of the places
    - ``layout``: how windows lie over the grid; None for attention without windows
    - ``field``: where the places lie in the image; None: they share it out between them
    - ``followed``: whether that could be followed through the model
    - ``packing``: what the first axis has besides images and, first, windows; None for nothing else
    - ``order``: which key each place shows; None: each its own, one after another
    """

    index: int
    path: str
    kind: MapKind
    heads: int
    grid: tuple[int, ...]
    layout: WindowLayout | None = None
    field: MapField | None = None
    followed: bool = True
    packing: Packing | None = None
    order: KeyOrder | None = None

    def named(self, name: str, context: PassContext) -> KeyPositions:
        """The same under the name of its call, with its field."""
        grid = context.call_grid(name)
        # Of a call that belongs to no module nothing was followed.
        followed = not name or not placement_note(grid, self.grid)
        if grid is not None and self.layout is not None:
            # Windows are moved around the edge, padded and put back: their layout says how.
            grid, followed = replace(grid, rolled=()), True
            if grid.sizes == self.layout.padded:
                # At the end: fitting the places would put neighbors together.
                grid = grid.at(self.grid, grid.offset, grid.stride)
        followed = followed or self.order is not None
        field = field_of(grid, self.grid, context.image)
        return replace(self, path=name, field=field, followed=followed)

    def map(self, values: Tensor, batch: int) -> Tensor:
        """Values (b', h, m) of keys to (b, heads, *grid)."""
        if self.packing is not None:
            values = self.packing.unpacked(values, batch)
        if self.order is not None:
            return self.order.placed(values, batch).reshape(batch, self.heads, *self.grid)
        if self.layout is not None:
            return merge_windows(values, self.layout)
        places = values[..., values.shape[-1] - math.prod(self.grid) :]
        return places.reshape(batch, self.heads, *self.grid)
