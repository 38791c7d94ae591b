"""Digests of the code that made a number: they see logic and nothing else.

Source is read once, when a run starts, and `changed` compares it with the disk before anything is
kept: a file that is edited during a run must not give its new digest to what the old code made.
"""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import bench

OURS = {"bench"}  # top-level packages whose code counts; a plug-in adds its own
# These carry numbers and make none. Data counts by its bytes, fits and views by their keys.
NO_NUMBERS = {
    "bench.datasets.errors", "bench.datasets.store", "bench.errors", "bench.discover",
    "bench.metrics.registry",
    "bench.fitting.console", "bench.fitting.device", "bench.fitting.evaluator",
    "bench.fitting.fits", "bench.fitting.isolation", "bench.plugins", "bench.store.cache",
    "bench.store.code", "bench.store.columns", "bench.store.curves", "bench.store.files",
    "bench.store.records", "bench.store.schema", "bench.store.schema1",
}  # fmt: skip
# Attributes of classes that say something and make no number.
DECLARE = frozenset({"tuned", "claims", "set_up", "published", "unmeasured"})
READ = frozenset({"answer", "extras", "linear_head"})  # of a method: they read a fit


@lru_cache
def code_digest(*modules: str, without: frozenset[str] = frozenset()) -> str:
    """Digest the parsed source of ``modules`` and of every module of ours they import.

    Comments, blank lines, docstrings and formatting do not count, nor does the name of a module
    or the folder it lies in; logic does. An imported module counts by its own digest. A package
    stands for every module in it. Functions named in ``without`` do not count.
    """
    known: dict[str, str] = {}
    left = DECLARE | without
    for module in modules:
        if module_path(module) is None:
            raise LookupError(f"module {module} has no source file to take a digest of")
    digests = sorted(_digest(name, known, left) for m in modules for name in _with_submodules(m))
    return _hash("\n".join(digests))


_sources: dict[Path, str] = {}  # text as it was when it was first read


def _source(path: Path) -> str:
    if path not in _sources:
        _sources[path] = path.read_text("utf-8")
    return _sources[path]


def sources() -> dict[Path, str]:
    """Return the text of every source file read so far, for worker processes to `adopt`."""
    return dict(_sources)


def adopt(texts: Mapping[Path, str]) -> None:
    """Take digests from these texts instead of from the disk."""
    _sources.update(texts)
    code_digest.cache_clear()


def forget() -> None:
    """Read source files anew when the next digest is taken."""
    _sources.clear()
    code_digest.cache_clear()


def changed(*modules: str) -> list[Path]:
    """Return the files whose edit since they were read changes the digest of ``modules``."""
    edited = [path for path, text in _sources.items() if _on_disk(path) != text]
    if not edited:
        return []
    before, kept = code_digest(*modules), sources()
    forget()
    try:
        return edited if code_digest(*modules) != before else []
    except (OSError, SyntaxError, LookupError):  # a file is gone, or half edited
        return edited
    finally:
        adopt(kept)


def _on_disk(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return None


def _with_submodules(module: str) -> Iterator[str]:
    yield module
    path = module_path(module)
    if path is not None and path.name == "__init__.py":
        yield from (f"{module}.{p.stem}" for p in path.parent.glob("*.py") if p != path)


def _digest(name: str, known: dict[str, str], without: frozenset[str]) -> str:
    """Return the digest of one module, reading each module once."""
    if name in known:
        return known[name]
    path = None if name in NO_NUMBERS else module_path(name)
    if path is None:
        return name
    known[name] = "circle"  # the digest of a module that is still being read
    source = _source(path)
    try:
        logic, nodes = _parsed(source, without)
    except (SyntaxError, ValueError):  # it cannot be imported either: its text is all there is
        known[name] = _hash(source)
        return known[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = sorted(_imports(nodes, package, known, without))
    known[name] = _hash("\n".join([logic, *imports]))
    return known[name]


@lru_cache(maxsize=512)
def _parsed(source: str, without: frozenset[str]) -> tuple[str, Sequence[ast.AST]]:
    """Return the logic of a module in words, and its statements of import."""
    reader = _Reader(without)
    return reader.words(ast.parse(source)), reader.imports


def _imports(
    nodes: Sequence[ast.AST], package: str, known: dict[str, str], without: frozenset[str]
) -> Iterator[str]:
    """Yield each imported name with the digest of the module of ours it comes from."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield f"{_origin(alias.name, known, without)} as {alias.asname}"
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - (node.level - 1)]
            base = ".".join([*above, node.module or ""] if node.level else [node.module or ""])
            stated = base.strip(".")
            for alias in node.names:
                public = bench.PUBLIC.get(alias.name) if stated == "bench" else None
                base = public or stated
                whole = f"{base}.{alias.name}"
                is_module = _is_ours(whole) and module_path(whole) is not None
                origin = _origin(whole if is_module else base, known, without)
                name = "" if is_module else alias.name
                yield f"{origin} {name} as {alias.asname or alias.name}"


def _origin(module: str, known: dict[str, str], without: frozenset[str]) -> str:
    return _digest(module, known, without) if _is_ours(module) else module


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in OURS


def module_path(module: str) -> Path | None:
    """Return the source file of a module of ours, or None if it has none."""
    top, _, rest = module.partition(".")
    package = bench if top == "bench" else sys.modules.get(top)
    for root in getattr(package, "__path__", ()):
        stem = Path(root, *rest.split("."))
        for place in (stem.with_suffix(".py"), stem / "__init__.py"):
            if rest and (place in _sources or place.is_file()):
                return place
    file = getattr(sys.modules.get(module), "__file__", None)  # a plug-in that is one file
    return Path(file) if file and file.endswith(".py") else None


class _Reader:
    """Writes a tree of syntax as `ast.dump` does, empty lists too, but for what is no logic.

    Imports are kept apart, since they count by what they bring. Left out are what only a type
    checker reads, the text of docstrings, and what a class defines under the names of ``without``.
    """

    def __init__(self, without: frozenset[str]) -> None:
        self.without = without
        self.imports: list[ast.AST] = []

    def words(self, value: object) -> str:
        """Return a node, a list of nodes or a constant in words."""
        if isinstance(value, list):
            return f"[{', '.join([self.words(one) for one in value if not self._left_out(one)])}]"
        if not isinstance(value, ast.AST):
            return repr(value)
        if isinstance(value, ast.ClassDef):
            value.body = [one for one in value.body if not self.without & _defined(one)]
        if _is_text(value):
            return "Expr(value=Constant(value=''))"
        kind = type(value)
        parts = []
        for name in value._fields:
            one = getattr(value, name)
            if one is not None or getattr(kind, name, ...) is not None:  # else it may be left out
                parts.append(f"{name}={self.words(one)}")
        return f"{kind.__name__}({', '.join(parts)})"

    def _left_out(self, node: object) -> bool:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.append(node)
            return True
        return (
            isinstance(node, ast.If)
            and isinstance(node.test, ast.Name)
            and node.test.id == "TYPE_CHECKING"
        )


def _is_text(node: ast.AST) -> bool:
    """Return whether a statement is a text by itself, such as a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _defined(node: ast.stmt) -> set[str]:
    """Return the names that a statement in the body of a class defines."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {one.id for one in targets if isinstance(one, ast.Name)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache
def commit() -> str:
    """Return the commit this clone stands at, with "+" if files differ from it, or ""."""
    if bench.CLONE is None:
        return ""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(bench.CLONE), *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()
