"""The contract of every data set and source, and the formats of those that are read from files."""

import gzip
import hashlib
import importlib
import inspect
import io
import os
import pickle
import pkgutil
import struct
import tarfile
import zipfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_digits

from bench import datasets
from bench.datasets import images, letters, reading
from bench.datasets.base import Dataset, Source, as_bytes
from bench.datasets.cifar10 import Cifar10, Cifar100
from bench.datasets.digits import Digits
from bench.datasets.emnist import Emnist, EmnistLetters
from bench.datasets.errors import DataError
from bench.datasets.idx import Fashion, Kmnist, Mnist, NotMnist, parse_idx
from bench.datasets.letters import Letters
from bench.datasets.noise import Noise
from bench.datasets.omniglot import Omniglot
from bench.datasets.outliers import Outliers
from bench.datasets.photos import Photos
from bench.datasets.store import Store
from bench.datasets.svhn import Svhn
from bench.datasets.textures import Textures


def discovered() -> list[type[Source]]:
    found = []
    for info in pkgutil.iter_modules(datasets.__path__, "bench.datasets."):
        for item in vars(importlib.import_module(info.name)).values():
            if inspect.isclass(item) and item.__module__ == info.name and issubclass(item, Source):
                named = hasattr(item, "name")  # one made from another names its instances
                found += [item] if named and not inspect.isabstract(item) else []
    return found


SOURCES = discovered()
EMBEDDED = [s for s in SOURCES if s.embedded]
FILED = [
    Mnist, Fashion, Kmnist, Emnist, EmnistLetters, NotMnist, Omniglot, Cifar10, Cifar100, Svhn,
]  # fmt: skip
KINDS = {"glyph", "object", "photo", "noise", "face", "speech", "record"}
by_name = {"ids": lambda source: source.name}


