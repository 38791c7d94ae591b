"""The page runs the network itself: in a real browser its numbers are torch's."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import bench
from bench.cli import main
from bench.datasets.base import as_floats
from bench.datasets.digits import Digits
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.device import resolve
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.gallery import examples, explore, privacy
from bench.methods.nets import Decodable
from bench.methods.redecnn import ReDecNN
from bench.store.cache import Cache

TRAINED = dict(epochs=20, lr=0.005)  # long enough for classes to differ from input to input
METHOD = "redecnn:" + ",".join(f"{name}={value}" for name, value in TRAINED.items())
BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "chrome"])), None)


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def made(folder: Path, method: str) -> Path:
    output = folder / "page.html"
    words = ["--methods", method, "--preset", "smoke", "--results", folder, "-o", output]
    assert str(output) in run("explore", *words)
    return output


def fitted(folder: Path, **params) -> Evaluator:
    """The fit behind a page, read from the cache it was kept in."""
    data = Digits()
    console = Console(quiet=True)
    fitter = Fitter(data, 0, "smoke", resolve("cpu"), Cache(folder / "cache"), console)
    return Evaluator(METHOD, ReDecNN(**ReDecNN.defaults("smoke") | TRAINED | params), 0, fitter)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("explore")
    made(place, METHOD)
    return place


@pytest.fixture(scope="module")
def evaluator(folder):
    return fitted(folder)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("no Chromium found; Debian's package is called chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser, path: Path):
    """The page once its first paths have voted; it may ask for nothing and complain of nothing."""
    page = browser.new_page()
    page.problems, page.asked = [], []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url.partition(":")[0]))
    page.goto(path.as_uri())
    page.wait_for_function("document.getElementById('wall').children.length >= 4")
    return page


@pytest.fixture
def page(browser, folder):
    page = opened(browser, folder / "page.html")
    yield page
    assert page.problems == []
    assert set(page.asked) <= {"file", "data"}
    page.close()


def along(net: Decodable, x: torch.Tensor, path: list[int]) -> list[float]:
    """What torch says at the end of a path of layers from inputs (1, C, H, W)."""
    with torch.no_grad():
        for layer in path:
            x = net.decoder(net.classifier.activations(x))[layer]
        return net.classifier(x).softmax(-1).flatten().tolist()


def largest_difference(page, evaluator: Evaluator, *further: list[int]) -> float:
    """Between page and torch, over inputs of all kinds and their decodings from every layer."""
    net = explore.network(evaluator.fitted().method)
    x = as_floats(torch.cat([group.x for group in explore.chosen(evaluator)]))
    paths = [[], *([layer] for layer in range(len(net.classifier.blocks))), *further]
    assert page.evaluate("explore.inputs.length") == len(x)
    worst = 0.0
    for i in range(0, len(x), 5):
        found = page.evaluate("([i, paths]) => paths.map(p => explore.walk(i, p))", [i, paths])
        expected = [along(net, x[i : i + 1], path) for path in paths]
        worst = max(worst, (torch.tensor(found) - torch.tensor(expected)).abs().max().item())
    return worst


def test_the_page_computes_what_torch_does(page, evaluator):
    assert largest_difference(page, evaluator, [2, 0, 1]) < 1e-4
    words = page.inner_text("#agreement")
    assert float(re.search(r"at most (\S+) in", words)[1]) < 1e-4
    assert "float32" in words


def test_half_precision_and_gelu_agree_too(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(explore, "HALF_ABOVE", 0)
    page = opened(browser, made(tmp_path, f"{METHOD},activation=gelu"))
    assert largest_difference(page, fitted(tmp_path, activation="gelu")) < 1e-2
    assert "float16" in page.inner_text("#agreement")
    assert page.problems == []


def frames(page) -> list[str]:
    return page.eval_on_selector_all("#film .frame", "all => all.map(one => one.ariaLabel)")


def test_a_path_is_walked_by_mouse_and_keys_and_walked_back(page):
    assert len(frames(page)) == 1
    tile = page.locator("#layers button").nth(1)
    said = tile.get_attribute("aria-label").partition(": ")[2]
    tile.click()
    assert frames(page)[1:] == [f"step 1, through layer 2: {said}"]
    page.keyboard.press("3")
    assert len(frames(page)) == 3
    assert "after 2 steps" in page.inner_text("#live")
    page.keyboard.press("Backspace")
    assert len(frames(page)) == 2
    page.click("#undo")
    assert len(frames(page)) == 3
    page.locator("#film .frame").first.press("Enter")
    assert len(frames(page)) == 1
    assert page.evaluate("document.activeElement.matches('#film .frame')")


def test_votes_grow_and_their_entropy_is_that_of_the_counts(page):
    for expected in (4, 8, 9):
        if expected > 4:
            page.click("#draw" if expected == 8 else "#one")
        page.wait_for_function(f"document.getElementById('wall').children.length === {expected}")
        texts = page.locator("#votes li > span:last-child").all_inner_texts()
        counts = [int(text) for text in texts if text != "0"]
        assert sum(counts) == expected
        entropy = -sum(c / expected * math.log(c / expected) for c in counts)
        said = page.inner_text("#verdict")
        assert said.startswith(f"{expected} paths")
        assert float(re.search(r"Vote entropy (\S+) nats", said)[1]) == pytest.approx(
            entropy, abs=6e-4
        )


def test_a_deeper_path_has_more_pictures_and_can_be_walked(page):
    page.locator("#depth").fill("5")
    page.wait_for_function("document.getElementById('wall').children.length === 4")
    page.locator("#wall button").first.click()
    assert len(frames(page)) == 6
    said = page.locator("#wall button").first.get_attribute("aria-label")
    assert said.partition(": ends at ")[2] == frames(page)[-1].partition(": ")[2]


def test_another_input_starts_anew(page):
    thumb = page.locator("#gallery table button").last
    thumb.focus()
    page.keyboard.press("Enter")
    assert thumb.get_attribute("aria-pressed") == "true"
    assert len(frames(page)) == 1
    assert page.locator(".thumb[aria-pressed=true]").count() == 1


def test_what_is_written_on_the_pad_is_read(page):
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 80, box["y"] + 140, steps=5)
    page.mouse.up()
    assert page.inner_text("#about-input") == "your own"
    assert max(page.evaluate("Array.from(explore.inputs.at(-1).image)")) > 0.5


def test_every_button_has_a_name_and_every_picture_is_inside_something_named(page):
    page.wait_for_timeout(50)
    unnamed = page.eval_on_selector_all(
        "button, canvas[role], svg", "all => all.filter(e => !e.ariaLabel && !e.innerText).length"
    )
    assert unnamed == 0
    assert page.eval_on_selector_all("canvas:not([role])", "a => a.every(c => c.closest('button'))")


def test_the_page_can_be_turned_dark(page):
    colours = set()
    for _ in range(2):
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.click("#theme")
    assert len(colours) == 2


def facts(path: Path, part: str = "about") -> dict:
    return json.loads(re.search(rf'id="{part}">(.*?)</script>', path.read_text("utf-8"), re.S)[1])


def test_decnn_has_a_page_with_its_layers_as_votes(tmp_path):
    about = facts(made(tmp_path, "decnn"))
    assert (about["depth"], about["samples"]) == (1, 3)


def test_the_page_shows_what_the_benchmark_measured(folder, evaluator):
    about = facts(folder / "page.html")
    said = evaluator.predict(evaluator.clean)
    clean = [one for one in about["inputs"] if one["group"] == "clean"]
    scores = examples.headline(evaluator)(said.probs)
    assert [one["score"] for one in clean] == [round(float(scores[one["row"]]), 4) for one in clean]
    assert [one["label"][0] for one in clean] == list(range(10))
    assert {one["group"] for one in about["inputs"]} == {
        "clean", "mistakes", "corrupted", "adversarial", "outliers",
    }  # fmt: skip


def test_changed_inputs_are_the_named_test_inputs(evaluator):
    rows = torch.tensor([3, 7, 40])
    x = evaluator.test.floats(rows)
    (attacked,) = examples.adversarial(evaluator, rows, (0.1,))
    assert 0.05 < (as_floats(attacked.x) - x).abs().max() < 0.1 + 1 / 255
    (noisy,) = (s for s in examples.corrupted(evaluator, rows) if s.name == "shot_noise")
    distance = torch.cdist(as_floats(noisy.x).flatten(1), evaluator.test.floats().flatten(1))
    assert distance.argmin(1).tolist() == rows.tolist()


def test_mistakes_are_mistakes(evaluator):
    found = examples.mistakes(evaluator, 10)
    said = evaluator.fitted().method.single_classifier()(as_floats(found.x)).argmax(-1)
    assert len(found.x)
    assert (said != found.y).all()


def test_no_page_shows_a_person_as_an_outlier(evaluator, monkeypatch):
    class Faces(Digits):
        name = "faces"
        kind = "face"

    monkeypatch.setattr(examples, "outlier_sources", lambda data: (Faces(),))
    assert examples.outliers(evaluator, 4) == []


@pytest.fixture
def portraits(monkeypatch):
    monkeypatch.setattr(Digits, "kind", "face")
    return Digits()


def test_pictures_of_people_stay_out_of_the_repository(portraits, tmp_path):
    privacy.must_stay_private(portraits, tmp_path / "page.html")
    for place in (bench.ROOT / "page.html", tmp_path / "reference" / "page.html"):
        with pytest.raises(UsageError, match="pictures of them are never committed"):
            privacy.must_stay_private(portraits, place)


def test_a_page_of_people_says_so_and_is_refused_where_it_could_be_committed(portraits, tmp_path):
    text = made(tmp_path, "redecnn").read_text("utf-8")
    assert "This page shows pictures of people" in text
    words = ["--preset", "smoke", "--results", tmp_path, "-o", tmp_path / "reference" / "x.html"]
    assert "never committed" in run("explore", *words, code=2)
    assert not (tmp_path / "reference").exists()


def test_a_page_of_digits_has_no_such_notice(folder):
    assert "shows pictures of people" not in (folder / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "standard"], "standard has no decoder; choose decnn or redecnn"),
        (["--methods", "decnn,redecnn"], "one method on one data set from one seed, not 2"),
        (["-o", "/dev/null/page.html"], "cannot write /dev/null/page.html"),
    ],
)
def test_a_mistake_gets_one_line(words, message, folder):
    output = run("explore", "--preset", "smoke", "--results", folder, *words, code=2)
    assert message in output
    assert len(output.strip().splitlines()) == 1


def test_a_network_the_page_cannot_run_is_refused():
    method = ReDecNN(backbone="cnn", blocks=2, channels=4)
    with pytest.raises(UsageError, match="not backbone=cnn; `python -m bench draw`"):
        explore.must_be_runnable(method)
    method.net = method.build(Digits.task)
    with pytest.raises(UsageError, match="that of redecnn is another; `python -m bench draw`"):
        explore.network(method)
    with pytest.raises(UsageError, match="not decoder=resnet"):
        explore.must_be_runnable(ReDecNN(decoder="resnet"))
