"""Figures of rows and curves: bars for each scenario (`draw`), and the paper's (`draw_all`).

The paper's figures are one module a kind, in `plots`; how all look is in `style`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.report import formats, stats
from bench.report.frames import Board, board_of, boards, seeds
from bench.report.leaderboard import COLUMNS, DETECTION, Column
from bench.report.plots import Draw, Material, answers, cost, heatmap, ranks, shift, sweep
from bench.report.style import MOST, PAGE, WIDTH, Palette, canvas, look, palette, saved
from bench.store.rows import read_all

if TYPE_CHECKING:  # seaborn takes two seconds: a report without figures does not wait for it
    from matplotlib.axes import Axes

Curves = dict[tuple[Any, ...], dict[str, Any]]  # owner -> record of `bench.curves`
KINDS: list[Draw] = [heatmap.draw, sweep.draw, shift.draw, answers.draw, ranks.draw, cost.draw]
GALLERY = "paper/figures.md"
NO_CURVES = (
    "no curves, so neither ROC, risk-coverage, reliability nor histograms; "
    "the same `bench run` again makes them from cached predictions"
)
CHANCE = 0.5
LONG = 24  # letters of a method's name that leave too little of a column
CAPTION = (
    "Bars: mean over views and seeds, AUROC as gain over chance (0.5); lines: standard deviation "
    "over seeds; dots: single views. A dash: not complete.\n"
)
MEASURED = {  # what to draw where nothing is detected
    "clean": [Column("accuracy", "clean", "accuracy"), Column("ECE", "clean", "ece")],
    "cost": [
        Column("fit, seconds", "cost", "fit_seconds"),
        Column("cost / standard", "cost", "ratio_to_standard"),
    ],
}


MANY = f"Lines show at most {MOST} methods: of more, those without parameters.\n"
SINGLE = {  # what `bench draw` writes -> caption
    "decoded": "Test inputs decoded from every layer, with the class and probability that the "
    "network gives each decoding (appendix A.3; for speech, figure 2).",
    "path": "An input the network is least sure of and still gets right: decoded from every layer "
    "(figure 1), and along one path of the recursion.",
    "uncertain": "The inputs of lowest and of highest uncertainty (appendix A.5).",
    "corruptions": "One test input under every corruption (appendix A.4).",
}


def write_gallery(
    records: list[dict[str, Any]], folders: Sequence[Path], results: Path
) -> list[str]:
    """Draw the paper's figures, and a page that shows them; return a line for each left out."""
    drawn, notes = draw_all(records, folders, results / "figures")
    drawn += single_inputs(results / "figures")
    pictures = [f"![{name}](../figures/{name}.png)\n\n{text}\n" for name, text in drawn]
    left_out = [f"- {formats.markdown_escape(note)}" for note in notes]
    formats.write(results / GALLERY, "\n".join(["# Figures\n", MANY, *pictures, *left_out, ""]))
    return notes


def single_inputs(folder: Path) -> list[tuple[str, str]]:
    """(name, caption) of each figure that `bench draw` left in a folder."""
    return [
        (file.stem, caption)
        for kind, caption in SINGLE.items()
        for file in sorted(folder.glob(f"{kind}-*.png"))
    ]


def draw_all(
    records: list[dict[str, Any]], folders: Sequence[Path], out: Path
) -> tuple[list[tuple[str, str]], list[str]]:
    """Draw the paper's figures of every board into ``out``, as PNG and PDF.

    Args:
        records: rows, as `bench.report.frames.load` gives them.
        folders: results folders with the curves that belong to them.
        out: where the files go, each named after its figure.

    Returns:
        (name, caption) of each figure, and a line for each one that cannot be drawn.
    """
    import joblib

    colours = palette({record["method"] for record in records})
    curves = belonging(records, (c for f in folders for c in read_all(f / "curves")[0]))
    given = [_material(board, records, curves, colours) for board in boards(records)]
    # Boards side by side, for drawing takes seconds; each process loads seaborn once.
    drawn = joblib.Parallel(n_jobs=min(len(given), joblib.cpu_count()))(
        joblib.delayed(_drawn)(one, out) for one in given
    )
    notes = [f"{one.board.title}: {NO_CURVES}" for one in given if not one.curves]
    return [entry for board in drawn for entry in board], notes


