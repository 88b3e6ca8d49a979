"""How a store of patches says that the weights of its model were random."""

from __future__ import annotations

# What figures say of such a model.
RANDOM_WEIGHTS = "Random weights: these maps mean nothing."
_ENDING = " (random weights)"


def random_source(model: str) -> str:
    """The source of a store whose ``model`` had random weights."""
    return model + _ENDING


def has_random_source(source: str) -> bool:
    """Whether a store with this source is that of a model with random weights."""
    return source.endswith(_ENDING)
