"""Bad input, item by item: a clear line, the right exit code, no halves, no harm to other cases."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastcam.synthetic import SyntheticSet, make_test_set

Records = list[dict[str, Any]]
Call = Callable[..., Any]


def _pickled(folder: Path, records: object, name: str = "results.pkl") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(records))
    return path


def _one_line(said: str) -> str:
    """The message, which must be a single line from fastcam itself."""
    lines = [line for line in said.splitlines() if not line.startswith(("figures: ", "cases "))]
    assert len(lines) == 1, said
    assert lines[0].startswith("fastcam: ")
    assert "Traceback" not in said
    return lines[0]


def _refused(outcome: Any, folder: Path, *words: object) -> None:
    """Exit code 2, one line with all the words, and no output folder."""
    assert outcome.code == 2, outcome
    line = _one_line(outcome.err)
    for word in words:
        assert str(word) in line
    assert outcome.out == ""
    assert not folder.exists()


def _one_case_failed(outcome: Any, out: Path, rows: Call, whole: Call, *words: object) -> None:
    """Exit code 3; the first case's reason holds the words; the two others are drawn."""
    assert outcome.code == 3, outcome
    assert "Traceback" not in outcome.err + outcome.out
    errors = [row for row in rows(out / "failures.csv") if row["level"] == "error"]
    assert [row["place"] for row in errors] == ["1"]
    for word in words:
        assert str(word) in errors[0]["reason"]
    told = next(line for line in outcome.out.splitlines() if line.startswith("error: "))
    assert errors[0]["reason"] in told
    drawn = sorted(path.name[:12] for path in out.glob("*.png"))
    assert drawn == ["002_neck_002", "003_neck_003"]
    for path in out.glob("*.png"):
        Image.open(path).load()
    whole(out)


# The results file as a whole


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("results.pkl", b"patient,label\np1,1\n", "not a whole pickle"),
        ("results.pkl", b"", "empty"),
        ("results.json", b"{", "no whole JSON"),
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
    path = _pickled(tmp_path, records)
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
    render: Call, records: Records, tmp_path: Path, rows: Call, whole: Call, spoil: Call,
    words: list[str],
) -> None:  # fmt: skip
    spoil(records[0])
    outcome = render(results=_pickled(tmp_path, records))
    _one_case_failed(outcome, tmp_path / "out", rows, whole, *words)


def test_two_cases_of_one_name(
    render: Call, records: Records, tmp_path: Path, rows: Call, whole: Call
) -> None:
    records.append(dict(records[0]))
    outcome = render(results=_pickled(tmp_path, records))
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
    outcome = render(results=_pickled(tmp_path, records))
    assert outcome.code == 1
    assert outcome.out.count("error: ") == 3
    assert list((tmp_path / "out").glob("*.png")) == []


def test_a_rejected_case_is_named_when_asked_for(
    render: Call, records: Records, tmp_path: Path
) -> None:
    records[0]["attention_weights"][0] = -1
    path = _pickled(tmp_path, records)
    _refused(
        render("--patient", "neck_001", results=path),
        tmp_path / "out", "neck_001", "attention_weights[0] is -1.0",
    )  # fmt: skip
    assert render("--patient", "neck_002", results=path).code == 0


def test_a_box_that_sticks_out_is_clipped(render: Call, records: Records, tmp_path: Path) -> None:
    case = records[0]
    best = int(np.argmax(case["attention_weights"]))
    case["positions"][best]["bbox"] = (-10, 80, 14, 104)
    assert render(results=_pickled(tmp_path, records)).code == 0
    assert len(list((tmp_path / "out").glob("001_*.png"))) == 1


def test_terminal_codes_in_names_are_not_sent(
    render: Call, records: Records, tmp_path: Path
) -> None:
    records[0]["patient_name"] = "a\x1b[31m\nfastcam: all good"
    outcome = render(results=_pickled(tmp_path, records))
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
        "--patient", name, results=_pickled(tmp_path, records), root_dir=tmp_path / "images",
        mask_dir=tmp_path / "masks",
    )  # fmt: skip
    assert outcome.code == 0, outcome
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == [file]


