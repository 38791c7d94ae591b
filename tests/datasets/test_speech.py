"""Speech: from wav files to spectrograms, what goes wrong with recordings, and who speaks."""

import io
import math
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from bench.commands.inventory import show_data
from bench.datasets import speech, waves
from bench.datasets.base import generator
from bench.datasets.digits import Digits
from bench.datasets.errors import DataError
from bench.datasets.fluent import Fluent
from bench.datasets.idx import Mnist
from bench.datasets.speech import WithoutSpeakers
from bench.datasets.speech_corruptions import CORRUPTIONS, LEVELS, corrupt, mixed, recorded
from bench.datasets.speechcommands import SpeechCommands, class_of
from bench.datasets.spoken_digits import TEST_SPEAKERS, VAL_SPEAKERS, AudioMnist, Fsdd
from bench.datasets.store import Store
from bench.datasets.waves import RATE, centred, read_wav
from bench.fitting.console import Console
from bench.running.plan import make_plan
from bench.running.run import Settings, prepare
from bench.running.run import run as run_jobs
from bench.scenarios.clean import Clean
from bench.scenarios.corruption import Corruption
from bench.scenarios.cross_dataset import outlier_sources
from bench.scenarios.speaker import Speaker
from bench.scenarios.speech_corruption import SpeechCorruption
from bench.store.records import read_all

SETS = [Fsdd, SpeechCommands, AudioMnist, Fluent]
by_name = {"ids": lambda source: source.name}


def tone(hertz: float, seconds: float = 0.3, rate: int = RATE, loudness: float = 0.5) -> np.ndarray:
    """A sine as 16-bit samples, faded in and out."""
    time = np.arange(int(seconds * rate)) / rate
    fade = np.hanning(len(time))
    return (32767 * loudness * fade * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, samples)
    return buffer.getvalue()


def write_fsdd(root: Path, takes: int = 11, speakers: tuple[str, ...] = ("ann", "bob")) -> Path:
    folder = root / "free-spoken-digit-dataset" / "recordings"
    folder.mkdir(parents=True)
    for digit in range(10):
        for i, speaker in enumerate(speakers):
            for take in range(takes):
                sound = tone(300 + 300 * digit + 20 * i + take, 0.2 + 0.02 * take)
                (folder / f"{digit}_{speaker}_{take}.wav").write_bytes(wav(sound))
    return folder


def at(source: type, *roots: Path):
    made = source()
    made.store = Store(roots[0], roots[1:])
    return made


@pytest.fixture
def fsdd(tmp_path) -> Fsdd:
    write_fsdd(tmp_path)
    return at(Fsdd, tmp_path)


# Spectrograms


def shown(samples: np.ndarray, rate: int = RATE) -> torch.Tensor:
    """The spectrogram of one recording, (32, 32)."""
    _, wave = read_wav(wav(samples, rate))
    low = waves.resampled(centred(wave, rate)[None], rate)
    return Fsdd().transform(low[:, None, None])[0, 0]


def test_a_higher_tone_lies_higher_and_is_white():
    rows = [int(shown(tone(hertz)).float().sum(1).argmax()) for hertz in (200, 500, 1000, 3000)]
    assert rows == sorted(rows, reverse=True)
    assert shown(tone(1000)).max() == 255


def test_a_tone_stands_in_the_band_of_its_mel_frequency():
    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    edges = np.linspace(mel(60), mel(4000), 34)
    band = int(np.abs(edges[1:-1] - mel(1000)).argmin())
    assert abs(31 - int(shown(tone(1000)).float().sum(1).argmax()) - band) <= 1


def test_loudness_and_place_in_the_file_do_not_count():
    sound = tone(700)
    late = np.concatenate([np.zeros(1600, np.int16), sound, np.zeros(400, np.int16)])
    quiet = tone(700, loudness=0.25)
    for other in (late, quiet):
        difference = shown(sound).int() - shown(other).int()
        assert difference.abs().max() <= 8


