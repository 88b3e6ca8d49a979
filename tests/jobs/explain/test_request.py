"""Which methods run together, at which layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastcam.attribution.request import METHODS
from fastcam.errors import InputError
from fastcam.jobs.explain.request import (
    ExplainRequest,
    checkpoint_labels,
    layers_of,
    model_labels,
    steps_of,
)


def steps(*methods: str, layers: tuple[str, ...] = (), support: bool = False) -> list[str]:
    request = ExplainRequest(methods=methods, layers=layers_of(layers, methods))
    return [str(step) for step in steps_of(request, support)]


@pytest.mark.parametrize(
    ("methods", "layers", "said"),
    [
        (["gradcam", "layercam"], [], ["gradcam, layercam"]),
        (["gradcam"], ["a", "b"], ["gradcam at a, b"]),
        (["attention"], ["0", "-1", "blocks.2"], ["attention at 0, -1, blocks.2"]),
        # Names are for CAMs, numbers for attention; the order of the methods is kept.
        (["attention", "gradcam"], ["0", "a"], ["attention at 0", "gradcam at a"]),
        (["gradcam", "attention", "layercam"], ["a"], ["gradcam, layercam at a", "attention"]),
        (["gradcam", "layercam"], ["gradcam=a", "layercam=b"], ["gradcam at a", "layercam at b"]),
        (["window", "attention"], ["window=1", "2"], ["window at 1", "attention at 2"]),
        (["rollout", "attention"], ["3"], ["rollout", "attention at 3"]),
    ],
)
def test_steps(methods: list[str], layers: list[str], said: list[str]) -> None:
    assert steps(*methods, layers=tuple(layers)) == said


def test_all_are_all_but_the_slow_ones() -> None:
    request = ExplainRequest(methods=("all",))
    methods = [method for step in steps_of(request, False) for method in step.methods]
    slow = ("scorecam", "ablationcam", "occlusion", "rise")
    assert sorted([*methods, *slow]) == sorted(METHODS)
    assert steps("all", support=True)[-1] == "reconstruction"


@pytest.mark.parametrize(
    ("methods", "support", "said"),
    [
        (["gradcamm"], False, "--method 'gradcamm' is not known"),
        (["gradcam", "gradcam"], False, "given twice"),
        (["reconstruction", "reconstruction"], True, "given twice"),
        (["all", "gradcam"], False, "stands alone; leave out gradcam"),
        (["reconstruction"], False, "give one at least, --support"),
        (["gradcam"], True, "--support is for --method reconstruction"),
    ],
)
def test_what_does_not_go_together(methods: list[str], support: bool, said: str) -> None:
    with pytest.raises(InputError, match=said):
        steps(*methods, support=support)


@pytest.mark.parametrize(
    ("layer", "said"), [("layercam=a", "not among the methods"), ("gradcam=", "names no layer")]
)
def test_layers_of_no_method(layer: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        layers_of([layer], ["gradcam"])


@pytest.mark.parametrize(
    ("pairs", "labels"),
    [
        ([("a", "x.pth")], [""]),
        ([("a", "x.pth"), ("b", "x.pth")], ["a", "b"]),
        ([("a", "x.pth"), ("a", "y.pth")], ["x", "y"]),
        ([("a", "1/best.pth"), ("a", "2/best.pth")], ["1/best", "2/best"]),
        ([("a", "1/best.pth"), ("a", "1/best.pt")], ["1/best.pth", "1/best.pt"]),
    ],
)
def test_labels_of_models(pairs: list[tuple[str, str]], labels: list[str]) -> None:
    assert model_labels([(model, Path(file)) for model, file in pairs]) == labels


@pytest.mark.parametrize(
    ("first", "second", "labels"),
    [
        (None, None, ("random weights", "")),
        ("1/best.pth", None, ("best", "")),
        (None, "1/best.pth", ("random weights", "best")),
        ("a.pth", "b.pth", ("a", "b")),
        ("a.pth", "a.pt", ("a.pth", "a.pt")),
        ("1/a.pth", "2/a.pth", ("1/a", "2/a")),
        ("x/1/a.pth", "y/1/a.pth", ("x/1/a.pth", "y/1/a.pth")),
        ("a.pth", "a.pth", ("a", "a")),
    ],
)
def test_labels_of_two_checkpoints(
    first: str | None, second: str | None, labels: tuple[str, str]
) -> None:
    paths = [None if name is None else Path(name) for name in (first, second)]
    assert checkpoint_labels(paths[0], paths[1]) == labels
