"""Metrics against scikit-learn, closed forms and values worked by hand."""

import time
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import norm, ttest_1samp
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score, roc_curve

from bench.metrics import calibration, classification, compare, detection, selective
from bench.metrics.detection import Ranking


def single(metric, inliers, outliers):
    return metric(Ranking.of(inliers, outliers))


PRECISIONS = ["aupr_out", "aupr_in", "aupr_out_balanced", "aupr_in_balanced"]
NAMES = ["auroc", *PRECISIONS, "fpr95_id", "fpr95_ood"]


def referee(inliers, outliers):
    """Return what scikit-learn says about the same scores."""
    score = np.concatenate([inliers, outliers])
    outlier = np.repeat([0, 1], [len(inliers), len(outliers)])
    even = np.where(outlier, 1 / len(outliers), 1 / len(inliers))
    flagged_in, flagged_out, _ = roc_curve(outlier, score, drop_intermediate=False)
    accepted_out, accepted_in, _ = roc_curve(1 - outlier, -score, drop_intermediate=False)
    return {
        "auroc": roc_auc_score(outlier, score),
        "aupr_out": average_precision_score(outlier, score),
        "aupr_in": average_precision_score(1 - outlier, -score),
        "aupr_out_balanced": average_precision_score(outlier, score, sample_weight=even),
        "aupr_in_balanced": average_precision_score(1 - outlier, -score, sample_weight=even),
        "fpr95_id": accepted_out[np.argmax(accepted_in >= 0.95)],
        "fpr95_ood": flagged_in[np.argmax(flagged_out >= 0.95)],
    }


def scores(case):
    draw = np.random.default_rng(7)
    return {
        "random": (draw.normal(size=300), draw.normal(0.7, 1.5, size=300)),
        "ties": (draw.integers(0, 4, 200) / 3, draw.integers(1, 5, 170) / 3),
        "perfect": (draw.uniform(0, 1, 60), draw.uniform(2, 3, 40)),
        "reversed": (draw.uniform(2, 3, 60), draw.uniform(0, 1, 40)),
        "constant": (np.full(90, 0.1), np.full(70, 0.1)),
        "unbalanced": (draw.normal(size=3000), draw.normal(1, 1, size=17)),
        "single": (np.array([1.0]), np.array([2.0])),
        "huge": (1e30 * draw.normal(size=50), 1e30 * draw.normal(size=70)),
    }[case]


CASES = ["random", "ties", "perfect", "reversed", "constant", "unbalanced", "single", "huge"]


@pytest.mark.parametrize("case", CASES)
def test_detection_agrees_with_scikit_learn(case):
    ours, theirs = detection.detection(*scores(case)), referee(*scores(case))
    assert list(ours) == NAMES
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_single_metrics_are_those_of_the_one_sort(name):
    pair = scores("ties")
    assert getattr(detection, name)(Ranking.of(*pair)) == detection.detection(*pair)[name]


@pytest.mark.parametrize("sizes", [(1, 1), (7, 3), (10_000, 1999)])
def test_constant_scores_have_auroc_of_exactly_one_half(sizes):
    inliers, outliers = (torch.full((n,), 0.1) for n in sizes)
    found = detection.detection(inliers, outliers)
    assert found["auroc"] == 0.5
    assert found["aupr_out_balanced"] == found["aupr_in_balanced"] == 0.5
    assert found["fpr95_id"] == found["fpr95_ood"] == 1.0


def test_perfect_and_reversed_rankings_are_one_and_zero():
    assert detection.detection(*scores("perfect")) == dict.fromkeys(NAMES, 1.0) | {
        "fpr95_id": 0.0,
        "fpr95_ood": 0.0,
    }
    assert single(detection.auroc, *scores("reversed")) == 0.0


@pytest.mark.parametrize("rescale", [lambda s: 3 * s - 8, np.exp, lambda s: s**3, np.arctan])
@pytest.mark.parametrize("case", ["random", "ties"])
def test_detection_ignores_any_increasing_rescaling(case, rescale):
    inliers, outliers = scores(case)
    assert detection.detection(rescale(inliers), rescale(outliers)) == detection.detection(
        inliers, outliers
    )


