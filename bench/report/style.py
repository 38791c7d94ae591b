"""How every figure looks: width, type, one colour and one line style for each method.

Colour is never the only key: methods are named at an axis, or have a dash and a marker too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import cycle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # seaborn takes two seconds: a report without figures does not wait for it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = tuple[float, float, float]
Palette = dict[str, Colour]  # method -> colour

WIDTH = 3.3  # inches: one column of a two-column paper
PAGE = 6.9  # inches: both columns
DPI = 200
MOST = 12  # lines that one can still tell apart
# Places in seaborn's colour-blind palette; a method not named here takes what is left.
FIXED = {
    "ensemble": 0, "decnn": 1, "mc_dropout": 2, "redecnn": 3, "bayes": 4, "linear": 5,
    "chance": 7, "dropout": 9,
}  # fmt: skip
BLACK = (0.2, 0.2, 0.2)  # the standard network: what all others are held against
MARKERS = "osD^vP*X<>"
DASHES = ["-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1))]
SHADES = [0.0, -0.35, 0.45, -0.6, 0.65]  # of variants of a method: darker, lighter …


def look() -> Any:
    """The context to draw in."""
    import matplotlib as mpl
    import seaborn as sns

    style = sns.axes_style("whitegrid") | sns.plotting_context("paper", font_scale=0.75)
    small = {"grid.linewidth": 0.4, "axes.linewidth": 0.6, "lines.linewidth": 1.0}
    text = {"pdf.fonttype": 42, "legend.fontsize": 6, "axes.titlesize": 7, "axes.labelsize": 7}
    text |= {"legend.frameon": False}
    return mpl.rc_context(style | small | text)


def canvas(height: float, *, width: float = WIDTH) -> Figure:
    """An empty figure, inches."""
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    return Figure(figsize=(width, height), layout="constrained")


def panels(figure: Figure, count: int, across: int, x: str, y: str) -> list[Axes]:
    """Small multiples that share both axes, which are labelled at the edges alone."""
    grid = figure.subplots(-(-count // across), across, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for axis in axes[count:]:
        axis.set_axis_off()
    for place, axis in enumerate(axes[:count]):
        lowest = place + across >= count
        axis.set(xlabel=x if lowest else "", ylabel="" if place % across else y)
        axis.tick_params(labelbottom=lowest, labelsize=6, pad=1)
    return axes[:count]


def heading(method: str) -> str:
    """A method's label over a small panel, in two lines where it has parameters."""
    return method.replace(":", "\n", 1)


def saved(figure: Figure, *, photographs: bool = False) -> dict[str, bytes]:
    """The figure as {"png": …, "pdf": …}; one that shows photographs keeps all their colours."""
    figure.draw_without_rendering()  # lays it out, once for both
    figure.set_layout_engine("none")
    png = _file(figure, "png")
    return {"png": png if photographs else _in_few_colours(png), "pdf": _file(figure, "pdf")}


def _file(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    # no date inside: the same rows give the same file
    metadata = {"CreationDate": None} if kind == "pdf" else {"Software": None}
    figure.savefig(
        buffer, format=kind, dpi=DPI, metadata=metadata,
        bbox_inches="tight", pad_inches=0.02,  # the layout cuts long turned labels
    )  # fmt: skip
    return buffer.getvalue()


def _in_few_colours(png: bytes) -> bytes:
    """A drawing with a palette of 256 colours: nobody sees the difference, and it is a third."""
    from PIL import Image

    buffer = BytesIO()
    whole = Image.open(BytesIO(png)).convert("RGB")
    few = whole.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def base(method: str) -> str:
    """The method of which this is a variant: "redecnn" of "redecnn:depth=4"."""
    return method.partition(":")[0]


def palette(methods: Iterable[str]) -> Palette:
    """Colour of each method, the same in every figure; variants are shades of one hue."""
    import seaborn as sns

    colours = sns.color_palette("colorblind")
    dark = [sns.dark_palette(colour, 3)[1] for colour in colours]  # lightness is seen by everyone
    fixed = list(FIXED.values())
    free = [colour for place, colour in enumerate(colours) if place not in fixed]
    spare = cycle([*free, *dark, *(colours[place] for place in fixed)])
    families: dict[str, list[str]] = {}
    for method in sorted(methods):
        families.setdefault(base(method), []).append(method)
    found: Palette = {}
    for name, members in families.items():
        hue = (
            BLACK if name == "standard" else colours[FIXED[name]] if name in FIXED else next(spare)
        )
        shades = cycle(SHADES if name in members else SHADES[1:])
        found |= {method: shaded(hue, by) for method, by in zip(members, shades, strict=False)}
    return found


def shaded(colour: Colour, by: float) -> Colour:
    """A colour moved towards white (``by`` > 0) or black, 1 being all the way."""
    end = 1.0 if by > 0 else 0.0
    red, green, blue = (part + (end - part) * abs(by) for part in colour)
    return red, green, blue


def line(method: str, methods: Sequence[str], colours: Palette) -> dict[str, Any]:
    """How one of several methods is drawn as a line."""
    bases = sorted({base(name) for name in methods})
    family = [name for name in sorted(methods) if base(name) == base(method)]
    return {
        "label": method, "color": colours[method],
        "linestyle": DASHES[family.index(method) % len(DASHES)],
        "marker": MARKERS[bases.index(base(method)) % len(MARKERS)], "markersize": 2.5,
    }  # fmt: skip


def legible(methods: Iterable[str], most: int = MOST) -> list[str]:
    """The methods that one figure can hold, sorted: without variants where they are too many."""
    found = sorted(set(methods))
    plain = [name for name in found if ":" not in name]
    return found if len(found) <= most or not plain else plain
