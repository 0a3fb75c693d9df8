import pytest

from derivable.book.chapters import find_chapter, find_chapters, find_root


def test_the_root_is_found_from_a_folder_below_it(book):
    assert find_root(book / "chapters" / "probability") == book


def test_a_folder_outside_a_book_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ValueError, match=r"working directory or above it, got .*_toc.yml"):
        find_root(tmp_path)


@pytest.mark.parametrize("name", ["tiny", "probability/tiny"])
def test_a_chapter_has_two_names(book, name):
    assert find_chapter(book, name).source == book / "chapters" / "probability" / "tiny.md"


def test_an_unknown_chapter_is_an_error_that_lists_the_known_ones(book):
    with pytest.raises(ValueError, match=r"chapter must be .*probability/tiny.*got 'nowhere'"):
        find_chapter(book, "nowhere")


def test_chapters_come_in_the_order_of_the_contents_and_those_that_are_not_in_it_by_part(book):
    for name in ("training/a.md", "probability/z.md", "probability/b.md"):
        path = book / "chapters" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("# Title\n", encoding="utf-8")
    assert [chapter.name for chapter in find_chapters(book)] == ["probability/tiny", "probability/b", "probability/z", "training/a"]
    contents = book / "_toc.yml"
    contents.write_text("  - file: book/training/a\n" + contents.read_text(encoding="utf-8"), encoding="utf-8")
    assert [chapter.name for chapter in find_chapters(book)][:2] == ["training/a", "probability/tiny"]


def test_the_title_is_the_first_heading(chapter):
    assert chapter.title == "A tiny chapter"
