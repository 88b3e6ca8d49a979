"""Models that are files: refused in one line that says what the file is; taken in Python."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import fastcam
from fastcam.errors import InputError
from fastcam.models.model_files import module_of


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x).mean((2, 3)))
        return logits


def saved(path: Path) -> Path:
    """A file of the kind that its suffix says."""
    x = torch.zeros(2, 3, 8, 8)
    if path.stem == "script":
        torch.jit.trace(Net().eval(), x).save(str(path))
    elif path.stem == "exported":
        torch.export.save(torch.export.export(Net().eval(), (x,)), path)
    elif path.stem == "weights":
        torch.save(Net().state_dict(), path)
    elif path.stem == "odd":
        path.write_bytes(b"no zip")
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("script.pt", r"is a TorchScript program: loading it runs what is in it.*with checkpoint"),
        ("script.ts", r"is a TorchScript program"),
        ("exported.pt2", r"is an exported program \(torch\.export\).*load it in Python"),
        (
            "weights.pth",
            r"holds weights, not a network: give model NAME or path/file\.py:factory",
        ),
        ("odd.onnx", r"is a program, and loading it runs"),
        ("missing.pt", r"no such file"),
    ],
)
def test_files_as_models(name: str, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / name)
    with pytest.raises(InputError, match=message) as error:
        fastcam.load_model(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_factories_of_wrapped_models(tmp_path: Path) -> None:
    """A file's factory may give what wraps a network, or an exported one."""
    file = tmp_path / "own.py"
    file.write_text(
        "import torch\n"
        "from torch import nn\n"
        "def net():\n"
        "    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()\n"
        "def parallel(): return nn.DataParallel(net())\n"
        "def compiled(): return torch.compile(net(), backend='eager')\n"
        "def exported():\n"
        "    n = {0: torch.export.Dim('n')}\n"
        "    x = torch.zeros(2, 3, 8, 8)\n"
        "    return torch.export.export(net(), (x,), dynamic_shapes={'input': n})\n"
        "def scripted(): return torch.jit.script(net())\n"
        "def nothing(): return 7\n"
    )
    x = torch.randn(2, 3, 8, 8)
    expected = fastcam.explain(fastcam.load_model(f"{file}:net"), x, "gradcam", ["0"]).maps["0"]
    for factory in ("parallel", "compiled", "exported"):
        model = fastcam.load_model(f"{file}:{factory}")
        found = fastcam.explain(model, x, "gradcam", ["0"]).maps["0"]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="scripted or traced model"):
        fastcam.explain(fastcam.load_model(f"{file}:scripted"), x, "gradcam", ["0"])
    with pytest.raises(InputError, match="returns a int, not a"):
        fastcam.load_model(f"{file}:nothing")


def test_what_is_no_model() -> None:
    net = Net()
    assert module_of(net) is net
    with pytest.raises(InputError, match=r"the model is a dict: give a torch\.nn\.Module"):
        fastcam.explain({"weights": 1}, torch.zeros(1, 3, 8, 8))  # type: ignore[arg-type]
