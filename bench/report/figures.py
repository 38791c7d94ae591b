"""The figures of a report: planned from rows and curves, drawn by processes side by side.

Each kind of figures is one module in `plots`, or in a plug-in; `style` is how all of them look.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from bench import plugins
from bench.report import GALLERY, formats, style
from bench.report.frames import ResultGroup
from bench.report.plots import Drawing, Material, Place, kinds
from bench.report.style import MOST, look, palette
from bench.store.curves import CurveFile, read_all
from bench.store.files import write
from bench.store.schema import RANKED_BY

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
    "uncertain": "The inputs of lowest and of highest uncertainty (appendix A.5); "
    "an arrow stands before a wrong answer.",
    "corruptions": "One test input under every corruption (appendix A.4).",
}


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of a report: its file under ``figures``, and where it is shown."""

    group: ResultGroup
    place: Place
    drawing: Drawing

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return f"{self.drawing.name}-{self.group.stem}"

    @property
    def markdown(self) -> str:
        """The picture with its caption, for a page beside the folder of figures."""
        return f"![{self.drawing.name} on {self.group.title}](figures/{self.name}.png)\n\n" + (
            f"{formats.markdown_escape(self.drawing.caption)}\n"
        )


def plan(
    groups: Sequence[ResultGroup], folders: Sequence[Path], *, paper: bool = True,
    score: str = RANKED_BY,
) -> tuple[list[Figure], list[str]]:  # fmt: skip
    """Return the figures of every group of results, and a line for each reason that one lacks.

    Args:
        groups: the results.
        folders: results folders with the curves that belong to them.
        paper: also plan the figures that are shown on the paper's page alone.
        score: inputs are ranked by it.
    """
    colours = palette({method for group in groups for method in group.methods})
    read: list[CurveFile] = []
    notes: list[str] = []
    for folder in folders if paper else ():
        curves, problems = read_all(folder / "curves")
        read += curves
        notes += (line.removeprefix(f"{folder}/") for line in problems)
    materials = [Material(group, colours, score, belonging(group, read)) for group in groups]
    figures = [
        Figure(material.group, kind.place, drawing)
        for material in materials
        for kind in kinds()
        if paper or kind.place == "report"
        for drawing in kind.draw(material)
    ]
    notes += [f"{m.group.title}: {NO_CURVES}" for m in materials if paper and not m.curves]
    return figures, notes


def belonging(group: ResultGroup, curves: Iterable[CurveFile]) -> list[CurveFile]:
    """Return the curves that were made with the very rows of a group."""
    known = {(r.method, r.dataset, r.scenario, r.seed, r.key) for r in group.records}
    return [c for c in curves if (c.method, c.dataset, c.scenario, c.seed, c.row) in known]


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
    extra = os.environ.get(plugins.VARIABLE, "")
    tasks = (
        joblib.delayed(_write)(pickle.dumps(figure.drawing.draw), out / figure.name, digest, extra)
        for figure, digest in stale
    )
    return iter(joblib.Parallel(max(workers, 1), return_as="generator_unordered")(tasks))


def _write(drawing: bytes, stem: Path, digest: str, extra: str) -> None:
    """Draw one figure and write its files; the PNG, which has the fingerprint, comes last."""
    os.environ[plugins.VARIABLE] = extra  # a worker may be older than what is named there
    plugins.modules()  # a drawing may be defined in one, and is found by its name
    with look():
        files = style.saved(pickle.loads(drawing)(), digest=digest)
    for ending in ("pdf", "png"):
        write(stem.with_name(f"{stem.name}.{ending}"), files[ending])


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
        (figure.name, f"{figure.group.title}. {figure.drawing.caption}")
        for figure in figures
        if figure.place == "paper"
    ]
    shown += single_inputs(results / "figures")
    pictures = [f"![{name}](../figures/{name}.png)\n\n{text}\n" for name, text in shown]
    left_out = [f"- {formats.markdown_escape(note)}" for note in notes]
    write(results / GALLERY, "\n".join(["# Figures\n", MANY, *pictures, *left_out, ""]))


def single_inputs(folder: Path) -> list[tuple[str, str]]:
    """Return (name, caption) of each figure that `bench draw` left in a folder."""
    return [
        (file.stem, caption)
        for kind, caption in SINGLE.items()
        for file in sorted(folder.glob(f"{kind}-*.png"))
    ]
