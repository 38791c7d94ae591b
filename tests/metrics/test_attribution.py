"""How far maps agree, on maps small enough to count."""

import numpy as np
import pytest

from bench.metrics.attribution import kendall, top_overlap


def test_tau_is_one_for_the_same_order_and_minus_one_for_its_reverse():
    first = np.array([[1.0, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]])
    second = np.array([[1.0, 4, 9, 16], [4, 3, 2, 1], [1, 2, 4, 3]])
    assert kendall(first, second) == pytest.approx([1, -1, 4 / 6])  # five pairs agree, one does not


def test_a_map_without_an_order_agrees_with_none():
    assert kendall(np.ones((1, 4)), np.array([[1.0, 2, 3, 4]])).tolist() == [0.0]


def test_the_overlap_counts_the_top_pixels_in_common():
    first = np.array([[9.0, 8, 7, 1, 0, 0], [9, 8, 7, 1, 0, 0]])
    second = np.array([[7.0, 9, 0, 8, 0, 0], [0, 0, 0, 9, 8, 7]])
    assert top_overlap(first, second, 0.5) == pytest.approx([2 / 3, 0])
    assert top_overlap(first, first, 0.4) == pytest.approx([1, 1])  # 2.4 pixels are three


def test_among_equal_pixels_the_first_are_the_top():
    assert top_overlap(np.array([[1.0, 1, 1, 0]]), np.array([[1.0, 0, 1, 1]]), 0.25).tolist() == [1]


def test_the_top_is_at_least_one_pixel_and_at_most_all():
    maps = np.array([[3.0, 1, 2]])
    for share in (0.0, 2.0):
        assert top_overlap(maps, maps, share).tolist() == [1]
    assert top_overlap(maps, np.array([[1.0, 3, 2]]), 0.0).tolist() == [0]
