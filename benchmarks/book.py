"""The speed of the book itself: ``python -m benchmarks.book [html] [chapters] [test]`` prints seconds and stores them.

The status page of the book shows them with the name of the machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nbclient import NotebookClient

from benchmarks.__main__ import RESULTS, say, store
from benchmarks.harness import machine, moment
from derivable.book.chapters import Chapter, find_chapters, find_root
from derivable.book.execute import CELL_SECONDS
from derivable.book.freshness import read_source


def seconds(action: Callable[[], object]) -> float:
    start = time.monotonic()
    action()
    return round(time.monotonic() - start, 1)


def build_html(root: Path) -> None:
    """The whole book from its stored outputs, in a folder of its own."""
    tools = Path(sys.executable).parent
    search = os.pathsep.join([str(tools), os.environ["PATH"]])
    with tempfile.TemporaryDirectory() as folder:
        command = [tools / "jupyter-book", "build", ".", "--all", "--quiet", "--path-output", folder]
        subprocess.run(command, cwd=root, env=os.environ | {"PATH": search}, check=True, stdout=subprocess.DEVNULL)


def run_chapter(chapter: Chapter) -> None:
    """Every cell in a fresh kernel; nothing is stored."""
    NotebookClient(read_source(chapter), kernel_name="python3", timeout=CELL_SECONDS,
                   resources={"metadata": {"path": str(chapter.source.parent)}}).execute(stderr=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the book itself.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="html, chapters, test (default: all three)")
    parts = parser.parse_args().parts or ["html", "chapters", "test"]
    root = find_root()
    timed: dict[str, object] = {"started": moment()}
    if "html" in parts:
        timed["html"] = seconds(lambda: build_html(root))
        say(f"HTML from the stored outputs: {timed['html']} s")
    if "chapters" in parts:
        timed["chapters"] = {}
        for chapter in find_chapters(root):
            timed["chapters"][chapter.name] = seconds(partial(run_chapter, chapter))
            say(f"{chapter.name}: {timed['chapters'][chapter.name]} s")
    if "test" in parts:
        timed["test"] = seconds(lambda: subprocess.run(["make", "test"], cwd=root, check=True))
        say(f"make test: {timed['test']} s")
    store(RESULTS / f"{machine()['name']}.json", "book", timed)


if __name__ == "__main__":
    main()
