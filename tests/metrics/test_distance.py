"""How far sets of images lie apart: equal sets, far ones, and what cannot be measured."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from bench.errors import BenchError
from bench.metrics.distance import distance, flat, hog, nearest_overlap, reach


def images(n: int, seed: int, low: float = 0.0, high: float = 1.0):
    rng = np.random.default_rng(seed)
    return rng.uniform(low, high, (n, 1, 8, 8)).astype(np.float32)


def test_equal_sets_are_told_apart_as_often_as_not():
    found = distance(images(200, 0), images(200, 1))
    assert found.low < 0.5 < found.high
    assert found.overlap == pytest.approx(0.5, abs=0.1)
    assert found.reach == pytest.approx(1, abs=0.1)
    assert found.n == 200


def test_far_sets_are_told_apart_and_share_no_neighbours():
    found = distance(images(100, 0, 0.0, 0.2), images(100, 1, 0.8, 1.0))
    assert (found.error, found.low, found.overlap) == (0, 0, 0)
    assert found.high < 0.03


def test_the_overlap_is_one_minus_leave_one_out_accuracy_of_the_nearest_neighbour():
    x = np.concatenate([flat(images(50, 0)), flat(images(50, 1, 0.1, 1.0))])
    rows = NearestNeighbors(n_neighbors=2).fit(x).kneighbors(x, return_distance=False)[:, 1]
    assert nearest_overlap(x, 50) == ((rows >= 50) != (np.arange(100) >= 50)).mean()


def test_reach_is_in_units_of_the_inliers_own_distance():
    inliers, half = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([True, False, True, False])
    assert reach(inliers, np.array([[7.0], [6.0], [5.0]]), half) == 4  # of 1, the inliers' own


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (3, 3, 32, 32), (3, 1, 28, 28), (3, 1, 4, 4)])
def test_gradients_are_counted_whatever_the_size(shape):
    found = hog(np.random.default_rng(0).random(shape, dtype=np.float32))
    assert found.shape == (3, 9 * 16)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_inputs_are_named(n):
    with pytest.raises(BenchError, match=f"needs 4 inputs of each set, and there are {n}$"):
        distance(images(n, 0), images(n, 1))
