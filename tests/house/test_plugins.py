"""Methods, data sets, scenarios and scores from a folder outside of the clone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench import plugins
from bench.errors import UsageError
from bench.store import code

FILES = {
    "_shared.py": "SHARE = 0.1\n",
    "smooth.py": '''
"""Label smoothing."""
from torch.nn import functional

from bench.methods.standard import Standard

from ._shared import SHARE


class Smooth(Standard):
    """Cross entropy against labels mixed with a share of the uniform distribution."""

    name = "smooth"
    source = "arXiv:1512.00567"

    def classifier(self, task, **options):
        assert SHARE < 1
        return super().classifier(task, **options)
''',
    "blobs.py": '''
"""Two classes of bright corners, and stripes as outliers."""
import torch

from bench import Dataset, Raw, Source, Task


class Blobs(Dataset):
    """Bright above or below."""

    name = "blobs"
    source = "made up"
    kind = "glyph"
    content = frozenset({"blob"})
    embedded = True
    task = Task((1, 4, 4), ("place",), ("above", "below"))

    def raw(self, which):
        draw = torch.Generator().manual_seed(len(which))
        y = torch.arange(240) % 2
        x = torch.randint(90, (240, 1, 4, 4), generator=draw)
        x[y == 0, :, :2] += 90
        x[y == 1, :, 2:] += 90
        return Raw(x.byte(), y[:, None])

    def transform(self, x):
        return torch.nn.functional.interpolate(x.float()[:, :1], size=(4, 4)).byte()


class Stripes(Source):
    """Every second column is white."""

    name = "stripes"
    source = "made up"
    kind = "glyph"
    content = frozenset({"stripe"})
    embedded = True

    def raw(self, which):
        x = torch.zeros(50, 1, 4, 4, dtype=torch.uint8)
        x[..., ::2] = 255
        return Raw(x, torch.zeros(50, 1, dtype=torch.long))
''',
    "inverted.py": '''
"""Black for white."""
from bench import ShiftScenario, View, Views
from bench.datasets.base import fingerprint


class Inverted(ShiftScenario):
    """The test part in negative."""

    name = "inverted"
    source = "made up"
    question = "Is it less sure of a negative?"
    tags = frozenset({"ood"})
    detects = True

    def views(self, evaluator):
        test = evaluator.test
        mark = fingerprint(test.fingerprint, "inverted")
        return Views([View("inverted", mark, len(test), lambda: 255 - test.x, test.y)], {})
''',
    "least.py": '''
"""One score."""
from bench import score


@score(label="least", source="made up", needs="samples")
def least(samples):
    """The smallest mean probability of a class."""
    return samples.mean(1).double().min(-1).values.mean(-1)
''',
}


def written(folder: Path, files=FILES) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def say(*words, cwd, code=0, **environment) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *map(str, words)], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(bench.ROOT), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_a_folder_outside_the_clone_is_listed_checked_run_and_ranked(tmp_path):
    mine = written(tmp_path / "mine")
    listed = say("list", "--plugins", mine, cwd=tmp_path)
    for name in ("smooth", "blobs", "inverted", "least"):
        assert f"\n{name} " in listed
    assert "\nsmooth " not in say("list", cwd=tmp_path)
    assert "FAILED" not in say("check", "smooth", "--plugins", mine / "smooth.py", cwd=tmp_path)

    words = ["run", "--methods", "linear,smooth", "--datasets", "blobs", "--preset", "smoke",
             "--scenarios", "clean,inverted,cross_dataset", "--seeds", "0"]  # fmt: skip
    run = say(*words, "--jobs", "2", "--plugins", mine, cwd=tmp_path)
    assert "6 scenarios measured, 0 failed" in run
    assert "smooth" in (tmp_path / "results/README.md").read_text()
    views = (tmp_path / "results/rows/blobs/cross_dataset/smooth-s0.json").read_text()
    assert '"stripes"' in views
    assert '"least"' in views

    again = say(*words, cwd=tmp_path, BENCH_PLUGINS=str(mine))
    assert "0 scenarios measured" in again
    (mine / "_shared.py").write_text("SHARE = 0.2\n")  # what only `smooth` imports
    edited = say(*words, cwd=tmp_path, BENCH_PLUGINS=str(mine))
    assert "smooth: refitting because: code" in edited
    assert "3 scenarios measured, 0 failed" in edited
    assert "up to date" in next(line for line in edited.splitlines() if "  linear " in f" {line}")


def test_a_file_that_cannot_be_imported_is_named_and_the_others_run(tmp_path):
    broken = {"half.py": "class Half(:\n", "lacking.py": "import no_such_package\n"}
    mine = written(tmp_path / "mine", FILES | broken)
    listed = say("list", "scores", "--plugins", mine, cwd=tmp_path)
    assert "\nleast " in listed
    lines = [line for line in listed.splitlines() if line.startswith("bench: ")]
    assert len(lines) == 2
    assert f"left out {mine / 'half.py'}: SyntaxError: " in lines[0]
    assert "No module named 'no_such_package'" in lines[1]
    assert "Traceback" not in listed
    asked = say("run", "--methods", "half", "--plugins", mine, cwd=tmp_path, code=2)
    assert f"method 'half': {mine / 'half.py'} cannot be imported (SyntaxError" in asked


def test_two_of_one_name_are_both_named(tmp_path):
    text = FILES["least.py"]
    mine = written(tmp_path / "mine", {"least.py": text, "other.py": text})
    output = say("list", "--plugins", mine, cwd=tmp_path, code=2)
    assert "two scores are named 'least'" in output
    assert str(mine / "least.py") in output
    assert str(mine / "other.py") in output
    theirs = written(
        tmp_path / "theirs", {"digits.py": FILES["blobs.py"].replace("blobs", "digits")}
    )
    output = say("list", "--plugins", theirs, cwd=tmp_path, code=2)
    assert "two classes are named 'digits': " in output
    assert str(theirs / "digits.py") in output
    assert len(output.splitlines()) == 1


def test_what_is_no_plug_in_is_a_mistake(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    for name, message in {
        "empty": "neither a Python file nor a folder of them",
        "notes.txt": "neither a Python file nor a folder of them",
        "gone": "does not exist",
    }.items():
        with pytest.raises(UsageError, match=message):
            plugins.named(str(tmp_path / name))


def test_a_module_that_a_package_names_is_a_plug_in(tmp_path, monkeypatch):
    (tmp_path / "their_scores").mkdir()
    (tmp_path / "their_scores/__init__.py").write_text("")
    (tmp_path / "their_scores/one.py").write_text(FILES["least.py"])
    about = tmp_path / "their_scores-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their_scores\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[bench.plugins]\nany = their_scores\n")
    output = say("list", "scores", cwd=tmp_path, PYTHONPATH=f"{bench.ROOT}{os.pathsep}{tmp_path}")
    assert "\nleast " in output


def test_an_edit_of_what_a_public_name_stands_for_changes_the_digest(tmp_path, monkeypatch):
    (tmp_path / "plugged.py").write_text("from bench import Score\nmine = Score\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code, "OURS", {*code.OURS, "plugged"})
    __import__("plugged")
    code.forget()
    before = code.code_digest("plugged")
    path = bench.HERE / "scores/base.py"
    code.adopt({path: path.read_text() + "\nEDITED = True\n"})
    try:
        assert code.code_digest("plugged") != before
    finally:
        code.forget()
