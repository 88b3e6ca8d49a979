"""Models of other libraries and of the user's own files, by ``LIBRARY:NAME``.

A library is imported only when it is named. Nothing is fetched: weights come from a checkpoint, or
from the Hugging Face folder that is named. Files of the user's own are run, since they are theirs.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.errors import InputError, one_line
from fastcam.models.checkpoints import align_prefix
from fastcam.models.sizes import Sizes, plane_of
from fastcam.models.user_file import build_from_file
from fastcam.models.vit_checkpoint import SIGNATURE_KEYS, is_vit, positions_of

FORMS = ("timm:NAME", "torchvision:NAME", "hf:FOLDER", "monai:CLASS", "path/file.py:factory")
State = dict[str, Tensor] | None
_FILE = re.compile(r"(.+\.py):(\w+)")
_LIBRARIES = ("timm", "torchvision", "hf", "monai")


def is_external(name: str) -> bool:
    """Whether ``name`` is of one of ``FORMS``, not a built-in name."""
    return bool(_FILE.fullmatch(name)) or (name.partition(":")[0] in _LIBRARIES and ":" in name)


def build(name: str, state: State, sizes: Sizes) -> tuple[nn.Module, bool]:
    """The model, and whether its weights are random until a checkpoint is loaded.

    Not for ``hf:``, which loads its own. ``state`` is read for sizes only; the caller loads it.
    Raises InputError when the library is not installed or there is no such model in it.
    """
    if file := _FILE.fullmatch(name):
        return build_from_file(file[1], file[2], sizes, loads=state is not None)
    library, _, rest = name.partition(":")
    builder = {"timm": _timm, "torchvision": _torchvision, "monai": _monai}[library]
    with import_errors(library, library):
        return builder(rest, state, sizes), True


@contextmanager
def import_errors(library: str, extra: str) -> Iterator[None]:
    """Turns the errors of a library that can't be imported into one line with the remedy."""
    try:
        yield
    except (ImportError, RuntimeError) as error:
        chain = list(_chain(error))
        if any("torchvision::" in str(link) for link in chain):
            raise InputError(_torchvision_mismatch(library)) from error
        names = [link.name for link in chain if isinstance(link, ModuleNotFoundError)]
        missing = next((name.partition(".")[0] for name in reversed(names) if name), None)
        if missing is not None:
            needed = library if missing == library else f"{missing}, which {library} needs,"
            raise InputError(
                f"{needed} is not installed: pip install 'fastcam[{extra}]'"
            ) from error
        if not isinstance(error, ImportError):
            raise
        raise InputError(
            f"{library} can't be imported: {one_line(str(chain[-1])):.300}; install it again: "
            f"pip install --force-reinstall 'fastcam[{extra}]'"
        ) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _torchvision_mismatch(library: str) -> str:
    cuda = torch.version.cuda
    index = f"cu{cuda.replace('.', '')}" if cuda else "cpu"
    needs = "" if library == "torchvision" else f"{library} needs torchvision: "
    return (
        f"{needs}the torchvision that is installed was made for another build of PyTorch than "
        f"{torch.__version__}, and its operators can't be loaded; install the one that matches: "
        f"pip install --force-reinstall --no-deps torchvision --index-url "
        f"https://download.pytorch.org/whl/{index}"
    )


def _timm(name: str, state: State, sizes: Sizes) -> nn.Module:
    timm = importlib.import_module("timm")
    # A name with a colon or a slash would be looked up on a hub.
    if not re.fullmatch(r"[\w.]+", name) or not timm.is_model(name):
        raise InputError(_no_such("timm", name, timm.list_models()))
    options: dict[str, Any] = {}
    if sizes.num_classes is not None:
        options["num_classes"] = sizes.num_classes
    if sizes.in_channels is not None:
        options["in_chans"] = sizes.in_channels
    image_size = None if sizes.image_size is None else plane_of(sizes.image_size)
    if state is not None:
        state = align_prefix(state, SIGNATURE_KEYS)
        cfg = timm.get_pretrained_cfg(name)
        head = _rows(state, getattr(cfg, "classifier", None), 0)
        stem = _weight(state, getattr(cfg, "first_conv", None))
        # A linear layer (NaFlexViT) has as many columns as a patch has numbers.
        channels = stem.shape[1] if stem is not None and stem.ndim > 2 else None
        # A trunk saved without its classifier; the stem tells that the file is of this model.
        if head is None and (stem is not None or is_vit(state)):
            head = 0 if _has_none_of(state, getattr(cfg, "classifier", None)) else None
        options = {"num_classes": head, "in_chans": channels} | options
        options = {key: value for key, value in options.items() if value is not None}
    model = _timm_model(timm, name, options, image_size)
    if state is not None and image_size is None and is_vit(state):
        trained = _size_of_positions(state, model, f"timm:{name}")
        model = model if trained is None else _timm_model(timm, name, options, trained)
    return model


def _timm_model(
    timm: Any, name: str, options: dict[str, Any], image_size: tuple[int, int] | None
) -> nn.Module:
    size = {} if image_size is None else {"img_size": image_size}
    try:
        model: nn.Module = timm.create_model(name, pretrained=False, **options, **size)
    except TypeError as error:
        # Convolutional networks take images of any size, and no such argument.
        if not size or "img_size" not in str(error):
            raise
        model = timm.create_model(name, pretrained=False, **options)
    return model


