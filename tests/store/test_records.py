"""Records on disk: what is read, what is left out and why, and several folders as one."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import scenarios
from bench.cli import main
from bench.discover import subclasses
from bench.errors import BenchError
from bench.report import render
from bench.report.frames import load, result_groups
from bench.report.leaderboard import leaderboard
from bench.scenarios.base import Scenario
from bench.store.merging import merge
from bench.store.records import parsed, read, read_all, save
from bench.store.schema import Headline, Outcome, Record, Row

GOLDEN = Path(__file__).parents[1] / "data" / "rows"


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
        ('{"schema": 1, "meth', "damaged ("),
        ("[1, 2]", "damaged (Expected `object`"),
        ('{"schema": 3}', "schema 3 is newer than the 2 read here; left out"),
        ('{"schema": "x"}', "schema 'x' is unknown; left out"),
        ('{"schema": true}', "schema 'True' is unknown; left out"),
        ('{"rows": []}', "damaged (Object missing required field"),
        ("", "damaged ("),
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
    assert "chance-s0.json: damaged (" in problem
    assert "$.rows" in problem
    assert "ensemble" in (folders[0] / "README.md").read_text()


def test_a_folder_a_pipe_and_a_dangling_link_are_named_and_hang_nothing(folders):
    place = row_file(folders[0]).parent
    (place / "folder.json").mkdir()
    os.mkfifo(place / "pipe.json")
    (place / "link.json").symlink_to(place / "nowhere")
    records, problems = read_all(folders[0] / "rows")
    assert len(records) == len(list(GOLDEN.rglob("*.json")))
    folder, link, pipe = problems
    assert "folder.json: is no file" in folder
    assert "link.json: No such file" in link
    assert "pipe.json: is no file" in pipe


@pytest.mark.parametrize("name", ["../../X", "a/../b", "a\\..\\b", "a\0b", "a\x1b[2J", " a"])
@pytest.mark.parametrize("field", ["scenario", "dataset", "method", "preset", "device"])
def test_a_name_that_could_leave_the_folder_or_the_line_is_refused(folders, field, name):
    change(row_file(folders[0]), **{field: name})
    before = {path for path in folders[0].parent.rglob("*") if "/a/" not in str(path)}
    (problem,) = render(folders[0], figures=False)
    assert "is no name); left out" in problem
    after = {path for path in folders[0].parent.rglob("*") if "/a/" not in str(path)}
    assert after == before


@pytest.mark.parametrize("name", ["a/b", "/etc/x", "<script>", "=cmd|'/C calc'!A0", r"\input{x}"])
def test_a_name_with_signs_is_reported_and_stays_in_the_folder(folders, name):
    for path in (folders[0] / "rows").rglob("*.json"):
        change(path, scenario=name if path.parent.name == "corruption" else path.parent.name)
    before = {path for path in folders[0].parent.rglob("*") if "/a/" not in str(path)}
    assert render(folders[0], figures=False) == []
    assert before == {path for path in folders[0].parent.rglob("*") if "/a/" not in str(path)}


def test_names_beyond_what_a_file_system_takes_are_reported(folders):
    for path in (folders[0] / "rows").rglob("chance-*.json"):
        change(path, method=f"chance:{'x' * 300}=1")
    for path in (folders[0] / "rows").rglob("corruption/*.json"):
        change(path, scenario=f"corruption:{'y' * 300}=1")
    assert render(folders[0], figures=False) == []
    assert "x" * 300 in (folders[0] / "README.md").read_text()


def test_schema_1_is_upgraded_on_load(folders):
    params = {"in_colour": True, "map_updates": 3, "negligible": 0.1, "width": 8}
    path = row_file(folders[0], "cross_dataset")
    change(path, params=params, method="chance:in_colour=True,negligible=0.1")
    record = read(path)
    assert record.schema == 2
    assert record.params == {
        "rgb_beta_scale": True, "conv_min_updates": 3, "min_weight": 0.1, "width": 8
    }  # fmt: skip
    assert record.method == "chance:rgb_beta_scale=True,min_weight=0.1"
    assert record.choices == {"rgb_beta_scale": "True", "min_weight": "0.1"}
    assert record.detects
    assert [headline.label for headline in record.headlines] == ["near", "far"]
    clean = read(row_file(folders[0]))
    assert not clean.detects
    assert clean.headlines == (
        Headline("accuracy", "accuracy", order=80), Headline("ECE", "ece", order=80)
    )  # fmt: skip


def test_what_schema_1_is_given_is_what_the_scenarios_declare():
    younger = {
        "attribution", "composed", "conformal", "likelihoods", "operating", "recalibration",
        "selective", "strong_attacks",
    }  # fmt: skip
    for name, cls in subclasses(scenarios, Scenario).items():
        if name in younger:
            continue
        scenario = cls()
        old = {
            "schema": 1, "method": "m", "dataset": "d", "scenario": name, "seed": 0, "status": "ok",
            "scenario_params": scenario.params(),
            "rows": [{"view": "v", "n": 1, "score": "msp", "metrics": {"auroc": 0.5}}],
        }  # fmt: skip
        record = parsed_from(old | ({} if scenario.detects else {"rows": []}))
        assert record.headlines == tuple(scenario.headlines()), name
        assert record.detects == scenario.detects


def parsed_from(record):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        Path(file.name).write_text(json.dumps(record))
        return parsed(Path(file.name))


def test_base_and_variant_are_parts_of_the_label():
    about = dict(scenario="s", seed=0, status="ok", rows=())
    record = Record(method="m:a=1,b=x", dataset="celeba-10k:size=64~without=Bald", **about)
    assert (record.base, record.variant) == ("celeba-10k:size=64", "without=Bald")
    assert (record.method_name, record.choices) == ("m", {"a": "1", "b": "x"})


def test_a_value_that_is_not_finite_is_not_written(tmp_path):
    about = {"method": "m", "dataset": "d", "scenario": "s", "seed": 0}
    outcome = Outcome("ok", "", (Row("v", 1, {"auroc": float("nan")}, "msp"),))
    with pytest.raises(ValueError, match="auroc of view v is nan by msp"):
        save(tmp_path / "x.json", outcome, about)
    assert not list(tmp_path.iterdir())


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
        (group,) = result_groups(records)
        found[order[0].name] = leaderboard(group).mean.loc["standard", "accuracy"]
    alone = [result_groups(load(folder)[0])[0] for folder in folders]
    expected = [leaderboard(group).mean.loc["standard", "accuracy"] for group in alone]
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
    assert {record.status for record in records} == {"ok"}


def test_other_presets_and_devices_are_no_contradiction(folders):
    path = row_file(folders[1])
    change(path, device="cuda")
    other_numbers(path)
    records, problems = load(*folders)
    assert problems == []
    assert len(records) == len(list(GOLDEN.rglob("*.json"))) + 1


def made(seed=0, **scores):
    rows = tuple(Row("v", 9, {"auroc": value}, name) for name, value in scores.items())
    return Record(method="m", dataset="d", scenario="s", seed=seed, status="ok", rows=rows)


def test_records_that_agree_in_all_they_share_are_no_contradiction():
    less, more, other = made(msp=0.1), made(msp=0.1, energy=0.2), made(msp=0.3, energy=0.2)
    for order in ((less, more), (more, less)):
        records, problems = merge({Path("x"): order[:1], Path("y"): order[1:]})
        assert (records, problems) == ([more], [])
    records, (problem,) = merge({Path("x"): [less], Path("y"): [other]})
    assert records == [less]
    assert "y contradicts x (m seed 0)" in problem


def test_a_long_list_of_contradictions_is_one_line():
    one, two = ([made(seed, msp=value) for seed in range(5)] for value in (0.1, 0.2))
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
