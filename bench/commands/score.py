"""``bench score``: rows from outputs that another program saved; no network is run.

docs/score.md describes the files, which `bench.commands.predictions` writes as well.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import bench.scenarios
from bench.datasets.base import Task, View
from bench.discover import subclasses, unknown
from bench.errors import BenchError, UsageError
from bench.fitting.prediction import Prediction, check
from bench.fitting.training_evidence import Learner, linear_head
from bench.metrics import registry
from bench.scenarios.base import ShiftScenario, unavailable
from bench.scenarios.clean import clean_rows
from bench.scores import Evidence
from bench.scores.own import own_score
from bench.store import records
from bench.store.files import row_path
from bench.store.schema import Outcome, Row

INLIERS = "inliers"
LEARNED = ("training", "validation")  # sets that scores learn from
OUTPUTS = ("logits", "probs", "features", "labels")
LAYER = ("weight", "bias")  # of the last layer: (T, K, F) and (T, K)
ABOUT = ("scenario", "view", "group", "severity", "answer", "seed")  # one value each
EXTRA = "extra:"  # begins the names of a method's further evidence
Arrays = dict[str, NDArray[np.generic]]
T = TypeVar("T", str, int, float)


def score(
    files: Sequence[Path], results: Path, *, name: str, dataset: str, preset: str
) -> tuple[list[Path], list[str]]:
    """Write one record for each scenario; return their files, and scores left out, with reasons.

    Args:
        files: .npz or Parquet files; together one network's outputs.
        results: the results folder.
        name: what the rows call the method, in front of the name of the file.
        dataset: what they call the data set.
        preset: the preset whose boards they join.

    Raises:
        UsageError: a file cannot be read, or does not hold what it should; says which and what.
    """
    for option, word in (("--name", name), ("--dataset", dataset)):
        if not re.fullmatch(r"[^\W_][\w.=,+~-]*", word):
            raise UsageError(f"{option} takes a name of letters and digits, not '{word}'")
    sets = _read(files)
    where = ", ".join(path.name for path in files)
    about = {
        "method": f"{name}:from={where}", "dataset": dataset, "preset": preset, "device": "cpu",
        "metric_specs": registry.added(), "params": {"scored_from": where}, "key": _digest(files),
    }  # fmt: skip
    try:
        measured, rows, reasons = _measured(sets, name)
    except BenchError as error:
        raise UsageError(f"{where}: {str(error).rstrip('.')}; see docs/score.md") from None
    written = [_write(results, key, about | measured, made) for key, made in rows.items()]
    return written, reasons


def _measured(
    sets: Mapping[str, Arrays], name: str
) -> tuple[dict[str, Any], dict[str, list[Row]], list[str]]:
    """Return what records say of the inliers, the rows by scenario, and scores left out."""
    for which, arrays in sets.items():
        _must_have_same_rows(which, arrays)
    inliers, shifted = _predictions(sets)
    answer = _answer(sets[INLIERS], inliers)
    if (y := _labels(INLIERS, sets[INLIERS], inliers)) is None:
        raise UsageError(f"no {INLIERS}/labels")
    rows = {"clean": [*clean_rows(inliers, y, answer)]}
    for which, prediction in shifted.items():
        scenario = _scenario(which, sets[which])
        view = _view(which, sets[which], prediction)
        found = scenario.rows(inliers, prediction, view, name)
        rows.setdefault(scenario.name, []).extend(found)
    reasons = [f"{score} {why}" for score, why in unavailable(inliers).items()]
    seed = _value(INLIERS, sets[INLIERS], "seed", 0)
    if seed < 0:
        raise UsageError(f"{INLIERS}/seed is {seed}, not 0 or more")
    return {"seed": seed, "score": own_score(inliers.probs), "answer": answer}, rows, reasons


def _write(results: Path, scenario: str, about: Mapping[str, Any], rows: list[Row]) -> Path:
    known = subclasses(bench.scenarios, bench.scenarios.base.Scenario)[scenario]()
    place = about["dataset"], scenario, about["method"], about["seed"]
    path = row_path(results / "rows", *place)
    declared = {"detects": known.detects, "headlines": tuple(known.headlines())}
    records.save(path, Outcome("ok", rows=tuple(rows)), {**about, **declared, "scenario": scenario})
    return path


# Sets of arrays


def _predictions(sets: Mapping[str, Arrays]) -> tuple[Prediction, dict[str, Prediction]]:
    """Return the prediction of the inliers and of each shifted set, of the same classes."""
    if INLIERS not in sets:
        raise UsageError(f"no {INLIERS}/logits or {INLIERS}/probs")
    evidence = {part: _evidence(part, sets[part]) for part in LEARNED if part in sets}
    fit_score = Learner(evidence.get).fit_score
    made = {
        which: _prediction(which, arrays, fit_score)
        for which, arrays in sets.items()
        if which not in LEARNED
    }
    inliers = made.pop(INLIERS)
    if inliers.probs.shape[-1] < 2:
        raise UsageError(f"{INLIERS}: one class alone; nothing is unsure of it")
    for which, other in made.items():
        _must_be_alike(which, "(samples, targets, classes)", other.probs, inliers.probs)
        _must_be_alike(which, "logits", other.logits, inliers.logits)
        _must_be_alike(which, "features", other.features, inliers.features)
        if other.extras.keys() != inliers.extras.keys():
            raise UsageError(f"{which}: the fields {EXTRA}… are others than those of {INLIERS}")
    for part, learned in evidence.items():
        if learned is not None:
            _must_be_alike(part, "logits", learned.logits, inliers.logits)
            _must_be_alike(part, "features", learned.features, inliers.features)
    return inliers, made


def _must_be_alike(which: str, what: str, values: Tensor | None, known: Tensor | None) -> None:
    """Check that an array has the axes of the inliers', but for the first, or that neither is."""
    shape, wanted = (None if v is None else tuple(v.shape[1:]) for v in (values, known))
    if shape != wanted:
        raise UsageError(
            f"{which}: {what} of an input are {shape or 'missing'}, and those of {INLIERS} "
            f"{wanted or 'missing'}"
        )


