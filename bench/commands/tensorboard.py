"""``bench export --to tensorboard``: kept training logs as event files, one run for each fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError, WriteError
from bench.store import curves
from bench.store.curves import CurveFile
from bench.store.files import slug

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TAGS = ("loss/training", "loss/validation", "accuracy/validation")  # of `CurveFile.training`
EVENTS = "events.out.tfevents.*"


def export(folders: Sequence[Path], out: Path) -> tuple[int, list[str]]:
    """Write the epochs of every fit below ``out``; return how many fits, and what was left out.

    A run is called after data set, method and seed, and an earlier export of it is replaced.

    Raises:
        UsageError: no fit has a log, or tensorboard is not installed.
        WriteError: the folder cannot be written to.
    """
    made, problems = _fits(folders)
    if not made:
        raise UsageError(
            f"no training logs under {', '.join(map(str, folders))}; `bench run` with the scenario "
            "clean keeps them"
        )
    open_run = _writer()
    for name, epochs in made.items():
        try:
            _write(out / name, epochs, open_run)
        except OSError as error:
            raise WriteError(f"{out / name} cannot be written ({error.strerror})") from error
    return len(made), problems


def _fits(folders: Sequence[Path]) -> tuple[dict[str, CurveFile], list[str]]:
    """Return the curves of each fit with a log, by the name of its run; first folders go first."""
    read = [curves.read_all(folder / "curves") for folder in folders]
    found: dict[str, CurveFile] = {}
    for one in (one for files, _ in read for one in files if one.training):
        found.setdefault(f"{slug(one.dataset)}/{slug(one.method)}-s{one.seed}", one)
    return found, [problem for _, problems in read for problem in problems]


def _writer() -> Callable[[str], SummaryWriter]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # it is optional
        raise UsageError('this needs tensorboard: pip install "bench[tensorboard]"') from None
    return SummaryWriter


def _write(folder: Path, fit: CurveFile, open_run: Callable[[str], SummaryWriter]) -> None:
    earlier = [*folder.glob(EVENTS)]
    with open_run(str(folder)) as run:
        for tag, value, epoch in _scalars(fit):
            run.add_scalar(tag, value, epoch)
    for path in earlier:
        path.unlink()


def _scalars(fit: CurveFile) -> Iterator[tuple[str, float, int]]:
    for epoch, values in enumerate(fit.training, 1):
        for tag, value in zip(TAGS, values, strict=True):
            yield tag, value, epoch
