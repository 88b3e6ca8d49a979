"""One small random model of each family that ``families`` shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

SWIN_BLOCKS = ("SwinTransformerBlock", "SwinTransformerV2Block", "SwinLayer")

_VIT: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3}
_SMALL: dict[str, Any] = {"embed_dim": 32, "depth": 3, "num_heads": 4}
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


def _volo() -> nn.Module:
    return VOLO(
        [1, 1, 1, 1],
        img_size=64,
        num_classes=5,
        embed_dims=[24, 48, 48, 48],
        num_heads=[2, 4, 4, 4],
        mlp_ratio=2,
    )


def _caformer() -> nn.Module:
    mixers: list[type[nn.Module]] = [metaformer.SepConv] * 2 + [metaformer.Attention] * 2
    norms: list[type[nn.Module]] = [metaformer.LayerNorm2dNoBias] * 2
    return MetaFormer(
        depths=(1, 1, 1, 1),
        dims=(16, 32, 64, 64),
        token_mixers=mixers,
        norm_layers=[*norms, *[metaformer.LayerNormNoBias] * 2],
        num_classes=5,
    )


class _Pooled(nn.Module):
    """The vision part of a model that also reads text, its answer the pooled features."""

    def __init__(self, vision: nn.Module) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, pixel_values: Tensor) -> Tensor:
        answer: Tensor = self.vision(pixel_values=pixel_values).last_hidden_state.mean(1)
        return answer


def _hf_part(name: str, config: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model: nn.Module = getattr(transformers, name)(getattr(transformers, config)(**options))
        return _Pooled(model)

    return make


def _llava() -> nn.Module:
    vision = transformers.CLIPVisionConfig(**_HF)
    text = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, vocab_size=64,
    )  # fmt: skip
    config = transformers.LlavaConfig(vision_config=vision, text_config=text)
    return _Pooled(transformers.LlavaForConditionalGeneration(config).model.vision_tower)


def _mvit() -> nn.Module:
    sizes = MultiScaleVitCfg(depths=(1, 2), embed_dim=(16, 32), num_heads=(1, 2))
    return MultiScaleVit(sizes, img_size=(64, 64), num_classes=5)


@dataclass(frozen=True)
class Family:
    """``make`` builds a model without weights of its own; ``size``: side of its images; ``slow``:
    whether it takes a second and more."""

    make: Callable[[], nn.Module]
    size: int = 32
    slow: bool = False


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
    "timm vit without CLS": Family(_timm("vit_medium_patch16_gap_256", **_VIT, num_heads=4)),
    "timm vit with registers, mean": Family(
        _timm("vit_medium_patch16_reg4_gap_256", **_VIT, num_heads=4)
    ),
    "timm vit with relative positions": Family(
        _timm("vit_relpos_small_patch16_224", **_VIT, num_heads=4)
    ),
    "timm vit with rotary positions": Family(
        _timm("vit_small_patch16_rope_224", **_VIT, num_heads=4)
    ),
    "timm clip vit": Family(_timm("vit_base_patch16_clip_224", **_VIT, num_heads=4)),
    "timm eva02 clip": Family(_timm("eva02_base_patch16_clip_224", **_VIT, num_heads=4)),
    "timm siglip 2, mean": Family(_timm("vit_base_patch16_siglip_gap_224", **_VIT, num_heads=4)),
    "timm flexivit": Family(_timm("flexivit_small", **_VIT, num_heads=4)),
    "timm aimv2": Family(_timm("aimv2_large_patch14_224", **_VIT, num_heads=4)),
    "timm perception encoder, core": Family(
        _timm("vit_pe_core_tiny_patch16_384", **_VIT, num_heads=4)
    ),
    "timm perception encoder, spatial": Family(
        _timm("vit_pe_spatial_tiny_patch16_512", **_VIT, num_heads=4)
    ),
    "timm dinov3": Family(_timm("vit_small_patch16_dinov3", **_VIT, num_heads=4)),
    "timm dinov3 plus": Family(_timm("vit_small_plus_patch16_dinov3", **_VIT, num_heads=4)),
    "timm naflexvit": Family(
        _timm("naflexvit_base_patch16_gap", embed_dim=32, depth=3, num_heads=4), 64
    ),
    "timm samvit": Family(
        _timm(
            "samvit_base_patch16",
            img_size=128,
            embed_dim=32,
            depth=3,
            num_heads=4,
            global_attn_indexes=(1,),
            window_size=4,
        ),
        128,
    ),
    "timm vit, hybrid": Family(_timm("vit_tiny_r_s16_p8_224", img_size=128, **_SMALL), 128),
    "timm vitamin": Family(_timm("vitamin_small_224", img_size=64), 64, slow=True),
    "timm convit": Family(_timm("convit_tiny", img_size=64, depth=3, local_up_to_layer=2), 64),
    "timm volo": Family(_volo, 64),
    "timm tnt": Family(_timm("tnt_s_patch16_224", img_size=64, depth=2), 64),
    "timm crossvit": Family(_timm("crossvit_9_240"), 240),
    "timm nest": Family(_timm("nest_tiny", img_size=64), 64),
    "timm swinv2_cr": Family(
        _timm(
            "swinv2_cr_tiny_224",
            img_size=64,
            window_size=4,
            embed_dim=16,
            depths=(2, 2),
            num_heads=(2, 4),
        ),
        64,
    ),
    "timm twins_svt": Family(_timm("twins_svt_small", img_size=64, depths=(1, 1, 1, 2)), 64),
    "timm hiera, absolute windows": Family(
        _timm("hiera_small_abswin_256", img_size=(64, 64)), 64, slow=True
    ),
    "timm hiera of sam2": Family(_timm("sam2_hiera_tiny"), 128, slow=True),
    "timm mvitv2 with CLS": Family(_timm("mvitv2_small_cls", img_size=64), 64, slow=True),
    "timm pit distilled": Family(_timm("pit_ti_distilled_224", img_size=64), 64),
    "timm coatnet, relative positions": Family(
        _timm("coatnet_rmlp_nano_rw_224", img_size=64), 64, slow=True
    ),
    "timm maxvit of TensorFlow": Family(_timm("maxvit_tiny_tf_224", img_size=64), 64, slow=True),
    "timm levit": Family(_timm("levit_128s", img_size=128), 128),
    "timm visformer": Family(_timm("visformer_tiny", img_size=64), 64),
    "timm efficientvit of MSRA": Family(_timm("efficientvit_m0", img_size=224), 224),
    "timm efficientvit of MIT": Family(_timm("efficientvit_b0"), 64),
    "timm efficientformer": Family(_timm("efficientformer_l1"), 224, slow=True),
    "timm fastvit": Family(_timm("fastvit_sa12"), 128, slow=True),
    "timm edgenext": Family(_timm("edgenext_xx_small"), 64, slow=True),
    "timm mobilevitv2": Family(_timm("mobilevitv2_050"), 128),
    "timm lambda network": Family(_timm("lambda_resnet26t"), 128, slow=True),
    "timm efficientvim": Family(_timm("efficientvim_m1"), 128, slow=True),
    "timm mobilenetv4, hybrid": Family(_timm("mobilenetv4_hybrid_medium"), 128, slow=True),
    "timm caformer": Family(_caformer, 64),
    "timm shvit": Family(_timm("shvit_s1"), 128, slow=True),
    "timm botnet": Family(_timm("botnet26t_256", img_size=64), 64, slow=True),
    "timm coat": Family(_timm("coat_lite_tiny", img_size=64), 64, slow=True),
    "timm focalnet": Family(_timm("focalnet_tiny_srf"), 64, slow=True),
    "timm mlp_mixer": Family(_timm("mixer_s32_224", img_size=64), 64, slow=True),
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
    "hf deit": Family(_hf("DeiT", **_HF)),
    "hf beit": Family(_hf("Beit", **_HF)),
    "hf data2vec": Family(_hf("Data2VecVision", **_HF)),
    "hf dinov2": Family(_hf("Dinov2", **_HF)),
    "hf vit of MSN": Family(_hf("ViTMSN", **_HF)),
    "hf ijepa": Family(_hf("IJepa", **_HF)),
    "hf clip, vision": Family(_hf_part("CLIPVisionModel", "CLIPVisionConfig", **_HF)),
    "hf siglip, vision": Family(_hf_part("SiglipVisionModel", "SiglipVisionConfig", **_HF)),
    "hf dinov3": Family(_hf_part("DINOv3ViTModel", "DINOv3ViTConfig", **_HF)),
    "hf vit mae": Family(_hf_part("ViTMAEModel", "ViTMAEConfig", **_HF, mask_ratio=0.0)),
    "hf blip, vision": Family(_hf_part("BlipVisionModel", "BlipVisionConfig", **_HF)),
    "hf llava, vision": Family(_llava),
    "hf segformer": Family(
        _hf(
            "Segformer",
            depths=[1, 1, 1, 1],
            hidden_sizes=[8, 16, 16, 32],
            num_attention_heads=[1, 2, 2, 4],
            num_labels=5,
        ),
        128,
    ),
    "hf pvt_v2": Family(
        _hf(
            "PvtV2",
            depths=[1, 1, 1, 1],
            hidden_sizes=[8, 16, 16, 32],
            num_attention_heads=[1, 2, 2, 4],
            image_size=128,
            num_labels=5,
        ),
        128,
    ),
    "hf swinv2": Family(
        _hf(
            "Swinv2",
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
    "hf mobilevit": Family(_hf("MobileViT", image_size=128, num_labels=5), 128),
    "hf mobilevitv2": Family(
        _hf("MobileViTV2", image_size=128, width_multiplier=0.5, num_labels=5), 128
    ),
    "hf levit": Family(_hf("Levit", image_size=128, num_labels=5), 128, slow=True),
    "hf hiera": Family(
        _hf(
            "Hiera",
            image_size=[64, 64],
            embed_dim=16,
            depths=[1, 1, 2, 1],
            num_heads=[1, 2, 4, 8],
            num_labels=5,
        ),
        64,
    ),
    "torch nn.TransformerEncoder": Family(PlainEncoder),
}
