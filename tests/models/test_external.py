"""Models of other libraries, small ones; nothing is fetched."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fastcam.errors import InputError
from fastcam.models import external
from fastcam.models.registry import load_model

from ..torchvision_import import OPERATORS, torchvision

pytestmark = pytest.mark.filterwarnings("ignore:.*weights are random")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def assert_same(one: nn.Module, other: nn.Module, *shape: int) -> None:
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(one(images), other(images))


def test_timm_by_its_checkpoint(tmp_path: Path) -> None:
    import timm

    made = timm.create_model("resnet10t", num_classes=4, in_chans=1).eval()
    torch.save(made.state_dict(), tmp_path / "w.pth")
    model = load_model("timm:resnet10t", tmp_path / "w.pth")
    assert_same(model, made, 1, 40, 40)
    assert load_model("timm:resnet10t", image_size=64, num_classes=2).num_classes == 2
    made = timm.create_model("test_vit", img_size=(48, 48), num_classes=3, in_chans=6).eval()
    torch.save({"model": made.state_dict()}, tmp_path / "v.pth")
    model = load_model("timm:test_vit", tmp_path / "v.pth")
    assert_same(model, made, 6, 48, 48)
    larger = load_model("timm:test_vit", tmp_path / "v.pth", image_size=(32, 64))
    assert larger.patch_embed.grid_size == (2, 4)
    with pytest.raises(InputError, match=r"head\.weight: 3x\d+ in the file, 9x"):
        load_model("timm:test_vit", tmp_path / "v.pth", num_classes=9)
    with pytest.raises(InputError, match="another architecture"):
        load_model("timm:resnet10t", tmp_path / "v.pth")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        # Patches overlap; a second token before the patches; patches of a CNN's features; as usual.
        ("hiera_tiny_224", {}),
        ("hiera_tiny_224", {"img_size": (96, 96)}),
        ("deit_tiny_distilled_patch16_224", {}),
        ("deit_tiny_distilled_patch16_224", {"img_size": (64, 64)}),
        ("vit_tiny_r_s16_p8_224", {}),
        ("vit_tiny_r_s16_p8_224", {"img_size": (128, 128)}),
        ("vit_tiny_patch16_224", {"img_size": (64, 64)}),
        ("naflexvit_base_patch16_gap", {}),
    ],
)
def test_timm_transformers_by_their_checkpoints(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    import timm

    torch.manual_seed(0)
    made = timm.create_model(name, num_classes=4, **options).eval()
    torch.save(made.state_dict(), tmp_path / "w.pth")
    model = load_model(f"timm:{name}", tmp_path / "w.pth")
    assert_same(model, made, 3, *options.get("img_size", (224, 224)))


def test_timm_has_no_such_model() -> None:
    with pytest.raises(
        InputError, match=r"timm has no model 'resnet10x': did you mean .*resnet10t"
    ):
        load_model("timm:resnet10x")
    for hub in ("hf-hub:timm/resnet18", "hf_hub:timm/resnet18", "local-dir:/tmp", "", "../x"):
        with pytest.raises(InputError, match="timm has no model"):
            load_model(f"timm:{hub}")


def test_torchvision_by_its_checkpoint(tmp_path: Path) -> None:
    made = torchvision.models.squeezenet1_1(weights=None, num_classes=3).eval()
    made.features[0] = nn.Conv2d(1, 64, 3, stride=2)
    torch.save({"module." + k: v for k, v in made.state_dict().items()}, tmp_path / "w.pth")
    model = load_model("torchvision:squeezenet1_1", tmp_path / "w.pth")
    assert_same(model, made, 1, 40, 40)
    with pytest.raises(InputError, match="did you mean squeezenet1_1"):
        load_model("torchvision:squeezenet11")


def test_torchvision_vision_transformer_takes_its_image_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(image_size: int = 224, num_classes: int = 1000) -> nn.Module:
        return torchvision.models.VisionTransformer(
            image_size, 16, 1, 2, 32, 64, num_classes=num_classes
        )

    monkeypatch.setitem(torchvision.models._api.BUILTIN_MODELS, "vit_small_one", small)
    made = small(48, 5).eval()
    torch.save(made.state_dict(), tmp_path / "w.pth")
    assert_same(load_model("torchvision:vit_small_one", tmp_path / "w.pth"), made, 3, 48, 48)
    assert load_model("torchvision:vit_small_one", image_size=32).image_size == 32
    with pytest.raises(InputError, match="square images only"):
        load_model("torchvision:vit_small_one", image_size=(32, 48))


def test_torchvision_backbones_are_not_fetched() -> None:
    assert load_model("torchvision:lraspp_mobilenet_v3_large", num_classes=2)


@pytest.fixture
def hf_folder(tmp_path: Path) -> Path:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(  # type: ignore[call-arg]
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        num_labels=3,
    )
    ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def logits(model: nn.Module) -> torch.Tensor:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(images).logits


def test_huggingface_folder(hf_folder: Path, tmp_path: Path) -> None:
    from transformers import ViTForImageClassification

    expected = ViTForImageClassification.from_pretrained(hf_folder).eval()
    model = load_model(f"hf:{hf_folder}")
    assert type(model) is ViTForImageClassification
    assert not model.training
    assert torch.equal(logits(model), logits(expected))
    # The weights alone, beside a folder without them; the file says how many classes.
    (hf_folder / "model.safetensors").rename(tmp_path / "w.safetensors")
    config = json.loads((hf_folder / "config.json").read_text())
    config.pop("num_labels", None)
    config["id2label"] = {str(i): str(i) for i in range(9)}
    (hf_folder / "config.json").write_text(json.dumps(config))
    model = load_model(f"hf:{hf_folder}", tmp_path / "w.safetensors")
    assert torch.equal(logits(model), logits(expected))
    with pytest.raises(InputError, match=r"no weights .* give --checkpoint"):
        load_model(f"hf:{hf_folder}")


def test_huggingface_weights_in_pytorchs_format(hf_folder: Path) -> None:
    from safetensors.torch import load_file

    weights = hf_folder / "model.safetensors"
    expected = logits(load_model(f"hf:{hf_folder}"))
    state = load_file(weights)
    weights.unlink()
    torch.save(state, hf_folder / "pytorch_model.bin")
    assert torch.equal(logits(load_model(f"hf:{hf_folder}")), expected)

    torch.save(state | {"x": nn.Linear(1, 1)}, hf_folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin: holds more than weights: .*Linear"):
        load_model(f"hf:{hf_folder}")


def test_huggingface_weights_that_do_not_fit(hf_folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = hf_folder / "model.safetensors"
    state = load_file(weights)
    bias = state.pop("classifier.bias")
    save_file(state, weights, {"format": "pt"})
    with pytest.raises(InputError, match=r"1 missing in the file \(classifier\.bias\)"):
        load_model(f"hf:{hf_folder}")
    with pytest.warns(UserWarning, match="loaded in part: 1 missing"):
        load_model(f"hf:{hf_folder}", allow_partial=True)
    torch.save({"classifier.weight": state["classifier.weight"]}, hf_folder / "w.pth")
    with pytest.raises(InputError, match="another architecture: 1 of the model's 40"):
        load_model(f"hf:{hf_folder}", hf_folder / "w.pth")
    with pytest.raises(InputError, match=r"classifier\.weight: 3x32 in the file, 4x32 in the mod"):
        load_model(f"hf:{hf_folder}", num_classes=4)
    save_file(state | {"classifier.bias": bias * torch.nan}, weights, {"format": "pt"})
    with pytest.raises(InputError, match=r"NaN or infinite weights \(classifier\.bias\)"):
        load_model(f"hf:{hf_folder}")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match=r"model\.safetensors: is not a complete safetensors"):
        load_model(f"hf:{hf_folder}")


def test_huggingface_backbone_without_a_classifier(hf_folder: Path) -> None:
    from transformers import ViTModel

    torch.manual_seed(0)
    ViTModel(load_model(f"hf:{hf_folder}").config).save_pretrained(hf_folder)  # type: ignore[arg-type]
    assert type(load_model(f"hf:{hf_folder}")) is ViTModel


def test_huggingface_classes_of_other_configs_are_passed_over(hf_folder: Path) -> None:
    from transformers import ViTForImageClassification

    config = json.loads((hf_folder / "config.json").read_text())
    # A model of texts, none of transformers', and something that is no model.
    for names in (["BertForImageClassification", "BertModel"], ["pipeline", "..", "OwnForImage"]):
        config["architectures"] = [*names, "MineForImageClassification"]
        (hf_folder / "config.json").write_text(json.dumps(config))
        assert type(load_model(f"hf:{hf_folder}")) is ViTForImageClassification


def test_huggingface_folders_that_are_none(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(InputError, match=r"not a local Hugging Face folder .* nothing is fetched"):
        load_model("hf:google/vit-base-patch16-224")
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(InputError, match="is not the config of a Hugging Face model"):
        load_model(f"hf:{tmp_path}")
    marker = tmp_path / "ran"
    (tmp_path / "code.py").write_text(f"open({str(marker)!r}, 'w')")
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(
        json.dumps(
            {"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}}
        )
    )
    with pytest.raises(InputError, match="transformers can't make a model of it"):
        load_model(f"hf:{tmp_path}")
    assert not marker.exists()


def test_monai_volumes(tmp_path: Path) -> None:
    from monai.networks.nets import DenseNet121, ViT

    name = "monai:DenseNet121?spatial_dims=3&in_channels=1&out_channels=2&init_features=8"
    model = load_model(name + "&growth_rate=4&block_config=(2,2)")
    made = DenseNet121(3, 1, 2, init_features=8, growth_rate=4, block_config=(2, 2)).eval()
    torch.save(made.state_dict(), tmp_path / "w.pth")
    model = load_model(name + "&growth_rate=4&block_config=(2,2)", tmp_path / "w.pth")
    assert_same(model, made, 1, 16, 24, 32)
    name = "monai:DenseNet121?spatial_dims=2&init_features=8&growth_rate=4&block_config=(2,2)"
    assert load_model(name, num_classes=5, in_channels=3).class_layers.out.out_features == 5
    vit = "monai:ViT?img_size=(16,16,16)&patch_size=8&hidden_size=12&mlp_dim=8&num_heads=2"
    model = load_model(vit + "&num_layers=1&proj_type=perceptron", in_channels=1)
    assert isinstance(model, ViT)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("DenseNet12", "did you mean .*DenseNet121"),
        ("DenseNet121?spatial_dims", "'spatial_dims' is not of the form argument=value"),
        ("DenseNet121?spatial_dims=__import__('os')", "value of spatial_dims is no Python number"),
        (
            "DenseNet121?spatial_dims=2&in_channels=1&out_channels=1&wrong=1",
            "refuses these arguments: .*wrong",
        ),
        (
            "DenseNet121?spatial_dims=2",
            "refuses these arguments: .*in_channels.*; it takes spatial",
        ),
        ("DenseNet121?pretrained=True", "pretrained weights would be fetched"),
        ("torch", "monai has no model 'torch'"),
    ],
)
def test_monai_mistakes(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_model(f"monai:{name}")


def raising(error: BaseException):
    with external.import_errors("timm", "timm"):
        raise error


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"timm is not installed: pip install 'fastcam\[timm\]'"):
        raising(ModuleNotFoundError("No module named 'timm'", name="timm"))
    with pytest.raises(InputError, match=r"yaml, which timm needs, is not installed"):
        raising(ModuleNotFoundError("No module named 'yaml'", name="yaml"))
    with pytest.raises(InputError, match=r"timm can't be imported: cannot import name x"):
        raising(ImportError("cannot import name x"))
    with pytest.raises(RuntimeError, match="of the model's own"):
        raising(RuntimeError("of the model's own"))


def test_torchvision_of_another_build_is_explained() -> None:
    for name in ("timm", "torchvision"):
        with pytest.raises(InputError, match=r"made for another build of PyTorch .* pip install"):
            raising(RuntimeError(f"{name}: operator torchvision::nms does not exist"))
    # transformers hides it behind an error of its own.
    hidden = ModuleNotFoundError("Could not import module 'ViTForImageClassification'")
    hidden.__cause__ = RuntimeError("operator torchvision::nms does not exist")
    with pytest.raises(InputError, match="made for another build"):
        raising(hidden)


@pytest.mark.skipif(OPERATORS, reason="torchvision's operators load here")
def test_the_real_mismatch_is_explained() -> None:
    names = ["torchvision:resnet18", "timm:resnet18"]
    code = (
        "from fastcam.errors import InputError\nfrom fastcam.models.registry import load_model\n"
        f"for name in {names!r}:\n"
        "    try:\n        load_model(name)\n    except InputError as error:\n        print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    said = ran.stdout.splitlines()
    assert len(said) == 2, ran
    wheels = "whl/cpu" if torch.version.cuda is None else "whl/cu"
    for line in said:
        assert "the torchvision that is installed was made for another build of PyTorch" in line
        assert wheels in line
    assert said[1].startswith("timm needs torchvision: ")
