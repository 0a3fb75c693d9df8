"""Where the book's files are: the root, the parts, and each chapter's pair of source and executed notebook."""

import re
from dataclasses import dataclass
from pathlib import Path

PARTS = ("probability", "training", "attention", "generative", "sequences", "systems")


@dataclass(frozen=True)
class Chapter:
    """A chapter, named by its part and its topic."""

    root: Path
    part: str
    topic: str

    @property
    def name(self) -> str:
        return f"{self.part}/{self.topic}"

    @property
    def source(self) -> Path:
        """The text that authors edit (a MyST notebook)."""
        return self.root / "chapters" / self.part / f"{self.topic}.md"

    @property
    def notebook(self) -> Path:
        """The same chapter with its outputs."""
        return self.root / "book" / self.part / f"{self.topic}.ipynb"

    @property
    def title(self) -> str:
        """The first heading of the source; the topic where there is none."""
        lines = self.source.read_text(encoding="utf-8").splitlines()
        return next((line.removeprefix("# ") for line in lines if line.startswith("# ")), self.topic)


def find_root(start: Path | None = None) -> Path:
    """The nearest folder at or above ``start`` (default: the working directory) that holds the book.

    Raises:
        ValueError: where there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "_toc.yml").is_file() and (folder / "requirements.txt").is_file():
            return folder
    raise ValueError(f"the book must be in the working directory or above it, got {start} (no _toc.yml there)")


def find_chapters(root: Path) -> list[Chapter]:
    """All chapters that have a source, in the order of the table of contents; those that are not in it last, by part and topic."""
    sources = (root / "chapters").glob("*/*.md")
    chapters = [Chapter(root, path.parent.name, path.stem) for path in sources if path.parent.name in PARTS]
    listed = re.findall(r"book/(\S+/\S+)", (root / "_toc.yml").read_text(encoding="utf-8"))
    places = {name: place for place, name in enumerate(listed)}
    return sorted(chapters, key=lambda c: (places.get(c.name, len(listed)), PARTS.index(c.part), c.topic))


def find_chapter(root: Path, name: str) -> Chapter:
    """The chapter called ``name``, either ``topic`` or ``part/topic``.

    Raises:
        ValueError: where no chapter has that name.
    """
    chapters = find_chapters(root)
    for chapter in chapters:
        if name in (chapter.topic, chapter.name):
            return chapter
    known = ", ".join(chapter.name for chapter in chapters) or "none yet"
    raise ValueError(f"chapter must be one of the book's chapters ({known}), got {name!r}")
