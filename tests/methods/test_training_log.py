"""One budget for all methods, and the log of what training did."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench import methods
from bench.datasets.base import Split, Task
from bench.discover import choose, subclasses
from bench.methods.base import Method
from bench.methods.bayes import Bayes
from bench.methods.dropout import Dropout
from bench.methods.ensemble import Ensemble
from bench.methods.mc_dropout import McDropout
from bench.methods.neural import NeuralMethod
from bench.methods.redecnn import ReDecNN
from bench.methods.standard import Standard
from bench.methods.training import validation
from bench.methods.training_log import summed

TASK = Task((1, 4, 4), ("side",), ("left", "right"))
NET = {"blocks": 2, "width": 8, "epochs": 3, "min_updates": 10}


def toy(n: int, seed: int) -> Split:
    x = torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    y = (x[..., 2:].sum((1, 2, 3)) > x[..., :2].sum((1, 2, 3))).long()[:, None]
    return Split(x, y, TASK, f"toy-{n}-{seed}")


TRAIN, VAL = toy(256, 0), toy(50, 1)


@pytest.mark.parametrize("preset", ["smoke", "laptop", "paper"])
def test_all_methods_of_a_board_have_one_budget(preset):
    choices = choose("method", "all", subclasses(methods, Method), preset)
    trained = {choice.cls for choice in choices if issubclass(choice.cls, NeuralMethod)}
    budgets = {
        tuple(cls.defaults(preset)[name] for name in ("epochs", "min_updates", "batch"))
        for cls in trained
    }
    assert len(trained) > 5
    assert len(budgets) == 1


def test_steps_and_inputs_are_counted():
    log = Standard(**NET).fit(TRAIN, VAL, seed=0).log
    assert (log.updates, log.examples_seen, len(log.epochs)) == (3 * 16, 3 * 256, 3)


def test_min_updates_lengthen_training():
    log = Standard(**NET | {"min_updates": 50}).fit(TRAIN, VAL, seed=0).log
    assert log.updates == 64
    assert len(log.epochs) == 4


def test_an_ensemble_has_seen_what_all_its_members_saw():
    members = [Standard(**NET).fit(TRAIN, VAL, seed=s) for s in range(3)]
    log = Ensemble(size=3, **NET).fit(TRAIN, VAL, seed=0, prerequisites={"standard": members}).log
    assert (log.updates, log.examples_seen) == (48, 3 * 3 * 256)
    assert log.epoch_seconds == pytest.approx(sum(m.log.epoch_seconds for m in members))
    assert summed([members[0].log, None]) is None


def test_monte_carlo_dropout_has_the_log_of_its_network():
    dropout = Dropout(**NET).fit(TRAIN, VAL, seed=0)
    mc = McDropout(**NET).fit(TRAIN, VAL, seed=0, prerequisites={"dropout": [dropout]})
    assert mc.log == dropout.log


@pytest.mark.parametrize("method", [Standard, Bayes, Dropout, ReDecNN])
def test_the_log_ends_with_the_single_classifier_on_the_validation_part(method):
    small = {"decoder_width": 8, "depth": 2} if method is ReDecNN else {}
    fitted = method(precision="float32", **NET, **small).fit(TRAIN, VAL, seed=0)
    with torch.no_grad():
        logits = fitted.single_classifier()(VAL.floats())[:, 0]
    last = fitted.log.epochs[-1]
    wanted = functional.cross_entropy(logits, VAL.y[:, 0])
    assert last.val_loss == pytest.approx(wanted.item(), rel=1e-5)
    assert last.val_accuracy == pytest.approx((logits.argmax(-1) == VAL.y[:, 0]).float().mean())


@pytest.mark.parametrize("method", [Standard, Dropout, Bayes])
def test_looking_at_validation_data_changes_no_weight(method):
    with_one, with_other = (method(**NET).fit(TRAIN, val, seed=0) for val in (VAL, toy(90, 2)))
    states = [fitted.state()["net"] for fitted in (with_one, with_other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_validation_is_the_same_in_parts():
    net, part = nn.Sequential(nn.Flatten(), nn.Linear(16, 2), nn.Unflatten(1, (1, 2))), toy(2500, 3)
    loss, accuracy = validation(net, part, "float32")
    with torch.no_grad():
        logits = net(part.floats())[:, 0]
    assert loss == pytest.approx(functional.cross_entropy(logits, part.y[:, 0]).item(), rel=1e-4)
    assert accuracy == pytest.approx((logits.argmax(-1) == part.y[:, 0]).float().mean().item())
