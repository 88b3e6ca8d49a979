"""What ``fastcam explain`` is given: layers, which --checkpoint is of which --model, and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.errors import InputError

if TYPE_CHECKING:
    from fastcam.explaining.writing import Candidate
    from fastcam.models.fewshot.build import FewshotOptions


def layers_given(texts: Sequence[str] | None) -> list[str]:
    """Layers one by one; a ``METHOD=`` holds for those after it with commas between.

    >>> layers_given(["layer3,layer4", "attention=0,-1"])
    ['layer3', 'layer4', 'attention=0', 'attention=-1']
    """
    layers = []
    for text in texts or ():
        method, equals, names = text.rpartition("=")
        parts = [part.strip() for part in names.split(",")]
        if not all(parts):
            raise InputError(f"--layer {text!r}: a name is missing; give names with commas between")
        layers += [f"{method}{equals}{part}" for part in parts]
    return layers


def candidates_of(
    models: Sequence[str],
    checkpoints: Sequence[Path],
    fewshot: FewshotOptions | None,
    **options: Any,
) -> list[Candidate]:
    """The models, to be loaded later with ``options`` of :func:`fastcam.load_model`.

    ``fewshot`` goes to those that it is for, or to all where it is for none, to be refused.
    """
    from fastcam import modelapi
    from fastcam.explaining.writing import Candidate
    from fastcam.models.named import FEWSHOT

    pairs = pairs_of(models, checkpoints)
    candidates = []
    for (model, checkpoint), label in zip(pairs, labels_of(pairs), strict=True):
        own = fewshot if model == FEWSHOT or FEWSHOT not in models else None
        load = partial(modelapi.load_model, model, checkpoint, fewshot=own, **options)
        name = model if checkpoint is None else f"{model} with {checkpoint.name}"
        candidates.append(Candidate(name, label, load))
    return candidates


def pixel_of(text: str | None) -> tuple[int, int] | None:
    """``--query 120,64`` as a pixel (x, y)."""
    if text is None:
        return None
    x, comma, y = (part.strip() for part in text.partition(","))
    if not (comma and x.isdecimal() and y.isdecimal()):
        raise InputError(f"--query {text!r}: give a pixel X,Y of the image, as in 120,64")
    return int(x), int(y)


def pairs_of(models: Sequence[str], checkpoints: Sequence[Path]) -> list[tuple[str, Path | None]]:
    """Each model with its checkpoint. InputError where their numbers don't fit."""
    if not checkpoints:
        pairs: list[tuple[str, Path | None]] = [(model, None) for model in models]
    elif len(models) == 1:
        pairs = [(models[0], checkpoint) for checkpoint in checkpoints]
    elif len(models) == len(checkpoints):
        pairs = list(zip(models, checkpoints, strict=True))
    else:
        raise InputError(
            f"{len(models)} --model and {len(checkpoints)} --checkpoint: give each model its "
            "checkpoint, in the same order, or several checkpoints to one model"
        )
    twice = next((pair for pair, count in Counter(pairs).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"--model {twice[0]} with --checkpoint {twice[1]} is given twice")
    return pairs


def labels_of(pairs: Sequence[tuple[str, Path | None]]) -> list[str]:
    """What each is called on figures: the model, or its checkpoint where models are alike, with the
    folder where these are called alike; nothing for one alone."""
    if len(pairs) == 1:
        return [""]
    files = [checkpoint.stem if checkpoint else model for model, checkpoint in pairs]
    whole = [str(checkpoint or model) for model, checkpoint in pairs]
    folders = [
        f"{checkpoint.parent.name}/{checkpoint.stem}" if checkpoint else model
        for model, checkpoint in pairs
    ]
    for names in ([model for model, _ in pairs], files, folders):
        if len(set(names)) == len(names):
            return names
    return whole
