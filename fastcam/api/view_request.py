"""The settings of ``fastcam view`` from keywords; nothing here loads what draws or reads."""

from __future__ import annotations

from collections.abc import Sequence

from fastcam.api.arguments import optional_path, path_list, volume_text, window_pair
from fastcam.jobs.view.request import (
    DEFAULT_MARKS,
    DEFAULT_MEMORY,
    Judging,
    Sharing,
    ViewRequest,
    parse_memory,
)
from fastcam.options import Axes, Blend, Orient, PathLike, Scale, Sources, Style, StyleName


def view_request(
    runs: PathLike | Sequence[PathLike],
    *,
    names: Sequence[str] = (),
    root_dir: PathLike | None = None,
    mask_dir: PathLike | None = None,
    axes: Axes = "zyx",
    orient: Orient = "radiological",
    frame: str = "image",
    slices: str = "all",
    volume: str | int | None = None,
    show_channel: int | None = None,
    window: str | Sequence[float] | None = None,
    class_names: Sequence[str] = (),
    scale: Scale = "patient",
    style: StyleName = "standard",
    colormap: str = "",
    heat_alpha: float = 0.5,
    blend: Blend = "auto",
    top_k: int = 3,
    panel_size: int = 512,
    table: PathLike | None = None,
    id_column: str | None = None,
    memory: int | str = DEFAULT_MEMORY,
    host: str = "127.0.0.1",
    port: int = 0,
    allow_hosts: Sequence[str] = (),
    embedded: bool = False,
    review: PathLike | None = None,
    reader: str = "",
    marks: Sequence[str] = DEFAULT_MARKS,
    blind: bool = False,
    trust_inputs: bool = False,
) -> ViewRequest:
    """The settings of a reading room; keywords are the options of ``fastcam view``."""
    return ViewRequest(
        runs=path_list(runs),
        names=tuple(names),
        sources=Sources(
            root_dir=optional_path(root_dir),
            mask_dir=optional_path(mask_dir),
            axes=axes,
            orient=orient,
            frame=frame,
            slices=slices,
            volume=volume_text(volume),
            show_channel=show_channel,
            window=window_pair("window", window),
        ),
        style=Style(
            style=style,
            colormap=colormap,
            heat_alpha=heat_alpha,
            blend=blend,
            scale=scale,
            top_k=top_k,
            panel_size=panel_size,
            class_names=tuple(class_names),
        ),
        table=optional_path(table),
        id_column=id_column,
        memory=parse_memory(memory) if isinstance(memory, str) else memory,
        sharing=Sharing(host=host, port=port, allowed_hosts=tuple(allow_hosts), embedded=embedded),
        judging=Judging(file=optional_path(review), reader=reader, marks=tuple(marks), blind=blind),
        trust_inputs=trust_inputs,
    )
