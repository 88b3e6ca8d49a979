"""What `fastcam doctor` finds, against the modules' own word and against made-up machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import PIL
import PIL.features
import pytest
import zarr

from fastcam.figures import fonts
from fastcam.jobs.inspect import doctor
from fastcam.jobs.inspect.doctor import Diagnosis, collect


@pytest.fixture(scope="module")
def here() -> Diagnosis:
    return collect()


def value(diagnosis: Diagnosis, section: str, name: str) -> doctor.Value:
    found = diagnosis.to_dict()[section]
    assert isinstance(found, dict)
    return found[name]


def install(folder: Path, name: str, version: str) -> None:
    """A distribution of that name, as far as its metadata tells."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_versions_are_the_modules_own(here: Diagnosis) -> None:
    assert value(here, "versions", "numpy") == np.__version__
    assert value(here, "versions", "zarr") == zarr.__version__
    assert value(here, "versions", "python") == ".".join(map(str, sys.version_info[:3]))
    assert value(here, "images", "version") == PIL.__version__


def test_this_machine_is_fit_for_the_tests(here: Diagnosis) -> None:
    assert here.problems == ()


def test_json_keeps_everything(here: Diagnosis) -> None:
    found = json.loads(json.dumps(here.to_dict()))
    assert found == here.to_dict()
    names = {section.name: {f.name for f in section.findings} for section in here.sections}
    assert {k: set(v) for k, v in found.items() if k != "problems"} == names


def test_names_are_told_once_a_section(here: Diagnosis) -> None:
    for section in here.sections:
        names = [finding.name for finding in section.findings]
        assert len(names) == len(set(names))


def test_torch_is_imported_only_when_asked() -> None:
    code = "import sys; from fastcam.jobs.inspect.doctor import collect\n"
    code += "print(collect().problems, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "() False"


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_REQUIRED", ("no-such-library",))
    found = collect()
    assert value(found, "versions", "no-such-library") is None
    assert any("pip install no-such-library" in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("version", "name", "simd"),
    [("13.0.0", "Pillow", False), ("12.1.1.post0", "pillow-simd", True)],
)
def test_which_imaging_library(
    monkeypatch: pytest.MonkeyPatch, version: str, name: str, simd: bool
) -> None:
    monkeypatch.setattr(PIL, "__version__", version)
    found = collect()
    assert value(found, "images", "library") == name
    assert value(found, "images", "simd") is simd


def test_two_imaging_libraries_in_one_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(tmp_path, "pillow", "13.0.0")
    install(tmp_path, "pillow-simd", "12.1.1.post0")
    monkeypatch.syspath_prepend(str(tmp_path))
    (problem,) = collect().problems
    assert "both installed" in problem
    assert "make nosimd" in problem


def test_a_build_without_webp(monkeypatch: pytest.MonkeyPatch) -> None:
    check = PIL.features.check
    monkeypatch.setattr(PIL.features, "check", lambda f: f not in ("webp", "avif") and check(f))
    found = collect()
    assert value(found, "images", "webp") is None
    assert value(found, "images", "avif") is None
    (problem,) = found.problems
    assert "without webp" in problem


def test_torch_missing_and_torch_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (broken,) = collect(torch=True).problems
    assert "can't be imported" in broken
    assert collect().problems == ()
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "torch" else version(name))
    (missing,) = collect(torch=True).problems
    assert "pip install torch" in missing


def test_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("torch")
    card = types.SimpleNamespace(name="H200", total_memory=139 * 2**30)
    fake.version = types.SimpleNamespace(cuda="13.0", hip=None)  # type: ignore[attr-defined]
    fake.cuda = types.SimpleNamespace(  # type: ignore[attr-defined]
        is_available=lambda: True, device_count=lambda: 2, get_device_properties=lambda i: card
    )
    monkeypatch.setitem(sys.modules, "torch", fake)
    found = collect(torch=True)
    assert value(found, "torch", "gpus") == 2
    assert value(found, "torch", "cuda") == "13.0"
    texts = [f.text for s in found.sections if s.name == "torch" for f in s.findings]
    assert texts.count("H200, 139.0 GiB") == 2


def test_no_chinese_font_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "chain", lambda characters: (fonts.dejavu(bold=False),))
    found = collect()
    assert value(found, "folders", "cjk_font") is None
    assert found.problems == ()


def test_compiled_code_that_can_not_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = collect()
    assert value(found, "folders", "numba_cache") is None
    assert any("NUMBA_CACHE_DIR" in problem for problem in found.problems)
