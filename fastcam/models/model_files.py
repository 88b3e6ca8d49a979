"""Models that were saved or exported as a whole: taken in Python, refused as files.

Loading TorchScript or an exported program runs what is in the file, which fastcam doesn't do.
"""

from __future__ import annotations

import ast
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fastcam.errors import InputError

_PROGRAMS = (".pt2", ".ts", ".jit", ".torchscript", ".onnx", ".mlmodel", ".engine")
_WEIGHTS = (".pt", ".pth", ".ckpt", ".th", ".bin", ".safetensors")
_INSTEAD = (
    "give --model NAME or path/file.py:factory, which builds the network, and its weights with "
    "--checkpoint"
)


def module_of(model: Any) -> nn.Module:
    """A model as a module: itself, or an ``ExportedProgram`` with its layers put together again.

    InputError for anything else.
    """
    if isinstance(model, torch.export.ExportedProgram):
        unflattened: nn.Module = torch.export.unflatten(model)
        return unflattened
    if isinstance(model, nn.Module):
        return model
    raise InputError(
        f"the model is a {type(model).__name__}: give a torch.nn.Module, or what torch.export.load "
        "returns"
    )


def file_refusal(name: str) -> str | None:
    """Why the file ``name`` can't be ``--model``; None where it is no name of a file."""
    path = Path(name)
    if path.suffix.lower() not in (*_PROGRAMS, *_WEIGHTS):
        return None
    if not path.is_file():
        return f"{path}: no such file; and a file of weights is not a model by itself: {_INSTEAD}"
    kind = _program_kind(path)
    if kind == "TorchScript":
        return (
            f"{path}: is a TorchScript program: loading it runs what is in it, and its layers "
            f"can't be looked into; {_INSTEAD} (torch.jit.load({path.name!r}).state_dict(), saved)"
        )
    if kind:
        return (
            f"{path}: is {kind}, and loading it runs what is in it; where it is yours, load it in "
            f"Python and give it to fastcam.explain, or {_INSTEAD}"
        )
    return f"{path}: holds weights, not a network: {_INSTEAD}"


def without_function(name: str) -> str | None:
    """Why the Python file ``name``, of which no function is named, can't be ``--model``, with
    those that it has; None where it is no name of such a file. The file isn't run.
    """
    path = Path(f"{name.partition(':')[0].removesuffix('.py')}.py")
    if not path.is_file():
        return None
    try:
        nodes = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        nodes = []
    names = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
    offer = " or ".join(f"{path}:{function}" for function in names) or f"{path}:FUNCTION"
    return f"--model {name!r}: name the function of the file that returns the model: {offer}"


def _program_kind(path: Path) -> str:
    """What a file of a whole model is; empty for weights, and for what can't be told."""
    if not zipfile.is_zipfile(path):
        return "a program" if path.suffix.lower() in _PROGRAMS else ""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return ""
    if any("/code/" in name for name in names) and any(n.endswith("constants.pkl") for n in names):
        return "TorchScript"
    exported = any(
        name.endswith(("archive_format", "serialized_exported_program.json")) for name in names
    )
    return "an exported program (torch.export)" if exported else ""
