"""Weights come out of every usual file, nothing in a file runs, and a partial load is refused."""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from fastcam.errors import InputError
from fastcam.models.checkpoints import align_prefix, load_into, read_state_dict


class Net(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 2)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return Net().state_dict()


def assert_same(one, other) -> None:
    assert list(one) == list(other)
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".bin", ".th", ".best", ""])
@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_torch(tmp_path: Path, state, suffix: str, zipped: bool) -> None:
    path = tmp_path / f"w{suffix}"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert_same(read_state_dict(str(path)), state)


@pytest.mark.parametrize("name", ["w.safetensors", "w.th", "w.pth", "w"])
def test_safetensors(tmp_path: Path, state, name: str) -> None:
    save_file(state, tmp_path / name)
    loaded = read_state_dict(tmp_path / name)
    assert sorted(loaded) == sorted(state)
    assert all(torch.equal(loaded[key], state[key]) for key in state)


@pytest.mark.parametrize(
    "packed",
    [
        lambda s: {"params": s, "params_ema": {}},
        lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {0: torch.zeros(1)}}},
        lambda s: {"model": s, "loss": torch.tensor(0.5)},
        lambda s: {"model": {"state_dict": s}},
        lambda s: {"model_state_dict": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": {f"model._orig_mod.{k}": v for k, v in s.items()}},
        lambda s: s | {"epoch": 7, "name": "x"},
    ],
)
def test_where_the_state_dict_is(tmp_path: Path, state, packed) -> None:
    torch.save(packed(state), tmp_path / "w.pth")
    assert_same(read_state_dict(tmp_path / "w.pth"), state)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_runs(tmp_path: Path, state, zipped: bool) -> None:
    target = tmp_path / "ran"
    torch.save(
        {"state_dict": state, "x": Trap(target)},
        tmp_path / "w.pth",
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(InputError, match=r"holds more than weights: it asks for \S+") as caught:
        read_state_dict(tmp_path / "w.pth")
    assert not target.exists()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, pickle.UnpicklingError)


def test_code_is_named_with_the_remedy(tmp_path: Path, state) -> None:
    torch.save(Net(), tmp_path / "whole.pth")
    with pytest.raises(InputError, match=r"asks for \S*Net, .* torch\.save\(model\.state_dict\(\)"):
        read_state_dict(tmp_path / "whole.pth")
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(InputError, match=r"is a TorchScript program, .*torch\.jit\.load"):
        read_state_dict(tmp_path / "script.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_what_training_scripts_keep_beside_the_weights(tmp_path: Path, state, zipped: bool) -> None:
    beside = {
        "args": argparse.Namespace(lr=1, output=Path("out")),
        "best_acc": np.float64(0.9),
        "loss": np.arange(3.0),
        "epoch": 7,
    }
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({"state_dict": state, **beside}, path, _use_new_zipfile_serialization=zipped)
    assert_same(read_state_dict(path), state)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04aaaa", b"\x80\x04N.", b"\x00" * 64])
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"w\.\w+: ") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)


def test_keys_nested_without_end_end_nothing(tmp_path: Path) -> None:
    """Hashing such a key takes 56 bytes of the C stack for each tuple; a thread has 8 MiB."""
    nested = b"\x80\x02}K\x01" + b"\x85" * 300_000 + b"K\x01s."
    zipped, plain = tmp_path / "zipped.pth", tmp_path / "plain.pth"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", nested)
        archive.writestr("archive/version", "3\n")
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, about)]
    plain.write_bytes(b"".join([*parts, nested, pickle.dumps([], 2)]))
    code = (
        "import sys\nfrom pathlib import Path\nfrom fastcam.errors import InputError\n"
        "from fastcam.models.checkpoints import read_state_dict\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        read_state_dict(Path(path))\n"
        "    except InputError as error:\n        print(error, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(zipped), str(plain)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = "there is no state dict in it: it holds the keys a tuple too large to print"
    assert done.stdout.count(told) == 2, (done.returncode, done.stdout, done.stderr[-300:])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), suffix=st.sampled_from([".pth", ".old.pth", ".safetensors"]))
