"""The same job on a real Dask cluster: a scheduler and two workers, one of them killed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster
from PIL import Image

from fastcam.api import render
from fastcam.demo.neck_set import SyntheticSet, make_test_set
from fastcam.errors import InputError
from fastcam.run import scheduler
from tests.dask_cluster import Cluster
from tests.process_tree import orderly, running, wait_until


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SyntheticSet:
    return make_test_set(tmp_path_factory.mktemp("set"), cases=4, slices=40, size=128)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path, workers=2)
    yield started
    started.close()


class KillAfter:
    """A progress that kills a process once a few figures are drawn."""

    def __init__(self, process: subprocess.Popen[bytes], figures: int) -> None:
        self.process, self.figures, self.done = process, figures, 0
        self.killed_at: int | None = None

    def note(self, text: str) -> None: ...

    def begin(self, what: str, total: int) -> None:
        self.total = total

    def advance(self, count: int) -> None:
        self.done += count
        if self.killed_at is None and self.done >= self.figures:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.killed_at = self.done

    def end(self) -> None: ...


def draw(made: SyntheticSet, output: Path, **options):
    return render.render(
        made.results,
        root_dir=made.images,
        mask_dir=made.masks,
        output_dir=output,
        mode="all_slices",
        **options,
    )


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {
        str(path.relative_to(folder)): np.asarray(Image.open(path))
        for path in folder.rglob("*.png")
    }


def test_a_cluster_that_loses_a_worker_draws_the_same_pictures(cluster, made, tmp_path):
    killer = KillAfter(cluster.workers[0], figures=20)
    report = draw(made, tmp_path / "far", scheduler=str(cluster.file), progress=killer)
    assert killer.killed_at is not None
    assert killer.killed_at < killer.total
    assert report.exit_code == 0
    assert (report.drawn, report.failed) == (160, 0)
    assert cluster.workers[1].poll() is None
    draw(made, tmp_path / "near", workers=1)
    far, near = pictures(tmp_path / "far"), pictures(tmp_path / "near")
    assert far.keys() == near.keys()
    assert all(np.array_equal(far[name], near[name]) for name in near)
    assert not list((tmp_path / "far").rglob(".tmp-*"))


def test_an_address_serves_as_well_as_a_file(cluster, made, tmp_path):
    import json

    address = json.loads(cluster.file.read_text())["address"]
    report = draw(made, tmp_path / "out", scheduler=address, max_samples=1)
    assert report.drawn == 40


def test_relative_paths_on_workers_that_started_elsewhere(cluster, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [os.path.relpath(folder) for folder in (made.images, made.masks)]
    near = replace(made, images=Path(folders[0]), masks=Path(folders[1]))
    assert draw(near, Path("out"), scheduler=str(cluster.file), max_samples=1).drawn == 40


@pytest.mark.parametrize("content", ["image,label\n", "{}", '{"address": 5}', "[]", "[" * 9999])
def test_a_file_that_is_no_scheduler_file(made, tmp_path, content):
    file = tmp_path / "few.csv"
    file.write_text(content)
    with pytest.raises(InputError, match=r"few\.csv: has no scheduler's address"):
        draw(made, tmp_path / "a", scheduler=str(file))
    assert not (tmp_path / "a").exists()


def test_a_scheduler_that_is_not_there(made, tmp_path):
    with pytest.raises(InputError, match="neither an address such as"):
        draw(made, tmp_path / "a", scheduler=str(tmp_path / "missing.json"))


def test_one_process_draws_what_two_draw(made, tmp_path):
    draw(made, tmp_path / "one", workers=1)
    report = draw(made, tmp_path / "two", workers=2)
    assert report.drawn == 160
    one, two = pictures(tmp_path / "one"), pictures(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(("workers", "figures"), [(1, 10_000), (2, 10_000), (16, 10_000), (16, 5)])
def test_as_many_threads_work_as_workers_were_asked_for(workers, figures):
    shape = scheduler.cluster_shape(workers, figures)
    assert max(1, shape.processes) * shape.threads == workers


def test_a_script_needs_no_main_guard(made, tmp_path):
    # Worker processes import the main script again, unless they are kept from it.
    script = tmp_path / "script.py"
    script.write_text(
        "import fastcam\n"
        f"r = fastcam.render({str(made.results)!r}, root_dir={str(made.images)!r},"
        f" output_dir={str(tmp_path / 'out')!r}, mode='all_slices', workers=2)\n"
        "print('drawn', r.drawn)\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "drawn 160\n"


def test_a_scheduler_that_is_not_there_costs_no_figures(made, tmp_path):
    draw(made, tmp_path / "out", workers=1, max_samples=1)
    before = pictures(tmp_path / "out")
    with pytest.raises(InputError):
        draw(made, tmp_path / "out", scheduler="nowhere", overwrite=True, theme="dark")
    assert pictures(tmp_path / "out").keys() == before.keys()


def test_a_scheduler_that_is_killed_is_one_line(cluster, made, tmp_path):
    sources = ["--root-dir", made.images, "--mode", "all_slices", "--panel-size", 256]
    where = ["--scheduler", cluster.file, "--output-dir", tmp_path / "out"]
    with running("render", made.results, *sources, *where) as command:
        figures = tmp_path / "out"
        wait_until(
            lambda: len(list(figures.glob("0*/*.png"))) > 2 or command.process.poll() is not None
        )
        cluster.scheduler.kill()
        ending = command.finish()
    orderly(ending, codes=(1,))
    assert "the Dask cluster gave up" in ending.err


_CLUSTER = """
import sys
from fastcam.run.scheduler import ClusterShape, local_cluster
with local_cluster(ClusterShape(1, 1), ["math"]) as client:
    print(client.submit(abs, -3).result(), "pandas" in sys.modules)
"""


def test_dask_imports_nothing_for_a_fork_server_that_runs() -> None:
    pytest.importorskip("pandas")
    command = [sys.executable, "-c", _CLUSTER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["3", "False"], done.stderr


@pytest.mark.parametrize("late", [False, True])
def test_workers_that_close_too_late_are_no_words(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was asked for is done, and a loop would say at length what it waited for."""
    close = LocalCluster.close

    def closed(cluster: LocalCluster, timeout: float | None = None) -> None:
        close(cluster, timeout)
        if late:
            raise TimeoutError("Timeout")

    monkeypatch.setattr(LocalCluster, "close", closed)
    loops = logging.getLogger("asyncio")
    monkeypatch.setattr(loops, "level", logging.WARNING)
    with scheduler.local_cluster(scheduler.ClusterShape(0, 1), ()) as client:
        assert client.submit(sum, [1, 2]).result() == 3
    assert (loops.level > logging.CRITICAL) == late
