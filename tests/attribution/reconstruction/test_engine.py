"""Reconstruction maps against explicit inverses and slow loops, and against the model's logits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fastcam.attribution.reconstruction.engine import ReconstructionEngine
from fastcam.attribution.reconstruction.maps import mutual_maps, ridge_maps
from fastcam.errors import InputError
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.reconstruction import MutualReconstruction
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.vit import VitSettings

from ..nets import Small

GRID, DIM = (2, 3), 8
SETTINGS = FewshotSettings(
    trunk=VitSettings(dim=16, depth=1, heads=2, patch_size=(4, 4), image_size=(16, 16), mlp_dim=32),
    use_mab=True,
    use_ocab=True,
    use_drff=True,
    window=2,
    enlarged=4,
)


def drawn(images: int, seed: int) -> torch.Tensor:
    return torch.randn(images, 6, DIM, generator=torch.Generator().manual_seed(seed))


def test_ridge_maps_by_the_explicit_inverse() -> None:
    query, support = drawn(2, 0), [drawn(1, 1), drawn(3, 2)]
    found = ridge_maps(query, support, GRID, alpha=-0.5, beta=0.3)
    assert len(found) == 2
    for maps, images in zip(found, support, strict=True):
        s = images.reshape(-1, DIM).double().numpy()
        penalty = len(s) / DIM * math.exp(-0.5) + 1e-6
        for b in range(2):
            q = query[b].double().numpy()
            weights = q @ np.linalg.inv(s.T @ s + penalty * np.eye(DIM)) @ s.T
            received = np.zeros(len(s))
            for row in weights:
                received += row / 6
            error = ((math.exp(0.3) * weights @ s - q) ** 2).sum(1)
            np.testing.assert_allclose(maps.received[b].reshape(-1), received, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(maps.error[b].reshape(-1), error, rtol=1e-5)
        assert maps.received.shape == (2, len(images), *GRID)
        assert maps.received.dtype == maps.error.dtype == torch.float32
        assert maps.signed
        assert bool((maps.received < 0).any())
        assert maps.returned is None


def test_mutual_maps_by_a_slow_loop() -> None:
    torch.manual_seed(4)
    head = MutualReconstruction(DIM)
    query, support = drawn(2, 0), [drawn(1, 1), drawn(3, 2)]
    found = mutual_maps(query, support, GRID, head)
    p = {name: value.double().numpy() for name, value in head.state_dict().items()}

    def projected(rows: np.ndarray, name: str) -> np.ndarray:
        return rows @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def looked(of: np.ndarray, query_index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        powers = np.exp(projected(of, "q") @ projected(query_index, "k").T / math.sqrt(DIM))
        weights = powers / powers.sum(1, keepdims=True)
        error = (weights @ projected(query_index, "v") - projected(of, "v")) ** 2
        return weights.mean(0), error.sum(1)

    for maps, images in zip(found, support, strict=True):
        s = images.reshape(-1, DIM).double().numpy()
        for b in range(2):
            q = query[b].double().numpy()
            for values, expected in zip(
                (maps.received, maps.error, maps.returned, maps.support_error),
                (*looked(q, s), *looked(s, q)),
                strict=True,
            ):
                np.testing.assert_allclose(values[b].reshape(-1), expected, rtol=1e-4)
        assert not maps.signed
        # Rows sum to one, so all of a query's mass is received; yet not the same everywhere.
        torch.testing.assert_close(maps.received.flatten(1).sum(1), torch.ones(2))
        assert float(maps.received.std()) > 0.01 * float(maps.received.mean())


def test_a_query_out_of_one_support_place_finds_that_place() -> None:
    # Orthogonal places: by hand, W = (1 + λ)⁻¹ where query and support are the same, else 0.
    support = torch.eye(DIM)[None, :6]
    query = torch.eye(DIM)[4].expand(1, 6, DIM)
    (maps,) = ridge_maps(query, [support], GRID, alpha=math.log(DIM / 6))
    expected = torch.zeros(1, 1, *GRID)
    expected[0, 0, 1, 1] = 0.5
    torch.testing.assert_close(maps.received, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(maps.error, torch.full((1, *GRID), 0.25), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["ridge", "mutual"])
def test_maps_agree_with_the_models_own_logits(kind: str) -> None:
    torch.manual_seed(0)
    model = FewshotViT(replace(SETTINGS, reconstruction=kind)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        model.reconstruct.temperature.fill_(2.0)
        if kind == "ridge":
            model.reconstruct.alpha.fill_(-1.0)
            model.reconstruct.beta.fill_(0.1)
    images = torch.randn(5, 3, 16, 16)
    engine = ReconstructionEngine(model, {"a": images[1:3], "b": images[3:]})
    made = engine(images[:1])
    assert (made.classes, made.trained) == (("a", "b"), True)
    found = list(made.maps.values())
    with torch.no_grad():
        logits = model.compare(images[1:].reshape(2, 2, 3, 16, 16), images[:1])
    torch.testing.assert_close(made.scores, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made.probability.sum(1), torch.ones(1))
    for maps, logit in zip(found, logits[0], strict=True):
        assert maps.received.shape == (1, 2, 4, 4)
        other = 0.0 if maps.support_error is None else float(maps.support_error.mean())
        share = 1.0 if kind == "ridge" else 0.5
        assert float(logit) == pytest.approx(
            -2.0 * share * (float(maps.distance) + other), rel=1e-4
        )


def test_one_place_of_the_query() -> None:
    """The mean over all places is that of each place alone."""
    torch.manual_seed(2)
    head = MutualReconstruction(DIM)
    query, support = drawn(2, 0), [drawn(3, 1)]
    for maps_of in (
        lambda query_index: ridge_maps(query, support, GRID, query_index=query_index)[0],
        lambda query_index: mutual_maps(query, support, GRID, head, query_index)[0],
    ):
        alone = torch.stack([maps_of(query_index).received for query_index in range(6)])
        assert not torch.equal(alone[0], alone[1])
        torch.testing.assert_close(alone.mean(0), maps_of(None).received, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("layer", ["one", "two", None])
def test_features_of_any_layer(layer: str | None) -> None:
    """A layer of a CNN: by the formula, with features of unit mean square norm over the support."""
    torch.manual_seed(3)
    model = Small().eval()
    x = torch.randn(5, 3, 8, 8)
    support = {"a": x[:1], "b": x[1:3]}
    made = ReconstructionEngine(model, support, layer)(x[3:])
    # The shared ReLU stands with its last call.
    assert ReconstructionEngine(model, support, layer).layer == (layer or "relu#1")
    name = layer or "relu"
    kept: dict[str, torch.Tensor] = {}
    handle = getattr(model, name).register_forward_hook(
        lambda _m, _i, out: kept.update(out=out.clone())
    )
    with torch.no_grad():
        model(x)
    handle.remove()
    flat = kept["out"].flatten(2).mT.double().numpy()
    scale = 1 / math.sqrt((flat[:3] ** 2).sum(2).mean())
    side = 8 if name == "one" else 4
    assert not made.trained
    for maps, images in zip(made.maps.values(), (flat[:1], flat[1:3]), strict=True):
        s = scale * images.reshape(-1, images.shape[2])
        penalty = len(s) / s.shape[1] + 1e-6
        weights_of = np.linalg.inv(s.T @ s + penalty * np.eye(s.shape[1])) @ s.T
        for b in range(2):
            weights = scale * flat[3 + b] @ weights_of
            error = ((weights @ s - scale * flat[3 + b]) ** 2).sum(1)
            assert maps.received.shape == (2, len(images), side, side)
            np.testing.assert_allclose(
                maps.received[b].flatten(), weights.mean(0), rtol=1e-4, atol=1e-7
            )
            np.testing.assert_allclose(maps.error[b].flatten(), error, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(
            made.scores[:, list(made.maps.values()).index(maps)], -maps.distance
        )


def test_a_layer_without_a_grid() -> None:
    with pytest.raises(InputError, match=r"'head' gives .* not a grid"):
        ReconstructionEngine(Small().eval(), {"a": torch.randn(1, 3, 8, 8)}, "head")
    with pytest.raises(InputError, match=r"layer 'tow' does not exist .* two"):
        ReconstructionEngine(Small().eval(), {"a": torch.randn(1, 3, 8, 8)}, "tow")


def test_a_picture_finds_itself() -> None:
    torch.manual_seed(1)
    model = FewshotViT(SETTINGS).eval()
    with torch.no_grad():
        model.reconstruct.alpha.fill_(-12.0)
    images = torch.randn(2, 3, 16, 16)
    made = ReconstructionEngine(model, {"same": images[:1], "other": images[1:]})(images[:1])
    assert float(made.maps["same"].distance) < 0.01 * float(made.maps["other"].distance)
    assert int(made.scores.argmax()) == 0


def test_bad_input() -> None:
    model, images = FewshotViT(SETTINGS).eval(), torch.zeros(1, 3, 16, 16)
    for support in ({}, {"a": images[:0]}):
        with pytest.raises(InputError, match="--support"):
            ReconstructionEngine(model, support)
    with pytest.raises(InputError, match="--support"):
        ridge_maps(drawn(1, 0), [], GRID)
    with pytest.raises(InputError, match="query place 6: there are 6"):
        ridge_maps(drawn(1, 0), [drawn(1, 1)], GRID, query_index=6)
    with pytest.raises(InputError, match=r"\(1, 5, 8\).*2x3.*\(images, 6, 8\)"):
        ridge_maps(drawn(1, 0), [drawn(1, 1)[:, :5]], GRID)
    bad = drawn(1, 1)
    bad[0, 3, 2] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        ridge_maps(drawn(1, 0), [bad], GRID)
