"""What the code that made a number was: a digest that sees logic and nothing else."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from functools import lru_cache
from pathlib import Path

from . import ROOT

ROOMS = {"methods", "datasets", "bench"}
# These carry numbers and make none. Data counts by its bytes, fits and views by their keys.
NO_NUMBERS = {
    "datasets.errors", "datasets.store",
    "bench.cache", "bench.code", "bench.console", "bench.device", "bench.discover",
    "bench.errors", "bench.fits", "bench.rows", "bench.subject",
}  # fmt: skip


@lru_cache
def code_digest(*modules: str) -> str:
    """Digest the parsed source of ``modules`` and of every module of ours they import.

    Comments, blank lines, docstrings and formatting do not count; logic does. A package
    stands for every module in it.
    """
    seen: dict[str, str] = {}
    todo = list(modules)
    while todo:
        name = todo.pop()
        path = None if name in seen or name in NO_NUMBERS else _path(name)
        if path is None:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        todo += _imports_of_ours(tree, package)
        if name in modules and path.name == "__init__.py":
            todo += [f"{name}.{p.stem}" for p in path.parent.glob("*.py") if p != path]
        seen[name] = ast.dump(_without_docstrings(tree))
    joined = "\n".join(f"{k}\n{seen[k]}" for k in sorted(seen))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def _path(module: str) -> Path | None:
    stem = ROOT.joinpath(*module.split("."))
    places = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((p for p in places if p.is_file()), None)


def _imports_of_ours(tree: ast.Module, package: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - (node.level - 1)]
            base = ".".join([*above, node.module or ""] if node.level else [node.module or ""])
            base = base.strip(".")
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [n for n in names if n.split(".")[0] in ROOMS]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            text = body[0].value
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                text.value = ""
    return tree


@lru_cache
def commit() -> str:
    """Return the commit this clone stands at, with "+" if files differ from it, or ""."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
