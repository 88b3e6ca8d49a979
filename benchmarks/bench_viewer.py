"""The reading room, as a reader meets it: in a browser, from the input event to the picture.

- ``picture``   milliseconds from an event to the picture shown, for slices of 512 x 512 that were
                not looked at before: by the wheel, where neighbors were fetched ahead, and by the
                slider of the heat, where nothing could be; median and 95th percentile
- ``first``     seconds from the command to the first picture, for a store of 10,000 cases; median
                of five commands, after one that compiles what isn't compiled yet
- ``table``     milliseconds until a table of 10,000 cases is filtered and shown; median
- ``memory``    MiB of the server while 100 volumes are leafed through, at most

The browser is Debian's Chromium on the same machine, without a GPU: it shares the cores with the
server, and decodes and draws on them.

Run: python -m benchmarks.bench_viewer [--quick] [--cases N] [--volumes N] [--events N]
                                        [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from scipy.ndimage import gaussian_filter

from fastcam.read.results.case import Case
from fastcam.read.results.results import Results
from fastcam.store.patches import create_from_results

SIDE = 512
STARTS = 5
SHOWN = ".pane[data-address]"


def make_case(place: int, name: str, depth: int, rng: np.random.Generator) -> Case:
    """Twenty-four patches a slice on four slices, as patch-attention models have them."""
    count = 96
    corners = rng.integers(0, SIDE - 48, (count, 2))
    weights = rng.random(count).astype(np.float32)
    label, prediction = int(rng.integers(2)), int(rng.integers(2))
    return Case(
        place=place,
        name=name,
        true_label=label,
        predicted_label=prediction,
        correct=label == prediction,
        confidence=float(rng.uniform(0.5, 1)),
        probabilities=(0.5, 0.5),
        weights=weights / weights.sum(),
        boxes=np.concatenate([corners, corners + 48], axis=1).astype(np.int32),
        slices=np.repeat(depth // 2 + np.arange(4, dtype=np.int32) - 2, count // 4),
        roi=np.zeros(count, np.int32),
        mask_ratio=np.full(count, np.nan, np.float32),
    )


def make_run(folder: Path, cases: int, depth: int) -> tuple[Path, Path]:
    """A run store of ``cases`` and the folder of their images: four volumes under all names."""
    rng = np.random.default_rng(0)
    images, volumes = folder / "images", folder / "volumes"
    images.mkdir()
    volumes.mkdir()
    for number in range(4):
        noise = gaussian_filter(rng.normal(size=(depth, SIDE, SIDE)).astype(np.float32), (1, 3, 3))
        grain = rng.normal(size=noise.shape).astype(np.float32)
        np.save(volumes / f"{number}.npy", (2000 * noise + 40 * grain + 900).astype(np.int16))
    names = [f"case{number:05d}" for number in range(cases)]
    for number, name in enumerate(names):
        (images / f"{name}.npy").symlink_to(volumes / f"{number % 4}.npy")
    cases_of_run = tuple(
        make_case(number + 1, name, depth, rng) for number, name in enumerate(names)
    )
    store = create_from_results(
        folder / "run.zarr", Results(Path("results.pkl"), "0" * 64, cases_of_run, (), ())
    )
    return store.path, images


class Server:
    """``fastcam view`` in a process of its own."""

    def __init__(self, store: Path, images: Path) -> None:
        command = [sys.executable, "-m", "fastcam", "view", str(store), "--root-dir", str(images)]
        # As it is installed: with the bytecode that pip, or the first command, leaves behind.
        variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self.start = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, "--no-browser"], stdout=subprocess.PIPE, text=True, env=variables
        )
        assert self._process.stdout is not None
        address = re.search(r"http://\S+", self._process.stdout.readline())
        if address is None:
            raise SystemExit("fastcam view did not start")
        self.address = address[0]

    def memory(self) -> float:
        """MiB that the process has now."""
        resident: int = psutil.Process(self._process.pid).memory_info().rss
        return resident / 2**20

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


def measure(store: Path, images: Path, volumes: int, events: int) -> dict[str, Any]:
    """All figures of one room."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("there is no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(120_000)
        starts = [first_picture(browser, store, images) for _ in range(STARTS + 1)]
        server = Server(store, images)
        try:
            page.goto(server.address)
            page.wait_for_selector(SHOWN)
            result: dict[str, Any] = {"first": statistics.median(starts[1:])}
            page.wait_for_timeout(1500)
            result["wheel"] = wheel_times(page, events)
            result["slider"] = slider_times(page, events)
            result["table"] = filter_times(page)
            result["memory"] = leaf(page, server, volumes)
        finally:
            server.close()
            browser.close()
    return result


def first_picture(browser: Any, store: Path, images: Path) -> float:
    """Seconds from the command to the first picture."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(120_000)
    server = Server(store, images)
    try:
        page.goto(server.address)
        page.wait_for_selector(SHOWN)
        return time.perf_counter() - server.start
    finally:
        server.close()
        page.close()


def wheel_times(page: Any, events: int) -> list[float]:
    """By the wheel through the slices, four a second, as one looks."""
    box = page.locator(".stage").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.evaluate("() => (window.fastcamTimings.length = 0)")
    for number in range(events):
        page.mouse.wheel(0, 100 if number % 24 < 12 else -100)
        page.wait_for_timeout(250)
    return list(page.evaluate("() => [...window.fastcamTimings]"))


def slider_times(page: Any, events: int) -> list[float]:
    """By the slider of the heat's opacity: each picture is new to server and browser."""
    page.evaluate("() => (window.fastcamTimings.length = 0)")
    slider = page.get_by_role("slider", name="Heat")
    for number in range(events):
        slider.fill(f"{0.01 + 0.98 * number / events:.2f}")
        page.wait_for_timeout(250)
    return list(page.evaluate("() => [...window.fastcamTimings]"))


def filter_times(page: Any) -> list[float]:
    """Searching and filtering all cases, rows in sight included."""
    times = []
    search = page.get_by_label("Search in names and texts")
    for text in ("case0", "case00", "case001", "7", "42", "case", "9 1", ""):
        search.fill(text)
        page.wait_for_timeout(80)
        times.append(float(page.evaluate("() => window.fastcamTableTime")))
    return times


def leaf(page: Any, server: Server, volumes: int) -> float:
    """MiB at most while going through cases."""
    page.keyboard.press("Escape")
    highest = server.memory()
    for number in range(1, volumes + 1):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "number => new URLSearchParams(document.querySelector('.pane').dataset.address"
            ".split('?')[1]).get('case') === number",
            arg=str(number),
        )
        highest = max(highest, server.memory())
    return highest


def spread(times: list[float]) -> str:
    """Median and 95th percentile as text."""
    return f"median {statistics.median(times):.0f} ms, 95th percentile {tail(times):.0f} ms"


def tail(times: list[float]) -> float:
    return sorted(times)[min(int(0.95 * len(times)), len(times) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few cases and events")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--volumes", type=int, default=100)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--depth", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.cases, options.volumes, options.events, options.depth = 12, 3, 4, 8
    with tempfile.TemporaryDirectory() as folder:
        store, images = make_run(Path(folder), options.cases, options.depth)
        result = measure(store, images, options.volumes, options.events)
    print(f"picture by the wheel:  {spread(result['wheel'])} ({len(result['wheel'])} events)")
    print(f"picture by the slider: {spread(result['slider'])} ({len(result['slider'])} events)")
    print(f"first picture:         {result['first']:.2f} s after the command")
    print(f"table of {options.cases}:        {spread(result['table'])}")
    print(f"server:                {result['memory']:.0f} MiB at most, {options.volumes} volumes")
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
