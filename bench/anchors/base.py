"""What a published set-up declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench.datasets.named import Named
from bench.methods.base import Method
from bench.scenarios.base import Scenario
from bench.store.schema import Record


@dataclass(frozen=True)
class Published:
    """One published number, in per cent, and the row of the harness that has the same.

    Args:
        what: in words.
        value: as published.
        metric: its name in rows; for "accuracy" the share of errors is meant.
        scenario: of the row.
        view: of the row, without the size of an incomplete set.
        score: of the row.
        differs: what of the set-up is not the published one, or "".
    """

    what: str
    value: float
    metric: str = "auroc"
    scenario: str = "cross_dataset"
    view: str = "clean"
    score: str = "msp"
    differs: str = ""

    def found(self, records: Sequence[Record]) -> list[float]:
        """Return the number of each record that has it, in per cent."""
        values = [
            row.metrics[self.metric]
            for record in records
            for row in record.rows
            if record.scenario == self.scenario
            and (row.view.partition("-")[0], row.score) == (self.view, self.score)
            and self.metric in row.metrics
        ]
        return [100 * (1 - v if self.metric == "accuracy" else v) for v in values]


class Anchor(Named):
    """A published set-up with its numbers; a new one is one new file.

    ``set_up`` says in a sentence what was trained, and ``source`` where the numbers stand. One
    whose numbers are only stated says in ``unmeasured`` why, and has neither method nor scenarios.
    """

    set_up: ClassVar[str]
    data: ClassVar[str] = "mnist"
    unmeasured: ClassVar[str] = ""
    published: ClassVar[tuple[Published, ...]]

    def method(self) -> Method | None:
        """Return the method that is trained as published."""
        return None

    def scenarios(self) -> tuple[Scenario, ...]:
        """Return the scenarios that measure it."""
        return ()
