"""Values of options parsed: numbers, names, pixels, layers, and models with their checkpoints.

An ``InputError`` names the option and the text that can't be parsed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fastcam.errors import InputError
from fastcam.storage.locations import as_path

if TYPE_CHECKING:
    from fastcam.jobs.explain.request import ModelChoice
    from fastcam.models.fewshot.build import FewshotOptions


def parse_size(text: str | None) -> int | tuple[int, ...] | None:
    """``224`` or ``224x320`` or ``32x96x96`` as whole numbers, height before width; one for all."""
    if text is None:
        return None
    parts = re.split(r"[x×,]", text.strip().lower())
    if not all(part.isdecimal() and int(part) > 0 for part in parts) or len(parts) > 3:
        raise InputError(f"--image-size {text!r}: give N, HxW or DxHxW, as in 224 or 32x96x96")
    sizes = tuple(map(int, parts))
    return sizes[0] if len(sizes) == 1 else sizes


def parse_numbers(
    option: str, text: str | None, example: str = "0.485,0.456,0.406"
) -> tuple[float, ...] | None:
    """``0.5,0.5,0.5`` as numbers; an error shows the ``example``."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--{option} {text!r}: give numbers with commas between, as in {example}"
        ) from error


def parse_panels(text: str | None) -> Any:
    """``--panels`` as names; empty where it isn't given. The style checks them."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def parse_names(text: str | None, option: str = "class-names") -> tuple[str, ...]:
    """``--class-names A,B``, or another ``option``, as names."""
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if "" in names or len(set(names)) < len(names):
        raise InputError(f"--{option} {text!r}: give different names with commas between")
    return names


def parse_patients(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Names of cases; ``@FILE`` stands for those in a file, a line each. InputError where it can't
    be read, or has none."""
    names: list[str] = []
    for text in texts or ():
        if not text.startswith("@"):
            names.append(text)
            continue
        from fastcam.read.inputs.tables import read_text

        try:
            listed = [line.strip() for line in read_text(as_path(text[1:])).splitlines()]
        except InputError as error:
            raise InputError(f"--patient {text}: {error}") from error
        if not any(listed):
            raise InputError(f"--patient {text}: the file has no name; give one a line")
        names += filter(None, listed)
    return tuple(dict.fromkeys(names))


def parse_marks(text: str) -> tuple[str, ...]:
    """``--marks good,artefact`` as names."""
    return tuple(mark.strip() for mark in text.split(","))


def parse_classes(texts: Sequence[str] | None) -> tuple[int | str, ...] | Literal["label"]:
    """Class numbers of ``--target``, and ``seg:...``, ``box:...`` and ``text:...`` as they are.

    None for the predicted class, "label" for the table's.
    """
    if list(texts or ()) == ["label"]:
        return "label"
    classes: list[int | str] = []
    for text in texts or ():
        if text.strip().startswith(("seg:", "box:", "text:")):
            classes.append(text.strip())
            continue
        for part in text.split(","):
            if part.strip() == "predicted":
                continue
            if not part.strip().isdecimal():
                raise InputError(
                    f"--target {text!r}: give a class number, predicted, or label alone"
                )
            classes.append(int(part))
    return tuple(classes)


def parse_layer_numbers(text: str | None) -> tuple[int, ...] | None:
    """``0,3,6,11`` as whole numbers; negative ones count from the end."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise InputError(
            f"--layers {text!r}: give numbers of layers with commas between, as in 0,3,6,11"
        )
    return tuple(map(int, parts))


def split_methods(texts: Sequence[str] | None) -> list[str]:
    """Methods one by one; several may stand with commas between.

    >>> split_methods(["gradcam,legrad", "rollout"])
    ['gradcam', 'legrad', 'rollout']
    """
    methods = []
    for text in texts or ():
        names = [name.strip() for name in text.split(",")]
        if not all(names):
            raise InputError(
                f"--method {text!r}: a name is missing; give names with commas between"
            )
        methods += names
    return methods


def split_layers(texts: Sequence[str] | None) -> list[str]:
    """Layers one by one; a ``METHOD=`` holds for those after it with commas between.

    >>> split_layers(["layer3,layer4", "attention=0,-1"])
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


def parse_pixel(text: str | None) -> tuple[int, int] | None:
    """``--query 120,64`` as a pixel (x, y)."""
    if text is None:
        return None
    x, comma, y = (part.strip() for part in text.partition(","))
    if not (comma and x.isdecimal() and y.isdecimal()):
        raise InputError(f"--query {text!r}: give a pixel X,Y of the image, as in 120,64")
    return int(x), int(y)


def parse_query(text: str | None) -> int | tuple[int, int] | None:
    """``120,64`` as a pixel (x, y), ``87`` as a patch's number."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 2 or not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise InputError(
            f"--query {text!r}: give a pixel X,Y of the image, or a patch's number, as in 120,64 "
            "or 87"
        )
    numbers = tuple(map(int, parts))
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def parse_support(texts: Sequence[str] | None) -> dict[str, list[Path]]:
    """``--support``: images, or folders of them, by class; without CLASS= it is "support"."""
    examples: dict[str, list[Path]] = {}
    for text in texts or ():
        name, sign, path = text.partition("=")
        if not sign or as_path(text).exists():
            name, path = "support", text
        if not name.strip() or not path.strip():
            raise InputError(f"--support {text!r}: give IMAGE or CLASS=IMAGE, as in benign=a.png")
        examples.setdefault(name.strip(), []).append(as_path(path))
    return examples


def pair_models(
    models: Sequence[str], checkpoints: Sequence[Path]
) -> list[tuple[str, Path | None]]:
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


def model_choices(
    models: Sequence[str],
    checkpoints: Sequence[Path],
    *,
    fewshot: FewshotOptions | None,
    **options: Any,
) -> list[ModelChoice]:
    """The models, to be loaded later with ``options`` of :func:`fastcam.load_model`.

    ``fewshot`` goes to those that it is for, or to all where it is for none, to be refused.
    """
    from fastcam.api.models import load_model
    from fastcam.jobs.explain.request import ModelChoice, model_labels
    from fastcam.models.registry import FEWSHOT

    pairs = pair_models(models, checkpoints)
    choices = []
    for (model, checkpoint), label in zip(pairs, model_labels(pairs), strict=True):
        own = fewshot if model == FEWSHOT or FEWSHOT not in models else None
        load = partial(load_model, model, checkpoint, fewshot=own, **options)
        name = model if checkpoint is None else f"{model} with {checkpoint.name}"
        choices.append(ModelChoice(name, label, load))
    return choices