def _size_of_positions(state: dict[str, Tensor], model: Any, source: str) -> tuple[int, int] | None:
    """The image size (h, w) that the positions in ``state`` are for, from that of ``model`` and its
    own; None where they are as many.

    Patches needn't be as large as their convolution: Hiera's overlap, and a hybrid's lie on the
    features of a CNN. InputError where the positions make no square grid.
    """
    own = model.state_dict()
    if not is_vit(own) or own["pos_embed"].shape[1] == state["pos_embed"].shape[1]:
        return None
    trained, usual = (positions_of(each, None, source).grid for each in (state, own))
    height, width = model.pretrained_cfg["input_size"][-2:]
    return trained[0] * height // usual[0], trained[1] * width // usual[1]


def _torchvision(name: str, state: State, sizes: Sizes) -> nn.Module:
    models = importlib.import_module("torchvision.models")
    if name not in models.list_models():
        raise InputError(_no_such("torchvision", name, models.list_models()))
    builder = models.get_model_builder(name)
    parameters = inspect.signature(builder).parameters
    # Some default to weights that would be fetched.
    no_weights = {key: None for key in ("weights", "weights_backbone") if key in parameters}
    options: dict[str, Any] = {}
    classes, channels = sizes.num_classes, sizes.in_channels
    image_size = sizes.image_size
    if state is not None:
        with torch.device("meta"):
            plain = builder(**no_weights)
        state = align_prefix(state, plain.state_dict().keys())
        # The last parameter is the classifier's, the first that of the convolution on the image.
        keys = [key for key, _ in plain.named_parameters()]
        classes = classes or _rows(state, _classifier(plain, keys), 0)
        channels = channels or _rows(state, _stem(plain)[0], 1)
        positions = state.get("encoder.pos_embedding")
        if image_size is None and positions is not None and "conv_proj.weight" in state:
            side = math.isqrt(positions.shape[1] - 1) * state["conv_proj.weight"].shape[2]
            image_size = (side, side)
    if classes is not None:
        options["num_classes"] = classes
    if image_size is not None and name.startswith("vit_"):
        if len(set(plane_of(image_size))) > 1:
            raise InputError(f"torchvision:{name} takes square images only, not {image_size}")
        options["image_size"] = image_size[0]
    model: nn.Module = builder(**no_weights, **options)
    return model if channels is None else _with_channels(model, channels)


def _classifier(model: nn.Module, keys: Sequence[str]) -> str | None:
    """The module whose rows are the classes; None of a detector in which they are multiplied with
    its anchors. ``keys``: names of the parameters."""
    if not hasattr(getattr(model, "transform", None), "image_mean"):
        return keys[-1].rpartition(".")[0]
    own = "roi_heads.box_predictor.cls_score"
    return own if f"{own}.weight" in keys else None


def _monai(text: str, state: State, sizes: Sizes) -> nn.Module:
    nets = importlib.import_module("monai.networks.nets")
    name, _, query = text.partition("?")
    networks = {
        key: value
        for key, value in vars(nets).items()
        if inspect.isclass(value) and issubclass(value, nn.Module)
    }
    if name not in networks:
        raise InputError(_no_such("monai", name, networks))
    options = _arguments(text, query)
    parameters = inspect.signature(networks[name]).parameters
    if options.get("pretrained"):
        raise InputError(f"monai:{text}: pretrained weights would be fetched; give --checkpoint")
    outputs = "num_classes" if "num_classes" in parameters else "out_channels"
    for key, value in ((outputs, sizes.num_classes), ("in_channels", sizes.in_channels)):
        if value is not None and key in parameters:
            options.setdefault(key, value)
    try:
        model: nn.Module = networks[name](**options)
    except (TypeError, ValueError, AssertionError, KeyError) as error:
        raise InputError(
            f"monai:{text}: {name} refuses these arguments: {one_line(str(error)):.200}; it takes "
            f"{', '.join(parameters)}"
        ) from error
    return model


def _arguments(text: str, query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        if not (key.isidentifier() and equals):
            raise InputError(f"monai:{text}: {part!r} is not of the form argument=value")
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            # A bare word is a text: spatial_dims=3&norm=batch.
            if not re.fullmatch(r"[A-Za-z_]\w*", value):
                raise InputError(
                    f"monai:{text}: the value of {key} is no Python number, text, list or tuple"
                ) from None
            options[key] = value
    return options


def _rows(state: dict[str, Tensor], module: object, axis: int) -> int | None:
    """The size of a layer's weight along ``axis``, where the state dict has the layer."""
    weight = _weight(state, module)
    return None if weight is None or weight.ndim <= axis else weight.shape[axis]


def _weight(state: dict[str, Tensor], module: object) -> Tensor | None:
    """A layer's weight, of several the first one's, where the state dict has it."""
    names = module if isinstance(module, tuple | list) else [module]
    return state.get(f"{names[0]}.weight")


def _has_none_of(state: dict[str, Tensor], modules: object) -> bool:
    """Whether the state dict has no tensor of ``modules``, a name or several; False for no name."""
    names = modules if isinstance(modules, tuple | list) else [modules]
    prefixes = tuple(f"{name}." for name in names if isinstance(name, str))
    return bool(prefixes) and not any(key.startswith(prefixes) for key in state)


def _stem(model: nn.Module) -> tuple[str, nn.Conv2d | None]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            return name, module
    return "", None


def _with_channels(model: nn.Module, channels: int) -> nn.Module:
    """``model`` with a new first convolution, for images of so many channels."""
    name, old = _stem(model)
    if old is None or old.in_channels == channels:
        return model
    kind: Callable[..., nn.Conv2d] = type(old)
    new = kind(
        channels,
        old.out_channels,
        old.kernel_size,
        stride=old.stride,
        padding=old.padding,
        dilation=old.dilation,
        bias=old.bias is not None,
    )
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)
    return model


def _no_such(library: str, name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=3)
    offer = f"did you mean {' or '.join(near)}?" if near else f"see the list of models of {library}"
    return f"{library} has no model {name!r}: {offer}"