def test_forty_decibels_are_the_whole_scale():
    both = tone(500, 1.0, loudness=0.9).astype(float) + tone(3000, 1.0, loudness=0.09)
    picture = shown(both.astype(np.int16)).float()
    rows = picture[:, 16].topk(1).indices, picture[:16, 16].max()
    assert rows[0] > 16  # the louder, lower tone
    assert rows[1].item() == pytest.approx(255 / 2, abs=12)  # 20 dB of 40 below it


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
def test_another_sample_rate_is_brought_down(rate):
    difference = shown(tone(600)).float() - shown(tone(600, rate=rate), rate).float()
    assert difference.abs().mean() < 3


def test_what_is_above_four_kilohertz_is_lost_not_folded_down():
    sound = tone(600, rate=48_000).astype(float) + tone(7000, rate=48_000)
    difference = shown(tone(600)).float() - shown((sound / 2).astype(np.int16), 48_000).float()
    assert difference.abs().mean() < 3


def test_stereo_is_averaged():
    left, right = tone(600), tone(900)
    mono = ((left.astype(float) + right) / 2).astype(np.int16)
    stereo = np.stack([left, right], 1)
    assert (shown(mono).int() - shown(stereo).int()).abs().max() <= 3


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_every_format_of_samples_means_the_same(kind):
    sound = tone(440) / 32768
    scaled = {
        np.uint8: np.round(sound * 128 + 128).clip(0, 255),
        np.int16: sound * 32768,
        np.int32: sound * 2**31,
        np.float32: sound,
    }[kind].astype(kind)
    _, wave = read_wav(wav(scaled))
    assert np.abs(wave.numpy() - sound).max() < 0.01


def test_the_second_with_the_energy_is_kept_of_a_clip_far_too_long():
    long = np.concatenate([np.zeros(60 * RATE, np.int16), tone(500), np.zeros(9 * RATE, np.int16)])
    assert torch.equal(shown(long), shown(tone(500)))


def test_a_silent_recording_is_black_and_stays_finite():
    silent = np.zeros(4000, np.int16)
    assert shown(silent).max() == 0
    waves = torch.zeros(3, 1, 1, RATE, dtype=torch.int16)
    for name in CORRUPTIONS:
        made = corrupt(name, 3, waves, "silent")
        assert made.isfinite().all(), name
        assert Fsdd().transform(made).max() == 0, name


def test_a_spectrogram_depends_on_nothing_but_its_recording(monkeypatch):
    x = torch.randint(-9000, 9000, (7, 1, 1, RATE), generator=generator("a")).short()
    together = Fsdd().transform(x)
    assert together.shape == (7, 1, 32, 32)
    assert together.dtype == torch.uint8
    monkeypatch.setattr(speech, "CHUNK", 2)
    assert torch.equal(Fsdd().transform(x), together)
    assert torch.equal(Fsdd().transform(x[3:4]), together[3:4])
    assert torch.equal(Fsdd().transform(x.float() / 32768), together)


def test_images_are_no_sounds():
    for images in (Digits().raw("test").x, torch.zeros(2, 3, 32, 32)):
        with pytest.raises(DataError, match=r"fsdd: inputs are sounds, and images of \dx32x32"):
            Fsdd().transform(images)


# Bad files


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"ID3 this is an mp3 with another name", "not understood"),
        (b"", "not understood"),
        (wav(tone(500))[:30], "cut short"),
        (wav(tone(500))[:-800], "cut short"),
        (wav(np.zeros(0, np.int16)), "empty"),
        (wav(np.full(800, np.nan, np.float32)), "not finite"),
        (wav(tone(500), 100), "sample rate is 100 Hz"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_is_no_recording_is_named_in_one_line(tmp_path, content, reason, packed):
    folder = write_fsdd(tmp_path)
    (folder / "7_bob_3.wav").write_bytes(content)
    if packed:
        pack(folder)
    with pytest.raises(DataError, match=rf"fsdd: .*7_bob_3\.wav.*{reason}.*\)") as caught:
        at(Fsdd, tmp_path).splits(0)
    assert "\n" not in str(caught.value)
    assert "put the published one back, or delete all of" in str(caught.value)
    assert "bench data download fsdd" in str(caught.value)


def test_a_damaged_archive_is_named(tmp_path):
    folder = write_fsdd(tmp_path)
    pack(folder)
    path = folder.with_suffix(".zip")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"recordings\.zip is damaged"):
        at(Fsdd, tmp_path).test()


