"""Does what SECURITY.md promises hold? ``python -m benchmarks.safety [notebooks] [tests] [packages]`` looks, and stores it.

notebooks: every chapter runs while Python reports each file that it writes and each host that it asks (two minutes).
tests: those marked ``safety``: what a live cell and a statement file can reach, and what the pages may load (they need the HTML).
packages: how many are installed by hash, and whether a vulnerability of one is known (needs the service that `make audit` asks).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot

from benchmarks.__main__ import RESULTS, say, store
from benchmarks.harness import machine, moment
from benchmarks.machines import outcome
from derivable.book.chapters import Chapter, find_chapters, find_root
from derivable.book.freshness import cells_as_python

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.truncate": 1}  # paths
HOSTS = {"socket.connect": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}  # which argument is the address


def watch(chapter: Chapter) -> list[str]:
    """What the chapter's cells write outside its folder and the temporary files, and which hosts they ask, in words.

    It sees what goes through Python, not what compiled code does by itself. The watch cannot be taken off: run it in a process of its own.
    """
    os.chdir(chapter.source.parent)
    allowed = [Path(folder).resolve() for folder in (".", tempfile.gettempdir(), os.devnull)]
    seen: list[str] = []

    def note(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes) and arguments[2] & WRITES:
            paths = arguments[:1]
        elif event in CHANGES:
            paths = arguments[: CHANGES[event]]
        else:
            if event in HOSTS:
                seen.append(f"{chapter.name} asks {arguments[HOSTS[event]]}")
            return
        for path in (Path(os.fsdecode(path)).resolve() for path in paths):
            if not any(path.is_relative_to(folder) for folder in allowed):
                seen.append(f"{chapter.name} writes {path}")

    warnings.simplefilter("ignore")
    matplotlib.use("agg")
    matplotlib.pyplot.figure()  # its own files of fonts, once for each machine
    sys.dont_write_bytecode = True
    codes, names = cells_as_python(chapter), {"__name__": "__main__"}
    sys.addaudithook(note)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        for number, code in enumerate(codes, 1):
            exec(compile(code, f"code cell {number}", "exec"), names)
    return sorted(set(seen))


def notebooks(root: Path) -> str:
    chapters = find_chapters(root)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        seen = [line for found in processes.map(watch, chapters) for line in found]
    return "failed: " + "; ".join(seen) if seen else f"{len(chapters)} of {len(chapters)} chapters write nothing there and ask no host"


def hashes(root: Path) -> str:
    named, hashed = (len(re.findall("^[a-zA-Z].*==", (root / name).read_text(encoding="utf-8"), re.MULTILINE))
                     for name in ("requirements.txt", "requirements.lock"))
    return f"{hashed} of {named} packages"


def vulnerabilities(root: Path) -> str:
    done = subprocess.run(["make", "audit"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        return "none"
    unknown = re.search(r"could not be audited: (.*)", done.stdout)
    return f"not known: the service has no answer for {unknown[1]}" if unknown else "failed: " + " ".join(done.stdout.split())[-300:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Look whether the book's safety holds.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="notebooks, tests, packages (default: all three)")
    parts = parser.parse_args().parts or ["notebooks", "tests", "packages"]
    root, outcomes = find_root(), {}
    looks = {
        "notebooks": {"what notebooks write outside their folder and temporary files, and the hosts they ask": notebooks},
        "tests": {"tests of what live cells, statement files, pages and the server can reach":
                  lambda root: outcome([sys.executable, "-m", "pytest", "tests", "-m", "safety", "-q"], cwd=root)},
        "packages": {"packages installed by hash": hashes, "known vulnerabilities of the packages": vulnerabilities},
    }
    for part in parts:
        for what, look in looks[part].items():
            outcomes[what] = look(root)
            say(f"{what}: {outcomes[what]}")
    store(RESULTS / f"{machine()['name']}.json", "safety", {"started": moment(), "outcomes": outcomes})
    if any(result.startswith("failed") for result in outcomes.values()):
        sys.exit("Something is not as safe as SECURITY.md says.")


if __name__ == "__main__":
    main()
