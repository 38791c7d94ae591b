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
from bench.store.rows import merge, read_all, tidy

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


def load(*folders: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the usable records of results folders, and one line for each thing left out.

    Of several folders the first goes first where they contradict each other: `bench.rows.merge`.

    Raises:
        BenchError: a folder is not there, or none holds a usable record.
    """
    found, problems = {}, []
    for folder in dict.fromkeys(folders):
        if not (folder / "rows").is_dir():
            raise BenchError(f"no results under {folder}; start with `python -m bench run`")
        records, unread = read_all(folder / "rows")
        flaws = [(record, _flaw(record)) for record in records]
        found[folder] = [record for record, flaw in flaws if not flaw]
        problems += [*unread, *(flaw for _, flaw in flaws if flaw)]
    usable, conflicts = merge(found)
    if not usable:
        where, why = ", ".join(map(str, found)), f" ({problems[0]})" if problems else ""
        raise BenchError(f"no results under {where}{why}; start with `python -m bench run`")
    return usable, [*problems, *conflicts]


def _flaw(record: Mapping[str, Any]) -> str:
    """Say what keeps a record out of every table, or nothing."""
    name = "/".join(str(record.get(key, "?")) for key in PLACE)
    if lacking := NEEDED - record.keys():
        return f"{name}: the record lacks {', '.join(sorted(lacking))}; left out"
    try:
        values = [value for row in record["rows"] for value in row.get("metrics", {}).values()]
        sound = all(isinstance(value, int | float) for value in values)
    except (TypeError, AttributeError):
        sound = False
    return "" if sound else f"{name}: its rows are not numbers by name; left out"


def board_of(dataset: str) -> str:
    """The data set whose board has the rows of ``dataset``: "digits" for "digits~without=3"."""
    return dataset.partition("~")[0]


def boards(records: list[dict[str, Any]]) -> list[Board]:
    """Return one board for each data set, preset and device, in this order.

    Rows of a variant made for training, such as "digits~without=3", are on the board of its data
    set; ``variant`` is the label they had, and empty in rows of the data set itself.
    """
    frame = tidy(records).fillna({"preset": "unknown", "device": "unknown device"})
    base = frame["dataset"].map(board_of)
    frame["variant"] = frame["dataset"].where(frame["dataset"] != base, "")
    frame["dataset"] = base
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
    """Seconds of each fit on the data set itself, (methods, seeds)."""
    whole = frame[frame["variant"] == ""]
    seconds = whole.groupby(["method", "seed"])["fit_seconds"].first().astype(float)
    return seconds.unstack("seed").reindex(methods)


def headline_scores(frame: pd.DataFrame, score: str = "") -> pd.Series:
    """The score each method is judged by: its own, or the one given for all."""
    own = frame.groupby("method")["headline"].first()
    return own.map(lambda name: score or name)


def gaps(frame: pd.DataFrame, scenario: str, values: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Why a grid of a scenario has NaN: (method, reason, where) with the seeds in ``where``."""
    part = frame[frame["scenario"] == scenario]
    part = part.sort_values("status", key=lambda status: status == "ok", kind="stable")
    records = part.drop_duplicates(["method", "seed"]).set_index(["method", "seed"])
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
