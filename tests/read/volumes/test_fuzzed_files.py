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
