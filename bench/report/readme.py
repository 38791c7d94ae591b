"""The report as files: tables, figures, and the README that shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.report import figures as drawing
from bench.report import formats
from bench.report.frames import Board, boards, load
from bench.report.leaderboard import Leaderboard, leaderboard
from bench.report.scenarios import everything, overview, printed
from bench.report.web import page
from bench.report.wu2021 import claims
from bench.report.wu2021 import tables as tables_of_the_paper
from bench.report.wu2021.observed import Measured

SAME_SCORE = "predictive_entropy"  # defined for every method, so it compares like with like


def render(
    results: Path, *, figures: bool = True, paper: bool = False, sources: Sequence[Path] = ()
) -> list[str]:
    """Write the whole report under ``results``; return one line for each thing left out."""
    folders = list(sources) or [results]
    records, problems = load(*folders)
    colours = drawing.palette({record["method"] for record in records}) if figures else {}
    parts = []
    found = boards(records)
    page.write(results, found, records, facts(records))
    for board in found:
        parts += [f"## {board.title}\n", *write_leaderboards(results, board)]
        parts += write_scenarios(results, board)
        if figures:
            parts += write_figures(results, board, colours)
    undrawn = drawing.write_gallery(records, folders, results) if figures and paper else []
    parts += write_paper(results, records, tables=paper)
    local = [formats.without_folders(problem, folders) for problem in problems]
    parts = ["# Results\n", about(records), *parts, *left_out(records, local)]
    formats.write(results / "README.md", "\n".join(parts))
    return [*problems, *undrawn]


def write_paper(results: Path, records: list[dict[str, Any]], *, tables: bool) -> list[str]:
    """Judge the paper's statements and write its tables where asked, or where they are already.

    Returns the verdicts as Markdown.
    """
    measured = Measured(records, tables_of_the_paper.methods())
    judged = claims.judge(measured)
    folder = results / "paper"
    link = "`python -m bench report --paper` writes its tables, with our numbers beside its own."
    if tables or folder.exists():
        tables_of_the_paper.write(measured, results)
        formats.write(folder / "claims.md", claims.details(judged))
        link = "[Its tables](paper/README.md), [every check](paper/claims.md)."
        link += " [Figures](paper/figures.md)." if (results / drawing.GALLERY).exists() else ""
    known = any(result.run for result in judged)
    verdicts = claims.summary(judged) if known else "None of them can be judged from these rows.\n"
    return ["## The paper's statements\n", verdicts, f"{link}\n"]


def write_leaderboards(results: Path, board: Board) -> list[str]:
    """Write both leaderboards of a board; return them as Markdown."""
    parts = []
    for score in ("", SAME_SCORE):
        table = leaderboard(board.frame, score)
        if score and not table.columns:
            continue  # nothing was detected, so there is nothing to compare
        name = f"leaderboard-{board.stem}" + (f"-{score}" if score else "")
        caption = f"{board.title}. {table.caption}"
        text = formats.markdown(
            table.text(formats.markdown_bold, formats.markdown_escape), caption, table.notes
        )
        stem = results / "tables" / name
        formats.write(stem.with_name(f"{name}.md"), text)
        formats.write(stem.with_name(f"{name}.csv"), table.numbers().to_csv(index=False))
        formats.write(stem.with_name(f"{name}.tex"), _latex(table, caption, name))
        title = f"All methods by {formats.in_words(score)}" if score else "Leaderboard"
        parts += [f"### {title}\n", text]
    return parts


def _latex(table: Leaderboard, caption: str, label: str) -> str:
    cells = table.text(formats.tex_bold, formats.tex_escape)
    return formats.latex(cells, caption, label, table.notes)


def write_scenarios(results: Path, board: Board) -> list[str]:
    """Write the tables of each scenario; return the links to them."""
    links = []
    for scenario in board.scenarios:
        name = f"{scenario}-{board.stem}"
        numbers = everything(board.frame, scenario).to_csv(index=False)
        formats.write(results / "tables" / f"{name}.csv", numbers)
        cells = printed(overview(board.frame, scenario)).map(formats.tex_escape)
        caption = f"{board.title}: {scenario}, mean over the seeds. A dash: not complete."
        formats.write(results / "tables" / f"{name}.tex", formats.latex(cells, caption, name))
        links.append(f"[{scenario}](tables/{name}.csv)")
    return [f"Every number: {', '.join(links)}.\n"] if links else []


def write_figures(results: Path, board: Board, colours: drawing.Palette) -> list[str]:
    """Draw each scenario; return the pictures as Markdown."""
    parts = []
    for scenario in board.scenarios:
        name = f"{scenario}-{board.stem}"
        pictures = drawing.draw(board.frame, scenario, colours)
        for kind, content in pictures.items():
            formats.write(results / "figures" / f"{name}.{kind}", content)
        parts += [f"![{scenario} on {board.title}](figures/{name}.png)\n"] if pictures else []
    return parts and ["### Figures\n", drawing.CAPTION, *parts]


def facts(records: list[dict[str, Any]]) -> dict[str, str]:
    """When, where and from what the rows came."""
    times = sorted(str(record["time"]) for record in records if record.get("time"))
    found = {
        "Measured": " to ".join(dict.fromkeys(times[:1] + times[-1:])),
        "On": _listed(record.get("device") for record in records),
        "Versions": _listed(_versions(record) for record in records),
        "Commits": _listed(record.get("commit") for record in records),
    }
    return {name: text for name, text in found.items() if text}


def about(records: list[dict[str, Any]]) -> str:
    """The head of the report."""
    lines = [f"- {name}: {formats.markdown_escape(text)}" for name, text in facts(records).items()]
    link = f"To sort, filter and see every view of a method: [{page.NAME}]({page.NAME})."
    head = "Written by `python -m bench report` from `rows/`; not to be edited."
    return "\n".join([head, link, "", *lines, ""])


def _versions(record: dict[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in record.get("versions", {}).items())


def _listed(values: Iterable[Any]) -> str:
    """Different values that are not empty, in order."""
    return "; ".join(sorted({str(value) for value in values if value}))


def left_out(records: list[dict[str, Any]], problems: list[str]) -> list[str]:
    """Sections that say what is not in the tables, and why."""
    return [
        *_section("Failed", _reasons(records, lambda r: _reason(r, "failed"))),
        *_section("Skipped", _reasons(records, lambda r: _reason(r, "skipped"))),
        *_section(
            "Views that could not be had", _reasons(records, lambda r: r.get("missing") or {})
        ),
        *_section("Files left out", problems),
    ]


def _reason(record: dict[str, Any], status: str) -> dict[str, str]:
    return {"": record.get("reason", "")} if record["status"] == status else {}


def _reasons(
    records: list[dict[str, Any]], find: Callable[[dict[str, Any]], dict[str, str]]
) -> list[str]:
    """One line for each reason, with the methods and seeds that share it."""
    found = [
        (record["dataset"], record["scenario"], view, why, record["method"], record["seed"])
        for record in records
        for view, why in find(record).items()
    ]
    table = pd.DataFrame(found, columns=["dataset", "scenario", "view", "why", "method", "seed"])
    lines, everyone = [], len({record["method"] for record in records})
    for (dataset, scenario, view, why), part in table.groupby(
        ["dataset", "scenario", "view", "why"]
    ):
        seeds = ", ".join(map(str, sorted(part["seed"].unique())))
        methods = sorted(part["method"].unique())
        who = "every method" if len(methods) == everyone > 1 else ", ".join(methods)
        where = ", ".join(filter(None, [dataset, scenario, view]))
        lines.append(f"{where}: {why} ({who}; seed {seeds})")
    return lines


def _section(title: str, lines: list[str]) -> list[str]:
    listed = [f"- {formats.markdown_escape(line)}" for line in lines]
    return [f"## {title}\n", *listed, ""] if lines else []
