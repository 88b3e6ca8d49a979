"""Attention of every layer and head of a model, as maps over the image.

Models with a CLS token: what CLS attends to (one query against all keys, O(N); the forward pass
stays fused). Others: attention received, the mean over all queries. Windows are put back into the
image; windows are not comparable with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.attention_plan import AttentionPlan, plan_maps
from fastcam.attribution.attention.capture import capture, paths_of
from fastcam.attribution.attention.checks import input_shapes
from fastcam.attribution.attention.linear_attention import reweighed_sums
from fastcam.attribution.attention.map_groups import fields_of, notes_of, stack_maps
from fastcam.attribution.attention.places import PassContext
from fastcam.attribution.attention.records import AttentionCall, Kind, Record, Reducer, nothing
from fastcam.attribution.attention.sdpa_override import sdpa_count
from fastcam.attribution.attention.tokens import count_prefix, image_size, patch_size
from fastcam.attribution.attention.windows import is_windowed, window_module
from fastcam.attribution.batch_maps import BatchMaps, Targets, answers_of
from fastcam.attribution.geometry.fields import layer_grids
from fastcam.attribution.geometry.grids import Grid
from fastcam.attribution.layer_names import module_at
from fastcam.attribution.modules import (
    as_input,
    eager_module,
    eval_mode,
    is_compiled,
    on_one_device,
)
from fastcam.errors import InputError

_KINDS: tuple[Kind, ...] = ("sdpa", "softmax", "pooling")


class AttentionEngine:
    """Attention maps of batches of images.

    engine = AttentionEngine(model); engine(images).maps["attention"]    # (b, layers, heads, h, w)

    ``layers``: indices among the layers shown (negative from the end) or dotted paths; None is
    all. ``prefix_tokens``: CLS and registers, where the model doesn't say how many it has.
    ``query``: "cls", which becomes "mean" for models without CLS (``engine.query`` says which), or
    "mean". ``compile``: run the model through ``torch.compile``; a compiled model may be given too.

    Maps are float32. A CLS row sums to 1 with its prefix tokens, which are left out. Where layers
    differ in heads or in resolution there are maps "attention/stage1", … in the model's order;
    "pooling" is a head that pools the patches with a query of its own. After the first batch
    ``map_kinds`` gives for each map what it is ("cls", "received", "windows", "pooling"), and
    ``omissions`` the calls not shown, with reasons.

    Raises InputError for a model without attention, or in which some can't be seen.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[int | str] | None = None,
        prefix_tokens: int | None = None,
        query: Literal["cls", "mean"] = "cls",
        *,
        compile: bool = False,
    ) -> None:
        if query not in ("cls", "mean"):
            raise InputError(f"query {query!r}: give 'cls' or 'mean'")
        self._eager: nn.Module = eager_module(model)
        one_device = on_one_device(model)
        self._model: Any = torch.compile(one_device) if compile else one_device
        self._compiled = compile or any(map(is_compiled, one_device.modules()))
        self._layers = layers
        self._prefix = count_prefix(self._eager, prefix_tokens)
        self._plans: dict[tuple[int, ...], AttentionPlan] = {}
        self._grids: dict[tuple[int, ...], dict[str, Grid | None]] = {}
        self._paths = paths_of(model)
        # Looked up once, not in every batch: half of what a CLS row costs.
        self._windowed: dict[str, bool] = {}
        self.query: Literal["cls", "mean"] = query if self._prefix.cls else "mean"
        self.map_kinds: dict[str, str] = {}
        self.omissions: dict[str, str] = {}

    def __call__(self, batch: Tensor, _targets: Targets = None) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w), or volumes (b, c, d, h, w), already preprocessed.

        Attention explains no output: ``_targets`` is there for the contract of engines.
        """
        size = image_size(batch)
        batch = as_input(self._eager, batch)
        plan = self._plans.get(tuple(batch.shape))
        reduce = self._cls_rows() if self.query == "cls" else self._received(size)
        with torch.no_grad(), eval_mode(self._model):
            if plan is None:
                plan, records, output = self._first_run(batch, size, reduce)
                self._plans[tuple(batch.shape)] = plan
            else:
                records, output = self._later_run(batch, reduce, plan)
            values = [record.value for record in records]
            maps = {
                name: stack_maps(layers, values, len(batch)) for name, layers in plan.maps.items()
            }
        return BatchMaps(
            maps,
            answers_of(output, len(batch)),
            layer_names=plan.layer_names,
            notes=notes_of(plan.maps),
            fields=fields_of(plan.maps),
        )

    def _later_run(
        self, batch: Tensor, reduce: Reducer, plan: AttentionPlan
    ) -> tuple[list[Record], Any]:
        """A run with a shape of batch that is known already."""
        if plan.by_name:
            with capture(self._model, reduce, ("sdpa",), by_name=True) as recording:
                output = self._model(batch)
            if [record.shape for record in recording.records] == plan.shapes:
                return recording.records, output
        with capture(self._model, reduce, _KINDS, paths=self._paths) as recording:
            output = self._model(batch)
        if [record.shape for record in recording.records] != plan.shapes:
            raise InputError(
                f"{type(self._eager).__name__} made other attention calls for this batch than for "
                "the first one of its shape: its maps can't be told apart"
            )
        return recording.records, output

    def _first_run(
        self, batch: Tensor, size: tuple[int, ...], reduce: Reducer
    ) -> tuple[AttentionPlan, list[Record], Any]:
        """The first run with a shape of batch, whose calls are all checked and placed."""
        by_name = False
        if self._compiled:
            eager_records, shapes = self._eager_records(batch)
            mixed = [
                r.path for r in eager_records if window_module(self._eager, r.path) is not None
            ]
            if mixed and self.query == "cls":
                raise InputError(
                    f"{type(self._eager).__name__} has windows ({mixed[0]}) beside a CLS token, "
                    "which can't be told apart in a compiled model; run it with --no-compile"
                )
            with capture(self._model, reduce, _KINDS) as recording:
                output = self._model(batch)
            records = _with_paths(recording.records, eager_records)
        else:
            with (
                input_shapes(self._eager) as shapes,
                sdpa_count() as count,
                capture(self._model, reduce, _KINDS) as recording,
            ):
                output = self._model(batch)
            records = recording.records
            by_name = count.calls == len(records) and not any(self._windowed.values())
        patch = patch_size(self._eager, len(size))
        grids = self._layer_grids(records, batch)
        anew = reweighed_sums(self._eager, batch, records)
        context = PassContext(
            self._eager, len(batch), size, patch, self._prefix, shapes, grids, anew
        )
        plan = plan_maps(self._eager, records, context, self.query, self._layers)
        self.omissions = plan.omissions
        self.map_kinds = {name: group[0].kind for name, group in plan.maps.items()}
        return replace(plan, by_name=by_name), records, output

    def _layer_grids(self, records: list[Record], batch: Tensor) -> dict[str, Grid | None]:
        """Where what the attention modules give lies in the images."""
        size = tuple(batch.shape[2:])
        if size not in self._grids:
            modules = {r.path: module_at(self._eager, r.path) for r in records if r.path}
            self._grids[size] = layer_grids(self._eager, modules, batch[:1])
        return self._grids[size]

    def _cls_rows(self) -> Reducer:
        """The CLS row; of windows beside it, in which there is no CLS, what a key receives."""
        windowed, model = self._windowed, self._eager

        def reduce(call: AttentionCall) -> Tensor:
            if call.path not in windowed:  # "" where calls are seen by name: none is windowed.
                windowed[call.path] = is_windowed(model, call.path)
            return call.attention.mean_row(0) if windowed[call.path] else call.attention.row(0)

        return reduce

    def _received(self, size: tuple[int, ...]) -> Reducer:
        prefix = self._prefix.count

        def reduce(call: AttentionCall) -> Tensor:
            n = call.attention.shape[2]
            return call.attention.mean_row(prefix if n > prefix + 1 else 0)

        return reduce

    def _eager_records(self, batch: Tensor) -> tuple[list[Record], dict[str, tuple[int, ...]]]:
        """One image, not compiled: compiled code doesn't know which module it is in."""
        with (
            torch.compiler.set_stance("force_eager"),
            input_shapes(self._eager) as shapes,
            capture(self._eager, nothing, _KINDS) as recording,
        ):
            self._eager(batch[:1])
        return recording.records, shapes


def _with_paths(records: list[Record], eager_records: list[Record]) -> list[Record]:
    """Compiled records with the paths of the same calls made uncompiled."""
    same = [(r.kind, r.shape[1:]) for r in records] == [
        (r.kind, r.shape[1:]) for r in eager_records
    ]
    if not same:
        raise InputError(
            f"the compiled model shows {len(records)} attention calls, the model itself "
            f"{len(eager_records)}, or others; run it without torch.compile"
        )
    return [replace(r, path=by.path) for r, by in zip(records, eager_records, strict=True)]
