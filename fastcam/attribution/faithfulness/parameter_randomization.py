"""The parameter randomization test: do maps change when the model forgets what it learnt?

Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3.1: layers are re-initialized one
after the other from the top (the output) down, each time on top of those before, and the maps are
compared with the model's own by Spearman's rank correlation. Maps that stay as they were show what
is in the image, edges above all, and not what the model learnt.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fastcam.attribution.batch_maps import Engine, Targets
from fastcam.attribution.faithfulness.perturbation_curves import one_map
from fastcam.attribution.layer_names import module_at, named_layers, open_module
from fastcam.attribution.modules import (
    ForwardHook,
    after_every_module,
    as_input,
    device_of,
    frozen_eval,
    frozen_forward,
)
from fastcam.attribution.targets import rows_of
from fastcam.errors import InputError

Floats = NDArray[np.float64]
_NONE: Floats = np.empty(0)


@dataclass(frozen=True)
class RandomizationSettings:
    """How the test runs.

    - ``steps``: the most groups of layers; where there are more, they are joined by their names
    - ``batch_size``: images in one forward pass
    - ``random_maps``: maps of noise that each map is compared with
    - ``seed``: of new weights and of noise

    Raises InputError for values that are too small.
    """

    steps: int = 24
    batch_size: int = 16
    random_maps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 1), ("random_maps", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} {getattr(self, name)} is too small: at least {least}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Randomization:
    """Rank correlations with the model's own maps, of n images whose maps are not all one value.

    - ``map_name``: the engine's name of the map
    - ``layers``: what was re-initialized in each step, from the top; each step keeps those before
    - ``spearman``, ``absolute`` (steps, n), -1 to 1, of the values and of their magnitudes
    - ``flat`` (steps,), how many maps have one value everywhere; their correlation is 0
    - ``random`` (n, random_maps), with maps of noise at the same resolution
    - ``other_image`` (n,), with the next image's map; where that is high, maps have their place
      rather than their image in common; empty for a single image
    - ``left_out``: images whose own map is one value or not finite
    """

    map_name: str
    layers: tuple[str, ...]
    spearman: Floats
    absolute: Floats
    flat: NDArray[np.int64]
    random: Floats
    other_image: Floats
    left_out: int


def randomize_layers(
    model: nn.Module,
    make_engine: Callable[[nn.Module], Engine],
    images: Tensor,
    map_name: str | None = None,
    *,
    targets: Targets = None,
    settings: RandomizationSettings | None = None,
    on_progress: Callable[[int], None] = lambda more: None,
) -> Randomization:
    """Maps of ``images`` (n, c, *S), preprocessed, while ``model`` forgets layer after layer.

    ``make_engine`` gets a copy of the model, which alone is changed; for instance ``lambda m:
    build_shown_engine(m, request)``. ``map_name``: one of its maps, None the first. ``targets``:
    explained, all along; None what the model itself predicts. Layers that know how
    (``reset_parameters``) are reset, other parameters drawn from a normal distribution of the same
    root mean square; batch norms among them measure their statistics anew on the first batch,
    without which their activations would fade from layer to layer. ``on_progress`` gets 1 after
    each step, of which there are ``settings.steps`` at most.

    Raises InputError where no image has a map to compare with.
    """
    settings = settings or RandomizationSettings()
    device = device_of(model)
    batches = list(images.to(device).split(settings.batch_size))
    altered = copy.deepcopy(open_module(model))
    groups = layer_groups(altered, batches[0][:1], settings.steps)
    engine = make_engine(altered)
    own, name, explained = _first_maps(engine, batches, map_name, targets, images.ndim - 2)
    usable = np.array([np.isfinite(row).all() and np.ptp(row) > 0 for row in own])
    if not usable.any():
        raise InputError(f"{name}: every map is one value everywhere: nothing to compare with")
    own_maps = own[usable]
    ranked, ranked_sizes = _ranked(own_maps), _ranked(np.abs(own_maps))
    spearman, absolute, flat = [], [], []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        for step, group in enumerate(groups):
            reset(altered, group.modules)
            _measure_norms(altered, [m for g in groups[: step + 1] for m in g.modules], batches[0])
            maps = _maps(engine, batches, name, explained, images.ndim - 2)[usable]
            spearman.append(_correlation(ranked, _ranked(maps)))
            absolute.append(_correlation(ranked_sizes, _ranked(np.abs(maps))))
            flat.append(int((np.ptp(maps, axis=1) == 0).sum()))
            on_progress(1)
    rng = np.random.default_rng(settings.seed)
    noise = [
        _correlation(ranked, _ranked(rng.random(own_maps.shape)))
        for _ in range(settings.random_maps)
    ]
    return Randomization(
        map_name=name,
        layers=tuple(group.name for group in groups),
        spearman=np.array(spearman),
        absolute=np.array(absolute),
        flat=np.array(flat, np.int64),
        random=np.stack(noise, 1),
        other_image=_correlation(ranked, np.roll(ranked, 1, axis=0))
        if len(own_maps) > 1
        else _NONE,
        left_out=int((~usable).sum()),
    )


@dataclass(frozen=True)
class LayerGroup:
    """Modules with parameters of their own, by dotted name ("" is the model), reset together."""

    name: str
    modules: tuple[str, ...]


def layer_groups(model: nn.Module, example: Tensor, most: int) -> list[LayerGroup]:
    """All parameters of ``model``, from the output down to the input, in at most ``most`` groups.

    The order is that in which the layers run on ``example``. Names are cut to as many parts as give
    few enough groups: ``layer4.1.conv2`` belongs to ``layer4.1``, or else to ``layer4``. A norm
    that stands alone goes with the layer below it.
    """
    owners = [name for name, m in named_layers(model) if _own(m)]
    if not owners:
        raise InputError(f"{type(model).__name__} has no parameters that could be re-initialised")
    order = _run_order(model, example)
    owners.sort(key=order)
    deepest = max(name.count(".") + 1 for name in owners)
    for parts in range(deepest, 0, -1):
        groups = _group_by_name(model, owners, parts)
        if len(groups) <= most:
            return groups[::-1]
    # More than that even at the top level: the lowest ones are reset in one step.
    top = groups[::-1]
    rest = tuple(name for group in top[most - 1 :] for name in group.modules)
    return [*top[: most - 1], LayerGroup(f"{top[most - 1].name} and below", rest)]


def _group_by_name(model: nn.Module, owners: list[str], parts: int) -> list[LayerGroup]:
    """Groups from the input up; a group's position is that of its highest layer."""
    members: dict[str, list[str]] = {}
    for name in owners:
        short = ".".join(name.split(".")[:parts])
        members[short] = [*members.pop(short, []), name]
    groups: list[LayerGroup] = []
    for name, modules in members.items():
        alone = all(p.ndim <= 1 for m in modules for p in _own(module_at(model, m)).values())
        if alone and groups:
            groups[-1] = LayerGroup(groups[-1].name, (*groups[-1].modules, *modules))
        else:
            groups.append(LayerGroup(name or "(parameters of the model itself)", tuple(modules)))
    return groups


