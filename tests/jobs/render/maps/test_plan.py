"""Which maps, images and slices of a store are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fastcam_kernels.resize import slice_of
from torch.nn.functional import interpolate

from fastcam.errors import InputError
from fastcam.jobs.render.maps.plan import VolumeHeat, locate_maps, plan_maps
from fastcam.options import MapChoice, Selection, Style
from fastcam.store.map_rows import MapCase, choose_rows
from fastcam.store.maps import MapStore

from .... import sample_map_stores


@pytest.fixture
def store(tmp_path):
    return sample_map_stores.image_store(tmp_path)


def captions(store, **choice):
    return [row.caption for row in choose_rows(store, MapChoice(**choice))]


def test_all_maps_and_the_last_layer_of_attention(store) -> None:
    everything = [
        "gradcam · layer3",
        "gradcam · layer4",
        "attention · blocks.3 · mean of heads",
    ]
    assert captions(store) == everything
    assert captions(store, methods=("gradcam",)) == everything[:2]
    assert captions(store, layers=("layer4",)) == everything[1:2]
    assert captions(store, layers=("blocks.0", "layer3")) == [
        "gradcam · layer3",
        "attention · blocks.0 · mean of heads",
    ]
    assert captions(store, methods=("attention",), head=1) == ["attention · blocks.3 · head 1"]


def test_rows_read_what_they_say(store) -> None:
    attention = store.map("attention", 2)
    (mean,) = choose_rows(store, MapChoice(methods=("attention",), layers=("blocks.1",)))
    assert np.allclose(mean.read(store, 2), attention[1].mean(axis=0))
    (head,) = choose_rows(store, MapChoice(methods=("attention",), head=1))
    assert np.array_equal(head.read(store, 2), attention[3, 1])


def test_a_map_of_several_targets_is_several_rows(tmp_path) -> None:
    maps = {"gradcam/layer4": np.random.default_rng(0).random((2, 3, 4, 4), np.float32)}
    store = sample_map_stores.image_store(tmp_path, labels=("1", "1"), maps=maps, sign="both")
    rows = choose_rows(store, MapChoice())
    assert [row.target for row in rows] == [0, 1, 2]
    assert all(row.signed for row in rows)
    assert np.array_equal(rows[2].read(store, 1), maps["gradcam/layer4"][1, 2])


def test_attention_has_no_sign_and_rollout_no_layer(tmp_path) -> None:
    maps = {
        "rollout": np.ones((1, 4, 4)),
        "attention": np.ones((1, 2, 2, 4, 4)),
        "gradcam/a.b": np.ones((1, 2, 2)),
    }
    store = sample_map_stores.image_store(tmp_path, labels=("",), maps=maps, sign="both")
    assert [row.signed for row in choose_rows(store, MapChoice())] == [False, False, True]
    assert captions(store, layers=("a.b",)) == ["gradcam · a.b"]
    assert captions(store, layers=("a.b",), methods=("rollout", "gradcam")) == [
        "rollout",
        "gradcam · a.b",
    ]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"layers": ("layer44",)}, ("--layer 'layer44'", "layer4")),
        ({"methods": ("gradcamm",)}, ("--method 'gradcamm'", "gradcam")),
        ({"methods": ("attention",), "layers": ("layer4",)}, ("--layer 'layer4'", "blocks.")),
        ({"head": 2}, ("--head 2", "heads 0 to 1")),
    ],
)
def test_wrong_choices(store, choice, words) -> None:
    with pytest.raises(InputError) as error:
        choose_rows(store, MapChoice(**choice))
    assert all(word in str(error.value) for word in words)


def test_a_store_without_a_finished_batch(tmp_path) -> None:
    from fastcam.read.inputs.inputs import Item
    from fastcam.store.new_maps import create_maps

    item = Item("a", "", tmp_path / "a.png")
    store = create_maps(tmp_path / "run.zarr", sample_map_stores.attrs_of(tmp_path), [item], 1)
    with pytest.raises(InputError, match="holds no maps yet"):
        choose_rows(store, MapChoice())


def test_a_store_of_which_all_images_failed(tmp_path) -> None:
    from fastcam.read.inputs.inputs import Item
    from fastcam.run.failures import FAILURES
    from fastcam.store.map_batch import BatchRows
    from fastcam.store.new_maps import create_maps

    items = [Item(name, "", tmp_path / f"{name}.png") for name in "abc"]
    store = create_maps(tmp_path / "run.zarr", sample_map_stores.attrs_of(tmp_path), items, 2)
    store.append(0, BatchRows.failed(("is no picture", "is damaged")))
    with pytest.raises(InputError, match=r"2 images failed, such as a.*1 of 3 aren't run yet"):
        choose_rows(store, MapChoice())
    store.append(1, BatchRows.failed(("is gone",)))
    (tmp_path / FAILURES).write_text("")
    with pytest.raises(InputError) as error:
        choose_rows(MapStore.open(store.path), MapChoice())
    assert str(error.value) == (
        f"{store.path}: holds no maps: all 3 images failed, the first, a, because: is no picture; "
        f"they are listed in {tmp_path / FAILURES}"
    )


@pytest.mark.parametrize(("count", "depth"), [(5, 20), (7, 10), (1, 6), (8, 8), (9, 4)])
def test_slices_of_a_map_are_pytorchs_trilinear_ones(count: int, depth: int) -> None:
    values = np.random.default_rng(1).random((count, 3, 4), np.float32)
    five = torch.from_numpy(values)[None, None]
    expected = interpolate(five, (depth, 3, 4), mode="trilinear", align_corners=False)[0, 0]
    for z in range(depth):
        assert np.allclose(slice_of(values, z, depth), expected[z].numpy(), atol=1e-6)


def test_the_best_slice_holds_the_highest_heat(tmp_path) -> None:
    store = sample_map_stores.volume_store(tmp_path)
    values = np.zeros((5, 3, 3), np.float32)
    values[3, 1, 1], values[1] = 9.0, 2.0
    heat = VolumeHeat(MapCase(store.headers[0]), values, 10, False)
    assert heat.best_slice == 6  # slices 6 and 7 are alike, the first counts
    assert heat.slice_averages[2] == pytest.approx(1.5)  # a quarter of the way to the empty layer
    assert heat.slice_averages[9] == 0.0
    negative = replace(heat, values=-values)
    assert negative.best_slice == 0  # nothing is above 0
    assert replace(heat, values=-values, signed=True).best_slice == 6


def planned(store, mode="best_slice", finished=()):
    rows = choose_rows(store, MapChoice())
    located = locate_maps(store, range(len(store.headers)), None)
    return plan_maps(store, located, rows[0], Selection(mode), Style(), finished)


def test_images_are_planned_one_by_one(store) -> None:
    drawing = planned(store, finished={"002_a1.png"})
    assert [(p.case, p.slices, p.summary) for p in drawing.cases] == [
        (0, (0,), False),
        (2, (0,), False),
    ]
    assert (drawing.planned, drawing.already) == (3, 1)
    assert drawing.cases[0].image == str(store.root / "a0.png")


def test_volumes_are_planned_slice_by_slice(tmp_path) -> None:
    store = sample_map_stores.volume_store(tmp_path)
    best = planned(store)
    assert [len(p.slices) for p in best.cases] == [1, 1]
    every = planned(store, "all_slices")
    assert [p.slices for p in every.cases] == [tuple(range(10))] * 2
    assert all(p.summary for p in every.cases)
    assert every.planned == 20


@pytest.mark.parametrize(
    ("label", "right"), [("1", True), ("0", False), ("", None), ("cat", None), (" 1 ", True)]
)
def test_who_is_right(store, label, right) -> None:
    case = MapCase(replace(store.headers[0], label=label))
    assert case.right is right
    assert case.correct is (right is not False)
    assert MapCase(replace(case.header, prediction=None)).right is None
