"""fastcam: see what a vision model looked at, for a whole test set.

The functions of the public interface are imported when they are first used, so that
``import fastcam`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastcam.analyzing import Analyzer as Analyzer
    from fastcam.api import export as export
    from fastcam.api import gallery as gallery
    from fastcam.api import render as render
    from fastcam.errors import CaseError as CaseError
    from fastcam.errors import FastcamError as FastcamError
    from fastcam.errors import InputError as InputError
    from fastcam.errors import OutputError as OutputError
    from fastcam.evaluating import evaluate as evaluate
    from fastcam.explaining.comparison import compare as compare
    from fastcam.modelapi import explain as explain
    from fastcam.modelapi import infer as infer
    from fastcam.modelapi import load_model as load_model
    from fastcam.openstore import open_store as open_store

__version__ = "0.1.0"

_HOMES = {
    "Analyzer": "fastcam.analyzing",
    "export": "fastcam.api",
    "gallery": "fastcam.api",
    "evaluate": "fastcam.evaluating",
    "compare": "fastcam.explaining.comparison",
    "explain": "fastcam.modelapi",
    "infer": "fastcam.modelapi",
    "load_model": "fastcam.modelapi",
    "render": "fastcam.api",
    "open_store": "fastcam.openstore",
    "FastcamError": "fastcam.errors",
    "InputError": "fastcam.errors",
    "CaseError": "fastcam.errors",
    "OutputError": "fastcam.errors",
}

__all__ = [
    "Analyzer",
    "CaseError",
    "FastcamError",
    "InputError",
    "OutputError",
    "__version__",
    "evaluate",
    "explain",
    "export",
    "gallery",
    "infer",
    "load_model",
    "open_store",
    "render",
]


def __getattr__(name: str) -> Any:
    if name == "views":
        return importlib.import_module("fastcam.views")
    if name not in _HOMES:
        raise AttributeError(f"module 'fastcam' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
