"""The look of every figure: widths, type, one colour and one line style for each method.

Colour is never the only key: methods are named at an axis, or have a dash and a marker too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from itertools import cycle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # matplotlib takes half a second: a report without figures does not wait for it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = tuple[float, float, float]
Palette = dict[str, Colour]  # method -> colour

WIDTH = 3.3  # inches: one column of a two-column paper
PAGE = 6.9  # inches: both columns
DPI = 150
MOST = 12  # lines that one can still tell apart
LETTER = 0.055  # inches, on average, of a name in small type
COLUMN = 18  # letters of a name for which a column has room
SMALL = 6  # points: the smallest type in any figure
BASELINE = "standard"  # the network that all others are compared with: nearly black
BLACK = (0.2, 0.2, 0.2)
COLOURS = [  # seaborn's "colorblind" without grey and its palest, then indigo and wine (Paul Tol)
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc",
    "#56b4e9", "#ca9161", "#332288", "#882255",
]  # fmt: skip
MARKERS = "osD^vP*X<>"
DASHES = ["-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1))]
SHADES = [0.0, -0.35, 0.45, -0.6, 0.65]  # of variants of a method: darker, lighter …
LOOK: dict[Any, Any] = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 7,
    "axes.titlesize": 7, "axes.labelsize": 7, "axes.labelcolor": "0.15", "text.color": "0.15",
    "xtick.labelsize": 6.5, "ytick.labelsize": 6.5, "legend.fontsize": SMALL,
    "xtick.color": "0.15", "ytick.color": "0.15", "xtick.major.pad": 2, "ytick.major.pad": 2,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "0.85", "grid.linewidth": 0.4,
    "axes.edgecolor": "0.8", "axes.linewidth": 0.6, "axes.titlepad": 4, "axes.labelpad": 3,
    "xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0, "ytick.minor.size": 0,
    "lines.linewidth": 1.0, "legend.frameon": False, "pdf.fonttype": 42,
}  # fmt: skip


def look() -> Any:
    """Return the context to draw in."""
    import matplotlib as mpl

    return mpl.rc_context(LOOK)


def wide_enough(names: Iterable[str]) -> float:
    """Return the width of a figure with these names beside it: a column, or up to a page."""
    letters = max(map(len, names), default=0) - COLUMN
    return min(PAGE, WIDTH + LETTER * max(0, letters))


def canvas(height: float, *, width: float = WIDTH) -> Figure:
    """Return an empty figure; sizes in inches."""
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    return Figure(figsize=(width, height), layout="constrained")


def panels(figure: Figure, count: int, across: int, x: str, y: str) -> list[Axes]:
    """Return small multiples that share both axes, which are labelled at the edges alone."""
    grid = figure.subplots(-(-count // across), across, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for axis in axes[count:]:
        axis.set_axis_off()
    for place, axis in enumerate(axes[:count]):
        lowest = place + across >= count
        axis.set(xlabel=x if lowest else "", ylabel="" if place % across else y)
        axis.tick_params(labelbottom=lowest, labelsize=SMALL, pad=1)
        despine(axis)
    return axes[:count]


def despine(axis: Axes, *sides: str) -> None:
    """Hide the frame above and to the right, and the sides named."""
    axis.spines[["top", "right", *sides]].set_visible(False)


def legend(figure: Figure, handles: Mapping[str, Any]) -> None:
    """Put a legend below everything, in as many columns as its longest label allows."""
    longest = max(map(len, handles), default=0)
    columns = int(figure.get_figwidth() / (0.36 + LETTER * longest))
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center",
        ncols=min(max(columns, 1), 5), handletextpad=0.4, columnspacing=1,
    )  # fmt: skip


def heading(method: str) -> str:
    """Return a method's label for a small panel, in two lines where it has parameters."""
    return method.replace(":", "\n", 1)


def saved(figure: Figure, *, photographs: bool = False, digest: str = "") -> dict[str, bytes]:
    """Return the figure as {"png": …, "pdf": …}.

    Args:
        figure: what `canvas` gave; its layout is fixed here.
        photographs: the figure shows photographs, which keep all their colours.
        digest: fingerprint of what was drawn; `digest_of` reads it from the PNG.
    """
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()  # lays it out, once for both
    figure.set_layout_engine(None)  # "none" would leave one that draws before each format
    # Text may reach over the edge of the canvas; measured once, or each format would draw twice.
    around = figure.get_tightbbox().padded(0.03)
    edges = Bbox(around.get_points().round(3))
    # no date inside: the same rows give the same file
    pdf = _file(figure, "pdf", edges, {"CreationDate": None})
    png = _file(figure, "png", edges, {"Software": None}, pil_kwargs={"compress_level": 0})
    return {"png": _labelled(png, digest, few_colours=not photographs), "pdf": pdf}


