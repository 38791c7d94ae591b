"""Scores: found by discovery, worked by hand, and unmoved by what must not matter."""

import math
import sys
import types

import pytest
import torch

import bench.scores
from bench.errors import BenchError
from bench.metrics.detection import detection
from bench.scores import Score, all_scores, score
from bench.scores import base as scores_base

SCORES = all_scores()
SAMPLED = [s for s in SCORES.values() if s.needs == "samples"]
POSTHOC = [s for s in SCORES.values() if s.needs == "logits" and s.fit is None]
PLAIN = [
    *SAMPLED,
    *POSTHOC,
]  # those that learn nothing; test_features.py has the others


def named(scores):
    return pytest.mark.parametrize("score", scores, ids=lambda s: s.name)


def predictions(needs, n=50, s=7, t=3, k=5, scale=2.0):
    draw = torch.Generator().manual_seed(0)
    if needs == "logits":
        return scale * torch.randn(n, t, k, generator=draw)
    return (scale * torch.randn(n, s, t, k, generator=draw)).softmax(-1)


def value(name, predictions):
    """Return the score of one input and one target: samples [[p, ...], ...] or logits [...]."""
    given = torch.tensor(predictions, dtype=torch.float64)
    return SCORES[name](given[None, :, None] if given.ndim == 2 else given[None, None]).item()


def test_all_scores_are_found_in_alphabetical_order():
    assert {s.name for s in SAMPLED} >= {
        "vote_entropy",
        "predictive_entropy",
        "expected_entropy",
        "mutual_information",
        "variation_ratio",
        "one_minus_max_mean_prob",
    }
    assert {s.name for s in POSTHOC} >= {"msp", "max_logit", "energy", "gen"}
    assert list(SCORES) == sorted(SCORES)


