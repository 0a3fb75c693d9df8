"""Other seeds are really other seeds, what comes before the first one runs once, and a failure does not hide the next."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmarks.seeds import APART, summarise

ROOT = Path(__file__).parents[2]
HEAD = """\
---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# Tiny
"""
CELLS = [
    """\
import torch
from derivable import evidence
from derivable.claims import Domain, real
with open("log", "a") as log:
    log.write("before ")""",
    """\
def generator(seed):
    return torch.Generator().manual_seed(seed)
x = torch.rand(1, generator=generator(5)).item()
assert x > 0.5
assert 0 <= x < 1""",
    """\
D = Domain(a=real())
draws = torch.randn(1000, generator=generator(6), dtype=torch.float64)
for name, value in (("right", D["a"]), ("wrong", D["a"] + 1)):
    evidence.estimate(name, "A mean", D, D["a"], value, at={"a": 0}, samples=draws, seed=6, because="normal draws")""",
    "1 / 0",
    "assert True, 'the cell after an error runs'",
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the command stored about a chapter of these cells, the folder, and what it printed."""
    book = tmp_path_factory.mktemp("book")
    (book / "_toc.yml").touch()
    (book / "requirements.txt").touch()
    (book / "chapters" / "training").mkdir(parents=True)
    (book / "benchmarks").mkdir()
    cells = "".join(f"\n```{{code-cell}} ipython3\n{cell}\n```\n" for cell in CELLS)
    (book / "chapters" / "training" / "tiny.md").write_text(HEAD + cells, encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.seeds", "tiny", "--seeds", "3"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=book, env=environment, check=True, capture_output=True, text=True)
    (file,) = (book / "benchmarks" / "results").iterdir()
    return json.loads(file.read_text(encoding="utf-8"))["seeds"]["training/tiny"], book, done.stdout


def test_every_seed_is_another_one(measured):
    result, _, _ = measured
    draws = [torch.rand(1, generator=torch.Generator().manual_seed(5 + k * APART)).item() for k in (1, 2, 3)]
    low = sum(x <= 0.5 for x in draws)
    assert 0 < low < 3  # so that both outcomes are seen
    assert result["failed"]["cell 3: x > 0.5"] == low
    assert "cell 3: 0 <= x < 1" not in result["failed"]


def test_a_right_estimate_holds_and_a_wrong_one_does_not(measured):
    result, _, _ = measured
    right, wrong = result["estimates"]["right"], result["estimates"]["wrong"]
    assert len(set(right)) == 3 and max(right) < 4.5 < min(wrong)
    assert "right" not in result["failed"] and result["failed"]["wrong"] == 3


def test_an_error_is_counted_and_the_rest_still_runs(measured):
    result, _, printed = measured
    assert result["failed"]["cell 5: ZeroDivisionError: division by zero"] == 3
    assert (result["seeds"], result["finished"], result["assertions"]) == (3, 3, 4)
    assert "not held by 3 of 3 seeds: wrong" in printed


def test_what_comes_before_the_first_seed_runs_once(measured):
    assert (measured[1] / "log").read_text() == "before "


def test_an_assertion_in_a_loop_holds_where_it_always_does():
    result = summarise([[["a", True, None], ["a", False, None]], [["a", True, None], ["a", True, None]]], 2)
    assert result["failed"] == {"a": 1} and result["assertions"] == 1
