"""Data sets made from another for training: a part left out, or one target alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from .base import Dataset
from .store import Store


class Variant(Dataset):
    """Inputs of ``base``, named ``<base>~<change>``.

    A scenario builds it; it is no choice on the command line, so its class has no `name`. A
    subclass chooses inputs and labels.
    """

    base: Dataset

    def __init__(self, base: Dataset, change: str) -> None:
        self.base = base
        self.name = f"{base.name}~{change}"
        self.label = f"{base.label}~{change}"
        self.source = base.source
        self.version = base.version
        self.kind = base.kind
        self.content = base.content
        self.modality = base.modality
        self.embedded = base.embedded
        self.fetched_unasked = base.fetched_unasked
        self.val_share = base.val_share

    @property
    def store(self) -> Store:
        """The folders of the base's files."""
        return self.base.store

    @store.setter
    def store(self, store: Store) -> None:
        self.base.store = store

    @property
    def shows_people(self) -> bool:
        return self.base.shows_people

    def transform(self, x: Tensor) -> Tensor:
        return self.base.transform(x)

    def files(self) -> Sequence[Path]:
        return self.base.files()

    def identity(self) -> str | None:
        return self.base.identity()

    def code_modules(self) -> tuple[str, ...]:
        return (*super().code_modules(), *self.base.code_modules())

    def where(self) -> str | None:
        return self.base.where()

    def download(self) -> None:
        self.base.download()
