"""``fastcam demo``: figures of a made-up test set, offline, without any input."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output_dir: Annotated[
        Path, typer.Option(help="Folder for the test set and its figures.")
    ] = Path("fastcam-demo"),
    cases: Annotated[int, typer.Option(min=1, max=999, help="Cases to make.")] = 8,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers on this machine; default: all cores.")
    ] = None,
) -> None:
    """Make a small carotid-like test set, draw it in both modes, and say where to look.

    Volumes, masks with lesions and a results file; no network, no input.
    """
    from fastcam import api
    from fastcam.cli import progress, report_lines
    from fastcam.runpage import PAGE
    from fastcam.synthetic import make_test_set

    typer.echo(f"making {cases} volumes, masks and a results file in {output_dir / 'data'}")
    made = make_test_set(output_dir / "data", cases=cases)
    for mode in ("best_slice", "all_slices"):
        typer.echo(
            f"\nfastcam render {made.results} --root-dir {made.images} --mask-dir {made.masks} "
            f"--output-dir {output_dir / mode} --mode {mode}"
        )
        report = api.render(
            made.results, root_dir=made.images, mask_dir=made.masks, output_dir=output_dir / mode,
            mode=mode, workers=workers, overwrite=True, analyze_stats=mode == "all_slices",
            progress=progress.for_stderr(),
        )  # fmt: skip
        typer.echo(report_lines.told(report))
    typer.echo(f"\nlook at {output_dir / 'best_slice' / PAGE} first")
