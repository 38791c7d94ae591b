"""Holding out a class or attribute: what is left, what is measured, and what a run makes of it."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from bench import datasets
from bench.cli import main
from bench.datasets.base import Dataset, Raw, Source, Splits, Task, fingerprint
from bench.datasets.celeba import ATTRIBUTES, CelebA
from bench.datasets.digits import Digits
from bench.datasets.errors import DataError
from bench.datasets.heldout import HeldOut
from bench.datasets.store import Store
from bench.discover import choose, subclasses
from bench.errors import UnknownNameError
from bench.report.frames import load, result_groups
from bench.report.leaderboard import leaderboard
from bench.report.scenarios import everything
from bench.running.plan import make_plan
from bench.scenarios.heldout import OF_THE_PAPER, Heldout
from bench.store.records import read_all
from bench.store.schema import OWN, Record

FAST = ["--methods", "chance,linear", "--preset", "smoke", "--seeds", "0"]


class Toy(Dataset):
    """300 pictures of one pixel with three attributes: the bits of their number."""

    source = "made up here"
    kind = "face"
    content = frozenset({"face"})
    embedded = True
    task = Task((1, 1, 1), ("low", "middle", "high"), ("no", "yes"))

    def raw(self, which: str) -> Raw:
        number = torch.arange(300) % 8
        y = torch.stack([number // 2**bit % 2 for bit in range(3)], 1)
        return Raw(number.byte().view(-1, 1, 1, 1), y)

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.fixture
def toy() -> Dataset:
    made = Toy()
    vars(made)["name"] = "toy"
    return made


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


# What is left


def pixels(parts: Splits) -> set[bytes]:
    return {bytes(image.numpy()) for part in parts for image in part.x}


def test_a_class_is_gone_from_every_part_and_the_others_are_renumbered():
    base, left = Digits().splits(0), HeldOut(Digits(), "3").splits(0)
    for whole, part in zip(base, left, strict=True):
        keep = whole.y[:, 0] != 3
        assert 0 < len(part) == int(keep.sum()) < len(whole)
        assert torch.equal(part.x, whole.x[keep])
        words = [part.task.classes[k] for k in part.y[:, 0]]
        assert words == [whole.task.classes[k] for k in whole.y[keep, 0]]
    assert left.train.task.classes == tuple("012456789")
    assert left.train.task.targets == ("digit",)


def test_the_outliers_are_what_is_gone_from_the_test_part():
    data = HeldOut(Digits(), "3")
    whole = Digits().test()
    outliers = data.outliers()
    assert torch.equal(outliers.x, whole.x[whole.y[:, 0] == 3])
    assert (outliers.y == -1).all()
    assert len(outliers) + len(data.test()) == len(whole)
    assert not pixels(data.splits(0)) & {bytes(image.numpy()) for image in outliers.x}


def test_positives_of_an_attribute_are_gone_and_so_is_it_as_a_target(toy):
    data = HeldOut(toy, "high")
    for whole, part in zip(toy.splits(0), data.splits(0), strict=True):
        keep = whole.y[:, 2] == 0
        assert torch.equal(part.x, whole.x[keep])
        assert torch.equal(part.y, whole.y[keep][:, :2])
        assert part.task == Task((1, 1, 1), ("low", "middle"), ("no", "yes"))
    outliers = data.outliers()
    assert outliers.y.shape == (148, 2)
    assert set(outliers.x.flatten().tolist()) == {4, 5, 6, 7}


def test_raw_images_are_those_of_the_parts():
    data = HeldOut(Digits(), "0")
    raw = data.raw("test")
    assert torch.equal(data.transform(raw.x), data.test().x)
    assert torch.equal(raw.y, data.test().y)
    assert raw.y.max() == 8


def test_every_part_and_every_variant_has_its_own_fingerprint():
    variants = [Digits(), *(HeldOut(Digits(), what) for what in "034")]
    marks = [part.fingerprint for data in variants for part in data.splits(0)]
    marks += [data.outliers().fingerprint for data in variants[1:]]
    assert len(set(marks)) == len(marks) == 4 * 3 + 3
    assert marks[:6] == [p.fingerprint for d in variants[:2] for p in d.splits(0)]


def test_what_is_not_split_is_the_bases(tmp_path):
    base = Digits()
    base.store = Store(tmp_path)
    data = HeldOut(base, "3")
    about = ("store", "kind", "content", "embedded", "source", "version")
    assert all(getattr(data, name) == getattr(base, name) for name in about)
    assert data.where() == "embedded"
    assert data.label == "digits~without=3"
    assert data != HeldOut(base, "4")
    assert data == HeldOut(base, "3")


def test_a_variant_is_no_choice_of_its_own():
    for base in (Dataset, Source):
        assert HeldOut not in subclasses(datasets, base).values()


def test_too_few_outliers_are_counted(toy, monkeypatch):
    monkeypatch.setattr(datasets.heldout, "FEWEST", 149)
    message = r"toy: only 148 of 300 test inputs have 'high', too few .* that 149 or more have$"
    for ask in (HeldOut(toy, "high").test, lambda: HeldOut(toy, "high").splits(0)):
        with pytest.raises(DataError, match=message):
            ask()
    assert len(HeldOut(toy, "low").test()) == 150


# What is asked


def held(data: Dataset, words: str = "heldout", preset: str = "laptop") -> list[str]:
    (choice,) = choose("scenario", words, {"heldout": Heldout}, preset)
    return [variant.what for variant in choice.cls(**choice.params).training(data)]


def test_the_papers_attributes_or_every_class_in_turn():
    assert held(CelebA()) == list(OF_THE_PAPER) == ["Wearing_Hat", "Blond_Hair", "Bald"]
    assert held(Digits()) == list("0123456789")
    assert held(Digits(), preset="smoke") == ["0", "1"]
    assert set(OF_THE_PAPER) < set(ATTRIBUTES)


def test_any_attribute_or_class_by_parameter():
    assert held(CelebA(), "heldout:hold=Eyeglasses") == ["Eyeglasses"]
    assert held(CelebA(), "heldout:hold=Bald+Male+Bald") == ["Bald", "Male"]
    assert held(Digits(), "heldout:hold=5,2,7", preset="smoke") == ["5", "2", "7"]
    assert held(CelebA(), "heldout:hold=usual+Male") == [*OF_THE_PAPER, "Male"]


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"attribute of celeba 'Blad'. Did you mean 'Bald'"):
        held(CelebA(), "heldout:hold=Blad")
    with pytest.raises(UnknownNameError, match=r"class of digits '11'. Did you mean '1'"):
        held(Digits(), "heldout:hold=11")


def test_of_two_classes_none_can_be_held_out(toy):
    toy.task = Task((1, 1, 1), ("low",), ("no", "yes"))
    assert "two classes" in Heldout().skip(toy)
    assert Heldout().skip(Digits()) is None


@pytest.mark.parametrize("words", ["ood", "paper", "all"])
def test_only_who_asks_for_it_trains_once_for_each_class(words, tmp_path):
    plan = dict(methods_="chance", datasets_="digits", seeds=[0], preset="laptop")
    jobs = make_plan(scenarios=words, store=Store(tmp_path), **plan)
    assert [job.data.label for job in jobs] == ["digits"]
    asked = make_plan(scenarios=f"{words},heldout", store=Store(tmp_path), **plan)
    assert len(asked) == 11
    assert all([s.name for s in job.scenarios] == ["heldout"] for job in asked[1:])


def test_the_papers_attributes_belong_to_its_tables():
    assert not Heldout().named_only(CelebA())
    assert Heldout().named_only(Digits())
    assert "paper" in Heldout.tags


# What a run makes of it


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    run("run", *FAST, "--scenarios", "clean,cross_dataset,heldout", "--results", folder)
    return folder


def records(results, **wanted) -> list[Record]:
    found = read_all(results / "rows")[0]
    return [r for r in found if all(getattr(r, name) == value for name, value in wanted.items())]


def test_each_variant_is_a_fit_of_its_own(results):
    names = {path.name for path in (results / "cache/fits").iterdir()}
    assert names == {"digits", "digits~without=0", "digits~without=1"}
    keys = {}
    for name in names:
        (path,) = (results / "cache/fits" / name).glob("linear-s0-*.json")
        keys[name] = json.loads(path.read_text())["key"]
    for field in ("dataset", "train", "val"):
        assert len({key[field] for key in keys.values()}) == 3
    assert keys["digits"]["train"] == Digits().splits(0).train.fingerprint


def test_rows_keep_the_label_and_name_what_was_held_out(results):
    found = records(results, scenario="heldout")
    assert {r.dataset for r in found} == {"digits~without=0", "digits~without=1"}
    for record in found:
        whole = Digits().test().y[:, 0]
        held_out = record.dataset[-1]
        assert {row.view for row in record.rows} == {held_out}
        assert {row.n for row in record.rows} == {int((whole == int(held_out)).sum())}


def test_chance_is_exactly_one_half(results):
    found = records(results, scenario="heldout", method="chance")
    values = [row.metrics["auroc"] for record in found for row in record.rows]
    assert len(values) == 2 * 6
    assert set(values) == {0.5}


def test_a_second_run_measures_nothing(results):
    output = run("run", *FAST, "--scenarios", "heldout", "--results", results)
    assert "0 scenarios measured, 0 failed" in output
    assert "held out" in output  # the leaderboard of the data set itself is shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("heldout:hold=twelve", "unknown class of digits 'twelve'. Known: 0, 1,"),
        ("heldout:hld=3", "unknown parameter of heldout 'hld'. Did you mean 'hold'"),
    ],
)
def test_a_mistake_gets_one_line_before_any_training(words, message, tmp_path):
    output = run("run", *FAST, "--scenarios", words, "--results", tmp_path / "new", code=2)
    assert message in output
    assert len(output.strip().splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_too_few_to_measure_is_said_before_any_training(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.heldout, "FEWEST", 37)
    words = ["--scenarios", "heldout:hold=1,0", "--results", tmp_path]
    output = run("run", *FAST, *words, code=2)
    assert "bench: digits: only 36 of 360 test inputs have '0', too few" in output
    assert len(output.strip().splitlines()) == 1
    assert not (tmp_path / "cache").exists()


# What the report makes of it


@pytest.fixture
def copied(results, tmp_path):
    shutil.copytree(results / "rows", tmp_path / "rows")
    return tmp_path


def board(results):
    (found,) = result_groups(load(results)[0])
    return found


def change(path, **fields) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_variants_are_on_the_board_of_their_data_set(results):
    assert board(results).dataset == "digits"
    table = leaderboard(board(results), OWN)
    expected = [
        next(row.metrics["auroc"] for row in r.rows if row.score == r.score)
        for r in records(results, scenario="heldout", method="linear")
    ]
    assert table.mean.loc["linear", "held out"] == pytest.approx(sum(expected) / 2)
    assert table.mean.loc["chance", "held out"] == 0.5


def test_fit_seconds_are_those_of_the_data_set_itself(copied):
    for path in (copied / "rows").glob("digits~*/heldout/linear-s0.json"):
        change(path, fit_seconds=1000.0)
    seconds = board(copied).fit_seconds
    (own,) = {r.fit_seconds for r in records(copied, dataset="digits", method="linear")}
    assert seconds.loc["linear", 0] == own < 1000


def test_rank_is_that_of_fits_on_the_data_set_itself(copied):
    before = leaderboard(board(copied), OWN)
    for path in (copied / "rows").glob("digits~*/heldout/linear-s0.json"):
        path.unlink()
    after = leaderboard(board(copied), OWN)
    assert after.rank.to_dict() == before.rank.to_dict()
    assert after.rank.notna().all()
    assert after.mean["held out"].isna().to_dict() == {"linear": True, "chance": False}
    assert any("not run (heldout seed 0)" in note for note in after.notes)


def test_a_failed_variant_leaves_a_dash_with_its_reason(copied):
    path = copied / "rows/digits~without=1/heldout/linear-s0.json"
    change(path, status="failed", reason="no space", rows=[])
    table = leaderboard(board(copied), OWN)
    assert table.mean.loc["linear":"linear", "held out"].isna().all()
    assert "linear: failed: no space (heldout seed 0)" in table.notes


def test_a_report_of_variants_alone_has_no_rank_and_no_seconds(copied):
    shutil.rmtree(copied / "rows/digits")
    found = board(copied)
    table = leaderboard(found, OWN)
    assert list(table.specs) == ["held out", "fit s"]
    assert table.rank.isna().all()
    assert table.mean["fit s"].isna().all()
    assert found.scenarios == ["heldout"]
    assert set(everything(found, "heldout")["view"]) == {"0", "1"}


def test_a_split_of_attributes_keeps_what_else_is_known(toy, monkeypatch):
    whole = Toy.test

    def with_attributes(self):
        part = whole(self)
        return replace(part, attributes=part.y * 2, fingerprint=fingerprint("told"))

    monkeypatch.setattr(Toy, "test", with_attributes)
    left = HeldOut(toy, "low").test()
    assert torch.equal(left.attributes[:, 1:], left.y * 2)
