"""What a fault leaves behind: ``python -m benchmarks.faults [PART ...]`` kills runs, fills the disk, takes the network away.

A small book, with the tools and the Makefile of this one, is made in a temporary folder. Its commands are killed at random
moments (the seed fixes them); each time no file may be half written, no process may be left, and the same command must
then succeed. Other faults must end with a message that says what happened, and with the old notebook in place.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil

from benchmarks.__main__ import load, say, store
from benchmarks.harness import machine, moment
from derivable.book.chapters import find_chapter, find_root
from derivable.book.execute import is_fresh

COPIED = ("Makefile", "_config.yml", "jupytext.toml", "pyproject.toml", "requirements.txt", "src", "book/_ext", "book/_static",
          "book/references.bib", "package-lock.json", "tests/book/conftest.py", "tests/book/test_freshness.py")  # fmt: skip
CONTENTS = """\
format: jb-book
root: book/index
parts:
- caption: Probability
  chapters:
  - file: book/probability/tiny
"""
CHAPTER = """\
---
kernelspec: {display_name: Python 3 (ipykernel), language: python, name: python3}
---

# Tiny

Version 0 of the text.

```{code-cell} ipython3
import time
from derivable.claims import Domain, derive, equals, real
```

```{code-cell} ipython3
D = Domain(x=real())
(x,) = D
derive("square", "A square", D, (x + 1)**2, equals(x**2 + 2*x + 1, because="expand"))
```

