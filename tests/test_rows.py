"""Rows on disk: what is read, what is left out and why, and several folders as one."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.errors import BenchError
from bench.report import render
from bench.report.frames import boards, load
from bench.report.leaderboard import leaderboard
from bench.store.rows import merge, read, read_all

GOLDEN = Path(__file__).parent / "data" / "rows"


@pytest.fixture
def folders(tmp_path):
    """Two results folders with the same rows."""
    for name in ("a", "b"):
        shutil.copytree(GOLDEN, tmp_path / name / "rows")
    return tmp_path / "a", tmp_path / "b"


def row_file(folder, scenario="clean", method="chance", seed=0):
    return folder / "rows" / "toy_digits" / scenario / f"{method}-s{seed}.json"


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def other_numbers(path):
    rows = json.loads(path.read_text())["rows"]
    for row in rows:
        row["metrics"] = dict.fromkeys(row["metrics"], 0.123)
    change(path, rows=rows)


# One folder


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"schema": 1, "meth', "damaged; left out"),
        ("[1, 2]", "damaged; left out"),
        ('{"schema": 2}', "schema 2 is newer than the 1 read here; left out"),
        ('{"schema": "x"}', "schema 'x' is unknown; left out"),
        ('{"rows": []}', "damaged; left out"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, text, why):
    path = tmp_path / "x.json"
    path.write_text(text)
    assert read(path) is None
    records, (problem,) = read_all(tmp_path)
    assert records == []
    assert problem.startswith(f"{path}: {why}")


@pytest.mark.parametrize("rows", [["x"], 3, None, [{"metrics": {"auroc": "high"}}]])
def test_rows_that_are_no_numbers_are_left_out_and_the_rest_is_reported(folders, rows):
    change(row_file(folders[0]), rows=rows)
    (problem,) = render(folders[0], figures=False)
    assert problem == "toy_digits/clean/chance/0: its rows are not numbers by name; left out"
    assert "ensemble" in (folders[0] / "README.md").read_text()


def test_where_nothing_is_usable_the_first_reason_is_said(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "x.json").write_text("{")
    with pytest.raises(BenchError, match=r"no results under .*x\.json: damaged.*start with"):
        load(tmp_path)


def test_a_method_that_is_no_longer_installed_is_reported(folders):
    for path in (folders[0] / "rows").rglob("ensemble-*.json"):
        change(path, method="gone:depth=3")
    assert render(folders[0], figures=False) == []
    assert "gone:depth=3" in (folders[0] / "README.md").read_text()


# Several folders


def test_equal_rows_of_two_folders_are_one_without_a_word(folders):
    records, problems = load(*folders)
    assert problems == []
    assert len(records) == len(load(folders[0])[0])


def test_what_only_one_folder_has_is_added(folders):
    row_file(folders[0]).unlink()
    row_file(folders[1], seed=1).unlink()
    assert len(load(*folders)[0]) == len(list(GOLDEN.rglob("*.json")))


def test_of_rows_that_contradict_the_first_are_used_and_the_others_named(folders):
    for method in ("chance", "standard"):
        other_numbers(row_file(folders[1], method=method))
    found = {}
    for order in (folders, folders[::-1]):
        records, (problem,) = load(*order)
        assert problem == (
            f"toy_digits, clean: {order[1]} contradicts {order[0]} "
            "(chance seed 0, standard seed 0); the numbers met first are used"
        )
        (board,) = boards(records)
        found[order[0].name] = leaderboard(board.frame).mean.loc["standard", "accuracy"]
    alone = [boards(load(folder)[0])[0].frame for folder in folders]
    expected = [leaderboard(frame).mean.loc["standard", "accuracy"] for frame in alone]
    assert [found["a"], found["b"]] == pytest.approx(expected)
    assert found["a"] != found["b"]


def test_contradictions_within_a_folder_are_named_too(folders):
    path = row_file(folders[0])
    copy = Path(shutil.copy(path, path.with_name("copy-s0.json")))
    assert load(folders[0])[1] == []
    other_numbers(copy)
    (problem,) = load(folders[0])[1]
    assert f"two files in {folders[0]} differ (chance seed 0)" in problem


def test_numbers_go_before_a_failure(folders):
    change(row_file(folders[0]), status="failed", reason="no space", rows=[])
    records, problems = load(*folders)
    assert problems == []
    assert {record["status"] for record in records} == {"ok"}


def test_other_presets_and_devices_are_no_contradiction(folders):
    path = row_file(folders[1])
    change(path, device="cuda")
    other_numbers(path)
    records, problems = load(*folders)
    assert problems == []
    assert len(records) == len(list(GOLDEN.rglob("*.json"))) + 1


def test_a_long_list_of_contradictions_is_one_line():
    place = {"dataset": "d", "scenario": "s", "method": "m", "preset": "p", "device": "cpu"}
    one, two = (
        [{**place, "seed": s, "rows": [{"metrics": {"auroc": v}}]} for s in range(5)]
        for v in (0.1, 0.2)
    )
    _, (problem,) = merge({Path("x"): one, Path("y"): two})
    assert "(m seed 0, m seed 1, m seed 2 and 2 more)" in problem


def test_the_command_merges_and_writes_to_the_first_folder(folders, tmp_path):
    other_numbers(row_file(folders[1]))
    both = ",".join(map(str, folders))
    words = ["report", "--no-figures", "--results", both]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0
    assert "b contradicts" in done.stderr
    text = (folders[0] / "README.md").read_text()
    assert "toy_digits, clean: b contradicts a" in text
    assert str(tmp_path) not in text
    assert not (folders[1] / "README.md").exists()
    CliRunner().invoke(main, [*words, "--out", str(tmp_path / "c")])
    assert (tmp_path / "c" / "README.md").exists()


def test_a_folder_that_is_not_there_is_named(folders, tmp_path):
    done = CliRunner().invoke(main, ["report", "--results", f"{folders[0]},{tmp_path / 'no'}"])
    assert done.exit_code == 2
    assert f"no results under {tmp_path / 'no'}" in done.stderr
