"""Targets of detectors against autograd by hand, and a formula in plain Python."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import answers_of, pixel_logits
from fastcam.attribution.box_target import BoxTarget, boxes_in
from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.cam.features import FeatureEngine
from fastcam.attribution.cam.layers import default_layers
from fastcam.attribution.cam.stages import stage_layers
from fastcam.attribution.detection import (
    Detections,
    DetectionTargets,
    detections_in,
    iou,
    matching_scores,
)
from fastcam.attribution.gradients.engine import GradientEngine
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.perturbations.engine import PerturbationEngine
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError

from ..torchvision_import import OPERATORS, torchvision
from .detectors import (
    CELL,
    SquareDetector,
    random_squares,
    square_images,
    trained_detector,
)

LAYER = "backbone.2"


def _targets(*texts: str) -> DetectionTargets:
    return DetectionTargets(tuple(map(BoxTarget.parse, texts)))


@pytest.mark.parametrize(
    ("text", "rank", "label"),
    [("box:best", 1, None), ("box:1", 1, None), ("box:12", 12, None), ("box:label:3", 1, 3)],
)
def test_a_target_is_read(text: str, rank: int, label: int | None) -> None:
    target = BoxTarget.parse(text)
    assert target == BoxTarget(rank, label)
    assert BoxTarget.parse(str(target)) == target
    assert boxes_in(text) == boxes_in([text]) == boxes_in([[text]]) == (target,)


@pytest.mark.parametrize("text", ["box:", "box:0", "box:-1", "box:label:", "box:label:a", "box:b"])
def test_what_is_no_target_says_what_is(text: str) -> None:
    with pytest.raises(InputError, match="give box:best"):
        BoxTarget.parse(text)


def test_boxes_go_with_nothing_else() -> None:
    assert boxes_in([3, 4]) == boxes_in(["seg:1"]) == boxes_in(None) == ()
    with pytest.raises(InputError, match="give one kind"):
        boxes_in([3, "box:best"])
    with pytest.raises(InputError, match="give box:best"):
        boxes_in(["box:best", "seg:1"])
    for options, words in (
        ({"classes": (1,)}, "give one kind"),
        ({"augmentation": "flips"}, "--tta and --target box:best"),
    ):
        with pytest.raises(InputError, match=words):
            MapRequest(boxes=(BoxTarget(),), **options)
    with pytest.raises(InputError, match="given twice"):
        MapRequest(boxes=(BoxTarget(), BoxTarget.parse("box:1")))


def _hirescam(model: SquareDetector, image: Tensor, cell: tuple[int, int, int]) -> Any:
    """Σ_k A_k ∂s/∂A_k of the score of ``cell`` (label, row, column), by hand."""
    activations = model.backbone(image).detach().requires_grad_()
    score = model.head(activations).sigmoid()[0][cell]
    (gradient,) = torch.autograd.grad(score, activations)
    return (activations * gradient).sum(1)[0].detach(), score.item()


def test_maps_of_a_trained_detector() -> None:
    """Against autograd, and against where the squares are."""
    model = trained_detector()
    images, cells = random_squares(24, np.random.default_rng(9))
    targets = _targets("box:best", "box:label:0", "box:label:1")
    result = CamEngine(model, [LAYER], ["hirescam"], targets=targets)(images)
    assert result.boxes is not None
    checked = 0
    for row in range(len(images)):
        assert set(result.boxes[row, 1:, 4].tolist()) <= {0.0, 1.0, -1.0}
        for column in range(3):
            x, y, _, _, label, score = result.boxes[row, column].tolist()
            found = result.maps[f"hirescam/{LAYER}"][row, column]
            if label < 0:
                # No such square is there, and none was found.
                assert not cells[row, column - 1].any()
                continue
            cell = int(label), int(y) // CELL, int(x) // CELL
            assert cells[row][cell] == 1
            expected, own_score = _hirescam(model, images[row : row + 1], cell)
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
            assert score == pytest.approx(own_score, abs=1e-6)
            assert divmod(int(found.argmax()), found.shape[1]) == cell[1:]
            checked += 1
    assert checked > 40


@pytest.mark.parametrize("form", ["list", "tuple", "named", "mapping"])
def test_maps_are_of_the_score_of_the_box(form: str) -> None:
    model, images = SquareDetector(form), square_images()
    targets = _targets("box:best", "box:2", "box:label:1")
    result = CamEngine(model, [LAYER], ["hirescam"], targets=targets)(images)
    maps = result.maps[f"hirescam/{LAYER}"]
    assert maps.shape == (3, 3, 4, 4)
    assert result.boxes is not None
    assert result.targets is not None
    bright, dark, second = (0, 1, 2), (1, 3, 0), (0, 0, 1)
    wanted: list[list[Any]] = [[bright, dark, dark], [second, None, None], [None, None, None]]
    for row, cells in enumerate(wanted):
        for column, cell in enumerate(cells):
            box = result.boxes[row, column].tolist()
            if cell is None:
                assert not maps[row, column].any()
                assert box == [0, 0, 0, 0, -1, 0]
                continue
            label, y, x = cell
            expected, score = _hirescam(model, images[row : row + 1], cell)
            torch.testing.assert_close(maps[row, column], expected, atol=1e-6, rtol=1e-5)
            corners = [x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL]
            assert box[:5] == [*corners, label]
            assert box[5] == pytest.approx(score)
    assert result.targets.tolist() == [[0, 1, 1], [0, -1, -1], [-1, -1, -1]]
    torch.testing.assert_close(result.output, result.boxes[..., 5])


def test_gradients_of_the_input_and_a_batch_without_boxes() -> None:
    model, images = SquareDetector(), square_images()
    engine = GradientEngine(model, ["saliency", "smoothgrad"], targets=_targets("box:best"))
    saliency = engine(images).maps["saliency"]
    leaf = images.clone().requires_grad_()
    scores = model.head(model.backbone(leaf)).sigmoid()
    (gradient,) = torch.autograd.grad(scores[0, 0, 1, 2] + scores[1, 0, 0, 1], leaf)
    torch.testing.assert_close(saliency, gradient[:, 0].abs())
    alone = engine(images[2:])
    assert not any(values.any() for values in alone.maps.values())


def test_an_analysis_explains_the_box() -> None:
    model, images = SquareDetector(), square_images()
    request = MapRequest(("hirescam", "eigencam"), (LAYER, "backbone.0"), boxes=(BoxTarget(),))
    result = FeatureEngine(model, request, "no", compiled=False)(images)
    known = CamEngine(model, [LAYER], ["hirescam"], targets=_targets("box:best"))(images)
    assert result.boxes is not None
    assert known.boxes is not None
    torch.testing.assert_close(result.boxes, known.boxes)
    for row, cell in enumerate(((0, 1, 2), (0, 0, 1))):
        expected, score = _hirescam(model, images[row : row + 1], cell)
        torch.testing.assert_close(
            result.maps[f"hirescam/{LAYER}"][row], expected, atol=1e-6, rtol=1e-5
        )
        assert result.output[row].tolist() == pytest.approx([score])
    assert not result.maps[f"hirescam/{LAYER}"][2].any()
    assert result.measures is not None
    with torch.no_grad():
        means = model.backbone(images).mean((1, 2, 3))
    torch.testing.assert_close(result.measures[:, 0], means)
    several = replace(request, boxes=(BoxTarget(1), BoxTarget(2)))
    for wrong, halves in ((several, "no"), (request, "plain")):
        with pytest.raises(InputError, match="--target"):
            FeatureEngine(model, wrong, halves, compiled=False)


def test_the_graph_may_end_where_there_is_no_box() -> None:
    class Cut(SquareDetector):
        def forward(self, images: Tensor) -> Any:
            results = super().forward(images)
            for result in results:
                if not len(result["scores"]):
                    result["scores"] = torch.zeros(0)
            return results

    empty = square_images()[2:]
    maps = CamEngine(Cut(), [LAYER], targets=_targets("box:best"))(empty).maps
    assert not maps[f"gradcam/{LAYER}"].any()
    request = MapRequest(layers=(LAYER,), boxes=(BoxTarget(),))
    maps = FeatureEngine(Cut(), request, "no", compiled=False)(empty).maps
    assert not maps[f"gradcam/{LAYER}"].any()
    assert (
        not GradientEngine(Cut(), ["saliency"], targets=_targets("box:1"))(empty)
        .maps["saliency"]
        .any()
    )


def test_occlusion_follows_the_box() -> None:
    """Box and score of a covered image: max IoU · score over the boxes of the label."""
    model, image = SquareDetector(), square_images()[:1]
    settings = MethodSettings(occlusion_size=CELL, occlusion_stride=CELL, pass_size=5)
    engine = PerturbationEngine(
        model, ["occlusion"], targets=_targets("box:best"), settings=settings
    )
    values = engine(image).maps["occlusion"][0, ::CELL, ::CELL]
    whole = model.head(model.backbone(image)).sigmoid()[0, 0, 1, 2].item()
    # Without its square there is no such box any more; the square of another label is none.
    expected = torch.zeros(4, 4)
    expected[1, 2] = whole
    torch.testing.assert_close(values, expected, atol=1e-6, rtol=0)


def test_matches_are_by_overlap_and_label() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 20, (6, 2, 2))
    corners.sort(1)
    boxes = torch.tensor(corners.reshape(6, 4), dtype=torch.float32)
    scores = torch.tensor([0.3, 0.9, 0.2, 0.8, 0.5, 0.6])
    labels = torch.tensor([0, 0, 1, 1, 0, 1])
    wanted = torch.cat([boxes[[0, 3]] + 1.0, torch.tensor([[0.0, 0], [1, 0]])], 1)[None]
    values = matching_scores([Detections(boxes, scores, labels)], wanted)

    def overlap(a: Any, b: Any) -> float:
        width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
        height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
        areas = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
        return width * height / (areas - width * height)

    for column, box in enumerate(wanted[0].tolist()):
        same = [i for i in range(6) if int(labels[i]) == box[4]]
        best = max(overlap(box, boxes[i].tolist()) * float(scores[i]) for i in same)
        assert float(values[0, column]) == pytest.approx(best, abs=1e-6)
    assert float(iou(boxes[:1], boxes[:1])) == pytest.approx(1.0)
    assert float(iou(torch.zeros(1, 4), torch.zeros(1, 4))) == 0.0


def test_what_is_no_detector() -> None:
    logits = torch.zeros(2, 3)
    returned: Any
    for returned in (logits, {"logits": logits}, [logits, logits], None, "boxes", [{"boxes": 1}]):
        assert detections_in(returned, 2) is None
    masks = {"boxes": torch.zeros(2, 4), "scores": torch.zeros(2), "labels": torch.zeros(2)}
    returned = [masks | {"masks": torch.zeros(2, 1, 8, 8)}] * 2
    assert pixel_logits(returned, 2) is None
    assert answers_of(returned, 2).tolist() == [[0.0], [0.0]]
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    with pytest.raises(InputError, match="leave box: out"):
        CamEngine(network, ["0"], targets=_targets("box:best"))(square_images())
    detector = SquareDetector()
    with pytest.raises(InputError, match="--target box:best"):
        CamEngine(detector, [LAYER])(square_images())


@pytest.fixture
def plain_nms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torchvision's own operator can't be loaded, a plain one."""
    if OPERATORS:
        return

    def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
        kept: list[int] = []
        for place in scores.argsort(descending=True).tolist():
            overlaps = iou(boxes[place : place + 1], boxes[kept])
            if not kept or float(overlaps.max()) <= threshold:
                kept.append(place)
        return torch.tensor(kept, dtype=torch.long)

    monkeypatch.setattr(torchvision.ops.boxes, "nms", nms)


