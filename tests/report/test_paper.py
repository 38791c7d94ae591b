"""The paper's numbers as data, and its tables with ours beside them."""

import json
import shutil
import subprocess
import sys
from math import fsum
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import bench.scenarios
from bench import datasets, methods
from bench.cli import main
from bench.datasets.base import Dataset
from bench.discover import choose, subclasses
from bench.methods.base import Method
from bench.report import formats, render
from bench.report.frames import load, result_groups
from bench.report.wu2021 import published, tables
from bench.report.wu2021.observed import Observed
from bench.report.wu2021.published import Column, cells, values
from bench.scenarios.base import Scenario
from tests import paper_rows

TABLES = {table.id: table for table in tables.TABLES}
COUNTS = {
    "T1a": 21, "T1b": 12, "T2": 42, "T3": 12, "T4a": 18, "T4b": 12, "T5": 39, "T6": 14, "T7": 18,
    "T8": 3, "T9a": 18, "T9b": 18, "T10": 18,
}  # fmt: skip
SUMS = {  # of the numbers printed in a table
    "T1a": 1900.6, "T1b": 8.102, "T2": 23.525, "T3": 6.399, "T4a": 23.41, "T4b": 396.887,
    "T5": 592.625, "T6": 202.421, "T7": 166.529, "T8": 0.862, "T9a": 559.598, "T9b": 251.569,
    "T10": 2588.9,
}  # fmt: skip


def of(table):
    return [cell for cell in cells() if cell.table == table]


def value(row, key):
    return next(iter(values()[row, key].values()))


def filled(results, name):
    observed = Observed(result_groups(load(results)[0]), tables.methods())
    return tables.fill(TABLES[name], observed, results)


def entry(results, name, method, *column):
    return filled(results, name).entries[method, Column(*column)]


def text(one):
    return one.text(formats.markdown_bold, formats.markdown_escape)


# The paper's numbers


@pytest.mark.parametrize("table", COUNTS)
def test_every_cell_of_a_table_is_there(table):
    assert len(of(table)) == COUNTS[table]
    assert fsum(cell.value for cell in of(table)) == pytest.approx(SUMS[table])


def test_no_other_table_is_there():
    assert {cell.table for cell in cells()} == set(COUNTS)
    assert set(TABLES) - set(COUNTS) == {"A6"}  # of the appendix, which is not at hand


def test_the_appendix_has_our_numbers_alone(tmp_path):
    paper_rows.write(tmp_path)
    folder, row = tmp_path / "rows/mnist/clean", "standard:backbone=cnn,channels=16"
    for path in sorted(folder.glob("standard-s*.json")):
        record = json.loads(path.read_text()) | {"method": row}
        path.with_name(path.name.replace("standard", "cnn")).write_text(json.dumps(record))
    found = filled(tmp_path, "A6").entries
    assert text(found[row, Column("mnist", "accuracy")]) == "97.1 ± 0.0"
    assert all(one.cell is None for one in found.values())


@pytest.mark.parametrize(
    ("table", "row", "key", "number", "spread", "bound"),
    [
        ("T1a", "bayes", "mnist accuracy", 96.3, 0.51, False),
        ("T1a", "decnn", "celeba accuracy", 90.8, 0.1, True),
        ("T2", "mc_dropout", "fashion ood mnist", 0.864, 0.01, True),
        ("T3", "bayes", "celeba heldout Wearing_Hat", 0.510, 0.01, False),
        ("T4b", "redecnn:depth=6", "mnist ood celeba", 0.868, None, False),
        ("T5", "redecnn:compose=resnet", "celeba ece", 3.002, 0.10, False),
        ("T7", "redecnn:protect=Bald", "celeba group_ap not Bald", 28.9, 0.10, False),
        ("T9b", "mc_dropout", "fluent speech_ood", 0.562, 0.01, True),
        ("T10", "ensemble", "celeba epoch_seconds", 659.4, 8.2, False),
    ],
)
def test_a_cell_is_as_printed(table, row, key, number, spread, bound):
    (cell,) = [c for c in of(table) if (c.row, c.column.key) == (row, key)]
    assert (cell.value, cell.spread, cell.bound) == (number, spread, bound)


