"""Rows as columns: smaller, and the bytes of the file come back."""

import lzma
from pathlib import Path

import msgspec
import pytest

from bench.store.columns import by_columns, by_rows
from bench.store.packed import pack, read_regular, unpack
from bench.store.seal import check_seal, sealed

GOLDEN = Path(__file__).parents[1] / "data" / "rows"


def record(*rows, **about):
    return sealed(msgspec.json.encode({"schema": 2, **about, "rows": rows}))


ROWS = [
    {"view": "clean", "n": 9, "metrics": {"auroc": 0.5, "ece": 1e-06}, "score": "msp"},
    {"view": "clean", "n": 9, "metrics": {"ece": 0.25}, "family": '"rows":{'},
    {"view": "noise", "n": 9, "metrics": {}},
]


def test_rows_come_back_as_they_were():
    content = record(*ROWS, params={"rows": {"a": 1}})
    turned = by_columns(content)
    columns = msgspec.json.decode(turned)["rows"]
    assert columns["view"] == ["clean", "clean", "noise"]
    assert columns["score"] == ["msp", None, None]
    assert columns["metrics"] == {"auroc": [0.5, None, None], "ece": [1e-06, 0.25, None]}
    assert by_rows(turned) == content


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.json")), ids=lambda path: path.stem)
def test_golden_records_come_back(path):
    assert by_rows(by_columns(path.read_bytes())) == path.read_bytes()


@pytest.mark.parametrize("content", [
    record(),
    record(*reversed([{"a": 1, "b": 2}, {"b": 2, "a": 1}])),  # names in another order
    record({"view": None}),
    record({"metrics": [1.0]}),
    msgspec.json.format(record(*ROWS)),
    b'{"rows":[[1]]}\n', b'{"schema":2}\n', b"[]", b'{"rows":{"a":', b"\xff", b"",
])  # fmt: skip
def test_what_would_not_come_back_is_left_as_it_is(content):
    assert by_rows(by_columns(content)) == content


@pytest.mark.parametrize("rows", [
    {"view": ["a"], "n": [1, 2]}, {"metrics": [1]}, {"view": 3}, {"n": None},
])  # fmt: skip
def test_damaged_columns_are_left_to_the_reader_of_records(rows):
    content = msgspec.json.encode({"rows": rows}) + b"\n"
    assert by_rows(content) == content


def test_a_number_that_changed_among_columns_is_found_by_the_checksum():
    turned = by_columns(record(*ROWS))
    check_seal(by_rows(turned))
    with pytest.raises(ValueError, match="checksum is wrong"):
        check_seal(by_rows(turned.replace(b"0.25", b"0.26")))


def test_an_archive_holds_columns_and_gives_files(tmp_path):
    path = tmp_path / "rows" / "digits" / "clean" / "linear-s0.json"
    path.parent.mkdir(parents=True)
    content = record(*ROWS * 50)
    path.write_bytes(content)
    (archive,) = pack(tmp_path)
    assert b'"rows":{"view":["clean",' in lzma.decompress(archive.read_bytes())
    assert not path.exists()
    assert read_regular(path) == content
    unpack(tmp_path)
    assert path.read_bytes() == content
