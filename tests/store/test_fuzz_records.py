"""Records and curves damaged by field and by byte: named or what they were, never a traceback.

The fast part takes a few fields and kinds of damage, the slow one every field with every kind, and
bytes of loose and packed files: ``BENCH_FUZZ_BYTES`` says how many of each kind (default 500), and
``BENCH_FUZZ_SEED`` which.
"""

import io
import itertools
import json
import os
import random
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.errors import BenchError
from bench.report import render
from bench.store import curves, packed, records
from bench.store.files import row_path
from bench.store.records import parsed, read, read_all
from bench.store.seal import sealed
from tests.damage import KINDS, changed, damaged, instead, not_allowed, places

GOLDEN = Path(__file__).parents[1] / "data" / "rows"
PLACE = Path("toy_digits/cross_dataset/ensemble-s0.json")
FEW = [
    "absent",
    "null",
    "true",
    "text",
    "huge",
    "infinite",
    "map of maps",
    "null byte",
    "up",
    "deep",
]


def full_record():
    """A record of schema 2 with every field filled."""
    record = json.loads((GOLDEN / PLACE).read_text())
    headline = {"label": "near", "metric": "auroc", "view": "v", "group": "near", "score": "s",
                "board": True, "order": 10}  # fmt: skip
    spec = {"name": "tnr", "label": "TNR", "unit": "%", "better": "higher", "digits": 1,
            "kind": "detection", "scale": 100.0, "chance": 0.5}  # fmt: skip
    return record | {
        "schema": 2, "detects": True, "headlines": [headline], "metric_specs": [spec],
        "precision": "float32", "cpu_capability": "AVX2", "params": {"a": 1, "b": [1]},
        "scenario_params": {"c": "x"}, "missing": {"kmnist": "not there"},
    }  # fmt: skip


def curve_record():
    view = {"view": "fog", "severity": 0.0, "group": "", "tpr": [500] * 51, "outliers": [50] * 20}
    return {
        "schema": 1, "method": "m", "dataset": "d", "scenario": "s", "seed": 0, "row": "r",
        "key": "k", "score": "vote_entropy", "inliers": [50] * 20, "views": [view],
        "risk": [1] * 50, "reliability": [[1, 2, 3]] * 15,
    }  # fmt: skip


CASES = [(path, kind) for path in places(full_record()) for kind in KINDS]


def test_the_record_itself_is_sound(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(full_record()))
    assert parsed(tmp_path / "x.json").detects
    (tmp_path / "y.json").write_text(json.dumps(curve_record()))
    assert curves.read(tmp_path / "y.json").of("vote_entropy").risk == [1] * 50


def check_read(folder, text):
    """Read one file: it is left out with one line, or all in it is finite, typed and printable."""
    (folder / "x.json").write_text(text)
    records, problems = read_all(folder)
    assert len(records) + len(problems) == 1
    for line in problems:
        assert line.startswith(str(folder))
        assert line.isprintable()
        assert "left out" in line
    for record in records:
        assert record.seed >= 0
        assert type(record.schema) is int
        for row in record.rows:
            assert np.isfinite([*row.metrics.values(), row.severity, row.n]).all()
            assert all(name.isprintable() for name in (row.view, row.score, row.group))
        names = (record.method, record.dataset, record.scenario, record.preset, record.device)
        assert all(name.isprintable() and ".." not in name for name in names)


def test_a_damaged_record_is_named_or_sound(tmp_path):
    record = full_record()
    for path, kind in CASES:
        check_read(tmp_path, damaged(record, path, kind))


def test_damaged_curves_are_named_or_sound(tmp_path):
    record = curve_record()
    for path, kind in itertools.product(places(record), KINDS):
        (tmp_path / "x.json").write_text(damaged(record, path, kind))
        found, problems = curves.read_all(tmp_path)
        assert len(found) + len(problems) == 1


