"""The images of an evaluation with their true values and masks, and what doesn't fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fastcam.errors import InputError
from fastcam.jobs.evaluate.scoring import Kind
from fastcam.options import Axes
from fastcam.read.inputs.id_match import Unmatched, match_rows, naming_column
from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.read.inputs.mask_pairs import with_masks_beside
from fastcam.read.inputs.tables import read_cells
from fastcam.read.inputs.target_column import Targets, classes, numbers, target_column
from fastcam.run.records import Failure


@dataclass(frozen=True)
class SetChoice:
    """Where images, true values and masks are; the options of ``fastcam evaluate``."""

    image_dir: Path
    table: Path
    target: str | None = None
    id_column: str | None = None
    mask_dir: Path | None = None
    pattern: str | None = None
    class_names: tuple[str, ...] = ()
    axes: Axes = "zyx"


@dataclass(frozen=True)
class EvaluationSet:
    """``items`` have their true value as label, as :class:`fastcam.jobs.evaluate.scoring.Scoring` reads it, and
    their mask where there is one. ``troubles``: rows whose true value can't be used."""

    items: tuple[Item, ...]
    target: str
    id_column: str
    names: tuple[str, ...]
    unmatched: tuple[Unmatched, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    def alone(self, what: str) -> int:
        """How many images, or rows, have no partner; how many rows are a "duplicate"."""
        return sum(entry.what == what for entry in self.unmatched)


def read_set(choice: SetChoice, kind: Kind, count: int, dims: int) -> EvaluationSet:
    """Find the images, read the table, bring both together.

    ``count`` is the number of classes. InputError where there is no image, no table, no column of
    that name, where nothing fits or no true value can be used.
    """
    if not choice.image_dir.exists():
        raise InputError(f"--image-dir {choice.image_dir}: does not exist")
    table = read_cells(choice.table)
    if not table.rows:
        raise InputError(f"{choice.table}: has no rows")
    items = find_inputs([choice.image_dir], choice.pattern, None, choice.mask_dir, dims)
    if choice.mask_dir is None:
        items = with_masks_beside(items)
    ids = choice.id_column
    if ids is not None:
        ids = table.column("--id-column", ids)
    elif choice.target is None:
        ids = naming_column(items, table)
    target = target_column(table, choice.target, ids)
    matched = match_rows(items, table, target, choice.id_column)
    if kind == "regression":
        found = numbers(matched.rows, target)
    else:
        found = classes(matched.rows, target, count, choice.class_names)
    if not found.values:
        first = next(iter(found.wrong.values()), "no row has one")
        raise InputError(f"{choice.table}: no true value in column {target!r} can be used: {first}")
    labelled = tuple(
        replace(item, label=_label(found.values[place], kind))
        for place, item in enumerate(items)
        if place in found.values
    )
    failures = _troubles(items, {**matched.wrong, **found.wrong})
    return EvaluationSet(
        labelled, target, matched.column, found.names, matched.unmatched,
        tuple(failures), tuple(_notes(choice, labelled, found)),
    )  # fmt: skip


def _label(value: float, kind: Kind) -> str:
    return repr(value) if kind == "regression" else str(int(value))


def _troubles(items: list[Item], wrong: Mapping[int, str]) -> list[Failure]:
    return [
        Failure("error", 0, items[place].id, None, 0, f"not evaluated: {reason}")
        for place, reason in wrong.items()
    ]


def _notes(choice: SetChoice, items: tuple[Item, ...], found: Targets) -> list[str]:
    notes = [found.note] if found.note else []
    masks = sum(item.mask is not None for item in items)
    if masks and choice.mask_dir is None:
        first = next(item.mask for item in items if item.mask is not None)
        notes.append(f"masks of {masks} images found, as {first}")
    if len(set(found.values.values())) == 1 and len(items) > 1:
        notes.append("all images have the same true value: nothing that compares them is defined")
    return notes
