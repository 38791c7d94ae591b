"""Results as tables and figures: what a run returns, and what a folder of records holds."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.commands.export import wide
from bench.discover import unknown
from bench.errors import UsageError
from bench.report.frames import ResultGroup, load, result_groups
from bench.report.leaderboard import by_words, leaderboard
from bench.report.stats import LEVEL, t_quantile
from bench.store.schema import DETECTION, RANKED_BY, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABOUT = ["dataset", "scenario", "method", "seed", "preset", "device", "view", "group", "severity",
         "n", "score"]  # fmt: skip


class Results:
    """The records of a results folder as pandas frames, a leaderboard and figures.

    A notebook shows it as its leaderboards.

    Args:
        folder: a results folder.
        datasets: only these; all by default.
        preset: only this; all by default.

    Raises:
        BenchError: there is no such folder, or it holds no readable record.
    """

    def __init__(
        self, folder: str | Path = "results", *, datasets: Sequence[str] | None = None,
        preset: str | None = None,
    ) -> None:  # fmt: skip
        self.folder = Path(folder)
        records, self.problems = load(self.folder)
        wanted = [datasets] if isinstance(datasets, str) else datasets
        self.records: list[Record] = [
            record for record in records
            if (wanted is None or record.base in wanted) and preset in (None, record.preset)
        ]  # fmt: skip
        if not self.records:
            known = sorted({f"{r.base} ({r.preset})" for r in records})
            raise UsageError(f"no such results under {self.folder}; it has {', '.join(known)}")

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A line for each record, view, score and metric, with the metric's value."""
        table = wide([record for record in self.records if record.rows])
        metrics = list(
            dict.fromkeys(m for r in self.records for row in r.rows for m in row.metrics)
        )
        keys = [name for name in ABOUT if name in table]
        long = table.melt(keys, [m for m in metrics if m in table], "metric", "value")
        return long.dropna(subset="value").reset_index(drop=True)

    @cached_property
    def wide(self) -> pd.DataFrame:
        """A line for each record, view and score, a column for each metric, as `bench export`."""
        return wide(self.records)

    @property
    def failures(self) -> dict[str, str]:
        """What failed, "data set, scenario, method, seed", and why."""
        return {
            f"{r.dataset}, {r.scenario}, {r.method}, seed {r.seed}": r.reason
            for r in self.records if r.status == "failed"
        }  # fmt: skip

    def leaderboard(self, dataset: str | None = None, *, score: str = RANKED_BY) -> pd.DataFrame:
        """Return ranks, means and standard deviations of one data set, best rank first.

        Args:
            dataset: needed where there are several.
            score: inputs are ranked by it; "own": by each method's own.

        Raises:
            UsageError: there are several data sets, or no record has the score.
            UnknownNameError: there is no such data set.
        """
        return leaderboard(self._group(dataset, score), score).numbers()

    def compare(
        self, first: str, second: str, dataset: str | None = None, *, score: str = RANKED_BY,
        metric: str = DETECTION,
    ) -> pd.DataFrame:  # fmt: skip
        """Return ``first`` minus ``second``, a line for each view, over the seeds both have.

        ``low`` and ``high`` bound the mean difference by a paired t interval (95 %) over the
        seeds; NaN from one seed. `bench compare` has the interval over test inputs.

        Raises:
            UnknownNameError: a method was not measured.
            UsageError: the two share no number of this metric.
        """
        group = self._group(dataset, score)
        for name in (first, second):
            if name not in group.methods:
                raise unknown("method", name, group.methods)
        if metric not in group.specs:
            raise unknown("metric", metric, sorted(group.specs))
        lines = []
        for scenario, part in group.measurements.items():
            found = part.values(group.specs[metric], score, every_seed=True)
            one, two = (found[part.methods.index(name)] for name in (first, second))
            for i, cell in enumerate(part.cells):
                if np.isfinite(pair := np.stack([one[:, i], two[:, i]])).all(axis=0).any():
                    line = {"scenario": scenario, "view": cell.view, "severity": cell.severity}
                    lines.append(line | _difference(pair, first, second))
        if not lines:
            raise UsageError(f"{first} and {second} have no {metric} in common")
        return pd.DataFrame(lines)

    def kinds(self) -> list[str]:
        """Return the kinds of figures that `plot` draws."""
        from bench.report.plots import kinds

        return sorted(kind.draw.__name__ for kind in kinds())

    def plot(self, kind: str, dataset: str | None = None, *, score: str = RANKED_BY) -> Figure:
        """Return the first figure of a kind, such as "ranks"; `kinds` lists them.

        Raises:
            UnknownNameError: there is no such kind.
            UsageError: the results lack what it shows.
        """
        from bench.report import style
        from bench.report.figures import belonging
        from bench.report.plots import Material, kinds
        from bench.store.curves import read_all

        group = self._group(dataset, score)
        chosen = [one for one in kinds() if one.draw.__name__ == kind]
        if not chosen:
            raise unknown("figure", kind, self.kinds())
        curves = belonging(group, read_all(self.folder / "curves")[0])
        material = Material(group, style.palette(group.methods), score, curves)
        drawing = next(chosen[0].draw(material), None)
        if drawing is None:
            raise UsageError(f"the results on {group.dataset} lack what '{kind}' shows")
        with style.look():
            return drawing.draw()

    def _group(self, dataset: str | None, score: str) -> ResultGroup:
        from bench.report.readme import check_score

        check_score(self.groups, score)
        if dataset is None and len(self.groups) == 1:
            return self.groups[0]
        known = list(dict.fromkeys(group.dataset for group in self.groups))
        if dataset is None:
            raise UsageError(f"say which: there are results on {', '.join(known)}")
        found = [group for group in self.groups if group.dataset == dataset]
        if not found:
            raise unknown("data set", dataset, known)
        if len(found) > 1:
            places = ", ".join(f"{g.preset} on {g.device}" for g in found)
            raise UsageError(f"there are several results on {dataset} ({places}); give preset=")
        return found[0]

    @cached_property
    def groups(self) -> list[ResultGroup]:
        """The results of each data set, preset and device, which are never mixed."""
        return result_groups(self.records)

    def __repr__(self) -> str:
        return "\n\n".join(
            f"{group.title}, AUROC by {by_words(RANKED_BY)}\n"
            + leaderboard(group).text().to_string(index=False)
            for group in self.groups
        )

    def _repr_html_(self) -> str:
        """Return the leaderboards as HTML tables, which Jupyter shows."""
        bold = partial(_tagged, "b")
        return "".join(
            f"<p>{html.escape(group.title)}, AUROC by {html.escape(by_words(RANKED_BY))}</p>"
            + leaderboard(group).text(bold, html.escape).to_html(index=False, escape=False)
            for group in self.groups
        )


def _tagged(tag: str, text: str) -> str:
    return f"<{tag}>{html.escape(text)}</{tag}>"


def _difference(pair: np.ndarray, first: str, second: str) -> dict[str, float]:
    """The means over the seeds that both have, (2, S), their difference and its interval."""
    one, two = pair[:, np.isfinite(pair).all(axis=0)]
    gaps, n = one - two, len(one)
    half = np.nan
    if n > 1:
        half = t_quantile(1 - LEVEL / 2, n - 1) * gaps.std(ddof=1) / np.sqrt(n)
    return {
        "seeds": n, first: one.mean(), second: two.mean(), "difference": gaps.mean(),
        "low": gaps.mean() - half, "high": gaps.mean() + half,
    }  # fmt: skip
