"""One small random model of each family that ``families`` shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from .model_builders import (
    HF,
    PlainEncoder,
    caformer_model,
    llava_model,
    mvit_model,
    of_hf,
    of_timm,
    part_of_hf,
    torchvision_swin_model,
    torchvision_vit_model,
    volo_model,
)

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


@dataclass(frozen=True)
class Family:
    """``make`` builds a model without weights of its own; ``size``: side of its images; ``slow``:
    whether it takes a second and more."""

    make: Callable[[], nn.Module]
    size: int = 32
    slow: bool = False


FAMILIES: dict[str, Family] = {
    "timm vit": Family(of_timm("vit_tiny_patch16_224", **_VIT, num_heads=4)),
    "timm deit3": Family(of_timm("deit3_small_patch16_224", **_VIT, num_heads=4)),
    "timm deit distilled": Family(of_timm("deit_tiny_distilled_patch16_224", **_VIT, num_heads=4)),
    "timm dinov2 with registers": Family(
        of_timm("vit_small_patch14_reg4_dinov2", **_VIT, num_heads=4)
    ),
    "timm eva02": Family(of_timm("eva02_tiny_patch14_224", **_VIT, num_heads=4)),
    "timm beit": Family(of_timm("beit_base_patch16_224", **_VIT, num_heads=4)),
    "timm siglip": Family(of_timm("vit_base_patch16_siglip_224", **_VIT, num_heads=4)),
    "timm cait": Family(of_timm("cait_xxs24_224", **_VIT, num_heads=4)),
    "timm xcit": Family(of_timm("xcit_nano_12_p16_224", img_size=64, embed_dim=32, depth=3), 64),
    "timm swin": Family(of_timm("swin_tiny_patch4_window7_224", **_SWIN), 48),
    "timm swinv2": Family(of_timm("swinv2_tiny_window8_256", **_SWIN), 48),
    "timm mvitv2": Family(mvit_model, 64),
    "timm efficientformerv2": Family(of_timm("efficientformerv2_s0", img_size=128), 128),
    "timm pvt_v2": Family(of_timm("pvt_v2_b0", depths=(1, 1, 1, 1)), 128),
    "timm davit": Family(
        of_timm("davit_tiny", depths=(1, 1), embed_dims=(16, 32), num_heads=(2, 2)), 64
    ),
    "timm maxvit": Family(of_timm("maxvit_pico_rw_256", img_size=64, depths=(1, 1, 1, 1)), 64),
    "timm hiera": Family(of_timm("hiera_tiny_224", img_size=(64, 64)), 64),
    "timm mobilevit": Family(of_timm("mobilevit_xxs"), 64),
    "timm tiny_vit": Family(of_timm("tiny_vit_5m_224"), 128),
    "timm coatnet": Family(of_timm("coatnet_pico_rw_224", img_size=64), 64),
    "timm twins_pcpvt": Family(
        of_timm("twins_pcpvt_small", img_size=128, depths=(1, 1, 1, 1)), 128
    ),
    "timm pit": Family(of_timm("pit_ti_224", img_size=64), 64),
    "timm gcvit": Family(of_timm("gcvit_xxtiny", img_size=64), 64),
    "timm nextvit": Family(of_timm("nextvit_small"), 128),
    "timm vit without CLS": Family(of_timm("vit_medium_patch16_gap_256", **_VIT, num_heads=4)),
    "timm vit with registers, mean": Family(
        of_timm("vit_medium_patch16_reg4_gap_256", **_VIT, num_heads=4)
    ),
    "timm vit with relative positions": Family(
        of_timm("vit_relpos_small_patch16_224", **_VIT, num_heads=4)
    ),
    "timm vit with rotary positions": Family(
        of_timm("vit_small_patch16_rope_224", **_VIT, num_heads=4)
    ),
    "timm clip vit": Family(of_timm("vit_base_patch16_clip_224", **_VIT, num_heads=4)),
    "timm eva02 clip": Family(of_timm("eva02_base_patch16_clip_224", **_VIT, num_heads=4)),
    "timm siglip 2, mean": Family(of_timm("vit_base_patch16_siglip_gap_224", **_VIT, num_heads=4)),
    "timm flexivit": Family(of_timm("flexivit_small", **_VIT, num_heads=4)),
    "timm aimv2": Family(of_timm("aimv2_large_patch14_224", **_VIT, num_heads=4)),
    "timm perception encoder, core": Family(
        of_timm("vit_pe_core_tiny_patch16_384", **_VIT, num_heads=4)
    ),
    "timm perception encoder, spatial": Family(
        of_timm("vit_pe_spatial_tiny_patch16_512", **_VIT, num_heads=4)
    ),
    "timm dinov3": Family(of_timm("vit_small_patch16_dinov3", **_VIT, num_heads=4)),
    "timm dinov3 plus": Family(of_timm("vit_small_plus_patch16_dinov3", **_VIT, num_heads=4)),
    "timm naflexvit": Family(
        of_timm("naflexvit_base_patch16_gap", embed_dim=32, depth=3, num_heads=4), 64
    ),
    "timm samvit": Family(
        of_timm(
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
    "timm vit, hybrid": Family(of_timm("vit_tiny_r_s16_p8_224", img_size=128, **_SMALL), 128),
    "timm vitamin": Family(of_timm("vitamin_small_224", img_size=64), 64, slow=True),
    "timm convit": Family(of_timm("convit_tiny", img_size=64, depth=3, local_up_to_layer=2), 64),
    "timm volo": Family(volo_model, 64),
    "timm tnt": Family(of_timm("tnt_s_patch16_224", img_size=64, depth=2), 64),
    "timm crossvit": Family(of_timm("crossvit_9_240"), 240),
    "timm nest": Family(of_timm("nest_tiny", img_size=64), 64),
    "timm swinv2_cr": Family(
        of_timm(
            "swinv2_cr_tiny_224",
            img_size=64,
            window_size=4,
            embed_dim=16,
            depths=(2, 2),
            num_heads=(2, 4),
        ),
        64,
    ),
    "timm twins_svt": Family(of_timm("twins_svt_small", img_size=64, depths=(1, 1, 1, 2)), 64),
    "timm hiera, absolute windows": Family(
        of_timm("hiera_small_abswin_256", img_size=(64, 64)), 64, slow=True
    ),
    "timm hiera of sam2": Family(of_timm("sam2_hiera_tiny"), 128, slow=True),
    "timm mvitv2 with CLS": Family(of_timm("mvitv2_small_cls", img_size=64), 64, slow=True),
    "timm pit distilled": Family(of_timm("pit_ti_distilled_224", img_size=64), 64),
    "timm coatnet, relative positions": Family(
        of_timm("coatnet_rmlp_nano_rw_224", img_size=64), 64, slow=True
    ),
    "timm maxvit of TensorFlow": Family(of_timm("maxvit_tiny_tf_224", img_size=64), 64, slow=True),
    "timm levit": Family(of_timm("levit_128s", img_size=128), 128),
    "timm visformer": Family(of_timm("visformer_tiny", img_size=64), 64),
    "timm efficientvit of MSRA": Family(of_timm("efficientvit_m0", img_size=224), 224),
    "timm efficientvit of MIT": Family(of_timm("efficientvit_b0"), 64),
    "timm efficientformer": Family(of_timm("efficientformer_l1"), 224, slow=True),
    "timm fastvit": Family(of_timm("fastvit_sa12"), 128, slow=True),
    "timm edgenext": Family(of_timm("edgenext_xx_small"), 64, slow=True),
    "timm mobilevitv2": Family(of_timm("mobilevitv2_050"), 128),
    "timm lambda network": Family(of_timm("lambda_resnet26t"), 128, slow=True),
    "timm efficientvim": Family(of_timm("efficientvim_m1"), 128, slow=True),
    "timm mobilenetv4, hybrid": Family(of_timm("mobilenetv4_hybrid_medium"), 128, slow=True),
    "timm caformer": Family(caformer_model, 64),
    "timm shvit": Family(of_timm("shvit_s1"), 128, slow=True),
    "timm botnet": Family(of_timm("botnet26t_256", img_size=64), 64, slow=True),
    "timm coat": Family(of_timm("coat_lite_tiny", img_size=64), 64, slow=True),
    "timm focalnet": Family(of_timm("focalnet_tiny_srf"), 64, slow=True),
    "timm mlp_mixer": Family(of_timm("mixer_s32_224", img_size=64), 64, slow=True),
    "timm convnext": Family(of_timm("convnext_atto", depths=(1, 1, 1, 1))),
    "timm resnet with squeeze-and-excitation": Family(of_timm("seresnet18"), 64),
    "timm resnet with ECA": Family(of_timm("ecaresnet26t"), 64),
    "torchvision vit": Family(torchvision_vit_model),
    "torchvision swin": Family(torchvision_swin_model, 48),
    "hf vit, sdpa": Family(of_hf("ViT", "sdpa", **HF)),
    "hf vit, eager": Family(of_hf("ViT", "eager", **HF)),
    "hf dinov2 with registers": Family(of_hf("Dinov2WithRegisters", **HF, num_register_tokens=3)),
    "hf swin": Family(
        of_hf(
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
    "hf deit": Family(of_hf("DeiT", **HF)),
    "hf beit": Family(of_hf("Beit", **HF)),
    "hf data2vec": Family(of_hf("Data2VecVision", **HF)),
    "hf dinov2": Family(of_hf("Dinov2", **HF)),
    "hf vit of MSN": Family(of_hf("ViTMSN", **HF)),
    "hf ijepa": Family(of_hf("IJepa", **HF)),
    "hf clip, vision": Family(part_of_hf("CLIPVisionModel", "CLIPVisionConfig", **HF)),
    "hf siglip, vision": Family(part_of_hf("SiglipVisionModel", "SiglipVisionConfig", **HF)),
    "hf dinov3": Family(part_of_hf("DINOv3ViTModel", "DINOv3ViTConfig", **HF)),
    "hf vit mae": Family(part_of_hf("ViTMAEModel", "ViTMAEConfig", **HF, mask_ratio=0.0)),
    "hf blip, vision": Family(part_of_hf("BlipVisionModel", "BlipVisionConfig", **HF)),
    "hf llava, vision": Family(llava_model),
    "hf segformer": Family(
        of_hf(
            "Segformer",
            depths=[1, 1, 1, 1],
            hidden_sizes=[8, 16, 16, 32],
            num_attention_heads=[1, 2, 2, 4],
            num_labels=5,
        ),
        128,
    ),
    "hf pvt_v2": Family(
        of_hf(
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
        of_hf(
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
    "hf mobilevit": Family(of_hf("MobileViT", image_size=128, num_labels=5), 128),
    "hf mobilevitv2": Family(
        of_hf("MobileViTV2", image_size=128, width_multiplier=0.5, num_labels=5), 128
    ),
    "hf levit": Family(of_hf("Levit", image_size=128, num_labels=5), 128, slow=True),
    "hf hiera": Family(
        of_hf(
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
