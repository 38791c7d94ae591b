"""Compositions of corruptions: data, views, what methods learn from versions, and the numbers."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.stats import spearmanr
from torch.nn import functional

import bench.scenarios
from bench.cli import main
from bench.datasets.celeba import CelebA
from bench.datasets.corruptions import corrupt
from bench.datasets.digits import Digits
from bench.datasets.elemental import ELEMENTAL, Elemental, chain, versions
from bench.discover import choose, subclasses
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.methods.contrastive import Contrastive, nce
from bench.methods.modular import Modular
from bench.methods.training import Batch
from bench.report.frames import load, result_groups
from bench.report.plots import Material
from bench.report.plots.composed import composed
from bench.report.style import palette
from bench.scenarios.base import Scenario, all_scores, scored
from bench.scenarios.composed import ALL, Composed, invariance, told
from bench.store.cache import Cache

NET = {"blocks": 2, "width": 16, "epochs": 1, "min_updates": 40}
DATA = Elemental(Digits(), 40)
SMALL = {"cap": 32, "images": 40, "pairs": 2, "triples": 2}


@pytest.fixture(scope="module")
def fitter(tmp_path_factory):
    cache = Cache(tmp_path_factory.mktemp("composed"))
    return Fitter(DATA, 0, "smoke", torch.device("cpu"), cache, Console(quiet=True))


@pytest.fixture(scope="module")
def modular(fitter):
    return Evaluator("modular", Modular(**NET), 0, fitter)


@pytest.fixture(scope="module")
def rows(modular):
    scenario = Composed(**SMALL)
    return list(scenario.measure(modular, scenario.views(modular).found))


# The data


def test_training_shows_every_image_plain_and_under_each_corruption():
    train = DATA.splits(0).train
    version, image = versions(train)
    assert len(train) == 7 * 40
    assert version.tolist() == [v for v in range(7) for _ in range(40)]
    assert image.tolist() == list(range(40)) * 7
    assert all(torch.equal(train.y[:40], part) for part in train.y.split(40))
    plain = Digits().splits(0).train
    known = {bytes(x.numpy()) for x in plain.x}
    assert all(bytes(x.numpy()) in known for x in train.x[:40])
    for v in range(1, 7):
        assert not torch.equal(train.x[version == v], train.x[:40])


def test_no_training_image_is_a_validation_or_a_test_image():
    parts = DATA.splits(0)
    images = [{bytes(x.numpy()) for x in part.x[: len(part) // 7]} for part in parts[:2]]
    assert not images[0] & images[1]
    assert parts.test.fingerprint == Digits().test().fingerprint


def test_a_chain_is_one_corruption_after_the_other():
    x = Digits().raw("test").x[:5]
    first = corrupt("stripe", x, "k", "elemental", 0)
    assert torch.equal(
        chain(x, ("stripe", "scale"), "k"), corrupt("scale", first, "k", "elemental", 1)
    )
    assert not torch.equal(chain(x, ("stripe", "scale"), "k"), chain(x, ("scale", "stripe"), "k"))
    assert torch.equal(chain(x, (), "k"), x)


def test_seeds_and_numbers_of_images_have_other_fingerprints():
    marks = {Elemental(Digits(), n).splits(s).train.fingerprint for n in (20, 40) for s in (0, 1)}
    assert len(marks) == 4


# The methods


def test_the_contrastive_term_is_the_cross_entropy_of_finding_the_other_version():
    draw = torch.Generator().manual_seed(0)
    features, image = torch.randn(6, 4, generator=draw), torch.tensor([5, 7, 5])
    cosines = functional.cosine_similarity(features[:, None], features[None], dim=-1) / 0.5
    wanted = []
    for i in range(6):
        other = (i + 3) % 6
        rivals = [j for j in range(6) if image[j % 3] != image[i % 3]]
        wanted.append(cosines[i, [other, *rivals]].logsumexp(0) - cosines[i, other])
    torch.testing.assert_close(nce(features, image, 0.5), torch.stack(wanted).mean())


def test_contrastive_without_its_weight_sees_both_versions_alike():
    train = DATA.splits(0).train
    rows = torch.arange(12)
    batch = Batch(train.floats(rows), train.y[rows], train.attributes[rows], 0.0, len(train))
    method = Contrastive(**NET, weight=0.0)
    net = method.build(DATA.task).eval()
    with torch.random.fork_rng():
        torch.manual_seed(4)
        loss = method.loss(net, batch, train)
        torch.manual_seed(4)
        others = train.floats(torch.randint(7, (12,)) * 40 + rows)
    both = torch.cat([batch.x, others])
    wanted = functional.cross_entropy(net(both)[:, 0], train.y[rows, 0].repeat(2))
    torch.testing.assert_close(loss, wanted)


def test_modules_act_in_the_order_they_are_told(modular):
    method = modular.fitted().method
    net, x = method.net, DATA.test().floats(slice(4))
    with torch.no_grad():
        h = net.below(x)
        by_hand = net.undo[ELEMENTAL.index("scale")](net.undo[ELEMENTAL.index("stripe")](h))
        said = modular.told(order=("stripe", "scale")).fitted().method.single_classifier()(x)
        assert torch.equal(said, net.classifier.classify(net.above(by_hand)))
        plain = modular.fitted().method.single_classifier()(x)
        assert torch.equal(plain, net.classifier(x))
    assert not torch.equal(said, plain)


def test_the_network_chooses_modules_until_it_sees_no_corruption(modular):
    net = modular.fitted().method.net
    h = net.below(DATA.test().floats(slice(6)))
    seen = iter([[1, 0, 3, 0, 2, 0], [0, 4, 5, 0, 0, 0], [6] * 6])

    class Chooser(torch.nn.Module):
        def forward(self, h):
            return functional.one_hot(torch.tensor(next(seen)), 7).float()

    own, net.chooser = net.chooser, Chooser()
    try:
        with torch.no_grad():
            found = net.chosen(h, 3)
            wanted = h.clone()
            wanted[0] = net.undo[0](h[:1])[0]
            wanted[2] = net.undo[5](net.undo[4](net.undo[2](h[2:3])))[0]
            wanted[4] = net.undo[1](h[4:5])[0]
    finally:
        net.chooser = own
    torch.testing.assert_close(found, wanted)


def test_training_teaches_modules_to_undo_and_to_be_chosen():
    splits = Elemental(Digits(), 200).splits(0)
    method = Modular(blocks=2, width=64, epochs=10, min_updates=0, lr=3e-3)
    net = method.fit(splits.train, splits.val, seed=0).net
    version, image = versions(splits.val)
    with torch.no_grad():
        h = net.below(splits.val.floats())
        plain = h[image]
        rows = version > 0
        before = (h - plain)[rows].square().mean()
        after = (net.by_version(h, version) - plain)[rows].square().mean()
        right = (net.chooser(h).argmax(1) == version).float().mean()
    assert after < 0.8 * before
    assert right > 0.5


def test_only_parameters_of_prediction_can_be_told(modular):
    with pytest.raises(ValueError, match="width would change the fit"):
        modular.told(width=3)
    again = modular.told(order=("scale",))
    assert again.key().digest == modular.key().digest
    assert again.label == "modular:order=scale"


# The scenario


def test_views_are_each_corruption_and_drawn_pairs_and_triples_of_the_same_images(modular):
    views = Composed(**SMALL).views(modular).found
    assert [v.name for v in views[:6]] == list(ELEMENTAL)
    assert [v.severity for v in views] == [1.0] * 6 + [2.0] * 2 + [3.0] * 2
    assert all(len(set(v.name.split(" then "))) == v.severity for v in views)
    assert all(torch.equal(v.y, views[0].y) for v in views)
    again = Composed(**SMALL).views(modular).found
    assert [v.fingerprint for v in again] == [v.fingerprint for v in views]
    every = Composed(cap=32, images=40, pairs=99, triples=999)._orders(DATA)
    assert len(set(every)) == len(every) == 6 + 30 + 120


def test_a_view_holds_the_corrupted_images(modular):
    scenario = Composed(**SMALL)
    view = scenario.views(modular).found[-1]
    rows = scenario._rows(modular)
    x = chain(Digits().raw("test").x[rows], tuple(view.name.split(" then ")), DATA.name, "test")
    assert torch.equal(view.load(), Digits().transform(x))


def test_a_method_that_can_be_told_the_order_is_told(modular, fitter):
    view = Composed(**SMALL).views(modular).found[-1]
    order = tuple(view.name.split(" then "))
    own = modular.told(order=order).predict(view)
    assert torch.equal(told(modular, view).probs, own.probs)
    assert not torch.equal(modular.predict(view).probs, own.probs)
    auto = Evaluator("modular:auto", Modular(**NET, select="auto"), 0, fitter)
    assert torch.equal(told(auto, view).probs, auto.predict(view).probs)


def test_growth_is_the_rank_correlation_over_all_inputs(modular, rows):
    views = Composed(**SMALL).views(modular).found
    score = all_scores()["predictive_entropy"]
    unsure = [scored(score, modular.predict(modular.clean))]
    unsure += [scored(score, told(modular, v)) for v in views]
    numbers = [0] * len(unsure[0]) + [int(v.severity) for v in views for _ in range(v.n)]
    (row,) = [r for r in rows if (r.view, r.score) == (ALL, score.name)]
    wanted = spearmanr(numbers, torch.cat(unsure).numpy()).statistic
    assert row.metrics["growth"] == pytest.approx(wanted)
    assert row.n == 32 * 10
    (one,) = [r for r in rows if (r.view, r.score) == (views[3].name, score.name)]
    assert one.metrics["mean_uncertainty"] == pytest.approx(float(unsure[4].mean()))


def test_invariance_is_one_for_the_same_features_and_none_for_others():
    plain = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(10, 30)
    assert invariance(plain, rows, plain[rows]) == pytest.approx(1)
    mean = plain.mean(0)
    assert invariance(plain, rows, 2 * mean - plain[rows]) == pytest.approx(-1)
    assert abs(invariance(plain, rows, plain[rows].roll(1, 0))) < 0.3


def test_every_score_has_a_number_for_every_view(rows):
    scores = {r.score for r in rows if r.view == ALL}
    assert "predictive_entropy" in scores
    for score in scores:
        found = [r for r in rows if r.score == score]
        assert len(found) == 11
        assert all("auroc" in r.metrics for r in found)


def test_uncertainty_that_is_the_same_everywhere_has_no_growth(rows):
    (row,) = [r for r in rows if (r.view, r.score) == (ALL, "vote_entropy")]
    assert row.metrics["auroc"] == 0.5
    assert "growth" not in row.metrics


def test_it_is_run_by_its_name_alone():
    known = subclasses(bench.scenarios, Scenario)
    for words in ("all", "ood", "paper", "product"):
        assert "composed" not in {c.cls.name for c in choose("scenario", words, known)}


def test_data_with_parts_of_its_own_is_refused():
    assert Composed().skip(Digits()) is None
    assert "is its own" in Composed().skip(CelebA())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    words = ["run", "--scenarios", "composed", "--methods", "linear,modular:auto", "--seeds", "0"]
    words += ["--preset", "smoke", "--results", folder]
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return folder


def test_a_run_has_its_columns_and_its_figure(results):
    readme = (results / "README.md").read_text("utf-8")
    assert "accuracy, two corruptions" in readme
    assert (results / "figures" / "compositions_composed-digits.png").exists()
    (group,) = result_groups(load(results)[0])
    (drawing,) = composed(Material(group, palette(group.methods)))
    numbers, panels = drawing.draw.args[:2]
    assert numbers == [1.0, 2.0, 3.0]
    part = group.measurements["composed"]
    values = part.values(group.specs["accuracy"], "predictive_entropy")[0, 0]
    singles = [c.severity == 1 for c in part.cells]
    wanted = 100 * np.mean(values[singles])
    assert panels["accuracy"][group.methods[0]][0, 0] == pytest.approx(wanted)


def test_a_scenario_that_does_not_apply_says_to_what_it_does(tmp_path):
    words = ["run", "--datasets", "fsdd", "--scenarios", "composed", "--methods", "chance",
             "--results", tmp_path]  # fmt: skip
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 2
    assert "these are corruptions of images" in done.output
    assert "it applies to: " in done.output
    assert "mnist" in done.output.partition("it applies to: ")[2]
