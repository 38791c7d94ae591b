"""The README and docs/: links lead somewhere, tables are those of the code, examples run."""

import importlib.util
import re
import subprocess
import sys

import pytest

import bench

DOCS = bench.ROOT / "docs"
PAGES = sorted([*bench.ROOT.glob("*.md"), *DOCS.rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def links(page):
    text = CODE.sub("", page.read_text("utf-8"))
    return [first or second for first, second in LINK.findall(text)]


def anchors(page) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs both make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def tables():
    spec = importlib.util.spec_from_file_location("docs_tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(bench.ROOT)))
def test_links_lead_somewhere(page):
    for link in links(page):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_tables_are_those_of_the_code():
    made = tables()
    for page in made.pages():
        current = page.read_text("utf-8")
        assert made.filled(current) == current, f"{page.name} is stale: run python docs/tables.py"


def test_every_table_has_a_place():
    made = tables()
    places = {name for page in made.pages() for _, name, _ in made.PLACE.findall(page.read_text())}
    assert places == set(made.TABLES)


def test_a_method_that_is_missing_in_the_docs_is_noticed():
    made = tables()
    page = (DOCS / "methods.md").read_text("utf-8")
    without = re.sub(r"^\| `ensemble` .*\n", "", page, count=1, flags=re.MULTILINE)
    assert without != page
    assert made.filled(without) == page


def test_the_readme_is_short():
    assert len((bench.ROOT / "README.md").read_text("utf-8").splitlines()) < 120


def test_the_readme_says_how_many_claims_hold():
    claims = (bench.ROOT / "results/reference/paper/claims.md").read_text("utf-8")
    count = {
        verdict: int(n)
        for n, verdict in re.findall(
            r"(\d+) (undecided|does not hold|holds|not run)", claims.partition("33 statements")[2]
        )
    }
    readme = " ".join((bench.ROOT / "README.md").read_text("utf-8").split())
    said = (
        f"Of 33 statements {count['holds']} hold in our measurements, {count['does not hold']} "
        f"do not hold and {count['undecided']} are undecided"
    )
    assert "not run" not in count
    assert said in readme


@pytest.mark.slow
def test_the_site_is_built(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    words = ["-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        [sys.executable, *words], cwd=bench.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ReDecNN" in (tmp_path / "site" / "api" / "methods" / "index.html").read_text("utf-8")


def test_the_tests_that_faults_name_exist():
    tests = "\n".join(path.read_text("utf-8") for path in (bench.ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "faults.md").read_text("utf-8")))
    assert len(named) > 40
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []
