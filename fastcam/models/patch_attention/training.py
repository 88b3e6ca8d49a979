"""Train the patch-attention model on volumes with masks and one label a case.

    python -m fastcam.models.patch_attention.training --root-dir images --mask-dir masks \\
        --table labels.csv --output model.safetensors

``labels.csv`` has a header and the columns ``id`` (the case's file or folder name without suffix)
and ``label`` (0, 1, 2, ...). The model is then ``--model patch_attention --checkpoint
model.safetensors``.

What it does: patches are cut from each slice's mask, a step takes a few cases and some patches of
each, turned and mirrored alike, and lowers the cross-entropy of the case's label. Nothing says
which patch matters: that is what the attention learns.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fastcam.errors import CaseError, InputError, one_line
from fastcam.models.patch_attention.network import PatchAttention, build
from fastcam.models.patch_attention.patches import patches_of
from fastcam.models.training import (
    LearningRate,
    Optimizer,
    OptimizerSettings,
    Output,
    exit_on_error,
    one_thread,
    save_weights,
    seeded,
)
from fastcam.read.regular_files import check_regular
from fastcam.read.volumes.masks import open_mask
from fastcam.read.volumes.sources import SourceIndex
from fastcam.read.volumes.volumes import open_volume


@dataclass(frozen=True, slots=True)
class LabelledCase:
    """A case to learn from.

    Attributes:
        name: for messages.
        patches: (P, 1, 24, 24) float32, 0 to 1, at least one.
        label: 0 or more.
        warnings: what is odd about its volume and mask.
    """

    name: str
    patches: NDArray[np.float32]
    label: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainSettings(OptimizerSettings):
    """``seed`` decides start, order and choice of patches.

    Attributes:
        epochs: times each case is seen.
        cases_per_step: cases a step.
        patches: how many of a case's patches a step sees at most, chosen anew each time.
    """

    epochs: int = 24
    cases_per_step: int = 2
    patches: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05

    COUNTS = ("epochs", "cases_per_step", "patches")


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch, while training.

    Attributes:
        loss: mean cross-entropy over the cases.
        accuracy: share of the cases right.
    """

    loss: float
    accuracy: float


def train(
    cases: Sequence[LabelledCase],
    settings: TrainSettings | None = None,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
) -> tuple[PatchAttention, list[Epoch]]:
    """A model in eval mode and what it did in each epoch; ``on_epoch`` gets each, counted from
    1, as it ends.

    AdamW, the learning rate rising for a fifth of the steps and falling after (one cycle),
    gradients clipped at norm 1. The same cases and settings give the same weights on one machine.
    Torch's global random state and number of threads are left as they were. InputError where the
    labels are of one kind only, or there is none.
    """
    with one_thread():
        return _train(cases, settings or TrainSettings(), on_epoch)


