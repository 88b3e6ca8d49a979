"""The network: all flags together, what the class token knows, and comparing by examples."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.records import nothing
from fastcam.errors import InputError
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.settings import FewshotSettings, check_window, fitting_window
from fastcam.models.vit import VisionTransformer, VitSettings

TRUNK = VitSettings(
    dim=16, depth=2, heads=2, patch_size=(4, 4), image_size=(32, 16), num_classes=5, mlp_dim=32
)
ALL = FewshotSettings(trunk=TRUNK, use_mab=True, use_ocab=True, use_drff=True, window=4, enlarged=6)


def made(settings: FewshotSettings = ALL) -> FewshotViT:
    torch.manual_seed(11)
    return FewshotViT(settings).eval()


def images(count: int) -> Tensor:
    return torch.randn(count, 3, 32, 16, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("flags", list(itertools.product((False, True), repeat=3)))
def test_every_combination_of_flags_runs(flags: tuple[bool, bool, bool]) -> None:
    model = made(replace(ALL, use_mab=flags[0], use_ocab=flags[1], use_drff=flags[2]))
    with torch.no_grad():
        assert model(images(2)).shape == (2, 5)
        assert model.features(images(2)).shape == (2, 32, 16)
    assert [hasattr(model, name) for name in ("mixed", "overlap", "fusion")] == list(flags)
    assert hasattr(model, "read") == any(flags)


def test_without_flags_it_is_the_vision_transformer() -> None:
    model, plain = made(FewshotSettings(trunk=TRUNK)), VisionTransformer(TRUNK).eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        assert torch.equal(model(images(2)), plain(images(2)))


@pytest.mark.parametrize("stage", ["mixed", "overlap", "fusion"])
def test_the_class_token_knows_what_each_stage_made(stage: str) -> None:
    model, grids = made(), []
    handle = model.get_submodule(stage).register_forward_hook(
        lambda _module, _args, out: grids.append(out.requires_grad_()) or out
    )
    out = model(images(1))
    handle.remove()
    (gradient,) = torch.autograd.grad(out.sum(), grids[0])
    assert gradient.shape == (1, 8, 4, 16)
    # Every place of the grid counts, not a few.
    assert int((gradient.abs().amax(-1) > 0).sum()) == 32


def test_calls_that_capture_sees() -> None:
    model = made()
    with torch.no_grad(), capture(model, nothing) as seen:
        model(images(2))
    assert [(record.path, record.kind, record.shape) for record in seen.records] == [
        ("blocks.0.attn", "sdpa", (2, 2, 33, 33)),
        ("blocks.1.attn", "sdpa", (2, 2, 33, 33)),
        ("mixed.0.window", "sdpa", (4, 2, 16, 16)),
        ("mixed.0.channel", "gate", (2, 1, 1, 16)),
        ("mixed.1.window", "sdpa", (4, 2, 16, 16)),
        ("mixed.1.channel", "gate", (2, 1, 1, 16)),
        ("overlap.attn", "sdpa", (4, 2, 16, 36)),
        ("read.attn", "sdpa", (2, 2, 1, 33)),
    ]


def test_odd_blocks_are_shifted() -> None:
    settings = replace(ALL, mixed_depth=4)
    shifts = [block.window.shift_size for block in made(settings).mixed]
    # Across it there is a single window, which has nothing to be shifted against.
    assert shifts == [(0, 0), (2, 0), (0, 0), (2, 0)]


@pytest.mark.parametrize("kind", ["ridge", "mutual"])
def test_a_query_is_told_by_its_own_picture(kind: str) -> None:
    model = made(replace(ALL, reconstruction=kind))  # type: ignore[arg-type]
    pictures = images(6)
    with torch.no_grad():
        logits = model.compare(pictures.reshape(3, 2, 3, 32, 16), pictures[[0, 3, 4]])
        features = model.features(pictures)
        alone = model.reconstruct(features[2:4].reshape(1, -1, 16), features[[3]])
    assert logits.shape == (3, 3)
    torch.testing.assert_close(logits[1, 1], alone[0, 0])
    if kind == "ridge":
        assert logits.argmax(1).tolist() == [0, 1, 2]


def test_features_are_those_of_the_normed_patches_over_the_root_of_the_channels() -> None:
    model = made()
    with torch.no_grad():
        expected = model.descriptor(model.encode(images(2))[:, 1:]) / 4.0
        torch.testing.assert_close(model.features(images(2)), expected)
        assert torch.equal(model(images(2)), model.head(model.encode(images(2))[:, 0]))


def test_registers_stay_before_the_patches() -> None:
    model = made(replace(ALL, trunk=replace(TRUNK, registers=2)))
    with torch.no_grad():
        assert model.encode(images(1)).shape == (1, 35, 16)
        assert model.features(images(1)).shape == (1, 32, 16)


def test_support_is_needed() -> None:
    for shape in ((0, 1, 3, 32, 16), (2, 0, 3, 32, 16), (2, 3, 32, 16)):
        with pytest.raises(InputError, match="at least one a class"):
            made().compare(torch.zeros(shape), images(1))


def test_windows_must_divide_the_grid() -> None:
    with pytest.raises(InputError, match=r"8x4 .* windows of 7x7.* multiple of 7 patches"):
        FewshotSettings(trunk=TRUNK, use_mab=True)
    with pytest.raises(InputError, match="13x14 patches can't be cut into windows of 7x7"):
        check_window((13, 14), 7)
    assert FewshotSettings(trunk=TRUNK).window == 7  # not used, so not checked
    assert fitting_window((14, 14)) == 7
    assert fitting_window((24, 16)) == 4
    for grid in ((16, 15), (11, 11)):
        with pytest.raises(InputError, match="no side from 2 to 7 divides both"):
            fitting_window(grid)
    with pytest.raises(InputError, match=r"overlap ratio 0\.75"):
        replace(ALL, enlarged=7)
    with pytest.raises(InputError, match="class token"):
        FewshotSettings(trunk=replace(TRUNK, class_token=False, mean_pooling=True))
    with pytest.raises(InputError, match="mixed_depth 0"):
        replace(ALL, mixed_depth=0)


@pytest.mark.parametrize("kind", ["ridge", "mutual"])
def test_told_by_examples_it_answers_as_compare_does(kind: str) -> None:
    model = made(replace(ALL, reconstruction=kind))  # type: ignore[arg-type]
    support, query = images(4).reshape(2, 2, 3, 32, 16), images(3)
    with torch.no_grad():
        plain = model(query)
        with model.support_set(list(support)):
            told = model(query)
        logits = model.compare(support, query)
        torch.testing.assert_close(told, logits - (logits[:, :1] + logits[:, 1:]) / 2)
        assert torch.equal(model(query), plain)
        with model.support_set([support[0], support[1, :1]]):
            assert model(query).shape == (3, 2)
        with pytest.raises(RuntimeError), model.support_set(list(support)):
            model(query[:, :1])
        assert torch.equal(model(query), plain)
