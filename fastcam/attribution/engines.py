"""All the maps that are wanted of a model, as one call on a batch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.mixed import MixedEngine
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.attribution.augmented import AugmentedEngine
from fastcam.attribution.batch_maps import BatchMaps, Engine, Targets
from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.detection import DetectionTargets
from fastcam.attribution.gradients.engine import GradientEngine
from fastcam.attribution.layer_names import unwrapped
from fastcam.attribution.perturbations.engine import PerturbationEngine
from fastcam.attribution.relevance.engine import RelevanceEngine
from fastcam.attribution.request import MapRequest, is_signed
from fastcam.attribution.segmentation import SegmentationTargets
from fastcam.attribution.windowed import WindowedEngine
from fastcam.options import Sign
from fastcam.store.evidence import shown_evidence

_NUMBER = re.compile(r"-?\d+")


def build_engine(
    model: nn.Module, request: MapRequest, targets: Targets = None, compiled: bool = False
) -> Engine:
    """An engine that makes all maps of ``request``, raw, whatever its sign.

    ``targets`` as in :class:`CamEngine`; None: those of ``request``.
    ``compiled`` runs the model through ``torch.compile``. Raises InputError for layers that don't
    exist, a method that the model has nothing for, and the like.
    """
    engine = _window_engine(model, request, targets, compiled)
    if request.augmentation is None:
        return engine
    usual = _requested_targets(request) if targets is None else targets
    return AugmentedEngine(engine, request.augmentation, usual)


def build_shown_engine(model: nn.Module, request: MapRequest, targets: Targets = None) -> Engine:
    """:func:`build_engine`, with what ``request.sign`` shows of the maps, as those of a store are
    read."""
    engine = build_engine(model, request, targets)

    def shown(batch: Tensor, targets: Targets = None) -> BatchMaps:
        return shown_maps(engine(batch, targets), request.sign)

    return shown


def shown_maps(result: BatchMaps, sign: Sign) -> BatchMaps:
    """``result`` with what ``sign`` shows of its maps in place of the raw ones."""
    maps = {
        name: shown_evidence(values, sign) if is_signed(name) else values
        for name, values in result.maps.items()
    }
    return replace(result, maps=maps)


def _window_engine(
    model: nn.Module, request: MapRequest, targets: Targets, compiled: bool
) -> Engine:
    """The engine of :func:`_plain_engine`, on windows where ``request`` has them."""
    targets = _requested_targets(request) if targets is None else targets
    if request.windows is None:
        return _plain_engine(model, request, targets, compiled)
    return WindowedEngine(
        model,
        _plain_engine(model, request, targets, compiled),
        request.windows,
        targets=targets,
        targeted=request.is_targeted,
        batch_size=request.settings.pass_size,
    )


def _requested_targets(request: MapRequest) -> Targets:
    """What is explained of every image; None: what is predicted of it."""
    if request.boxes:
        return DetectionTargets(request.boxes)
    if request.segments:
        return SegmentationTargets(request.segments)
    if request.classes:
        return request.classes[0] if len(request.classes) == 1 else [list(request.classes)]
    return None


def _plain_engine(
    model: nn.Module, request: MapRequest, targets: Targets, compiled: bool
) -> Engine:
    """The engines of all methods as one."""
    engines: list[Engine] = []
    if request.cam_methods:
        engines.append(
            CamEngine(
                model,
                request.layers,
                request.cam_methods,
                targets=targets,
                reshape=request.reshape,
                prefix_tokens=request.prefix_tokens,
                compile=compiled,
                chunk=request.settings.pass_size,
            )
        )
    if request.gradient_methods:
        engines.append(
            GradientEngine(
                model,
                request.gradient_methods,
                targets=targets,
                settings=request.settings,
            )
        )
    if request.perturbation_methods:
        engines.append(
            PerturbationEngine(
                model,
                request.perturbation_methods,
                targets=targets,
                settings=request.settings,
            )
        )
    layer_names = () if request.cam_methods else request.layers
    layers = [int(name) if _NUMBER.fullmatch(name) else name for name in layer_names]
    if "attention" in request.methods:
        engines.append(
            AttentionEngine(model, layers or None, request.prefix_tokens, compile=compiled)
        )
    if "rollout" in request.methods:
        engines.append(
            RolloutEngine(
                model,
                request.fusion,
                request.discard_ratio,
                request.start_layer,
                request.prefix_tokens,
            )
        )
    if request.relevance_methods:
        engines.append(
            RelevanceEngine(
                model,
                request.relevance_methods,
                layers or None,
                request.prefix_tokens,
                targets=targets,
            )
        )
    if request.mixed_methods:
        engines.append(
            MixedEngine(model, request.mixed_methods, layers or None, request.prefix_tokens)
        )
    return engines[0] if len(engines) == 1 else _EngineGroup(engines)


class _EngineGroup:
    """Several engines, one after the other, on the same batch."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        results = [engine(batch, targets) for engine in self._engines]
        measures = [r.measures for r in results if r.measures is not None]
        return BatchMaps(
            maps={name: values for r in results for name, values in r.maps.items()},
            output=results[0].output,
            targets=next((r.targets for r in results if r.targets is not None), None),
            measures=torch.cat(measures, 1) if measures else None,
            measure_names=tuple(name for r in results for name in r.measure_names),
            labels=next((r.labels for r in results if r.labels is not None), None),
            pixels=next((r.pixels for r in results if r.pixels is not None), None),
            boxes=next((r.boxes for r in results if r.boxes is not None), None),
            gates={path: gate for r in results for path, gate in r.gates.items()},
            layer_names={name: paths for r in results for name, paths in r.layer_names.items()},
            notes={name: note for r in results for name, note in r.notes.items()},
            fields={name: of_map for r in results for name, of_map in r.fields.items()},
        )


def default_method(model: nn.Module) -> str:
    """``attention`` for a Vision Transformer with a CLS token, ``gradcam`` for all else."""
    convolutions = sum(isinstance(m, nn.Conv2d | nn.Conv3d) for m in model.modules())
    parameter_names = [name for name, _ in model.named_parameters()]
    tokens = any(name.endswith(("cls_token", "class_token")) for name in parameter_names)
    return "attention" if tokens and convolutions <= 1 else "gradcam"


def fingerprint(model: nn.Module) -> str:
    """SHA-256 of all weights and buffers by name: the same model, whatever file it came from."""
    digest = hashlib.sha256()
    for name, value in sorted(unwrapped(model).state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{name}:{value.dtype}:{tuple(value.shape)}".encode())
            plain = value.detach().cpu().contiguous().reshape(-1)
            digest.update(plain.view(torch.uint8).numpy().data if plain.numel() else b"")
    return digest.hexdigest()
