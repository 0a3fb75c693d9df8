"""Statements about a limit, seen along a sequence that runs far into it, with digits to spare."""

import sympy
from mpmath import mp

from .budget import within_budget
from .domains import Domain
from .numeric import compile_number, evaluate
from .probe import Probe, _free, _needs_quadrature, _text, side_texts
from .quadrature import NoValue
from .zero import LAST_CALLS, _quietly

FAR = (2, 4, 8, 16)  # exponents of ten: steps that double the logarithm, so that a logarithmic decay halves
NEAR = (1, 2, 3, 4)  # where quadrature or long sums do not reach further


def probe_limit(left, right, relation: str, variable, point, order, domain: Domain, seed: str) -> Probe:
    """Follow ``left`` and ``right`` as ``variable`` tends to ``point`` at generic values of the other variables.

    Relations: ``->`` (the difference tends to 0), ``~`` (the quotient tends to 1), ``O`` (difference over ``order`` stays bounded).
    """
    result = Probe()
    try:
        compiled = [compile_number(side) for side in (left, right, sympy.sympify(order if order is not None else 1))]
    except NoValue as problem:
        result.unusable.append(str(problem))
        return result
    coarse = _needs_quadrature(left) or _needs_quadrature(right)
    free = (_free(left) | _free(right)) - {variable}
    for generic in domain.points(3 if free else 1, seed):
        for exponents in (NEAR,) if coarse else (FAR, NEAR):
            try:
                trace = [_step(compiled, generic, variable, point, exponent, coarse) for exponent in exponents]
                verdict = _judge(trace, relation)
                break
            except NoValue as problem:
                verdict, reason = None, str(problem)
        if verdict is None:
            result.unusable.append(reason if not result.unusable else result.unusable[0])
        elif verdict:
            result.agreed += 1
            result.shapes.append(", ".join(mp.nstr(size, 2) for _, _, _, size in trace))
        else:
            where, a, b, size = trace[-1]
            at = {str(symbol): _text(value) for symbol, value in generic.items() if symbol in free}
            result.counterexample = {"at": at | {str(variable): _power_text(where)}} | side_texts(a, b)
            return result
    return result


def _step(compiled, generic, variable, point, exponent, coarse):
    ten = sympy.Integer(10)
    if point == sympy.oo:
        where = ten**exponent
    elif point == -sympy.oo:
        where = -(ten**exponent)
    else:
        where = point + ten**-exponent
    digits = 20 if coarse else 30 + 8 * exponent
    (a, error_a), (b, error_b), (scale, _) = [evaluate(side, generic | {variable: where}, digits) for side in compiled]
    with mp.workdps(digits):
        return where, a, b, (a - b, b, scale, error_a + error_b)


def _judge(trace, relation):
    """True: the statement looks right; False: it does not; ``NoValue``: the sequence does not say."""
    sizes = []
    for _, a, b, (gap, right, scale, error) in trace:
        if relation == "~":
            if right == 0:
                raise NoValue("the right side vanishes on the way")
            size = abs(gap / right)
        else:
            size = abs(gap) / abs(scale)
        if error > abs(gap) / 10 and abs(gap) > mp.mpf("1e-6"):
            raise NoValue("quadrature is too coarse so far into the limit")
        sizes.append(mp.mpf(0) if error > abs(gap) else size)
    for index, size in enumerate(sizes):
        trace[index] = (*trace[index][:3], size)
    before, middle, last = sizes[-3:]
    doubling = trace[-1][0] == trace[-2][0] ** 2 or len(sizes) == len(FAR)
    if relation == "O":
        if (
            last <= middle * mp.mpf("1.2")
            and middle <= before * mp.mpf("1.5") + mp.mpf("1e-30")
            or last <= mp.mpf("1e-12")
        ):
            return True
        if last > mp.mpf("1.4") * middle:
            return False
        return last <= 2 * before
    floor = mp.mpf(10) ** -25
    if last <= floor:
        return True
    ratio = mp.mpf("0.62") if doubling else mp.mpf("0.9")
    if last <= ratio * middle and middle <= ratio * before and last < mp.mpf("0.3"):
        return True
    if last >= mp.mpf("0.97") * middle:
        return False
    raise NoValue("the sequence does not settle")


def _power_text(where):
    return (
        str(where)
        if abs(where) <= 10**4
        else f"10^{len(str(abs(where))) - 1}"
        if where.is_Integer
        else str(where.evalf(3))
    )


def find_limit(left, right, relation: str, variable, point, order) -> tuple[str, str] | None:
    """SymPy's own limit, where it finishes within its budget."""
    goal = left - right if relation == "->" else left / right - 1 if relation == "~" else (left - right) / order
    direction = "-" if point == sympy.oo else "+"
    value = within_budget(lambda: _quietly(lambda: sympy.limit(goal.doit(), variable, point, direction)), LAST_CALLS)
    if value is None or isinstance(value, sympy.Limit):
        return None
    if relation == "O":
        return ("symbolic", f"SymPy {sympy.__version__}: the quotient tends to {value}") if value.is_finite else None
    if value == 0 or within_budget(lambda: _quietly(lambda: sympy.simplify(value) == 0), LAST_CALLS):
        return "symbolic", f"SymPy {sympy.__version__}: the limit is 0"
    return None
