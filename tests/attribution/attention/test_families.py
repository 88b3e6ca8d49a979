"""docs/reference/families.md says what each family of models shows; the models are asked."""

from __future__ import annotations

import pytest

from .. import families
from ..planted import planted_peaks

# Nothing is shown, or nothing between places.
NOTHING = (
    "timm edgenext",
    "timm efficientvit of MIT",
    "timm lambda network",
    "timm efficientvim",
    "timm coat",
    "timm focalnet",
    "timm mlp_mixer",
    "timm convnext",
    "timm resnet with squeeze-and-excitation",
    "timm resnet with ECA",
    "hf vit mae",
)


@pytest.fixture(scope="module")
def rows() -> dict[str, str]:
    return {row.split(" | ")[0].removeprefix("| "): row for row in families.written()}


def _marked(name: str) -> object:
    marks = [pytest.mark.slow] if families.FAMILIES[name].slow else []
    return pytest.param(name, marks=marks)


def test_every_family_has_its_row(rows):
    assert list(rows) == list(families.FAMILIES)


@pytest.mark.parametrize("name", [_marked(name) for name in families.FAMILIES])
def test_family(rows, name):
    """Where it fails: ``python -m tests.attribution.families`` rebuilds the table."""
    assert rows[name] == f"| {name} | {' | '.join(families.shown(name))} |"


@pytest.mark.parametrize("name", [_marked(n) for n in families.FAMILIES if n not in NOTHING])
def test_planted_attention_is_shown_where_it_looks(name):
    peaks = planted_peaks(families.build(name), families.FAMILIES[name].size)
    assert peaks
    assert [layer for layer, right in peaks.items() if not right] == []
