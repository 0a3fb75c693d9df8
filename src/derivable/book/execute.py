"""Run chapters and store their outputs: ``python -m derivable.book.execute [CHAPTER] [--all]``.

The source in ``chapters/`` runs in a fresh kernel and becomes the notebook in ``book/``, never the other way. A
notebook is replaced only when its run has finished, and two runs of the same inputs write the same bytes.
"""

import argparse
import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from derivable.book.chapters import Chapter, find_chapter, find_root
from derivable.book.freshness import fingerprint, in_order, read_source, recalled_chapters

CELL_SECONDS = 120
CPU_SECONDS = 30  # of one chapter at the small scale; not stored, because they differ between runs


class TooSlow(RuntimeError):
    """The run used more processor time than a chapter may."""


def is_fresh(chapter: Chapter) -> bool:
    """Whether the stored notebook came from the present source, code and versions."""
    if not chapter.notebook.is_file():
        return False
    return nbformat.read(chapter.notebook, as_version=4).metadata.get("derivable") == fingerprint(chapter)


def execute(chapter: Chapter, on_cell: Callable[[int, int], None]) -> None:
    """Run the chapter and replace its notebook; before each cell ``on_cell`` gets its number and the count of cells.

    Raises:
        CellExecutionError, CellTimeoutError, DeadKernelError: the run did not finish; the stored notebook is untouched.
        TooSlow: it finished, over the budget; the stored notebook is untouched.
    """
    inputs = fingerprint(chapter)
    notebook = read_source(chapter)
    count = len(notebook.cells)
    chapter.notebook.parent.mkdir(parents=True, exist_ok=True)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(chapter.notebook.parent)}},
        on_notebook_start=let_signals_end_the_run,
        on_cell_start=lambda cell, cell_index: on_cell(cell_index + 1, count),
    )
    before = children_seconds()
    client.execute(stderr=subprocess.DEVNULL)  # the kernel's own complaints; what cells write comes back as output
    require_budget(children_seconds() - before)
    make_repeatable(notebook)
    notebook.metadata["derivable"] = inputs
    write_whole(chapter.notebook, nbformat.writes(notebook) + "\n")


def children_seconds() -> float:
    """Processor time of the processes that this one started and that ended."""
    times = os.times()
    return times.children_user + times.children_system


def require_budget(spent: float) -> None:
    """Demand that a chapter's run fits its budget; the full scale has none, and a slow machine may set its own."""
    budget = float(os.environ.get("DERIVABLE_CPU_SECONDS", CPU_SECONDS))
    if spent > budget and os.environ.get("DERIVABLE_SCALE", "small") == "small":
        raise TooSlow(f"the chapter took {spent:.1f} CPU seconds, more than its {budget:g} (DERIVABLE_CPU_SECONDS sets another budget)")


def let_signals_end_the_run(notebook: NotebookNode) -> None:
    """Undo nbclient's handlers, which end the kernel under the feet of a run that goes on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


def make_repeatable(notebook: NotebookNode) -> None:
    """Take out what differs between runs, machines or editors: random identifiers, versions, the source's format."""
    notebook.metadata["language_info"].pop("version")
    notebook.metadata["jupytext"].pop("text_representation")
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:12]
        seen[digest] += 1
        cell["id"] = f"{digest}-{seen[digest]}"


def write_whole(path: Path, text: str) -> None:
    """Replace the file in one step, so that an interruption leaves either the old file or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def run(chapter: Chapter, label: str) -> None:
    """Run one chapter, showing which cell it is at; a run that does not finish ends the program and names the cell."""
    on_terminal = sys.stdout.isatty()
    start = time.monotonic()
    current = 0

    def show(cell: int, count: int) -> None:
        nonlocal current
        current = cell
        if on_terminal:
            print(f"\r{label}: cell {cell}/{count}", end="", flush=True)

    print(label, end="" if on_terminal else "\n", flush=True)
    try:
        execute(chapter, show)
    except (CellExecutionError, CellTimeoutError, DeadKernelError, TooSlow, OSError, KeyboardInterrupt) as error:
        reason = str(error) or "interrupted"
        where = f"{chapter.source.relative_to(chapter.root)}, cell {current}"
        sys.exit(f"\n{where}: {reason}\n{chapter.notebook.relative_to(chapter.root)} was left as it was.")
    print(f"{chr(13) if on_terminal else ''}{label}: done in {time.monotonic() - start:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the chapters whose inputs changed and store their outputs.")
    parser.add_argument("chapter", nargs="?", help="one chapter: topic or part/topic (default: every changed chapter)")
    parser.add_argument("--all", action="store_true", help="run unchanged chapters too")
    options = parser.parse_args()
    try:
        root = find_root()
        chapters = [find_chapter(root, options.chapter)] if options.chapter else in_order(root)
        stale: list[Chapter] = []
        for chapter in chapters:
            if options.all or not is_fresh(chapter) or not set(recalled_chapters(chapter)).isdisjoint(stale):
                stale.append(chapter)
    except ValueError as error:
        sys.exit(str(error))
    print(f"== Chapters: {len(stale)} to run, {len(chapters) - len(stale)} fresh")
    for position, chapter in enumerate(stale, 1):
        run(chapter, f"[{position}/{len(stale)}] {chapter.name}")


if __name__ == "__main__":
    main()
