"""A small test set that all end-to-end tests share, and the command line inside this process."""

from __future__ import annotations

import csv
import pickle
import shlex
import signal
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from fastcam.demo.neck_set import SyntheticSet, make_test_set
from fastcam.storage import object_store, silent_stores
from fastcam.storage.locations import as_path
from fastcam.storage.object_path import ObjectPath
from tests.object_server import ObjectServer

# A shell ignores Ctrl-C in what it starts in the background, and so would all that tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, and none fails for being slow on a busy machine. Others each time:
# make test ARGS=--hypothesis-profile=random
settings.register_profile(
    "fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("random", settings.get_profile("fixed"), derandomize=False)
settings.load_profile("fixed")

# Tests that run whole programs: a minute and more for each folder.
_SLOW = ("benchmarks", "campaign", "docs", "examples")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what ``make test`` leaves to ``make test-slow``."""
    for item in items:
        if item.path.relative_to(Path(__file__).parent).parts[0] in _SLOW:
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def neck(tmp_path_factory: pytest.TempPathFactory) -> SyntheticSet:
    """Three cases of four slices of 96 pixels, all predicted right; nobody may change it."""
    return make_test_set(tmp_path_factory.mktemp("neck"), cases=3, slices=4, size=96)


@pytest.fixture(scope="session")
def started_server() -> Iterator[ObjectServer]:
    """An S3 server on loopback."""
    server = ObjectServer()
    yield server
    server.stop()


@pytest.fixture
def object_server(
    started_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ObjectServer]:
    """The S3 server, which ``s3://`` leads to in this process and in those that it starts."""
    from s3fs import S3FileSystem

    for name, value in started_server.environment().items():
        monkeypatch.setenv(name, value)
    object_store._file_systems.clear()
    silent_stores._silences.clear()
    S3FileSystem.clear_instance_cache()
    started_server.reset()
    yield started_server
    started_server.reset()
    object_store._file_systems.clear()
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(object_server: ObjectServer) -> ObjectPath:
    """A new bucket with nothing in it."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    object_store.file_system("s3").mkdir(name)
    object_server.reset()
    path = as_path(f"s3://{name}")
    assert isinstance(path, ObjectPath)
    return path


@dataclass(frozen=True)
class Aged:
    """A network that tells the age of made-up faces, trained here, and 60 faces it hasn't seen.

    ``folder`` has Images/, Masks/ (the forehead, where alone the age shows) and
    characteristics.csv with the columns image and age. ``name`` is what --model takes.
    """

    model: Any
    name: str
    checkpoint: Path
    folder: Path


@pytest.fixture(scope="session")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Aged:
    """Trained once, in ten seconds of processor time; nobody may change it."""
    from fastcam.demo.age_set import make_ages, write_ages
    from fastcam.demo.train_age import HELD_OUT_SEED, MODEL_NAME, train
    from fastcam.models.training import save_weights

    folder = tmp_path_factory.mktemp("aged")
    model, _ = train()
    save_weights(model, folder / "age.safetensors")
    write_ages(make_ages(60, HELD_OUT_SEED), folder)
    return Aged(model, MODEL_NAME, folder / "age.safetensors", folder)


@pytest.fixture
def records(neck: SyntheticSet) -> list[dict[str, Any]]:
    """The results of ``neck``, fresh, to be spoiled."""
    loaded: list[dict[str, Any]] = pickle.loads(neck.results.read_bytes())
    return loaded


@pytest.fixture(scope="session")
def compiled_check() -> None:
    """The check of large pickles compiled, so that its notice, once an installation, is in no
    output."""
    from fastcam.read.results.pickle_cost import measure

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measure(b"\x80\x02N" + b"N0" * 40_000 + b".")


@pytest.fixture
def fastcam(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, compiled_check: None
) -> Callable[..., Outcome]:
    """Run ``fastcam COMMAND ARGS`` in this process, through the boundary that the command has.

    The first argument is split at spaces: it may be all of them in one line.
    """
    from fastcam.cli.main import run

    def call(command: object = "", *args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["fastcam", *shlex.split(str(command)), *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            run()
        said = capsys.readouterr()
        code = stopped.value.code
        return Outcome(code if isinstance(code, int) else 0, said.out, said.err)

    return call


@pytest.fixture
def render(
    fastcam: Callable[..., Outcome], neck: SyntheticSet, tmp_path: Path
) -> Callable[..., Outcome]:
    """Run ``fastcam render`` on ``neck`` into ``out``, fast; keywords replace the paths."""

    def call(*options: object, **paths: Path | None) -> Outcome:
        given: dict[str, Path | None] = {
            "results": neck.results,
            "root_dir": neck.images,
            "mask_dir": neck.masks,
            "output_dir": tmp_path / "out",
            **paths,
        }
        args: list[object] = ["render", given.pop("results")]
        for name, path in given.items():
            if path is not None:
                args += [f"--{name.replace('_', '-')}", path]
        small = () if "--panel-size" in options else ("--panel-size", 96)
        few = () if "--workers" in options else ("--workers", 1)
        return fastcam(*args, *small, *few, *options)

    return call


@pytest.fixture
def rows() -> Callable[[Path], list[dict[str, str]]]:
    """The rows of a CSV file."""

    def read(path: Path) -> list[dict[str, str]]:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture
def whole() -> Callable[[Path], None]:
    """Check that nothing half-written lies in an output folder."""

    def check(folder: Path) -> None:
        left = [path for path in folder.rglob("*") if ".tmp" in path.name or ".part" in path.name]
        assert left == []

    return check


@pytest.fixture
def pictures() -> Callable[..., dict[str, Any]]:
    """The decoded pictures in a folder: relative path -> pixels."""

    def decode(folder: Path, suffix: str = "png") -> dict[str, Any]:
        found = {}
        for path in sorted(folder.rglob(f"*.{suffix}")):
            with Image.open(path) as image:
                found[str(path.relative_to(folder))] = np.array(image)
        return found

    return decode


@pytest.fixture
def same() -> Callable[[dict[str, Any], dict[str, Any]], bool]:
    """Whether two sets of pictures are the same, names and pixels."""

    def compare(one: dict[str, Any], other: dict[str, Any]) -> bool:
        return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)

    return compare


@pytest.fixture
def one_case_failed(
    rows: Callable[[Path], list[dict[str, str]]], whole: Callable[[Path], None]
) -> Callable[..., None]:
    """Check for exit code 3, words in the first case's reason, and the two others drawn."""

    def check(outcome: Outcome, out: Path, *words: object) -> None:
        assert outcome.code == 3, outcome
        assert "Traceback" not in outcome.err + outcome.out
        errors = [row for row in rows(out / "failures.csv") if row["level"] == "error"]
        assert [row["place"] for row in errors] == ["1"]
        for word in words:
            assert str(word) in errors[0]["reason"]
        told = next(line for line in outcome.out.splitlines() if line.startswith("error: "))
        assert errors[0]["reason"] in told
        drawn = sorted(path.name[:12] for path in out.glob("*.png"))
        assert drawn == ["002_neck_002", "003_neck_003"]
        for path in out.glob("*.png"):
            Image.open(path).load()
        whole(out)

    return check


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch with one thread: its sums are the same in every run."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
