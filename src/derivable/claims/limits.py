"""Statements about a limit, seen along a sequence that runs far into it, with digits to spare."""

import sympy
from mpmath import mp

from .budget import within_budget
from .numeric import compile_number, evaluate
from .probe import Probe, _free, _needs_quadrature, _text, side_texts
from .quadrature import NoValue
from .statement import Statement
from .zero import LAST_CALLS, _quietly

CALLS = 1_800_000  # of Python functions, for one limit: each statement of this kind asks for one only
FAR = (2, 4, 8, 16)  # exponents of ten: steps that double the logarithm, so that a logarithmic decay halves
FARTHER = (16, 32, 64, 128)  # where the decay is slow: a constant that it may hide shows up further out
SLOW = mp.mpf("1e-4")
NEAR = (1, 2, 3, 4)  # where quadrature or long sums do not reach further
GENERIC = sympy.Rational(7919, 6007)  # no step lands on a power of ten, where a sine or a sign may vanish


def probe_limit(statement: Statement, seed: str) -> Probe:
    """Follow both sides as the variable tends to its point, at generic values of the other variables.

    Relations: ``->`` (the difference tends to 0), ``~`` (the quotient tends to 1), ``O`` (difference over ``order`` stays bounded).
    """
    left, right, _relation, variable = statement.left, statement.right, statement.relation, statement.variable
    result = Probe()
    order = sympy.sympify(1 if statement.order is None else statement.order)
    try:
        compiled = [compile_number(side) for side in (left, right, order)]
    except NoValue as problem:
        result.unusable.append(str(problem))
        return result
    coarse = _needs_quadrature(left) or _needs_quadrature(right)
    free = (_free(left) | _free(right)) - {variable}
    kind = statement.domain.kinds.get(str(variable))
    for generic in statement.domain.points(5 if free else 1, seed):
        for exponents in (NEAR,) if coarse else (FAR, NEAR):
            try:
                sizes, verdict, where, sides = _follow(compiled, generic, statement, exponents, kind, coarse)
                if verdict and exponents is FAR and sizes[-1] > SLOW:
                    sizes, verdict, where, sides = _follow(compiled, generic, statement, FARTHER, kind, coarse)
                break
            except NoValue as problem:
                verdict, reason = None, str(problem)
        if verdict is None:
            result.unusable.append(reason if not result.unusable else result.unusable[0])
        elif verdict:
            result.agreed += 1
            result.shapes.append(", ".join(mp.nstr(size, 2) for size in sizes))
        else:
            at = {str(symbol): _text(value) for symbol, value in generic.items() if symbol in free}
            at[str(variable)] = _place_text(where, statement.point)
            result.counterexample = {"at": at} | side_texts(*sides)
            return result
    return result


def _place_text(where, point):
    if where.is_Integer and abs(where) < 10**6:
        return str(where)
    if point.is_finite and point != 0:
        return f"{point} {'+' if where > point else '-'} {abs(where - point).evalf(6)}"
    return str(where.evalf(6))


def _follow(compiled, generic, statement, exponents, kind, coarse):
    """(sizes, whether it looks right, the last place, both sides there)."""
    variable = statement.variable
    places = [(_where(statement.point, exponent, kind), exponent) for exponent in exponents]
    if kind is not None and kind.integer:  # neighbours too: what depends on the parity has no limit
        last, exponent = places[-1]
        places += [(last + step, exponent) for step in (1, 2, 3)]
    trace = [_step(compiled, generic | {variable: where}, exponent, coarse) for where, exponent in places]
    sizes, verdict = _judge([step[2:] for step in trace], statement.relation, statement.tolerance, len(exponents))
    worst = max(range(len(exponents) - 1, len(places)), key=lambda index: sizes[index])
    return sizes, verdict, places[worst][0], trace[worst][:2]


def _where(point, exponent, kind):
    """A place on the way to ``point``: from above where it is finite, unless the domain lies below it."""
    far = GENERIC * 10**exponent
    if abs(point) == sympy.oo:
        if kind is not None and kind.integer:
            far = sympy.floor(far)  # of both parities
        return far if point > 0 else -far
    below = kind is not None and kind.high <= point
    return point - 1 / far if below else point + 1 / far


def _step(compiled, values, exponent, coarse):
    digits = 20 if coarse else 30 + 8 * exponent
    (a, error_a), (b, error_b), (scale, _) = [evaluate(side, values, digits) for side in compiled]
    with mp.workdps(digits):
        return a, b, a - b, b, scale, error_a + error_b


def _judge(trace, relation, tolerance, count):
    """(sizes, whether the statement looks right); raises ``NoValue`` where the sequence does not say."""
    sizes = []
    for gap, right, scale, error in trace:
        if relation == "~":
            if right == 0:
                raise NoValue("the right side vanishes on the way")
            size = abs(gap / right)
        else:
            size = abs(gap) / abs(scale)
        if not mp.isfinite(gap):
            raise NoValue("a side is infinite on the way")
        if error > abs(gap) / 10 and abs(gap) > mp.mpf("1e-6"):
            raise NoValue("quadrature is too coarse so far into the limit")
        sizes.append(mp.zero if error > abs(gap) else size)
    before, middle = sizes[count - 3 : count - 1]
    last = max(sizes[count - 1 :])
    if relation == "O":
        if (
            last <= middle * mp.mpf("1.2")
            and middle <= before * mp.mpf("1.5") + mp.mpf("1e-30")
            or last <= mp.mpf("1e-12")
        ):
            return sizes, True
        return sizes, last <= mp.mpf("1.4") * middle and last <= 2 * before
    if last <= mp.mpf(10) ** -25 or (tolerance is not None and last <= tolerance.p / mp.mpf(tolerance.q)):
        return sizes, True
    ratio = mp.mpf("0.62")
    if last <= ratio * middle and middle <= ratio * before and last < mp.mpf("0.3"):
        return sizes, True
    if last >= mp.mpf("0.97") * middle:
        return sizes, False
    raise NoValue("the sequence does not settle")


def find_limit(left, right, relation: str, variable, point, order) -> tuple[str, str] | None:
    """SymPy's own limit, where it finishes within its budget."""
    goal = left - right if relation == "->" else left / right - 1 if relation == "~" else (left - right) / order
    direction = "-" if point == sympy.oo else "+"
    value = within_budget(lambda: _quietly(lambda: sympy.limit(goal.doit(), variable, point, direction)), CALLS)
    if value is None or isinstance(value, sympy.Limit):
        return None
    if relation == "O":
        return ("symbolic", f"SymPy {sympy.__version__}: the quotient tends to {value}") if value.is_finite else None
    if value == 0 or within_budget(lambda: _quietly(lambda: sympy.simplify(value) == 0), LAST_CALLS):
        return "symbolic", f"SymPy {sympy.__version__}: the limit is 0"
    return None