def test_damaged_files_are_input_errors(
    tmp_path_factory: pytest.TempPathFactory, data, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    small = {"a": torch.arange(6.0), "b": torch.ones(2, 2)}
    if suffix == ".safetensors":
        save_file(small, path)
    else:
        torch.save(small, path, _use_new_zipfile_serialization=suffix == ".pth")
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    said = ""
    try:
        read_state_dict(path)
    except InputError as error:
        said = str(error)
    assert "\n" not in said


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pth: no such checkpoint file"):
        read_state_dict(tmp_path / "none.pth")
    with pytest.raises(InputError, match=r"is a folder, .* hf:FOLDER"):
        read_state_dict(tmp_path)
    (tmp_path / "w.h5").touch()
    with pytest.raises(InputError, match=r"w\.h5: is not a recognized checkpoint, .* \(\.safe"):
        read_state_dict(tmp_path / "w.h5")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([1, 2], "it holds a list"),
        (torch.zeros(3), "it holds a Tensor"),
        ({}, "it holds nothing"),
        ({"epoch": 1, "state_dict": {}}, "it holds the keys epoch, state_dict"),
    ],
)
def test_no_state_dict(tmp_path: Path, held, said: str) -> None:
    torch.save(held, tmp_path / "w.pth")
    with pytest.raises(InputError, match=f"there is no state dict in it: {said}"):
        read_state_dict(tmp_path / "w.pth")


def test_load(state) -> None:
    model = Net()
    report = load_into(model, state, "w.pth")
    assert report.complete
    assert str(report) == ""
    assert_same(model.state_dict(), state)


def test_half_precision_becomes_the_models_own(state) -> None:
    model = Net()
    load_into(model, {key: value.to(torch.bfloat16) for key, value in state.items()}, "x")
    assert model.conv.weight.dtype == torch.float32
    assert torch.equal(model.conv.weight, state["conv.weight"].bfloat16().float())


def test_prefixes_of_either_side(state) -> None:
    wrapped = nn.Module()
    wrapped.model = Net()
    load_into(wrapped, state, "x")
    assert_same(wrapped.model.state_dict(), state)
    # Lightning keeps the loss beside the model: not all keys share the prefix.
    lightning = {f"model.{key}": value for key, value in state.items()}
    assert_same(align_prefix(lightning, state.keys()), state)
    with pytest.raises(InputError, match=r"1 unknown to the model \(loss\.weight\)"):
        load_into(Net(), lightning | {"loss.weight": torch.ones(2)}, "x")


def test_old_checkpoints_without_counters(state) -> None:
    del state["norm.num_batches_tracked"]
    assert load_into(Net(), state, "x").complete


def test_partial_loads_are_refused_unless_allowed(state) -> None:
    del state["head.bias"]
    state |= {"extra.weight": torch.zeros(1), "head.weight": torch.zeros(9, 3)}
    model, other = Net(), Net()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError, match="--allow-partial") as caught:
        load_into(model, state, "dir/w.pth")
    assert str(caught.value).startswith(
        "dir/w.pth: doesn't fit the model: 1 missing in the file (head.bias); 1 unknown to the "
        "model (extra.weight); 1 of another shape (head.weight: 9x3 in the file, 2x3 in the model)"
    )
    assert_same(model.state_dict(), before)
    report = load_into(other, state, "x", allow_partial=True)
    assert (report.missing, report.unexpected) == (("head.bias",), ("extra.weight",))
    assert torch.equal(other.conv.weight, state["conv.weight"])
    assert not report.complete


def test_another_architecture() -> None:
    strange = {f"features.{i}.weight": torch.zeros(1) for i in range(9)}
    for allowed in (False, True):
        with pytest.raises(InputError, match=r"0 of the model's 8 tensors") as caught:
            load_into(Net(), strange, "w.pth", allow_partial=allowed)
        assert "is for another architecture" in str(caught.value)
        assert "conv.weight, conv.bias, norm.weight, …" in str(caught.value)
        assert "features.0.weight, features.1.weight, features.2.weight, …" in str(caught.value)
    few = {"conv.weight": torch.zeros(3, 1, 3, 3)} | strange
    with pytest.raises(InputError, match="another architecture: 1 of the model's 8"):
        load_into(Net(), few, "w.pth")
    assert load_into(Net(), few, "w.pth", allow_partial=True).missing[0] == "conv.bias"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(state, value: float) -> None:
    state["head.weight"][1, 2] = value
    with pytest.raises(InputError, match=r"1 of its tensors hold NaN .* \(head\.weight\)"):
        load_into(Net(), state, "w.pth", allow_partial=True)
