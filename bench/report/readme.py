"""The report as files: tables, figures, and the README that shows them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from bench.errors import UsageError
from bench.report import GALLERY, advice, formats, pareto
from bench.report import claims as method_claims
from bench.report.frames import ResultGroup, load, result_groups
from bench.report.leaderboard import Leaderboard, leaderboard
from bench.report.scenarios import everything, printed
from bench.report.web import page
from bench.report.wu2021 import tables as tables_of_the_paper
from bench.report.wu2021 import verdicts
from bench.report.wu2021.judged import judge
from bench.report.wu2021.observed import Observed
from bench.store.files import slug
from bench.store.packed import has_archive
from bench.store.schema import OWN, RANKED_BY, Record

if TYPE_CHECKING:
    from bench.report.figures import Figure


def render(
    results: Path, *, figures: bool = True, paper: bool = False, sources: Sequence[Path] = (),
    score: str = RANKED_BY,
) -> list[str]:  # fmt: skip
    """Write the whole report under ``results``; return one line for each thing left out.

    Raises:
        BenchError: there is not a single readable record.
        UsageError: no record has ``score``.
        WriteError: the disk is full, or the folder cannot be written to.
    """
    folders = list(sources) or [results]
    records, problems = load(*folders)
    groups = result_groups(records)
    check_score(groups, score)
    planned: list[Figure] = []
    undrawn: list[str] = []
    pictures: Iterator[None] = iter(())
    if figures:
        from bench.report import figures as drawing  # matplotlib takes a second

        planned, undrawn = drawing.plan(groups, folders, paper=paper, score=score)
        pictures = drawing.draw(planned, results / "figures")  # in other processes, meanwhile
    page.write(results, groups, facts(records), score)
    parts = []
    for group in groups:
        parts += [f"## {formats.markdown_escape(group.title)}\n"]
        parts += write_leaderboards(results, group, score)
        if words := advice.summary(group):
            parts += ["### What should I use?\n", words]
        parts += write_scenarios(results, group, score)
        if verdicts := method_claims.summary(group, score):
            parts += ["### What the methods' papers claim\n", verdicts]
        parts += figures_of(group, planned)
    if figures and paper:
        drawing.write_gallery(planned, undrawn, results)
    parts += write_paper(results, groups, tables=paper)
    local = [formats.without_folders(problem, folders) for problem in problems]
    parts = ["# Results\n", about(records), *parts, *left_out(records, local)]
    formats.write(results / "README.md", "\n".join(parts))
    for _ in pictures:
        pass
    return [*problems, *undrawn]


def figures_of(group: ResultGroup, planned: Iterable[Figure]) -> list[str]:
    """The figures of a group that the report shows, as Markdown."""
    shown = [one.markdown for one in planned if one.group is group and one.place == "report"]
    return ["### Figures\n", *shown] if shown else []


def check_score(groups: Sequence[ResultGroup], score: str) -> None:
    """Refuse a score that nothing was measured by, where anything was.

    Raises:
        UsageError: names the known ones.
    """
    known = sorted({name for group in groups for name in group.scores})
    if known and score not in (RANKED_BY, OWN, *known):
        raise UsageError(f"no row has the score '{score}'; known: {OWN}, {', '.join(known)}")


def write_paper(results: Path, groups: Sequence[ResultGroup], *, tables: bool) -> list[str]:
    """Judge the paper's statements and write its tables where asked, or where they are already.

    Returns the verdicts as Markdown.
    """
    observed = Observed(groups, tables_of_the_paper.methods())
    judged = judge(observed)
    folder = results / "paper"
    link = "`python -m bench report --paper` writes its tables, with our numbers beside its own."
    if tables or folder.exists():
        tables_of_the_paper.write(observed, results)
        formats.write(folder / "claims.md", verdicts.details(judged))
        link = "[Its tables](paper/README.md), [every check](paper/claims.md)."
        link += " [Figures](paper/figures.md)." if (results / GALLERY).exists() else ""
    known = any(result.run for result in judged)
    text = verdicts.summary(judged) if known else "None of them can be judged from these rows.\n"
    return ["## The paper's statements\n", text, f"{link}\n"]


def write_leaderboards(results: Path, group: ResultGroup, score: str) -> list[str]:
    """Write the leaderboard of a group, and the one by another rule; return them as Markdown."""
    other = RANKED_BY if score == OWN else OWN
    parts = []
    for by in (score, other):
        table = leaderboard(group, by)
        if by == other and not group.detecting:
            continue  # nothing was detected, so there is nothing to compare
        name = f"leaderboard-{group.stem}" + (f"-{by}" if by == other else "")
        caption = f"{group.title}. {table.caption}"
        text = formats.markdown(
            table.text(formats.markdown_bold, formats.markdown_escape), caption, table.notes
        )
        stem = results / "tables" / slug(name)
        formats.write(stem.with_name(f"{stem.name}.md"), text)
        formats.write(stem.with_name(f"{stem.name}.csv"), formats.csv(table.numbers()))
        formats.write(stem.with_name(f"{stem.name}.tex"), _latex(table, caption, stem.name))
        title = "Leaderboard"
        if by == other:
            title = "Each method by its own score" if by == OWN else f"By {formats.in_words(by)}"
        parts += [f"### {title}\n", text]
    return parts


def _latex(table: Leaderboard, caption: str, label: str) -> str:
    cells = table.text(formats.tex_bold, formats.tex_escape)
    return formats.latex(cells, caption, label, table.notes)


def write_scenarios(results: Path, group: ResultGroup, score: str) -> list[str]:
    """Write the tables of each scenario; return the links to them.

    Where rows are packed the tables are not kept beside them, and their names are no links.
    """
    packed = has_archive(results)
    link = "{1}" if packed else "[{0}]({1})"
    links = []
    for scenario in group.scenarios:
        name = slug(f"{scenario}-{group.stem}")
        formats.write(results / "tables" / f"{name}.csv", formats.csv(everything(group, scenario)))
        cells = printed(group, scenario, score).map(formats.tex_escape)
        caption = f"{group.title}: {scenario}, mean over the seeds. A dash: not complete."
        formats.write(results / "tables" / f"{name}.tex", formats.latex(cells, caption, name))
        links.append(link.format(formats.markdown_escape(scenario), f"tables/{quote(name)}.csv"))
    if not links:
        return []
    if len(costs := pareto.table(group, score)):
        name = slug(f"quality_for_cost-{group.stem}")
        formats.write(results / "tables" / f"{name}.csv", formats.csv(costs))
        links.append(link.format("quality for cost", f"tables/{quote(name)}.csv"))
    told = " `bench report` writes them from the packed rows." if packed else ""
    command = f"python -m bench verify --cell {shlex.quote(group.records[0].cell)}"
    again = "measures a cell anew: any row file's name below rows/, without .json."
    return [f"Every number: {', '.join(links)}.{told}\n", f"`{command}` {again}\n"]


def facts(records: Sequence[Record]) -> dict[str, str]:
    """When, where and from what the rows came."""
    times = sorted(record.time for record in records if record.time)
    known = {
        "Measured": " to ".join(dict.fromkeys(times[:1] + times[-1:])),
        "On": _listed(record.device for record in records),
        "Versions": _listed(_versions(record) for record in records),
        "Commits": _listed(record.commit for record in records),
    }
    return {name: text for name, text in known.items() if text}


def about(records: Sequence[Record]) -> str:
    """The head of the report."""
    lines = [f"- {name}: {formats.markdown_escape(text)}" for name, text in facts(records).items()]
    link = f"To sort, filter and see every view of a method: [{page.NAME}]({page.NAME})."
    head = "Written by `python -m bench report` from `rows/`; not to be edited."
    return "\n".join([head, link, "", *lines, ""])


def _versions(record: Record) -> str:
    return ", ".join(f"{name} {number}" for name, number in record.versions.items())


def _listed(values: Iterable[Any]) -> str:
    """Different values that are not empty, in order."""
    return "; ".join(sorted({str(value) for value in values if value}))


def left_out(records: Sequence[Record], problems: list[str]) -> list[str]:
    """Sections that say what is not in the tables, and why."""
    return [
        *_section("Failed", _reasons(records, lambda r: _reason(r, "failed"))),
        *_section("Skipped", _reasons(records, lambda r: _reason(r, "skipped"))),
        *_section("Views that could not be had", _reasons(records, lambda r: r.missing)),
        *_section("Scores left out", scores_left_out(records)),
        *_section("Files left out", problems),
    ]


def scores_left_out(records: Sequence[Record]) -> list[str]:
    """One line for each data set and reason, with the scores and methods that share it."""
    found: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for record in records:
        for score, why in record.left_out.items():
            scores, methods = found.setdefault((record.dataset, why), (set(), set()))
            scores.add(score)
            methods.add(record.method)
    return [
        f"{dataset}, {', '.join(sorted(scores))}: {why} ({', '.join(sorted(methods))})"
        for (dataset, why), (scores, methods) in sorted(found.items())
    ]


def _reason(record: Record, status: str) -> dict[str, str]:
    return {"": record.reason} if record.status == status else {}


def _reasons(records: Sequence[Record], find: Callable[[Record], dict[str, str]]) -> list[str]:
    """One line for each reason, with the methods and seeds that share it."""
    reasons = [
        (record.dataset, record.scenario, view, why, record.method, record.seed)
        for record in records
        for view, why in find(record).items()
    ]
    table = pd.DataFrame(reasons, columns=["dataset", "scenario", "view", "why", "method", "seed"])
    lines, everyone = [], len({record.method for record in records})
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
