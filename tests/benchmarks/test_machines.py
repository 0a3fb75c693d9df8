"""What a command did on another machine is said in a line."""

import sys

from benchmarks import machines


def test_a_command_passes_fails_with_its_reason_or_is_not_tried():
    assert machines.outcome([sys.executable, "-c", ""]).startswith("passed in 0.")
    failing = "print('FAILED tests/test_a.py::test_b'); raise SystemExit(1)"
    assert machines.outcome([sys.executable, "-c", failing]) == "failed: FAILED tests/test_a.py::test_b"
    assert machines.outcome(["no-such-program-as-this-one"]).startswith("not tried: ")


def test_a_command_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(machines, "HOUR", 0.1)
    assert machines.outcome([sys.executable, "-c", "import time; time.sleep(60)"]) == "stopped after an hour"


def test_this_python_is_found_and_one_that_was_never_made_is_not():
    assert machines.find_python(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert machines.find_python("3.999") is None


def test_the_other_language_is_not_english():
    assert not machines.other_language().startswith(("en", "C", "POSIX"))
