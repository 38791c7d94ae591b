"""One file with every row, that pandas reads in one call."""

import json
import shutil
import sys
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.commands.export import RECORD, VIEW, export, wide
from bench.errors import UsageError
from bench.report.frames import load
from bench.store.schema import Record

GOLDEN = Path(__file__).parents[1] / "data" / "rows"
SCHEMA = Path(__file__).parents[2] / "docs" / "schema.md"


@pytest.fixture
def results(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "rows")
    return tmp_path


@pytest.mark.parametrize(("ending", "read"), [("csv", pd.read_csv), ("json", pd.read_json)])
def test_pandas_reads_every_number_in_one_call(results, ending, read):
    out = results / f"all.{ending}"
    lines, problems = export([results], out)
    table = read(out)
    assert (len(table), problems) == (lines, [])
    numbers = 0
    for path in (results / "rows").rglob("*.json"):
        record = json.loads(path.read_text())
        mine = table[(table.method == record["method"]) & (table.seed == record["seed"])]
        mine = mine[mine.scenario == record["scenario"]]
        for row in record["rows"]:
            (line,) = mine[(mine["view"] == row["view"]) & (mine.score == row["score"])].index
            for name, value in row["metrics"].items():
                assert table.loc[line, name] == pytest.approx(value)
                numbers += 1
    metrics = table.drop(columns=[*RECORD, *VIEW])
    assert metrics.notna().sum().sum() == numbers > 100


def test_a_failure_is_a_line_with_its_reason(results):
    path = next((results / "rows").rglob("*.json"))
    record = json.loads(path.read_text()) | {"status": "failed", "reason": "no space", "rows": []}
    path.write_text(json.dumps(record))
    table = wide(load(results)[0])
    (line,) = table[table.status == "failed"].to_dict("records")
    assert line["reason"] == "no space"
    assert pd.isna(line["view"])


def made(**fields):
    about = {"method": "m", "dataset": "d", "scenario": "s", "seed": 0, "status": "ok", "rows": []}
    return msgspec.convert(about | fields, Record)


def test_the_seconds_of_a_fit_are_one_column():
    rows = [{"view": "cost", "n": 1, "metrics": {"fit_seconds": 1.4999}}]
    table = wide([made(fit_seconds=1.5, rows=rows)])
    assert list(table.columns).count("fit_seconds") == 1
    assert table["fit_seconds"].item() == 1.5


def test_parameters_come_back_as_they_were():
    table = wide([made(params={"eps": [0.1, 0.3]})])
    assert json.loads(table["params"].item()) == {"eps": [0.1, 0.3]}


def test_every_column_is_documented():
    text = SCHEMA.read_text()
    assert [name for name in [*RECORD, *VIEW] if f"`{name}`" not in text] == []


def test_an_unknown_format_names_the_known_ones(results):
    with pytest.raises(UsageError, match=r"end it in \.csv, \.json, \.parquet"):
        export([results], results / "all.xlsx")


def test_parquet_without_its_package_says_what_to_install(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"^a Parquet file needs pyarrow: pip install pyarrow$"):
        export([results], results / "all.parquet")
    assert not (results / "all.parquet").exists()


def test_parquet_keeps_types(results):
    pytest.importorskip("pyarrow", reason="pyarrow is optional: pip install pyarrow")
    export([results], results / "all.parquet")
    assert str(pd.read_parquet(results / "all.parquet")["n"].dtype) == "Int64"


def test_the_command_exports_and_names_what_is_left_out(results):
    next((results / "rows").rglob("chance-s0.json")).write_text("{")
    out = results / "all.csv"
    done = CliRunner().invoke(main, ["export", "--results", str(results), "-o", str(out)])
    assert done.exit_code == 0
    assert done.stderr.count("damaged") == 1
    assert f"{len(pd.read_csv(out))} lines -> {out}" in done.stdout
