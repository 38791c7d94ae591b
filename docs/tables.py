"""The tables of `docs/` that come from the code: `python docs/tables.py` writes them anew.

A page marks the place of a table with `<!-- table: NAME -->` and `<!-- end -->`. A test fails when
a table in a page is not the one that the code gives.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from io import StringIO
from pathlib import Path

import click
import msgspec
from rich.console import Console

import bench.scenarios
from bench import cli, datasets, methods
from bench.commands.inventory import entries
from bench.commands.listing import Parameter
from bench.commands.summary import printed
from bench.datasets.base import Dataset, Source
from bench.datasets.corruptions import CORRUPTIONS
from bench.datasets.named import Named, Value
from bench.datasets.speech_corruptions import CORRUPTIONS as SPEECH_CORRUPTIONS
from bench.discover import subclasses, written
from bench.methods.base import Method
from bench.metrics.registry import metrics
from bench.presets import DEFAULT, PRESETS
from bench.report import claims
from bench.report.formats import markdown, markdown_bold, markdown_escape, number
from bench.report.frames import ResultGroup, load, result_groups
from bench.report.leaderboard import Column, by_words, leaderboard
from bench.report.stats import best, mean_and_std
from bench.report.wu2021 import published
from bench.scenarios.base import Scenario
from bench.scores import all_scores
from bench.store.records import REFERENCE
from bench.store.schema import RANKED_BY, Claim, Headline

DOCS = Path(__file__).resolve().parent
PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Lines = Iterable[Sequence[str]]
TABLES: dict[str, Callable[[], str]] = {}


def table(*heads: str) -> Callable[[Callable[[], Lines]], Callable[[], str]]:
    """Return a decorator that makes a function of lines into the Markdown table of its name."""

    def register(lines: Callable[[], Lines]) -> Callable[[], str]:
        def text() -> str:
            rows = [heads, ["---"] * len(heads), *lines()]
            return "".join(f"| {' | '.join(row)} |\n" for row in rows)

        TABLES[lines.__name__] = text
        return text

    return register


@table("name", "what it is", "variants", "tuned by", "source")
def method_table() -> Lines:
    """Every method."""
    for name, cls in subclasses(methods, Method).items():
        variants = (f"`:{key}` ({settings(params)})" for key, params in cls.variants.items())
        yield code(name), summary(cls), ", ".join(variants), cls().tuned, source(cls)


@table("method", "parameter", "default", "meaning")
def method_parameters() -> Lines:
    """The parameters of each method that `standard` lacks, or has with another default."""
    shared = {p.name: sizes(p) for p in explained("methods")["standard"]}
    for name, parameters in explained("methods").items():
        own = (p for p in parameters if sizes(p) != shared.get(p.name))
        yield from ((code(name), *cells(p)) for p in own)


@table("method", "its paper's claim", "gain in", "over", "more than")
def claim_table() -> Lines:
    """What the papers of methods claim."""
    known = metrics()
    for name, cls in subclasses(methods, Method).items():
        for claim in msgspec.convert(cls.claims, tuple[Claim, ...]):
            spec = known[claim.metric].spec
            where = f"{spec.heading}, `{claim.scenario}` {claim.group}".strip()
            by = f", by `{claim.score}`" if claim.score else ""
            over = code(claim.than) + (f" by `{claim.than_score}`" if claim.than_score else "")
            yield code(name), claim.text, where + by, over, f"{spec.scale * claim.least:g}"


@table("parameter", "default", "meaning")
def shared_parameters() -> Lines:
    """The parameters of `standard`."""
    yield from map(cells, explained("methods")["standard"])


@table("name", "what it is", "kind", "holds", "source")
def dataset_table() -> Lines:
    """What can be trained on."""
    for name, cls in subclasses(datasets, Dataset).items():
        yield code(name), summary(cls), cls.kind, words(cls.content), source(cls)


@table("name", "what it is", "kind", "holds", "source")
def outlier_table() -> Lines:
    """What is only tested on."""
    for name, cls in subclasses(datasets, Source).items():
        if not issubclass(cls, Dataset):
            yield code(name), summary(cls), cls.kind, words(cls.content), source(cls)


@table("name", "what it does to an image")
def corruption_table() -> Lines:
    """Corruptions of images."""
    yield from ((code(name), summary(function)) for name, function in CORRUPTIONS.items())


@table("name", "what it does to a recording")
def speech_corruption_table() -> Lines:
    """Corruptions of recordings."""
    yield from ((code(name), summary(function)) for name, function in SPEECH_CORRUPTIONS.items())


@table("name", "question", "tags", "source")
def scenario_table() -> Lines:
    """Every scenario."""
    for name, cls in subclasses(bench.scenarios, Scenario).items():
        yield code(name), cls.question, ", ".join(map(code, sorted(cls.tags))), source(cls)


@table("scenario", "parameter", "default", "meaning")
def scenario_parameters() -> Lines:
    """The parameters of every scenario."""
    for name, parameters in explained("scenarios").items():
        yield from ((code(name), *cells(p)) for p in parameters)


@table("tag", "scenarios")
def tag_table() -> Lines:
    """What each tag selects."""
    known = subclasses(bench.scenarios, Scenario)
    for tag in sorted({tag for cls in known.values() for tag in cls.tags}):
        yield code(tag), ", ".join(code(name) for name, cls in known.items() if tag in cls.tags)


@table("name", "label", "computed from", "what it is", "tuned by", "source")
def score_table() -> Lines:
    """Every uncertainty score."""
    for name, score in all_scores().items():
        about = summary(score.function), score.tuned, plain(score.source)
        yield code(name), score.label, score.needs.replace("_", " ").replace("+", ", "), *about


def metric_lines(*kinds: str) -> Lines:
    """Yield the metrics of some kinds; one without a function is explained by its label."""
    for name, one in metrics().items():
        if one.spec.kind in kinds:
            what = summary(one.function) if one.function else one.spec.heading
            yield code(name), plain(one.spec.label), one.spec.better or "–", what


@table("name", "label", "better", "what it is")
def detection_metrics() -> Lines:
    """Metrics of how well a score tells outliers from inliers."""
    return metric_lines("detection")


@table("name", "label", "better", "what it is")
def prediction_metrics() -> Lines:
    """Metrics of probabilities and labels, and of how well a score tells errors."""
    return metric_lines("answer", "misclassification")


@table("name", "label", "better")
def other_metrics() -> Lines:
    """Quantities that scenarios work out themselves, without the ends of intervals."""
    for name, label, better, _ in metric_lines("alarm", "fairness", "cost", "other"):
        if not name.endswith(("_low`", "_high`")):
            yield name, label, better


@table("preset", "what it is for")
def preset_table() -> Lines:
    """Every preset."""
    yield from ((code(name), text) for name, text in PRESETS.items())


@table("command", "what it does")
def command_table() -> Lines:
    """Every command in one line."""
    for path, command in commands():
        yield code(f"bench {path}"), plain(command.get_short_help_str(300))


SHOWN = {  # in the table of the README: label -> what its line says
    "standard": "`standard`",
    "mc_dropout": "`mc_dropout`, rate 0.5",
    "mc_dropout:rate=0.1": "`mc_dropout:tuned`, rate 0.1",
    "bayes": "`bayes`",
    "ensemble": "`ensemble`",
    "decnn": "`decnn`",
    "redecnn": "`redecnn`",
    "redecnn:compose=linear": "composed with `linear`",
    "redecnn:compose=resnet": "composed with a ResNet-18",
}
QUANTITIES = {  # head -> scenario, and what of it is averaged
    "accuracy %": ("clean", Headline("", "accuracy")),
    "Fashion": ("cross_dataset", Headline("", view="fashion")),
    "faces": ("cross_dataset", Headline("", view="celeba-10k")),
    "FGSM": ("adversarial", Headline("", view="fgsm")),
    "corruptions": ("corruption", Headline("")),
    "errors": ("clean", Headline("", "misclassification_auroc")),
    "ECE %": ("clean", Headline("", "ece")),
}
PUBLISHED = {"accuracy %": "mnist accuracy", "ECE %": "mnist ece"}


RIVALS = REFERENCE.parent / "rivals"


def reference_group(name: str) -> ResultGroup:
    """Return the committed rows of one data set under the default preset."""
    groups = result_groups(load(REFERENCE)[0])
    return next(g for g in groups if (g.dataset, g.preset) == (name, DEFAULT))


def mnist_results() -> str:
    """Return the README's table of MNIST: mean ± deviation over the seeds, the best in bold."""
    group = reference_group("mnist")
    places = [group.methods.index(label) for label in SHOWN]
    lines = {label: [text] for label, text in SHOWN.items()}
    for head, (scenario, headline) in QUANTITIES.items():
        spec = group.specs[headline.metric]
        if head.endswith("%"):
            spec = msgspec.structs.replace(spec, scale=100.0, digits=2)
        column = Column(scenario, headline, spec)
        values = column.values(group).mean(axis=2, keepdims=True)[places]
        bold = best(values, [column.spec])[:, 0]
        means, deviations = mean_and_std(values * column.spec.scale)
        for i, label in enumerate(SHOWN):
            text = number(means[i, 0], deviations[i, 0], column.spec.digits)
            paper = published.values().get((label, PUBLISHED.get(head, "")), {})
            last = f" ({next(iter(paper.values())):g})" if paper else ""
            lines[label].append((f"**{text}**" if bold[i] else text) + last)
    rows = [["method", *QUANTITIES], ["---", *["---:"] * len(QUANTITIES)], *lines.values()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


TABLES["mnist_results"] = mnist_results


def digits_output() -> str:
    """Return what the main job prints, its first lines and columns; it has three seeds."""
    records = [r for r in load(REFERENCE)[0] if r.dataset == "digits" and r.seed < 3]
    (group,) = result_groups(records)
    console = Console(width=120, file=StringIO(), markup=False, highlight=False)
    console.print(f"{group.title}, AUROC by {by_words(RANKED_BY)}")
    console.print(printed(leaderboard(group).text().iloc[:5, :7].to_dict("list")))
    lines = console.file.getvalue().splitlines()
    return "".join(f"    {line.rstrip()}\n" for line in lines)


TABLES["digits_output"] = digits_output


@cache
def measured_rivals() -> dict[str, ResultGroup]:
    """Return the committed rows of rivals by data set."""
    return {group.dataset: group for group in result_groups(load(RIVALS)[0])}


def rival_board(data: str) -> str:
    """Return the leaderboard of the rivals, without what the pages do not speak of."""
    board = leaderboard(measured_rivals()[data]).text(markdown_bold, markdown_escape)
    shown = ("rank", "method", "near", "far", "corruption", "FGSM", "accuracy", "ECE %")
    return markdown(board[[name for name in shown if name in board]], "").strip() + "\n"


TABLES |= {
    f"rivals_on_{name}": partial(rival_board, name) for name in ("digits", "fashion", "mnist")
}


def rival_verdicts() -> str:
    """Return what the rows of the rivals say of their papers' claims, on each data set."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for data, group in measured_rivals().items():
        for one in claims.judged(group):
            claim = markdown_escape(one.method), markdown_escape(one.claim.text)
            found.setdefault(claim, {})[data] = f"{one.text}: {one.verdict}"
    names = [*measured_rivals()]
    rows = [["method", "claim", *names], ["---"] * (2 + len(names))]
    rows += [[*claim, *(said.get(name, "–") for name in names)] for claim, said in found.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


TABLES["rival_verdicts"] = rival_verdicts


def option_lists() -> str:
    """Return every command with its usage and its options, as Markdown."""
    return "\n".join(described(path, command) for path, command in commands())


TABLES["option_lists"] = option_lists


def commands(
    group: click.Group = cli.main, before: str = ""
) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def described(path: str, command: click.Command) -> str:
    """Return one command as a section: what it does, how it is called, and its options."""
    context = click.Context(command, info_name=f"bench {path}")
    usage = command.get_usage(context).removeprefix("Usage: ").replace("\n", " ")
    text = f"### bench {path}\n\n{inspect.cleandoc(command.help or '')}\n\n"
    text += f"    {' '.join(usage.split())}\n\n"
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    lines = [record for p in options if (record := p.get_help_record(context))]
    if lines:
        text += "| option | meaning |\n| --- | --- |\n"
        text += "".join(f"| `{plain(name)}` | {plain(meaning)} |\n" for name, meaning in lines)
    return text


@cache
def explained(kind: str) -> dict[str, list[Parameter]]:
    """Return the parameters of everything of one kind, with what `bench list NAME` says of them."""
    return {entry.name: entry.parameters for entry in entries() if entry.kind == kind}


def sizes(parameter: Parameter) -> dict[str, str]:
    """Return the default of a parameter under each preset, that of a run first."""
    return {
        preset: parameter.presets.get(preset, parameter.default)
        for preset in sorted(PRESETS, key=lambda preset: preset != DEFAULT)
    }


def cells(parameter: Parameter) -> tuple[str, str, str]:
    """Return name, default and meaning; presets that differ stand behind the default."""
    (_, default), *presets = sizes(parameter).items()
    others = ", ".join(f"{preset} {code(value)}" for preset, value in presets if value != default)
    choices = f" One of {', '.join(map(code, parameter.choices))}." if parameter.choices else ""
    text = f"{code(default)} ({others})" if others else code(default)
    return code(parameter.name), text, plain(parameter.meaning) + choices


def settings(params: Mapping[str, Value]) -> str:
    """Return parameters as they are written on the command line."""
    return ", ".join(code(f"{name}={written(value)}") for name, value in params.items())


def summary(thing: object) -> str:
    """Return the first paragraph of a docstring in one line."""
    return plain(" ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split()))


def source(cls: type[Named]) -> str:
    """Return where a class comes from, with a link to arXiv."""
    return plain(cls.source)


def plain(text: str) -> str:
    """Return text for a cell: no bars, and arXiv numbers as links."""
    text = " ".join(text.replace("``", "`").split()).replace("|", "\\|")
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def words(content: frozenset[str]) -> str:
    """Return what a source holds, in alphabetical order."""
    return ", ".join(sorted(content))


def code(text: str) -> str:
    """Return text in the type of code."""
    return f"`{text}`" if text else ""


def filled(page: str) -> str:
    """Return a page with its tables as the code gives them now."""
    return PLACE.sub(lambda m: f"{m[1]}\n{TABLES[m[2]]()}\n{m[3]}", page)


def pages() -> list[Path]:
    """Return the pages that have tables from the code."""
    known = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
    return [path for path in known if PLACE.search(path.read_text("utf-8"))]


def main() -> None:
    """Write the tables of every page, and name the pages that changed."""
    for path in pages():
        before = path.read_text("utf-8")
        if (after := filled(before)) != before:
            path.write_text(after, "utf-8")
            sys.stdout.write(f"{path.name} written\n")


if __name__ == "__main__":
    main()
