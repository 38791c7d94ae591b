"""From words on the command line to what is built."""

from typing import ClassVar

import pytest

from bench import methods
from bench.datasets.named import Named
from bench.discover import choose, subclasses
from bench.errors import UnknownNameError, UsageError
from bench.methods.base import Method
from bench.scenarios.base import Scenario


class Plain(Named):
    name = "plain"
    presets: ClassVar = {"smoke": {"size": 1}}
    variants: ClassVar = {"big": {"size": 9}}
    minimum: ClassVar = {"size": 1}
    tags = frozenset({"shapes"})

    def __init__(self, *, size: int = 3, rate: float = 0.5, eps: tuple[float, ...] = (0.1,)):
        self.size, self.rate, self.eps = size, rate, eps


class Derived(Plain):
    name = "derived"
    minimum: ClassVar = {"depth": 2}

    def __init__(self, *, depth: int = 2, **inherited):
        super().__init__(**inherited)
        self.depth = depth


KNOWN = {"plain": Plain, "derived": Derived}


def labels(wanted: str, preset: str | None = None) -> list[str]:
    return [c.label for c in choose("thing", wanted, KNOWN, preset)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("plain", ["plain"]),
        ("plain,derived", ["plain", "derived"]),
        ("all", ["plain", "plain:size=9", "derived", "derived:size=9"]),
        ("pl*", ["plain", "plain:size=9"]),
        ("shapes", ["plain", "plain:size=9", "derived", "derived:size=9"]),
        ("plain:big", ["plain:size=9"]),
        ("plain:size=4,rate=0.1,derived", ["plain:rate=0.1,size=4", "derived"]),
        ("plain:size=4,5,6", ["plain:size=4", "plain:size=5", "plain:size=6"]),
        ("plain:size=3", ["plain"]),
        ("plain:rate=1", ["plain:rate=1.0"]),
        ("derived:depth=4,size=2", ["derived:depth=4,size=2"]),
        ("plain,plain", ["plain"]),
    ],
)
def test_words_become_choices(wanted, expected):
    assert labels(wanted) == expected


def test_a_preset_sets_defaults_and_is_silent_in_the_label():
    (choice,) = choose("thing", "plain", KNOWN, "smoke")
    assert choice.label == "plain"
    assert choice.params["size"] == 1
    assert labels("plain:size=1", "smoke") == ["plain"]
    assert labels("plain:size=3", "smoke") == ["plain:size=3"]


def test_a_tuple_takes_several_values():
    (choice,) = choose("thing", "plain:eps=0.1,0.2", KNOWN)
    assert choice.params["eps"] == (0.1, 0.2)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("plian", "unknown thing 'plian'. Did you mean 'plain'"),
        ("zzz", r"unknown thing 'zzz'. Known: derived, plain, shapes"),
        ("plain:sise=3", "unknown parameter of plain 'sise'. Did you mean 'size'"),
        ("plain:bog", "unknown variant of plain 'bog'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(wanted, message):
    with pytest.raises(UnknownNameError, match=message):
        labels(wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("plain:size=many", "plain: parameter 'size' takes an int, not 'many'"),
        ("plain:size=2.5", "takes an int, not '2.5'"),
        ("plain:rate=True", "takes a float, not 'True'"),
        ("plain:eps=x", "takes a float, not 'x'"),
        ("plain:size=0", "plain: parameter 'size' is at least 1, not 0"),
        ("plain:size=3,-1", "plain: parameter 'size' is at least 1, not -1"),
        ("derived:size=0", "derived: parameter 'size' is at least 1, not 0"),
        ("derived:depth=1", "derived: parameter 'depth' is at least 2, not 1"),
        (" , ", "no thing was asked for"),
    ],
)
def test_a_wrong_value_is_named(wanted, message):
    with pytest.raises(UsageError, match=message):
        labels(wanted)


def test_overrides_apply_where_the_words_say_nothing():
    (plain, named) = choose("thing", "plain,plain:size=7", KNOWN, None, {"size": 5, "cap": 1})
    assert (plain.label, named.label) == ("plain:size=5", "plain:size=7")


def test_parameters_are_collected_along_the_classes():
    assert Derived.defaults() == {"depth": 2, "size": 3, "rate": 0.5, "eps": (0.1,)}
    assert Derived(depth=1, size=7).params()["size"] == 7


def test_every_method_and_scenario_is_found_by_its_file():
    import bench.scenarios

    assert {"chance", "standard", "redecnn"} <= subclasses(methods, Method).keys()
    found = subclasses(bench.scenarios, Scenario)
    assert {"clean", "cross_dataset", "corruption", "adversarial", "cost"} <= found.keys()
