"""A key changes when, and only when, the result could; a file is whole or not there."""

import pytest
import torch

import bench
from bench.store import code
from bench.store.cache import Cache, Key

KEY = Key({"method": "m", "params": {"rate": 0.1}, "seed": 0})


@pytest.fixture
def heard():
    return []


@pytest.fixture
def cache(tmp_path, heard):
    return Cache(tmp_path / "cache", heard.append)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "a.py").write_text("from .b import f\nx = f(1)\n")
    (tmp_path / "methods" / "b.py").write_text("def f(n):\n    'doc'\n    return n\n")
    monkeypatch.setattr(bench, "__path__", [str(tmp_path)])
    code.forget()
    yield tmp_path / "methods"
    code.forget()


@pytest.mark.parametrize(
    ("edit", "changes"),
    [
        ("def f(n):\n    'other words'\n    return n  # why\n", False),
        ("def f( n ):\n\n    '''doc'''\n    return (n)\n", False),
        ("def f(n):\n    'doc'\n    return n + 1\n", True),
    ],
)
def test_the_code_digest_sees_logic_only_and_follows_imports(tree, edit, changes):
    before = code.code_digest("bench.methods.a")
    (tree / "b.py").write_text(edit)
    code.forget()
    assert (code.code_digest("bench.methods.a") != before) is changes


def test_names_of_modules_and_import_lines_do_not_count_but_what_they_bring_does(tree):
    before = code.code_digest("bench.methods.a")
    (tree / "b.py").rename(tree / "c.py")
    (tree / "a.py").rename(tree / "d.py")
    (tree / "d.py").write_text("from bench.methods.c import f\n\nx = f(1)\n")
    code.forget()
    assert code.code_digest("bench.methods.d") == before
    (tree / "e.py").write_text("def f(n):\n    return -n\n")
    (tree / "d.py").write_text("from bench.methods.e import f\n\nx = f(1)\n")
    code.forget()
    assert code.code_digest("bench.methods.d") != before


def test_a_package_stands_for_every_module_in_it(tree):
    (tree / "__init__.py").write_text("")
    code.forget()
    before = code.code_digest("bench.methods")
    (tree / "new.py").write_text("y = 2\n")
    code.forget()
    assert code.code_digest("bench.methods") != before


def test_a_module_without_source_is_refused(tree):
    with pytest.raises(LookupError, match=r"bench\.methods\.gone has no source"):
        code.code_digest("bench.methods.a", "bench.methods.gone")


def test_digests_are_those_of_the_start_and_an_edit_is_noticed(tree):
    before = code.code_digest("bench.methods.a")
    assert code.changed("bench.methods.a") == []
    (tree / "b.py").write_text("def f(n):\n    'doc'\n    return n  # a comment\n")
    assert code.changed("bench.methods.a") == []
    (tree / "b.py").write_text("def f(n):\n    return -n\n")
    assert code.changed("bench.methods.a") == [tree / "b.py"]
    assert code.code_digest("bench.methods.a") == before
    (tree / "b.py").write_text("def f(n:\n")
    assert code.changed("bench.methods.a") == [tree / "b.py"]
    (tree / "b.py").unlink()
    assert code.changed("bench.methods.a") == [tree / "b.py"]


def test_a_worker_takes_its_digests_from_the_texts_of_the_parent(tree):
    before, texts = code.code_digest("bench.methods.a"), code.sources()
    code.forget()
    (tree / "b.py").write_text("def f(n):\n    return -n\n")
    code.adopt(texts)
    assert code.code_digest("bench.methods.a") == before
    assert code.changed("bench.methods.a") == [tree / "b.py"]


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        ({"seed": 0, "params": {"rate": 0.1}, "method": "m"}, True),
        ({"method": "m", "params": {"rate": 0.2}, "seed": 0}, False),
        ({"method": "m", "params": {"rate": 0.1}, "seed": 1}, False),
    ],
)
def test_a_key_follows_what_it_says_whatever_the_order(spec, same):
    assert (Key(spec).digest == KEY.digest) is same


def test_a_key_explains_a_miss():
    assert Key({**KEY.spec, "seed": 1}).why_not(KEY.spec) == ["seed 0 -> 1"]


def test_an_entry_comes_back_as_it_was(cache):
    payload = {"w": torch.arange(3.0), "name": "m", "deep": [{"n": 1}]}
    cache.keep("fits/d", "m", KEY, payload, seconds=1.5)
    entry = cache.load("fits/d", "m", KEY)
    assert torch.equal(entry.payload["w"], payload["w"])
    assert entry.payload["deep"] == payload["deep"]
    assert entry.note == {"seconds": 1.5}
    assert cache.load("fits/d", "m", Key({"seed": 1})) is None


def test_the_key_beside_a_file_is_readable(cache):
    cache.keep("fits/d", "m", KEY, {})
    text = cache.path("fits/d", "m", KEY).with_suffix(".json").read_text()
    assert '"params":{"rate":0.1}' in text


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_file_is_set_aside_and_said(cache, heard, damage):
    cache.keep("fits/d", "m", KEY, {"w": torch.ones(100)})
    path = cache.path("fits/d", "m", KEY)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[-200] ^= 1
        path.write_bytes(content)
    else:
        path.unlink()
    assert cache.load("fits/d", "m", KEY) is None
    assert cache.load("fits/d", "m", KEY) is None  # said once
    assert len(heard) == 1
    assert "set aside" in heard[0]
    assert path.with_suffix(".damaged").exists() is (damage != "gone")


def test_loading_executes_no_code(cache, heard):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("code was executed",))

    cache.keep("fits/d", "m", KEY, {"trap": Trap()})
    assert cache.load("fits/d", "m", KEY) is None
    assert heard


def test_an_entry_killed_before_its_note_does_not_exist(cache):
    cache.keep("fits/d", "m", KEY, {})
    cache.path("fits/d", "m", KEY).with_suffix(".json").unlink()
    assert cache.load("fits/d", "m", KEY) is None
    assert not cache.has("fits/d", "m", KEY)


def test_the_nearest_miss_says_what_changed(cache):
    cache.keep("fits/d", "m", KEY, {})
    changed = Key({**KEY.spec, "code": "abc"})
    assert cache.nearest_miss("fits/d", "m", changed, same=("seed",)) == ['code null -> "abc"']
    assert cache.nearest_miss("fits/d", "m", Key({"seed": 5}), same=("seed",)) == []
