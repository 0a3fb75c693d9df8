"""The verdict on one statement: refute first, then prove, then count the points."""

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise

import sympy

from .budget import announce, within_budget
from .domains import Domain, Matrices, Sequence
from .formula import ShapeMismatch
from .limits import find_limit, probe_limit
from .methods import Probing, weakest
from .probe import ENOUGH_DIGITS, Probe, probe_equality, probe_order
from .sign import find_nonnegative
from .statement import Statement
from .zero import CALLS, DIFFERENTIATION_CALLS, _quietly, find_zero, normal_form_is_zero

EXACT = ("=", "<=", ">=")
LIMITS = ("->", "~", "O")
FAILURES = ("refuted", "undecided", "vacuous")
ENOUGH_POINTS = 3


@dataclass(frozen=True)
class Judgement:
    """A verdict, how it was reached, and the counterexample where there is one."""

    verdict: str
    evidence: str
    counterexample: dict | None = None


def check_side(name: str, side, domain: Domain):
    """A side must be a SymPy expression or matrix whose free symbols all have a domain.

    Raises:
        TypeError, ValueError: it is no expression, or not a number, or a symbol has no domain.
        ShapeMismatch: matrices inside it do not conform at every size.
    """
    if isinstance(side, sympy.MatrixBase):
        side = sympy.ImmutableMatrix(side)
    elif isinstance(side, (int, float)) and not isinstance(side, bool):
        if side != side or side in (float("inf"), float("-inf")):
            raise ValueError(f"{name} must be a finite number or a SymPy expression, got {side}")
        side = sympy.nsimplify(side, rational=True)
    elif not isinstance(side, (sympy.Expr, sympy.MatrixExpr)):
        raise TypeError(f"{name} must be a SymPy expression, got {side!r} of type {type(side).__name__}")
    if side.has(sympy.nan, sympy.zoo):
        raise ValueError(f"{name} must be a number, got {side}")
    misfit = _misfit(side)
    if misfit is not None:
        raise ShapeMismatch(f"the shapes in {name} must conform at every size, got {misfit}")
    known = domain.atoms()
    strangers = sorted(
        str(symbol)
        for symbol in side.free_symbols - known
        if not isinstance(symbol, (sympy.Indexed, sympy.Idx))
        and str(symbol) not in {str(k) for k in known if k == symbol}
    )
    strangers += sorted(str(f.func) for f in side.atoms(sympy.core.function.AppliedUndef) if f.func not in known)
    if strangers:
        raise ValueError(f"{name} has {', '.join(strangers)} without a domain: {side}; the domain has {domain}")
    return side


def judge(statement: Statement, method=None, rewritten=None, *, thorough: bool = True) -> Judgement:
    """The verdict on ``statement``.

    Args:
        method: a proof handed in by the author (see ``methods``); it is checked, and where it fails that is said.
        rewritten: the left side after using earlier claims, equal to ``statement.left`` by them; proofs start from it.
        thorough: whether to look for a proof with the slow strategies where the points agree already.
    """
    left, right = (
        check_side(name, side, statement.domain)
        for name, side in (("left", statement.left), ("right", statement.right))
    )
    if left == right:
        return Judgement("vacuous", "both sides are the same expression before anything is checked")
    if _shape(left) != _shape(right):
        return Judgement(
            "refuted",
            f"the shapes do not conform: {_shape(left) or 'a number'} and {_shape(right) or 'a number'}",
            {"at": {}, "left": f"shape {_shape(left)}", "right": f"shape {_shape(right)}"},
        )
    seed = hashlib.sha256(f"{left} {statement.relation} {right} {statement.domain}".encode()).hexdigest()
    announce("comparing both sides at points")
    probe = probe_statement(replace(statement, left=left, right=right), seed)
    if probe.counterexample:
        return Judgement("refuted", "a counterexample was found", probe.counterexample)
    announce("looking for a proof")
    start = left if rewritten is None else rewritten
    needed = min(ENOUGH_POINTS, max(1, len(left.free_symbols | right.free_symbols)))
    probed = probe.agreed >= needed and probe.digits >= ENOUGH_DIGITS
    proof = None
    if method is not None:
        proof = within_budget(lambda: method.prove(start, right, statement.relation, statement.domain), 40 * CALLS)
        if proof is None and not isinstance(method, Probing):
            return Judgement(
                "undecided",
                f"the proof by {type(method).__name__.lower()} does not go through"
                + (f"; {probe.agreed} points agree" if probe.agreed else ""),
            )
    else:
        proof = _prove(statement, start, right, thorough or not probed)
    if proof:
        return Judgement(*proof)
    if probed:
        return Judgement("probed", _points_text(probe, statement))
    why = f": {probe.unusable[0]}" if probe.unusable else ""
    return Judgement("undecided", f"no strategy reached a proof and only {probe.agreed} points could be compared{why}")


