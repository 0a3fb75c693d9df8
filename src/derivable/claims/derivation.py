"""Claims: what a chapter asserts. To show one is to check it; a claim that fails raises and the build stops.

>>> D = Domain(n=integer(1), k=integer(1))
>>> n, k = D
>>> derive("odd-numbers", "The first n odd numbers add up to a square", D,
...        sympy.Sum(2 * k - 1, (k, 1, n)),
...        equals(n**2, because="each odd number is a difference of squares", by=induction(n)))
"""

import sys
from dataclasses import dataclass, replace

import sympy

from .domains import Domain
from .errors import Refuted, Undecided, Vacuous
from .judge import Judgement, Statement, check_side, judge
from .methods import weakest
from .render import claim_html, claim_latex, claim_text

MIME = "application/vnd.derivable.claim+json"
FAILURES = {"refuted": Refuted, "undecided": Undecided, "vacuous": Vacuous}


@dataclass(frozen=True)
class Step:
    """One relation of a chain: what it reaches, why, and with which proof and which earlier claims."""

    relation: str
    right: object
    because: str
    using: tuple = ()
    by: object = None
    latex: str | None = None
    variable: sympy.Symbol | None = None
    point: object = None
    order: object = None
    line: int = 0
    judgement: Judgement | None = None


def _step(relation, right, because, using=(), by=None, latex=None, **limit) -> Step:
    if not isinstance(because, str) or not because.strip():
        raise ValueError(f"because must say why, got {because!r}")
    using = (using,) if isinstance(using, (Claim, Instance)) else tuple(using)
    for claim in using:
        if not isinstance(claim, (Claim, Instance)):
            raise TypeError(f"using must hold claims, got {claim!r}")
    return Step(relation, right, because, using, by, latex, line=sys._getframe(2).f_lineno, **limit)


def equals(right, because, *, using=(), by=None, latex=None) -> Step:
    """The expression before equals ``right``.

    Args:
        right: a SymPy expression or matrix.
        because: the reason, in words; it is shown, not checked.
        using: earlier claims; their left sides are replaced by their right sides before the proof.
        by: a proof to check, such as ``induction(n)``; without one the engine looks for its own.
        latex: hand-set LaTeX for ``right`` where SymPy's printing would hurt; the ledger counts it.
    """
    return _step("=", right, because, using, by, latex)


def at_most(right, because, *, using=(), by=None, latex=None) -> Step:
    """The expression before is at most ``right`` on the whole domain. Arguments as for :func:`equals`."""
    return _step("<=", right, because, using, by, latex)


def at_least(right, because, *, using=(), by=None, latex=None) -> Step:
    """The expression before is at least ``right`` on the whole domain. Arguments as for :func:`equals`."""
    return _step(">=", right, because, using, by, latex)


def tends_to(right, because, *, variable, point=sympy.oo, latex=None) -> Step:
    """The expression before minus ``right`` tends to 0 as ``variable`` tends to ``point`` (from above, if finite)."""
    return _step("->", right, because, latex=latex, variable=variable, point=sympy.sympify(point))


def asymptotic_to(right, because, *, variable, point=sympy.oo, latex=None) -> Step:
    """The expression before divided by ``right`` tends to 1 as ``variable`` tends to ``point``."""
    return _step("~", right, because, latex=latex, variable=variable, point=sympy.sympify(point))


def equals_up_to(right, order, because, *, variable, point=sympy.oo, latex=None) -> Step:
    """The expression before equals ``right`` + O(``order``) as ``variable`` tends to ``point``."""
    return _step("O", right, because, latex=latex, variable=variable, point=sympy.sympify(point), order=sympy.sympify(order))


@dataclass(frozen=True)
class Instance:
    """A claim at particular values of its variables."""

    claim: "Claim"
    values: tuple

    @property
    def left(self):
        return self.claim.lhs.subs(self.values, simultaneous=True)

    @property
    def right(self):
        return self.claim.rhs.subs(self.values, simultaneous=True)