def add_module(monkeypatch, tmp_path, text):
    (tmp_path / "added.py").write_text(text)
    monkeypatch.setattr(bench.scores, "__path__", [*bench.scores.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def forget_added():
    yield
    sys.modules.pop("bench.scores.added", None)
    vars(bench.scores).pop("added", None)


@pytest.mark.usefixtures("forget_added")
def test_a_new_score_is_one_new_file(monkeypatch, tmp_path):
    text = "from bench.scores import score\n"
    text += "@score(label='zero', source='test', needs='logits')\n"
    text += "def nothing(logits):\n    return logits[:, 0, 0] * 0\n"
    add_module(monkeypatch, tmp_path, text)
    assert set(all_scores()) - set(SCORES) == {"nothing"}


@pytest.mark.usefixtures("forget_added")
def test_two_scores_of_one_name_are_an_error(monkeypatch, tmp_path):
    text = "from bench.scores import Score\nmine = Score('msp', '', '', 'logits', abs)\n"
    add_module(monkeypatch, tmp_path, text)
    with pytest.raises(
        BenchError, match=r"two scores are named 'msp': .*posthoc.py and .*; rename one"
    ):
        all_scores()


def test_the_decorator_takes_the_name_of_the_function():
    @score(label="Mine", source="nobody", needs="logits")
    def mine(logits):
        return logits.sum((1, 2))

    assert isinstance(mine, Score)
    assert isinstance(mine.function, types.FunctionType)
    assert (mine.name, mine.label, mine.needs) == ("mine", "Mine", "logits")


@named(SCORES.values())
def test_scores_are_named_after_their_function_and_sourced(score):
    assert score.name == score.function.__name__
    assert score.label
    assert score.source
    assert score.function.__doc__


@named(PLAIN)
@pytest.mark.parametrize("t", [1, 40])
def test_scores_are_one_finite_float64_for_each_input(score, t):
    found = score(predictions(score.needs, t=t, k=2))
    assert found.shape == (50,)
    assert found.dtype == torch.float64
    assert found.isfinite().all()


@named(PLAIN)
def test_scores_are_the_mean_over_targets(score):
    given = predictions(score.needs)
    each = torch.stack([score(given[..., [t], :]) for t in range(3)])
    torch.testing.assert_close(score(given), each.mean(0))


@named(PLAIN)
def test_scores_are_higher_for_the_less_sure(score):
    # From agreeing samples to noise: the two ends of any direction.
    given = predictions(score.needs, n=200, t=1)
    sure = torch.zeros(5).index_fill(0, torch.tensor(2), 1.0)
    sure = 12 * sure + given if score.needs == "logits" else 0.95 * sure + 0.05 * given
    assert detection(score(sure), score(given))["auroc"] > 0.9


@named(PLAIN)
def test_scores_ignore_the_order_of_classes_and_of_inputs(score):
    given = predictions(score.needs)
    torch.testing.assert_close(score(given[..., [3, 1, 4, 0, 2]]), score(given))
    torch.testing.assert_close(score(given.flip(0)), score(given).flip(0))


@named(SAMPLED)
def test_scores_ignore_the_order_of_samples(score):
    given = predictions("samples")
    torch.testing.assert_close(score(given.flip(1)), score(given))


@named(PLAIN)
def test_scores_do_not_depend_on_how_many_inputs_are_scored_at_once(score, monkeypatch):
    given = predictions(score.needs)
    whole = score(given)
    monkeypatch.setattr(scores_base, "ROWS", 7)
    torch.testing.assert_close(score(given), whole, rtol=1e-14, atol=1e-15)


@named(PLAIN)
@pytest.mark.parametrize(("s", "t", "k"), [(1, 1, 10), (30, 1, 3), (10, 40, 2), (7, 5, 47)])
def test_chance_scores_every_input_alike(score, s, t, k):
    shape = (1500, t, k) if score.needs == "logits" else (1500, s, t, k)
    found = score(torch.full(shape, 1 / k))
    assert found.unique().numel() == 1
    assert detection(found[:1000], found[1000:])["auroc"] == 0.5


@named(PLAIN)
def test_predictions_of_another_shape_are_an_error(score):
    with pytest.raises(ValueError, match=f"{score.name}: {score.needs} of"):
        score(torch.zeros(3, 2))


def test_sampled_scores_by_hand():
    probs = [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]
    mean = [0.4, 0.275, 0.325]

    def entropy(p):
        return -sum(x * math.log(x) for x in p)

    votes, expected = entropy([0.5, 0.25, 0.25]), sum(map(entropy, probs)) / 4
    assert value("vote_entropy", probs) == pytest.approx(votes)
    assert value("variation_ratio", probs) == 0.5
    assert value("one_minus_max_mean_prob", probs) == pytest.approx(0.6)
    assert value("predictive_entropy", probs) == pytest.approx(entropy(mean))
    assert value("expected_entropy", probs) == pytest.approx(expected)
    assert value("mutual_information", probs) == pytest.approx(entropy(mean) - expected)


def test_agreeing_and_certain_samples_score_zero():
    certain = torch.tensor([1.0, 0.0, 0.0]).expand(4, 5, 1, 3)
    assert all(each(certain).tolist() == [0.0] * 4 for each in SAMPLED)
    agreeing = predictions("samples", s=1).expand(-1, 9, -1, -1)
    assert SCORES["mutual_information"](agreeing).max() < 1e-14
    assert SCORES["mutual_information"](agreeing).min() >= 0


def test_tied_votes_go_to_the_lowest_class_and_equal_vote_shares_tie():
    assert value("vote_entropy", [[0.4, 0.4, 0.2], [0.5, 0.3, 0.2]]) == 0.0
    votes = [[0] * 5 + [1] * 3 + [2] * 2, [0] * 2 + [1] * 5 + [2] * 3]
    votes = torch.eye(3)[torch.tensor(votes)]
    found = SCORES["vote_entropy"](votes[:, :, None])
    assert found[0] == found[1]


def test_probabilities_are_averaged_and_not_logits():
    mean = 1 - (0.999 + 0.4) / 2
    assert value("one_minus_max_mean_prob", [[0.999, 0.001], [0.4, 0.6]]) == pytest.approx(mean)


CONFIDENT = ["msp", "gen"]
ALSO_CONFIDENT = ["one_minus_max_mean_prob", "predictive_entropy", "expected_entropy"]


def confident_logits(n=40):
    """Return float32 logits of ever more confident inputs: (n, 1, 3)."""
    logits = torch.zeros(n, 1, 3)
    logits[:, 0, 1] = torch.linspace(18, 80, n)
    assert (logits.softmax(-1).amax(-1) == 1).all()  # what a float32 MSP would see
    return logits


@pytest.mark.parametrize("name", CONFIDENT)
def test_confident_logits_keep_their_order(name):
    assert (SCORES[name](confident_logits()).diff() < 0).all()


@pytest.mark.parametrize("name", ALSO_CONFIDENT)
def test_confident_float32_probabilities_keep_their_order(name):
    probs = confident_logits().softmax(-1)[:, None].expand(-1, 5, -1, -1)
    assert (SCORES[name](probs).diff() < 0).all()


def test_posthoc_scores_by_hand():
    logits = [2.0, 1.0, -1.0]
    total = sum(map(math.exp, logits))
    p = [math.exp(z) / total for z in logits]
    assert value("msp", logits) == pytest.approx(1 - p[0])
    assert value("max_logit", logits) == -2.0
    assert value("energy", logits) == pytest.approx(-math.log(total))
    assert value("gen", logits) == pytest.approx(sum((x * (1 - x)) ** 0.1 for x in p))


def test_gen_stops_at_a_hundred_classes():
    logits = torch.cat([torch.full((1, 1, 100), 3.0), torch.full((1, 1, 50), -2.0)], -1)
    p = logits.double().softmax(-1)[0, 0, 0].item()
    assert SCORES["gen"](logits).item() == pytest.approx(100 * (p * (1 - p)) ** 0.1)


@pytest.mark.parametrize("name", ["msp", "gen"])
def test_softmax_scores_ignore_a_shift_of_the_logits(name):
    logits = predictions("logits").double()
    torch.testing.assert_close(SCORES[name](logits + 300), SCORES[name](logits))
