"""Packed results are read as loose ones are."""

import shutil
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.commands.summary import contents
from bench.errors import BenchError
from bench.report import render
from bench.store import packed
from bench.store.packed import json_files, pack, read_regular, unpack

ROWS = Path(__file__).parents[1] / "data" / "rows"


@pytest.fixture
def results(tmp_path):
    for name in ("rows/a/clean/x-s0.json", "rows/b/clean/y-s1.json", "curves/a/clean/x-s0.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"{name}"\n')
    return tmp_path


def everything(results):
    paths = [*json_files(results / "rows"), *json_files(results / "curves")]
    return {path.relative_to(results).as_posix(): read_regular(path) for path in paths}


def test_packed_files_are_those_that_were_loose(results):
    loose, stamp = everything(results), contents(results)
    assert pack(results) == [results / "rows.tar.xz", results / "curves.tar.xz"]
    assert not [*results.rglob("*.json")]
    assert not (results / "rows/a").exists()
    assert everything(results) == loose
    assert contents(results) == stamp  # so that a report stays up to date
    assert json_files(results / "rows/b") == [results / "rows/b/clean/y-s1.json"]
    unpack(results)
    assert everything(results) == loose
    assert not [*results.glob("*.xz")]


def test_the_same_files_are_packed_to_the_same_bytes(results):
    (first,) = {path.read_bytes() for path in pack(results)[:1]}
    unpack(results)
    assert pack(results)[0].read_bytes() == first


def test_a_loose_file_goes_before_the_packed_one_and_is_packed_in_its_place(results):
    pack(results)
    path = results / "rows/a/clean/x-s0.json"
    path.parent.mkdir(parents=True)
    path.write_text('"new"')
    assert read_regular(path) == b'"new"'
    assert len(json_files(results / "rows")) == 2
    pack(results)
    assert not path.exists()
    assert read_regular(path) == b'"new"'
    assert len(json_files(results / "rows")) == 2


def test_a_file_that_is_nowhere_is_absent(results):
    pack(results)
    with pytest.raises(FileNotFoundError):
        read_regular(results / "rows/a/clean/z-s0.json")


@pytest.mark.parametrize("name", ["../x.json", "rows/../../x.json", "/x.json", "rows/x.sh"])
def test_an_archive_with_other_paths_is_refused(tmp_path, name):
    with tarfile.open(tmp_path / "rows.tar.xz", "w:xz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 2
        tar.addfile(member, BytesIO(b"{}"))
    for use in (lambda: json_files(tmp_path / "rows"), lambda: unpack(tmp_path)):
        with pytest.raises(BenchError, match="which is no result"):
            use()


@pytest.mark.parametrize("cut", [0, 10, -8])
def test_a_damaged_archive_is_named_in_one_line(results, cut):
    archive = pack(results)[0]
    archive.write_bytes(archive.read_bytes()[:cut])
    packed._read.cache_clear()
    with pytest.raises(BenchError, match=r"^[^\n]*rows\.tar\.xz cannot be read \([^\n]*$"):
        json_files(results / "rows")
    result = CliRunner().invoke(main, ["report", "--results", str(results)])
    assert result.exit_code == 2
    assert "rows.tar.xz cannot be read" in result.output
    assert result.output.count("\n") == 1


def test_files_that_would_fill_the_memory_are_refused(results, monkeypatch):
    pack(results)
    monkeypatch.setattr(packed, "WHOLE", 10)
    packed._read.cache_clear()
    with pytest.raises(BenchError, match="more than 10 bytes"):
        json_files(results / "rows")


def test_a_report_of_packed_rows_links_to_no_table_that_is_not_kept(tmp_path):
    shutil.copytree(ROWS, tmp_path / "rows")
    render(tmp_path, figures=False)
    readme = tmp_path / "README.md"
    assert "[clean](tables/clean-toy_digits.csv)" in readme.read_text("utf-8")
    pack(tmp_path)
    render(tmp_path, figures=False)
    text = readme.read_text("utf-8")
    assert "](tables/" not in text
    assert "tables/clean-toy_digits.csv" in text
    assert "`bench report` writes them from the packed rows." in text
