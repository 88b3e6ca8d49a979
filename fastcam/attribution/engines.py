"""All the maps that are wanted of a model, as one call on a batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.mixed import MixedEngine
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.attribution.batch_maps import BatchMaps
from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.cam.targets import Targets
from fastcam.attribution.request import MapRequest

_NUMBER = re.compile(r"-?\d+")


class Engine(Protocol):
    """Maps of a batch; ``targets``: what CAMs explain in it, instead of what was wanted before."""

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps: ...


def build_engine(
    model: nn.Module, wanted: MapRequest, targets: Targets = None, compiled: bool = False
) -> Engine:
    """An engine that makes all maps of ``wanted``; what can't be had of ``model`` is told here.

    ``targets`` as in :class:`CamEngine`; None: ``wanted.classes``. ``compiled`` runs the model
    through ``torch.compile``. Raises InputError for layers that don't exist, a method that the
    model has nothing for, and the like.
    """
    engines: list[Engine] = []
    if wanted.cam_methods:
        if targets is None and wanted.classes:
            targets = wanted.classes[0] if len(wanted.classes) == 1 else [list(wanted.classes)]
        engines.append(
            CamEngine(
                model, wanted.layers, wanted.cam_methods, targets=targets, reshape=wanted.reshape,
                prefix_tokens=wanted.prefix_tokens, sign=wanted.sign, compile=compiled,
            )
        )  # fmt: skip
    named = () if wanted.cam_methods else wanted.layers
    layers = [int(name) if _NUMBER.fullmatch(name) else name for name in named]
    if "attention" in wanted.methods:
        attention = AttentionEngine(model, layers or None, wanted.prefix_tokens, compile=compiled)
        engines.append(_Untargeted(attention))
    if "rollout" in wanted.methods:
        engines.append(
            _Untargeted(
                RolloutEngine(
                    model, wanted.fusion, wanted.discard_ratio, wanted.start_layer,
                    wanted.prefix_tokens,
                )
            )
        )  # fmt: skip
    if wanted.mixed_methods:
        mixed = MixedEngine(model, wanted.mixed_methods, layers or None, wanted.prefix_tokens)
        engines.append(_Untargeted(mixed))
    return engines[0] if len(engines) == 1 else _Together(engines)


class _Untargeted:
    """An engine of maps that explain no output in particular."""

    def __init__(self, engine: Callable[[Tensor], BatchMaps]) -> None:
        self.engine = engine

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        return self.engine(batch)


class _Together:
    """Several engines, one after the other, on the same batch."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        made = [engine(batch, targets) for engine in self.engines]
        maps = {name: values for one in made for name, values in one.maps.items()}
        found = next((one.targets for one in made if one.targets is not None), None)
        gates = {name: values for one in made for name, values in one.gates.items()}
        return BatchMaps(maps, made[0].output, found, gates=gates)


def layer_names(engine: Engine) -> dict[str, tuple[str, ...]]:
    """By map, the blocks along its layer axis, where it has one; known after the first batch."""
    return {name: paths for part in _layered(engine) for name, paths in part.layer_names.items()}


def map_notes(engine: Engine) -> dict[str, str]:
    """By map, what figures must say of it, where something has to be said; known after the first
    batch."""
    return {name: note for part in _layered(engine) for name, note in part.notes.items()}


def _layered(engine: Engine) -> list[AttentionEngine | MixedEngine]:
    parts = engine.engines if isinstance(engine, _Together) else [engine]
    inner = [part.engine for part in parts if isinstance(part, _Untargeted)]
    return [one for one in inner if isinstance(one, AttentionEngine | MixedEngine)]


def default_method(model: nn.Module) -> str:
    """``attention`` for a Vision Transformer with a CLS token, ``gradcam`` for all else."""
    convolutions = sum(isinstance(m, nn.Conv2d | nn.Conv3d) for m in model.modules())
    named = [name for name, _ in model.named_parameters()]
    tokens = any(name.endswith(("cls_token", "class_token")) for name in named)
    return "attention" if tokens and convolutions <= 1 else "gradcam"


def fingerprint(model: nn.Module) -> str:
    """SHA-256 of all weights and buffers by name: the same model, whatever file it came from."""
    import hashlib

    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{name}:{value.dtype}:{tuple(value.shape)}".encode())
            plain = value.detach().cpu().contiguous().reshape(-1)
            digest.update(plain.view(torch.uint8).numpy().data if plain.numel() else b"")
    return digest.hexdigest()
