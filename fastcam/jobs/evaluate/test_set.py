"""The images of an evaluation with their true values and masks, and what doesn't fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fastcam.errors import InputError
from fastcam.jobs.evaluate.scoring import Kind
from fastcam.options import Axes
from fastcam.read.inputs.finding_columns import finding_columns, finding_targets
from fastcam.read.inputs.folders import left_out
from fastcam.read.inputs.id_match import Unmatched, match_rows, naming_column
from fastcam.read.inputs.input_tables import items_of
from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.read.inputs.mask_pairs import with_masks_beside
from fastcam.read.inputs.named_inputs import ModelInput, main_image, read_inputs
from fastcam.read.inputs.tables import Row, Table, read_cells
from fastcam.read.inputs.target_column import Targets, classes, numbers, target_column
from fastcam.run.records import Failure


@dataclass(frozen=True, kw_only=True)
class SetChoice:
    """Where images, true values and masks are; the options of ``fastcam evaluate``.

    Attributes:
        image_dir: the folder with the images, searched with all folders below.
        table: the file with the true values; None of a segmentation, where masks are the truth.
        target: the column of the true values; None to find it.
        id_column: the column that names the images; None to find it.
        mask_dir: the folder with masks; None for ``Masks/`` beside ``Images/``.
        pattern: which files of the folder, as in ``*/*.jpg``; None for all.
        class_names: classes in the order of the model's outputs; empty for sorted order.
        axes: order of a volume's axes.
        columns: of a model with several inputs the column that goes into each argument; paths in
            the table are then relative to ``image_dir``.
    """

    image_dir: Path
    table: Path | None
    target: str | None = None
    id_column: str | None = None
    mask_dir: Path | None = None
    pattern: str | None = None
    class_names: tuple[str, ...] = ()
    axes: Axes = "zyx"
    columns: Mapping[str, str] = field(default_factory=dict)


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
        model_inputs: of a model with several inputs what these are.
    """

    items: tuple[Item, ...]
    target: str
    id_column: str
    names: tuple[str, ...]
    unmatched: tuple[Unmatched, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    model_inputs: tuple[ModelInput, ...] = ()

    def unmatched_count(self, kind: str) -> int:
        """How many images ("image"), or rows ("row"), have no partner; or "duplicate" rows."""
        return sum(entry.what == kind for entry in self.unmatched)


def model_inputs_of(choice: SetChoice) -> tuple[ModelInput, ...]:
    """What goes into a model with several inputs; nothing for a model of one image."""
    if not choice.columns or choice.table is None:
        return ()
    return read_inputs(read_cells(choice.table), choice.image_dir, choice.columns)[0]


def find_items(choice: SetChoice, dims: int, channels: int = 1) -> list[Item]:
    """The images (``dims`` 2) or volumes (3); a volume may have a file for each of ``channels``.

    InputError where there are none.
    """
    if not choice.image_dir.exists():
        raise InputError(f"--image-dir {choice.image_dir}: does not exist")
    return find_inputs(
        [choice.image_dir], choice.pattern, None, choice.mask_dir, dims, channels=channels
    )


def read_set(
    choice: SetChoice, kind: Kind, count: int, dims: int, channels: int = 1
) -> EvaluationSet:
    """Find the images, read the table, bring both together.

    ``count`` is the number of classes, ``channels`` that of the files which a volume may have.
    InputError where there is no image, no table, no column of
    that name, where nothing fits or no true value can be used.
    """
    if not choice.image_dir.exists():
        raise InputError(f"--image-dir {choice.image_dir}: does not exist")
    if choice.table is None:
        raise InputError(
            "--table is missing: give the file with the true values, a row an image; masks are the "
            "truth of a segmentation only"
        )
    table = read_cells(choice.table)
    if not table.rows:
        raise InputError(f"{choice.table}: has no rows")
    if choice.columns and kind == "multilabel":
        raise InputError("--task multilabel of several findings takes models of one image")
    if choice.columns:
        return _set_of_rows(choice, table, kind, count)
    items = find_items(choice, dims, channels)
    if choice.mask_dir is None:
        items = with_masks_beside(items)
    ids = choice.id_column
    if ids is not None:
        ids = table.column("--id-column", ids)
    elif choice.target is None:
        ids = naming_column(items, table)
    if kind == "multilabel":
        return _set_of_findings(choice, table, items, ids or naming_column(items, table), count)
    target = target_column(table, choice.target, ids)
    matches = match_rows(items, table, target, choice.id_column)
    targets = _true_values(choice, table, matches.rows, target, kind, count)
    labelled = _labelled(items, targets, kind)
    return EvaluationSet(
        items=labelled,
        target=target,
        id_column=matches.column,
        names=targets.names,
        unmatched=matches.unmatched,
        failures=_failures(items, {**matches.errors, **targets.errors}),
        notes=(*_notes(choice, labelled, targets), *left_out_notes(choice, dims)),
    )


def _set_of_findings(
    choice: SetChoice, table: Table, items: Sequence[Item], ids: str, count: int
) -> EvaluationSet:
    """The set of a model with ``count`` findings; labels are texts of ``label_text``."""
    columns = finding_columns(table, choice.target, choice.class_names, ids, count)
    matches = match_rows(items, table, columns[0], choice.id_column)
    targets = finding_targets(matches.rows, columns, choice.class_names, count)
    if not targets.values:
        first = next(iter(targets.errors.values()), "no row has one")
        raise InputError(f"{choice.table}: no finding can be used: {first}")
    texts = targets.texts
    labelled = tuple(replace(items[index], label=texts[index]) for index in sorted(texts))
    notes = [f"{name}: {n} images are uncertain (-1)" for name, n in targets.uncertain.items()]
    return EvaluationSet(
        items=labelled,
        target=", ".join(columns),
        id_column=matches.column,
        names=targets.names,
        unmatched=matches.unmatched,
        failures=_failures(list(items), {**matches.errors, **targets.errors}),
        notes=tuple(notes),
    )


def left_out_notes(choice: SetChoice, dims: int) -> list[str]:
    """What lies beside the images or volumes, as a note."""
    skipped = None if choice.mask_dir is None else choice.mask_dir.resolve()
    note = "" if choice.pattern is not None else left_out([choice.image_dir], dims, skipped)
    return [note] if note else []


def _set_of_rows(choice: SetChoice, table: Table, kind: Kind, count: int) -> EvaluationSet:
    """The set of a model with several inputs: a row of the table is a case."""
    for option, value in (
        ("--pattern", choice.pattern),
        ("--mask-dir", choice.mask_dir),
        ("--id-column", choice.id_column),
    ):
        if value is not None:
            raise InputError(
                f"{option} {value}: with --input the table names all files; leave it out, and give "
                "masks in a column mask, ids in a column id"
            )
    inputs, values = read_inputs(table, choice.image_dir, choice.columns)
    items = items_of(table, choice.image_dir, inputs, values)
    used = {entry.column for entry in inputs}
    others = tuple(name for name in table.columns if name not in used)
    target = target_column(
        table if choice.target is not None else replace(table, columns=others), choice.target, None
    )
    targets = _true_values(choice, table, dict(enumerate(table.rows)), target, kind, count)
    labelled = _labelled(items, targets, kind)
    ids = next((name for name in others if name.casefold() == "id"), None)
    return EvaluationSet(
        items=labelled,
        target=target,
        id_column=ids or inputs[main_image(inputs)].column,
        names=targets.names,
        unmatched=(),
        failures=_failures(items, targets.errors),
        notes=tuple(_notes(choice, labelled, targets)),
        model_inputs=inputs,
    )


def _true_values(
    choice: SetChoice, table: Table, rows: Mapping[int, Row], target: str, kind: Kind, count: int
) -> Targets:
    if kind == "regression":
        targets = numbers(rows, target)
    else:
        targets = classes(rows, target, count, choice.class_names, table.rows)
    if not targets.values:
        first = next(iter(targets.errors.values()), "no row has one")
        raise InputError(f"{choice.table}: no true value in column {target!r} can be used: {first}")
    return targets


def _labelled(items: Sequence[Item], targets: Targets, kind: Kind) -> tuple[Item, ...]:
    return tuple(
        replace(item, label=_label(targets.values[index], kind))
        for index, item in enumerate(items)
        if index in targets.values
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
    if masks and choice.mask_dir is None and not choice.columns:
        first = next(item.mask for item in items if item.mask is not None)
        notes.append(f"masks of {masks} images found, as {first}")
    if len(set(targets.values.values())) == 1 and len(items) > 1:
        notes.append("all images have the same true value: nothing that compares them is defined")
    return notes


def refuse_table(choice: SetChoice, reason: str) -> None:
    """InputError, with the ``reason``, for a table and what belongs to it."""
    for option, value in (
        ("--table", choice.table),
        ("--id-column", choice.id_column),
        ("--input", next(iter(choice.columns), None)),
    ):
        if value is not None:
            raise InputError(f"{option} {value}: {reason}")
