import threading
import urllib.error
import urllib.request

import pytest

from derivable.book.serve import make_server


@pytest.fixture
def pages(tmp_path):
    (tmp_path / "index.html").write_text("the book", encoding="utf-8")
    return tmp_path


def test_pages_are_served(pages):
    with make_server(pages, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/") as response:
            assert response.read() == b"the book"
        server.shutdown()


@pytest.mark.safety
def test_the_server_listens_on_this_machine_only_and_serves_nothing_above_its_folder(pages):
    (pages.parent / "secret.txt").write_text("not served", encoding="utf-8")
    with make_server(pages, port=0) as server:
        assert server.server_address[0] == "127.0.0.1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/%2e%2e/secret.txt")
        server.shutdown()


def test_a_busy_port_gives_way_to_a_free_one(pages):
    with make_server(pages, port=0) as first, make_server(pages, port=first.server_port) as second:
        assert second.server_port != first.server_port


def test_a_folder_without_a_built_book_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="folder must hold the built book.*make html"):
        make_server(tmp_path)
