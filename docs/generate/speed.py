"""The speed of fastcam as README and site tell it: figures of benchmarks/results, copied.

python -m docs.generate.speed          # writes them anew
"""

from __future__ import annotations

import re
from pathlib import Path

from docs.generate.cache import ROOT

RESULTS = ROOT / "benchmarks" / "results"
TARGETS = (ROOT / "README.md", ROOT / "docs" / "how-to" / "memory-and-speed.md")
BEGIN, END = "<!-- speed -->\n", "<!-- /speed -->\n"

# {file: row: column}, the column counted from 1; what is there is copied as it is.
_TEMPLATE = """\
On two cores of an AMD EPYC (AVX2), without a GPU; ratios are within alternating rounds:

- **One figure**, four 512×512 panels: {render-epyc-avx2: fastcam: 2}; with OpenCV \
{render-epyc-avx2: OpenCV script: 2}, with matplotlib {render-epyc-avx2: matplotlib script: 2}.
- **10,000 figures** of 100 `.nii.gz` volumes: {job-epyc-avx2: two workers: 1}, at most \
{job-epyc-avx2: peak of all processes, two workers (PSS): 1} in all processes together.
- **Maps** to the forward pass: Grad-CAM {cam-epyc-avx2: fastcam, last stage: 1} \
(pytorch-grad-cam {cam-epyc-avx2: pytorch-grad-cam: 1}), four stages \
{cam-epyc-avx2: fastcam, four stages: 1} ({cam-epyc-avx2: pytorch-grad-cam, four stages: 1}), \
rollout {attention-epyc-avx2: rollout: 1}.
- **Commands** to the forward loop: `infer` \
{infer-epyc-avx2: images a second, to the bare forward loop: 1} of its images a second; `evaluate` \
takes {evaluate-epyc-avx2: evaluate of 2,000 images, to the bare forward loop: 1} times as long.
"""
_FIGURE = re.compile(r"\{([\w-]+): (.+?): (\d)\}")


def block() -> str:
    """What stands between the marks."""
    return _FIGURE.sub(lambda match: _figure(match[1], match[2], int(match[3])), _TEMPLATE)


def written(path: Path) -> str:
    """What stands between the marks of a document."""
    return path.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def _figure(name: str, row: str, column: int) -> str:
    """A cell of the table under "Summary" of a results file."""
    text = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    summary = text.partition("\n## Summary\n")[2]
    for line in summary.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == row:
            return cells[column]
    raise KeyError(f"{name}.md: no row {row!r} under Summary")


def main() -> None:
    """Write the block into every document."""
    for path in TARGETS:
        text = path.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        after = rest.partition(END)[2]
        path.write_text(f"{before}{BEGIN}{block()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
