"""Rows as tidy frames, one for each (data set, preset, device): these are never mixed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.rows import read_all, tidy

NEEDED = {"dataset", "scenario", "method", "seed", "status", "rows"}
PLACE = ["dataset", "scenario", "method", "seed"]  # what names a record
HEADLINE = "vote_entropy"


@dataclass(frozen=True)
class Board:
    """The lines that may stand in one table, and what to call it."""

    dataset: str
    preset: str
    device: str
    ambiguous: bool  # the data set was also run with another preset or on another device
    frame: pd.DataFrame

    @property
    def stem(self) -> str:
        """End of the file names."""
        parts = [self.dataset, *([self.preset, self.device] if self.ambiguous else [])]
        return "-".join(re.sub(r"[^\w.=]+", "-", part) for part in parts)

    @property
    def title(self) -> str:
        """What the numbers were measured on."""
        return f"{self.dataset} (preset {self.preset}; {self.device})"

    @property
    def scenarios(self) -> list[str]:
        """Scenarios that gave at least one number, in alphabetical order."""
        return sorted(self.frame.dropna(subset="value").scenario.unique())


def load(results: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the usable records under ``results`` and one line for each left out."""
    records, problems = read_all(results / "rows")
    usable = [record for record in records if record.keys() >= NEEDED]
    problems += [_lacks(record) for record in records if not record.keys() >= NEEDED]
    if not usable:
        raise BenchError(f"no results under {results}; start with `python -m bench run`")
    return usable, problems


def _lacks(record: Mapping[str, Any]) -> str:
    name = "/".join(str(record.get(key, "?")) for key in PLACE)
    return f"{name}: the record lacks {', '.join(sorted(NEEDED - record.keys()))}; left out"


def boards(records: list[dict[str, Any]]) -> list[Board]:
    """Return one board for each data set, preset and device, in this order."""
    frame = tidy(records).fillna({"preset": "unknown", "device": "unknown device"})
    named = {r["method"]: r["score"] for r in records if r.get("score")}  # a failed one has none
    frame["headline"] = [named.get(method, HEADLINE) for method in frame["method"]]
    groups = list(frame.groupby(["dataset", "preset", "device"]))
    counts = Counter(dataset for (dataset, *_), _ in groups)
    return [
        Board(dataset, preset, device, counts[dataset] > 1, part)
        for (dataset, preset, device), part in groups
    ]


def seeds(frame: pd.DataFrame, scenario: str) -> list[int]:
    """Seeds that some method ran, or failed at: every other method owes them too."""
    ran = (frame["scenario"] == scenario) & (frame["status"] != "skipped")
    return sorted(frame.loc[ran, "seed"].unique())


def fit_seconds(frame: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Seconds of each fit, (methods, seeds)."""
    seconds = frame.groupby(["method", "seed"])["fit_seconds"].first().astype(float)
    return seconds.unstack("seed").loc[methods]


def headline_scores(frame: pd.DataFrame, score: str = "") -> pd.Series:
    """The score each method is judged by: its own, or the one given for all."""
    own = frame.groupby("method")["headline"].first()
    return own.map(lambda name: score or name)


def gaps(frame: pd.DataFrame, scenario: str, values: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Why a grid of a scenario has NaN: (method, reason, where) with the seeds in ``where``."""
    part = frame[frame["scenario"] == scenario].drop_duplicates(["method", "seed"])
    records = part.set_index(["method", "seed"])
    found: dict[tuple[str, str], list[str]] = {}
    for at, row in values[values.isna().any(axis=1)].iterrows():
        record = records.loc[at] if at in records.index else None
        found.setdefault((at[0], _gap(row, record)), []).append(str(at[1]))
    return [(*key, f"{scenario} seed {', '.join(of)}") for key, of in found.items()]


def _gap(row: pd.Series, record: pd.Series | None) -> str:
    if record is None:
        return "not run"
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    return f"lacks {', '.join(dict.fromkeys(view for view, _ in row.index[row.isna()]))}"
