from graphlib import CycleError

import pytest
from conftest import claim, make_chapter, write_claims

from derivable.book.freshness import fingerprint, imported_files, in_order


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def import_in(chapter, code):
    text = chapter.source.read_text(encoding="utf-8").replace("import derivable\n", f"{code}\n")
    chapter.source.write_text(text, encoding="utf-8")


def imported(chapter):
    return {path.relative_to(chapter.root / "src" / "derivable").as_posix() for path in imported_files(chapter)}


def test_imports_are_followed_through_modules_packages_and_relative_names(chapter):
    write(
        chapter.root / "src" / "derivable",
        {
            "probability/__init__.py": "",
            "probability/tiny.py": "from .. import devices\nfrom ..claims import Claim\n",
            "devices.py": "import derivable.arguments\n",
            "arguments.py": "",
            "claims/__init__.py": "from .domains import Real",
            "claims/domains.py": "",
            "unused.py": "",
        },
    )
    import_in(chapter, "from derivable.probability import tiny")
    assert imported(chapter) == {
        "__init__.py",
        "probability/__init__.py",
        "probability/tiny.py",
        "devices.py",
        "arguments.py",
        "claims/__init__.py",
        "claims/domains.py",
    }


def test_a_script_beside_its_module_counts(chapter):
    write(chapter.root / "src" / "derivable", {"figures.py": "", "figures.js": "", "other.js": ""})
    import_in(chapter, "import derivable.figures")
    assert imported(chapter) == {"__init__.py", "figures.py", "figures.js"}


def test_magic_commands_and_broken_cells_do_not_hide_imports(chapter):
    write(chapter.root / "src" / "derivable", {"figures.py": ""})
    import_in(chapter, "%matplotlib inline\nimport derivable.figures")
    chapter.source.write_text(chapter.source.read_text(encoding="utf-8") + "\n```{code-cell} ipython3\nx = = 1\n```\n")
    assert "figures.py" in imported(chapter)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("chapters/probability/tiny.md", {"source_hash"}),
        ("src/derivable/__init__.py", {"code_hash"}),
        ("requirements.txt", {"lock_hash"}),
    ],
)
def test_a_changed_input_changes_its_own_hash(chapter, name, changed):
    before = fingerprint(chapter)
    path = chapter.root / name
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    after = fingerprint(chapter)
    assert {key for key in before if before[key] != after[key]} == changed


def test_code_that_the_chapter_does_not_import_leaves_it_fresh(chapter):
    before = fingerprint(chapter)
    write(chapter.root / "src" / "derivable", {"elsewhere.py": "x = 1\n"})
    assert fingerprint(chapter) == before


def recall_in(chapter, call):
    import_in(chapter, f"import derivable\n{call}")
    return chapter


def test_a_recalled_claim_that_changes_makes_the_chapter_that_recalls_it_stale(chapter):
    early = recall_in(make_chapter(chapter.root, "early"), 'recall("tiny", "square")')
    write_claims(chapter, claim(), claim(id="other"))
    before = fingerprint(early)
    write_claims(chapter, claim(), claim(id="other", title="Another title"))
    assert fingerprint(early) == before
    write_claims(chapter, claim(verdict="probed"), claim(id="other"))
    after = fingerprint(early)
    assert {key for key in before if before[key] != after[key]} == {"recalled_hash"}


def test_a_chapter_runs_after_those_whose_claims_it_recalls(chapter):
    recall_in(make_chapter(chapter.root, "early"), 'recall("tiny", "square")')
    assert [c.topic for c in in_order(chapter.root)] == ["tiny", "early"]
    recall_in(chapter, 'recall("probability/early", "square")')
    with pytest.raises(CycleError):
        in_order(chapter.root)


@pytest.mark.parametrize(
    ("call", "message"),
    [('recall(name, "square")', "recall must be given a chapter and an id as text"), ('recall("nothing", "x")', "got 'nothing'")],
)
def test_a_recall_that_names_no_chapter_is_an_error(chapter, call, message):
    with pytest.raises(ValueError, match=message):
        fingerprint(recall_in(chapter, call))