def _train(
    cases: Sequence[LabelledCase], settings: TrainSettings, on_epoch: Callable[[int, Epoch], None]
) -> tuple[PatchAttention, list[Epoch]]:
    classes = _classes(cases)
    with seeded(settings.seed):
        model = build(num_classes=classes)
    generator = torch.Generator().manual_seed(settings.seed)
    steps = settings.epochs * -(-len(cases) // settings.cases_per_step)
    optimizer = Optimizer(model, settings, steps, rise=0.2)
    history = []
    model.train()
    for index in range(settings.epochs):
        loss_sum, right = 0.0, 0
        order = torch.randperm(len(cases), generator=generator)
        for numbers in torch.split(order, settings.cases_per_step):
            batch = [cases[number] for number in numbers.tolist()]
            patches = [_augment(case.patches, settings.patches, generator) for case in batch]
            labels = torch.tensor([case.label for case in batch])
            logits, _ = model(torch.cat(patches), list(map(len, patches)))
            loss = functional.cross_entropy(logits, labels)
            optimizer.step(loss)
            loss_sum += loss.item() * len(batch)
            right += int((logits.argmax(dim=1) == labels).sum())
        history.append(Epoch(loss_sum / len(cases), right / len(cases)))
        on_epoch(index + 1, history[-1])
    return model.eval(), history


def _classes(cases: Sequence[LabelledCase]) -> int:
    labels = {case.label for case in cases}
    if len(labels) < 2:
        raise InputError(
            f"{len(cases)} cases with the labels {sorted(labels)}: training needs cases of two "
            "kinds at least"
        )
    if min(labels) < 0:
        raise InputError(f"label {min(labels)} is negative: labels are 0, 1, 2, ...")
    return max(labels) + 1


def _augment(patches: NDArray[np.float32], most: int, generator: torch.Generator) -> Tensor:
    """At most ``most`` patches, all mirrored and turned in one of the eight ways of a square."""
    sample = torch.from_numpy(patches)
    if len(sample) > most:
        sample = sample[torch.randperm(len(sample), generator=generator)[:most]]
    turns, mirrored = torch.randint(0, 4, (2,), generator=generator).tolist()
    turned = sample.rot90(turns, (-2, -1))
    return turned.flip(-1) if mirrored % 2 else turned


def read_cases(root_dir: Path, mask_dir: Path, table: Path) -> list[LabelledCase]:
    """The cases of a table with their patches; files are found as ``fastcam render`` finds them.

    InputError where the table can't be used, CaseError where a case can't, with its name.
    """
    images, masks = SourceIndex(root_dir), SourceIndex(mask_dir, mask=True)
    cases = []
    for name, label in _read_table(table):
        try:
            volume = open_volume(images.find(name))
            mask = open_mask(masks.find(name), volume.grid)
            _, patches = patches_of(volume.voxels, volume.window, mask.inside)
        except CaseError as error:
            raise CaseError(f"case {name!r}: {error}") from error
        warnings = (*volume.warnings, *mask.warnings)
        cases.append(LabelledCase(name, patches, label, warnings))
    return cases


def _read_table(table: Path) -> list[tuple[str, int]]:
    check_regular(table)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: can't be read: {error}") from error
    if not rows or not {"id", "label"} <= rows[0].keys():
        raise InputError(f"{table}: needs a header with the columns id and label, and a row a case")
    labels = []
    for line, row in enumerate(rows, start=2):
        name, label = (row["id"] or "").strip(), (row["label"] or "").strip()
        if not name or not label.isdecimal():
            raise InputError(
                f"{table}: row {line}: id {name!r}, label {label!r}: a label is 0, 1, 2, ..."
            )
        labels.append((name, int(label)))
    return labels


def main(
    root_dir: Annotated[Path, typer.Option(help="Folder with the volumes.")],
    mask_dir: Annotated[Path, typer.Option(help="Folder with the masks.")],
    table: Annotated[Path, typer.Option(help="CSV with the columns id and label.")],
    output: Output,
    epochs: Annotated[int, typer.Option(min=1, help="Times each case is seen.")] = 24,
    learning_rate: LearningRate = 3e-3,
    seed: Annotated[int, typer.Option(help="Decides start, order and choice of patches.")] = 0,
) -> None:
    """Train the patch-attention model on one's own volumes, masks and labels."""
    with exit_on_error():
        settings = TrainSettings(epochs=epochs, learning_rate=learning_rate, seed=seed)
        cases = read_cases(root_dir, mask_dir, table)
        for case in cases:
            for warning in case.warnings:
                typer.echo(one_line(f"warning: {case.name}: {warning}"), err=True)
        typer.echo(f"{len(cases)} cases, {sum(len(case.patches) for case in cases)} patches")
        model, _ = train(cases, settings, _print_epoch)
        save_weights(model, output)
    typer.echo(f"saved {output}")


def _print_epoch(number: int, epoch: Epoch) -> None:
    typer.echo(f"epoch {number:3d}  loss {epoch.loss:.3f}  accuracy {epoch.accuracy:.3f}")


if __name__ == "__main__":
    typer.run(main)
