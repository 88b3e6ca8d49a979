"""The page of a gallery as HTML: every case of a run and all its figures in one HTML file.

The page needs no network and no server. Its texts and links come from files that anybody may have
written, so that nothing of them is taken as markup: text is escaped, data travels as JSON without
``<``, ``>`` and ``&``, links are percent-encoded and relative, and the content security policy runs
the page's own script only.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastcam.jobs.render.gallery_content import FailureRow, Gallery, GalleryCase
from fastcam.jobs.render.page_data import json_text, page_data

# By it a page of fastcam is told from somebody's own index.html.
SCRIPTS = ("page_review.js", "page_filters.js", "page_mix.js", "page_columns.js", "page.js")
GENERATOR = '<meta name="generator" content="fastcam">'

# Of more cases the list for browsers without scripts would be most of the page.
_MOST_PLAIN = 2000
_SCALES = {
    "slice": "each slice has its own color scale: slices can't be compared",
    "patient": "one color scale for each case: its slices can be compared",
    "cohort": "one color scale for all cases: they can be compared",
    "rank": "colors show ranks, not values",
}
_STATES = {
    "running": "The run was still under way when this page was made.",
    "interrupted": "The run was interrupted: figures are missing. Run the same command to go on.",
    "failed": "The run failed: figures are missing. Run the same command to go on.",
}


def page_html(gallery: Gallery) -> str:
    """The whole HTML document.

    >>> gallery = Gallery(title="out", status="finished", settings={}, available=0, cases=())
    >>> "No figures yet" in page_html(gallery)
    True
    """
    style, script = _asset("page.css"), "".join(map(_asset, SCRIPTS))
    parts = {
        "generator": GENERATOR,
        "policy": "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file:; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        "title": escape(gallery.title),
        "style": style,
        "script": script,
        "data": json_text(page_data(gallery)),
        "count": _count(gallery),
        "value": "value" if gallery.maps else "weight",
        "scale": "" if gallery.pictures else escape(_scale(gallery.settings)),
        "state": _state(gallery.status),
        "troubles": _failure_counts(gallery.failures),
        "settings": _settings(gallery.settings),
        "plain": _plain(gallery),
        "failures": _failures(gallery.failures),
        "files": _files(gallery.files),
    }
    # One pass: a case called @@data@@ is left alone.
    return re.sub("@@([a-z]+)@@", lambda match: parts[match[1]], _asset("page.html"))


def link(path: str) -> str:
    """``path`` as a URL relative to the page; never absolute, whatever it begins with."""
    return "./" + quote(path, safe="/")


@lru_cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _count(gallery: Gallery) -> str:
    figures = sum(len(case.figures) for case in gallery.cases)
    pdfs = sum(name.lower().endswith(".pdf") for name in gallery.files)
    if not figures and gallery.pictures and pdfs:
        return f"{_many(pdfs, 'figure')} as PDF, linked below: browsers show none within a page."
    if not figures:
        return f"No figures yet of {_many(gallery.available, 'case')}."
    count = gallery.available if gallery.pictures else len(gallery.cases)
    if not count:
        return f"{_many(figures, 'figure')}."
    verdicts = [case.correct for case in gallery.cases if case.correct is not None]
    right = sum(verdicts)
    whole = "" if count == gallery.available else f" of {gallery.available:,}"
    cases = "case" if not whole and count == 1 else "cases"
    others = len(gallery.cases) - count if gallery.pictures else 0
    summaries = f" and {others:,} {'summary' if others == 1 else 'summaries'}" if others else ""
    counts = f"{count:,}{whole} {cases}{summaries}, {_many(figures, 'figure')}"
    if not verdicts:
        return f"{counts}."
    unknown = f", {count - len(verdicts):,} without a label" if len(verdicts) < count else ""
    return f"{counts}; {right:,} predicted right, {len(verdicts) - right:,} wrong{unknown}."


def _scale(settings: Mapping[str, Any]) -> str:
    kind = str(settings.get("scale", "unknown"))
    scale = f"Scale {kind}" + (f": {_SCALES[kind]}" if kind in _SCALES else "")
    return f"{scale}. Color map: {settings.get('colormap', 'unknown')}."


def _state(status: str) -> str:
    return f'<p class="state" role="status">{_STATES[status]}</p>' if status in _STATES else ""


def _failure_counts(failures: Iterable[FailureRow]) -> str:
    levels = [failure.level for failure in failures]
    errors, warnings = levels.count("error"), levels.count("warning")
    counts = [_many(n, noun) for n, noun in ((errors, "failure"), (warnings, "warning")) if n]
    if not counts:
        return ""
    return f'<p><a id="to-failures" href="#failures">{" and ".join(counts)}, at the end</a></p>'


def _settings(settings: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(name.replace('_', '-'))}<td>{escape(str(value))}"
        for name, value in settings.items()
        if value is not None
    )
    return f"<details><summary>Settings</summary><table>{rows}</table></details>" if rows else ""


def _plain(gallery: Gallery) -> str:
    """What is seen without scripts: one line of links for each case."""
    verdict = _picture_verdict if gallery.pictures else _verdict
    lines = [_plain_case(case, verdict(case)) for case in gallery.cases[:_MOST_PLAIN]]
    if len(gallery.cases) > _MOST_PLAIN:
        left = len(gallery.cases) - _MOST_PLAIN
        lines.append(f"<li>and {_many(left, 'more case')}, which figures.csv lists</li>")
    return "\n".join(lines)


def _plain_case(case: GalleryCase, verdict: str) -> str:
    folder = case.cover.path.rpartition("/")[0]
    more = [
        _anchor(folder + "/", _many(len(case.figures), "figure")) if folder else "",
        _anchor(case.summary, "summary") if case.summary else "",
    ]
    return (
        f"<li value={case.place}>{_anchor(case.cover.path, case.name)} {verdict}"
        f"{''.join(', ' + part for part in more if part)}</li>"
    )


def _picture_verdict(case: GalleryCase) -> str:
    return escape(str(case.predicted_label))


def _verdict(case: GalleryCase) -> str:
    parts = []
    if case.correct is not None:
        right = "right" if case.correct else "wrong"
        parts.append(f'<b class="{right}">{right}</b>')
    if case.true_label != "":
        parts.append(f"true {escape(str(case.true_label))}")
    parts.append(f"predicted {escape(str(case.predicted_label))}")
    if math.isfinite(case.confidence):
        parts.append(f"confidence {case.confidence:.4f}")
    return ", ".join(parts)


def _failures(failures: tuple[FailureRow, ...]) -> str:
    if not failures:
        return ""
    ordered = sorted(failures, key=lambda failure: failure.level != "error")
    rows = "\n".join(
        f'<tr class="{"wrong" if failure.level == "error" else "warned"}"><td>'
        f"{'failed' if failure.level == 'error' else escape(failure.level)}"
        f"<td>{escape(failure.case)}<td>{'' if failure.slice is None else failure.slice}"
        f"<td>{escape(failure.reason)}"
        for failure in ordered
    )
    return (
        '<section id="failures"><h2>Failures and warnings</h2><div class="wide"><table><thead>'
        "<tr><th>what<th>case<th>slice<th>reason<tbody>\n"
        f"{rows}</table></div></section>"
    )


def _files(files: Iterable[str]) -> str:
    links = ", ".join(_anchor(name, name) for name in files)
    return f"<footer>Files in this folder: {links}</footer>" if links else ""


def _anchor(path: str, text: str) -> str:
    return f'<a href="{escape(link(path))}">{escape(text)}</a>'


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
