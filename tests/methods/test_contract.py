"""One contract, every method; found by discovery, so a new file is tested at once."""

import pytest

from bench import methods
from bench.commands.check import CHECKS, Trial, check_method
from bench.discover import subclasses
from bench.errors import UnknownNameError
from bench.methods.base import Method

# `pretrained` is nothing without the user's files: tests/test_pretrained.py gives it some
KNOWN = {name: cls for name, cls in subclasses(methods, Method).items() if name != "pretrained"}
TRIALS = {name: Trial(name) for name in KNOWN}
EXCEPTIONS: dict[tuple[str, str], str] = {}


@pytest.mark.parametrize("title", CHECKS)
@pytest.mark.parametrize("name", KNOWN)
def test_contract(name, title):
    if reason := EXCEPTIONS.get((name, title)):
        pytest.xfail(reason)
    CHECKS[title](TRIALS[name])


@pytest.mark.parametrize("name", [n for n, cls in KNOWN.items() if cls.variants])
def test_variants_build_and_differ_from_the_default(name):
    for variant in KNOWN[name].variants:
        choice = Trial(f"{name}:{variant}").choice
        assert choice.label != name
        assert choice.label.startswith(f"{name}:")


def test_an_unknown_method_is_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'mc_dropout'"):
        list(check_method("mc_dropuot"))
