"""Seconds from a trained network to twelve scores of five sets and all their metrics.

`python benchmarks/scores.py` prints ours, a plain numpy floor and pytorch-ood's quick-start loop
(`pip install --no-deps pytorch-ood`), one after another in one run, and their ratios to the floor.
The network is an MLP of 8 x 256; 20 000 training inputs, 10 000 inliers, 4 x 10 000 outliers. It is
no test: a busy machine would fail it. Seconds of the processor count what its cores
did, so that they bear other programs. `--quick` takes a tenth of the inputs.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_curve
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from bench.datasets.base import Split, Task
from bench.fitting.prediction import Prediction, run_network, single_pass
from bench.fitting.training_evidence import linear_head
from bench.methods.standard import Standard
from bench.metrics.detection import detection
from bench.scenarios.base import scored
from bench.scores import Evidence, all_scores
from bench.scores.vim import principal

TASK = Task((1, 16, 16), ("prototype",), tuple("0123456789"))
SCORES = (
    "msp", "max_logit", "energy", "gen", "kl_matching", "mahalanobis", "relative_mahalanobis",
    "knn", "vim", "fdbd", "she", "dice",
)  # fmt: skip
Sets = list[Tensor]


def images(n: int, seed: int, mix: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return noisy prototypes of ten classes, each mixed with another's; and their labels."""
    draw = torch.Generator().manual_seed(99)
    prototypes = torch.rand(10, *TASK.shape, generator=draw)
    draw.manual_seed(seed)
    y = torch.randint(10, (n,), generator=draw)
    other = torch.randint(10, (n,), generator=draw)
    x = (1 - mix) * prototypes[y] + mix * prototypes[other]
    return 0.4 * x + 0.6 * torch.rand(x.shape, generator=draw), y


def ours(method: Standard, train: tuple[Tensor, Tensor], inside: Tensor, outside: Sets) -> None:
    """Run each set once, and score what is kept."""
    logits, features = (values.double() for values in single_pass(method, train[0]))
    head = linear_head(features, logits, method.linear_head())
    training = Evidence(features, logits, train[1][:, None], head)
    learned = {s.name: s.fit(training) for s in all_scores().values() if s.fit and s.name in SCORES}

    def said(x: Tensor) -> Prediction:
        made = run_network(method, x, seed=0)
        return Prediction(
            made.probs, made.logits, made.features, fit_score=lambda s: learned[s.name]
        )

    known, *unknown = (said(x) for x in (inside, *outside))
    for name in SCORES:
        for one in unknown:
            detection(scored(all_scores()[name], known), scored(all_scores()[name], one))


def floor(method: Standard, train: tuple[Tensor, Tensor], inside: Tensor, outside: Sets) -> float:
    """Do the same in a hundred lines of numpy, float32 products; return the seconds of k-NN."""
    z, layer = _plain_pass(method, train[0]), _plain_head(method)
    learned = Plain(z, train[1].numpy(), *layer)
    seconds = 0.0
    found = []
    for x in (inside, *outside):
        of_set = learned.scores(_plain_pass(method, x))
        start = time.process_time()
        of_set["knn"] = learned.knn(_plain_pass(method, x))
        seconds += time.process_time() - start
        found.append(of_set)
    for name in SCORES:
        for one in found[1:]:
            plain_metrics(found[0][name], one[name])
    return seconds