def test_a_file_of_another_name_is_refused(tmp_path):
    (write_fsdd(tmp_path) / "seven.wav").write_bytes(wav(tone(500)))
    with pytest.raises(DataError, match=r"seven\.wav is not called digit_speaker_take\.wav"):
        at(Fsdd, tmp_path).test()


@pytest.mark.parametrize("source", SETS, **by_name)
def test_missing_recordings_are_a_message_with_the_places_and_the_remedy(source, tmp_path):
    made = at(source, tmp_path / "root", tmp_path / "extra")
    assert made.where() is None
    assert made.label == source.name
    with pytest.raises(DataError) as caught:
        made.raw("test")
    message = str(caught.value)
    assert message.startswith(f"{source.name}: {made.folder}")
    assert str(tmp_path / "root") in message
    assert str(tmp_path / "extra") in message
    remedy = "Ask fluent.ai" if source is Fluent else f"bench data download {source.name}"
    assert remedy in message
    assert "\n" not in message


def pack(folder: Path) -> None:
    """Put a folder into a zip beside it, and remove it."""
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{folder.name}/{path.name}")
            path.unlink()
    folder.rmdir()


# The sets


def test_fsdd_tests_on_the_first_five_takes_and_is_the_same_packed(tmp_path):
    folder = write_fsdd(tmp_path / "a")
    write_fsdd(tmp_path / "b")
    pack(tmp_path / "b" / folder.relative_to(tmp_path / "a"))
    plain, packed = (at(Fsdd, tmp_path / name) for name in "ab")
    for made in (plain, packed):
        parts = made.splits(0)
        assert [len(part) for part in parts] == [110, 10, 100]
        assert parts.test.y[:, 0].bincount().tolist() == [10] * 10
        assert made.label == "fsdd-220"
        assert made.where().endswith("(fsdd-220; test: takes 0-4)")
    assert [s.fingerprint for s in plain.splits(0)] == [s.fingerprint for s in packed.splits(0)]
    assert packed.speakers == ("ann", "bob")
    takes = {clip.member.rsplit("_")[-1] for clip in packed.clips["test"]}
    assert takes == {f"{take}.wav" for take in range(5)}


def test_recordings_are_read_once_and_again_when_they_change(fsdd, tmp_path, monkeypatch):
    first = fsdd.splits(0)
    with monkeypatch.context() as patch:
        patch.setattr(waves, "read_wav", lambda _: pytest.fail("read again"))
        again = at(Fsdd, tmp_path).splits(0)
        assert torch.equal(again.train.x, first.train.x)
    path = fsdd.place() / "0_ann_0.wav"
    path.write_bytes(wav(tone(3500)))
    assert not torch.equal(at(Fsdd, tmp_path).test().x, first.test.x)


def test_validation_moves_with_the_seed_and_the_test_part_does_not(fsdd):
    first, other = fsdd.splits(0), fsdd.splits(1)
    assert first.val.fingerprint != other.val.fingerprint
    assert first.train.fingerprint != other.train.fingerprint
    assert first.test.fingerprint == other.test.fingerprint
    assert first.val.y[:, 0].bincount().tolist() == [1] * 10
    whole = torch.cat([first.train.x, first.val.x]).flatten(1)
    assert len(whole.unique(dim=0)) == 120


def test_every_recording_tells_who_speaks(fsdd):
    test = fsdd.test()
    assert test.attribute("speaker").bincount().tolist() == [50, 50]
    names = [fsdd.speakers[i] for i in test.attribute("speaker")]
    assert names == [clip.speaker for clip in fsdd.clips["test"]]


