"""Bad input, item by item: a clear line, the right exit code, no halves, no harm to other cases."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastcam.demo.neck_set import SyntheticSet

from ..messages import one_line, pickled

Records = list[dict[str, Any]]
Call = Callable[..., Any]


def _refused(outcome: Any, folder: Path, *words: object) -> None:
    """Exit code 2, one line with all the words, and no output folder."""
    assert outcome.code == 2, outcome
    line = one_line(outcome.err)
    for word in words:
        assert str(word) in line
    assert outcome.out == ""
    assert not folder.exists()


# The results file as a whole


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("results.pkl", b"patient,label\np1,1\n", "not a whole pickle"),
        ("results.pkl", b"", "empty"),
        ("results.json", b"{", "not a complete JSON"),
        ("results.json", b'{"a": 1}', "holds a dict"),
        ("results.json", b"[]", "nothing to draw"),
        ("results.json", b"[1, 2]", "one dict per case"),
        ("results.npz", b"PK\x03\x04", "damaged"),
        ("results.csv", b"a,b\n", ".pkl, .npz or .json"),
        ("results.pkl", pickle.dumps({"a": 1}), "holds a dict"),
    ],
)
def test_not_a_results_file(
    render: Call, tmp_path: Path, name: str, content: bytes, word: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    _refused(render(results=path), tmp_path / "out", path, word)


def test_no_such_results_file(render: Call, tmp_path: Path) -> None:
    _refused(render(results=tmp_path / "no.pkl"), tmp_path / "out", "no.pkl", "no such file")


@pytest.mark.parametrize("name", ["x" * 300 + ".pkl", "a\nb.pkl"])
def test_impossible_results_path(render: Call, tmp_path: Path, name: str) -> None:
    _refused(render(results=tmp_path / name), tmp_path / "out")


def test_results_that_is_a_plain_folder(render: Call, neck: SyntheticSet, tmp_path: Path) -> None:
    _refused(render(results=neck.images), tmp_path / "out", neck.images)


def test_results_that_is_a_pipe(render: Call, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "results.pkl")
    _refused(render(results=tmp_path / "results.pkl"), tmp_path / "out", "results.pkl")


class _Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def test_foreign_global_is_named_and_not_run(
    render: Call, fastcam: Call, records: Records, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    records[1]["extra"] = _Evil(touched)
    path = pickled(tmp_path, records)
    _refused(render(results=path), tmp_path / "out", path, f"{os.system.__module__}.system")
    looked = fastcam("inspect", path)
    assert "posix.system" in looked.out
    assert not touched.exists()


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.999])
def test_truncated_pickle(render: Call, neck: SyntheticSet, tmp_path: Path, kept: float) -> None:
    whole = neck.results.read_bytes()
    path = tmp_path / "results.pkl"
    path.write_bytes(whole[: int(len(whole) * kept)])
    _refused(render(results=path), tmp_path / "out", path, "not a whole pickle")


def test_damaged_results_spare_earlier_figures(
    render: Call, neck: SyntheticSet, tmp_path: Path
) -> None:
    assert render().code == 0
    path = tmp_path / "new.pkl"
    path.write_bytes(neck.results.read_bytes()[:-10])
    assert render("--overwrite", results=path).code == 2
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_unknown_patient_spares_earlier_figures(render: Call, tmp_path: Path) -> None:
    assert render().code == 0
    assert render("--overwrite", "--patient", "nobody").code == 2
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


# One bad case


def _spoil_weights(record: dict[str, Any], value: float) -> None:
    record["attention_weights"][5] = value


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r: r.update(attention_weights=r["attention_weights"][:-1]), ["attention_weights"]),
        (lambda r: _spoil_weights(r, np.nan), ["attention_weights[5]", "nan"]),
        (lambda r: _spoil_weights(r, np.inf), ["attention_weights[5]", "inf"]),
        (lambda r: _spoil_weights(r, -0.25), ["attention_weights[5]", "-0.25"]),
        (lambda r: r.update(attention_weights=[], positions=[], num_patches=0), ["no patches"]),
        (lambda r: r.update(num_patches=7), ["num_patches is 7"]),
        (lambda r: r.pop("confidence"), ["'confidence' is missing"]),
        (lambda r: r.update(true_label="ill"), ["true_label", "'ill'"]),
        (lambda r: r["positions"][3].update(bbox=(5, 5, 5, 9)), ["positions[3]", "5, 5, 5, 9"]),
        (lambda r: r["positions"][3].update(slice_idx=-1), ["positions[3]", "slice_idx", "-1"]),
        (lambda r: r["positions"][3].update(slice_idx=99), ["position 3", "99", "4 slices"]),
        (
            lambda r: r["positions"][3].update(bbox=(96, 0, 120, 24)),
            ["position 3", "(96, 0, 120, 24)", "96x96", "neck_001.nii.gz"],
        ),
        (lambda r: r["positions"][3].update(bbox=(-24, 0, 0, 24)), ["position 3", "-24, 0, 0, 24"]),
        (lambda r: r.update(patient_name="../../etc/passwd"), ["../../etc/passwd"]),
        (lambda r: r.update(patient_name="/etc"), ["/etc"]),
        (lambda r: r.update(patient_name="nobody"), ["nobody", "looked for"]),
        (lambda r: r.update(patient_name="neck_0001"), ["neck_0001", "neck_001"]),
        (lambda r: r.update(patient_name="n" * 300), ["nnn"]),
    ],
)
def test_one_bad_case(
    render: Call,
    records: Records,
    tmp_path: Path,
    spoil: Call,
    words: list[str],
    one_case_failed: Call,
) -> None:
    spoil(records[0])
    outcome = render(results=pickled(tmp_path, records))
    one_case_failed(outcome, tmp_path / "out", *words)


def test_two_cases_of_one_name(
    render: Call, records: Records, tmp_path: Path, rows: Call, whole: Call
) -> None:
    records.append(dict(records[0]))
    outcome = render(results=pickled(tmp_path, records))
    assert outcome.code == 3
    (row,) = rows(tmp_path / "out" / "failures.csv")
    assert row["place"] == "4"
    assert row["case"] == "neck_001"
    assert "case 1 has the same patient_name" in row["reason"]
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    whole(tmp_path / "out")


def test_all_cases_bad(render: Call, records: Records, tmp_path: Path) -> None:
    for record in records:
        record["attention_weights"][0] = -1
    outcome = render(results=pickled(tmp_path, records))
    assert outcome.code == 1
    assert outcome.out.count("error: ") == 3
    assert list((tmp_path / "out").glob("*.png")) == []


def test_a_rejected_case_is_named_when_asked_for(
    render: Call, records: Records, tmp_path: Path
) -> None:
    records[0]["attention_weights"][0] = -1
    path = pickled(tmp_path, records)
    _refused(
        render("--patient", "neck_001", results=path),
        tmp_path / "out",
        "neck_001",
        "attention_weights[0] is -1.0",
    )
    assert render("--patient", "neck_002", results=path).code == 0


def test_a_box_that_sticks_out_is_clipped(render: Call, records: Records, tmp_path: Path) -> None:
    case = records[0]
    best = int(np.argmax(case["attention_weights"]))
    case["positions"][best]["bbox"] = (-10, 80, 14, 104)
    assert render(results=pickled(tmp_path, records)).code == 0
    assert len(list((tmp_path / "out").glob("001_*.png"))) == 1


def test_terminal_codes_in_names_are_not_sent(
    render: Call, records: Records, tmp_path: Path
) -> None:
    records[0]["patient_name"] = "a\x1b[31m\nfastcam: all good"
    outcome = render(results=pickled(tmp_path, records))
    assert outcome.code == 3
    assert "\x1b" not in outcome.out + outcome.err
    assert not any(line.startswith("fastcam: all") for line in outcome.out.splitlines())


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("site1/p01", "001_site1_p01_slice1.png"),
        ("v1.2.final", "001_v1.2.final_slice1.png"),
        (".hidden", "001__hidden_slice1.png"),
        ("患者甲", "001_患者甲_slice1.png"),
        ("a b'c", "001_a b'c_slice1.png"),
    ],
)
def test_odd_patient_names_are_drawn(
    render: Call, records: Records, neck: SyntheticSet, tmp_path: Path, name: str, file: str
) -> None:
    records[0]["patient_name"] = name
    for given, made in ((neck.images, "images"), (neck.masks, "masks")):
        volume = given / "neck_001.nii.gz"
        # A volume lies beside the root under a plain name, or in a folder of its own.
        home = tmp_path / made / name
        if "/" in name:
            home.mkdir(parents=True)
            Image.fromarray(np.zeros((96, 96), np.uint8)).save(home / "0.png")
            for index in range(1, 4):
                shutil.copy(home / "0.png", home / f"{index}.png")
        else:
            home.parent.mkdir(parents=True)
            shutil.copy(volume, home.parent / f"{name}.nii.gz")
    outcome = render(
        "--patient",
        name,
        results=pickled(tmp_path, records),
        root_dir=tmp_path / "images",
        mask_dir=tmp_path / "masks",
    )
    assert outcome.code == 0, outcome
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == [file]


@pytest.mark.parametrize("option", ["root_dir", "mask_dir"])
def test_empty_and_missing_folders(render: Call, tmp_path: Path, option: str) -> None:
    empty = tmp_path / "empty"
    _refused(render(**{option: empty}), tmp_path / "out", empty)
    empty.mkdir()
    _refused(render(**{option: empty}), tmp_path / "out", empty, "is empty")
    file = tmp_path / "file"
    file.touch()
    _refused(render(**{option: file}), tmp_path / "out", file, "not a folder")
