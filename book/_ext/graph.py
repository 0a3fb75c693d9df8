"""Directives on how claims rest on each other: ``claim-graph`` and ``not-proved``."""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from derivable.book.ledger import build_ledger
from ledger import paragraph

NOT_PROVED = ("probed", "estimated", "matched", "cited")
COLUMN, ROW, MARGIN, CHARACTER = 280, 34, 16, 7.2


def name_of(claim: dict) -> str:
    return f"{claim['part']}/{claim['chapter']}#{claim['id']}"


def edges_of(claims: list[dict]) -> dict[str, list[str]]:
    """Claim -> the claims that it uses, by full names."""
    return {
        name_of(claim): [
            used if "#" in used else f"{claim['part']}/{claim['chapter']}#{used}" for used in claim["uses"]
        ]
        for claim in claims
    }


def falls_with(name: str, edges: dict[str, list[str]]) -> list[str]:
    """Everything that rests on the claim, directly or through others."""
    found: list[str] = []
    waiting = [name]
    while waiting:
        current = waiting.pop()
        for user, used in edges.items():
            if current in used and user not in found:
                found.append(user)
                waiting.append(user)
    return found


def shortened(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"


class Directive(SphinxDirective):
    def claims(self) -> list[dict]:
        self.env.note_reread()  # the claims come from notebooks, not from this page
        return build_ledger(Path(self.env.srcdir))

    def link(self, name: str) -> nodes.reference:
        page, claim = name.split("#")
        return nodes.reference(
            "",
            claim,
            refuri=self.env.app.builder.get_relative_uri(self.env.docname, f"book/{page}") + f"#claim-{claim}",
        )


class ClaimGraph(Directive):
    """One drawing a chapter: claims that rest on others stand to the right of what they use."""

    def run(self) -> list[nodes.Node]:
        claims = self.claims()
        edges = edges_of(claims)
        sections = []
        for page in dict.fromkeys(f"{claim['part']}/{claim['chapter']}" for claim in claims):
            own = [claim for claim in claims if f"{claim['part']}/{claim['chapter']}" == page]
            linked = {name for user, used in edges.items() for name in (user, *used) if used}
            shown = [claim for claim in own if name_of(claim) in linked]
            section = nodes.section(
                "", nodes.title(text=page.partition("/")[2]), ids=[f"graph-{page.partition('/')[2]}"]
            )
            section += paragraph(f"{len(shown)} of {len(own)} claims use another one or are used.")
            if shown:
                section += nodes.raw(
                    "", f'<div class="claim-graph" tabindex="0">{self.draw(shown, edges)}</div>', format="html"
                )
            sections.append(section)
        return sections

    def draw(self, claims: list[dict], edges: dict[str, list[str]]) -> str:
        names = {name_of(claim): claim for claim in claims}

        def depth(name: str) -> int:
            return max((depth(used) + 1 for used in edges[name] if used in names), default=0)

        columns: dict[int, list[str]] = {}
        for name in names:
            columns.setdefault(depth(name), []).append(name)
        place = {
            name: (MARGIN + column * COLUMN, MARGIN + ROW * (row + 0.5))
            for column, rows in columns.items()
            for row, name in enumerate(rows)
        }
        labels = {name: shortened(claim["id"]) for name, claim in names.items()}
        width, height = COLUMN * len(columns) + MARGIN, ROW * max(map(len, columns.values())) + 2 * MARGIN
        parts = []
        for name in names:
            x, y = place[name]
            for used in edges[name]:
                if used in place:
                    u, v = place[used]
                    u += 14 + CHARACTER * len(labels[used])
                    middle = (u + x) / 2
                    parts.append(f'<path d="M{u:.0f} {v}C{middle:.0f} {v} {middle:.0f} {y} {x - 6} {y}"/>')
        for name, claim in names.items():
            x, y = place[name]
            weight = " font-weight='600'" if claim["headline"] else ""
            parts.append(f'<circle class="verdict-{claim["verdict"]}" cx="{x}" cy="{y}" r="5"/>')
            parts.append(f'<text x="{x + 9}" y="{y + 4}"{weight}>{labels[name]}</text>')
        label = f"Graph of {len(names)} claims: lines lead from a claim to its users; the ledger has them in words"
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        return f'<svg {size} role="img" aria-label="{label}">{"".join(parts)}</svg>'


class NotProved(Directive):
    """Claims whose verdict is no proof, each with everything that would fall with it."""

    def run(self) -> list[nodes.Node]:
        claims = self.claims()
        edges = edges_of(claims)
        items = []
        for claim in claims:
            if claim["verdict"] not in NOT_PROVED:
                continue
            fallen = falls_with(name_of(claim), edges)
            words: list[nodes.Node | str] = [self.link(name_of(claim)), f" ({claim['chapter']}, {claim['verdict']}): "]
            for name in fallen:
                words += [self.link(name), " "]
            items.append(nodes.list_item("", paragraph(*words, *([] if fallen else ["nothing else rests on it"]))))
        return [nodes.bullet_list("", *items)] if items else [paragraph("Everything is proved.")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("claim-graph", ClaimGraph)
    app.add_directive("not-proved", NotProved)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
