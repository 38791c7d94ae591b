"""Attributions under shift: versions of inputs, their maps, and what disagreement tells."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import bench.scenarios
from bench.cli import main
from bench.datasets.celeba import CelebA
from bench.datasets.digits import Digits
from bench.datasets.speechcommands import SpeechCommands
from bench.discover import choose, subclasses
from bench.fitting import attributions
from bench.fitting.attributions import (
    LogOdds,
    causal_effect,
    importance,
    interventional_expectation,
)
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.methods.decnn import DecNN
from bench.methods.standard import Standard
from bench.metrics.attribution import kendall
from bench.metrics.detection import detection
from bench.metrics.selective import misclassification
from bench.report.frames import load
from bench.scenarios import attribution
from bench.scenarios.attribution import ALL, CLEAN, Attribution
from bench.scenarios.base import Scenario, scored
from bench.scenarios.corruption import Corruption
from bench.scores import all_scores
from bench.store.cache import Cache

NET = {"blocks": 2, "width": 16, "epochs": 1, "min_updates": 250, "lr": 5e-3}
SMALL = {"cap": 16, "maps": ("ace",), "corruptions": ("fog", "rotate"), "values": 2,
         "directions": 2}  # fmt: skip


def evaluator(folder, method):
    cache = Cache(folder)
    fitter = Fitter(Digits(), 0, "smoke", torch.device("cpu"), cache, Console(quiet=True))
    return Evaluator(method.name, method, 0, fitter)


@pytest.fixture(scope="module")
def decnn(tmp_path_factory):
    return evaluator(tmp_path_factory.mktemp("decnn"), DecNN(**NET, decoder_width=16))


@pytest.fixture(scope="module")
def views(decnn):
    return {view.name: view for view in Attribution(**SMALL).views(decnn).found}


@pytest.fixture(scope="module")
def rows(decnn, views):
    measured = Attribution(**SMALL).measure(decnn, [*views.values()])
    return {(row.view, row.score): row for row in measured}


# Views


def test_views_are_versions_of_the_same_inputs(decnn, views):
    assert [*views] == ["clean", "fog", "rotate", "fgsm", "noise", "decoded"]
    groups = [view.group for view in views.values()]
    assert groups == ["clean", "corruption", "corruption", "attack", "noise", "decoded"]
    drawn = Attribution(**SMALL)._rows(decnn)
    for view in views.values():
        assert torch.equal(view.y, decnn.test.y[drawn])
        assert len(view.load()) == view.n == 16
    whole = {v.name: v for v in Corruption(cap=len(decnn.test)).views(decnn).found}
    assert torch.equal(views["fog"].load(), whole["fog"].load()[drawn])
    assert torch.equal(views["clean"].load(), decnn.test.x[drawn])


def test_the_noise_is_small_and_stays_among_pixels(decnn, views):
    x = decnn.test.floats(Attribution(**SMALL)._rows(decnn))
    change = views["noise"].load() - x
    assert 0 < float(change.abs().max()) < 0.3
    assert 0 <= float(views["noise"].load().min()) <= float(views["noise"].load().max()) <= 1
    assert torch.equal(views["noise"].load(), views["noise"].load())


def test_the_decoding_is_that_of_the_last_activation(decnn, views):
    net = decnn.fitted().method.net
    with torch.no_grad():
        wanted = net.decoder(net.classifier.activations(views["clean"].load().float() / 255)[-1])
    torch.testing.assert_close(views["decoded"].load(), wanted)


def test_a_method_without_a_decoder_has_no_decoding(tmp_path):
    standard = evaluator(tmp_path, Standard(**NET))
    names = [view.name for view in Attribution(**SMALL).views(standard).found]
    assert names == ["clean", "fog", "rotate", "fgsm", "noise"]


def test_other_noise_is_another_view_and_the_same_noise_the_same(decnn, views):
    again = {
        v.name: v.fingerprint for v in Attribution(**SMALL | {"noise": 0.1}).views(decnn).found
    }
    assert again["noise"] != views["noise"].fingerprint
    assert again["fog"] == views["fog"].fingerprint


# Numbers


def expected(decnn):
    """What `ace` is made of, by the functions it is tested in."""
    f = LogOdds(decnn.fitted().method, decnn.prediction_seed)
    x = decnn.fitter.splits.train.floats()
    with torch.random.fork_rng():
        return interventional_expectation(f, x, values=2, directions=2)


def test_tau_compares_maps_of_the_class_predicted_on_the_plain_input(decnn, views, rows):
    classes = decnn.predict(views["clean"]).by_samples[:, 0].argmax(-1)
    table = expected(decnn)
    first, second = (
        importance(causal_effect(table, views[name].load().float() / 255, classes)).numpy()
        for name in ("clean", "rotate")
    )
    row = rows["rotate", "ace"]
    assert row.metrics["tau"] == pytest.approx(kendall(first, second).mean(), abs=1e-3)
    assert 0 <= row.metrics["overlap"] <= 1
    assert rows["noise", "ace"].metrics["tau"] > row.metrics["tau"]


def test_the_check_of_causal_effects_is_a_correlation(rows):
    assert -1 <= rows["clean", "ace"].metrics["ace_rank_correlation"] <= 1


def test_an_alarm_is_one_less_the_agreement_with_the_decoding_for_its_own_class(decnn, views, rows):
    table, unsure, wrong = expected(decnn), [], []
    for name in ("clean", "fog", "rotate", "fgsm"):
        x = torch.as_tensor(views[name].load())
        x = x.float() / 255 if x.dtype == torch.uint8 else x
        classes = decnn.predict(views[name]).by_samples[:, 0].argmax(-1)
        pair = (x, attribution.decoding(decnn, x))
        first, second = (importance(causal_effect(table, one, classes)).numpy() for one in pair)
        unsure.append(1 - kendall(first, second))
        wrong.append((classes != views[name].y[:, 0]).double().numpy())
    row = rows["fog", "ace_tau_decoded"]
    wanted = detection(unsure[0], unsure[1])["auroc"]
    assert row.metrics["auroc"] == pytest.approx(wanted, abs=0.02)
    together = rows[ALL, "ace_tau_decoded"]
    assert together.n == 4 * 16
    wanted = misclassification(np.concatenate(unsure), np.concatenate(wrong))
    name = "misclassification_auroc"
    assert together.metrics[name] == pytest.approx(wanted[name], abs=0.02)
    assert "auroc" not in rows["clean", "ace_tau_decoded"].metrics


def test_entropy_stands_beside_them_on_the_same_inputs(decnn, views, rows):
    score = all_scores()["predictive_entropy"]
    pair = (scored(score, decnn.predict(views[name])) for name in ("clean", "rotate"))
    assert rows["rotate", "entropy"].metrics["auroc"] == detection(*pair)["auroc"]


def test_so_does_the_error_of_the_decoding(decnn, views, rows):
    x = {name: views[name].load().float() / 255 for name in ("clean", "rotate")}
    errors = [
        (one - attribution.decoding(decnn, one)).square().flatten(1).sum(1) for one in x.values()
    ]
    wanted = detection(*(one.double() for one in errors))["auroc"]
    assert rows["rotate", "squared_error"].metrics["auroc"] == pytest.approx(wanted, abs=0.01)


def test_inputs_can_stand_for_their_maps(decnn, views):
    scenario = Attribution(**SMALL | {"maps": ("pixels",)})
    found = {(r.view, r.score): r for r in scenario.measure(decnn, [*views.values()])}
    first, second = (views[n].load().flatten(1).double().numpy() for n in ("clean", "rotate"))
    assert found["rotate", "pixels"].metrics["tau"] == pytest.approx(kendall(first, second).mean())


def test_the_single_classifier_can_be_attributed(decnn, views, rows):
    scenario = Attribution(**SMALL, target="single")
    single = {(r.view, r.score): r for r in scenario.measure(decnn, [*views.values()])}
    assert single["rotate", "ace"].metrics["tau"] != rows["rotate", "ace"].metrics["tau"]


def test_what_is_asked_for_twice_is_attributed_once(decnn, views, monkeypatch):
    sizes = []

    def counted(expected, x, classes):
        sizes.append(len(x))
        return causal_effect(expected, x, classes)

    monkeypatch.setattr(attribution, "causal_effect", counted)
    list(Attribution(**SMALL).measure(decnn, [*views.values()]))
    assert 16 * (6 + 2 * 3) <= sizes[0] <= 16 * (6 + 2 * 3 + 3)  # not the 18 that are asked for


# What can be asked


def test_it_is_run_by_its_name_or_as_a_neighbour_alone():
    known = subclasses(bench.scenarios, Scenario)
    for words in ("all", "ood", "paper", "product"):
        assert "attribution" not in {c.cls.name for c in choose("scenario", words, known)}
    assert "attribution" in {c.cls.name for c in choose("scenario", "neighbours", known)}


def test_it_says_to_which_data_it_applies():
    scenario = Attribution(maps=("ace",))
    assert scenario.skip(Digits()) is None
    assert "has 40 targets" in scenario.skip(CelebA())
    assert "corruptions of images" in scenario.skip(SpeechCommands())


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_without_captum_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(attributions, "installed", lambda: False)
    words = ["run", "--methods", "linear", "--results", tmp_path, "--scenarios"]
    output = run(*words, "attribution", code=2)
    assert "pip install 'bench[attributions]', or ask for attribution:maps=ace" in output
    assert Attribution(maps=("ace",)).skip(Digits()) is None


def test_an_unknown_corruption_is_named(tmp_path):
    words = ["run", "--scenarios", "attribution:corruptions=frog", "--results", tmp_path]
    assert "'frog'. Did you mean 'fog'?" in run(*words, code=2)


def test_columns_that_no_method_has_are_not_drawn(tmp_path):
    words = ["run", "--scenarios", "attribution:maps=ace", "--methods", "linear", "--seeds", "0"]
    run(*words, "--preset", "smoke", "--results", tmp_path)
    assert list((tmp_path / "figures").glob("attribution*.png"))


def test_every_kind_of_method_is_measured_or_skipped_with_a_reason(tmp_path):
    pytest.importorskip("captum")
    words = ["run", "--scenarios", "attribution", "--preset", "smoke", "--seeds", "0", "--methods"]
    names = ("standard", "decnn", "redecnn", "ensemble", "mc_dropout", "chance")
    output = run(*words, ",".join(names), "--results", tmp_path)
    assert "skipped (chance has no gradient to attribute its answers by)" in output
    records = {record.method: record for record in load(tmp_path)[0]}
    for name in names[:-1]:
        assert records[name].status == "ok", records[name].reason
        by = {(row.view, row.score): row.metrics for row in records[name].rows}
        assert by["clean", "ig"]["completeness_gap"] >= 0
        assert ("decoded", "ig") in by if name.endswith("decnn") else ("decoded", "ig") not in by
        assert (ALL, "ig_overlap_noise") in by
    assert records["chance"].status == "skipped"
    readme = (tmp_path / "README.md").read_text("utf-8")
    assert "chance has no gradient to attribute its answers by" in readme
    assert (tmp_path / "figures" / "attribution-digits.png").exists()
    table = (tmp_path / "tables" / "attribution-digits.tex").read_text("utf-8")
    assert "IG tau, decoding" in table
    assert "errors told by entropy" in table
    assert CLEAN in (tmp_path / "tables" / "attribution-digits.csv").read_text("utf-8")
