"""The whole road on a problem that fastcam makes itself: train, infer and render; then the views of
a Vision Transformer. For both it is said how often the model looked at the object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam.api import infer, render
from fastcam.demo.lesion_set import DemoScore, prepare_demo, score_demo
from fastcam.demo.vit import VitDemoScore, run_vit_demo
from fastcam.run.progress import Progress, Silent
from fastcam.store.open import open_store
from fastcam.store.patches import RunStore

if TYPE_CHECKING:
    from fastcam.models.patch_attention.training import LabelledCase


@dataclass(frozen=True, slots=True)
class DemoSize:
    """How much is made and trained; ``vit_images``: pictures that the Vision Transformer is scored
    on, of which ``vit_shown`` are drawn."""

    train_cases: int = 80
    test_cases: int = 40
    epochs: int = 24
    vit_images: int = 600
    vit_shown: int = 3


@dataclass(frozen=True, slots=True)
class DemoResult:
    """``lesions``: of the model trained here; ``shapes``: of the Vision Transformer that ships."""

    lesions: DemoScore
    shapes: VitDemoScore


def run_demo(
    folder: Path,
    size: DemoSize,
    workers: int | None = None,
    told: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> DemoResult:
    """Make a test set in ``folder/data``, train the patch-attention model, infer, and draw; then
    the views of a Vision Transformer in ``folder/vit``.

    ``told`` gets what is done, with the command that would do it. Returns how well held-out cases
    and pictures were predicted, and how often the highest attention lies on the lesion or object.
    """
    progress = progress or Silent()
    data, checkpoint = folder / "data", folder / "model.safetensors"
    told(
        f"making {size.train_cases} cases to train on and {size.test_cases} to test, in {data}: "
        "necks with and without a calcified plaque"
    )
    made = prepare_demo(data, train_cases=size.train_cases, test_cases=size.test_cases)
    told("\ntraining the patch-attention model on the labels alone; nothing tells it where to look")
    _train(made.train, size.epochs, checkpoint, progress)
    told(
        f"\nfastcam infer {made.images} --table {made.labels} --mask-dir {made.masks} "
        f"--model patch_attention --checkpoint {checkpoint} --output-dir {folder / 'infer'}"
    )
    report = infer.infer(
        "patch_attention", made.images, folder / "infer", checkpoint=checkpoint,
        table=made.labels, mask_dir=made.masks, overwrite=True, progress=progress,
    )  # fmt: skip
    for mode in ("best_slice", "all_slices"):
        told(
            f"\nfastcam render {report.store} --root-dir {made.images} --mask-dir {made.masks} "
            f"--output-dir {folder / mode} --mode {mode}"
        )
        drawn = render.render(
            report.store, root_dir=made.images, mask_dir=made.masks, output_dir=folder / mode,
            mode=mode, workers=workers, overwrite=True, analyze_stats=mode == "all_slices",
            progress=progress,
        )  # fmt: skip
        told(f"{drawn.drawn} figures, {drawn.figures_per_second:.0f} a second")
    store = open_store(report.store)
    assert isinstance(store, RunStore)
    lesions = score_demo(store, made)
    told(
        "\nthe Vision Transformer that ships with fastcam, which learned to tell six shapes apart:"
    )
    shapes = run_vit_demo(
        folder / "vit", told, images=size.vit_images, shown=size.vit_shown
    )  # fmt: skip
    return DemoResult(lesions, shapes)


def _train(
    cases: tuple[LabelledCase, ...], epochs: int, checkpoint: Path, progress: Progress
) -> None:
    from fastcam.models.patch_attention.training import Epoch, TrainSettings, save, train

    def told(at: int, epoch: Epoch) -> None:
        progress.advance(1)

    progress.begin("epochs", epochs)
    try:
        model, history = train(cases, TrainSettings(epochs=epochs), told)
    finally:
        progress.end()
    progress.note(f"training: {history[-1].accuracy:.3f} of the training cases right at the end")
    save(model, checkpoint)
