"""JSON as the reports write it: readable, and without NaN, which JSON doesn't have."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def json_text(content: Any, indent: int) -> str:
    """``content`` as indented JSON, ending with a newline; null for numbers that aren't finite."""
    plain = json_content(content)
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent) + "\n"


def json_content(value: Any) -> Any:
    """``value`` as JSON can hold it: numbers of NumPy as Python's, and paths as their text."""
    if isinstance(value, Mapping):
        return {str(key): json_content(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [json_content(entry) for entry in value]
    if isinstance(value, np.generic):
        return json_content(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | str | None) else str(value)
