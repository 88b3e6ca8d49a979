"""How the picture of an image lies on the page, of one that is no volume."""

from __future__ import annotations

from typing import Any

from fastcam.jobs.render.maps.image import FlatImage, OpenImage
from fastcam.jobs.view.planes import Plane, spacing_of


def flat_plane(image: FlatImage) -> Plane:
    """The one plane of an image that is one picture."""
    height, width = image.size
    rows, columns = image.display.size(height, width)
    return Plane(
        axis=0,
        name="image",
        depth=1,
        height=rows,
        width=columns,
        display=image.display,
        spacing=spacing_of(image.affine, image.display),
        letters=(image.picture.left_side, "", "", ""),
    )


def geometry_of(image: OpenImage) -> tuple[Any, ...]:
    """What the page's layout of an image depends on; two of the same are laid out alike."""
    if isinstance(image, FlatImage):
        return image.size, image.display
    return image.volume.voxels.shape, image.field, image.display
