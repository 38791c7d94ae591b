"""The census: what its rows say, and what is wrong with files that are not the published ones."""

import pytest
import torch

from bench.cli import main
from bench.datasets import adult
from bench.datasets.adult import ANSWERS, NUMBERS, Adult
from bench.datasets.digits import Digits
from bench.datasets.errors import DataError
from bench.datasets.store import Store
from bench.methods.grad import Grad
from bench.scenarios.cross_dataset import outlier_sources
from bench.scenarios.protected import Protected

ROWS = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, "
    "Male, 2174, 0, 40, United-States, <=50K",
    "90, ?, 0, HS-grad, 16, Widowed, ?, Wife, Black, Female, 99999, 4356, 99, ?, >50K",
    "17, Private, 1, 11th, 1, Divorced, Sales, Husband, Other, Male, 0, 0, 1, Cambodia, >50K",
)


@pytest.fixture
def census(tmp_path, monkeypatch):
    """Return a way to write both files, thirty people in each, and read them."""
    files = {part: (remote, 30) for part, (remote, _) in adult.FILES.items()}
    monkeypatch.setattr(adult, "FILES", files)

    def written(rows=ROWS):
        folder = tmp_path / "adult"
        folder.mkdir(exist_ok=True)
        lines = [rows[i % len(rows)] for i in range(30)]
        (folder / "adult.data").write_text("\n".join(lines) + "\n\n")
        ends = "\n".join(line + "." for line in lines)
        (folder / "adult.test").write_text(f"|1x3 Cross validator\n{ends}\n\n")
        data = Adult()
        data.store = Store(tmp_path)
        return data

    return written


def test_numbers_reach_from_0_to_255_and_answers_are_there_or_not(census):
    data = census()
    x, y = data.raw("train")
    assert x.shape == (30, *data.task.shape)
    assert x.dtype == torch.uint8
    assert y[:3].tolist() == [[0, 1, 1], [1, 0, 0], [1, 1, 0]]
    numbers = x[:3, 0, 0, : len(NUMBERS)].tolist()
    assert numbers[0] == [77, 204, 101, 170, 0]  # 170 = 255 log(2175) / log(100000)
    assert numbers[1] == [255] * 5
    assert numbers[2] == [0] * 5
    said = [[ANSWERS[i] for i in row.nonzero()[:, 0]] for row in x[:3, 0, 0, len(NUMBERS) :]]
    assert [word for _, word in said[0]] == [
        "State-gov", "Never-married", "Adm-clerical", "Not-in-family", "United-States",
    ]  # fmt: skip
    assert said[1] == [("marital-status", "Widowed"), ("relationship", "Wife")]  # of ? nothing
    assert ("native-country", "Cambodia") in said[2]


def test_the_test_part_is_read_as_the_training_part_is(census):
    train, test = (census().raw(part) for part in ("train", "test"))
    assert torch.equal(train.x, test.x)
    assert torch.equal(train.y, test.y)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (ROWS[0].replace("39", "16"), "age is not between 17 and 90"),
        (ROWS[0].replace("39", "old"), "damaged"),
        (ROWS[0].replace("Sales", "").replace("State-gov", "Pirate"), "workclass is 'Pirate'"),
        (ROWS[0].replace("<=50K", "rich"), "income is 'rich'"),
        (ROWS[0].replace(", 40", ""), "damaged"),
        (ROWS[0].replace("State-gov", "Stäte"), "damaged"),
    ],
)
def test_a_row_that_cannot_be_is_named(census, row, reason):
    with pytest.raises(DataError, match=reason):
        census((row,)).raw("train")


def test_a_file_of_other_length_is_not_the_published_one(census, tmp_path):
    data = census()
    with (tmp_path / "adult" / "adult.data").open("a") as file:
        file.write(ROWS[0] + "\n")
    with pytest.raises(DataError, match="it tells of 31 people and not 30"):
        data.raw("train")


def test_what_is_no_row_of_the_table_is_refused(census):
    with pytest.raises(DataError, match="28x28 is none"):
        census().transform(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))


def test_images_and_tables_are_no_outliers_of_each_other(capsys):
    words = ["--methods", "chance", "--datasets", "adult", "--scenarios"]
    for name in ("corruption", "adversarial", "strong_attacks", "composed"):
        with pytest.raises(SystemExit) as stop:
            main(["run", *words, name])
        assert stop.value.code == 2
        assert f"'{name}' does not apply" in capsys.readouterr().err
    assert not any(isinstance(source, Adult) for source in outlier_sources(Digits()))


def test_there_is_nothing_to_look_at(capsys, tmp_path):
    for words in (["draw"], ["explore", "-o", str(tmp_path / "a.html")]):
        with pytest.raises(SystemExit) as stop:
            main([*words, "--methods", "decnn", "--datasets", "adult"])
        assert stop.value.code == 2
        assert "adult is a table of answers" in capsys.readouterr().err


def test_debiasing_is_measured_on_the_census(census):
    (asked,) = Protected(target="Over_50K", protect=("Male",)).training(census())
    splits = asked.splits(0)
    fitted = Grad(protect=("Male",), blocks=1, width=4, epochs=1, min_updates=1).fit(
        splits.train, splits.val, seed=0
    )
    assert fitted.predict_proba(splits.test.floats(slice(3))).shape == (3, 1, 1, 2)
