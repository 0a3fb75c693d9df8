"""What a rule of quadrature should know about an integrand before it starts: kinks, poles, peaks and waves."""

from dataclasses import dataclass, field

import sympy

JUMPS = (sympy.Abs, sympy.sign, sympy.Heaviside)
STEPS = (sympy.floor, sympy.ceiling)


@dataclass
class Features:
    """Expressions in the other symbols: they are numbers once those have values."""

    kinks: list = field(default_factory=list)
    signs: list = field(default_factory=list)  # functions of the variable that bend the integrand where they change sign
    steps: list = field(default_factory=list)  # (slope, offset): jumps where slope * x + offset is an integer
    peaks: list = field(default_factory=list)  # (centre, width)
    decays: list = field(default_factory=list)  # lengths on which an exponential of a line falls or grows
    waves: list = field(default_factory=list)  # (coefficient, power)


def find_features(body, symbol) -> Features:
    """The features of ``body`` as a function of ``symbol``."""
    features = Features()
    inner = {variable for part in body.atoms(sympy.Integral, sympy.Sum, sympy.Product) for variable in part.variables}
    body = body.replace(lambda part: part.is_Mul, _join_exponentials)
    for part in dict.fromkeys(sympy.preorder_traversal(body)):
        free = getattr(part, "free_symbols", set())
        if symbol in free and not free & inner:
            _look_at(part, symbol, features)
    return features


def _join_exponentials(product):
    """Two exponentials have a peak together that neither has alone."""
    exponents = [factor.args[0] for factor in product.args if isinstance(factor, sympy.exp)]
    if len(exponents) < 2:
        return product
    return sympy.Mul(*(factor for factor in product.args if not isinstance(factor, sympy.exp)), sympy.exp(sympy.Add(*exponents)))


def _look_at(part, symbol, features):
    if isinstance(part, JUMPS):
        _zero(part.args[0], symbol, features)
    elif isinstance(part, (sympy.Max, sympy.Min)):
        first, *others = part.args
        for other in others:
            _zero(first - other, symbol, features)
    elif isinstance(part, sympy.Piecewise):
        for relation in part.atoms(sympy.core.relational.Relational):
            _zero(relation.lhs - relation.rhs, symbol, features)
    elif isinstance(part, STEPS):
        line = _polynomial(part.args[0], symbol)
        if line is not None and line.degree() == 1:
            features.steps.append(tuple(line.all_coeffs()))
    elif isinstance(part, sympy.log):
        _zero(part.args[0], symbol, features)
    elif isinstance(part, (sympy.tan, sympy.sec)):
        features.signs.append(sympy.cos(part.args[0]))
    elif isinstance(part, (sympy.cot, sympy.csc)):
        features.signs.append(sympy.sin(part.args[0]))
    elif isinstance(part, sympy.exp):
        _exponential(part.args[0], symbol, features)
    elif isinstance(part, (sympy.sin, sympy.cos)):
        wave = _polynomial(part.args[0], symbol)
        if wave is not None and wave.degree() >= 1:
            features.waves.append((sympy.Abs(wave.LC()), sympy.Integer(wave.degree())))
    elif part.is_Pow and part.base.has(symbol) and not (part.exp.is_Integer and part.exp > 0):
        _zero(part.base, symbol, features)
        _bump(part.base, symbol, features, lambda a, b, c: c / a - (b / (2 * a)) ** 2)


def _polynomial(expression, symbol):
    try:
        return sympy.Poly(expression, symbol)
    except sympy.PolynomialError:
        return None


def _zero(expression, symbol, features):
    """The zeros of ``expression``: solved for up to degree two, otherwise left to be seen as changes of sign."""
    if not expression.has(symbol) or expression.is_positive or expression.is_negative:
        return
    for factor in sympy.Mul.make_args(expression):
        base = factor.base if factor.is_Pow else factor
        if not base.has(symbol) or base.is_positive or base.is_negative:
            continue
        polynomial = _polynomial(base, symbol)
        if polynomial is None or polynomial.degree() > 2:
            features.signs.append(base)
        elif polynomial.degree() == 1:
            slope, offset = polynomial.all_coeffs()
            features.kinks.append(-offset / slope)
        else:
            a, b, c = polynomial.all_coeffs()
            root = sympy.sqrt(b**2 - 4 * a * c)
            features.kinks += [(-b - root) / (2 * a), (-b + root) / (2 * a)]


def _bump(expression, symbol, features, square_of_width):
    polynomial = _polynomial(expression, symbol)
    if polynomial is not None and polynomial.degree() == 2:
        a, b, c = polynomial.all_coeffs()
        features.peaks.append((-b / (2 * a), sympy.sqrt(sympy.Abs(square_of_width(a, b, c)))))


def _exponential(exponent, symbol, features):
    _bump(exponent, symbol, features, lambda a, b, c: 1 / a)
    line = _polynomial(exponent, symbol)
    if line is not None and line.degree() == 1:
        features.decays.append(1 / sympy.Abs(line.LC()))