# Images and masks


@pytest.fixture
def own(neck: SyntheticSet, tmp_path: Path) -> Path:
    """A copy of the images and masks, to be spoiled."""
    shutil.copytree(neck.images, tmp_path / "images")
    shutil.copytree(neck.masks, tmp_path / "masks")
    return tmp_path


@pytest.mark.parametrize("option", ["root_dir", "mask_dir"])
def test_empty_and_missing_folders(render: Call, tmp_path: Path, option: str) -> None:
    empty = tmp_path / "empty"
    _refused(render(**{option: empty}), tmp_path / "out", empty)
    empty.mkdir()
    _refused(render(**{option: empty}), tmp_path / "out", empty, "is empty")
    file = tmp_path / "file"
    file.touch()
    _refused(render(**{option: file}), tmp_path / "out", file, "not a folder")


@pytest.mark.parametrize(
    ("kept", "mode"), [(0, "best_slice"), (0.5, "best_slice"), (0.5, "all_slices"), (None, "")]
)
def test_unreadable_image(
    render: Call, own: Path, rows: Call, whole: Call, kept: float | None, mode: str
) -> None:
    volume = own / "images" / "neck_001.nii.gz"
    content = volume.read_bytes()
    volume.write_bytes(b"no image" * 99 if kept is None else content[: int(len(content) * kept)])
    outcome = render("--mode", mode or "best_slice", root_dir=own / "images")
    if mode != "all_slices":
        _one_case_failed(outcome, own / "out", rows, whole, volume)
        return
    assert outcome.code == 3
    assert outcome.out.count("error: ") == 1
    (row,) = rows(own / "out" / "failures.csv")
    assert row["figures"] == "4"
    assert len(list((own / "out").glob("*/*.png"))) == 8


def test_truncated_pictures(render: Call, tmp_path: Path, rows: Call, whole: Call) -> None:
    made = make_test_set(tmp_path / "set", cases=3, slices=4, size=96, source="jpg")
    spoiled = made.images / "neck_001" / "scan_JPG" / "002.jpg"
    spoiled.write_bytes(spoiled.read_bytes()[:300])
    outcome = render(results=made.results, root_dir=made.images, mask_dir=made.masks)
    _one_case_failed(outcome, tmp_path / "out", rows, whole, spoiled)


def test_missing_image(render: Call, own: Path, rows: Call, whole: Call) -> None:
    (own / "images" / "neck_001.nii.gz").unlink()
    outcome = render(root_dir=own / "images")
    _one_case_failed(outcome, own / "out", rows, whole, "neck_001", own / "images")


