"""bench.run, bench.evaluate and bench.Results; a run as a file; one cell measured again."""

import re

import nbformat
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torchvision.models import resnet18

import bench
from bench.cli import main
from bench.commands import cell as cells
from bench.commands.experiment import Experiment, read
from bench.datasets.digits import Digits
from bench.errors import BenchError
from bench.store.records import read_all
from bench.store.seal import sealed
from tests.own import write_pictures

SMOKE = dict(preset="smoke", device="cpu")


def network(outputs=10, inputs=64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, outputs))


def run(*words, code=0):
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def conv():
    return nn.Sequential(nn.Conv2d(1, 10, 8), nn.Flatten())


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    bench.run(methods=["chance", "linear"], scenarios="clean,corruption", seeds="0-1", limit=20,
              results=folder, **SMOKE)  # fmt: skip
    return folder


def times(folder):
    return {(r.method, r.scenario): (r.time, r.key) for r in read_all(folder / "rows")[0]}


def test_a_network_is_measured_once_and_a_changed_weight_anew(tmp_path):
    net = network().train()
    ask = dict(data="digits", scenarios="clean", results=tmp_path, **SMOKE)
    first = bench.evaluate(net, **ask).records[0]
    assert bench.evaluate(net, **ask).records[0] == first
    assert net.training
    with torch.no_grad():
        net[3].bias[0] += 1
    assert bench.evaluate(net, **ask).records[0].key != first.key


def test_a_network_for_the_inner_square_is_given_it_and_shrinking_is_said(tmp_path):
    ask = dict(data="digits", scenarios="clean", results=tmp_path, **SMOKE)
    (record,) = bench.evaluate(network(inputs=16), crop=4, **ask).records
    assert record.params["crop"] == 4
    with pytest.warns(UserWarning, match="shrunk from 8 to 4; crop=4 would cut them"):
        (other,) = bench.evaluate(network(inputs=16), size=4, **ask).records
    assert other.key != record.key
    with pytest.raises(BenchError, match="crop is from 0 to 8"):
        bench.evaluate(network(), crop=9, **ask)


def test_changed_code_with_the_same_weights_is_measured_anew(tmp_path):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.factor = network(), 1.0

        def forward(self, x):
            return self.factor * self.net(x)

    net = Scaled()
    ask = dict(data="digits", scenarios="clean", results=tmp_path, **SMOKE)
    first = bench.evaluate(net, **ask).records[0]
    net.factor = 2.0
    assert bench.evaluate(net, **ask).records[0].key != first.key


def test_evaluate_gives_what_the_network_answers(tmp_path):
    test, net = Digits().test(), network()
    found = bench.evaluate(net, Digits(), "clean", results=tmp_path, normalise=(0.5, 0.25), **SMOKE)
    right = (net((test.floats() - 0.5) / 0.25).argmax(1) == test.y[:, 0]).double().mean()
    accuracy = found.frame.query("metric == 'accuracy' and score == 'single'").value.item()
    assert accuracy == pytest.approx(float(right), abs=1e-6)


@pytest.mark.parametrize("by_name", [False, True])
def test_arrays_are_data(tmp_path, by_name):
    x, y = torch.rand(60, 1, 8, 8), torch.arange(60) % 10
    data = (x, y)
    if by_name:
        data = dict(x_train=x, y_train=y, x_test=x[:20].numpy(), y_test=y[:20].numpy())
    found = bench.evaluate(network(), data, "clean", results=tmp_path, **SMOKE)
    assert {row.n for record in found.records for row in record.rows} == {20 if by_name else 12}


class Nan(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :10] * torch.nan


class Words(nn.Module):
    def forward(self, x):
        return "cat"