def _file(
    figure: Figure, kind: str, edges: Any, metadata: dict[str, Any], **options: Any
) -> bytes:  # fmt: skip
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata, bbox_inches=edges, **options)
    return buffer.getvalue()


def _labelled(png: bytes, digest: str, *, few_colours: bool) -> bytes:
    """Return the picture with its fingerprint and, of a drawing, 256 colours: a third in size."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    if digest:
        about.add_text(FINGERPRINT, digest)
    buffer = BytesIO()
    image = Image.open(BytesIO(png)).convert("RGB")  # nothing shines through
    if few_colours:
        how, undithered = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
        image = image.quantize(256, method=how, kmeans=1, dither=undithered)  # no hue is off
    image.save(buffer, "PNG", optimize=True, pnginfo=about, dpi=(DPI, DPI))
    return buffer.getvalue()


FINGERPRINT = "Drawn from"  # a text field of the PNG


def digest_of(png: Any) -> str:
    """Return the fingerprint that `saved` left in a PNG file; "" where there is none."""
    from PIL import Image

    try:
        with Image.open(png) as image:
            return str(getattr(image, "text", {}).get(FINGERPRINT, ""))
    except (OSError, ValueError, SyntaxError):  # absent, or no picture
        return ""


def base(method: str) -> str:
    """Return the method of which this is a variant: "redecnn" of "redecnn:depth=4"."""
    return method.partition(":")[0]


def palette(methods: Iterable[str]) -> Palette:
    """Return the colour of each method; variants are shades of one hue.

    A method's name chooses its colour, so that another method changes at most the colours of
    those that it collides with. Give it the methods of all figures at once.
    """
    families: dict[str, list[str]] = {}
    for method in sorted(methods):
        families.setdefault(base(method), []).append(method)
    colours: Palette = {}
    for (name, members), hue in zip(families.items(), _hues(families), strict=True):
        shades = cycle(SHADES if name in members else SHADES[1:])
        colours |= {method: shaded(hue, by) for method, by in zip(members, shades, strict=False)}
    return colours


def _hues(names: Iterable[str]) -> list[Colour]:
    """Return one colour a name: the one its digest points at or, where taken, the next free."""
    from matplotlib.colors import to_rgb

    plain = [to_rgb(colour) for colour in COLOURS]
    rings = [plain, [shaded(colour, -0.5) for colour in plain]]  # darker: anyone can see that
    hues: list[Colour] = []
    free: list[Colour | None] = []
    for name in names:
        if name == BASELINE:
            hues.append(BLACK)
            continue
        if not any(free):  # the first ring, or another one when all of its colours are taken
            free = [*rings[0]]
            rings = rings[1:] + rings[:1]
        start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        place = next(i % len(free) for i in range(start, start + len(free)) if free[i % len(free)])
        hues.append(free[place] or BLACK)
        free[place] = None
    return hues


def shaded(colour: Colour, by: float) -> Colour:
    """Return a colour moved towards white (``by`` > 0) or black, 1 being all the way."""
    end = 1.0 if by > 0 else 0.0
    red, green, blue = (part + (end - part) * abs(by) for part in colour)
    return red, green, blue


def line(method: str, methods: Sequence[str], colours: Palette) -> dict[str, Any]:
    """Return how one of several methods is drawn as a line, as arguments of `Axes.plot`."""
    bases = sorted({base(name) for name in methods})
    family = [name for name in sorted(methods) if base(name) == base(method)]
    return {
        "label": method, "color": colours[method],
        "linestyle": DASHES[family.index(method) % len(DASHES)],
        "marker": MARKERS[bases.index(base(method)) % len(MARKERS)], "markersize": 2.5,
    }  # fmt: skip


def legible(methods: Iterable[str], most: int = MOST) -> list[str]:
    """Return the methods that one figure can hold: without variants where they are too many."""
    kept = list(dict.fromkeys(methods))
    plain = [name for name in kept if ":" not in name]
    return kept if len(kept) <= most or not plain else plain
