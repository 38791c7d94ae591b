"""Data sets made from another for training: a part left out, or one target alone."""

from __future__ import annotations

from torch import Tensor

from .base import Dataset
from .store import Store


class Variant(Dataset):
    """Inputs of ``base``, labelled ``<base>~<what>``; a subclass says which, and what is asked.

    It is built by a scenario, and is no choice on the command line.
    """

    base: Dataset

    def __init__(self, base: Dataset, what: str) -> None:
        self.base = base
        self.label = f"{base.label}~{what}"
        about = ("source", "version", "kind", "content", "embedded", "val_share")
        vars(self).update({name: getattr(base, name) for name in about})
        vars(self)["name"] = f"{base.name}~{what}"  # an instance's own: not discovered

    @property
    def store(self) -> Store:
        """Where the base looks for its files."""
        return self.base.store

    def transform(self, x: Tensor) -> Tensor:
        return self.base.transform(x)

    def where(self) -> str | None:
        return self.base.where()

    def download(self) -> None:
        self.base.download()