def check_commands(tmp_path, path, kind):
    """Run report, export and verify over one damaged file among sound ones."""
    results = tmp_path / "results"
    shutil.rmtree(results, ignore_errors=True)
    shutil.copytree(GOLDEN, results / "rows")
    (results / "rows" / PLACE).write_text(damaged(full_record(), path, kind))
    outside = {file for file in tmp_path.rglob("*") if not file.is_relative_to(results)}
    render(results, figures=False)
    for words in (
        ["export", "-o", str(results / "all.csv"), "--results", str(results)],
        ["verify", "--reference", str(results), "--results", str(results)],
    ):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, (path, kind, done.output, done.exception)
    assert outside == {file for file in tmp_path.rglob("*") if not file.is_relative_to(results)}


FIELDS = [("seed",), ("scenario",), ("rows",), ("rows", 0, "metrics"), ("schema",)]


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: "-".join(map(str, path)))
def test_commands_survive_a_damaged_record(tmp_path, path):
    for kind in FEW[FIELDS.index(path) % 3 :: 3]:
        check_commands(tmp_path, path, kind)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_commands_survive_every_kind_of_damage_in_every_field(tmp_path):
    for path, kind in CASES:
        (tmp_path / "x.json").write_text(damaged(full_record(), path, kind))
        if read(tmp_path / "x.json"):  # all that is refused takes one way, tried above
            check_commands(tmp_path, path, kind)


# Damage of bytes and of whole files

BYTES = int(os.environ.get("BENCH_FUZZ_BYTES", "500"))
DRAW = random.Random(int(os.environ.get("BENCH_FUZZ_SEED", "0")))
READERS = {"rows": records.read_all, "curves": curves.read_all}
Damage = tuple[str, Callable[[], object]]


def cell(one) -> str:
    return str(row_path(Path(), one.dataset, one.scenario, one.method, one.seed))


@pytest.fixture
def whole(tmp_path):
    """A folder with three records and their curves, sealed."""
    for i, (method, seed) in enumerate([("ensemble", 0), ("ensemble", 1), ("standard", 0)]):
        about = {"method": method, "seed": seed, "dataset": "d", "scenario": "s", "key": f"k{i}"}
        rows = [{**row, "n": 100 + i} for row in full_record()["rows"][:4]]
        drawn = curve_record() | about | {"row": f"k{i}", "risk": [i] * 50}
        single = {name: drawn.pop(name) for name in ("score", "inliers", "views", "risk")}
        files = {"rows": full_record() | about | {"rows": rows},
                 "curves": drawn | {"schema": 2, "scores": [single]}}  # fmt: skip
        for kind, content in files.items():
            path = row_path(tmp_path / "results" / kind, "d", "s", method, seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sealed(json.dumps(content, separators=(",", ":")).encode()))
    return tmp_path / "results"


def loose_damage(path: Path) -> Iterator[Damage]:
    """Yield damage of a loose file: of its bytes, and things in its place."""
    content = path.read_bytes()
    for kind, damaged_ in changed(content, DRAW, BYTES):
        yield kind, lambda c=damaged_: path.write_bytes(c)
    for kind, place in instead(path):
        yield kind, lambda p=place: (path.unlink(), p())
    for other in sorted(path.parent.glob("*.json")):
        if other != path:
            yield "another's content", lambda o=other: shutil.copy(o, path)
            yield "swapped", lambda o=other: exchange(path, o)
    name = path.with_name("other-s7.json")
    yield "another's name", lambda: path.rename(name)


def exchange(one: Path, other: Path) -> None:
    content = one.read_bytes()
    shutil.copy(other, one)
    other.write_bytes(content)