def _run_order(model: nn.Module, example: Tensor) -> Callable[[str], tuple[int, int]]:
    """When each module finishes in a forward pass; one that isn't called, when its parent does.

    The model itself finishes last, but its own parameters (positions, CLS tokens) enter first.
    """
    finished: dict[str, int] = {}

    def hook_for(name: str) -> ForwardHook:
        def hook(*_: Any) -> None:
            finished.setdefault(name, len(finished))

        return hook

    with after_every_module(model, hook_for):
        frozen_forward(model, example)
    listed = {name: index for index, (name, _) in enumerate(named_layers(model))}

    def order(name: str) -> tuple[int, int]:
        ancestor = name
        while ancestor and ancestor not in finished:
            ancestor = ancestor.rpartition(".")[0]
        return finished.get(ancestor, -1), listed[name]

    return order


def reset(model: nn.Module, names: tuple[str, ...]) -> None:
    """Re-initialize the own parameters of the modules called ``names``, in place."""
    with torch.no_grad():
        for name in names:
            module = module_at(model, name)
            own = _own(module)
            before = {key: p.detach().clone() for key, p in own.items()}
            reset_parameters = getattr(module, "reset_parameters", None)
            if callable(reset_parameters) and not _needs_arguments(reset_parameters):
                reset_parameters()
            for key, parameter in own.items():
                old = before[key]
                # Without that method, or where it doesn't reach them (weight norm's parts).
                if torch.equal(parameter, old) and bool((old != old.flatten()[0]).any()):
                    parameter.normal_(0.0, float(old.float().square().mean().sqrt()))


def _needs_arguments(method: Callable[..., Any]) -> bool:
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = inspect.signature(method).parameters.values()
    return any(p.default is p.empty and p.kind not in free for p in needed)


def _own(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module.named_parameters(recurse=False) if p.numel()}


def _measure_norms(model: nn.Module, names: list[str], batch: Tensor) -> None:
    """Mean and variance of the batch norms among ``names`` on ``batch``, which is two images at
    least; with one they keep mean 0 and variance 1."""
    modules = [module_at(model, name) for name in names]
    norms = [m for m in modules if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms or len(batch) < 2:
        return
    momenta = [norm.momentum for norm in norms]
    with torch.inference_mode(False), torch.no_grad(), frozen_eval(model):
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum, norm.training = None, True
            model(as_input(model, batch))
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum, norm.training = momentum, False


def _first_maps(
    engine: Engine, batches: list[Tensor], map_name: str | None, targets: Targets, dims: int
) -> tuple[Floats, str, list[Targets]]:
    """Maps (n, pixels) of the model as it is, their name, and what each batch explains."""
    maps, explained, name, start = [], [], map_name or "", 0
    rows = rows_of(targets, sum(map(len, batches)))
    for batch in batches:
        batch_targets = targets if rows is None else rows[start : start + len(batch)]
        result = engine(batch, batch_targets)
        name = name or next(iter(result.maps))
        if name not in result.maps:
            raise InputError(f"there is no map {name!r}: choose of {', '.join(result.maps)}")
        maps.append(_flat(result.maps[name], dims))
        explained.append(batch_targets if result.targets is None else result.targets)
        start += len(batch)
    return np.concatenate(maps), name, explained


def _maps(
    engine: Engine, batches: list[Tensor], name: str, explained: list[Targets], dims: int
) -> Floats:
    results = [
        engine(batch, batch_targets).maps[name]
        for batch, batch_targets in zip(batches, explained, strict=True)
    ]
    maps: Floats = np.nan_to_num(np.concatenate([_flat(values, dims) for values in results]))
    return maps


def _flat(values: Tensor, dims: int) -> Floats:
    flat: Floats = one_map(values, dims).flatten(1).double().cpu().numpy()
    return flat


def _ranked(values: Floats) -> Floats:
    """Ranks of each row, ties shared, of mean 0 and length 1; zeros where all are the same."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    scaled: Floats = ranks / np.where(length > 0, length, 1)
    return scaled


def _correlation(first: Floats, second: Floats) -> Floats:
    """Spearman's correlation of each row: that of the ranks."""
    correlation: Floats = np.clip(np.einsum("ij,ij->i", first, second), -1.0, 1.0)
    return correlation
