"""The directives ``benchmarks``, ``timings`` and ``robustness``: tables of what ``make bench``, ``make timings``,
``make seeds``, ``make faults``, ``make machines`` and ``make safety`` stored.

Each file of ``benchmarks/results`` holds one machine's measurements.
"""

import io
import json
from html import escape
from pathlib import Path

from docutils import nodes
from matplotlib import rc_context
from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from derivable.book.chapters import find_chapters

SIDES = ("implementation", "time", "ratio to ours", "error", "memory")
UNUSUAL = 1.96  # standard errors; one right prediction in 20 lies farther off
FITS = ("implementation", "exponent of", "claimed", "fitted", "95% interval", "claim")


def paragraph(text: str) -> nodes.paragraph:
    return nodes.paragraph("", text)


def table(head: tuple[str, ...], rows: list[list[str]]) -> nodes.table:
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    lines = [nodes.row("", *(nodes.entry("", paragraph(cell)) for cell in cells)) for cells in [head, *rows]]
    group += nodes.thead("", lines[0])
    group += nodes.tbody("", *lines[1:])
    return nodes.table("", group, classes=["measurements"])


def section(title: str, name: str, *children: nodes.Node) -> nodes.section:
    return nodes.section("", nodes.title(text=title), *children, ids=[name], names=[name])


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"


def mebibytes(count: float | None) -> str:
    return "" if count is None else f"{count / 2**20:.3g} MiB"


class Measurements(SphinxDirective):
    def results(self) -> dict[str, dict]:
        """By machine, in the order of their names."""
        self.env.note_reread()  # new results change the page, and no file of the page itself changes
        files = sorted((Path(self.env.srcdir) / "benchmarks" / "results").glob("*.json"))
        return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


class Benchmarks(Measurements):
    """One section for each machine, in it one for each topic."""

    def run(self) -> list[nodes.Node]:
        measured = {name: result for name, result in self.results().items() if "topics" in result}
        pages = [self.machine(name, result) for name, result in measured.items()]
        if not any(result["machine"]["device"] == "cuda" for result in measured.values()):
            pages.insert(0, paragraph("Not measured on a GPU."))
        return pages

    def machine(self, name: str, result: dict) -> nodes.section:
        facts = result["machine"]
        text = (f"{facts['accelerator'] or facts['processor']}, {facts['cores']} cores, {facts['threads']} thread(s) "
                f"used, {facts['system']}, Python {facts['python']}, torch {facts['torch']}.")
        topics = [self.topic(name, key, topic) for key, topic in result["topics"].items()]
        return section(name, name, paragraph(text), *topics)

    def topic(self, machine: str, key: str, topic: dict) -> nodes.section:
        ceilings, started = topic["ceilings"], topic["started"]
        limits = ", ".join(f"{kind} {rate / 1e9:.3g}" for kind, rate in ceilings.items())
        when = (f"Measured {started['date']}; load of the machine {started['load']:.1f} at the start and "
                f"{topic['load_at_the_end']:.1f} at the end. Ceilings in 10⁹ a second: {limits}.")
        children = [paragraph(when)]
        for comparison in topic["comparisons"]:
            children += self.comparison(comparison)
        if topic["growths"]:
            children += self.growths(topic)
        return section(topic["title"], f"{machine}-{key}", *children)

    def comparison(self, comparison: dict) -> list[nodes.Node]:
        ours = comparison["sides"][0]
        rows = [self.side(side) for side in comparison["sides"]]
        shown = [nodes.paragraph("", "", nodes.strong(text=comparison["name"])), table(SIDES, rows),
                 paragraph(f"{comparison['rounds']} rounds; error: {comparison['measure']}, at most "
                           f"{comparison['tolerance']:g}; ours runs at {comparison['fraction_of_limit']:.0%} of the "
                           f"machine's limit.")]
        missed = misses(comparison)
        if missed:
            shares = ", ".join(f"{name} {share:.0%}" for name, share in comparison["profile"])
            reason = f" {comparison['note']} Where our time goes: {shares}."
            shown.append(nodes.paragraph("", "", nodes.strong(text="Missed: "), nodes.Text("; ".join(missed) + "."),
                                         nodes.Text(reason)))
        if ours["status"] != "measured":
            shown.append(paragraph("Our answer is not exact enough, so no ratio counts."))
        return shown

    def side(self, side: dict) -> list[str]:
        if "seconds" not in side:
            return [side["name"], side["status"], side["message"], "", ""]
        if "ratio" in side:
            low, middle, high = side["ratio"]
            aim = f", target {side['target']:g}" if side["target"] else ""
            ratio = f"{middle:.3g} ({low:.3g} to {high:.3g}{aim})"
        else:
            ratio = "" if side["name"] == "ours" else f"none: {side['status']}"
        time, error = milliseconds(side["seconds"][1]), f"{side['error']:.1e}"
        return [side["name"], time, ratio, error, mebibytes(side["memory"])]

    def growths(self, topic: dict) -> list[nodes.Node]:
        rows = []
        for growth in topic["growths"]:
            for kind in ("time", "memory"):
                if kind in growth:
                    fit = growth[kind]
                    low, high = fit["interval"]
                    where = "inside" if low <= fit["claimed"] <= high else "below" if high < fit["claimed"] else "above"
                    rows.append([growth["name"], f"{kind} in {growth['variable']}", f"{fit['claimed']:g}",
                                 f"{fit['fitted']:.2f}", f"{low:.2f} to {high:.2f}",
                                 {"inside": "agrees", "below": "grows less", "above": "grows more"}[where]])
        return [nodes.paragraph("", "", nodes.strong(text="Growth")), table(FITS, rows),
                nodes.raw("", drawing(topic["growths"], topic["title"]), format="html")]


