"""The network from its options, from a checkpoint, and the flags a checkpoint needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fastcam.errors import InputError
from fastcam.models.checkpoints import load_into, read_state_dict
from fastcam.models.fewshot.build import FewshotOptions, build, flags_of
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.sizes import Sizes
from fastcam.models.training import save_weights
from fastcam.models.vit import VisionTransformer, VitSettings
from fastcam.models.vit_checkpoint import with_positions_of

TRUNK = VitSettings(
    dim=16, depth=1, heads=2, patch_size=(4, 4), image_size=(32, 32), num_classes=5, mlp_dim=32
)
ALL = FewshotSettings(
    trunk=TRUNK, use_mab=True, use_ocab=True, use_drff=True, mixed_depth=3, window=4, enlarged=8
)
EVERY = FewshotOptions(use_mab=True, use_ocab=True, use_drff=True)


def test_the_reference_sizes() -> None:
    model = build(EVERY)
    settings = model.fewshot
    assert (settings.trunk.dim, settings.trunk.heads, settings.trunk.depth) == (384, 6, 12)
    assert (settings.trunk.grid, settings.window, settings.enlarged) == ((14, 14), 7, 11)
    assert [block.window.shift_size for block in model.mixed] == [(0, 0), (3, 3)]
    tiny = build(
        FewshotOptions(arch="vit_tiny", patch_size=8, use_ocab=True, overlap_ratio=1.0),
        sizes=Sizes(3, 1, (128, 64)),
    )
    trunk = tiny.fewshot.trunk
    assert (trunk.dim, trunk.heads, trunk.patch_size, trunk.grid) == (192, 3, (8, 8), (16, 8))
    assert (trunk.in_channels, trunk.num_classes) == (1, 3)
    assert (tiny.fewshot.window, tiny.fewshot.enlarged) == (4, 8)


@pytest.mark.parametrize(
    "settings",
    [
        ALL,
        replace(ALL, use_mab=False, reconstruction="mutual"),
        replace(ALL, use_ocab=False),
        replace(ALL, trunk=replace(TRUNK, registers=2, num_classes=0)),
    ],
)
def test_a_checkpoint_gives_the_sizes(settings: FewshotSettings, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = FewshotViT(settings).eval()
    save_weights(model, tmp_path / "model.safetensors")
    state = read_state_dict(tmp_path / "model.safetensors")
    options = FewshotOptions(
        use_mab=settings.use_mab, use_ocab=settings.use_ocab, use_drff=settings.use_drff
    )
    for held in (state, {f"module.{key}": value for key, value in state.items()}):
        same = build(options, held).eval()
        assert load_into(same, dict(held), "model.safetensors").complete
        x = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            assert torch.equal(model(x), same(x))
            assert torch.equal(model.compare(x[:, None], x), same.compare(x[:, None], x))


def test_without_flags_those_of_the_checkpoint() -> None:
    plain = FewshotSettings(trunk=replace(TRUNK, dim=64, heads=1))
    for settings in (ALL, replace(ALL, use_ocab=False), plain):
        found = build(None, FewshotViT(settings).state_dict()).fewshot
        for flag in ("use_mab", "use_ocab", "use_drff"):
            assert getattr(found, flag) == getattr(settings, flag)


def test_another_image_size_keeps_the_windows() -> None:
    state = FewshotViT(ALL).state_dict()
    model = build(EVERY, state, Sizes(image_size=(64, 48)))
    assert (model.fewshot.trunk.grid, model.fewshot.window) == ((16, 12), 4)
    assert load_into(model, with_positions_of(dict(state), model, "a.pth"), "a.pth").complete
    with pytest.raises(InputError, match=r"10x8 patches .* windows of 4x4: use an image size"):
        build(EVERY, state, Sizes(image_size=(40, 32)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            FewshotOptions(use_mab=True),
            r"--use-mab --use-ocab --use-drff \(its keys mixed.\*, "
            r"overlap.\*, fusion.\*\), but --use-mab was given; "
            r"use --use-mab --use-ocab --use-drff",
        ),
        (replace(EVERY, arch="vit_tiny"), "16 channels wide, --arch vit_tiny is 192: leave"),
        (replace(EVERY, patch_size=16), "patches of 4x4 pixels, not 16"),
        (replace(EVERY, overlap_ratio=0.5), "8x8 tokens .* overlap ratio 1, not 0.5"),
        (replace(EVERY, overlap_ratio=0.3), "overlap ratio 0.3 .* use 0.5"),
        (replace(EVERY, reconstruction="mutual"), "ridge reconstruction, not mutual"),
    ],
)
def test_options_that_do_not_fit_the_checkpoint(options: FewshotOptions, said: str) -> None:
    with pytest.raises(InputError, match=f"best.pth: .*{said}" if "0.3" not in said else said):
        build(options, FewshotViT(ALL).state_dict(), source="best.pth")


def test_a_plain_vision_transformer_needs_no_flags() -> None:
    state = VisionTransformer(replace(TRUNK, dim=192, heads=3)).state_dict()
    assert flags_of(state) == ()
    with pytest.raises(InputError, match=r"none of the --use flags \(it has no .*leave --use-mab"):
        build(FewshotOptions(use_mab=True), state)
    model = build(EVERY, state, allow_partial=True)
    assert (model.fewshot.trunk.dim, model.fewshot.window) == (192, 4)
    assert load_into(model, dict(state), "vit.pth", allow_partial=True).missing[0].startswith("mi")


def test_a_checkpoint_of_another_kind() -> None:
    with pytest.raises(InputError, match=r"a\.pth: is for another architecture"):
        build(EVERY, {"conv1.weight": torch.zeros(3)}, source="a.pth")
    state = FewshotViT(replace(ALL, use_mab=False)).state_dict()
    del state["overlap.attn.sides"]
    with pytest.raises(InputError, match=r"a\.pth: doesn't tell its windows"):
        build(FewshotOptions(use_ocab=True, use_drff=True), state, source="a.pth")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"arch": "vit_huge"}, "--arch 'vit_huge' is not known: use vit_tiny or vit_small"),
        ({"patch_size": 0}, "--patch-size 0"),
        ({"reconstruction": "none"}, "'ridge' or 'mutual'"),
    ],
)
def test_bad_options(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        FewshotOptions(**asked)


def test_an_image_that_patches_do_not_divide() -> None:
    with pytest.raises(InputError, match=r"230x224 is not a multiple .* 16x16 pixels; the nearest"):
        build(EVERY, sizes=Sizes(image_size=(230, 224)))
