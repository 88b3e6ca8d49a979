"""Which methods run together, at which layers."""

from __future__ import annotations

import pytest

from fastcam.attribution.request import METHODS
from fastcam.errors import InputError
from fastcam.jobs.explain.request import ExplainRequest, layers_of, steps_of


def steps(*methods: str, layers: tuple[str, ...] = (), support: bool = False) -> list[str]:
    asked = ExplainRequest(methods, layers_of(layers, methods))
    return [str(step) for step in steps_of(asked, support)]


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


def test_all_are_all_but_the_slow_one() -> None:
    asked = ExplainRequest(("all",))
    named = [method for step in steps_of(asked, False) for method in step.methods]
    assert sorted([*named, "scorecam"]) == sorted(METHODS)
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
