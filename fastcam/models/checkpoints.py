"""Checkpoints: state dicts out of files that are never trusted, and into models, whole or refused.

Only safetensors and ``torch.load(weights_only=True)`` are used; nothing in a file runs.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fastcam.errors import InputError
from fastcam.read.regular_files import check_regular
from fastcam.read.results.content import kind_of
from fastcam.read.results.pickle_cost import TooCostlyError
from fastcam.read.results.scalars import printable
from fastcam.read.results.tensors import TORCH_ERRORS, load_torch, numpy_stand_ins
from fastcam.storage.local_copy import local_copy
from fastcam.storage.locations import as_path

TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".tar")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)

# Where training scripts put the state dict, in this order; else the file is one itself.
_STATE_DICT_KEYS = (
    "params",
    "state_dict",
    "model",
    "model_state_dict",
    "model_state",
    "params_ema",
    "net",
)
# What wrappers put in front of every key: DataParallel, torch.compile, Lightning, and others.
_WRAPPER_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
_MOST_WRAPPERS = 16
# Counters that old checkpoints lack and that no forward pass in eval mode reads.
_COUNTER = "num_batches_tracked"


# Tensors of so many bytes may stand for no more than so many times what is stored.
_LEAST_REPEATED, _MOST_REPEATED = 1 << 24, 16


class _Ignored:
    """Stands for what training scripts keep beside the weights; it takes all and does nothing."""

    def __init__(self, *_args: object) -> None:
        pass


# The arguments of the training script and its paths, as in the published checkpoints of DINO, MAE
# and DeiT. No object of these types is created: the names stand for a class that does nothing.
_SETTINGS = [
    (_Ignored, name)
    for name in (
        "argparse.Namespace",
        "pathlib.PosixPath",
        "pathlib._local.PosixPath",
        "pathlib.WindowsPath",
        "pathlib._local.WindowsPath",
    )
]


@dataclass(frozen=True)
class LoadReport:
    """Where a model and a state dict differ, by key.

    - ``missing``: keys of the model that are not in the file
    - ``unexpected``: keys of the file that are not in the model
    - ``mismatched``: keys of another shape, each followed by both shapes
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every key of either has its counterpart."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        parts = (
            ("missing in the file", self.missing),
            ("unknown to the model", self.unexpected),
            ("of another shape", self.mismatched),
        )
        return "; ".join(f"{len(keys)} {kind} ({_few(keys)})" for kind, keys in parts if keys)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The weights in ``path``, by key, on the CPU, in the file's own number types.

    The state dict is found under the usual names or at the top; prefixes that wrappers put in front
    of all keys are taken off. Raises InputError when there is no such file, it is damaged, holds
    more than weights, or holds none.
    """
    state = read_weights(path)
    for _ in range(_MOST_WRAPPERS):
        prefix = next((p for p in _WRAPPER_PREFIXES if all(k.startswith(p) for k in state)), "")
        if not prefix:
            break
        state = _without(state, prefix)
    return state


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The weights in ``path`` as :func:`read_state_dict` reads them, with the keys of the file."""
    path = as_path(path)
    try:
        if not path.is_file():
            return _read_weights(path)
        with local_copy(path) as file:
            return _read_weights(file)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        raise InputError(
            f"{path}: is a folder, not a checkpoint file ({', '.join(SUFFIXES)}); a Hugging Face "
            "folder is given as the model: hf:FOLDER"
        )
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint file")
    check_regular(path)
    # What a file is its first bytes say; names such as epoch_12 and model.th say nothing.
    kind = kind_of(path)
    if not kind and path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: is not a recognized checkpoint, neither safetensors nor what torch.save() "
            f"writes; give a file of weights ({', '.join(SUFFIXES)}, or of any other name)"
        )
    safe = kind == "safetensors" or (not kind and path.suffix.lower() == ".safetensors")
    try:
        loaded = _read_safetensors(path) if safe else _read_torch(path)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    state = _state_dict(loaded)
    if not state:
        raise InputError(f"{path}: there is no state dict in it: it holds {_contents(loaded)}")
    _check_repeats(path, state)
    return state


def align_prefix(state: dict[str, Tensor], keys: Collection[str]) -> dict[str, Tensor]:
    """``state`` with a wrapper's prefix taken off or put on, so that most keys are in ``keys``.

    Unchanged where no prefix helps. Keys that don't carry the prefix stay as they are.
    """
    candidates = [state]
    for prefix in _WRAPPER_PREFIXES:
        candidates.append(_without(state, prefix))
        if all(key.startswith(prefix) for key in keys):
            candidates.append({prefix + key: value for key, value in state.items()})
    return max(candidates, key=lambda candidate: sum(key in candidate for key in keys))


def load_into(
    model: nn.Module, state: dict[str, Tensor], source: str | Path, allow_partial: bool = False
) -> LoadReport:
    """Copy ``state`` into ``model``; ``source`` is what errors call the file.

    Raises InputError when the state dict is for another architecture, has weights that are NaN or
    infinite, or leaves a key of either side without its counterpart. With ``allow_partial`` what
    fits is loaded, and the report says what doesn't; that nothing fits is still an error.
    """
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    state = align_prefix(state, shapes)
    own = [key for key in shapes if key in state or not key.endswith(_COUNTER)]
    loaded = {k: state[k] for k in own if k in state and tuple(state[k].shape) == shapes[k]}
    report = LoadReport(
        missing=tuple(key for key in own if key not in state),
        unexpected=tuple(key for key in state if key not in shapes),
        mismatched=tuple(
            mismatch(key, state[key].shape, shapes[key])
            for key in own
            if key in state and key not in loaded
        ),
    )
    check_report(report, own, state, source, allow_partial)
    check_finite(loaded.items(), source)
    model.load_state_dict(loaded, strict=False)
    return report


