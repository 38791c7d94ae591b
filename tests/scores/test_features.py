"""Scores that learn from features: worked by hand, and sound where features are not."""

import math

import pytest
import torch

from bench.metrics.detection import detection
from bench.scores import Evidence, Unavailable, all_scores
from bench.scores import base as scores_base
from bench.scores.base import Head
from bench.scores.features import kth_similarity, largest, whitening
from bench.scores.laplace import prior_precision
from bench.scores.temperature import temperature

SCORES = all_scores()
LEARNING = {name: s for name, s in SCORES.items() if s.needs == "features" or s.fit}
BY_HEAD = {"react", "dice", "ash", "scale", "vim", "residual", "fdbd", "laplace"}
DECODED = ("decoding_error", "decoding_logits", "recursion_logits")
named = pytest.mark.parametrize("name", LEARNING)


def evidence(n=300, targets=1, classes=3, size=12, seed=0, scale=1.0, away=0.0) -> Evidence:
    """Features around class means, never negative, read by a head; ``away`` shifts half of them."""
    draw = torch.Generator().manual_seed(7)
    centres = 3 * torch.rand(targets, classes, size, generator=draw).double()
    weight = centres - centres.mean(1, keepdim=True)
    bias = 4 - centres.square().sum(-1) / 2 + (centres.mean(1) ** 2).sum(-1, keepdim=True) / 2
    head = Head(scale * weight, scale * bias)  # the nearest mean is the likeliest
    draw.manual_seed(seed)
    labels = torch.randint(classes, (n, targets), generator=draw)
    features = centres[torch.arange(targets), labels].mean(1)
    features = features + 0.3 * torch.randn(n, size, generator=draw).double()
    features[:, ::2] += away
    features = features.clamp_min(0).float().double()
    return Evidence(features, head(features), labels, head)


def scored(name, test, training=None):
    """Return a score of ``test``, fitted on ``training``."""
    score = SCORES[name]
    fitted = score.fit(training or evidence()) if score.fit else None
    return score(test.logits if score.needs == "logits" else test, fitted)


# What holds of all of them


@named
@pytest.mark.parametrize("targets", [1, 3])
def test_they_are_one_finite_float64_for_each_input(name, targets):
    found = scored(name, evidence(50, targets, seed=1), evidence(targets=targets))
    assert found.shape == (50,)
    assert found.dtype == torch.float64
    assert found.isfinite().all()


@named
def test_they_depend_neither_on_the_order_of_inputs_nor_on_how_many_are_scored_at_once(
    name, monkeypatch
):
    test = evidence(40, seed=1)
    flipped = Evidence(test.features.flip(0), test.logits.flip(0))
    whole = scored(name, test)
    torch.testing.assert_close(scored(name, flipped), whole.flip(0), rtol=1e-9, atol=1e-9)
    monkeypatch.setattr(scores_base, "ROWS", 7)
    torch.testing.assert_close(scored(name, test), whole, rtol=1e-9, atol=1e-9)


@named
def test_they_are_the_same_for_kept_features_in_float32(name):
    test = evidence(40, seed=1)
    kept = Evidence(test.features.float(), test.logits.float())
    torch.testing.assert_close(scored(name, kept), scored(name, test), rtol=1e-4, atol=1e-4)


FAR = ["mahalanobis", "class_density", "knn", "residual"]


@pytest.mark.parametrize("name", FAR)
def test_distances_are_larger_for_features_that_lie_elsewhere(name):
    near, far = evidence(200, seed=1), evidence(200, seed=2, away=3.0)
    assert detection(scored(name, near), scored(name, far))["auroc"] > 0.9


# By their formulas others need not be: energies of changed features, products and densities; ranges
# of units hold what lies between classes; and fDBD divides by the distance from the mean.
UNSURE = sorted(
    set(LEARNING)
    - {"residual", "ash", "scale", "react", "dice", "class_density", "she", "fdbd", "units_outside"}
)


