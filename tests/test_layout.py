"""datasets <- methods <- bench, and `datasets` means ours."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bench
import datasets

MAY_IMPORT = {
    "datasets": {"datasets"},
    "methods": {"datasets", "methods"},
    "bench/report": {"bench"},
    "bench/scores": {"bench"},
    "bench/metrics": {"bench"},
    "bench": {"datasets", "methods", "bench"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_point_one_way(room):
    files = list((bench.ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        assert imports(path) & {"datasets", "methods", "bench"} <= MAY_IMPORT[room], path


def test_datasets_is_ours():
    assert bench.ROOT in Path(datasets.__file__).parents


def test_a_foreign_package_called_datasets_is_refused_in_words(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import datasets; import bench"
    done = run_python("-c", code)
    assert done.returncode == 1
    assert "Import `bench` before any other package called `datasets`" in done.stderr


def run_python(*words: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=bench.ROOT, **options
    )


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["data", "--help"]])
def test_help_starts_at_once_without_torch(words):
    run_python("-m", "bench", *words)  # the first run compiles
    start = time.perf_counter()
    done = run_python("-X", "importtime", "-m", "bench", *words)
    seconds = time.perf_counter() - start
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert "| torch" not in done.stderr
    assert "| pandas" not in done.stderr
    assert seconds < 2  # under 0.5 s where nothing else runs
