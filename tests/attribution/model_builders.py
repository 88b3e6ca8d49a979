"""Small random models of timm, torchvision and Hugging Face."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..torchvision_import import torchvision  # isort: skip
import timm
import transformers
from timm.models import metaformer
from timm.models.metaformer import MetaFormer
from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg
from timm.models.volo import VOLO
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

assert torchvision

# Of a small Vision Transformer.
HF: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 5,
}


class PlainEncoder(nn.Module):
    """A Vision Transformer as people write it with ``nn.TransformerEncoder``."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.patches = nn.Conv2d(3, 32, 8, 8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 32))
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(32, 5)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), tokens], 1)
        answer: Tensor = self.head(self.encoder(tokens)[:, 0])
        return answer


def of_timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, pretrained=False, num_classes=5, **options)


def of_hf(name: str, attention: str | None = None, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        config = getattr(transformers, f"{name}Config")(**options, attn_implementation=attention)
        model: nn.Module = getattr(transformers, f"{name}ForImageClassification")(config)
        return model

    return make


def torchvision_swin_model() -> nn.Module:
    return SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=5)


def torchvision_vit_model() -> nn.Module:
    return VisionTransformer(32, 8, 3, 4, 32, 64, num_classes=5)


def volo_model() -> nn.Module:
    return VOLO(
        [1, 1, 1, 1],
        img_size=64,
        num_classes=5,
        embed_dims=[24, 48, 48, 48],
        num_heads=[2, 4, 4, 4],
        mlp_ratio=2,
    )


def caformer_model() -> nn.Module:
    mixers: list[type[nn.Module]] = [metaformer.SepConv] * 2 + [metaformer.Attention] * 2
    norms: list[type[nn.Module]] = [metaformer.LayerNorm2dNoBias] * 2
    return MetaFormer(
        depths=(1, 1, 1, 1),
        dims=(16, 32, 64, 64),
        token_mixers=mixers,
        norm_layers=[*norms, *[metaformer.LayerNormNoBias] * 2],
        num_classes=5,
    )


class Pooled(nn.Module):
    """The vision part of a model that also reads text, its answer the pooled features."""

    def __init__(self, vision: nn.Module) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, pixel_values: Tensor) -> Tensor:
        answer: Tensor = self.vision(pixel_values=pixel_values).last_hidden_state.mean(1)
        return answer


def part_of_hf(name: str, config: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model: nn.Module = getattr(transformers, name)(getattr(transformers, config)(**options))
        return Pooled(model)

    return make


def llava_model() -> nn.Module:
    vision = transformers.CLIPVisionConfig(**HF)
    text = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, vocab_size=64,
    )  # fmt: skip
    config = transformers.LlavaConfig(vision_config=vision, text_config=text)
    return Pooled(transformers.LlavaForConditionalGeneration(config).model.vision_tower)


def mvit_model() -> nn.Module:
    sizes = MultiScaleVitCfg(depths=(1, 2), embed_dim=(16, 32), num_heads=(1, 2))
    return MultiScaleVit(sizes, img_size=(64, 64), num_classes=5)
