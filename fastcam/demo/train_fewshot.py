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

from fastcam.demo.episode_files import write_episode
from fastcam.demo.episodes import KINDS, SIDE, Episode, draw_episode, model_input
from fastcam.demo.fewshot_score import SEED, measure
from fastcam.errors import FastcamError, InputError
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.ridge import RidgeReconstruction
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.vit import VitSettings
from fastcam.run.files import write_bytes

# Features are about one long and differ little at first; distances of a tenth must already count.
_TEMPERATURE = 30.0
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
    """``kinds_share`` and ``length_share``: weights of those losses beside the episode's."""

    episodes: int = 400
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    kinds_share: float = 5.0
    length_share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise InputError(f"episodes {self.episodes} is too small: at least 1")
        if not self.learning_rate > 0.0:
            raise InputError(f"learning_rate {self.learning_rate} must be above 0")


def train(
    settings: TrainSettings | None = None,
    network: FewshotSettings = SMALL,
    heard: Callable[[int, float, float], None] = lambda at, loss, told: None,
) -> FewshotViT:
    """The ``network`` (64 pixels a side, a head for every kind) in eval mode; ``heard`` gets the
    episode's number, loss and share told right.

    AdamW, the learning rate rising for a tenth of the steps and falling after. The same settings
    give the same weights on one machine with one number of threads. Torch's global random state is
    left as it was.
    """
    settings = settings or TrainSettings()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = _started(network)
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
        found, kinds = _run(model, episode), _kinds(episode)
        loss = functional.cross_entropy(found.logits, labels) + settings.length_share * found.length
        for seen in (found.token_kinds, found.patch_kinds):
            of_kinds = functional.binary_cross_entropy_with_logits(seen, kinds)
            loss = loss + settings.kinds_share * of_kinds
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        heard(at, loss.item(), float((found.logits.argmax(1) == labels).double().mean()))
    return model.eval()


def _started(network: FewshotSettings) -> FewshotViT:
    """New weights, but for two numbers with which nothing would be learnt in so short a time."""
    model = FewshotViT(network)
    with torch.no_grad():
        # A picture has two of all kinds.
        nn.init.constant_(model.head.get_parameter("bias"), math.log(2 / (len(KINDS) - 2)))
        if isinstance(model.reconstruct, RidgeReconstruction):
            model.reconstruct.temperature.fill_(_TEMPERATURE)
    return model


@dataclass(frozen=True, eq=False)
class _Outcome:
    """``logits`` (queries, classes); of all pictures the kinds that the class token sees and that
    any patch sees, (n, kinds), and the mean length of their features."""

    logits: Tensor
    token_kinds: Tensor
    patch_kinds: Tensor
    length: Tensor


def _run(model: FewshotViT, episode: Episode) -> _Outcome:
    tokens = model.encode(model_input(episode))
    described, kinds = model.describe(tokens), model.head(tokens)
    count = episode.ways * episode.shots
    support = described[:count].reshape(episode.ways, -1, described.shape[-1])
    logits = model.reconstruct(support, described[count:])
    length = described.norm(dim=-1).mean()
    return _Outcome(logits, kinds[:, 0], kinds[:, 1:].amax(1), length)


def _kinds(episode: Episode) -> Tensor:
    """float32 (n, kinds): 1 for the two kinds of each picture."""
    held = np.concatenate([episode.support.kinds, episode.query.kinds])
    return torch.from_numpy(np.eye(len(KINDS), dtype=np.float32)[held].sum(1))


def save(model: FewshotViT, path: Path) -> None:
    """The weights as safetensors; the file is whole or not there. OutputError where it can't be."""
    from safetensors.torch import save as packed

    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, [packed(state)])


def main(
    output: Annotated[Path, typer.Option(help="Where the weights go: a .safetensors file.")],
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to train on.")] = 400,
    held_out: Annotated[int, typer.Option(min=1, help="Episodes to measure on.")] = 100,
    learning_rate: Annotated[float, typer.Option(help="Highest of the cycle.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Decides start and episodes.")] = 0,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for the pictures of one held-out episode.")
    ] = None,
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
        if pictures is not None:
            write_episode(pictures, draw_episode(np.random.default_rng(SEED), "held out"))
            typer.echo(f"saved a held-out episode in {pictures}")
    except FastcamError as error:
        typer.echo(f"fastcam: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


if __name__ == "__main__":
    typer.run(main)