def git(*words: str, at: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *words], cwd=at, check=True, capture_output=True)


def test_a_set_published_as_a_repository_is_cloned(tmp_path, monkeypatch):
    published = write_fsdd(tmp_path / "web").parent
    for words in (["init"], ["add", "."], ["commit", "-m", "all"]):
        git(*words, at=published)
    made = at(Fsdd, tmp_path / "root")
    monkeypatch.setattr(Fsdd, "url", f"file://{published}")
    made.download()
    assert [len(part) for part in made.splits(0)] == [110, 10, 100]
    made.download()  # nothing to do
    elsewhere = at(Fsdd, tmp_path / "empty")
    monkeypatch.setattr(Fsdd, "url", f"file://{tmp_path}/nowhere")
    with pytest.raises(DataError, match=r"git clone failed: .*By hand: git clone"):
        elsewhere.download()
    assert elsewhere.where() is None


def test_the_authors_speakers_of_audiomnist_are_kept_apart(tmp_path):
    write_audiomnist(tmp_path)
    made = at(AudioMnist, tmp_path)
    parts = made.splits(0)
    assert [len(part) for part in parts] == [360, 120, 120]
    assert made.label == "audiomnist-600"
    heard = [{made.speakers[i] for i in part.attribute("speaker")} for part in parts]
    assert sum(map(len, heard)) == len(set().union(*heard)) == 60
    assert heard[2] == {f"{speaker:02}" for speaker in TEST_SPEAKERS}
    assert len(TEST_SPEAKERS) == len(VAL_SPEAKERS) == 12
    assert [p.fingerprint for p in parts] == [p.fingerprint for p in made.splits(7)]
    assert parts.test.y[:, 0].bincount().tolist() == [12] * 10


def write_audiomnist(root: Path) -> Path:
    for speaker in range(1, 61):
        folder = root / "AudioMNIST" / "data" / f"{speaker:02}"
        folder.mkdir(parents=True)
        for digit in range(10):
            sound = tone(300 + 300 * digit + speaker, 0.05, 48_000)
            (folder / f"{digit}_{speaker:02}_0.wav").write_bytes(wav(sound, 48_000))
    return root


def test_a_file_in_the_wrong_speakers_folder_is_refused(tmp_path):
    folder = write_audiomnist(tmp_path) / "AudioMNIST" / "data" / "07"
    (folder / "0_08_0.wav").write_bytes(wav(tone(500)))
    with pytest.raises(DataError, match=r"07/0_08_0\.wav is not called"):
        at(AudioMnist, tmp_path).test()


ACTIONS = Fluent.task.classes
HEADER = ",path,speakerId,transcription,action,object,location"


