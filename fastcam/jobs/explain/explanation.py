"""Maps of a few images in memory, with their figures."""

from __future__ import annotations

import base64

from fastcam.jobs.explain.comparison import Comparison, ExplanationFigures
from fastcam.jobs.explain.results import ExplanationData

# A notebook keeps what it shows: half a megabyte a figure.
_MOST_IN_NOTEBOOK = 4


class Explanation(ExplanationFigures, ExplanationData):
    """What :class:`ExplanationData` holds, and figures of it."""

    def _comparison(self) -> Comparison:
        return Comparison((self,), ("",))

    def _repr_html_(self) -> str:
        """The first figures, for a notebook."""
        parts = []
        for index in range(min(len(self), _MOST_IN_NOTEBOOK)):
            packed = base64.b64encode(self.figure(index)._repr_png_()).decode()
            parts.append(f'<img style="max-width:100%" src="data:image/png;base64,{packed}">')
        if len(self) > _MOST_IN_NOTEBOOK:
            parts.append(f"<p>and {len(self) - _MOST_IN_NOTEBOOK} more: .figure(i)</p>")
        return "".join(parts)
