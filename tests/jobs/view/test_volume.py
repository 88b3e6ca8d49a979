"""The volume in 3-D: every voxel lies where the file's own lies, and NiiVue draws it."""

from __future__ import annotations

import io

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from fastcam.errors import CaseError, InputError
from fastcam.jobs.view import volume_files
from fastcam.jobs.view.niivue import niivue_script
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.service import running
from fastcam.jobs.view.volume_files import volume_file
from tests.jobs.view.sample_rooms import ask, loaded, map_room, patch_request, service_of


def sent(room: Room, **query) -> nib.Nifti1Image:
    content = volume_file(room, {"case": "0", **query})
    return nib.Nifti1Image.from_bytes(content)


def at_places_of(own: nib.Nifti1Image, other: nib.Nifti1Image) -> np.ndarray:
    """The voxel of ``other`` nearest to the middle of each voxel of ``own``."""
    indices = np.indices(own.shape).reshape(3, -1)
    voxels = nib.affines.apply_affine(np.linalg.inv(other.affine) @ own.affine, indices.T)
    nearest = np.rint(voxels).astype(int)
    assert ((nearest >= 0) & (nearest < other.shape)).all()
    return np.asarray(other.dataobj)[tuple(nearest.T)].reshape(own.shape)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PSR", "IAL"])
def test_voxels_lie_where_the_files_lie(tmp_path, codes) -> None:
    room = Room(patch_request(tmp_path, codes=codes))
    image = sent(room)
    original = at_places_of(image, loaded(tmp_path / "images" / "p0.nii.gz")).astype(float)
    grey = np.asarray(image.dataobj).astype(float)
    shown = (grey > 0) & (grey < 255)
    assert shown.mean() > 0.5
    assert np.corrcoef(grey[shown], original[shown])[0, 1] > 0.9999


def test_heat_lies_in_the_boxes(tmp_path) -> None:
    room = Room(patch_request(tmp_path))
    heat = sent(room, what="heat")
    own = loaded(tmp_path / "images" / "p0.nii.gz")
    levels = at_places_of(own, heat)
    # x1, y1, x2, y2 = 3, 4, 12, 11 on slice 3 has the highest weight; 8, 6, 15, 13 overlaps it, and
    # 1, 2, 7, 9 lies on slice 1.
    assert (levels[3:8, 4:11, 3] == 255).all()
    assert not levels[15:, :, 3].any()
    assert not levels[:, 13:].any()
    assert (levels[1:7, 2:9, 1] > 0).all()
    assert not levels[:, :, [0, 2, 4, 5, 6]].any()


def test_large_volumes_are_thinned_out_in_their_place(tmp_path, monkeypatch) -> None:
    room = Room(patch_request(tmp_path))
    whole = sent(room, what="heat")
    monkeypatch.setattr(volume_files, "_MOST_VOXELS", 7 * 10 * 8)
    small = sent(room, what="heat")
    assert small.shape == (10, 8, 7)
    ends = [nib.affines.apply_affine(each.affine, [-0.5] * 3) for each in (whole, small)]
    assert np.allclose(*ends)
    assert np.allclose(small.affine[:3, :3], whole.affine[:3, :3] @ np.diag([2, 2, 1]))


def test_maps_have_volumes_too(tmp_path) -> None:
    room = map_room(tmp_path)
    assert sent(room).shape == sent(room, what="heat").shape
    assert np.asarray(sent(room, what="heat").dataobj).max() > 0


def test_what_is_none_is_refused(tmp_path) -> None:
    room = Room(patch_request(tmp_path))
    with pytest.raises(InputError, match="use image or heat"):
        sent(room, what="mask")
    with pytest.raises(CaseError, match="no case 9"):
        volume_file(room, {"case": "9"})


def test_niivue_draws_it(tmp_path, new_page) -> None:
    if niivue_script() is None:
        pytest.skip("ipyniivue is not installed")
    with running(service_of(tmp_path)) as served:
        assert ask(served, "static/niivue.js")[0] == 200
        page = new_page(served.address)
        elsewhere = []
        page.on("request", lambda asked: elsewhere.append(asked.url))
        page.get_by_role("button", name="3-D", exact=True).click()
        page.wait_for_selector("#volume[data-shown='p0']")
        shot = page.locator("#volume-box").screenshot()
        colors = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).reshape(-1, 3)
        assert len(np.unique(colors, axis=0)) > 200
        page.get_by_role("button", name="Close").click()
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#title:has-text('p1')")
        page.keyboard.press("y")
        page.wait_for_selector("#volume[data-shown='p1']")
        assert all(address.startswith(served.address) for address in elsewhere)
        page.close()


def test_without_niivue_there_is_no_button(tmp_path, new_page, monkeypatch) -> None:
    monkeypatch.setattr("fastcam.jobs.view.room.niivue_script", lambda: None)
    with running(service_of(tmp_path)) as served:
        page = new_page(served.address)
        assert page.locator("#show-volume").is_hidden()
        page.keyboard.press("y")
        assert page.locator("#volume").is_hidden()
        page.close()
