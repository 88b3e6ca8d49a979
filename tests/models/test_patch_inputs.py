"""SigLIP 2 of any resolution, which takes patches, against transformers' own way to cut them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import fastcam
from fastcam.errors import InputError
from fastcam.models.text_similarity import text_similarity

from ..torchvision_import import torchvision  # isort: skip
import transformers
from transformers.models.siglip2.image_processing_siglip2 import convert_image_to_patches

from .test_text_similarity import TEXTS, _folder

assert torchvision

_PATCH = 8
_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "num_patches": 16,
    "patch_size": _PATCH,
}
_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 16,
    "max_position_embeddings": 8,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "pad_token_id": 0,
}


def _saved(kind: str, path: Path) -> Any:
    """The model, random, and saved into the folder ``path``."""
    torch.manual_seed(0)
    if kind == "Siglip2VisionModel":
        config: Any = transformers.Siglip2VisionConfig(**_VISION)
    else:
        options: dict[str, Any] = {"num_labels": 3}
        config = transformers.Siglip2Config(vision_config=_VISION, text_config=_TEXT, **options)
    model = getattr(transformers, kind)(config)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.eval().save_pretrained(path)
    return model


def _patches(images: Tensor) -> dict[str, Tensor]:
    rows, columns = (side // _PATCH for side in images.shape[2:])
    return {
        "pixel_values": torch.stack([convert_image_to_patches(x, _PATCH) for x in images]),
        "pixel_attention_mask": torch.ones(len(images), rows * columns, dtype=torch.int32),
        "spatial_shapes": torch.tensor([[rows, columns]] * len(images)),
    }


@pytest.mark.parametrize("size", [(32, 32), (24, 48)])
@pytest.mark.parametrize(
    ("kind", "answer"),
    [("Siglip2ForImageClassification", "logits"), ("Siglip2VisionModel", "pooler_output")],
)
def test_images_are_cut_as_the_image_processor_does(
    kind: str, answer: str, size: tuple[int, int], tmp_path: Path
) -> None:
    own = _saved(kind, tmp_path)
    model: Any = fastcam.load_model(f"hf:{tmp_path}")
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected = own(**_patches(images))[answer]
        torch.testing.assert_close(model(images)[answer], expected)
        torch.testing.assert_close(model(**_patches(images))[answer], expected)
    assert (type(model).__name__, model.image_size) == (kind, 32)


def test_gradcam_is_autograd_through_its_own_patches(tmp_path: Path) -> None:
    own = _saved("Siglip2ForImageClassification", tmp_path)
    images = torch.randn(2, 3, 24, 48)
    layer = "vision_model.encoder.layers.0"
    result = fastcam.explain(
        fastcam.load_model(f"hf:{tmp_path}"), images, "gradcam", layers=[layer], target=1,
        sign="both",
    )  # fmt: skip
    kept: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        tokens = output[0] if isinstance(output, tuple) else output
        tokens.retain_grad()
        kept.append(tokens)

    handle = own.get_submodule(layer).register_forward_hook(keep)
    own(**_patches(images)).logits[:, 1].sum().backward()
    handle.remove()
    assert kept[0].grad is not None
    weights = kept[0].grad.mean(1, keepdim=True)
    expected = (weights * kept[0]).sum(2).detach().reshape(2, 3, 6)
    np.testing.assert_allclose(result.maps[layer], expected, rtol=1e-3, atol=1e-6)


def test_infer_needs_no_table(tmp_path: Path) -> None:
    _saved("Siglip2ForImageClassification", tmp_path / "model")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (40, 30), (90, 20, 200)).save(tmp_path / "images" / "a.png")
    fastcam.infer(
        f"hf:{tmp_path / 'model'}", tmp_path / "images", tmp_path / "out",
        method=["attention", "legrad"], device="cpu", workers=0, compile=False,
    )  # fmt: skip
    store = fastcam.open_store(tmp_path / "out" / "run.zarr")
    assert store.map("attention", 0).shape == (2, 4, 4, 4)
    assert store.map("legrad", 0).max() > 0
    with pytest.raises(InputError, match=r"image_size 30x32: .* patches of 8 x 8 pixels"):
        fastcam.infer(
            f"hf:{tmp_path / 'model'}", tmp_path / "images", tmp_path / "odd",
            image_size=(30, 32), device="cpu", workers=0, compile=False,
        )  # fmt: skip


def test_texts(tmp_path: Path) -> None:
    """Its tokenizer is that of the small SigLIP beside it."""
    _folder(tmp_path, "siglip")
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).unlink()
    own = _saved("Siglip2Model", tmp_path)
    images = torch.randn(2, 3, 24, 48)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokens = tokenizer(
        list(TEXTS), padding="max_length", truncation=True, max_length=8, return_tensors="pt"
    )
    model = text_similarity(fastcam.load_model(f"hf:{tmp_path}"), TEXTS)
    assert model.image_size == 32
    with torch.no_grad():
        expected = own(input_ids=tokens["input_ids"], **_patches(images)).logits_per_image
        torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)
    result = fastcam.explain(model, images, "chefer", target=[[0, 1]])
    assert result.maps["chefer"].shape == (2, 2, 3, 6)
