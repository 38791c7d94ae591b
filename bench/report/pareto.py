"""Quality for cost: what each method detects for what it costs, and which of them are efficient.

A method is on the front of a price where no other is at least as good for at most that price, and
better or cheaper. Prices have no intervals, so that a front is as sure as its AUROC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report.frames import Array, ResultGroup
from bench.report.leaderboard import FIT, shifts
from bench.store.schema import RANKED_BY, MetricSpec

PRICES = ("passes", "fit_seconds", "memory")


class Offer(NamedTuple):
    """What one shift's detection costs by one price; indexed by the group's methods.

    Args:
        shift: the column of the leaderboard.
        price: how it is called and printed.
        quality: mean AUROC over views and seeds.
        cost: mean over seeds.
        front: whether no other method is at least as good for at most this price.
    """

    shift: str
    price: MetricSpec
    quality: pd.Series
    cost: pd.Series
    front: pd.Series


def front(cost: Array, quality: Array) -> NDArray[np.bool_]:
    """Return which pairs no other pair beats, (M,); NaN in either is never on the front."""
    known = ~(np.isnan(cost) | np.isnan(quality))
    as_cheap, as_good = cost[None] <= cost[:, None], quality[None] >= quality[:, None]
    better = (cost[None] < cost[:, None]) | (quality[None] > quality[:, None])
    return known & ~(known[None] & as_cheap & as_good & better).any(axis=1)


def offers(group: ResultGroup, score: str = RANKED_BY) -> Iterator[Offer]:
    """Yield every shift of the leaderboard by every price that is known."""
    known = list(prices(group))
    for column in shifts(group):
        quality = pd.Series(column.values(group, score).mean(axis=(1, 2)), group.methods)
        for spec, cost in known:
            on = pd.Series(front(cost.to_numpy(), quality.to_numpy()), group.methods)
            if (quality.notna() & cost.notna()).any():
                yield Offer(column.label, spec, quality, cost, on)


def prices(group: ResultGroup) -> Iterator[tuple[MetricSpec, pd.Series]]:
    """Yield what methods cost, mean over seeds: seconds to fit, and what `cost` measured."""
    for name in PRICES:
        part = next((p for p in group.measurements.values() if name in p.metrics), None)
        if name == FIT.name:
            yield FIT, group.fit_seconds.mean(axis=1, skipna=False)
        elif part is not None:
            values = part.values(group.specs[name], RANKED_BY).mean(axis=(1, 2))
            yield group.specs[name], pd.Series(values, group.methods)


def table(group: ResultGroup, score: str = RANKED_BY) -> pd.DataFrame:
    """A line for each shift and method: AUROC, then each price and whether it is on its front."""
    parts: dict[str, pd.DataFrame] = {}
    for offer in offers(group, score):
        start = pd.DataFrame({"shift": offer.shift, "auroc": offer.quality.round(6)})
        lines = parts.setdefault(offer.shift, start)
        lines[offer.price.name] = offer.cost.round(6)
        lines[f"{offer.price.name}_front"] = offer.front
    whole = pd.concat(parts.values()) if parts else pd.DataFrame()
    return whole.rename_axis("method").reset_index()