def misses(comparison: dict) -> list[str]:
    """What the comparison aimed at and did not reach."""
    ours, *peers = comparison["sides"]
    missed = []
    for peer in peers:
        if "ratio" in peer and peer["target"] and peer["ratio"][1] < peer["target"]:
            possible = peer["ratio"][1] / comparison["fraction_of_limit"]
            missed.append(f"{peer['ratio'][1]:.3g} times as fast as {peer['name']} instead of {peer['target']:g} "
                          f"(at the machine's limit it would be {possible:.3g})")
        if "ratio" in peer and peer["memory_target"] and ours["memory"] > peer["memory_target"] * peer["memory"]:
            share = ours["memory"] / peer["memory"]
            missed.append(f"{share:.0%} of the memory of {peer['name']} instead of {peer['memory_target']:.0%}")
    return missed


def drawing(growths: list[dict], name: str) -> str:
    """Time against size on log-log axes, each divided by its value at the smallest size, as an inline picture.

    The name keeps the identifiers inside the picture apart from those of the page's other pictures.
    """
    figure = Figure(figsize=(5.6, 3.0), layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    for growth in growths:
        sizes = [size / growth["sizes"][0] for size in growth["sizes"]]
        times = [seconds / growth["seconds"][0] for seconds in growth["seconds"]]
        axes.loglog(sizes, times, marker="o", label=f"{growth['name']}: {growth['time']['fitted']:.2f}")
    axes.set(xlabel="size / smallest size", ylabel="time / time at the smallest size")
    axes.legend(fontsize=7, frameon=False)
    for text in (*axes.get_xticklabels(which="both"), *axes.get_yticklabels(which="both"), axes.xaxis.label,
                 axes.yaxis.label, *axes.get_legend().get_texts()):
        text.set_color("#767676")
    axes.tick_params(which="both", color="#767676")
    axes.spines[:].set_color("#767676")
    image = io.StringIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(image, format="svg", metadata={"Date": None})
    words = "; ".join(f"{growth['name']}, {growth['variable']} from {growth['sizes'][0]} to {growth['sizes'][-1]}: the "
                      f"time grows with exponent {growth['time']['fitted']:.2f}" for growth in growths)
    svg = image.getvalue().partition("<svg ")[2]
    look = "max-width: 100%; height: auto"
    return f'<div role="img" aria-label="{escape(words)}"><svg style="{look}" {svg}</div>'


class Timings(Measurements):
    """The book's own speed on each machine."""

    def run(self) -> list[nodes.Node]:
        measured = {name: result for name, result in self.results().items() if "book" in result}
        if not measured:
            return [paragraph("Not measured yet.")]
        return [self.machine(name, result) for name, result in measured.items()]

    def machine(self, name: str, result: dict) -> nodes.section:
        book, facts = result["book"], result["machine"]
        when = (f"{facts['processor']}, {facts['cores']} cores; measured {book['started']['date']} at a load of "
                f"{book['started']['load']:.1f}.")
        times = {"HTML from the stored outputs": book.get("html"), "make test": book.get("test")}
        for chapter in find_chapters(Path(self.env.srcdir)):
            times[chapter.title] = book.get("chapters", {}).get(chapter.name)
        rows = [[what, "not measured" if spent is None else f"{spent:g} s"] for what, spent in times.items()]
        return section(name, name, paragraph(when), table(("what", "time"), rows))


class Robustness(Measurements):
    """What was found with other seeds, with faults, and on other machines; one section for each, with every machine in it."""

    def run(self) -> list[nodes.Node]:
        kinds = {"seeds": ("Other seeds", self.seeds), "faults": ("Faults", self.faults), "machines": ("Other machines", self.outcomes),
                 "safety": ("Safety", self.outcomes)}
        pages = []
        for kind, (title, show) in kinds.items():
            measured = {name: result[kind] for name, result in self.results().items() if kind in result}
            shown = [node for name, result in measured.items() for node in [paragraph(f"On {name}:"), *show(result)]]
            pages.append(section(title, kind, *(shown or [paragraph("Not measured.")])))
        return pages

    def seeds(self, result: dict) -> list[nodes.Node]:
        rows = []
        for chapter in find_chapters(Path(self.env.srcdir)):
            found = result.get(chapter.name)
            if found is None:
                rows.append([chapter.title, "not measured", "", ""])
                continue
            distances = [distance for values in found["estimates"].values() for distance in values]
            failed = [f"{where} ({count} of {found['finished']} seeds)" for where, count in found["failed"].items()]
            unusual = sum(distance > UNUSUAL for distance in distances)
            rows.append([chapter.title, f"{found['finished']} of {found['seeds']}",
                         f"{found['assertions']} assertions; did not hold: {'; '.join(failed) or 'none'}",
                         f"{unusual} of {len(distances)}; largest {max(distances):.1f}" if distances else "none"])
        head = ("chapter", "seeds that finished", "assertions after the first draw", f"estimates beyond {UNUSUAL} standard errors")
        return [table(head, rows)]

    def faults(self, result: dict) -> list[nodes.Node]:
        rows = [[command, f"killed {counts['kills']} times: the notebook was whole {counts['whole']} times, no process was left "
                          f"{counts['no process left']} times, the next run succeeded {counts['next run']} times"]
                for command, counts in result.get("kills", {}).items()]
        rows += [list(pair) for pair in result.get("others", {}).items()]
        planted = result.get("planted")
        caught = f"{planted['caught']} of {planted['planted']} caught" if planted else "not measured"
        rows.append(["failures planted in a healthy book", caught])
        return [paragraph(f"Measured {result['started']['date']}."), table(("fault", "outcome"), rows)]

    def outcomes(self, result: dict) -> list[nodes.Node]:
        rows = [list(pair) for pair in result["outcomes"].items()]
        return [paragraph(f"Measured {result['started']['date']}."), table(("what", "outcome"), rows)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("benchmarks", Benchmarks)
    app.add_directive("timings", Timings)
    app.add_directive("robustness", Robustness)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
