"""One statement: two sides, a relation, and the domain on which it is meant to hold."""

from dataclasses import dataclass, replace

import sympy

from .domains import Domain


@dataclass(frozen=True)
class Statement:
    """``left relation right`` on a domain; ``variable`` and ``point`` for limits, ``order`` for ``O``.

    ``breaks`` are places where integrands have kinks that the text does not show. ``tolerance`` is what the two sides
    may differ by, relative to the larger of their size and 1.
    """

    left: object
    relation: str
    right: object
    domain: Domain
    variable: sympy.Symbol | None = None
    point: object = None
    order: object = None
    breaks: tuple = ()
    tolerance: sympy.Rational | None = None

    def with_right(self, right) -> "Statement":
        return replace(self, right=right)

    def with_domain(self, domain: Domain) -> "Statement":
        return replace(self, domain=domain)
