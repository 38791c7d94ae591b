"""Base class of sources that are outliers alone."""

from __future__ import annotations

from abc import abstractmethod

from .base import Raw, Source, SplitName
from .errors import DataError


class Outliers(Source):
    """A source with test images alone. A subclass writes `images` in place of `raw`."""

    @abstractmethod
    def images(self) -> Raw:
        """Return all images; labels are -1 where the source has none."""

    def raw(self, which: SplitName) -> Raw:
        if which != "test":
            raise DataError(f"{self.name} is an outlier source: it has test images alone")
        return self.images()
