"""Folders of Hugging Face: the class that a model was saved from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fastcam.models.registry import load_model

from ..torchvision_import import torchvision  # noqa: F401  transformers imports it

pytestmark = pytest.mark.filterwarnings("ignore:.*weights are random")

_SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
          "intermediate_size": 64, "image_size": 32, "patch_size": 8}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "config", "options"),
    [
        ("SegformerForSemanticSegmentation", "SegformerConfig",
         {"depths": [1] * 4, "hidden_sizes": [8, 8, 16, 16], "num_attention_heads": [1, 1, 2, 2],
          "decoder_hidden_size": 8, "num_labels": 3}),
        ("CLIPVisionModelWithProjection", "CLIPVisionConfig", {**_SIZES, "projection_dim": 16}),
        ("ViTForMaskedImageModeling", "ViTConfig", {**_SIZES, "encoder_stride": 8}),
    ],
)  # fmt: skip
def test_huggingface_models_are_loaded_as_what_they_were_saved_from(
    name: str, config: str, options: dict[str, Any], tmp_path: Path
) -> None:
    import transformers

    torch.manual_seed(0)
    saved = getattr(transformers, name)(getattr(transformers, config)(**options)).eval()
    saved.save_pretrained(tmp_path)
    model = load_model(f"hf:{tmp_path}")
    assert type(model) is type(saved)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, answer = (m(images).to_tuple()[0] for m in (saved, model))
    assert torch.equal(answer, expected)
