"""What a run store shows of itself in a notebook: a table of what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol, cast


class PatchFacts(Protocol):
    """What the table of a store of patches is made of."""

    @property
    def attrs(self) -> Any: ...
    @property
    def cases(self) -> Sequence[Any]: ...
    @property
    def rejected(self) -> Sequence[object]: ...


class MapFacts(Protocol):
    """What the table of a store of maps is made of."""

    @property
    def attrs(self) -> Any: ...
    @property
    def headers(self) -> Sequence[Any]: ...
    @property
    def map_names(self) -> Sequence[str]: ...
    @property
    def root(self) -> Path: ...
    def shape(self, name: str) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...


class NotebookTable:
    """Base of the run stores: a table in notebooks; and wherever a path is asked for, a store that
    is open will do."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        store = cast("PatchFacts | MapFacts", self)
        facts = {"where": str(self.path), **store_facts(store)}
        rows = "".join(
            f'<tr><th style="text-align:left">{escape(name)}</th>'
            f'<td style="text-align:left">{escape(value)}</td></tr>'
            for name, value in facts.items()
            if value
        )
        return (
            f"<table>{rows}</table><p>Look at it: "
            f"<code>fastcam.view({escape(repr(str(self.path)))})</code></p>"
        )


def store_facts(store: PatchFacts | MapFacts) -> dict[str, str]:
    """What is in a store, by its name for people; empty texts are left out of tables."""
    attrs = store.attrs
    facts = {"kind": attrs.kind, "made": f"{attrs.created[:19]} UTC, fastcam {attrs.fastcam}"}
    if attrs.kind == "maps":
        return facts | _map_facts(cast("MapFacts", store))
    store = cast("PatchFacts", store)
    patches = sum(header.patches for header in store.cases)
    verdicts = [header.correct for header in store.cases if header.correct is not None]
    return facts | {
        "from": store.attrs.source,
        "cases": str(len(store.cases)),
        "right": f"{sum(verdicts)} of {len(verdicts)}" if verdicts else "",
        "patches": str(patches),
        "not used": str(len(store.rejected)) if store.rejected else "",
    }


def _map_facts(store: MapFacts) -> dict[str, str]:
    attrs = store.attrs
    counts = {name: sum(h.status == name for h in store.headers) for name in ("open", "failed")}
    return {
        "model": f"{attrs.model} {attrs.checkpoint}".strip(),
        "weights": "random: the maps mean nothing" if attrs.settings.get("random_weights") else "",
        "images" if attrs.dims == 2 else "volumes": str(len(store)),
        **{name: str(count) for name, count in counts.items() if count},
        "maps": ", ".join(f"{name} {store.shape(name)}" for name in store.map_names),
        "images from": str(store.root),
    }
