"""The hashes that an installation demands are those of the versions that the book names."""

import re
from pathlib import Path

import pytest

from derivable.book.chapters import find_root

pytestmark = pytest.mark.safety
ROOT = find_root(Path(__file__).parent)
PIN = re.compile(r"^([a-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / name).read_text(encoding="utf-8")))


def test_every_version_but_torch_has_hashes_and_no_other_has():
    named = pins("requirements.txt")
    assert named.pop("torch")
    assert pins("requirements.lock") == named


def test_every_locked_package_has_a_hash():
    blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.lock").read_text(encoding="utf-8"))[1:]
    assert len(blocks) > 100
    assert [block for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)] == []
