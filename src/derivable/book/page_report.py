"""What a chapter costs its reader: ``python -m derivable.book.page_report [FOLDER]``.

For each chapter with live cells: the compressed size of what the browser asks for before the reader does anything,
apart from what all pages share and the browser keeps (style, fonts, mathematics), and the time from pressing Run to the
typeset result, the first time and once more. Then the seconds that each live cell computes, where it takes long: after
60 of them a cell is stopped.
"""

import gzip
import re
import sys
import threading
import time
from pathlib import Path

from derivable.book.browser import chromium
from derivable.book.serve import make_server

SHARED = "/_static/"
OF_A_CHAPTER = "/_static/figures/"
PATIENCE = 120_000  # ms
LONG = 5  # seconds


def measure(browser, url: str) -> tuple[dict[str, float], dict[str, str]]:
    """Sizes in kB (compressed) and times in seconds of one page, with nothing cached; how each of its cells ended."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    sizes = {"chapter": 0.0, "shared": 0.0}
    responses = []
    page.on("response", lambda response: responses.append(response))
    page.goto(url, wait_until="networkidle")
    for response in responses:
        shared = SHARED in response.url and OF_A_CHAPTER not in response.url
        sizes["shared" if shared else "chapter"] += len(gzip.compress(response.body())) / 1000
    cell = page.locator(".cell.tag_live").first
    times = {}
    for name in ("first result", "once more"):
        begun = time.perf_counter()
        cell.get_by_role("button", name="Run", exact=True).click()
        cell.locator(".live-status").filter(has_text="Done").wait_for()
        times[name] = time.perf_counter() - begun
        cell.locator(".live-status").evaluate("status => { status.textContent = ''; }")
    ends = {}
    for number, cell in enumerate(page.locator(".cell.tag_live:not(.tag_exercise)").all(), 1):
        cell.get_by_role("button", name="Run", exact=True).click()
        status = cell.locator(".live-status").filter(has_text=re.compile(r"[^…]$"))
        status.wait_for()
        claims = cell.locator("[data-claim]")
        name = claims.first.get_attribute("data-claim") if claims.count() else "no claim"
        refusal = cell.locator(".live-failed").all_inner_texts()
        ends[f"{number} ({name})"] = " ".join([status.inner_text(), *refusal])
    context.close()
    return sizes | times, ends


def seconds(end: str) -> float:
    """The time in "Done in 1.2 s."; endless for every other end."""
    found = re.fullmatch(r"Done in ([\d.]+) s\.", end)
    return float(found[1]) if found else float("inf")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html")
    server = make_server(folder, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    chapters = [page for page in sorted(folder.glob("book/*/*.html")) if "tag_live" in page.read_text(encoding="utf-8")]
    print(f"{'chapter':<34}{'chapter kB':>12}{'shared kB':>12}{'first result s':>16}{'once more s':>13}")
    with chromium() as browser:
        for page in chapters:
            cost, ends = measure(browser, f"http://127.0.0.1:{server.server_port}/{page.relative_to(folder)}")
            print(
                f"{page.stem:<34}{cost['chapter']:>12.0f}{cost['shared']:>12.0f}"
                f"{cost['first result']:>16.1f}{cost['once more']:>13.2f}",
                flush=True,
            )
            for name, end in sorted(ends.items(), key=lambda item: -seconds(item[1])):
                if seconds(end) > LONG:
                    print(f"    cell {name}: {end}")
    server.shutdown()


if __name__ == "__main__":
    main()
