"""Views are listed without reading outliers, and are the same as if they had been read."""

import json
import os
from types import SimpleNamespace

import pytest
import torch

from bench.datasets.base import Raw, fingerprint
from bench.datasets.described import described, undescribed
from bench.datasets.digits import Digits
from bench.datasets.errors import DataError
from bench.datasets.heldout import HeldOut
from bench.datasets.letters import Letters
from bench.datasets.noise import Noise
from bench.datasets.outliers import Outliers
from bench.datasets.photos import Photos
from bench.datasets.store import Store
from bench.discover import choose
from bench.errors import UnknownNameError
from bench.scenarios import cross_dataset
from bench.scenarios.cross_dataset import CrossDataset, foreign, outlier_sources
from bench.scenarios.heldout import Heldout, held_out


def forget() -> None:
    """What a new process does not know."""
    for known in (outlier_sources, cross_dataset.describe, cross_dataset._read, held_out):
        known.cache_clear()


@pytest.fixture
def evaluator(tmp_path):
    forget()
    data = Digits()
    data.store = Store(tmp_path)
    yield SimpleNamespace(data=data, test=data.test())
    forget()


class Filed(Outliers):
    """Squares that a file holds."""

    name = "filed"
    source = "made here"
    kind = "glyph"
    content = frozenset({"square"})

    def files(self):
        path = self.store.root / "squares"
        return [path] if path.exists() else []

    def images(self):
        if not self.files():
            raise DataError("filed: squares is not there")
        value = int(self.files()[0].read_text())
        return Raw(torch.full((40, 1, 32, 32), value, dtype=torch.uint8), torch.zeros(40, 1).long())


def listed(scenario, evaluator) -> dict[str, tuple[str, int]]:
    views = scenario.views(evaluator)
    return {view.name: (view.fingerprint, view.n) for view in views.found}


def test_listing_views_a_second_time_opens_no_image(evaluator, monkeypatch):
    first = listed(CrossDataset(cap=50), evaluator)
    assert set(first) == {"letters", "noise", "photos"}
    forget()
    for source in (Letters, Noise, Photos, Digits):
        monkeypatch.setattr(source, "raw", lambda *_: pytest.fail("an image was read"))
    monkeypatch.setattr(Digits, "transform", lambda *_: pytest.fail("an image was transformed"))
    monkeypatch.setattr(Store, "kept", lambda *_: pytest.fail("derived images were read"))
    assert listed(CrossDataset(cap=50), evaluator) == first
    views = CrossDataset(cap=50).views(evaluator).found
    with pytest.raises(pytest.fail.Exception, match="read"):
        views[0].load()


def test_views_are_those_of_the_images_themselves(evaluator):
    scenario = CrossDataset(cap=50)
    for view in (*scenario.views(evaluator).found, *scenario.views(evaluator).found):
        (source,) = (s for s in outlier_sources(evaluator.data) if s.name == view.name)
        split = foreign(evaluator.data, source)
        rows = scenario.drawn(len(split), len(evaluator.test), "digits", source.name)
        assert view.fingerprint == fingerprint(split.fingerprint, rows)
        assert torch.equal(view.load(), split.x[rows])
        assert view.n == len(rows) == 50


def test_a_file_that_changes_is_read_again(evaluator, monkeypatch):
    monkeypatch.setattr(cross_dataset, "subclasses", lambda *_: {"filed": Filed})
    monkeypatch.setattr(Filed, "embedded", False)
    evaluator.data.embedded = False
    assert CrossDataset().views(evaluator).missing == {"filed": "filed: squares is not there"}
    file = evaluator.data.store.root / "squares"
    marks = []
    for value in (7, 200):
        forget()
        file.write_text(str(value))
        os.utime(file, ns=(value, value))
        (view,) = CrossDataset().views(evaluator).found
        assert view.load().unique().numel() == 1
        marks.append(view.fingerprint)
    assert len(set(marks)) == 2


def test_a_class_held_out_is_listed_without_reading_the_set_again(evaluator, monkeypatch):
    data = HeldOut(evaluator.data, "3")
    of_it = SimpleNamespace(data=data, test=data.test())
    first = listed(Heldout(cap=20), of_it)
    split = data.outliers()
    rows = Heldout(cap=20).drawn(len(split), len(of_it.test), data.name, "heldout")
    assert first == {"3": (fingerprint(split.fingerprint, rows), 20)}
    forget()
    monkeypatch.setattr(Digits, "raw", lambda *_: pytest.fail("an image was read"))
    assert listed(Heldout(cap=20), of_it) == first


@pytest.mark.parametrize(
    "damage",
    [
        lambda note: note.write_text(""),
        lambda note: note.write_text("[]"),
        lambda note: note.write_text('{"key": "k", "fingerprint": "x", "n": -1}'),
        lambda note: note.write_text('{"key": "k", "fingerprint": "x", "n": true}'),
        lambda note: note.write_text('{"key": "other", "fingerprint": "x", "n": 3}'),
        lambda note: (note.unlink(), note.mkdir()),
        lambda note: (note.unlink(), note.symlink_to("nowhere")),
        lambda note: (note.unlink(), os.mkfifo(note)),
    ],
)
def test_a_damaged_description_is_made_again(tmp_path, damage):
    split = Digits().test()
    one = described(Store(tmp_path), "toy", "k", lambda: split)
    damage(one.note)
    again = described(Store(tmp_path), "toy", "k", lambda: split)
    assert (again.fingerprint, again.n) == (split.fingerprint, 360)
    assert torch.equal(again.load().x, split.x)


def test_a_description_of_other_inputs_is_never_believed(tmp_path):
    split = Digits().test()
    note = described(Store(tmp_path), "toy", "k", lambda: split).note
    note.write_text(json.dumps({"key": "k", "fingerprint": "f" * 16, "n": 5}))
    wrong = described(Store(tmp_path), "toy", "k", lambda: split)
    with pytest.raises(DataError, match=r"not those that .*k\.json describes; run again"):
        wrong.load()
    assert not note.exists()
    assert described(Store(tmp_path), "toy", "k", lambda: split).load() is split


def test_a_set_without_an_identity_is_read_each_time():
    reads = []
    split = Digits().test()
    for _ in range(2):
        assert undescribed(lambda: reads.append(1) or split).load() is split
    assert len(reads) == 2


def test_sources_are_chosen_by_name(evaluator):
    (choice,) = choose(
        "scenario", "cross_dataset:sources=noise+letters", {"cross_dataset": CrossDataset}
    )
    assert choice.label == "cross_dataset:sources=noise+letters"
    chosen = listed(choice.cls(**choice.params), evaluator)
    everything = listed(CrossDataset(), evaluator)
    assert chosen == {name: everything[name] for name in ("noise", "letters")}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("leters", UnknownNameError, "Did you mean 'letters'"),
        ("mnist", DataError, "mnist is no outlier set of digits: both hold the class digit"),
        ("fsdd", DataError, "one holds sounds, the other images"),
        ("folder", DataError, "the user's own"),
    ],
)
def test_a_source_that_is_none_is_named(evaluator, name, error, message):
    with pytest.raises(error, match=message):
        CrossDataset(sources=(name,)).views(evaluator)


def test_a_set_with_a_part_held_out_depends_on_the_code_of_its_base():
    assert HeldOut(Digits(), "3").code_modules() == (
        "bench.datasets.heldout",
        "bench.datasets.digits",
    )
