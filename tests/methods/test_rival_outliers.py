"""Known answers of the rivals that see other inputs in training: outlier exposure, rotation."""

import inspect

import pytest
import torch
from torch.nn import functional

from bench import datasets, methods
from bench.datasets.base import Source, Task
from bench.datasets.errors import BenchError
from bench.discover import subclasses
from bench.methods.base import Method
from bench.methods.leaves import NAME, dead_leaves
from bench.methods.outlier_exposure import OutlierExposure
from bench.methods.rotation import Rotation
from bench.methods.training import Batch
from bench.scores import all_scores
from bench.scores.base import Evidence

TASK = Task((1, 4, 4), ("a", "b"), ("x", "y", "z"))
SMALL = {"blocks": 2, "width": 8}


def batch(n: int = 6) -> Batch:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 1, 4, 4, generator=draw), torch.randint(3, (n, 2), generator=draw)
    return Batch(x, y, y[:, :0], 0.5, n)


def test_exposed_outliers_are_named_and_nothing_that_is_tested_on():
    exposed = [cls for cls in subclasses(methods, Method).values() if hasattr(cls, "auxiliary")]
    assert {cls.auxiliary for cls in exposed} == {NAME}
    for source in subclasses(datasets, Source).values():
        assert NAME not in {source.name, *source.content}
        assert "dead_leaves" not in inspect.getsource(inspect.getmodule(source))


def test_dead_leaves_are_even_surfaces_and_the_same_every_time():
    images = dead_leaves(20, (3, 16, 16))
    assert images.shape == (20, 3, 16, 16)
    assert 0 <= images.min() < 0.1 < 0.9 < images.max() <= 1
    assert torch.equal(images, dead_leaves(20, (3, 16, 16)))
    equal = (images[..., 1:] == images[..., :-1]).float().mean().item()
    assert 0.5 < equal < 0.95  # of neighbours: surfaces, with edges between them
    assert len(images.flatten(1).unique(dim=0)) == 20


def test_exposure_adds_the_cross_entropy_against_all_classes_alike():
    method, one = OutlierExposure(weight=0.7, **SMALL), batch()
    net, shown = method.build(TASK).eval(), torch.rand(9, 1, 4, 4)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        loss = method.loss(net, one, shown)
        torch.manual_seed(3)
        rows = torch.randint(9, (6,))
    even = torch.full((6, 2, 3), 1 / 3).transpose(1, 2)
    exposed = functional.cross_entropy(net(shown[rows]).transpose(1, 2), even)
    known = functional.cross_entropy(net(one.x).transpose(1, 2), one.y)
    torch.testing.assert_close(loss, known + 0.7 * exposed)


def test_rotation_adds_the_loss_of_telling_the_turns():
    method, one = Rotation(weight=0.3, **SMALL), batch()
    method.net = net = method.build(TASK).eval()
    losses = []
    for quarters in range(4):
        turned = one.x.rot90(quarters, (-2, -1))
        last = net.classifier.activations(turned)[-1]
        guess = net.turn(net.classifier.features(last))
        truth = torch.full((6,), quarters)
        losses.append(functional.cross_entropy(guess, truth, reduction="none"))
    turns = torch.stack(losses).mean(0)
    torch.testing.assert_close(method.extras(one.x)["rotation_loss"], turns)
    known = functional.cross_entropy(net.classifier(one.x).transpose(1, 2), one.y)
    torch.testing.assert_close(method.loss(net, one), known + 0.3 * turns.mean())


def test_rotation_takes_square_inputs():
    with pytest.raises(BenchError, match=r"4 x 8 pixels.*square"):
        Rotation().prepare(Task((1, 4, 8), ("a",), ("x", "y")))


def test_the_rotation_score_is_the_loss_of_the_turns_less_the_certainty():
    logits = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    loss = torch.linspace(0, 2, 5).double()
    said = Evidence(torch.zeros(5, 1), logits, extras={"rotation_loss": loss})
    even = torch.full((5, 2, 3), 1 / 3).double()
    certainty = functional.kl_div(logits.log_softmax(-1), even, reduction="none").sum(-1).mean(-1)
    torch.testing.assert_close(all_scores()["rotation_loss"](said), loss - certainty)
