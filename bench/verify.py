"""``bench verify``: do seeds and devices explain how results differ from the reference?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from . import rows

PLACE = ["dataset", "preset", "scenario", "method", "view", "severity", "score", "metric"]
METRICS = ("auroc", "accuracy", "ece", "misclassification_auroc")
LEVEL = 0.05
SAME = 1e-6  # rows keep six digits


def summary(results: Path, reference: Path | None = None) -> str:
    """Return a line a data set: the largest difference, where, and whether it is explained."""
    theirs = reference or rows.REFERENCE
    ours_table, theirs_table = _frame(results), _frame(theirs)
    if theirs_table.empty:
        return f"no reference under {theirs} to compare with"
    lines = []
    for (dataset, preset), group in ours_table.groupby(["dataset", "preset"], sort=False):
        known = theirs_table[(theirs_table.dataset == dataset) & (theirs_table.preset == preset)]
        lines.append(f"{dataset} ({preset}): {compare(group, known)}")
    return "\n".join(lines) or f"no results under {results} to compare"


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """Say how far two sets of rows are apart, and whether chance over seeds explains it.

    Cell by cell, the difference of the means over seeds is held against the spread over
    seeds, pooled over the methods of that view, by a t test at 5 % shared among all cells
    (Bonferroni). Equal seeds on equal devices should agree to the last digit.
    """
    cells = _cells(ours, "_ours").join(_cells(theirs, "_theirs"), how="inner")
    if cells.empty:
        return "nothing in common with the reference"
    gap = (cells.mean_ours - cells.mean_theirs).abs()
    place, largest = gap.idxmax(), gap.max()
    where = " ".join(str(part) for part in place[2:] if part not in ("", 0.0))
    told = f"{len(cells)} numbers compared, largest difference {largest:.4f} ({where})"
    if largest <= SAME:
        return f"{told}: the same"
    outside = int((gap > _allowed(cells)).sum())
    if outside == 0:
        return f"{told}: within what seeds explain"
    return f"{told}: {outside} beyond what seeds explain"


def _cells(frame: pd.DataFrame, suffix: str) -> pd.DataFrame:
    """Return mean, variance and number of seeds of every cell."""
    return (
        frame.groupby(PLACE, dropna=False)["value"].agg(["mean", "var", "count"]).add_suffix(suffix)
    )


def _allowed(cells: pd.DataFrame) -> pd.Series:
    """Return the largest difference of each cell's means that chance over seeds explains."""
    n, m = cells.count_ours, cells.count_theirs
    squares = cells.var_ours.fillna(0) * (n - 1) + cells.var_theirs.fillna(0) * (m - 1)
    views = ["dataset", "preset", "scenario", "view", "severity", "score", "metric"]
    freedom = (n + m - 2).groupby(views).transform("sum")
    spread = squares.groupby(views).transform("sum") / freedom.where(freedom > 0)
    # One method may vary more than the others of its view: the larger of both spreads holds.
    own = (squares / (n + m - 2).where(n + m > 2)).fillna(0)
    quantile = stats.t.ppf(1 - LEVEL / 2 / len(cells), freedom.clip(lower=1))
    allowed = quantile * np.sqrt(np.maximum(spread.fillna(np.inf), own) * (1 / n + 1 / m))
    return allowed + SAME


def _frame(results: Path) -> pd.DataFrame:
    folder = results / "rows"
    records = rows.read_all(folder)[0] if folder.exists() else []
    frame = rows.tidy(records)
    return frame[frame.metric.isin(METRICS)].fillna({"score": "", "group": ""})
