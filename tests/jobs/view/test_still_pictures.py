"""A notebook without a server: figures that are there without one."""

from __future__ import annotations

import base64
import io
import re
import socket

import numpy as np
import pytest
from PIL import Image

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.view import page_server
from tests.jobs.view.sample_rooms import patch_run


def figures(html: str) -> list[np.ndarray]:
    texts = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in texts]


def test_figures_instead_of_a_room(tmp_path, monkeypatch) -> None:
    run = patch_run(tmp_path, ("p0", "<b>p1", "p2"))
    (tmp_path / "images" / "p2.nii.gz").unlink()

    def missing():
        raise page_server.NoServerError("fastcam view needs starlette and uvicorn")

    monkeypatch.setattr(page_server, "needed_uvicorn", missing)
    shown = fastcam.view(run, root_dir=tmp_path / "images")
    html = shown._repr_html_()
    assert "needs starlette and uvicorn" in html
    assert len(figures(html)) == 2
    assert "p2: " in html
    assert "<script" not in html
    assert "<b>p1" not in html
    assert "&lt;b&gt;p1" in html
    fastcam.render(
        run, output_dir=tmp_path / "out", root_dir=tmp_path / "images", mode="best_slice"
    )
    (own,) = (tmp_path / "out").glob("001_p0*.png")
    assert (figures(html)[0] == np.asarray(Image.open(own))).all()


def test_on_request(tmp_path) -> None:
    run = patch_run(tmp_path)
    shown = fastcam.view(run, root_dir=tmp_path / "images", still=True, panel_size=64)
    assert len(figures(shown._repr_html_())) == 3
    assert "all cases" in shown._repr_html_()


def test_a_port_of_ones_own_choice_is_no_reason(tmp_path) -> None:
    run = patch_run(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="can't be used"):
            fastcam.view(run, root_dir=tmp_path / "images", port=taken.getsockname()[1])
