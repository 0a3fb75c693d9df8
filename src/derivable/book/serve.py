"""Serve the built pages on this machine: ``python -m derivable.book.serve FOLDER``."""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8000


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve files without a line for every request."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def make_server(folder: Path, port: int = PORT) -> ThreadingHTTPServer:
    """A server of ``folder`` on ``port``, or on any free port where that one is taken.

    Raises:
        ValueError: where ``folder`` holds no ``index.html``.
    """
    if not (folder / "index.html").is_file():
        raise ValueError(f"folder must hold the built book, got {folder} (no index.html there; run: make html)")
    handler = partial(QuietHandler, directory=str(folder))
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def main() -> None:
    try:
        server = make_server(Path(sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))
    with server:
        print(f"The book is at http://localhost:{server.server_port}/ (stop with Ctrl-C)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nStopped.")


if __name__ == "__main__":
    main()
