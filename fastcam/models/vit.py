"""A Vision Transformer whose state-dict keys are timm's, so that its checkpoints load.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", section 3.1; register tokens: Darcet et
al. 2024, "Vision Transformers Need Registers"; layer scale: Touvron et al. 2021 (CaiT), eq. 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.errors import InputError

# timm's LayerNorm of its Vision Transformers; PyTorch's own default is 1e-5.
_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class VitSettings:
    """The architecture of a Vision Transformer.

    - ``dim``: width of the tokens
    - ``depth``: number of blocks
    - ``heads``: of each block
    - ``patch_size``, ``image_size``: (h, w) in pixels
    - ``in_channels``: channels of the images
    - ``num_classes``: outputs; 0 is no head, and the pooled features are the output
    - ``mlp_dim``: hidden width of the blocks' MLP; None is four times ``dim``
    - ``registers``: number of register tokens
    - ``class_token``: whether there is one
    - ``positions_of_prefix``: whether ``pos_embed`` has rows for the class and register tokens
      (timm: not ``no_embed_class``)
    - ``mean_pooling``: the head reads the mean of the patch tokens instead of the class token
    - ``pooled_norm``: the last norm comes after pooling, as ``fc_norm``, instead of before, as
      ``norm``
    - ``layer_scale``: whether each residual branch is scaled
    - ``qkv_bias``: whether queries, keys and values have a bias

    Raises InputError when the sizes don't go together.
    """

    dim: int
    depth: int
    heads: int
    patch_size: tuple[int, int] = (16, 16)
    image_size: tuple[int, int] = (224, 224)
    in_channels: int = 3
    num_classes: int = 1000
    mlp_dim: int | None = None
    registers: int = 0
    class_token: bool = True
    positions_of_prefix: bool = True
    mean_pooling: bool = False
    pooled_norm: bool = False
    layer_scale: bool = False
    qkv_bias: bool = True

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise InputError(f"{self.heads} attention heads don't divide the width of {self.dim}")
        (h, w), (ph, pw) = self.image_size, self.patch_size
        if h % ph or w % pw:
            raise InputError(
                f"--image-size {h}x{w} is not a multiple of the Vision Transformer's patch of "
                f"{ph}x{pw} pixels; the nearest is {max(h // ph, 1) * ph}x{max(w // pw, 1) * pw}"
            )
        if not (self.class_token or self.mean_pooling):
            raise InputError("a Vision Transformer without a class token needs mean pooling")

    @property
    def grid(self) -> tuple[int, int]:
        """Patches (rows, columns) of an image."""
        return self.image_size[0] // self.patch_size[0], self.image_size[1] // self.patch_size[1]

    @property
    def prefix(self) -> int:
        """Tokens before the patches: class token and registers."""
        return self.class_token + self.registers


class PatchEmbed(nn.Module):
    """Images (b, c, h, w) to patch tokens (b, n, dim), row by row."""

    def __init__(self, settings: VitSettings) -> None:
        super().__init__()
        self.img_size = settings.image_size
        self.patch_size = settings.patch_size
        self.grid_size = settings.grid
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        self.proj = nn.Conv2d(
            settings.in_channels, settings.dim, self.patch_size, stride=self.patch_size
        )

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[-2:]) != self.img_size:
            raise InputError(
                f"the model takes images of {self.img_size[0]}x{self.img_size[1]} pixels, not "
                f"{x.shape[-2]}x{x.shape[-1]}; resize them, or load it with another image size"
            )
        tokens: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return tokens


class Attention(nn.Module):
    def __init__(self, settings: VitSettings) -> None:
        super().__init__()
        self.num_heads = settings.heads
        self.head_dim = settings.dim // settings.heads
        self.qkv = nn.Linear(settings.dim, 3 * settings.dim, bias=settings.qkv_bias)
        self.proj = nn.Linear(settings.dim, settings.dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, dim = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(b, n, dim))
        return out


class Mlp(nn.Module):
    def __init__(self, settings: VitSettings) -> None:
        super().__init__()
        hidden = settings.mlp_dim or 4 * settings.dim
        self.fc1 = nn.Linear(settings.dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, settings.dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class LayerScale(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)) (Dosovitskiy et al., eq. 2 and 3)."""

    def __init__(self, settings: VitSettings) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(settings.dim, eps=_EPS)
        self.attn = Attention(settings)
        self.ls1 = LayerScale(settings.dim) if settings.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(settings.dim, eps=_EPS)
        self.mlp = Mlp(settings)
        self.ls2 = LayerScale(settings.dim) if settings.layer_scale else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        out: Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return out


class VisionTransformer(nn.Module):
    """Images (b, c, h, w) float to logits (b, num_classes).

    ``num_prefix_tokens`` tokens (class, then registers) come before the patches, which lie row by
    row on ``patch_embed.grid_size`` (rows, columns).
    """

    def __init__(self, settings: VitSettings) -> None:
        super().__init__()
        self.settings = settings
        dim = settings.dim
        self.num_prefix_tokens = settings.prefix
        self.patch_embed = PatchEmbed(settings)
        registers = settings.registers
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if settings.class_token else None
        self.reg_token = nn.Parameter(torch.zeros(1, registers, dim)) if registers else None
        positions = self.patch_embed.num_patches + settings.positions_of_prefix * settings.prefix
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, dim))
        self.blocks = nn.Sequential(*(Block(settings) for _ in range(settings.depth)))
        pooled = settings.pooled_norm
        self.norm = nn.Identity() if pooled else nn.LayerNorm(dim, eps=_EPS)
        self.fc_norm = nn.LayerNorm(dim, eps=_EPS) if pooled else nn.Identity()
        classes = settings.num_classes
        self.head = nn.Linear(dim, classes) if classes else nn.Identity()
        self._init_weights()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self._with_positions(self.patch_embed(x))
        tokens = self.norm(self.blocks(tokens))
        if self.settings.mean_pooling:
            pooled = tokens[:, self.num_prefix_tokens :].mean(dim=1)
        else:
            pooled = tokens[:, 0]
        out: Tensor = self.head(self.fc_norm(pooled))
        return out

    def _with_positions(self, patches: Tensor) -> Tensor:
        prefix = [
            token.expand(len(patches), -1, -1)
            for token in (self.cls_token, self.reg_token)
            if token is not None
        ]
        if self.settings.positions_of_prefix:
            return torch.cat([*prefix, patches], dim=1) + self.pos_embed
        return torch.cat([*prefix, patches + self.pos_embed], dim=1)

    def _init_weights(self) -> None:
        for token in (self.cls_token, self.reg_token, self.pos_embed):
            if token is not None:
                nn.init.normal_(token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
