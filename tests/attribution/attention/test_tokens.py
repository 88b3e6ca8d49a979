"""Prefix tokens are counted from the model; the rest must be a grid over the image."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fastcam.attribution.attention.tokens import (
    Prefix,
    count_prefix,
    image_size,
    patch_grid,
    patch_size,
)
from fastcam.errors import InputError


class Tokens(nn.Module):
    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))


@pytest.mark.parametrize(
    ("model", "count", "cls"),
    [
        (Tokens(), 0, False),
        (Tokens(cls_token=(1, 1, 8)), 1, True),
        (Tokens(cls_token=(1, 1, 8), dist_token=(1, 1, 8)), 2, True),
        (Tokens(cls_token=(1, 1, 8), register_tokens=(1, 4, 8)), 5, True),
        (Tokens(reg_token=(1, 4, 8)), 4, False),
        (Tokens(class_embedding=(8,)), 1, True),
        (nn.Sequential(Tokens(class_token=(1, 1, 8))), 1, True),
        (Tokens(mask_token=(1, 1, 8), pos_embed=(1, 17, 8)), 0, False),
    ],
)
def test_prefix_from_parameters(model, count, cls):
    found = count_prefix(model)
    assert (found.count, found.cls) == (count, cls)


def test_prefix_from_the_models_word():
    model = Tokens(cls_token=(1, 1, 8))
    model.num_prefix_tokens = 3  # type: ignore[assignment]
    assert count_prefix(nn.Sequential(model)).count == 3
    assert count_prefix(model).source == "num_prefix_tokens of the model"


def test_prefix_given():
    assert count_prefix(Tokens(), 2) == Prefix(2, True, "given")
    assert count_prefix(Tokens(reg_token=(1, 2, 8)), 2) == Prefix(2, False, "given")
    with pytest.raises(InputError, match="-1 is negative"):
        count_prefix(Tokens(), -1)


@pytest.mark.parametrize(
    ("count", "image", "patch", "grid"),
    [
        (196, (224, 224), (16, 16), (14, 14)),
        (28 * 7, (224, 224), (8, 32), (28, 7)),
        (14 * 28, (224, 448), None, (14, 28)),
        (9 * 6, (100, 64), (12, 12), (9, 6)),  # rounded up: the model pads
        (8 * 5, (100, 64), (12, 12), (8, 5)),
        (49, (224, 224), (4, 4), (7, 7)),  # a later stage
        (197, (224, 224), (16, 16), None),
        (2 * 98, (224, 224), None, (14, 14)),
        (50, (224, 224), None, None),
        (1, (32, 32), None, (1, 1)),
        (0, (32, 32), None, None),
        (4 * 4 * 2, (64, 64, 32), None, (4, 4, 2)),
        (6 * 4 * 4, (96, 64, 64), (16, 16, 16), (6, 4, 4)),
    ],
)
def test_grid(count, image, patch, grid):
    assert patch_grid(count, image, patch) == grid


def test_patch_size_is_stated_by_a_module_or_a_config():
    inner = nn.Module()
    model = nn.Sequential(inner)
    assert patch_size(model) is None
    inner.patch_size = (4, 8)  # type: ignore[assignment]
    assert patch_size(model) == (4, 8)
    assert patch_size(model, 3) is None
    inner.patch_size = 16  # type: ignore[assignment]
    assert patch_size(model, 3) == (16, 16, 16)
    del inner.patch_size
    inner.config = type("Config", (), {"patch_size": 14})()
    assert patch_size(model) == (14, 14)


def test_image_size():
    assert image_size(torch.zeros(2, 3, 4, 5)) == (4, 5)
    assert image_size(torch.zeros(2, 1, 6, 4, 5)) == (6, 4, 5)
    with pytest.raises(InputError, match=r"\(3, 4, 5\)"):
        image_size(torch.zeros(3, 4, 5))