def test_orders_are_those_of_the_paper():
    for dataset in ("mnist", "fashion"):
        for key in (c.column.key for c in of("T2") if c.column.dataset == dataset):
            assert value("mc_dropout", key) > value("redecnn", key)
    for key in ("fashion", "celeba"):
        depths = [c.value for c in of("T4b") if c.column.view == key]
        assert depths == sorted(depths)


def test_what_is_printed_twice_agrees():
    twice = {place: found for place, found in values().items() if len(found) > 1}
    assert len(twice) == 20
    for place, found in twice.items():  # table 4a cuts 1.927 to 1.92
        assert max(found.values()) - min(found.values()) < 0.01, place


def test_faces_have_no_adversarial_column_and_no_set_is_its_own_outlier():
    assert not [c for c in cells() if c.column.key == "celeba adversarial"]
    assert not [c for c in cells() if c.column.dataset == c.column.view]


def test_ratios_follow_from_the_seconds():
    assert value("decnn", "mnist cost_ratio") == pytest.approx(80.5 / 13.6)
    assert {value("standard", f"{d} cost_ratio") for d in ("mnist", "fashion", "celeba")} == {1.0}


def test_numbers_of_one_table_are_compared():
    linear, none = "redecnn:compose=linear", "redecnn"
    found = published.together([(linear, "celeba ece"), (none, "celeba ece")])
    assert found[linear, "celeba ece"] - found[none, "celeba ece"] == pytest.approx(0.010)


# Its tables with our numbers


def test_rows_that_say_what_the_paper_says_fill_every_cell(tmp_path):
    paper_rows.write(tmp_path)
    for name in TABLES:
        table = filled(tmp_path, name)
        assert not any("to be run" in note for note in table.notes)
        for one in table.entries.values():
            if one.cell is not None:
                close = 0.011 if one.cells.column.metric == "ece" else 1e-3  # 1.92 and 1.927
                assert one.pair[0] == pytest.approx(one.cell.value, abs=close)
                assert one.seeds == 3


def test_where_numbers_come_from_is_said(tmp_path):
    paper_rows.write(tmp_path)
    notes = "\n".join(filled(tmp_path, "T9a").notes + filled(tmp_path, "T3").notes)
    assert "fsdd (other data than the paper's), preset laptop, cpu, 3 seeds" in notes
    assert "celeba-10k (a subset of 10,000 faces" in notes


def test_mean_and_std_are_over_seeds_and_in_the_unit_of_the_paper(tmp_path):
    paper_rows.write(tmp_path)
    for seed, accuracy in enumerate((0.97, 0.98, 0.99)):
        change(tmp_path, "mnist/clean/decnn", seed, accuracy=accuracy)
    one = entry(tmp_path, "T1a", "decnn", "mnist", "accuracy")
    assert one.pair == pytest.approx((98.0, 1.0))
    assert text(one) == "**98.0 ± 1.0** [97.8]"


def change(results, place, seed, **metrics):
    path = results / "rows" / f"{place}-s{seed}.json"
    record = json.loads(path.read_text())
    for row in record["rows"]:
        row["metrics"] |= {k: v for k, v in metrics.items() if k in row["metrics"]}
    path.write_text(json.dumps(record))


def test_a_lacking_seed_is_marked_and_never_bold(tmp_path):
    paper_rows.write(tmp_path)
    for seed in range(3):
        change(tmp_path, "mnist/clean/decnn", seed, accuracy=1.0)
    (tmp_path / "rows/mnist/clean/decnn-s1.json").unlink()
    table = filled(tmp_path, "T1a")
    one = table.entries["decnn", Column("mnist", "accuracy")]
    assert text(one) == "100.0 ± 0.0 (n = 2) (a) [97.8]"
    (note,) = [note for note in table.notes if "to be run" in note]
    command = "--methods decnn --datasets mnist --scenarios clean --seeds 1 --results"
    assert f"(a) to be run: `python -m bench run {command} {tmp_path}`" == note
    assert table.entries["ensemble", Column("mnist", "accuracy")].is_best