@pytest.fixture
def offline(monkeypatch):
    """Addresses that cannot be reached, without asking for them."""

    def refuse(*_: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", refuse)


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def mnist_like(classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (60, 28, 28)), np.arange(60) % classes


def write_idx(folder: Path, *stems: str) -> dict[str, Path]:
    """Put small packed files in place; return them by name."""
    folder.mkdir(parents=True)
    files = {}
    for stem in stems:
        for what, array in zip(("images-idx3", "labels-idx1"), mnist_like(), strict=True):
            path = folder / f"{stem}-{what}-ubyte.gz"
            path.write_bytes(gzip.compress(idx(array)))
            files[path.name] = path
    return files


@pytest.fixture
def mnist(tmp_path, monkeypatch) -> Mnist:
    files = write_idx(tmp_path / "MNIST" / "raw", "train", "t10k")
    sums = [(name, hashlib.md5(path.read_bytes()).hexdigest()) for name, path in files.items()]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
    return at(Mnist, tmp_path)


def at(source: type, *roots: Path):
    made = source()
    made.store = Store(roots[0], roots[1:])
    return made


# Contract


def test_every_source_of_the_folder_is_discovered():
    names = [s.name for s in SOURCES]
    expected = {"digits", "letters", "photos", "noise"} | {s.name for s in FILED}
    assert expected <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("source", SOURCES, **by_name)
def test_a_source_says_what_it_is(source):
    assert source.source
    assert source.__doc__
    assert source.kind in KINDS
    assert source.content
    assert isinstance(source.content, frozenset)
    assert source.version >= 1


@pytest.mark.parametrize("source", EMBEDDED, **by_name)
def test_embedded_images_are_bytes_with_labels(source):
    raw = source().raw("test")
    assert raw.x.dtype == torch.uint8
    assert raw.x.dim() == 4
    assert raw.x.shape[1] in (1, 3)
    assert raw.y.dtype == torch.int64
    assert raw.y.shape[0] == raw.x.shape[0] >= 300
    assert raw.y.min() >= 0


@pytest.mark.parametrize("source", EMBEDDED, **by_name)
def test_embedded_images_differ_from_each_other(source):
    x = source().raw("test").x.flatten(1)
    assert len(x.unique(dim=0)) == len(x)


@pytest.mark.parametrize("source", [Letters, Photos, Noise, Textures], **by_name)
def test_embedded_images_repeat(source):
    module = inspect.getmodule(source)
    cached = next(f for f in vars(module).values() if hasattr(f, "cache_clear"))
    first = source().raw("test")
    cached.cache_clear()
    second = source().raw("test")
    assert torch.equal(first.x, second.x)
    assert torch.equal(first.y, second.y)


@pytest.mark.parametrize("source", EMBEDDED, **by_name)
def test_embedded_sources_are_always_there(source):
    assert source().where() == "embedded"
    source().download()


@pytest.mark.parametrize("source", EMBEDDED, **by_name)
@pytest.mark.parametrize("dataset", [Digits, Mnist, Fashion], **by_name)
def test_every_embedded_source_fits_through_a_transform(source, dataset):
    x = source().raw("test").x[::7]
    made = dataset().transform(x)
    assert made.dtype == torch.uint8
    assert made.shape == (len(x), *dataset.task.shape)
    split = dataset().outlier_split(x)
    assert torch.equal(split.x, made)
    assert (split.y == -1).all()


@pytest.mark.parametrize("source", [s for s in SOURCES if issubclass(s, Outliers)], **by_name)
def test_an_outlier_source_cannot_be_trained_on(source):
    with pytest.raises(DataError, match=f"{source.name} is an outlier source"):
        source().raw("train")


def test_no_outlier_source_holds_digits():
    for source in SOURCES:
        if not issubclass(source, Dataset):
            assert not source.content & (Digits.content | Fashion.content)
    assert Digits.content == Mnist.content


# Splits


def test_validation_is_cut_from_training_and_nothing_is_shared_or_lost():
    parts = Digits().splits(0)
    official = Digits().raw("train")
    assert len(parts.train) + len(parts.val) == len(official.x) == 1437
    assert len(parts.test) == 360

    def rows(*tensors: torch.Tensor) -> list[bytes]:
        return sorted(bytes(row.numpy()) for x in tensors for row in x.flatten(1))

    assert rows(parts.train.x, parts.val.x) == rows(Digits().transform(official.x))
    every = Digits().transform(torch.cat([official.x, Digits().raw("test").x]))
    assert rows(parts.train.x, parts.val.x, parts.test.x) == rows(every)


def test_every_part_has_every_class_in_proportion():
    for split in Digits().splits(3):
        counts = split.y[:, 0].bincount(minlength=10) / len(split)
        assert (counts - 0.1).abs().max() < 0.02


def test_the_seed_moves_validation_and_leaves_the_test_part():
    first, again, other = (Digits().splits(seed) for seed in (0, 0, 1))
    assert torch.equal(first.val.x, again.val.x)
    assert not torch.equal(first.val.x, other.val.x)
    assert torch.equal(first.test.x, other.test.x)
    assert torch.equal(first.test.y, other.test.y)


def test_fingerprints_follow_the_seed_except_for_the_test_part():
    first, again, other = (Digits().splits(seed) for seed in (0, 0, 1))
    assert [s.fingerprint for s in first] == [s.fingerprint for s in again]
    assert first.train.fingerprint != other.train.fingerprint
    assert first.val.fingerprint != other.val.fingerprint
    assert first.test.fingerprint == other.test.fingerprint
    assert len({s.fingerprint for s in first}) == 3


# Transforms


def test_digits_pass_their_own_raster_unchanged():
    made = Digits()
    x = torch.cat([made.transform(made.raw(part).x) for part in ("train", "test")])
    official = torch.from_numpy(load_digits().images).unsqueeze(1)
    expected = {bytes(i.numpy()) for i in (official.float() * 255 / 16).round().byte()}
    assert {bytes(i.numpy()) for i in x} == expected


def test_digits_keep_their_raw_blocks():
    raw = Digits().raw("test").x
    small = Digits().transform(raw)
    assert torch.equal(small.repeat_interleave(4, 2).repeat_interleave(4, 3), raw)


@pytest.mark.parametrize("source", EMBEDDED, **by_name)
def test_only_seventeen_greys_leave_the_digits_raster(source):
    levels = as_bytes(torch.arange(17) / 16)
    assert torch.isin(Digits().transform(source().raw("test").x), levels).all()


def test_bytes_and_floats_go_the_same_way():
    x = Photos().raw("test").x[:50]
    for dataset in (Digits(), Mnist()):
        same = dataset.transform(x).int() - dataset.transform(x.float() / 255).int()
        assert same.abs().max() <= 1


def test_mnist_images_are_padded_and_otherwise_untouched(mnist):
    raw = mnist.raw("test").x
    made = mnist.transform(raw)
    assert torch.equal(made[..., 2:-2, 2:-2], raw)
    assert made.sum() == raw.sum()


def test_a_transform_does_not_depend_on_the_batch():
    x = Letters().raw("test").x[:99]
    for dataset in (Digits(), Mnist()):
        apart = torch.cat([dataset.transform(part) for part in x.split(10)])
        assert torch.equal(apart, dataset.transform(x))
    assert torch.equal(images.in_chunks(lambda t: t + 1, x, size=10), x + 1)


def test_white_stays_white_and_luma_is_itu_601():
    white = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    assert as_bytes(images.grey(white)).min() == 255
    green = torch.tensor([0, 255, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    assert images.grey(green).item() == pytest.approx(0.587)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        images.grey(torch.zeros(1, 2, 4, 4))


def test_resizing_is_antialiased():
    stripes = torch.arange(64).remainder(2).float().expand(1, 1, 64, 64)
    assert (images.resize(stripes, 8, 8) - 0.5).abs().max() < 0.1


# Letters, photos and noise


def test_letters_fill_their_frame_and_none_passes_for_a_digit():
    raw = Letters().raw("test")
    assert len(raw.x) >= 400
    ink = raw.x[:, 0] > 0
    fills = ink[:, [0, -1]].any(2).all(1) | ink[:, :, 2:-2].any(1)[:, [0, -1]].all(1)
    assert fills.all()
    assert frozenset("OoIlZzSsB") <= letters.DIGIT_LIKE
    assert not torch.isin(raw.y, torch.tensor([8, 14, 16, 18, 25])).any()  # I O Q S Z


def test_photos_are_in_colour_and_show_something():
    x = Photos().raw("test").x
    assert x.shape[1:] == (3, 32, 32)
    assert x.float().flatten(1).std(1).min() > 5


def test_noise_is_half_of_each_kind():
    raw = Noise().raw("test")
    assert raw.y[:, 0].bincount().tolist() == [500, 500]
    fine, coarse = ((raw.x[raw.y[:, 0] == k].float().diff(dim=-1)).abs().mean() for k in (0, 1))
    assert fine > 2 * coarse


# The idx format


def test_idx_bytes_come_back_in_their_shape():
    array = np.arange(24).reshape(2, 3, 4)
    assert torch.equal(parse_idx(io.BytesIO(idx(array))), torch.from_numpy(array).byte())


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x0d\x01\0\0\0\x01x", b"PK\3\4 and more", idx(np.zeros(9))[:-1]]
)
def test_what_is_no_idx_file_is_refused(content):
    with pytest.raises((ValueError, struct.error)):
        parse_idx(io.BytesIO(content))


def test_mnist_reads_packed_files_and_writes_nothing(mnist, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    raw = mnist.raw("train")
    x, y = mnist_like()
    assert torch.equal(raw.x, torch.from_numpy(x).byte().unsqueeze(1))
    assert torch.equal(raw.y, torch.from_numpy(y).long().unsqueeze(1))
    assert sorted(tmp_path.rglob("*")) == before
    assert mnist.where() == str(tmp_path / "MNIST" / "raw")


def test_mnist_reads_unpacked_files(mnist, tmp_path):
    packed = mnist.raw("test")
    for path in (tmp_path / "MNIST" / "raw").iterdir():
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert torch.equal(at(Mnist, tmp_path).raw("test").x, packed.x)
    assert mnist.where() == str(tmp_path / "MNIST" / "raw")


def test_mnist_is_found_in_an_extra_root(mnist, tmp_path):
    elsewhere = at(Mnist, tmp_path / "empty", tmp_path)
    assert len(elsewhere.raw("test").x) == 60
    assert not (tmp_path / "empty").exists()


def test_a_truncated_file_is_named(mnist, tmp_path):
    path = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is damaged.*download mnist"):
        mnist.raw("test")


def test_files_that_do_not_belong_together_are_refused(mnist, tmp_path, monkeypatch):
    path = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx(np.arange(59) % 10)))
    sums = dict(torchvision.datasets.MNIST.resources)
    sums[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", list(sums.items()))
    with pytest.raises(DataError, match="do not belong together"):
        mnist.raw("test")


def test_only_what_is_missing_is_downloaded(mnist, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        torchvision.datasets.utils,
        "download_url",
        lambda url, folder, name, md5: (asked.append(name), (Path(folder) / name).touch()),
    )
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").unlink()
    assert mnist.where() is None
    mnist.download()
    assert asked == ["train-images-idx3-ubyte.gz"]


@pytest.mark.parametrize("source", FILED, **by_name)
def test_missing_data_is_a_message_with_the_places_and_the_remedy(source, tmp_path, offline):
    made = at(source, tmp_path / "root", tmp_path / "extra")
    assert made.where() is None
    for ask in (lambda: made.raw("test"), made.download):
        with pytest.raises(DataError) as caught:
            ask()
        message = str(caught.value)
        assert message.startswith(f"{source.name}: ")
        assert str(tmp_path / "root") in message
        assert str(tmp_path / "extra") in message
        remedy = "notMNIST/raw/" if source is NotMnist else f"bench data download {source.name}"
        assert remedy in message
        assert "\n" not in message
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_notmnist_reads_its_test_files(tmp_path):
    files = write_idx(tmp_path / "notMNIST" / "raw", "t10k")
    made = at(NotMnist, tmp_path)
    assert made.raw("test").x.shape == (60, 1, 28, 28)
    assert made.where() == str(tmp_path / "notMNIST" / "raw")
    made.download()
    path = files["t10k-images-idx3-ubyte.gz"]
    path.write_bytes(path.read_bytes()[:-50])
    store_free = at(NotMnist, tmp_path / "none", tmp_path)
    importlib.import_module("bench.datasets.idx").read_idx.cache_clear()
    with pytest.raises(DataError, match=r"images-idx3-ubyte\.gz is damaged.*put t10k"):
        store_free.raw("test")


# Omniglot


def drawing(column: int) -> bytes:
    """A vertical line, black on white, as a one-bit PNG."""
    pixels = np.full((105, 105), 255, np.uint8)
    pixels[:, column] = 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(buffer, "PNG")
    return buffer.getvalue()


def write_small(folder: Path) -> None:
    folder.mkdir(parents=True)
    members = {
        1: ["Greek/character01/0394_01", "Greek/character15/0408_01", "Latin/character01/0683_01"],
        2: ["Greek/character01/0394_01", "Tagalog/character01/0910_01"],
    }
    for part, names in members.items():
        with zipfile.ZipFile(folder / f"images_background_small{part}.zip", "w") as archive:
            for i, name in enumerate(names):
                archive.writestr(f"images_background_small{part}/{name}.png", drawing(10 + i))


def test_omniglot_inverts_and_drops_duplicates_latin_and_digit_like(tmp_path):
    write_small(tmp_path / "omniglot-py")
    raw = at(Omniglot, tmp_path).raw("test")
    assert raw.x.shape == (2, 1, 105, 105)  # one alpha, one Tagalog character
    assert raw.y[:, 0].tolist() == [0, 1]
    assert raw.x[0, 0, 0].nonzero()[:, 0].tolist() == [10]
    assert raw.x.max() == 255


def test_omniglot_is_decoded_once(tmp_path, monkeypatch):
    write_small(tmp_path / "omniglot-py")
    first = at(Omniglot, tmp_path).raw("test")
    monkeypatch.setattr(reading.Image, "open", lambda *_: pytest.fail("decoded again"))
    assert torch.equal(at(Omniglot, tmp_path).raw("test").x, first.x)


def test_omniglot_is_the_same_packed_and_unpacked(tmp_path):
    write_small(tmp_path / "packed" / "omniglot-py")
    for path in (tmp_path / "packed" / "omniglot-py").iterdir():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "unpacked" / "omniglot-py")
    packed, unpacked = (
        at(Omniglot, tmp_path / name).raw("test") for name in ("packed", "unpacked")
    )
    assert torch.equal(packed.x, unpacked.x)
    assert torch.equal(packed.y, unpacked.y)


def test_a_drawing_that_is_replaced_is_read_again_whatever_its_size_and_time(tmp_path):
    write_small(tmp_path / "omniglot-py")
    for archive in (tmp_path / "omniglot-py").iterdir():
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "omniglot-py")
        archive.unlink()
    before = at(Omniglot, tmp_path).raw("test").x
    for path in (tmp_path / "omniglot-py").glob("*/Greek/character01/*.png"):
        about = path.stat()
        path.write_bytes(drawing(8))
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        assert path.stat().st_size == about.st_size
    after = at(Omniglot, tmp_path).raw("test").x
    assert before[0, 0, 0].nonzero()[:, 0].tolist() == [10]
    assert after[0, 0, 0].nonzero()[:, 0].tolist() == [8]


