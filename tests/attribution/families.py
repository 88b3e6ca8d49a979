"""One small random model of each family, and what fastcam shows of it.

    python -m tests.attribution.families        # rebuilds the table of docs/reference/families.md

``test_families.py`` holds the table against the models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.records import gate
from fastcam.errors import InputError

from ..torchvision_import import torchvision  # isort: skip
import timm
import transformers
from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

assert torchvision

TARGET = Path(__file__).parents[2] / "docs" / "reference" / "families.md"
_BEGIN, _END = "<!-- families -->\n", "<!-- /families -->\n"
SWIN_BLOCKS = ("SwinTransformerBlock", "SwinTransformerV2Block", "SwinLayer")

_VIT: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3}
_SWIN: dict[str, Any] = {
    "img_size": 48,
    "patch_size": 4,
    "window_size": 4,
    "embed_dim": 16,
    "depths": (2, 2),
    "num_heads": (2, 4),
}
_HF: dict[str, Any] = {
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


def _timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, pretrained=False, num_classes=5, **options)


def _hf(name: str, attention: str | None = None, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        config = getattr(transformers, f"{name}Config")(**options, attn_implementation=attention)
        model: nn.Module = getattr(transformers, f"{name}ForImageClassification")(config)
        return model

    return make


def _torchvision_swin() -> nn.Module:
    return SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=5)


def _torchvision_vit() -> nn.Module:
    return VisionTransformer(32, 8, 3, 4, 32, 64, num_classes=5)


def _mvit() -> nn.Module:
    sizes = MultiScaleVitCfg(depths=(1, 2), embed_dim=(16, 32), num_heads=(1, 2))
    return MultiScaleVit(sizes, img_size=(64, 64), num_classes=5)


@dataclass(frozen=True)
class Family:
    """``make`` builds a model without weights of its own; ``size``: side of its images."""

    make: Callable[[], nn.Module]
    size: int = 32


FAMILIES: dict[str, Family] = {
    "timm vit": Family(_timm("vit_tiny_patch16_224", **_VIT, num_heads=4)),
    "timm deit3": Family(_timm("deit3_small_patch16_224", **_VIT, num_heads=4)),
    "timm deit distilled": Family(_timm("deit_tiny_distilled_patch16_224", **_VIT, num_heads=4)),
    "timm dinov2 with registers": Family(
        _timm("vit_small_patch14_reg4_dinov2", **_VIT, num_heads=4)
    ),
    "timm eva02": Family(_timm("eva02_tiny_patch14_224", **_VIT, num_heads=4)),
    "timm beit": Family(_timm("beit_base_patch16_224", **_VIT, num_heads=4)),
    "timm siglip": Family(_timm("vit_base_patch16_siglip_224", **_VIT, num_heads=4)),
    "timm cait": Family(_timm("cait_xxs24_224", **_VIT, num_heads=4)),
    "timm xcit": Family(_timm("xcit_nano_12_p16_224", img_size=64, embed_dim=32, depth=3), 64),
    "timm swin": Family(_timm("swin_tiny_patch4_window7_224", **_SWIN), 48),
    "timm swinv2": Family(_timm("swinv2_tiny_window8_256", **_SWIN), 48),
    "timm mvitv2": Family(_mvit, 64),
    "timm efficientformerv2": Family(_timm("efficientformerv2_s0", img_size=128), 128),
    "timm pvt_v2": Family(_timm("pvt_v2_b0", depths=(1, 1, 1, 1)), 128),
    "timm davit": Family(
        _timm("davit_tiny", depths=(1, 1), embed_dims=(16, 32), num_heads=(2, 2)), 64
    ),
    "timm maxvit": Family(_timm("maxvit_pico_rw_256", img_size=64, depths=(1, 1, 1, 1)), 64),
    "timm hiera": Family(_timm("hiera_tiny_224", img_size=(64, 64)), 64),
    "timm mobilevit": Family(_timm("mobilevit_xxs"), 64),
    "timm tiny_vit": Family(_timm("tiny_vit_5m_224"), 128),
    "timm coatnet": Family(_timm("coatnet_pico_rw_224", img_size=64), 64),
    "timm twins_pcpvt": Family(_timm("twins_pcpvt_small", img_size=128, depths=(1, 1, 1, 1)), 128),
    "timm pit": Family(_timm("pit_ti_224", img_size=64), 64),
    "timm gcvit": Family(_timm("gcvit_xxtiny", img_size=64), 64),
    "timm nextvit": Family(_timm("nextvit_small"), 128),
    "timm convnext": Family(_timm("convnext_atto", depths=(1, 1, 1, 1))),
    "timm resnet with squeeze-and-excitation": Family(_timm("seresnet18"), 64),
    "timm resnet with ECA": Family(_timm("ecaresnet26t"), 64),
    "torchvision vit": Family(_torchvision_vit),
    "torchvision swin": Family(_torchvision_swin, 48),
    "hf vit, sdpa": Family(_hf("ViT", "sdpa", **_HF)),
    "hf vit, eager": Family(_hf("ViT", "eager", **_HF)),
    "hf dinov2 with registers": Family(_hf("Dinov2WithRegisters", **_HF, num_register_tokens=3)),
    "hf swin": Family(
        _hf(
            "Swin",
            image_size=48,
            patch_size=4,
            embed_dim=16,
            depths=[2, 2],
            num_heads=[2, 4],
            window_size=4,
            num_labels=5,
        ),
        48,
    ),
    "torch nn.TransformerEncoder": Family(PlainEncoder),
}


def build(name: str) -> nn.Module:
    """The family's model in eval mode, every number of it random but the same every time."""
    torch.manual_seed(1)
    model = FAMILIES[name].make().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


