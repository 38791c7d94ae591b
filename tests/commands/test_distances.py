"""``bench data distances``: measured once, compared with what is declared."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.cli import main
from bench.commands import distances
from bench.commands.distances import Measured, disagreements, lines
from bench.datasets.digits import Digits
from bench.datasets.noise import Noise
from bench.datasets.store import Store
from bench.metrics.distance import Distance


def at(source: str, near: bool, error: float, overlap: float = 0.0, reach: float = 2.0) -> Measured:
    return Measured(source, near, Distance(error, error - 0.01, error + 0.01, overlap, reach, 9))


def test_a_distance_is_measured_once_and_kept(tmp_path, monkeypatch):
    data = Digits()
    data.store = Store(tmp_path)
    (first,), missing = distances.distances(data, [Noise()])
    assert not missing
    assert (first.source, first.near, first.distance.n) == ("noise", False, 360)
    assert first.distance.error < 0.02
    monkeypatch.setattr(distances, "distance", None)
    (again,), _ = distances.distances(data, [Noise()])
    assert again == first


def test_a_far_set_that_is_nearer_than_a_near_one_is_a_disagreement():
    near, far = at("a", True, 0.02, 0.1), at("b", False, 0.05, 0.05)
    assert list(disagreements([near, far])) == [
        "disagreement: b, far, is nearer than a, near, by told apart wrongly"
    ]
    assert not list(disagreements([near, at("b", False, 0.035, 0.05)]))  # within the intervals
    told = list(lines([near, at("b", False, 0.0)], {"c": "it is not there"}))
    assert told[1].split() == ["a", "near", "2.0", "%", "[1.0,", "3.0]", "10.0", "%", "2.00", "9"]
    assert told[-2] == "every near set is measured at least as near as every far one"
    assert told[-1] == "c: not measured (it is not there)"


def said(*words: str):
    return CliRunner().invoke(main, ["data", "distances", *words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digts"], "unknown dataset 'digts'. Did you mean 'digits'"),
        (["digits,mnist"], "distances are from one data set, and 'digits,mnist' names 2"),
    ],
)
def test_a_mistake_is_one_line(words, message):
    done = said(*words)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_one_outlier_of_a_users_own_is_left_out_with_the_reason(tmp_path):
    (tmp_path / "mine").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (9, 9), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mine" / "one.png")
    done = said("digits", "--outliers", str(tmp_path / "mine"), "--data", str(tmp_path / "data"))
    assert done.exit_code == 0, done.output
    assert "not measured (a distance needs 4 inputs of each set, and there are 1)" in done.output
