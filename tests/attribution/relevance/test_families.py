"""Relevance of much-used families against autograd through attention that is written out here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.attribution.layer_names import split_call
from fastcam.attribution.relevance.engine import RelevanceEngine
from fastcam.errors import InputError

from .. import families  # isort: skip
from timm.models.maxxvit import grid_reverse
from timm.models.maxxvit import window_reverse as block_reverse
from timm.models.swin_transformer_v2 import window_reverse as swin_reverse
from transformers.models.swin.modeling_swin import window_reverse as hf_reverse

_TARGET = 1
_SOFTMAX = torch.softmax


@contextmanager
def _weights(model: nn.Module) -> Iterator[list[tuple[str, Tensor]]]:
    """Paths and weights (b, h, n, m), in their graph, of all attention while it is open."""
    found: list[tuple[str, Tensor]] = []
    inside: list[str] = []
    handles = []

    def keep(weights: Tensor) -> Tensor:
        if weights.ndim == 4:
            found.append((inside[-1], weights))
        return weights

    def leave(*_: Any) -> None:
        inside.pop()

    def attend(q: Tensor, k: Tensor, v: Tensor, attn_mask: Any = None, *_: Any, **o: Any) -> Tensor:
        scores = q @ k.mT * (o.get("scale") or q.shape[-1] ** -0.5)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -torch.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        return keep(_SOFTMAX(scores, -1)) @ v

    def softmax(scores: Tensor, dim: int = -1, **_: Any) -> Tensor:
        return keep(_SOFTMAX(scores, dim))

    for name, module in model.named_modules():
        if not isinstance(module, nn.Softmax):
            handles.append(module.register_forward_pre_hook(lambda *_, n=name: inside.append(n)))
            handles.append(module.register_forward_hook(leave))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "scaled_dot_product_attention", attend)
        patch.setattr(F, "softmax", softmax)
        patch.setattr(Tensor, "softmax", softmax)
        yield found
    for handle in handles:
        handle.remove()


Place = Callable[[nn.Module, str, Tensor, int], Tensor]


def _square(values: Tensor) -> Tensor:
    side = round(values.shape[-1] ** 0.5)
    return values.unflatten(-1, (side, side))


def _tokens(prefix: int) -> Place:
    """The last keys are the patches."""
    return lambda _model, _path, values, _batch: _square(values[..., prefix:])


def _swin(reverse: Any, roll_first: bool) -> Place:
    """Windows as the blocks themselves put them back."""

    def place(model: nn.Module, path: str, values: Tensor, batch: int) -> Tensor:
        name = path.rpartition(".attn" if roll_first else ".attention")[0]
        block: Any = model.get_submodule(name)
        window, shift = (
            int(v[0]) if isinstance(v, tuple | list) else int(v)
            for v in (block.window_size, block.shift_size)
        )
        grid = block.input_resolution[0]
        windows = values.transpose(1, 2).reshape(-1, window, window, values.shape[1])
        padded = round((len(windows) // batch) ** 0.5) * window
        size = (window, window) if roll_first else window
        sides = ((padded, padded),) if roll_first else (padded, padded)
        whole = reverse(windows, size, *sides)
        if roll_first:
            whole = whole[:, :grid, :grid].roll((shift, shift), (1, 2))
        else:
            whole = whole.roll((shift, shift), (1, 2))[:, :grid, :grid]
        return whole.permute(0, 3, 1, 2)

    return place


def _maxvit(model: nn.Module, path: str, values: Tensor, batch: int) -> Tensor:
    part: Any = model.get_submodule(path.rpartition(".")[0])
    sides = tuple(part.partition_size)
    windows = values.reshape(len(values), -1, *sides).permute(0, 2, 3, 1).contiguous()
    side = round((len(values) // batch * sides[0] * sides[1]) ** 0.5)
    reverse = block_reverse if part.partition_block else grid_reverse
    whole: Tensor = reverse(windows, sides, (side, side))
    return whole.permute(0, 3, 1, 2)


def _timm_head(prefix: int) -> Callable[[Any, Tensor], Tensor]:
    def head(model: Any, mean: Tensor) -> Tensor:
        tokens = model.norm(mean[:, None].expand(-1, prefix + 1, -1))
        answer: Tensor = model.forward_head(tokens)
        return answer

    return head


def _dinov2_head(model: Any, mean: Tensor) -> Tensor:
    token = model.dinov2.layernorm(mean)
    answer: Tensor = model.classifier(torch.cat([token, token], 1))
    return answer


def _deit_head(model: Any, mean: Tensor) -> Tensor:
    answer: Tensor = model.classifier(model.deit.layernorm(mean))
    return answer


# By family: first query (None: the mean of all from the prefix on), prefix, where keys lie, which
# calls are shown, the blocks and what the head says of a mean token (None: pyramids, whose last
# score counts).
_PLAIN = slice(None)
CASES: dict[str, tuple[int | None, int, Place, slice, str, Any]] = {
    "hf deit": (0, 2, _tokens(2), _PLAIN, "deit.layers", _deit_head),
    "timm beit": (0, 1, _tokens(1), _PLAIN, "blocks", _timm_head(1)),
    "timm dinov3": (0, 5, _tokens(5), _PLAIN, "blocks", _timm_head(5)),
    "hf dinov2": (0, 1, _tokens(1), _PLAIN, "dinov2.encoder.layer", _dinov2_head),
    "hf clip, vision": (0, 1, _tokens(1), _PLAIN, "vision.encoder.layers", lambda _m, mean: mean),
    "timm siglip": (None, 0, _tokens(0), slice(0, 3), "blocks", _timm_head(0)),
    "timm swinv2": (None, 0, _swin(swin_reverse, True), _PLAIN, "", None),
    "hf swin": (None, 0, _swin(hf_reverse, False), _PLAIN, "", None),
    "timm maxvit": (None, 0, _maxvit, _PLAIN, "", None),
    "hf segformer": (None, 0, _tokens(0), _PLAIN, "", None),
    "timm pit": (0, 1, _tokens(1), _PLAIN, "", None),
    "timm cait": (0, 1, _tokens(1), slice(3, None), "", None),
}


@pytest.mark.parametrize("name", CASES)
def test_gradattention_and_legrad(name):
    query, prefix, place, calls, blocks, head = CASES[name]
    model, images = families.build(name), families.images(name)
    engine = RelevanceEngine(model, ["gradattention", "legrad"], targets=_TARGET)
    result = engine(images)
    tokens: list[Tensor] = []
    hooks = [
        block.register_forward_hook(
            lambda _m, _i, out: tokens.append(out[0] if isinstance(out, tuple) else out)
        )
        for block in (model.get_submodule(blocks).children() if blocks else ())
    ]
    with _weights(model) as found:
        output = model(images)
    output = getattr(output, "logits", output)
    for hook in hooks:
        hook.remove()
    chosen = found[calls]
    gradients = torch.autograd.grad(
        output[:, _TARGET].sum(), [w for _, w in chosen], retain_graph=True
    )
    rows, positive = {}, {}
    for number, ((path, weights), gradient) in enumerate(zip(chosen, gradients, strict=True)):
        product = (gradient * weights).detach()
        row = product[:, :, prefix:].mean(2) if query is None else product[:, :, query]
        rows[path] = place(model, path, row, len(images))
        if head is not None:
            score = head(model, tokens[number].mean(1))[:, _TARGET].sum()
            (gradient,) = torch.autograd.grad(score, weights, retain_graph=True)
        mass = gradient.clamp(min=0).mean((1, 2))
        positive[path] = place(model, path, mass[:, None], len(images))[:, 0]
    shown = 0
    for key, paths in result.layer_names.items():
        for number, path in enumerate(paths):
            expected = rows[split_call(path)[0]]
            values = result.maps[key][:, number]
            atol = 1e-4 * float(expected.abs().max())
            torch.testing.assert_close(values, expected, rtol=1e-3, atol=atol, msg=path)
            shown += 1
        legrad = key.replace("gradattention", "legrad")
        mean = torch.stack([positive[split_call(path)[0]] for path in paths]).mean(0)
        torch.testing.assert_close(
            result.maps[legrad], mean, rtol=1e-3, atol=1e-4 * float(mean.max())
        )
        assert (head is None) == ("last layer's score" in result.notes.get(legrad, ""))
        assert mean.max() > 0
    assert shown == len(chosen)


# By family how many tokens are before the patches, and what is read: CLS, the patches' mean, or
# what a query of the head's own takes out of them.
CHEFER = {
    "timm cait": (1, "cls"),
    "timm siglip": (0, "pooled"),
    "hf siglip, vision": (0, "mean"),
    "timm perception encoder, core": (1, "pooled"),
}


@pytest.mark.parametrize("name", CHEFER)
def test_chefer_reads_what_the_head_reads(name):
    """Whole matrices over all tokens, 0 where a layer has none of them (eq. 5, 6 and 10)."""
    prefix, read = CHEFER[name]
    model, images = families.build(name), families.images(name)
    values = RelevanceEngine(model, ["chefer"], targets=_TARGET)(images).maps["chefer"]
    with _weights(model) as found:
        output = model(images)
    found = [(path, w) for path, w in found if read != "mean" or w.shape[2] > 1]
    gradients = torch.autograd.grad(output[:, _TARGET].sum(), [w for _, w in found])
    count = 16 + prefix
    relevance = torch.eye(count).expand(len(images), -1, -1)
    rows = {"cls": slice(0, 1), "mean": slice(prefix, None), "pooled": slice(0)}[read]
    for (_, weights), gradient in zip(found, gradients, strict=True):
        mean = (weights * gradient).detach().clamp(min=0).mean(1)
        if read == "pooled" and mean.shape[1] == 1:
            rows, relevance = slice(0, 1), mean @ relevance
            continue
        whole = torch.zeros(len(images), count, count)
        queries = slice(0, 1) if mean.shape[1] == 1 else slice(count - mean.shape[1], None)
        whole[:, queries, count - mean.shape[2] :] = mean
        relevance = relevance + whole @ relevance
    expected = relevance[:, rows, prefix:].mean(1).reshape(-1, 4, 4)
    torch.testing.assert_close(values, expected, rtol=1e-3, atol=1e-4 * float(expected.max()))


@pytest.mark.parametrize("name", ["timm xcit", "timm convit"])
def test_chefer_says_where_tokens_differ(name):
    """XCiT's layers attend from channel to channel; ConViT's CLS joins tokens that go on."""
    with pytest.raises(InputError, match=r"--method chefer: .* use legrad or gradattention"):
        RelevanceEngine(families.build(name), ["chefer"], targets=0)(families.images(name))


def test_weights_by_positions_alone() -> None:
    """ConViT's positional attention doesn't hang on the image; its CLS layer is shown."""
    model, images = families.build("timm convit"), families.images("timm convit")
    result = RelevanceEngine(model, ["gradattention", "legrad"], targets=_TARGET)(images)
    with _weights(model) as found:
        output = model(images)
    (gradient,) = torch.autograd.grad(output[:, _TARGET].sum(), [found[-1][1]])
    weights = found[-1][1].detach()
    assert weights.shape[2] == weights.shape[3]
    side = round((weights.shape[3] - 1) ** 0.5)
    row = (weights * gradient)[:, :, 0, 1:].reshape(len(images), 1, -1, side, side)
    torch.testing.assert_close(result.maps["gradattention"], row, rtol=1e-3, atol=1e-7)
    assert float(result.maps["legrad"].max()) > 0
