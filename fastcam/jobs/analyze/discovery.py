"""What could be analyzed below a folder: checkpoints and folders of images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastcam.read.volumes.sources import PICTURE_SUFFIXES

_WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt")
# Deeper lie other projects, and the environments of this one.
_DEPTH = 5
_SKIPPED = {"node_modules", "__pycache__", "site-packages", "venv", "env"}


@dataclass(frozen=True)
class Candidates:
    """What could be analyzed.

    Attributes:
        checkpoint: the newest one; None where there is none.
        folders: folders of images, and how many they have; of class folders the one above them.
    """

    checkpoint: Path | None
    folders: dict[Path, int]


def find_candidates(start: Path) -> Candidates:
    """The newest checkpoint and the folders of images below ``start``, those with most images
    first. Hidden folders, run stores and fastcam's own output are left out."""
    weights: list[tuple[float, Path]] = []
    counts: dict[Path, int] = {}
    for folder, files in _walk(start, 0):
        for name in files:
            path = folder / name
            suffix = path.suffix.lower()
            if suffix in _WEIGHTS:
                weights.append((path.stat().st_mtime, path))
            elif suffix in PICTURE_SUFFIXES:
                counts[folder] = counts.get(folder, 0) + 1
    newest = max(weights, key=lambda entry: (entry[0], str(entry[1])), default=None)
    merged = _merge_class_folders(counts, start)
    ordered = sorted(merged.items(), key=lambda entry: (-entry[1], str(entry[0])))
    return Candidates(None if newest is None else newest[1], dict(ordered))


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, list[str]]]:
    try:
        with os.scandir(folder) as entries:
            children = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return  # what can't be read can't be offered
    names = [entry.name for entry in children]
    if "run.json" in names or "run.zarr" in names:
        return
    yield folder, [entry.name for entry in children if entry.is_file()]
    for entry in children:
        left_out = entry.name.startswith(".") or entry.name in _SKIPPED
        if depth < _DEPTH and not left_out and entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, depth + 1)


def _merge_class_folders(counts: dict[Path, int], start: Path) -> dict[Path, int]:
    """Sister folders of images, in a folder that has none itself, as the folder above them."""
    merged: dict[Path, int] = {}
    for folder, count in counts.items():
        above = folder.parent
        sisters = [other for other in counts if other.parent == above]
        grouped = len(sisters) > 1 and above not in counts and folder != start
        target = above if grouped else folder
        merged[target] = merged.get(target, 0) + count
    return merged