def test_detection_takes_tensors_of_any_float_type_and_ignores_order():
    inliers, outliers = scores("ties")
    expected = detection.detection(inliers.astype(np.float32), outliers.astype(np.float32))
    tensors = torch.from_numpy(inliers).float(), torch.from_numpy(outliers).float()
    assert detection.detection(tensors[0].flip(0), tensors[1].requires_grad_()) == expected
    assert detection.detection(torch.zeros(3).bfloat16(), torch.ones(3).bfloat16())["auroc"] == 1


def test_balanced_precision_ignores_set_sizes_and_plain_precision_does_not():
    inliers, outliers = scores("random")
    more = np.tile(outliers, 20)
    one, other = detection.detection(inliers, outliers), detection.detection(inliers, more)
    assert one["aupr_out_balanced"] == pytest.approx(other["aupr_out_balanced"])
    assert one["aupr_out"] < other["aupr_out"] - 0.1


def test_detectors_of_equal_auroc_swap_their_two_false_positive_rates():
    # A tenth of the inliers looks like outliers, or a tenth of the outliers like inliers.
    a = np.repeat([0.0, 2.0], [90, 10]), np.full(100, 1.0)
    b = np.full(100, 1.0), np.repeat([2.0, 0.0], [90, 10])
    a, b = detection.detection(*a), detection.detection(*b)
    assert a["auroc"] == b["auroc"] == 0.9
    assert (a["fpr95_id"], a["fpr95_ood"]) == (1.0, 0.1)
    assert (b["fpr95_id"], b["fpr95_ood"]) == (0.1, 1.0)


def test_false_positive_rates_need_95_percent_and_never_less():
    inliers, outliers = np.arange(1.0, 22.0), np.array([19.5, 20.0, 20.5, 21.0])
    # 19 of 21 inliers are 90 %: the 20th is needed, and 20.0 ties with it.
    assert single(detection.fpr95_id, inliers, outliers) == 0.5
    assert single(detection.fpr95_id, inliers[:20], np.array([19.0, 19.5])) == 0.5  # 19 of 20 do
    # Of four outliers all must be flagged, down to 19.5: inliers 20 and 21 are.
    assert single(detection.fpr95_ood, inliers, outliers) == 2 / 21
    assert single(detection.fpr95_ood, np.array([19.5, 3.0]), outliers) == 0.5  # a tie is flagged


@pytest.mark.parametrize(
    ("inliers", "outliers", "message"),
    [
        ([0, np.nan, np.inf], [1], "2 of 3 inlier scores are NaN or infinite"),
        ([0], [1, -np.inf], "1 of 2 outlier scores are NaN or infinite"),
        ([], [1], "inlier scores are empty"),
        ([1], [], "outlier scores are empty"),
        ([[1], [2]], [1], r"inlier scores have shape \(2, 1\)"),
    ],
)
def test_scores_that_cannot_be_ranked_are_an_error(inliers, outliers, message):
    with pytest.raises(ValueError, match=message):
        detection.detection(np.array(inliers), np.array(outliers))


def predictions(n=400, targets=3, classes=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    probs = torch.randn(n, targets, classes, generator=draw).mul(2).softmax(-1)
    return probs, torch.randint(classes, (n, targets), generator=draw)


def test_accuracy_is_the_mean_over_targets():
    probs = torch.tensor([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]]])
    y = torch.tensor([[0, 1], [1, 0]])
    assert classification.accuracy(probs, y) == 0.75
    assert classification.errors(probs, y).tolist() == [[False, False], [True, False]]


def test_labels_of_outliers_are_refused():
    probs, y = predictions()
    with pytest.raises(ValueError, match="1200 of 1200 labels are not among the 4 classes"):
        calibration.nll(probs, torch.full_like(y, -1))
    with pytest.raises(ValueError, match="probabilities are NaN"):
        calibration.ece(probs * torch.nan, y)
    with pytest.raises(ValueError, match=r"are not \(N, T, K\) and \(N, T\)"):
        classification.accuracy(probs, y[:, 0])


def test_calibration_error_by_hand():
    # 0.9 and 0.92 share bin 13, one of two right; 0.6 is right and alone.
    probs = torch.tensor([[0.9, 0.1], [0.92, 0.08], [0.4, 0.6]], dtype=torch.float64)[:, None]
    y = torch.tensor([[0], [1], [1]])
    assert calibration.ece(probs, y) == pytest.approx((2 * (0.91 - 0.5) + (1 - 0.6)) / 3)


