"""fastcam: see what a vision model looked at, for a whole test set.

The functions of the public interface are imported when they are first used, so that
``import fastcam`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastcam._version import __version__

if TYPE_CHECKING:
    from fastcam.api.analyze import Analyzer as Analyzer
    from fastcam.api.evaluate import evaluate as evaluate
    from fastcam.api.explain import explain as explain
    from fastcam.api.export import export as export
    from fastcam.api.infer import infer as infer
    from fastcam.api.models import load_model as load_model
    from fastcam.api.render import gallery as gallery
    from fastcam.api.render import render as render
    from fastcam.api.status import status as status
    from fastcam.api.view import picture as picture
    from fastcam.api.view import review as review
    from fastcam.api.view import view as view
    from fastcam.attribution.method_settings import MethodSettings as MethodSettings
    from fastcam.attribution.window_plan import WindowPlan as WindowPlan
    from fastcam.errors import CaseError as CaseError
    from fastcam.errors import FastcamError as FastcamError
    from fastcam.errors import InputError as InputError
    from fastcam.errors import OutputError as OutputError
    from fastcam.jobs.explain.comparison import compare as compare
    from fastcam.store.open import open_store as open_store

_HOMES = {
    "Analyzer": "fastcam.api.analyze",
    "export": "fastcam.api.export",
    "gallery": "fastcam.api.render",
    "evaluate": "fastcam.api.evaluate",
    "compare": "fastcam.jobs.explain.comparison",
    "explain": "fastcam.api.explain",
    "infer": "fastcam.api.infer",
    "load_model": "fastcam.api.models",
    "picture": "fastcam.api.view",
    "review": "fastcam.api.view",
    "render": "fastcam.api.render",
    "status": "fastcam.api.status",
    "view": "fastcam.api.view",
    "open_store": "fastcam.store.open",
    "FastcamError": "fastcam.errors",
    "MethodSettings": "fastcam.attribution.method_settings",
    "WindowPlan": "fastcam.attribution.window_plan",
    "InputError": "fastcam.errors",
    "CaseError": "fastcam.errors",
    "OutputError": "fastcam.errors",
}

__all__ = [
    "Analyzer",
    "CaseError",
    "FastcamError",
    "InputError",
    "MethodSettings",
    "OutputError",
    "WindowPlan",
    "__version__",
    "compare",
    "evaluate",
    "explain",
    "export",
    "gallery",
    "infer",
    "load_model",
    "open_store",
    "picture",
    "render",
    "review",
    "status",
    "view",
    "views",
]


def __getattr__(name: str) -> Any:
    if name == "views":
        return importlib.import_module("fastcam.views")
    if name not in _HOMES:
        raise AttributeError(f"module 'fastcam' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
