"""CelebA from pictures made up here: its layout, its parts, its name, and what can be wrong."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.datasets import CelebA as Official

import bench.commands.inventory
from bench.datasets import celeba
from bench.datasets.base import Task
from bench.datasets.celeba import ATTRIBUTES, CelebA
from bench.datasets.cifar10 import Cifar10
from bench.datasets.corruptions import CORRUPTIONS, corrupt
from bench.datasets.errors import DataError
from bench.datasets.idx import Fashion, Mnist, NotMnist
from bench.datasets.letters import Letters
from bench.datasets.omniglot import Omniglot
from bench.datasets.photos import Photos
from bench.datasets.store import Store
from bench.running.plan import make_plan
from bench.scenarios.cross_dataset import CrossDataset, foreign, outlier_sources

N = 20
NAMES = [f"{i:06d}.jpg" for i in range(1, N + 1)]
PART = [0] * 12 + [1] * 3 + [2] * 5


def picture(i: int, width: int = 89, height: int = 109) -> Image.Image:
    """A picture of its own shade, in which only the central square is bright and half red."""
    scale = width / 178
    x = np.full((height, width, 3), 5, np.uint8)
    left, upper, right, lower = (round(edge * scale) for edge in celeba.CROP)
    x[upper:lower, left:right] = 100 + 5 * i
    x[upper:lower, left : (left + right) // 2] = (200, 0, 0)
    return Image.fromarray(x)


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def attributes(i: int) -> np.ndarray:
    """The attributes of picture i as 0 or 1: all different between pictures."""
    return np.random.default_rng(i).integers(0, 2, len(ATTRIBUTES))


def attribute_list(names=NAMES, count=None) -> str:
    rows = [
        f"{name} " + " ".join(f"{2 * value - 1:2d}" for value in attributes(int(name[:6])))
        for name in names
    ]
    head = [str(len(names) if count is None else count), " ".join(ATTRIBUTES) + " "]
    return "".join(f"{line}\r\n" for line in [*head, *rows])


def partition_list(names=NAMES, part=PART) -> str:
    return "".join(f"{name} {p}\r\n" for name, p in zip(names, part, strict=True))


def write(root, *, packed: bool = True, width: int = 89, height: int = 109) -> None:
    """Put a whole small CelebA in place, as the official one lies."""
    folder = root / "celeba"
    folder.mkdir(parents=True)
    (folder / "list_attr_celeba.txt").write_bytes(attribute_list().encode())
    (folder / "list_eval_partition.txt").write_bytes(partition_list().encode())
    files = {n: jpeg(picture(i, width, height)) for i, n in enumerate(NAMES)}
    if packed:
        with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(f"img_align_celeba/{name}", content)
    else:
        (folder / "img_align_celeba").mkdir()
        for name, content in files.items():
            (folder / "img_align_celeba" / name).write_bytes(content)


def at(*roots, **params) -> CelebA:
    made = CelebA(**params)
    made.store = Store(roots[0], roots[1:])
    return made


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def unpacked(tmp_path):
    write(tmp_path / "unpacked", packed=False)
    return tmp_path / "unpacked"


# What is read


def test_parts_are_the_official_ones_whatever_the_seed(root):
    first, other = at(root).splits(0), at(root).splits(7)
    assert [len(part) for part in first] == [12, 3, 5]
    assert [p.fingerprint for p in first] == [p.fingerprint for p in other]
    assert len({p.fingerprint for p in first}) == 3
    expected = torch.from_numpy(np.stack([attributes(i + 1) for i in range(N)]))
    assert torch.equal(torch.cat([part.y for part in first]), expected)
    assert torch.equal(at(root).test().x, first.test.x)


def test_forty_attributes_are_forty_targets_of_two_classes(root):
    assert at(root).task == Task((3, 32, 32), ATTRIBUTES, ("no", "yes"))
    assert len(set(ATTRIBUTES)) == 40
    assert at(root, size=64).splits(0).train.x.shape == (12, 3, 64, 64)
    with pytest.raises(DataError, match="celeba: size is 32 or 64, not 48"):
        at(root, size=48).test()


@pytest.mark.parametrize(("width", "height"), [(89, 109), (178, 218)])
def test_the_crop_is_the_central_square_at_any_scale(tmp_path, width, height):
    write(tmp_path, width=width, height=height)
    raw = at(tmp_path).raw("train")
    assert raw.x.shape == (12, 3, 64, 64)
    assert raw.x.dtype == torch.uint8
    inner = raw.x[:, :, 2:-2, 2:-2].int()  # the edge of a pixel may be the background's
    for i in range(12):
        assert (inner[i, :, :, 34:] - (100 + 5 * i)).abs().max() <= 6
        assert (inner[i, 0, :, :26] - 200).abs().max() <= 6
        assert inner[i, 1:, :, :26].max() <= 6


def test_a_folder_gives_what_the_archive_gives(root, unpacked):
    assert torch.equal(at(root).raw("test").x, at(unpacked).raw("test").x)
    assert at(root).test().fingerprint == at(unpacked).test().fingerprint


def test_pictures_are_decoded_once(root, tmp_path, monkeypatch):
    cold = at(tmp_path / "kept", root).splits(0)
    monkeypatch.setattr(CelebA, "_face", None)
    warm = at(tmp_path / "kept", root).splits(0)
    assert torch.equal(cold.train.x, warm.train.x)
    assert not [p for p in root.rglob("*") if "derived" in p.parts]  # a shared folder is only read


@pytest.mark.parametrize("name", ["root", "unpacked"])
def test_another_picture_is_decoded_anew(name, request):
    folder = request.getfixturevalue(name)
    before = at(folder).raw("test").x
    content = jpeg(picture(0))
    if name == "root":
        with zipfile.ZipFile(folder / "celeba/img_align_celeba.zip", "w") as archive:
            for i, member in enumerate(NAMES):
                picked = content if i == N - 1 else jpeg(picture(i))
                archive.writestr(f"img_align_celeba/{member}", picked)
    else:
        (folder / "celeba/img_align_celeba" / NAMES[-1]).write_bytes(content)
    after = at(folder).raw("test").x
    assert torch.equal(before[:-1], after[:-1])
    assert not torch.equal(before[-1], after[-1])


def test_a_list_that_leaves_parts_empty_gives_way_to_that_of_the_subset(root):
    (root / "celeba/list_eval_partition.txt").write_text(partition_list(part=[0] * N))
    with pytest.raises(DataError, match=r"leaves a part .* empty .* 20 pictures.*_subset\.txt"):
        at(root).test()
    chosen = [2] * 4 + [1] * 4 + [0] * 12
    (root / "celeba/list_eval_partition_subset.txt").write_text(partition_list(part=chosen))
    assert [len(part) for part in at(root).splits(0)] == [12, 4, 4]
    assert "list_eval_partition_subset.txt" in at(root).where()


def test_the_official_list_wins_where_it_fills_all_parts(root):
    (root / "celeba/list_eval_partition_subset.txt").write_text(partition_list(part=[0] * N))
    assert [len(part) for part in at(root).splits(0)] == [12, 3, 5]
    assert at(root).where() == f"{root}/celeba (celeba-20, split by list_eval_partition.txt)"


# Its name


@pytest.mark.parametrize(
    ("count", "label"), [(10_000, "celeba-10k"), (202_599, "celeba"), (1234, "celeba-1234")]
)
def test_a_part_of_the_set_is_called_after_its_size(root, count, label):
    (root / "celeba/list_attr_celeba.txt").write_text(attribute_list(count=count))
    assert at(root).label == label


def test_parameters_stay_in_the_label_and_nothing_found_is_just_celeba(root, tmp_path):
    made = at(root, size=64)
    made.label = "celeba:size=64"
    assert made.label == "celeba-20:size=64"
    assert at(tmp_path / "none").label == "celeba"


def test_jobs_and_views_carry_the_name_of_the_subset(root):
    words = dict(methods_="chance", scenarios="clean", seeds=[0], preset="smoke")
    (job,) = make_plan(datasets_="celeba", store=Store(root), **words)
    assert job.data.label == "celeba-20"

    class Stub:
        data = Fashion()
        test = torch.zeros(10)

    Stub.data.store = Store(root)
    found = CrossDataset(cap=5).views(Stub).found
    assert {v.name: v.group for v in found}["celeba-20"] == "far"
    assert {v.name for v in found} == {"celeba-20", "digits", "letters", "noise", "photos"}


def test_lists_say_what_was_found_and_how_it_is_split(root, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    bench.commands.inventory.show_data(Store(root))
    out = capsys.readouterr().out
    assert f"{root}/celeba (celeba-20, split by list_eval_partition.txt)" in out


def test_a_damaged_set_does_not_keep_the_others_from_being_listed(root, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    (root / "celeba/list_attr_celeba.txt").write_text("20\n")
    bench.commands.inventory.show_data(Store(root))
    out = capsys.readouterr().out
    assert f"{root}/celeba (not usable: celeba: " in out
    assert "photos" in out


# In colour, both ways


@pytest.mark.parametrize("source", [Letters, Photos], ids=lambda s: s.name)
def test_foreign_images_become_colour_pictures_of_the_size(source):
    x = source().raw("test").x[:40]
    made = CelebA().transform(x)
    assert made.shape == (40, 3, 32, 32)
    assert made.dtype == torch.uint8
    same = source is Letters
    assert bool((made[:, :1] == made).all()) is same


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 105, 105), (3, 32, 32), (3, 64, 64)])
def test_any_shape_of_an_outlier_set_goes_through_the_transform(shape):
    x = torch.randint(256, (5, *shape), dtype=torch.uint8)
    made = CelebA().transform(x)
    assert made.shape == (5, 3, 32, 32)
    assert torch.equal(made, torch.cat([CelebA().transform(one) for one in x.split(2)]))


def test_channels_other_than_grey_and_colour_are_refused():
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        CelebA().transform(torch.zeros(1, 2, 8, 8))


def test_faces_are_outliers_for_grey_sets_and_all_of_these_for_faces(root):
    for cls in (Mnist, Fashion):
        data = cls()
        data.store = Store(root)
        assert foreign(data, at(root)).x.shape == (5, 1, 32, 32)
    names = {source.name for source in outlier_sources(at(root))}
    wanted = {s.name for s in (Mnist, Fashion, NotMnist, Omniglot, Cifar10, Letters)}
    assert wanted <= names
    assert "celeba" not in names


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_changes_faces_and_keeps_their_form(name, root):
    x = at(root).raw("test").x
    made = corrupt(name, x, "celeba")
    assert made.shape == x.shape
    assert made.dtype == torch.uint8
    assert not torch.equal(made, x)


# What can be wrong


def complaint(folder) -> str:
    """The one line that every way of asking ends in."""
    with pytest.raises(DataError) as caught:
        at(folder).splits(0)
    with pytest.raises(DataError) as again:
        at(folder).raw("test")
    assert str(caught.value) == str(again.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("celeba: ")
    return str(caught.value)


@pytest.mark.parametrize(
    "file", ["list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba.zip"]
)
def test_a_missing_file_is_named_with_the_remedy(root, file):
    (root / "celeba" / file).unlink()
    message = complaint(root)
    assert f"celeba/{file} was not found in {root}" in message
    assert "run: python -m bench data download celeba" in message
    assert at(root).where() is None


def test_rows_without_pictures_are_counted(root):
    more = [*NAMES, "000021.jpg", "000022.jpg"]
    (root / "celeba/list_attr_celeba.txt").write_text(attribute_list(more))
    assert "2 rows of " in (message := complaint(root))
    assert "without a picture in " in message
    assert "the first 000021.jpg" in message


def test_pictures_without_rows_are_counted(root):
    (root / "celeba/list_attr_celeba.txt").write_text(attribute_list(NAMES[1:]))
    assert "1 pictures in " in (message := complaint(root))
    assert "without a row in " in message
    assert "the first 000001.jpg" in message


def test_pictures_without_a_part_are_counted(root):
    (root / "celeba/list_eval_partition.txt").write_text(partition_list(NAMES[:-2], PART[:-2]))
    assert "2 pictures without a row in" in (message := complaint(root))
    assert "the first 000019.jpg" in message


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("20\r\n", "21\r\n", "it announces 21 rows and has 20"),
        ("20\r\n", "", "line 2 is not the 40 attributes"),
        ("Bald ", "", "line 2 is not the 40 attributes"),
        ("000003.jpg -1", "000003.jpg", "number of columns changed"),
        ("000003.jpg -1", "000003.jpg 0", "rows are not 40 times -1 or 1"),
        ("000003.jpg -1", "000003.jpg x", "could not convert"),
        ("000003.jpg -1", "000003.jpg\r\n000099.jpg", "a row is not a name and numbers"),
        ("000003.jpg", "000004.jpg", "a name comes twice"),
    ],
)
def test_a_malformed_attribute_list_is_named_with_the_reason(root, old, new, reason):
    path = root / "celeba/list_attr_celeba.txt"
    text = path.read_bytes().decode().replace("000003.jpg  1", "000003.jpg -1")
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
    message = complaint(root)
    assert f"{path} is damaged" in message
    assert reason in message


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", b"20\n"])
def test_what_is_no_attribute_list_is_refused(root, content):
    path = root / "celeba/list_attr_celeba.txt"
    path.write_bytes(content)
    assert f"{path} is damaged" in complaint(root)


@pytest.mark.parametrize(
    ("old", "new"), [("000003.jpg 0", "000003.jpg 3"), ("000003.jpg 0", "000003.jpg train")]
)
def test_a_malformed_partition_is_named(root, old, new):
    path = root / "celeba/list_eval_partition.txt"
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    assert f"{path} is damaged" in complaint(root)


def test_a_truncated_picture_is_named(unpacked):
    path = unpacked / "celeba/img_align_celeba/000019.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"000019\.jpg is damaged \(.*truncated") as caught:
        at(unpacked).test()
    assert "\n" not in str(caught.value)
    assert len(at(unpacked).raw("train").x) == 12  # the other parts are not affected


def test_a_damaged_archive_is_named(root):
    path = root / "celeba/img_align_celeba.zip"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert f"{path} is damaged" in complaint(root)
    middle = content.index(jpeg(picture(17))) + 700
    path.write_bytes(content[:middle] + bytes(9) + content[middle + 9 :])
    with pytest.raises(DataError, match=r"000018\.jpg is damaged \(Bad CRC"):
        at(root).test()


def test_a_picture_of_another_form_is_refused(unpacked):
    path = unpacked / "celeba/img_align_celeba/000020.jpg"
    Image.new("RGB", (128, 128)).save(path)
    with pytest.raises(DataError, match=r"000020\.jpg is damaged .*no aligned picture"):
        at(unpacked).test()


# Downloading


def test_only_what_is_needed_is_downloaded(tmp_path, monkeypatch):
    asked = []

    def fetch(place, folder, name, md5):
        asked.append((name, md5))
        (Path(folder) / name).write_text(place)

    monkeypatch.setattr(torchvision.datasets.utils, "download_file_from_google_drive", fetch)
    at(tmp_path).download()
    needed = ["img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"]
    assert asked == [(name, md5) for _, md5, name in Official.file_list if name in needed]
    assert sorted(p.name for p in (tmp_path / "celeba").iterdir()) == needed


def test_a_set_that_is_there_is_not_downloaded(root, tmp_path):
    at(tmp_path / "empty", root).download()
    assert not (tmp_path / "empty").exists()


def test_a_failed_download_is_a_message_with_the_way_by_hand(tmp_path, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no\nnetwork")

    monkeypatch.setattr(torchvision.datasets.utils, "download_file_from_google_drive", refuse)
    with pytest.raises(DataError, match=r"the download failed: no network. By hand: mmlab\.ie"):
        at(tmp_path).download()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
