"""The leaderboard's page: its numbers against the tables', and the page in a real browser."""

import base64
import gzip
import itertools
import json
import re
import shlex
import shutil
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from bench.report import SPAN, formats, render
from bench.report.advice import advice
from bench.report.frames import load, result_groups
from bench.report.leaderboard import leaderboard
from bench.report.stats import ranking
from bench.report.web import page, page_data
from bench.store.schema import DETECTION, OWN, RANKED_BY, Record
from bench.store.schema1 import upgraded

GOLDEN = Path(__file__).parents[1] / "data" / "rows"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ANSWERED = ("accuracy", "ece", "nll", "brier")
DETECTED = ("auroc", "fpr95_id", "aupr_out_balanced")
SCORES = [
    "vote_entropy", "predictive_entropy", "expected_entropy", "mutual_information", "energy",
    "variation_ratio", "one_minus_max_mean_prob", "msp", "max_logit", "gen",
]  # fmt: skip
VIEWS = [  # 60 of them: scenario, view, group, severity
    *(("corruption", f"corruption_{i}", "", 0.0) for i in range(20)),
    *(("cross_dataset", f"set_{i}", "near" if i < 6 else "far", 0.0) for i in range(16)),
    *(("adversarial", *v) for v in itertools.product(["fgsm", "fgsm_transfer"], [""],
                                                     [0.05, 0.1, 0.2, 0.3])),
    *(("speech", *v) for v in itertools.product(["white", "pink", "echo", "clip"], [""],
                                                [0.0, 5.0, 10.0, 20.0])),
]  # fmt: skip


def record(method, scenario, seed, rows, **fields):
    about = dict(
        method=method, scenario=scenario, seed=seed, rows=rows, dataset="toy", preset="laptop",
        device="cpu", status="ok", reason="", answer="samples", score="vote_entropy",
        fit_seconds=1234.5 + seed, params={"width": 8},
    )  # fmt: skip
    return upgraded(msgspec.convert({"schema": 1} | about | fields, Record))


def rows_of(rng, scenario, scores):
    rows = []
    for _, view, group, severity in (view for view in VIEWS if view[0] == scenario):
        place = {"view": view, "group": group, "severity": severity, "n": 2000}
        answer = {name: round(rng.random(), 6) for name in ANSWERED}
        rows.append(place | {"score": "samples", "metrics": answer})
        for score in scores:
            found = {name: round(rng.random(), 6) for name in DETECTED}
            rows.append(place | {"score": score, "metrics": found})
    return rows


def made(methods=5, seeds=3, scores=SCORES[:3]):
    """Records of a board with every view, and of the clean scenario."""
    rng = np.random.default_rng(0)
    clean = {"view": "clean", "score": "samples", "n": 2000}
    found = []
    for i, seed in itertools.product(range(methods), range(seeds)):
        for scenario in dict.fromkeys(view[0] for view in VIEWS):
            found.append(record(f"method_{i}", scenario, seed, rows_of(rng, scenario, scores)))
        answer = {name: round(rng.random(), 6) for name in ANSWERED}
        found.append(record(f"method_{i}", "clean", seed, [clean | {"metrics": answer}]))
    return found


def page_of(records, path):
    path.write_text(page.page(result_groups(records), {"Measured": "today"}), "utf-8")
    return path


def data_of(text):
    packed = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def shown(values, digits):
    return [formats.number(float("nan") if v is None else v / 10**digits, digits=digits)
            for v in values]  # fmt: skip


# The numbers


