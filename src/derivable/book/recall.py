"""A claim of another chapter, to be used as one of this chapter's own: the ledger then shows the edge."""

from derivable.book.chapters import find_chapter, find_root
from derivable.book.ledger import read_claims
from derivable.book.mutants import statements
from derivable.claims import Claim
from derivable.claims.derivation import Step
from derivable.claims.judge import Judgement


def recall(chapter: str, id: str) -> Claim:
    """The claim ``id`` as the executed notebook of ``chapter`` recorded it.

    Args:
        chapter: ``"topic"`` or ``"part/topic"``.
        id: the claim's id in that chapter.

    Raises:
        ValueError: there is no such chapter, or no such claim in its executed notebook.
    """
    found = find_chapter(find_root(), chapter)
    records = {record["id"]: record for _, record in read_claims(found)} if found.notebook.is_file() else {}
    if id not in records:
        raise ValueError(f"id must name a claim of {found.name}, got {id!r}; it has {', '.join(records) or 'none'}")
    record = records[id]
    read = statements(record)
    steps = [
        Step(
            statement.relation,
            statement.right,
            step["because"],
            variable=statement.variable,
            point=statement.point,
            order=statement.order,
            judgement=Judgement(step["verdict"], step["evidence"]),
        )
        for statement, step in zip(read, record["steps"], strict=True)
    ]
    return Claim(id, record["title"], read[0].domain, read[0].left, steps, kind=record["kind"], chapter=found.name)
