"""A model from a Python file of the user's own, which is run like any program of theirs."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import inspect
import io
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from fastcam.errors import InputError, one_line
from fastcam.models.model_files import module_of
from fastcam.models.sizes import Sizes
from fastcam.read.regular_files import check_regular
from fastcam.storage.locations import is_url

# Any but the one that models are built with.
_OTHER_SEED = 1


def build_from_file(file: str, factory: str, sizes: Sizes, loads: bool) -> tuple[nn.Module, bool]:
    """What ``factory()`` of ``file`` returns, and whether its weights are random; the file may
    import its neighbors.

    Nobody says whether a factory loads weights. Where nothing ``loads`` them afterwards it is
    called a second time, with other random numbers: they are random if no weight is the same then.

    ``num_classes``, ``in_channels`` and ``image_size`` are its arguments where ``sizes`` has them
    and the factory takes them. Raises InputError when there is no such file or function, its code
    fails, it needs an argument that ``sizes`` hasn't, ``sizes`` has ``num_classes`` or
    ``in_channels`` that it doesn't take, or it returns something other than a module.
    """
    if is_url(file):
        raise InputError(f"{file}: code is run from files of this machine only; copy it here")
    path = Path(file)
    check_regular(path)
    if not path.is_file():
        raise InputError(f"{path}: no such Python file; --model takes path/to/file.py:factory")
    label = f"{path}:{factory}"
    folder = path.resolve().parent
    with _neighbours(folder), _own_errors(label, folder):
        module = _run(path)
    try:
        model = vars(module)[factory]
    except KeyError as error:
        raise InputError(_no_such(path, factory, module)) from error
    if isinstance(model, nn.Module | torch.export.ExportedProgram):
        return module_of(model), False
    if not callable(model):
        raise InputError(f"{label}: is a {type(model).__name__}, not a function")
    make = partial(model, **_options(label, model, sizes))
    with _neighbours(folder), _own_errors(label, folder):
        made = make()
    if not isinstance(made, nn.Module | torch.export.ExportedProgram):
        raise InputError(f"{label}: returns a {type(made).__name__}, not a torch.nn.Module")
    built = module_of(made)
    if loads or not isinstance(made, nn.Module):
        return built, False
    with _neighbours(folder):
        return built, _is_random(built, make)


def _is_random(built: nn.Module, make: Callable[[], Any]) -> bool:
    """Whether ``make`` gives other weights with other random numbers."""
    silent = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with torch.random.fork_rng(devices=[]), silent[0], silent[1], warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(_OTHER_SEED)
        try:
            again = make()
        except Exception:  # noqa: BLE001
            # The user's own code may raise anything; one that can't be called twice has loaded
            # something, as far as anybody knows.
            return False
    if not isinstance(again, nn.Module):
        return False
    others = again.state_dict()
    # Of a norm all weights are 1, and all biases 0, whether or not they are random.
    drawn = [
        (name, weight)
        for name, weight in built.state_dict().items()
        if isinstance(weight, torch.Tensor)
        and weight.is_floating_point()
        and not _is_constant(weight)
    ]
    return bool(drawn) and not any(
        name in others and torch.equal(weight, others[name]) for name, weight in drawn
    )


def _is_constant(weight: torch.Tensor) -> bool:
    return is_lazy(weight) or weight.numel() == 0 or bool((weight == weight.flatten()[0]).all())


def _run(path: Path) -> ModuleType:
    # In sys.modules while it runs, since dataclasses and pickles look there; a name of its own, so
    # that it is nobody else's module.
    name = f"fastcam_user_file_{abs(hash(path.resolve())):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _options(label: str, factory: Callable[..., Any], sizes: Sizes) -> dict[str, Any]:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return {}
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments = {
        key: value
        for key, value in vars(sizes).items()
        if value is not None and (takes_all or key in parameters or key != "image_size")
    }
    for key in arguments:
        if not (takes_all or key in parameters):
            raise InputError(
                f"{label}: takes no {key}; leave --{key.replace('_', '-')} out, or give the "
                "function such a parameter"
            )
    if needed := [key for key in _needed(parameters.values()) if key not in arguments]:
        known = all(key in vars(sizes) for key in needed)
        remedy = (
            f"give {' and '.join('--' + key.replace('_', '-') for key in needed)}"
            if known
            else f"only {', '.join(vars(sizes))} can be given; the others must have defaults"
        )
        raise InputError(f"{label}: needs {', '.join(needed)}; {remedy}")
    return arguments


def _needed(parameters: Iterable[inspect.Parameter]) -> list[str]:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variable]


def _no_such(path: Path, factory: str, module: ModuleType) -> str:
    own = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]
    offer = difflib.get_close_matches(factory, own, n=3) or own[:5]
    content = f"it has {', '.join(offer)}" if offer else "it defines no function or class"
    return f"{path}: has no function {factory!r}; {content}"


@contextmanager
def _neighbours(folder: Path) -> Iterator[None]:
    """The folder on the search path, as when Python runs a file of it."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextmanager
def _own_errors(label: str, folder: Path) -> Iterator[None]:
    # The user's own code may raise anything, and mostly does so in a library that it calls: the
    # line that helps is the last one in the user's folder.
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        file, line = _place(error, folder)
        cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise InputError(
            f"{label}: fails at {Path(file).name}, line {line}: {one_line(cause):.300}"
        ) from error


def _place(error: Exception, folder: Path) -> tuple[str, int | None]:
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == folder]
    last = (own or frames)[-1]
    return last.filename, last.lineno
