"""Hugging Face models out of a local folder, without a network."""

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
from fastcam.models.checkpoints import (
    LoadReport,
    align_prefix,
    check_finite,
    check_report,
    mismatch,
    read_weights,
)
from fastcam.models.patch_inputs import take_images
from fastcam.models.sizes import Sizes, plane_of
from fastcam.read.regular_files import check_regular


def load_huggingface(
    folder: str,
    state: dict[str, Tensor] | None,
    source: str,
    sizes: Sizes,
    allow_partial: bool,
) -> tuple[nn.Module, LoadReport]:
    """The model of ``folder``, in float32, with its weights, and what of them did not fit.

    The weights are those of ``state``, read from ``source``, or else those in the folder.
    transformers only puts them where they belong (names in its files are not those of its modules);
    it reads no file but the config, and no code of the folder is run. Raises InputError when that
    fails.
    """
    path = Path(folder)
    architectures = _architectures(path)
    transformers = importlib.import_module("transformers")
    if state is None:
        state, source = _own_weights(path), folder
    try:
        with _quietly(transformers):
            config = transformers.AutoConfig.from_pretrained(
                path, local_files_only=True, trust_remote_code=False
            )
            _resize(config, state, sizes)
            empty = _empty_model(transformers, config, architectures)
            state = align_prefix(state, empty.state_dict().keys())
            model, loading_info = type(empty).from_pretrained(
                None,
                config=config,
                state_dict=dict(state),
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if "torchvision::" in str(error):
            raise
        raise InputError(
            f"{path}: transformers can't make a model of it: {one_line(str(error)):.300}"
        ) from error
    report = LoadReport(
        missing=tuple(sorted(loading_info["missing_keys"])),
        unexpected=tuple(sorted(loading_info["unexpected_keys"])),
        mismatched=tuple(sorted(mismatch(*entry) for entry in loading_info["mismatched_keys"])),
    )
    check_report(report, list(model.state_dict()), state, source, allow_partial)
    check_finite(state.items(), source)
    # Where preprocessing_of() finds the folder again.
    model.config._name_or_path = str(path)
    loaded: nn.Module = model
    take_images(loaded)
    return loaded, report


def _own_weights(path: Path) -> dict[str, Tensor]:
    patterns = (
        "model.safetensors",
        "model-*.safetensors",
        "pytorch_model.bin",
        "pytorch_model-*.bin",
    )
    files = next((files for pattern in patterns if (files := sorted(path.glob(pattern)))), None)
    if files is None:
        raise InputError(
            f"{path}: has a config.json but no weights (model.safetensors or pytorch_model.bin); "
            "give --checkpoint"
        )
    return {key: tensor for file in files for key, tensor in read_weights(file).items()}


def _architectures(path: Path) -> list[str]:
    file = path / "config.json"
    for part in path.glob("*"):
        check_regular(part)
    try:
        names = json.loads(file.read_text(encoding="utf-8")).get("architectures") or []
        return [str(name) for name in names]
    except OSError as error:
        raise InputError(
            f"{path}: is not a local Hugging Face folder (no readable config.json in it); save the "
            "model there with save_pretrained(), since nothing is fetched from the hub"
        ) from error
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{file}: is not the config of a Hugging Face model: {error}") from error


def _empty_model(transformers: Any, config: Any, architectures: list[str]) -> Any:
    """The model that the folder was saved from, its weights still to come: of the class that the
    config names, or, of a class that transformers hasn't, what it takes for such a config."""
    for name in architectures:
        named: Any = getattr(transformers, name, None) if name.isidentifier() else None
        if (
            isinstance(named, type)
            and issubclass(named, transformers.PreTrainedModel)
            and getattr(named, "config_class", None) is type(config)
        ):
            model_class: Any = named
            return model_class._from_config(config)
    classifier = any(name.endswith("ForImageClassification") for name in architectures)
    auto = transformers.AutoModelForImageClassification if classifier else transformers.AutoModel
    return auto.from_config(config, trust_remote_code=False)


def _resize(config: Any, state: dict[str, Tensor], sizes: Sizes) -> None:
    head = next((v for k, v in state.items() if k.endswith("classifier.weight")), None)
    classes = sizes.num_classes or (None if head is None else head.shape[0])
    if classes is not None and classes != config.num_labels:
        config.num_labels = classes
    if sizes.in_channels is not None:
        config.num_channels = sizes.in_channels
    if sizes.image_size is not None and hasattr(config, "image_size"):
        height, width = plane_of(sizes.image_size)
        config.image_size = height if height == width else [height, width]


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """Without transformers' own progress bar and report; errors take their place."""
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
