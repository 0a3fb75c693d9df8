"""The facts at the end of a chapter are taken from git where git has them, and never made up."""

import importlib.util
import subprocess

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def colophon():
    spec = importlib.util.spec_from_file_location("colophon", ROOT / "book" / "_ext" / "colophon.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "chapter.md").write_text("text")
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for command in (["init", "-q"], ["add", "chapter.md"], [*author, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    return tmp_path


def test_a_committed_file_is_named_by_its_commit(colophon, repository):
    head = subprocess.run(["git", "-C", repository, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    assert head.stdout.strip() in colophon.last_commit(repository, {repository / "chapter.md"})


def test_a_changed_file_is_not_given_an_old_commit(colophon, repository):
    (repository / "chapter.md").write_text("another text")
    assert colophon.last_commit(repository, {repository / "chapter.md"}) == "not committed yet"


def test_without_history_no_commit_is_claimed(colophon, repository, tmp_path):
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{repository}", shallow], check=True)
    assert colophon.last_commit(shallow, {shallow / "chapter.md"}) == ""


def test_outside_git_no_commit_is_claimed(colophon, tmp_path):
    assert colophon.last_commit(tmp_path, {tmp_path / "chapter.md"}) == ""
