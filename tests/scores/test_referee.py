"""Scores of features against pytorch-ood 0.4 on the same tensors, score by score.

Two scores of one order to 1e-6 differ, after standardising, by less than that.
"""

import pytest
import torch
from torch import nn

from bench.scores import Evidence, all_scores
from bench.scores.base import Head
from bench.scores.nnguide import bank
from bench.scores.shaping import ASH_SHARE, SCALE_SHARE
from bench.scores.vim import principal

detector = pytest.importorskip("pytorch_ood.detector", exc_type=ImportError)

SCORES = all_scores()
CLASSES, SIZE = 7, 32


@pytest.fixture
def exact(monkeypatch):
    """Let pytorch-ood work in float64: it takes the default type, and four detectors .float()."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def evidence(seed: int, n: int, shift: float = 0.0, layer: nn.Linear | None = None) -> Evidence:
    """Positive features around seven class means, as after a ReLU, with a head that reads them."""
    draw = torch.Generator().manual_seed(1)
    centres = 2 * torch.rand(CLASSES, SIZE, generator=draw, dtype=torch.float64)
    mixing = torch.randn(SIZE, SIZE, generator=draw, dtype=torch.float64) / SIZE**0.5
    draw.manual_seed(seed)
    labels = torch.randint(CLASSES, (n,), generator=draw)
    noise = torch.randn(n, SIZE, generator=draw, dtype=torch.float64)
    features = (centres[labels] + 0.5 * noise @ mixing + shift * noise.abs()).clamp_min(0)
    layer = head() if layer is None else layer
    linear = Head(layer.weight.detach()[None], layer.bias.detach()[None])
    return Evidence(features, linear(features), labels[:, None], linear)


def head() -> nn.Linear:
    draw = torch.Generator().manual_seed(1)
    layer = nn.Linear(SIZE, CLASSES).double().requires_grad_(False)
    centres = 2 * torch.rand(CLASSES, SIZE, generator=draw, dtype=torch.float64)
    layer.weight.copy_(0.3 * (centres - centres.mean(0)))
    layer.bias.copy_(0.3 * torch.randn(CLASSES, generator=draw, dtype=torch.float64))
    return layer


TRAIN, TEST = evidence(2, 3000), evidence(3, 500, 0.3)
LAYER = head()
Z, Y, X = TRAIN.features, TRAIN.labels[:, 0], TEST.features
LOGITS = TEST.logits[:, 0]


def maps(x):
    return x[:, :, None, None]


def on_maps(h):
    return LAYER(h.flatten(1))


def guide():
    """The paper draws some training inputs at random: it gets those that were drawn here."""
    rows = torch.randperm(len(Z), generator=torch.Generator().manual_seed(0))[: len(bank(TRAIN))]
    return detector.NNGuide(None, LAYER).fit_features(Z[rows], Y[rows]).predict_features(X)


def gradnorm():
    one = detector.GradNorm(LAYER, param_filter=lambda name: name == "weight")
    return one.predict(X)


THEIRS = {
    "msp": lambda: detector.MaxSoftmax(None).predict_logits(LOGITS),
    "max_logit": lambda: detector.MaxLogit(None).predict_logits(LOGITS),
    "energy": lambda: detector.EnergyBased(None).predict_logits(LOGITS),
    "gen": lambda: detector.GEN(None).predict_logits(LOGITS),
    "kl_matching": lambda: (
        detector.KLMatching(None).fit_logits(TRAIN.logits[:, 0], Y).predict_logits(LOGITS)
    ),
    "mahalanobis": lambda: detector.Mahalanobis(None).fit_features(Z, Y).predict_features(X),
    "relative_mahalanobis": lambda: detector.RMD(None).fit_features(Z, Y).predict_features(X),
    "knn": lambda: detector.KNN(None).fit_features(Z, Y).predict_features(X),
    "vim": lambda: (
        detector.ViM(None, principal(SIZE), LAYER.weight, LAYER.bias)
        .fit_features(Z, Y)
        .predict_features(X)
    ),
    "fdbd": lambda: detector.fDBD(None, LAYER).fit_features(Z).predict_features(X),
    "she": lambda: detector.SHE(None, LAYER).fit_features(Z, Y).predict_features(X),
    "class_density": lambda: (
        detector.GMM(None, reg=1e-6 * float(Z.var(0, correction=0).mean()))
        .fit_features(Z, Y)
        .predict_features(X)
    ),
    "dice": lambda: (
        detector.DICE(None, LAYER.weight, LAYER.bias, 0.9).fit_features(Z, Y).predict_features(X)
    ),
    "react": lambda: (
        detector.ReAct(None, on_maps).fit_feature_maps(maps(Z), Y).predict_feature_maps(maps(X))
    ),
    "ash": lambda: detector.ASH(None, on_maps, "ash-s", ASH_SHARE).predict_feature_maps(maps(X)),
    "scale": lambda: detector.SCALE(None, on_maps, SCALE_SHARE).predict_feature_maps(maps(X)),
    "nnguide": guide,
    "gradnorm": gradnorm,
}


def ours(name):
    score = SCORES[name]
    fitted = None if score.fit is None else score.fit(TRAIN)
    return score(TEST.logits if score.needs == "logits" else TEST, fitted)


def standard(values):
    values = values.double()
    return (values - values.mean()) / values.std()


@pytest.mark.parametrize("name", THEIRS)
def test_a_score_is_that_of_pytorch_ood(name, exact):
    torch.testing.assert_close(standard(ours(name)), standard(THEIRS[name]()), rtol=0, atol=1e-6)
