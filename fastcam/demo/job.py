"""The whole road on a problem that fastcam makes itself: train, infer and render; then the views of
a Vision Transformer. For both it is said how often the model looked at the object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastcam.api.infer import infer
from fastcam.api.render import render
from fastcam.demo.lesion_set import DemoScore, prepare_demo, score_demo
from fastcam.demo.vit import VitDemoScore, run_vit_demo
from fastcam.models.patch_attention.training import Epoch, LabelledCase, TrainSettings, train
from fastcam.models.training import save_weights
from fastcam.run.progress import NoProgress, Progress
from fastcam.store.open import open_store
from fastcam.store.patches import RunStore


@dataclass(frozen=True, slots=True)
class DemoSize:
    """How much is made and trained.

    Attributes:
        train_cases: cases to train on.
        test_cases: cases to test.
        epochs: times each training case is seen.
        vit_images: pictures that the Vision Transformer is scored on.
        vit_shown: those of them that are drawn.
    """

    train_cases: int = 80
    test_cases: int = 40
    epochs: int = 24
    vit_images: int = 600
    vit_shown: int = 3


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The scores of both models.

    Attributes:
        lesions: of the model trained here.
        shapes: of the Vision Transformer that ships.
    """

    lesions: DemoScore
    shapes: VitDemoScore


def run_demo(
    folder: Path,
    size: DemoSize,
    workers: int | None = None,
    log: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> DemoResult:
    """Make a test set in ``folder/data``, train the patch-attention model, infer, and draw; then
    the views of a Vision Transformer in ``folder/vit``.

    ``log`` gets lines: what is done, and the command that would do it. Returns how well
    held-out cases and pictures were predicted, and how often the highest attention lies on the
    lesion or object.
    """
    progress = progress or NoProgress()
    data, checkpoint = folder / "data", folder / "model.safetensors"
    log(
        f"making {size.train_cases} cases to train on and {size.test_cases} to test, in {data}: "
        "necks with and without a calcified plaque"
    )
    cases = prepare_demo(data, train_cases=size.train_cases, test_cases=size.test_cases)
    log("\ntraining the patch-attention model on the labels alone; nothing tells it where to look")
    _train(cases.train, size.epochs, checkpoint, progress)
    log(
        f"\nfastcam infer {cases.images} --table {cases.labels} --mask-dir {cases.masks} "
        f"--model patch_attention --checkpoint {checkpoint} --output-dir {folder / 'infer'}"
    )
    report = infer(
        "patch_attention",
        cases.images,
        folder / "infer",
        checkpoint=checkpoint,
        table=cases.labels,
        mask_dir=cases.masks,
        overwrite=True,
        progress=progress,
    )
    for mode in ("best_slice", "all_slices"):
        log(
            f"\nfastcam render {report.store} --root-dir {cases.images} --mask-dir {cases.masks} "
            f"--output-dir {folder / mode} --mode {mode}"
        )
        figures = render(
            report.store,
            root_dir=cases.images,
            mask_dir=cases.masks,
            output_dir=folder / mode,
            mode=mode,
            workers=workers,
            overwrite=True,
            analyze_stats=mode == "all_slices",
            progress=progress,
        )
        log(f"{figures.drawn} figures, {figures.figures_per_second:.0f} a second")
    store = open_store(report.store)
    assert isinstance(store, RunStore)
    lesions = score_demo(store, cases)
    log("\nthe Vision Transformer that ships with fastcam, which learned to tell six shapes apart:")
    shapes = run_vit_demo(folder / "vit", log, images=size.vit_images, shown=size.vit_shown)
    return DemoResult(lesions, shapes)


def _train(
    cases: tuple[LabelledCase, ...], epochs: int, checkpoint: Path, progress: Progress
) -> None:
    def on_epoch(number: int, epoch: Epoch) -> None:
        progress.advance(1)

    progress.begin("epochs", epochs)
    try:
        model, history = train(cases, TrainSettings(epochs=epochs), on_epoch)
    finally:
        progress.end()
    progress.note(f"training: {history[-1].accuracy:.3f} of the training cases right at the end")
    save_weights(model, checkpoint)