def test_the_last_bin_is_closed_and_the_others_are_half_open():
    assert calibration.equal_width(torch.tensor([0.0, 0.5, 0.999, 1.0]), 2).tolist() == [0, 1, 1, 1]
    certain = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]])
    assert calibration.ece(certain, torch.tensor([[0], [1]])) == 0.5


@pytest.mark.parametrize("metric", [calibration.ece, calibration.ece_equal_mass])
def test_calibration_error_matches_the_definition(metric):
    probs, y = predictions()
    expected = []
    for t in range(3):
        confidence, label = probs[:, t].double().max(-1)
        right = (label == y[:, t]).double()
        if metric is calibration.ece:
            bins = [confidence.mul(15).floor().clamp(max=14) == b for b in range(15)]
        else:
            order, part = confidence.argsort(), torch.arange(400) * 15 // 400
            bins = [order[part == b] for b in range(15)]
        gaps = [(confidence[b].sum() - right[b].sum()).abs() for b in bins]
        expected.append(sum(gaps).item() / 400)
    assert metric(probs, y) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("metric", [calibration.ece, calibration.ece_equal_mass])
def test_calibration_error_averages_targets_and_ignores_the_order_of_inputs(metric):
    probs, y = predictions()
    probs = probs.mul(4).round().div(4)  # heavy ties; what they sum to does not matter here
    shuffled = torch.randperm(len(y), generator=torch.Generator().manual_seed(1))
    each = [metric(probs[:, t : t + 1], y[:, t : t + 1]) for t in range(3)]
    assert metric(probs, y) == pytest.approx(np.mean(each))
    assert metric(probs[shuffled], y[shuffled]) == pytest.approx(metric(probs, y))


def test_nll_agrees_with_scikit_learn_and_stays_finite():
    probs, y = predictions(targets=1)
    probs = probs.double() / probs.double().sum(-1, keepdim=True)
    expected = log_loss(y[:, 0].numpy(), probs[:, 0].numpy())
    assert calibration.nll(probs, y) == pytest.approx(expected)
    wrong = torch.tensor([[[1.0, 0.0]]])
    assert calibration.nll(wrong, torch.tensor([[1]])) == pytest.approx(87.3365, abs=1e-4)


def test_brier_score_lies_between_zero_and_two():
    certain, y = torch.tensor([[[1.0, 0.0, 0.0]]]), torch.tensor([[0]])
    assert calibration.brier(certain, y) == 0.0
    assert calibration.brier(certain, y + 1) == 2.0
    probs = torch.tensor([[[0.5, 0.3, 0.2]]], dtype=torch.float64)
    assert calibration.brier(probs, y) == pytest.approx(0.25 + 0.09 + 0.04)


def test_noise_floor_of_one_confidence_is_the_mean_deviation_of_a_mean():
    probs = torch.tensor([0.8, 0.2]).expand(2500, 1, 2)
    expected = np.sqrt(2 / np.pi) * np.sqrt(0.8 * 0.2 / 2500)  # E|mean - p|, normal approximation
    floor = calibration.ece_noise_floor(probs, repeats=2000)
    assert floor == pytest.approx(expected, rel=0.05)


def test_noise_floor_is_zero_for_certain_predictions_and_repeats_by_seed():
    assert calibration.ece_noise_floor(torch.tensor([[[1.0, 0.0]]]).repeat(50, 2, 1)) == 0.0
    probs, _ = predictions()
    assert calibration.ece_noise_floor(probs, seed=3) == calibration.ece_noise_floor(probs, seed=3)
    assert calibration.ece_noise_floor(probs, seed=3) != calibration.ece_noise_floor(probs, seed=4)


def test_calibrated_predictions_reach_the_noise_floor():
    probs, _ = predictions(n=4000)
    draws = [
        torch.multinomial(probs.flatten(0, 1), 1, generator=torch.Generator().manual_seed(s))
        for s in range(20)
    ]
    found = np.mean([calibration.ece(probs, y.view(4000, 3)) for y in draws])
    assert found == pytest.approx(calibration.ece_noise_floor(probs), rel=0.1)


