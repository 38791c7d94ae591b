"""What a person sees during a run."""

import io

import pytest
from rich.console import Console as RichConsole

from bench.fitting import console as module
from bench.fitting.console import Console
from bench.methods import training


@pytest.fixture
def screen():
    return io.StringIO()


def terminal(screen, *, is_terminal):
    return Console(out=RichConsole(file=screen, width=120, force_terminal=is_terminal))


def test_time_left_is_shown_though_jobs_take_minutes(screen):
    console, clock = terminal(screen, is_terminal=True), [0.0]
    console._progress.get_time = lambda: clock[0]
    console.expect(10)
    for clock[0] in (100.0, 200.0, 300.0):
        console.finished("a job")
    (task,) = console._progress.tasks
    assert task.time_remaining == pytest.approx(700, rel=0.5)


def test_a_long_plain_line_is_not_broken(screen):
    line = "digits   redecnn:depth=16,samples=100  seed 0  " + "  ".join(["corruption 0.735"] * 12)
    console = terminal(screen, is_terminal=False)
    console.finished(line)
    console.say("[brackets] stay")
    assert screen.getvalue().splitlines() == [line, "[brackets] stay"]


def test_plain_progress_comes_as_lines_now_and_then(screen, monkeypatch):
    console = terminal(screen, is_terminal=False)
    with console.fitting("standard, member 3 of 8"):
        training.on_epoch.get()(1, 20)
        monkeypatch.setattr(module, "SLOW", -1)
        training.on_epoch.get()(2, 20)
    assert screen.getvalue() == "  fit standard, member 3 of 8: epoch 2 of 20\n"
    assert training.on_epoch.get() is None


def test_a_quiet_console_prints_nothing_and_keeps_messages(capsys, monkeypatch):
    monkeypatch.setattr(module, "SLOW", -1)
    console = Console(quiet=True)
    console.expect(1)
    with console.predicting("chance clean", 1) as count:
        assert list(count) == [1]
    console.say("a damaged file was set aside")
    console.finished("a job")
    assert console.notes == ["a damaged file was set aside"]
    assert capsys.readouterr().out == ""
