"""Code mutants: would the tests have noticed? One small change at a time in a topic's module, made by mutmut in a copy.

mutmut lives in an environment of its own (``make code-mutants`` puts it on the path). It leaves functions with a decorator alone.
"""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from derivable.book.chapters import Chapter, find_chapter, find_chapters, find_root
from derivable.book.execute import write_whole

STORED = Path("benchmarks", "scores", "code-mutants.json")
EXPLAINED = Path("book", "code-survivors.yml")
UNNOTICED = ("survived", "no tests")
CONFIGURATION = """
[tool.mutmut]
source_paths = ["src/derivable/{module}.py"]
also_copy = ["src", "tests"]
process_isolation = "forkserver"
timeout_multiplier = 6.0
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist"]
pytest_add_cli_args_test_selection = ["tests/{tests}.py"]
"""
FORGET = """

import importlib
import pytest

@pytest.fixture(autouse=True)
def no_test_sees_what_another_one_cached():
    for value in vars(importlib.import_module("{name}")).values():
        getattr(value, "cache_clear", lambda: None)()
"""


def module_of(chapter: Chapter) -> Path:
    return chapter.root / "src" / "derivable" / chapter.part / f"{chapter.topic.replace('-', '_')}.py"


def digest(chapter: Chapter) -> str:
    """A hash of the module: where two agree, the mutants and the sample of them were the same."""
    return hashlib.sha256(module_of(chapter).read_bytes()).hexdigest()[:12]


def examine(chapter: Chapter, sample: int, before: dict | None = None) -> dict:
    """Run the topic's tests on ``sample`` mutants of its module (0: on all), drawn with a fixed seed.

    With the result ``before``, only its survivors are tried again; tests may have been added since, not taken away.
    """
    from mutmut.mutation.file_mutation import mutate_file_contents  # not one of the book's packages

    module = module_of(chapter)
    name = f"derivable.{chapter.part}.{module.stem}"
    made = mutate_file_contents(str(module), module.read_text(encoding="utf-8")).mutant_names
    drawn = random.Random(chapter.topic).sample(made, sample) if 0 < sample < len(made) else list(made)
    tried = [survivor["name"] for survivor in before["survivors"]] if before else drawn
    outcome = outcomes(chapter, name, tried) if tried else {}
    survivors = [{"name": mutant, "change": shown} for mutant, (kind, shown) in outcome.items() if kind in UNNOTICED]
    killed = sum(kind == "killed" for kind, _ in outcome.values()) + (before["killed"] if before else 0)
    count = before["drawn"] if before else len(drawn)
    hung = count - killed - len(survivors)
    return {"module": digest(chapter), "made": len(made), "drawn": count, "killed": killed, "timed_out": hung, "survivors": survivors}


def outcomes(chapter: Chapter, name: str, mutants: list[str]) -> dict[str, tuple[str, str]]:
    """What became of each mutant, and the change that a survivor makes, from a run in a copy of the working tree."""
    with tempfile.TemporaryDirectory(prefix="code-mutants-") as folder:
        list_files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "src", "tests", "pyproject.toml"]
        listed = subprocess.run(list_files, cwd=chapter.root, capture_output=True, text=True, check=True).stdout
        for file in filter(None, listed.split("\0")):
            if (chapter.root / file).is_file():
                Path(folder, file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(chapter.root / file, Path(folder, file))
        module = f"{chapter.part}/{name.rpartition('.')[2]}"
        tests = f"{chapter.part}/test_{name.rpartition('.')[2]}"
        with Path(folder, "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(module=module, tests=tests))
        with Path(folder, "tests", "conftest.py").open("a", encoding="utf-8") as file:
            file.write(FORGET.format(name=name))
        mutmut(folder, "run", *(f"{name}.{mutant}" for mutant in mutants))
        lines = mutmut(folder, "results", "--all", "true").splitlines()
        kinds = dict(line.strip().removeprefix(f"{name}.").split(": ") for line in lines if ": " in line)
        unknown = [mutant for mutant in mutants if kinds[mutant] in ("not checked", "check was interrupted by user")]
        if unknown:
            raise ValueError(f"every mutant must have been tried, not so {unknown}")
        shown = {mutant: mutmut(folder, "show", f"{name}.{mutant}") for mutant in mutants if kinds[mutant] in UNNOTICED}
        return {mutant: (kinds[mutant], change(shown.get(mutant, ""))) for mutant in mutants}


def mutmut(folder: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "mutmut", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "🎉" not in line]  # without the counter
        raise ValueError("\n".join([f"mutmut must succeed, got status {done.returncode} and", *said[-30:]]))
    return done.stdout


def change(shown: str) -> str:
    """The changed lines of a diff in one line."""
    lines = [line for line in shown.splitlines() if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    return " → ".join(" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")


def read_stored(root: Path) -> dict[str, dict]:
    """The stored results by topic."""
    path = root / STORED
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def read_explanations(root: Path) -> dict[str, dict[str, str]]:
    """Why a mutant may survive: topic -> its name -> a sentence."""
    return yaml.safe_load((root / EXPLAINED).read_text(encoding="utf-8")) or {}


def score(result: dict) -> float:
    """The share of the mutants that the tests noticed; an explained survivor counts as not noticed."""
    return 1 - len(result["survivors"]) / result["drawn"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("topic", nargs="?", help="one topic (default: all)")
    parser.add_argument("--sample", type=int, default=60, help="so many mutants a module, 0 for all (default: 60)")
    parser.add_argument("--again", action="store_true", help="only what survived the last time, where the module is the same")
    options = parser.parse_args()
    root = find_root()
    chapters = [find_chapter(root, options.topic.replace("_", "-"))] if options.topic else find_chapters(root)
    reasons, unexplained = read_explanations(root), 0
    print(f"{'topic':30} {'possible':>8} {'made':>5} {'killed':>7} {'timed out':>10} {'survived':>9} {'explained':>10} {'score':>7}")
    for chapter in chapters:
        before = read_stored(root).get(chapter.topic)
        known = options.again and before and before["module"] == digest(chapter)
        result = examine(chapter, options.sample, before if known else None)
        stored = read_stored(root) | {chapter.topic: result}
        write_whole(root / STORED, json.dumps(dict(sorted(stored.items())), indent=1, ensure_ascii=False) + "\n")
        why = {survivor["name"]: reasons.get(chapter.topic, {}).get(survivor["name"]) for survivor in result["survivors"]}
        explained = sum(map(bool, why.values()))
        unexplained += len(why) - explained
        print(
            f"{chapter.topic:30} {result['made']:8} {result['drawn']:5} {result['killed']:7} {result['timed_out']:10} "
            f"{len(why):9} {explained:10} {score(result):7.1%}"
        )
        for survivor in result["survivors"]:
            print(f"  {survivor['name']}: {survivor['change']}\n    {why[survivor['name']] or 'NOT EXPLAINED'}", flush=True)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
