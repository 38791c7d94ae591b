"""The whole path at the smoke preset: the command line, twice, and every kind of bad input."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import bench.commands.inventory
import bench.fitting.evaluator
import bench.scenarios
from bench.cli import main, options
from bench.discover import subclasses
from bench.fitting.console import broken
from bench.methods.base import Method
from bench.metrics import specs
from bench.scenarios.base import Scenario
from bench.store import packed, records
from bench.store.files import row_path, write
from bench.store.records import read, read_all
from bench.store.schema import Outcome

FAST = ["--methods", "chance,linear,standard", "--preset", "smoke", "--seeds", "0"]


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    run("run", *FAST, "--scenarios", "ood,cost", "--results", folder)
    return folder


@pytest.fixture
def copied(results, tmp_path):
    return shutil.copytree(results, tmp_path / "results")


def contents(folder) -> dict[str, list]:
    return {
        "/".join(map(str, (r.dataset, r.scenario, r.method, r.seed))): r.rows
        for r in read_all(folder / "rows")[0]
    }


def test_a_run_leaves_rows_tables_figures_and_a_readme(results):
    assert len(contents(results)) == 3 * 5
    assert (results / "README.md").read_text().startswith("# Results")
    assert list((results / "tables").glob("leaderboard-digits*.csv"))
    assert list((results / "figures").glob("*.png"))


def test_rows_say_all_that_is_needed(results):
    path = results / "rows/digits/corruption/standard-s0.json"
    record = read(path)
    assert json.loads(path.read_text()).keys() >= {
        "schema", "method", "dataset", "scenario", "seed", "status", "reason", "params", "key",
        "fit_seconds", "device", "versions", "commit", "time", "rows", "detects", "headlines",
        "precision", "cpu_capability",
    }  # fmt: skip
    assert record.schema == 2
    assert record.detects
    assert [headline.label for headline in record.headlines] == ["corruption"]
    assert record.status == "ok"
    views = {row.view for row in record.rows}
    assert len(views) == 15
    metrics = record.rows[0].metrics
    assert metrics.keys() >= {
        "auroc", "aupr_out", "aupr_in", "aupr_out_balanced", "aupr_in_balanced",
        "fpr95_id", "fpr95_ood",
    }  # fmt: skip


def test_every_metric_of_a_run_is_described(results):
    names = {
        name
        for record in read_all(results / "rows")[0]
        for row in record.rows
        for name in row.metrics
    }
    assert names
    assert names <= specs().keys()


def test_chance_is_exactly_one_half_everywhere(results):
    for path in (results / "rows").rglob("chance-s0.json"):
        for row in read(path).rows:
            assert row.metrics.get("auroc", 0.5) == 0.5, (path, row.view)
            assert row.metrics.get("misclassification_auroc", 0.5) == 0.5


def test_near_and_far_outliers_share_no_class_with_the_inliers(results):
    record = read(results / "rows/digits/cross_dataset/standard-s0.json")
    groups = {row.view: row.group for row in record.rows}
    assert groups == {"letters": "near", "photos": "far", "noise": "far"}


def test_the_cost_of_standard_is_one_pass_and_ratio_one(results):
    record = read(results / "rows/digits/cost/standard-s0.json")
    metrics = record.rows[0].metrics
    assert metrics["passes"] == 1
    assert metrics["ratio_to_standard"] == 1
    assert metrics["parameters"] > 1000


def test_the_same_command_again_fits_and_predicts_nothing(copied, monkeypatch):
    before = contents(copied)

    def forbidden(*args, **kwargs):
        raise AssertionError("something was fitted or predicted again")

    monkeypatch.setattr(Method, "fit_many", forbidden)
    monkeypatch.setattr(bench.fitting.evaluator, "run_network", forbidden)
    output = run("run", *FAST, "--scenarios", "ood,cost", "--results", copied)
    assert "0 scenarios measured, 0 failed" in output
    assert contents(copied) == before


def test_deleted_rows_are_measured_again_without_any_network(copied, monkeypatch):
    before = contents(copied)
    shutil.rmtree(copied / "rows/digits/corruption")
    (copied / "rows/digits/clean/linear-s0.json").write_text('{"schema": 1, "rows"')  # cut short

    def forbidden(*args, **kwargs):
        raise AssertionError("a network was run again")

    monkeypatch.setattr(Method, "fit_many", forbidden)
    monkeypatch.setattr(bench.fitting.evaluator, "run_network", forbidden)
    output = run("run", *FAST, "--scenarios", "ood,cost", "--results", copied)
    assert "4 scenarios measured, 0 failed" in output
    assert contents(copied) == before


def test_the_same_seed_gives_the_same_table(results, tmp_path):
    run("run", *FAST, "--scenarios", "ood", "--results", tmp_path)
    again = contents(tmp_path)
    assert again == {place: rows for place, rows in contents(results).items() if place in again}


def test_two_jobs_side_by_side_give_the_same_rows(results, tmp_path):
    run("run", *FAST, "--scenarios", "clean", "--jobs", "2", "--results", tmp_path)
    again = contents(tmp_path)
    assert len(again) == 3
    assert again == {place: rows for place, rows in contents(results).items() if place in again}


def test_a_damaged_cache_file_is_set_aside_refitted_and_said(copied):
    before = contents(copied)
    shutil.rmtree(copied / "rows")
    shutil.rmtree(copied / "cache/predictions")
    (fit,) = copied.glob("cache/fits/digits/standard-s0-*.pt")
    fit.write_bytes(fit.read_bytes()[:1000])
    output = run("run", *FAST, "--scenarios", "clean", "--results", copied)
    assert "damaged cache file set aside" in output
    assert fit.with_name(f"{fit.name}.damaged").exists()
    assert contents(copied).items() <= before.items()


def test_a_failing_method_is_recorded_and_stops_no_other(tmp_path, monkeypatch):
    from bench.methods.linear import Linear

    def broken(self, *args, **kwargs):
        raise RuntimeError("the loss\nbecame nan")

    monkeypatch.setattr(Linear, "fit_many", broken)
    words = [*FAST, "--scenarios", "clean", "--results", tmp_path]
    output = run("run", *words, code=1)
    record = read(tmp_path / "rows/digits/clean/linear-s0.json")
    assert (record.status, record.reason) == (
        "failed",
        "RuntimeError: the loss became nan",
    )
    assert "3 scenarios measured, 1 failed" in output
    monkeypatch.undo()
    assert "1 scenario measured, 0 failed" in run("run", *words)  # never cached as done


def test_predictions_that_are_not_finite_are_an_error_with_names(tmp_path, monkeypatch):
    from bench.methods.linear import Linear

    monkeypatch.setattr(
        Linear, "predict_proba", lambda self, x: torch.full((len(x), 1, 1, 10), float("nan"))
    )
    run("run", *FAST, "--scenarios", "clean", "--results", tmp_path, code=1)
    record = read(tmp_path / "rows/digits/clean/linear-s0.json")
    assert re.search(r"linear gave \d+ probabilities .* not finite on view clean", record.reason)


def test_more_samples_reuse_the_fit(tmp_path, monkeypatch):
    words = ["run", "--preset", "smoke", "--seeds", "0", "--scenarios", "clean"]
    run(*words, "--methods", "mc_dropout", "--results", tmp_path)

    def forbidden(*args, **kwargs):
        raise AssertionError("fitted again")

    monkeypatch.setattr(Method, "fit_many", forbidden)
    run(*words, "--methods", "mc_dropout:samples=6", "--results", tmp_path)
    assert (tmp_path / "rows/digits/clean/mc_dropout_samples=6-s0.json").exists()


def test_a_dry_run_shows_the_plan_and_does_nothing(tmp_path):
    output = run("run", *FAST, "--results", tmp_path / "new", "--dry-run")
    assert "3 jobs" in output
    assert "fit unknown" in output
    assert not (tmp_path / "new" / "rows").exists()


def test_report_and_verify_work_from_rows_alone(copied):
    shutil.rmtree(copied / "cache")
    (copied / "README.md").unlink()
    run("report", "--no-figures", "--results", copied)
    assert (copied / "README.md").exists()
    output = run("verify", "--results", copied, "--reference", copied)
    assert "digits (smoke)" in output
    assert "the same" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "mc_dropuot"], "unknown method 'mc_dropuot'. Did you mean 'mc_dropout'"),
        (["--methods", "redecnn:dept=2"], "unknown parameter of redecnn 'dept'. Did you mean"),
        (["--methods", "redecnn:depth=x"], "redecnn: parameter 'depth' takes an int, not 'x'"),
        (["--scenarios", "odd"], "unknown scenario 'odd'. Did you mean 'ood'"),
        (["--datasets", "mnits"], "unknown dataset 'mnits'. Did you mean 'mnist'"),
        (["--datasets", "letters"], "letters is an outlier source, not a data set to train on"),
        (["--seeds", "one"], "--seeds takes whole numbers from 0 up and ranges"),
        (["--seeds", "-1"], "--seeds takes whole numbers from 0 up and ranges"),
        (["--seeds", "3-1"], "such as 0,1,5-7, not '3-1'"),
        (["--preset", "huge"], "'huge' is not one of 'smoke', 'laptop', 'paper'"),
        (["--device", "gpu"], "not 'gpu'; a GPU of NVIDIA is 'cuda'"),
        (["--device", "cuda:99"], "device 'cuda:99' is not usable here"),
        (["--scenarios", "corruption:cap=0"], "corruption: parameter 'cap' is at least 1, not 0"),
        (["--jobs", "0"], "(see main run --help)"),
        (["--no-such"], "No such option"),
        (["--plugins", "nowhere"], "does not exist (--plugins, BENCH_PLUGINS)"),
        (["--datasets", "mnist"], "With a network, run: python -m bench data download mnist"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_2(words, message, tmp_path):
    defaults = ["--methods", "chance", "--preset", "smoke", "--results", tmp_path]
    output = run("run", *defaults, *words, code=2)
    assert message in output
    assert len(output.strip().splitlines()) == 1
    assert "Traceback" not in output


def test_an_unwritable_results_folder_is_a_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    output = run("run", *FAST, "--results", tmp_path / "file", code=2)
    assert "is a file" in output
    assert "--results" in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "--out", "FILE"], "'FILE' is a file"),
        (["report", "--results", "FILE"], "--results takes folders, and FILE is a file"),
        (["export", "--results", "FILE", "-o", "x.csv"], "FILE is a file"),
        (["verify", "--results", "FILE"], "'FILE' is a file"),
        (["verify", "--reference", "nothere"], "'nothere' does not exist"),
        (["data", "list", "--data", "FILE"], "'FILE' is a file"),
        (["data", "download", "mnist", "--data", "FILE/below"], "FILE/below"),
        (["run", "--datasets", "mnist", "--data", "FILE/below"], "FILE/below"),
        (["forget"], "at least one of --methods, --datasets and --scenarios"),
        (["forget", "--methods", "none"], "nothing under"),
        (["list", "redecn"], "unknown list or name 'redecn'. Did you mean 'redecnn'"),
        (["data", "where", "fluent"], "Ask fluent.ai for it"),
    ],
)
def test_files_in_place_of_folders_and_names_that_are_none(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text("")
    output = run(*words, code=2)
    assert message in output
    assert "data download fluent" not in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0-2", [0, 1, 2]), ("0,1,5-7", [0, 1, 5, 6, 7]), ("3", [3]), ("1, 1,0-1", [1, 0])],
)
def test_seeds_take_numbers_and_ranges(text, numbers):
    assert options.seeds(None, None, text) == numbers


def test_the_tags_in_the_help_are_those_of_the_scenarios():
    known = subclasses(bench.scenarios, Scenario).values()
    assert set(options.TAGS.split(", ")) == {tag for cls in known for tag in cls.tags}


def test_what_all_and_a_limit_leave_out_is_said(tmp_path):
    words = ["--scenarios", "all", "--preset", "smoke", "--seeds", "0", "--results", tmp_path]
    output = run("run", *words, "--limit", "50", "--dry-run")
    assert "(a rival: --methods rivals runs them)" in output
    assert "grad (it needs an attribute to protect), " in output
    assert "heldout (it makes a fit for every class or attribute held out), " in output
    assert "corruption:cap=50" in output
    assert "--limit 50: clean, cost measure the whole test part" in output
    assert "leaves out" not in run("run", *FAST, "--results", tmp_path, "--dry-run")


def test_the_version_is_named():
    assert re.match(r"bench \d+\.\d+", run("--version"))


def test_a_report_without_rows_says_what_to_do(tmp_path):
    assert "python -m bench run" in run("report", "--results", tmp_path, code=2)
    assert "python -m bench run" in run("verify", "--results", tmp_path, code=2)


def test_two_methods_are_compared_view_by_view_from_the_cache(copied, monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("a network was run again")

    monkeypatch.setattr(bench.fitting.evaluator, "run_network", forbidden)
    words = ["--preset", "smoke", "--results", copied]
    output = run("compare", "standard", "linear", *words)
    assert len(re.findall(r"seed 0 +corruption .* \[[-+]", output)) == 15
    assert "letters" in output
    assert output.count("fgsm_transfer") == 2
    assert "fgsm 0.1" not in output  # each was attacked for itself: not paired
    assert "could have seen 0." in output
    assert "2 seeds" not in output
    assert "compare takes two methods, not 1" in run("compare", "linear", "linear", *words, code=2)


LISTED = {
    "methods": ("redecnn", "Recursion to depth D", "arXiv:2106.00769"),
    "datasets": ("fashion", "70 000 pictures of clothes", "arXiv:1708.07747"),
    "scenarios": ("adversarial", "made to fool it?", "arXiv:1412.6572"),
    "scores": ("predictive_entropy", "Entropy of the mean prediction", "Gal 2016"),
    "presets": ("laptop", "minutes on two cores", ""),
}


@pytest.mark.parametrize("kind", LISTED)
def test_lists_have_names_lines_and_sources(kind, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    name, what, source = LISTED[kind]
    (line,) = [line for line in run("list", kind).splitlines() if line.split()[:1] == [name]]
    assert what in line
    assert source in line


def test_an_unknown_list_is_a_mistake():
    assert "Did you mean 'methods'" in run("list", "method", code=2)


def test_data_is_listed_and_found(tmp_path):
    assert "mnist" in run("data", "list", "--data", tmp_path)
    assert run("data", "where", "digits").strip() == "embedded"
    assert "data download mnist" in run("data", "where", "mnist", "--data", tmp_path, code=2)
    assert "unknown data set 'mnits'" in run("data", "where", "mnits", code=2)


def test_info_names_versions():
    assert torch.__version__.split("+")[0] in run("info")


def test_check_reports_each_rule():
    output = run("check", "linear")
    assert output.count("ok ") >= 9
    assert "FAILED" not in output


def test_a_method_for_images_of_one_size_is_checked_on_a_data_set(tmp_path):
    (tmp_path / "sized.py").write_text(
        "from bench.methods.linear import Linear\n\n\n"
        "class Square(Linear):\n"
        '    """Takes 8 x 8 alone; not named after its file."""\n\n'
        '    name = "square"\n\n'
        "    def build(self, task):\n"
        "        if task.shape != (1, 8, 8):\n"
        '            raise RuntimeError("shape mismatch")\n'
        "        return super().build(task)\n"
    )
    words = ["check", "square", "--plugins", tmp_path / "sized.py"]
    output = run(*words, code=1)
    assert "RuntimeError: shape mismatch (on toy images of 1 x 4 x 4; if square takes" in output
    assert output.count("--datasets digits") == 1
    assert "FAILED" not in run(*words, "--datasets", "digits")
    run("run", "--methods", "square", "--preset", "smoke", "--seeds", "0", "--scenarios", "clean",
        "--results", tmp_path / "results", "--plugins", tmp_path / "sized.py")  # fmt: skip
    assert "unknown dataset 'digts'" in run(*words, "--datasets", "digts", code=2)


def test_a_method_that_breaks_before_its_fit_is_recorded_too(tmp_path, monkeypatch):
    from bench.methods.linear import Linear

    def broken(self, seed):
        raise ValueError("no such prerequisite")

    monkeypatch.setattr(Linear, "prerequisites", broken)
    run("run", *FAST, "--scenarios", "clean", "--results", tmp_path, code=1)
    record = read(tmp_path / "rows/digits/clean/linear-s0.json")
    assert record.reason == "ValueError: no such prerequisite"


def files(folder) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_forget_shows_what_goes_and_removes_it_when_told(copied):
    before = files(copied)
    words = ["forget", "--methods", "standard", "--results", copied]
    output = run(*words)
    assert "rows: 5 files" in output
    assert "nothing was removed" in output
    assert files(copied) == before
    run(*words, "--yes")
    gone = {name for name in before - files(copied) if not name.startswith(("figures", "tables"))}
    assert gone
    assert {name.split("/")[0] for name in gone} == {"rows", "curves", "cache"}
    assert not [name for name in files(copied) if "/standard-" in name and "fgsm" not in name]
    assert [name for name in files(copied) if name.startswith("cache/fits/digits/linear-")]


def test_forget_keeps_a_fit_that_other_rows_were_made_with(copied):
    before = files(copied)
    run("forget", "--scenarios", "corruption", "--results", copied, "--yes")
    gone = before - files(copied)
    assert {name.split("/")[0] for name in gone} == {"rows", "curves"}
    assert all("/corruption/" in name for name in gone)
    assert len(gone) >= 3


def test_forget_takes_settings_and_leaves_their_namesakes(tmp_path):
    fast = ["--preset", "smoke", "--seeds", "0", "--scenarios", "clean", "--results", tmp_path]
    run("run", "--methods", "linear,linear:lr=0.1,linear:lr=0.2", *fast)
    run("forget", "--methods", "linear:lr=0.1", "--results", tmp_path, "--yes")
    assert {label for *_, label in map(method_of, contents(tmp_path))} == {
        "linear", "linear:lr=0.2"
    }  # fmt: skip
    assert len(list((tmp_path / "cache/fits/digits").glob("linear-*.pt"))) == 2
    run("forget", "--methods", "linear", "--results", tmp_path, "--yes")
    assert contents(tmp_path) == {}
    assert not list((tmp_path / "cache").rglob("*.pt"))


def method_of(place: str) -> tuple[str, str]:
    return place.split("/")[0], place.split("/")[2]


def test_a_dry_run_says_what_was_never_timed(tmp_path):
    words = ["run", *FAST, "--scenarios", "clean", "--results", tmp_path, "--dry-run"]
    output = run(*words)
    assert "fit unknown" in output
    assert "fit of standard on digits" in output
    assert "measuring clean on digits" in output
    assert "about" not in output


def test_a_dry_run_counts_fits_and_measuring_by_what_they_took(tmp_path, monkeypatch):
    def record(method, fit, measure, folder):
        path = row_path(folder / "rows", "digits", "clean", method, 9)
        about = {"method": method, "dataset": "digits", "scenario": "clean", "seed": 9,
                 "preset": "smoke", "fit_seconds": fit, "measure_seconds": measure}  # fmt: skip
        records.save(path, Outcome("ok"), about)

    monkeypatch.setattr(records, "REFERENCE", tmp_path / "reference")
    for method in ("chance", "linear", "standard"):
        record(method, 600.0, 60.0, tmp_path / "reference")
    record("linear", 300.0, 30.0, tmp_path / "here")  # twice as fast as the reference's machine
    words = ["run", "--preset", "smoke", "--scenarios", "clean", "--results", tmp_path / "here"]
    output = run(*words, "--methods", "standard,linear", "--seeds", "0", "--dry-run")
    assert output.count("fit 5 min") == 2
    assert output.count("measure 30 s") == 2
    assert "2 jobs: about 11 min of work (fits 10 min, measuring 60 s)" in output
    assert "time unknown" not in output


def test_a_dry_run_leaves_out_what_is_there(results):
    output = run("run", *FAST, "--scenarios", "ood,cost", "--results", results, "--dry-run")
    assert output.count("rows are there") == 3
    assert "nothing to fit or to measure" in output


def test_the_last_line_names_page_and_next_command(copied):
    output = run("run", *FAST, "--scenarios", "clean", "--results", copied)
    last = output.splitlines()[-1]
    assert str(copied / "leaderboard.html") in last
    command = last.partition("next: python -m bench ")[2].split()
    assert "standard" not in run(*command, "--seeds", "0", "--scenarios", "clean").splitlines()[0]
    assert (copied / "leaderboard.html").exists()


def test_quiet_prints_the_last_line_alone(copied):
    output = run("run", *FAST, "--scenarios", "clean", "--results", copied, "-q")
    assert len(output.splitlines()) == 1


def test_verbose_shows_the_traceback_of_a_failing_method(tmp_path, monkeypatch):
    from bench.methods.linear import Linear

    monkeypatch.setattr(Linear, "build", lambda self, task: task.no_such_thing)
    words = ["run", "--methods", "linear", "--preset", "smoke", "--seeds", "0", "--scenarios",
             "clean", "--results", tmp_path]  # fmt: skip
    assert "Traceback" not in run(*words, code=1)
    output = run(*words, "-v", code=1)
    assert "Traceback" in output
    assert "--jobs 1 -v" in output


def test_lines_of_a_job_are_broken_between_its_parts_alone():
    text = "digits   standard  seed 0  fit 1.2 s  clean accuracy 0.986  corruption AUROC 0.945"
    lines = broken(text, 40)
    assert max(map(len, lines)) <= 40
    assert [part for line in lines for part in re.split("  +", line.strip())] == re.split(
        "  +", text
    )
    assert broken(text, 0) == [text]


@pytest.mark.parametrize("extra", [{"PYTHONIOENCODING": "ascii"}, {"LANG": "C", "LC_ALL": "C"}])
def test_a_terminal_that_knows_ascii_alone(extra, results):
    environment = {**os.environ, "PYTHONPATH": str(bench.ROOT), "PYTHONUTF8": "0", **extra}
    words = ["run", *FAST, "--scenarios", "clean", "--results", str(results)]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words], env=environment, capture_output=True, check=True
    )
    assert b"measured, 0 failed" in done.stdout


def test_no_home_folder_is_a_mistake_with_a_remedy(tmp_path, monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("BENCH_DATA")
    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.chdir(tmp_path)
    output = run("data", "list", code=2)
    assert "name one with --data or BENCH_DATA" in output


def test_tables_that_are_piped_are_never_cut(tmp_path):
    folder = tmp_path / ("long" * 40)
    assert str(folder) in run("data", "list", "--data", folder)
    assert max(len(line) for line in run("list", "methods").splitlines()) > 100


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("redecnn", ["depth", "At least 1.", "smoke 2", "arXiv:2106.00769"]),
        ("digits", ["1797 digits"]),
        ("heldout", ["hold", "attributes or classes"]),
        ("vote_entropy", ["Computed from samples"]),
        ("auroc", ["higher is better"]),
    ],
)
def test_a_name_is_explained_with_its_parameters(name, words):
    output = run("list", name)
    for word in words:
        assert word in output


def test_a_list_is_kept_until_a_file_changes(monkeypatch):
    run("list", "methods")

    def forbidden():
        raise AssertionError("everything was imported again")

    monkeypatch.setattr(bench.commands.inventory, "entries", forbidden)
    assert "redecnn" in run("list", "methods")


def test_packed_results_are_read_and_not_measured_again(copied):
    before = contents(copied)
    run("pack", "--results", copied)
    assert not (copied / "rows").exists()
    assert contents(copied) == before
    output = run("run", *FAST, "--scenarios", "ood,cost", "--results", copied)
    assert "0 scenarios measured, 0 failed" in output
    assert not (copied / "rows").exists()
    newer = copied / "rows/digits/clean/linear-s0.json"
    write(newer, packed.read_regular(newer))  # without it the packed one would be back
    said = run("forget", "--methods", "linear", "--results", copied, "--yes", code=2)
    assert "pack --undo" in said
    assert newer.exists()
    run("pack", "--undo", "--results", copied)
    assert contents(copied) == before
    assert len([*(copied / "rows").rglob("*.json")]) == len(before)


def test_an_empty_folder_has_nothing_to_pack(tmp_path):
    assert "nothing under" in run("pack", "--results", tmp_path, code=2)
