"""Latin letters rendered from the fonts that come with matplotlib."""

from __future__ import annotations

import string
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .base import Raw, as_bytes
from .images import resize
from .outliers import Outliers

# Text fonts only, by name: a folder's listing would follow matplotlib's version.
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmb10", "cmmi10", "cmr10", "cmss10", "cmti10", "cmtt10"),
)

# Letters that many hands and fonts draw as a digit: an outlier set holds no class of the inliers.
DIGIT_LIKE = frozenset("OoQIilZzSsbGBgq")  # 0, 1, 2, 5, 6, 8 and 9

SIDE = 32
BOX = (32, 28)  # height and width that a letter is fitted into
EM = 160  # pixels of the drawing that is then reduced to the box


class Letters(Outliers):
    """Printed letters, white on black, 32x32, without those that pass for a digit.

    Each fills its frame as scikit-learn's digits do, as high as the frame and nearly as wide, so
    that size and margin give nothing away: what remains is the shape.
    """

    name = "letters"
    source = "rendered from the DejaVu, STIX and Computer Modern fonts that matplotlib ships"
    kind = "glyph"
    content = frozenset({"letter"})
    embedded = True

    def images(self) -> Raw:
        return _glyphs()


@cache
def _glyphs() -> Raw:
    """Every letter in every font that has it; the label is its place in the alphabet."""
    import matplotlib  # a tenth of a second that a listing does not need

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    letters = [c for c in string.ascii_letters if c not in DIGIT_LIKE]
    drawn = [(_glyph(folder / f"{font}.ttf", c), c) for font in FONTS for c in letters]
    kept = [
        (image, string.ascii_lowercase.index(c.lower())) for image, c in drawn if image is not None
    ]
    images, labels = zip(*kept, strict=True)
    return Raw(torch.stack(images), torch.tensor(labels).unsqueeze(1))


def _glyph(path: Path, letter: str) -> Tensor | None:
    """One letter as bytes (1, 32, 32); None where the font lacks it or leaves it blank."""
    from matplotlib.ft2font import FT2Font

    if ord(letter) not in FT2Font(str(path)).get_charmap():
        return None
    canvas = Image.new("L", (3 * EM, 3 * EM))
    # The basic layout engine is in every build of Pillow, so the letters are the same everywhere.
    font = ImageFont.truetype(str(path), EM, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(canvas).text((EM, EM), letter, fill=255, font=font)
    ink = canvas.getbbox()
    return None if ink is None else _fitted(np.asarray(canvas.crop(ink)))


def _fitted(ink: np.ndarray) -> Tensor:
    """Scale a cropped drawing (h, w) into the box and centre it; bytes (1, 32, 32)."""
    scale = min(BOX[0] / ink.shape[0], BOX[1] / ink.shape[1])
    height, width = (max(1, round(scale * side)) for side in ink.shape)
    image = as_bytes(resize(torch.from_numpy(ink.copy())[None, None], height, width))[0]
    frame = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    frame[:, top : top + height, left : left + width] = image
    return frame
