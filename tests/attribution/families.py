"""One small random model of each family, and what fastcam shows of it.

    python -m tests.attribution.families        # rebuilds the table of docs/reference/families.md

``test_families.py`` holds the table against the models.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.records import gate
from fastcam.errors import InputError

from . import family_models
from .family_models import FAMILIES, SWIN_BLOCKS, PlainEncoder

__all__ = ["FAMILIES", "SWIN_BLOCKS", "PlainEncoder", "build", "family_models", "images"]

TARGET = Path(__file__).parents[2] / "docs" / "reference" / "families.md"
_BEGIN, _END = "<!-- families -->\n", "<!-- /families -->\n"


def build(name: str) -> nn.Module:
    """The family's model in eval mode, every number of it random but the same every time."""
    torch.manual_seed(1)
    model = FAMILIES[name].make().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


def images(name: str, count: int = 2) -> Tensor:
    """Images (count, 3, size, size) of noise."""
    side = FAMILIES[name].size
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2))


_WORDS = {
    "cls": "what CLS attends to",
    "received": "attention received, mean over queries",
    "windows": "attention received within windows, put back into the image",
    "pooling": "the pooling query's attention",
}


def shown(name: str) -> tuple[str, str]:
    """What is shown of the family's model, and what isn't and why; both in words."""
    model = build(name)
    engine = AttentionEngine(model)
    try:
        result = engine(images(name))
    except InputError as error:
        gates = _gates(model, images(name))
        if gates and "has no attention" in str(error):
            return f"channel gates of {gates} blocks (kind `gate`)", "no attention between places"
        return "error", _short(str(error))
    counts: dict[str, int] = {}
    for key, layers in result.layer_names.items():
        word = _WORDS[engine.map_kinds[key]]
        counts[word] = counts.get(word, 0) + len(layers)
    words = [f"{word}: {_layers(count)}" for word, count in counts.items()]
    why: dict[str, int] = {}
    for reason in engine.omissions.values():
        why[reason] = why.get(reason, 0) + 1
    return "; ".join(words), "; ".join(f"{_layers(n)}: {reason}" for reason, n in why.items())


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _gates(model: nn.Module, batch: Tensor) -> int:
    with torch.no_grad(), capture(model, gate, ("gate",)) as seen:
        model(batch)
    return len(seen.records)


def _short(message: str) -> str:
    return message.partition("; or choose")[0].replace("|", "/")


def table() -> str:
    """The table of docs/reference/families.md."""
    lines = [
        "| model | shown | not shown |",
        "|---|---|---|",
        *(f"| {name} | {' | '.join(shown(name))} |" for name in FAMILIES),
    ]
    return "\n".join([*lines, ""])


def written() -> list[str]:
    """The rows that stand in the document."""
    return _parts()[1].splitlines()[2:]


def _parts() -> tuple[str, str, str]:
    before, _, rest = TARGET.read_text(encoding="utf-8").partition(_BEGIN)
    now, _, after = rest.partition(_END)
    return before, now, after


if __name__ == "__main__":
    start, _, end = _parts()
    TARGET.write_text(f"{start}{_BEGIN}{table()}{_END}{end}", encoding="utf-8")
