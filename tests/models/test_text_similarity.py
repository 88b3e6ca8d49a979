"""CLIP and SigLIP against their own forward, with a small random model and its own tokenizer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import fastcam
from fastcam.errors import InputError
from fastcam.models.text_similarity import TextSimilarity, text_similarity, texts_in
from fastcam.options import Style

from ..torchvision_import import torchvision  # isort: skip
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

assert torchvision

TEXTS = ("a photo of a plaque", "a photo of a healthy artery")
_WORDS = sorted({word for text in TEXTS for word in text.split()})


def _folder(path: Path, kind: str) -> Path:
    torch.manual_seed(0)
    vocabulary = {"<pad>": 0, "<eos>": 1, "<unk>": 2} | {w: 3 + n for n, w in enumerate(_WORDS)}
    shared = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    text: dict[str, Any] = {**shared, "vocab_size": len(vocabulary), "max_position_embeddings": 8,
            "eos_token_id": 1, "pad_token_id": 0, "bos_token_id": 2}  # fmt: skip
    vision: dict[str, Any] = {**shared, "image_size": 32, "patch_size": 8}
    config: Any
    model: Any
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
        model = transformers.CLIPModel(config)
    else:
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        model = transformers.SiglipModel(config)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    model.eval().save_pretrained(path)
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    # CLIP reads a text from its last token.
    tokenizer.post_processor = TemplateProcessing("$A <eos>", None, [("<eos>", 1)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    fast.save_pretrained(path)
    settings = {"do_resize": True, "size": {"height": 32, "width": 32}, "do_normalize": True,
                "image_mean": [0.5] * 3, "image_std": [0.5] * 3}  # fmt: skip
    (path / "preprocessor_config.json").write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_outputs_are_the_models_own(kind: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "model", kind)
    loaded = fastcam.load_model(f"hf:{folder}")
    model = text_similarity(loaded, TEXTS)
    assert isinstance(model, TextSimilarity)
    images = torch.randn(2, 3, 32, 32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    padding = "max_length" if kind == "siglip" else True
    tokens = tokenizer(list(TEXTS), padding=padding, max_length=8, return_tensors="pt")
    arguments = {"input_ids": tokens["input_ids"]}
    if kind == "clip":
        arguments["attention_mask"] = tokens["attention_mask"]
    with torch.no_grad():
        expected = loaded(pixel_values=images, **arguments).logits_per_image
        torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["gradcam", "legrad", "chefer"])
def test_maps_of_clip(method: str, tmp_path: Path) -> None:
    model = text_similarity(fastcam.load_model(f"hf:{_folder(tmp_path / 'm', 'clip')}"), TEXTS)
    images = torch.randn(2, 3, 32, 32)
    result = fastcam.explain(model, images, method, target=[[0, 1]], sign="both")
    (values,) = result.maps.values()
    assert values.shape == (2, 2, 4, 4)
    assert abs(values[:, 0] - values[:, 1]).max() > 0


def test_infer_by_texts(tmp_path: Path) -> None:
    from PIL import Image

    folder = _folder(tmp_path / "model", "clip")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (40, 30), (90, 20, 200)).save(tmp_path / "images" / "a.png")
    fastcam.infer(
        f"hf:{folder}", tmp_path / "images", tmp_path / "out", method="gradcam",
        target=tuple(f"text:{text}" for text in TEXTS), device="cpu", workers=0, compile=False,
    )  # fmt: skip
    store = fastcam.open_store(tmp_path / "out" / "run.zarr")
    assert store.headers[0].output.shape == (2,)
    assert store.headers[0].targets.tolist() == [0, 1]
    assert store.attrs.settings["texts"] == list(TEXTS)
    # Figures and page call the outputs by their texts.
    prediction = store.headers[0].prediction
    assert prediction is not None
    fastcam.render(store.path, output_dir=tmp_path / "figures", format="svg", workers=1)
    (figure,) = (tmp_path / "figures").glob("*.svg")
    texts = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", figure.read_text("utf-8")))
    assert f"predicted {TEXTS[prediction]}" in texts
    assert TEXTS[prediction] in (tmp_path / "figures" / "index.html").read_text("utf-8")
    fastcam.render(
        store.path, output_dir=tmp_path / "named", format="svg", class_names=["cat", "dog"]
    )
    (figure,) = (tmp_path / "named").glob("*.svg")
    assert f"predicted {['cat', 'dog'][prediction]}" in figure.read_text("utf-8")


def test_explain_by_texts_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image
    from typer.testing import CliRunner

    from fastcam.cli.main import app

    folder = _folder(tmp_path / "model", "clip")
    Image.new("RGB", (40, 30), (90, 20, 200)).save(tmp_path / "a.png")
    arguments = ["explain", str(tmp_path / "a.png"), "--model", f"hf:{folder}"]
    arguments += ["--method", "legrad"]
    arguments += [part for text in TEXTS for part in ("--target", f"text:{text}")]
    arguments += ["--output-dir", str(tmp_path / "out"), "--device", "cpu"]
    drawn = []

    def caption(self: Style, label: int) -> str:
        drawn.append(named(self, label))
        return drawn[-1]

    named = Style.class_caption
    monkeypatch.setattr(Style, "class_caption", caption)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "a_explained.png").is_file()
    assert set(drawn) == set(TEXTS)


def test_what_has_no_texts() -> None:
    with pytest.raises(InputError, match="compares no images with texts"):
        text_similarity(torch.nn.Linear(2, 2), TEXTS)
    assert texts_in(["text:a cat", "text:'a dog'"]) == ("a cat", "a dog")
    assert texts_in((1, 2)) == texts_in("seg:1") == ()
    with pytest.raises(InputError, match="can't be mixed"):
        texts_in(["text:a cat", 3])
    with pytest.raises(InputError, match="names no text"):
        texts_in("text:")
