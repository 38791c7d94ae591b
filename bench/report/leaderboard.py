"""The leaderboard: methods against the scenarios, with ranks and what is distinguishable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from bench.report import stats
from bench.report.formats import in_words, number
from bench.report.frames import fit_seconds, gaps, headline_scores, seeds

Notes = dict[str, dict[str, list[str]]]  # method -> reason -> where
Better = Literal["higher", "lower", ""]
DETECTION = "auroc"


@dataclass(frozen=True)
class Column:
    """One quantity of the leaderboard: the mean of a metric over the views it selects."""

    label: str
    scenario: str = ""
    metric: str = DETECTION
    group: str = ""
    view: str = ""
    better: Better = "higher"
    digits: int = 3
    scale: float = 1.0

    def lines(self, frame: pd.DataFrame, score: str = "") -> pd.DataFrame:
        """The lines of one board that count, by ``score`` or each method's headline score."""
        wanted = frame["answer"] if self.metric != DETECTION else score or frame["headline"]
        keep = (frame["scenario"] == self.scenario) & (frame["metric"] == self.metric)
        keep &= (frame["score"] == wanted) | frame["score"].isna()  # a cost has no score
        for name in ("group", "view"):
            if value := getattr(self, name):
                keep &= frame[name] == value
        return frame[keep]


COLUMNS = [
    Column("near", "cross_dataset", group="near"),
    Column("far", "cross_dataset", group="far"),
    Column("corruption", "corruption"),
    Column("FGSM", "adversarial", view="fgsm"),
    Column("FGSM transfer", "adversarial", view="fgsm_transfer"),
    Column("held out", "heldout"),
    Column("accuracy", "clean", "accuracy"),
    Column("ECE %", "clean", "ece", better="lower", digits=1, scale=100.0),
]
FIT = Column("fit s", better="", digits=1)  # chance would always win: nothing in bold


def shifts(frame: pd.DataFrame, score: str = "") -> list[Column]:
    """What is detected on a board: columns named above, then other scenarios by their own names."""
    named = [column for column in COLUMNS if column.metric == DETECTION]
    detected = set(frame.loc[frame["metric"] == DETECTION, "scenario"])
    others = sorted(detected - {column.scenario for column in COLUMNS})
    named += [Column(scenario.replace("_", " "), scenario) for scenario in others]
    return [column for column in named if len(column.lines(frame, score))]


@dataclass(frozen=True)
class Leaderboard:
    """Numbers of one board, best rank first; ``rank`` is NaN for a method that lacks a cell."""

    columns: list[Column]
    score: pd.Series
    rank: pd.Series
    mean: pd.DataFrame
    std: pd.DataFrame
    best: dict[str, set[str]]  # label -> methods in bold
    caption: str
    notes: list[str]

    def text(
        self, bold: Callable[[str], str] = str, plain: Callable[[str], str] = str
    ) -> pd.DataFrame:
        """Cells as they are printed, the best through ``bold`` and the others through ``plain``."""

        def mark(label: str, cells: list[str]) -> list[str]:
            chosen = self.best.get(label, set())
            pairs = zip(self.rank.index, cells, strict=True)
            return [(bold if name in chosen else plain)(cell) for name, cell in pairs]

        table = {"rank": mark("rank", [number(value, digits=2) for value in self.rank])}
        table["method"] = [plain(name) for name in self.rank.index]
        table["score"] = [plain(in_words(name)) for name in self.score]
        for column in self.columns:
            pairs = zip(self.mean[column.label], self.std[column.label], strict=True)
            cells = [number(mean, std, column.digits) for mean, std in pairs]
            table[column.label] = mark(column.label, cells)
        return pd.DataFrame(table)

    def numbers(self) -> pd.DataFrame:
        """The same as numbers, one column each for mean and standard deviation."""
        table = pd.DataFrame({"rank": self.rank, "score": self.score})
        for label in self.mean:
            table[f"{label} mean"], table[f"{label} std"] = self.mean[label], self.std[label]
        return table.round(6).rename_axis("method").reset_index()


def leaderboard_frame(
    frame: pd.DataFrame, bold: Callable[[str], str] = str, score: str = ""
) -> pd.DataFrame:
    """The leaderboard of one board's lines as printed strings, for a console."""
    return leaderboard(frame, score).text(bold)


