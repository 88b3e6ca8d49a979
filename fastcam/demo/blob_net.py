"""A small convolutional network of three outputs, for the made-up images of ``blob_set``.

``--model path/to/blob_net.py:BlobNet``. Each cell of its last layer sees 31 pixels of 64, and the
outputs are means over the cells, so its maps can say where a finding is.
"""

from __future__ import annotations

from torch import nn

from fastcam.demo.age_net import WIDTH, AgeNet
from fastcam.demo.blob_set import FINDINGS, SIDE


class BlobNet(AgeNet):
    """Images (b, 3, h, w) float to (b, 3), the logits of the findings; ``layer4`` is 8 times
    coarser than the image."""

    image_size = SIDE

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__(width)
        self.fc = nn.Linear(4 * width, len(FINDINGS))
