"""``bench.evaluate``: a network that is in memory, on a data set, without a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bench.commands.experiment import Experiment, store
from bench.commands.given import NETWORKS, GivenNetwork, network_digest
from bench.commands.given_data import arrays_file
from bench.commands.measure import Words, carry_out, results_of, settings_of
from bench.commands.results import Results
from bench.datasets.base import Dataset
from bench.datasets.npz import Npz
from bench.datasets.store import Store
from bench.errors import MethodError, UsageError
from bench.fitting.console import Console
from bench.running.plan import Job, chosen_data, jobs_of

Numbers = float | Sequence[float]


def evaluate(
    model: nn.Module, data: Any = "mnist", scenarios: Words = "ood", *,
    normalise: tuple[Numbers, Numbers] = (0.0, 1.0), crop: int = 0, size: int = 0,
    channels: int = 0, classes: Sequence[str] = (), features: str = "", mc: bool = False,
    samples: int = 20, called: str = "", preset: str | None = None, device: str | None = None,
    limit: int | None = None, results: str | Path | None = None,
    data_folder: str | Path | None = None, outliers: Words | None = None, quiet: bool = True,
) -> Results:  # fmt: skip
    """Return the results of a network as it is: nothing is trained, no file is needed.

    The network is copied, so that it and its mode stay as they are. What was measured is known
    by the bytes of its weights and by its answers to two random images: the same network is not
    measured twice, a changed one is.

    Args:
        model: maps images (n, C, H, W) to logits (n, K).
        data: a name such as "mnist" or "folder:path=DIR"; a `Dataset`; images and labels (x, y),
            of which a fifth is held out as test part; or the arrays of `npz` by name: x_train,
            y_train, x_test, y_test, and perhaps x_val, y_val, classes.
        scenarios: names, globs or tags.
        normalise: mean and standard deviation of images in [0, 1], a number or one a channel.
        crop: side of the central square that is kept of an image: crop=28 for a network of MNIST,
            whose images are padded from 28 to 32 here. 0: the whole image.
        size: side of the network's input; images are resized to it. 0: as they are.
        channels: 3 turns grey images into colour, 1 colour into grey. 0: as they are.
        classes: the network's classes in its order, by the names of the data set.
        features: the module whose output is used as features; by default the input of the last
            linear layer.
        mc: Monte Carlo dropout: keep dropout on for ``samples`` passes.
        samples: passes with dropout.
        called: its name in results; by default its class. Two networks need two names to stand
            beside each other.
        preset: smoke, laptop (default) or paper: the sizes of views.
        device: auto (default), cpu, cuda, cuda:1 … or mps.
        limit: most inputs a view.
        results: folder of records and cache; "results" by default.
        data_folder: folder with data sets.
        outliers: folders of pictures as outliers, as near=DIR or far=DIR.
        quiet: print no progress.

    A `UserWarning` says that images are shrunk, which is wrong where the margin should be cut.

    Raises:
        BenchError: the network does not fit the data, gives what is not finite, or fails.
    """
    experiment = Experiment.of(
        {
            "scenarios": scenarios, "preset": preset, "device": device, "limit": limit,
            "results": results, "data": data_folder, "outliers": outliers,
        }
    )  # fmt: skip
    mean, std = _normalisation(normalise)
    about = {
        "mean": mean, "std": std, "crop": _whole("crop", crop), "size": _whole("size", size),
        "channels": _whole("channels", channels), "classes": _names(classes),
        "features": features, "mc": bool(mc), "samples": _whole("samples", samples),
        "called": str(called), "factory": f"memory:{type(model).__name__}",
    }  # fmt: skip
    settings = settings_of(experiment)
    with experiment.environment(), Console(quiet=quiet) as console, _held(model) as mark:
        jobs: list[Job] = []
        for one in _datasets(data, store(experiment.data), experiment.results):
            digest = network_digest(mark, about, one.task)
            make = partial(GivenNetwork, digest=digest, **about)
            if remark := make().shrinking(one.task):
                warnings.warn(remark, stacklevel=2)
            jobs += jobs_of(
                [(make().label, make)], [one], seeds=(0,),
                scenarios=experiment.scenarios, preset=experiment.preset, limit=experiment.limit,
            )  # fmt: skip
        done = carry_out(None, jobs, settings, console)
    found = results_of(jobs, settings)
    if any(one.failed for one in done):
        ours = {job.label for job in jobs}
        failed = [r for r in found.records if r.status == "failed" and r.method in ours]
        raise MethodError("; ".join(dict.fromkeys(f"{r.method}: {r.reason}" for r in failed)))
    return found


@contextmanager
def _held(model: object) -> Iterator[str]:
    """Keep a copy of a network under the digest that is yielded, while this is open.

    Raises:
        UsageError: it is no network, or cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"evaluate takes a torch.nn.Module, not {type(model).__name__}")
    try:
        net = deepcopy(model).cpu().eval().requires_grad_(False)
    except Exception as error:  # whatever copying a user's object raises
        raise UsageError(f"{type(model).__name__} cannot be copied ({_line(error)})") from error
    with NETWORKS.holding(net) as mark:
        yield mark


def _datasets(data: Any, place: Store, results: Path) -> list[Dataset]:
    if isinstance(data, str):
        return chosen_data(data, place)
    if isinstance(data, Dataset):
        return [data]
    if isinstance(data, Mapping) or (isinstance(data, tuple | list) and len(data) == 2):
        own = Npz(path=str(arrays_file(data, results)), called="arrays")
        own.store = place
        return [own]
    raise UsageError(
        "data is a name, a Dataset, images and labels (x, y), or arrays by name, not "
        f"{type(data).__name__}"
    )


def _normalisation(pair: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        mean, std = (
            tuple(map(float, v)) if isinstance(v, Sequence | Tensor) else (float(v),) for v in pair
        )
    except (TypeError, ValueError):
        raise UsageError(
            f"normalise takes (mean, std), numbers or one a channel, not {pair}"
        ) from None
    return mean, std


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{name} takes a whole number, not {value!r}")
    return value


def _names(classes: Any) -> tuple[str, ...]:
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise UsageError(f"classes takes a list of names, not {classes!r}")
    return tuple(classes)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