def leaderboard(frame: pd.DataFrame, score: str = "") -> Leaderboard:
    """The leaderboard of one board's lines, by ``score`` or each method's headline score."""
    methods = sorted(frame["method"].unique())
    notes: Notes = {}
    whole = frame[frame["variant"] == ""]  # a variant has other fits, made for few methods
    ranks = stats.cell_ranks(_detection(whole, methods, score, notes))
    rank = ranks.mean(axis=1).reindex(methods).sort_values(kind="stable")
    per_seed, best = {}, {"rank": _best_ranks(ranks)}
    for column in [*shifts(frame, score), *(c for c in COLUMNS if c.metric != DETECTION)]:
        lines = column.lines(frame, score)
        if lines.empty or (score and column.metric != DETECTION):
            continue
        values = stats.grid(lines, methods, seeds(frame, column.scenario))
        _note(notes, gaps(frame, column.scenario, values))
        per_seed[column] = stats.over_cells(values) * column.scale
        best[column.label] = stats.best(per_seed[column], higher=column.better == "higher")
    if not score:
        per_seed[FIT] = fit_seconds(frame, methods)
    pairs = {column.label: stats.mean_and_std(values) for column, values in per_seed.items()}
    return Leaderboard(
        columns=list(per_seed),
        score=headline_scores(frame, score).reindex(rank.index),
        rank=rank,
        mean=pd.DataFrame({label: mean for label, (mean, _) in pairs.items()}, rank.index),
        std=pd.DataFrame({label: std for label, (_, std) in pairs.items()}, rank.index),
        best=best,
        caption=_caption(frame, score) + _caption_of_ranks(ranks),
        notes=[_footnote(*note) for note in sorted(notes.items())],
    )


def _detection(frame: pd.DataFrame, methods: list[str], score: str, notes: Notes) -> pd.DataFrame:
    """AUROC, (methods, cells of all scenarios), noting what is absent; mean over the seeds."""
    cells = {}
    for scenario in sorted(frame.loc[frame["metric"] == DETECTION, "scenario"].unique()):
        lines = Column("", scenario).lines(frame, score)
        values = stats.grid(lines, methods, seeds(frame, scenario))
        _note(notes, gaps(frame, scenario, values))
        cells[scenario] = stats.over_seeds(values)
    return pd.concat(cells, axis=1) if cells else pd.DataFrame(index=methods)


def _note(notes: Notes, found: list[tuple[str, str, str]]) -> None:
    """Add reasons, each with the places it holds for."""
    for method, why, where in found:
        places = notes.setdefault(method, {}).setdefault(why, [])
        places += [where] if where not in places else []


def _footnote(method: str, reasons: dict[str, list[str]]) -> str:
    return f"{method}: " + "; ".join(f"{why} ({', '.join(of)})" for why, of in reasons.items())


def _best_ranks(ranks: pd.DataFrame) -> set[str]:
    """The lowest mean rank and those within the critical difference of it."""
    means = ranks.mean(axis=1)
    difference = stats.critical_difference(*ranks.shape)
    return set(means.index[means <= means.min() + np.nan_to_num(difference)])


def _caption(frame: pd.DataFrame, score: str) -> str:
    """What is averaged over what, and what bold means."""
    of_each = frame.groupby("scenario")["seed"].nunique()
    many, fewest = of_each.max(), of_each.min()
    by = f"by {in_words(score)}" if score else "by each method's own score"
    spread = f"mean ± standard deviation (ddof = 1) over {many} seeds" if many > 1 else "one seed"
    spread += "" if many == fewest else f" (of some scenarios {fewest}: no ± stands for one)"
    test = "what a paired t-test over the seeds (5 %, each on its own) does not tell from it"
    bold = f"best, and {test}" if many > 1 else "best (one seed: nothing can be tested)"
    return f"AUROC {by}, mean over the views; {spread}. Bold: {bold}. "


def _caption_of_ranks(ranks: pd.DataFrame) -> str:
    """How many methods and cells are ranked, with Friedman's p and Nemenyi's difference."""
    methods, cells = ranks.shape
    if not cells or not methods:
        return "Nothing could be ranked."
    text = f"Rank: mean rank of {methods} complete methods over {cells} (view, severity) cells"
    p_value, difference = stats.friedman(ranks), stats.critical_difference(methods, cells)
    if np.isnan(difference):
        return text + "; too few to test."
    p_text = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    return (
        text + f"; Friedman {p_text}, bold within Nemenyi's critical difference {difference:.2f}."
    )