def test_what_no_run_can_measure_is_not_to_be_run(tmp_path):
    """Without a mistake there is none to detect: running again fills nothing."""
    paper_rows.write(tmp_path)
    path = tmp_path / "rows/fsdd/clean/redecnn-s0.json"
    record = json.loads(path.read_text())
    for row in record["rows"]:
        row["metrics"].pop("misclassification_auroc", None)
    path.write_text(json.dumps(record))
    table = filled(tmp_path, "T9a")
    one = table.entries["redecnn", Column("audiomnist", "misclassification")]
    assert text(one) == "0.766 ± 0.000 (n = 2) [0.766]"
    (note,) = [
        n for n in table.notes if n.startswith("AudioMNIST misclassification: not defined where")
    ]
    assert note.endswith("; redecnn seed 0.")
    assert not any("to be run" in note for note in table.notes)
    assert len(missing(tmp_path)) == 1


def test_a_seed_that_lacks_a_view_is_no_seed(tmp_path):
    paper_rows.write(tmp_path)
    path = tmp_path / "rows/mnist/corruption/redecnn-s2.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"rows": record["rows"][:1]}))
    one = entry(tmp_path, "T2", "redecnn", "mnist", "corruption_mean")
    assert one.seeds == 2
    assert one.cells.views == 2


def test_fewer_seeds_than_the_paper_are_partial_even_if_all_have_them(tmp_path):
    paper_rows.write(tmp_path, seeds=(0,))
    found = filled(tmp_path, "T1a").entries.values()
    assert not any(one.is_best for one in found)
    assert all("(n = 1)" in text(one) for one in found if one.cell)


def test_more_seeds_than_the_paper_are_expected_of_all(tmp_path):
    paper_rows.write(tmp_path, seeds=range(5))
    (tmp_path / "rows/mnist/clean/decnn-s4.json").unlink()
    assert text(entry(tmp_path, "T1a", "decnn", "mnist", "accuracy")).startswith(
        "97.8 ± 0.0 (n = 4)"
    )


def test_the_whole_set_goes_before_the_subset_and_presets_are_never_mixed(tmp_path):
    paper_rows.write(tmp_path, keep=lambda cell: cell.table == "T1a")
    shutil.copytree(tmp_path / "rows/celeba-10k", tmp_path / "rows/celeba")
    for path in (tmp_path / "rows/celeba").rglob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"dataset": "celeba"}))
    column = ("celeba", "accuracy")
    assert entry(tmp_path, "T1a", "decnn", *column).cells.place.dataset == "celeba"
    for path in (tmp_path / "rows/celeba").rglob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"preset": "smoke"}))
    found = entry(tmp_path, "T1a", "decnn", *column).cells
    assert found.place[:2] == ("celeba-10k", "laptop")


def test_why_a_scenario_failed_is_said(tmp_path):
    paper_rows.write(tmp_path)
    path = tmp_path / "rows/mnist/clean/bayes-s0.json"
    failed = {"rows": [], "status": "failed", "reason": "out of memory"}
    path.write_text(json.dumps(json.loads(path.read_text()) | failed))
    assert "MNIST, bayes: failed: out of memory" in filled(tmp_path, "T1a").notes


def test_csv_has_a_line_for_each_cell(tmp_path):
    paper_rows.write(tmp_path)
    write(tmp_path)
    table = pd.read_csv(tmp_path / "paper" / "T3.csv")
    one = table[(table.method == "redecnn") & (table["view"] == "Bald")].iloc[0]
    assert one[["mean", "paper", "seeds"]].tolist() == pytest.approx([0.615, 0.615, 3], abs=1e-4)
    assert one["measured_on"] == "celeba-10k"
    assert bool(one["paper_std_is_bound"])


def write(results):
    tables.write(Observed(result_groups(load(results)[0]), tables.methods()), results)


# The report


