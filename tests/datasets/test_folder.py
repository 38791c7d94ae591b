"""Pictures and arrays of the user's own: folders, archives, .npz files and outliers."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from bench import datasets
from bench.cli import main
from bench.commands import experiment
from bench.commands.data_summary import summary
from bench.datasets import base, decoding
from bench.datasets.base import Dataset, as_bytes, derive_seed
from bench.datasets.decoding import decode
from bench.datasets.digits import Digits
from bench.datasets.errors import BenchError, DataError
from bench.datasets.folder import Folder
from bench.datasets.npz import Npz
from bench.datasets.outlier_folder import VARIABLE, OutlierFolder, own_outliers
from bench.datasets.store import Store
from bench.discover import choose, subclasses
from bench.scenarios.cross_dataset import outlier_sources
from tests.own import CLASSES, picture, write_pictures


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "data")


@pytest.fixture
def made(tmp_path, store):
    def make(cls=Folder, name="pets", **params):
        source = cls(path=str(tmp_path / name), **params)
        source.store = store
        return source

    return make


@pytest.fixture
def pets(tmp_path, made) -> Folder:
    write_pictures(tmp_path / "pets")
    return made()


# Folders


def test_class_folders_are_cut_into_three_parts(pets):
    parts = pets.splits(0)
    assert pets.task.classes == CLASSES
    assert pets.task.shape == (3, 32, 32)
    assert sum(map(len, parts)) == 24
    for part in parts:
        assert part.x.dtype == torch.uint8
        assert part.x.shape[1:] == (3, 32, 32)
        assert sorted(part.y.unique().tolist()) == [0, 1, 2]
    assert torch.equal(parts.test.x, pets.test().x)
    assert parts.test.fingerprint == pets.test().fingerprint


def test_the_seed_moves_validation_alone(pets):
    first, other = pets.splits(0), pets.splits(1)
    assert first.test.fingerprint == other.test.fingerprint
    assert first.val.fingerprint != other.val.fingerprint
    whole = {bytes(x.numpy()) for part in first for x in part.x}
    assert whole == {bytes(x.numpy()) for part in other for x in part.x}


def test_parts_in_folders_are_kept(tmp_path, made):
    sizes = {"train": 5, "valid": 2, "test": 3}
    for part, count in sizes.items():
        write_pictures(tmp_path / "pets" / part, count)
    parts = made().splits(0)
    assert [len(part) for part in parts] == [15, 6, 9]
    assert len(made().raw("train").x) == 15
    assert made().splits(0).val.fingerprint == made().splits(1).val.fingerprint


def test_a_class_may_be_called_train(tmp_path, made):
    write_pictures(tmp_path / "pets", classes=("train", "plane", "car"))
    assert made().task.classes == ("car", "plane", "train")


def test_parts_beside_other_folders_are_refused(tmp_path, made):
    for part in ("train", "extra"):
        write_pictures(tmp_path / "pets" / part)
    with pytest.raises(DataError, match="train/ with folders in it beside extra/"):
        made().splits(0)


def test_pictures_are_decoded_once_and_again_after_a_change(pets, made, monkeypatch, tmp_path):
    runs = []
    monkeypatch.setattr(decoding, "decode", lambda *words: runs.append(1) or decode(*words))
    before = pets.splits(0).test.fingerprint
    assert made().splits(0).test.fingerprint == before
    assert len(runs) == 1
    picture(np.random.default_rng(9), 1, side=41).save(tmp_path / "pets" / "dog" / "new.png")
    assert len(made().labels.y) == 25
    made().splits(0)
    assert len(runs) == 2


def test_parts_are_cut_once_and_again_for_another_seed(pets, made, monkeypatch):
    parts = pets.splits(0)
    cut = base.stratified

    def refused(y, share, state):
        assert state != derive_seed("folder", "test")
        assert state != derive_seed("folder", "val", 0)
        return cut(y, share, state)

    monkeypatch.setattr(base, "stratified", refused)
    for part, again in zip(parts, made().splits(0), strict=True):
        assert torch.equal(part.x, again.x)
        assert torch.equal(part.y, again.y)
    assert made().splits(1).val.fingerprint != parts.val.fingerprint


def test_a_picture_that_is_replaced_is_decoded_again_whatever_its_size_and_time(made, tmp_path):
    white, black = (np.full((8, 8), grey, np.uint8) for grey in (255, 0))
    for name in ("a/1.bmp", "a/2.bmp", "b/1.bmp", "b/2.bmp"):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(white).save(path)
    before = made().read_images()
    about = path.stat()
    Image.fromarray(black).save(path)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_size == about.st_size
    assert before.unique().tolist() == [255]
    assert made().read_images()[-1].unique().tolist() == [0]


def test_the_central_square_is_kept_and_resizing_is_antialiased(tmp_path):
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    stripes = np.tile(np.arange(64) % 2 * 255, (64, 1)).astype(np.uint8)
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    x = decode([tmp_path / "wide.png", tmp_path / "stripes.png"], 16, 3).x
    assert (x[0, :, :, 2:-2] == 200).all()
    assert (x[1, :, 2:-2, 2:-2].int() - 127).abs().max() < 30


def test_every_pixel_format_comes_out_as_it_looks(tmp_path):
    grey = np.full((8, 8), 120, np.uint8)
    Image.fromarray(grey).save(tmp_path / "L.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "I16.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "P.png")
    Image.fromarray(grey).convert("CMYK").save(tmp_path / "CMYK.tif")
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    turned = Image.fromarray(np.repeat(np.array([[0, 240]], np.uint8), 8, 0).repeat(4, 1))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned.save(tmp_path / "turned.png", exif=exif)
    names = ("L.png", "I16.png", "P.png", "CMYK.tif", "clear.png", "turned.png")
    decoded = decode([tmp_path / name for name in names], 8, 1)
    assert not decoded.unreadable
    for x in decoded.x[:4]:
        assert (x.int() - 120).abs().max() <= 1
    assert (decoded.x[4] == 255).all()
    assert decoded.x[5, 0, 0, 0] > decoded.x[5, 0, 0, -1]


def test_grey_folders_and_foreign_images_have_the_shape_of_the_task(pets, made):
    grey = made(channels=1, size=20)
    assert grey.splits(0).train.x.shape[1:] == (1, 20, 20)
    for data in (pets, grey):
        for foreign in (Digits().raw("test").x[:3], torch.rand(3, 3, 50, 50)):
            split = data.outlier_split(foreign)
            assert split.x.shape == (3, *data.task.shape)
            assert split.x.dtype == torch.uint8


def test_a_zip_archive_stands_for_its_folder(tmp_path, made, pets):
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in sorted((tmp_path / "pets").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    packed = made(name="pets.zip")
    assert torch.equal(packed.splits(0).train.x, pets.splits(0).train.x)


def test_labels_name_the_folder_and_not_its_place(tmp_path, pets):
    known = subclasses(datasets, Dataset)
    (choice,) = choose("dataset", f"folder:path={tmp_path}/pets,size=20", known)
    assert choice.label == "folder-pets:size=20"
    assert pets.label == "folder-pets"
    assert "~" not in Folder(path="a/b~c d").label
    with pytest.raises(BenchError, match="both be called 'folder-pets'"):
        choose("dataset", f"folder:path={tmp_path}/pets,folder:path=/other/pets", known)


def test_words_keep_sources_that_share_them_apart(pets, made):
    names = {source.name for source in outlier_sources(pets)}
    assert {"digits", "letters"} <= names
    assert not names & {"folder", "npz", "outliers", "wav_folder"}
    assert "digits" not in {s.name for s in outlier_sources(made(holds=("digit",)))}


def test_two_folders_of_one_name_are_two_data_sets(made):
    one, other = made(), made(called="pets", name="elsewhere")
    other.label = one.label
    assert one != other
    assert one == made()


# Bad pictures and folders


def bad_folder(root, what: str) -> str:
    """Make a folder with one fault; return what the message must say."""
    write_pictures(root, 4)
    rng = np.random.default_rng(0)
    content = io.BytesIO()
    picture(rng, side=64).save(content, "png")
    if what == "truncated":
        (root / "cat" / "cut.png").write_bytes(content.getvalue()[:2000])
        return r"1 of 13 pictures in .* cannot be read \(cat/cut.png: .*truncated"
    if what == "no picture":
        (root / "cat" / "text.png").write_text("no picture")
        return r"cat/text.png: it is no picture"
    if what == "huge":
        Image.new("1", (20_000, 10_000)).save(root / "cat" / "huge.png")
        return r"cat/huge.png: (200 megapixels|more than 80 megapixels)"
    if what == "large":
        Image.new("1", (10_000, 8_500)).save(root / "cat" / "large.png")
        return r"cat/large.png: 85 megapixels, and at most 80 are read"
    if what == "floats":
        Image.fromarray(np.ones((8, 8), np.float32)).save(root / "cat" / "floats.tif")
        return r"cat/floats.tif: its pixels have 32 bits and no known range"
    if what == "beside":
        picture(rng).save(root / "stray.png")
        return r"stray.png lies beside the folders"
    if what == "few":
        write_pictures(root, 1, ("rare",))
        return r"class 'rare' has 1 training inputs, and 3 are needed"
    raise ValueError(what)


@pytest.mark.parametrize(
    "what", ["truncated", "no picture", "huge", "large", "floats", "beside", "few"]
)
def test_a_bad_folder_is_one_line(tmp_path, made, what):
    expected = bad_folder(tmp_path / "pets", what)
    with pytest.raises(DataError, match=expected) as caught:
        made().splits(0)
    assert "\n" not in str(caught.value)


def test_a_pipe_among_the_pictures_does_not_hang(tmp_path, made, pets):
    os.mkfifo(tmp_path / "pets" / "cat" / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png is no regular file"):
        made().splits(0)


def test_nothing_to_learn_is_one_line(tmp_path, made):
    with pytest.raises(DataError, match="does not exist; check path="):
        made().splits(0)
    (tmp_path / "pets").mkdir()
    with pytest.raises(DataError, match="there is no picture in"):
        made().splits(0)
    write_pictures(tmp_path / "pets", classes=("cat",))
    with pytest.raises(DataError, match=r"one class alone \('cat'\)"):
        made().splits(0)
    with pytest.raises(DataError, match="folder:path=PLACE"):
        Folder().splits(0)


def test_a_class_without_training_pictures_is_named(tmp_path, made):
    write_pictures(tmp_path / "pets" / "train", classes=("cat", "dog"))
    write_pictures(tmp_path / "pets" / "test")
    with pytest.raises(DataError, match="class 'hen' is missing from the training part"):
        made().splits(0)


def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path, made):
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        archive.writestr("../out.png", b"x")
    with pytest.raises(DataError, match=r"unsafe path '\.\./out\.png'"):
        made(name="pets.zip").splits(0)
    assert not list(tmp_path.rglob("out.png"))
    (tmp_path / "pets.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match="is no zip archive"):
        made(name="pets.zip").splits(0)


def test_an_archive_that_cannot_be_used_is_one_line(tmp_path, made):
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        pass
    with pytest.raises(DataError, match="there is no picture in"):
        made(name="pets.zip").splits(0)
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("cat/a.png", b"x")
    content = bytearray((tmp_path / "locked.zip").read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1  # the flag of encryption
    content[6] |= 1
    (tmp_path / "locked.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"locked.zip is damaged \(encrypted"):
        made(name="locked.zip").splits(0)


def test_a_name_with_a_line_break_is_still_one_line(tmp_path):
    write_pictures(tmp_path / "pets")
    (tmp_path / "pets" / "cat" / "a\nb.png").write_text("no picture")
    words = ["run", "--datasets", f"folder:path={tmp_path / 'pets'}", "--methods", "chance"]
    results = tmp_path / "results"
    done = CliRunner().invoke(main, [*words, "--results", str(results), "--data", str(tmp_path)])
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert "a b.png: it is no picture" in done.output
    assert not (results / "rows").exists()


# Arrays


def arrays(**changes) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    known = {"x_train": rng.integers(0, 256, (30, 6, 5), dtype=np.uint8)}
    known |= {"y_train": np.arange(30) % 3, "y_test": np.arange(9) % 3}
    known |= {"x_test": rng.integers(0, 256, (9, 6, 5), dtype=np.uint8)}
    return {name: value for name, value in (known | changes).items() if value is not None}


@pytest.fixture
def npz(tmp_path, made):
    def write(**changes) -> Npz:
        np.savez(tmp_path / "own.npz", **arrays(**changes))
        return made(Npz, "own.npz")

    return write


def test_arrays_are_read_as_they_are(npz):
    data, known = npz(), arrays()
    assert data.label == "npz-own"
    assert data.task.shape == (1, 6, 5)
    assert data.task.classes == ("0", "1", "2")
    assert torch.equal(data.test().x[:, 0], torch.from_numpy(known["x_test"]))
    assert torch.equal(data.raw("train").y[:, 0], torch.from_numpy(known["y_train"]))
    assert [len(part) for part in data.splits(0)] == [27, 3, 9]


def test_arrays_that_are_replaced_are_read_again_whatever_size_and_time(npz):
    path, before = npz().place(), npz().test()
    about = path.stat()
    data = npz(x_test=255 - arrays()["x_test"])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_size == about.st_size
    assert torch.equal(data.test().x, 255 - before.x)


def test_validation_classes_floats_and_channels_are_taken(npz):
    x = np.random.default_rng(0).random((30, 6, 5, 3)).astype(np.float32)
    data = npz(x_train=x, x_test=x[:9], x_val=x[:6], y_val=np.arange(6) % 3, classes=CLASSES)
    parts = data.splits(0)
    assert [len(part) for part in parts] == [30, 6, 9]
    assert data.task.classes == CLASSES
    expected = as_bytes(torch.from_numpy(x).permute(0, 3, 1, 2))
    assert torch.equal(parts.train.x, expected)


NOT_A_NUMBER = np.full((30, 6, 5), np.nan, np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "has no x_test"),
        ({"y_train": np.arange(29) % 3}, "30 images, and y_train has 29 labels"),
        ({"y_train": np.arange(30) - 1}, "label -1 out of range"),
        ({"classes": CLASSES[:2]}, "label 2 out of range; labels go from 0 to 1"),
        ({"y_train": np.arange(30) % 3 / 2}, "not whole numbers"),
        ({"y_train": np.zeros(30, int), "y_test": np.zeros(9, int)}, "one class alone"),
        ({"y_train": np.arange(30) % 2}, "class '2' is missing from the training part"),
        ({"x_train": NOT_A_NUMBER}, "4?900 numbers that are not finite"),
        ({"x_train": np.ones((30, 6, 5), np.float32) * 255}, "reaches from 255 to 255"),
        ({"x_train": np.ones((30, 6, 5), np.int64)}, "give bytes"),
        ({"x_train": np.ones((30, 6, 5, 7), np.uint8)}, "has shape 30x6x5x7"),
        ({"x_test": np.ones((9, 7, 5), np.uint8)}, "images of several shapes"),
        ({"x_val": np.ones((9, 6, 5), np.uint8)}, "one of x_val and y_val"),
        ({"y_train": np.array([{}] * 30)}, "is a pickle, which can run code"),
    ],
)
def test_bad_arrays_are_one_line(npz, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        npz(**changes).splits(0)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_npz_is_refused(tmp_path, made):
    (tmp_path / "own.npz").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match=r"is no \.npz file"):
        made(Npz, "own.npz").splits(0)


# Outliers


def test_declared_folders_are_outliers_near_or_far(tmp_path, monkeypatch, pets):
    fog = write_pictures(tmp_path / "fog", 3, (".",))
    sea = write_pictures(tmp_path / "sea", 2, ("deep", "low"))
    monkeypatch.setenv(VARIABLE, f"near={fog}:{sea}")
    near, far = own_outliers(pets)
    assert (near.label, far.label) == ("outliers-fog", "outliers-sea")
    assert near.is_near(pets)
    assert not far.is_near(pets)
    assert near.store == pets.store
    assert near.images().x.shape == (3, 3, 32, 32)
    assert far.raw("test").y.tolist() == [[-1]] * 4


def test_bad_outlier_folders_are_one_line(tmp_path, monkeypatch, pets):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(DataError, match="there is no folder"):
        own_outliers(pets)[0].images()
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "empty"))
    with pytest.raises(DataError, match="there is no picture"):
        own_outliers(pets)[0].images()
    monkeypatch.setenv(VARIABLE, f"{tmp_path}/a/fog:{tmp_path}/b/fog")
    with pytest.raises(DataError, match="two folders called 'outliers-fog'"):
        own_outliers(pets)


def test_the_command_line_names_the_variable_that_is_read():
    assert experiment.OUTLIERS == VARIABLE


def test_an_outlier_folder_cannot_be_trained_on():
    with pytest.raises(DataError, match="outliers is an outlier source"):
        OutlierFolder().raw("train")


# The summary


def test_a_summary_counts_classes_and_duplicates(tmp_path, monkeypatch, store):
    for part, count in (("train", 12), ("val", 2), ("test", 4)):
        write_pictures(tmp_path / "pets" / part, count)
    for i in range(150):
        picture(np.random.default_rng(1000 + i)).save(
            tmp_path / "pets" / "train" / "dog" / f"d{i}.png"
        )
    twin = (tmp_path / "pets" / "train" / "cat" / "00.png").read_bytes()
    (tmp_path / "pets" / "test" / "cat" / "twin.png").write_bytes(twin)
    (tmp_path / "fog").mkdir()
    (tmp_path / "fog" / "cat.png").write_bytes(twin)
    picture(np.random.default_rng(99)).save(tmp_path / "fog" / "other.png")
    monkeypatch.setenv(VARIABLE, f"near={tmp_path / 'fog'}")
    lines, whole = summary(f"folder:path={tmp_path / 'pets'}", store)
    text = "\n".join(lines)
    assert whole
    assert "train 186, val 6, test 13" in text
    assert "class dog: 162, 2, 4" in text
    assert "uneven: 162 of class dog to train on, and 12 of cat" in text
    assert "test/cat/twin.png is train/cat/00.png" in text
    assert "1 of 2 pictures of outliers-fog (near) are inliers too" in text


def test_a_summary_names_unreadable_files(tmp_path, store):
    write_pictures(tmp_path / "pets")
    (tmp_path / "pets" / "cat" / "text.png").write_text("no picture")
    lines, whole = summary(f"folder:path={tmp_path / 'pets'}", store)
    assert not whole
    done = CliRunner().invoke(main, ["data", "summary", f"folder:path={tmp_path / 'pets'}"])
    assert done.exit_code == 1
    assert done.output.splitlines() == lines
    assert lines == [
        "folder-pets: 25 pictures, 3 classes",
        "folder-pets: 1 of 25 files cannot be read",
        "  cat/text.png: it is no picture",
    ]


def test_a_summary_is_of_any_data_set(store):
    lines, whole = summary("digits", store)
    assert whole
    assert lines[0].startswith("digits: inputs of 1x8x8; train 1317, val 120, test 360")
