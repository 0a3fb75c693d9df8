"""What became of the mistakes that were made on purpose in a chapter's claims, as it stands in the ledger."""

from pathlib import Path

from docutils import nodes

from derivable.book.mutants import CHECKED, name_survivor, read_explanations, read_stored, score

UNEXPLAINED = "not looked at yet"


def scores_of(root: Path, claims: list[dict]) -> list[nodes.Node]:
    """A sentence with the chapter's score, and each survivor with the reason why it survives."""
    checked = [claim for claim in claims if claim["kind"] in CHECKED]
    results = read_stored(root, checked)
    if not results:
        words = "Mistakes have not been made in these claims yet; "
        return [nodes.paragraph("", "", nodes.Text(words), nodes.literal(text="make mutants"), nodes.Text(" makes them."))]
    total = {key: sum(result[key] for result in results) for key in ("made", "equal", "rewrites", "falsely_refused")}
    main = score([result for result in results if result["headline"]])
    text = (
        f"Mistakes made on purpose: {total['made']} in {len(results)} of {len(checked)} claims. "
        f"{total['equal']} turned out to be no mistakes; of the others {score(results):.1%} are refused ({main:.1%} in the main results). "
        f"Of {total['rewrites']} forms that only look different, {total['falsely_refused']} are refused."
    )
    reasons = read_explanations(root).get(claims[0]["chapter"], {})
    names = [name_survivor(result, survivor) for result in results for survivor in result["survivors"]]
    lines = [f"{name}. {reasons.get(name, UNEXPLAINED)}" for name in dict.fromkeys(names)]
    items = [nodes.list_item("", nodes.paragraph(text=line)) for line in lines]
    survivors = [nodes.paragraph(text="What survived, and why:"), nodes.bullet_list("", *items)] if items else []
    return [nodes.paragraph(text=text), *survivors]