def test_the_report_holds_all_tables_where_they_were_asked_for(tmp_path):
    paper_rows.write(tmp_path, keep=lambda cell: cell.column.dataset == "fashion")
    render(tmp_path, figures=False)
    assert not (tmp_path / "paper").exists()
    assert "report --paper" in (tmp_path / "README.md").read_text()
    render(tmp_path, figures=False, paper=True)
    shown = (tmp_path / "paper" / "README.md").read_text()
    assert all(f"## Table {name}\n" in shown for name in TABLES)
    assert "(paper/README.md)" in (tmp_path / "README.md").read_text()
    change(tmp_path, "fashion/clean/standard", 0, accuracy=0.5)
    render(tmp_path, figures=False)  # not asked for again, but never left behind the rows
    assert (tmp_path / "paper" / "README.md").read_text() != shown


def test_rows_of_no_table_leave_every_cell_empty(tmp_path):
    paper_rows.write(tmp_path, keep=lambda cell: cell.table == "T8")
    assert all("[" in text(one) for one in filled(tmp_path, "T1a").entries.values() if one.cell)
    assert "MNIST: not run." in filled(tmp_path, "T1a").notes


def test_latex_compiles_as_it_is(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    paper_rows.write(tmp_path, keep=lambda cell: cell.table != "T4b")  # so that commands are shown
    write(tmp_path)
    inputs = "".join(rf"\input{{paper/{name}.tex}}\clearpage" for name in TABLES)
    document = (
        r"\documentclass{article}\usepackage{booktabs,graphicx}"
        rf"\begin{{document}}{inputs}\end{{document}}"
    )
    (tmp_path / "all.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "-{}-methods" in (tmp_path / "paper" / "T4b.tex").read_text()


# What is missing


def missing(results):
    found = CliRunner().invoke(main, ["report", "--missing", "--results", str(results)])
    assert found.exit_code == 0, found.output
    return found.output.splitlines()


def test_nothing_is_missing_where_all_is_there(tmp_path):
    paper_rows.write(tmp_path)
    (line,) = missing(tmp_path)
    assert line == f"# none of the 222 numbers of the paper's tables is missing under {tmp_path}"


def test_what_is_missing_is_a_script_with_its_cost(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.report.wu2021.missing.REFERENCE", Path("nowhere"))
    paper_rows.write(tmp_path)
    for seed in range(3):
        (tmp_path / f"rows/mnist/cost/ensemble-s{seed}.json").unlink()
    _, cost, command, total = missing(tmp_path)
    assert cost == "# 1 numbers: 3 fits, about 3.0 minutes"  # 60 s each in these rows
    assert command == (
        "python -m bench run --methods ensemble --datasets mnist --scenarios cost --seeds 0,1,2 "
        f"--results {tmp_path}"
    )
    assert total.startswith("# in all 3 fits, about 3.0 minutes")


def test_a_fit_never_timed_is_guessed_from_its_like(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.report.wu2021.missing.REFERENCE", Path("nowhere"))
    paper_rows.write(tmp_path, keep=lambda cell: not cell.row.startswith("redecnn:depth"))
    output = "\n".join(missing(tmp_path))
    assert "--methods redecnn:depth=2,redecnn:depth=4,redecnn:depth=6 --datasets mnist" in output
    assert "9 guessed from other fits" in output


def test_without_rows_all_is_missing_and_every_command_can_be_run(tmp_path):
    lines = missing(tmp_path)
    assert f"# 222 of the 222 numbers of the paper's tables are missing under {tmp_path}" in lines
    commands = [line.split() for line in lines if not line.startswith("#")]
    kinds = {
        "--methods": subclasses(methods, Method),
        "--datasets": subclasses(datasets, Dataset),
        "--scenarios": subclasses(bench.scenarios, Scenario),
    }
    for words in commands:
        for option, known in kinds.items():
            asked = words[words.index(option) + 1]
            found = {choice.label for choice in choose(option, asked, known, "laptop")}
            if option == "--methods":
                assert found <= set(tables.methods())


def test_neither_tables_nor_what_is_missing_needs_torch(tmp_path):
    code = (
        "import sys; from pathlib import Path; from bench.report.wu2021.tables import shortfall; "
        "list(shortfall(Path(sys.argv[1]))); import bench.report.wu2021.verdicts; "
        "sys.exit('torch' in sys.modules)"
    )
    where = Path(__file__).parents[2]
    assert not subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=where).returncode
