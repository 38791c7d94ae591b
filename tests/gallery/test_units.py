"""The page of units: its numbers are those of the features, and a browser shows them offline."""

import json
import re
import shutil
from itertools import pairwise

import pytest
import torch
from click.testing import CliRunner

import bench
from bench.cli import main
from bench.datasets.base import as_floats
from bench.datasets.digits import Digits
from bench.fitting.console import Console
from bench.fitting.device import resolve
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.gallery import units
from bench.methods.standard import Standard
from bench.metrics.detection import detection
from bench.scores.base import Evidence, Head, all_scores
from bench.scores.units import outside, ranges
from bench.store.cache import Cache

BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "chrome"])), None)


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("units")
    words = ["--methods", "standard", "--preset", "smoke", "--results", place]
    run("explore", "--units", *words, "-o", place / "units.html")
    return place


@pytest.fixture(scope="module")
def facts(folder):
    text = (folder / "units.html").read_text("utf-8")
    return json.loads(re.search(r'id="about">(.*?)</script>', text, re.S)[1])


@pytest.fixture(scope="module")
def evaluator(folder):
    console = Console(quiet=True)
    fitter = Fitter(Digits(), 0, "smoke", resolve("cpu"), Cache(folder / "cache"), console)
    return Evaluator("standard", Standard(**Standard.defaults("smoke")), 0, fitter)


# The score


def test_units_are_outside_where_fewer_than_half_a_per_cent_of_training_were():
    training = Evidence(torch.arange(1000.0).double().unsqueeze(1), torch.zeros(1000, 1, 2))
    known = ranges(training)
    assert (known.low.item(), known.high.item()) == (5, 994)
    found = outside(torch.tensor([[4.0], [5.0], [994.0], [995.0]]), known)
    assert found[:, 0].tolist() == [True, False, False, True]


def test_a_unit_weighs_as_much_as_it_moves_the_logits():
    features = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)).double()
    weight = torch.tensor([[[1.0, 0.0, 2.0], [-3.0, 0.0, 1.0]]]).double()
    head = Head(weight, torch.zeros(1, 2).double())
    known = ranges(Evidence(features, head(features), linear=head))
    moved = features.std(0, correction=0) * torch.tensor([4.0, 0.0, 3.0])
    torch.testing.assert_close(known.weight, moved / moved.sum())
    score = all_scores()["units_outside"]
    away = torch.tensor([[0.0, 99.0, 0.0], [99.0, 99.0, 0.0], [99.0, 0.0, -99.0]]).double()
    found = score(Evidence(away, head(away)), known)
    torch.testing.assert_close(
        found, torch.stack([0 * found[0], known.weight[0], 1 + 0 * found[0]])
    )


def test_units_that_never_moved_count_for_nothing():
    features = torch.zeros(10, 2).double()
    known = ranges(Evidence(features, torch.zeros(10, 1, 2)))
    assert known.weight.tolist() == [0, 0]


# The page


def test_the_page_shows_the_features(facts, evaluator):
    shown = units.chosen(evaluator)
    said = [evaluator.predict(group.view) for group in shown]
    assert [g["name"] for g in facts["groups"]] == [group.name for group in shown]
    known = evaluator.training.fit_score(all_scores()["units_outside"])
    for unit in facts["units"][::5]:
        u = unit["unit"]
        for g, prediction in enumerate(said):
            activity = prediction.features[:, u].double()
            share = outside(prediction.features.double(), known)[:, u].double().mean()
            assert unit["outside"][g] == pytest.approx(float(share), rel=0.01)
            median = float(activity.quantile(torch.tensor(0.5).double()))
            assert unit["quantiles"][g][2] == pytest.approx(median, rel=0.01)
        clean = said[0].features[:, u].double()
        of_three = clean[shown[0].y[:, 0] == 3].mean()
        assert unit["tuning"][3] == pytest.approx(float(of_three), rel=0.01, abs=1e-9)


