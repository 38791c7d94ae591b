"""Slow: cache entries damaged field by field and by kind: made again or named, never believed.

``BENCH_FUZZ_ENTRIES`` says how many entries of a kind are damaged (default 1), and
``BENCH_FUZZ_SEED`` which bytes are.
"""

import hashlib
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from bench.datasets.store import Store
from bench.fitting.console import Console
from bench.running import run as running
from bench.running.plan import make_plan
from bench.running.run import Settings
from bench.store.records import read_all
from tests.damage import changed, instead, not_allowed

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(6 * 3600)]
ENTRIES = int(os.environ.get("BENCH_FUZZ_ENTRIES", "1"))
DRAW = random.Random(int(os.environ.get("BENCH_FUZZ_SEED", "0")))


def measure(results: Path, methods: str = "linear,standard", scenarios: str = "clean") -> list[str]:
    """Run in this process with nothing in memory, and return the messages."""
    running._fitter.cache_clear()
    plan = make_plan(
        methods_=methods, datasets_="digits", scenarios=scenarios, seeds=[0], preset="smoke",
        store=Store.from_environment(),
    )  # fmt: skip
    console = Console(quiet=True)
    running.run(plan, Settings(results, "smoke", torch.device("cpu")), console)
    return console.notes


def numbers(results: Path) -> dict[str, list]:
    paths = sorted((results / "rows").rglob("[!.]*.json"))
    return {path.stem + path.parent.name: json.loads(path.read_text())["rows"] for path in paths}


# Cache entries


def write_entry(path: Path, entry: object) -> None:
    """Put an entry in a file's place, with the right checksum beside it."""
    torch.save(entry, path)
    beside = path.with_suffix(".json")
    about = json.loads(beside.read_text())
    about["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    beside.write_text(json.dumps(about))


def leaves(value: object, place: tuple = ()) -> Iterator[tuple[tuple, object]]:
    """Yield every part of nested dictionaries with its place."""
    yield place, value
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*place, key))


def put(value: object, place: tuple, other: object) -> object:
    """Return ``value`` with another part at a place; `KeyError` as part: without it."""
    if not place:
        return other
    copy = dict(value)
    if len(place) == 1 and other is KeyError:
        del copy[place[0]]
    else:
        copy[place[0]] = put(copy[place[0]], place[1:], other)
    return copy


OTHERS = [
    KeyError, None, True, -1, 10**400, float("nan"), "", "../x", [], {}, [[]] * 3,
    torch.zeros(0), torch.zeros(3, dtype=torch.long), torch.zeros(2, 2, 2, 2, 2),
]  # fmt: skip


def payload_damage(path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield every part of a sound entry replaced by something of another type or shape."""
    entry = torch.load(path, weights_only=True)
    for place, value in leaves(entry):
        others = [other for other in OTHERS if place or other is not KeyError]
        if isinstance(value, torch.Tensor) and value.ndim:
            others += [value[:-1], value.double(), value * float("nan"), value.unsqueeze(0)]
        for other in others:
            if isinstance(other, int) and abs(other) > 2**63:  # torch saves no such number
                continue
            comparable = type(value) is type(other) and not isinstance(value, torch.Tensor)
            if comparable and value == other:
                continue
            changed = put(entry, place, other)
            yield (
                f"{'.'.join(map(str, place))}: {_short(other)}",
                lambda c=changed: write_entry(path, c),
            )


def beside_damage(path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield every field of the description replaced or left out."""
    beside = path.with_suffix(".json")
    about = json.loads(beside.read_text())
    plain = [other for other in OTHERS if not isinstance(other, torch.Tensor)]
    for place, _ in leaves(about):
        for other in plain if place else plain[1:]:
            changed = put(about, place, other)
            if changed == about:
                continue
            text = json.dumps(changed)
            yield f"json {place}: {_short(other)}", lambda t=text: beside.write_text(t)


def file_damage(path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield bytes damaged, and things that are no file, in the place of both files."""
    for file in (path, path.with_suffix(".json")):
        for kind, content in changed(file.read_bytes(), DRAW, 5):
            yield f"{file.suffix} {kind}", lambda f=file, c=content: f.write_bytes(c)
        for kind, place in instead(file):
            yield f"{file.suffix} {kind}", lambda f=file, p=place: (f.unlink(), p())


def swap_damage(path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield another entry's two files in this one's place, and one of the two."""
    for other in sorted(path.parents[3].rglob("*.pt")):
        if other != path:

            def swap(other: Path = other) -> None:
                for suffix in (".pt", ".json"):
                    shutil.copy(other.with_suffix(suffix), path.with_suffix(suffix))

            yield f"swapped with {other.parent.name}/{other.name}", swap
            for suffix in (".pt", ".json"):
                yield (
                    f"{suffix} of {other.parent.name}/{other.name}",
                    lambda o=other, s=suffix: shutil.copy(o.with_suffix(s), path.with_suffix(s)),
                )


def _short(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype}{tuple(value.shape)}"
    return str(value)[:30]


@pytest.mark.parametrize("kind", ["fits", "predictions", "attacks"])
@pytest.mark.parametrize("damage", [payload_damage, beside_damage, file_damage, swap_damage])
def test_a_damaged_entry_is_healed_or_named_and_never_believed(tmp_path, kind, damage):
    whole, scenarios = tmp_path / "whole", "clean,adversarial"
    measure(whole, scenarios=scenarios)
    expected, names = numbers(whole), Path("cache") / kind
    if kind != "predictions":  # nothing else is read where these are there
        shutil.rmtree(whole / "cache" / "predictions")
    entries = [path.relative_to(whole) for path in sorted((whole / names).rglob("*.pt"))]
    folder, tried, silent = tmp_path / "one", Counter(), []

    def put_back() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole / "cache", folder / "cache")

    for entry in entries[:ENTRIES]:
        put_back()
        for title, harm in list(damage(folder / entry)):
            put_back()
            harm()
            notes = measure(folder, scenarios=scenarios)
            records = read_all(folder / "rows")[0]
            named = [r.reason for r in records if r.status == "failed"]
            assert numbers(folder) == expected or named, (entry, title)
            assert not named or all(named), (entry, title)
            if not notes and not named:
                silent.append(title)
            elif DRAW.random() < 0.2:  # it was made again: the next run is quiet and the same
                shutil.rmtree(folder / "rows")
                again = measure(folder, scenarios=scenarios)
                assert named or (again, numbers(folder)) == ([], expected), (entry, title)
            tried[title if damage is file_damage else damage.__name__] += 1
        for suffix in (".pt", ".json") if damage is file_damage else ():
            put_back()
            with not_allowed((folder / entry).with_suffix(suffix)):
                notes = measure(folder, scenarios=scenarios)
            assert notes
            assert numbers(folder) == expected
            tried[f"{suffix} may not be read"] += 1
    print(f"\n{kind}, {sum(tried.values())} damages {dict(tried)}, {len(silent)} changed nothing")
    assert all(title == ".json gone" for title in silent), silent  # then there is no entry