@pytest.mark.parametrize("name", UNSURE)
def test_they_are_higher_between_the_classes_than_at_their_means(name):
    training = evidence()
    means = torch.stack([training.features[training.labels[:, 0] == k].mean(0) for k in range(3)])
    between = means.mean(0, keepdim=True)
    head = training.head
    sure, unsure = (Evidence(x, head(x)) for x in (means, between))
    assert scored(name, unsure, training) > scored(name, sure, training).max()


# Bad input


@named
def test_units_that_are_dead_in_training_and_fewer_inputs_than_features_are_no_obstacle(name):
    few = evidence(9, size=12)
    features = few.features.clone()
    features[:, [2, 5]] = 0.0  # dead
    training = Evidence(features, few.head(features), few.labels, few.head)
    test = evidence(30, seed=1)  # in which those units are alive
    if name == "nnguide":
        with pytest.raises(Unavailable, match="it takes 10 neighbours, and there are 9"):
            scored(name, test, training)
    else:
        assert scored(name, test, training).isfinite().all()


@named
def test_one_class_in_training_leaves_nothing_infinite(name):
    training = evidence()
    one = training._replace(labels=torch.zeros_like(training.labels))
    expected = {"relative_mahalanobis": "the training part has one class only", "she": "class 1 "}
    if name in expected:
        with pytest.raises(Unavailable, match=expected[name]):
            scored(name, evidence(20, seed=1), one)
    else:
        assert scored(name, evidence(20, seed=1), one).isfinite().all()


@pytest.mark.parametrize("name", sorted(BY_HEAD))
def test_without_a_last_layer_they_are_unavailable(name):
    with pytest.raises(Unavailable, match="its logits are no linear map of its features"):
        SCORES[name].fit(evidence()._replace(linear=None))


@pytest.mark.parametrize("name", ["ash", "scale"])
def test_shares_of_a_sum_need_features_that_are_not_negative(name):
    training = evidence()
    negative = training._replace(features=training.features - 1)
    with pytest.raises(Unavailable, match="some are negative"):
        SCORES[name].fit(negative)


@pytest.mark.parametrize("name", ["mahalanobis", "relative_mahalanobis"])
def test_features_that_never_vary_have_no_distance(name):
    training = evidence()
    constant = training._replace(features=torch.ones_like(training.features))
    with pytest.raises(Unavailable, match="do not vary"):
        SCORES[name].fit(constant)


def test_labels_that_are_absent_are_named():
    with pytest.raises(Unavailable, match="no labels"):
        SCORES["mahalanobis"].fit(evidence()._replace(labels=None))


# By hand


def by_class(training):
    return [training.features[training.labels[:, 0] == k] for k in range(3)]


def test_mahalanobis_by_hand():
    training, test = evidence(), evidence(20, seed=1)
    parts = by_class(training)
    within = torch.cat([part - part.mean(0) for part in parts])
    inverse = torch.linalg.inv(within.T @ within / len(within))
    gaps = [test.features - part.mean(0) for part in parts]
    each = torch.stack([((gap @ inverse) * gap).sum(1) for gap in gaps])
    torch.testing.assert_close(scored("mahalanobis", test), each.amin(0))
    middle = training.features.mean(0)
    centred = training.features - middle
    every = torch.linalg.inv(centred.T @ centred / len(centred))
    background = (((test.features - middle) @ every) * (test.features - middle)).sum(1)
    torch.testing.assert_close(scored("relative_mahalanobis", test), each.amin(0) - background)


def test_mahalanobis_of_many_targets_is_the_mean_of_each_by_itself():
    training, test = evidence(targets=3), evidence(20, targets=3, seed=1)
    alone = [training._replace(labels=labels) for labels in training.labels.split(1, dim=1)]
    for name in ("mahalanobis", "relative_mahalanobis"):
        each = [scored(name, test, one) for one in alone]
        torch.testing.assert_close(scored(name, test, training), torch.stack(each).mean(0))


def test_an_axis_counts_by_its_variance_within_classes_however_far_they_are_apart():
    training, test = evidence(), evidence(20, seed=1)
    apart = training.features.clone()
    apart[:, 0] += 1e4 * training.labels[:, 0]
    thin = torch.ones(apart.shape[1]).double()
    thin[-1] = 1e-4  # of the variance of all features 1e-16
    wide, narrow = (training._replace(features=x) for x in (apart, apart * thin))
    thinner = test._replace(features=test.features * thin)
    found, expected = scored("mahalanobis", thinner, narrow), scored("mahalanobis", test, wide)
    torch.testing.assert_close(found, expected)


