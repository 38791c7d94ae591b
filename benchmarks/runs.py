"""Seconds of a cold run with jobs one by one, side by side, and on a local cluster; and of reports.

`python benchmarks/runs.py [WORD...]` measures `bench run WORD...` (a few methods on `digits` if
there is none) and prints ratios to one by one, and whether all rows have the same numbers. The
report is that of the reference.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.store.records import REFERENCE

RUN = ["--methods", "standard,dropout,decnn,ensemble", "--scenarios", "clean,cross_dataset"]
WAYS = {"one by one": ["--jobs", "1"], "by default": [], "local:2": ["--cluster", "local:2"]}


def seconds(*words: str) -> float:
    """Return the seconds that a command of bench takes."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "bench", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def numbers(results: Path) -> dict[str, object]:
    """Return the rows of every record by its path."""
    paths = (results / "rows").rglob("*.json")
    return {
        str(path.relative_to(results)): json.loads(path.read_text("utf-8"))["rows"]
        for path in paths
    }


def compare(words: list[str], folder: Path) -> None:
    """Run the same words in every way, cold."""
    first, rows = 0.0, None
    for name, way in WAYS.items():
        results = folder / name
        took = seconds("run", "-q", *words, *way, "--results", str(results))
        first, rows = first or took, rows or numbers(results)
        same = "the same" if numbers(results) == rows else "other"
        print(f"run {name}: {took:.1f} s, ratio {first / took:.2f}, {same} numbers", flush=True)


def reports(folder: Path) -> None:
    """Make the report of the reference without figures, with all, and again."""
    words = ["report", "--results", str(REFERENCE), "-o", str(folder)]
    for name, more in {
        "tables": ["--no-figures"],
        "all": ["--paper"],
        "again": ["--paper"],
    }.items():
        print(f"report, {name}: {seconds(*words, *more):.1f} s", flush=True)


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        compare(sys.argv[1:] or RUN, Path(place))
        reports(Path(place) / "report")
