"""Attention rollout: how much of each patch reaches the token that the prediction is read from.

Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3, equation 1: heads are
fused, the identity is added for the skip connection, rows are normalized, layers multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.capture import Replacement, capture, paths_of
from fastcam.attribution.attention.checks import check_records, input_shapes
from fastcam.attribution.attention.passes import Pass, passes_of, record_spans
from fastcam.attribution.attention.records import AttentionCall, Record, Reducer, Scores
from fastcam.attribution.attention.rollout_chunked import (
    Layer,
    attend_and_fuse,
    backward_row,
    backward_step,
    keep_layer,
)
from fastcam.attribution.attention.sdpa_override import sdpa_count
from fastcam.attribution.attention.tokens import (
    count_prefix,
    image_size,
    patch_grid,
    patch_size,
    pools_patches,
)
from fastcam.attribution.batch_maps import BatchMaps, Targets, answers_of
from fastcam.attribution.geometry.fields import field_of, layer_grids, placement_note
from fastcam.attribution.layer_names import call_names, module_at, split_call
from fastcam.attribution.modules import (
    as_input,
    eager_mode,
    eager_module,
    eval_mode,
    no_autocast,
)
from fastcam.attribution.nonfinite import keep_finite
from fastcam.attribution.request import Fusion
from fastcam.errors import InputError
from fastcam.store.map_fields import MapField


def rollout(
    layers: Sequence[Layer],
    query: int | Tensor = 0,
    fusion: Fusion = "mean",
    discard_ratio: float = 0.0,
    start_layer: int = 0,
) -> Tensor:
    """Row ``query`` (b, n) float32 of A'_L ··· A'_s, over all n tokens; it sums to 1.

    ``layers``: in the model's order, each an attention of n queries on n keys, or its fused matrix
    (b, n, n) float32, to which ``fusion`` and ``discard_ratio`` are not applied any more.
    ``query``: a token's index (0: CLS), or weights (n,) over the tokens that sum to 1.
    ``discard_ratio``: the lowest share, 0 to below 1, of each image's fused attention that is set
    to zero in each layer (never CLS to CLS). ``start_layer`` s: earlier layers are left out.
    Raises InputError where there is no such layer.
    """
    _check_start(start_layer, len(layers))
    *earlier, last = layers[start_layer:]
    like = last if isinstance(last, Tensor) else last.row(0)
    with torch.no_grad(), no_autocast(like):
        if isinstance(query, int):
            v = backward_row(last, query, fusion, discard_ratio)
        else:
            v = backward_step(last, query.expand(last.shape[0], -1), fusion, discard_ratio)
        for layer in reversed(earlier):
            v = backward_step(layer, v, fusion, discard_ratio)
    return v


class RolloutEngine:
    """Attention rollout of batches of images.

    engine = RolloutEngine(model); engine(images).maps["rollout"]    # (b, h, w) float32

    ``fusion``, ``discard_ratio`` and ``start_layer`` as for :func:`rollout`. ``prefix_tokens``: CLS
    and registers, where the model doesn't say how many it has; they are left out of the map, which
    so sums to less than 1. ``query`` says whose row it is: "cls", or "mean" of all patches for
    models without CLS or whose head doesn't read it. A part that a model calls for several images
    or views has a map for every call, "rollout/backbone#0" and so on; a block that is called on
    what it gave before is one more layer each time. Queries that aren't tokens, as those of a
    pooling head, have no part in it. A compiled model is run uncompiled.

    Raises InputError for a model without attention, in which some can't be seen, or whose layers
    aren't all among the same tokens (windows, pyramids).
    """

    def __init__(
        self,
        model: nn.Module,
        fusion: Fusion = "mean",
        discard_ratio: float = 0.0,
        start_layer: int = 0,
        prefix_tokens: int | None = None,
    ) -> None:
        if fusion not in get_args(Fusion):
            raise InputError(f"--fusion {fusion!r} is not known: use {', '.join(get_args(Fusion))}")
        if not 0.0 <= discard_ratio < 1.0:
            raise InputError(f"--discard-ratio {discard_ratio}: must be 0 or more, below 1")
        if start_layer < 0:
            raise InputError(f"--start-layer {start_layer}: must be 0 or more")
        self._model: nn.Module = eager_module(model)
        self._fusion: Fusion = fusion
        self._ratio = discard_ratio
        self._start = start_layer
        self._prefix = count_prefix(self._model, prefix_tokens)
        # Shapes of batches seen, and whether the model attends by name only in them.
        self._checked: dict[tuple[int, ...], bool] = {}
        self._paths = paths_of(self._model)
        self._calls = 0
        self._passes: dict[tuple[int, ...], list[Pass]] = {}
        self._placements: dict[tuple[int, ...], tuple[dict[str, MapField], dict[str, str]]] = {}
        self.query = "cls" if self._prefix.cls and not pools_patches(self._model) else "mean"

    def __call__(self, batch: Tensor, _targets: Targets = None) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w), or volumes (b, c, d, h, w), already preprocessed.

        Rollout explains no output: ``_targets`` is there for the contract of engines.
        """
        image_size(batch)
        batch = as_input(self._model, batch)
        with torch.no_grad(), eval_mode(self._model):
            records, output = self._run(batch)
            logits = answers_of(output, len(batch))
            maps = {
                "/".join(filter(None, ["rollout", one_pass.name])): keep_finite(
                    self._map(records[one_pass.records], one_pass, batch), logits
                )
                for one_pass in self._passes[tuple(batch.shape)]
            }
            cells = {name: values.shape[1:] for name, values in maps.items()}
            fields, notes = self._placement(records, cells, batch)
        return BatchMaps(maps, logits, fields=fields, notes=notes)

    def _placement(
        self, records: Sequence[Record], cells: Mapping[str, Sequence[int]], batch: Tensor
    ) -> tuple[dict[str, MapField], dict[str, str]]:
        """By map where its cells lie, of those that don't share the images out between them: as
        what the last attention of the pass gives. And by map that this can't be followed."""
        shape = tuple(batch.shape)
        if shape not in self._placements:
            # Records of later runs have no paths.
            paths = [record.path for record in records]
            modules = {path: module_at(self._model, path) for path in paths if path}
            grids = layer_grids(self._model, modules, batch[:1])
            names = call_names(paths)
            fields: dict[str, MapField] = {}
            notes: dict[str, str] = {}
            for name, one_pass in zip(cells, self._passes[shape], strict=True):
                last = names[one_pass.records][-1]
                grid = grids.get(last, grids.get(split_call(last)[0]))
                of_map = field_of(grid, cells[name], shape[2:])
                note = placement_note(grid, cells[name]) if last else ""
                fields |= {name: of_map} if of_map else {}
                notes |= {name: note} if note else {}
            self._placements[shape] = fields, notes
        return self._placements[shape]

    def _map(self, records: Sequence[Record], one_pass: Pass, batch: Tensor) -> Tensor:
        """The map (b, h, w) of one pass, from its records."""
        layers = self._layers(records, batch.shape[0])
        n, size = layers[0].shape[-1], one_pass.image
        prefix = self._prefix.count
        grid = patch_grid(n - prefix, size, patch_size(self._model, len(size)))
        if grid is None:
            raise InputError(
                f"{type(self._model).__name__}: {n} tokens without {prefix} before the patches "
                f"({self._prefix.source}) are no grid over images of "
                f"{' x '.join(map(str, size))}; give --prefix-tokens"
            )
        query: int | Tensor = 0
        if self.query == "mean" or pools_patches(module_at(self._model, one_pass.path)):
            query = torch.zeros(n, device=batch.device)
            query[prefix:] = 1 / (n - prefix)
        v = rollout(layers, query, self._fusion, self._ratio)
        return v[:, prefix:].reshape(-1, *grid)

    def _run(self, batch: Tensor) -> tuple[list[Record], Any]:
        shape = tuple(batch.shape)
        if self._checked.get(shape):
            reduce, replacement = self._reducers()
            with capture(self._model, reduce, ("sdpa",), replacement, by_name=True) as recording:
                output = self._model(batch)
            if len(recording.records) == self._calls:
                return recording.records, output
        reduce, replacement = self._reducers()
        capturing = capture(self._model, reduce, ("sdpa", "softmax"), replacement, self._paths)
        if shape in self._checked:
            with eager_mode(self._model), capturing as recording:
                return recording.records, self._model(batch)
        with (
            eager_mode(self._model),
            input_shapes(self._model) as shapes,
            sdpa_count() as count,
            capturing as recording,
            record_spans(self._model, recording.records) as spans,
        ):
            output = self._model(batch)
        check_records(self._model, recording.records, shapes)
        self._passes[shape] = passes_of(recording.records, spans, image_size(batch))
        self._checked[shape] = count.calls == len(recording.records)
        self._calls = count.calls
        return recording.records, output

    def _reducers(self) -> tuple[Reducer, Replacement | None]:
        """Reduces within the record, so that no layer's qkv stays alive.

        The second of the two makes the attention itself where that costs less.
        """
        layers_seen = 0

        def replacement(call: AttentionCall, value: Tensor) -> tuple[Tensor, Layer] | None:
            nonlocal layers_seen
            if layers_seen < self._start or not isinstance(call.attention, Scores):
                return None
            result = attend_and_fuse(call.attention, value)
            layers_seen += result is not None
            return result

        def reduce(call: AttentionCall) -> Layer | None:
            nonlocal layers_seen
            _, _, n, m = call.attention.shape
            layers_seen += n == m
            # Layers before the first one asked for are counted only.
            if n != m or layers_seen <= self._start:
                return None
            return keep_layer(call.attention, self._fusion, self._ratio)

        plain = self._fusion == "mean" and not self._ratio
        return reduce, replacement if plain else None

    def _layers(self, records: Sequence[Record], b: int) -> list[Layer]:
        square = [r for r in records if r.shape[2] == r.shape[3]]
        tokens = {r.shape[2] for r in square}
        unequal = next((r for r in records if 1 < r.shape[2] != r.shape[3]), None)
        irregular = unequal or next((r for r in square if r.shape[0] != b), None)
        if irregular is not None or len(tokens) != 1:
            sizes = ", ".join(map(str, sorted(tokens))) or "none"
            description = (
                f"{irregular.path}: {irregular.shape}" if irregular else f"tokens: {sizes}"
            )
            raise InputError(
                f"{type(self._model).__name__}: rollout needs layers that attend from all tokens "
                f"to all tokens, the same in each ({description}); use the attention method"
            )
        _check_start(self._start, len(square))
        return [r.value for r in square[self._start :]]


def _check_start(start_layer: int, layers: int) -> None:
    if not 0 <= start_layer < layers:
        raise InputError(
            f"--start-layer {start_layer}: the model has {layers} layers of attention; "
            f"use 0 to {layers - 1}"
        )
