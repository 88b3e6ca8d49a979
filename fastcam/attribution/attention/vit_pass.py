"""One forward pass of a Vision Transformer, with all that its views need of it.

vit = run_vit(model, images)
vit.layers[0].attention.row(0)      # CLS attention (b, heads, n) of the first layer
vit.cls                             # the CLS token before the first block and after each

Of a layer only queries and keys are kept (the weights where the model makes them itself); a view
asks for the rows it wants. Block outputs are kept of the CLS token only.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.checks import check_records, input_shapes
from fastcam.attribution.attention.first_tokens import blocks_of, cls_sequence, first_tokens
from fastcam.attribution.attention.key_positions import key_positions
from fastcam.attribution.attention.passes import Span, check_one_pass, record_spans
from fastcam.attribution.attention.places import KeyPositions, PassContext
from fastcam.attribution.attention.records import Attention, AttentionCall, Record
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.attribution.attention.sdpa_override import CallCount, sdpa_count
from fastcam.attribution.attention.tokens import Prefix, count_prefix, image_size, patch_size
from fastcam.attribution.batch_maps import logits_of
from fastcam.attribution.geometry.fields import field_of, layer_grids
from fastcam.attribution.layer_names import call_names, module_at
from fastcam.attribution.modules import as_input, eager_mode, eager_module, eval_mode
from fastcam.attribution.nonfinite import check_weights, reasons
from fastcam.errors import InputError


@dataclass(frozen=True, eq=False)
class _PassPlan:
    """What the first pass of a model at one size of images found out, for those after it.

    - ``prefix``, ``query``, ``patch``: as in ``VitPass``; ``patch`` is None where it isn't stated
    - ``shapes``: by dotted path, the input shape of each module that ran
    - ``blocks``: the modules whose tokens are followed
    - ``calls``: path and shape of each attention, empty where not all can be seen by name
    """

    prefix: Prefix
    query: Literal["cls", "mean"]
    patch: tuple[int, ...] | None
    shapes: dict[str, tuple[int, ...]]
    blocks: frozenset[str]
    calls: tuple[tuple[str, tuple[int, int, int, int]], ...]


# Looking at every module takes as long as a tenth of the forward pass of a ViT-S, so it is done
# once. By shape of the batch, and number of prefix tokens if it is given.
_PLANS: WeakKeyDictionary[nn.Module, dict[tuple[Any, ...], _PassPlan]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class VitLayer:
    """One layer of attention.

    - ``name``: dotted path of the module
    - ``attention``: (b, heads, n, n), of all tokens
    """

    name: str
    attention: Attention


@dataclass(frozen=True, eq=False, kw_only=True)
class VitPass:
    """What one forward pass of ``b`` images shows; tensors are on the model's device.

    - ``batch`` (b, c, h, w), as the model had it
    - ``output`` (b, k) float32, the raw answer
    - ``layers``: in the model's order
    - ``cls`` (blocks + 1, b, dim) float32, the CLS token before the first block, then after each;
      None where there is none to follow
    - ``grid``: patches (rows, columns)
    - ``patch``: a patch's sides (h, w) in pixels
    - ``prefix``: tokens before the patches
    - ``query``: which row the answer is read from, "cls", or "mean" of all patches where the model
      has no CLS or its head doesn't read it
    - ``no_cls``: why ``cls`` is None, else empty
    """

    batch: Tensor
    output: Tensor
    layers: tuple[VitLayer, ...]
    cls: Tensor | None
    grid: tuple[int, int]
    patch: tuple[int, int]
    prefix: int
    query: Literal["cls", "mean"]
    no_cls: str = ""


def run_vit(model: nn.Module, batch: Tensor, prefix_tokens: int | None = None) -> VitPass:
    """Run ``model`` once on ``batch`` (b, c, h, w), preprocessed, and keep what views need.

    ``prefix_tokens``: CLS and registers before the patches, where the model doesn't say how many.
    A compiled model is run uncompiled. The model's output is the same as without.

    Raises InputError for a model without attention, with attention that can't be seen, or whose
    layers aren't all from all tokens to all tokens (windows, pyramids), for volumes, and where the
    answer is NaN or infinite.
    """
    eager = eager_module(model)
    batch = as_input(eager, batch)
    size = image_size(batch)
    if len(size) != 2:
        raise InputError(
            f"the batch has the shape {tuple(batch.shape)}; the views of a Vision Transformer need "
            "images (b, c, h, w)"
        )
    plans = _PLANS.setdefault(eager, {})
    key = (*batch.shape, prefix_tokens)
    plan = plans.get(key)
    shapes_context: AbstractContextManager[dict[str, tuple[int, ...]]] = input_shapes(eager)
    if plan is not None:
        shapes_context = nullcontext(plan.shapes)
    by_name = plan is not None and bool(plan.calls)

    def spans_context(records: Sequence[Record]) -> AbstractContextManager[dict[str, list[Span]]]:
        return record_spans(eager, records) if plan is None else nullcontext({})

    with (
        torch.no_grad(),
        eager_mode(eager),
        eval_mode(eager),
        shapes_context as shapes,
        first_tokens(eager, None if plan is None else plan.blocks) as tokens,
        nullcontext(CallCount()) if by_name else sdpa_count() as count,
        capture(eager, _square_attention, ("sdpa", "softmax"), by_name=by_name) as recording,
        spans_context(recording.records) as spans,
    ):
        output = eager(batch)
    all_records = recording.records
    if plan is not None and by_name:
        if [r.shape for r in all_records] != [shape for _, shape in plan.calls]:
            del plans[key]
            return run_vit(model, batch, prefix_tokens)
        all_records = [
            replace(r, path=path) for r, (path, _) in zip(all_records, plan.calls, strict=True)
        ]
    logits = logits_of(output, len(batch)).float()
    if plan is None:
        check_records(eager, all_records, shapes)
        check_one_pass(eager, all_records, spans, size)
    _check_finite(eager, batch, logits)
    if plan is None:
        all_by_name = count.calls == len(all_records)
        plan = _plan_of(eager, prefix_tokens, all_records, shapes, all_by_name)
    prefix = plan.prefix
    context = PassContext(eager, len(batch), size, plan.patch, prefix, plan.shapes)
    records, grid = _whole_layers(all_records, context)
    if key not in plans:
        _check_tiling(context, batch, records[-1], grid)
    cls_tokens, reason = None, "the model has no CLS token"
    if prefix.cls:
        cls_tokens, reason = cls_sequence(
            eager, [r.path for r in records], tokens, records[0].shape[2]
        )
    plans[key] = plan
    return VitPass(
        batch=batch,
        output=logits,
        layers=tuple(
            map(VitLayer, call_names([r.path for r in records]), (r.value for r in records))
        ),
        cls=cls_tokens,
        grid=grid,
        patch=_sides(context, grid),
        prefix=prefix.count,
        query=plan.query,
        no_cls=reason,
    )


def _plan_of(
    model: nn.Module,
    prefix_tokens: int | None,
    records: Sequence[Record],
    shapes: dict[str, tuple[int, ...]],
    by_name: bool,
) -> _PassPlan:
    prefix = count_prefix(model, prefix_tokens)
    query = RolloutEngine(model, prefix_tokens=prefix_tokens).query
    paths = [r.path for r in records if r.shape[2] == r.shape[3]]
    followed = frozenset(blocks_of(model, paths) if prefix.cls and paths else ())
    calls = tuple((r.path, r.shape) for r in records) if by_name else ()
    return _PassPlan(
        prefix, "cls" if query == "cls" else "mean", patch_size(model), shapes, followed, calls
    )


def _check_tiling(
    context: PassContext, batch: Tensor, record: Record, grid: tuple[int, int]
) -> None:
    """InputError where the patches of ``grid`` are not equal parts of the images."""
    model, size, patch = context.model, context.image, context.patch
    even = patch and all(side % step == 0 for side, step in zip(size, patch, strict=True))
    if even or not record.path:
        return
    modules = {record.path: module_at(model, record.path)}
    grids = layer_grids(model, modules, batch[:1]).values()
    of_map = next((part for g in grids if (part := field_of(g, grid, size))), None)
    if of_map is not None:
        whole = (round(c * step) for c, step in zip(grid, of_map.stride, strict=True))
        raise InputError(
            f"{type(model).__name__} pads images of {size[0]} x {size[1]} inside, or leaves a rest "
            f"out, so that its patches are no equal parts of them; these views show whole patches: "
            f"give --image-size {' '.join(map(str, whole))}, or use fastcam explain"
        )


def _check_finite(model: nn.Module, batch: Tensor, output: Tensor) -> None:
    bad = (~output.isfinite().all(1)).nonzero()[:, 0].tolist()
    if bad:
        check_weights(model)
        reason = reasons(model, batch[bad[:1]])[0] or "the model's answer is not finite"
        raise InputError(f"image {bad[0]} of the batch: {reason}")


def _square_attention(call: AttentionCall) -> Attention | None:
    """The layer in memory of its own; calls that aren't among all tokens are only counted."""
    _, _, n, m = call.attention.shape
    return call.attention.clone() if n == m else None


