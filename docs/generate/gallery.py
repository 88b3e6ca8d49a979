"""The gallery: every kind of figure, with the command that made it, from data that fastcam makes.

python -m docs.generate.gallery        # also writes the README's pictures into docs/images
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from docs.generate.cache import ROOT, cached

README_IMAGES = ROOT / "docs" / "images"
_LONGEST = 1400  # pixels of a picture's longer side on the page
_README_WIDTH = 900


@dataclass(frozen=True)
class Picture:
    """``path``: a pattern in the working folder; ``readme``: its name in docs/images, if it is
    one of the README's."""

    path: str
    text: str
    readme: str = ""


@dataclass(frozen=True)
class Entry:
    """A heading, the commands that are run one after the other, and pictures that they made."""

    title: str
    commands: tuple[str, ...]
    pictures: tuple[Picture, ...]


_MAKE_DATA = """
import sys
from pathlib import Path
from fastcam.demo import age_net
from fastcam.demo.age_set import make_ages, write_ages
from fastcam.demo.neck_set import make_test_set
from fastcam.demo.shapes_set import make_shapes
from fastcam.demo.train_age import HELD_OUT_SEED, train
from fastcam.demo.vit import HELD_OUT_SEED as SHAPES_SEED, WEIGHTS, write_images
from fastcam.models.training import save_weights
import shutil

make_test_set(Path("neck"), cases=8, slices=24, size=224)
write_images(make_shapes(12, SHAPES_SEED), Path("shapes"), 4)
shutil.copy(WEIGHTS, "vit.safetensors")
shutil.copy(age_net.__file__, "age_net.py")
save_weights(train()[0], Path("age.safetensors"))
write_ages(make_ages(80, HELD_OUT_SEED), Path("faces"))
import csv
for row in csv.DictReader(open("faces/characteristics.csv")):
    age = float(row["age"])
    group = "young" if age < 35 else "old" if age > 65 else ""
    if group:
        target = Path("groups") / group / row["image"]
        target.parent.mkdir(parents=True, exist_ok=True)
        source = next(Path("faces/Images").glob(Path(row["image"]).stem + ".*"))
        shutil.copy(source, target.with_suffix(source.suffix))
"""
_VIT = "--model vit_tiny_heads4 --checkpoint vit.safetensors"
_AGE = "--model age_net.py:AgeNet --checkpoint age.safetensors"

ENTRIES = (
    Entry(
        "Patch attention",
        (
            "fastcam render neck/results.pkl --root-dir neck/images --mask-dir neck/masks "
            "--output-dir figures --analyze-stats",
        ),
        (
            Picture(
                "figures/001_*.png",
                "The slice, the mask, the attention, and the attention over the slice. The header "
                "is green, since the prediction was right.",
                "patch_attention.webp",
            ),
            Picture(
                "figures/005_*.png",
                "A wrong prediction: the header is red, and the attention lies elsewhere.",
            ),
            Picture(
                "figures/statistics.png",
                "`--analyze-stats`: how concentrated the attention is, right predictions against "
                "wrong ones.",
            ),
        ),
    ),
    Entry(
        "Patch attention for print",
        (
            "fastcam render neck/results.pkl --root-dir neck/images --mask-dir neck/masks "
            "--output-dir paper --patient neck_001 --colormap viridis --theme dark --top-k 5",
        ),
        (Picture("paper/001_*.png", "A perceptually uniform color map, on a dark background."),),
    ),
    Entry(
        "CAMs of a test set",
        (
            f"fastcam infer faces/Images {_AGE} --method gradcam --method layercam "
            "--mask-dir faces/Masks --output-dir run",
            "fastcam render run/run.zarr --output-dir maps --max-samples 4",
        ),
        (
            Picture(
                "maps/001_*.png",
                "A row for each map: image, heat, overlay. The mask's outline is red.",
                "cam.webp",
            ),
        ),
    ),
    Entry(
        "A few images explained",
        (
            f"fastcam explain shapes/01_disc.png {_VIT} --method gradcam --method legrad "
            "--method attention --method rollout --method integrated-gradients "
            "--output-dir explained",
        ),
        (
            Picture(
                "explained/01_disc_explained.png",
                "Several methods; `--method all` draws every one that the model has.",
            ),
        ),
    ),
    Entry(
        "A test set evaluated",
        (
            f"fastcam evaluate {_AGE} --image-dir faces/Images --table faces/characteristics.csv "
            "--target age --output-dir evaluation --faithfulness --faithfulness-images 8",
        ),
        (
            Picture(
                "evaluation/evaluation_results.png",
                "Predicted against true values, and the errors' distribution.",
                "evaluation.webp",
            ),
            Picture("evaluation/bland_altman.png", "Difference against mean."),
            Picture("evaluation/age_group_comparison.png", "Errors by group of the true value."),
            Picture("evaluation/gradcam_best_sample.png", "The best prediction."),
            Picture("evaluation/gradcam_worst_sample.png", "The worst."),
            Picture(
                "evaluation/localization.png",
                "How much of the maps lies inside the masks, beside chance.",
            ),
            Picture(
                "evaluation/faithfulness.png",
                "Deletion and insertion beside random maps and the centered-blob baseline; "
                "cascading randomization.",
                "faithfulness.webp",
            ),
        ),
    ),
    Entry(
        "Seven views of a Vision Transformer",
        (f"fastcam vit shapes/04_cross.png {_VIT} --output-dir views",),
        (
            Picture("views/vis_1_*.png", "The patches, numbered."),
            Picture("views/vis_2_*.png", "Similarity of the position embeddings."),
            Picture("views/vis_3_*.png", "CLS attention by layer.", "vit_attention.webp"),
            Picture("views/vis_4_*.png", "All heads of a layer."),
            Picture("views/vis_5_*.png", "Attention distance of every head."),
            Picture("views/vis_6_*.png", "The CLS token through the layers."),
            Picture("views/vis_7_*.png", "Attention rollout."),
        ),
    ),
    Entry(
        "Layers, classes and models compared",
        (
            "fastcam analyze --model age_net.py:AgeNet --checkpoint age.safetensors "
            "--images groups --output-dir analysis",
        ),
        (
            Picture("analysis/layer_comparison/*.png", "All layers of an image."),
            Picture(
                "analysis/class_comparison/*.png",
                "Mean maps of two classes over their mean images, and the difference.",
            ),
        ),
    ),
    Entry(
        "Reconstruction of a few-shot network",
        (
            "python -m fastcam.demo.train_fewshot --output fewshot.safetensors --episodes 250 "
            "--held-out 1 --pictures episode",
            "fastcam explain episode/query/01_*.png --model fewshot_vit "
            "--checkpoint fewshot.safetensors --support episode/support --output-dir fewshot",
        ),
        (
            Picture(
                "fewshot/*_explained.png",
                "Where in each class's support the query finds itself, and what is left over.",
            ),
        ),
    ),
)


