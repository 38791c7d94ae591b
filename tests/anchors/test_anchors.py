"""Published set-ups: how networks are trained, and what is said of their numbers."""

import math
import os
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from bench import anchors
from bench.anchors.base import Anchor, Published
from bench.anchors.hendrycks_gimpel import Perceptron
from bench.anchors.oe_convnet import ConvNet, QuickGelu
from bench.anchors.trained import linear_layers
from bench.cli import main
from bench.commands.validate import Line, table
from bench.datasets.base import Split, generator
from bench.datasets.idx import Mnist
from bench.discover import subclasses
from bench.store.records import read_all
from bench.store.schema import Record, Row

NETWORKS = {"hendrycks_gimpel": Perceptron, "oe_convnet": ConvNet}


def images(n: int, name: str) -> Split:
    draw = generator("anchors", name)
    y = torch.randint(10, (n, 1), generator=draw)
    x = torch.randint(256, (n, 1, 32, 32), generator=draw, dtype=torch.uint8)
    x[torch.arange(n), 0, 2 + 2 * y[:, 0]] = 255  # a white line says the class
    return Split(x, y, Mnist.task, name)


@pytest.fixture(scope="module", params=NETWORKS)
def cls(request):
    return type("Short", (NETWORKS[request.param],), {"epochs": 2})


def fitted(cls, seed=0):
    return cls().fit(images(300, "train"), images(100, "val"), seed=seed)


def test_the_same_seed_gives_the_same_network(cls):
    method, x = fitted(cls), images(20, "test").floats()
    assert torch.equal(method.predict_proba(x), fitted(cls).predict_proba(x))
    assert not torch.equal(method.predict_proba(x), fitted(cls, 1).predict_proba(x))
    steps = 400 // cls.batch  # the validation part is trained on too
    assert (method.log.updates, method.log.examples_seen) == (2 * steps, 2 * steps * cls.batch)


def test_a_network_comes_back_from_its_state(cls):
    method, x = fitted(cls), images(20, "test").floats()
    again = cls().load_state(method.state(), Mnist.task)
    assert torch.equal(again.predict_proba(x), method.predict_proba(x))
    outputs = method.logits_and_features(x)
    weight, bias = method.linear_head()
    torch.testing.assert_close(outputs.features @ weight.T + bias, outputs.logits[:, 0])
    torch.testing.assert_close(outputs.logits.softmax(-1).unsqueeze(1), method.predict_proba(x))


def test_the_margin_of_the_harness_is_not_seen(cls):
    method, x = fitted(cls), images(20, "test").floats()
    framed = torch.ones_like(x)
    framed[..., 2:-2, 2:-2] = x[..., 2:-2, 2:-2]
    assert torch.equal(method.predict_proba(framed), method.predict_proba(x))


def test_it_learns(cls):
    longer = type("Longer", (cls,), {"epochs": 80})
    method, test = fitted(longer), images(200, "test")
    right = method.predict_proba(test.floats())[:, 0, 0].argmax(-1) == test.y[:, 0]
    assert right.float().mean() > 0.9


def test_the_perceptron_is_the_published_one():
    net = Perceptron().build()
    layers = [*linear_layers(net)]
    assert [tuple(one.weight.shape) for one in layers] == [(256, 784), (256, 256), (256, 256),
                                                           (10, 256)]  # fmt: skip
    for layer, scale in zip(layers, (1.425, 0.85, 0.85, 1.425), strict=True):
        torch.testing.assert_close(
            layer.weight.norm(dim=1) ** 2 * scale, torch.ones(len(layer.bias))
        )
        assert not layer.bias.any()
    decayed, others = Perceptron().optimizer(net).param_groups
    assert {id(p) for p in decayed["params"]} == {id(one.weight) for one in layers[:3]}
    assert (decayed["weight_decay"], others["weight_decay"]) == (1e-5, 0)
    assert [Perceptron().rate(epoch / 30) for epoch in (0, 19, 20, 29)] == [1e-3, 1e-3, 1e-4, 1e-4]


def test_the_convolutional_network_is_the_published_one():
    net = ConvNet().build()
    assert sum(p.numel() for p in net.parameters()) == 260 + 5020 + 16050 + 510
    x = torch.linspace(-4, 4, 101)
    assert (QuickGelu()(x) - torch.nn.functional.gelu(x)).abs().max() < 0.021
    rates = [ConvNet().rate(share) for share in (0, 0.5, 1)]
    assert rates == pytest.approx([0.01, (0.01 + 1e-6) / 2, 1e-6])


@pytest.mark.parametrize("name", subclasses(anchors, Anchor))
def test_every_anchor_says_what_was_published(name):
    anchor = subclasses(anchors, Anchor)[name]()
    assert anchor.published
    assert anchor.set_up
    assert anchor.source != "-"
    assert (anchor.method() is None) == bool(anchor.unmeasured)
    scenarios = {scenario.name for scenario in anchor.scenarios()}
    for one in anchor.published:
        assert 0 < one.value < 100
        assert anchor.unmeasured or one.scenario in scenarios


# What is said of a number


def record(seed: int, view: str, **metrics: float) -> Record:
    rows = (Row(view, 10, metrics, "msp"), Row(view, 10, {"auroc": 0.1}, "energy"))
    return Record(method="m", dataset="mnist", scenario="cross_dataset", seed=seed, status="ok",
                  rows=rows)  # fmt: skip