def write_fluent(root: Path) -> Path:
    """Two speakers a part, each with every action once."""
    folder = root / "fluent_speech_commands_dataset"
    (folder / "data").mkdir(parents=True)
    for n, part in enumerate(("train", "valid", "test")):
        lines = [HEADER]
        for i in range(12):
            place = f"wavs/speakers/s{2 * n + i % 2}/{part}{i}.wav"
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            sound = tone(300 + 100 * i, 2.5, 16_000)
            (folder / place).write_bytes(wav(sound, 16_000))
            lines.append(f'{i},{place},s{2 * n + i % 2},"a, b",{ACTIONS[i % 6]},none,none')
        (folder / "data" / f"{part}_data.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_fluent_reads_its_tables_and_keeps_their_parts(tmp_path):
    write_fluent(tmp_path)
    made = at(Fluent, tmp_path)
    parts = made.splits(0)
    assert [len(part) for part in parts] == [12, 12, 12]
    assert made.label == "fluent-36"
    for part in parts:
        assert part.y[:, 0].bincount().tolist() == [2] * 6
        assert part.x.shape[1:] == (1, 32, 32)
    assert made.raw("test").x.shape == (12, 1, 1, 4 * RATE)
    assert not set(parts.train.attribute("speaker")) & set(parts.test.attribute("speaker"))
    lit = (parts.test.x[0, 0].float().sum(0) > 0).sum()
    assert 12 <= lit <= 22  # 2.5 of 4 seconds, faded


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("test3.wav", "gone.wav", r"line 5 names wavs/speakers/s5/gone\.wav, which is not there"),
        ("decrease", "dance", "line 6 lacks a path, a speakerId, or one of the six actions"),
        ("path", "file", "line 2 lacks a path"),
    ],
)
def test_a_row_without_its_file_or_action_is_named(tmp_path, old, new, reason):
    table = write_fluent(tmp_path) / "data" / "test_data.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=rf"fluent: .*test_data\.csv is damaged \({reason}"):
        at(Fluent, tmp_path).splits(0)


def test_a_missing_table_is_named(tmp_path):
    (write_fluent(tmp_path) / "data" / "valid_data.csv").unlink()
    with pytest.raises(DataError, match=r"data/valid_data\.csv was not found in .*unpack"):
        at(Fluent, tmp_path).test()


def commands(word: str, n: int, prefix: str = "") -> dict[str, bytes]:
    return {
        f"{prefix}{'abc'[i % 3]}{i:03}_nohash_0.wav": wav(tone(400 + 10 * i, 0.2, 16_000), 16_000)
        for i in range(n)
    }


def write_subset(root: Path) -> Path:
    """One zip a word, all in the official test list, as a part of the official test set is."""
    place = root / SpeechCommands.folder
    place.mkdir(parents=True)
    words = {word: commands(word, 9) for word in ("yes", "no")}
    words["_silence_"] = {f"{i}.wav": wav(np.zeros(16_000, np.int16), 16_000) for i in range(9)}
    words["_unknown_"] = commands("", 6, "bird_") | commands("", 3, "seven_")
    lists: dict[str, list[str]] = {"training": [], "validation": [], "testing": []}
    for word, files in words.items():
        with zipfile.ZipFile(place / f"{word}.zip", "w") as archive:
            for i, (name, content) in enumerate(files.items()):
                archive.writestr(f"{word}/{name}", content)
                lists[list(lists)[i % 3]].append(f"{word}/{name}")
    for part, names in lists.items():
        (place / f"subset_{part}_list.txt").write_text("\n".join(names))
    (place / "testing_list.txt").write_text("\n".join(n for names in lists.values() for n in names))
    return place


def test_a_subset_of_the_commands_is_split_by_its_own_lists_and_named(tmp_path):
    write_subset(tmp_path)
    made = at(SpeechCommands, tmp_path)
    assert made.label == "speechcommands-36"
    assert "parts by subset_*_list.txt" in made.where()
    parts = made.splits(0)
    assert [len(part) for part in parts] == [11, 11, 11]  # no spoken digits among the unknown
    words = made.task.classes
    counts = parts.test.y[:, 0].bincount(minlength=12)
    assert [counts[words.index(w)] for w in ("yes", "no", "_silence_", "_unknown_")] == [3, 3, 3, 2]
    assert not any("seven" in clip.member for part in made.clips.values() for clip in part)
    made.label = "speechcommands"
    assert made.label == "speechcommands-36"


def test_a_listed_command_without_its_file_is_named(tmp_path):
    place = write_subset(tmp_path)
    with (place / "subset_testing_list.txt").open("a") as file:
        file.write("\nyes/nobody_nohash_0.wav\n")
    with pytest.raises(DataError, match=r"its lists name yes/nobody_nohash_0\.wav, which is not"):
        at(SpeechCommands, tmp_path).test()


def test_the_full_set_is_split_by_the_official_lists_and_makes_its_silence(tmp_path):
    place = tmp_path / SpeechCommands.folder
    files = {word: commands(word, 12) for word in ("yes", "no", "bed", "cat", "seven")}
    for word, found in files.items():
        (place / word).mkdir(parents=True)
        for name, content in found.items():
            (place / word / name).write_bytes(content)
    (place / "_background_noise_").mkdir()
    noise = np.random.default_rng(0).integers(-900, 900, 20 * 16_000).astype(np.int16)
    (place / "_background_noise_" / "hum.wav").write_bytes(wav(noise, 16_000))
    for file, i in (("validation_list.txt", 0), ("testing_list.txt", 1)):
        listed = [f"{word}/{name}" for word, found in files.items() for name in list(found)[i::6]]
        (place / file).write_text("\n".join(listed))
    made = at(SpeechCommands, tmp_path)
    assert made.label == "speechcommands"
    assert made.where().endswith("(speechcommands; parts by validation_list.txt, testing_list.txt)")
    parts = made.splits(0)
    words = made.task.classes
    counts = [part.y[:, 0].bincount(minlength=12) for part in parts]
    assert [int(c[words.index("yes")]) for c in counts] == [8, 2, 2]
    assert [int(c[words.index("_silence_")]) for c in counts] == [16, 2, 2]
    silent = parts.train.x[parts.train.y[:, 0] == words.index("_silence_")]
    assert len(silent.flatten(1).unique(dim=0)) == 16  # a second of its own each
    unknown = {c.path.parent.name for p in made.clips.values() for c in p if c.label == 11}
    assert unknown <= {"bed", "cat"}


def test_other_words_are_thinned_to_about_one_word():
    kept = [class_of(f"bird/{i}_nohash_0.wav", thin=True) for i in range(3000)]
    assert 150 < kept.count("_unknown_") < 250
    assert class_of("seven/a_nohash_0.wav", thin=True) is None
    assert class_of("bird/a_nohash_0.wav", thin=False) is None


# Corruptions


def voices(n: int = 40) -> torch.Tensor:
    """Short recordings in their second, (n, 1, 1, 8000), as 16-bit samples."""
    waves = [centred(torch.from_numpy(tone(200 + 40 * i) / 32768.0), RATE) for i in range(n)]
    return (torch.stack(waves) * 32767).short()[:, None, None]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_keeps_the_shape_and_the_input_and_repeats(name):
    x = voices()
    before = x.clone()
    first = corrupt(name, 2, x, "a")
    assert first.shape == x.shape
    assert first.dtype == torch.float32
    assert first.isfinite().all()
    assert torch.equal(x, before)
    assert torch.equal(first, corrupt(name, 2, x, "a"))
    same = torch.equal(first, corrupt(name, 2, x, "b"))
    assert same == (name in {"clipping", "low_pass"})  # these draw nothing


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_higher_level_changes_more(name):
    x = voices()
    clean = Fsdd().transform(x).float()
    change = [(Fsdd().transform(corrupt(name, i, x, "a")) - clean).abs().mean() for i in (1, 2, 3)]
    assert change[0] > 0
    assert change[0] < change[1] < change[2]


def test_every_corruption_has_levels_and_every_level_a_corruption():
    assert CORRUPTIONS.keys() == LEVELS.keys()
    assert len(LEVELS) == 9


@pytest.mark.parametrize("snr", [20.0, 0.0])
def test_the_ratio_of_signal_to_noise_holds_over_what_was_recorded(snr):
    wave = voices(3).float().flatten(1) / 32768
    noise = torch.randn(wave.shape, generator=generator("noise"))
    added = mixed(wave, noise, snr) - wave
    share = recorded(wave)
    assert share.tolist() == pytest.approx([0.3] * 3, abs=0.005)
    signal = wave.square().mean(1) / share
    ratio = 10 * torch.log10(signal / added.square().mean(1))
    assert ratio.tolist() == pytest.approx([snr] * 3, abs=0.01)


def test_white_noise_is_flat_and_pink_noise_falls_by_three_decibels_an_octave():
    x = voices(200).float().flatten(1) / 32768
    slopes = {}
    for name in ("white_noise", "pink_noise"):
        noise = CORRUPTIONS[name](x, 0.0, generator(name)) - x
        power = torch.fft.rfft(noise).abs().square().mean(0)
        low, high = power[200:400].mean(), power[1600:3200].mean()
        slopes[name] = float(10 * torch.log10(high / low)) / 3  # three octaves
    assert slopes["white_noise"] == pytest.approx(0, abs=0.2)
    assert slopes["pink_noise"] == pytest.approx(-3, abs=0.2)


def pitch_of(wave: torch.Tensor) -> float:
    """The frequency in Hz at which most of the power is."""
    return float(torch.fft.rfft(wave.flatten(), n=8 * RATE).abs().argmax()) / 8


def test_speed_changes_length_and_pitch_and_pitch_changes_pitch_alone():
    x = voices(1)[:, 0, 0].expand(30, -1).float() / 32768
    base, length = pitch_of(x[0]), recorded(x[:1]).item()
    faster = CORRUPTIONS["speed"](x, 0.2, generator("s"))
    higher = CORRUPTIONS["pitch"](x, 0.2, generator("p"))
    for made, by in ((faster, 1), (higher, 0)):
        factors = {round(pitch_of(wave) / base, 1) for wave in made}
        assert factors == {0.8, 1.2}  # either way
        for wave in made:
            loud = (wave.abs() > 0.02).nonzero()
            share = (loud.max() - loud.min()).item() / RATE
            expected = length / round(pitch_of(wave) / base, 1) ** by
            assert share == pytest.approx(expected, rel=0.25)


def test_the_other_effects_do_what_they_say():
    x = voices(20).float().flatten(1) / 32768
    draw = generator("effects")
    clipped = CORRUPTIONS["clipping"](x, 0.2, draw)
    assert torch.allclose(clipped.abs().amax(1), 0.2 * x.abs().amax(1))
    dropped = CORRUPTIONS["dropped_frames"](torch.ones(200, RATE), 0.3, draw)
    assert dropped.view(200, -1, 160).amin(2).equal(dropped.view(200, -1, 160).amax(2))
    assert dropped.mean().item() == pytest.approx(0.7, abs=0.02)
    high = torch.from_numpy(tone(3000, 1.0) / 32768.0).float()[None]
    assert CORRUPTIONS["low_pass"](high, 1000.0, draw).abs().max() < 0.02 * high.abs().max()
    click = torch.zeros(1, RATE).index_fill(1, torch.tensor([0]), 1.0)
    room = CORRUPTIONS["reverberation"](click, 0.5, draw)
    assert room[0, 0].item() == pytest.approx(1, abs=1e-4)
    energy = room[0, 1:].square()
    assert energy.sum().item() == pytest.approx(1, rel=0.02)  # as strong as the direct sound
    fall = 10 * torch.log10(energy[:400].mean() / energy[2000:2400].mean())
    assert fall.item() == pytest.approx(60 * 2000 / 4000, abs=3)


def test_the_background_is_never_the_recording_itself():
    x = voices(5).float().flatten(1) / 32768
    added = CORRUPTIONS["background"](x, 0.0, generator("b")) - x
    for own, other in zip(x, added, strict=True):
        assert abs(torch.corrcoef(torch.stack([own, other]))[0, 1]) < 0.5


# Scenarios


def test_sounds_and_pictures_never_meet():
    for made in SETS:
        assert {source.kind for source in outlier_sources(made())} == {"speech"}
    assert "speech" not in {source.kind for source in outlier_sources(Mnist())}


def test_digits_and_words_are_each_others_outliers_and_digits_are_not_digits():
    assert {s.name for s in outlier_sources(Fsdd())} == {"fluent", "speechcommands"}
    names = {s.name for s in outlier_sources(SpeechCommands())}
    assert names == {"audiomnist", "fluent", "fsdd"}


def test_each_kind_of_data_has_its_own_corruptions():
    assert "speech_corruption" in Corruption().skip(Fsdd())
    assert SpeechCorruption().skip(Fsdd()) is None
    assert SpeechCorruption().skip(Digits()) == "digits is no speech"
    assert Clean().skip(Fsdd()) is None
    assert Speaker().skip(Digits()) == "digits is no speech"
    assert "new already" in Speaker().skip(AudioMnist())


def test_a_speaker_held_out_is_in_no_part_and_all_of_it_is_asked_about(tmp_path):
    write_fsdd(tmp_path, speakers=("ann", "bob", "cyd"))
    base = at(Fsdd, tmp_path)
    first, second = Speaker(most=2).training(base)
    assert [first.label, second.label] == ["fsdd-330~speaker=ann", "fsdd-330~speaker=bob"]
    (both,) = Speaker(who=("bob", "cyd")).training(base)
    assert both.label == "fsdd-330~speaker=bob+cyd"
    parts = both.splits(0)
    assert sum(len(part) for part in parts) == 110
    for part in parts:
        assert set(part.attribute("speaker").tolist()) == {base.speakers.index("ann")}
    assert len(both.outliers()) == 220
    assert both.raw("test").x.shape == (50, 1, 1, RATE)
    assert torch.equal(both.transform(both.raw("test").x), both.test().x)
    assert parts.train.fingerprint != base.splits(0).train.fingerprint


@pytest.mark.parametrize(
    ("who", "message"),
    [
        (("zoe",), r"fsdd-220 has no speaker 'zoe'\. Known: ann, bob"),
        (("ann", "bob"), "no speaker is left to train on"),
    ],
)
def test_a_speaker_that_cannot_be_held_out_is_named(fsdd, who, message):
    with pytest.raises(DataError, match=message):
        WithoutSpeakers(fsdd, who)


def test_the_audio_tag_runs_on_every_set_found(tmp_path, capsys):
    """The whole path at the smoke preset: sounds in files to rows."""
    write_fsdd(tmp_path)
    write_subset(tmp_path)
    store = Store(tmp_path)
    words = dict(methods_="chance", seeds=[0], preset="smoke", store=store)
    jobs = make_plan(datasets_="speech", scenarios="audio", **words)
    labels = {job.data.label: [s.name for s in job.scenarios] for job in jobs}
    assert labels == {
        "fsdd-220": ["clean", "cross_dataset", "speech_corruption"],
        "fsdd-220~speaker=ann": ["speaker"],
        "speechcommands-36": ["clean", "cross_dataset", "speech_corruption"],
    }
    settings = Settings(tmp_path / "results", "smoke", torch.device("cpu"))
    prepare(jobs, settings)
    done = run_jobs(jobs, settings, Console(quiet=True))
    assert [d.line for d in done if d.failed] == []
    records, problems = read_all(tmp_path / "results" / "rows")
    assert not problems
    views = {(r.dataset, r.scenario): {v.view for v in r.rows} for r in records}
    assert views["fsdd-220", "cross_dataset"] == {"speechcommands-36"}
    assert views["speechcommands-36", "cross_dataset"] == {"fsdd-220"}
    assert views["fsdd-220", "speech_corruption"] == set(CORRUPTIONS)
    assert views["fsdd-220~speaker=ann", "speaker"] == {"ann"}
    groups = {row.group for r in records for row in r.rows if row.view == "white_noise"}
    assert groups == {"0 dB"}
    ood = make_plan(datasets_="fsdd", scenarios="ood", **words)
    names = {s.name for s in ood[0].scenarios}
    assert {"clean", "cross_dataset", "adversarial", "speech_corruption"} <= names
    assert "corruption" not in names
    show_data(store)
    assert "test: takes 0-4" in capsys.readouterr().out.replace("\n", " ")


def test_speech_asked_for_by_tag_where_there_is_none_says_what_is_missing(tmp_path):
    words = dict(methods_="chance", seeds=[0], preset="smoke", store=Store(tmp_path))
    jobs = make_plan(datasets_="speech", scenarios="clean", **words)
    with pytest.raises(DataError, match=r"was not found"):
        prepare(jobs, Settings(tmp_path / "r", "smoke", torch.device("cpu")))
