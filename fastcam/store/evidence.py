"""Evidence for an output and against it: where maps are rectified.

A method that explains an output gives L, above 0 where the output gains and below 0 where it
loses. Engines give L and stores hold it; what is shown of it is decided when it is read.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from fastcam.options import Sign


class _Numbers(Protocol):
    """An array of NumPy or PyTorch."""

    def __neg__(self) -> Any: ...

    def clip(self, min: float) -> Any: ...


Numbers = TypeVar("Numbers", bound=_Numbers)


def shown_evidence(values: Numbers, sign: Sign) -> Numbers:
    """What ``sign`` shows of evidence L of any shape: ReLU(L), "positive"; ReLU(-L), "negative";
    or L itself, "both". NaN stays NaN."""
    if sign == "both":
        return values
    kept: Numbers = (values if sign == "positive" else -values).clip(min=0)
    return kept
