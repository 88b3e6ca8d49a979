"""A 2-D model over volumes, slice by slice: against loops over nibabel's own slices."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from torch import Tensor

from fastcam.api.render import render
from fastcam.errors import CaseError, InputError
from fastcam.store.maps import MapStore

from .slice_samples import (
    AFFINE,
    Small,
    by_hand,
    load,
    model_of,
    picture_by_hand,
    run,
    save,
    volumes,
    window_of,
)
from .stopping_progress import StoppingProgress


@pytest.mark.parametrize("workers", [0, 2])
def test_values_are_those_of_the_model_on_each_slice(tmp_path: Path, workers: int) -> None:
    root, model = volumes(tmp_path), model_of()
    report = run(model, root, tmp_path / "out", workers=workers)
    assert (report.images, report.volumes, report.done, report.exit_code) == (12, 3, 12, 0)
    store = MapStore.open(report.store)
    assert [header.shape for header in store.headers] == [(5, 18, 20), (3, 18, 20), (4, 18, 20)]
    for index, header in enumerate(store.headers):
        array = load(header.source).get_fdata()
        maps = store.map("gradcam/second", index)
        assert header.slices is not None
        assert header.slices.index.tolist() == list(range(array.shape[2]))
        shares = []
        for k in range(array.shape[2]):
            x = picture_by_hand(array[:, :, k].T, *window_of(array))[None]
            wanted, output = by_hand(model, x)
            np.testing.assert_allclose(maps[k], wanted, atol=2e-5)
            np.testing.assert_allclose(header.slices.output[k], output, atol=2e-5)
            shares.append(softmax(output.numpy().astype(np.float64)))
        np.testing.assert_allclose(header.probabilities, np.mean(shares, axis=0), atol=1e-5)
        assert header.prediction == int(np.mean(shares, axis=0).argmax())
        assert header.affine is not None
        np.testing.assert_allclose(header.affine, AFFINE)


def test_batches_cross_the_borders_of_volumes(tmp_path: Path) -> None:
    root, model = volumes(tmp_path), model_of()
    stores = []
    for batch in (1, 4, 5, 100):
        report = run(model, root, tmp_path / f"out{batch}", batch_size=batch, workers=1)
        stores.append(MapStore.open(report.store))
        assert stores[-1].batches == -(-12 // batch)
    for store in stores[1:]:
        for index in range(3):
            np.testing.assert_allclose(
                store.map("gradcam/second", index),
                stores[0].map("gradcam/second", index),
                atol=1e-5,
            )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("middle:3", [[1, 2, 3], [0, 1, 2], [0, 1, 2]]),
        ("3-9", [[3, 4], None, [3]]),
        ("4,0-1", [[0, 1, 4], [0, 1], [0, 1]]),
    ],
)
def test_slices_that_are_chosen(tmp_path: Path, text: str, wanted: list[Any]) -> None:
    root, model = volumes(tmp_path), model_of()
    report = run(model, root, tmp_path / "out", slices=text)
    whole = MapStore.open(run(model, root, tmp_path / "whole").store)
    store = MapStore.open(report.store)
    for index, header in enumerate(store.headers):
        if wanted[index] is None:
            assert header.status == "failed"
            assert f"--slices {text} chooses none of its 3 slices, 0 to 2" in header.reason
            continue
        assert header.slices is not None
        assert header.slices.index.tolist() == wanted[index]
        np.testing.assert_allclose(
            store.map("gradcam/second", index),
            whole.map("gradcam/second", index)[wanted[index]],
            atol=1e-5,
        )


@pytest.mark.parametrize("text", ["middle:0", "5-2", "", "a", "1,,2", "-1"])
def test_slices_that_are_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="slices"):
        run(model_of(), volumes(tmp_path), tmp_path / "out", slices=text)


def test_neighbours_are_the_channels(tmp_path: Path) -> None:
    root, model = volumes(tmp_path), model_of(channels=3)
    numbers = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
    report = run(model, root, tmp_path / "out", context=3, slices="0,2", **numbers)
    store = MapStore.open(report.store)
    array = load(root / "v0.nii.gz").get_fdata()
    planes = [picture_by_hand(array[:, :, k].T, *window_of(array)) for k in range(5)]
    header = store.headers[0]
    assert header.slices is not None
    for row, stack in enumerate(([0, 0, 1], [1, 2, 3])):
        _, output = by_hand(model, np.stack([planes[k] for k in stack]))
        np.testing.assert_allclose(header.slices.output[row], output, atol=2e-5)
    with pytest.raises(InputError, match="takes 3 channels, and context 5 gives 5"):
        run(model, root, tmp_path / "other", context=5, **numbers)
    with pytest.raises(InputError, match="context 2: give an odd number"):
        run(model, root, tmp_path / "other", context=2, **numbers)


def test_grey_levels(tmp_path: Path) -> None:
    root, model = volumes(tmp_path, depths=(3,)), model_of()
    array = load(root / "v0.nii.gz").get_fdata()
    ends = {"window_level": (40, 400)}, (-160.0, 240.0)
    low, high = np.percentile(array, [10, 80])
    for options, window in (ends, ({"percentiles": (10, 80)}, (low, high))):
        report = run(model, root, tmp_path / str(window[0]), **options)
        header = MapStore.open(report.store).headers[0]
        assert header.slices is not None
        for k in range(3):
            _, output = by_hand(model, picture_by_hand(array[:, :, k].T, *window)[None])
            np.testing.assert_allclose(header.slices.output[k], output, atol=2e-5)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 40),
    st.integers(1, 5),
    st.sampled_from(["mean", "max", "noisy-or"]),
    st.integers(0, 2**31),
)
def test_pooling_is_its_formula(slices: int, classes: int, pool: str, seed: int) -> None:
    from fastcam.store.pooling import pooled_probability

    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(np.full(classes, 0.5), slices) if classes > 1 else rng.random((slices, 1))
    shares = drawn.astype(np.float32)
    found, predicted = pooled_probability(shares, pool)
    wanted = []
    for k in range(classes):
        values = [float(p) for p in shares[:, k]]
        none = 1.0
        for value in values:
            none *= 1.0 - value
        wanted.append(
            {"mean": sum(values) / slices, "max": max(values), "noisy-or": 1 - none}[pool]
        )
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    if classes == 1:  # of one output between two classes the second's
        assert predicted == (wanted[0] >= 0.5) or abs(wanted[0] - 0.5) < 1e-6
    else:
        assert wanted[predicted] >= max(wanted) - 1e-12


def test_the_rule_can_change_without_another_run(tmp_path: Path) -> None:
    root, model = volumes(tmp_path), model_of()
    run(model, root, tmp_path / "out")
    seen = model.seen
    report = run(model, root, tmp_path / "out", pool="max")
    assert (report.done, report.already, model.seen) == (0, 12, seen)
    store = MapStore.open(report.store)
    for header in store.headers:
        assert header.slices is not None
        np.testing.assert_allclose(
            header.probabilities, header.slices.probability.max(axis=0), atol=1e-6
        )


def test_a_regression_is_pooled_by_its_values(tmp_path: Path) -> None:
    root, model = volumes(tmp_path), model_of(classes=1)
    header = MapStore.open(run(model, root, tmp_path / "mean").store).headers[0]
    assert header.slices is not None
    assert header.prediction is None
    np.testing.assert_allclose(header.output[0], header.slices.output.mean(), atol=1e-6)
    header = MapStore.open(run(model, root, tmp_path / "max", pool="max").store).headers[0]
    assert header.slices is not None
    np.testing.assert_allclose(header.output[0], header.slices.output.max(), atol=1e-6)
    with pytest.raises(InputError, match="noisy-or is for probabilities"):
        run(model, root, tmp_path / "or", pool="noisy-or")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stopped_run_goes_on_in_the_middle_of_a_volume(tmp_path: Path, workers: int) -> None:
    root, model = volumes(tmp_path), model_of()
    with pytest.raises(KeyboardInterrupt):
        run(
            model, root, tmp_path / "a", batch_size=2, workers=workers, progress=StoppingProgress(5)
        )
    store = MapStore.open(tmp_path / "a" / "run.zarr")
    left = 2 * len(store.unfinished())
    assert 0 < left < 12
    assert store.headers[0].status == "done"
    assert store.headers[2].status == "open"
    with pytest.raises(CaseError, match="run fastcam infer again"):
        store.map("gradcam/second", 2)
    report = run(model, root, tmp_path / "a", batch_size=2, workers=workers)
    assert (report.already, report.done) == (12 - left, left)
    whole = MapStore.open(run(model, root, tmp_path / "b", batch_size=2).store)
    store = MapStore.open(report.store)
    for index in range(3):
        np.testing.assert_allclose(
            store.map("gradcam/second", index), whole.map("gradcam/second", index), atol=1e-5
        )


@pytest.mark.parametrize("workers", [0, 1])
def test_a_volume_that_cannot_be_read_costs_itself_only(tmp_path: Path, workers: int) -> None:
    root, model = volumes(tmp_path), model_of()
    load(root / "v1.nii.gz").to_filename(root / "v1.nii")
    (root / "v1.nii.gz").unlink()
    (root / "v1.nii").write_bytes((root / "v1.nii").read_bytes()[:-200])
    (root / "v3.nii.gz").write_bytes(b"nothing")
    report = run(model, root, tmp_path / "out", workers=workers)
    assert report.exit_code == 3
    store = MapStore.open(report.store)
    assert [header.status for header in store.headers] == ["done", "failed", "done", "failed"]
    rows = list(csv.DictReader((tmp_path / "out" / "failures.csv").open()))
    assert [(row["case"], row["slice"], row["figures"]) for row in rows] == [
        ("v1", "", "3"),
        ("v3", "", "1"),
    ]
    assert "truncated" in rows[0]["reason"]


def test_a_slice_without_a_finite_answer_costs_itself_only(tmp_path: Path) -> None:
    class Sometimes(Small):
        def forward(self, x: Tensor) -> Tensor:
            found = super().forward(x)
            bright = x.mean((1, 2, 3)) > 1.0
            return torch.where(bright[:, None], torch.nan, found)

    root = tmp_path / "images"
    root.mkdir()
    array = np.random.default_rng(0).integers(0, 100, (20, 18, 4)).astype(np.int16)
    array[:, :, 2] = 100
    save(root / "a.nii.gz", array)
    report = run(Sometimes().eval(), root, tmp_path / "out")
    header = MapStore.open(report.store).headers[0]
    assert header.status == "done"
    assert header.slices is not None
    assert header.slices.index.tolist() == [0, 1, 3]
    assert [(f.case, f.slice) for f in report.failures] == [("a", 2)]
    drawn = render(
        report.store, output_dir=tmp_path / "figures", mode="all_slices", workers=1, panel_size=32
    )
    assert drawn.exit_code == 0
    names = sorted(p.name[:8] for p in (tmp_path / "figures" / "001_a").glob("slice*"))
    assert names == ["slice000", "slice001", "slice003"]
