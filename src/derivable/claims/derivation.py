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
from .errors import ClaimError, Refuted, Undecided, Vacuous
from .formula import write
from .judge import Judgement, check_side, judge
from .methods import use, weakest
from .render import claim_html, claim_latex, claim_text
from .statement import Statement

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
    return _step(
        "O", right, because, latex=latex, variable=variable, point=sympy.sympify(point), order=sympy.sympify(order)
    )


@dataclass(frozen=True)
class Instance:
    """A claim at particular values of its variables."""

    claim: "Claim"
    values: tuple

    @property
    def relation(self) -> str:
        return self.claim.relation

    @property
    def lhs(self):
        return self.claim.lhs.subs(self.values, simultaneous=True)

    @property
    def rhs(self):
        return self.claim.rhs.subs(self.values, simultaneous=True)


class Claim:
    """A chain of checked steps. Made by :func:`derive`, :func:`define` and :func:`cite`; a verdict cannot be passed in."""

    def __init__(
        self,
        id,
        title,
        domain,
        left,
        steps,
        *,
        headline=False,
        latex=None,
        kind="derivation",
        route_to=None,
        reference=None,
        measured=None,
        notation=None,
        chapter=None,
    ):
        self.id, self.title, self.domain, self.left = id, title, domain, left
        self.steps: tuple[Step, ...] = tuple(steps)
        self.headline, self.latex, self.kind = headline, latex, kind
        self.route_to, self.reference, self.measured = route_to, reference, measured
        self.chapter: str | None = chapter  # "part/topic", for a claim that was recalled from another chapter
        self.notation: dict = {sympy.Symbol(name): sympy.sympify(meaning) for name, meaning in (notation or {}).items()}

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
        items = [item for step in self.steps for item in (*step.using, *getattr(step.by, "used", ()))]
        claims = [item.claim if isinstance(item, Instance) else item for item in items]
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
        """The claim as data: what the ledger reads and what can be checked again. Fields that say nothing are left out."""
        record = {
            "id": self.id,
            "title": self.title,
            "kind": self.kind,
            "statement": claim_latex(self),
            "verdict": self.verdict,
            "headline": self.headline,
            "route_to": self.route_to.id if self.route_to else None,
            "reference": self.reference,
            "measured": self.measured,
            "domain": self.domain.record(),
            "uses": [f"{claim.chapter}#{claim.id}" if claim.chapter else claim.id for claim in self.used],
            "typeset_by_hand": self.typeset_by_hand,
            "sympy": sympy.__version__,
            "left": write(self.left),
            "steps": [_said(_step_record(step)) for step in self.steps],
        }
        return _said(record)

    def _repr_html_(self) -> str:
        return claim_html(self)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": claim_text(self), "text/html": claim_html(self), MIME: self.record()}

    def __repr__(self) -> str:
        return claim_text(self)


