"""Files of every format, damaged at random: no traceback, no hang, no wrong exit code."""

from __future__ import annotations

import itertools
import json
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from PIL import Image
from safetensors.torch import save_file

import fastcam
from fastcam.read.volumes.volumes import open_volume
from tests.campaign.forked import run_forked
from tests.campaign.material import Material, fresh_results
from tests.campaign.tally import Tally
from tests.stored_volumes import write_series

_INTERESTING = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"-",
    b"9" * 40,
    b"\xff" * 8,
    b"\n",
    b'"',
    b"\0" * 64,
)
_SECONDS = 20.0
# 1 where all cases failed, as the only one does.
_LONE = (0, 1, 2, 3)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """``data`` with one to eight changes: of bits and bytes, cut, doubled, moved."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        # Headers are where it matters.
        at = rng.randrange(min(len(result), 400) if rng.random() < 0.6 else len(result))
        length = rng.choice((1, 2, 4, 8, 64, 1024))
        kind = rng.randrange(7)
        if kind == 0:
            result[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            piece = rng.choice(_INTERESTING)
            result[at : at + len(piece)] = piece
        elif kind == 2:
            result[at:at] = rng.choice(_INTERESTING)
        elif kind == 3:
            del result[at : at + length]
        elif kind == 4:
            result[at:at] = result[at : at + length]
        elif kind == 5:
            result[at : at + length] = rng.randbytes(length)
        elif rng.random() < 0.4:
            del result[at:]
        if not result:
            return b""
    return bytes(result)


def damage(path: Path, rng: random.Random) -> None:
    """Change a file, or one of those in a folder; rarely it is emptied or removed."""
    if path.is_dir():
        path = rng.choice(sorted(file for file in path.rglob("*") if file.is_file()))
    chance = rng.random()
    if chance < 0.02:
        path.unlink()
    elif chance < 0.04:
        path.write_bytes(b"")
    else:
        path.write_bytes(mutated(path.read_bytes(), rng))


class Formats:
    """A good file of each format, and the command that reads it."""

    def __init__(self, material: Material, folder: Path) -> None:
        self._material = material
        self._folder = folder
        record = fresh_results(material)[0]
        self._name = str(record["patient_name"])
        volume = next(path for path in material.volumes.iterdir() if self._name in path.name)
        self._voxels = open_volume(volume).voxels.astype(np.int16)
        self.commands: dict[str, tuple[Path, Callable[[Path], list[Any]], tuple[int, ...]]] = {}
        self._add_volumes([record])
        self._add_results()
        self._add_images()
        self._add_tables()
        self._add_weights()
        self._commands_of_stores()

    def _add(
        self, kind: str, path: Path, command: Callable[[Path], list[Any]], *codes: int
    ) -> None:
        self.commands[kind] = path, command, codes

    def _new(self, kind: str) -> Path:
        path = self._folder / f"good-{kind}"
        path.mkdir(parents=True)
        return path

    def _add_volumes(self, records: list[dict[str, Any]]) -> None:
        results = self._folder / "one.pkl"
        self._folder.mkdir(parents=True, exist_ok=True)
        results.write_bytes(pickle.dumps(records))
        name, voxels = self._name, self._voxels
        pages = [Image.fromarray((layer & 255).astype(np.uint8)) for layer in voxels]

        def command(root: Path) -> list[Any]:
            out = ["--panel-size", 48, "--workers", 1, "--output-dir", "out"]
            return ["render", results, "--root-dir", root, "--mode", "all_slices", *out]

        def save_itk(path: Path) -> None:
            import SimpleITK

            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path))

        def slices(path: Path) -> None:
            path.mkdir()
            for number, page in enumerate(pages):
                page.save(path / f"{number:03}.jpg")

        writers: dict[str, Callable[[Path], Any]] = {
            ".nii": lambda path: nib.save(nib.Nifti1Image(voxels.T, np.eye(4)), path),
            ".nii.gz": lambda path: nib.save(nib.Nifti1Image(voxels.T, np.eye(4)), path),
            ".npy": lambda path: np.save(path, voxels),
            ".npz": lambda path: np.savez_compressed(path, voxels=voxels),
            ".tif": lambda path: pages[0].save(path, save_all=True, append_images=pages[1:]),
            ".nrrd": save_itk,
            ".mha": save_itk,
            "/jpg": lambda path: slices(path.parent),
            "/dcm": lambda path: write_series(path.parent, voxels, np.eye(4)),
        }
        for suffix, write in writers.items():
            folder = self._new(f"volume-{suffix[1:]}")
            write(folder / f"{name}{suffix}")
            self._add(f"volume {suffix[1:]}", folder, command, *_LONE)

    def _add_results(self) -> None:
        records = fresh_results(self._material)
        plain = json.dumps(records, default=lambda value: np.asarray(value).tolist())
        folder = self._new("results")
        (folder / "results.json").write_text(plain, encoding="utf-8")
        shutil.copy(self._material.results, folder / "results.pkl")
        np.savez_compressed(folder / "results.npz", **_flat(records))
        for suffix in ("json", "pkl", "npz"):
            own = self._new(f"results-{suffix}")
            shutil.copy(folder / f"results.{suffix}", own)

            def command(path: Path, suffix: str = suffix) -> list[Any]:
                sources = ["--root-dir", self._material.volumes, "--workers", 1]
                out = ["--panel-size", 48, "--output-dir", "out"]
                return ["render", path / f"results.{suffix}", *sources, *out]

            self._add(f"results {suffix}", own, command, *_LONE)

    def _add_images(self) -> None:
        first = Image.open(sorted(self._material.images.iterdir())[0])
        for suffix in ("png", "jpg", "tif"):
            folder = self._new(f"image-{suffix}")
            first.save(folder / f"one.{suffix}")
            self._add(f"image {suffix}", folder, self._infer, *_LONE)

    def _infer(self, images: Path) -> list[Any]:
        command = self._material.commands()["infer"]
        return ["infer", images, *command[2:], "--output-dir", "out"]

    def _add_tables(self) -> None:
        table = pd.read_csv(self._material.table, dtype={"image": str})
        writers: dict[str, Callable[[Path], Any]] = {
            "csv": lambda path: table.to_csv(path, index=False),
            "xlsx": lambda path: table.to_excel(path, index=False),
            "parquet": lambda path: table.to_parquet(path, index=False),
            "ods": lambda path: _write_ods(path, [list(table), *table.to_numpy().tolist()]),
        }
        for suffix, write in writers.items():
            folder = self._new(f"table-{suffix}")
            write(folder / f"table.{suffix}")

            def command(path: Path, suffix: str = suffix) -> list[Any]:
                good = self._material.commands()["evaluate"]
                index = good.index("--table") + 1
                table = path / f"table.{suffix}"
                return [*good[:index], table, *good[index + 1 :], "--output-dir", "out"]

            self._add(f"table {suffix}", folder, command, 0, 2, 3)

    def _add_weights(self) -> None:
        model = fastcam.load_model(
            f"{self._material.folder / 'tiny.py'}:tiny", self._material.weights
        )
        for suffix in ("safetensors", "pth"):
            folder = self._new(f"weights-{suffix}")
            if suffix == "pth":
                shutil.copy(self._material.weights, folder / "weights.pth")
            else:
                save_file(model.state_dict(), folder / "weights.safetensors")

            def command(path: Path, suffix: str = suffix) -> list[Any]:
                good = self._material.commands()["infer"]
                index = good.index("--checkpoint") + 1
                weights = path / f"weights.{suffix}"
                return [*good[:index], weights, *good[index + 1 :], "--output-dir", "out"]

            self._add(f"weights {suffix}", folder, command, 0, 2)

    def _commands_of_stores(self) -> None:
        folder = self._new("store")
        shutil.copytree(self._material.store, folder / "run.zarr")

        def render(path: Path) -> list[Any]:
            out = ["--panel-size", 48, "--workers", 1, "--output-dir", "out"]
            return ["render", path / "run.zarr", *out]

        self._add("store, render", folder, render, 0, 2, 3)
        self._add("store, inspect", folder, lambda path: ["inspect", path / "run.zarr"], 0, 2)
        self._add(
            "store, export",
            folder,
            lambda path: ["export", path / "run.zarr", "--output-dir", "out"],
            *(0, 2, 3),
        )


def run(material: Material, folder: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """One damaged file after the other, for ever, all formats in turn."""
    formats = Formats(material, folder / "formats")
    for number in itertools.count():
        order = rng.sample(sorted(formats.commands), len(formats.commands))
        for kind in order:
            good, command, codes = formats.commands[kind]
            work = folder / f"{number:05}-{kind.replace(' ', '-').replace(',', '')}"
            work.mkdir(parents=True)
            bad = work / "bad"
            shutil.copytree(good, bad)
            damage(bad, rng)
            ended = run_forked(command(bad), work)
            fault = ended.fault(codes)
            if not fault and ended.seconds > _SECONDS:
                fault = f"took {ended.seconds:.1f} s"
            tally.add(f"damaged {kind}", fault, str(work) if fault else "")
            if fault:
                _keep(bad)
            shutil.rmtree(work)
            yield


def _keep(bad: Path) -> None:
    """A copy of a damaged file that something went wrong with, to be looked at."""
    kept = Path.cwd() / "build" / "campaign" / bad.parent.name
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(bad, kept)


def _flat(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Results as the arrays of an ``.npz``."""
    classes = sorted(key for key in records[0] if key.startswith("prob_class_"))
    per_case = ("patient_name", "true_label", "predicted_label", "is_correct", "confidence")
    patches = [patch for record in records for patch in record["positions"]]
    return {
        **{name: np.array([record[name] for record in records]) for name in per_case},
        "num_patches": np.array([record["num_patches"] for record in records]),
        "prob": np.array([[record[name] for name in classes] for record in records], float),
        "attention_weights": np.concatenate([record["attention_weights"] for record in records]),
        "bbox": np.array([patch["bbox"] for patch in patches], np.int32),
        "slice_idx": np.array([patch["slice_idx"] for patch in patches], np.int32),
    }


def _write_ods(path: Path, rows: list[list[Any]]) -> None:
    """A table as LibreOffice saves it, the necessary parts of it."""
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    lines = [
        f"<table:table-row>{''.join(cell.format(value) for value in row)}</table:table-row>"
        for row in rows
    ]
    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text")
    )
    content = (
        f"<office:document-content{names}><office:body><office:spreadsheet>"
        f'<table:table table:name="one">{"".join(lines)}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