class Claim:
    """A chain of checked steps. Made by :func:`derive`, :func:`define` and :func:`cite`; a verdict cannot be passed in."""

    def __init__(self, id, title, domain, left, steps, *, headline=False, latex=None, kind="derivation", route_to=None, reference=None):
        self.id, self.title, self.domain, self.left = id, title, domain, left
        self.steps: tuple[Step, ...] = tuple(steps)
        self.headline, self.latex, self.kind, self.route_to, self.reference = headline, latex, kind, route_to, reference

    @property
    def lhs(self):
        """The left side of the whole statement."""
        return self.left

    @property
    def rhs(self):
        """The right side of the whole statement: where the chain ends."""
        return self.steps[-1].right

    @property
    def relation(self) -> str:
        """The relation of the whole chain: the one that is not ``=``, or ``=``."""
        return next((step.relation for step in self.steps if step.relation != "="), "=")

    @property
    def used(self) -> tuple["Claim", ...]:
        """The claims that the steps used, each once, in order."""
        claims = [item.claim if isinstance(item, Instance) else item for step in self.steps for item in step.using]
        claims += [step.by.step for step in self.steps if isinstance(getattr(step.by, "step", None), Claim)]
        return tuple(dict.fromkeys(claims + ([self.route_to] if self.route_to else [])))

    @property
    def verdict(self) -> str:
        """The weakest verdict of its own steps."""
        if self.kind in ("definition", "cited"):
            return self.kind
        return weakest(step.judgement.verdict for step in self.steps)

    @property
    def typeset_by_hand(self) -> bool:
        return self.latex is not None or any(step.latex is not None for step in self.steps)

    def at(self, **values) -> Instance:
        """The claim with some variables of its domain replaced, for ``using=``."""
        return Instance(self, tuple((self.domain[name], sympy.sympify(value)) for name, value in values.items()))

    def record(self) -> dict:
        """The claim as data: what the ledger reads and what ``derivable check`` can check again."""
        lefts = [self.left] + [step.right for step in self.steps[:-1]]
        return {
            "id": self.id, "title": self.title, "kind": self.kind, "statement": claim_latex(self), "verdict": self.verdict,
            "headline": self.headline, "route_to": self.route_to.id if self.route_to else None, "reference": self.reference,
            "domain": self.domain.record(), "uses": [claim.id if not getattr(claim, "chapter", None) else f"{claim.chapter}#{claim.id}"
                                                     for claim in self.used],
            "typeset_by_hand": self.typeset_by_hand, "sympy": sympy.__version__,
            "steps": [{
                "relation": step.relation, "lhs": str(left), "rhs": str(step.right),
                "limit": [str(step.variable), str(step.point)] if step.variable is not None else None,
                "order": str(step.order) if step.order is not None else None,
                "verdict": step.judgement.verdict, "evidence": step.judgement.evidence, "because": step.because,
            } for left, step in zip(lefts, self.steps)],
        }

    def _repr_html_(self) -> str:
        return claim_html(self)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": claim_text(self), "text/html": claim_html(self), MIME: self.record()}

    def __repr__(self) -> str:
        return claim_text(self)


def derive(id: str, title: str, domain: Domain, left, *steps: Step, headline: bool = False, latex: str | None = None,
           route_to: Claim | None = None) -> Claim:
    """Check a chain of steps and return the claim that it proves.

    Args:
        id: a short name, unique in its chapter, lower case with hyphens.
        title: the result in words.
        domain: where it holds.
        left: the expression that the chain starts from; keep it unevaluated (``Integral``, ``Sum``, ``Derivative``).
        steps: ``equals``, ``at_most``, ``at_least``, ``tends_to``, ``asymptotic_to``, ``equals_up_to``.
        headline: whether this is one of the chapter's main results.
        latex: hand-set LaTeX for ``left``.
        route_to: an earlier claim with the same two ends, which this chain reaches by another way.

    Raises:
        Refuted, Undecided, Vacuous: a step is false, could not be decided, or says nothing; the message names the step and its line.
        ValueError, TypeError: a side is not a SymPy expression, or has a symbol without a domain.
    """
    _check_id(id)
    if not isinstance(domain, Domain):
        raise TypeError(f"domain must be a Domain, got {domain!r}")
    if not steps:
        raise ValueError("steps must hold at least one step, got none")
    for step in steps:
        if not isinstance(step, Step):
            raise TypeError(f"steps must be made by equals, at_most and their like, got {step!r}")
    relations = {step.relation for step in steps} - {"="}
    if len(relations) > 1:
        raise ValueError(f"the steps of one chain must point the same way, got {sorted(relations)}")
    left = check_side("left", left, domain)
    checked, before = [], left
    for number, step in enumerate(steps, start=1):
        right = check_side(f"the right side of step {number}", step.right, domain)
        statement = Statement(before, step.relation, right, domain, step.variable, step.point, step.order)
        judgement = judge(statement, step.by, _rewrite(before, step.using))
        checked.append(replace(step, right=right, judgement=judgement))
        before = right
        if judgement.verdict in FAILURES:
            claim = Claim(id, title, domain, left, checked, headline=headline, latex=latex, route_to=route_to)
            raise FAILURES[judgement.verdict](_failure(claim, number), claim)
    claim = Claim(id, title, domain, left, checked, headline=headline, latex=latex, route_to=route_to)
    if route_to is not None:
        _check_route(claim, route_to)
    return claim