def test_numbers_are_found_by_scenario_view_score_and_metric():
    records = [record(0, "cifar10-4000", auroc=0.9), record(1, "cifar10", auroc=0.8),
               record(2, "fashion", auroc=0.7)]  # fmt: skip
    assert Published("x", 1, view="cifar10").found(records) == pytest.approx([90, 80])
    assert Published("x", 1, "fpr95_ood", view="cifar10").found(records) == []
    wrong = [record(0, "clean", accuracy=0.98)]
    assert Published("x", 1, "accuracy", view="clean").found(wrong) == pytest.approx([2])


def test_a_difference_is_explained_by_seeds_or_by_the_set_up_or_not():
    same = Published("error", 1.48)
    line = Line(same, (1.4, 1.5, 1.6))
    assert line.difference == pytest.approx(0.02)
    assert line.reach == pytest.approx(4.3027 * 0.1 * math.sqrt(4 / 3) + 0.005, abs=1e-4)
    assert line.verdict == "by seeds (± 0.50)"
    far = Line(replace(same, value=9), (1.4, 1.5, 1.6))
    assert not far.holds
    assert far.verdict == "beyond seeds (± 0.50); nothing known differs"
    known = Line(replace(same, value=9, differs="other letters"), (1.4, 1.5, 1.6))
    assert known.holds
    assert known.verdict == "beyond seeds (± 0.50); other letters"
    assert Line(same, (9,)).verdict == "no spread from one seed"
    absent = Line(same, (), absent="no letters")
    assert (absent.verdict, absent.holds) == ("absent: no letters", True)
    failed = Line(same, (), failed="out of memory")
    assert (failed.verdict, failed.holds) == ("not measured: out of memory", False)
    lines = [*table([line, absent])]
    assert lines[2] == "| error    |      1.48 | 1.50 ± 0.10 |      +0.02 | by seeds (± 0.50)  |"
    assert {len(one) for one in lines} == {len(lines[0])}


# The whole way


ANCHOR = """
from bench.anchors.base import Anchor, Published
from bench.methods.standard import Standard
from bench.scenarios.clean import Clean
from bench.scenarios.cross_dataset import CrossDataset


class Mine(Anchor):
    name = "mine"
    source = "a paper"
    set_up = "a classifier"
    data = "digits"
    published = (
        Published("error", 0.0, "accuracy", "clean", score="single"),
        Published("letters", 90, view="letters", differs="other fonts"),
        Published("sea", 90, view="sea"),
    )

    def method(self):
        return Standard(epochs=2, min_updates=1)

    def scenarios(self):
        return Clean(), CrossDataset(sources=("letters",))
"""


def validate(folder, *words, code):
    (folder / "mine.py").write_text(ANCHOR)
    asked = ["validate", "mine", "--plugins", str(folder / "mine.py"), "-q"]
    done = CliRunner().invoke(main, [*asked, "--results", str(folder / "r"), *words])
    assert done.exit_code == code, done.output
    return done.output


def test_an_anchor_is_one_file_measured_once(tmp_path):
    output = validate(tmp_path, "--seeds", "0-2", code=1)
    assert "mine: a classifier\na paper\n" in output
    assert "nothing known differs" in output
    assert "| sea" in output
    assert "not measured: no such row" in output
    assert "nan" not in output
    records, problems = read_all(tmp_path / "r" / "rows")
    assert not problems
    assert {(r.method, r.seed) for r in records} == {("mine", seed) for seed in range(3)}
    times = {r.cell: r.time for r in records}
    assert validate(tmp_path, "--seeds", "0-2", code=1) == output
    assert {r.cell: r.time for r in read_all(tmp_path / "r" / "rows")[0]} == times


def test_progress_is_no_part_of_the_tables(tmp_path):
    validate(tmp_path, "--seeds", "0", code=1)
    asked = ["validate", "mine", "--plugins", str(tmp_path / "mine.py"), "--seeds", "0-1"]
    done = CliRunner().invoke(main, [*asked, "--results", str(tmp_path / "r")])
    assert "seed 1" in done.stderr
    assert "seed 1" not in done.stdout
    assert done.stdout.startswith("\nmine: a classifier\n")


def test_mistakes_are_one_line(tmp_path):
    run = CliRunner().invoke
    done = run(main, ["validate", "hendrycks", "--results", str(tmp_path / "r")])
    assert done.exit_code == 2
    assert "unknown anchor 'hendrycks'. Did you mean 'hendrycks_gimpel'?" in done.output
    done = run(main, ["validate", "oe_convnet", "--results", str(tmp_path / "r")])
    assert done.exit_code == 2
    assert done.output.splitlines()[-1].startswith("bench: mnist: ")
    done = run(main, ["validate", "fashion_mnist", "--results", str(tmp_path / "r")])
    assert done.exit_code == 0
    assert "Not measured here: one network takes" in done.output


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", NETWORKS)
def test_published_numbers_are_met(name, tmp_path, monkeypatch):
    """On real data, where BENCH_ANCHOR_DATA names the folder that has it; takes minutes a seed."""
    place = os.environ.get("BENCH_ANCHOR_DATA")
    if not place:
        pytest.skip("BENCH_ANCHOR_DATA names no folder with MNIST")
    monkeypatch.setenv("BENCH_DATA_EXTRA", place)
    done = CliRunner().invoke(main, ["validate", name, "-q", "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
