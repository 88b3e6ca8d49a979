"""What a model says it wants to see, against what its own library does to an image."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fastcam.errors import InputError
from fastcam.models.data_config import by_channel, for_channels, preprocessing_of
from fastcam.models.registry import load_model
from fastcam.models.resnet import ResNet
from fastcam.models.vit import VisionTransformer, VitSettings
from fastcam.read.inputs.preprocessing import Preprocessing

from ..torchvision_import import torchvision

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_built_in_models() -> None:
    found = preprocessing_of(ResNet("resnet18"))
    assert found == Preprocessing(
        size=(224, 224), mean=IMAGENET[0], std=IMAGENET[1], fit="stretch", interpolation="bilinear"
    )
    vit = VisionTransformer(VitSettings(dim=64, depth=1, heads=1, image_size=(32, 96)))
    assert preprocessing_of(vit).size == (32, 96)
    assert preprocessing_of(ResNet("resnet18"), 96).size == (96, 96)
    assert preprocessing_of(ResNet("resnet18"), (96, 64)).size == (96, 64)


def test_other_channels() -> None:
    one = preprocessing_of(ResNet("resnet18", in_channels=1))
    assert one.channels == 1
    assert one.mean == pytest.approx((0.449,))
    assert one.std == pytest.approx((0.226,))
    six = preprocessing_of(ResNet("resnet18", in_channels=6))
    assert (six.mean, six.std) == (IMAGENET[0] * 2, IMAGENET[1] * 2)
    assert for_channels((1.0, 2.0, 3.0), 2) == (1.0, 2.0)
    assert for_channels((0.5,), 3) == (0.5, 0.5, 0.5)


@pytest.mark.filterwarnings("ignore:.*weights are random")
def test_timm_models() -> None:
    import timm

    model = load_model("timm:test_vit", num_classes=2, in_channels=1)
    cfg = timm.data.resolve_data_config({}, model=model)
    found = preprocessing_of(model)
    assert found.size == cfg["input_size"][1:]
    assert (found.channels, found.fit) == (1, "crop")
    assert found.interpolation == cfg["interpolation"] == "bicubic"
    assert found.mean == pytest.approx((np.mean(cfg["mean"]),))
    assert preprocessing_of(load_model("timm:test_vit", image_size=(32, 64))).size == (32, 64)
    assert preprocessing_of(load_model("timm:resnet10t"), 64).size == (64, 64)


def test_torchvision_models() -> None:
    vit = torchvision.models.VisionTransformer(48, 16, 1, 2, 32, 64)
    assert preprocessing_of(vit).size == (48, 48)
    assert preprocessing_of(torchvision.models.squeezenet1_1()).size == (224, 224)


def hf_model(folder: Path, **said: object) -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
    )
    ViTForImageClassification(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return load_model(f"hf:{folder}")


def test_huggingface_folder_gives_what_its_processor_does(tmp_path: Path) -> None:
    from transformers import ViTImageProcessor

    processor = ViTImageProcessor(
        size={"height": 32, "width": 32},
        resample=3,
        image_mean=[0.5, 0.4, 0.3],
        image_std=[0.2, 0.3, 0.4],
    )
    model = hf_model(tmp_path)
    processor.save_pretrained(tmp_path)
    found = preprocessing_of(model)
    assert found == Preprocessing(
        size=(32, 32),
        channels=3,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.3, 0.4),
        fit="stretch",
        interpolation="bicubic",
    )
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    theirs = processor(pixels, return_tensors="np", input_data_format="channels_last")
    ours = (pixels / 255 - np.array(found.mean)) / np.array(found.std)
    np.testing.assert_allclose(ours.transpose(2, 0, 1), theirs["pixel_values"][0], atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        *("CLIPImageProcessor", "SiglipImageProcessor", "Siglip2ImageProcessor"),
        *("ViTImageProcessor", "BitImageProcessor", "ConvNextImageProcessor"),
        *("BeitImageProcessor", "DeiTImageProcessor", "SegformerImageProcessor"),
        *("MobileViTImageProcessor", "DINOv3ViTImageProcessor", "PvtImageProcessor"),
    ],
)
def test_a_processors_file_that_says_no_interpolation_means_its_own(
    tmp_path: Path, name: str
) -> None:
    import transformers

    own = getattr(transformers, name).resample
    expected = {2: "bilinear", 3: "bicubic"}[int(own)]
    for kind in (name, f"{name}Fast", name.replace("ImageProcessor", "FeatureExtractor")):
        model = hf_model(tmp_path, image_processor_type=kind)
        assert preprocessing_of(model).interpolation == expected, kind


def test_huggingface_settings(tmp_path: Path) -> None:
    crop = {"do_center_crop": True, "crop_size": {"height": 28, "width": 28}, "resample": 2}
    assert preprocessing_of(hf_model(tmp_path, **crop)).fit == "crop"
    # The model's own size comes first: no other one fits its positions.
    assert preprocessing_of(hf_model(tmp_path, **crop)).size == (32, 32)
    plain = preprocessing_of(hf_model(tmp_path, do_normalize=False))
    assert (plain.mean, plain.std) == ((0.0,) * 3, (1.0,) * 3)
    # Pixels from 0 to 2, then less 1: from -1 to 1.
    halves = {"rescale_factor": 2 / 255, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}
    found = preprocessing_of(hf_model(tmp_path, **halves))
    assert (1 - found.mean[0]) / found.std[0] == pytest.approx(1)
    assert (0 - found.mean[0]) / found.std[0] == pytest.approx(-1)
    model = hf_model(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("[1]")
    with pytest.raises(InputError, match=r"preprocessor_config\.json: can't be understood"):
        preprocessing_of(model)
    (tmp_path / "preprocessor_config.json").unlink()
    assert preprocessing_of(model).mean == IMAGENET[0]


def test_volumes() -> None:
    model = nn.Sequential(nn.Conv3d(2, 4, 3))
    with pytest.raises(InputError, match="give --image-size"):
        preprocessing_of(model)
    found = preprocessing_of(model, (8, 16, 24))
    assert found == Preprocessing(size=(8, 16, 24), channels=2, mean=(0.0, 0.0), std=(1.0, 1.0))
    assert preprocessing_of(model, 16).size == (16, 16, 16)
    model.img_size = (4, 5, 6)  # type: ignore[assignment]
    assert preprocessing_of(model).size == (4, 5, 6)
    with pytest.raises(InputError, match=r"has 2 numbers, but .* 3-D: give depth"):
        preprocessing_of(model, (8, 8))
    with pytest.raises(InputError, match=r"has 3 numbers, but .* 2-D: give height and width"):
        preprocessing_of(ResNet("resnet18"), (8, 8, 8))


def test_ones_own_model_without_a_convolution() -> None:
    model = nn.Linear(3, 2)
    assert preprocessing_of(model) == Preprocessing(size=(224, 224))
    assert torch.is_tensor(model.weight)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": (0, 5)}, "image size"),
        ({"size": (5,)}, "image size"),
        ({"channels": 0, "mean": (), "std": ()}, "0 channels are too few"),
        ({"mean": (0.5,)}, "--mean has 1 numbers, but the model takes 3 channels"),
        ({"std": (1.0, 2.0)}, "--std has 2 numbers"),
        ({"std": (1.0, 0.0, 1.0)}, "must be above 0"),
        ({"mean": (1.0, float("nan"), 1.0)}, "not finite"),
        ({"fit": "pad"}, "--fit 'pad' is not known: use stretch, crop"),
        ({"interpolation": "area"}, "--interpolation 'area' is not known"),
        ({"size": (4, 4, 4), "interpolation": "bicubic"}, "volumes are resized"),
    ],
)
def test_settings_are_checked(wrong, said: str) -> None:
    good = Preprocessing(size=(8, 8))
    with pytest.raises(InputError, match=said):
        dataclasses.replace(good, **wrong)


def test_numbers_by_channel() -> None:
    assert by_channel("mean", 0.4) == (0.4,)
    given: Any = np.array([1, 0.5])
    assert by_channel("std", given) == (1.0, 0.5)
    for given in ("0.4", None, [0.1, "a"], np.array(0.4)):
        with pytest.raises(InputError, match=r"^--mean .*: give a number for each channel$"):
            by_channel("mean", given)
