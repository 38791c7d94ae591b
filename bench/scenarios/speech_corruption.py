"""The test recordings themselves, made worse in nine ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor

from bench.datasets.base import Dataset, View, fingerprint
from bench.datasets.named import Value
from bench.datasets.speech_corruptions import LEVELS, corrupt
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import ShiftScenario, Views
from bench.scenarios.corruption import Recorded, corrupted, libraries, recorded
from bench.store.code import code_digest
from bench.store.schema import Headline


class SpeechCorruption(ShiftScenario):
    """Noise, room, microphone, line and speaker changed, at three levels from mild to severe.

    They act on the samples as recorded, before the data set's transform. A view's severity is
    its level, and its group is the strength in words, such as "20 dB".

    Args:
        levels: which of 1, 2 and 3.
    """

    name = "speech_corruption"
    source = "Hendrycks and Dietterich 2019, arXiv:1903.12261, carried over to sound"
    question = "Is it less sure of recordings that are noisy, distorted or cut?"
    tags: ClassVar[frozenset[str]] = frozenset({"ood", "audio"})
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {"smoke": {"levels": (3,)}}

    def __init__(self, *, levels: tuple[int, ...] = (1, 2, 3), **inherited: int) -> None:
        super().__init__(**inherited)
        self.levels = levels

    def headlines(self) -> Sequence[Headline]:
        return [Headline("speech corruption", order=20)]

    def skip(self, data: Dataset) -> str | None:
        return super().skip(data) if data.modality == "sound" else f"{data.name} is no speech"

    def views(self, evaluator: Evaluator) -> Views:
        # The same recordings under every corruption, so that views differ in nothing else.
        rows = self.drawn(len(evaluator.test), len(evaluator.test), evaluator.data.name, self.name)
        originals = recorded(evaluator.data, evaluator.test)
        return Views([self._view(n, i, originals, rows) for n in LEVELS for i in self.levels], {})

    def _view(self, name: str, level: int, originals: Recorded, rows: Tensor) -> View:
        data, test, levels = originals.data, originals.test, LEVELS[name]
        code = code_digest("bench.datasets.speech_corruptions")
        digest = fingerprint(originals.fingerprint, name, level, code, libraries())

        def load() -> Tensor:
            make = lambda: corrupt(name, level, originals.load(), data.name)  # noqa: E731
            return corrupted(data, f"{name}-{level}", digest, make)[rows]

        strength = f"{levels.strengths[level - 1]:g} {levels.unit}"
        return View(
            name, fingerprint(digest, rows), len(rows), load, test.y[rows], float(level), strength
        )