def test_every_score_has_the_numbers_of_its_leaderboard():
    records = made()
    (group,) = result_groups(records)
    data = page.board_data(group)
    names = [method["name"] for method in data["methods"]]
    groups = [group[0] for group in data["groups"] if group[3] == "summary"]
    for score in ("", *SCORES[:3]):
        table = leaderboard(group, score or OWN)
        sheet = data["sheets"][DETECTION][score]
        ranks = sheet["ranks"][""]
        assert shown(ranks["mean"], 2) == [formats.number(x, digits=2) for x in table.rank[names]]
        assert {names[i] for i in ranks["best"]} == table.best["rank"]
        assert f"difference {ranks['difference']:.2f}" in table.caption
        assert f"{ranks['methods']} complete methods in {ranks['cells']} " in table.caption
        assert f"over the {ranks['families']} families" in table.caption
        assert shown(ranks["low"], 2) == [
            formats.number(x, digits=2) for x in table.span.low[names]
        ]
        for at, label in enumerate(groups):
            column = sheet["columns"].index(len(data["cells"]) + at)
            for found, wanted in (("mean", table.mean), ("std", table.std)):
                expected = [formats.number(x) for x in wanted.loc[names, label]]
                assert shown(sheet[found][column], 3) == expected
            assert {names[i] for i in sheet["best"][column]} == table.best[label]


def test_ranks_name_the_methods_in_order_and_ties_by_name():
    cells = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, np.nan]])
    each = [f"{i}" for i in range(2)]
    found = page_data.ranks(ranking([cells[:, None]], each), list("abc"))
    assert (found["mean"], found["order"], found["best"]) == ([200, 100, None], [1, 0], [1])
    tied = page_data.ranks(ranking([np.ones((3, 1, 2))]), list("cab"))
    assert (tied["mean"], tied["order"]) == ([200, 200, 200], [1, 2, 0])
    assert page_data.ranks(ranking([cells[2:, None]], each), ["c"])["mean"] is None


def test_integers_are_rounded_as_printing_rounds():
    values = [0.0005, 0.8125, 0.8605, 2.675, 1e-9, 1234.5, *np.arange(0, 2, 0.00025)]
    assert shown(page_data.whole(values, 3), 3) == [formats.number(value) for value in values]
    assert page_data.whole([float("nan")], 3) is None


def test_rows_of_a_variant_stand_on_the_board_and_are_not_ranked():
    records = made(methods=3)
    hat = {"view": "Hat", "score": "vote_entropy", "n": 9, "metrics": {"auroc": 0.7}}
    records += [record("method_0", "heldout", seed, [hat], dataset="toy~without=Hat")
                for seed in range(3)]  # fmt: skip
    (group,) = result_groups(records)
    data = page.board_data(group)
    ranks = data["sheets"][DETECTION][""]["ranks"]
    assert ranks[""]["mean"] is not None
    assert ranks[""]["cells"] == 60
    assert ranks["heldout"]["methods"] == 1
    of = [method["name"] for method in data["methods"]].index("method_0")
    paths = [path for _, path in data["files"][of]["heldout"]]
    assert paths[0] == "rows/toy~without=Hat/heldout/method_0-s0.json"


def test_names_cannot_break_the_page(tmp_path):
    evil = "</script><script>window.bad = 1</script><!--"
    records = made(methods=2)
    records.append(record(evil, "corruption", 0, [], status="failed", reason="<b>no</b> & 'space'"))
    text = page_of(records, tmp_path / "page.html").read_text("utf-8")
    assert evil not in text
    assert "<b>no</b>" not in text
    assert evil in [method["name"] for method in data_of(text)["boards"][0]["methods"]]
    facts = page.page(result_groups(records), {"On": "<i>cpu</i>"})
    assert "&lt;i&gt;cpu&lt;/i&gt;" in facts


def test_the_page_asks_the_network_for_nothing(tmp_path):
    text = page_of(made(methods=2), tmp_path / "page.html").read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    assert "url(" not in text
    assert "@import" not in text


def test_the_report_writes_the_page_and_links_to_it(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "rows")
    render(tmp_path, figures=False)
    assert "(leaderboard.html)" in (tmp_path / "README.md").read_text()
    files = data_of((tmp_path / "leaderboard.html").read_text())["boards"][0]["files"]
    paths = [path for of in files for found in of.values() for _, path in found]
    assert len(paths) == len(list((tmp_path / "rows").rglob("*.json")))
    assert all((tmp_path / path).is_file() for path in paths)


