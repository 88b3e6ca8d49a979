"""Volumes that a model saw slice by slice: one header a case, from the rows of its slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.inputs.slicing import SliceTable
from fastcam.storage.locations import under
from fastcam.store.map_schema import DONE, FAILED, GROWN, OPEN, STATUS, MapHeader
from fastcam.store.pooling import check_pool, pooled_output, pooled_probability
from fastcam.store.slice_table import SliceAnswers


@dataclass(frozen=True)
class RowFailure:
    """Rows that failed by the same cause.

    Attributes:
        case: 0-based number of the image or volume.
        slice: the slice of the volume; None for the whole of it.
        rows: how many rows that is.
        reason: why.
    """

    case: int
    slice: int | None
    rows: int
    reason: str


def case_headers(
    texts: Mapping[str, NDArray[Any]],
    rows: Mapping[str, NDArray[Any]],
    table: SliceTable,
    root: Path,
    pool: str,
) -> tuple[MapHeader, ...]:
    """The header of each volume: its ``texts``, and what is pooled of its finished ``rows``.

    ``rows`` are the columns of ``slices/`` and ``done/``, of which those of ``GROWN`` may be
    missing. A case is open as long as one of its slices is; it has failed where all have. Outputs
    and probabilities are pooled as ``pool`` says.
    """
    headers = []
    for case in range(table.count):
        span = table.rows(case)
        case_rows = {name: column[span.start : span.stop] for name, column in rows.items()}
        finished = np.flatnonzero(case_rows["status"] == DONE)
        answers = _answers(case_rows, table.index[span.start : span.stop], finished)
        interrupted = bool((case_rows["status"] == OPEN).any())
        pooled = _pooled(answers, pool) if len(finished) and not interrupted else _NOTHING
        source, mask = texts["source"][case], texts["mask_source"][case]
        first = int(finished[0]) if len(finished) else 0
        depth, height, width = case_rows["shape"][first].tolist()
        affine = case_rows["affine"][first]
        headers.append(
            MapHeader(
                place=case + 1,
                id=texts["id"][case],
                group=texts["group"][case],
                source=under(root, source),
                mask_source=under(root, mask) if mask else None,
                label=texts["label"][case],
                shape=(depth, height, width),
                affine=affine if np.isfinite(affine).all() else None,
                measures=_NONE,
                status=STATUS[OPEN if interrupted else DONE if len(finished) else FAILED],
                reason="" if interrupted or len(finished) else case_rows["reason"][0],
                slices=answers,
                **pooled,
            )
        )
    return tuple(headers)


def row_failures(
    status: NDArray[np.int8], reasons: Sequence[str], table: SliceTable
) -> list[RowFailure]:
    """What failed, volume by volume; a whole volume that fails by one cause is one failure."""
    failures = []
    for case in range(table.count):
        span = table.rows(case)
        failed = [row for row in span if status[row] == FAILED]
        causes = Counter(reasons[row] for row in failed)
        if len(failed) == len(span) and len(causes) == 1:
            failures.append(RowFailure(case, None, len(failed), next(iter(causes))))
        else:
            failures += [RowFailure(case, int(table.index[row]), 1, reasons[row]) for row in failed]
    return failures


_NONE = np.empty(0, np.float32)
_NO_TARGETS = np.empty(0, np.int32)
_NOTHING: dict[str, Any] = {
    "output": _NONE,
    "prediction": None,
    "confidence": float("nan"),
    "probabilities": _NONE,
    "targets": _NO_TARGETS,
}


def _answers(
    rows: Mapping[str, NDArray[Any]], indices: NDArray[np.int32], finished: NDArray[np.intp]
) -> SliceAnswers:
    """What the finished slices of a case were answered."""

    def column(name: str) -> NDArray[Any]:
        if name in rows:
            return rows[name][finished]
        return np.empty((len(finished), 0), GROWN[name][0])

    return SliceAnswers(
        index=indices[finished],
        output=column("output"),
        probability=column("probability"),
        prediction=rows["prediction"][finished],
        confidence=rows["confidence"][finished],
        targets=column("target"),
        measures=column("measures"),
    )


def _pooled(answers: SliceAnswers, pool: str) -> dict[str, Any]:
    """The answer of a case, as fields of its header."""
    one_target = (answers.targets == answers.targets[:1]).all()
    pooled = {
        **_NOTHING,
        "output": pooled_output(answers.output, pool),
        "targets": answers.targets[0] if one_target else _NO_TARGETS,
    }
    classes = answers.probability.shape[1] > 0
    check_pool(pool, classes)
    if classes:
        probability, prediction = pooled_probability(answers.probability, pool)
        pooled["probabilities"], pooled["prediction"] = probability, prediction
        # Of one output between two classes it is that of the second.
        share = float(probability[prediction if len(probability) > 1 else 0])
        pooled["confidence"] = max(share, 1.0 - share) if len(probability) == 1 else share
    return pooled