def test_an_axis_along_which_no_class_varies_counts_for_nothing():
    training = evidence()
    features = training.features.clone()
    features[:, 0] = training.labels[:, 0].double()  # the class, and nothing else
    gaps = features - features[training.labels[:, 0] == 1].mean(0)
    within = torch.cat([part - part.mean(0) for part in by_class(training)])[:, 1:]
    inverse = torch.linalg.inv(within.T @ within / len(within))
    (found,) = SCORES["mahalanobis"].fit(training._replace(features=features))
    expected = ((gaps[:, 1:] @ inverse) * gaps[:, 1:]).sum(1)
    torch.testing.assert_close(found.distances(features)[:, 1], expected, rtol=1e-6, atol=1e-6)


def test_directions_without_variance_count_for_nothing():
    features = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)).double()
    twice = torch.cat([features, features[:, :1], torch.zeros(100, 1)], dim=1)
    white = whitening(twice - twice.mean(0))
    assert white.shape == (5, 3)
    lengths = ((twice - twice.mean(0)) @ white).square().sum(1)
    centred = features - features.mean(0)
    inverse = torch.linalg.inv(centred.T @ centred / 100)
    torch.testing.assert_close(lengths, ((centred @ inverse) * centred).sum(1))


def test_class_density_by_hand():
    training, test = evidence(), evidence(20, seed=1)
    ridge = 1e-6 * training.features.var(0, correction=0).mean()
    log_p = []
    for part in by_class(training):
        covariance = (part - part.mean(0)).T @ (part - part.mean(0)) / len(part)
        normal = torch.distributions.MultivariateNormal(
            part.mean(0), covariance + ridge * torch.eye(12).double()
        )
        log_p.append(normal.log_prob(test.features) + math.log(len(part) / 300))
    torch.testing.assert_close(
        scored("class_density", test), -torch.stack(log_p).logsumexp(0), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("n", [30, 300, 4000])
def test_nearest_neighbours_by_sorting(n):
    training, test = evidence(n), evidence(20, seed=1)
    unit = [x / x.norm(dim=1, keepdim=True) for x in (test.features, training.features)]
    expected = torch.cdist(*unit, compute_mode="donot_use_mm_for_euclid_dist").sort(1).values
    found = scored("knn", test, training)
    torch.testing.assert_close(found, expected[:, min(50, n) - 1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("m", "k"), [(40, 5), (3000, 50), (3217, 58), (20_000, 10)])
def test_the_largest_are_found_in_groups_as_by_sorting(m, k):
    products = torch.randn(6, m, generator=torch.Generator().manual_seed(m))
    products[:, m // 2 :] = products[:, : m - m // 2]  # ties
    values, places = largest(products, k)
    assert torch.equal(values, products.sort(1, descending=True).values[:, :k])
    assert torch.equal(products.gather(1, places), values)


def test_neighbours_closer_than_float32_tells_apart_are_compared_in_float64():
    known = torch.zeros(100, 2).double()
    angles = torch.linspace(0, 1e-5, 100).double()
    known[:, 0], known[:, 1] = angles.cos(), angles.sin()
    query = torch.tensor([[math.cos(0.5), math.sin(0.5)]]).double()
    found = kth_similarity(query, known, known.float(), 50)
    expected = (query @ known.T).sort(1, descending=True).values[:, 49]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert found.dtype == torch.float64


def test_vim_and_residual_by_hand():
    training, test = evidence(), evidence(20, seed=1)
    weight, bias = training.head.weight[0], training.head.bias[0]
    origin = -torch.linalg.pinv(weight) @ bias
    centred = training.features - origin
    principal = torch.linalg.svd(centred.T @ centred).U[:, :6]

    def outside(x):
        return (x - x @ principal @ principal.T).norm(dim=1)

    lengths = outside(test.features - origin)
    torch.testing.assert_close(scored("residual", test), lengths)
    alpha = training.logits[:, 0].amax(1).mean() / outside(centred).mean()
    expected = alpha * lengths - test.logits[:, 0].logsumexp(1)
    torch.testing.assert_close(scored("vim", test), expected)


def test_fdbd_is_the_distance_to_the_boundaries():
    training, test = evidence(), evidence(1, seed=1)
    (x,), head = test.features, training.head
    best = int(test.logits[0, 0].argmax())
    distances = []
    for k in {0, 1, 2} - {best}:
        normal = head.weight[0, best] - head.weight[0, k]
        gap = normal @ x + head.bias[0, best] - head.bias[0, k]
        on_boundary = x - gap / normal.square().sum() * normal
        logits = head(on_boundary[None])[0, 0]
        torch.testing.assert_close(logits[best], logits[k])
        distances.append((x - on_boundary).norm())
    mean = torch.stack(distances).mean() / (x - training.features.mean(0)).norm()
    torch.testing.assert_close(scored("fdbd", test)[0], -mean)


def test_she_by_hand():
    training, test = evidence(), evidence(20, seed=1)
    training.labels[:40] = training.labels[:40].roll(1, 0)  # 40 answers are wrong, or most of them
    said = training.logits[:, 0].argmax(1)
    right = said == training.labels[:, 0]
    assert not right.all()
    patterns = [training.features[right & (said == k)].mean(0) for k in range(3)]
    answer = test.logits[:, 0].argmax(1)
    expected = [-(x @ patterns[k]) for x, k in zip(test.features, answer.tolist(), strict=True)]
    torch.testing.assert_close(scored("she", test, training), torch.stack(expected))


def test_kl_matching_by_hand():
    training, test = evidence(scale=0.3), evidence(20, seed=1, scale=0.3)
    p, q = (one.logits[:, 0].softmax(1) for one in (training, test))
    usual = [p[p.argmax(1) == k].mean(0) for k in range(3)]
    each = torch.stack([(q * (q / d).log()).sum(1) for d in usual])
    torch.testing.assert_close(scored("kl_matching", test, training), each.amin(0))


def test_kl_matching_survives_probabilities_that_vanish():
    training = evidence(scale=400.0)
    assert (training.logits.softmax(-1) == 0).any()
    assert scored("kl_matching", evidence(20, seed=1, scale=400.0), training).isfinite().all()


def test_energies_of_changed_features_by_hand():
    training, test = evidence(), evidence(20, seed=1)
    head, x = training.head, test.features
    most = torch.quantile(training.features, 0.9)
    sums, large = x.sum(1, keepdim=True), {k: x.topk(k, dim=1) for k in (1, 2)}
    pruned = torch.zeros_like(x).scatter(1, large[1].indices, large[1].values)
    contribution = head.weight[0] * training.features.mean(0)
    kept = torch.where(contribution > contribution.quantile(0.9), head.weight[0], 0.0)
    expected = {
        "react": head(x.clamp_max(most)),
        "dice": Head(kept[None], head.bias)(x),
        "ash": head(pruned * (sums / large[1].values).exp()),  # 12 features: 1 of them is kept
        "scale": head(x * (sums / large[2].values.sum(1, keepdim=True)).exp()),
    }
    for name, logits in expected.items():
        energy = -logits[:, 0].logsumexp(1)
        torch.testing.assert_close(scored(name, test), energy, msg=lambda m, n=name: f"{n}: {m}")


def test_gradnorm_is_the_norm_of_the_gradient():
    test = evidence(5, seed=1, scale=0.3)
    for x, found in zip(test.features, scored("gradnorm", test).tolist(), strict=True):
        weight = test.head.weight[0].clone().requires_grad_()
        log_p = (weight @ x + test.head.bias[0]).log_softmax(0)
        (-log_p.mean()).backward()
        assert found == pytest.approx(-weight.grad.abs().sum().item())


def test_the_temperature_is_the_likeliest_on_validation_data():
    draw = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4000, 1, 4, generator=draw).double()
    labels = torch.multinomial((logits[:, 0] / 2.5).softmax(-1), 1, generator=draw)
    found = temperature(Evidence(torch.zeros(4000, 1).double(), logits, labels))
    assert found == pytest.approx(2.5, rel=0.1)
    p = (logits / found).softmax(-1).amax(-1)[:, 0]
    torch.testing.assert_close(SCORES["tempered_msp"](logits, found), 1 - p)
    assert SCORES["tempered_msp"].fit_on == "validation"


def test_laplace_is_the_kronecker_posterior_written_out():
    training, test = evidence(), evidence(4, seed=1)
    ones = [
        torch.cat([one.features, torch.ones(len(one.features), 1)], 1) for one in (training, test)
    ]
    p = training.logits[:, 0].softmax(1)
    a, b = ones[0].T @ ones[0], torch.diag(p.mean(0)) - p.T @ p / 300
    weights = torch.cat([training.head.weight[0], training.head.bias[0][:, None]], 1)
    hessian = torch.kron(b, a)
    curvature = torch.linalg.eigvalsh(hessian).clamp_min(0)
    precision = prior_precision(curvature, float(weights.square().sum()))
    covariance = torch.linalg.inv(hessian + precision * torch.eye(len(hessian)).double())
    for row, (x, logits) in enumerate(zip(ones[1], test.logits[:, 0], strict=True)):
        along = torch.kron(torch.eye(3).double(), x[None])
        variance = (along @ covariance @ along.T).diagonal()
        q = (logits / (1 + math.pi / 8 * variance).sqrt()).softmax(0)
        found = scored("laplace", test, training)[row].item()
        assert found == pytest.approx(float(-(q * q.log()).sum()), rel=1e-6)


def test_the_prior_precision_has_the_largest_evidence():
    curvature = torch.linspace(0, 50, 200).double()
    best = prior_precision(curvature, 40.0)

    def log_evidence(precision):
        volume = 200 * math.log(precision) - (curvature + precision).log().sum().item()
        return volume - precision * 40.0

    assert log_evidence(best) >= max(log_evidence(best * step) for step in (0.9, 0.99, 1.01, 1.1))
    assert 1e-4 < best < 1e4


def test_nnguide_by_hand():
    training, test = evidence(), evidence(20, seed=1)
    unit = [x / x.norm(dim=1, keepdim=True) for x in (test.features, training.features)]
    bank = unit[1] * training.logits[:, 0].logsumexp(1)[:, None]
    guide = (unit[0] @ bank.T).sort(1, descending=True).values[:, :10].mean(1)
    torch.testing.assert_close(scored("nnguide", test), -test.logits[:, 0].logsumexp(1) * guide)


# Decodings


def decoded(error, first, deeper):
    logits = torch.tensor([[[4.0, 0.0]]]).double()  # one input, one target
    extras = {
        "decoding_error": torch.tensor([error]),
        "decoding_logits": torch.tensor(first)[None, :, None],
        "recursion_logits": torch.tensor(deeper)[None, :, None],
    }
    return Evidence(torch.zeros(1, 1), logits, extras=extras)


def test_scores_of_decodings_by_hand():
    said = decoded([1.0, 3.0], [[4.0, 0.0], [0.0, 4.0]], [[4.0, 0.0], [1.0, 1.0], [0.0, 4.0]])
    p = 1 / (1 + math.exp(-4))
    same, opposite = 1 - p**2 - (1 - p) ** 2, 1 - 2 * p * (1 - p)
    assert SCORES["decoding_error"](said).item() == 2.0
    assert SCORES["decoding_disagreement"](said).item() == pytest.approx((same + opposite) / 2)
    assert SCORES["decoding_drift"](said).item() == pytest.approx(opposite - same)
    assert {SCORES[n].needs for n in SCORES} >= set(DECODED)


# How they were tuned


def test_every_score_says_how_it_was_tuned():
    assert {score.tuned for score in SCORES.values()} <= set(scores_base.TUNED)
    assert SCORES["tempered_msp"].tuned == "validation inliers"
    assert SCORES["knn"].tuned == "published"
    assert SCORES["mahalanobis"].tuned == SCORES["msp"].tuned == "nothing"