def test_a_damaged_omniglot_archive_is_named(tmp_path):
    write_small(tmp_path / "omniglot-py")
    path = tmp_path / "omniglot-py" / "images_background_small2.zip"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"small2\.zip is damaged"):
        at(Omniglot, tmp_path).raw("test")


# CIFAR-10


@pytest.fixture
def batch(monkeypatch) -> tuple[bytes, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3072)).astype(np.uint8)
    content = pickle.dumps({"data": pixels, "labels": [3, 1, 4, 1, 5]})
    sums = [["test_batch", hashlib.md5(content).hexdigest()]]
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "test_list", sums)
    return content, pixels


def test_cifar10_reads_the_test_batch_packed_and_unpacked(tmp_path, batch):
    content, pixels = batch
    (tmp_path / "a" / "cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "a" / "cifar-10-batches-py" / "test_batch").write_bytes(content)
    (tmp_path / "b").mkdir()
    with tarfile.open(tmp_path / "b" / "cifar-10-python.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    for folder in ("a", "b"):
        raw = at(Cifar10, tmp_path / folder).raw("test")
        assert torch.equal(raw.x.flatten(1), torch.from_numpy(pixels))
        assert raw.y[:, 0].tolist() == [3, 1, 4, 1, 5]


def test_a_pickle_of_unknown_origin_is_never_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("loaded"))
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps({}))
    with pytest.raises(DataError, match=r"test_batch is damaged .*MD5"):
        at(Cifar10, tmp_path).raw("test")