# In a browser


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the path")
    with sync_api.sync_playwright() as driver:  # speaks over pipes: no socket is opened
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """A tab in which any error and any request but for the page itself fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(15_000)
    tab = context.new_page()
    errors, requests = [], []
    tab.on("console", lambda said: errors.append(said.text) if said.type != "log" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto = partial(drawn, tab, tab.goto)
    yield tab
    context.close()
    assert errors == []
    assert {url.partition("#")[0].partition(":")[0] for url in requests} == {"file"}
    assert len({url.partition("#")[0] for url in requests}) == 1


def drawn(tab, go, url):
    """Open a page and wait until it has unpacked its numbers."""
    go(url)
    tab.locator("#controls").wait_for()


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return page_of(made(), tmp_path_factory.mktemp("page") / "leaderboard.html")


def numbers(tab):
    """The body of the first table as text, without the pictures."""
    return tab.eval_on_selector_all(
        "table.board >> nth=0 >> tbody > tr.row",
        """rows => rows.map(row => [...row.children].map(cell =>
           (cell.querySelector('.number') || cell).innerText))""",
    )


def names(tab):
    return tab.locator("table.board button.method").all_inner_texts()


def heading(tab, label):
    return tab.locator("table.board > thead th").filter(has_text=re.compile(f"^[▲▼]?{label}"))


def printed(group, score=RANKED_BY):
    table = leaderboard(group, score).text()
    drawn = ("method", "rank", SPAN)  # the page draws the intervals of ranks
    order = ["method", "rank", *[name for name in table if name not in drawn]]
    return table[order].to_numpy().tolist()


def test_the_first_view_is_the_leaderboard_of_the_tables(tab, tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "rows")
    render(tmp_path, figures=False)
    tab.goto((tmp_path / "leaderboard.html").as_uri())
    (group,) = result_groups(load(tmp_path)[0])
    assert numbers(tab) == printed(group)
    assert leaderboard(group).caption.strip() in tab.inner_text("div.note")


def test_a_browser_that_cannot_unpack_the_numbers_says_so(browser, toy):
    tab, errors = browser.new_page(), []
    tab.on("console", lambda said: errors.append(said.text))
    tab.add_init_script("delete window.DecompressionStream")
    tab.goto(toy.as_uri())
    told = tab.locator("#status").filter(has_text="README.md has the tables")
    told.wait_for()
    assert "DecompressionStream" in told.inner_text()
    assert tab.locator("#controls").is_hidden()
    assert len(errors) == 1  # what goes wrong in drawing is not kept from the other tests
    tab.close()


def test_a_board_says_first_what_to_use(tab, tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "rows")
    render(tmp_path, figures=False)
    tab.goto((tmp_path / "leaderboard.html").as_uri())
    (group,) = result_groups(load(tmp_path)[0])
    told = advice(group)
    assert tab.locator("details.advice li").all_inner_texts() == [*told.lessons()]
    cells = tab.locator("table.advice tbody tr").all_inner_texts()
    assert [line.split("\t") for line in cells] == told.table().to_numpy().tolist()
    assert told.caption in tab.inner_text("details.advice .note")
    tab.locator("details.advice > summary").click()
    assert not tab.is_visible("table.advice")
    tab.select_option("[name=scenario]", "cross_dataset")
    assert tab.locator("details.advice").count() == 0


def test_choosing_a_score_shows_its_leaderboard(tab, toy):
    tab.goto(toy.as_uri())
    tab.select_option("[name=score]", "predictive_entropy")
    wanted = printed(result_groups(made())[0], "predictive_entropy")
    width = len(wanted[0])  # accuracy and cost, which follow, are of no score
    assert [row[:width] for row in numbers(tab)] == wanted


def test_sorting_changes_the_order_and_says_so(tab, toy):
    tab.goto(toy.as_uri())
    assert heading(tab, "mean rank").get_attribute("aria-sort") == "ascending"
    accuracy = heading(tab, "accuracy")
    for way in ("descending", "ascending"):  # the best first, then the other way round
        accuracy.get_by_role("button").click()
        assert accuracy.get_attribute("aria-sort") == way
        labels = tab.locator("table.board > thead th b").all_inner_texts()
        values = [float(row[labels.index("accuracy")].split()[0]) for row in numbers(tab)]
        assert values == sorted(values, reverse=way == "descending")
    assert tab.locator("th[aria-sort]").count() == 1
    assert "sorted by accuracy, ascending" in tab.inner_text("[role=status]")


def test_a_scenario_shows_its_views_and_its_own_ranks(tab, toy):
    tab.goto(toy.as_uri())
    tab.select_option("[name=scenario]", "adversarial")
    heads = tab.locator("table.board > thead th b").all_inner_texts()
    assert heads == ["method", "mean rank", "mean", "fgsm", "fgsm_transfer"]
    assert "in 8 (view, severity) cells" in tab.inner_text(".note")
    first = tab.locator("td.cell svg[role=img]").first
    assert re.fullmatch(r"by severity(, 0\.[0-9]+: 0\.\d{3}){4}", first.get_attribute("aria-label"))
    tab.select_option("[name=metric]", "accuracy")  # of the answer, whatever the score
    assert tab.locator("[name=score]").is_disabled()
    tab.select_option("[name=scenario]", "clean")
    heads = tab.locator("table.board > thead th b").all_inner_texts()
    assert heads == ["method", "accuracy", "ECE %", "NLL", "Brier"]


def test_data_sets_and_presets_are_filtered_and_never_mixed(tab, tmp_path):
    records = made(methods=2)
    records += [replace(one, dataset="other") for one in made(methods=3)]
    records += [replace(one, preset="paper") for one in made(methods=1)]
    tab.goto(page_of(records, tmp_path / "page.html").as_uri())

    def titles():
        return tab.locator("h2").all_inner_texts()

    first = ["other preset laptop; cpu"]
    both = ["toy preset laptop; cpu", "toy preset paper; cpu"]
    assert titles() == first
    tab.select_option("[name=data]", "toy")
    assert titles() == both
    tab.select_option("[name=preset]", "paper")
    assert titles() == both[1:]
    tab.select_option("[name=data]", "other")
    assert titles() == []
    assert "No results match" in tab.inner_text("[role=status]")
    tab.select_option("[name=preset]", "*")
    tab.select_option("[name=data]", "*")
    assert titles() == ["Mean over data sets", *first, *both]
    tab.click("button[type=reset]")
    assert titles() == first


def test_search_finds_methods_and_keeps_their_ranks(tab, toy):
    tab.goto(toy.as_uri())
    before = {row[0]: row for row in numbers(tab)}
    tab.fill("[name=find]", "OD_3")
    assert numbers(tab) == [before["method_3"]]
    assert "1 of 5 methods" in tab.inner_text("[role=status]")
    assert tab.evaluate("document.activeElement.name") == "find"
    tab.fill("[name=find]", "no such")
    assert names(tab) == []


@pytest.mark.parametrize(
    ("text", "places"),
    [("method_1, method_3", {1, 3}), ("meth*_2", {2}), ("*_[", set()),
     ("method_?", {0, 1, 2, 3, 4}), ("od_4 meth", {4}), ("thod_*", set()),
     (" , ", {0, 1, 2, 3, 4})],
)  # fmt: skip
def test_search_takes_lists_and_globs(tab, toy, text, places):
    tab.goto(toy.as_uri())
    tab.fill("[name=find]", text)
    assert set(names(tab)) == {f"method_{i}" for i in places}


def test_the_page_opens_on_mnist_whatever_the_order_of_names(tab, tmp_path):
    few = made(methods=2)
    records = [replace(r, dataset=name) for name in ("celeba", "mnist", "zebra") for r in few]
    tab.goto(page_of(records, tmp_path / "page.html").as_uri())
    assert tab.locator("h2").all_inner_texts() == ["mnist preset laptop; cpu"]


def test_everybody_is_ranked_by_one_score_and_others_are_a_click_away(tab, toy):
    tab.goto(toy.as_uri())
    options = tab.locator("[name=score] option").all_inner_texts()
    assert options == [
        "predictive entropy", "vote entropy (the paper’s)", "each method’s own", "expected entropy",
    ]  # fmt: skip
    assert tab.input_value("[name=score]") == "predictive_entropy"
    heads = tab.locator("table.board > thead th b")
    assert "score" not in heads.all_inner_texts()  # the same for all: the caption says it
    tab.select_option("[name=score]", "")
    assert "score" in heads.all_inner_texts()


def protected(seed, method):
    answer = {"score": "samples", "n": 40}
    gap = {"f1_gap": 0.1, "f1_gap_low": -0.05, "f1_gap_high": 0.3}
    rows = [
        {"view": "Bald", "metrics": {"f1": 0.5}} | answer,
        {"view": "not Bald", "metrics": {"f1": 0.6}} | answer,
        {"view": "gap Bald", "metrics": gap} | answer,
    ]
    about = {"dataset": "toy~target=Beard", "scenario_params": {"protect": ["Bald"]}}
    return record(method, "protected", seed, rows, **about)


def test_groups_have_a_tab_with_gaps_and_their_intervals(tab, tmp_path):
    records = made(methods=3) + [protected(seed, "method_1") for seed in range(3)]
    tab.goto(page_of(records, tmp_path / "page.html").as_uri())
    tab.select_option("[name=scenario]", "protected")
    heads = tab.locator("table.board > thead th b").all_inner_texts()
    assert heads == ["method", "F1, Bald", "F1, not Bald", "F1 gap, Bald"]
    assert names(tab) == ["method_1"]  # the others have no number here
    assert "1 of 3 methods" in tab.inner_text("[role=status]")
    assert tab.locator("tr.row td").last.inner_text().split() == [
        "0.100", "±", "0.000", "[-0.050,", "0.300]",
    ]  # fmt: skip
    assert "95 % interval" in tab.inner_text(".note")
    tab.locator("button.method").click()
    assert tab.locator("tr.detail caption").first.inner_text().startswith("protected")


def test_all_data_sets_have_a_mean(tab, tmp_path):
    few = made(methods=3)
    records = [replace(r, dataset=name) for name in ("mnist", "zebra") for r in few]
    tab.goto(page_of(records, tmp_path / "page.html").as_uri())
    assert tab.locator("table.overall").count() == 0
    tab.select_option("[name=data]", "*")
    rows = tab.locator("table.overall tbody tr")
    assert rows.count() == 3
    places = [float(text) for text in rows.locator("td:nth-child(2)").all_inner_texts()]
    assert places == sorted(places)
    assert set(tab.locator("table.overall td:last-child").all_inner_texts()) == {"2"}
    tab.fill("[name=find]", "*_1")
    assert tab.locator("table.overall th[scope=row]").all_inner_texts() == ["method_1"]


def test_a_cell_shows_the_command_that_measures_it_again(tab, tmp_path):
    strange = "method_0:note=it's"
    change = {"method": strange, "dataset": "mnist-600"}
    records = [replace(r, **change) for r in made(methods=1)]
    tab.goto(page_of(records, tmp_path / "page.html").as_uri())
    tab.locator("td[data-column='group near']").click()
    words = shlex.split(tab.inner_text("tr.detail code"))
    assert words[:4] == ["python", "-m", "bench", "run"]
    options = dict(zip(words[4::2], words[5::2], strict=True))
    assert options == {
        "--methods": strange, "--datasets": "mnist", "--scenarios": "cross_dataset",
        "--seeds": "0,1,2", "--preset": "laptop",
    }  # fmt: skip


BEYOND = """frame => {
  frame.scrollLeft = 9999;
  const right = (node) => node.getBoundingClientRect().right;
  return right(frame.querySelector("td:last-child")) - right(frame);
}"""


@pytest.mark.parametrize("width", [390, 1280])
def test_drilled_rows_can_be_seen_to_their_end(tab, toy, width):
    tab.set_viewport_size({"width": width, "height": 800})
    tab.goto(toy.as_uri())
    tab.locator("button.method").first.click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for frame in tab.locator(".frame").all():
        assert frame.evaluate(BEYOND) <= 1


def test_a_choice_is_kept_in_the_address(tab, toy):
    tab.goto(toy.as_uri())
    tab.select_option("[name=scenario]", "corruption")
    tab.fill("[name=find]", "method_1")
    assert tab.evaluate("location.hash") == "#scenario=corruption&find=method_1"
    tab.reload()
    tab.locator("#controls").wait_for()
    assert tab.input_value("[name=scenario]") == "corruption"
    assert names(tab) == ["method_1"]


def test_a_method_opens_on_its_views(tab, toy):
    tab.goto(toy.as_uri())
    button = tab.get_by_role("button", name="method_2", exact=True)
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    detail = tab.locator("tr.detail")
    assert detail.locator("tbody tr").count() == len(VIEWS) + len(ANSWERED)
    values = np.array([
        row.metrics["auroc"]
        for one in made() if (one.method, one.scenario) == ("method_2", "corruption")
        for row in one.rows if (row.view, row.score) == ("corruption_7", "predictive_entropy")
    ])  # fmt: skip
    expected = formats.number(values.mean(), values.std(ddof=1))
    cells = detail.locator("tr", has_text="corruption_7").locator("th, td").all_inner_texts()
    assert cells[:4] == ["corruption_7", expected, "3", "2,000"]
    link = detail.get_by_role("link", name="rows of corruption, seed 1")
    assert link.get_attribute("href") == "rows/toy/corruption/method_2-s1.json"
    tab.click("text=Close")
    assert tab.locator("tr.detail").count() == 0


def test_a_cell_opens_on_the_views_it_averages(tab, toy):
    tab.goto(toy.as_uri())
    tab.locator("td[data-column='group near']").first.click()
    assert tab.locator("tr.detail tbody tr").count() == 6
    tab.click("text=show every view")
    assert tab.locator("tr.detail tbody tr").count() > len(VIEWS)


def test_the_keyboard_is_enough(tab, toy):
    tab.goto(toy.as_uri())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.innerText") == "Skip to the tables"
    tab.keyboard.press("Enter")
    for _ in range(2):  # the table's frame, its first heading
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert heading(tab, "method").get_attribute("aria-sort") == "ascending"
    assert names(tab) == sorted(names(tab))
    assert tab.evaluate("document.activeElement.dataset.sort") == "method"  # kept when drawn anew
    outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    while tab.evaluate("document.activeElement.className") != "method":
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert tab.locator("tr.detail").count() == 1
    assert tab.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    tab.keyboard.press("Escape")
    assert tab.locator("tr.detail").count() == 0
    assert tab.evaluate("document.activeElement.className") == "method"


def test_every_cell_has_headings_and_every_control_a_name(tab, toy):
    tab.goto(toy.as_uri())
    tab.locator("button.method").first.click()
    assert tab.locator("thead th:not([scope=col])").count() == 0
    assert tab.locator("th:not([scope=col], [scope=row])").count() == 0
    assert tab.locator("tbody > tr.row:not(:has(> th[scope=row]))").count() == 0
    unnamed = """nodes => nodes.filter(node =>
        !(node.innerText || node.closest('label')?.innerText || '').trim()).length"""
    assert tab.eval_on_selector_all("button, select, input", unnamed) == 0
    assert tab.locator("svg:not([role=img]):not([aria-hidden])").count() == 0
    assert tab.locator("table.board[aria-labelledby=board-0]").count() == 1
    assert tab.locator("table.part:not(:has(caption))").count() == 0


def test_what_is_partial_says_so_and_is_not_ranked(tab, tmp_path):
    records = made(methods=4)
    at = next(
        i for i, r in enumerate(records) if (r.method, r.scenario) == ("method_1", "corruption")
    )
    kept = tuple(row for row in records[at].rows if row.view != "corruption_3")
    records[at] = replace(records[at], rows=kept)
    tab.goto(page_of(records, tmp_path / "page.html").as_uri())
    row = tab.locator("tr.row", has_text="method_1")
    assert "not ranked" in row.inner_text()
    assert "partial, 19 of 20" in row.inner_text()
    assert names(tab)[-1] == "method_1"
    heading(tab, "corruption").get_by_role("button").click()
    assert names(tab)[-1] == "method_1"
    row.get_by_role("button").click()
    assert "lacks corruption_3 (corruption seed 0)" in tab.inner_text("tr.detail")
    cells = tab.locator("tr.detail tr", has_text="corruption_3").locator("td").all_inner_texts()
    assert re.fullmatch(r"seed 1: 0\.\d{3}, seed 2: 0\.\d{3}", cells[0])
    assert cells[1] == "2 of 3"


def test_a_board_of_nothing_but_failures_is_drawn(tab, tmp_path):
    lost = {"status": "failed", "reason": "no space", "rows": (), "fit_seconds": None}
    records = [replace(one, **lost) for one in made(methods=2, seeds=1)]
    tab.goto(page_of(records, tmp_path / "page.html").as_uri())
    assert names(tab) == ["method_0", "method_1"]
    tab.locator("summary").click()
    assert "method_0: failed: no space" in tab.inner_text(".note")


def test_hostile_names_are_shown_as_they_are(tab, tmp_path):
    evil = "</script><img src=x onerror=window.bad=1>"
    records = [replace(r, method=evil) if r.method == "method_0" else r for r in made(methods=3)]
    tab.goto(page_of(records, tmp_path / "page.html").as_uri())
    assert evil in names(tab)
    assert tab.evaluate("window.bad") is None
    assert tab.locator("img").count() == 0


def background(tab):
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")


def test_dark_follows_the_system_and_the_button(tab, toy):
    tab.emulate_media(color_scheme="dark")
    tab.goto(toy.as_uri())
    dark = background(tab)
    assert sum(map(int, re.findall(r"\d+", dark)[:3])) < 150
    tab.emulate_media(color_scheme="light")
    light = background(tab)
    assert sum(map(int, re.findall(r"\d+", light)[:3])) > 600
    button = tab.locator("#theme")
    button.click()
    assert button.inner_text() == "Theme: light"
    button.click()
    assert (button.inner_text(), background(tab)) == ("Theme: dark", dark)
    tab.emulate_media(media="print")
    assert background(tab) != dark


CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (text) => channels(text).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
  };
  return [...document.querySelectorAll('p, td span, th small, th b, dd, label, a, button')]
    .filter((node) => node.innerText && !node.disabled)
    .map((node) => [light(getComputedStyle(node).color), light(behind(node))].sort())
    .map(([dark, bright]) => (bright + 0.05) / (dark + 0.05))
    .reduce((least, ratio) => Math.min(least, ratio), 99);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(tab, toy, scheme):
    tab.emulate_media(color_scheme=scheme)
    tab.goto(toy.as_uri())
    tab.locator("button.method").first.click()
    assert tab.evaluate(CONTRAST) >= 4.5  # WCAG 2.2, level AA


def test_print_has_the_tables_and_no_controls(tab, toy):
    tab.goto(toy.as_uri())
    tab.emulate_media(media="print")
    assert not tab.locator("#controls").is_visible()
    assert not tab.locator("#theme").is_visible()
    assert tab.locator("table.board").is_visible()
    assert tab.evaluate("getComputedStyle(document.querySelector('.scroll')).overflow") == "visible"


def test_a_narrow_screen_scrolls_the_table_and_not_the_page(tab, toy):
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.goto(toy.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.evaluate("document.querySelector('.scroll').scrollLeft = 300")
    assert tab.locator("button.method").first.bounding_box()["x"] >= 0  # names stay


def test_forty_methods_on_sixty_views_fit_in_a_page_that_sorts(tab, tmp_path):
    path = page_of(made(methods=40, scores=SCORES), tmp_path / "page.html")
    assert path.stat().st_size < 5_000_000
    tab.goto(path.as_uri())
    before = names(tab)
    assert len(before) == 40
    heading(tab, "corruption").get_by_role("button").click()
    assert sorted(names(tab)) == sorted(before)
    assert names(tab) != before


def test_nothing_complete_is_ranked_as_nothing():
    found = page_data.ranks(ranking([np.full((2, 1, 3), np.nan)]), ["a", "b"])
    assert (found["order"], found["best"], found["methods"]) == ([], [], 0)
