"""Records and curves with one field damaged: named or taken for what they are, never a traceback.

The fast part takes a few fields and kinds of damage, the slow one every field with every kind.
"""

import copy
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.report import render
from bench.store import curves
from bench.store.records import parsed, read, read_all

GOLDEN = Path(__file__).parents[1] / "data" / "rows"
PLACE = Path("toy_digits/cross_dataset/ensemble-s0.json")
ABSENT = object()
DEEP = "@deep@"  # replaced by nesting that no parser follows
KINDS = {
    "absent": ABSENT, "null": None, "true": True, "text": "x", "empty text": "", "number": 7,
    "negative": -1, "fraction": 0.5, "huge": 10**400, "large": 10**30, "infinite": float("inf"),
    "not a number": float("nan"), "list": [], "list of lists": [[[]]], "list of null": [None],
    "map": {}, "map of maps": {"a": {"b": {}}}, "null byte": "a\0b", "escape": "\x1b[2J",
    "up": "../../X", "absolute": "/tmp/X", "long": "x" * 5000, "bidirectional": "\u202etxt",
    "markup": "<script>alert(1)</script>", "formula": "=cmd|'/C calc'!A0", "latex": r"\input{x}",
    "line": "a\nb", "deep": DEEP,
}  # fmt: skip
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


def places(value, path=()):
    """Yield the path of every field, of lists the first entry alone."""
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else ()
    entries = list(enumerate(value))[:1] if isinstance(value, list) else entries
    for key, part in entries:
        yield from places(part, (*path, key))


def damaged(record, path, kind):
    """Return a record as JSON with one field replaced or taken out."""
    record = copy.deepcopy(record)
    place = record
    for key in path[:-1]:
        place = place[key]
    if KINDS[kind] is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = KINDS[kind]
    return json.dumps(record).replace(f'"{DEEP}"', "[" * 100_000 + "]" * 100_000)


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
        "risk": [1] * 50, "reliability": [[1, 2, 3]],
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
