"""What the book asserts, and how it knows. SymPy and the standard library only: it also runs in the reader's browser."""

from .derivation import (
    Claim,
    asymptotic_to,
    at_least,
    at_most,
    cite,
    define,
    derive,
    equals,
    equals_up_to,
    refute,
    tends_to,
)
from .domains import Domain, integer, matrix, positive, real, sequence, smooth
from .errors import ClaimError, Refuted, Undecided, Vacuous
from .exercises import Exercise
from .methods import antiderivative, cases, induction, monotone, probing, rises_and_falls, squares, substitution

__all__ = [
    "Claim",
    "ClaimError",
    "Domain",
    "Exercise",
    "Refuted",
    "Undecided",
    "Vacuous",
    "antiderivative",
    "asymptotic_to",
    "at_least",
    "at_most",
    "cases",
    "cite",
    "define",
    "derive",
    "equals",
    "equals_up_to",
    "induction",
    "integer",
    "matrix",
    "monotone",
    "positive",
    "probing",
    "real",
    "refute",
    "rises_and_falls",
    "sequence",
    "smooth",
    "squares",
    "substitution",
    "tends_to",
]
