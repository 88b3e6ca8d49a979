"""The answer in what a model returns: a tensor, or one within tuples, mappings and dataclasses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor

from fastcam.errors import InputError

# What answers are called: Hugging Face, torchvision's segmentation models, timm, and others.
_NAMES = {
    "logit",
    "logits",
    "class_logits",
    "cls",
    "out",
    "output",
    "outputs",
    "pred",
    "preds",
    "prediction",
    "predictions",
    "y_hat",
    "y_pred",
}
# More would hide what the message is about.
_MOST_LISTED = 12


@dataclass(frozen=True, eq=False)
class OutputTensor:
    """A tensor that a model returns.

    - ``name``: the keys, fields and indices that lead to it, with dots between: ``heads.0``; empty
      where the model returns nothing but this tensor
    - ``tensor``: of any shape and type
    """

    name: str
    tensor: Tensor

    def __str__(self) -> str:
        return f"{self.name} {tuple(self.tensor.shape)}"

    @property
    def is_named(self) -> bool:
        """Whether its own name, indices left out, is one that answers have."""
        words = [part for part in self.name.split(".") if not part.isdecimal()]
        return bool(words) and words[-1].casefold() in _NAMES

    def is_answer(self, count: int | None, dense: bool = False) -> bool:
        """Whether it can be an answer (b, k) or (b,) for ``count`` images; None: for any number.
        ``dense``: an answer for every pixel, (b, k, h, w) or (b, k, d, h, w)."""
        tensor = self.tensor
        fits = tensor.is_floating_point() and tensor.numel() > 0
        fits = fits and tensor.ndim in ((4, 5) if dense else (1, 2))
        return fits and (count is None or len(tensor) == count)


def output_tensors(returned: Any) -> list[OutputTensor]:
    """Every tensor in what a model returned, in its order, each once."""
    visited: set[int] = set()
    return list(_walk(returned, "", visited))


def find_answer(
    returned: Any, choice: str = "", count: int | None = None, dense: bool = False
) -> OutputTensor:
    """The one tensor (b, k) or (b,) that can be the answer, or the one that ``choice`` names.

    ``dense``: the one that answers for every pixel, (b, k, h, w) or (b, k, d, h, w).

    A tensor is not the answer because it stands in front: of several that could be, one that is
    called as answers are (``logits``, ``out``, ``prediction``, ...) is taken, if there is just one.
    ``count`` is the number of images, where it is known. Raises InputError that lists all that the
    model returned where none could be, where several could, and where ``choice`` names none.
    """
    tensors = output_tensors(returned)
    if choice:
        return _by_name(tensors, choice, returned, dense)
    if isinstance(returned, Tensor):
        return tensors[0]
    fitting = [entry for entry in tensors if entry.is_answer(count, dense)]
    answers_by_name = [entry for entry in tensors if entry.is_named and entry.tensor.ndim > 0]
    # What is called an answer and has another shape leaves no room for what has no such name.
    candidates = [entry for entry in fitting if entry.is_named] if answers_by_name else fitting
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise InputError(
            f"the model returns {_listing(tensors)}, of which {_names(candidates)} could be the "
            "answer: say which with --output"
        )
    if answers_by_name:
        raise InputError(
            f"the model returns {_listing(tensors)}: {answers_by_name[0].name} is not "
            "(images, outputs); choose another tensor with --output, or give a callable target "
            "that reduces it to one number an image"
        )
    raise InputError(
        f"the model returns {_listing(tensors) or type(returned).__name__}, in which there is no "
        "tensor of logits (images, outputs); wrap it in a module whose forward returns one"
    )


def _by_name(tensors: list[OutputTensor], choice: str, returned: Any, dense: bool) -> OutputTensor:
    if isinstance(returned, Tensor):
        raise InputError(
            f"--output {choice}: the model returns one tensor, {tuple(returned.shape)}, and there "
            "is nothing to choose: leave it out"
        )
    matches = [entry for entry in tensors if entry.name == choice]
    matches = matches or [entry for entry in tensors if entry.name.startswith(f"{choice}.")]
    if len(matches) != 1:
        description = (
            f"{_names(matches)} are in it" if matches else "is not among what the model returns"
        )
        raise InputError(
            f"--output {choice}: {description}; it returns {_listing(tensors) or 'nothing'}"
        )
    match = matches[0]
    if not match.is_answer(None, dense):
        shape = f"{tuple(match.tensor.shape)} of {str(match.tensor.dtype).removeprefix('torch.')}"
        raise InputError(
            f"--output {choice}: is {shape}, no floating-point tensor (images, outputs); the model "
            f"returns {_listing(tensors)}"
        )
    return match


def _walk(value: Any, name: str, visited: set[int]) -> Iterator[OutputTensor]:
    if id(value) in visited:
        return
    if isinstance(value, Tensor):
        visited.add(id(value))
        yield OutputTensor(name, value)
        return
    parts = _parts(value)
    if parts:
        visited.add(id(value))
        for key, part in parts:
            yield from _walk(part, f"{name}.{key}" if name else str(key), visited)


def _parts(value: Any) -> list[tuple[Any, Any]]:
    """What a container holds, by key, field or index; nothing for what is no container."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, str | bytes | int | float | type(None)) or callable(value):
        return []
    return [item for item in getattr(value, "__dict__", {}).items() if not item[0].startswith("_")]


def _names(tensors: list[OutputTensor]) -> str:
    *before, last = (entry.name for entry in tensors)
    return f"{', '.join(before)} and {last}" if before else last


def _listing(tensors: list[OutputTensor]) -> str:
    texts = [str(entry) for entry in tensors[:_MOST_LISTED]]
    remaining = len(tensors) - len(texts)
    return ", ".join(texts + [f"and {remaining} more"] * bool(remaining))
