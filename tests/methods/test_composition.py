"""Composing and protecting, eq. 7 and 8, and gradient reversal: against sums written by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench import methods
from bench.commands.check import Trial
from bench.datasets.base import Split, Task
from bench.datasets.errors import DataError
from bench.discover import choose, subclasses
from bench.errors import UnknownNameError
from bench.methods.base import Method
from bench.methods.decnn import CompositionLoss, DecNN
from bench.methods.grad import Grad, GradientReversal, balance
from bench.methods.linear import Linear
from bench.methods.redecnn import ReDecNN, recursive_loss
from bench.methods.resnet18 import ResNet18
from bench.methods.standard import Standard

TASK = Task((1, 4, 4), ("side",), ("no", "yes"))
TINY = {"blocks": 3, "width": 16, "epochs": 1, "min_updates": 10, "decoder_width": 16}


def toy(n: int = 256) -> Split:
    """Bright left or right (the target); bright above or below is told beside it, as "High"."""
    draw = torch.Generator().manual_seed(5)
    y, high = torch.randint(2, (2, n, 1), generator=draw)
    x = torch.randint(60, (n, 1, 4, 4), generator=draw)
    x[..., :2] += 90 * (1 - y)[:, None, None]
    x[..., 2:] += 90 * y[:, None, None]
    x[:, :, :2] += 90 * high[:, None, None]
    return Split(x.byte(), y, TASK, "toy", high, ("No_High",))


def net(method):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return method.build(TASK).eval()


def classifier(seed: int) -> nn.Module:
    return Linear(epochs=1, min_updates=5).fit(toy(), toy(), seed=seed).single_classifier()


def soft(logits, target):
    return -(target * logits.log_softmax(-1)).sum(-1).mean()


@pytest.mark.parametrize("regularise", ["decoded", "input"])
def test_equation_7_summed_by_hand(regularise):
    method = ReDecNN(compose="linear", regularise=regularise, **TINY)
    m = classifier(1)
    composition = CompositionLoss(m, regularise=regularise)
    model, data, layers = net(method), toy(6), torch.tensor([[0, 1, 2, 2, 1, 0]])
    x, alpha = data.floats(), 0.7
    total = recursive_loss(
        model, x, data.y, layers, alpha=alpha, beta=0.02, composition=composition
    )
    h = model.classifier.activations(x)
    decoded = torch.cat([model.decoder(h[k, [i]]) for i, k in enumerate(layers[0])])
    target = m(x if regularise == "input" else decoded).softmax(-1)
    plain = recursive_loss(model, x, data.y, layers, alpha=alpha, beta=0.02)
    added = alpha * soft(model.classifier(decoded), target)
    torch.testing.assert_close(total, plain + added)


def test_no_gradient_flows_through_what_m_says_of_a_decoding():
    x, logits = torch.rand(1, 5, 1, 4, 4, requires_grad=True), torch.zeros(1, 5, 1, 2)
    found = CompositionLoss(classifier(1))(x[0], x, logits.requires_grad_(), torch.ones(1))
    found.backward()
    assert x.grad is None
    assert logits.grad is not None


def test_equation_8_is_least_where_m_knows_nothing_and_reaches_the_decoding():
    m = classifier(1)
    decoded = torch.rand(1, 64, 1, 4, 4, requires_grad=True)
    logits, weights = torch.zeros(1, 64, 1, 2), torch.tensor([0.5])
    found = CompositionLoss(protected=(m,))(decoded[0], decoded, logits, weights)
    guess = m(decoded[0])
    torch.testing.assert_close(found, 0.5 * soft(guess, torch.full_like(guess, 0.5)))
    assert found > 0.5 * torch.tensor(2.0).log()
    assert torch.autograd.grad(found, decoded)[0].abs().sum() > 0


def test_one_decoding_of_each_input_stands_for_the_weighted_sum_of_all():
    m = classifier(1)
    x = torch.rand(1, 1, 4, 4).expand(20_000, 1, 4, 4)
    decoded = torch.rand(3, 1, 1, 4, 4).expand(3, 20_000, 1, 4, 4)
    logits = torch.randn(3, 1, 1, 2).expand(3, 20_000, 1, 2)
    weights = torch.tensor([0.5, 0.25, 0.125])
    wanted = sum(
        w * soft(said[:1], m(image[:1]).softmax(-1))
        for w, image, said in zip(weights, decoded, logits, strict=True)
    )
    found = CompositionLoss(m)(x, decoded, logits, weights)
    torch.testing.assert_close(found, wanted, rtol=0.03, atol=0)


@pytest.mark.parametrize("cls", [DecNN, ReDecNN])
def test_a_method_without_companions_is_left_as_it_was(cls):
    method, data = cls(**TINY), toy(8)
    assert method.prerequisites(0) == {}
    method.fit(data, data, seed=0)


@pytest.mark.parametrize("cls", [DecNN, ReDecNN])
def test_companions_are_asked_for_used_and_let_go(cls):
    method = cls(compose="linear", protect=("High", "Wide"), **TINY)
    wanted = method.prerequisites(4)
    assert {key: (item.method, item.seeds, item.target) for key, item in wanted.items()} == {
        "m": ("linear", (4,), ""),
        "High": ("standard", (4,), "High"),
        "Wide": ("standard", (4,), "Wide"),
    }
    settings = {key: value for key, value in TINY.items() if key != "decoder_width"}
    given = {
        key: [(Linear(min_updates=5) if key == "m" else Standard(**settings)).fit(
            toy(), toy(), seed=4)]
        for key in wanted
    }  # fmt: skip
    method.fit(toy(), toy(), seed=4, prerequisites=given)
    alone = cls(**TINY).fit(toy(), toy(), seed=4)
    assert vars(method).keys() == vars(alone).keys(), "networks of others stay with the method"
    assert all(p.requires_grad for m in given.values() for p in m[0].net.parameters())
    mine, other = method.state()["net"], alone.state()["net"]
    assert mine.keys() == other.keys()
    assert any(not torch.equal(mine[key], other[key]) for key in mine)


@pytest.mark.parametrize("spec", ["redecnn:compose=linear", "decnn:compose=resnet"])
def test_a_composed_method_fits_with_its_ingredients(spec):
    assert Trial(spec).fit().net is not None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("redecnn:compose=liner", "Did you mean 'linear'"),
        ("decnn:regularise=inputs", "Did you mean 'input'"),
    ],
)
def test_an_unknown_choice_is_named(spec, message):
    with pytest.raises(UnknownNameError, match=message):
        choose("method", spec, subclasses(methods, Method))


def test_several_attributes_are_joined_on_the_command_line():
    (choice,) = choose("method", "redecnn:protect=Bald+Male", subclasses(methods, Method))
    assert choice.params["protect"] == ("Bald", "Male")
    assert choice.label == "redecnn:protect=Bald+Male"


def test_methods_that_are_asked_for_are_no_part_of_all():
    known = subclasses(methods, Method)
    everyone = {choice.cls for choice in choose("method", "all", known)}
    assert everyone.isdisjoint({ResNet18, Grad})
    assert {c.cls for c in choose("method", "grad,resnet*", known)} == {ResNet18, Grad}


def test_a_reversed_gradient():
    h = torch.rand(3, 4, requires_grad=True)
    out = GradientReversal.apply(h, 0.5)
    assert torch.equal(out, h)
    out.sum().backward()
    assert torch.equal(h.grad, torch.full((3, 4), -0.5))


def test_gradient_reversal_trains_f_against_the_adversary():
    settings = {"blocks": 2, "width": 16, "min_updates": 150, "lr": 3e-3}
    data = toy(512)
    hidden = data.attribute("High")
    assert torch.equal(hidden, 1 - data.attributes[:, 0])

    def blindness(method) -> float:
        h = method.net.classifier.activations(data.floats())[-1]
        return functional.cross_entropy(method.net.guess(h)[:, 0], hidden).item()

    helped = Grad(protect=("High",), strength=-1.0, **settings).fit(data, data, seed=0)
    against = Grad(protect=("High",), strength=1.0, **settings).fit(data, data, seed=0)
    assert (against.single_classifier()(data.floats()).argmax(-1) == data.y).float().mean() > 0.95
    assert blindness(helped) < 0.2 < 0.6 < blindness(against)


def test_an_attribute_the_data_does_not_tell_of_is_named():
    with pytest.raises(DataError, match=r"no attribute 'No_Hihg'\. Did you mean 'No_High'"):
        toy().attribute("No_Hihg")
    with pytest.raises(DataError, match=r"no attribute 'Bald'\. Known: side"):
        replace(toy(), attributes=None, attribute_names=()).attribute("Bald")


def test_resnet18_takes_small_and_coloured_images():
    task = Task((3, 8, 8), ("a", "b"), ("x", "y", "z"))
    with torch.random.fork_rng():
        model = ResNet18().build(task).eval()
    assert model(torch.rand(2, 3, 8, 8)).shape == (2, 2, 3)


def test_both_values_of_an_attribute_weigh_alike():
    assert balance(torch.tensor([[0], [0], [0], [1]])).tolist() == pytest.approx([2 / 3, 2.0])
    assert balance(torch.zeros(4, 1, dtype=torch.long))[0] == 0.5
