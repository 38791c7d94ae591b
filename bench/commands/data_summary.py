"""``bench data summary``: what a data set holds, before anything is fitted on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from torch import Tensor

from bench.datasets.base import Dataset, Source, Split, fingerprint
from bench.datasets.decoding import Decoded
from bench.datasets.errors import DataError
from bench.datasets.folder import Folder
from bench.datasets.outlier_folder import OutlierFolder, own_outliers
from bench.datasets.store import Store
from bench.running.plan import one_dataset

UNEVEN = 10  # times as many training inputs of the largest class as of the smallest
SHOWN = 20  # lines of unreadable files, and of classes
EXAMPLES = 3  # pairs of equal files


def summary(words: str, store: Store) -> tuple[list[str], bool]:
    """Return lines about the data set that ``words`` name, and whether every file can be read.

    It is compared with the outliers of the user's own, if there are any.

    Raises:
        UsageError: the words name several data sets.
        DataError: the data is not there, or not of the expected form.
    """
    data = one_dataset(words, store, "a summary is of")
    outliers = own_outliers(data)
    if broken := list(_unreadable([data, *outliers])):
        return [*_listed(data), *broken], False
    return [*_contents(data), *_duplicates(data, outliers)], True


def _unreadable(sources: Sequence[Source]) -> Iterator[str]:
    """Yield a line for each picture that cannot be read."""
    for source in sources:
        if not isinstance(source, Folder | OutlierFolder):
            continue
        bad = _decoded(source).unreadable
        if bad:
            yield f"{source.label}: {len(bad)} of {len(source.pictures.names)} files cannot be read"
        for i in sorted(bad)[:SHOWN]:
            yield f"  {source.pictures.names[i]}: {bad[i]}"
        if len(bad) > SHOWN:
            yield f"  and {len(bad) - SHOWN} more"


def _decoded(source: Folder | OutlierFolder) -> Decoded:
    """Return the pictures as kept, if they could all be read; else as they are now."""
    try:
        if isinstance(source, Folder):
            return Decoded(source.read_images(), {})
        return Decoded(source.images().x, {})
    except DataError:
        channels = source.channels if isinstance(source, Folder) else 3
        return source.pictures.decoded(source.size, channels)


def _listed(data: Dataset) -> Iterator[str]:
    if isinstance(data, Folder):
        yield f"{data.label}: {len(data.pictures.names)} pictures, {len(data.task.classes)} classes"


def _contents(data: Dataset) -> Iterator[str]:
    """Yield sizes, then the classes with their numbers in each part."""
    parts = data.splits(0)
    shape = "x".join(map(str, data.task.shape))
    sizes = ", ".join(f"{name} {len(part)}" for name, part in parts._asdict().items())
    yield f"{data.label}: inputs of {shape}; {sizes} (validation as for seed 0)"
    for t, target in enumerate(data.task.targets[:SHOWN]):
        counts = {name: _counts(part, t, data) for name, part in parts._asdict().items()}
        named = zip(data.task.classes, *counts.values(), strict=True)
        for name, *numbers in list(named)[:SHOWN]:
            yield f"  {target} {name}: " + ", ".join(map(str, numbers))
        yield from _imbalance(target, counts["train"], data.task.classes)
    if (more := max(len(data.task.classes), len(data.task.targets)) - SHOWN) > 0:
        yield f"  and {more} more"


def _counts(part: Split, target: int, data: Dataset) -> list[int]:
    return part.y[:, target].bincount(minlength=len(data.task.classes)).tolist()


def _imbalance(target: str, counts: list[int], classes: Sequence[str]) -> Iterator[str]:
    fewest, most = min(counts), max(counts)
    if fewest * UNEVEN < most:
        low, high = classes[counts.index(fewest)], classes[counts.index(most)]
        yield f"  uneven: {most} of {target} {high} to train on, and {fewest} of {low}"


def _duplicates(data: Dataset, outliers: Sequence[OutlierFolder]) -> Iterator[str]:
    """Yield how many inputs are equal, to the byte, between training, test part and outliers."""
    parts = data.splits(0)
    known = {name: _digests(part.x) for name, part in parts._asdict().items()}
    learned = {*known["train"], *known["val"]}
    yield _shared("test inputs are training or validation inputs too", known["test"], learned)
    repeated = sum(n - 1 for n in Counter(known["train"]).values())
    yield f"  {repeated} of {len(known['train'])} training inputs repeat another"
    if isinstance(data, Folder):
        yield from _pairs(data)
    inliers = learned | {*known["test"]}
    for source in outliers:
        seen = _digests(data.transform(source.images().x))
        group = "near" if source.is_near(data) else "far"
        yield _shared(f"pictures of {source.label} ({group}) are inliers too", seen, inliers)


def _shared(what: str, some: list[str], others: set[str]) -> str:
    return f"  {sum(digest in others for digest in some)} of {len(some)} {what}"


def _pairs(data: Folder) -> Iterator[str]:
    """Yield the first equal pictures of training and test part, by their names."""
    digests, parts = _digests(data.read_images()), data.labels.parts
    learned: dict[str, int] = {}
    for i, digest in enumerate(digests):
        if parts[i] != "test":
            learned.setdefault(digest, i)
    pairs = [(i, learned[d]) for i, d in enumerate(digests) if parts[i] == "test" and d in learned]
    for tested, trained in pairs[:EXAMPLES]:
        yield f"    {data.pictures.names[tested]} is {data.pictures.names[trained]}"


def _digests(x: Tensor) -> list[str]:
    return [fingerprint(image) for image in x]
