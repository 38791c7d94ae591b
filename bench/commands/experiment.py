"""What a run is asked to do: from options, from Python, or from a file, and back into a file."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from bench import plugins, presets
from bench.discover import unknown
from bench.errors import UsageError
from bench.store.files import write
from bench.store.schema import RANKED_BY

if TYPE_CHECKING:
    from bench.datasets.store import Store

OUTLIERS = "BENCH_OUTLIERS"  # as `bench.datasets.outlier_folder` reads it; importing that is slow
DEVICES = r"auto|cpu|mps|cuda(:\d+)?"
CLUSTERS = r"local:[1-9]\d{0,3}|\w+://\S+|(?!local:)[\w.-]+:\d+"
RUNS = "runs"  # folder of the files of runs, in a results folder
MOST_SEEDS = 10_000


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What `bench run` takes, under the names of its options."""

    methods: str = "all"
    datasets: str = "digits"
    scenarios: str = "ood"
    seeds: tuple[int, ...] = (0, 1, 2)
    preset: str = presets.DEFAULT
    device: str = "auto"
    limit: int | None = None
    jobs: int | None = None
    cluster: str | None = None
    force: bool = False
    score: str = RANKED_BY
    results: Path = Path("results")
    data: Path | None = None
    outliers: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Experiment:
        """Return the experiment of some values by name; None stands for the default.

        Raises:
            UsageError: a value is of the wrong type or out of range.
            UnknownNameError: there is no such preset.
        """
        return cls(**{k: checked(k, v) for k, v in values.items() if v is not None})

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Add its plug-ins and outliers to those of this process and of its workers."""
        with added(plugins.VARIABLE, self.plugins), added(OUTLIERS, self.outliers):
            plugins.named(os.environ.get(plugins.VARIABLE, ""))
            yield

    def text(self) -> str:
        """TOML that `read` reads, with the plug-ins and outliers of the environment."""
        values: dict[str, Any] = {}
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if value is None or value is False or value == ():
                continue
            values[name] = str(value) if isinstance(value, Path) else value
        for name, variable in (("outliers", OUTLIERS), ("plugins", plugins.VARIABLE)):
            if words := [*filter(None, os.environ.get(variable, "").split(os.pathsep))]:
                values[name] = words
        return tomli_w.dumps({k: [*v] if isinstance(v, tuple) else v for k, v in values.items()})

    def keep(self) -> Path:
        """Write it to ``<results>/runs/``, once whatever the number of times it is run.

        Raises:
            WriteError: the disk is full, or the folder cannot be written to.
        """
        text = self.text()
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        path = self.results / RUNS / f"{name}.toml"
        write(path, f"# python -m bench run {path}\n{text}")
        return path


def read(path: Path) -> dict[str, Any]:
    """Return the values that a file of a run sets, by name, checked.

    Raises:
        UsageError: the file cannot be read, is no TOML, or sets something unknown or of the wrong
            type; the message names the line.
    """
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # of the encoding, of TOML
        raise UsageError(f"{path} is no TOML file: {str(error)[:200]}") from None
    known, found = [field.name for field in fields(Experiment)], {}
    for name, value in values.items():
        try:
            if name not in known:
                raise unknown("key", name, known)
            found[name] = checked(name, value)
        except UsageError as error:
            raise UsageError(f"{path}, line {_line(text, name)}: {error}") from None
        except Exception as error:
            raise type(error)(f"{path}, line {_line(text, name)}: {error}") from None
    return found


def _line(text: str, name: str) -> int:
    pattern = re.compile(rf"""\s*\[?\[?\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    lines = text.splitlines()
    return next((i for i, line in enumerate(lines, 1) if pattern.match(line)), 1)


@contextmanager
def added(variable: str, words: Sequence[str]) -> Iterator[None]:
    """Put words before those of an environment variable that lists them as ``PATH`` does."""
    before = os.environ.get(variable)
    try:
        if words:
            os.environ[variable] = os.pathsep.join([*words, *filter(None, [before])])
        yield
    finally:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before


def store(data: Path | None) -> Store:
    """Return where data lies.

    Raises:
        UsageError: no folder was named, and the user has no home folder.
    """
    from bench.datasets.store import Store

    try:
        return Store.from_environment(data)
    except RuntimeError:
        raise UsageError("there is no home folder; name one with --data or BENCH_DATA") from None


def checked(name: str, value: Any) -> Any:
    """Return a value as `Experiment` holds it.

    Raises:
        UsageError: it is of the wrong type or out of range.
        UnknownNameError: there is no such preset.
    """
    return _CHECKS[name](name, value)


def seeds(name: str, value: Any) -> tuple[int, ...]:
    """Return seeds from a number, several, or text: "0,1,5-7" is 0, 1, 5, 6, 7."""
    if isinstance(value, str):
        numbers = _ranges(value)
    else:
        numbers = [value] if isinstance(value, int) else [*value] if _is_list(value) else []
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)
    if not numbers or not whole:
        raise UsageError(
            f"{name} takes whole numbers from 0 up and ranges, separated by commas, such as "
            f"0,1,5-7, not {_shown(value)}"
        )
    return tuple(dict.fromkeys(numbers))


def _ranges(text: str) -> list[int]:
    numbers: list[int] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last - first >= MOST_SEEDS:
            return []
        numbers += range(first, last + 1)
    return numbers


def device(name: str, value: Any) -> str:
    """Return the name of a device that this program can use."""
    if isinstance(value, str) and re.fullmatch(DEVICES, value):
        return value
    hint = "; a GPU of NVIDIA is 'cuda'" if value == "gpu" else ""
    raise UsageError(f"{name} takes auto, cpu, cuda, cuda:1 … or mps, not {_shown(value)}{hint}")


def cluster(name: str, value: Any) -> str:
    """Return the words for a cluster: ``local:N``, or the address of a scheduler."""
    if isinstance(value, str) and re.fullmatch(CLUSTERS, value):
        return value
    raise UsageError(
        f"{name} takes local:N, or the address of a Dask scheduler such as tcp://node1:8786, "
        f"not {_shown(value)}"
    )


def _words(name: str, value: Any) -> str:
    if _is_list(value) and all(isinstance(word, str) for word in value):
        return ",".join(value)
    return _text(name, value, "text or a list of texts")


def _text(name: str, value: Any, what: str = "text") -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name} takes {what}, not {_shown(value)}")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    many = [value] if isinstance(value, str | Path) else value
    if not _is_list(many) or not all(isinstance(word, str | Path) for word in many):
        raise UsageError(f"{name} takes text or a list of texts, not {_shown(value)}")
    return tuple(map(str, many))


def _path(name: str, value: Any) -> Path:
    return value if isinstance(value, Path) else Path(_text(name, value, "the path of a folder"))


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{name} takes a whole number from 1 up, not {_shown(value)}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name} takes true or false, not {_shown(value)}")
    return value


def _preset(name: str, value: Any) -> str:
    return presets.check(_text(name, value))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | range) and not isinstance(value, str | bytes)


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)[:50]


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "methods": _words, "datasets": _words, "scenarios": _words, "seeds": seeds,
    "preset": _preset, "device": device, "limit": _count, "jobs": _count,
    "cluster": cluster, "force": _flag,
    "score": _text, "results": _path, "data": _path, "outliers": _texts, "plugins": _texts,
}  # fmt: skip