def probe_statement(statement: Statement, seed: str, plain: bool = True) -> Probe:
    """Look for a counterexample; ``plain`` asks for one that a person can follow."""
    left, right, domain = statement.left, statement.right, statement.domain
    if statement.relation in LIMITS:
        return probe_limit(statement, seed)
    extra = {"breaks": statement.breaks, "tolerance": statement.tolerance}
    if statement.relation == "=":
        return probe_equality(left, right, domain, seed, plain=plain, **extra)
    low, high = (left, right) if statement.relation == "<=" else (right, left)
    probe = probe_order(low, high, domain, seed, plain=plain, **extra)
    if probe.counterexample and statement.relation == ">=":
        counterexample = probe.counterexample
        counterexample["left"], counterexample["right"] = counterexample["right"], counterexample["left"]
    return probe


def _points_text(probe, statement):
    sizes = list(dict.fromkeys(shape for shape in probe.shapes if shape))
    if statement.relation in LIMITS:
        return f"followed towards the limit at {probe.agreed} generic point{'s' if probe.agreed > 1 else ''}: {probe.shapes[0]}"
    shown = f"; {'; '.join(sizes[:8])}{' …' if len(sizes) > 8 else ''}" if sizes else ""
    if statement.relation == "=":
        return f"agrees to {probe.digits} digits at {probe.agreed} generic points{shown}"
    return f"holds at {probe.agreed} generic points, at the ends of the ranges and down the slope of the gap{shown}"


def _prove(statement, left, right, thorough):
    if statement.relation in LIMITS:
        return find_limit(left, right, statement.relation, statement.variable, statement.point, statement.order)
    domain = statement.domain
    if any(isinstance(kind, (Matrices, Sequence)) for kind in domain.kinds.values()):
        return _prove_for_sizes(statement, left, right)
    if isinstance(left, sympy.MatrixBase) or isinstance(right, sympy.MatrixBase):
        return _prove_entries(left - right, domain, thorough)
    if statement.relation == "=":
        return find_zero(left - right, domain, thorough)
    gap = right - left if statement.relation == "<=" else left - right
    found = find_nonnegative(gap, domain)
    if found is None and gap.has(sympy.Integral, sympy.Sum, sympy.Derivative):
        done = within_budget(lambda: _quietly(gap.doit), CALLS)
        found = done is not None and done != gap and find_nonnegative(done, domain) or None
    return found


def _prove_entries(matrix, domain, thorough):
    found = []
    for entry in matrix:
        found.append(find_zero(entry, domain, thorough))
        if found[-1] is None:
            return None
    return weakest(verdict for verdict, _ in found), f"{matrix.rows}×{matrix.cols} entries, each " + found[0][1]


def _prove_for_sizes(statement, left, right):
    """Matrices and sequences of general size: decide at explicit small sizes with symbolic entries, and say which."""
    if statement.relation not in EXACT:
        return None
    domain = statement.domain
    gap = left - right if statement.relation == ">=" else right - left
    sizes = [name for name, kind in domain.kinds.items() if kind.integer]
    shown = []
    for point in _small_sizes(domain, sizes):
        explicit = within_budget(lambda point=point: _quietly(lambda: _explicit(gap, domain, point)), DIFFERENTIATION_CALLS)
        if explicit is None:
            return None
        entries = list(explicit) if isinstance(explicit, sympy.MatrixBase) else [explicit]
        if statement.relation == "=":
            holds = within_budget(lambda entries=entries: all(normal_form_is_zero(entry) for entry in entries), DIFFERENTIATION_CALLS)
        else:
            holds = all(find_nonnegative(sympy.expand(entry), domain) for entry in entries)
        if not holds:
            return None
        shown.append(", ".join(f"{name} = {value}" for name, value in zip(sizes, point, strict=False)) or "the given sizes")
    if not shown:
        return None
    return "decided", ("sums of squares" if statement.relation != "=" else "symbolic entries") + ", for " + "; ".join(
        shown
    )


