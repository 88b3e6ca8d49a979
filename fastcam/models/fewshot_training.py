"""Train the few-shot network on synthetic episodes, and see whether its reconstruction looks right.

    python -m fastcam.models.fewshot_training --output fewshot.safetensors

An episode has five classes with one support picture each. The loss is the cross-entropy of the
reconstruction's logits (FRN, Wertheimer et al. 2021, eq. 10) and, for the class token, which
episodes don't use, that of the kinds in each picture. Nothing says where the object is.

Afterwards it prints, over held-out episodes of kinds never seen: how many queries are told right,
and how often the place of the support that receives the highest mass from a query lies on the
object both have in common, each beside chance. Chance is the share of the places that lie on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fastcam.errors import FastcamError, InputError
from fastcam.models.fewshot.episodes import KINDS, SIDE, Episode, Pictures, draw_episode, on_grid
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.ridge import RidgeReconstruction, ridge_penalty, ridge_weights
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.vit import VitSettings
from fastcam.write import write_bytes

# 8×8 patches in windows of 4: small enough for a minute or two on two cores, and everything on.
SMALL = FewshotSettings(
    VitSettings(
        dim=96,
        depth=2,
        heads=3,
        patch_size=(8, 8),
        image_size=(SIDE, SIDE),
        num_classes=len(KINDS),
        mlp_dim=192,
    ),
    use_mab=True,
    use_ocab=True,
    use_drff=True,
    window=4,
    enlarged=6,
)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """``token_share``: weight of the class token's loss beside the episode's."""

    episodes: int = 600
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    token_share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise InputError(f"episodes {self.episodes} is too small: at least 1")
        if not self.learning_rate > 0.0:
            raise InputError(f"learning_rate {self.learning_rate} must be above 0")


@dataclass(frozen=True, slots=True)
class Found:
    """Over held-out episodes, shares of the queries: ``told`` right among the ``ways`` classes
    (chance ``told_chance``), ``peak`` of the support's received mass on the matching object
    (chance ``peak_chance``)."""

    told: float
    told_chance: float
    peak: float
    peak_chance: float

    def __str__(self) -> str:
        return (
            f"held-out episodes: {self.told:.1%} of the queries told right (chance "
            f"{self.told_chance:.1%}); the reconstruction's peak lies on the matching object in "
            f"{self.peak:.1%} (chance {self.peak_chance:.1%})"
        )


def train(
    settings: TrainSettings | None = None,
    network: FewshotSettings = SMALL,
    heard: Callable[[int, float, float], None] = lambda at, loss, told: None,
) -> FewshotViT:
    """The network in eval mode; ``heard`` gets the episode's number, loss and share told right.

    AdamW, the learning rate rising for a tenth of the steps and falling after. The same settings
    give the same weights on one machine with one number of threads. Torch's global random state is
    left as it was.
    """
    settings = settings or TrainSettings()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = FewshotViT(network)
    rng = np.random.default_rng(settings.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=max(settings.episodes, 2), pct_start=0.1
    )
    model.train()
    for at in range(1, settings.episodes + 1):
        episode = draw_episode(rng, "trained")
        labels = torch.from_numpy(episode.labels)
        logits, kinds = _run(model, episode)
        both = torch.cat([_kinds(episode.support), _kinds(episode.query)])
        of_token = functional.binary_cross_entropy_with_logits(kinds, both)
        loss = functional.cross_entropy(logits, labels) + settings.token_share * of_token
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        heard(at, loss.item(), float((logits.argmax(1) == labels).float().mean()))
    return model.eval()


def _run(model: FewshotViT, episode: Episode) -> tuple[Tensor, Tensor]:
    """Logits of the queries over classes, and of all pictures over kinds, from one pass."""
    images = np.concatenate([episode.support.images, episode.query.images])
    tokens = model.encode(torch.from_numpy(images))
    described = model.describe(tokens)
    count = episode.ways * episode.shots
    support = described[:count].reshape(episode.ways, -1, described.shape[-1])
    return model.reconstruct(support, described[count:]), model.head(tokens[:, 0])


def _kinds(pictures: Pictures) -> Tensor:
    held = torch.zeros(len(pictures.kinds), len(KINDS))
    return held.scatter_(1, torch.from_numpy(pictures.kinds), 1.0)


@torch.no_grad()
def measure(model: FewshotViT, episodes: int = 100, seed: int = 1_000_000) -> Found:
    """How the network does on ``episodes`` held-out episodes; for ridge reconstruction."""
    rng, grid = np.random.default_rng(seed), model.fewshot.trunk.grid
    told: list[float] = []
    peak: list[float] = []
    chance: list[float] = []
    for _ in range(episodes):
        episode = draw_episode(rng, "held out")
        logits = model.compare(_support(episode), torch.from_numpy(episode.query.images))
        told.extend((logits.argmax(1).numpy() == episode.labels).tolist())
        received = _received(model, episode)
        objects = on_grid(episode.support.masks, grid).reshape(episode.ways, -1)[episode.labels]
        best = received.argmax(1)
        peak.extend(objects[np.arange(len(best)), best].tolist())
        chance.extend(objects.mean(1).tolist())
    return Found(_mean(told), 1 / episode.ways, _mean(peak), _mean(chance))


def _received(model: FewshotViT, episode: Episode) -> NDArray[np.float64]:
    """(queries, support places): mass from all places of each query, in its own class's support."""
    if not isinstance(model.reconstruct, RidgeReconstruction):
        raise InputError("the peak is measured for ridge reconstruction only")
    theirs = model.features(_support(episode).flatten(0, 1))
    theirs = theirs.reshape(episode.ways, -1, theirs.shape[-1])[torch.from_numpy(episode.labels)]
    ours = model.features(torch.from_numpy(episode.query.images))
    penalty = ridge_penalty(theirs.shape[1], theirs.shape[2], model.reconstruct.alpha)
    weights = ridge_weights(ours.double(), theirs.double(), penalty)
    return weights.mean(1).numpy()


def _support(episode: Episode) -> Tensor:
    images = torch.from_numpy(episode.support.images)
    return images.reshape(episode.ways, episode.shots, *images.shape[1:])


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def save(model: FewshotViT, path: Path) -> None:
    """The weights as safetensors; the file is whole or not there. OutputError where it can't be."""
    from safetensors.torch import save as packed

    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, [packed(state)])


def main(
    output: Annotated[Path, typer.Option(help="Where the weights go: a .safetensors file.")],
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to train on.")] = 600,
    held_out: Annotated[int, typer.Option(min=1, help="Episodes to measure on.")] = 100,
    learning_rate: Annotated[float, typer.Option(help="Highest of the cycle.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Decides start and episodes.")] = 0,
) -> None:
    """Train the few-shot network on synthetic episodes; print how it does on held-out ones."""
    recent: list[tuple[float, float]] = []

    def heard(at: int, loss: float, told: float) -> None:
        recent.append((loss, told))
        if at % 50 == 0 or at == episodes:
            losses, shares = zip(*recent, strict=True)
            typer.echo(f"episode {at:4d}  loss {np.mean(losses):.3f}  right {np.mean(shares):.3f}")
            recent.clear()

    try:
        settings = TrainSettings(episodes=episodes, learning_rate=learning_rate, seed=seed)
        model = train(settings, heard=heard)
        save(model, output)
        typer.echo(f"saved {output}")
        typer.echo(str(measure(model, held_out)))
    except FastcamError as error:
        typer.echo(f"fastcam: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


if __name__ == "__main__":
    typer.run(main)
