"""A model on several worker processes: the store of one process, byte by byte, whoever dies."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distributed import Client
from PIL import Image
from torch import nn

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.infer.batch_ranges import BatchRange
from fastcam.jobs.infer.batch_task import versions
from fastcam.jobs.infer.workers import Retries, WorkerFacts, common_device, worker_facts
from tests.dask_cluster import Cluster
from tests.process_tree import kill, running

from .slice_samples import save

pytestmark = pytest.mark.usefixtures("one_thread")

# Says in a file which processes have made it, and takes its time where another file is there.
MODEL = """
import os
import time
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).parent


class Net(nn.Module):
    image_size = 16

    def __init__(self, channels=3):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(channels, 3, 3, padding=1)
        (HERE / f"made-{os.getpid()}").touch()

    def forward(self, x):
        if (HERE / "slow").exists():
            time.sleep(0.1)
        return torch.relu(self.layer(x)).mean((2, 3))


class Grey(Net):
    def __init__(self):
        super().__init__(1)


class Other(Net):
    def __init__(self):
        super().__init__()
        self.layer.bias.data += os.getpid()
"""
OPTIONS: dict[str, Any] = {"layers": ["layer"], "batch_size": 2, "workers": 0, "device": "cpu"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """40 images, of which one can't be read, and the model."""
    (tmp_path / "nets.py").write_text(MODEL)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for index in range(40):
        pixels = rng.integers(0, 256, (20, 18, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"im{index:02d}.png")
    (tmp_path / "images" / "im07.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    return tmp_path


def infer(folder: Path, name: str, images: str = "images", net: str = "Net", **options: Any) -> Any:
    model = f"{folder / 'nets.py'}:{net}"
    return fastcam.infer(model, folder / images, folder / name, **{**OPTIONS, **options})


def contents(run: Path) -> dict[str, bytes]:
    """Every file of a store; the root's attributes say when it was made."""
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in (run / "run.zarr").rglob("*")
        if path.is_file() and path != run / "run.zarr" / "zarr.json"
    }


def makers(folder: Path) -> int:
    """How many processes have made the model so far."""
    return len(list(folder.glob("made-*")))


def test_the_store_is_that_of_one_process_whoever_is_killed(folder: Path) -> None:
    assert infer(folder, "one").exit_code == 3
    before = makers(folder)
    (folder / "slow").touch()
    run = ["infer", folder / "images", "--model", f"{folder / 'nets.py'}:Net"]
    options = ["--layer", "layer", "--batch-size", 2, "--device", "cpu", "--devices", 3, "--json"]
    killed = 0
    with running(*run, "--output-dir", folder / "three", *options) as command:
        while command.process.poll() is None:
            time.sleep(0.3)
            # One of the workers that have made the model by now, where there are two.
            made = [m.pid for m in command.members() if (folder / f"made-{m.pid}").exists()]
            working = [pid for pid in made if pid != command.process.pid]
            if len(working) > 1 and killed < 3:
                kill(working[killed % 2])
                killed += 1
        ending = command.finish(60)
    assert killed > 1
    assert makers(folder) - before > 3
    assert ending.code == 3, ending.err
    report = json.loads(ending.out)
    assert (report["done"], report["failed"]) == (39, 1)
    assert contents(folder / "three") == contents(folder / "one")
    assert not [path for path in (folder / "three").iterdir() if path.name.startswith(".")]
    inputs = [
        (folder / name / "run.inputs.csv").read_text().splitlines() for name in ("one", "three")
    ]
    assert set(inputs[0]) == set(inputs[1])
    # All is done, and what one process has begun several go on with.
    again = infer(folder, "three", devices=2)
    assert (again.already, again.done) == (39, 0)
    assert infer(folder, "one").already == 39


def test_a_cluster_and_slices_of_volumes(folder: Path) -> None:
    """Batches across volumes, on workers that have nothing in common but the folder."""
    (folder / "volumes").mkdir()
    rng = np.random.default_rng(0)
    for case, depth in enumerate((5, 3, 4, 7)):
        save(folder / f"volumes/v{case}.nii.gz", rng.integers(0, 99, (20, 18, depth), np.uint8))
    infer(folder, "one", "volumes", "Grey")
    before = makers(folder)
    cluster = Cluster(folder, workers=2)
    try:
        far = {"scheduler": str(cluster.file)}
        with Client(scheduler_file=far["scheduler"], set_as_default=False) as client:
            client.wait_for_workers(2)
        report = infer(folder, "two", "volumes", "Grey", **far)
        assert (report.images, report.volumes, report.done) == (19, 4, 19)
        assert report.device == "2 workers (cpu)"
        assert makers(folder) - before == 2
        assert contents(folder / "two") == contents(folder / "one")
        # Each process makes other weights: the run is refused, and nothing is there of it.
        with pytest.raises(InputError, match="has other weights there than here"):
            infer(folder, "other", net="Other", **far)
        # Changed inputs are run again, by the workers too.
        save(folder / "volumes/v1.nii.gz", rng.integers(0, 99, (20, 18, 3), np.uint8))
        infer(folder, "one", "volumes", "Grey")
        assert infer(folder, "two", "volumes", "Grey", **far).done == 4  # two batches
        assert contents(folder / "two") == contents(folder / "one")
    finally:
        cluster.close()


def test_relative_paths_on_workers_that_started_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = infer(folder, "one")
    cluster = Cluster(folder, workers=1)
    try:
        monkeypatch.chdir(folder)
        far = {**OPTIONS, "scheduler": "scheduler.json"}
        report = fastcam.infer("nets.py:Net", "images", "two", **far)
        assert (report.done, report.failed) == (one.done, one.failed)
    finally:
        cluster.close()
    # In the reason of the image that can't be read, the path is as it was given.
    fastcam.infer("nets.py:Net", "images", "three", **OPTIONS)
    assert contents(folder / "two") == contents(folder / "three")


def test_a_range_whose_workers_die_is_tried_again_while_it_gets_ahead() -> None:
    left = [4, 4, 4, 3, 3, 3, 3]

    class Store:
        def refresh(self, numbers: tuple[int, ...]) -> None:
            self.numbers = numbers

        def open_among(self, numbers: tuple[int, ...]) -> list[int]:
            assert numbers == self.numbers == (5, 6, 7, 8)
            return list(numbers[: left.pop(0)])

    retries = Retries(Store())  # type: ignore[arg-type]
    part = BatchRange((5, 6, 7, 8), {})
    assert [retries(part) for _ in range(7)] == [True, True, True, True, True, True, False]


def test_what_workers_must_have() -> None:
    own = versions()
    fine = WorkerFacts(own, False, ())
    gpu = WorkerFacts(own, True, ())
    assert common_device({"a": fine, "b": fine}, "auto") == "cpu"
    assert common_device({"a": gpu, "b": gpu}, "auto") == "cuda"
    assert common_device({"a": gpu, "b": fine}, "cpu") == "cpu"
    with pytest.raises(InputError, match=r"worker b has no GPU, and .*: give --device cpu"):
        common_device({"a": gpu, "b": fine}, "auto")
    old = WorkerFacts((own[0], "1.0"), False, ())
    with pytest.raises(InputError, match=r"worker b has PyTorch 1\.0, here .*; install the same"):
        common_device({"a": fine, "b": old}, "auto")
    with pytest.raises(InputError, match=r"worker a doesn't see /data/x; start workers where"):
        common_device({"a": WorkerFacts(own, False, ("/data/x",))}, "auto")


def test_what_a_worker_sees(tmp_path: Path) -> None:
    facts = worker_facts([str(tmp_path), str(tmp_path / "no")])
    assert facts.missing == (str(tmp_path / "no"),)
    assert facts.versions[1] == torch.__version__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 2, "scheduler": "x:1"}, "devices is for this machine"),
        ({"scheduler": "nowhere.json"}, "neither an address such as"),
        ({"devices": 0}, "give at least 1"),
        ({"devices": "two"}, "give all, a number of devices"),
        ({"devices": ""}, "devices '': give all, a number of devices"),
    ],
)
def test_options_that_cant_be(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        infer(folder, "out", **options)
    assert not (folder / "out").exists()


def test_a_module_can_t_be_sent(folder: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3))
    with pytest.raises(InputError, match="each process makes the model itself"):
        fastcam.infer(model, folder / "images", folder / "out", devices=2)


