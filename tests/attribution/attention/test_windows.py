"""Windows lie where the models put them: against a slow loop, and against the models themselves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from fastcam.attribution.attention.windows import (
    WindowLayout,
    layout_of,
    merge_windows,
    window_module,
)
from fastcam.errors import InputError

from .. import families


def place_of(layout, window, y, x):
    """Where place (y, x) of a window lies in the grid, None in the padding; one step at a time."""
    (h, w), (wh, ww), (sy, sx) = layout.grid, layout.window, layout.shift
    rows, columns = -(-h // wh), -(-w // ww)
    row, column = window // columns * wh + y, window % columns * ww + x
    if layout.roll_first:
        if row >= h or column >= w:
            return None
        return (row + sy) % h, (column + sx) % w
    row, column = (row + sy) % (rows * wh), (column + sx) % (columns * ww)
    return (row, column) if row < h and column < w else None


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_put_back(data):
    def pair(low, high):
        return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    window = pair(1, 4)
    shift = tuple(data.draw(st.integers(0, side - 1)) for side in window)
    layout = WindowLayout(pair(1, 9), window, shift, data.draw(st.booleans()))
    count = layout.windows[0] * layout.windows[1]
    values = torch.randn(2 * count, 3, window[0] * window[1])
    expected = torch.full((2, 3, *layout.grid), torch.nan)
    for image in range(2):
        for number in range(count):
            for y in range(window[0]):
                for x in range(window[1]):
                    place = place_of(layout, number, y, x)
                    if place is not None:
                        cell = values[image * count + number, :, y * window[1] + x]
                        expected[image, :, place[0], place[1]] = cell
    assert not expected.isnan().any()
    torch.testing.assert_close(merge_windows(values, layout), expected, atol=0, rtol=0)


def test_a_wrong_count_is_an_error():
    layout = WindowLayout((8, 8), (4, 4))
    with pytest.raises(InputError, match="4 for each image with 16 places, but there are 3"):
        merge_windows(torch.zeros(3, 1, 16), layout)


class _Projected(TorchFunctionMode):
    """What goes into linear layers: the tokens of windows, as the model cut them."""

    def __init__(self):
        super().__init__()
        self.inputs = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.nn.functional.linear:
            self.inputs.append(args[0])
        return func(*args, **(kwargs or {}))


# 48 pixels: stages of 12 and 6 tokens; windows of 4 divide the one and not the other.
@pytest.mark.parametrize("name", ["timm swin", "timm swinv2", "torchvision swin", "hf swin"])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_the_models_own_windows_come_back_in_order(name, place):
    model = families.build(name)
    blocks = [m for m in model.modules() if type(m).__name__ in families.SWIN_BLOCKS]
    block, side = blocks[place], 12 if place < 2 else 6
    path = next(n for n, m in model.named_modules() if m is block)
    channels = next(m for m in block.modules() if isinstance(m, torch.nn.LayerNorm)).weight.numel()
    numbers = torch.arange(side * side).float()[:, None].expand(-1, channels)[None]
    for module in block.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.forward = lambda x, *_: x  # type: ignore[method-assign]
    with torch.no_grad(), _Projected() as seen:
        if "hf" in name:
            block(numbers, (side, side))
        else:
            block(numbers.reshape(1, side, side, channels))
    cut = next(t for t in seen.inputs if t.shape[-1] == channels)
    cut = cut.reshape(-1, 16, channels)[..., :1].transpose(1, 2)
    holder = next(m for m in block.modules() if hasattr(m, "shift_size"))
    attention = "attention" if "hf" in name else "attn"
    assert window_module(model, f"{path}.{attention}")[1] is holder
    layout = layout_of(holder, (side, side))
    assert layout.shift == ((2, 2) if place % 2 else (0, 0))
    back = merge_windows(cut, layout)
    torch.testing.assert_close(back.flatten(), numbers[0, :, 0], atol=0, rtol=0)


def test_only_shifted_windows_are_known():
    model = families.build("timm vit")
    assert window_module(model, "blocks.0.attn") is None
    assert window_module(model, "") is None
