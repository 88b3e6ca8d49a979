"""``fastcam explain`` of the few-shot network: mixed attention, and support against query."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fastcam.api.explain import explain
from fastcam.api.models import load_model
from fastcam.attribution.reconstruction.maps import ridge_maps
from fastcam.demo.episodes import draw_episode, write_episode
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.reconstruction import ridge_penalty, ridge_weights
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.training import save_weights
from fastcam.models.vit import VitSettings
from fastcam.read.inputs.preprocessing import MEAN, STD

Call = Callable[..., Any]
SETTINGS = FewshotSettings(
    trunk=VitSettings(
        dim=16, depth=1, heads=2, patch_size=(8, 8), image_size=(64, 64), num_classes=5, mlp_dim=32
    ),
    use_mab=True,
    use_ocab=True,
    use_drff=True,
    window=4,
    enlarged=6,
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("fewshot") / "small.safetensors"
    save_weights(FewshotViT(SETTINGS).eval(), path)
    return path


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episode")
    write_episode(folder, draw_episode(np.random.default_rng(0), "held out", ways=2, queries=1))
    return folder


def tensor(path: Path) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    return ((pixels - mean) / std)[None]


def test_an_episode_lies_on_disk_by_class(episode: Path) -> None:
    support = sorted(episode.glob("support/*/*.png"))
    query = sorted(episode.glob("query/*.png"))
    assert len(support) == len(query) == 2
    assert {path.parent.name for path in support} == {path.stem[3:] for path in query}
    assert np.asarray(Image.open(support[0])).shape == (64, 64, 3)


def test_reconstruction_is_that_of_the_models_features(weights: Path, episode: Path) -> None:
    model = load_model("fewshot_vit", weights)
    query = sorted(episode.glob("query/*.png"))
    found = explain(model, query, "reconstruction", support=episode / "support")
    assert found.reconstruction is not None
    classes = found.reconstruction.classes
    assert list(classes) == sorted(path.name for path in (episode / "support").iterdir())
    assert isinstance(model, FewshotViT)
    for name, shown in classes.items():
        support = tensor(next((episode / "support" / name).iterdir()))
        for at, path in enumerate(query):
            with torch.no_grad():
                ours, theirs = model.features(tensor(path)), model.features(support)
            alpha, beta = model.reconstruct.alpha.item(), model.reconstruct.beta.item()
            (maps,) = ridge_maps(ours, [theirs], (8, 8), alpha, beta)
            np.testing.assert_allclose(shown.received[at], maps.received[0], atol=1e-5)
            np.testing.assert_allclose(shown.error[at], maps.error[0], atol=1e-4)
    assert found.maps == {}
    nearest = found.reconstruction.probability.argmax(1)
    assert np.array_equal(found.prediction, nearest)
    np.testing.assert_allclose(found.reconstruction.probability.sum(1), 1, atol=1e-5)


def test_cams_explain_the_classes_of_the_support(weights: Path, episode: Path) -> None:
    model = load_model("fewshot_vit", weights)
    query = sorted(episode.glob("query/*.png"))
    found = explain(
        model, query, ["gradcam", "reconstruction"], ["mixed.1"], support=episode / "support"
    )
    assert isinstance(model, FewshotViT)
    names = sorted(path.name for path in (episode / "support").iterdir())
    support = torch.stack([tensor(next((episode / "support" / n).iterdir())) for n in names])
    kept: list[torch.Tensor] = []
    handle = model.mixed[1].register_forward_hook(lambda _m, _i, out: kept.append(out))
    for at, path in enumerate(query):
        with torch.no_grad():
            theirs = [model.features(images).flatten(0, 1) for images in support]
        ours = model.features(tensor(path))
        logits = torch.cat([model.reconstruct(s[None], ours) for s in theirs], 1)[0]
        # The mean is subtracted: evidence for the class against the others.
        logits = logits - logits.sum() / 2
        (flow,) = torch.autograd.grad(logits.max(), kept[-1])
        slow = (flow.mean((1, 2), keepdim=True) * kept[-1]).sum(-1).clamp_min(0)
        np.testing.assert_allclose(found.maps["gradcam/mixed.1"][at], slow[0].detach(), atol=1e-6)
        np.testing.assert_allclose(found.output[at], logits.detach(), rtol=1e-4, atol=1e-5)
        assert found.prediction[at] == int(logits.argmax())
        assert found.prediction_text(at).startswith(f"nearest class {names[int(logits.argmax())]}")
    handle.remove()
    assert found.classes == tuple(names)
    assert model(tensor(query[0])).shape == (1, 5)


def test_one_place_of_the_query_asks(weights: Path, episode: Path) -> None:
    model = load_model("fewshot_vit", weights)
    query = sorted(episode.glob("query/*.png"))
    pixel, row, column = (17, 60), 7, 2  # patches of 8 pixels
    given: dict[str, Any] = {"support": episode / "support", "query": pixel}
    found = explain(model, query, "reconstruction", **given).reconstruction
    assert found is not None
    assert found.places == ((row, column),) * 2
    assert isinstance(model, FewshotViT)
    for name, shown in found.classes.items():
        with torch.no_grad():
            ours = model.features(tensor(query[1]))
            theirs = model.features(tensor(next((episode / "support" / name).iterdir())))
        penalty = ridge_penalty(theirs.shape[1], theirs.shape[2], model.reconstruct.alpha)  # type: ignore[arg-type]
        weighed = ridge_weights(ours.double(), theirs[0].double(), penalty)
        wanted = weighed[0, 8 * row + column].reshape(8, 8).detach()
        np.testing.assert_allclose(shown.received[1, 0], wanted, atol=1e-5)


def test_all_views_of_mixed_attention(
    fastcam: Call, weights: Path, episode: Path, tmp_path: Path
) -> None:
    query = sorted(episode.glob("query/*.png"))[0]
    out = tmp_path / "out"
    methods = ["gradcam", "attention", "window", "channel", "overlap", "reconstruction"]
    given = [word for method in methods for word in ("--method", method)]
    made = fastcam(
        f"explain {query} --model fewshot_vit --checkpoint {weights} --use-mab --use-ocab "
        f"--use-drff --support {episode}/support --panel-size 64 --output-dir {out}",
        *given,
    )
    assert made.code == 0, made
    stems = ["gradcam", "patch_attention", "window", "channel", "overlap", "reconstruction"]
    names = {f"{stem}_{what}.png" for stem in stems for what in ("heatmap", "overlay")}
    names |= {f"{query.stem}_explained.png", "channel_bars.png", "patch_grid.png"}
    assert {path.name for path in out.iterdir()} == names | {"index.html"}
    assert "[8/9] reconstruction" in made.err


def test_classes_are_named_on_the_command_line(
    fastcam: Call, weights: Path, episode: Path, tmp_path: Path
) -> None:
    query = sorted(episode.glob("query/*.png"))[0]
    first, second = sorted(episode.glob("support/*/*.png"))
    made = fastcam(
        f"explain {query} --model fewshot_vit --checkpoint {weights} --support "
        f"x={first} --support y={second} --output-dir {tmp_path}/out --panel-size 64"
    )
    assert made.code == 0, made
    assert "reconstruction" in made.err
    assert (tmp_path / "out" / "reconstruction_heatmap.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "reconstruction"], "give one at least, --support"),
        (["--support", "missing.png"], "missing.png: does not exist"),
        (["--support", "x="], "--support 'x='"),
        (["--support", "SUPPORT", "--layer", "a", "--layer", "b"], "features of one layer"),
        (["--support", "SUPPORT", "--use-mab"], "--use-ocab"),
        (["--support", "SUPPORT", "--query", "64,3"], "x is 0 to 63, y is 0 to 63"),
        (["--support", "SUPPORT", "--query", "7"], "--query '7': give a pixel X,Y"),
        (["--query", "7,7", "--method", "gradcam"], "--query is for --method reconstruction"),
    ],
)
def test_mistakes(
    fastcam: Call, weights: Path, episode: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    query = sorted(episode.glob("query/*.png"))[0]
    given = [str(episode / "support") if a == "SUPPORT" else a for a in arguments]
    made = fastcam(
        f"explain {query} --model fewshot_vit --checkpoint {weights} --output-dir {tmp_path}/out",
        *given,
    )
    assert made.code == 2, made
    assert said in made.err
    assert not (tmp_path / "out").exists()
