"""A recalled claim is the one that the other chapter proved, and its use is an edge of the ledger."""

import pytest
import sympy

from derivable.book.recall import recall
from derivable.claims import derive, equals


def test_a_recalled_claim_can_be_used_and_leaves_an_edge():
    variance = recall("random-vector-angles", "cosine-variance")
    n = variance.domain["n"]
    claim = derive(
        "twice",
        "Twice the variance",
        variance.domain,
        2 * variance.lhs,
        equals(2 / n, because="it is 1/n", using=variance),
    )
    assert claim.record()["uses"] == ["probability/random-vector-angles#cosine-variance"]
    assert sympy.simplify(claim.rhs - 2 / n) == 0


def test_an_unknown_claim_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match="'no-such-claim'.*cosine-variance"):
        recall("random-vector-angles", "no-such-claim")
