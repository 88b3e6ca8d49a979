"""Gray windows of CT that have names, and where they are out of place."""

from __future__ import annotations

# Center and width in HU, as radiologists set them.
WINDOWS = {
    "brain": (40.0, 80.0),
    "subdural": (75.0, 215.0),
    "stroke": (40.0, 40.0),
    "temporal-bone": (600.0, 2800.0),
    "bone": (400.0, 1800.0),
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "abdomen": (50.0, 400.0),
    "liver": (30.0, 150.0),
    "spine": (50.0, 250.0),
}


def window_name(window: tuple[float, float] | None) -> str:
    """What a window, (center, width) in HU, is called; empty: nothing.

    >>> window_name((40.0, 80.0)), window_name((40.0, 81.0)), window_name(None)
    ('brain', '', '')
    """
    return next((name for name, known in WINDOWS.items() if known == window), "")


def window_warning(
    window: tuple[float, float] | None, modality: str, source: object
) -> tuple[str, ...]:
    """That a named ``window`` is asked for of what isn't CT, of DICOM's word ``modality``; nothing
    where it is, may be or has no name."""
    name = window_name(window)
    if not name or modality in ("", "CT"):
        return ()
    return (
        f"{source}: the window {name} is in HU, but this is {modality}; give --window-level C,W "
        "in the file's own values, or leave it out",
    )