def test_cifar10_falls_back_on_the_sheets(tmp_path):
    (tmp_path / "cifar10-ood").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 32, 32, 3)).astype(np.uint8)
    for i, sheet in enumerate(pixels):
        path = tmp_path / "cifar10-ood" / f"cifar10_batch_{i}.png"
        Image.fromarray(sheet.reshape(6, 1024, 3)).save(path)
    raw = at(Cifar10, tmp_path).raw("test")
    expected = torch.from_numpy(pixels).flatten(0, 1).permute(0, 3, 1, 2)
    assert torch.equal(raw.x, expected)
    assert (raw.y == -1).all()
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"cifar10_batch_3\.png is damaged"):
        at(Cifar10, tmp_path).raw("test")


@pytest.fixture
def whole(monkeypatch) -> dict[str, bytes]:
    """Tiny batches of both parts, by their names in the archive."""
    rng, batches = np.random.default_rng(0), {}
    lists = {"train_list": ("data_batch_1", "data_batch_2"), "test_list": ("test_batch",)}
    for listed, names in lists.items():
        sums = []
        for name in names:
            pixels, labels = rng.integers(0, 256, (20, 3072)).astype(np.uint8), [*range(10)] * 2
            content = pickle.dumps({"data": pixels, "labels": labels})
            batches[f"cifar-10-batches-py/{name}"] = content
            sums.append([name, hashlib.md5(content).hexdigest()])
        monkeypatch.setattr(torchvision.datasets.CIFAR10, listed, sums)
    return batches


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_cifar10_is_a_data_set_packed_and_unpacked(tmp_path, whole):
    write_tar(tmp_path / "a" / "cifar-10-python.tar.gz", whole)
    for name, content in whole.items():
        path = tmp_path / "b" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    packed, unpacked = (at(Cifar10, tmp_path / name) for name in "ab")
    for which, n in (("train", 40), ("test", 20)):
        assert torch.equal(packed.raw(which).x, unpacked.raw(which).x)
        assert torch.equal(packed.raw(which).y, unpacked.raw(which).y)
        assert packed.raw(which).x.shape == (n, 3, 32, 32)
    first = pickle.loads(whole["cifar-10-batches-py/data_batch_1"])["data"]
    assert torch.equal(packed.raw("train").x[:20].flatten(1), torch.from_numpy(first))
    assert torch.equal(packed.test().x, packed.raw("test").x)
    assert packed.where() == str(tmp_path / "a" / "cifar-10-python.tar.gz")


