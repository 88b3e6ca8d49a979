"""The pages of benchmarks/results on the site, as they stand there."""

from __future__ import annotations

from docs.generate.cache import ROOT

RESULTS = ROOT / "benchmarks" / "results"
FOLDER = "reference/benchmarks"


def pages() -> dict[str, str]:
    """The pages by path within the site, their index first."""
    paths = sorted(RESULTS.glob("*.md"), key=lambda path: (path.name != "README.md", path.name))
    return {f"{FOLDER}/{path.name}": path.read_text(encoding="utf-8") for path in paths}