X, Y = torch.rand(30, 1, 8, 8), torch.arange(30) % 10
WRONG = {
    "no network": (lambda: bench.evaluate("net.pt"), "takes a torch.nn.Module, not str"),
    "a class": (lambda: bench.evaluate(nn.Linear), "takes a torch.nn.Module, not type"),
    "too few logits": (lambda: evaluate(network(9)), "9 logits an image.* 10 classes"),
    "NaN": (lambda: evaluate(nn.Sequential(network(), Nan())), "not finite"),
    "softmax": (lambda: evaluate(nn.Sequential(network(), nn.Softmax(-1))), "not logits"),
    "no tensor": (lambda: evaluate(nn.Sequential(network(), Words())), "returns str"),
    "another shape": (lambda: evaluate(network(inputs=784)), "fails on images of 1x8x8"),
    "no linear layer": (lambda: evaluate(conv()), "no linear layer"),
    "std of nothing": (lambda: evaluate(network(), normalise=(0, 0)), "divides by nothing"),
    "one number": (lambda: evaluate(network(), normalise=0.5), "normalise takes"),
    "three channels": (lambda: evaluate(network(), normalise=((1, 2, 3), 1)), "1 or 1 numbers"),
    "a class less": (lambda: evaluate(network(), classes=["a", "b"]), "classes= lacks"),
    "classes as text": (lambda: evaluate(network(), classes="ab"), "list of names"),
    "no data set": (lambda: evaluate(network(), "digitz"), "Did you mean 'digits'"),
    "data is a number": (lambda: evaluate(network(), 3), "data is a name, a Dataset"),
    "labels too few": (lambda: evaluate(network(), (X, Y[:9])), "30 images and 9 labels"),
    "labels as floats": (lambda: evaluate(network(), (X, Y / 2)), "not whole numbers"),
    "one class": (lambda: evaluate(network(), (X, Y * 0)), "one class alone"),
    "no arrays": (lambda: evaluate(network(), (X, object())), "not an array"),
    "an array less": (lambda: evaluate(network(), {"x_train": X}), "lacks y_train"),
    "another array": (lambda: evaluate(network(), {"x_tran": X}), "no array 'x_tran'"),
    "NaN in images": (lambda: evaluate(network(), (X * torch.nan, Y)), "not finite"),
    "no scenario": (lambda: evaluate(network(), scenarios="claen"), "Did you mean 'clean'"),
    "no preset": (lambda: evaluate(network(), preset="big"), "unknown preset"),
    "no device": (lambda: evaluate(network(), device="gpu"), "device takes"),
    "seeds of a run": (lambda: bench.run(seeds=[0, -1]), "seeds takes whole numbers"),
    "methods of a run": (lambda: bench.run(methods=3), "methods takes text"),
    "no results": (lambda: bench.Results("nowhere"), "no results under nowhere"),
}


