"""Relevance of a Transformer's tokens for an output: LeGrad, Chefer's rule, gradient ⊙
attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.capture import capture, paths_of
from fastcam.attribution.attention.map_groups import fields_of, notes_of
from fastcam.attribution.attention.places import KeyPositions
from fastcam.attribution.attention.records import AttentionCall
from fastcam.attribution.attention.tokens import (
    count_prefix,
    image_size,
    pools_patches,
)
from fastcam.attribution.batch_maps import BatchMaps, Targets
from fastcam.attribution.layer_names import open_module
from fastcam.attribution.modules import as_input, first_tensor, gradient_pass
from fastcam.attribution.nonfinite import check_weights, keep_finite
from fastcam.attribution.relevance.layer_scores import alike, block_gradients, block_outputs
from fastcam.attribution.relevance.plan import KINDS, RelevancePlan, plan_relevance
from fastcam.attribution.relevance.rules import (
    LayerFlow,
    gradient_attention,
    legrad,
    token_relevance,
)
from fastcam.attribution.targets import Score, TargetScores, score_of, target_scores
from fastcam.errors import InputError

_FINAL_SCORE = "of the last layer's score: its blocks have no tokens of one width"


@dataclass(frozen=True, eq=False)
class _Pass:
    """One forward pass with its graph.

    - ``calls``: the attention calls, in order
    - ``scores``: what is explained
    - ``score``: the same of other outputs
    - ``blocks``: what the blocks gave, by path; empty where none is asked for
    """

    batch: Tensor
    calls: list[AttentionCall]
    scores: TargetScores
    score: Score
    blocks: dict[str, Any] = field(default_factory=dict)


class RelevanceEngine:
    """Maps of legrad, chefer and gradattention of batches of images, from one forward pass.

    engine = RelevanceEngine(model, ["legrad", "chefer"])
    engine(images).maps["legrad"]                       # (b, h, w)

    ``methods``: gradattention, ∇A ⊙ A of each layer and head (b, layers, heads, h, w), of the CLS
    token, or the mean over queries in a model without; legrad, the mean over the layers of ReLU(∇A)
    of each layer's own score; chefer, R ← R + Ā R. ``layers`` as for ``AttentionEngine``; chefer
    takes all. ``targets``: what is explained, as :func:`target_scores` takes it. gradattention
    is evidence for and against; the others are positive.

    The forward pass is made by the kernels that PyTorch chooses. Queries, keys and values are those
    that it holds for the backward pass anyway; attention and its gradient are recomputed from them
    and from the gradient of each layer's output, some rows at a time.

    Where layers differ in resolution there are maps "legrad/stage1", … LeGrad's score of a layer
    needs blocks that give tokens of one width; of other models (pyramids) the last layer's score
    stands for it, and the figure says so. Raises InputError for a model without attention, or in
    which some can't be seen, and for chefer where layers don't attend among the same tokens.
    """

    def __init__(
        self,
        model: nn.Module,
        methods: Sequence[str],
        layers: Sequence[int | str] | None = None,
        prefix_tokens: int | None = None,
        *,
        targets: Targets = None,
    ) -> None:
        self._model = open_module(model)
        check_weights(self._model)
        self._methods = tuple(methods)
        self._layers = layers
        self._prefix = count_prefix(self._model, prefix_tokens)
        self._targets = targets
        self._paths = paths_of(self._model)
        self._plans: dict[tuple[int, ...], RelevancePlan] = {}
        self.query: Literal["cls", "mean"] = "cls" if self._prefix.cls else "mean"

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w), or volumes (b, c, d, h, w), already preprocessed.

        Each is float32, NaN where the model's output is not finite. With ``targets`` that name t
        outputs for each image, legrad and chefer have an axis for them (b, t, *grid); gradattention
        shows one output.
        """
        image_size(batch)
        batch = as_input(self._model, batch)
        targets = self._targets if targets is None else targets
        with gradient_pass(self._model):
            batch = batch.clone() if batch.is_inference() else batch.detach()
            shape = tuple(batch.shape)
            if shape not in self._plans:
                self._plans[shape] = plan_relevance(
                    self._model,
                    batch,
                    self._paths,
                    self._prefix,
                    self.query,
                    self._layers,
                    same_tokens="chefer" in self._methods,
                )
            plan = self._plans[shape]
            forward = self._forward(batch, targets, plan)
            if forward.scores.values.shape[1] > 1 and "gradattention" in self._methods:
                raise InputError(
                    "--method gradattention has a map for each layer and head, of one output: give "
                    "one --target"
                )
            maps = self._maps(forward, plan)
        groups = self._groups(plan)
        return BatchMaps(
            {name: keep_finite(values, forward.scores.output) for name, values in maps.items()},
            forward.scores.output,
            targets=forward.scores.classes,
            layer_names={
                name: tuple(p.path for p in groups[name])
                for name in maps
                if name.partition("/")[0] == "gradattention"
            },
            notes=self._notes(plan, groups),
            fields=fields_of({name: groups[name] for name in maps}),
            **forward.scores.answer_facts,
        )

    def _groups(self, plan: RelevancePlan) -> dict[str, tuple[KeyPositions, ...]]:
        """By map, the layers that it is made of."""
        groups: dict[str, tuple[KeyPositions, ...]] = {}
        for method in self._methods:
            if method == "chefer":
                groups["chefer"] = tuple(p for g in plan.maps.values() for p in g)
            else:
                groups |= {n.replace("attention", method, 1): g for n, g in plan.maps.items()}
        return groups

    def _notes(
        self, plan: RelevancePlan, groups: dict[str, tuple[KeyPositions, ...]]
    ) -> dict[str, str]:
        notes = notes_of(groups)
        for name in groups:
            if name.partition("/")[0] == "legrad" and not plan.own_scores:
                notes[name] = "; ".join(filter(None, [notes.get(name), _FINAL_SCORE]))
        return notes

    def _forward(self, batch: Tensor, targets: Targets, plan: RelevancePlan) -> _Pass:
        """The pass with its graph. It begins at the input, which costs what comes before the first
        attention; a tensor within the model may be written into by what follows."""
        calls: list[AttentionCall] = []
        blocks = plan.blocks if "legrad" in self._methods and plan.own_scores else ()

        def keep(call: AttentionCall) -> None:
            # Weights by positions alone (ConViT) hang on frozen parameters, and in no graph.
            if call.flow is not None and not call.flow.output.requires_grad:
                call.flow.output.requires_grad_()
            calls.append(call)

        with (
            block_outputs(self._model, blocks) as outputs,
            capture(self._model, keep, KINDS, paths=self._paths),
        ):
            returned = self._model(batch.requires_grad_())
        if [call.attention.shape for call in calls] != plan.shapes:
            raise InputError(
                f"{type(self._model).__name__} made other attention calls for this batch than for "
                "the first one of its shape: its maps can't be told apart"
            )
        scores = target_scores(targets, returned, len(batch), tuple(batch.shape[2:]))
        if blocks and not alike(outputs, blocks, plan.shapes[0][2], len(batch)):
            plan.own_scores = False
        return _Pass(batch, calls, scores, score_of(targets, scores), outputs)

    def _maps(self, forward: _Pass, plan: RelevancePlan) -> dict[str, Tensor]:
        parts: dict[str, list[Tensor]] = {}
        own = self._own_gradients(forward, plan) if "legrad" in self._methods else None
        full = own is None or any(method != "legrad" for method in self._methods)
        count = forward.scores.values.shape[1]
        for column in range(count):
            gradients: list[Tensor] = []
            if full:
                gradients = _gradients(
                    forward.scores.values[:, column].sum(),
                    [call.flow.output for call in forward.calls if call.flow],
                    keep_graph=column < count - 1 or own is not None,
                )
            for method in self._methods:
                if method == "legrad":
                    of_blocks = None if own is None else own[column]
                    method_maps = self._legrad(forward, plan, gradients, of_blocks)
                elif method == "chefer":
                    method_maps = {"chefer": self._chefer(forward, plan, gradients)}
                else:
                    method_maps = self._gradattention(forward, plan, gradients)
                for name, values in method_maps.items():
                    parts.setdefault(name, []).append(values)
        several = forward.scores.several
        return {
            name: torch.stack(v, 1) if several and not name.startswith("gradattention") else v[0]
            for name, v in parts.items()
        }

    def _own_gradients(self, forward: _Pass, plan: RelevancePlan) -> list[list[Tensor]] | None:
        """By target and block the gradient of the block's score by the mean of its tokens; None
        where the last layer's score stands for it."""
        if not plan.own_scores:
            return None
        gradients = block_gradients(
            self._model,
            forward.blocks,
            plan.blocks,
            forward.batch[:1].detach(),
            forward.score,
            self._prefix.count,
        )
        plan.own_scores = gradients is not None
        return gradients

    def _legrad(
        self,
        forward: _Pass,
        plan: RelevancePlan,
        gradients: Sequence[Tensor],
        own: Sequence[Tensor] | None,
    ) -> dict[str, Tensor]:
        """The mean over layers (b, *grid), by map."""
        maps = {}
        for name, group in plan.maps.items():
            total: Tensor | None = None
            for position in group:
                call = forward.calls[position.index]
                gradient = (
                    gradients[position.index]
                    if own is None
                    else self._own_gradient(call, forward, plan, own)
                )
                values = _per_image(legrad(_flow(call, gradient)), position, len(forward.batch))
                total = values if total is None else total + values
            assert total is not None
            maps[name.replace("attention", "legrad", 1)] = total / len(group)
        return maps

    def _own_gradient(
        self, call: AttentionCall, forward: _Pass, plan: RelevancePlan, own: Sequence[Tensor]
    ) -> Tensor:
        """∂s/∂output of a call, s the score of the block that it is in."""
        assert call.flow is not None
        number = plan.block_numbers[call.path]
        tokens = first_tensor(forward.blocks[plan.blocks[number]])
        assert tokens is not None
        by_mean = own[number][:, None].to(tokens.dtype) / tokens.shape[1]
        (gradient,) = torch.autograd.grad(
            tokens, call.flow.output, by_mean.expand_as(tokens), retain_graph=True
        )
        return gradient

    def _chefer(self, forward: _Pass, plan: RelevancePlan, gradients: Sequence[Tensor]) -> Tensor:
        """The relevance of the patches (b, *grid) for what the head reads: CLS, the patches' mean,
        or what a query of its own takes out of them."""
        b, first = len(forward.batch), self._prefix.count
        n = max(keys for _, _, _, keys in plan.shapes)
        read = torch.zeros(b, n, device=forward.batch.device)
        if self.query == "cls" and not pools_patches(self._model):
            read[:, 0] = 1.0
        else:
            read[:, first:] = 1.0 / (n - first)
        with torch.no_grad():
            flows = [_flow(*pair) for pair in zip(forward.calls, gradients, strict=True)]
            relevance = token_relevance(flows, read)
        grid = next(iter(plan.maps.values()))[0].grid
        return relevance[:, n - math.prod(grid) :].reshape(b, *grid)

    def _gradattention(
        self, forward: _Pass, plan: RelevancePlan, gradients: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """∇A ⊙ A (b, layers, heads, *grid), by map."""
        maps = {}
        for name, group in plan.maps.items():
            layers = []
            for position in group:
                flow = _flow(forward.calls[position.index], gradients[position.index])
                n, prefix = flow.attention.shape[2], self._prefix.count
                query = 0 if position.kind == "cls" else None
                first = prefix if position.kind == "received" and n > prefix + 1 else 0
                with torch.no_grad():
                    values = gradient_attention(flow, query, first)
                    layers.append(position.map(values, len(forward.batch)))
            maps[name.replace("attention", "gradattention", 1)] = torch.stack(layers, 1)
        return maps


def _flow(call: AttentionCall, gradient: Tensor) -> LayerFlow:
    assert call.flow is not None
    return LayerFlow(call.attention, call.flow.weight_gradient(gradient.detach()))


def _per_image(values: Tensor, position: KeyPositions, batch: int) -> Tensor:
    """Values (b', m) of a layer's keys as (b, *grid)."""
    if position.packing is not None:
        return position.map(values[:, None], batch).mean(1)
    if position.layout is None and len(values) != batch:
        # Heads that are kept in the first axis.
        values = values.reshape(batch, -1, values.shape[1]).mean(1)
    return replace(position, heads=1).map(values[:, None], batch)[:, 0]


def _gradients(score: Tensor, outputs: Sequence[Tensor], keep_graph: bool) -> list[Tensor]:
    if not score.requires_grad:
        raise InputError(
            "the output has no gradient at the attention: the model, or the target, cuts the graph "
            "(detach, no_grad, argmax, numpy)"
        )
    return list(
        torch.autograd.grad(
            score, outputs, retain_graph=keep_graph, allow_unused=True, materialize_grads=True
        )
    )
