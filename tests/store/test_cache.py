"""A key changes when, and only when, the result could; a file is whole or not there."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

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


LOGIC = """
@cached
def f(a, /, b=None, *args: int, c, d=..., **kwargs) -> None:
    x: int
    return [None, "text", b"", 1j, *args, {**kwargs, "k": lambda: None}, a[1:, ::2], f"{a!r:>{b}}"]

class A(B, metaclass=C):
    y = z = ()
    try:
        raise
    except* E as e:
        pass
"""


def test_logic_is_written_as_python_writes_it():
    tree = ast.parse(LOGIC)
    empty = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    assert code._Reader(frozenset()).words(tree) == ast.dump(tree, **empty)


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


METHOD = """class M:
    a = 1
    def fit(self):
        return self.a
"""


@pytest.mark.parametrize(
    ("more", "changes", "changes_fit"),
    [
        ("    tuned = 'published'\n", False, False),
        ("    @property\n    def tuned(self):\n        return str(self.a)\n", False, False),
        ("    def extras(self, x):\n        from .c import g\n        return g(x)\n", True, False),
        ("    def linear_head(self):\n        return 1\n", True, False),
        ("    def helper(self):\n        return 1\n", True, True),
        ("    b: int = 2\n", True, True),
    ],
)
def test_what_only_reads_a_fit_is_left_out_of_its_digest(tree, more, changes, changes_fit):
    (tree / "c.py").write_text("def g(x):\n    return {}\n")

    def digests():
        code.forget()
        whole = code.code_digest("bench.methods.b")
        return whole, code.code_digest("bench.methods.b", without=code.READ)

    (tree / "b.py").write_text(METHOD)
    before = digests()
    (tree / "b.py").write_text(METHOD + more)
    after = digests()
    assert (after[0] != before[0], after[1] != before[1]) == (changes, changes_fit)


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


def keep(cache, payload=None, key=KEY, **note):
    cache.keep("fits/d", "m", key, {"w": torch.ones(100)} if payload is None else payload, **note)
    return cache.path("fits/d", "m", key)


def load(cache, key=KEY, read=lambda payload, note: (payload, note)):
    return cache.load("fits/d", "m", key, read)


def test_an_entry_comes_back_as_it_was(cache):
    payload = {"w": torch.arange(3.0), "name": "m", "deep": [{"n": 1}]}
    keep(cache, payload, seconds=1.5)
    again, note = load(cache)
    assert torch.equal(again["w"], payload["w"])
    assert again["deep"] == payload["deep"]
    assert note == {"seconds": 1.5}
    assert load(cache, Key({"seed": 1})) is None


def test_the_key_beside_a_file_is_readable(cache):
    assert '"params":{"rate":0.1}' in keep(cache).with_suffix(".json").read_text()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-200 if len(content) > 200 else 0] ^= 1
    path.write_bytes(content)


def folder(path):
    path.unlink()
    (path / "inside").mkdir(parents=True)


def link(path):
    path.unlink()
    path.symlink_to("nowhere")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def text(content):
    return lambda path: path.write_text(content)


HARM = {
    "cut": cut, "flip": flip, "folder": folder, "link": link, "pipe": pipe, "empty": text(""),
    "null": text("null"), "list": text("[]"), "no checksum": text('{"key": {}}'),
    "deep": text("[" * 100_000), "binary": lambda path: path.write_bytes(b"\xff\0" * 50),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".pt", ".json"])
@pytest.mark.parametrize("harm", HARM)
def test_whatever_lies_in_a_files_place_is_set_aside_once_and_replaced(cache, heard, harm, suffix):
    path = keep(cache)
    HARM[harm](path.with_suffix(suffix))
    assert load(cache) is None
    assert load(cache) is None
    assert len(heard) == 1
    assert "set aside" in heard[0]
    keep(cache, {"w": torch.zeros(1)})
    assert load(cache)[0]["w"].tolist() == [0.0]
    assert len(heard) == 1


@pytest.mark.parametrize("harm", [folder, link, pipe])
def test_a_killed_writer_and_a_strange_file_do_not_block_an_entry(cache, harm):
    path = keep(cache)
    path.with_suffix(".json").unlink()
    harm(path)
    assert load(cache) is None
    keep(cache)
    assert load(cache)[0]["w"].shape == (100,)


def test_an_unreadable_file_is_set_aside(cache, heard, monkeypatch):
    path = keep(cache)

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        assert load(cache) is None
    assert "PermissionError" in heard[0]
    assert not path.exists()


def test_an_entry_that_cannot_be_moved_is_named_once_and_worked_around(cache, heard, monkeypatch):
    cut(keep(cache))

    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "rename", refuse)
    for _ in range(2):
        assert load(cache) is None
        keep(cache)
    assert len(heard) == 1
    assert "cannot be moved (Operation not permitted)" in heard[0]


def test_an_entry_under_another_ones_name_is_refused(cache, heard):
    other = Key({**KEY.spec, "seed": 1})
    one, two = keep(cache), keep(cache, {"w": torch.zeros(1)}, other)
    for suffix in (".pt", ".json"):
        shutil.copy(two.with_suffix(suffix), one.with_suffix(suffix))
    assert load(cache) is None
    assert "another key" in heard[0]
    assert load(cache, other)[0]["w"].tolist() == [0.0]


def test_a_sound_payload_that_its_reader_refuses_is_set_aside(cache, heard):
    keep(cache, ["no", "tensors"])
    assert load(cache, read=lambda payload, note: payload["w"]) is None
    assert "set aside" in heard[0]


def test_loading_executes_no_code(cache, heard):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("code was executed",))

    keep(cache, {"trap": Trap()})
    assert load(cache) is None
    assert heard


def test_an_entry_killed_before_its_note_does_not_exist(cache):
    keep(cache).with_suffix(".json").unlink()
    assert load(cache) is None
    assert not cache.has("fits/d", "m", KEY)


def test_the_nearest_miss_says_what_changed(cache):
    keep(cache, {})
    changed = Key({**KEY.spec, "code": "abc"})
    assert cache.nearest_miss("fits/d", "m", changed, same=("seed",)) == ['code null -> "abc"']
    assert cache.nearest_miss("fits/d", "m", Key({"seed": 5}), same=("seed",)) == []


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_neighbour_never_makes_a_fit_fail(cache, harm):
    HARM[harm](keep(cache).with_suffix(".json"))
    changed = Key({**KEY.spec, "code": "abc"})
    assert cache.nearest_miss("fits/d", "m", changed, same=("seed",)) == []


def test_waiting_for_another_run_is_said(cache, heard, monkeypatch):
    monkeypatch.setattr("bench.store.cache.PATIENCE", 0.01)
    held = cache.lock("fits/d", "m", KEY)
    held.__enter__()
    cache.say = lambda line: (heard.append(line), held.__exit__(None, None, None))
    with cache.lock("fits/d", "m", KEY):
        assert heard == [f"waiting for another run that is making m-{KEY.digest}"]


@pytest.mark.parametrize("harm", [folder, link, pipe])
def test_a_strange_file_in_a_locks_place_is_moved(cache, harm):
    path = keep(cache).with_suffix(".lock")
    path.touch()
    harm(path)
    with cache.lock("fits/d", "m", KEY):
        assert path.is_file()


def test_asking_for_the_commit_leaves_the_index_of_the_clone_alone(tmp_path, monkeypatch):
    def git(*words: str) -> None:
        names = ["-c", "user.name=x", "-c", "user.email=x@y"]
        whole = ["git", "-C", str(tmp_path), *names, *words]
        subprocess.run(whole, check=True, capture_output=True)

    (tmp_path / "file").write_text("content")
    git("init")
    git("add", "file")
    git("commit", "-m", "x")
    os.utime(tmp_path / "file", (1, 1))  # `git status` would write the new time into its index
    before = (tmp_path / ".git/index").read_bytes()
    monkeypatch.setattr(bench, "CLONE", tmp_path)
    code.commit.cache_clear()
    said = code.commit()
    code.commit.cache_clear()
    assert len(said) == 12
    assert (tmp_path / ".git/index").read_bytes() == before
