"""What a page needs to know of a room before a case is opened, as plain values."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

from fastcam_kernels import colormap

from fastcam.jobs.view.run import ViewRun
from fastcam.options import COLORMAPS, Sources, Style


def run_facts(run: ViewRun) -> dict[str, Any]:
    """A run's name, maps and folders, and what is odd about it."""
    return {
        "name": run.name,
        "kind": run.kind,
        "maps": [vars(facts) for facts in run.maps],
        "notes": list(run.notes),
        "path": str(run.path),
        "sources": _source_options(run.sources),
    }


def color_tables() -> dict[str, str]:
    """The 256 RGB entries of each color table, as base64."""
    return {name: base64.b64encode(colormap.table(name).tobytes()).decode() for name in COLORMAPS}


def look_fields(style: Style) -> dict[str, Any]:
    """A style by the names that addresses have for its parts."""
    return {
        "colormap": style.colormap,
        "alpha": style.heat_alpha,
        "blend": style.blend,
        "scale": style.scale,
        "top": style.top_k,
        "size": style.panel_size,
    }


def _source_options(sources: Sources) -> dict[str, str]:
    """The options of sources that differ from the usual ones."""
    usual, own = asdict(Sources()), asdict(sources)
    return {name: str(value) for name, value in own.items() if value != usual[name]}