class Plain:
    """Eleven scores and k-NN as one writes them down."""

    def __init__(self, z: NDArray, y: NDArray, w: NDArray, b: NDArray) -> None:
        self.w, self.b = w, b
        means = np.stack([z[y == k].mean(0) for k in range(10)])
        self.means, self.middle = means, z.mean(0)
        self.within = np.linalg.pinv(np.cov((z - means[y]).T, bias=True), hermitian=True)
        self.total = np.linalg.pinv(np.cov(z.T, bias=True), hermitian=True)
        logits = z @ w.T + b
        p, self.best = softmax(logits), logits.argmax(1)
        said = np.unique(self.best)
        self.usual = np.log(np.stack([p[self.best == k].mean(0) for k in said]) + 1e-300)
        self.patterns = np.stack([z[(self.best == k) & (y == k)].mean(0) for k in range(10)])
        self.origin = -np.linalg.pinv(w) @ b
        centred = z - self.origin
        axes = np.linalg.eigh(centred.T @ centred)[1]
        self.outside = axes[:, : z.shape[1] - principal(z.shape[1])]
        self.alpha = logits.max(1).mean() / np.linalg.norm(centred @ self.outside, axis=1).mean()
        contribution = w * z.mean(0)
        self.sparse = np.where(contribution > np.quantile(contribution, 0.9), w, 0)
        self.unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        self.between = np.linalg.norm(w[:, None] - w[None], axis=2) + np.eye(10)

    def scores(self, z: NDArray) -> dict[str, NDArray]:
        """Return eleven scores of features (N, F)."""
        logits = z @ self.w.T + self.b
        p, best = softmax(logits), logits.argmax(1)
        energy = logsumexp(logits)
        top = logits.max(1, keepdims=True)
        gaps = [z - mean for mean in self.means]
        near = np.stack([((gap @ self.within) * gap).sum(1) for gap in gaps]).min(0)
        centred = z - self.middle
        log_p = np.log(p + 1e-300)
        virtual = self.alpha * np.linalg.norm((z - self.origin) @ self.outside, axis=1)
        far = ((top - logits) / self.between[best]).sum(1) / 9
        return {
            "msp": 1 - p.max(1),
            "max_logit": -top[:, 0],
            "energy": -energy,
            "gen": ((p * (1 - p)) ** 0.1).sum(1),
            "kl_matching": ((p * log_p).sum(1)[:, None] - p @ self.usual.T).min(1),
            "mahalanobis": near,
            "relative_mahalanobis": near - ((centred @ self.total) * centred).sum(1),
            "vim": virtual - energy,
            "fdbd": -far / np.linalg.norm(centred, axis=1),
            "she": -(z * self.patterns[best]).sum(1),
            "dice": -logsumexp(z @ self.sparse.T + self.b),
        }

    def knn(self, z: NDArray) -> NDArray:
        """Distance to the 50th nearest, by one product and one partition a block."""
        unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        blocks = np.array_split(unit, max(len(unit) // 1000, 1))
        kth = [np.partition(-block @ self.unit.T, 49, axis=1)[:, 49] for block in blocks]
        return np.sqrt(np.maximum(2 + 2 * np.concatenate(kth), 0))


def softmax(logits: NDArray) -> NDArray:
    """Softmax of logits (N, K)."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def logsumexp(logits: NDArray) -> NDArray:
    """Log-sum-exp of logits (N, K)."""
    top = logits.max(1)
    return top + np.log(np.exp(logits - top[:, None]).sum(1))


def plain_metrics(inside: NDArray, outside: NDArray) -> dict[str, float]:
    """Return AUROC, both AUPRs and FPR at 95 % TPR by scikit-learn."""
    y = np.r_[np.zeros(len(inside)), np.ones(len(outside))]
    values = np.r_[inside, outside]
    fpr, tpr, _ = roc_curve(1 - y, -values)
    return {
        "auroc": float(np.trapezoid(tpr, fpr)),
        "aupr_out": average_precision_score(y, values),
        "aupr_in": average_precision_score(1 - y, -values),
        "fpr95": float(fpr[np.argmax(tpr >= 0.95)]),
    }


def _plain_pass(method: Standard, x: Tensor) -> NDArray:
    with torch.no_grad():
        parts = [method.logits_and_features(part).features for part in x.split(500)]
    return torch.cat(parts).numpy()


def _plain_head(method: Standard) -> tuple[NDArray, NDArray]:
    weight, bias = method.linear_head() or (torch.empty(0), torch.empty(0))
    return weight.detach().numpy(), bias.detach().numpy()


def quick_start(
    method: Standard, train: tuple[Tensor, Tensor], inside: Tensor, outside: Sets
) -> None:
    """Run the loop of pytorch-ood's quick start: fit, predict batch by batch, update metrics."""
    from pytorch_ood import detector
    from pytorch_ood.metrics import OODMetrics

    net = method.fitted(method.net)
    encoder = lambda x: net.features(net.activations(x)[-1])  # noqa: E731
    logits = lambda x: net(x).flatten(1)  # noqa: E731
    w, b = net.head.weight, net.head.bias
    every = [
        detector.MaxSoftmax(logits), detector.MaxLogit(logits), detector.EnergyBased(logits),
        detector.GEN(logits), detector.KLMatching(logits), detector.Mahalanobis(encoder),
        detector.RMD(encoder), detector.KNN(encoder), detector.ViM(encoder, 128, w, b),
        detector.fDBD(encoder, net.head), detector.SHE(encoder, net.head),
        detector.DICE(encoder, w, b, 0.9),
    ]  # fmt: skip
    loader = DataLoader(TensorDataset(*train), batch_size=500)
    for one in every:
        with torch.no_grad():
            one.fit(loader)
            for x in outside:
                y = torch.cat([torch.zeros(len(inside)), -torch.ones(len(x))]).long()
                metrics = OODMetrics()
                for part, labels in DataLoader(TensorDataset(torch.cat([inside, x]), y), 500):
                    metrics.update(one(part), labels)
                metrics.compute()


def main() -> None:
    """Train, and time the three."""
    n = 1000 if "--quick" in sys.argv else 10_000
    train = images(2 * n, 0)
    method = Standard(epochs=1, min_updates=200)
    split = Split(train[0], train[1][:, None], TASK, "prototypes")
    val = Split(train[0][:100], train[1][:100, None], TASK, "prototypes")
    method.fit(split, val, seed=0)
    inside = images(n, 1)[0]
    outside = [images(n, 2 + i, mix)[0] for i, mix in enumerate((0.2, 0.3, 0.4, 0.5))]
    sets = (method, train, inside, outside)
    shares: list[float] = []
    runs: dict[str, Callable[[], object]] = {
        "warm-up": lambda: ours(method, train, inside[:500], [outside[0][:500]]),
        "plain numpy": lambda: shares.append(floor(*sets)),
        "ours": lambda: ours(*sets),
        "pytorch-ood, quick start": lambda: quick_start(*sets),
    }
    seconds = {}
    for name, function in runs.items():
        start = time.perf_counter(), time.process_time()
        try:
            function()
        except ImportError as error:
            sys.stdout.write(f"{name}: left out, {error}\n")
            continue
        seconds[name] = time.perf_counter() - start[0], time.process_time() - start[1]
    unit = seconds["plain numpy"]
    for name, (wall, processor) in seconds.items():
        sys.stdout.write(
            f"{name}: {wall:.1f} s, {wall / unit[0]:.2f} of plain numpy; "
            f"of the processor {processor:.1f} s, {processor / unit[1]:.2f}\n"
        )
    sys.stdout.write(f"k-NN takes {shares[0] / unit[1]:.0%} of plain numpy\n")


if __name__ == "__main__":
    main()
