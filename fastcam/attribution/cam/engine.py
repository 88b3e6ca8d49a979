"""Class activation maps of a batch: one forward pass, one backward pass, any number of layers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import BatchMaps, Targets, check_batch
from fastcam.attribution.cam.ablationcam import ablationcam
from fastcam.attribution.cam.compiled import CompiledSplit, several_backwards
from fastcam.attribution.cam.formulas import GRADIENT_METHODS, eigencam
from fastcam.attribution.cam.layers import default_layer, default_layers, layer_modules
from fastcam.attribution.cam.reshape import Layout, Reshape, apply_reshape, require_layout, to_maps
from fastcam.attribution.cam.scorecam import CHUNK, scorecam
from fastcam.attribution.cam.split import Split, gradients_of, run_split
from fastcam.attribution.detection import DetectionTargets
from fastcam.attribution.geometry.fields import field_of, layer_grids, placement_note
from fastcam.attribution.geometry.grids import Grid
from fastcam.attribution.layer_names import open_module, split_call
from fastcam.attribution.modules import as_input, no_autocast
from fastcam.attribution.nonfinite import check_weights, keep_finite
from fastcam.attribution.packed_inputs import image_channels
from fastcam.attribution.request import CAM_METHODS
from fastcam.attribution.segmentation import SegmentationTargets
from fastcam.attribution.targets import TargetScores, as_classes, score_of, target_scores
from fastcam.errors import InputError
from fastcam.store.map_fields import MapField

# What figures say of a layer of which the output doesn't depend at all, as where a head's weights
# are zero.
NO_GRADIENT = "no gradient reaches this layer"


class CamEngine:
    """Maps of a model's layers, for one batch after another.

    ``layers``: dotted module names; "auto", or none: the last spatial one, found on the first
    batch. A module that runs more than once has a map for every call, ``layer#0``, ``layer#1``;
    such a name is one call's alone. ``methods``: of gradcam, hirescam, layercam, gradcam++,
    eigencam, scorecam, ablationcam.
    ``targets``: what is explained, as :func:`target_scores` takes it. ``reshape``: "auto" finds how
    a layer's output lies, "none" takes it as (b, k, *s), a callable makes it so. ``prefix_tokens``:
    tokens before the patches; None counts them.
    ``compile``: run the model through ``torch.compile``, True or the name of a backend;
    ScoreCAM's masked images and AblationCAM's go through the plain model, ``chunk`` at a time.

    Raises InputError for names that don't exist, weights that are not finite, and the like.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str] | str | None = "auto",
        methods: Sequence[str] = ("gradcam",),
        *,
        targets: Targets = None,
        reshape: Reshape = "auto",
        prefix_tokens: int | None = None,
        compile: bool | str = False,
        chunk: int = CHUNK,
    ) -> None:
        _check_options(methods, reshape, prefix_tokens, chunk)
        plain = not callable(targets) and not isinstance(
            targets, SegmentationTargets | DetectionTargets
        )
        if targets is not None and (isinstance(targets, Tensor) or plain):
            targets = as_classes(targets)
        if any(p.is_inference() for p in model.parameters()):
            raise InputError(
                "the model was made under torch.inference_mode, its weights can't enter a graph: "
                "make it under torch.no_grad, or outside"
            )
        model = open_module(model)
        check_weights(model)
        names = (layers,) if isinstance(layers, str) else tuple(layers or ())
        self._model = model
        self._layers = None if names in ((), ("auto",)) else layer_modules(model, names)
        self._methods = tuple(methods)
        self._targets = targets
        self._reshape = reshape
        self._prefix_tokens = prefix_tokens
        self._chunk = chunk
        self._backend = "inductor" if compile is True else compile
        self._compiled: CompiledSplit | None = None
        self._without_gradient: set[str] = set()
        self._layouts: dict[tuple[str, tuple[int, ...]], Layout] = {}
        # By size of the images, where what the layers give lies in them.
        self._grids: dict[tuple[int, ...], dict[str, Grid | None]] = {}

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w) or (b, c, d, h, w), named ``method/layer``.

        Of several calls of a layer each has one, ``method/layer#0`` and so on.

        Each is float32 (b, *s) at the layer's resolution, raw, on the batch's device; (b, t, *s)
        where ``targets`` (for this batch, instead of the engine's) name t for each image; EigenCAM
        always (b, *s). An image for which the model's output is not finite has a map of NaN, and
        the others are as they would be without it; :func:`nonfinite.reasons` names the layer.

        Works whatever grad mode the caller is in. Raises InputError for a batch that is no
        batch of images, wrong targets, and layers that don't give maps.
        """
        check_batch(batch)
        batch = as_input(self._model, batch)
        batch_targets = self._targets if targets is None else targets
        layers = self._target_layers(batch)
        graded = [method for method in self._methods if method in GRADIENT_METHODS]
        with torch.inference_mode(False), torch.no_grad():
            self._follow(layers, batch)
        # torchvision compiles RoI Align itself where its own operators can't be loaded.
        compiled = self._backend or isinstance(batch_targets, DetectionTargets)
        with several_backwards() if compiled else nullcontext():
            split = self._run(layers, batch, bool(graded))
            with torch.inference_mode(False), torch.set_grad_enabled(bool(graded)):
                scores = target_scores(
                    batch_targets, split.output, len(batch), tuple(batch.shape[2:])
                )
                if len(scores.output) != len(batch):
                    raise InputError(
                        f"the model gives {len(scores.output)} answers for {len(batch)} images"
                    )
                maps = self._gradient_maps(split, scores, graded, batch) if graded else {}
        with torch.inference_mode(False), torch.no_grad():
            maps |= self._other_maps(split, scores, batch_targets, batch)
            order = [f"{m}/{layer}" for m in self._methods for layer in split.activations]
            return BatchMaps(
                {name: keep_finite(maps[name], scores.output) for name in order},
                scores.output,
                targets=scores.classes,
                fields=self._fields({name: maps[name] for name in order}, batch),
                **scores.answer_facts,
                notes=self._notes({name: maps[name] for name in order}, batch),
            )

    def _follow(self, layers: Mapping[str, nn.Module], batch: Tensor) -> None:
        """Find out where in images of this size the places of the layers lie, once."""
        size = tuple(batch.shape[2:])
        if size not in self._grids:
            self._grids[size] = layer_grids(self._model, layers, batch[:1])

    def _axes(self, layer: str, batch: Tensor) -> tuple[int, ...]:
        """Which axis of the images each axis of a layer's places is, from 0: a model may turn
        them, as one does that was trained on (x, y, z)."""
        grid = self._grids[tuple(batch.shape[2:])].get(layer)
        return grid.order if grid is not None and grid.order else tuple(range(batch.ndim - 2))

    def _fields(self, maps: Mapping[str, Tensor], batch: Tensor) -> dict[str, MapField]:
        """By map where its cells lie, of those that don't share the images out between them."""
        size = tuple(batch.shape[2:])
        grids = self._grids[size]
        fields = {
            name: field_of(grids.get(name.partition("/")[2]), values.shape[-len(size) :], size)
            for name, values in maps.items()
        }
        return {name: of_map for name, of_map in fields.items() if of_map is not None}

    def _notes(self, maps: Mapping[str, Tensor], batch: Tensor) -> dict[str, str]:
        """By map that its place isn't known, or that no gradient reaches it, where that is so."""
        size = tuple(batch.shape[2:])
        grids = self._grids[size]
        notes = {}
        for name, values in maps.items():
            method, _, layer = name.partition("/")
            silent = method in GRADIENT_METHODS and layer in self._without_gradient
            texts = [
                placement_note(grids.get(layer), values.shape[-len(size) :]),
                NO_GRADIENT * silent,
            ]
            notes[name] = "; ".join(filter(None, texts))
        return {name: note for name, note in notes.items() if note}

    def _target_layers(self, batch: Tensor) -> Mapping[str, nn.Module]:
        if self._layers is None:
            self._layers = layer_modules(
                self._model, default_layers(self._model, batch[:1], self._prefix_tokens)
            )
        return self._layers

    def _run(self, layers: Mapping[str, nn.Module], batch: Tensor, gradients: bool) -> Split:
        if not self._backend:
            return run_split(self._model, layers, batch, gradients)
        if self._compiled is None:
            self._compiled = CompiledSplit(self._model, layers, self._backend)
        return self._compiled(batch, gradients)

    def _gradient_maps(
        self, split: Split, scores: TargetScores, methods: Sequence[str], batch: Tensor
    ) -> dict[str, Tensor]:
        maps_by_name: dict[str, list[Tensor]] = {}
        count = scores.values.shape[1]
        activations: dict[str, Tensor] = {}
        for index in range(count):
            last = index == count - 1
            total = scores.values[:, index].sum()
            gradients = gradients_of(total, split, not last, partly=scores.boxes is not None)
            with torch.no_grad(), no_autocast(batch):
                for layer, gradient in gradients.items():
                    if layer not in activations:
                        if scores.boxes is None:
                            self._check_reached(layer, split.activations[layer], gradient, batch)
                        activations[layer] = self._maps(layer, split.activations[layer], batch)
                    gradient_maps = self._maps(layer, gradient, batch)
                    for method in methods:
                        values = GRADIENT_METHODS[method](activations[layer], gradient_maps)
                        maps_by_name.setdefault(f"{method}/{layer}", []).append(values)
        return {
            name: torch.stack(parts, 1) if scores.several else parts[0]
            for name, parts in maps_by_name.items()
        }

    def _other_maps(
        self,
        split: Split,
        scores: TargetScores,
        batch_targets: Targets,
        batch: Tensor,
    ) -> dict[str, Tensor]:
        score = score_of(batch_targets, scores)
        maps_by_name = {}
        for layer in split.activations:
            if "eigencam" in self._methods:
                with no_autocast(batch):
                    maps_by_name[f"eigencam/{layer}"] = eigencam(
                        self._maps(layer, split.activations[layer], batch)
                    )
            if "scorecam" in self._methods:
                values = self._maps(layer, split.activations[layer], batch)
                channels = image_channels(self._model, layer)
                target_maps = scorecam(self._model, batch, values, score, self._chunk, channels)
                maps_by_name[f"scorecam/{layer}"] = (
                    target_maps if scores.several else target_maps[:, 0]
                )
            if "ablationcam" in self._methods:
                values = self._maps(layer, split.activations[layer], batch)
                axis = self._channel_axis(layer, split.activations[layer], batch)
                module = self._module(layer)
                target_maps = ablationcam(
                    self._model, layer, module, axis, batch, values, score, self._chunk
                )
                maps_by_name[f"ablationcam/{layer}"] = (
                    target_maps if scores.several else target_maps[:, 0]
                )
        return maps_by_name

    def _maps(self, layer: str, values: Tensor, batch: Tensor) -> Tensor:
        """A layer's activations or gradients as float32 (b, k, *s), the axes as the images'."""
        if callable(self._reshape):
            return apply_reshape(layer, self._reshape, values, tuple(batch.shape[2:])).float()
        maps, axes = to_maps(values, self._layout(layer, values, batch)), self._axes(layer, batch)
        return maps.permute(0, 1, *(2 + axes.index(axis) for axis in range(len(axes)))).float()

    def _channel_axis(self, layer: str, values: Tensor, batch: Tensor) -> int:
        """Which axis of a layer's own output its channels are."""
        if callable(self._reshape):
            raise InputError(
                "ablationcam sets channels of a layer to 0, and a callable reshape doesn't say "
                "which axis they are: use reshape 'auto'"
            )
        first = self._layout(layer, values, batch).order == "channels first"
        return 1 if first else values.ndim - 1

    def _layout(self, layer: str, values: Tensor, batch: Tensor) -> Layout:
        key = (layer, (*values.shape[1:], *batch.shape[2:]))
        if key not in self._layouts:
            if len(values) != len(batch):
                raise InputError(
                    f"layer {layer!r} gives {len(values)} parts (windows, crops) of {len(batch)} "
                    "images, which are no map of an image; choose the layer around it"
                )
            self._layouts[key] = require_layout(
                layer,
                self._model,
                self._module(layer),
                values,
                tuple(batch.shape[2 + axis] for axis in self._axes(layer, batch)),
                prefix_tokens=self._prefix_tokens,
                reshape=self._reshape if isinstance(self._reshape, str) else "auto",
            )
        return self._layouts[key]

    def _module(self, layer: str) -> nn.Module:
        """The module that a layer, or one of its calls, is called after."""
        assert self._layers is not None
        name = split_call(layer)[0]
        return next(m for own, m in self._layers.items() if split_call(own)[0] == name)

    def _check_reached(self, layer: str, values: Tensor, gradient: Tensor, batch: Tensor) -> None:
        """InputError where only the CLS token of a layer reaches the output; looked at once, as is
        whether anything does."""
        key = (layer, (*values.shape[1:], *batch.shape[2:]))
        if callable(self._reshape) or key in self._layouts:
            return
        if not bool(gradient.any()):
            self._without_gradient.add(layer)
        prefix = self._layout(layer, values, batch).prefix
        if prefix and gradient[:, :prefix].any() and not gradient[:, prefix:].any():
            better = default_layer(self._model, batch[:1], self._prefix_tokens)
            raise InputError(
                f"layer {layer!r}: after it the class is read from the CLS token alone, so its "
                f"patches have no gradient and every map would be 0; take {better!r} (--layer "
                "auto does)"
            )


def _check_options(
    methods: Sequence[str], reshape: Reshape, prefix_tokens: int | None, chunk: int
) -> None:
    if isinstance(methods, str) or not methods:
        raise InputError(f"methods {methods!r}: give a list, of {', '.join(CAM_METHODS)}")
    for method in methods:
        if method not in CAM_METHODS:
            near = difflib.get_close_matches(method, CAM_METHODS, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "use one of "
            raise InputError(
                f"method {method!r} is not known: {hint}{'' if near else ', '.join(CAM_METHODS)}"
            )
    if not callable(reshape) and reshape not in ("auto", "none"):
        raise InputError(f"reshape {reshape!r}: use 'auto', 'none' or a callable")
    if prefix_tokens is not None and prefix_tokens < 0:
        raise InputError(f"--prefix-tokens {prefix_tokens}: must be 0 or more")
    if chunk < 1:
        raise InputError(f"chunk {chunk}: must be 1 or more")