def test_misclassification_auroc_agrees_with_scikit_learn():
    draw = np.random.default_rng(0)
    unsure, wrong = draw.integers(0, 9, 500), draw.random(500) < 0.2
    expected = roc_auc_score(wrong, unsure)
    assert selective.misclassification_auroc(unsure, wrong) == pytest.approx(expected)
    found = selective.misclassification(torch.from_numpy(unsure), torch.from_numpy(wrong))
    assert found["misclassification_auroc"] == pytest.approx(expected)


def test_misclassification_auroc_is_undefined_without_both_outcomes():
    unsure = np.arange(4.0)
    assert selective.misclassification_auroc(unsure, np.zeros(4, bool)) is None
    assert selective.misclassification_auroc(unsure, np.ones(4, bool)) is None
    assert selective.aurc(unsure, np.zeros(4, bool)) == 0.0
    with pytest.raises(ValueError, match="errors of 0 or 1"):
        selective.misclassification_auroc(unsure, np.full(4, 0.5))
    with pytest.raises(ValueError, match="outside"):
        selective.aurc(unsure, np.full(4, 2.0))
    with pytest.raises(ValueError, match="4 uncertainties for 3 errors"):
        selective.augrc(unsure, np.zeros(3))


def test_selective_risks_by_hand():
    unsure, wrong = np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.array([0, 1, 0, 0, 1])
    area = (0 + 1 / 2 + 1 / 3 + 1 / 4 + 2 / 5) / 5
    best = (1 / 4 + 2 / 5) / 5
    assert selective.aurc(unsure, wrong) == pytest.approx(area)
    assert selective.e_aurc(unsure, wrong) == pytest.approx(area - best)
    assert selective.e_aurc(wrong, wrong) == pytest.approx(0)
    assert selective.risk_at_80(unsure, wrong) == 0.25
    assert selective.risk_at_80(unsure[:2], wrong[:2]) == 0.5  # 1.6 inputs are two


def test_coverage_at_a_risk_is_the_largest_with_no_more_errors():
    unsure, wrong = np.arange(10.0), np.array([0, 0, 1, 0, 0, 0, 0, 0, 1, 1])
    assert selective.coverage_at(unsure, wrong, 0.0) == 0.2
    assert selective.coverage_at(unsure, wrong, 1 / 8) == 0.8  # at 3 inputs the risk was 1/3
    assert selective.coverage_at(unsure, wrong, 0.3) == 1.0
    assert selective.coverage_at(-unsure, wrong, 0.3) == 1.0
    assert selective.coverage_at(-unsure, wrong, 0.2) == 0.0
    assert selective.coverage_at(np.zeros(10), wrong, 0.29) == 0.0  # ties: the mean error of all


@pytest.mark.parametrize("metric", ["aurc", "e_aurc", "augrc", "risk_at_80"])
def test_ties_have_their_expected_value(metric):
    function = getattr(selective, metric)
    unsure, wrong = np.array([0.0, 1, 1, 1, 2]), np.array([0, 1, 0, 0.5, 1])
    orders = [function(np.array([0.0, *order, 9]), wrong) for order in permutations((1, 2, 3))]
    assert function(unsure, wrong) == pytest.approx(np.mean(orders))
    assert function(unsure[::-1], wrong[::-1]) == pytest.approx(function(unsure, wrong))


def test_generalised_risk_obeys_its_relation_to_auroc_and_accuracy():
    draw = np.random.default_rng(1)
    unsure, wrong = draw.integers(0, 30, 333), draw.random(333) < 0.3
    acc = 1 - wrong.mean()
    expected = (1 - roc_auc_score(wrong, unsure)) * acc * (1 - acc) + (1 - acc) ** 2 / 2
    assert selective.augrc(unsure, wrong) == pytest.approx(expected)


def test_a_method_does_not_differ_from_itself_or_any_rescaling_of_itself():
    inliers, outliers = scores("ties")
    found = compare.paired_bootstrap(inliers, outliers, np.exp(inliers), np.exp(outliers))
    assert found[:4] == (0.0, 0.0, 0.0, 0.0)
    assert found.holds_zero()
    assert found.p == 1.0


