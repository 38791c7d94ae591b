"""Constructor arguments: shown, typed and documented."""

import inspect
import re

import pytest

import bench.scenarios
from bench import datasets, methods
from bench.datasets.base import Source
from bench.datasets.named import Named
from bench.discover import subclasses
from bench.methods import decnn, dropout, neural
from bench.methods.base import Method
from bench.methods.decnn import DecodableMethod
from bench.methods.dropout import Dropout
from bench.methods.linear import Linear
from bench.methods.neural import DeepMethod, NeuralMethod
from bench.methods.redecnn import ReDecNN
from bench.scenarios.base import Scenario

EVERYTHING = {
    **subclasses(methods, Method), **subclasses(datasets, Source),
    **subclasses(bench.scenarios, Scenario),
}  # fmt: skip


def documented(cls: type) -> set[str]:
    """The names under ``Args:`` in the docstrings of a class and of those above it."""
    texts = [inspect.cleandoc(c.__doc__ or "") for c in cls.__mro__]
    sections = [text.partition("\nArgs:\n")[2] for text in texts]
    return {name for s in sections for name in re.findall(r"^    (\w+): ", s, re.M)}


@pytest.mark.parametrize("cls", EVERYTHING.values(), ids=lambda cls: cls.name)
def test_every_parameter_is_documented_where_it_is_declared(cls):
    assert set(cls.defaults()) <= documented(cls)


def test_help_shows_the_parameters_of_all_classes_above():
    shown = inspect.signature(ReDecNN).parameters
    assert list(shown)[:2] == ["depth", "alpha"]
    assert {"beta", "backbone", "precision"} <= shown.keys()
    assert shown["batch"].default == 512
    assert inspect.signature(Linear).parameters["lr"].default == 0.03
    assert all(p.kind is p.KEYWORD_ONLY for p in shown.values())


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (NeuralMethod, neural.NeuralParams),
        (DeepMethod, neural.DeepParams),
        (DecodableMethod, decnn.DecodableParams),
        (Dropout, dropout.DropoutParams),
    ],
)
def test_the_type_checker_knows_the_parameters_that_subclasses_pass_on(cls, params):
    assert params.__annotations__.keys() == cls.defaults().keys()


def test_a_class_with_positional_arguments_shows_them():
    class Pair(Named):
        def __init__(self, left: int, *, right: int = 2) -> None:
            self.left, self.right = left, right

    assert list(inspect.signature(Pair).parameters) == ["left", "right"]
    assert Pair.defaults() == {"right": 2}
