"""What inspect says of each kind of file, without running any of it."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastcam.errors import InputError
from fastcam.jobs.inspect.inventory import describe
from fastcam.read.results.results import read_results
from fastcam.run.progress import NoProgress
from fastcam.run.run_status import RunStatus
from fastcam.store.patches import create_from_results
from tests.read.results.plain_files import write_json, write_npz

from ...store.sample_maps import CAM, new_store, rows


def record(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "patient_name": name,
        "true_label": 0,
        "predicted_label": 1,
        "prob_class_0": 0.25,
        "prob_class_1": 0.75,
        "confidence": 0.75,
        "is_correct": False,
        "num_patches": 3,
        "attention_weights": np.array([0.25, 0.5, 0.25], np.float32),
        "positions": [{"bbox": (0, 0, 9, 9), "slice_idx": k} for k in (4, 7, 7)],
    } | changes


@pytest.fixture
def results_file(tmp_path: Path) -> Path:
    cases = [record("颈"), record("B", predicted_label=0, is_correct=True, confidence=0.5)]
    path = tmp_path / "results.pkl"
    path.write_bytes(pickle.dumps([*cases, record("C", num_patches=9)]))
    return path


def test_all_forms_tell_the_same(results_file: Path, tmp_path: Path) -> None:
    results = read_results(results_file)
    write_npz(tmp_path / "a.npz", results.cases)
    write_json(tmp_path / "a.json", results.cases)
    create_from_results(tmp_path / "run.zarr", results)
    for name, kind, rejected in (
        ("results.pkl", "results file (pkl)", "1"),
        ("a.npz", "results file (npz)", "0"),
        ("a.json", "results file (json)", "0"),
        ("run.zarr", "run store", "1"),
    ):
        found = describe(tmp_path / name).to_dict()
        assert json.loads(json.dumps(found)) == found
        assert found["kind"] == kind
        summary = found["summary"]
        assert {key: summary[key] for key in ("cases", "classes", "correct", "patches")} == {
            "cases": "2",
            "classes": "2",
            "correct": "1 of 2 (50.0%)",
            "patches": "6",
        }
        assert summary["slices with patches"] == "4"
        assert summary["weights"] == "0.25 to 0.5"
        assert (summary["rejected"], summary["warnings"]) == (rejected, "1")
        assert found["table"][0] == {
            "place": 1,
            "name": "颈",
            "true": 0,
            "predicted": 1,
            "correct": False,
            "confidence": 0.75,
            "patches": 3,
            "slices": 2,
            "best_slice": 7,
        }
        assert "confidence is 0.5000" in found["warnings"][0]["reason"]
        assert [entry["name"] for entry in found["rejected"]] == ["C"] * int(rejected)
    assert "results.pkl (sha256 " in summary["made from"]


def test_a_store_of_maps(tmp_path: Path) -> None:
    store = new_store(tmp_path, 5, 2)
    store.append(0, rows(1, 0, ("", "b.png: is damaged")))
    found = describe(store.path).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["kind"] == "run store of maps"
    expected = {
        "model": "resnet18",
        "checkpoint": "none",
        "holds": "maps",
        "methods": "gradcam",
        "layers": "layer4.1, layer4",
        "images": "5",
        "done": "1",
        "failed": "1",
        "open": "3",
        "batches left": "2 of 3; batch size 2",
        f"map {CAM}": "y 4, x 5",
    }
    assert {key: found["summary"][key] for key in expected} == expected
    first, second, third = found["table"][:3]
    assert first["predicted"] == store.headers[0].prediction
    assert (first["id"], first["group"], first["label"], first["status"]) == (
        "图0",
        "g",
        "0",
        "done",
    )
    assert (second["status"], second["reason"]) == ("failed", "b.png: is damaged")
    assert (third["status"], third["predicted"], third["confidence"]) == ("open", "", "")


def test_a_store_of_a_run_that_was_stopped(tmp_path: Path) -> None:
    store = new_store(tmp_path, 5, 2)
    assert describe(store.path).notes == []
    status = RunStatus(tmp_path, "infer", NoProgress())
    status.begin("images", 5)
    status.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    note = "the last run, of fastcam infer, was interrupted after 0 of 5 images"
    assert describe(store.path).notes == [note]


def test_a_foreign_pickle_is_described_by_what_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, ("true",)

    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps([np.float32(1), Evil(), eval]))
    ran: list[object] = []
    monkeypatch.setattr(os, "system", ran.append)
    found = describe(path)
    assert found.kind.startswith("pickle that fastcam refuses")
    assert [row[0] for row in found.table][-2:] == ["posix.system", "builtins.eval"]
    assert ran == []


def test_safetensors_header(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "conv.weight": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(12))
    found = describe(path)
    assert found.table == [("conv.weight", "F16", [2, 3])]
    assert dict(found.summary)["numbers"] == "6"
    for damaged in (
        b"",
        struct.pack("<Q", 2**60) + text,
        struct.pack("<Q", 4) + b"nope",
        struct.pack("<Q", 4) + b"[12]",
        struct.pack("<Q", 9) + b'{"a": {}}',
    ):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.safetensors"):
            describe(path)


NAMES = ("best.pth", "best.th", "best", "best.pth.tar", "pytorch_model.bin", "best.pkl", "b.npz")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("new_format", [True, False])
def test_torch_checkpoint(tmp_path: Path, new_format: bool, name: str) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / name
    state = {"epoch": 3, "state_dict": {"a.w": torch.zeros(2, 3), "b": torch.zeros(4).half()}}
    torch.save(state, path, _use_new_zipfile_serialization=new_format)
    found = describe(path)
    assert found.kind == "checkpoint (torch)"
    assert found.table == [
        ("state_dict.a.w", "float32", [2, 3]),
        ("state_dict.b", "float16", [4]),
    ]


@pytest.mark.parametrize("name", [*NAMES, "best.safetensors"])
def test_safetensors_under_any_name(tmp_path: Path, name: str) -> None:
    import safetensors.numpy

    tensors: dict[str, Any] = {"conv.weight": np.zeros((2, 3), "f2"), "b": np.zeros(4, "f4")}
    safetensors.numpy.save_file(tensors, tmp_path / name)
    found = describe(tmp_path / name)
    assert found.kind == "checkpoint (safetensors)"
    assert sorted(found.table) == [("b", "F32", [4]), ("conv.weight", "F16", [2, 3])]


def test_torch_files_called_safetensors_and_the_old_protocol(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(
        {"w": torch.zeros(2)},
        tmp_path / "old",
        _use_new_zipfile_serialization=False,
        pickle_protocol=3,
    )
    assert describe(tmp_path / "old").table == [("w", "float32", [2])]
    torch.save({"w": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"a\.safetensors: is what torch\.save.*call it \.pth"):
        describe(tmp_path / "a.safetensors")


def test_a_checkpoint_of_any_name_that_torch_refuses(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for name, new_format in (("a.th", True), ("b", False)):
        torch.save({"w": struct.Struct}, tmp_path / name, _use_new_zipfile_serialization=new_format)
        with pytest.raises(InputError, match=rf"{name}: torch.load.*refuses it") as refused:
            describe(tmp_path / name)
        assert "\n" not in str(refused.value)
        assert "GLOBAL _struct.Struct" in str(refused.value)


def test_other_archives_and_pickles_are_no_checkpoints(tmp_path: Path) -> None:
    with (tmp_path / "a.th").open("wb") as file:
        np.savez(file, w=np.zeros(3))
    with pytest.raises(InputError, match=r"a\.th: inspect can't look into such a file"):
        describe(tmp_path / "a.th")
    (tmp_path / "results").write_bytes(pickle.dumps([record("A")]))
    with pytest.raises(InputError, match=r"results: is a pickle under another name.*\.pkl"):
        describe(tmp_path / "results")


def test_a_results_file_that_torch_saved(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save([record("A", attention_weights=torch.tensor([0.25, 0.5, 0.25]))], tmp_path / "a.pt")
    found = describe(tmp_path / "a.pt")
    assert found.kind == "results file (pt)"
    assert dict(found.summary)["cases"] == "1"
    assert found.rejected == []


def test_what_is_nothing_of_these(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"look into such a file; give .*\.safetensors"):
        describe(tmp_path / "a.png")
    with pytest.raises(InputError, match="does not exist"):
        describe(tmp_path / "none.pkl")
    with pytest.raises(InputError, match="is not a run store"):
        describe(tmp_path)
    (tmp_path / "a.ckpt").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"a\.ckpt"):
        describe(tmp_path / "a.ckpt")
