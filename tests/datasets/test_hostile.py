"""Files made to do harm: each ends in one line that names it, and none takes much memory."""

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.datasets import cifar10, reading, waves
from bench.datasets.celeba import CelebA
from bench.datasets.cifar10 import Cifar10
from bench.datasets.errors import DataError
from bench.datasets.idx import Mnist, NotMnist, parse_idx, read_idx
from bench.datasets.omniglot import Omniglot
from bench.datasets.reading import picture, read_file, read_member
from bench.datasets.spoken_digits import Fsdd
from bench.datasets.store import Store, unpack_zip
from bench.datasets.waves import read_wav


def at(source: type, root: Path):
    made = source()
    made.store = Store(root)
    return made


def refused(ask, *words: str) -> None:
    with pytest.raises(DataError) as caught:
        ask()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def riff(rate: int, samples: int = 1000) -> bytes:
    data = b"\0\1" * samples
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate & 0xFFFFFFFF, 2, 16)
    body = b"WAVE" + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


# Recordings


@pytest.mark.parametrize("rate", [2**31 - 1, 384_001, 3999, 0])
def test_a_sample_rate_that_no_recording_has_is_refused(rate):
    with pytest.raises(ValueError, match=f"its sample rate is {rate} Hz"):
        read_wav(riff(rate))


def test_the_highest_rate_is_still_read():
    rate, wave = read_wav(riff(384_000))
    assert (rate, len(wave)) == (384_000, 1000)


@pytest.mark.parametrize("content", [riff(2**31 - 1), riff(8000)[:50], b"", b"RIFF"])
def test_a_recording_that_is_none_is_named(tmp_path, content):
    folder = tmp_path / "free-spoken-digit-dataset" / "recordings"
    folder.mkdir(parents=True)
    for take in (0, 9):
        (folder / f"1_ann_{take}.wav").write_bytes(content)
    refused(lambda: at(Fsdd, tmp_path).raw("test"), "1_ann_0.wav is damaged", "Delete it")


def test_a_recording_of_too_many_bytes_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(waves, "MOST_BYTES", 1000)
    folder = tmp_path / "free-spoken-digit-dataset"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "recordings.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for take in (0, 9):
            archive.writestr(f"recordings/1_ann_{take}.wav", riff(8000, 100_000))
    refused(lambda: at(Fsdd, tmp_path).raw("test"), "holds more than 1,000 bytes")


# Packed files


class Endless(io.RawIOBase):
    """A header, then zeros without end; counts what is asked for."""

    def __init__(self, head: bytes) -> None:
        self.head, self.taken = io.BytesIO(head), 0

    def read(self, size: int = -1) -> bytes:
        assert 0 <= size <= 10**6, "an unbounded read"
        self.taken += size
        return self.head.read(size).ljust(size, b"\0")


def test_no_more_is_unpacked_than_the_header_announces():
    file = Endless(struct.pack(">HBBIII", 0, 8, 3, 5, 4, 3))
    with pytest.raises(ValueError, match=r"more than 60 bytes do not fill the shape \(5, 4, 3\)"):
        parse_idx(file)
    assert file.taken == 16 + 61


def test_a_header_that_announces_gigabytes_is_refused():
    file = Endless(struct.pack(">HBBIII", 0, 8, 3, 2**31, 1000, 1000))
    with pytest.raises(ValueError, match="its header announces the shape"):
        parse_idx(file)
    assert file.taken == 16


def test_a_packed_file_with_more_inside_is_named(tmp_path):
    path = tmp_path / "notMNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(struct.pack(">HBBIII", 0, 8, 3, 1, 2, 2) + bytes(10**6)))
    label = path.with_name("t10k-labels-idx1-ubyte.gz")
    label.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 1) + b"\0"))
    refused(lambda: at(NotMnist, tmp_path).raw("test"), path.name, "more than 4 bytes")


def test_an_archive_of_too_many_bytes_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "MOST_BYTES", 10_000)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        about = tarfile.TarInfo("bomb")
        about.size = 10**6
        archive.addfile(about, io.BytesIO(bytes(10**6)))
    refused(lambda: at(Cifar10, tmp_path).raw("test"), "tar.gz is damaged", "10,000 bytes")