@pytest.mark.usefixtures("plain_nms")
def test_a_detector_of_torchvision() -> None:
    torch.manual_seed(0)
    detection = torchvision.models.detection
    backbone = detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, trainable_layers=5
    )
    model = detection.FCOS(
        backbone, 3, score_thresh=0.0, min_size=64, max_size=64, detections_per_img=5,
        topk_candidates=20,
    ).eval()  # fmt: skip
    images = torch.rand(2, 3, 48, 64)
    layer = "backbone.body.layer4"
    assert default_layers(model, images[:1]) == (layer,)
    # None of the feature pyramid, of the heads or of what reads single levels.
    stages = [f"backbone.body.layer{number}.1.conv2" for number in (1, 2, 3, 4)]
    assert stage_layers(model, torch.zeros_like(images[:1])) == tuple(stages)
    targets = _targets("box:best", "box:3", "box:9")
    result = CamEngine(model, [layer], ["hirescam"], targets=targets)(images)
    assert result.boxes is not None
    captured: list[Tensor] = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o: captured.append(o))
    answers = model(images)
    handle.remove()
    for row, answer in enumerate(answers):
        for column, rank in enumerate((0, 2)):
            place = int(answer["scores"].argsort(descending=True)[rank])
            (gradient,) = torch.autograd.grad(
                answer["scores"][place], captured[0], retain_graph=True
            )
            expected = (captured[0] * gradient)[row].sum(0).detach()
            torch.testing.assert_close(
                result.maps[f"hirescam/{layer}"][row, column], expected, atol=1e-6, rtol=1e-4
            )
            torch.testing.assert_close(result.boxes[row, column, :4], answer["boxes"][place])
        assert result.boxes[row, 2].tolist() == [0, 0, 0, 0, -1, 0]


@pytest.mark.usefixtures("plain_nms")
def test_of_ssd_the_layer_before_its_first_level() -> None:
    model = torchvision.models.detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=3, topk_candidates=2
    )
    assert default_layers(model.eval(), torch.rand(1, 3, 64, 64)) == ("backbone.features.0",)
