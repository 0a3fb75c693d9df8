"""A chapter that writes where it should not, or asks a host, is named; one that keeps to its folder is not."""

import re

import pytest
from benchmarks import safety

PAGE = """\
---
kernelspec: {{display_name: Python 3, language: python, name: python3}}
---

# {topic}

```{{code-cell}} ipython3
{code}
```
"""
CODES = {
    "tame": "import tempfile\nopen('beside', 'w').close()\nopen(__import__('os').devnull, 'w').close()\ntempfile.TemporaryFile().close()",
    "writer": "from pathlib import Path\n(Path('..') / '..' / 'stray').write_text('x')\nPath('../folder').mkdir()",
    "mover": "import os\nopen('here', 'w').close()\nos.rename('here', '../there')",
    "caller": "import socket\ntry: socket.create_connection(('derivable.invalid', 80), timeout=1)\nexcept OSError: pass",
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    root = tmp_path_factory.mktemp("book")
    (root / "chapters" / "training").mkdir(parents=True)
    for topic, code in CODES.items():
        (root / "chapters" / "training" / f"{topic}.md").write_text(PAGE.format(topic=topic, code=code), encoding="utf-8")
    (root / "_toc.yml").touch()
    (root / "requirements.txt").write_text("a==1\nb==2\ntorch==3\n")
    (root / "requirements.lock").write_text("# locked\na==1 \\\n    --hash=sha256:0\nb==2 \\\n    --hash=sha256:0\n")
    temporary = root / "temporary"  # or the whole test would lie among the temporary files
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        return root, safety.notebooks(root)


def test_what_is_written_outside_the_folder_and_the_hosts_asked_are_named(result):
    root, found = result
    assert found.startswith("failed: ")
    assert f"training/writer writes {root / 'stray'}" in found and f"training/writer writes {root / 'chapters' / 'folder'}" in found
    assert f"training/mover writes {root / 'chapters' / 'there'}" in found
    assert re.search(r"training/caller asks derivable\.invalid", found)
    assert "tame" not in found


def test_packages_with_hashes_are_counted(result):
    root, _ = result
    assert safety.hashes(root) == "2 of 3 packages"
