"""Where NiiVue is, which shows volumes in 3-D: in the package ipyniivue, if that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def niivue_script() -> Path | None:
    """NiiVue's script in the package ipyniivue; None where that is not installed.

    The package itself is not imported: it would load the widgets of notebooks.
    """
    found = find_spec("ipyniivue")
    folders = found.submodule_search_locations if found is not None else None
    for folder in folders or ():
        script = Path(folder) / "static" / "widget.js"
        if script.is_file():
            return script
    return None
