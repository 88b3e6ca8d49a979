"""Window, overlap and channel maps against loops over the modules' own queries, keys and gates."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.mixed import MixedEngine
from fastcam.attribution.cam.layers import candidates
from fastcam.attribution.engines import build_engine
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError
from fastcam.inference.batch_halving import Halving
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.vit import VitSettings

from .. import families
from ..mixednets import DIM, HEADS, SIDE, Cbam, Hat
from ..model_builders import of_timm

GRID = (8, 12)


@pytest.fixture(scope="module")
def hat() -> Hat:
    torch.manual_seed(0)
    return Hat().eval()


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, *GRID, generator=torch.Generator().manual_seed(count))


def inputs_of(model: nn.Module, batch: Tensor, path: str) -> Tensor:
    kept: list[Tensor] = []
    module = model.get_submodule(path)
    handle = module.register_forward_pre_hook(lambda _m, args: kept.append(args[0].clone()))
    with torch.no_grad():
        model(batch)
    handle.remove()
    return kept[0]


def heads(x: Tensor, weight: Tensor, bias: Tensor, part: int) -> Tensor:
    """q, k or v (part 0, 1, 2) of tokens (h, w, c): (h, w, heads, d)."""
    rows = slice(part * DIM, (part + 1) * DIM)
    return (x @ weight[rows].T + bias[rows]).reshape(*x.shape[:2], HEADS, DIM // HEADS)


@pytest.mark.parametrize("shift", [0, 2])
def test_windows_of_a_module_with_its_own_softmax(hat: Hat, shift: int) -> None:
    """Place by place: which window a query is in, whom it sees, what each key receives."""
    batch = images()
    number = int(shift > 0)
    maps = MixedEngine(hat, ["window"])(batch).maps["window"]
    assert maps.shape == (2, 2, HEADS, *GRID)
    tokens = inputs_of(hat, batch, f"blocks.{number}").view(2, *GRID, DIM)
    qkv = hat.blocks[number].attn.qkv
    for image in range(2):
        q, k = (heads(tokens[image], qkv.weight, qkv.bias, part) for part in (0, 1))  # type: ignore[arg-type]
        slow = torch.zeros(HEADS, *GRID)
        for y in range(GRID[0]):
            for x in range(GRID[1]):
                window = ((y - shift) % GRID[0] // SIDE, (x - shift) % GRID[1] // SIDE)
                seen = [
                    (ky, kx)
                    for ky in range(GRID[0])
                    for kx in range(GRID[1])
                    if ((ky - shift) % GRID[0] // SIDE, (kx - shift) % GRID[1] // SIDE) == window
                ]
                assert len(seen) == SIDE**2
                scores = torch.stack([(q[y, x] * k[at]).sum(-1) / math.sqrt(4) for at in seen])
                for at, weight in zip(seen, scores.softmax(0), strict=True):
                    slow[:, at[0], at[1]] += weight.detach() / SIDE**2
        torch.testing.assert_close(maps[image, number], slow, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("stated", [True, False])
def test_overlapping_windows(stated: bool) -> None:
    """Each window's queries against the window that reaches one token further; the mass a key
    receives from each, mean over those that reach it. What lies outside takes its share."""
    torch.manual_seed(1)
    hat, batch = Hat(stated).eval(), images()
    engine = MixedEngine(hat, ["overlap"])
    result = engine(batch)
    maps = result.maps["overlap"]
    assert maps.shape == (2, 1, HEADS, *GRID)
    assert result.layer_names == {"overlap": ("overlap_attn",)}
    assert "not comparable" in result.notes["overlap"]
    tokens = inputs_of(hat, batch, "overlap_attn").view(2, *GRID, DIM)
    qkv = hat.overlap_attn.qkv
    for image in range(2):
        q, k = (heads(tokens[image], qkv.weight, qkv.bias, part) for part in (0, 1))
        slow, count = torch.zeros(HEADS, *GRID), torch.zeros(GRID)
        for top in range(0, GRID[0], SIDE):
            for left in range(0, GRID[1], SIDE):
                near = [
                    (ky, kx)
                    for ky in range(top - 1, top + SIDE + 1)
                    for kx in range(left - 1, left + SIDE + 1)
                ]
                inside = [0 <= ky < GRID[0] and 0 <= kx < GRID[1] for ky, kx in near]
                received = torch.zeros(len(near), HEADS)
                for y in range(top, top + SIDE):
                    for x in range(left, left + SIDE):
                        scores = [
                            (q[y, x] * k[at]).sum(-1) / 2 if there else torch.zeros(HEADS)
                            for at, there in zip(near, inside, strict=True)
                        ]
                        received += torch.stack(scores).softmax(0).detach() / SIDE**2
                for at, there, mass in zip(near, inside, received, strict=True):
                    if there:
                        slow[:, at[0], at[1]] += mass
                        count[at] += 1
        assert count.min() == 1
        assert count.max() == 4
        torch.testing.assert_close(maps[image, 0], slow / count, atol=1e-6, rtol=1e-4)


def test_a_shift_of_3_on_a_14_grid_by_hand() -> None:
    """One-hot attention: every query of a window sees the window's first key alone."""
    trunk = VitSettings(
        dim=16, depth=1, heads=2, patch_size=(2, 2), image_size=(28, 28), mlp_dim=16
    )
    torch.manual_seed(2)
    model = FewshotViT(FewshotSettings(trunk=trunk, use_mab=True)).eval()
    assert [block.window.shift_size for block in model.mixed] == [(0, 0), (3, 3)]
    with torch.no_grad():
        for block in model.mixed:
            # By relative position, query minus key: the higher, the further up and left the key.
            table = torch.zeros(13 * 13, 2)
            block.window.qkv.weight.zero_()
            block.window.qkv.bias.zero_()
            for y in range(7):
                for x in range(7):
                    table[(y + 6) * 13 + x + 6] = 1000 + 100 * (13 * y + x)
            block.window.relative_position_bias_table.copy_(table)
    maps = MixedEngine(model, ["window"])(torch.randn(1, 3, 28, 28)).maps["window"]
    plain = torch.zeros(14, 14)
    plain[[0, 0, 7, 7], [0, 7, 0, 7]] = 1.0
    torch.testing.assert_close(maps[0, 0, 0], plain, atol=1e-5, rtol=0)
    # Shifted by 3: windows begin at rows and columns 3 and 10. Those that begin at 10 go on behind
    # the image's other end, whose 3 rows are hidden from the 4 before, and begin anew at 0.
    shifted = torch.zeros(14, 14)
    parts = {3: 1.0, 10: 4 / 7, 0: 3 / 7}
    for y, height in parts.items():
        for x, width in parts.items():
            shifted[y, x] = height * width
    torch.testing.assert_close(maps[0, 1, 0], shifted, atol=1e-5, rtol=0)