def _small_sizes(domain, sizes):
    lows = [max(1, int(domain.kinds[name].low)) if domain.kinds[name].low > -sympy.oo else 1 for name in sizes]
    choices = [tuple(low + (index * 2 + shift) % 3 for index, low in enumerate(lows)) for shift in (1, 0, 2)]
    return [c for c in dict.fromkeys(choices) if all(v <= domain.kinds[name].high for v, name in zip(c, sizes, strict=False))]


def _explicit(expression, domain, sizes):
    """Replace matrices and sequences by ones with symbolic entries."""
    names = [name for name, kind in domain.kinds.items() if kind.integer]
    numbers = {domain.symbols[name]: sympy.Integer(value) for name, value in zip(names, sizes, strict=False)}
    matrices, entries = {}, {}
    for name, kind in domain.kinds.items():
        symbol = domain.symbols[name]
        if isinstance(kind, Matrices):
            if kind.kind not in ("any", "symmetric"):
                return None
            rows, columns = (int(size.subs(numbers)) for size in (kind.rows, kind.columns))
            square = kind.kind == "symmetric"
            matrices[symbol] = sympy.ImmutableMatrix(
                rows,
                columns,
                lambda i, j, n=name, s=square: sympy.Symbol(
                    f"{n}_{min(i, j) + 1}{max(i, j) + 1}" if s else f"{n}_{i + 1}{j + 1}", real=True
                ),
            )
        elif isinstance(kind, Sequence):
            length = int(kind.length.subs(numbers))
            assumptions = kind.entries.symbol(name).assumptions0
            values = [sympy.Symbol(f"{name}_{i + 1}", **assumptions) for i in range(length)]
            if kind.total is not None:
                values[-1] = kind.total - sum(values[:-1])
            entries |= {symbol[i + 1]: value for i, value in enumerate(values)}
    if matrices:
        by_name = {str(matrix): value for matrix, value in matrices.items()}
        expression = expression.subs(numbers).replace(
            lambda part: isinstance(part, sympy.MatrixSymbol), lambda part: by_name[str(part)]
        )
    expression = expression.subs(numbers).doit()
    expression = expression.replace(
        sympy.Determinant, lambda m: m.det() if isinstance(m, sympy.MatrixBase) else sympy.Determinant(m)
    )
    if isinstance(expression, sympy.MatrixExpr) and not isinstance(expression, sympy.MatrixBase):
        expression = expression.as_explicit()
    expression = expression.xreplace(entries)
    if expression.has(sympy.Sum, sympy.Product, sympy.Indexed, sympy.MatrixSymbol):
        return None
    return expression


def _shape(side):
    return tuple(side.shape) if isinstance(side, (sympy.MatrixBase, sympy.MatrixExpr)) else ()


def _misfit(side):
    """The first part whose shapes do not conform at every size, in words, or ``None``."""
    for part in sympy.preorder_traversal(side):
        factors = [factor for factor in part.args if isinstance(factor, (sympy.MatrixBase, sympy.MatrixExpr))]
        shapes = [factor.shape for factor in factors]
        if isinstance(part, sympy.MatMul):
            pairs = [(first[1], second[0]) for first, second in pairwise(shapes)]
        elif isinstance(part, (sympy.MatAdd, sympy.HadamardProduct)):
            pairs = [pair for first, second in pairwise(shapes) for pair in zip(first, second, strict=True)]
        elif isinstance(part, (sympy.MatPow, sympy.Trace, sympy.Determinant)):
            pairs = shapes
        else:
            continue
        if any(sympy.expand(first - second) != 0 for first, second in pairs):
            return f"{part} with " + " and ".join(f"{rows}×{columns}" for rows, columns in shapes)
    return None
