"""People whom training never heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.datasets.base import Dataset, View, fingerprint
from bench.datasets.named import Value
from bench.datasets.speech import Speech, WithoutSpeakers
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import ShiftScenario, Views
from bench.scenarios.heldout import held_out


class Speaker(ShiftScenario):
    """Fits without some speakers; all that they say is then measured, detection and accuracy.

    Training, validation and clean test part lack them. Every choice is a fit of its own, so
    "all" does not contain it: ask for it by name, or for "audio".

    Args:
        who: speakers held out together, such as theo+lucas; if none is named, each of the first
            ``most`` in alphabetical order is held out in turn.
        most: how many of them.
    """

    name = "speaker"
    source = "leave one speaker out, as usual in speech recognition"
    question = "Is it right, or at least less sure, when somebody new speaks?"
    tags: ClassVar[frozenset[str]] = frozenset({"audio"})
    asked_for = "it makes a fit for every speaker held out"
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "smoke": {"most": 1},
        "paper": {"most": 100},
    }

    def __init__(self, *, who: tuple[str, ...] = (), most: int = 3, **inherited: int) -> None:
        super().__init__(**inherited)
        self.who = who
        self.most = most

    def skip(self, data: Dataset) -> str | None:
        if not isinstance(data, Speech):
            return f"{data.name} is no speech"
        if data.unseen_speakers:
            return f"the test speakers of {data.name} are new already: `clean` measures them"
        return super().skip(data)

    def training(self, data: Dataset) -> Sequence[Dataset]:
        if not isinstance(data, Speech):
            return []
        chosen = [self.who] if self.who else [(name,) for name in data.speakers[: self.most]]
        return [WithoutSpeakers(data, who) for who in chosen]

    def views(self, evaluator: Evaluator) -> Views:
        data = evaluator.data
        if not isinstance(data, WithoutSpeakers):
            raise TypeError(f"{data.label} has no speakers held out")
        outliers, y = held_out(data), data.outlier_labels()
        rows = self.drawn(outliers.n, len(evaluator.test), data.name, self.name)
        digest = fingerprint(outliers.fingerprint, rows)
        name = "+".join(data.who)
        return Views([View(name, digest, len(rows), lambda: outliers.load().x[rows], y[rows])], {})
