"""Files compared with what a model saw of them: by size and time first, then by their content."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fastcam.errors import CaseError
from fastcam.run import input_files
from fastcam.run.input_files import input_records
from fastcam.run.seen_inputs import SeenFile, SeenInputs, check_seen
from fastcam.storage.locations import as_path
from fastcam.storage.object_path import ObjectPath


def seen(path: Path, now: Path | None = None) -> list[SeenFile]:
    (record,) = input_records(1, [path])
    return [SeenFile(str(now or path), record)]


@pytest.fixture
def series(tmp_path: Path) -> Path:
    folder = tmp_path / "series"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(b"slice %d" % number)
    return folder


def test_what_was_only_touched_or_copied_is_what_the_model_saw(
    tmp_path: Path, series: Path
) -> None:
    files = seen(series)
    check_seen(files)
    for file in series.iterdir():
        os.utime(file, ns=(1, 1))
    check_seen(files)
    copy = shutil.copytree(series, tmp_path / "other" / "series")
    check_seen([SeenFile(str(copy), files[0].record)])


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "1.dcm").write_bytes(b"slice 9"),
        lambda folder: (folder / "1.dcm").unlink(),
        lambda folder: (folder / "3.dcm").write_bytes(b"slice 3"),
        lambda folder: (folder / "1.dcm").rename(folder / "4.dcm"),
    ],
    ids=["other", "gone", "added", "renamed"],
)
def test_a_folder_of_other_files_is_named(series: Path, change: Callable[[Path], object]) -> None:
    files = seen(series)
    change(series)
    later = files[0].record.modified + 1
    os.utime(series, ns=(later, later))
    with pytest.raises(CaseError) as caught:
        check_seen(files)
    line = f"{series}: changed since the model saw it; run fastcam infer again"
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_what_is_no_slice_does_not_count(series: Path) -> None:
    """What file browsers, media and fastcam itself put into a folder."""
    files = seen(series)
    for name in (".DS_Store", "Thumbs.db", "._0.dcm", "readme.txt", "DICOMDIR"):
        (series / name).write_bytes(b"beside")
    (series / "link.dcm").symlink_to(series / "nowhere")
    for name in ("out/run.zarr/maps/c.0", "out/001_a.png", "out/run.json", "r.zarr/c.0"):
        (series / name).parent.mkdir(parents=True, exist_ok=True)
        (series / name).write_bytes(b"own")
    check_seen(files)
    (series / "1.dcm").write_bytes(b"slice 9")
    with pytest.raises(CaseError, match="changed since the model saw it"):
        check_seen(files)


def test_a_slice_replaced_by_an_older_one(series: Path) -> None:
    """Neither the sum of the sizes nor the latest time is another one."""
    os.utime(series / "2.dcm", ns=(10**18, 10**18))
    files = seen(series)
    (series / "1.dcm").write_bytes(b"slice 9")
    os.utime(series / "1.dcm", ns=(1, 1))
    with pytest.raises(CaseError, match="changed since the model saw it"):
        check_seen(files)


def test_files_of_the_same_size_and_time_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(b"pixels")
    files = seen(path)
    monkeypatch.setattr(input_files, "content_checksum", lambda *_, **__: pytest.fail("was read"))
    check_seen(files)
    path.write_bytes(b"more pixels")
    with pytest.raises(CaseError):
        check_seen(files)  # by its size alone


def test_what_is_gone_is_left_to_those_who_read_it(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(b"pixels")
    files = seen(path)
    path.unlink()
    check_seen(files)


def write_records(store: Path, lines: list[str]) -> None:
    header = "place,path,size,modified,checksum\n"
    store.with_name("run.inputs.csv").write_text(header + "".join(f"{line}\n" for line in lines))


def test_records_are_those_of_a_case_in_the_order_of_its_inputs(tmp_path: Path) -> None:
    store = tmp_path / "run.zarr"
    mask = tmp_path / "m" / "p.png"
    lines = ["2,t1/p.png,1,1,a", "2,t2/p.png,2,1,b", f"2,{mask},3,1,c", "1,t1/o.png,4,1,d"]
    write_records(store, [*lines, "2,t1/p.png,5,1,e", "2,t1/p.pn"])
    inputs = [Path("/moved/t1/p.png"), Path("/moved/t2/p.png")]
    found = SeenInputs(store).files(2, inputs, mask)
    assert [(file.path, file.record.size) for file in found] == [
        ("/moved/t1/p.png", 5),
        ("/moved/t2/p.png", 2),
        (str(mask), 3),
    ]
    # Another mask, and an image of another name, are the user's choice.
    assert SeenInputs(store).files(2, [Path("p.npy")], tmp_path / "p.png") == ()
    assert SeenInputs(store).files(3, inputs) == ()
    assert SeenInputs(store, trusted=True).files(2, inputs) == ()
    assert SeenInputs(tmp_path / "other.zarr").files(2, inputs) == ()


def test_a_folder_that_the_recorded_series_lies_in(tmp_path: Path) -> None:
    store = tmp_path / "run.zarr"
    write_records(store, [f"1,{tmp_path}/p1/series,1,1,a"])
    (file,) = SeenInputs(store).files(1, [tmp_path / "p1"])
    assert file.path == f"{tmp_path}/p1/series"
    assert SeenInputs(store).files(1, [as_path("s3://bucket/p1")]) == ()


def test_copies_in_a_bucket(tmp_path: Path, series: Path, bucket: ObjectPath) -> None:
    for file in series.iterdir():
        (bucket / "series" / file.name).write_bytes(file.read_bytes())
        (bucket / "copy/series" / file.name).write_bytes(file.read_bytes())
    check_seen(seen(series, bucket / "series"))
    # The store's own marks say nothing of local files, which their size tells apart.
    check_seen(seen(bucket / "series", series))
    check_seen(seen(bucket / "series", bucket / "copy/series"))
    of_bucket, local = seen(bucket / "series"), seen(series, bucket / "series")
    time.sleep(1.1)  # stores tell times to the second
    (bucket / "series/1.dcm").write_bytes(b"slice 9")
    for files in (of_bucket, local):
        with pytest.raises(CaseError, match="changed since the model saw it"):
            check_seen(files)
