"""The directives in a page of their own, with results that hold every kind of outcome."""

import json
import re
from pathlib import Path

import pytest
from sphinx.cmd.build import build_main

EXTENSIONS = Path(__file__).parents[2] / "book" / "_ext"
CONFIG = f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\nextensions = ['measurements']\n"
STARTED = {"date": "2026-01-02 03:04 UTC", "load": 0.5}
MACHINE = {
    "device": "cpu", "accelerator": None, "processor": "Abacus", "cores": 2, "threads": 1, "system": "Linux x86_64",
    "python": "3.11", "torch": "2.13.0",
}  # fmt: skip
FIT = {"claimed": 1, "fitted": 1.5, "interval": [1.4, 1.6]}


def side(name: str, **more: object) -> dict:
    measured = {"status": "measured", "error": 1e-7, "seconds": [1e-3, 2e-3, 3e-3], "memory": 2**20}
    return {"name": name, "target": None, "memory_target": None} | measured | more


def topic() -> dict:
    absent = {"name": "gone", "target": 2, "memory_target": None, "status": "absent", "message": "No module named gone"}
    peers = [
        side("close", target=2, ratio=[1.1, 1.25, 1.4]),
        side("far", target=2, ratio=[3, 4, 5]),
        side("large", memory_target=0.1, ratio=[1, 1, 1], memory=2**21),
        side("wrong", status="inexact", error=0.5, target=2),
        absent,
    ]
    comparison = {
        "name": "a thing", "measure": "relative", "tolerance": 1e-4, "rounds": 7, "sides": [side("ours"), *peers],
        "fraction_of_limit": 0.5, "profile": [["aten::mm", 0.75]], "note": "Physics.",
    }  # fmt: skip
    growth = {"name": "call", "variable": "n", "sizes": [1, 2, 4], "seconds": [1, 3, 8], "time": FIT}
    return {"title": "Toys", "started": STARTED, "load_at_the_end": 1.5, "ceilings": {"bytes": 2e9},
            "comparisons": [comparison], "growths": [growth]}  # fmt: skip


@pytest.fixture
def page(tmp_path):
    """Builds a page from the results of each machine and returns its text."""

    def build(**results: dict) -> str:
        (tmp_path / "conf.py").write_text(CONFIG)
        (tmp_path / "_toc.yml").write_text("root: index\n")
        (tmp_path / "index.rst").write_text("Page\n====\n\n.. benchmarks::\n\n.. timings::\n\n.. robustness::\n")
        folder = tmp_path / "benchmarks" / "results"
        folder.mkdir(parents=True)
        for name, result in results.items():
            (folder / f"{name}.json").write_text(json.dumps({"machine": MACHINE} | result))
        source = tmp_path / "chapters" / "training" / "tiny.md"
        source.parent.mkdir(parents=True)
        source.write_text("# A tiny chapter\n")
        assert build_main(["-q", "-W", str(tmp_path), str(tmp_path / "out")]) == 0
        html = (tmp_path / "out" / "index.html").read_text()
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.partition('role="main"')[2]))

    return build


def test_every_outcome_is_shown(page):
    text = page(toy={"topics": {"toys": topic()}})
    assert "Not measured on a GPU." in text and "Abacus, 2 cores, 1 thread(s)" in text and "load" in text
    assert "1.25 (1.1 to 1.4, target 2)" in text
    assert "absent No module named gone" in text
    assert "none: inexact 5.0e-01" in text
    assert "1.25 times as fast as close instead of 2 (at the machine's limit it would be 2.5)" in text.replace("’", "'")
    assert "50% of the memory of large instead of 10%" in text
    assert "instead of 2" not in text.partition("as fast as far")[2] and "as fast as far" not in text
    assert "Physics. Where our time goes: aten::mm 75%." in text
    assert "time in n 1 1.50 1.40 to 1.60 grows more" in text


def test_a_gpu_needs_no_excuse(page):
    text = page(toy={"topics": {"toys": topic()}, "machine": MACHINE | {"device": "cuda", "accelerator": "GPU 9"}})
    assert "Not measured on a GPU." not in text and "GPU 9" in text


def test_a_clean_clone_without_results_has_both_pages(page):
    text = page()
    assert "Not measured on a GPU." in text and "Not measured yet." in text


def test_timings_name_what_was_not_measured(page):
    text = page(toy={"book": {"started": STARTED, "html": 12.5, "chapters": {}}})
    assert "HTML from the stored outputs 12.5 s" in text
    assert "make test not measured" in text and "A tiny chapter not measured" in text


def test_what_robustness_was_found_is_shown(page):
    tiny = {
        "seeds": 20, "finished": 20, "assertions": 9, "failed": {"cell 3: x.all()": 2}, "estimates": {"mean": [0.1, 2.5]},
        "started": STARTED,
    }  # fmt: skip
    counts = {"kills": 8, "whole": 8, "no process left": 7, "next run": 8, "problems": []}
    faults = {
        "started": STARTED, "seed": 0, "kills": {"make execute": counts}, "others": {"full disk": "passed"},
        "planted": {"planted": 19, "caught": 18},
    }  # fmt: skip
    machines = {"started": STARTED, "outcomes": {"outputs, 2 threads": "failed: cell 3"}}
    text = page(toy={"seeds": {"training/tiny": tiny}, "faults": faults, "machines": machines})
    assert "20 of 20 9 assertions; did not hold: cell 3: x.all() (2 of 20 seeds) 1 of 2; largest 2.5" in text
    assert "make execute killed 8 times: the notebook was whole 8 times, no process was left 7 times" in text
    assert "full disk passed" in text and "18 of 19 caught" in text
    assert "outputs, 2 threads failed: cell 3" in text


def test_robustness_that_was_not_found_out_is_said_to_be_so(page):
    text = page(toy={"seeds": {}})
    assert "A tiny chapter not measured" in text and text.count("Not measured.") == 3
