"""The text beside one volume's figures: what was predicted, and its slices ranked by heat."""

from __future__ import annotations

from fastcam.errors import one_line
from fastcam.jobs.render.maps.captions import RenderCaptions
from fastcam.jobs.render.maps.plan import VolumeHeat
from fastcam.run.file_names import slice_name


def summary_text(heat: VolumeHeat, caption: str) -> str:
    """The text of ``_summary.txt``, ending with a newline; ``caption`` says which map it is of.

    Slices are called as their figures are. They are ranked by their mean heat, ties by index; BEST
    marks the one that holds the highest value.
    """
    facts = _facts(heat, caption)
    width = max(map(len, facts)) + 2
    lines = [f"{name + ':':<{width}}{one_line(value)}" for name, value in facts.items()]
    lines += ["", "Slices by average heat:", "rank     slice  average"]
    ranking = sorted(heat.slice_averages.items(), key=lambda pair: (-pair[1], pair[0]))
    for rank, (index, average) in enumerate(ranking, 1):
        best = "  BEST" if index == heat.best_slice else ""
        lines.append(f"{rank:>4}  {slice_name(index):>8}  {average:#.4g}{best}")
    return "\n".join(lines) + "\n"


def _facts(heat: VolumeHeat, caption: str) -> dict[str, str]:
    header = heat.case.header
    facts = {
        "Case": heat.case.name,
        "Answer": RenderCaptions().heading(header, None, False).verdict,
        "Map": caption,
        "Slices": _slices(heat),
        "Best slice": slice_name(heat.best_slice),
        "Highest heat": f"{float(heat.values.max()):.4g}",
    }
    if len(header.output):
        facts["Output"] = ", ".join(f"{value:.4g}" for value in header.output[:20])
    return facts


def _slices(heat: VolumeHeat) -> str:
    if len(heat.slices) == heat.depth:
        return str(heat.depth)
    return f"{len(heat.slices)} of {heat.depth}"
