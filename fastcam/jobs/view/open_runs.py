"""Opening what was given as RUN: a run store, a results file, or the output folder of a job."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.jobs.view.map_run import MapRun
from fastcam.jobs.view.patch_run import PatchRun
from fastcam.jobs.view.request import ViewRequest
from fastcam.jobs.view.run import ViewRun
from fastcam.options import Sources, Style
from fastcam.read.regular_files import check_regular
from fastcam.read.results.results import Results, read_results
from fastcam.run.folder import RUN, STORE
from fastcam.storage.locations import as_path, under
from fastcam.store.map_rows import compared_texts
from fastcam.store.maps import MapStore
from fastcam.store.open import open_store
from fastcam.store.patches import RunStore

_PATHS = ("root_dir", "mask_dir", "font")
# Of the settings of a folder those that a room may begin with.
_LOOK = (
    *("colormap", "heat_alpha", "blend", "scale", "top_k", "panel_size", "style", "class_names"),
)


def open_runs(request: ViewRequest) -> tuple[ViewRun, ...]:
    """Every run of a request, under different names. InputError where one can't be opened."""
    request.check_runs()
    names = request.names or _names(request.runs)
    if len(set(names)) < len(names):
        raise InputError(f"--name: {', '.join(names)}: give different names")
    return tuple(
        _open_run(path, name, request) for path, name in zip(request.runs, names, strict=True)
    )


def run_content(path: Path) -> RunStore | MapStore | Results:
    """The store or results of a RUN, without its images. InputError where it is none."""
    if path.is_dir() and not (path / "zarr.json").exists():
        path, _ = _of_folder(path)
    return open_store(path) if path.is_dir() else read_results(path)


def _open_run(path: Path, name: str, request: ViewRequest) -> ViewRun:
    content, sources = path, request.sources
    settings: dict[str, Any] = {}
    if path.is_dir() and not (path / "zarr.json").exists():
        content, settings = _of_folder(path)
        sources = _joined_sources(sources, settings)
    style = _style_of(settings)
    class_names = request.style.class_names or (style or Style()).class_names
    trusted = request.trust_inputs
    if not content.is_dir():
        return PatchRun(name, path, read_results(content), sources, style, class_names)
    store = open_store(content)
    if not isinstance(store, MapStore):
        return PatchRun(name, path, store, sources, style, class_names, trusted)
    if sources.root_dir is not None:
        if not sources.root_dir.is_dir():
            raise InputError(f"--root-dir {sources.root_dir}: is not a folder")
        store = MapStore.open(content, sources.root_dir)
    class_names = class_names or compared_texts(store)
    return MapRun(name, path, store, sources, style, class_names, trusted)


def _of_folder(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The run store of an output folder, and the settings that its figures were drawn with."""
    file, store = folder / RUN, folder / STORE
    settings: dict[str, Any] = {}
    if file.exists():
        check_regular(file)
        try:
            run = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{file}: is not a run's description: {error}") from error
        if isinstance(run, dict):
            store_name, run_settings = run.get("store"), run.get("settings")
            store = under(folder, store_name) if isinstance(store_name, str) else store
            settings = run_settings if isinstance(run_settings, dict) else {}
    if not store.exists():
        raise InputError(
            f"{folder}: holds no run store; give a run store (.zarr), a results file, or the "
            "--output-dir of a `fastcam render` or `fastcam infer`"
        )
    return store, settings


def _joined_sources(sources: Sources, settings: Mapping[str, Any]) -> Sources:
    """Sources as given, and where nothing was given as the folder's settings have them."""
    usual = Sources()
    changes: dict[str, Any] = {}
    for field in fields(Sources):
        value = settings.get(field.name)
        if value is None or getattr(sources, field.name) != getattr(usual, field.name):
            continue
        changes[field.name] = as_path(str(value)) if field.name in _PATHS else value
    return replace(sources, **changes)


def _style_of(settings: Mapping[str, Any]) -> Style | None:
    """The look that a folder's figures have; None where it says nothing that can be used."""
    look = {name: settings[name] for name in _LOOK if name in settings}
    try:
        return Style(**(look | {"class_names": tuple(look.get("class_names") or ())}))
    except (InputError, TypeError):
        return None


def _names(paths: Sequence[Path]) -> tuple[str, ...]:
    """A name for each run: its file's, with the folder where two are called alike."""
    stems = [_stem(path) for path in paths]
    counts = Counter(stems)
    names = [
        stem if counts[stem] == 1 else f"{path.resolve().parent.name}/{stem}"
        for path, stem in zip(paths, stems, strict=True)
    ]
    if len(set(names)) < len(names):
        names = [f"{number} {name}" for number, name in enumerate(names, 1)]
    return tuple(names)


def _stem(path: Path) -> str:
    """``run`` of ``.../out/run.zarr`` says nothing: the folder's name then."""
    resolved = path.resolve()
    if resolved.name == STORE:
        return resolved.parent.name
    return resolved.stem if resolved.is_file() or resolved.suffix == ".zarr" else resolved.name