def test_bootstrap_takes_the_exact_auroc_of_each_resample():
    inliers, outliers = scores("ties")
    draw = np.random.default_rng(0)
    rows, columns = draw.integers(200, size=200), draw.integers(170, size=170)
    counts = np.bincount(rows, minlength=200), np.bincount(columns, minlength=170)
    expected = single(detection.auroc, inliers[rows], outliers[columns])
    assert compare.Resampled(inliers, outliers).auroc(*counts) == expected


def test_pairing_narrows_the_interval_and_swapping_turns_it_round():
    draw = np.random.default_rng(5)
    inliers, outliers = draw.normal(size=400), draw.normal(1, 1, size=300)
    noisy = inliers + draw.normal(0, 0.3, 400), outliers + draw.normal(0, 0.3, 300)
    close = compare.paired_bootstrap(inliers, outliers, *noisy)
    apart = compare.paired_bootstrap(inliers, outliers, *map(draw.permutation, noisy))
    assert close.low < close.estimate < close.high
    assert close.high - close.low < (apart.high - apart.low) / 2
    swapped = compare.paired_bootstrap(*noisy, inliers, outliers)
    assert swapped[:4] == pytest.approx((-close.estimate, -close.high, -close.low, close.inputs))


def test_bootstrap_intervals_cover_the_true_difference():
    truth = norm.cdf(1 / np.sqrt(2)) - norm.cdf(0.5 / np.sqrt(2))
    draw, covered, trials = np.random.default_rng(11), 0, 200
    for trial in range(trials):
        a, b, c, d = (draw.normal(mean, 1, 100) for mean in (0, 1, 0, 0.5))
        found = compare.paired_bootstrap(a, b, c, d, repeats=200, seed=trial)
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / trials <= 0.99  # 95 % give or take three standard errors


def made_difference(estimate, common, n=100):
    """A difference of one seed; ``common`` is what the test inputs drawn do to it."""
    return compare.Differences(estimate, estimate + common, (n, n))


def test_an_interval_over_seeds_and_inputs_covers_both():
    draw, covered, trials = np.random.default_rng(4), 0, 400
    for _ in range(trials):  # a true difference of 0.1; inputs move all seeds alike
        moved = 0.1 + draw.normal(0, 0.03)
        inputs = draw.normal(0, 0.03, 300)
        found = compare.over_seeds_and_inputs(
            [made_difference(moved + draw.normal(0, 0.03), inputs) for _ in range(3)]
        )
        covered += found.low <= 0.1 <= found.high
    assert covered / trials >= 0.94


def test_seeds_that_agree_leave_the_inputs_and_inputs_that_do_not_matter_leave_the_seeds():
    inputs = np.random.default_rng(0).normal(0, 0.02, 2000)
    same = compare.over_seeds_and_inputs([made_difference(0.1, inputs)] * 3)
    assert same.inputs == pytest.approx(inputs.std(ddof=1))
    assert same.high - same.estimate == pytest.approx(1.96 * same.inputs, rel=1e-3)
    assert same.p == pytest.approx(2 * norm.sf(0.1 / same.inputs))
    estimates = [0.10, 0.14, 0.09]
    seeds = compare.over_seeds_and_inputs([made_difference(e, np.zeros(10)) for e in estimates])
    test = ttest_1samp(estimates, 0)
    assert seeds.p == pytest.approx(test.pvalue)
    assert (seeds.low, seeds.high) == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_one_seed_or_other_inputs_have_no_interval_over_seeds():
    one = made_difference(0.1, np.zeros(10))
    for found in ([one], [one, made_difference(0.1, np.zeros(10), n=99)]):
        with pytest.raises(ValueError, match="two or more, of as many inputs"):
            compare.over_seeds_and_inputs(found)


def test_unpaired_scores_are_refused():
    with pytest.raises(ValueError, match="not paired: 3 and 4 inliers, 2 and 2 outliers"):
        compare.paired_bootstrap(np.zeros(3), np.zeros(2), np.zeros(4), np.zeros(2))


def test_large_sets_are_quick():
    draw = np.random.default_rng(0)
    pairs = [draw.normal(size=10_000), draw.normal(1, 1, size=2000)] * 2
    start = time.process_time()
    compare.paired_bootstrap(*pairs, repeats=100)
    probs, _ = predictions(n=10_000, targets=40, classes=2)
    calibration.ece_noise_floor(probs, repeats=10)
    assert time.process_time() - start < 5