```{code-cell} ipython3
time.sleep(0.5)
print("the end")
```
"""
COMMANDS = {"make execute": 8, "make html": 6, "make read": 3, "make unit": 4, "make compare": 3}  # how often each is killed
READY = ("-o", ".venv/.ready", "-o", "node_modules/.ready")  # both belong to the real book: they are used, never made
MARK = "DERIVABLE_FAULTS"  # in the environment of every process of the small book
DEMANDS = ("whole", "no process left", "next run")
PATIENCE = 30  # seconds in which everything that was killed, or whose parent was, is gone


class Book:
    """The small book, and how its commands are run."""

    def __init__(self, root: Path, folder: Path):
        self.folder = folder
        for name in COPIED:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (root / name).is_dir() else shutil.copy2)(root / name, folder / name)
        for name, target in ((".venv", Path(sys.prefix)), ("node_modules", root / "node_modules")):
            (folder / name).symlink_to(target)
        (folder / "_toc.yml").write_text(CONTENTS, encoding="utf-8")
        (folder / "book" / "index.md").write_text("# Small\n\nA book.\n", encoding="utf-8")
        (folder / "chapters" / "probability").mkdir(parents=True)
        (folder / "chapters" / "probability" / "tiny.md").write_text(CHAPTER, encoding="utf-8")
        self.chapter = find_chapter(folder, "tiny")
        self.version = 0
        self.environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "CI")}
        self.environment |= {"PYTHONPATH": str(folder / "src"), MARK: str(folder)}

    def start(self, command: str, *prefix: str, output: int = subprocess.PIPE) -> subprocess.Popen:
        return subprocess.Popen([*prefix, *command.split(), *READY], cwd=self.folder, env=self.environment, start_new_session=True,
                                text=True, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)  # fmt: skip

    def run(self, command: str, *prefix: str) -> tuple[int, str]:
        """The exit status of the finished command and what it printed."""
        process = self.start(command, *prefix)
        printed, _ = process.communicate(timeout=300)
        return process.returncode, printed

    def edit(self) -> None:
        """A new version of the chapter's text, which makes the notebook stale."""
        old, self.version = self.version, self.version + 1
        text = self.chapter.source.read_text(encoding="utf-8")
        self.chapter.source.write_text(text.replace(f"Version {old} ", f"Version {self.version} "), encoding="utf-8")

    def processes(self) -> list[psutil.Process]:
        """Every process of the small book that still runs."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            try:
                if process.environ().get(MARK) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:  # it ended meanwhile, or belongs to someone else
                continue
        return found

    def notebook(self) -> bytes:
        return self.chapter.notebook.read_bytes()

    def is_fresh(self) -> bool:
        """Whether the notebook is whole and came from the present source."""
        try:
            return is_fresh(self.chapter)
        except ValueError:  # half a notebook
            return False

    def files(self) -> set[str]:
        """What is in the folder, apart from what any run may leave there."""
        caches = ("_build", "__pycache__", ".pytest_cache", ".hypothesis", ".ipynb_checkpoints")
        paths = (path.relative_to(self.folder) for path in self.folder.rglob("*"))
        return {str(path) for path in paths if not set(caches) & set(path.parts)}

    def pages(self) -> dict[str, str]:
        """The text of every built page. A second undisturbed build may give a style sheet the digest that the first left out."""
        pages = self.folder.glob("_build/html/**/*.html")
        return {str(page.relative_to(self.folder)): re.sub(r"\?v=\w+", "", page.read_text(encoding="utf-8")) for page in pages}


def serve_until_asked(book: Book) -> tuple[int, str]:
    """``make read`` until its address answers with the book, then Ctrl-C."""
    process = book.start("make read")
    printed = ""
    for line in process.stdout:
        printed += line
        if found := re.search(r"http://localhost:\d+/", line):
            with urllib.request.urlopen(found[0]) as answer:
                served = b"index" in answer.read()
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=PATIENCE)
            return (0 if served else 1), printed
    return process.wait() or 1, printed


def finish(book: Book, command: str) -> tuple[int, str]:
    return serve_until_asked(book) if command == "make read" else book.run(command)


def kill(book: Book, command: str, after: float, draw: random.Random) -> str:
    """Start the command, kill it or all of its group after so many seconds, and say how; nothing where it was done before."""
    process = book.start(command, output=subprocess.DEVNULL)
    time.sleep(after)
    if process.poll() is not None:
        return ""
    kind = draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
    if draw.random() < 0.5 or kind != signal.SIGKILL:  # the terminal sends the gentle ones to all of the group
        os.killpg(process.pid, kind)
    else:
        victim = draw.choice(psutil.Process(process.pid).children(recursive=True) or [psutil.Process(process.pid)])
        victim.kill()
    with suppress(subprocess.TimeoutExpired):  # then it is found among the processes that are left
        process.wait(timeout=PATIENCE)
    return kind.name


def kills(book: Book, command: str, count: int, draw: random.Random) -> dict:
    """Kill the command so many times and count what was whole afterwards, and how often the next run succeeded."""
    book.edit()
    start = time.monotonic()
    status, printed = finish(book, command)
    whole = time.monotonic() - start
    if status:
        raise RuntimeError(f"{command} fails without any fault:\n{printed}")
    counts = {"kills": 0, **dict.fromkeys(DEMANDS, 0), "problems": []}
    files, pages = book.files(), book.pages()
    while counts["kills"] < count:
        if command == "make execute":
            book.edit()
        if command in ("make html", "make read"):
            shutil.rmtree(book.folder / "_build" / "html")  # every page is written again
        before, after = book.notebook(), draw.uniform(0.05, whole)
        how = kill(book, command, after, draw)
        if not how:
            whole = after  # it was quicker this time
            continue
        counts["kills"] += 1
        end = time.monotonic() + PATIENCE
        while (left := book.processes()) and time.monotonic() < end:
            time.sleep(0.2)
        names = [process.info["cmdline"] for process in left]
        for process in left:
            process.kill()
        counts["no process left"] += not left
        now = book.notebook()
        counts["whole"] += now == before or book.is_fresh()  # the old one, or a new one with all its hashes
        status, printed = finish(book, command)
        problem = printed if status else trouble(book, command, files, pages)
        counts["next run"] += not problem
        if problem or left:
            counts["problems"].append(f"{how} after {after:.1f} s: {problem or f'left running: {names}'}"[-600:])
    return counts


def trouble(book: Book, command: str, files: set[str], pages: dict[str, str]) -> str:
    """What is not as after a run that nothing disturbed; nothing where all is well."""
    if command == "make execute":
        if not book.is_fresh() or nbformat.read(book.chapter.notebook, as_version=4).cells[-1].outputs[0].text != "the end\n":
            return "the notebook is not the one of this source"
    if command in ("make html", "make read"):
        now = book.pages()
        changed = [name for name in sorted(pages | now) if pages.get(name) != now.get(name)]
        if changed:
            return f"pages differ from those of an undisturbed build: {', '.join(changed)}"
    extra = book.files() ^ files
    return f"files appeared or disappeared: {', '.join(sorted(extra))}" if extra else ""


# ---- Other faults: each gives what went wrong with the demand, or nothing.


def refused(book: Book, message: str, *prefix: str) -> str:
    """``make execute`` must fail with the message and leave the notebook as it was."""
    book.edit()
    before, files = book.notebook(), book.files()
    status, printed = book.run("make execute", *prefix)
    if status == 0 or not re.search(message, printed) or "Traceback" in printed:
        return f"status {status}, printed: {printed[-400:]}"
    if book.notebook() != before or book.files() != files:
        return "the notebook or the folder changed"
    status, printed = book.run("make execute")
    return printed[-400:] if status else ""


def disk_full(book: Book) -> str:
    """The folder of the notebooks is on a disk with no room for another one."""
    script = """cd "$1" && shift
        folder=book/probability; old=$(cat $folder/tiny.ipynb)
        mount -t tmpfs -o size=64k tmpfs $folder && printf '%s\\n' "$old" > $folder/tiny.ipynb && cat /dev/zero > $folder/full 2> /dev/null
        "$@"; status=$?
        printf '%s\\n' "$old" | cmp - $folder/tiny.ipynb && echo and then there are: $(ls -A $folder); exit $status"""
    said = r"No space left on device(.|\n)*and then there are: full tiny.ipynb\n"
    return refused(book, said, "unshare", "-m", "sh", "-c", script, "sh", str(book.folder))


def read_only(book: Book) -> str:
    script = """mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$1" && shift && exec "$@\""""
    return refused(book, "Read-only file system", "unshare", "-m", "sh", "-c", script, "sh", str(book.folder))


def no_network(book: Book) -> str:
    """Everything after the installation works with no network but the machine's own loop."""
    loop = """import fcntl, os, socket, struct, sys
UP, SIOCSIFFLAGS = 1, 0x8914
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any:
    fcntl.ioctl(any, SIOCSIFFLAGS, struct.pack("16sh", b"lo", UP))
os.execvp(sys.argv[1], sys.argv[1:])"""
    book.edit()
    for command in ("make execute", "make html", "make compare"):
        status, printed = book.run(command, "unshare", "-n", sys.executable, "-c", loop)
        if status:
            return f"{command}: {printed[-400:]}"
    return ""


