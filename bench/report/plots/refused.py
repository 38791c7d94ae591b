"""From curves: risk against coverage under shift, and of wrong answers and outliers together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.report import style
from bench.report.leaderboard import by_words
from bench.report.plots import Drawing, Material, figure
from bench.report.plots.shift import curves_by, score_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORDER = ("clean", "corruption", "speech_corruption", "near", "far")
CAPTION = (
    "Risk and coverage under shift, by {by}: share wrong among the answers a method is most "
    "certain of; near and far: share wrong or an outlier, of as many test inputs as outliers. "
    "Mean over views and seeds."
)


@figure(place="paper")
def refused(material: Material) -> Iterator[Drawing]:
    """Give a panel for each kind of shift, of the methods with curves of it."""
    score, found = score_of(material), dict[str, dict[str, list[Any]]]()
    for file, curves in curves_by(material, score):
        for view in curves.risks if "~" not in file.dataset else ():
            found.setdefault(view.group, {}).setdefault(file.method, []).append(view.risk)
    methods = [
        name for name in style.legible(material.methods)
        if any(name in of for of in found.values())
    ]  # fmt: skip
    panels = {
        group: pd.DataFrame({m: np.mean(of[m], axis=0) / 1e5 for m in methods if m in of})
        for group, of in sorted(found.items(), key=_place)
    }
    if methods:
        draw = partial(_draw, panels, material.palette(methods))
        yield Drawing("risk_coverage_shifted", CAPTION.format(by=by_words(score)), draw)


def _place(panel: tuple[str, Any]) -> tuple[int, str]:
    known = panel[0] in ORDER
    return ORDER.index(panel[0]) if known else len(ORDER), panel[0]


def _draw(panels: dict[str, pd.DataFrame], colours: style.Palette) -> Figure:
    across = min(len(panels), 3)
    drawn = style.canvas(0.5 + 1.7 * -(-len(panels) // across), width=style.PAGE)
    axes = style.panels(drawn, len(panels), across, "share answered", "share wrong or outlier")
    handles = {}
    for axis, (group, risks) in zip(axes, panels.items(), strict=True):
        coverage = np.arange(1, len(risks) + 1) / len(risks)
        for i, name in enumerate(map(str, risks)):
            how = style.line(name, list(colours), colours) | {"markevery": (2 + 3 * i, 25)}
            (handles[name],) = axis.plot(coverage, risks[name], **how)
        axis.set_title(group.replace("_", " "), fontsize=style.SMALL, pad=2)
        axis.set(xlim=(0, 1), ylim=(0, 1))
    style.legend(drawn, handles)
    return drawn
