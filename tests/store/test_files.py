"""A file is whole or not there, whatever goes wrong, and every name makes a safe file name."""

import errno
import json
import os
import time
from pathlib import Path

import pytest

from bench.errors import WriteError
from bench.store import files


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_text_bytes_and_json_are_written_and_folders_made(tmp_path):
    files.write(tmp_path / "a" / "text", "ä\n")
    files.write(tmp_path / "a" / "bytes", b"\0")
    files.write_json(tmp_path / "a" / "b" / "json", {"x": [1, 2]})
    assert (tmp_path / "a" / "text").read_text("utf-8") == "ä\n"
    assert (tmp_path / "a" / "bytes").read_bytes() == b"\0"
    assert json.loads((tmp_path / "a" / "b" / "json").read_text()) == {"x": [1, 2]}
    assert everything(tmp_path) == ["a", "b", "bytes", "json", "text"]


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
def test_a_write_that_is_stopped_leaves_the_former_file_and_no_draft(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("former")

    def stop() -> None:
        with files.draft(path) as unfinished:
            unfinished.write_text("half")
            raise error

    with pytest.raises(type(error)):
        stop()
    assert path.read_text() == "former"
    assert everything(tmp_path) == ["file"]


def test_a_full_disk_is_one_clear_line_and_the_draft_is_removed(tmp_path, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WriteError, match=r"cannot write .*file \(No space left.*\); free some"):
        files.write(tmp_path / "file", "content")
    assert everything(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"cannot write .*below.*; check its permissions"):
        files.write(tmp_path / "file" / "below", "content")


def test_two_drafts_of_one_file_in_one_process_have_two_names(tmp_path):
    with files.draft(tmp_path / "a") as one, files.draft(tmp_path / "a") as two:
        assert one != two
        one.write_text("1")
        two.write_text("2")
    assert everything(tmp_path) == ["a"]


def test_only_drafts_that_are_a_day_old_are_removed(tmp_path):
    old, new, other = (tmp_path / name for name in (".draft-1.tmp", ".draft-2.tmp", "x.tmp"))
    for path in (old, new, other):
        path.touch()
    os.utime(old, (time.time() - 2 * files.LEFT_OVER,) * 2)
    files.remove_old_drafts(tmp_path)
    assert everything(tmp_path) == [".draft-2.tmp", "x.tmp"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mc_dropout:rate=0.1", "mc_dropout_rate=0.1"),
        ("digits~without=3", "digits~without=3"),
        ("../../etc", "_._.._etc"),
        ("..", "_."),
        (".", "_"),
        ("", "_"),
        ("a\0b\n", "a_b_"),
    ],
)
def test_a_name_becomes_one_part_of_a_path(name, expected):
    assert files.slug(name) == expected


@pytest.mark.parametrize("letter", ["x", "ä", "名"])
def test_long_names_fit_a_file_system_and_stay_apart(letter, tmp_path):
    one, two = (files.slug(letter * 400 + end) for end in "ab")
    assert one != two
    for name in (one, two):
        files.write(tmp_path / f"{name}-s0.json", "")
    assert len(everything(tmp_path)) == 2
