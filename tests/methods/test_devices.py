"""Every method stays on the device of its data: fitted and run on `meta`, which holds no numbers.

On `meta` a copy to the CPU, a tensor of the default device among those of the data, and every
operation whose result the host must know raise an error; the numbers that the training loop reads
are counted. So a method that passes here neither leaves a GPU nor waits for it in its loop.
"""

from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench import methods
from bench.datasets.base import Split, Task
from bench.discover import subclasses
from bench.fitting.fits import construct
from bench.methods.base import Method
from bench.methods.generative import Generative
from bench.methods.standard import Standard

META = torch.device("meta")
TASK = Task((1, 8, 8), ("digit",), tuple("0123456789"))
KNOWN = {name: cls for name, cls in subclasses(methods, Method).items() if name != "pretrained"}
SHORT = {"epochs": 1, "min_updates": 0, "conv_min_updates": 0}
PNG = "compresses images on the CPU, once a batch"
EXCEPTIONS = {
    **{(name, "extras"): PNG for name, cls in KNOWN.items() if issubclass(cls, Generative)},
    ("redecnn", "predict_proba"): "reads how many paths share a beginning, once a batch",
}


class Reads(TorchDispatchMode):
    """Counts the numbers that are read from the device, and answers in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        read = function is torch.ops.aten._local_scalar_dense.default
        if read and args[0].device == META:
            self.count += 1
            return 0.5 if args[0].dtype.is_floating_point else 1
        return function(*args, **kwargs or {})


@pytest.fixture(autouse=True)
def _what_meta_lacks(monkeypatch):
    """Fused and grouped kernels and autocast, which do not exist there."""
    adam, clip = torch.optim.AdamW, torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        torch.optim, "AdamW", lambda *args, fused, **options: adam(*args, foreach=False, **options)
    )
    monkeypatch.setattr(
        torch.nn.utils, "clip_grad_norm_", lambda *args, foreach: clip(*args, foreach=False)
    )
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())


def split(n: int) -> Split:
    empty = partial(torch.empty, device=META)
    return Split(
        empty(n, *TASK.shape, dtype=torch.uint8), empty(n, 1, dtype=torch.long), TASK, "meta"
    )


def fit(name: str, n: int) -> Method:
    chosen = KNOWN[name].defaults("smoke")
    method = construct(KNOWN[name], chosen | {k: v for k, v in SHORT.items() if k in chosen})
    given = {
        key: [fit(wanted.method, n) for _ in wanted.seeds]
        for key, wanted in method.prerequisites(0).items()
    }
    return method.fit_many(split(n), split(32), seeds=[0], prerequisites=given)[0]


@pytest.mark.parametrize("name", KNOWN)
def test_a_fit_waits_for_the_device_no_more_often_than_it_has_epochs(name):
    counts = []
    for n in (64, 256):  # four and sixteen updates an epoch
        with Reads() as reads:
            fit(name, n)
        counts.append(reads.count)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("part", ["predict_proba", "logits_and_features", "extras"])
@pytest.mark.parametrize("name", KNOWN)
def test_a_prediction_stays_on_the_device_and_waits_for_nothing(name, part, request):
    if reason := EXCEPTIONS.get((name, part)):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    with Reads():
        fitted = fit(name, 64)
    with Reads() as reads, torch.no_grad():
        made = getattr(fitted, part)(torch.empty(5, *TASK.shape, device=META))
    assert reads.count == 0
    values = (
        made.values() if isinstance(made, dict) else [made] if part == "predict_proba" else made
    )
    assert all(one.device == META for one in values or ())


class Leaves(Standard):
    def predict_proba(self, x):
        return super().predict_proba(x.cpu())


class Mixes(Standard):
    def predict_proba(self, x):
        return super().predict_proba(x) + torch.zeros(len(x), 1, 1, 10)


class Waits(Standard):
    def loss(self, net, batch):
        loss = super().loss(net, batch)
        return loss if loss.item() >= 0 else -loss


@pytest.mark.parametrize("bad", [Leaves, Mixes])
def test_a_method_that_leaves_the_device_is_found(bad, monkeypatch):
    monkeypatch.setitem(KNOWN, "standard", bad)
    with Reads(), pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        fit("standard", 64).predict_proba(torch.empty(5, *TASK.shape, device=META))


def test_a_loss_that_waits_for_the_device_is_found(monkeypatch):
    monkeypatch.setitem(KNOWN, "standard", Waits)
    counts = []
    for n in (64, 256):
        with Reads() as reads:
            fit("standard", n)
        counts.append(reads.count)
    assert counts[1] - counts[0] == 12  # updates