def define(id: str, title: str, domain: Domain, symbol, meaning, because: str, *, latex: str | None = None) -> Claim:
    """Introduce a notation: nothing to check beyond that both sides are expressions over the domain."""
    _check_id(id)
    check_side("meaning", meaning, domain)
    step = Step("=", meaning, because, latex=latex, judgement=Judgement("definition", "a definition"))
    return Claim(id, title, domain, symbol, [step], kind="definition")


def cite(id: str, title: str, domain: Domain, left, step: Step, reference: str) -> Claim:
    """State a result from the literature. It must survive the search for a counterexample; its proof is the reference."""
    _check_id(id)
    if not isinstance(reference, str) or not reference.strip():
        raise ValueError(f"reference must name the source, got {reference!r}")
    left, right = check_side("left", left, domain), check_side("right", step.right, domain)
    judgement = judge(Statement(left, step.relation, right, domain, step.variable, step.point, step.order))
    verdict = judgement.verdict if judgement.verdict in ("refuted", "vacuous") else "cited"
    evidence = f"{reference}; not refuted here ({judgement.evidence})" if verdict == "cited" else judgement.evidence
    claim = Claim(id, title, domain, left, [replace(step, right=right, judgement=Judgement(verdict, evidence, judgement.counterexample))],
                  kind="cited", reference=reference)
    if verdict in FAILURES:
        raise FAILURES[verdict](_failure(claim, 1), claim)
    return claim


def _check_id(id):
    if not isinstance(id, str) or not id or not all(part.isalnum() and part == part.lower() for part in id.split("-")):
        raise ValueError(f"id must be lower-case words joined by hyphens, got {id!r}")


def _rewrite(expression, using):
    """Replace the left sides of the used claims by their right sides; ``None`` where nothing was used."""
    if not using:
        return None
    for item in using:
        left, right = (item.left, item.right) if isinstance(item, Instance) else (item.lhs, item.rhs)
        relation = item.claim.relation if isinstance(item, Instance) else item.relation
        if relation == "=":
            expression = expression.xreplace({left: right})
    return expression


def _check_route(claim, other):
    for name, mine, theirs in (("starts", claim.lhs, other.lhs), ("ends", claim.rhs, other.rhs)):
        if mine == theirs:
            continue
        judgement = judge(Statement(mine, "=", theirs, claim.domain))
        if judgement.verdict in FAILURES:
            raise FAILURES[judgement.verdict](f"the route “{claim.id}” {name} elsewhere than “{other.id}”: {mine} is not shown equal to {theirs}"
                                              f" ({judgement.evidence})", claim)
    if claim.relation != other.relation:
        raise ValueError(f"the route {claim.id!r} proves {claim.relation}, but {other.id!r} says {other.relation}")


def _failure(claim, number):
    step = claim.steps[number - 1]
    lines = [f"“{claim.id}”, step {number} (line {step.line}), {step.judgement.verdict}: {step.judgement.evidence}.",
             f"  {claim.left if number == 1 else claim.steps[number - 2].right}  {step.relation}  {step.right}"]
    if step.judgement.counterexample:
        example = step.judgement.counterexample
        at = ", ".join(f"{name} = {value}" for name, value in example["at"].items()) or "as it stands"
        lines.append(f"  at {at}: left = {example['left']}, right = {example['right']}")
    return "\n".join(lines)