def evaluate(net, data="digits", scenarios="clean", **options):
    return bench.evaluate(net, data, scenarios, **(SMOKE | options))


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_one_line(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, message = WRONG[what]
    with pytest.raises(BenchError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_network_that_fails_in_the_middle_is_an_error(tmp_path):
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            if len(x) > 2:
                raise RuntimeError("too many")
            return self.net(x)

    with pytest.raises(BenchError, match=r"network-Moody.*too many"):
        evaluate(Moody(), results=tmp_path)


def test_results_are_frames_boards_and_figures(measured):
    found = bench.Results(measured)
    wide = found.wide.set_index(["method", "scenario", "seed", "view", "score"])
    line = found.frame.query("metric == 'auroc'").iloc[0]
    place = tuple(line[["method", "scenario", "seed", "view", "score"]])
    assert wide.loc[place].auroc == line.value
    assert found.leaderboard().method.iloc[0] == "linear"
    gaps = found.compare("linear", "chance")
    assert gaps.difference.to_numpy() == pytest.approx((gaps["linear"] - gaps["chance"]).to_numpy())
    assert (gaps.low <= gaps.difference).all()
    assert found.plot("bars").axes
    assert "<table" in found._repr_html_()
    assert "linear" in repr(found)
    for wrong in (lambda: found.plot("pie"), lambda: found.compare("linear", "none"),
                  lambda: found.leaderboard("mnist"), lambda: found.leaderboard(score="none"),
                  lambda: bench.Results(measured, datasets="mnist")):  # fmt: skip
        with pytest.raises(BenchError):
            wrong()


def test_names_cannot_be_markup(tmp_path):
    found = evaluate(network(), results=tmp_path, called="<script>")
    assert "<script>" not in found._repr_html_()
    assert isinstance(found.leaderboard(), pd.DataFrame)


def test_python_and_the_command_line_share_what_is_measured(measured, tmp_path):
    said = run("run", "--methods", "chance,linear", "--scenarios", "clean,corruption", "--seeds",
               "0-1", "--limit", 20, "--preset", "smoke", "--results", measured, "-q")  # fmt: skip
    assert said.startswith("0 scenarios measured")


def test_a_run_writes_the_one_it_was(measured):
    files = (measured / "runs").glob("*.toml")
    path = next(path for path in files if 'device = "cpu"' in path.read_text())
    experiment = Experiment.of(read(path))
    assert (experiment.methods, experiment.seeds) == ("chance,linear", (0, 1))
    assert (experiment.results, experiment.limit) == (measured, 20)
    assert run("run", path, "-q").startswith("0 scenarios measured")


def test_options_override_the_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('methods = ["chance", "linear"]\nseeds = [3]\npreset = "smoke"\njobs = 2\n')
    assert "seed 3" in run("run", path, "--dry-run", "--scenarios", "clean")
    said = run("run", path, "--dry-run", "--scenarios", "clean", "--seeds", "4", "--methods=linear")
    assert "seed 4" in said
    assert "chance" not in said


BAD = {
    'methods = "linear"\nmetods = "x"': "line 2: unknown key 'metods'. Did you mean 'methods'",
    "\nmethods = 3": "line 2: methods takes text",
    'seeds = "a"': "line 1: seeds takes whole numbers",
    "seeds = [0, -1]": "line 1: seeds takes whole numbers",
    "seeds = 1.5": "line 1: seeds takes whole numbers",
    "seeds = [0\nmethods = 3": "no TOML file: .*line 2",
    'preset = "huge"': "line 1: unknown preset",
    "jobs = true": "line 1: jobs takes a whole number",
    "limit = 0": "line 1: limit takes a whole number",
    '[run]\nmethods = "x"': "line 1: unknown key 'run'",
    'device = "gpu"': "line 1: device takes auto",
    'cluster = "local:0"': "line 1: cluster takes local:N, or the address",
    'cluster = "node1"': "line 1: cluster takes local:N, or the address",
    'jobs = 2\ncluster = "local:2"': "--jobs and --cluster say both how many fits run at once",
    "force = 'yes'": "line 1: force takes true or false",
    "outliers = [1]": "line 1: outliers takes text",
    "data = 1": "line 1: data takes the path",
    'methods = "a"\nmethods = "b"\n': "no TOML file: .*line 2",
    "a = [" * 3000: "no TOML file",
    "\udcff": "no TOML file",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_bad_file_is_one_line(text, tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    said = run("run", path, code=2)
    assert re.search(BAD[text], said)
    assert said.count("\n") == 1


def test_an_absent_file_is_one_line(tmp_path):
    assert "cannot be read" in run("run", tmp_path / "none.toml", code=2)


def changed(path, pattern, other):
    """Change a record as somebody would who writes one: its checksum is that of what it says."""
    text = re.sub(pattern, other, path.read_text().rpartition(',"sha256"')[0] + "}")
    path.write_bytes(sealed(text.encode()))


def test_a_cell_is_measured_again(measured):
    said = run("verify", "--results", measured, "--cell", "digits/clean/linear-s1")
    assert "the same" in said
    path = measured / "rows/digits/clean/linear-s0.json"
    before = path.read_text()
    changed(path, r'"accuracy":[\d.]+', '"accuracy":0.1')
    said = run("verify", "--results", measured, "--cell", path, code=1)
    path.write_text(before)
    assert "contradiction" in said


def test_a_cell_is_fitted_again_on_as_many_threads_as_before(measured, monkeypatch):
    path, seen, before = measured / "rows/digits/clean/linear-s0.json", [], torch.get_num_threads()
    text = path.read_text()
    changed(path, r'"threads":\d+', f'"threads":{before + 1}')
    run_again = cells.run
    monkeypatch.setattr(
        cells, "run", lambda *given: seen.append(torch.get_num_threads()) or run_again(*given)
    )
    run("verify", "--results", measured, "--cell", path)
    path.write_text(text)
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("cell", ["digits/clean/linaer-s0", "../../x", "", "digits"])
def test_an_unknown_cell_is_one_line(measured, cell):
    said = run("verify", "--results", measured, "--cell", cell, code=2)
    assert "no cell" in said
    assert said.count("\n") == 1


def test_a_cell_of_own_data_is_found_by_the_file_of_its_run(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "store"))
    write_pictures(tmp_path / "pets")
    found = bench.run(methods="linear", datasets=f"folder:path={tmp_path / 'pets'},size=8", seeds=0,
                      scenarios="clean", results=tmp_path / "r", **SMOKE)  # fmt: skip
    assert "the same" in run("verify", "--results", tmp_path / "r", "--cell", found.records[0].cell)


def test_a_cell_of_a_network_in_memory_says_so(tmp_path):
    cell = evaluate(network(), results=tmp_path).records[0].cell
    assert "bench.evaluate" in run("verify", "--results", tmp_path, "--cell", cell, code=2)


def test_the_ten_lines_of_the_docs_run(tmp_path, monkeypatch, capsys):
    page = (bench.ROOT / "docs" / "your_own.md").read_text("utf-8")
    (lines,) = re.findall(r"<!-- runs in the tests -->\n```python\n(.*?)```", page, re.DOTALL)
    assert len([line for line in lines.splitlines() if line]) <= 10
    write_pictures(tmp_path / "pets", 12)
    write_pictures(tmp_path / "fog", 6, (".",))
    torch.save(resnet18(num_classes=3).state_dict(), tmp_path / "pets18.pt")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(lines, "your_own.md", "exec"), names)
    assert "network-ResNet" in capsys.readouterr().out
    views = [row.view for r in names["found"].records for row in r.rows if row.score == "msp"]
    assert sorted(views).count("outliers-fog") == 1


def test_the_notebook_runs_and_shows_what_it_says(capsys):
    book = nbformat.read(bench.ROOT / "docs" / "evaluate.ipynb", as_version=4)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile(cell.source, "evaluate.ipynb", "exec"), names)
    assert capsys.readouterr().out == cells[-1].outputs[0].text