def images(name: str, count: int = 2) -> Tensor:
    """Images (count, 3, size, size) of noise."""
    side = FAMILIES[name].size
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2))


_WORDS = {
    "cls": "what CLS attends to",
    "received": "attention received, mean over queries",
    "windows": "attention received within windows, put back into the image",
    "pooling": "the pooling query's attention",
}


def shown(name: str) -> tuple[str, str]:
    """What is shown of the family's model, and what isn't and why; both in words."""
    model = build(name)
    engine = AttentionEngine(model)
    try:
        result = engine(images(name))
    except InputError as error:
        gates = _gates(model, images(name))
        if gates and "has no attention" in str(error):
            return f"channel gates of {gates} blocks (kind `gate`)", "no attention between places"
        return "error", _short(str(error))
    counts: dict[str, int] = {}
    for key, layers in result.layer_names.items():
        word = _WORDS[engine.map_kinds[key]]
        counts[word] = counts.get(word, 0) + len(layers)
    words = [f"{word}: {_layers(count)}" for word, count in counts.items()]
    why: dict[str, int] = {}
    for reason in engine.omissions.values():
        why[reason] = why.get(reason, 0) + 1
    return "; ".join(words), "; ".join(f"{_layers(n)}: {reason}" for reason, n in why.items())


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _gates(model: nn.Module, batch: Tensor) -> int:
    with torch.no_grad(), capture(model, gate, ("gate",)) as seen:
        model(batch)
    return len(seen.records)


def _short(message: str) -> str:
    return message.partition("; or choose")[0].replace("|", "/")


def table() -> str:
    """The table of docs/reference/families.md."""
    lines = [
        "| model | shown | not shown |",
        "|---|---|---|",
        *(f"| {name} | {' | '.join(shown(name))} |" for name in FAMILIES),
    ]
    return "\n".join([*lines, ""])


def written() -> list[str]:
    """The rows that stand in the document."""
    return _parts()[1].splitlines()[2:]


def _parts() -> tuple[str, str, str]:
    before, _, rest = TARGET.read_text(encoding="utf-8").partition(_BEGIN)
    now, _, after = rest.partition(_END)
    return before, now, after


if __name__ == "__main__":
    start, _, end = _parts()
    TARGET.write_text(f"{start}{_BEGIN}{table()}{_END}{end}", encoding="utf-8")
