"""Files that a fuzzer found, which once ended in a traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastcam.errors import CaseError
from fastcam.read.volumes.volumes import open_volume, volume_shape
from tests.stored_volumes import write_series


def test_an_unknown_value_representation_of_the_series(tmp_path: Path) -> None:
    write_series(tmp_path / "series", np.zeros((1, 8, 8), np.int16), np.eye(4))
    (file,) = (tmp_path / "series").iterdir()
    content = file.read_bytes()
    tag = b"\x20\x00\x0e\x00"
    at = content.index(tag) + len(tag)
    for representation in (b"QI", b"\xff\xff", b"SQ"):
        file.write_bytes(content[:at] + representation + content[at + 2 :])
        for read in (volume_shape, open_volume):
            with pytest.raises(CaseError) as caught:
                read(file)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("axes", [b"99999999999999999999", b"11", b"-1", b"0", b"x"])
def test_a_meta_image_of_many_axes_does_not_end_the_process(tmp_path: Path, axes: bytes) -> None:
    itk = pytest.importorskip("SimpleITK")
    path = tmp_path / "a.mha"
    itk.WriteImage(itk.GetImageFromArray(np.zeros((3, 4, 5), np.int16)), str(path))
    assert volume_shape(path) == (3, 4, 5)
    path.write_bytes(path.read_bytes().replace(b"NDims = 3", b"NDims = " + axes))
    with pytest.raises(CaseError, match="its NDims is not a number of axes"):
        volume_shape(path)