def _whole_layers(
    records: Sequence[Record], context: PassContext
) -> tuple[list[Record], tuple[int, int]]:
    """Records from all tokens to all tokens, and their grid; pooling heads are left out."""
    layers, grids = [], set()
    for index, record in enumerate(records):
        b, _, n, m = record.shape
        if n == 1 < m:
            continue
        positions = key_positions(index, record, context, "mean")
        if isinstance(positions, str):
            _refuse(context, record, positions, _instead(records, context))
        elif positions.kind == "windows":
            _refuse(context, record, "it attends within windows")
        elif n != m or b != context.batch:
            _refuse(context, record, f"its attention has the shape {record.shape}")
        else:
            _check_count(record, positions, context)
            layers.append(record)
            grids.add(positions.grid)
    if len(grids) != 1:
        sizes = ", ".join("×".join(map(str, grid)) for grid in sorted(grids)) or "none"
        raise InputError(
            f"{_name(context)}: the grids of its layers are {sizes}; the Vision Transformer views "
            "need one grid for all layers; use fastcam explain --method attention"
        )
    rows, columns = grids.pop()
    return layers, (rows, columns)


def _check_count(record: Record, positions: KeyPositions, context: PassContext) -> None:
    rows, columns = positions.grid
    tokens = record.shape[2]
    if tokens != rows * columns + context.prefix.count:
        before = max(0, tokens - rows * columns)
        _refuse(
            context,
            record,
            f"its {tokens} tokens are not {context.prefix.count} before a grid of {rows}×{columns} "
            f"patches ({context.prefix.source}); give --prefix-tokens {before}",
        )


def _instead(records: Sequence[Record], context: PassContext) -> str:
    """The method that has maps of such a model: attention, if any of it shows places."""
    for index, record in enumerate(records):
        if not isinstance(key_positions(index, record, context, "mean"), str):
            return "attention"
    return "gradcam"


def _refuse(context: PassContext, record: Record, reason: str, instead: str = "attention") -> None:
    raise InputError(
        f"{_name(context)}: the Vision Transformer views need layers that attend from all tokens "
        f"to all tokens; {record.path or 'the model itself'}: {reason}; use fastcam explain "
        f"--method {instead}"
    )


def _name(context: PassContext) -> str:
    return type(context.model).__name__


def _sides(context: PassContext, grid: tuple[int, int]) -> tuple[int, int]:
    if context.patch is not None:
        return context.patch[0], context.patch[1]
    (h, w), (rows, columns) = context.image, grid
    return round(h / rows), round(w / columns)
