"""The leaderboard as one HTML file that opens offline: ``leaderboard.html``.

`sheets` works every number out; the page's script only picks, sorts and draws.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report import formats
from bench.report.advice import advice
from bench.report.frames import ResultGroup
from bench.report.leaderboard import Leaderboard, leaderboard, left_out, overall_ranking
from bench.report.web.page_data import Cells, Sheet, measured, sheet, whole
from bench.store.files import row_path
from bench.store.schema import OWN, RANKED_BY

NAME = "leaderboard.html"
HERE = Path(__file__).parent
FIRST = "mnist"  # the data set that the page opens with, where it is there


def fixed(table: Leaderboard, methods: Sequence[str]) -> list[dict[str, Any]]:
    """The leaderboard's columns that no choice of metric or score changes, such as accuracy."""
    of = {column.label: column for column in table.columns}
    found = []
    for label, spec in table.specs.items():
        if spec.kind == "detection" and not of[label].headline.score:
            continue
        chosen = table.best.get(label, set())
        found.append(
            {
                "label": label, "scenario": of[label].scenario if label in of else "",
                "better": spec.better, "digits": spec.digits,
                "mean": whole(table.mean[label][methods], spec.digits),
                "std": whole(table.std[label][methods], spec.digits),
                "best": [i for i, name in enumerate(methods) if name in chosen],
            }
        )  # fmt: skip
    return found


def board_data(
    group: ResultGroup, score: str = RANKED_BY, linked: Callable[[str], bool] = lambda path: True
) -> dict[str, Any]:
    """One board, as the page's script reads it."""
    table = leaderboard(group, score)
    cells = Cells(group)
    sheets: dict[str, dict[str, Sheet]] = {}
    for spec, by in cells.sheets:
        sheets.setdefault(spec.name, {})[by] = sheet(cells, spec, by)
    detecting = set(group.detecting)
    return {
        "dataset": group.dataset, "preset": group.preset, "device": group.device,
        "caption": table.caption.strip(),
        "methods": [
            {
                "name": name, "score": group.own[name], "params": _params(group, name),
                "tuned": group.tuned[name],
                "notes": _notes(table, group, name),
            }
            for name in group.methods
        ],
        "seeds": {name: group.measurements[name].seeds for name in group.scenarios},
        "cells": cells.cells,
        "groups": [[g.label, g.scenario, g.cells, g.kind] for g in cells.groups],
        "sheets": sheets,
        "fixed": fixed(table, group.methods),
        "left_out": left_out(group),
        "measured": {
            name: measured(group, name, score)
            for name in group.scenarios if name not in detecting
        },
        "files": _files(group, linked),
        "advice": _advice(group),
    }  # fmt: skip


def _advice(group: ResultGroup) -> dict[str, Any] | None:
    """What the group's rows recommend, in words."""
    found = advice(group)
    if found is None:
        return None
    table = found.table()
    return {
        "lessons": [*found.lessons()], "heads": [*table.columns],
        "lines": table.to_numpy().tolist(), "caption": found.caption,
    }  # fmt: skip


def _notes(table: Leaderboard, group: ResultGroup, method: str) -> list[str]:
    """What the leaderboard says that a method lacks; or, where it lacks all, what failed."""
    found = [note for note in table.notes if note.startswith(f"{method}: ")]
    failed = [r for r in group.records if r.method == method and r.status == "failed"]
    return found or list(dict.fromkeys(f"{method}: failed: {r.reason}" for r in failed))


def _params(group: ResultGroup, method: str) -> str:
    """The parameters of a method in one line."""
    params = next(record.params for record in group.records if record.method == method)
    return ", ".join(f"{name}={value}" for name, value in params.items())


def _files(group: ResultGroup, linked: Callable[[str], bool]) -> list[dict[str, list[list[Any]]]]:
    """Row files of each method by scenario: [seed, path from the page]."""
    by_method: dict[str, dict[str, list[list[Any]]]] = {name: {} for name in group.methods}
    for record in group.records:
        place = (record.dataset, record.scenario, record.method, record.seed)
        path = row_path(Path("rows"), *place).as_posix()
        if linked(path):
            by_method[record.method].setdefault(record.scenario, []).append([record.seed, path])
    return list(by_method.values())


def overall(groups: Sequence[ResultGroup], score: str) -> list[list[Any]]:
    """[method, mean place in per mille, number of boards], best first, over data sets.

    Only boards of the preset and device of the one that the page opens with count.

    A place is 0 for the best rank that a board could give and 1000 for the worst, so that boards
    with many methods count no more than others. Only methods that every board ranks, of the boards
    that rank any; nothing where that is a single one.
    """
    places: dict[str, list[float]] = {}
    boards = 0
    chosen = [(g.preset, g.device) for g in groups][start(groups) :][:1]
    for group in groups:
        if (group.preset, group.device) not in chosen:
            continue
        ranking = overall_ranking(group, score)
        boards += ranking.methods > 0
        for name, mean in zip(group.methods, ranking.mean, strict=True):
            if not np.isnan(mean):
                places.setdefault(name, []).append((mean - 1) / max(ranking.methods - 1, 1))
    lines = [
        [name, round(1000 * sum(found) / boards), boards]
        for name, found in places.items()
        if len(found) == boards > 1
    ]
    return sorted(lines, key=lambda line: (line[1], line[0]))


def start(groups: Sequence[ResultGroup]) -> int:
    """The board that the page opens with: MNIST, else that of most methods and records."""
    sizes = [(g.dataset == FIRST, len(g.methods) * len(g.records)) for g in groups]
    return sizes.index(max(sizes)) if sizes else 0


def page(
    groups: Sequence[ResultGroup], facts: Mapping[str, str], score: str = RANKED_BY,
    linked: Callable[[str], bool] = lambda path: True,
) -> str:  # fmt: skip
    """The whole page.

    Args:
        groups: what can be chosen.
        facts: when, where and from what, by name.
        score: what the page ranks by when it opens.
        linked: which row files are there.
    """
    script, style = (_asset(f"leaderboard.{kind}") for kind in ("js", "css"))
    specs = {name: spec for group in groups for name, spec in group.specs.items()}
    boards = [board_data(group, score, linked) for group in groups]
    chosen = dict.fromkeys(name for board in boards for name in board["sheets"])
    data = {
        "metrics": {n: [specs[n].heading, specs[n].better, specs[n].digits] for n in chosen},
        "scores": _words(groups),
        "score": "" if score == OWN else score,
        "start": start(groups),
        "overall": {name: overall(groups, name) for name in dict.fromkeys((OWN, RANKED_BY, score))},
        "boards": boards,
    }
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    template = environment.get_template("leaderboard.html.j2")
    return template.render(
        data=_packed(data), facts=facts, script=script, style=style,
        script_hash=_digest(script), style_hash=_digest(style),
    )  # fmt: skip


def _asset(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _packed(data: Mapping[str, Any]) -> str:
    """Data as JSON in gzip in base64: a quarter of the size, and nothing that ends a script."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _digest(text: str) -> str:
    """A source as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _words(groups: Sequence[ResultGroup]) -> dict[str, str]:
    """Scores of inputs by name, as they are printed."""
    names = {name for group in groups for name in [*group.scores, *group.own.values()]}
    return {name: formats.in_words(name) for name in sorted(names)}


def write(
    results: Path, groups: Sequence[ResultGroup], facts: Mapping[str, str], score: str = RANKED_BY
) -> None:
    """Write ``leaderboard.html`` under ``results``."""

    def linked(path: str) -> bool:
        return (results / path).is_file()

    formats.write(results / NAME, page(groups, facts, score, linked))
