"""docs/reference/families.md says what each family of models shows; the models are asked."""

from __future__ import annotations

import pytest

from .. import families


@pytest.fixture(scope="module")
def rows() -> dict[str, str]:
    return {row.split(" | ")[0].removeprefix("| "): row for row in families.written()}


def test_every_family_has_its_row(rows):
    assert list(rows) == list(families.FAMILIES)


@pytest.mark.parametrize("name", families.FAMILIES)
def test_family(rows, name):
    """Where it fails: ``python -m tests.attribution.families`` rebuilds the table."""
    assert rows[name] == f"| {name} | {' | '.join(families.shown(name))} |"