def test_files_and_members_are_read_up_to_a_limit(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small", bytes(100))
        archive.writestr("large", bytes(101))
    with zipfile.ZipFile(path) as archive:
        assert len(read_member(archive, "small", 100)) == 100
        with pytest.raises(ValueError, match="more than 100 bytes"):
            read_member(archive, "large", 100)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        read_file(path, 10)


# Pictures


def blank(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(5000, 4000), (12_000, 10_000), (19_700, 19_700)])
def test_a_picture_of_too_many_pixels_is_not_decoded(size, monkeypatch):
    content = blank(*size)
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(reading.DAMAGE), picture(content) as image:
        image.load()


def write_omniglot(root: Path, content: bytes) -> Path:
    folder = root / "omniglot-py"
    folder.mkdir(parents=True)
    for part in (1, 2):
        with zipfile.ZipFile(folder / f"images_background_small{part}.zip", "w") as archive:
            archive.writestr(f"small{part}/Greek/character01/0{part}.png", content)
    return folder


@pytest.mark.parametrize("size", [(5000, 4000), (12_000, 10_000), (19_700, 19_700)])
def test_a_large_picture_in_an_archive_is_named(tmp_path, size):
    write_omniglot(tmp_path, blank(*size))
    refused(lambda: at(Omniglot, tmp_path).raw("test"), "small", ".zip is damaged", "Delete it")


@pytest.mark.parametrize("content", [b"", b"no picture", blank(105, 105)[:40]])
def test_what_is_no_picture_is_named(tmp_path, content):
    write_omniglot(tmp_path, content)
    refused(lambda: at(Omniglot, tmp_path).raw("test"), ".zip is damaged")


# Permissions (simulated: root may read everything)


def forbid(monkeypatch, *names: str) -> None:
    opened = io.open

    def guarded(file, *arguments, **options):
        if any(str(file).endswith(name) for name in names):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *arguments, **options)

    monkeypatch.setattr(io, "open", guarded)
    monkeypatch.setattr("builtins.open", guarded)
    monkeypatch.setattr(zipfile.io, "open", guarded)


def test_a_file_that_may_not_be_read_is_no_damaged_one(tmp_path, monkeypatch):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b""))
    forbid(monkeypatch, "a.gz")
    refused(lambda: read_idx("toy", path), "a.gz may not be read", "Allow reading it")
    refused(lambda: read_idx("toy", path, "0" * 32), "a.gz may not be read")


def test_an_archive_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    write_omniglot(tmp_path, blank(105, 105))
    forbid(monkeypatch, "small1.zip")
    refused(lambda: at(Omniglot, tmp_path).raw("test"), "small1.zip may not be read")
    path = tmp_path / "omniglot-py" / "images_background_small1.zip"
    refused(lambda: unpack_zip("toy", path, tmp_path / "out"), "small1.zip may not be read")


def test_a_recording_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "free-spoken-digit-dataset" / "recordings"
    folder.mkdir(parents=True)
    for take in (0, 9):
        (folder / f"1_ann_{take}.wav").write_bytes(riff(8000))
    forbid(monkeypatch, "1_ann_0.wav")
    refused(lambda: at(Fsdd, tmp_path).raw("test"), "1_ann_0.wav may not be read")


def test_a_list_of_faces_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "celeba"
    folder.mkdir()
    (folder / "list_attr_celeba.txt").write_text("20\n")
    forbid(monkeypatch, "list_attr_celeba.txt")
    refused(lambda: at(CelebA, tmp_path).label, "list_attr_celeba.txt may not be read")


def test_a_folder_that_may_not_be_searched_is_named(tmp_path, monkeypatch):
    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", denied)
    refused(at(Mnist, tmp_path).where, str(tmp_path), "may not be looked up")


def test_limits_hold_what_the_sets_need():
    assert reading.MOST_PIXELS >= 1000 * 1024  # a sheet of CIFAR-10
    assert reading.MOST_BYTES >= 60_000 * 28 * 28
    assert waves.RATES[1] >= 192_000
    assert torch.is_tensor(parse_idx(io.BytesIO(struct.pack(">HBBI", 0, 8, 1, 3) + b"abc")))
    assert np.array_equal(parse_idx(io.BytesIO(struct.pack(">HBBI", 0, 8, 1, 0))), [])
