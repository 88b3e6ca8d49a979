"""Train the few-shot network on synthetic episodes, and see whether its reconstruction looks right.

    python -m fastcam.demo.train_fewshot --output fewshot.safetensors

An episode has five classes with one support picture each. The loss is the cross-entropy of the
reconstruction's logits (FRN, Wertheimer et al. 2021, eq. 10). To it are added that of the kinds in
each picture, seen by the class token and by whichever patch sees them best, and the mean length of
the features, so that what tells no class apart is left near zero. Nothing says where the object is.

Afterwards it prints how the network does on held-out episodes, of kinds never seen, beside chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from fastcam.demo.episodes import KINDS, SIDE, Episode, draw_episode, model_input, write_episode
from fastcam.demo.fewshot_score import SEED, measure
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.reconstruction import RidgeReconstruction
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.training import (
    LearningRate,
    Optimizer,
    OptimizerSettings,
    Output,
    exit_on_error,
    save_weights,
    seeded,
)
from fastcam.models.vit import VitSettings

# Features are about one long and differ little at first; distances of a tenth must already count.
_TEMPERATURE = 30.0
# 8×8 patches in windows of 4: small enough for a minute or two on two cores, and everything on.
SMALL = FewshotSettings(
    trunk=VitSettings(
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


@dataclass(frozen=True, kw_only=True)
class TrainSettings(OptimizerSettings):
    """``seed`` decides start and episodes.

    Attributes:
        episodes: how many it learns from.
        kinds_share: weight of the loss of the kinds beside the episode's.
        length_share: weight of the features' mean length.
    """

    episodes: int = 400
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    kinds_share: float = 5.0
    length_share: float = 1.0

    COUNTS = ("episodes",)


def train(
    settings: TrainSettings | None = None,
    network: FewshotSettings = SMALL,
    on_episode: Callable[[int, float, float], None] = lambda number, loss, accuracy: None,
) -> FewshotViT:
    """The ``network`` (64 pixels a side, a head for every kind) in eval mode; ``on_episode``
    gets each episode's number, loss and accuracy.

    AdamW, the learning rate rising for a tenth of the steps and falling after. The same settings
    give the same weights on one machine with one number of threads. Torch's global random state is
    left as it was.
    """
    settings = settings or TrainSettings()
    with seeded(settings.seed):
        model = _initial(network)
    rng = np.random.default_rng(settings.seed)
    optimizer = Optimizer(model, settings, settings.episodes, rise=0.1)
    model.train()
    for number in range(1, settings.episodes + 1):
        episode = draw_episode(rng, "trained")
        labels = torch.from_numpy(episode.labels)
        outputs, kinds = _run(model, episode), _kinds(episode)
        loss = functional.cross_entropy(outputs.logits, labels)
        loss = loss + settings.length_share * outputs.length
        for logits in (outputs.token_kinds, outputs.patch_kinds):
            of_kinds = functional.binary_cross_entropy_with_logits(logits, kinds)
            loss = loss + settings.kinds_share * of_kinds
        optimizer.step(loss)
        on_episode(number, loss.item(), float((outputs.logits.argmax(1) == labels).double().mean()))
    return model.eval()


def _initial(network: FewshotSettings) -> FewshotViT:
    """New weights, but for two numbers with which nothing would be learnt in so short a time."""
    model = FewshotViT(network)
    with torch.no_grad():
        # A picture has two of all kinds.
        nn.init.constant_(model.head.get_parameter("bias"), math.log(2 / (len(KINDS) - 2)))
        if isinstance(model.reconstruct, RidgeReconstruction):
            model.reconstruct.temperature.fill_(_TEMPERATURE)
    return model


@dataclass(frozen=True, eq=False)
class _Outputs:
    """What the network gives for an episode of n pictures.

    Attributes:
        logits: (queries, classes).
        token_kinds: (n, kinds) logits of the class token.
        patch_kinds: (n, kinds) logits of the patch that sees a kind best.
        length: mean length of the features.
    """

    logits: Tensor
    token_kinds: Tensor
    patch_kinds: Tensor
    length: Tensor


def _run(model: FewshotViT, episode: Episode) -> _Outputs:
    tokens = model.encode(model_input(episode))
    described, kinds = model.describe(tokens), model.head(tokens)
    count = episode.ways * episode.shots
    support = described[:count].reshape(episode.ways, -1, described.shape[-1])
    logits = model.reconstruct(support, described[count:])
    length = described.norm(dim=-1).mean()
    return _Outputs(logits, kinds[:, 0], kinds[:, 1:].amax(1), length)


def _kinds(episode: Episode) -> Tensor:
    """float32 (n, kinds): 1 for the two kinds of each picture."""
    numbers = np.concatenate([episode.support.kinds, episode.query.kinds])
    return torch.from_numpy(np.eye(len(KINDS), dtype=np.float32)[numbers].sum(1))


def main(
    output: Output,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to train on.")] = 400,
    held_out: Annotated[int, typer.Option(min=1, help="Episodes to measure on.")] = 100,
    learning_rate: LearningRate = 2e-3,
    seed: Annotated[int, typer.Option(help="Decides start and episodes.")] = 0,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for the pictures of one held-out episode.")
    ] = None,
) -> None:
    """Train the few-shot network on synthetic episodes; print how it does on held-out ones."""
    recent: list[tuple[float, float]] = []

    def print_recent(number: int, loss: float, accuracy: float) -> None:
        recent.append((loss, accuracy))
        if number % 50 == 0 or number == episodes:
            loss, accuracy = np.mean(recent, axis=0)
            typer.echo(f"episode {number:4d}  loss {loss:.3f}  right {accuracy:.3f}")
            recent.clear()

    with exit_on_error():
        settings = TrainSettings(episodes=episodes, learning_rate=learning_rate, seed=seed)
        model = train(settings, on_episode=print_recent)
        save_weights(model, output)
        typer.echo(f"saved {output}")
        typer.echo(str(measure(model, held_out)))
        if pictures is not None:
            write_episode(pictures, draw_episode(np.random.default_rng(SEED), "held out"))
            typer.echo(f"saved a held-out episode in {pictures}")


if __name__ == "__main__":
    typer.run(main)
