"""Adult: answers to a census, to predict an income from; the data of work on fairness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .base import Dataset, Raw, SplitName, Task, fingerprint
from .errors import DataError
from .reading import reading
from .store import Remote, damaged, stamps

COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country", "income",
)  # fmt: skip
# Lowest and highest value; the money in each is counted in logarithms.
NUMBERS = {
    "age": (17, 90), "education-num": (1, 16), "hours-per-week": (1, 99),
    "capital-gain": (0, 99_999), "capital-loss": (0, 4356),
}  # fmt: skip
MONEY = ("capital-gain", "capital-loss")
WORDS = {  # the answers to each question; "?" is none of them
    "workclass": "Federal-gov Local-gov Never-worked Private Self-emp-inc Self-emp-not-inc "
    "State-gov Without-pay",
    "marital-status": "Divorced Married-AF-spouse Married-civ-spouse Married-spouse-absent "
    "Never-married Separated Widowed",
    "occupation": "Adm-clerical Armed-Forces Craft-repair Exec-managerial Farming-fishing "
    "Handlers-cleaners Machine-op-inspct Other-service Priv-house-serv Prof-specialty "
    "Protective-serv Sales Tech-support Transport-moving",
    "relationship": "Husband Not-in-family Other-relative Own-child Unmarried Wife",
    "native-country": "Cambodia Canada China Columbia Cuba Dominican-Republic Ecuador El-Salvador "
    "England France Germany Greece Guatemala Haiti Holand-Netherlands Honduras Hong Hungary India "
    "Iran Ireland Italy Jamaica Japan Laos Mexico Nicaragua Outlying-US(Guam-USVI-etc) Peru "
    "Philippines Poland Portugal Puerto-Rico Scotland South Taiwan Thailand Trinadad&Tobago "
    "United-States Vietnam Yugoslavia",
}
ANSWERS = [(question, word) for question, words in WORDS.items() for word in words.split()]
TARGETS = {"Over_50K": ("income", ">50K"), "Male": ("sex", "Male"), "White": ("race", "White")}
URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/"
FILES: dict[SplitName, tuple[Remote, int]] = {  # and how many people each tells of
    "train": (
        Remote("adult/adult.data", (f"{URL}adult.data",), "5d7c39d7b8804f071cdd1f2a7c460872"),
        32_561,
    ),
    "test": (
        Remote("adult/adult.test", (f"{URL}adult.test",), "35238206dfdf7f1fe215bbb874adecdc"),
        16_281,
    ),
}


class Adult(Dataset):
    """What 48 842 adults told the census of the United States in 1994, and three facts to predict.

    An input is a row of bytes (1, 1, 81): five numbers, scaled to 0 to 255, and of five questions
    which answer was given, 255, or not, 0. The facts, whether the income is above 50 000 dollars,
    the sex and whether the race is given as white, are no inputs, but other answers tell of
    them ("Husband"). Left out are the weight of a person in the census and the education in words,
    which is a number already. `protected:target=Over_50K,protect=Male` is the usual question.
    """

    name = "adult"
    source = "Becker and Kohavi, Adult, UCI (1996), https://doi.org/10.24432/C5XW20 (CC BY 4.0)"
    kind = "record"
    content = frozenset({"person"})
    modality = "table"
    fetched_unasked = False
    task = Task((1, 1, len(NUMBERS) + len(ANSWERS)), tuple(TARGETS), ("no", "yes"))

    def raw(self, which: SplitName) -> Raw:
        remote, people = FILES[which]
        path = self.store.obtain(self.name, remote)
        key = fingerprint(self.name, self.version, *stamps([path]))
        rows = self.store.kept(self.name, key, lambda: self._read(path, people))
        return Raw(rows[:, None, None, len(TARGETS) :], rows[:, : len(TARGETS)].long())

    def transform(self, x: Tensor) -> Tensor:
        """Return rows as they are.

        Raises:
            DataError: these are images.
        """
        if x.dtype != torch.uint8 or x.shape[1:] != self.task.shape:
            shape = "x".join(map(str, x.shape[1:]))
            raise DataError(f"{self.name}: inputs are rows of a table, and {shape} is none")
        return x

    def files(self) -> Sequence[Path]:
        paths = [self.store.find(file.path) for file, _ in FILES.values()]
        return [path for path in paths if path] if all(paths) else []

    def where(self) -> str | None:
        files = self.files()
        return str(files[0].parent) if files else None

    def download(self) -> None:
        for file, _ in FILES.values():
            self.store.obtain(self.name, file)

    def _read(self, path: Path, people: int) -> Tensor:
        """Return the rows of a file as bytes (N, 3 + 81): targets and inputs."""
        table = self._table(path, people)
        columns = [table[question] == word for question, word in TARGETS.values()]
        for name, ends in NUMBERS.items():
            scale = np.log1p if name in MONEY else np.asarray
            low, value, high = map(scale, (ends[0], table[name], ends[1]))
            columns.append(np.round((value - low) / (high - low) * 255))
        columns += [(table[question] == word) * 255 for question, word in ANSWERS]
        return torch.from_numpy(np.stack(columns, axis=1).astype(np.uint8))

    def _table(self, path: Path, people: int) -> Any:
        """Return the rows of a file as a table of pandas, whose values are those that there are."""
        import pandas as pd  # half a second that a listing does not need

        with reading(self.name, path):
            table = pd.read_csv(
                path, names=COLUMNS, skipinitialspace=True, comment="|", encoding="ascii",
                dtype=dict.fromkeys(NUMBERS, np.int64),
            )  # fmt: skip
        if len(table) != people:
            raise damaged(self.name, path, f"it tells of {len(table)} people and not {people}")
        for name, (low, high) in NUMBERS.items():
            if not table[name].between(low, high).all():
                raise damaged(self.name, path, f"{name} is not between {low} and {high}")
        table["income"] = table["income"].str.rstrip(".")
        known = {name: {*words.split(), "?"} for name, words in WORDS.items()}
        for name, words in (
            known | {"income": {"<=50K", ">50K"}, "sex": {"Female", "Male"}}
        ).items():
            if strange := sorted({*map(str, table[name])} - words):
                raise damaged(self.name, path, f"{name} is '{strange[0]}'")
        return table
