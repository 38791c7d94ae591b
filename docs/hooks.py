"""What `mkdocs build` needs to know of this repository.

Pages link to files outside `docs/` by relative paths, so that the links work in a clone too. Every
file linked that way becomes part of the site: Markdown as a page, anything else as it is.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(?=[)#])")
FOLLOWED = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
PACKAGE = Path(tempfile.mkdtemp(prefix="bench-docs-"))
atexit.register(shutil.rmtree, PACKAGE, ignore_errors=True)


@event_priority(100)  # before mkdocstrings reads its options
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lay the package out as a wheel does, where the API is read from: sources are not imported."""
    for room, place in (("bench", ""), ("methods", "bench"), ("datasets", "bench")):
        shutil.copytree(ROOT / room, PACKAGE / place / room, dirs_exist_ok=True)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(PACKAGE)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file outside `docs/` that a page links to, and what those pages link to."""
    waiting = [DOCS / file.src_uri for file in files.documentation_pages()]
    waiting += [ROOT / name for name in FOLLOWED]
    for name in FOLLOWED:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for page in waiting:
        for link in LINK.findall(page.read_text("utf-8")):
            target = (page.parent / link).resolve()
            uri = place(target)
            if target.is_file() and files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(target)))
                waiting += [target] if target.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to where the files are on the site."""
    source = Path(str(page.file.abs_src_path)).resolve()
    here = PurePosixPath(page.file.src_uri).parent

    def moved(link: re.Match[str]) -> str:
        target = (source.parent / link[1]).resolve()
        if files.get_file_from_path(place(target)) is None:
            return link[1]
        return os.path.relpath(place(target), here).replace(os.sep, "/")

    return LINK.sub(moved, markdown)


def place(path: Path) -> str:
    """Return where a file of the repository lies on the site, as a path below its root."""
    base = DOCS if path.is_relative_to(DOCS) else ROOT
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
