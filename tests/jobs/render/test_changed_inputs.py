"""A volume that changes between two runs is drawn again, the others are kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np

import fastcam
from fastcam.demo.neck_set import SyntheticSet
from fastcam.jobs.render.report import RenderReport


def test_the_case_whose_volume_changed_is_redrawn(neck: SyntheticSet, tmp_path: Path) -> None:
    images = tmp_path / "images"
    shutil.copytree(neck.images, images)
    volume = sorted(images.iterdir())[1]

    def run(trust_inputs: bool = False) -> RenderReport:
        return fastcam.render(
            neck.results,
            root_dir=images,
            output_dir=tmp_path / "out",
            panel_size=64,
            workers=1,
            trust_inputs=trust_inputs,
        )

    assert run().drawn == 3
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.png")}
    image = nibabel.Nifti1Image.from_filename(volume)
    voxels = np.asarray(image.dataobj)[::-1]
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), volume)
    report = run(trust_inputs=True)
    assert (report.drawn, report.already) == (0, 3)
    report = run()
    assert (report.drawn, report.already) == (1, 2)
    assert any("inputs of 1 case changed" in note for note in report.notes)
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.png")}
    changed = [name for name in before if before[name] != after[name]]
    assert [name[:3] for name in changed] == ["002"]
    volume.touch()
    assert run().drawn == 0


def test_a_mask_that_comes_later_is_drawn(neck: SyntheticSet, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    shutil.copytree(neck.masks, masks)
    late = sorted(masks.iterdir())[2]
    content = late.read_bytes()
    late.unlink()

    def run(out: str = "out", trust_inputs: bool = False) -> RenderReport:
        return fastcam.render(
            neck.results,
            root_dir=neck.images,
            mask_dir=masks,
            output_dir=tmp_path / out,
            panel_size=64,
            workers=1,
            trust_inputs=trust_inputs,
        )

    assert run().drawn == 3
    assert run().drawn == 0
    late.write_bytes(content)
    assert run(trust_inputs=True).drawn == 0
    report = run()
    assert (report.drawn, report.already) == (1, 2)
    note = "a mask of 1 case was added: redrawn (--trust-inputs keeps the figures)"
    assert note in report.notes
    run("fresh")
    drawn, fresh = (sorted((tmp_path / out).glob("*.png")) for out in ("out", "fresh"))
    assert [path.read_bytes() for path in drawn] == [path.read_bytes() for path in fresh]
    report = run()
    assert (report.drawn, report.notes) == (0, [])
