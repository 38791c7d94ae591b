"""Curves as they lie beside the rows: `CurveFile`, and its reader.

A file belongs to one record, by its key, and holds curves for one or more scores in whole per
mille. Every type and length is checked on load, as for records.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from bench.store.files import write
from bench.store.packed import AGAIN, json_files, read_regular
from bench.store.schema import Label, Name, Number
from bench.store.seal import check_seal, sealed

SCHEMA = 2
POINTS = 50  # intervals of the axes: false alarms 0, 2 % … 100 %, and coverages 2 % … 100 %
BINS = 15  # of confidence, from 0 to 1
LEVELS = 20  # bins of uncertainty, from 0 to the largest there can be

Share = Annotated[int, Meta(ge=0, le=1000)]  # per mille
Histogram = Annotated[list[Share], Meta(min_length=LEVELS, max_length=LEVELS)]
Rises = Annotated[list[Share], Meta(min_length=POINTS + 1, max_length=POINTS + 1)]
Risks = Annotated[
    list[Annotated[int, Meta(ge=0, le=100_000)]], Meta(min_length=POINTS, max_length=POINTS)
]
Bin = tuple[Annotated[int, Meta(ge=0, lt=2**53)], Share, Share]


class ViewCurves(Struct, frozen=True):
    """The curves of one view under one score.

    Args:
        tpr: share of outliers flagged where 0, 2 … 100 % of the inliers are, per mille, (51,).
        outliers: share of inputs in 20 equal bins of uncertainty, per mille, (20,).
    """

    view: Name
    severity: Number
    group: Label
    tpr: Rises
    outliers: Histogram


class ViewRisk(Struct, frozen=True):
    """What is wrong in a view among the most certain 2, 4 … 100 % of answers, in 1e-5, (50,)."""

    view: Name
    severity: Number
    group: Label
    risk: Risks


class ScoreCurves(Struct, frozen=True, omit_defaults=True):
    """The curves of one scenario under one score.

    Args:
        inliers: share of inliers in 20 equal bins of uncertainty, per mille, (20,).
        views: of the outliers.
        risk: errors among the most certain 2, 4 … 100 % of predictions, in 1e-5, (50,).
        risks: the same of each view, where outliers count as errors.
    """

    score: Name
    inliers: Histogram | None = None
    views: list[ViewCurves] = []
    risk: Risks | None = None
    risks: list[ViewRisk] = []


class CurveFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The curves of one record.

    Args:
        row: key of the record they were made with.
        key: digest of all that they depend on.
        reliability: [number, mean confidence, accuracy] in 15 equal bins of confidence of the
            point prediction, shares per mille.
        recalibrated: the same before and after each calibration, by its name.
        training: [training loss, validation loss, validation accuracy] after each epoch.
        scores: the curves of each score.
    """

    schema: int = 0  # always written
    method: Name
    dataset: Name
    scenario: Name
    seed: Annotated[int, Meta(ge=0)]
    row: Label
    key: Label
    reliability: Annotated[list[Bin], Meta(max_length=1000)] = []
    recalibrated: dict[Name, Annotated[list[Bin], Meta(max_length=1000)]] = {}
    training: Annotated[list[tuple[Number, Number, Number]], Meta(max_length=100_000)] = []
    scores: list[ScoreCurves] = []

    def of(self, score: str) -> ScoreCurves | None:
        """Return the curves of one score, if they are there."""
        return next((one for one in self.scores if one.score == score), None)


class _First(CurveFile, frozen=True, kw_only=True):
    """A file of schema 1: the curves of the method's own score alone."""

    score: Name
    inliers: Histogram | None = None
    views: list[ViewCurves] = []
    risk: Risks | None = None


_DECODER, _FIRST = msgspec.json.Decoder(CurveFile), msgspec.json.Decoder(_First)


def save(path: Path, curves: CurveFile) -> None:
    """Write the curves of one record."""
    write(path, sealed(msgspec.json.encode(msgspec.structs.replace(curves, schema=SCHEMA))))


def read(path: Path) -> CurveFile:
    """Return one file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged or of another schema; says what to do.
    """
    content = read_regular(path)
    try:
        curves = _DECODER.decode(content)
        check_seal(content)
        if curves.schema == 1:
            first = _FIRST.decode(content)
            only = ScoreCurves(first.score, first.inliers, first.views, first.risk)
            curves = msgspec.structs.replace(curves, schema=SCHEMA, scores=[only])
        _check(curves)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise ValueError(f"damaged ({str(error)[:200]}); left out ({AGAIN})") from None
    if curves.schema != SCHEMA:
        raise ValueError(f"schema {curves.schema} is not {SCHEMA}; left out ({AGAIN})")
    return curves


def _check(curves: CurveFile) -> None:
    """Refuse parts that belong together and do not fit: figures join them over seeds.

    Raises:
        ValueError: says which.
    """
    bins = [*curves.recalibrated.values(), *filter(None, [curves.reliability])]
    if any(len(one) != BINS for one in bins):
        raise ValueError(f"reliability has other than {BINS} bins")
    for one in curves.scores:
        if one.views and one.inliers is None:
            raise ValueError(f"{one.score} has views and no inliers")
        if one.risk is not None and not curves.reliability:
            raise ValueError(f"{one.score} has a risk and no reliability")


def read_all(folder: Path) -> tuple[list[CurveFile], list[str]]:
    """Return every readable file under ``folder`` and one line for each left out."""
    curves, problems = [], []
    for path in json_files(folder):
        try:
            curves.append(read(path))
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {error}")
    return curves, problems
