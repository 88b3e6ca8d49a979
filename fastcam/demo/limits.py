"""Checks of the numbers that the demo's sets are made with."""

from __future__ import annotations

from fastcam.errors import InputError


def check_minimum(**limits: tuple[int, int]) -> None:
    """Each limit is (value, lowest allowed); InputError names the first that is too small."""
    for name, (value, minimum) in limits.items():
        if value < minimum:
            raise InputError(f"{name} {value} is too small: it must be at least {minimum}")
