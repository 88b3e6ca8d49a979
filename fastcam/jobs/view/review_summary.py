"""What judgements come to: marks by reader, agreement, and marks against right and wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.jobs.view.agreement import cohen_kappa, fleiss_kappa
from fastcam.jobs.view.review_file import NAME, Judgement, latest, read_review

NOBODY = "(no name)"


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    """How far two readers agree.

    Attributes:
        readers: their names.
        cases: how many cases both have marked.
        same: how many of these have the same mark of both.
        kappa: Cohen's; None where it is not defined.
    """

    readers: tuple[str, str]
    cases: int
    same: int
    kappa: float | None


@dataclass(frozen=True, kw_only=True)
class MarkVerdicts:
    """How the cases of a mark were predicted.

    Attributes:
        mark: the mark.
        right: how often it stands at a case whose prediction is right, over all readers.
        wrong: the same of wrong ones.
        unknown: the same of those of which it isn't known.
    """

    mark: str
    right: int
    wrong: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class ReviewSummary:
    """The judgements of a folder, of each reader and case the last one.

    Attributes:
        files: the files that they were read from.
        judgements: how many lines these have.
        cases: how many cases are marked by at least one reader.
        marks: by reader how often each mark is given.
        pairs: the agreement of every two readers.
        shared: how many cases all readers have marked.
        fleiss: Fleiss' kappa over these, of three readers or more; None where it is not defined.
        verdicts: the marks against right and wrong predictions; empty without predictions.
        notes: how many cases have a note.
    """

    files: tuple[Path, ...]
    judgements: int
    cases: int
    marks: Mapping[str, Mapping[str, int]]
    pairs: tuple[PairAgreement, ...]
    shared: int
    fleiss: float | None
    verdicts: tuple[MarkVerdicts, ...]
    notes: int

    def __repr__(self) -> str:
        return (
            f"<review of {self.cases} cases: {self.judgements} judgements, "
            f"{len(self.marks)} readers>"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"files": [str(path) for path in self.files]}


def review_files(folder: Path) -> tuple[Path, ...]:
    """The files of judgements in a folder, or the file itself. InputError where there is none."""
    if folder.is_file():
        return (folder,)
    stem = NAME.partition(".")[0]
    files = tuple(sorted(folder.glob(f"{stem}*.tsv"))) if folder.is_dir() else ()
    if not files:
        raise InputError(
            f"{folder}: has no {stem}*.tsv; give the folder, or the file, that `fastcam view` "
            "wrote judgements into"
        )
    return files


def review_summary(
    files: Sequence[Path], verdicts: Mapping[str, bool | None] | None = None
) -> ReviewSummary:
    """Summarize the judgements of some files; ``verdicts`` says by case whether it was predicted
    right. InputError where a file is none, or has no judgement."""
    judgements = [judgement for path in files for judgement in read_review(path)]
    if not judgements:
        raise InputError(f"{', '.join(map(str, files))}: no judgement in it yet")
    # One reader's files may lie in any order: the time decides, and then the order.
    judgements.sort(key=lambda judgement: judgement.time)
    valid = latest(judgements)
    by_reader: dict[str, dict[str, Judgement]] = {}
    for (reader, case), judgement in sorted(valid.items()):
        by_reader.setdefault(reader or NOBODY, {})[case] = judgement
    return ReviewSummary(
        files=tuple(files),
        judgements=len(judgements),
        cases=len({case for _, case in valid}),
        marks={
            reader: dict(Counter(judgement.mark for judgement in own.values()).most_common())
            for reader, own in by_reader.items()
        },
        pairs=tuple(
            _pair((one, other), by_reader[one], by_reader[other])
            for one, other in combinations(by_reader, 2)
        ),
        **_of_all(list(by_reader.values())),
        verdicts=_verdicts(valid.values(), verdicts),
        notes=len({case for (_, case), judgement in valid.items() if judgement.note}),
    )


def _pair(
    readers: tuple[str, str], first: Mapping[str, Judgement], second: Mapping[str, Judgement]
) -> PairAgreement:
    cases = sorted(first.keys() & second.keys())
    marks = [first[case].mark for case in cases], [second[case].mark for case in cases]
    return PairAgreement(
        readers=readers,
        cases=len(cases),
        same=sum(a == b for a, b in zip(*marks, strict=True)),
        kappa=cohen_kappa(*marks),
    )


def _of_all(readers: Sequence[Mapping[str, Judgement]]) -> dict[str, Any]:
    shared = sorted(set.intersection(*(set(own) for own in readers))) if readers else []
    ratings = [[own[case].mark for own in readers] for case in shared]
    return {
        "shared": len(shared),
        "fleiss": fleiss_kappa(ratings) if len(readers) > 2 else None,
    }


def _verdicts(
    judgements: Any, verdicts: Mapping[str, bool | None] | None
) -> tuple[MarkVerdicts, ...]:
    if verdicts is None:
        return ()
    counts: dict[str, Counter[bool | None]] = {}
    for judgement in judgements:
        counts.setdefault(judgement.mark, Counter())[verdicts.get(judgement.case)] += 1
    return tuple(
        MarkVerdicts(mark=mark, right=own[True], wrong=own[False], unknown=own[None])
        for mark, own in sorted(counts.items())
    )


def summary_text(summary: ReviewSummary) -> str:
    """The summary for people."""
    cases = "case" if summary.cases == 1 else "cases"
    lines = [
        f"{summary.judgements} judgements of {summary.cases} {cases} in "
        f"{', '.join(map(str, summary.files))}; {summary.notes} with a note"
    ]
    for reader, marks in summary.marks.items():
        counts = ", ".join(f"{mark}: {count}" for mark, count in marks.items())
        lines.append(f"  {reader}: {counts}")
    for pair in summary.pairs:
        one, other = pair.readers
        lines.append(
            f"{one} and {other}: the same mark in {pair.same} of {pair.cases} cases, "
            f"Cohen's kappa {_kappa_text(pair.kappa)}"
        )
    if len(summary.marks) > 2:
        lines.append(
            f"all {len(summary.marks)} readers, {summary.shared} cases: "
            f"Fleiss' kappa {_kappa_text(summary.fleiss)}"
        )
    if summary.verdicts:
        lines.append("mark: at right predictions, at wrong ones, not known")
        lines += [
            f"  {row.mark}: {row.right}, {row.wrong}, {row.unknown}" for row in summary.verdicts
        ]
    return "\n".join(lines)


def _kappa_text(kappa: float | None) -> str:
    if kappa is None:
        return "not defined (no cases of both, or one mark only)"
    return f"{kappa:.3f}"
