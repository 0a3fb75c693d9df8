"""Is it the same elsewhere? ``python -m benchmarks.machines [resolve] [outputs] [suite]`` asks other Pythons and settings.

resolve: pip finds all pinned packages, as wheels, for each Python (a minute or two each; needs the package index).
outputs: every chapter runs again, its outputs compared (nbval), with another number of threads, with other budgets of
    calls, and at a path with spaces and letters outside ASCII, in another language, with a home that cannot be written
    (as long as `make compare`, each).
suite: an environment for every other Python that is installed here, and the unit tests in it (10 to 20 minutes each).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.__main__ import load, say, store
from benchmarks.harness import machine, moment
from derivable.book.chapters import find_chapter, find_root

PYTHONS = ("3.11", "3.12", "3.13")
NOT_COPIED = (".git", ".venv", "node_modules", "_build", "__pycache__", ".pytest_cache", ".hypothesis", ".ruff_cache")
HOUR = 3600  # seconds; what takes longer is stopped, and said to be


def outcome(command: list[str | Path], **options) -> str:
    """``passed`` with the minutes that it took, or the last lines of what was printed."""
    start = time.monotonic()
    try:
        done = subprocess.run(command, timeout=HOUR, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    except subprocess.TimeoutExpired:
        return "stopped after an hour"
    except OSError as error:
        return f"not tried: {error}"
    if done.returncode == 0:
        return f"passed in {(time.monotonic() - start) / 60:.1f} minutes"
    lines = [line for line in done.stdout.splitlines() if re.match(r"FAILED|ERROR|E  ", line)] or done.stdout.splitlines()[-3:]
    return "failed: " + "; ".join(lines[:5])[:500]


def resolve(root: Path, version: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        target = ["--target", folder, "--python-version", version, "--only-binary=:all:"]
        return outcome([sys.executable, "-m", "pip", "install", "--dry-run", "-qq", *target, "-r", root / "requirements.txt"])


def other_language() -> str:
    """A language of this machine that is not English, or German all the same: programs then fall back to their own."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split() if shutil.which("locale") else []
    return next((name for name in known if not re.match(r"C|POSIX|en", name)), "de_DE.UTF-8")


def outputs(root: Path, topic: str) -> Iterator[tuple[str, str]]:
    """The stored outputs against those of another run, under settings that are named."""
    notebook = find_chapter(root, topic).notebook.relative_to(root) if topic else "book"
    command = [sys.executable, "-m", "pytest", "--nbval", notebook, "--nbval-cell-timeout=240", "-q", "-p", "no:cacheprovider"]
    with tempfile.TemporaryDirectory() as outside:
        copy = shutil.copytree(root, Path(outside) / "größe und raum", ignore=shutil.ignore_patterns(*NOT_COPIED))
        home = Path(outside) / "home"
        home.mkdir(mode=0o555)
        freeze = 'mount --bind "$HOME" "$HOME" && mount -o remount,bind,ro "$HOME" && exec "$@"'
        frozen = ["unshare", "-m", "sh", "-c", freeze, "sh"] if os.geteuid() == 0 else []  # modes do not stop the superuser
        language = other_language()
        elsewhere = {"LC_ALL": language, "LANGUAGE": language, "HOME": str(home), "PYTHONPATH": str(copy / "src")}
        elsewhere["MPLCONFIGDIR"] = str(Path(outside) / "matplotlib")  # or it says in the first cell that it found no place
        settings = {
            "1 thread": (command, root, {"OMP_NUM_THREADS": "1"}),
            "2 threads": (command, root, {"OMP_NUM_THREADS": "2"}),
            "budgets of calls a fifth smaller": (command, root, {"DERIVABLE_BUDGET": "0.8"}),
            "budgets of calls a quarter larger": (command, root, {"DERIVABLE_BUDGET": "1.25"}),
            f"a path like {copy.name!r}, LC_ALL={language}, a home that cannot be written": ([*frozen, *command], copy, elsewhere),
        }
        for name, (words, folder, environment) in settings.items():
            yield name, outcome(words, cwd=folder, env=os.environ | environment)


def find_python(version: str) -> str | None:
    """A Python of that version: on the path, or one that pyenv keeps aside."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python")
    for name in (shutil.which(f"python{version}"), *map(str, kept)):
        if name and subprocess.run([name, "--version"], capture_output=True).returncode == 0:
            return name
    return None


def suite(root: Path, version: str) -> str:
    """The unit tests in a new environment of that Python, with everything pinned."""
    base = find_python(version)
    if base is None:
        return "not tried: this Python is not installed here"
    with tempfile.TemporaryDirectory() as outside:
        copy = shutil.copytree(root, Path(outside) / "book", ignore=shutil.ignore_patterns(*NOT_COPIED))
        python = Path(outside) / "venv" / "bin" / "python"
        pip = [python, "-m", "pip", "install", "-qq", "--no-input"]
        steps = (
            [base, "-m", "venv", python.parents[1]],
            [*pip, "-r", "requirements.txt"],
            [*pip, "--no-build-isolation", "--no-deps", "-e", "."],
            [python, "-m", "pytest", "tests", "--ignore=tests/page", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider"],
        )
        for step in steps:
            result = outcome(step, cwd=copy)
            if not result.startswith("passed"):
                break
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask other Pythons and other settings for the same book.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="resolve, outputs, suite (default: all three)")
    parser.add_argument("--chapter", default="", help="compare the outputs of this one only")
    options = parser.parse_args()
    parts, root = options.parts or ["resolve", "outputs", "suite"], find_root()
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    path = root / "benchmarks" / "results" / f"{machine()['name']}.json"
    outcomes = {}

    def found(what: str, result: str) -> None:
        """Said and stored at once: the next one may take an hour."""
        say(f"{what}: {result}")
        outcomes[what] = result
        known = load(path).get("machines", {}).get("outcomes", {})
        store(path, "machines", {"started": moment(), "outcomes": known | outcomes})

    if "resolve" in parts:
        for version in PYTHONS:
            found(f"packages for Python {version}", resolve(root, version))
    if "outputs" in parts:
        of_one = f" of {options.chapter}" if options.chapter else ""
        for setting, result in outputs(root, options.chapter):
            found(f"outputs{of_one}, {setting}", result)
    if "suite" in parts:
        for version in [version for version in PYTHONS if version != here]:
            found(f"unit tests with Python {version}", suite(root, version))
    if any(result.startswith(("failed", "stopped")) for result in outcomes.values()):
        sys.exit("Not everything is the same elsewhere.")


if __name__ == "__main__":
    main()
