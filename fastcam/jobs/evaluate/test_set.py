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


@dataclass(frozen=True, kw_only=True)
class SetChoice:
    """Where images, true values and masks are; the options of ``fastcam evaluate``.

    Attributes:
        image_dir: the folder with the images, searched with all folders below.
        table: the file with the true values.
        target: the column of the true values; None to find it.
        id_column: the column that names the images; None to find it.
        mask_dir: the folder with masks; None for ``Masks/`` beside ``Images/``.
        pattern: which files of the folder, as in ``*/*.jpg``; None for all.
        class_names: classes in the order of the model's outputs; empty for sorted order.
        axes: order of a volume's axes.
    """

    image_dir: Path
    table: Path
    target: str | None = None
    id_column: str | None = None
    mask_dir: Path | None = None
    pattern: str | None = None
    class_names: tuple[str, ...] = ()
    axes: Axes = "zyx"


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """The images that can be evaluated.

    Attributes:
        items: images with their true value as label, as
            :class:`fastcam.jobs.evaluate.scoring.Scoring` reads it, and their mask where there is
            one.
        target: the column of the true values.
        id_column: the column that names the images.
        names: names of the classes; empty where they have none.
        unmatched: images without a row and rows without an image.
        failures: images whose true value can't be used.
        notes: what users should know, a sentence each.
    """

    items: tuple[Item, ...]
    target: str
    id_column: str
    names: tuple[str, ...]
    unmatched: tuple[Unmatched, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    def unmatched_count(self, kind: str) -> int:
        """How many images ("image"), or rows ("row"), have no partner; or "duplicate" rows."""
        return sum(entry.what == kind for entry in self.unmatched)


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
    matches = match_rows(items, table, target, choice.id_column)
    if kind == "regression":
        targets = numbers(matches.rows, target)
    else:
        targets = classes(matches.rows, target, count, choice.class_names)
    if not targets.values:
        first = next(iter(targets.errors.values()), "no row has one")
        raise InputError(f"{choice.table}: no true value in column {target!r} can be used: {first}")
    labelled = tuple(
        replace(item, label=_label(targets.values[index], kind))
        for index, item in enumerate(items)
        if index in targets.values
    )
    return EvaluationSet(
        items=labelled,
        target=target,
        id_column=matches.column,
        names=targets.names,
        unmatched=matches.unmatched,
        failures=_failures(items, {**matches.errors, **targets.errors}),
        notes=tuple(_notes(choice, labelled, targets)),
    )


def _label(value: float, kind: Kind) -> str:
    return repr(value) if kind == "regression" else str(int(value))


def _failures(items: list[Item], reasons: Mapping[int, str]) -> tuple[Failure, ...]:
    return tuple(
        Failure("error", 0, items[index].id, None, 0, f"not evaluated: {reason}")
        for index, reason in reasons.items()
    )


def _notes(choice: SetChoice, items: tuple[Item, ...], targets: Targets) -> list[str]:
    notes = [targets.note] if targets.note else []
    masks = sum(item.mask is not None for item in items)
    if masks and choice.mask_dir is None:
        first = next(item.mask for item in items if item.mask is not None)
        notes.append(f"masks of {masks} images found, as {first}")
    if len(set(targets.values.values())) == 1 and len(items) > 1:
        notes.append("all images have the same true value: nothing that compares them is defined")
    return notes
