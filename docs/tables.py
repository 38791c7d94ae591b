"""The tables of `docs/` that come from the code: `python docs/tables.py` writes them anew.

A page marks the place of a table with `<!-- table: NAME -->` and `<!-- end -->`. A test fails when
a table in a page is not the one that the code gives.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import click

import bench.scenarios
from bench import cli, datasets, methods
from bench.datasets.base import Dataset, Source
from bench.datasets.corruptions import CORRUPTIONS
from bench.datasets.named import Named, Value
from bench.datasets.speech_corruptions import CORRUPTIONS as SPEECH_CORRUPTIONS
from bench.discover import subclasses
from bench.methods.base import Method
from bench.methods.standard import Standard
from bench.presets import PRESETS
from bench.scenarios.base import Scenario
from bench.scores import all_scores

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


@table("name", "what it is", "parameters of its own", "variants", "source")
def method_table() -> Lines:
    """Every method, with what sets its parameters apart from those of `standard`."""
    for name, cls in subclasses(methods, Method).items():
        variants = (f"`:{key}` ({settings(params)})" for key, params in cls.variants.items())
        yield code(name), summary(cls), own_parameters(cls), ", ".join(variants), source(cls)


@table("parameter", "laptop", "smoke", "paper")
def shared_parameters() -> Lines:
    """The parameters of `standard`, and what presets change."""
    presets = {preset: Standard.defaults(preset) for preset in ("laptop", "smoke", "paper")}
    for key in Standard.defaults():
        values = [presets[preset][key] for preset in presets]
        first, *others = values
        yield code(key), shown(first), *(shown(v) if v != first else "" for v in others)


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


@table("name", "question", "parameters", "tags", "source")
def scenario_table() -> Lines:
    """Every scenario, with its parameters."""
    for name, cls in subclasses(bench.scenarios, Scenario).items():
        tags = ", ".join(map(code, sorted(cls.tags)))
        yield code(name), cls.question, settings(cls.defaults("laptop")), tags, source(cls)


@table("tag", "scenarios")
def tag_table() -> Lines:
    """What each tag selects."""
    known = subclasses(bench.scenarios, Scenario)
    for tag in sorted({tag for cls in known.values() for tag in cls.tags}):
        yield code(tag), ", ".join(code(name) for name, cls in known.items() if tag in cls.tags)


@table("name", "label", "computed from", "what it is", "source")
def score_table() -> Lines:
    """Every uncertainty score."""
    for name, score in all_scores().items():
        yield code(name), score.label, score.needs, summary(score.function), plain(score.source)


@table("preset", "what it is for")
def preset_table() -> Lines:
    """Every preset."""
    yield from ((code(name), text) for name, text in PRESETS.items())


@table("command", "what it does")
def command_table() -> Lines:
    """Every command in one line."""
    for path, command in commands():
        yield code(f"bench {path}"), plain(command.get_short_help_str(300))


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


def own_parameters(cls: type[Method]) -> str:
    """Return the parameters that `standard` lacks or has otherwise, under the preset laptop."""
    shared = Standard.defaults("laptop")
    own = {k: v for k, v in cls.defaults("laptop").items() if k not in shared or v != shared[k]}
    return settings(own)


def settings(params: object) -> str:
    """Return parameters as they are written on the command line."""
    pairs = dict(params).items()  # type: ignore[call-overload]
    named = ((key, shown(value, bare=True)) for key, value in pairs)
    return ", ".join(code(f"{key}={text}" if text else key) for key, text in named)


def shown(value: Value, *, bare: bool = False) -> str:
    """Return a parameter's value as it is written on the command line."""
    if isinstance(value, tuple):
        text = ("+" if value and isinstance(value[0], str) else ",").join(map(str, value))
    else:
        text = str(value)
    return text if bare else code(text)


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
    return [path for path in sorted(DOCS.glob("*.md")) if PLACE.search(path.read_text("utf-8"))]


def main() -> None:
    """Write the tables of every page, and name the pages that changed."""
    for path in pages():
        before = path.read_text("utf-8")
        if (after := filled(before)) != before:
            path.write_text(after, "utf-8")
            sys.stdout.write(f"{path.name} written\n")


if __name__ == "__main__":
    main()