@pytest.mark.slow
def test_evaluate_and_analyze_have_their_models_run_so(folder: Path) -> None:
    rows = [f"im{index:02d},{index % 3}" for index in range(0, 40, 8)]
    (folder / "table.csv").write_text("\n".join(["image,label", *rows]))
    few = folder / "few"
    few.mkdir()
    for row in rows:
        name = row.partition(",")[0] + ".png"
        (few / name).write_bytes((folder / "images" / name).read_bytes())
    model = f"{folder / 'nets.py'}:Net"
    table: dict[str, Any] = {
        "target": "label",
        "layers": ["layer"],
        "batch_size": 2,
        "device": "cpu",
    }
    drawn: dict[str, Any] = {"workers": 1, "panel_size": 64}
    for name, devices in (("a", None), ("b", 2)):
        fastcam.evaluate(
            model, few, folder / "table.csv", folder / name, devices=devices, **table, **drawn
        )
    assert contents(folder / "a") == contents(folder / "b")
    metrics = [(folder / name / "predictions.csv").read_bytes() for name in "ab"]
    assert metrics[0] == metrics[1]
    for name, devices in (("c", None), ("d", 2)):
        analyzer = fastcam.Analyzer(
            model, layers=["layer"], device="cpu", batch_size=2, output_dir=folder / name
        )
        analyzer.analyze_batch(few, devices=devices)
    assert contents(folder / "c") == contents(folder / "d")