def test_timm_swin_window_by_window() -> None:
    """Real blocks, shifted ones with their mask: attention computed from the module's q and k."""
    model, batch = families.build("timm swin"), families.images("timm swin")
    result = MixedEngine(model, ["window"])(batch)
    maps = result.maps
    assert [tuple(m.shape) for m in maps.values()] == [(2, 2, 2, 12, 12), (2, 2, 4, 6, 6)]
    for place in range(2):
        path = f"layers.0.blocks.{place}.attn"
        attn = model.get_submodule(path)
        tokens = inputs_of(model, batch, path)
        with torch.no_grad():
            qkv = attn.qkv(tokens).reshape(len(tokens), 16, 3, 2, 8).permute(2, 0, 3, 1, 4)
            scores = qkv[0] @ qkv[1].mT / math.sqrt(8) + attn._get_rel_pos_bias()
            if place:
                mask = model.layers[0].blocks[1].attn_mask
                scores = (scores.unflatten(0, (2, 9)) + mask[:, None]).flatten(0, 1)
            received = scores.softmax(-1).mean(2).unflatten(0, (2, 9))
        slow = torch.zeros(2, 2, 12, 12)
        shift = 2 * place
        for window in range(9):
            for key in range(16):
                y = (window // 3 * 4 + key // 4 + shift) % 12
                x = (window % 3 * 4 + key % 4 + shift) % 12
                slow[:, :, y, x] = received[:, window, :, key]
        torch.testing.assert_close(maps["window/stage1"][:, place], slow, atol=1e-5, rtol=1e-4)
    same = AttentionEngine(model)(batch)
    torch.testing.assert_close(same.maps["attention/stage2"], maps["window/stage2"])
    assert same.notes["attention/stage2"] == result.notes["window/stage2"]


def test_gates_of_cbam() -> None:
    torch.manual_seed(3)
    model, batch = Cbam().eval(), images()
    made = MixedEngine(model, ["channel"])(batch)
    with torch.no_grad():
        f = model.stem(batch)
        s = 1 / (1 + (-(model.mlp(f.mean((2, 3))) + model.mlp(f.amax((2, 3))))).exp())
    assert list(made.gates) == [""]
    torch.testing.assert_close(made.gates[""], s)
    energy = torch.zeros(2, *GRID)
    for channel in range(DIM):
        energy += s[:, channel, None, None] * f[:, channel].abs()
    assert made.maps["channel"].shape == (2, 1, 1, *GRID)
    torch.testing.assert_close(made.maps["channel"][:, 0, 0], energy)


def test_gates_of_a_timm_se_resnet() -> None:
    torch.manual_seed(4)
    model = of_timm("resnet10t", block_args={"attn_layer": "se"})().eval()
    batch = torch.randn(2, 3, 64, 64)
    engine = MixedEngine(model, ["channel"], ["layer3"])
    made = engine(batch)
    assert made.layer_names == {"channel": ("layer3.0.se",)}
    for place, path in enumerate(made.layer_names["channel"]):
        x, se = inputs_of(model, batch, path), model.get_submodule(path)
        with torch.no_grad():
            s = se.fc2(se.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        torch.testing.assert_close(made.gates[path], s.flatten(1))
        torch.testing.assert_close(made.maps["channel"][:, place, 0], (s * x.abs()).sum(1))


@pytest.fixture(scope="module")
def every() -> FewshotViT:
    trunk = VitSettings(
        dim=16, depth=2, heads=2, patch_size=(4, 4), image_size=(32, 32), num_classes=3, mlp_dim=32
    )
    torch.manual_seed(0)
    return FewshotViT(
        FewshotSettings(
            trunk=trunk, use_mab=True, use_ocab=True, use_drff=True, window=4, enlarged=6
        )
    ).eval()


def test_all_flags_and_all_methods_together(every: FewshotViT) -> None:
    methods = ("gradcam", "attention", "window", "channel", "overlap")
    batch = torch.randn(3, 3, 32, 32)
    engine = build_engine(every, MapRequest(methods, ("mixed.1", "overlap", "fusion")))
    # In pieces of two and one, as when memory is short.
    made = Halving(engine, 2, lambda line: None)(batch)
    shapes = {name: tuple(values.shape) for name, values in made.maps.items()}
    assert shapes == {
        "gradcam/mixed.1": (3, 8, 8), "gradcam/overlap": (3, 8, 8), "gradcam/fusion": (3, 8, 8),
        "attention/stage1": (3, 3, 2, 8, 8), "attention/stage2": (3, 2, 2, 8, 8),
        "window": (3, 2, 2, 8, 8), "channel": (3, 2, 1, 8, 8), "overlap": (3, 1, 2, 8, 8),
    }  # fmt: skip
    assert {path: tuple(s.shape) for path, s in made.gates.items()} == {
        "mixed.0.channel": (3, 16),
        "mixed.1.channel": (3, 16),
    }
    assert made.layer_names["window"] == ("mixed.0.window", "mixed.1.window")
    assert made.layer_names["attention/stage1"][-1] == "read.attn"
    assert set(made.notes) == {"attention/stage2", "window", "overlap"}
    with torch.no_grad():
        torch.testing.assert_close(made.output, every(batch))


def test_grad_cam_by_hand_on_channels_last(every: FewshotViT) -> None:
    """mixed.1 and fusion give (b, h, w, c): L = Σ_c mean(g_c)·A_c by autograd."""
    batch = torch.randn(2, 3, 32, 32)
    maps = build_engine(every, MapRequest(("gradcam",), ("mixed.1", "fusion")), [1, 2])(batch).maps
    for path in ("mixed.1", "fusion"):
        kept: list[Tensor] = []
        handle = every.get_submodule(path).register_forward_hook(
            lambda _m, _i, out, kept=kept: kept.append(out)
        )
        logits = every(batch)
        handle.remove()
        (gradient,) = torch.autograd.grad(logits[0, 1] + logits[1, 2], kept[0])
        weights = gradient.mean((1, 2), keepdim=True)
        slow = (weights * kept[0]).sum(-1).detach()
        assert float(slow.max()) > 0
        torch.testing.assert_close(maps[f"gradcam/{path}"], slow, atol=1e-7, rtol=1e-4)


def test_layers_inside_windows_have_no_cam(every: FewshotViT) -> None:
    inside = "mixed.1.window.qkv"
    assert inside not in [c.name for c in candidates(every, torch.randn(1, 3, 32, 32))]
    with pytest.raises(InputError, match=r"window.qkv' gives 8 parts .* of 2 images"):
        build_engine(every, MapRequest(("gradcam",), (inside,)))(torch.randn(2, 3, 32, 32))


def test_layers_by_number_and_path(every: FewshotViT) -> None:
    batch = torch.randn(2, 3, 32, 32)
    whole = MixedEngine(every)(batch)
    last = MixedEngine(every, ["window"], [-1])(batch).maps["window"]
    assert torch.equal(last, whole.maps["window"][:, 1:])
    some = MixedEngine(every, ["window", "channel"], ["mixed.0"])(batch)
    assert torch.equal(some.maps["window"], whole.maps["window"][:, :1])
    assert torch.equal(some.maps["channel"], whole.maps["channel"][:, :1])
    assert list(some.gates) == ["mixed.0.channel"]
    with pytest.raises(InputError, match=r"--layer 7: .* window has, from 0: mixed.0.window, mi"):
        MixedEngine(every, ["window"], ["7"])(batch)
    with pytest.raises(InputError, match=r"--layer blocks.0: no such module is shown; overlap has"):
        MixedEngine(every, ["overlap"], ["blocks.0"])(batch)
    with pytest.raises(InputError, match=r"nothing of --method overlap is in it; overlap has, fro"):
        MixedEngine(every, ["window", "overlap"], ["mixed"])(batch)


@pytest.mark.parametrize(
    ("name", "method", "said"),
    [
        ("timm vit", "window", r"no window attention; .*shift_size.* 3 attention calls \(blocks.0"),
        ("timm vit", "channel", "no channel gate; .*sigmoid of each channel.* nothing of the kind"),
        ("timm swin", "overlap", "no overlapping window attention; .*HAT.* 4 attention calls"),
        # Its pooled queries and their keys are 4×4 and 8×8 tokens, which lie elsewhere.
        ("timm hiera", "overlap", "Hiera has no overlapping window attention"),
        ("timm convnext", "window", "ConvNeXt has no window attention"),
    ],
)
def test_models_without(name: str, method: str, said: str) -> None:
    with pytest.raises(InputError, match=rf"--method {method}: .*{said}"):
        MixedEngine(families.build(name), [method])(families.images(name))


def test_windows_whose_sizes_do_not_fit(hat: Hat) -> None:
    torch.manual_seed(0)
    model = Hat().eval()
    model.overlap_attn.overlap_win_size = 8
    with pytest.raises(InputError, match=r"none of its 1 .* overlap_attn: windows of 4 with keys"):
        MixedEngine(model, ["overlap"])(images())
    assert "overlap_attn" not in MixedEngine(hat, ["window"]).omissions


def test_gates_that_are_not_an_images(hat: Hat) -> None:
    """Features of windows are gated by window: their places aren't the image's."""

    class InWindows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            parts = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
            gated: Tensor = parts * torch.sigmoid(parts.mean((2, 3), keepdim=True))
            return gated.mean((2, 3)).view(len(x), -1)

    with pytest.raises(InputError, match="gates are for 12 parts of 2 images"):
        MixedEngine(InWindows(), ["channel"])(images())


def test_nothing_stays_behind_and_other_batches(hat: Hat) -> None:
    engine = MixedEngine(hat)
    one, two = engine(images(1)), engine(images(2))
    assert (len(one.maps["window"]), len(two.maps["window"])) == (1, 2)
    assert torch.equal(engine(images(1)).maps["overlap"], one.maps["overlap"])
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in hat.modules())


def test_volumes_have_channel_maps() -> None:
    class Volumes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            gated = x * torch.sigmoid(x.mean((2, 3, 4), keepdim=True))
            return gated.mean((2, 3, 4))

    made = MixedEngine(Volumes(), ["channel"])(torch.randn(2, 3, 4, 5, 6))
    assert made.maps["channel"].shape == (2, 1, 1, 4, 5, 6)
