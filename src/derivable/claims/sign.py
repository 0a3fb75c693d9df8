"""Is an expression nonnegative on a domain? Certificates that anybody can check."""

import sympy
from sympy import S

from .budget import within_budget
from .domains import Domain, Integers, Real
from .zero import CALLS, _quietly, normal_form_is_zero


def find_nonnegative(expression, domain: Domain) -> tuple[str, str] | None:
    """A proof that the scalar ``expression`` is nonnegative on ``domain``, as (verdict, evidence), or ``None``."""
    for certificate in (_squares, _coefficients, _sturm, _factors, _assumptions):
        found = within_budget(lambda certificate=certificate: _quietly(lambda: certificate(expression, domain)), CALLS)
        if found:
            return found
    return None


def is_positive(expression, domain: Domain) -> bool:
    """Whether the scalar is shown nonnegative factor by factor: powers of what is nonnegative, exponentials, quotients."""
    if expression.is_nonnegative or isinstance(expression, sympy.exp):
        return True
    if expression.is_Mul:
        return all(is_positive(factor, domain) for factor in expression.args)
    if expression.is_Pow and expression.exp.is_real:
        return is_positive(expression.base, domain)
    return find_nonnegative(expression, domain) is not None


def squares_certificate(expression, terms) -> bool:
    """Whether ``expression`` is exactly the sum of ``coefficient * square**2`` over ``terms`` with nonnegative coefficients."""
    total = sum((sympy.sympify(coefficient) * sympy.sympify(square) ** 2 for coefficient, square in terms), S.Zero)
    return all(sympy.sympify(coefficient).is_nonnegative for coefficient, _ in terms) and normal_form_is_zero(
        expression - total
    )


def _squares(expression, domain):
    """A quadratic polynomial: complete the squares over the rationals."""
    symbols = sorted(expression.free_symbols, key=str)
    polynomial = expression.as_poly(*symbols) if symbols else None
    if polynomial is None or polynomial.total_degree() != 2 or not all(c.is_Rational for c in polynomial.coeffs()):
        return None
    gram = sympy.zeros(len(symbols) + 1)
    for exponents, coefficient in polynomial.terms():
        slots = [i for i, power in enumerate(exponents) for _ in range(power)] + [len(symbols)] * (2 - sum(exponents))
        gram[slots[0], slots[1]] += coefficient / 2
        gram[slots[1], slots[0]] += coefficient / 2
    count = 0
    while gram.rows:
        pivot = gram[0, 0]
        if pivot < 0 or (pivot == 0 and any(gram[0, j] != 0 for j in range(gram.cols))):
            return None
        rest = gram[1:, 1:]
        if pivot > 0:
            count += 1
            rest = rest - gram[1:, 0] * gram[0, 1:] / pivot
        gram = rest
    return "decided", f"a sum of {count} square{'s' if count != 1 else ''} with positive rational coefficients"


def _coefficients(expression, domain):
    """A quotient of polynomials: after moving the lower ends to zero every coefficient is nonnegative."""
    numerator, denominator = sympy.together(expression).as_numer_denom()
    entries = expression.free_symbols - set(domain.symbols.values())  # of matrices and sequences
    if not all(entry.is_nonnegative for entry in entries):
        return None
    shifted = {}
    for name, symbol in domain.symbols.items():
        kind = domain.kinds[name]
        if symbol in expression.free_symbols:
            if not isinstance(kind, (Real, Integers)) or kind.low == -sympy.oo:
                return None
            if kind.high < sympy.oo:  # t in (low, high) becomes (low + high u)/(1 + u) with u > 0
                u = sympy.Symbol(f"{name}_", nonnegative=True)
                shifted[symbol] = (kind.low + kind.high * u) / (1 + u)
            else:
                shifted[symbol] = kind.low + sympy.Symbol(f"{name}_", nonnegative=True)
    numerator, denominator = sympy.together((numerator / denominator).subs(shifted)).as_numer_denom()
    signs = []
    for part in (numerator, denominator):
        polynomial = part.as_poly(*sorted(part.free_symbols, key=str)) if part.free_symbols else None
        coefficients = polynomial.coeffs() if polynomial is not None else [sympy.expand(part)]
        if all(c.is_nonnegative for c in coefficients):
            signs.append(1)
        elif all(c.is_nonpositive for c in coefficients):
            signs.append(-1)
        else:
            return None
    if signs[0] * signs[1] > 0 or sympy.expand(numerator) == 0:
        numbers = not numerator.has(sympy.Function) and numerator.is_rational_function()
        return (
            "decided" if numbers else "symbolic",
            "every coefficient is nonnegative once the lower ends of the variables are moved to zero",
        )
    return None


def _sturm(expression, domain):
    """A polynomial in one variable: no sign change inside the interval, by Sturm's theorem."""
    symbols = expression.free_symbols
    if len(symbols) != 1:
        return None
    (symbol,) = symbols
    kind = domain.kinds.get(str(symbol))
    if not isinstance(kind, (Real, Integers)):
        return None
    numerator, denominator = sympy.together(expression).as_numer_denom()
    for part in (numerator, denominator):
        polynomial = part.as_poly(symbol)
        if polynomial is None or not all(c.is_Rational for c in polynomial.coeffs()):
            return None
    polynomial = (numerator * denominator).as_poly(symbol)
    low = None if kind.low == -sympy.oo else kind.low
    high = None if kind.high == sympy.oo else kind.high
    if not all(end is None or end.is_Rational for end in (low, high)):
        return None
    odd = sympy.Integer(1).as_poly(symbol)
    for factor, multiplicity in polynomial.sqf_list()[1]:
        if multiplicity % 2:
            odd = odd * factor
    roots = odd.count_roots(low, high)
    for end in {low, high} - {None}:
        roots -= odd.eval(end) == 0
    if roots:
        return None
    inside = next((p[symbol] for p in domain.simple_points() if symbol in p and expression.subs(p) != 0), None)
    if inside is not None and expression.subs(symbol, inside) > 0:
        return "decided", "no sign change inside the interval, by Sturm's theorem"
    return None


def _factors(expression, domain):
    """A product whose factors have known signs."""
    factored = sympy.factor(sympy.together(expression))
    if factored != expression and factored.is_nonnegative:
        return "symbolic", f"SymPy {sympy.__version__}: the factors are nonnegative"
    return None


def _assumptions(expression, domain):
    if expression.is_nonnegative:
        return "symbolic", f"SymPy {sympy.__version__}: nonnegative by its assumptions"
    return None