def _prediction(which: str, arrays: Arrays, fit_score: Any) -> Prediction:
    logits = _floats(which, "logits", arrays, 3, missing_axis=1)
    probs = _floats(which, "probs", arrays, 4, missing_axis=2)
    if probs is None:
        if logits is None:
            raise UsageError(f"{which}: neither logits nor probs")
        probs = logits.softmax(-1).unsqueeze(1)
    features = _floats(which, "features", arrays, 2)
    if logits is None and features is not None:
        raise UsageError(f"{which}: features without logits; give both, or neither")
    extras = {
        name.removeprefix(EXTRA): _numbers(which, name, values)
        for name, values in arrays.items()
        if name.startswith(EXTRA)
    }
    made = Prediction(probs, logits, features, extras, fit_score)
    _must_be_whole(which, made)
    return made


def _must_be_whole(which: str, made: Prediction) -> None:
    """Check that probabilities are some, and that logits are of the same classes."""
    targets, classes = made.probs.shape[2:]
    task = Task((1, 1, 1), tuple(map(str, range(targets))), tuple(map(str, range(classes))))
    whole = made if made.features is not None else Prediction(made.probs, None)
    try:
        check(whole, len(made.probs), task)
    except ValueError as error:
        raise UsageError(f"{which}: {error}") from None
    if made.logits is not None and made.logits.shape[1:] != (targets, classes):
        raise UsageError(f"{which}: logits and probs have other classes")


def _evidence(part: str, arrays: Arrays) -> Evidence | None:
    """Return what scores learn from, or None where features or logits are missing."""
    logits = _floats(part, "logits", arrays, 3, missing_axis=1)
    features = _floats(part, "features", arrays, 2)
    if logits is None or features is None:
        return None
    labels = _labels(part, arrays, Prediction(logits.softmax(-1).unsqueeze(1), logits))
    features, logits = features.double(), logits.double()
    weight, bias = (
        _floats(part, name, arrays, dims) for name, dims in (("weight", 3), ("bias", 2))
    )
    layer = None
    if weight is not None and bias is not None:
        layer = weight.flatten(0, 1), bias.flatten()
    return Evidence(features, logits, labels, linear_head(features, logits, layer))


def _floats(
    which: str, field: str, arrays: Arrays, dims: int, missing_axis: int | None = None
) -> Tensor | None:
    """Return an array as float32 with ``dims`` axes; left-out axes of size 1 are put in."""
    array = arrays.get(field)
    if array is None:
        return None
    values, low = _numbers(which, field, array), dims if missing_axis is None else 2
    if not low <= values.ndim <= dims:
        axes = f"{low} to {dims}" if low < dims else f"{dims}"
        raise UsageError(f"{which}/{field}: shape {array.shape}, not {axes} axes")
    if missing_axis is not None and values.ndim == 2 and dims == 4:
        values = values[:, None]  # one sample
    if missing_axis is not None and values.ndim < dims:
        values = values.unsqueeze(missing_axis)  # one target
    return values


def _numbers(which: str, field: str, array: NDArray[np.generic]) -> Tensor:
    """Return an array of floats as float32."""
    if array.dtype.kind != "f" or not array.size:
        raise UsageError(f"{which}/{field}: shape {array.shape} of {array.dtype}, not floats")
    values = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    if bad := int((~values.isfinite()).sum()):
        raise UsageError(f"{which}/{field}: {bad} numbers that are not finite")
    return values


