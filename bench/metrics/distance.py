"""How far two sets of images lie apart, in numbers that no network and no opinion enters.

Images are (N, C, H, W) in [0, 1], of equally many inliers and outliers. No input is judged by what
it taught: halves are drawn by a seed and judge each other, and no input is its own neighbour.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError

Images = NDArray[np.float32]
Features = NDArray[np.float64]
FEWEST = 4  # of either set: two for each half


class Distance(NamedTuple):
    """How far a set of outliers lies from inliers.

    Args:
        error: of a classifier that tells the sets apart, on halves that it was not trained on:
            0 is far, 0.5 means that they are the same.
        low: lower end of its 95 % interval (Clopper and Pearson).
        high: upper end.
        overlap: share of inputs of both sets whose nearest other input is of the other set: 0 is
            far, 0.5 means that they are the same.
        reach: median distance of an outlier to the nearest inlier in units of that of an inlier,
            among histograms of gradients: 1 means as near as an inlier.
        n: inputs of each set.
    """

    error: float
    low: float
    high: float
    overlap: float
    reach: float
    n: int


def distance(inliers: Images, outliers: Images, *, seed: int = 0) -> Distance:
    """Return how far ``outliers`` lie from as many ``inliers``.

    Raises:
        BenchError: the sets are smaller than `FEWEST`.
    """
    n = len(outliers)
    if n < FEWEST or len(inliers) != n:
        raise BenchError(f"a distance needs {FEWEST} inputs of each set, and there are {n}")
    half = np.random.default_rng(seed).permutation(n) < n // 2  # of both sets alike
    error, low, high = classifier_error(inliers, outliers, half)
    pixels = np.concatenate([flat(inliers), flat(outliers)])
    return Distance(
        error, low, high, nearest_overlap(pixels, n), reach(hog(inliers), hog(outliers), half), n
    )


def classifier_error(
    inliers: Images, outliers: Images, half: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Return the error of telling the sets apart on held-out halves, and its 95 % interval.

    The two-sample test of Lopez-Paz and Oquab 2017 (arXiv:1610.06545) with a support vector
    machine of radial basis functions on pixels; each half is judged by what the other taught.
    """
    from scipy.stats import binomtest
    from sklearn.svm import SVC

    x, where = np.concatenate([flat(inliers), flat(outliers)]), np.concatenate([half, half])
    outlier = np.arange(len(x)) >= len(inliers)
    wrong = 0
    for known in (where, ~where):
        judge = SVC(gamma="scale").fit(x[known], outlier[known])
        wrong += int((judge.predict(x[~known]) != outlier[~known]).sum())
    ends = binomtest(wrong, len(x)).proportion_ci(0.95, "exact")
    return wrong / len(x), float(ends.low), float(ends.high)


def nearest_overlap(x: Features, n: int) -> float:
    """Share of inputs whose nearest other input is of the other set; x (2 N, F), inliers first.

    Half the statistic of Schilling 1986 and Henze 1988 with one neighbour, in [0, 1].
    """
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=1).fit(x).kneighbors(return_distance=False)[:, 0]
    outlier = np.arange(len(x)) >= n
    return float((outlier[nearest] != outlier).mean())


def reach(inliers: Features, outliers: Features, half: NDArray[np.bool_]) -> float:
    """Median distance of outliers to one half of the inliers, in units of the other half's."""
    from sklearn.neighbors import NearestNeighbors

    known = NearestNeighbors(n_neighbors=1).fit(inliers[half])
    own, others = (np.median(known.kneighbors(x)[0]) for x in (inliers[~half], outliers))
    return float(others / own) if own else float("inf")


def hog(images: Images) -> Features:
    """Histograms of oriented gradients of each image, (N, F) (Dalal and Triggs 2005).

    Nine directions in 4 x 4 cells over the image, whatever its size.
    """
    from skimage.feature import hog as of_image

    _, _, height, width = images.shape
    cell = max(height // 4, 1), max(width // 4, 1)
    grey = images.mean(1, dtype=np.float64)
    return np.stack(
        [of_image(x, pixels_per_cell=cell, cells_per_block=(1, 1), orientations=9) for x in grey]
    )


def flat(images: Images) -> Features:
    """Images as vectors, (N, C H W)."""
    return images.reshape(len(images), -1).astype(np.float64)
