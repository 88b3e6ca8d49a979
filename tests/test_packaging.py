"""What is shipped: the wheel's files, the console command, what imports without what."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import fastcam

ROOT = Path(__file__).parents[1]
# Files other than modules that a wheel may hold, by suffix and folder. Add with care: whatever is
# here ends up on every user's disk.
DATA = {
    "fastcam/demo/vit_demo.safetensors",
    "fastcam/py.typed",
    "fastcam_kernels/py.typed",
    "fastcam/jobs/render/page.css",
    "fastcam/jobs/render/page.html",
    "fastcam/jobs/render/page.js",
    "fastcam/jobs/render/page_columns.js",
    "fastcam/jobs/render/page_filters.js",
    "fastcam/jobs/render/page_mix.js",
    "fastcam/jobs/render/page_review.js",
    "fastcam/jobs/view/page/columns.js",
    "fastcam/jobs/view/page/judge.js",
    "fastcam/jobs/view/page/look.js",
    "fastcam/jobs/view/page/main.js",
    "fastcam/jobs/view/page/page.css",
    "fastcam/jobs/view/page/page.html",
    "fastcam/jobs/view/page/pane.js",
    "fastcam/jobs/view/page/pictures.js",
    "fastcam/jobs/view/page/state.js",
    "fastcam/jobs/view/page/strip.js",
    "fastcam/jobs/view/page/table.js",
    "fastcam/jobs/view/page/take.js",
    "fastcam/jobs/view/page/tools.js",
    "fastcam/jobs/view/page/volume.js",
    # What `fastcam help` prints.
    *(f"fastcam/how_to/{path.name}" for path in (ROOT / "docs" / "how-to").glob("*.md")),
}

BLOCKER = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
"""


def python(code: str, folder: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    assert path.name == f"fastcam-{fastcam.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as opened:
        yield opened


def shipped(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    sources = {
        path.relative_to(top).as_posix()
        for top, package in ((ROOT, "fastcam"), (ROOT / "kernels", "fastcam_kernels"))
        for path in (top / package).rglob("*.py")
    }
    assert shipped(wheel) == sources | DATA


def test_no_package_of_another_projects_name(wheel: zipfile.ZipFile) -> None:
    assert {name.partition("/")[0] for name in shipped(wheel)} == {"fastcam", "fastcam_kernels"}


def test_the_wheel_is_small(wheel: zipfile.ZipFile) -> None:
    assert sum(entry.compress_size for entry in wheel.infolist()) < 2_000_000


def test_metadata(wheel: zipfile.ZipFile) -> None:
    (folder,) = {n.partition("/")[0] for n in wheel.namelist()} - {"fastcam", "fastcam_kernels"}
    said = metadata.PathDistribution(zipfile.Path(wheel, folder + "/")).metadata
    assert said["Version"] == fastcam.__version__
    assert said["Requires-Python"] == ">=3.11"
    assert said["License-Expression"] == "MIT"
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
    entries = configparser.ConfigParser()
    entries.read_string(wheel.read(f"{folder}/entry_points.txt").decode())
    assert dict(entries["console_scripts"]) == {"fastcam": "fastcam.cli.main:run"}


def test_the_installed_version_is_the_modules() -> None:
    assert metadata.version("fastcam") == fastcam.__version__


def test_the_changelog_knows_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text or f"## [{fastcam.__version__}]" in text


def test_the_console_command_runs() -> None:
    command = Path(sys.executable).with_name("fastcam")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "render" in done.stdout


def kernel_modules() -> list[str]:
    files = sorted((ROOT / "kernels" / "fastcam_kernels").glob("*.py"))
    return ["fastcam_kernels"] + [f"fastcam_kernels.{f.stem}" for f in files if f.stem[0] != "_"]


def test_kernels_import_alone() -> None:
    absent = {"torch", "zarr", "dask", "distributed", "fastcam", "PIL", "scipy", "matplotlib"}
    names = ", ".join(kernel_modules())
    code = f"{BLOCKER.format(absent=absent)}\nsys.path.insert(0, 'kernels')\nimport {names}\n"
    loaded = python(code + "print(*sys.modules)").split()
    assert not absent & {name.partition(".")[0] for name in loaded}


def test_the_blocker_blocks() -> None:
    code = BLOCKER.format(absent={"zarr"}) + "\nimport zarr"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: zarr" in done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import fastcam",
        "import fastcam, sys; sys.argv = ['fastcam', '--help']\n"
        "from fastcam.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass",
    ],
    ids=["import", "help"],
)
def test_a_light_start(code: str) -> None:
    loaded = python(f"{code}\nimport sys; print('\\n' + ' '.join(sys.modules))").splitlines()[-1]
    heavy = {"torch", "dask", "distributed", "matplotlib", "scipy", "numba", "zarr"}
    assert not heavy & {name.partition(".")[0] for name in loaded.split()}


def test_the_environment_is_the_pinned_one() -> None:
    """Every requirement of the project, its extras and groups has its line in the pins."""
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }
    wanted = [
        *project["project"]["dependencies"],
        *(r for extra in project["project"]["optional-dependencies"].values() for r in extra),
        *(r for group in project["dependency-groups"].values() for r in group),
    ]
    for requirement in map(Requirement, wanted):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} has no pin"
        assert requirement.specifier.contains(version), f"{requirement}: pinned to {version}"
