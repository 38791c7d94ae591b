"""Recordings of the user's own, with a table that says what each one is."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from bench.datasets.errors import DataError
from bench.datasets.store import Store
from bench.datasets.wav_folder import WavFolder
from bench.scenarios.cross_dataset import outlier_sources

RATE = 8000
WORDS = ("down", "up")


def write(root: Path, *columns: str, count: int = 8) -> list[dict[str, str]]:
    """Write ``count`` recordings of each word and their table; return its lines."""
    root.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    lines = []
    for label in WORDS:
        for i in range(count):
            file = f"{label}{i}.wav"
            time = np.arange(RATE // 4) / RATE
            wave = np.sin(2 * np.pi * (400 if label == "up" else 900) * time)
            noisy = wave + rng.normal(0, 0.1, len(wave))
            wavfile.write(root / file, RATE, (noisy * 8000).astype(np.int16))
            parts = ("train", "train", "train", "val", "test")
            line = {"file": file, "label": label, "speaker": f"s{i % 3}", "split": parts[i % 5]}
            lines.append({key: line[key] for key in ("file", "label", *columns)})
    table(root, lines)
    return lines


def table(root: Path, lines: list[dict[str, str]]) -> None:
    text = [",".join(lines[0]), *(",".join(line.values()) for line in lines)]
    (root / "labels.csv").write_text("\n".join(text) + "\n", "utf-8-sig")


@pytest.fixture
def made(tmp_path):
    def make(**params) -> WavFolder:
        source = WavFolder(path=str(tmp_path / "words"), **params)
        source.store = Store(tmp_path / "data")
        return source

    return make


def test_without_parts_they_are_cut(tmp_path, made):
    write(tmp_path / "words")
    data = made()
    assert data.label == "wav_folder-words"
    assert data.task.classes == WORDS
    parts = data.splits(0)
    assert [len(part) for part in parts] == [10, 2, 4]
    for part in parts:
        assert part.x.shape[1:] == (1, 32, 32)
        assert part.y.unique().tolist() == [0, 1]
    assert parts.test.fingerprint == made().splits(1).test.fingerprint


def test_parts_and_speakers_of_the_table_are_kept(tmp_path, made):
    write(tmp_path / "words", "speaker", "split", count=10)
    data = made()
    assert [len(part) for part in data.splits(0)] == [12, 4, 4]
    assert data.speakers == ("s0", "s1", "s2")
    assert not data.unseen_speakers
    assert data.test().attribute_names == ("speaker",)


def test_recordings_meet_recordings_alone(tmp_path, made):
    write(tmp_path / "words")
    assert {source.kind for source in outlier_sources(made())} == {"speech"}
    shared = {source.name for source in outlier_sources(made(holds=("spoken digit",)))}
    assert "fsdd" not in shared


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("file", "gone.wav", "line 2 of .* names gone.wav, which is not there"),
        ("label", "", "line 2 of .* lacks a file or a label"),
        ("split", "exam", "has split 'exam'; it is train, val or test"),
    ],
)
def test_a_bad_line_is_named(tmp_path, made, column, value, message):
    lines = write(tmp_path / "words", "split")
    lines[0][column] = value
    table(tmp_path / "words", lines)
    with pytest.raises(DataError, match=message) as caught:
        made().splits(0)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_learned_is_one_line(tmp_path, made):
    with pytest.raises(DataError, match="there is no folder"):
        made().splits(0)
    lines = write(tmp_path / "words")
    table(tmp_path / "words", lines[:8])
    with pytest.raises(DataError, match=r"one class alone \('down'\)"):
        made().splits(0)
    table(tmp_path / "words", lines[:10])
    with pytest.raises(DataError, match=r"class 'up' of .* has 2 recordings"):
        made().splits(0)
    table(tmp_path / "words", [{"path": "a.wav"}])
    with pytest.raises(DataError, match="lacks the columns file and label; it has path"):
        made().splits(0)
    (tmp_path / "words" / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"labels\.csv cannot be read \(No such file"):
        made().splits(0)
    with pytest.raises(DataError, match="wav_folder:path=FOLDER"):
        WavFolder().splits(0)


def test_a_file_that_is_no_recording_is_named(tmp_path, made):
    write(tmp_path / "words")
    (tmp_path / "words" / "up0.wav").write_bytes(b"no recording")
    with pytest.raises(DataError, match=r"up0\.wav is damaged .* take it out of the table"):
        made().splits(0)
