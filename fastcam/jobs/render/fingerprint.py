"""What changes a picture: by it a rerun into the same folder is recognized as the same job."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastcam.options import Sources, Style


def style_fingerprint(results_sha256: str, sources: Sources, style: Style) -> dict[str, Any]:
    """All that decides how a figure looks, by option name: the results, the sources, the style.

    Selection, number of workers and output folder are left out on purpose: the first ten cases
    today and the rest tomorrow are one job.
    """
    settings = {**asdict(sources), **asdict(style)}
    settings["root_dir"] = sources.root_dir and sources.root_dir.resolve()
    settings["mask_dir"] = sources.mask_dir and sources.mask_dir.resolve()
    settings["class_names"] = list(style.class_names) or None
    settings["window"] = sources.window and list(sources.window)
    settings["panels"] = list(style.panels) or None
    settings["font_scale"] = None if style.font_scale == 1.0 else style.font_scale
    optional = ("volume", "show_channel", "window", "class_names")
    for name in (*optional, "panels", "font_scale", "width_mm", "dpi"):
        if settings[name] is None:
            del settings[name]  # as in the records of folders from before there was a choice
    return {"results": results_sha256[:16], **settings}
