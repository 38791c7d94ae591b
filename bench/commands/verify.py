"""``bench verify``: do seeds and devices explain how results differ from the reference?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from bench.store import rows

PLACE = ["dataset", "preset", "scenario", "method", "view", "severity", "score", "metric"]
METRICS = ("auroc", "accuracy", "ece", "misclassification_auroc")
LEVEL = 0.05
SAME = 1e-6  # rows keep six digits


def summary(results: Path, reference: Path | None = None) -> str:
    """Return a line a data set: the largest difference, where, and whether it is explained."""
    theirs = reference or rows.REFERENCE
    if not (theirs / "rows").exists():
        return f"no reference under {theirs} to compare with"
    ours_table = _frame(results)
    theirs_table = _frame(theirs, ours_table.dataset.unique())
    lines = []
    for (dataset, preset), group in ours_table.groupby(["dataset", "preset"], sort=False):
        known = theirs_table[(theirs_table.dataset == dataset) & (theirs_table.preset == preset)]
        lines.append(f"{dataset} ({preset}): {compare(group, known)}")
    return "\n".join(lines) or f"no results under {results} to compare"


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """Say how far two sets of rows are apart, and whether chance over seeds explains it.

    Cell by cell, the difference of the means over the seeds both have (or, where there are
    none, over all) is held against the spread over seeds, pooled over the methods of that view,
    by a t test at 5 % shared among all cells (Bonferroni). Equal seeds on equal devices should
    agree to the last digit.
    """
    shared = set(ours.seed) & set(theirs.seed)  # like is held against like where it can be
    means = [_cells(f[f.seed.isin(shared or f.seed)], "") for f in (ours, theirs)]
    gap = (means[0]["mean"] - means[1]["mean"]).dropna().abs()
    if gap.empty:
        return "nothing in common with the reference"
    cells = _cells(ours, "_ours").join(_cells(theirs, "_theirs"), how="inner").loc[gap.index]
    error = (1 / means[0]["count"] + 1 / means[1]["count"]).loc[gap.index]
    if gap.max() <= SAME:
        return f"{len(cells)} numbers compared: the same"
    where = " ".join(str(part) for part in gap.idxmax()[2:] if part not in ("", 0.0))
    told = f"{len(cells)} numbers compared, largest difference {gap.max():.4f} ({where})"
    outside = int((gap > _allowed(cells, error)).sum())
    if outside == 0:
        return f"{told}: within what seeds explain"
    return f"{told}: {outside} beyond what seeds explain"


def _cells(frame: pd.DataFrame, suffix: str) -> pd.DataFrame:
    """Return mean, variance and number of seeds of every cell."""
    return (
        frame.groupby(PLACE, dropna=False)["value"].agg(["mean", "var", "count"]).add_suffix(suffix)
    )


def _allowed(cells: pd.DataFrame, error: pd.Series) -> pd.Series:
    """Return the largest difference of each cell's means that chance over seeds explains.

    ``error`` is the variance of such a difference in units of the variance over seeds.
    """
    n, m = cells.count_ours, cells.count_theirs
    squares = cells.var_ours.fillna(0) * (n - 1) + cells.var_theirs.fillna(0) * (m - 1)
    views = ["dataset", "preset", "scenario", "view", "severity", "score", "metric"]
    freedom = (n + m - 2).groupby(views).transform("sum")
    spread = squares.groupby(views).transform("sum") / freedom.where(freedom > 0)
    # One method may vary more than the others of its view: the larger of both spreads holds.
    own = (squares / (n + m - 2).where(n + m > 2)).fillna(0)
    quantile = stats.t.ppf(1 - LEVEL / 2 / len(cells), freedom.clip(lower=1))
    allowed = quantile * np.sqrt(np.maximum(spread.fillna(np.inf), own) * error)
    return allowed + SAME


def _frame(results: Path, datasets: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the compared metrics of some data sets, or of all; no other file is read."""
    top = results / "rows"
    folders = [top] if datasets is None else [top / rows.slug(name) for name in datasets]
    records = [record for folder in folders for record in rows.read_all(folder)[0]]
    return rows.tidy(records, METRICS).fillna({"score": "", "group": ""})
