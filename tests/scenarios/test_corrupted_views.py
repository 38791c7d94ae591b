"""Corrupted views are known by the content of what they are made from."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.datasets.base import Dataset, Raw, Task
from bench.datasets.errors import DataError
from bench.datasets.store import Store, stamps
from bench.scenarios import composed, corruption, speech_corruption
from bench.scenarios.composed import Composed
from bench.scenarios.corruption import Corruption
from bench.scenarios.speech_corruption import SpeechCorruption


class Halved(Dataset):
    """Six pictures, or recordings, of which the transform shows every second column alone."""

    name = "halved"
    source = "made here"
    kind = "glyph"
    content = frozenset({"column"})
    embedded = True
    task = Task((1, 28, 14), ("column",), ("a", "b"))

    def __init__(self):
        self.x = torch.arange(6 * 28 * 28).reshape(6, 1, 28, 28).mul(37).remainder(251).byte()
        self.identities = 0

    def raw(self, which):
        return Raw(self.x.clone(), torch.zeros(len(self.x), 1, dtype=torch.long))

    def transform(self, x):
        return x[..., ::2]

    def change(self):
        """Change what the transform hides, in what corruptions act on."""
        self.x[..., 1::2] = 255 - self.x[..., 1::2]
        self.identities += 1

    def identity(self):
        return str(self.identities)


SCENARIOS = {"corruption": Corruption, "speech_corruption": SpeechCorruption, "composed": Composed}


@pytest.fixture
def data(tmp_path):
    one = Halved()
    one.store = Store(tmp_path)
    return one


def views(data, scenario="corruption"):
    stub = SimpleNamespace(data=data, test=data.test())
    return {view.name: view for view in SCENARIOS[scenario](cap=5).views(stub).found}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_change_that_the_transform_hides_makes_other_views(data, scenario):
    test, before = data.test().fingerprint, views(data, scenario)
    data.change()
    after = views(data, scenario)
    assert data.test().fingerprint == test
    assert all(before[name].fingerprint != after[name].fingerprint for name in before)


def test_what_is_kept_of_the_former_inputs_is_not_taken_for_these(data):
    before = views(data)["scale"].load()
    data.change()
    assert not torch.equal(views(data)["scale"].load(), before)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_other_code_of_the_transform_makes_other_views(data, scenario, monkeypatch):
    before = views(data, scenario)
    module = {"corruption": corruption, "composed": composed}.get(scenario, speech_corruption)
    for place in {corruption, module}:
        known = place.code_digest
        other = lambda *names, k=known: k(*names) + "x" * (names == data.code_modules())  # noqa: E731
        monkeypatch.setattr(place, "code_digest", other)
    after = views(data, scenario)
    assert all(before[name].fingerprint != after[name].fingerprint for name in before)


@pytest.mark.parametrize("scenario", ["corruption", "composed"])
def test_inputs_that_change_after_they_were_listed_are_refused(data, scenario):
    listed = views(data, scenario)
    data.change()
    with pytest.raises(DataError, match="halved: its test inputs changed meanwhile; run again"):
        next(iter(listed.values())).load()


# Official files


@pytest.fixture
def mnist(data):
    """A set of the name for which the files of MNIST-C are read, with the file of one."""
    data.name = data.label = "mnist"
    path = data.store.root / "mnist_c/fog/test_images.npy"
    path.parent.mkdir(parents=True)
    np.save(path, np.full((6, 28, 28, 1), 7, dtype=np.uint8))
    return data, path


def replace(path, value):
    """Put another file in its place, of the same size and time of change, as copies have."""
    about = path.stat()
    np.save(path, np.full((6, 28, 28, 1), value, dtype=np.uint8))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)


def test_official_files_are_read_where_they_are(mnist):
    data, _ = mnist
    found = views(data)
    assert [name for name, view in found.items() if view.group == "mnist_c"] == ["fog"]
    assert found["fog"].load().unique().tolist() == [7]


def test_an_official_file_that_is_replaced_is_another_view_whatever_its_size_and_time(mnist):
    data, path = mnist
    before = views(data)["fog"]
    assert before.load().unique().tolist() == [7]
    replace(path, 200)
    after = views(data)["fog"]
    assert after.fingerprint != before.fingerprint
    assert after.load().unique().tolist() == [200]


def test_the_same_official_file_elsewhere_is_the_same_view(mnist):
    data, path = mnist
    before = views(data)["fog"].fingerprint
    os.utime(path, ns=(1, 1))
    assert views(data)["fog"].fingerprint == before


def test_an_official_file_that_changes_after_it_was_listed_is_refused(mnist):
    data, path = mnist
    listed = views(data)["fog"]
    replace(path, 200)
    with pytest.raises(
        DataError, match=r"mnist_c: .*test_images\.npy changed meanwhile; run again"
    ):
        listed.load()
    assert not list(data.store.root.glob("derived/corrupted/mnist-fog/*.npy"))


@pytest.mark.parametrize("harm", ["cut", "other shape", "pickle", "text"])
def test_a_damaged_official_file_is_named(mnist, harm):
    data, path = mnist
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "other shape":
        np.save(path, np.zeros((5, 28, 28, 1), dtype=np.uint8))
    elif harm == "pickle":
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    else:
        path.write_text("x")
    with pytest.raises(DataError, match=r"mnist_c: .*damaged.*put the official one back"):
        views(data)["fog"].load()


@pytest.mark.parametrize("instead", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_named_before_it_is_opened(mnist, instead):
    data, path = mnist
    path.unlink()
    instead(path)
    with pytest.raises(DataError, match="it is no file"):
        views(data)


# Files of any set


def test_a_file_is_told_from_its_replacement_of_the_same_size_and_time(mnist):
    _, path = mnist
    before = list(stamps([path]))
    replace(path, 200)
    assert list(stamps([path])) != before