def makers() -> list[Callable[[], Path]]:
    """What makes the entries, to be called in any order; each gives the folder of its pictures."""
    _data()
    return [partial(_made, number, entry) for number, entry in enumerate(ENTRIES)]


def page() -> Path:
    """The folder with ``gallery.md``, which shows the pictures of all entries."""
    parts = [(make() / "part.md").read_text(encoding="utf-8") for make in makers()]
    text = "\n".join([_HEAD, *parts])

    def write(folder: Path) -> None:
        (folder / "gallery.md").write_text(text, encoding="utf-8")

    return cached("gallery-page", (text,), write)


def _made(number: int, entry: Entry) -> Path:
    """The folder with the entry's part of the page, ``part.md``, and its pictures."""

    def make(folder: Path) -> None:
        commands = "\n".join(map(_wrapped, entry.commands))
        lines = [f"## {entry.title}", "", "```bash", commands, "```", ""]
        (folder / "gallery").mkdir()
        (folder / "readme").mkdir()
        with tempfile.TemporaryDirectory() as temporary:
            work = Path(temporary)
            for path in _data().iterdir():
                (work / path.name).symlink_to(path)
            for command in entry.commands:
                _run(["bash", "-c", command], work)
            for index, picture in enumerate(entry.pictures):
                name = f"gallery/{number:02d}-{index}.webp"
                source = sorted(work.glob(picture.path))[0]
                _shrink(source, folder / name, _LONGEST)
                if picture.readme:
                    _shrink(source, folder / "readme" / picture.readme, _README_WIDTH)
                lines += [f"![{picture.text}]({name})", "", f"*{picture.text}*", ""]
        (folder / "part.md").write_text("\n".join(lines), encoding="utf-8")

    return cached(f"gallery-{number:02d}", (repr(entry), str(number), _MAKE_DATA), make)


def _data() -> Path:
    """The folder with the data and the models that the commands use."""
    return cached(
        "gallery-data",
        (_MAKE_DATA,),
        lambda folder: _run([sys.executable, "-c", _MAKE_DATA], folder),
    )


def _run(command: list[str], folder: Path) -> None:
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": beside, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)[:300]}\n{done.stdout}{done.stderr}")


def _shrink(source: Path, target: Path, longest: int) -> None:
    """The picture with at most ``longest`` pixels a side, as WebP: PNG files of colored maps are
    five times as large, and with fewer colors their color bars would lie."""
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    picture.save(target, quality=88, method=6)


def _wrapped(command: str) -> str:
    """A long command as a shell reads it over several lines."""
    lines = [""]
    for word in command.split():
        if len(lines[-1]) + len(word) > 88:
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return " \\\n".join(lines)


_HEAD = """# Gallery

Every kind of figure with the command that made it. The site's build runs these commands, on data
and models that fastcam makes itself.
"""


if __name__ == "__main__":
    README_IMAGES.mkdir(exist_ok=True)
    for maker in makers():
        for path in sorted(maker().glob("readme/*.webp")):
            shutil.copy(path, README_IMAGES / path.name)