def _material(
    board: Board, records: list[dict[str, Any]], curves: Curves, colours: Palette
) -> Material:
    mine = [record for record in records if is_of(record, board)]
    params = {record["method"]: record.get("params") or {} for record in mine}
    own = [curves[_owner(record)] for record in mine if _owner(record) in curves]
    return Material(board, colours, params, own)


def _drawn(given: Material, out: Path) -> list[tuple[str, str]]:
    """Draw every kind of figure of one board; return their names and captions."""
    found = []
    with look():
        for drawing in (drawing for kind in KINDS for drawing in kind(given)):
            name = f"{drawing.name}-{given.board.stem}"
            for ending, content in saved(drawing.figure).items():
                formats.write(out / f"{name}.{ending}", content)
            found.append((name, f"{given.board.title}. {drawing.caption}"))
    return found


def is_of(record: dict[str, Any], board: Board) -> bool:
    """Tell whether a record's numbers stand on a board."""
    about = (board_of(record["dataset"]), record.get("preset") or "unknown")
    where = record.get("device") or "unknown device"
    return (*about, where) == (board.dataset, board.preset, board.device)


def _owner(record: dict[str, Any]) -> tuple[Any, ...]:
    """The rows that a record holds or, for curves, belongs to."""
    return record["method"], record["scenario"], record.get("row", record.get("key"))


def belonging(records: Iterable[dict[str, Any]], curves: Iterable[dict[str, Any]]) -> Curves:
    """The curves that were made with the very rows given, by these."""
    known = {_owner(record) for record in records}
    return {_owner(c): c for c in curves if "method" in c and _owner(c) in known}


def draw(frame: pd.DataFrame, scenario: str, colours: Palette) -> dict[str, bytes]:
    """The figure of one scenario as {"png": …, "pdf": …}; empty if there is nothing to draw."""
    wanted = MEASURED.get(scenario) or [c for c in COLUMNS if c.scenario == scenario]
    panels = [c for c in wanted or [Column(scenario, scenario)] if len(c.lines(frame))]
    if not panels:
        return {}
    with look():
        methods = frame["method"].unique()
        width = PAGE if max(map(len, methods)) > LONG else WIDTH
        figure = canvas(0.75 + 0.17 * len(methods), width=width)
        alike = panels[0].metric == DETECTION  # lengths can be compared across these panels
        axes = figure.subplots(1, len(panels), sharex=alike, sharey=True, squeeze=False)[0]
        for axis, column in zip(axes, panels, strict=True):
            _bars(axis, column, frame, colours)
        return saved(figure)


def _bars(axis: Axes, column: Column, frame: pd.DataFrame, colours: Palette) -> None:
    """Draw one panel; a method that lacks anything has a dash instead of a bar."""
    import seaborn as sns

    methods = sorted(frame["method"].unique())
    start = CHANCE if column.metric == DETECTION else 0.0  # a bar is what is gained over chance
    values = stats.grid(column.lines(frame), methods, seeds(frame, column.scenario)) - start
    per_seed = stats.over_cells(values)
    place = {"x": "value", "y": "method", "order": methods, "ax": axis}
    sns.barplot(
        _tidy(per_seed.dropna()), **place, hue="method", palette=colours, saturation=1,
        linewidth=0, errorbar="sd", capsize=0.3, err_kws={"linewidth": 0.8, "color": "black"},
    )  # fmt: skip
    if values.shape[1] > 1:
        views = _tidy(stats.over_seeds(values))  # jitter would be random: other bytes each time
        sns.stripplot(
            views, **place, jitter=False, size=2, color="white", edgecolor="black", linewidth=0.4
        )
    for name in per_seed.index[per_seed.isna().any(axis=1)]:
        axis.text(0, name, " –", va="center")
    axis.axvline(0, color="black", linewidth=0.6)
    axis.set(title=column.label, xlabel="AUROC" if column.metric == DETECTION else "", ylabel="")
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter(lambda gain, _: f"{start + gain:g}")
    sns.despine(ax=axis, left=True)


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """One line for each number of a table of methods."""
    return table.melt(ignore_index=False).reset_index()
