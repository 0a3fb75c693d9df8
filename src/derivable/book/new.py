"""Start a chapter: ``python -m derivable.book.new PART TOPIC TITLE`` writes its source and its line in ``_toc.yml``."""

import re
import sys
from importlib.resources import files
from pathlib import Path

import yaml

from derivable.book.chapters import PARTS, Chapter, find_chapters, find_root

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def new_chapter(root: Path, part: str, topic: str, title: str) -> Path:
    """Write the skeleton of a chapter, list it in the contents, and return the path of the source.

    Raises:
        ValueError: for an unknown part, a topic that is no lower-case name or is taken, or an empty title.
    """
    if part not in PARTS:
        raise ValueError(f"PART must be one of {', '.join(PARTS)}, got {part!r}")
    if not SLUG.fullmatch(topic):
        raise ValueError(f"TOPIC must be lower-case words joined by hyphens, got {topic!r}")
    if topic in {chapter.topic for chapter in find_chapters(root)}:
        raise ValueError(f"TOPIC must be new, got {topic!r}, which is a chapter already")
    title = " ".join(title.split())
    if not title:
        raise ValueError(f"TITLE must be the chapter's title, got {title!r}")
    chapter = Chapter(root, part, topic)
    chapter.source.parent.mkdir(parents=True, exist_ok=True)
    skeleton = (files("derivable.book") / "skeleton.md").read_text(encoding="utf-8")
    chapter.source.write_text(skeleton.replace("TITLE", title).replace("TOPIC", topic), encoding="utf-8")
    list_in_contents(root / "_toc.yml", chapter)
    return chapter.source


def list_in_contents(path: Path, chapter: Chapter) -> None:
    """Add the chapter at the end of its part; the part appears, in the book's order, with its first chapter."""
    contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    captions = [part["caption"] for part in contents["parts"]]
    caption = chapter.part.capitalize()
    if caption not in captions:
        later = [name.capitalize() for name in PARTS[PARTS.index(chapter.part) + 1 :]] + ["Reference"]
        position = next(index for index, name in enumerate(captions) if name in later)
        contents["parts"].insert(position, {"caption": caption, "chapters": []})
    part = next(part for part in contents["parts"] if part["caption"] == caption)
    part["chapters"].append({"file": f"book/{chapter.name}"})
    path.write_text(yaml.safe_dump(contents, sort_keys=False, allow_unicode=True), encoding="utf-8")


def main() -> None:
    try:
        root = find_root()
        source = new_chapter(root, *(sys.argv[1:4] + [""] * 3)[:3])
    except ValueError as error:
        sys.exit(str(error))
    print(f"Wrote {source.relative_to(root)} and its line in _toc.yml. Edit it (make lab), then: make execute")


if __name__ == "__main__":
    main()
