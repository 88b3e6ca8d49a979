"""Hugging Face models out of a local folder; the network is never asked."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.errors import InputError, one_line
from fastcam.models.checkpoints import LoadReport, check_finite
from fastcam.models.sizes import Sizes, plane_of

_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


def build_huggingface(
    folder: str, state: dict[str, Tensor] | None, sizes: Sizes, allow_partial: bool
) -> tuple[nn.Module, bool]:
    """The model of ``folder``, in float32, and whether its weights are random.

    With ``state`` the folder's own weights are left alone: the model is made from its config in the
    checkpoint's sizes. Otherwise they are loaded, whole unless ``allow_partial``; safetensors or
    ``weights_only=True``, and no code of the folder is run. Raises InputError when that fails.
    """
    path = Path(folder)
    architectures = _architectures(path)
    transformers = importlib.import_module("transformers")
    weights = [file for pattern in _WEIGHTS for file in sorted(path.glob(pattern))]
    if not weights and state is None:
        raise InputError(
            f"{path}: has a config.json but no weights (model.safetensors or pytorch_model.bin); "
            "give --checkpoint"
        )
    classifier = any(name.endswith("ForImageClassification") for name in architectures)
    auto = transformers.AutoModelForImageClassification if classifier else transformers.AutoModel
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(path, **local)
        _resize(config, state, sizes)
        if state is not None:
            made: nn.Module = auto.from_config(config, trust_remote_code=False, dtype=torch.float32)
            return made, True
        with _quietly(transformers):
            model, said = auto.from_pretrained(
                path,
                config=config,
                dtype=torch.float32,
                use_safetensors=weights[0].suffix == ".safetensors",
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **local,
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if "torchvision::" in str(error):
            raise
        raise InputError(
            f"{path}: transformers can't load it: {one_line(str(error)):.300}"
        ) from error
    _check(path, model, said, allow_partial)
    loaded: nn.Module = model
    return loaded, False


def _architectures(path: Path) -> list[str]:
    file = path / "config.json"
    try:
        names = json.loads(file.read_text(encoding="utf-8")).get("architectures") or []
        return [str(name) for name in names]
    except OSError as error:
        raise InputError(
            f"{path}: is no local Hugging Face folder (no readable config.json in it); save the "
            "model there with save_pretrained(), since nothing is fetched from the hub"
        ) from error
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{file}: is no config of a Hugging Face model: {error}") from error


def _resize(config: Any, state: dict[str, Tensor] | None, sizes: Sizes) -> None:
    head = None if state is None else state.get("classifier.weight")
    classes = sizes.num_classes or (None if head is None else head.shape[0])
    if classes is not None and classes != config.num_labels:
        config.num_labels = classes
    if sizes.in_channels is not None:
        config.num_channels = sizes.in_channels
    if sizes.image_size is not None and hasattr(config, "image_size"):
        height, width = plane_of(sizes.image_size)
        config.image_size = height if height == width else [height, width]


def _check(path: Path, model: nn.Module, said: dict[str, Any], allow_partial: bool) -> None:
    report = LoadReport(
        missing=tuple(sorted(said["missing_keys"])),
        unexpected=tuple(sorted(said["unexpected_keys"])),
        mismatched=tuple(sorted(str(entry[0]) for entry in said["mismatched_keys"])),
    )
    if not (report.complete or allow_partial):
        raise InputError(
            f"{path}: its weights don't fit its config: {report}. Save the model anew, or "
            "--allow-partial to load what fits"
        )
    check_finite(model.state_dict().items(), path)


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """Without transformers' own progress bar and report, which are given as errors instead."""
    logging = transformers.utils.logging
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
