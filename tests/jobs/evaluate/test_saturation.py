"""Images of which every probability is 0 or 1 are still ranked by the model's outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from .brightness import GREYS, Brightness, read, run


class Steep(Brightness):
    """Logits of which the first is 20 at least, the brightness, and the others are 0."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        value = super().forward(x)
        return value.repeat(1, self.outputs) * (value.new_tensor([1.0, 0, 0])[: self.outputs])


def write_table(folder: Path, *columns: list[int], names: str) -> None:
    rows = [
        ",".join(map(str, [f"im{at}", *row])) for at, row in enumerate(zip(*columns, strict=True))
    ]
    (folder / "table.csv").write_text("\n".join([f"scan,{names}", *rows]))


@pytest.mark.parametrize("outputs", [2, 3])
def test_classes_are_ranked_by_log_odds(plotted: Path, outputs: int) -> None:
    write_table(plotted, [int(grey < 130) for grey in GREYS], names="dark")
    report = run(plotted, Steep(outputs), task="classification")
    assert {case.probability[0] for case in report.evaluation.cases} == {1.0}
    assert read(plotted)["metrics"]["auc"]["value"] == 1.0


def test_one_output_is_ranked_by_itself(plotted: Path) -> None:
    write_table(plotted, [int(grey > 130) for grey in GREYS], names="bright")
    report = run(plotted, Steep(1), task="multilabel")
    assert {case.probability for case in report.evaluation.cases} == {(0.0, 1.0)}
    assert read(plotted)["metrics"]["auc"]["value"] == 1.0


def test_findings_are_ranked_by_outputs(plotted: Path) -> None:
    bright, any_ = [int(grey > 130) for grey in GREYS], [0, 1, 0, 1, 0, 1]
    write_table(plotted, bright, any_, any_, names="bright,x,y")
    run(plotted, Steep(3), task="multilabel", target="bright,x,y")
    metrics = read(plotted)["findings"][0]["metrics"]
    assert metrics["auc"]["value"] == metrics["average_precision"]["value"] == 1.0
