"""What a picture shows, read back from its pixels or its marks."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.image import imread

SVG = "{http://www.w3.org/2000/svg}"
NEAR = 0.06
"""How far a channel of a pixel, 0 to 1, may be from a colour that it shows."""


class Picture:
    """A PNG: `pixels` are float [height, width, 3]."""

    def __init__(self, source: Path | io.BytesIO) -> None:
        self.pixels = imread(source, format="png")[..., :3]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def drawn(self) -> float:
        """Share of the pixels that are not as the corner is: 0 for an empty sheet."""
        return float((self.pixels != self.pixels[0, 0]).any(axis=-1).mean())

    def shows(self, color: str) -> int:
        """Pixels of a colour."""
        return int((np.abs(self.pixels - to_rgb(color)) < NEAR).all(axis=-1).sum())

    def is_at(self, color: object, ax: Axes, x: float, y: float) -> bool:
        """Whether a point of axes, in their numbers, has a colour; the picture is of their figure."""
        across, up = ax.figure.transFigure.inverted().transform(ax.transData.transform((x, y)))
        width, height = self.size
        pixel = self.pixels[round((1 - up) * height), round(across * width)]
        return bool((np.abs(pixel - to_rgb(color)) < NEAR).all())


def painted(ax: Axes) -> Picture:
    """The figure of axes as it is saved."""
    stream = io.BytesIO()
    ax.figure.savefig(stream, format="png", dpi=80)
    stream.seek(0)
    return Picture(stream)


def svg_colors(path: Path) -> dict[str, int]:
    """Colour -> how many elements of an SVG file are filled or drawn with it; it must be well formed."""
    colors: dict[str, int] = {}
    root = ElementTree.parse(path).getroot()
    assert root.tag == f"{SVG}svg"
    for element in root.iter():
        for color in re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", element.get("style", "")):
            colors[color] = colors.get(color, 0) + 1
    return colors


def pdf_marks(path: Path) -> int:
    """How many lines and shapes the pages of a PDF file draw."""
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", data)) == 1
    streams = re.findall(rb"/Filter /FlateDecode[^>]*>>\s*stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    content = b"\n".join(zlib.decompress(one) for one in streams)
    return len(re.findall(rb"^(?:S|s|f|B|b)$", content, re.MULTILINE))