def derive(
    id: str,
    title: str,
    domain: Domain,
    left,
    *steps: Step,
    headline: bool = False,
    latex: str | None = None,
    route_to: Claim | None = None,
    notation: dict | None = None,
) -> Claim:
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
        notation: abbreviations for display, name -> expression, such as ``{"C_n": C}``; the checks see the expression.

    Raises:
        Refuted, Undecided, Vacuous: a step is false, could not be decided, or says nothing; the message names the step and its line.
        ValueError, TypeError: a side is not a SymPy expression, or has a symbol without a domain.
    """
    check_id(id)
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
    domain = domain.only(_names(left, steps))
    checked, before = [], left
    for number, step in enumerate(steps, start=1):
        right = check_side(f"the right side of step {number}", step.right, domain)
        statement = Statement(before, step.relation, right, domain, step.variable, step.point, step.order)
        judgement = judge(statement, step.by, use(before, step.using) if step.using else None)
        checked.append(replace(step, right=right, judgement=judgement))
        before = right
        if judgement.verdict in FAILURES:
            claim = Claim(id, title, domain, left, checked, headline=headline, latex=latex, route_to=route_to, notation=notation)
            raise FAILURES[judgement.verdict](failure_text(claim, number), claim)
    claim = Claim(id, title, domain, left, checked, headline=headline, latex=latex, route_to=route_to, notation=notation)
    if route_to is not None:
        _check_route(claim, route_to)
    return claim


def refute(id: str, title: str, domain: Domain, left, *steps: Step, notation: dict | None = None) -> "Counterexample":
    """Show that a chain is false: what happens without a hypothesis, or to a formula that was printed wrong.

    Arguments as for :func:`derive`. The result shows the counterexample; a chain that is not refuted raises.

    Raises:
        ClaimError: the chain is true, or could not be decided.
    """
    try:
        claim = derive(id, title, domain, left, *steps, notation=notation)
    except Refuted as failure:
        return Counterexample(failure.claim)
    raise ClaimError(f"“{id}” was to be refuted, but it is {claim.verdict}", claim)


class Counterexample:
    """A statement that is false, with the point that shows it. It is no claim of the book and not in the ledger."""

    def __init__(self, claim: Claim):
        self.claim = claim

    def _repr_html_(self) -> str:
        return claim_html(self.claim)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": claim_text(self.claim), "text/html": claim_html(self.claim)}

    def __repr__(self) -> str:
        return claim_text(self.claim)


def define(id: str, title: str, domain: Domain, symbol, meaning, because: str, *, latex: str | None = None) -> Claim:
    """Introduce a notation: nothing to check beyond that both sides are expressions over the domain."""
    check_id(id)
    check_side("meaning", meaning, domain)
    step = Step("=", meaning, because, latex=latex, judgement=Judgement("definition", "a definition"))
    return Claim(id, title, domain, symbol, [step], kind="definition")


def cite(id: str, title: str, domain: Domain, left, step: Step, reference: str) -> Claim:
    """State a result from the literature. It must survive the search for a counterexample; its proof is the reference."""
    check_id(id)
    if not isinstance(reference, str) or not reference.strip():
        raise ValueError(f"reference must name the source, got {reference!r}")
    left, right = check_side("left", left, domain), check_side("right", step.right, domain)
    judgement = judge(Statement(left, step.relation, right, domain, step.variable, step.point, step.order))
    verdict = judgement.verdict if judgement.verdict in ("refuted", "vacuous") else "cited"
    evidence = f"{reference}; not refuted here ({judgement.evidence})" if verdict == "cited" else judgement.evidence
    claim = Claim(
        id,
        title,
        domain,
        left,
        [replace(step, right=right, judgement=Judgement(verdict, evidence, judgement.counterexample))],
        kind="cited",
        reference=reference,
    )
    if verdict in FAILURES:
        raise FAILURES[verdict](failure_text(claim, 1), claim)
    return claim


def _names(left, steps) -> set[str]:
    """The names of all symbols in a chain, bound ones too: those of the domain that it needs."""
    extra = [part for step in steps for part in (step.right, step.variable, step.order) if part is not None]
    parts = [sympy.sympify(part) for part in (left, *extra)]
    symbols = {str(symbol) for part in parts for symbol in part.atoms(sympy.Symbol, sympy.MatrixSymbol)}
    return symbols | {str(function.func) for part in parts for function in part.atoms(sympy.core.function.AppliedUndef)}


def _step_record(step: Step) -> dict:
    """A step as data. It starts where the step before it ended, the first at the claim's ``left``."""
    return {
        "relation": step.relation,
        "rhs": write(step.right),
        "limit": [str(step.variable), str(step.point)] if step.variable is not None else None,
        "order": write(step.order) if step.order is not None else None,
        "verdict": step.judgement.verdict,
        "evidence": step.judgement.evidence,
        "because": step.because,
    }


def _said(fields: dict) -> dict:
    return {name: value for name, value in fields.items() if value is not None}


def check_id(id):
    if not isinstance(id, str) or not id or not all(part.isalnum() and part == part.lower() for part in id.split("-")):
        raise ValueError(f"id must be lower-case words joined by hyphens, got {id!r}")


def _check_route(claim, other):
    for name, mine, theirs in (("starts", claim.lhs, other.lhs), ("ends", claim.rhs, other.rhs)):
        if mine == theirs:
            continue
        judgement = judge(Statement(mine, "=", theirs, claim.domain))
        if judgement.verdict in FAILURES:
            raise FAILURES[judgement.verdict](
                f"the route “{claim.id}” {name} elsewhere than “{other.id}”: {mine} is not shown equal to {theirs}"
                f" ({judgement.evidence})",
                claim,
            )
    if claim.relation != other.relation:
        raise ValueError(f"the route {claim.id!r} proves {claim.relation}, but {other.id!r} says {other.relation}")


def failure_text(claim, number):
    step = claim.steps[number - 1]
    lines = [
        f"“{claim.id}”, step {number} (line {step.line}), {step.judgement.verdict}: {step.judgement.evidence}.",
        f"  {claim.left if number == 1 else claim.steps[number - 2].right}  {step.relation}  {step.right}",
    ]
    if step.judgement.counterexample:
        example = step.judgement.counterexample
        at = ", ".join(f"{name} = {value}" for name, value in example["at"].items()) or "as it stands"
        lines.append(f"  at {at}: left = {example['left']}, right = {example['right']}")
    return "\n".join(lines)