def test_an_archive_without_a_batch_is_named(tmp_path, whole):
    del whole["cifar-10-batches-py/data_batch_2"]
    write_tar(tmp_path / "cifar-10-python.tar.gz", whole)
    with pytest.raises(DataError, match=r"tar\.gz is damaged .*it has no .*data_batch_2"):
        at(Cifar10, tmp_path).raw("train")


def test_the_sheets_are_outliers_and_no_data_set(tmp_path, offline):
    (tmp_path / "cifar10-ood").mkdir()
    for i in range(4):
        Image.new("RGB", (1024, 6)).save(tmp_path / "cifar10-ood" / f"cifar10_batch_{i}.png")
    made = at(Cifar10, tmp_path)
    assert len(made.raw("test").x) == 24
    for ask in (lambda: made.raw("train"), made.test, lambda: made.splits(0)):
        with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz was not found"):
            ask()


def test_cifar100_has_fine_labels_and_shares_no_class_with_cifar10(tmp_path, monkeypatch):
    assert len(set(Cifar100.task.classes)) == 100
    assert not set(Cifar100.task.classes) & set(Cifar10.task.classes)
    pixels = np.zeros((3, 3072), np.uint8)
    content = pickle.dumps({"data": pixels, "fine_labels": [99, 0, 7], "coarse_labels": [1, 2, 3]})
    sums = [["test", hashlib.md5(content).hexdigest()]]
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "test_list", sums)
    write_tar(tmp_path / "cifar-100-python.tar.gz", {"cifar-100-python/test": content})
    assert at(Cifar100, tmp_path).raw("test").y[:, 0].tolist() == [99, 0, 7]