def no_compiler(book: Book) -> str:
    """No program on the path but what the environment brings, make and a shell."""
    tools = book.folder / "_build" / "bin"
    tools.mkdir(parents=True, exist_ok=True)
    for name in ("make", "sh", "env", "mkdir", "echo", "touch"):
        (tools / name).unlink(missing_ok=True)
        (tools / name).symlink_to(shutil.which(name))
    book.edit()
    for command in ("make execute", "make html", "make unit"):
        status, printed = book.run(command, "env", f"PATH={tools}", "CC=false", "CXX=false")
        if status:
            return f"{command}: {printed[-400:]}"
    return ""


def dead_kernel(book: Book) -> str:
    """The kernel dies in the middle of the chapter."""
    text = book.chapter.source.read_text(encoding="utf-8")
    book.chapter.source.write_text(text.replace("time.sleep(0.5)", "import os; os._exit(1)"), encoding="utf-8")
    before = book.notebook()
    status, printed = book.run("make execute")
    book.chapter.source.write_text(text, encoding="utf-8")
    good = status and "cell 4: Kernel died" in printed and book.notebook() == before
    return "" if good else printed[-400:]


def busy_port(book: Book) -> str:
    """Two readers at once: the second gets another port."""
    first = book.start("make read")
    printed = ""
    for line in first.stdout:
        printed += line
        if "http://localhost" in line:
            break
    status, second = serve_until_asked(book)
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=PATIENCE)
    ports = [re.findall(r"localhost:(\d+)", text) for text in (printed, second)]
    return "" if status == 0 and ports[0] != ports[1] else f"ports {ports}, {second[-300:]}"


