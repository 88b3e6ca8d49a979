"""How an evaluation scores an image: its error, whether that is good, and what its figure says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.class_texts import with_class
from fastcam.figures.map_figure import Heading
from fastcam.figures.slice_facts import SliceFacts
from fastcam.inference.predictions import log_odds_of
from fastcam.jobs.render.maps.captions import slice_answer
from fastcam.read.inputs.finding_columns import label_values
from fastcam.store.map_rows import MapRow
from fastcam.store.map_schema import MapHeader

Kind = Literal["regression", "classification", "multilabel", "segmentation", "detection"]

NO_CLASSES = np.empty(0, np.float32)
_FOR = {"positive": "for", "negative": "against", "both": "red for, blue against"}
_RAISES = {
    "positive": "what raises the output",
    "negative": "what lowers the output",
    "both": "red raises, blue lowers the output",
}
_CHANGES = "what changes the output"


@dataclass(frozen=True, eq=False)
class Score:
    """One image against its table.

    Attributes:
        true: the true value, or the number of the true class.
        predicted: the predicted value, or the number of the predicted class.
        error: of a regression predicted - true; of a classification 1 - probability of the true
            class.
        good: an error below the limit, or the right class.
        probability: (k,) of each class; empty for a regression.
        ranking: (k,) what orders images as the probability of each class does, without its
            rounding; empty where nothing is ranked.
    """

    true: float
    predicted: float
    error: float
    good: bool
    probability: NDArray[np.float32]
    ranking: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Scoring:
    """How images are scored, and what their figures say.

    Attributes:
        kind: what kind of task it is.
        good_below: errors of a regression below it are good; in the unit of the true values.
        names: names of the classes; empty where they have none.
        sign: the evidence that maps show: "positive", "negative" or "both".
        unit: of a regression's values; empty where it isn't known.
        classic: whether titles are those of ``--style classic``, without the number of slices.
    """

    kind: Kind
    good_below: float = 5.0
    names: tuple[str, ...] = ()
    sign: str = "positive"
    unit: str = ""
    classic: bool = False

    def score(self, header: MapHeader) -> Score | None:
        """The score of an image; None for one without a prediction or a label.

        A model of one output between two classes gives class 1 from a probability of 0.5 on.
        """
        if header.status != "done" or not header.label:
            return None
        if self.kind == "multilabel":
            return self._findings_score(header)
        true = float(header.label)
        if self.kind == "regression":
            value = float(header.output[0])
            error = value - true
            return Score(true, value, error, abs(error) < self.good_below, NO_CLASSES)
        shares, ranking = header.probabilities, _ranking(header)
        if len(shares) == 1:
            shares = np.array([1.0 - shares[0], shares[0]], np.float32)
            ranking = np.array([-ranking[0], ranking[0]])
            predicted_class = int(shares[1] >= 0.5)
        else:
            # Of pooled slices the class of the highest output need not be the predicted one.
            pooled = header.slices is not None
            predicted_class = int(np.argmax(shares if pooled else header.output))
        error = 1.0 - float(shares[int(true)])
        good = predicted_class == int(true)
        return Score(true, float(predicted_class), error, good, shares, ranking)

    def _findings_score(self, header: MapHeader) -> Score:
        """How far the probabilities of the known findings are from 0 and 1, on average; good where
        all of these lie on the right side of one half."""
        true = np.array(label_values(header.label))
        labeled = np.isfinite(true)
        shares = header.probabilities
        present, predicted = true[labeled] == 1, shares[labeled] >= 0.5
        error = float(np.abs(shares[labeled] - present).mean())
        good = bool((present == predicted).all())
        ranking = _ranking(header, multilabel=True)
        predicted_count = float((shares >= 0.5).sum())
        return Score(float(present.sum()), predicted_count, error, good, shares, ranking)

    def findings_text(self, present: NDArray[np.bool_]) -> str:
        """The names of the findings that are ``present`` (k,)."""
        names = [self.value_text(float(number)) for number in np.flatnonzero(present)]
        return ", ".join(names) or "no finding"

    def value_text(self, value: float) -> str:
        """A true value or prediction as people read it."""
        if self.kind == "regression":
            return " ".join(filter(None, [f"{value:.4g}", self.unit]))
        return self.names[int(value)] if self.names else f"{int(value)}"

    @property
    def overlay_first(self) -> bool:
        """Image | overlay | heat."""
        return True

    @property
    def texts(self) -> Sequence[str]:
        """The classes' names."""
        return self.names

    @property
    def settings(self) -> dict[str, Any]:
        """The fields, under the name that the folder's record has for them."""
        return {"judging": asdict(self)}

    def heading(self, header: MapHeader, index: int | None = None, best: bool = True) -> Heading:
        """The file's name, and which slice of a volume; true value, prediction and error, green
        where good."""
        title = "/".join(filter(None, [header.group, header.source.name]))
        if index is not None:
            title += f"  ·  {SliceFacts(header.shape[0]).index_text(index, self.classic)}"
        score = self.score(header)
        if score is None:
            return Heading(title, "no true value")
        if self.kind == "multilabel":
            true = np.array(label_values(header.label))
            parts = [
                "all right" if score.good else "wrong",
                f"true {self.findings_text(true == 1)}",
                f"predicted {self.findings_text(score.probability >= 0.5)}",
            ]
            return Heading(title, "  ·  ".join(parts), score.good)
        parts = [
            f"true {self.value_text(score.true)}",
            f"predicted {self.value_text(score.predicted)}",
        ]
        if self.kind == "regression":
            parts.append(" ".join(filter(None, [f"error {score.error:+.4g}", self.unit])))
        else:
            parts.append(f"probability {score.probability[int(score.predicted)]:.4f}")
            parts.insert(0, "correct" if score.good else "wrong")
        parts += filter(None, [slice_answer(header, index, self.value_text)])
        return Heading(title, "  ·  ".join(parts), score.good)

    def caption(self, row: MapRow, header: MapHeader, target: int | None) -> str:
        """The caption of a row, and what its map shows: for or against which output."""
        return ", ".join(filter(None, [row.caption, self.evidence(row, header, target)]))

    def evidence(self, row: MapRow, header: MapHeader, target: int | None) -> str:
        """What a map shows, for its caption: for or against which output; None: of no output."""
        if self.kind == "regression":
            if row.is_deviation or not row.is_targeted:
                return ""
            return _CHANGES if row.is_magnitude else _RAISES[self.sign]
        if target is None:
            return ""
        # The one output between two classes speaks for the second.
        name = self.value_text(1 if len(header.probabilities) == 1 else target)
        return f"{_FOR[self.sign]} {name if self.sign == 'both' else with_class(name)}"


def _ranking(header: MapHeader, multilabel: bool = False) -> NDArray[np.float64]:
    """(k,) log odds from the output; of slices, whose probabilities are pooled, these."""
    if header.slices is not None:
        return header.probabilities.astype(np.float64)
    return log_odds_of(header.output, multilabel)
