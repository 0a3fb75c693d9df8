import os
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class
from nbclient.exceptions import CellExecutionError

from derivable.book.execute import TooSlow, execute, is_fresh, require_budget, run, write_whole


def silent(cell, count):
    pass


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def command(root, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "derivable.book.execute", *arguments], cwd=root, capture_output=True, text=True
    )


def folder(chapter):
    return sorted(path.name for path in chapter.notebook.parent.iterdir())


def test_two_runs_write_the_same_bytes(chapter):
    before = chapter.notebook.read_bytes()
    execute(chapter, silent)
    assert chapter.notebook.read_bytes() == before


def test_the_notebook_stores_outputs_counts_and_hashes_but_no_times(chapter):
    notebook = nbformat.read(chapter.notebook, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2]
    assert code[0].outputs[0].text == "one third is 0.333333\n"
    assert code[1].metadata == {"tags": ["live"]}
    assert set(notebook.metadata.derivable) == {"source_hash", "code_hash", "lock_hash", "recalled_hash"}
    assert "execution" not in code[0].metadata
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@pytest.mark.parametrize("name", ["chapters/probability/tiny.md", "book/probability/tiny.ipynb"])
def test_opening_and_saving_in_jupyterlab_changes_neither_file(chapter, request, name):
    shutil.copy(request.config.rootpath / "jupytext.toml", chapter.root)
    before = chapter.source.read_text(encoding="utf-8"), chapter.notebook.read_text(encoding="utf-8")
    manager = build_sync_jupytext_contents_manager_class(LargeFileManager)(root_dir=str(chapter.root))
    opened = manager.get(name, type="notebook")
    assert [len(cell.get("outputs", [])) for cell in opened["content"]["cells"]] == [0, 1, 1]
    manager.save(opened, name)
    assert (chapter.source.read_text(encoding="utf-8"), chapter.notebook.read_text(encoding="utf-8")) == before


def test_progress_counts_the_cells(chapter):
    seen = []
    execute(chapter, lambda cell, count: seen.append((cell, count)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("name", ["chapters/probability/tiny.md", "src/derivable/__init__.py", "requirements.txt"])
def test_a_chapter_is_fresh_until_one_of_its_inputs_changes(chapter, name):
    assert is_fresh(chapter)
    path = chapter.root / name
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert not is_fresh(chapter)


def test_the_command_runs_only_what_changed(chapter):
    assert "0 to run, 1 fresh" in command(chapter.root).stdout
    replace(chapter.source, "one third", "A third")
    done = command(chapter.root)
    assert "1 to run, 0 fresh" in done.stdout and "[1/1] probability/tiny: done" in done.stdout
    assert "A third is" in chapter.notebook.read_text(encoding="utf-8")


def test_a_failing_cell_leaves_the_old_notebook_and_is_named(chapter):
    before, names = chapter.notebook.read_bytes(), folder(chapter)
    replace(chapter.source, "round(1 / 3, 6)", "round(1 / 0, 6)")
    with pytest.raises(CellExecutionError):
        execute(chapter, silent)
    failed = command(chapter.root)
    assert failed.returncode == 1
    assert (
        "tiny.md, cell 2" in failed.stderr
        and "ZeroDivisionError" in failed.stderr
        and "left as it was" in failed.stderr
    )
    assert chapter.notebook.read_bytes() == before and folder(chapter) == names


def test_a_kernel_that_dies_leaves_the_old_notebook_and_is_said(chapter):
    before = chapter.notebook.read_bytes()
    replace(chapter.source, 'print("one third is", round(1 / 3, 6))', "import os; os._exit(1)")
    failed = command(chapter.root)
    assert failed.returncode == 1 and "cell 2: Kernel died" in failed.stderr
    assert chapter.notebook.read_bytes() == before


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_the_old_notebook_and_nothing_else(chapter, kind):
    before, names = chapter.notebook.read_bytes(), folder(chapter)
    started = chapter.root / "started"
    replace(
        chapter.source,
        "import derivable\n",
        f"import time, pathlib\npathlib.Path({str(started)!r}).touch(); time.sleep(60)\n",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "derivable.book.execute"],
        cwd=chapter.root,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, kind)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert kind != signal.SIGINT or "cell 2: interrupted" in errors
    assert chapter.notebook.read_bytes() == before and folder(chapter) == names


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(chapter, monkeypatch):
    def no_space(source, target):
        raise OSError("No space left on device")

    before, names = chapter.notebook.read_bytes(), folder(chapter)
    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="No space"):
        write_whole(chapter.notebook, "half a notebook")
    assert chapter.notebook.read_bytes() == before and folder(chapter) == names


def test_the_budget_of_a_chapter_is_for_the_small_scale(monkeypatch):
    with pytest.raises(TooSlow, match="took 1000.0 CPU seconds, more than its"):
        require_budget(1000.0)
    monkeypatch.setenv("DERIVABLE_SCALE", "full")
    assert require_budget(1000.0) is None


def test_a_run_that_is_killed_while_it_writes_leaves_the_old_notebook_and_the_next_one_tidies_up(chapter):
    before, names = chapter.notebook.read_bytes(), folder(chapter)
    replace(chapter.source, "one third", "A third")
    dying = "import os; os.replace = lambda *paths: os.kill(os.getpid(), 9)\nfrom derivable.book.execute import main; main()"
    done = subprocess.run([sys.executable, "-c", dying], cwd=chapter.root, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert chapter.notebook.read_bytes() == before and folder(chapter) != names
    assert command(chapter.root).returncode == 0
    assert "A third is" in chapter.notebook.read_text(encoding="utf-8") and folder(chapter) == names


@pytest.mark.parametrize("reason", ["No space left on device", "Read-only file system"])
def test_a_folder_that_takes_no_file_is_said_and_keeps_the_old_notebook(chapter, monkeypatch, reason):
    def refuse(*arguments, **options):
        raise OSError(reason)

    before = chapter.notebook.read_bytes()
    monkeypatch.setattr(type(chapter.notebook), "write_text", refuse)
    with pytest.raises(SystemExit, match=rf"tiny\.md, cell 3: {reason}\n.*tiny\.ipynb was left as it was"):
        run(chapter, "tiny")
    assert chapter.notebook.read_bytes() == before
