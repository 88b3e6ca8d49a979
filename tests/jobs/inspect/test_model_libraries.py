"""Whether libraries load, tried on made-up ones: good, broken, crashing, hanging, missing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fastcam.jobs.inspect import doctor, model_libraries
from fastcam.jobs.inspect.model_libraries import LibraryState, library_states

MODULES = {
    "good": "import sys\nprint('x' * 300_000)\nprint('y' * 300_000, file=sys.stderr)\n",
    "broken": "raise RuntimeError('first line\\noperator good::nms does not exist')\n",
    "gone": "import no_such_module_anywhere\n",
    "leaving": "import sys\nsys.exit(3)\n",
    "crashing": "import os\nos.abort()\n",
}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installed libraries, as far as Python can tell."""
    for name, text in (*MODULES.items(), ("hanging", "import time\ntime.sleep(600)\n")):
        (tmp_path / f"{name}.py").write_text(text)
        info = tmp_path / f"{name}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def test_each_kind(made: Path) -> None:
    names = [*MODULES, "absent"]
    assert library_states({name: name for name in names}) == [
        LibraryState("good", "1.5", True),
        LibraryState("broken", "1.5", False, "operator good::nms does not exist"),
        LibraryState(
            "gone",
            "1.5",
            False,
            "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        LibraryState("leaving", "1.5", False, "exit code 3"),
        LibraryState("crashing", "1.5", False, "ended by SIGABRT"),
        LibraryState("absent", None),
    ]


def test_one_that_hangs_is_given_up(made: Path) -> None:
    (state,) = library_states({"hanging": "hanging"}, seconds=1)
    assert state == LibraryState("hanging", "1.5", None, "not within 1 s")


def test_a_script_in_the_working_folder_is_no_library(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "good.py").write_text("raise RuntimeError('not this one')\n")
    monkeypatch.chdir(tmp_path / "here")
    assert library_states({"good": "good"}) == [LibraryState("good", "1.5", True)]


def test_doctor_tells_it(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = library_states({name: name for name in ("good", "broken", "absent")})
    states.append(LibraryState("hanging", "1.5", None, "not within 1 s"))
    monkeypatch.setattr(doctor, "library_states", lambda: states)
    diagnosis = doctor.collect(libraries=True)
    found = diagnosis.to_dict()
    assert json.loads(json.dumps(found))["models"] == {
        "good": "1.5",
        "good_loads": True,
        "broken": "1.5",
        "broken_loads": False,
        "absent": None,
        "hanging": "1.5",
        "hanging_loads": None,
    }
    (problem,) = diagnosis.problems
    assert "broken 1.5 does not load (operator good::nms does not exist): install it" in problem
    assert "models" not in doctor.collect().to_dict()


def test_the_libraries_that_models_are_taken_from() -> None:
    assert set(model_libraries.LIBRARIES) == {"torchvision", "timm", "monai", "transformers"}
