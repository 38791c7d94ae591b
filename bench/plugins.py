"""Methods, data sets, scenarios, scores and metrics from a user's own files.

``BENCH_PLUGINS`` lists files and folders, separated as in ``PATH``; ``--plugins`` adds to it, so
that worker processes see the same. Packages name modules in the entry-point group
``bench.plugins``. A folder becomes a package with a made-up name: its files may import each
other relatively, and no name of theirs can hide another module.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module, metadata
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

from bench.errors import UsageError
from bench.store import code

VARIABLE = "BENCH_PLUGINS"
GROUP = "bench.plugins"
PREFIX = "bench_plugins_"  # what the made-up package of a folder begins with

log = logging.getLogger("bench")
_failed: dict[str, tuple[str, str]] = {}  # module: its file, and what it raised


def modules() -> tuple[ModuleType, ...]:
    """Import every plug-in that was named, and return the modules that could be imported.

    Raises:
        UsageError: a file or folder does not exist or holds no Python file.
    """
    return _modules(os.environ.get(VARIABLE, ""))


def members(package: ModuleType) -> list[ModuleType]:
    """Return the modules of a package and the plug-ins; one that fails is among `problems`."""
    return [*inside(package), *modules()]


def inside(package: ModuleType) -> list[ModuleType]:
    """Return the modules of a package in the order of their names, those that can be imported."""
    names = (info.name for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."))
    return [*filter(None, map(_imported, names))]


def problems() -> dict[str, str]:
    """Return why files of ours and plug-ins could not be imported: file to reason, in one line."""
    return dict(_failed.values())


@cache
def installed() -> tuple[metadata.EntryPoint, ...]:
    """Return the modules that installed packages name as plug-ins."""
    return tuple(metadata.entry_points(group=GROUP))


def named(text: str) -> list[Path]:
    """Return the files and folders that a list as in ``PATH`` names, each once.

    Raises:
        UsageError: one of them does not exist or holds no Python file.
    """
    paths = [Path(part).expanduser().resolve() for part in text.split(os.pathsep) if part.strip()]
    for path in paths:
        if not path.exists():
            raise UsageError(f"plug-in {path} does not exist (--plugins, {VARIABLE})")
        if not _files(path):
            raise UsageError(f"plug-in {path} is neither a Python file nor a folder of them")
    return list(dict.fromkeys(paths))


@cache
def _modules(text: str) -> tuple[ModuleType, ...]:
    names = []
    for path in named(text):
        package = _package(path if path.is_dir() else path.parent)
        names += [f"{package}.{file.stem}" for file in _files(path)]
    imported = [*map(_imported, dict.fromkeys(names)), *_from_packages()]
    return tuple(module for module in dict.fromkeys(imported) if module is not None)


def _from_packages() -> Iterator[ModuleType | None]:
    """Yield the modules that installed packages name, and those inside where it is a package."""
    for point in installed():
        code.OURS.add(point.module.partition(".")[0])
        module = _imported(point.module)
        yield module
        if module is not None and hasattr(module, "__path__"):
            yield from inside(module)


def _imported(name: str) -> ModuleType | None:
    """Import one module; what it raises must not stop the others."""
    if name in _failed:
        return None
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        log.debug("%s could not be imported", name, exc_info=True)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _failed[name] = str(code.module_path(name) or name), reason
        return None


def _files(path: Path) -> Sequence[Path]:
    """Return the Python files that a plug-in stands for; ``_helper.py`` is left to the others."""
    if path.is_dir():
        return sorted(file for file in path.glob("*.py") if not file.name.startswith("_"))
    return [path] if path.suffix == ".py" else []


def _package(folder: Path) -> str:
    """Return the name of a folder's package, which is made where there is none yet."""
    name = PREFIX + hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    if name not in sys.modules:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[name] = module_from_spec(spec)
        code.OURS.add(name)
    return name
