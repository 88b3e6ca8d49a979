"""Models of images and texts (CLIP, SigLIP): how similar an image is to given texts, as outputs."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.errors import InputError, one_line


class TextSimilarity(nn.Module):
    """The image part of a CLIP-like model, with one output a text: the scaled cosine of their
    features (Radford et al. 2021), with SigLIP's bias (Zhai et al. 2023).

    ``features`` (k, dim): of the texts. What reads texts is no part of it.
    """

    text_features: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, model: Any, features: Tensor) -> None:
        super().__init__()
        self.config: Any = model.config
        self.vision_model = model.vision_model
        self.visual_projection: nn.Module = getattr(model, "visual_projection", nn.Identity())
        self.register_buffer("text_features", features)
        self.register_buffer("scale", model.logit_scale.detach().exp().reshape(1))
        bias = getattr(model, "logit_bias", None)
        zero = torch.zeros(1)
        self.register_buffer("bias", zero if bias is None else bias.detach().reshape(1))
        # Where the size of its images is found.
        own = model.vision_model
        self.image_size: Any = getattr(own, "image_size", None) or own.config.image_size

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Images (b, c, h, w) to similarities (b, k)."""
        pooled = self.vision_model(pixel_values=pixel_values).pooler_output
        features = self.visual_projection(pooled)
        features = features / features.norm(dim=-1, keepdim=True)
        similarity: Tensor = features @ self.text_features.mT
        return similarity * self.scale + self.bias


def text_similarity(model: Any, texts: Sequence[str]) -> TextSimilarity:
    """``model``, loaded from a Hugging Face folder, as one that compares images with ``texts``.

    Its tokenizer is read from the same folder; nothing is fetched and no code in it is run.
    InputError for a model that has no text part, and where the tokenizer can't be read.
    """
    config: Any = getattr(model, "config", None)
    if not hasattr(model, "text_model") or not hasattr(model, "vision_model"):
        raise InputError(
            f"--target text:{texts[0]!r}: {type(model).__name__} compares no images with texts; it "
            "is for CLIP and SigLIP folders, --model hf:FOLDER"
        )
    folder = Path(config._name_or_path)
    transformers = importlib.import_module("transformers")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(
            f"{folder}: its tokenizer can't be read, which texts need: {one_line(str(error)):.200}"
        ) from error
    # SigLIP was trained on texts filled up to its full length.
    full = "siglip" in str(config.model_type)
    length = config.text_config.max_position_embeddings
    tokens = tokenizer(
        list(texts),
        padding="max_length" if full else True,
        truncation=True,
        max_length=length,
        return_tensors="pt",
    )
    with torch.no_grad():
        arguments = {"input_ids": tokens["input_ids"]}
        if not full:
            arguments["attention_mask"] = tokens["attention_mask"]
        pooled = model.text_model(**arguments).pooler_output
        features = getattr(model, "text_projection", nn.Identity())(pooled)
        features = features / features.norm(dim=-1, keepdim=True)
    return TextSimilarity(model, features).eval()


def texts_in(targets: Any) -> tuple[str, ...]:
    """The texts of targets ``text:...``; none where there are no such targets.

    InputError where they are mixed with others, and for an empty one.
    """
    entries = [targets] if isinstance(targets, str) else list(targets or ())
    texts = [entry for entry in entries if isinstance(entry, str) and entry.startswith("text:")]
    if texts and len(texts) < len(entries):
        raise InputError(f"--target {texts[0]!r}: texts and other targets can't be mixed")
    plain = tuple(text.removeprefix("text:").strip().strip("\"'") for text in texts)
    if "" in plain:
        raise InputError("--target text: names no text, as in --target 'text:a photo of a cat'")
    return plain
