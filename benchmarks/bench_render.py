"""Milliseconds per figure on one core: fastcam beside the ways in use today.

Four panels of 512x512 pixels, 24 patches, mask and header, from arrays in memory to a file:

- ``fastcam``     what `fastcam render` does for each slice, cutting the slice out included
- ``matplotlib``  the usual script: a 1x4 figure at 150 dpi, OpenCV colors
- ``opencv``      an OpenCV-only script: applyColorMap, addWeighted, imwrite
- ``floor``       encoding and writing a canvas that is finished already

Rounds alternate, the median over them counts; in a round a way makes eight figures (matplotlib
one), as a worker does for the slices of a case. Every figure is a new file, as in a real run:
replacing one costs ext4 0.9 ms more, since it then writes to the disk at once. Two contents, since
the time of deflate depends on it: ``noise`` is hard to compress, ``phantom`` is like a neck in CT.

Run: python -m benchmarks.bench_render [--quick] [--content noise|phantom] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastcam_kernels.png import up_filter

from fastcam.demo.phantom import neck
from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_pixels import draw
from fastcam.figures.patch_figure import patch_sheet
from fastcam.figures.patch_scales import case_scale
from fastcam.figures.png_writer import WRITE_BATCH, WriteBatch, png_pieces
from fastcam.figures.render_style import render_style_of
from fastcam.jobs.render.patches.case import OpenCase, cut_slice
from fastcam.options import Style
from fastcam.read.results.case import Case
from fastcam.read.volumes import orientation
from fastcam.read.volumes.masks import Mask
from fastcam.read.volumes.voxels import Volume
from fastcam.run.files import write_bytes

SIZE = 512
PATCHES = 24
SLICES = 8


Voxels = np.ndarray[tuple[int, ...], np.dtype[Any]]


def noise(rng: np.random.Generator) -> tuple[Voxels, Voxels]:
    """Smooth shapes and noise in int16, and a mask."""
    import cv2

    values = rng.normal(size=(SLICES, SIZE, SIZE)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(layer, (0, 0), 12) for layer in values])
    return (smooth * 9000 + values * 15).astype(np.int16), smooth > 0.02


def phantom(rng: np.random.Generator) -> tuple[Voxels, Voxels]:
    """A made-up neck in Hounsfield units, and a mask around its arteries."""
    slices = list(neck(rng, SLICES, SIZE, True))
    return np.stack([s.image for s in slices]), np.stack([s.mask for s in slices]) > 0


CONTENTS = {"noise": noise, "phantom": phantom}


def make_case(content: str = "noise", seed: int = 0) -> OpenCase:
    """A few slices with 24 patches each, in memory."""
    rng = np.random.default_rng(seed)
    voxels, inside = CONTENTS[content](rng)
    corners = rng.integers(100, SIZE - 124, size=(SLICES * PATCHES, 2))
    weights = rng.random(SLICES * PATCHES).astype(np.float32) ** 4
    case = Case(
        place=1,
        name="patient_0001",
        true_label=1,
        predicted_label=1,
        correct=True,
        confidence=0.93,
        probabilities=(0.07, 0.93),
        weights=weights / weights.sum(),
        boxes=np.hstack([corners, corners + 24]).astype(np.int32),
        slices=np.repeat(np.arange(SLICES, dtype=np.int32), PATCHES),
        roi=np.zeros(SLICES * PATCHES, np.int32),
        mask_ratio=np.ones(SLICES * PATCHES, np.float32),
    )
    volume = Volume(voxels=voxels, file_window=(-300.0, 300.0))
    return OpenCase(
        case=case,
        volume=volume,
        mask=Mask(inside),
        mask_notice="",
        warnings=(),
        first=0,
        count=SLICES,
        crop=None,
        frame=orientation.IDENTITY,
        display=orientation.Orientation(flip_columns=True, flip_rows=True),
        height=SIZE,
        width=SIZE,
    )


# Slices to draw, and the files of their figures.
Way = Callable[[Sequence[int], Sequence[Path]], None]


def one_by_one(draw: Callable[[int, Path], None]) -> Way:
    def way(indices: Sequence[int], paths: Sequence[Path]) -> None:
        for index, path in zip(indices, paths, strict=True):
            draw(index, path)

    return way


def fastcam_way(open_case: OpenCase) -> Way:
    """What a worker does for the slices of a case."""
    buffers, batch_buffers = Buffers(), [Buffers() for _ in range(WRITE_BATCH)]
    style = Style()
    render_style = render_style_of(style, "", (), SIZE)
    scale = case_scale(open_case.case, style.scale, SIZE, SIZE, 0.0)

    def way(indices: Sequence[int], paths: Sequence[Path]) -> None:
        write_batch = WriteBatch(batch_buffers)
        for index, path in zip(indices, paths, strict=True):
            picture = cut_slice(open_case, index, buffers)
            sheet, _ = patch_sheet(open_case.case, index, picture, scale, render_style, buffers)
            write_batch.put(path, sheet, render_style, "png", lambda _: None)
        write_batch.finish()

    return way


def floor_way(open_case: OpenCase) -> Way:
    """Encode and write the same canvases, finished beforehand."""
    style = Style()
    render_style = render_style_of(style, "", (), SIZE)
    scale = case_scale(open_case.case, style.scale, SIZE, SIZE, 0.0)
    sheets = [
        patch_sheet(open_case.case, index, cut_slice(open_case, index), scale, render_style)[0]
        for index in range(SLICES)
    ]
    canvases = [draw(sheet, render_style.lettering, render_style.palette) for sheet in sheets]
    rows = up_filter(canvases[0])

    def encode_and_write(index: int, path: Path) -> None:
        write_bytes(path, png_pieces(up_filter(canvases[index], rows)))

    return one_by_one(encode_and_write)


def _heat(open_case: OpenCase, index: int) -> tuple[np.ndarray[Any, Any], ...]:
    case = open_case.case
    members = case.slices == index
    heat = np.zeros((SIZE, SIZE), np.float32)
    count = np.zeros((SIZE, SIZE), np.float32)
    for (x1, y1, x2, y2), weight in zip(case.boxes[members], case.weights[members], strict=True):
        heat[y1:y2, x1:x2] += weight
        count[y1:y2, x1:x2] += 1
    heat = np.divide(heat, count, out=heat, where=count > 0)
    heat = (heat - heat.min()) / (heat.max() - heat.min() + 1e-8)
    grey = np.clip((open_case.volume.voxels[index] + 300.0) / 600.0 * 255, 0, 255).astype(np.uint8)
    order = np.argsort(-case.weights[members])[:3]
    return grey, heat, case.boxes[members][order], case.weights[members][order]


def opencv_way(open_case: OpenCase) -> Way:
    """The OpenCV-only script."""
    import cv2

    assert open_case.mask is not None
    mask_of = open_case.mask.slice

    def draw(index: int, path: Path) -> None:
        grey, heat, boxes, weights = _heat(open_case, index)
        image = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        mask = cv2.cvtColor(mask_of(index) * np.uint8(255), cv2.COLOR_GRAY2BGR)
        color = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_JET)
        overlay = cv2.addWeighted(image, 0.5, color, 0.5, 0)
        for rank, ((x1, y1, x2, y2), weight) in enumerate(zip(boxes, weights, strict=True)):
            line = ((0, 255, 0), 3) if rank == 0 else ((0, 255, 255), 1)
            cv2.rectangle(overlay, (int(x1), int(y1)), (int(x2), int(y2)), *line)
            spot = (int(x1), int(y1) - 4)
            cv2.putText(overlay, f"{weight:.4f}", spot, cv2.FONT_HERSHEY_SIMPLEX, 0.4, line[0], 1)
        canvas = np.hstack([image, mask, color, overlay])
        canvas = cv2.copyMakeBorder(canvas, 40, 0, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        cv2.putText(canvas, f"patient_0001 slice {index}", (10, 28), 0, 0.8, (0, 0, 0), 2)
        cv2.imwrite(str(path), canvas)

    return one_by_one(draw)


def matplotlib_way(open_case: OpenCase) -> Way:
    """The usual script, as it is written everywhere."""
    import cv2
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    assert open_case.mask is not None
    mask_of = open_case.mask.slice

    def draw(index: int, path: Path) -> None:
        grey, heat, boxes, weights = _heat(open_case, index)
        color = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_JET)
        color = cv2.cvtColor(color, cv2.COLOR_BGR2RGB)
        overlay = cv2.addWeighted(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), 0.5, color, 0.5, 0)
        figure, axes = plt.subplots(1, 4, figsize=(20, 5))
        axes[0].imshow(grey, cmap="gray")
        axes[1].imshow(mask_of(index), cmap="gray")
        colored = axes[2].imshow(heat, cmap="jet")
        figure.colorbar(colored, ax=axes[2])
        axes[3].imshow(overlay)
        for rank, ((x1, y1, x2, y2), weight) in enumerate(zip(boxes, weights, strict=True)):
            line = "lime" if rank == 0 else "yellow"
            axes[3].add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=line))
            axes[3].text(x1, y1 - 4, f"{weight:.4f}", color=line, fontsize=8)
        for axis, title in zip(axes, ("slice", "mask", "attention", "overlay"), strict=True):
            axis.set_title(title)
            axis.axis("off")
        figure.suptitle(f"patient_0001 slice {index}")
        plt.tight_layout()
        plt.savefig(path, dpi=150, bbox_inches="tight")
        plt.close(figure)

    return one_by_one(draw)


def measure(content: str, rounds: int) -> dict[str, tuple[float, int]]:
    """Median milliseconds and KiB of a figure by each way; ways take turns in every round."""
    open_case = make_case(content)
    ways = {
        "fastcam": (fastcam_way(open_case), SLICES),
        "floor": (floor_way(open_case), SLICES),
        "opencv": (opencv_way(open_case), SLICES),
        "matplotlib": (matplotlib_way(open_case), 1),
    }
    times_by_way: dict[str, list[float]] = {name: [] for name in ways}
    sizes: dict[str, list[int]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        for name, (way, _) in ways.items():
            way([0], [Path(folder) / f"{name}.png"])
        for turn in range(rounds):
            for name, (way, figures) in ways.items():
                paths = [Path(folder) / f"{name}-{turn}-{index}.png" for index in range(figures)]
                indices = [(index + turn) % SLICES for index in range(figures)]
                start = time.perf_counter()
                way(indices, paths)
                times_by_way[name].append((time.perf_counter() - start) * 1000 / figures)
                sizes[name] += [path.stat().st_size for path in paths]
                for path in paths:
                    path.unlink()
    return {
        name: (statistics.median(times_by_way[name]), round(statistics.median(sizes[name]) / 1024))
        for name in ways
    }


def main() -> None:
    """Print the figures; ``--json`` also writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round, for the tests")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--content", choices=list(CONTENTS), help="one of the two only")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import cv2

    cv2.setNumThreads(1)
    report = {}
    for content in [options.content] if options.content else CONTENTS:
        result = measure(content, 1 if options.quick else options.rounds)
        ours, floor = result["fastcam"][0], result["floor"][0]
        print(f"{content}, OpenCV {cv2.__version__}")
        for name, (milliseconds, size) in result.items():
            print(f"{name:>12}: {milliseconds:8.2f} ms   {milliseconds / ours:6.2f}x   {size} KiB")
        print(f"     fastcam is {ours / floor:.3f}x the floor")
        report[content] = {
            "ms": {name: milliseconds for name, (milliseconds, _) in result.items()},
            "KiB": {name: size for name, (_, size) in result.items()},
        }
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
