"""The patch-attention model: a small transformer per patch, gated attention over a case's patches.

The pooling is that of Ilse, Tomczak and Welling, Attention-based Deep Multiple Instance Learning
(2018), eqs. 7 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fastcam.errors import InputError
from fastcam.models.checkpoints import align_prefix

PATCH = 24
SUB_PATCH = 4
WIDTH, DEPTH = 32, 1
# Fixed, so that the number of heads follows from the width and need not be kept beside the weights.
HEAD_WIDTH = 16
# By these a state dict under a prefix is recognized.
SIGNATURE_KEYS = ("embed.weight", "head.weight")
# Patches that are encoded at once without gradients; 36 tokens each.
_AT_ONCE = 1024


class Block(nn.Module):
    """A pre-norm transformer block: (n, tokens, width) -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(n, tokens, 3, width // HEAD_WIDTH, HEAD_WIDTH)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(attended.transpose(1, 2).reshape(n, tokens, width))
        out: Tensor = x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))
        return out


class GatedAttention(nn.Module):
    """One score a patch (eq. 9 before its softmax): w (tanh(V h) * sigmoid(U h)).

    h (P, width) -> (P,) float32.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.v = nn.Linear(width, width)
        self.u = nn.Linear(width, width)
        self.w = nn.Linear(width, 1, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        scores: Tensor = self.w(torch.tanh(self.v(h)) * torch.sigmoid(self.u(h)))
        return scores.squeeze(-1).float()


class PatchAttention(nn.Module):
    """Patches of one or several cases to one prediction a case, and a weight for each patch."""

    def __init__(
        self, num_classes: int = 2, in_channels: int = 1, width: int = WIDTH, depth: int = DEPTH
    ) -> None:
        super().__init__()
        if width < HEAD_WIDTH or width % HEAD_WIDTH:
            raise InputError(f"width {width} must be a multiple of {HEAD_WIDTH}")
        self.in_channels = in_channels
        self.embed = nn.Linear(in_channels * SUB_PATCH**2, width)
        self.position = nn.Parameter(torch.zeros((PATCH // SUB_PATCH) ** 2, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.attention = GatedAttention(width)
        self.head = nn.Linear(width, num_classes)
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(
        self, patches: Tensor, counts: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (cases, classes) and weights (P,) float32 that sum to 1 within each case.

        ``patches`` (P, in_channels, 24, 24) float32, 0 to 1, those of the first case first;
        ``counts`` is how many each case has, all of them one case where it is None. InputError
        where the shapes don't fit, or a case has no patch.
        """
        counts = [len(patches)] if counts is None else [int(count) for count in counts]
        self._check(patches, counts)
        h = self.encode(patches)
        scores = self.attention(h)
        pooled, weights = [], []
        # Case by case, without padding: each sum runs over the same numbers in the same order
        # whatever else is in the batch.
        for of_case, score in zip(torch.split(h, counts), torch.split(scores, counts), strict=True):
            weight = torch.softmax(score, dim=0)
            weights.append(weight)
            pooled.append(weight.to(of_case.dtype) @ of_case)
        return self.head(torch.stack(pooled)), torch.cat(weights)

    def encode(self, patches: Tensor) -> Tensor:
        """(P, in_channels, 24, 24) -> (P, width), each patch by itself.

        Tokens are pooled by their maximum: what decides often fills one or two of the 36, and in
        their mean it is lost (the demo's problem isn't learnt within its time).
        """
        if torch.is_grad_enabled() or len(patches) <= _AT_ONCE:
            return self._encode(patches)
        return torch.cat([self._encode(part) for part in torch.split(patches, _AT_ONCE)])

    def _encode(self, patches: Tensor) -> Tensor:
        n, channels, side = len(patches), self.in_channels, PATCH // SUB_PATCH
        parts = patches.view(n, channels, side, SUB_PATCH, side, SUB_PATCH)
        tokens = parts.permute(0, 2, 4, 1, 3, 5).reshape(n, side**2, channels * SUB_PATCH**2)
        x = self.embed((tokens - 0.5) / 0.25) + self.position
        for block in self.blocks:
            x = block(x)
        encoded: Tensor = self.norm(x).amax(dim=1)
        return encoded

    def _check(self, patches: Tensor, counts: list[int]) -> None:
        if patches.shape[1:] != (self.in_channels, PATCH, PATCH):
            raise InputError(
                f"patches have shape {tuple(patches.shape)}; the patch-attention model takes "
                f"(patches, {self.in_channels}, {PATCH}, {PATCH})"
            )
        if min(counts, default=0) < 1 or sum(counts) != len(patches):
            raise InputError(
                f"counts {counts!r:.60} don't divide {len(patches)} patches into cases: each needs "
                "at least one, and together they must be all of them"
            )


def build(
    state: Mapping[str, Tensor] | None = None, num_classes: int = 2, in_channels: int = 1
) -> PatchAttention:
    """The model, new, with the sizes of a checkpoint's state dict where one is given.

    Weights are not loaded. Sizes that ``state`` doesn't tell stay as they are.
    """
    state = align_prefix(dict(state or {}), SIGNATURE_KEYS)
    width, depth = WIDTH, DEPTH
    if "embed.weight" in state:
        width = len(state["embed.weight"])
        in_channels = state["embed.weight"].shape[1] // SUB_PATCH**2
        depth = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    if "head.weight" in state:
        num_classes = len(state["head.weight"])
    return PatchAttention(num_classes, in_channels, width, depth)
