"""Objects as files of this machine, for a while."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fastcam.errors import CaseError
from fastcam.storage.local_copy import local_copy, remove_stale_copies
from fastcam.storage.object_path import ObjectPath


def test_a_local_file_is_its_own_copy(tmp_path: Path) -> None:
    with local_copy(tmp_path / "x") as path:
        assert path == tmp_path / "x"


@pytest.mark.parametrize("size", [0, 5, 6 << 20])
def test_an_object_is_copied_and_removed(bucket: ObjectPath, size: int) -> None:
    content = os.urandom(size)
    (bucket / "in/a b.nii.gz").write_bytes(content)
    with local_copy(bucket / "in/a b.nii.gz") as path:
        assert path.name == "a b.nii.gz"
        assert path.read_bytes() == content
    assert not path.parent.exists()


def test_errors_name_the_object(bucket: ObjectPath) -> None:
    (bucket / "x").write_bytes(b"1")
    with (
        pytest.raises(CaseError, match=f"^{bucket}/x: is cut short$"),
        local_copy(bucket / "x") as path,
    ):
        raise CaseError(f"{path}: is cut short")
    assert not path.parent.exists()


def test_what_is_not_there_leaves_nothing(
    bucket: ObjectPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(FileNotFoundError), local_copy(bucket / "none"):
        pass
    assert not list(tmp_path.iterdir())


def test_copies_of_processes_that_ended_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
    for pid in (int(ended.stdout), os.getpid()):
        (tmp_path / f"fastcam-copy-{pid}-abc").mkdir()
    (tmp_path / "fastcam-copy-me").mkdir()
    remove_stale_copies.cache_clear()
    remove_stale_copies()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"fastcam-copy-{os.getpid()}-abc", "fastcam-copy-me"}
