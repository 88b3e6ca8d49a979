"""A small test set that all end-to-end tests share, and the command line inside this process."""

from __future__ import annotations

import csv
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fastcam.synthetic import SyntheticSet, make_test_set


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


@pytest.fixture
def records(neck: SyntheticSet) -> list[dict[str, Any]]:
    """The results of ``neck``, fresh, to be spoiled."""
    loaded: list[dict[str, Any]] = pickle.loads(neck.results.read_bytes())
    return loaded


@pytest.fixture
def fastcam(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run ``fastcam ARGS`` in this process, through the boundary that the command has."""
    from fastcam.cli.main import run

    def call(*args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["fastcam", *map(str, args)])
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
    """Run ``fastcam render`` on ``neck`` into ``tmp_path / "out"``, fast; keywords replace paths."""

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
def whole() -> Iterator[Callable[[Path], None]]:
    """Check that nothing half-written lies in an output folder."""

    def check(folder: Path) -> None:
        left = [path for path in folder.rglob("*") if ".tmp" in path.name or ".part" in path.name]
        assert left == []

    return check
