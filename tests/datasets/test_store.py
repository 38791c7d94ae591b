"""Finding, downloading, unpacking and keeping files."""

import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision

from bench.datasets import store as module
from bench.datasets.errors import DataError
from bench.datasets.store import Remote, Store, draft, verify

REMOTE = Remote("toy/a.bin", ("https://one.invalid/a.bin", "https://two.invalid/a.bin"), "0" * 32)


def entries(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def zipped(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, "content")
    return path


def test_an_argument_comes_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "env"))
    monkeypatch.setenv("BENCH_DATA_EXTRA", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    monkeypatch.setattr(module.os, "pathsep", ":")
    extra = (tmp_path / "a", tmp_path / "b")
    assert Store.from_environment(tmp_path) == Store(tmp_path, extra)
    assert Store.from_environment() == Store(tmp_path / "env", extra)


def test_the_cache_folder_is_used_when_nothing_is_set(monkeypatch):
    monkeypatch.delenv("BENCH_DATA", raising=False)
    monkeypatch.delenv("BENCH_DATA_EXTRA", raising=False)
    store = Store.from_environment()
    assert store.root.is_absolute()
    assert store.extra == ()


def test_the_root_is_searched_before_the_extra_roots(tmp_path):
    store = Store(tmp_path / "root", (tmp_path / "one", tmp_path / "two"))
    for folder in ("two", "one", "root"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "second").touch()
        assert store.find("first", "second") == tmp_path / folder / "second"
    (tmp_path / "two" / "first").touch()
    assert store.find("first", "second") == tmp_path / "root" / "second"
    assert store.find("third") is None


def test_kept_computes_once(tmp_path):
    calls = []

    def make() -> torch.Tensor:
        calls.append(1)
        return torch.arange(6, dtype=torch.uint8).reshape(2, 3)

    first, second = (Store(tmp_path).kept("toy", "key", make) for _ in range(2))
    assert len(calls) == 1
    assert torch.equal(first, second)
    assert second.dtype == torch.uint8
    assert entries(tmp_path) == ["derived/toy/key.npy"]


def test_kept_tells_keys_apart_even_when_they_make_no_file_name(tmp_path):
    store = Store(tmp_path)
    keys = ["a", "b", "../a", "a/b", "x" * 300]
    made = [store.kept("toy", key, lambda i=i: torch.tensor([i])) for i, key in enumerate(keys)]
    again = [store.kept("toy", key, lambda: torch.tensor([-1])) for key in keys]
    assert [int(t) for t in made] == [int(t) for t in again] == [0, 1, 2, 3, 4]
    assert all(p.startswith("derived/toy/") for p in entries(tmp_path))


def other_content(path: Path) -> None:
    """Put other numbers in the array's place, and leave all else."""
    content = bytearray(path.read_bytes())
    content[-60:-40] = bytes(20)
    path.write_bytes(content)


def as_saved_by_numpy(array: np.ndarray) -> Callable[[Path], object]:
    return lambda path: np.save(path, array, allow_pickle=True)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


HARM = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "cut digest": lambda path: path.write_bytes(path.read_bytes()[:-32]),
    "more": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "garbage": lambda path: path.write_bytes(b"x" * 99),
    "other content": other_content,
    "zeros": as_saved_by_numpy(np.zeros(100, np.float32)),
    "other shape": as_saved_by_numpy(np.ones((10, 10), np.float32)),
    "other type": as_saved_by_numpy(np.ones(100, np.float64)),
    "pickle": as_saved_by_numpy(np.array([{}], dtype=object)),
    "zip": lambda path: zipped(path, "x.npy"),
    "pipe": pipe,
    "link": link,
}


@pytest.mark.parametrize("harm", HARM)
def test_kept_makes_a_damaged_file_again(tmp_path, harm):
    store, path = Store(tmp_path), tmp_path / "derived" / "toy" / "key.npy"
    store.kept("toy", "key", lambda: torch.ones(100))
    HARM[harm](path)
    assert torch.equal(store.kept("toy", "key", lambda: torch.ones(100)), torch.ones(100))
    assert torch.equal(store.kept("toy", "key", lambda: torch.zeros(1)), torch.ones(100))