def _mask_panel(picture: Path, panels: int = 4) -> np.ndarray[Any, Any]:
    """About the middle of the second panel."""
    pixels = np.array(Image.open(picture).convert("L"))
    width = pixels.shape[1] // panels
    return pixels[pixels.shape[0] // 4 : -pixels.shape[0] // 4, width : 2 * width]


@pytest.mark.parametrize("spoil", ["missing", "shape", "truncated", "foreign"])
@pytest.mark.parametrize("mode", ["best_slice", "all_slices"])
def test_a_bad_mask_costs_only_its_panel(
    render: Call, own: Path, rows: Call, whole: Call, spoil: str, mode: str
) -> None:
    good = render("--mode", mode, output_dir=own / "good")
    assert good.code == 0
    mask = own / "masks" / "neck_001.nii.gz"
    if spoil == "missing":
        mask.unlink()
    elif spoil == "shape":
        mask.unlink()
        np.save(own / "masks" / "neck_001.npy", np.zeros((4, 95, 96), np.uint8))
    elif spoil == "truncated":
        mask.write_bytes(mask.read_bytes()[:100])
    else:
        mask.write_bytes(b"no mask")
    outcome = render("--mode", mode, mask_dir=own / "masks")
    assert outcome.code == 0, outcome
    assert outcome.out.count("warning: ") == 1
    assert "neck_001" in outcome.out
    (row,) = rows(own / "out" / "failures.csv")
    assert (row["level"], row["case"], row["figures"]) == ("warning", "neck_001", "0")
    if spoil == "shape":
        assert "(4, 95, 96)" in row["reason"]
        assert "(4, 96, 96)" in row["reason"]
    pattern = "*.png" if mode == "best_slice" else "*/*.png"
    for picture in sorted((own / "out").glob(pattern)):
        before = own / "good" / picture.relative_to(own / "out")
        same = picture.read_bytes() == before.read_bytes()
        assert same == ("neck_001" not in str(picture.relative_to(own)))
        if not same:
            panel = _mask_panel(picture)
            assert panel.shape == _mask_panel(before).shape
            assert panel.std() > 5  # the words in it
    whole(own / "out")
    again = render("--mode", mode, mask_dir=own / "masks")
    assert again.code == 0
    assert rows(own / "out" / "failures.csv") == [row]


def test_frame_around_a_missing_mask(render: Call, own: Path, rows: Call, whole: Call) -> None:
    (own / "masks" / "neck_001.nii.gz").unlink()
    outcome = render("--frame", "mask-crop:96", mask_dir=own / "masks")
    _one_case_failed(outcome, own / "out", rows, whole, "mask-crop:96", "neck_001")


# Where the output goes


def test_a_file_is_in_the_way(render: Call, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    outcome = render()
    assert outcome.code == 1
    assert str(tmp_path / "out") in _one_line(outcome.err)
    outcome = render(output_dir=tmp_path / "out" / "below")
    assert outcome.code == 1
    assert "below" in _one_line(outcome.err)
    assert (tmp_path / "out").read_text() == "mine"


def test_output_folder_that_cannot_be_made(render: Call) -> None:
    outcome = render(output_dir=Path("/proc/fastcam"))
    assert outcome.code == 1
    assert "/proc/fastcam: can't be made" in _one_line(outcome.err)


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_pictures_that_cannot_be_written(
    render: Call, tmp_path: Path, whole: Call, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    real = os.open

    def refuse(path: Any, *args: Any, **more: Any) -> int:
        if ".png" in str(path):
            raise OSError(reason, os.strerror(reason), str(path))
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", refuse)
    outcome = render()
    monkeypatch.undo()
    assert outcome.code == 1
    assert "choose another --output-dir" in _one_line(outcome.err)
    assert str(tmp_path / "out") in outcome.err
    whole(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "failed"


@pytest.mark.parametrize("spared", [0, 1, 7])
def test_full_disk(
    render: Call, tmp_path: Path, whole: Call, rows: Call, monkeypatch: pytest.MonkeyPatch,
    spared: int,
) -> None:  # fmt: skip
    real, written = os.write, 0

    def fill(descriptor: int, data: Any) -> int:
        nonlocal written
        if bytes(data[:4]) == b"\x89PNG" or len(data) > 5000:
            written += 1
            if written > spared:
                real(descriptor, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", fill)
    outcome = render("--mode", "all_slices")
    monkeypatch.undo()
    assert outcome.code == 1
    line = _one_line(outcome.err)
    assert "the disk is full" in line
    assert ".png" in line
    out = tmp_path / "out"
    whole(out)
    for path in out.glob("*/*.png"):
        Image.open(path).load()
    assert json.loads((out / "run.json").read_text())["status"] == "failed"
    assert all((out / row["path"]).is_file() for row in rows(out / "figures.csv"))
    again = render("--mode", "all_slices")
    assert again.code == 0
    assert len(list(out.glob("*/*.png"))) == 12


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if not mount or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_really_full(render: Call, tiny_disk: Path, whole: Call, rows: Call) -> None:
    out = tiny_disk / "out"
    outcome = render("--mode", "all_slices", "--panel-size", 400, output_dir=out)
    assert outcome.code == 1
    assert "the disk is full" in _one_line(outcome.err)
    whole(out)
    for path in out.glob("*/*.png"):
        Image.open(path).load()
    assert all((out / row["path"]).is_file() for row in rows(out / "figures.csv"))
