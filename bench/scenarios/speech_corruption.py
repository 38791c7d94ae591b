"""The test recordings themselves, made worse in nine ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from bench.code import code_digest
from bench.subject import Subject
from datasets.base import Dataset, View, fingerprint
from datasets.named import Value
from datasets.speech_corruptions import LEVELS, corrupt

from .base import ShiftScenario, Views
from .corruption import corrupted


class SpeechCorruption(ShiftScenario):
    """Noise, room, microphone, line and speaker changed, at three levels from mild to severe.

    They act on the samples as recorded, before the data set's transform. A view's severity is
    its level, and its group says what that is, such as "20 dB".

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

    def skip(self, data: Dataset) -> str | None:
        return super().skip(data) if data.kind == "speech" else f"{data.name} is no speech"

    def views(self, subject: Subject) -> Views:
        # The same recordings under every corruption, so that views differ in nothing else.
        rows = self.drawn(len(subject.test), len(subject.test), subject.data.name, self.name)
        return Views([self._view(n, i, subject, rows) for n in LEVELS for i in self.levels], {})

    def _view(self, name: str, level: int, subject: Subject, rows: Tensor) -> View:
        data, test, levels = subject.data, subject.test, LEVELS[name]
        code = code_digest("datasets.speech_corruptions")
        mark = fingerprint(test.fingerprint, name, level, code)

        def load() -> Tensor:
            make = lambda: corrupt(name, level, data.raw("test").x, data.name)  # noqa: E731
            return corrupted(data, f"{name}-{level}", mark, make)[rows]

        strength = f"{levels.strengths[level - 1]:g} {levels.unit}"
        return View(
            name, fingerprint(mark, rows), len(rows), load, test.y[rows], float(level), strength
        )