# KMNIST, EMNIST, SVHN, textures


def test_a_set_packed_anew_counts_by_its_contents(tmp_path, monkeypatch):
    files = write_idx(tmp_path / "system" / "fashion-mnist", "train", "t10k")
    sums = {
        name: hashlib.md5(gzip.decompress(path.read_bytes())).hexdigest()
        for name, path in files.items()
    }
    module = importlib.import_module("bench.datasets.idx")
    monkeypatch.setattr(module, "SYSTEM", tmp_path / "system")
    made = at(Fashion, tmp_path / "root")
    assert made.where() == str(tmp_path / "system" / "fashion-mnist")
    with pytest.raises(DataError, match="MD5 sum is not the published one"):
        made.raw("test")
    monkeypatch.setattr(Fashion, "contents", sums)
    assert torch.equal(made.raw("test").x[:, 0], torch.from_numpy(mnist_like()[0]).byte())


def test_kmnist_is_read_as_mnist_is(tmp_path, monkeypatch):
    files = write_idx(tmp_path / "KMNIST" / "raw", "train", "t10k")
    sums = [(name, hashlib.md5(path.read_bytes()).hexdigest()) for name, path in files.items()]
    monkeypatch.setattr(torchvision.datasets.KMNIST, "resources", sums)
    raw = at(Kmnist, tmp_path).raw("train")
    assert torch.equal(raw.x[:, 0], torch.from_numpy(mnist_like()[0]).byte())
    assert at(Kmnist, tmp_path).where() == str(tmp_path / "KMNIST" / "raw")


