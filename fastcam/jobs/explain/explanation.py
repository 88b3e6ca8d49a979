"""Maps of a few images in memory, with their figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.jobs.explain.comparison import Comparison
from fastcam.jobs.explain.results import ExplanationData, Head

if TYPE_CHECKING:
    from fastcam.figures.figure import Figure
    from fastcam.jobs.explain.scales import Scale
# A notebook keeps what it shows: half a megabyte a figure.
_SHOWN = 4


class Explanation(ExplanationData):
    """What :class:`ExplanationData` holds, and figures of it."""

    def figure(
        self, index: int = 0, scale: Scale = "auto", head: Head = "mean", **style: Any
    ) -> Figure:
        """The figure of one image: a row of image, heat and overlay for every map.

        ``scale``: as in :meth:`fastcam.jobs.explain.comparison.Comparison.figure`; ``head`` of
        attention, from 0, or the mean; ``style``: fields of :class:`fastcam.options.Style`, such as
        ``colormap="viridis"``. It saves itself, ``.save("a.png")``, and shows in a notebook.
        InputError for an index out of range, and for maps that are not finite.
        """
        return self._alone().figure(index, scale, head, **style)

    def save(
        self,
        folder: Path | str,
        index: int = 0,
        scale: Scale = "auto",
        head: Head = "mean",
        **style: Any,
    ) -> list[Path]:
        """Write all figures of one image into ``folder``, which is made if need be; their paths.

        The combined figure, ``<image>_explained.png``, and for each method ``<method>_heatmap.png``
        and ``<method>_overlay.png``; what else there is, see ``fastcam explain --help``.
        """
        return self._alone().save(folder, index, scale, head, **style)

    def _alone(self) -> Comparison:
        return Comparison((self,), ("",))

    def _repr_html_(self) -> str:
        """The first figures, for a notebook."""
        import base64

        parts = []
        for index in range(min(len(self), _SHOWN)):
            packed = base64.b64encode(self.figure(index)._repr_png_()).decode()
            parts.append(f'<img style="max-width:100%" src="data:image/png;base64,{packed}">')
        if len(self) > _SHOWN:
            parts.append(f"<p>and {len(self) - _SHOWN} more: .figure(i)</p>")
        return "".join(parts)
