"""Rows from outputs that another program saved: logits or probabilities, labels, features."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.datasets.base import View
from bench.errors import UsageError
from bench.fitting.prediction import SUM_TOLERANCE, Prediction
from bench.metrics import registry
from bench.scenarios.base import shift_rows
from bench.scenarios.clean import Clean, clean_rows
from bench.scenarios.cross_dataset import CrossDataset
from bench.scores.own import own_score
from bench.store import records
from bench.store.records import Outcome

INLIERS = "inliers"
FIELDS = ("logits", "probs", "features", "labels")
Arrays = dict[str, NDArray[np.generic]]


def score(files: tuple[Path, ...], results: Path, *, name: str, dataset: str) -> list[Path]:
    """Write the records of scenarios clean and cross_dataset; return their files.

    Args:
        files: .npz files of arrays SET/FIELD, see docs/score.md; together one network's outputs.
        results: the results folder.
        name: what the rows call the method.
        dataset: what they call the data set.

    Raises:
        UsageError: a file cannot be read, or does not hold what it should; says which and what.
    """
    sets = _read(files)
    if "labels" not in sets.get(INLIERS, {}):
        raise UsageError(f"{_names(files)}: no {INLIERS}/labels; see docs/score.md")
    made = {which: _prediction(which, arrays) for which, arrays in sets.items()}
    inliers = made.pop(INLIERS)
    classes = inliers.probs.shape[-1]
    for which, prediction in made.items():
        if (other := prediction.probs.shape[-1]) != classes:
            raise UsageError(f"{which} has {other} classes, {INLIERS} {classes}")
    labels = {k: _labels(k, v, classes) for k, v in sets.items() if "labels" in v}
    views = [_view(which, one, labels.get(which)) for which, one in made.items()]
    answer = "samples" if inliers.probs.shape[1] > 1 or inliers.logits is None else "single"
    clean = tuple(clean_rows(inliers, labels[INLIERS], answer))
    shifted = tuple(
        row for view in views for row in shift_rows(inliers, made[view.fingerprint], view, name)
    )
    written = []
    for scenario, rows in ((Clean(), clean), (CrossDataset(), shifted)):
        if not rows:
            continue
        path = records.row_path(results / "rows", dataset, scenario.name, name, 0)
        about = {
            "method": name, "dataset": dataset, "scenario": scenario.name, "seed": 0,
            "preset": "scored", "device": f"scored from {_names(files)}", "answer": answer,
            "score": own_score(inliers.probs), "detects": scenario.detects,
            "headlines": tuple(scenario.headlines()), "metric_specs": registry.added(),
        }  # fmt: skip
        records.save(path, Outcome("ok", rows=rows), about)
        written.append(path)
    return written


def _view(which: str, made: Prediction, y: torch.Tensor | None) -> View:
    """Return the view of a set: near/NAME and far/NAME are of those groups."""
    group, _, name = which.partition("/")
    if group not in ("near", "far") or not name:
        group, name = "", which
    return View(name, which, len(made.probs), lambda: torch.empty(0), y=y, group=group)


def _names(files: tuple[Path, ...]) -> str:
    return ", ".join(file.name for file in files)


def _read(files: tuple[Path, ...]) -> dict[str, Arrays]:
    """Return the arrays of all files by set and field."""
    sets: dict[str, Arrays] = {}
    for file in files:
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                if not isinstance(archive, np.lib.npyio.NpzFile):
                    raise ValueError("no .npz archive")
                found = {key: archive[key] for key in archive.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{file}: cannot be read as .npz ({reason})") from None
        except AttributeError:  # a lone .npy array is no context
            raise UsageError(f"{file}: cannot be read as .npz (one array alone)") from None
        for key, array in found.items():
            which, slash, field = key.rpartition("/")
            if not (slash and which) or field not in FIELDS:
                raise UsageError(f"{file}: array {key!r} is not SET/FIELD, FIELD of {FIELDS}")
            if field in sets.setdefault(which, {}):
                raise UsageError(f"{file}: {key} was in an earlier file already")
            sets[which][field] = array
    return sets


def _prediction(which: str, arrays: Mapping[str, NDArray[np.generic]]) -> Prediction:
    """Return the prediction that the arrays of one set hold, checked."""
    logits, probs, features = (
        _floats(f"{which}/{field}", arrays.get(field), dims)
        for field, dims in (("logits", (2,)), ("probs", (2, 3)), ("features", (2,)))
    )
    if logits is None and probs is None:
        raise UsageError(f"{which}: neither logits nor probs")
    if probs is None:
        assert logits is not None
        probs = logits.softmax(-1)
    probs = probs[:, None] if probs.ndim == 2 else probs
    sizes = {len(a) for a in (logits, probs, features) if a is not None}
    sizes |= {len(arrays["labels"])} if "labels" in arrays and arrays["labels"].ndim else set()
    if len(sizes) > 1:
        raise UsageError(f"{which}: arrays of {sorted(sizes)} rows; give every array one number")
    if logits is not None and logits.shape[-1] != probs.shape[-1]:
        raise UsageError(
            f"{which}: {logits.shape[-1]} classes in logits, {probs.shape[-1]} in probs"
        )
    gap = float((probs.sum(-1) - 1).abs().max())
    if gap > SUM_TOLERANCE or bool((probs < 0).any()):
        raise UsageError(f"{which}/probs: not probabilities; they sum to 1 only within {gap:.2g}")
    return Prediction(probs[:, :, None], None if logits is None else logits[:, None], features)


def _floats(
    key: str, array: NDArray[np.generic] | None, dims: tuple[int, ...]
) -> torch.Tensor | None:
    if array is None:
        return None
    if array.dtype.kind != "f" or array.ndim not in dims or not array.size:
        raise UsageError(
            f"{key}: shape {array.shape} of {array.dtype}, not floats; see docs/score.md"
        )
    if bad := int((~np.isfinite(array)).sum()):
        raise UsageError(f"{key}: {bad} numbers that are not finite")
    return torch.from_numpy(array.astype(np.float32))


def _labels(which: str, arrays: Mapping[str, NDArray[np.generic]], classes: int) -> torch.Tensor:
    """Return labels (N, 1)."""
    array = arrays["labels"]
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise UsageError(f"{which}/labels: shape {array.shape} of {array.dtype}, not (N,) integers")
    if bad := int(((array < 0) | (array >= classes)).sum()):
        raise UsageError(
            f"{which}/labels: {bad} outside 0 to {classes - 1}, the classes of the outputs"
        )
    return torch.from_numpy(array.astype(np.int64))[:, None]
