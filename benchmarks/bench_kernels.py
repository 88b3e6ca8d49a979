"""Milliseconds of each kernel on one core, beside NumPy's or OpenCV's way of doing the same.

    python -m benchmarks.bench_kernels            512x512 panels, a 100x512x512 volume
    python -m benchmarks.bench_kernels --quick    small and short: only shows that it runs

The two ways run in turn, so that a busy machine slows both; medians are printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from fastcam_kernels import (
    colormap,
    grey,
    heat,
    label_placement,
    panel_kernel,
    png,
    resize,
)
from fastcam_kernels.blend_tables import Mode, blend_tables
from fastcam_kernels.margins import margins as fill_margins
from fastcam_kernels.panel_layers import Heat, Image, Layers, Outlines, Text, Tint
from numpy.typing import NDArray

NO_IMAGE = np.zeros((0, 0, 1), np.uint8)
NO_HEAT = np.zeros((0, 0), np.float32)
NO_TINT = np.zeros((0, 0), np.uint8)


@dataclass(frozen=True)
class Case:
    """One row of the table: what is measured, ours, and the usual way (None: there is none)."""

    name: str
    ours: Callable[[], object]
    usual: Callable[[], object] | None = None


@dataclass(frozen=True)
class Scene:
    """One slice of ``side`` pixels with 24 patches, five labels and a CAM."""

    side: int
    image: NDArray[np.uint8]
    boxes: NDArray[np.int32]
    weights: NDArray[np.float32]
    patchy: NDArray[np.float32]
    cam: NDArray[np.float32]
    text: Text


def make_scene(side: int) -> Scene:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (side, side), dtype=np.uint8)
    half = max(1, side // 20)
    centres = rng.integers(side // 5, side - side // 5, (24, 2))
    boxes = np.concatenate([centres - half, centres + half], axis=1).astype(np.int32)
    weights = rng.random(24, np.float32)
    glyphs = [
        [k % 10, 30 + 8 * k + 10 * row, side // 6 * row + 11, 255, 255, 255]
        for row in range(5)
        for k in range(6)
    ]
    backgrounds = [
        [28 + 10 * row, side // 6 * row + 10, 90 + 10 * row, side // 6 * row + 28]
        for row in range(5)
    ]
    atlas = [[8 * k, 0, 8, 16] for k in range(10)]
    return Scene(
        side,
        np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)[:, :, None].copy(),
        boxes,
        weights,
        heat.patch_heat(boxes, weights, side, side),
        rng.random((14, 14), np.float32),
        Text(
            np.array(backgrounds, np.int32),
            np.zeros((5, 3), np.uint8),
            rng.integers(0, 256, (16, 80), dtype=np.uint8),
            np.array(atlas, np.int32),
            np.array(glyphs, np.int32),
        ),
    )


def draw(
    scene: Scene,
    canvas: NDArray[np.uint8],
    column: int,
    image: NDArray[np.uint8] = NO_IMAGE,
    values: NDArray[np.float32] = NO_HEAT,
    mode: Mode = "flat",
    labelled: bool = False,
    tint: NDArray[np.uint8] = NO_TINT,
) -> None:
    """One panel in column ``column`` of the figure."""
    tables = blend_tables(colormap.table("jet"), 0.4, mode)
    picture = Layers(
        Image(image, resize.BILINEAR),
        Heat(values, 0.0, 1.0, tables, resize.BILINEAR),
        Tint(tint, np.array([255, 0, 0], np.uint8), 0.3),
    )
    if labelled:
        n = len(scene.boxes)
        white = np.full((n, 3), 255, np.uint8)
        outlines = Outlines(scene.boxes, white, np.ones(n, np.int32))
        picture = picture._replace(outlines=outlines, text=scene.text)
    x = 10 + column * (scene.side + 10)
    panel_kernel.panel(canvas, (x, 40, scene.side, scene.side), picture)


def margins(scene: Scene, canvas: NDArray[np.uint8]) -> None:
    side = scene.side
    lefts = [10 + column * (side + 10) for column in range(4)]
    panels = np.array([[left, 40, left + side, 40 + side] for left in lefts], np.int32)
    header = scene.text._replace(boxes=scene.text.boxes[:0], box_colors=scene.text.box_colors[:0])
    fill_margins(canvas, np.full(3, 255, np.uint8), panels, header)


def cv2_heat(scene: Scene) -> NDArray[Any]:
    """How a script colors heat (BGR)."""
    return cv2.applyColorMap((scene.patchy * 255).astype(np.uint8), cv2.COLORMAP_JET)


def cv2_overlay(scene: Scene, labelled: bool) -> NDArray[Any]:
    grey_image = cv2.cvtColor(scene.image, cv2.COLOR_GRAY2BGR)
    out = cv2.addWeighted(cv2_heat(scene), 0.4, grey_image, 0.6, 0)
    if labelled:
        for x1, y1, x2, y2 in scene.boxes.tolist():
            cv2.rectangle(out, (x1, y1), (x2 - 1, y2 - 1), (0, 255, 255), 1)
        for x1, _, _, y2 in scene.text.boxes.tolist():
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(out, "0.1234", (x1, y2), font, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def cv2_cam(scene: Scene) -> NDArray[Any]:
    large = cv2.resize(scene.cam, (scene.side, scene.side), interpolation=cv2.INTER_LINEAR)
    colors = cv2.applyColorMap((large * 255).astype(np.uint8), cv2.COLORMAP_JET)
    return cv2.addWeighted(colors, 0.4, cv2.cvtColor(scene.image, cv2.COLOR_GRAY2BGR), 0.6, 0)


def numpy_patch_heat(scene: Scene) -> NDArray[Any]:
    total, count = np.zeros((2, scene.side, scene.side), np.float32)
    for (x1, y1, x2, y2), weight in zip(scene.boxes.tolist(), scene.weights, strict=True):
        total[y1:y2, x1:x2] += weight
        count[y1:y2, x1:x2] += 1
    heat_values: NDArray[Any] = total / np.maximum(count, 1)
    return heat_values


def numpy_grey(source: NDArray[Any]) -> NDArray[np.uint8]:
    scaled = (source.astype(np.float32) - 100) / 800 * 255
    return np.clip(scaled, 0, 255).round().astype(np.uint8)


def numpy_up(canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows = canvas.reshape(len(canvas), -1)
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = 2
    out[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=out[1:, 1:])
    return out


def cases(side: int, slices: int) -> Iterator[Case]:
    scene = make_scene(side)
    canvas = np.zeros((side + 50, 4 * side + 50, 3), np.uint8)
    image, patchy, cam = scene.image, scene.patchy, scene.cam
    half = image[: side // 2, : side // 2].copy()
    rng = np.random.default_rng(1)
    volume = rng.normal(500, 300, (slices, side, side)).astype(np.int16)
    floats = volume.astype(np.float32)
    disc = np.zeros((side, side), np.uint8)
    cv2.circle(disc, (side // 2, side // 2), side // 4, 255, -1)
    buffer = np.empty((side, side), np.float32)
    sizes = np.full((10, 2), [46, 16], np.int32)

    def figure() -> None:
        draw(scene, canvas, 0, image)
        draw(scene, canvas, 1, image)
        draw(scene, canvas, 2, NO_IMAGE, patchy, "only")
        draw(scene, canvas, 3, image, patchy, "flat", True)
        margins(scene, canvas)

    def usual_figure() -> None:
        cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        cv2_heat(scene)
        canvas[:] = 255
        canvas[40 : 40 + side, 10 : 10 + side] = cv2_overlay(scene, True)

    yield Case(
        "image",
        lambda: draw(scene, canvas, 0, image),
        lambda: cv2.cvtColor(image, cv2.COLOR_GRAY2BGR),
    )
    yield Case("image, tinted", lambda: draw(scene, canvas, 0, image, tint=disc))
    yield Case(
        "image, enlarged 2x",
        lambda: draw(scene, canvas, 0, half),
        lambda: cv2.resize(half, (side, side)),
    )
    yield Case(
        "heat alone",
        lambda: draw(scene, canvas, 2, NO_IMAGE, patchy, "only"),
        lambda: cv2_heat(scene),
    )
    yield Case(
        "overlay", lambda: draw(scene, canvas, 3, image, patchy), lambda: cv2_overlay(scene, False)
    )
    yield Case(
        "overlay, boxes, labels",
        lambda: draw(scene, canvas, 3, image, patchy, "flat", True),
        lambda: cv2_overlay(scene, True),
    )
    yield Case(
        "overlay of a 14x14 CAM", lambda: draw(scene, canvas, 3, image, cam), lambda: cv2_cam(scene)
    )
    yield Case("margins with header text", lambda: margins(scene, canvas))
    yield Case("four panels and margins", figure, usual_figure)
    yield Case(
        "patch heat",
        lambda: heat.patch_heat(scene.boxes, scene.weights, side, side),
        lambda: numpy_patch_heat(scene),
    )
    yield Case(
        "patch heat, into a buffer",
        lambda: heat.patch_heat(scene.boxes, scene.weights, side, side, buffer),
        lambda: numpy_patch_heat(scene),
    )
    yield Case(
        "heat limits",
        lambda: heat.heat_peak(scene.boxes, scene.weights, side, side),
        lambda: numpy_patch_heat(scene).max(),
    )
    yield Case(
        "ten labels",
        lambda: label_placement.label_positions(scene.boxes[:10], sizes, side, side, 2),
    )
    yield Case("PNG Up filter", lambda: png.up_filter(canvas), lambda: numpy_up(canvas))
    yield Case(
        "grey levels, int16",
        lambda: grey.to_grey(volume[0], 100, 900),
        lambda: numpy_grey(volume[0]),
    )
    yield Case(
        "percentiles, int16",
        lambda: grey.percentiles(volume, 0.5, 99.5),
        lambda: np.percentile(volume, [0.5, 99.5]),
    )
    yield Case(
        "percentiles, float32",
        lambda: grey.percentiles(floats, 0.5, 99.5),
        lambda: np.percentile(floats, [0.5, 99.5]),
    )


def clock(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def measure(case: Case, seconds: float) -> tuple[float, float | None]:
    """Median milliseconds of both ways, run in turn for about ``seconds``."""
    clock(case.ours)
    ours, usual = [clock(case.ours)], [clock(case.usual)] if case.usual else []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        ours.append(clock(case.ours))
        if case.usual:
            usual.append(clock(case.usual))
    return statistics.median(ours), statistics.median(usual) if usual else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="small and short, to see that it runs")
    quick = parser.parse_args().quick
    side, slices, seconds = (96, 2, 0.0) if quick else (512, 100, 1.0)
    cv2.setNumThreads(1)
    versions = f"NumPy {np.__version__}, OpenCV {cv2.__version__}"
    print(f"{side}x{side}, volume of {slices} slices; {versions}")
    print(f"{'':26s} {'kernel':>9s} {'usual way':>10s}  ratio")
    for case in cases(side, slices):
        ours, usual = measure(case, seconds)
        beside = f"{usual:10.3f} {usual / ours:6.1f}x" if usual is not None else ""
        print(f"{case.name:26s} {ours:9.3f} {beside}", flush=True)


if __name__ == "__main__":
    main()
