"""Slow: the wheel in an empty folder, beside Hugging Face's `datasets`."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

import bench

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TREE = ["bench", "methods", "datasets", "pyproject.toml", "README.md", "LICENSE"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    for name in TREE:  # a copy, so that nothing of an earlier build is packed
        place = bench.ROOT / name
        copy = shutil.copytree if place.is_dir() else shutil.copy
        copy(place, source / name)
    pip = [sys.executable, "-m", "pip", "-q", "wheel", "--no-build-isolation", "--no-deps"]
    subprocess.run([*pip, "-w", str(source / "dist"), str(source)], check=True)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder of packages: the wheel, and one called `datasets` as Hugging Face's is."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "-q", "install", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True)
    (site / "datasets").mkdir()
    (site / "datasets/__init__.py").write_text("def load_dataset():\n    return 'theirs'\n")
    return site


def test_the_wheel_holds_every_file_that_is_read(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    tracked = [
        (path.relative_to(top), f"bench/{prefix}")
        for folder, top, prefix in [
            (bench.HERE, bench.HERE, ""),
            (bench.ROOT / "methods", bench.ROOT, ""),
            (bench.ROOT / "datasets", bench.ROOT, ""),
        ]
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {f"{prefix}{path}" for path, prefix in tracked} <= packed
    assert not [
        name for name in packed if name.split("/")[0] not in ("bench", "bench-0.2.0.dist-info")
    ]


def test_an_installed_bench_works_from_an_empty_folder(site, tmp_path):
    def say(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    theirs = "import datasets, bench; print(bench.__file__, bench.CLONE, datasets.load_dataset())"
    assert say("-c", theirs).split() == [str(site / "bench/__init__.py"), "None", "theirs"]
    assert "redecnn" in say("-m", "bench", "list")
    assert "bench 0.2.0" in say("-m", "bench", "--version")
    assert "FAILED" not in say("-m", "bench", "check", "linear")
    words = ["run", "--preset", "smoke", "--methods", "linear,chance", "--seeds", "0-1"]
    assert "0 failed" in say("-m", "bench", *words)
    again = say("-m", "bench", *words, "--jobs", "2")
    assert "0 scenarios measured, 0 failed" in again
    assert "README.md" in say("-m", "bench", "report", "--paper")
    board = (tmp_path / "results/README.md").read_text()
    assert "linear" in board
    assert (tmp_path / "results/leaderboard.html").exists()
    assert say("-m", "bench", "report", "--missing")
    assert "no reference" in say("-m", "bench", "verify")  # it stays in the clone
    say("-m", "bench", "export", "-o", "rows.csv")
    say("-m", "bench", "info")
    assert {path.name for path in tmp_path.iterdir()} == {"results", "rows.csv"}