def test_kept_does_not_take_one_keys_file_for_anothers(tmp_path):
    store, folder = Store(tmp_path), tmp_path / "derived" / "toy"
    for value, key in enumerate("ab"):
        store.kept("toy", key, lambda v=value: torch.tensor([v]))
    (folder / "a.npy").replace(folder / "b.npy")
    assert store.kept("toy", "b", lambda: torch.tensor([1])) == 1


def test_kept_does_not_take_one_names_file_for_anothers(tmp_path):
    store, folder = Store(tmp_path), tmp_path / "derived"
    for value, name in enumerate(("toy", "other")):
        store.kept(name, "key", lambda v=value: torch.tensor([v]))
    (folder / "toy/key.npy").replace(folder / "other/key.npy")
    assert store.kept("other", "key", lambda: torch.tensor([1])) == 1


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3)])
def test_kept_tensors_of_any_shape_come_back(tmp_path, shape):
    made = torch.rand(shape).transpose(0, -1) if shape else torch.rand(shape)
    for _ in range(2):
        assert torch.equal(Store(tmp_path).kept("toy", "key", lambda: made), made)


def test_kept_works_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()  # a root that cannot become a folder, even for an administrator
    store = Store(tmp_path / "file")
    for value in (1, 2):
        assert store.kept("toy", "key", lambda v=value: torch.tensor(v)) == value


def test_kept_leaves_nothing_when_making_fails(tmp_path):
    def fail() -> torch.Tensor:
        raise DataError("no data")

    with pytest.raises(DataError, match="no data"):
        Store(tmp_path).kept("toy", "key", fail)
    assert entries(tmp_path) == []


def test_a_draft_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "sub" / "file"

    def stop_halfway() -> None:
        with draft(target) as path:
            path.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert list(target.parent.iterdir()) == []
    with draft(target) as path:
        path.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert [p.name for p in target.parent.iterdir()] == ["file"]


def test_drafts_of_killed_processes_go_when_they_are_a_day_old(tmp_path):
    for name, hours in {"old": 25, "new": 1}.items():
        (tmp_path / f".draft-{name}").mkdir()
        (tmp_path / f".draft-{name}" / "file").touch()
        for path in (tmp_path / f".draft-{name}" / "file", tmp_path / f".draft-{name}"):
            os.utime(path, (time.time() - 3600 * hours,) * 2)
    with draft(tmp_path / "file") as path:
        path.touch()
    assert entries(tmp_path) == [".draft-new/file", "file"]


def test_a_failed_download_says_where_it_looked_and_what_to_run(monkeypatch, tmp_path):
    def refuse(url: str, *_: object) -> None:
        raise URLError(f"no route to\n{url}")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", refuse)
    store = Store(tmp_path / "root", (tmp_path / "extra",))
    with pytest.raises(DataError) as caught:
        store.obtain("toy", REMOTE)
    message = str(caught.value)
    for part in ("toy", str(tmp_path / "root"), str(tmp_path / "extra"), "no route", "two.invalid"):
        assert part in message
    assert message.endswith("python -m bench data download toy")
    assert "\n" not in message


def test_a_broken_download_leaves_nothing_behind(monkeypatch, tmp_path):
    def stop_halfway(_: str, folder: str, name: str, __: str) -> None:
        (Path(folder) / name).write_text("half")
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", stop_halfway)
    with pytest.raises(DataError, match="reset by peer"):
        Store(tmp_path).download("toy", REMOTE)
    assert entries(tmp_path) == []


def test_the_next_mirror_is_tried(monkeypatch, tmp_path):
    def serve(url: str, folder: str, name: str, _: str) -> None:
        if "one" in url:
            raise URLError("down")
        (Path(folder) / name).write_text("whole")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", serve)
    assert Store(tmp_path).obtain("toy", REMOTE).read_text() == "whole"
    assert entries(tmp_path) == ["toy/a.bin"]


def test_what_is_there_is_not_downloaded(monkeypatch, tmp_path):
    monkeypatch.setattr(
        torchvision.datasets.utils, "download_url", lambda *_: pytest.fail("downloaded")
    )
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "a.bin").touch()
    assert Store(tmp_path).obtain("toy", REMOTE) == tmp_path / "toy" / "a.bin"


def test_a_file_with_another_checksum_is_refused(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"")
    verify("toy", path, "d41d8cd98f00b204e9800998ecf8427e")
    with pytest.raises(DataError, match=r"a\.bin is damaged .*Delete it and run: .* download toy"):
        verify("toy", path, "0" * 32)