def test_the_inputs_that_drive_a_unit_are_those_of_its_group(facts, evaluator):
    pool = torch.cat([group.x for group in units.chosen(evaluator)])
    net, start = evaluator.fitted().method.net, 0
    unit = facts["units"][0]
    with torch.no_grad():
        activity = net.features(net.activations(as_floats(pool))[-1])[:, unit["unit"]]
    for group, driven in zip(facts["groups"], unit["driven"], strict=True):
        part = activity[start : start + group["n"]]
        assert all(start <= place < start + group["n"] for place in driven)
        torch.testing.assert_close(activity[driven], part.topk(4).values)
        start += group["n"]


def test_units_that_say_new_on_outliers_come_first(facts):
    foreign = [i for i, g in enumerate(facts["groups"]) if g["group"] == "outliers"]
    shares = [sum(unit["outside"][i] for i in foreign) for unit in facts["units"]]
    assert all(a >= b - 0.01 for a, b in pairwise(shares))


def test_the_scores_of_the_page_are_those_of_the_benchmark(facts, evaluator):
    shown = units.chosen(evaluator)
    score = all_scores()["units_outside"]
    known = evaluator.training.fit_score(score)
    inliers, outliers = (
        score(Evidence(p.features, p.logits), known)
        for p in (evaluator.predict(shown[0].view), evaluator.predict(shown[-1].view))
    )
    assert facts["groups"][-1]["units"] == pytest.approx(
        detection(inliers, outliers)["auroc"], abs=6e-4
    )


def test_the_page_is_small(folder, monkeypatch, evaluator):
    assert (folder / "units.html").stat().st_size < 1_000_000
    monkeypatch.setattr(units, "BYTES", 64 * 10 * 20)
    assert all(len(group.x) <= 20 for group in units.chosen(evaluator))


@pytest.fixture(scope="module")
def page(folder):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("no Chromium found; Debian's package is called chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page, problems, asked = started.new_page(), [], []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: asked.append(request.url.partition(":")[0]))
        page.goto((folder / "units.html").as_uri())
        yield page
        assert problems == []
        assert set(asked) <= {"file", "data"}
        started.close()


def test_a_unit_is_chosen_by_list_button_and_map(page, facts):
    def said() -> str:
        return page.inner_text("#unit-text").partition(":")[0]

    number = [unit["unit"] for unit in facts["units"]]
    assert said() == f"Unit {number[0]}"
    page.click("#after")
    assert said() == f"Unit {number[1]}"
    page.select_option("#unit", "5")
    assert said() == f"Unit {number[5]}"
    page.click("#before")
    assert said() == f"Unit {number[4]}"
    box = page.locator("#map").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + 5)
    assert said() == f"Unit {number[-1]}"
    assert page.is_disabled("#after")


def test_every_group_has_its_box_and_its_inputs(page, facts):
    page.select_option("#unit", "0")
    groups = len(facts["groups"])
    assert page.locator("#unit-groups svg").count() == groups
    assert page.locator("#unit-groups canvas").count() == 4 * groups
    assert page.locator("#tuning li").count() == 10
    shown = page.locator("#unit-groups > span:not(.driving)").all_inner_texts()[1::2]
    share = 100 * facts["units"][0]["outside"][-1]
    assert float(shown[-1].removesuffix(" %")) == pytest.approx(share, abs=0.51)


def test_everything_has_a_name_and_the_page_turns_dark(page):
    unnamed = "all => all.filter(e => !e.ariaLabel && !e.innerText).length"
    assert page.eval_on_selector_all("button, canvas[role], svg", unnamed) == 0
    colours = set()
    for _ in range(2):
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.click("#theme")
    assert len(colours) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--methods", "chance"],
            "chance has no hidden units to show",
        ),
        (["--methods", "standard,decnn"], "one method on one data set from one seed, not 2"),
        (
            ["--methods", "standard", "-o", "/dev/null/page.html"],
            "cannot write /dev/null/page.html",
        ),
    ],
)
def test_a_mistake_gets_one_line(words, message, folder):
    output = run("explore", "--units", "--preset", "smoke", "--results", folder, *words, code=2)
    assert message in output
    assert len(output.strip().splitlines()) == 1


def test_pages_of_people_are_refused_where_they_could_be_committed(monkeypatch, folder):
    monkeypatch.setattr(Digits, "kind", "face")
    words = ["--methods", "standard", "--preset", "smoke", "--results", folder]
    output = run("explore", "--units", *words, "-o", bench.ROOT / "units.html", code=2)
    assert "never committed" in output