OTHERS: dict[str, tuple[Callable[[Book], str], str]] = {  # what is done, and the namespace that it needs
    "full disk": (disk_full, "-m"),
    "read-only checkout": (read_only, "-m"),
    "dead kernel": (dead_kernel, ""),
    "busy port": (busy_port, ""),
    "no network after the installation": (no_network, "-n"),
    "no compiler": (no_compiler, ""),
}


def planted(root: Path) -> dict:
    """How many of the failures that the tests plant are caught."""
    command = [sys.executable, "-m", "pytest", "tests/book/test_planted.py", "-q", "-p", "no:cacheprovider"]
    printed = subprocess.run(command, cwd=root, capture_output=True, text=True).stdout
    caught, made = map(int, re.search(r"planted failures: (\d+) of (\d+) caught", printed).groups())
    return {"planted": made, "caught": caught}


def can(namespace: str) -> bool:
    """Whether this machine lets a command have its own mounts or network."""
    return not namespace or (
        bool(shutil.which("unshare")) and subprocess.run(["unshare", namespace, "true"], capture_output=True).returncode == 0
    )


def main() -> None:
    parts = [*COMMANDS, *OTHERS, "planted"]
    parser = argparse.ArgumentParser(description="Disturb the commands of a small book and see what is left.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(parts)} (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    options = parser.parse_args()
    unknown = set(options.parts) - set(parts)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it, and theirs
    root = find_root()
    path = root / "benchmarks" / "results" / f"{machine()['name']}.json"
    good = True
    with tempfile.TemporaryDirectory(prefix="derivable-faults-") as folder:
        book = Book(root, Path(folder).resolve() / "small book")
        status, printed = book.run("make execute")
        if status:
            sys.exit(f"The small book does not run without any fault:\n{printed}")
        for part in options.parts or parts:
            found, words, whole = disturb(root, book, part, options.seed)
            good &= whole
            say(f"{part}: {words}")
            store(path, "faults", {"started": moment(), "seed": options.seed, **merged(load(path).get("faults", {}), found)})
    if not good:
        sys.exit("Not every fault was survived.")


def disturb(root: Path, book: Book, part: str, seed: int) -> tuple[dict, str, bool]:
    """What was found in one part: the figures, the same in words, and whether all is well."""
    if part in COMMANDS:
        counts = kills(book, part, COMMANDS[part], random.Random(f"{part} {seed}"))
        words = (f"killed {counts['kills']} times; the notebook was whole {counts['whole']} times, no process was left "
                 f"{counts['no process left']} times, the next run succeeded {counts['next run']} times")  # fmt: skip
        words = "\n  ".join([words, *counts["problems"]])
        return {"kills": {part: counts}}, words, all(counts[demand] == counts["kills"] for demand in DEMANDS)
    if part in OTHERS:
        fault, namespace = OTHERS[part]
        outcome = (fault(book) or "passed") if can(namespace) else "not tried: this machine does not allow it"
        return {"others": {part: outcome}}, outcome, outcome == "passed" or outcome.startswith("not tried")
    found = planted(root)
    return {"planted": found}, f"{found['caught']} of {found['planted']} failures caught", found["caught"] == found["planted"]


def merged(known: dict, found: dict) -> dict:
    """What is known with what was found now, part by part."""
    return {kind: known.get(kind, {}) | values for kind, values in found.items()}


if __name__ == "__main__":
    main()