def check_report(
    report: LoadReport,
    own: Collection[str],
    file_keys: Collection[str],
    source: str | Path,
    allow_partial: bool,
) -> None:
    """InputError unless ``report`` is good enough.

    ``own`` are the model's keys, ``file_keys`` those of the file, ``source`` its name in messages.
    """
    fitting = len(own) - len(report.missing) - len(report.mismatched)
    if fitting <= 0 or (2 * len(report.missing) > len(own) and not allow_partial):
        raise InputError(
            f"{source}: is for another architecture: {fitting} of the model's {len(own)} tensors "
            f"are in it. The model has {_few(own)}; the file has {_few(file_keys)}"
            + (f"; {report}" if report.mismatched else "")
        )
    if not (report.complete or allow_partial):
        raise InputError(
            f"{source}: doesn't fit the model: {report}. Give the model it was saved from, with "
            "--num-classes or --in-channels where these differ, or --allow-partial to load "
            "what fits and leave the rest as it is"
        )


def mismatch(key: str, file_shape: Iterable[int], own: Iterable[int]) -> str:
    """An entry of ``LoadReport.mismatched``, for a key and the shapes in the file and the model."""
    return f"{key}: {_shape(file_shape)} in the file, {_shape(own)} in the model"


def check_finite(tensors: Iterable[tuple[str, Tensor]], source: str | Path) -> None:
    """InputError that names the first of ``tensors`` in which a number is NaN or infinite."""
    bad = [
        name
        for name, tensor in tensors
        if torch.is_floating_point(tensor) and not bool(torch.isfinite(tensor).all())
    ]
    if bad:
        raise InputError(
            f"{source}: {len(bad)} of its tensors hold NaN or infinite weights ({_few(bad)}): the "
            "training went wrong or the file is damaged; give an earlier checkpoint"
        )


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(
            f"{path}: is not a complete safetensors file ({error}); copy or write it again"
        ) from error


def _read_torch(path: Path) -> object:
    if path.suffix == ".safetensors" and kind_of(path):
        # torch.load goes by the name there.
        raise InputError(f"{path}: is what torch.save() wrote, under another name; call it .pth")
    try:
        with warnings.catch_warnings():
            # Torch's warnings about odd files become one line below.
            warnings.simplefilter("ignore", UserWarning)
            with torch.serialization.safe_globals([*numpy_stand_ins(), *_SETTINGS]):
                loaded = load_torch(path)
    except TooCostlyError as error:
        raise InputError(f"{path}: {error}") from error
    except TORCH_ERRORS as error:
        raise InputError(f"{path}: {_refusal(path, str(error))}") from error
    return loaded


def _check_repeats(path: Path, state: dict[str, Tensor]) -> None:
    """InputError where a tensor says many times over what is stored once.

    A few bytes can stand for a tensor of any size, and the models that are made to the size of
    their weights would be as large.
    """
    for key, tensor in state.items():
        size = tensor.numel() * tensor.element_size()
        if tensor.layout == torch.strided and size > _LEAST_REPEATED:
            storage = tensor.untyped_storage().nbytes()
            if size > _MOST_REPEATED * storage:
                raise InputError(
                    f"{path}: its tensor {key:.80} of shape {_shape(tensor.shape)} repeats the "
                    f"{storage} bytes that are stored; save it with .contiguous()"
                )


def _refusal(path: Path, message: str) -> str:
    """torch.load's paragraphs on why it refuses a file, in one line."""
    if name := re.search(r"GLOBAL (\S+)", message):
        return (
            f"holds more than weights: it asks for {name[1]}, and pickled code is never run. "
            "Where the file comes from you, write a clean one: torch.save(model.state_dict(), "
            f'"{path.stem}_weights.pth")'
        )
    if "TorchScript" in message:
        return (
            "is a TorchScript program, and code in a checkpoint is never run. Write its weights: "
            f'torch.save(torch.jit.load("{path.name}").state_dict(), "{path.stem}_weights.pth")'
        )
    return (
        "is not a complete file of torch.save() that holds weights only; copy or write it again, "
        "with torch.save(model.state_dict(), …)"
    )


def _state_dict(loaded: object, depth: int = 2) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping):
        return {}
    for key in _STATE_DICT_KEYS:
        if depth and (state := _state_dict(loaded.get(key), depth - 1)):
            return state
    return {k: v for k, v in loaded.items() if isinstance(k, str) and isinstance(v, Tensor)}


def _contents(loaded: object) -> str:
    if not isinstance(loaded, Mapping):
        return f"a {type(loaded).__name__}"
    return (
        f"the keys {_few([k if isinstance(k, str) else printable(k) for k in loaded])}"
        if loaded
        else "nothing"
    )


def _without(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items()}


def _few(keys: Collection[str]) -> str:
    return ", ".join(list(keys)[:3]) + (", …" if len(keys) > 3 else "")


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "one number"
