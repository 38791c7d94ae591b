"""Tables of strings as LaTeX and Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.store.files import write as write

NONE = "–"
TEXT = {  # columns of words, set to the left
    "method", "score", "view", "metric", "claim", "margin", "verdict", "our numbers",
    "the paper's tables", "check", "range", "shift", "best", "gain", "as good for less",
}  # fmt: skip
SHORT = {"one_minus_max_mean_prob": "1 - max p"}  # scores whose name would fill a column
TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "%": r"\%", "&": r"\&",
    "#": r"\#", "$": r"\$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "–": "--", "×": r"$\times$",
}  # fmt: skip


def without_folders(text: str, folders: Sequence[Path]) -> str:
    """Text that is the same on every machine: of a folder's absolute path, the name is left."""
    for folder in folders:
        name = folder.name if folder.is_absolute() else str(folder)
        inside = "" if len(folders) == 1 else f"{name}/"
        text = text.replace(f"{folder}/", inside).replace(str(folder), name)
    return text


def number(value: float, std: float = math.nan, digits: int = 3) -> str:
    """A number with its standard deviation where there is one; a dash for NaN."""
    if math.isnan(value):
        return NONE
    return f"{value:,.{digits}f}" + ("" if math.isnan(std) else f" ± {std:.{digits}f}")


def in_words(score: str) -> str:
    """The name of a score as it is printed; in CSV it stays as it is."""
    return SHORT.get(score, score.replace("_", " "))


def tex_escape(text: str) -> str:
    """Text that LaTeX prints as it stands; letters beyond ASCII that it may lack become '?'."""
    parts = ["".join(TEX.get(letter, letter) for letter in part) for part in text.split("--")]
    escaped = "-{}-".join(parts)  # an option of a command, and no dash
    return escaped.encode("ascii", "replace").decode()


def tex_bold(text: str) -> str:
    """Escaped text, in bold."""
    return rf"\textbf{{{tex_escape(text)}}}"


MARKDOWN = {"&": "&amp;", "<": "&lt;", "|": r"\|", "*": r"\*", "\\": "&#92;"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins with one


def markdown_escape(text: str) -> str:
    """Text that Markdown prints as it stands, in a table too: no link, no tag, no markup."""
    letters = (MARKDOWN.get(letter, letter) for letter in " ".join(text.split()))
    return "".join(letters).replace("](", "]&#40;")


def csv(table: pd.DataFrame) -> str:
    """A table as CSV; text that a spreadsheet would run as a formula gets an apostrophe first."""
    words = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    risky = [name for name in words if any(_no_formula(x) != x for x in table[name].unique())]
    safe = table.assign(**{name: table[name].map(_no_formula) for name in risky})
    return safe.rename(columns=_no_formula).to_csv(index=False)


def _no_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def markdown_bold(text: str) -> str:
    """Escaped text, in bold."""
    return f"**{markdown_escape(text)}**"


def latex(
    table: pd.DataFrame, caption: str, label: str, notes: Iterable[str] = (), *, fit: bool = False
) -> str:
    """A floating booktabs table; the cells are LaTeX already, all else is escaped here.

    With ``fit``, one that is too wide shrinks to the width of a line.
    """
    heads = " & ".join(tex_escape(name) for name in table.columns)
    sides = "".join("l" if name in TEXT else "r" for name in table.columns)
    below = [rf"\par {{\footnotesize {tex_escape(note)}}}" for note in notes]
    width = r"\ifdim\width>\linewidth\linewidth\else\width\fi"
    lines = [
        rf"% needs \usepackage{{booktabs{',graphicx' if fit else ''}}}",
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{tex_escape(caption)}}}",
        rf"\label{{tab:{label}}}",
        *([rf"\resizebox{{{width}}}{{!}}{{%"] if fit else []),
        rf"\begin{{tabular}}{{{sides}}}",
        r"\toprule",
        heads + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in table.itertuples(index=False)),
        r"\bottomrule",
        r"\end{tabular}" + ("}" if fit else ""),
        *below,
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def markdown(table: pd.DataFrame, caption: str, notes: Sequence[str] = ()) -> str:
    """A pipe table with its caption and notes; the cells are Markdown already."""
    rules = ["---" if name in TEXT else "---:" for name in table.columns]
    heads = [markdown_escape(name) for name in table.columns]
    rows = [heads, rules, *table.itertuples(index=False)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    listed = [f"- {markdown_escape(note)}" for note in notes]
    return "\n".join([*lines, "", markdown_escape(caption), *([""] if listed else []), *listed, ""])
