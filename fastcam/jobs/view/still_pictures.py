"""Cases of the room as HTML without scripts and without a server, for notebooks."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape

from fastcam.errors import CaseError
from fastcam.figures.buffers import Buffers
from fastcam.jobs.view.case_figures import case_figures
from fastcam.jobs.view.query import parse_picture
from fastcam.jobs.view.room import Room

MOST_CASES = 12
_STYLE = "max-width:100%;height:auto;display:block;margin:.2em 0 1em"


def still_html(room: Room, reason: str, query: Mapping[str, str] | None = None) -> str:
    """The figures of the first cases of every run, with ``reason`` why they can't be leafed
    through; map and look are as the picture's that ``query`` asks for."""
    count = len(room.table.ids)
    shown = f"the first {MOST_CASES} of {count:,} cases" if count > MOST_CASES else "all cases"
    parts = [f"<p><b>fastcam</b>: {escape(reason)}; {shown}, by the slice with most heat.</p>"]
    parts += _cases(room, query or {})
    return "\n".join(parts)


def _cases(room: Room, query: Mapping[str, str]) -> Iterator[str]:
    buffers, look = Buffers(), parse_picture(query, room.style)
    for case, name in enumerate(room.table.ids[:MOST_CASES]):
        for run, of_run in enumerate(room.runs):
            if room.table.indices[run][case] is None:
                continue
            caption = f"{name} · {of_run.name}" if len(room.runs) > 1 else name
            try:
                (figure,) = case_figures(room, run, case, look, every_slice=False)
            except CaseError as error:
                yield f"<p>{escape(caption)}: {escape(str(error))}</p>"
                continue
            data = base64.b64encode(figure.png(buffers)).decode()
            alt = escape(f"Figure of {caption}", quote=True)
            yield f'<img alt="{alt}" style="{_STYLE}" src="data:image/png;base64,{data}">'
