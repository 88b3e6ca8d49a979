"""``devices`` and ``scheduler``: the processes that run a model in place of the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from fastcam.api.arguments import optional_path
from fastcam.errors import InputError
from fastcam.jobs.infer.workers import PRELOAD, WorkerChoice
from fastcam.jobs.render import PRELOAD as DRAWING
from fastcam.models.registry import load_model
from fastcam.models.text_similarity import text_similarity
from fastcam.options import PathLike
from fastcam.run import forkserver
from fastcam.storage.object_store import uses_memory


def choose_workers(
    model: str | nn.Module,
    checkpoint: PathLike | None,
    load_options: Mapping[str, Any],
    texts: Sequence[str] = (),
    *,
    devices: str | int | None,
    scheduler: str | None,
    draws: bool = False,
) -> WorkerChoice | None:
    """The processes that are asked for; None where this one runs the model.

    ``load_options`` are those of :func:`fastcam.load_model`; ``texts``: what images are compared
    with; ``draws``: whether figures are drawn afterwards. InputError for a module, which other
    processes can't make.
    """
    if devices is None and scheduler is None:
        return None
    if not isinstance(model, str):
        raise InputError(
            "--devices and --scheduler: each process makes the model itself; give its name, such "
            "as file.py:factory, in place of a module"
        )
    if uses_memory():
        raise InputError(
            "--devices and --scheduler: memory:// is the memory of this process, which others "
            "don't see; leave them out"
        )
    if scheduler is None:
        forkserver.start((*DRAWING, *PRELOAD) if draws else PRELOAD)
    load = partial(
        _load, _model_name(model), _absolute(checkpoint), dict(load_options), tuple(texts)
    )
    text = None if devices is None else str(devices)
    return WorkerChoice(load=load, devices=text, scheduler=scheduler)


def _load(
    model: str, checkpoint: Path | None, options: dict[str, Any], texts: tuple[str, ...]
) -> nn.Module:
    """The model, as each process makes it."""
    loaded = load_model(model, checkpoint, **options)
    return text_similarity(loaded, texts) if texts else loaded


def _absolute(path: PathLike | None) -> Path | None:
    """Workers of a cluster have another working folder."""
    own = optional_path(path)
    return None if own is None else own.absolute()


def _model_name(model: str) -> str:
    """``model`` with the path of a file, or of a folder of Hugging Face, absolute."""
    prefix, colon, rest = model.partition(":")
    if colon and prefix == "hf":
        return f"{prefix}:{Path(rest).absolute()}"
    file, colon, factory = model.rpartition(":")
    if colon and file.endswith(".py"):
        return f"{Path(file).absolute()}:{factory}"
    return model
