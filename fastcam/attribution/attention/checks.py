"""The records of a capture, held against what the model is made of.

Modules that hold attention are found by their structure (they project queries, keys and values);
those that ran must have made a call that was seen, and so must every one of a row of equal blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from fastcam.attribution.attention.records import Record
from fastcam.attribution.layer_names import named_layers
from fastcam.errors import InputError

# Names under which a module keeps the projections of its attention.
_PROJECTIONS: tuple[tuple[str, ...], ...] = (
    ("qkv",),
    ("to_qkv",),
    ("in_proj_weight",),
    ("c_attn",),
    ("q", "k", "v"),
    ("q", "kv"),
    ("q_proj", "k_proj", "v_proj"),
    ("query", "key", "value"),
    ("to_q", "to_kv"),
    ("to_q", "to_k", "to_v"),
)

# Of masked autoencoders.
_SHUFFLING = "random_masking"

_REMEDY = (
    "it may use a kernel of its own (xformers, flash-attn, flex_attention, TorchScript): switch "
    "the model to PyTorch's scaled_dot_product_attention or to plain softmax"
)


def attention_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Modules that project queries, keys and values, by dotted path, in the model's order."""
    return {
        name: module
        for name, module in named_layers(model)
        if any(all(_holds_part(module, part) for part in parts) for parts in _PROJECTIONS)
    }


def _holds_part(module: nn.Module, name: str) -> bool:
    return isinstance(getattr(module, name, None), nn.Module | Tensor)


@contextmanager
def input_shapes(model: nn.Module) -> Iterator[dict[str, tuple[int, ...]]]:
    """While it is open, the shape of the first tensor given to each module that runs, by path."""
    shapes: dict[str, tuple[int, ...]] = {}
    handles = []

    def hook_for(name: str) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tensor = next((v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None)
            shapes.setdefault(name, () if tensor is None else tuple(tensor.shape))

        return hook

    try:
        for name, module in named_layers(model):
            handles.append(module.register_forward_pre_hook(hook_for(name), with_kwargs=True))
        yield shapes
    finally:
        for handle in handles:
            handle.remove()


def check_records(
    model: nn.Module, records: Sequence[Record], shapes: dict[str, tuple[int, ...]]
) -> None:
    """Raise InputError where attention ran unseen.

    ``records``: what capture gave; ``shapes``: the modules that ran, from ``input_shapes``. The
    error says what was looked for, what was found, and which modules are missing. Likewise where
    the patches are shuffled, so that nobody can say where a key lies.
    """
    for name, module in named_layers(model):
        if callable(getattr(module, _SHUFFLING, None)) and getattr(module, "is_mae", True):
            raise InputError(
                f"{type(model).__name__} shuffles its patches at random in every run ({name}."
                f"{_SHUFFLING}), so that its keys have no places; load the weights into a model "
                "that doesn't, as ViTModel for ViTMAEModel"
            )
    calls = [record for record in records if record.kind in ("sdpa", "softmax")]
    modules = attention_modules(model)
    if not calls:
        raise InputError(
            f"{type(model).__name__} has no attention that can be seen: looked for "
            "scaled_dot_product_attention and softmax over scores, found "
            f"{_kinds(records)}; {_why_none(modules)}"
        )
    expected = [name for name in modules if name in shapes]
    missing = [name for name in expected if not _covered(name, calls)]
    if missing:
        raise InputError(
            f"{type(model).__name__}: attention was seen in {len(expected) - len(missing)} of "
            f"{len(expected)} modules that hold attention and ran; not in {_names(missing)}; "
            f"{_REMEDY}"
        )
    _check_blocks(model, calls, shapes)


def _check_blocks(
    model: nn.Module, calls: Sequence[Record], shapes: dict[str, tuple[int, ...]]
) -> None:
    for parent, container in named_layers(model):
        for names in _rows_of_equal(parent, container):
            active = [name for name in names if name in shapes]
            missing = [name for name in active if not _within(name, calls)]
            if missing and len(missing) < len(active):
                raise InputError(
                    f"{type(model).__name__}: attention was seen in {len(active) - len(missing)} "
                    f"of {len(active)} equal blocks under {parent or 'the model'!r}; not in "
                    f"{_names(missing)}; {_REMEDY}"
                )


def _rows_of_equal(parent: str, container: nn.Module) -> list[list[str]]:
    """Children of a list of modules that are made of the same parts, in groups of two or more."""
    groups: dict[tuple[type, ...], list[str]] = {}
    for name, child in container.named_children():
        if name.isdecimal():
            parts = tuple(type(module) for module in child.modules())
            groups.setdefault(parts, []).append(f"{parent}.{name}" if parent else name)
    return [names for names in groups.values() if len(names) > 1]


def _within(name: str, calls: Sequence[Record]) -> bool:
    return any(call.path == name or call.path.startswith(f"{name}.") for call in calls)


def _covered(name: str, calls: Sequence[Record]) -> bool:
    """A call in the module, below it, or in the module right around it (which then does the
    softmax for a part that only projects)."""
    return _within(name, calls) or any(
        call.path and call.path == name.rpartition(".")[0] for call in calls
    )


def _why_none(modules: dict[str, nn.Module]) -> str:
    if modules:
        return f"{len(modules)} modules hold attention ({_names(list(modules))}): {_REMEDY}"
    return (
        "no module projects queries, keys and values: for a convolutional network use a CAM "
        "method, e.g. gradcam"
    )


def _kinds(records: Sequence[Record]) -> str:
    if not records:
        return "neither"
    counts = dict.fromkeys((record.kind for record in records), 0)
    for record in records:
        counts[record.kind] += 1
    return "only " + ", ".join(f"{count} of kind {kind}" for kind, count in counts.items())


def _names(names: Sequence[str]) -> str:
    first_names = ", ".join(name or "the model itself" for name in names[:3])
    return f"{first_names}, … ({len(names)} in all)" if len(names) > 3 else first_names
