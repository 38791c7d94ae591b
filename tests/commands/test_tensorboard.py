"""Training logs as TensorBoard's event files."""

import sys

import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.commands.tensorboard import TAGS
from bench.store import curves


def run(*words, code=0):
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    run("run", "-q", "--methods", "standard:epochs=3,chance", "--preset", "smoke", "--seeds", "0-1",
        "--scenarios", "clean", "--results", folder)  # fmt: skip
    return folder


def test_every_epoch_of_every_fit_is_read_by_tensorboard(measured, tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for _ in range(2):  # a second export replaces the first
        output = run("export", "--to", "tensorboard", "-o", tmp_path, "--results", measured)
    assert output.splitlines() == [f"2 runs -> {tmp_path}; next: tensorboard --logdir {tmp_path}"]
    kept = [one for one in curves.read_all(measured / "curves")[0] if one.training]
    assert {(one.method, one.seed) for one in kept} == {
        ("standard:epochs=3", seed) for seed in (0, 1)
    }
    assert {len(one.training) for one in kept} == {3}
    for one in kept:
        events = reader.EventAccumulator(
            str(tmp_path / "digits" / f"standard_epochs=3-s{one.seed}")
        )
        events.Reload()
        assert sorted(events.Tags()["scalars"]) == sorted(TAGS)
        for column, tag in enumerate(TAGS):
            read = events.Scalars(tag)
            assert [event.step for event in read] == [*range(1, len(one.training) + 1)]
            assert [event.value for event in read] == pytest.approx(
                [epoch[column] for epoch in one.training]
            )


def test_what_is_missing_is_one_line(measured, tmp_path, monkeypatch):
    words = ["export", "--to", "tensorboard", "-o", tmp_path / "out", "--results"]
    assert "no training logs under" in run(*words, tmp_path / "nothing", code=2)
    assert "either" in run(*words, measured, "--predictions", code=2)
    (tmp_path / "file").write_text("")
    words[4] = tmp_path / "file"
    pytest.importorskip("tensorboard")
    assert "cannot be written" in run(*words, measured, code=2)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert 'pip install "bench[tensorboard]"' in run(*words, measured, code=2)
