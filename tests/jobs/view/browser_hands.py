"""What a person's hands and eyes do in the reading room."""

from __future__ import annotations

import base64
import io
import json
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image


def shown(page, number: int = 0) -> dict[str, str]:
    """The parameters of the picture that a pane shows."""
    address = page.locator(".pane").nth(number).get_attribute("data-address")
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def wait_for(page, number: int = 0, **parameters) -> None:
    """Until a pane shows the picture with these parameters."""
    for name, value in parameters.items():
        page.wait_for_function(
            "([number, name, value]) => new URLSearchParams("
            "document.querySelectorAll('.pane')[number]?.dataset.address?.split('?')[1])"
            ".get(name) === value",
            arg=[number, name, str(value)],
        )


def wait_for_panes(page, count: int) -> None:
    page.wait_for_function(
        "count => document.querySelectorAll('.pane[data-address]').length === count", arg=count
    )


def pixels(page, number: int = 0) -> np.ndarray:
    """(h, w, 3) of the canvas of a pane."""
    canvas = page.locator(".pane .picture:not(.under)").nth(number)
    text = canvas.evaluate("canvas => canvas.toDataURL()")
    png = base64.b64decode(text.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def middle(page, number: int = 0) -> tuple[float, float]:
    box = page.locator(".stage").nth(number).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def point(page, across: float, down: float, number: int = 0) -> tuple[float, float]:
    """Where on the screen a share of a picture is."""
    box = page.locator(".frame").nth(number).bounding_box()
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def drag(page, start: tuple[float, float], end: tuple[float, float], button: str = "left") -> None:
    page.mouse.move(*start)
    page.mouse.down(button=button)
    page.mouse.move(*end, steps=6)
    page.mouse.up(button=button)


def reading(page, number: int = 0) -> dict:
    text = page.locator(".readout").nth(number).get_attribute("data-reading")
    return json.loads(text)
