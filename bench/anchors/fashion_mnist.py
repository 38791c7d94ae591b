"""Fashion-MNIST against MNIST: numbers of others that are only stated here."""

from __future__ import annotations

from bench.anchors.base import Anchor, Published


class FashionMnist(Anchor):
    """DUQ and an ensemble of five networks, trained on Fashion-MNIST, with MNIST as outliers."""

    name = "fashion_mnist"
    source = "van Amersfoort et al. 2020, arXiv:2003.02037, and a reproduction of it"
    data = "fashion"
    set_up = "three convolutions of 64, 128 and 128 channels with batch normalisation, 30 epochs"
    unmeasured = (
        "one network takes about 2 500 s of a core (0.17 s for a step of 128, 14 070 steps), the "
        "ensemble five times that; the nearest of ours is the method ensemble:size=5,backbone=cnn"
    )
    published = (
        Published("DUQ, error", 7.6, "accuracy"),
        Published("DUQ", 95.5, view="mnist"),
        Published("DUQ reproduced, error", 7.7, "accuracy"),
        Published("DUQ reproduced", 94.1, view="mnist"),
        Published("five networks reproduced, error", 6.7, "accuracy"),
        Published("five networks reproduced", 88.9, view="mnist"),
    )
