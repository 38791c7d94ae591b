"""Figures of thresholds, calibration, refusals: what they are given to draw."""

import msgspec
import pytest

from bench.report.frames import result_groups
from bench.report.plots import Material, operating, recalibrated, refused
from bench.report.scenarios import quantities
from bench.report.style import look, palette, saved
from bench.report.web.page import board_data
from bench.report.web.page_data import measured
from bench.store.curves import CurveFile, ScoreCurves, ViewRisk
from bench.store.schema import Headline, Record, Row

SCORE = "predictive_entropy"


def record(method: str, seed: int, rows: tuple[Row, ...], scenario: str = "operating") -> Record:
    headlines = (
        Headline("flagged: test", "flagged_5", view="clean", board=False),
        Headline("flagged: corruption", "flagged_5", group="corruption", board=False),
    )
    return Record(
        method=method, dataset="digits", scenario=scenario, seed=seed, status="ok", rows=rows,
        headlines=headlines, score=SCORE, answer="samples",
    )  # fmt: skip


def flagged(view: str, group: str, share: float) -> Row:
    metrics = {"flagged_5": share, "flagged_5_low": share / 2, "flagged_5_high": 2 * share}
    if group != "near":
        metrics["right_flagged_5"] = share / 10
    return Row(view, 100, metrics, SCORE, 0.0, group)


@pytest.fixture
def group():
    rows = (
        flagged("fog", "corruption", 0.3), flagged("clean", "clean", 0.04),
        flagged("letters", "near", 0.2), flagged("blur", "corruption", 0.1),
    )  # fmt: skip
    records = [record(m, s, rows) for m in ("standard", "bayes") for s in (0, 1)]
    (found,) = result_groups(records)
    return found


def drawn(drawing):
    with look():
        assert saved(drawing.draw())["png"]


def test_alarms_are_drawn_view_by_view_with_the_test_part_first(group):
    (drawing,) = operating.operating(Material(group, palette({"standard", "bayes"})))
    tables = drawing.draw.args[0]
    assert list(tables["flagged_5"]) == ["clean", "blur", "fog", "letters"]
    assert tables["flagged_5"].loc["bayes"].tolist() == pytest.approx([4, 10, 30, 20])
    assert tables["right_flagged_5"].loc["bayes", "clean"] == pytest.approx(0.4)
    assert tables["right_flagged_5"]["letters"].isna().all()
    drawn(drawing)


def test_a_mean_over_views_has_no_interval_and_a_single_view_has_its_own(group):
    test, corruption = quantities(group, "operating")
    assert test.printed == ["4.0 ± 0.0 [2.0, 8.0]"] * 2
    assert corruption.printed == ["20.0 ± 0.0"] * 2


def test_the_page_shows_alarms_by_the_score_that_ranks(group):
    rows = [Row("clean", 100, {"flagged_5": 0.9}, "vote_entropy", 0.0, "clean")]
    more = [
        msgspec.structs.replace(r, rows=(*r.rows, *rows), score="vote_entropy")
        for r in group.records
    ]
    (found,) = result_groups(more)
    assert measured(found, "operating", SCORE)["mean"][0] == [40, 40]
    assert board_data(found)["measured"]["operating"]["mean"][0] == [40, 40]


def curves(method: str, **more) -> CurveFile:
    return CurveFile(
        method=method, dataset="digits", scenario="x", seed=0, row="", key="", **more
    )  # fmt: skip


def test_reliability_is_drawn_before_and_after(group):
    bins = [(0, 0, 0)] * 13 + [(10, 900, 500), (90, 980, 900)]
    files = [curves("standard", recalibrated={"before": bins, "isotonic": bins}), curves("bayes")]
    material = Material(group, palette({"standard", "bayes"}), curves=files)
    (drawing,) = recalibrated.recalibrated(material)
    (pools,) = drawing.draw.args[0].values()
    assert list(pools) == ["before", "isotonic"]
    assert pools["before"]["accuracy"].tolist() == [0.5, 0.9]
    drawn(drawing)


def test_risks_are_averaged_over_the_views_of_a_kind(group):
    risks = [
        ViewRisk("fog", 0.0, "corruption", [0] * 50),
        ViewRisk("blur", 0.0, "corruption", [20_000] * 50),
        ViewRisk("letters", 0.0, "near", [50_000] * 50),
        ViewRisk("clean", 0.0, "clean", [1000] * 50),
    ]
    files = [curves("standard", scores=[ScoreCurves(SCORE, risks=risks)])]
    material = Material(group, palette({"standard", "bayes"}), curves=files)
    (drawing,) = refused.refused(material)
    panels = drawing.draw.args[0]
    assert list(panels) == ["clean", "corruption", "near"]
    assert panels["corruption"]["standard"].tolist() == pytest.approx([0.1] * 50)
    drawn(drawing)


def test_nothing_is_drawn_without_numbers(group):
    material = Material(group, palette({"standard", "bayes"}))
    assert not list(recalibrated.recalibrated(material))
    assert not list(refused.refused(material))
    (other,) = result_groups(
        [record("standard", 0, (Row("clean", 1, {"accuracy": 1.0}),), "clean")]
    )
    assert not list(operating.operating(Material(other, palette({"standard"}))))
