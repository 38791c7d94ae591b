"""The figures of a report: planned from rows and curves, drawn by processes side by side.

Each kind of figures is one module in `plots`, or in a plug-in; `style` is how all of them look.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from bench import plugins
from bench.report import formats, style
from bench.report.frames import Board, board_of
from bench.report.leaderboard import leaderboard
from bench.report.plots import Drawing, Material, Place, kinds
from bench.report.style import MOST, Palette, look, palette
from bench.store.rows import read_all

Curves = dict[tuple[Any, ...], dict[str, Any]]  # owner -> record of `bench.running.curves`
GALLERY = "paper/figures.md"
FEW = 6  # figures that one process draws before another one has started
NO_CURVES = (
    "no curves, so neither ROC, risk-coverage, reliability nor histograms; "
    "the same `bench run` again makes them from cached predictions"
)
MANY = f"Lines show at most {MOST} methods: of more, those without parameters.\n"
SINGLE = {  # what `bench draw` writes -> caption
    "decoded": "Test inputs decoded from every layer, with the class and probability that the "
    "network gives each decoding (appendix A.3; for speech, figure 2).",
    "path": "An input the network is least sure of and still gets right: decoded from every layer "
    "(figure 1), and along one path of the recursion.",
    "uncertain": "The inputs of lowest and of highest uncertainty (appendix A.5).",
    "corruptions": "One test input under every corruption (appendix A.4).",
}


@dataclass(frozen=True)
class Figure:
    """A figure of a report: its file under ``figures``, and where it is shown."""

    board: Board
    place: Place
    drawing: Drawing

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return f"{self.drawing.name}-{self.board.stem}"

    @property
    def markdown(self) -> str:
        """The picture with its caption, for a page beside the folder of figures."""
        return f"![{self.drawing.name} on {self.board.title}](figures/{self.name}.png)\n\n" + (
            f"{formats.markdown_escape(self.drawing.caption)}\n"
        )


def plan(
    found: Sequence[Board], records: Sequence[Mapping[str, Any]], folders: Sequence[Path],
    *, paper: bool = True,
) -> tuple[list[Figure], list[str]]:  # fmt: skip
    """Return the figures of every board, and a line for each that cannot be drawn.

    Args:
        found: the boards.
        records: the rows they were made of, as `bench.report.frames.load` gives them.
        folders: results folders with the curves that belong to them.
        paper: also plan the figures that are shown on the paper's page alone.
    """
    colours = palette({record["method"] for record in records})
    read = (curve for folder in folders if paper for curve in read_all(folder / "curves")[0])
    curves = belonging(records, read)
    materials = [_material(board, records, curves, colours) for board in found]
    figures = [
        Figure(material.board, kind.place, drawing)
        for material in materials
        for kind in kinds()
        if paper or kind.place == "report"
        for drawing in kind.draw(material)
    ]
    notes = [f"{m.board.title}: {NO_CURVES}" for m in materials if paper and not m.curves]
    return figures, notes


def draw(figures: Sequence[Figure], out: Path) -> Iterator[None]:
    """Start to draw figures into ``out``, as PNG and PDF; exhaust the iterator to wait for them.

    A figure is left alone whose files were drawn from the same numbers by the same code.
    """
    import joblib

    out.mkdir(parents=True, exist_ok=True)
    stale = [
        (figure, digest)
        for figure in figures
        if style.digest_of(out / f"{figure.name}.png") != (digest := fingerprint(figure.drawing))
        or not (out / f"{figure.name}.pdf").exists()
    ]
    workers = min(joblib.cpu_count(), -(-len(stale) // FEW))
    tasks = (
        joblib.delayed(_write)(pickle.dumps(figure.drawing.draw), out / figure.name, digest)
        for figure, digest in stale
    )
    return iter(joblib.Parallel(max(workers, 1), return_as="generator_unordered")(tasks))


def _write(drawing: bytes, stem: Path, digest: str) -> None:
    """Draw one figure and write its files; the PNG, which has the fingerprint, comes last."""
    plugins.modules()  # a worker has not imported them, and a drawing may be defined there
    with look():
        files = style.saved(pickle.loads(drawing)(), digest=digest)
    for ending in ("pdf", "png"):
        formats.write(stem.with_name(f"{stem.name}.{ending}"), files[ending])


def fingerprint(drawing: Drawing) -> str:
    """Return a digest of all that a drawing depends on: its numbers, its code and matplotlib."""
    import joblib
    import matplotlib

    source = sys.modules[drawing.draw.func.__module__].__file__ or ""
    parts = [joblib.hash(drawing.draw), *map(_code, (source, style.__file__))]
    return sha256("".join([*parts, matplotlib.__version__]).encode()).hexdigest()[:16]


@cache
def _code(path: str) -> str:
    return sha256(Path(path).read_bytes()).hexdigest() if path else ""


def write_gallery(figures: Sequence[Figure], notes: Sequence[str], results: Path) -> None:
    """Write the page that shows the paper's figures, and those of single inputs."""
    shown = [
        (figure.name, f"{figure.board.title}. {figure.drawing.caption}")
        for figure in figures
        if figure.place == "paper"
    ]
    shown += single_inputs(results / "figures")
    pictures = [f"![{name}](../figures/{name}.png)\n\n{text}\n" for name, text in shown]
    left_out = [f"- {formats.markdown_escape(note)}" for note in notes]
    formats.write(results / GALLERY, "\n".join(["# Figures\n", MANY, *pictures, *left_out, ""]))


def single_inputs(folder: Path) -> list[tuple[str, str]]:
    """Return (name, caption) of each figure that `bench draw` left in a folder."""
    return [
        (file.stem, caption)
        for kind, caption in SINGLE.items()
        for file in sorted(folder.glob(f"{kind}-*.png"))
    ]


def _material(
    board: Board, records: Sequence[Mapping[str, Any]], curves: Curves, colours: Palette
) -> Material:
    mine = [record for record in records if is_of(record, board)]
    params = {record["method"]: record.get("params") or {} for record in mine}
    own = [curves[_owner(record)] for record in mine if _owner(record) in curves]
    whole = Board(board.dataset, board.preset, board.device, board.ambiguous, _counting(board))
    return Material(whole, colours, leaderboard(whole.frame).rank, params, own)


def _counting(board: Board) -> pd.DataFrame:
    """The lines by each method's ranking score or of its point prediction: a tenth of them."""
    score = board.frame["score"]
    keep = (score == board.frame["headline"]) | (score == board.frame["answer"]) | score.isna()
    return board.frame[keep]


def is_of(record: Mapping[str, Any], board: Board) -> bool:
    """Tell whether a record's numbers stand on a board."""
    about = (board_of(record["dataset"]), record.get("preset") or "unknown")
    where = record.get("device") or "unknown device"
    return (*about, where) == (board.dataset, board.preset, board.device)


def _owner(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """The rows that a record holds or, for curves, belongs to."""
    return record["method"], record["scenario"], record.get("row", record.get("key"))


def belonging(
    records: Iterable[Mapping[str, Any]], curves: Iterable[dict[str, Any]]
) -> Curves:  # fmt: skip
    """Return the curves that were made with the very rows given, by these."""
    known = {_owner(record) for record in records}
    return {_owner(c): c for c in curves if "method" in c and _owner(c) in known}