def packed_damage(path: Path) -> Iterator[Damage]:
    """Yield damage of an archive, and of a file inside one that is sound itself."""
    for kind, content in changed(path.read_bytes(), DRAW, BYTES):
        yield kind, lambda c=content: path.write_bytes(c)
    for kind, place in instead(path):
        yield kind, lambda p=place: (path.unlink(), p())
    files = dict(packed._files(path))
    name, *others = sorted(files)
    for kind, content in changed(files[name], DRAW, BYTES // 5):
        yield f"inside: {kind}", lambda c=content: archived(path, files | {name: c})
    for other in others:
        swapped = files | {name: files[other], other: files[name]}
        yield "inside: swapped", lambda f=swapped: archived(path, f)
        yield "inside: another's content", lambda o=other: archived(path, files | {name: files[o]})
    for strange in ("../x.json", "/x.json", "other/x.json", "rows/x.txt"):
        yield "inside: strange path", lambda s=strange: archived(path, files | {s: b"{}"})


def archived(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:xz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def outcome(folder: Path, kind: str, sound: dict) -> str:
    """Read what is left: return whether it is sound, named or absent; it is never anything else."""
    packed._read.cache_clear()
    try:
        found, problems = READERS[kind](folder / kind)
    except BenchError as error:  # of an archive
        found, problems = [], [str(error)]
    assert all(one == sound[cell(one)] for one in found)
    assert all(str(folder) in line and line.isprintable() for line in problems)
    if problems:
        return "named"
    return "sound" if {cell(one) for one in found} == sound.keys() else "absent"


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("damage", [loose_damage, packed_damage])
def test_results_with_damaged_bytes_are_named_or_sound(whole, tmp_path, kind, damage):
    sound = {cell(one): one for one in READERS[kind](whole / kind)[0]}
    assert len(sound) == 3
    path, loose = row_path(whole / kind, "d", "s", "ensemble", 0), damage is loose_damage
    if not loose:
        packed.pack(whole)
        path = whole / f"{kind}.tar.xz"
    shutil.copytree(whole, tmp_path / "backup")
    tried, ends, seen = Counter(), Counter(), set()
    for name, harm in [*damage(path), ("may not be read", None)]:
        if harm is not None:
            harm()
        with not_allowed(path) if harm is None else nullcontext():
            end = outcome(whole, kind, sound)
            if loose and kind == "rows" and records.is_current(path, "k0"):
                assert parsed(path) == sound[cell(parsed(path))]
            if name not in seen:
                survive(whole)
        assert end != "absent" or name in ABSENT_AFTER or (not loose and "instead" in name), name
        tried[name] += 1
        ends[end] += 1
        seen.add(name)
        shutil.rmtree(whole)
        shutil.copytree(tmp_path / "backup", whole)
    print(f"\n{kind}, {damage.__name__}: {sum(tried.values())} damages {dict(tried)}: {dict(ends)}")


# What leaves nothing to name: there is no such file, or it is another's, which is read as that.
ABSENT_AFTER = ("gone", "another's content", "inside: another's content")


def survive(results: Path) -> None:
    """Report, export and verify: each ends well, or in one line with exit code 2."""
    with suppress(BenchError):
        render(results, figures=False)
    for words in (
        ["export", "-o", str(results / "all.csv"), "--results", str(results)],
        ["verify", "--reference", str(results), "--results", str(results)],
    ):
        done = CliRunner().invoke(main, words)
        assert done.exit_code in (0, 2), (done.output, done.exception)
        assert done.exit_code == 0 or done.output.count("\n") == 1, done.output


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", READERS)
def test_packed_results_with_a_damaged_field_are_named_or_sound(tmp_path, kind):
    record = full_record() if kind == "rows" else curve_record()
    tried, ends = 0, Counter()
    for path, damage in itertools.product(places(record), KINDS):
        content = damaged(record, path, damage).encode()
        archived(tmp_path / f"{kind}.tar.xz", {f"{kind}/d/s/m-s0.json": content})
        packed._read.cache_clear()
        found, problems = READERS[kind](tmp_path / kind)
        assert len(found) + len(problems) == 1
        assert all(line.isprintable() and "left out" in line for line in problems)
        ends["named" if problems else "read as another value of its type"] += 1
        tried += 1
    print(f"\n{kind}, packed, by field: {tried} damages: {dict(ends)}")
