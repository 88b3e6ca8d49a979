"""The patch-attention model against its formulas in float64, and against itself case by case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fastcam.errors import InputError
from fastcam.models.checkpoints import load_into, read_state_dict
from fastcam.models.patch_attention.network import GatedAttention, PatchAttention, build
from fastcam.models.training import save_weights


def seeded(**sizes: int) -> PatchAttention:
    torch.manual_seed(7)
    model = PatchAttention(**sizes).eval()
    for parameter in model.parameters():  # norms and biases too, so that none is 0 or 1
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def patches(count: int, channels: int = 1) -> Tensor:
    return torch.rand(count, channels, 24, 24, generator=torch.Generator().manual_seed(count))


def test_the_gate_is_equation_9() -> None:
    torch.manual_seed(0)
    gate = GatedAttention(16)
    h = torch.randn(9, 16)
    score = gate(h).detach().numpy()
    state = {name: value.double().numpy() for name, value in gate.state_dict().items()}
    expected = []
    for row in h.double().numpy():
        tanh = np.tanh(state["v.weight"] @ row + state["v.bias"])
        sigmoid = 1.0 / (1.0 + np.exp(-(state["u.weight"] @ row + state["u.bias"])))
        expected.append(float(state["w.weight"][0] @ (tanh * sigmoid)))
    np.testing.assert_allclose(score, expected, atol=1e-6)


def test_pooling_is_the_softmax_of_the_scores_in_each_case() -> None:
    model, given, counts = seeded(num_classes=3), patches(11), [4, 1, 6]
    with torch.no_grad():
        logits, weights = model(given, counts)
        h = model.encode(given).double().numpy()
        scores = model.attention(model.encode(given)).double().numpy()
    head = {name: value.double().numpy() for name, value in model.head.state_dict().items()}
    start = 0
    for case, count in enumerate(counts):
        part = slice(start, start + count)
        powers = np.exp(scores[part])
        share = powers / powers.sum()
        np.testing.assert_allclose(weights[part], share, atol=1e-6)
        expected = head["weight"] @ (share @ h[part]) + head["bias"]
        np.testing.assert_allclose(logits[case], expected, atol=1e-5)
        start += count
    assert weights.dtype == torch.float32


def test_tokens_are_the_sub_patches_row_by_row() -> None:
    model, given = seeded(in_channels=2, depth=0), patches(1, 2)
    with torch.no_grad():
        encoded = model.encode(given)
        tokens = []
        for row in range(6):
            for column in range(6):
                part = given[0, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                token = model.embed((part.reshape(-1) - 0.5) / 0.25)
                tokens.append(model.norm(token + model.position[6 * row + column]))
        expected = torch.stack(tokens).amax(dim=0)
    torch.testing.assert_close(encoded[0], expected)


def test_several_cases_at_once_are_each_by_itself() -> None:
    model, counts = seeded(), [5, 1, 37]
    given = patches(sum(counts))
    with torch.no_grad():
        logits, weights = model(given, counts)
        again = model(given, counts)
        alone = [model(part) for part in torch.split(given, counts)]
    torch.testing.assert_close(logits, torch.cat([one for one, _ in alone]))
    torch.testing.assert_close(weights, torch.cat([one for _, one in alone]))
    assert torch.equal(logits, again[0])
    assert torch.equal(weights, again[1])
    assert [round(float(w.sum()), 5) for w in torch.split(weights, counts)] == [1.0, 1.0, 1.0]


def test_many_patches_are_encoded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = seeded(), patches(23)
    with torch.no_grad():
        whole = model.encode(given)
        monkeypatch.setattr("fastcam.models.patch_attention.network._AT_ONCE", 10)
        pieces = model.encode(given)
    torch.testing.assert_close(whole, pieces)


def test_weights_survive_a_file_and_give_the_sizes(tmp_path: Path) -> None:
    model = seeded(num_classes=4, in_channels=2, width=48, depth=3)
    path = tmp_path / "model.safetensors"
    save_weights(model, path)
    state = read_state_dict(path)
    for found in (state, {f"module.{key}": value for key, value in state.items()}):
        same = build(found).eval()
        assert load_into(same, found, str(path)).complete
        given = patches(5, 2)
        with torch.no_grad():
            assert all(torch.equal(a, b) for a, b in zip(model(given), same(given), strict=True))
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_new_model_has_the_sizes_asked_for() -> None:
    model = build(num_classes=5, in_channels=3)
    with torch.no_grad():
        assert model(patches(2, 3))[0].shape == (1, 5)


@pytest.mark.parametrize("counts", [[2, 2], [5, 0], [6, -1], []])
def test_counts_that_do_not_divide_the_patches(counts: list[int]) -> None:
    with pytest.raises(InputError, match="5 patches"):
        build()(patches(5), counts)


def test_patches_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"\(2, 3, 24, 24\).*1, 24, 24"):
        build()(patches(2, 3))
    with pytest.raises(InputError, match="0 patches"):
        build()(patches(0))
    with pytest.raises(InputError, match="width 20"):
        PatchAttention(width=20)
