"""The leaderboard as one HTML file that opens offline: ``leaderboard.html``.

`sheets` works every number out; the page's script only picks, sorts and draws.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report import formats
from bench.report.frames import Board, board_of, seeds
from bench.report.leaderboard import DETECTION, Leaderboard, leaderboard
from bench.report.web.page_data import (
    DETECTED,
    METRICS,
    Cells,
    Sheet,
    count,
    measured,
    sheet,
    whole,
)
from bench.store.rows import row_path

NAME = "leaderboard.html"
HERE = Path(__file__).parent


def fixed(table: Leaderboard) -> list[dict[str, Any]]:
    """The leaderboard's columns that no choice of metric or score changes, such as accuracy."""
    found = []
    for column in table.columns:
        if column.metric == DETECTION and column.scenario:
            continue
        chosen = table.best.get(column.label, set())
        found.append(
            {
                "label": column.label, "scenario": column.scenario,
                "better": column.better, "digits": column.digits,
                "mean": whole(table.mean[column.label], column.digits),
                "std": whole(table.std[column.label], column.digits),
                "best": [i for i, name in enumerate(table.rank.index) if name in chosen],
            }
        )  # fmt: skip
    return found


def board_data(
    board: Board, records: Sequence[Mapping[str, Any]], linked: Callable[[str], bool]
) -> dict[str, Any]:
    """One board, as the page's script reads it."""
    table = leaderboard(_own_lines(board.frame))
    methods = [str(name) for name in table.rank.index]
    cells = Cells(board.frame, methods)
    own = [record for record in records if _is_of(record, board)]
    detected = set(cells.lines.loc[cells.lines["metric"] == DETECTION, "scenario"])
    sheets: dict[str, dict[str, Sheet]] = {}
    for metric, score in cells.sheets:
        sheets.setdefault(metric, {})[score] = sheet(cells, metric, score)
    return {
        "dataset": board.dataset, "preset": board.preset, "device": board.device,
        "caption": table.caption.strip(),
        "methods": [
            {
                "name": name, "score": table.score[name], "params": _params(own, name),
                "notes": _notes(table, own, name),
            }
            for name in methods
        ],
        "seeds": {name: list(map(int, seeds(board.frame, name))) for name in board.scenarios},
        "cells": [
            [row.scenario, row.view, row.severity, row.group or "", count(pd.Series([row.n]))]
            for row in cells.cells.itertuples()
        ],
        "groups": [[g.label, g.scenario, g.cells, g.kind] for g in cells.groups],
        "sheets": sheets,
        "fixed": fixed(table),
        "measured": {
            name: measured(board.frame, name, methods)
            for name in board.scenarios if name not in detected
        },
        "files": _files(own, methods, linked),
    }  # fmt: skip


def _own_lines(frame: pd.DataFrame) -> pd.DataFrame:
    """What the leaderboard by own scores reads, and a line of each record: it is ten times less."""
    score = frame["score"]
    keep = (score == frame["headline"]) | (score == frame["answer"]) | score.isna()
    return frame[keep | ~frame.duplicated(["variant", "scenario", "method", "seed"])]


def _is_of(record: Mapping[str, Any], board: Board) -> bool:
    """Tell whether the lines of a record are among those of a board."""
    return (
        board_of(str(record["dataset"])) == board.dataset
        and (record.get("preset") or "unknown") == board.preset
        and (record.get("device") or "unknown device") == board.device
    )


def _notes(table: Leaderboard, records: Iterable[Mapping[str, Any]], method: str) -> list[str]:
    """What the leaderboard says that a method lacks; or, where it lacks all, what failed."""
    found = [note for note in table.notes if note.startswith(f"{method}: ")]
    failed = [r for r in records if r["method"] == method and r["status"] == "failed"]
    reasons = dict.fromkeys(f"{method}: failed: {r.get('reason', '')}" for r in failed)
    return found or list(reasons)


def _params(records: Iterable[Mapping[str, Any]], method: str) -> str:
    """The parameters of a method in one line."""
    found = [record.get("params") or {} for record in records if record["method"] == method]
    return ", ".join(f"{name}={value}" for name, value in found[0].items()) if found else ""


def _files(
    records: Iterable[Mapping[str, Any]], methods: list[str], linked: Callable[[str], bool]
) -> list[dict[str, list[list[Any]]]]:
    """Row files of each method by scenario: [seed, path from the page]."""
    found: list[dict[str, list[list[Any]]]] = [{} for _ in methods]
    for record in records:
        place = (record["dataset"], record["scenario"], record["method"], record["seed"])
        path = row_path(Path("rows"), *place).as_posix()
        if linked(path):
            by_scenario = found[methods.index(record["method"])]
            by_scenario.setdefault(record["scenario"], []).append([record["seed"], path])
    return found


def page(
    boards: Sequence[Board], records: Sequence[Mapping[str, Any]], facts: Mapping[str, str],
    linked: Callable[[str], bool] = lambda path: True,
) -> str:  # fmt: skip
    """The whole page.

    Args:
        boards: what can be chosen.
        records: what the boards were made of; they name the row files.
        facts: when, where and from what, by name.
        linked: which row files are there.
    """
    script, style = (_asset(f"leaderboard.{kind}") for kind in ("js", "css"))
    data = {
        "metrics": {name: [m.label, m.better, m.digits] for name, m in METRICS.items()},
        "scores": _words(boards),
        "boards": [board_data(board, records, linked) for board in boards],
    }
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    # `tojson` writes <, > and & as escapes: no name can end the script
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    template = environment.get_template("leaderboard.html.j2")
    return template.render(
        data=data, facts=facts, script=script, style=style,
        script_hash=_digest(script), style_hash=_digest(style),
    )  # fmt: skip


def _asset(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _digest(text: str) -> str:
    """A source as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _words(boards: Iterable[Board]) -> dict[str, str]:
    """Scores of inputs by name, as they are printed."""
    found = set()
    for board in boards:
        frame = board.frame
        found |= {*frame.loc[frame["metric"].isin(DETECTED), "score"].dropna(), *frame["headline"]}
    return {name: formats.in_words(name) for name in sorted(found)}


def write(
    results: Path, boards: Sequence[Board], records: Sequence[Mapping[str, Any]],
    facts: Mapping[str, str],
) -> None:  # fmt: skip
    """Write ``leaderboard.html`` under ``results``."""

    def linked(path: str) -> bool:
        return (results / path).is_file()

    formats.write(results / NAME, page(boards, records, facts, linked))
