"""Which cases of a run were predicted right, without its images."""

from __future__ import annotations

from pathlib import Path

from fastcam.errors import InputError
from fastcam.jobs.view.open_runs import run_content
from fastcam.store.map_rows import MapCase
from fastcam.store.maps import MapStore


def verdicts_of(run: Path) -> dict[str, bool | None]:
    """By case whether the prediction is right; None where that is not known. InputError where
    ``run`` is none."""
    content = run_content(run)
    if isinstance(content, MapStore):
        return {header.id: MapCase(header).right for header in content.headers}
    return {case.name: case.correct for case in content.cases}


def find_verdicts(folder: Path) -> dict[str, bool | None] | None:
    """Those of the run whose judgements lie in ``folder``, or in a file in it; None where no run
    is there, or several are."""
    home = folder.parent if folder.is_file() else folder
    stores = [home] if (home / "run.json").exists() else sorted(home.glob("*.zarr"))
    if not stores:
        stores = [path for suffix in ("pkl", "npz", "json") for path in home.glob(f"*.{suffix}")]
    if len(stores) != 1:
        return None
    try:
        return verdicts_of(stores[0])
    except InputError:
        return None
