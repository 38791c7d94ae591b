"""datasets <- methods <- bench, the rooms inside bench, and what a wheel holds."""

import ast
import subprocess
import sys
import tomllib

import pytest

import bench
import bench.methods
from bench.discover import subclasses
from bench.methods.base import Method

BASE = {"errors", "datasets", "plugins"}
# What each room may import beside itself: a room stands below all that import it.
ROOMS = {
    "datasets": set(),
    "methods": {"datasets"},
    "errors": {"datasets"},
    "plugins": {"errors", "store"},
    "discover": BASE,
    "presets": {"discover"},
    "store": {"errors"},
    "metrics": {"errors", "plugins", "store"},
    "scores": {"errors", "plugins"},
    "fitting": BASE | {"methods", "discover", "store", "scores"},
    "scenarios": BASE | {"methods", "discover", "store", "metrics", "scores", "fitting"},
    "report": {"errors", "plugins", "store", "metrics"},
}
ROOMS["running"] = ROOMS["scenarios"] | {"scenarios", "presets"}
ROOMS["anchors"] = ROOMS["scenarios"] | {"scenarios"}
ROOMS["commands"] = ROOMS["running"] | {"running", "report", "anchors"}
ROOMS["gallery"] = ROOMS["running"] | {"running", "report"}
ROOMS["cli"] = {*ROOMS} - {"methods"}
ROOMS["__main__"] = {"cli"}


def imports(path, package: str) -> set[str]:
    """The modules of `bench` that a file imports, each by its full name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = [*above, node.module] if node.level and node.module else above
            module = ".".join(base) if node.level else node.module
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("bench.")}


def files(room: str):
    folder = bench.ROOT if room in ("datasets", "methods") else bench.HERE
    found = [*folder.glob(f"{room}.py"), *(folder / room).rglob("*.py")]
    return [(path, ".".join(("bench", *path.relative_to(folder).parts[:-1]))) for path in found]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room):
    assert files(room)
    for path, package in files(room):
        for name in imports(path, package):
            other = name.split(".")[1]
            assert other in ROOMS[room] | {room, "CLONE", "ROOT"}, f"{path} imports {name}"


def test_every_room_is_named():
    rooms = {
        p.stem for p in bench.HERE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == set(ROOMS) - {"datasets", "methods"}


def test_every_method_of_ours_is_named_after_its_file():
    for name, cls in subclasses(bench.methods, Method).items():
        assert cls.__module__ == f"bench.methods.{name}"


def test_no_module_imports_the_folders_by_their_bare_names():
    for room in ROOMS:
        for path, _ in files(room):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and not node.level:
                    assert (node.module or "").split(".")[0] not in ("datasets", "methods"), path


def test_the_wheel_holds_every_package():
    about = tomllib.loads((bench.ROOT / "pyproject.toml").read_text("utf-8"))
    folders = {bench.HERE: bench.HERE, bench.ROOT / "methods": bench.ROOT}
    folders[bench.ROOT / "datasets"] = bench.ROOT
    there = {
        ".".join(("bench", *path.parent.relative_to(top).parts))
        for folder, top in folders.items()
        for path in folder.rglob("__init__.py")
    }
    assert set(about["tool"]["setuptools"]["packages"]) == there


def test_a_foreign_package_called_datasets_does_no_harm(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("theirs = True\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += "import datasets, bench; from bench.datasets.digits import Digits\n"
    code += "assert datasets.theirs; print(Digits.name)"
    done = run_python("-c", code)
    assert done.stdout.strip() == "digits", done.stderr


def run_python(*words: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=bench.ROOT, **options
    )


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["data", "--help"]])
def test_help_needs_neither_torch_nor_pandas(words):
    done = run_python("-X", "importtime", "-m", "bench", *words)
    assert done.returncode == 0
    assert "Usage" in done.stdout
    for heavy in ("torch", "pandas", "scipy", "sklearn"):
        assert f"| {heavy}\n" not in done.stderr


def test_a_checkout_is_small():
    if bench.CLONE is None:
        pytest.skip("no clone")
    done = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=bench.ROOT)
    files = [bench.ROOT / name for name in done.stdout.split("\0") if name]
    assert sum(path.stat().st_size for path in files if path.exists()) < 15_000_000