def emnist_members(labels: np.ndarray) -> dict[str, bytes]:
    x = np.random.default_rng(0).integers(0, 256, (len(labels), 28, 28))
    return {
        f"emnist-letters-{part}-{kind}": idx(array)
        for part in ("train", "test")
        for kind, array in (("images-idx3-ubyte", x), ("labels-idx1-ubyte", labels))
    }


@pytest.mark.parametrize("layout", ["zip", "gz", "plain"])
def test_emnist_is_turned_upright_in_every_layout(tmp_path, monkeypatch, layout):
    members, folder = emnist_members(np.arange(52) % 26 + 1), tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    if layout == "zip":
        with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
            for name, content in members.items():
                archive.writestr(f"gzip/{name}.gz", gzip.compress(content))
        md5 = hashlib.md5((folder / "gzip.zip").read_bytes()).hexdigest()
        monkeypatch.setattr(torchvision.datasets.EMNIST, "md5", md5)
    for name, content in members.items():
        if layout == "gz":
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        if layout == "plain":
            (folder / name).write_bytes(content)
    raw = at(Emnist, tmp_path).raw("test")
    published = parse_idx(io.BytesIO(members["emnist-letters-test-images-idx3-ubyte"]))
    assert torch.equal(raw.x[:, 0], published.transpose(1, 2))
    assert raw.y[:, 0].tolist() == [*range(26)] * 2
    near = at(EmnistLetters, tmp_path).raw("test")
    left = {Emnist.task.classes[k] for k in near.y[:, 0].tolist()}
    assert left == set("acdefhjkmnprtuvwxy")


def test_another_emnist_archive_is_refused(tmp_path):
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        archive.writestr("gzip/other", b"")
    with pytest.raises(DataError, match=r"gzip\.zip is damaged .*MD5"):
        at(Emnist, tmp_path).raw("train")


def test_emnist_labels_out_of_range_are_refused(tmp_path):
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in emnist_members(np.full(5, 27)).items():
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="do not belong together"):
        at(Emnist, tmp_path).raw("train")


def test_svhn_calls_a_nought_nought(tmp_path, monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 4)).astype(np.uint8)
    lists = {}
    for part in ("train", "test"):
        path = tmp_path / f"{part}_32x32.mat"
        x = 255 - x  # the parts differ
        savemat(path, {"X": x, "y": np.array([[10], [1], [9], [10]], np.uint8)})
        lists[part] = ["address", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", lists)
    made = at(Svhn, tmp_path)
    raw = made.raw("test")
    assert raw.y[:, 0].tolist() == [0, 1, 9, 0]
    assert torch.equal(raw.x[1], torch.from_numpy(x[..., 1]).permute(2, 0, 1))
    assert torch.equal(made.transform(raw.x), raw.x)
    (tmp_path / "train_32x32.mat").write_bytes(b"cut")
    with pytest.raises(DataError, match=r"train_32x32\.mat is damaged .*MD5"):
        at(Svhn, tmp_path).raw("train")


def test_grey_images_get_three_equal_channels():
    made = Svhn().transform(Letters().raw("test").x[:5])
    assert made.shape == (5, 3, 32, 32)
    assert torch.equal(made[:, 0], made[:, 2])
    with pytest.raises(ValueError, match="1 or 3 channels"):
        images.colour(torch.zeros(1, 2, 4, 4))


def test_new_sources_are_met_where_they_are_named_alone():
    from bench.scenarios.cross_dataset import CrossDataset, outlier_sources

    named = {"kmnist", "emnist", "emnist_letters", "cifar100", "svhn", "textures"}
    for data in (Digits(), Mnist(), Fashion()):
        assert not named & {source.name for source in outlier_sources(data)}
    assert [s.name for s in CrossDataset(sources=("textures",))._chosen(Digits())] == ["textures"]
    with pytest.raises(DataError, match=r"emnist is no outlier set of digits: .*digit"):
        CrossDataset(sources=("emnist",))._chosen(Digits())