def _labels(which: str, arrays: Arrays, made: Prediction) -> Tensor | None:
    """Return labels (N, T), or None where there are none."""
    array = arrays.get("labels")
    if array is None:
        return None
    targets, classes = made.probs.shape[2:]
    if array.dtype.kind not in "iu" or array.shape not in ((len(array),), (len(array), targets)):
        raise UsageError(f"{which}/labels: shape {array.shape} of {array.dtype}, not whole numbers")
    labels = torch.from_numpy(array.astype(np.int64)).reshape(len(array), -1)
    if len(labels) != len(made.probs) or labels.shape[1] != targets:
        raise UsageError(f"{which}: {tuple(labels.shape)} labels for {len(made.probs)} rows")
    if bad := int(((labels < 0) | (labels >= classes)).sum()):
        raise UsageError(f"{which}/labels: {bad} are not among the classes 0 to {classes - 1}")
    return labels


def _scenario(which: str, arrays: Arrays) -> ShiftScenario:
    name = _value(which, arrays, "scenario", "cross_dataset")
    known = subclasses(bench.scenarios, ShiftScenario)
    if name not in known:
        raise unknown(f"scenario of {which}", name, list(known))
    return known[name]()


def _view(which: str, arrays: Arrays, made: Prediction) -> View:
    group, _, name = which.rpartition("/")
    group = group if group in ("near", "far") else ""
    return View(
        _value(which, arrays, "view", name), which, len(made.probs), lambda: torch.empty(0),
        y=_labels(which, arrays, made), group=_value(which, arrays, "group", group),
        severity=_value(which, arrays, "severity", 0.0),
    )  # fmt: skip


def _answer(arrays: Arrays, inliers: Prediction) -> str:
    several = inliers.probs.shape[1] > 1 or inliers.logits is None
    answer = _value(INLIERS, arrays, "answer", "samples" if several else "single")
    if answer not in ("samples", "single") or (answer == "single" and inliers.logits is None):
        raise UsageError(f"{INLIERS}/answer is samples, or single where there are logits")
    return answer


def _value(which: str, arrays: Arrays, field: str, default: T) -> T:
    """Return the one value of a field, of the type of its default."""
    if field not in arrays:
        return default
    values = np.unique(arrays[field])
    try:
        (value,) = values.tolist()
        return type(default)(value)
    except (TypeError, ValueError):
        kind = type(default).__name__
        raise UsageError(f"{which}/{field}: {values[:3].tolist()}, not one {kind}") from None


# Files


def _read(files: Sequence[Path]) -> dict[str, Arrays]:
    """Return the arrays of all files by set and field."""
    sets: dict[str, Arrays] = {}
    for file in files:
        found = _parquet(file) if file.suffix == ".parquet" else _npz(file)
        for key, array in found.items():
            which, slash, field = key.rpartition("/")
            known = field in (*OUTPUTS, *LAYER, *ABOUT) or field.startswith(EXTRA)
            if not (slash and which and known):
                raise UsageError(f"{file}: array {key!r} is not SET/FIELD; see docs/score.md")
            if field in sets.setdefault(which, {}):
                raise UsageError(f"{file}: {key} was in an earlier file already")
            sets[which][field] = array
    return sets


def _must_have_same_rows(which: str, arrays: Arrays) -> None:
    per_input = [name for name in arrays if name in OUTPUTS or name.startswith(EXTRA)]
    sizes = {name: len(arrays[name]) if arrays[name].ndim else 0 for name in per_input}
    if len(set(sizes.values())) > 1 or 0 in sizes.values():
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UsageError(f"{which}: empty, or other numbers of rows ({listed})")


def _npz(file: Path) -> Arrays:
    try:
        with file.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("no .npz archive")
            with archive:
                return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        if "pickle" in reason.lower():  # numpy takes every file that it does not know for one
            reason = "a pickle, which can run code, or no file of arrays; write it with np.savez"
        raise UsageError(f"{file}: cannot be read as .npz ({reason})") from None


def _parquet(file: Path) -> Arrays:
    """Return the arrays of a table with a line for each input and a column for each field."""
    import pandas as pd

    try:
        table = pd.read_parquet(file, engine="pyarrow")
        if "set" not in table:
            raise ValueError("no column 'set'")
        found: Arrays = {}
        for which, part in table.groupby("set"):
            for field in part.columns.drop("set"):
                if not part[field].isna().all():
                    found[f"{which}/{field}"] = np.stack(part[field].to_list())
        return found
    except ImportError:
        raise UsageError("a Parquet file needs pyarrow: pip install pyarrow") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{file}: cannot be read as Parquet ({reason})") from None


def _digest(files: Sequence[Path]) -> str:
    content = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)
    return hashlib.sha256(content).hexdigest()[:16]
