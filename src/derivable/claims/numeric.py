"""SymPy expressions as mpmath numbers, at any precision, with an honest error.

``compile_number(expression)`` turns an expression into a function of an environment (symbol -> value). Integrals and
infinite sums are computed twice, in two different ways; what the two disagree by is added to the environment's ``error``.
"""

from collections.abc import Callable

import mpmath
import sympy
from mpmath import mp

from .budget import within_budget
from .features import find_features
from .quadrature import LONGEST_SUM, NoValue, infinite_sum, integrate, sign_changes

LIMIT_CALLS = 800_000  # of Python functions, for SymPy to find a limit inside an expression
EVALUATIONS = 300_000  # of integrands and summands for one value of one side; a count, so that speed decides nothing
LARGEST_STEPS = 200  # jumps of a floor inside one integral
FALLEN = 30  # lengths of decay after which nothing is left of it for a rule to see
LARGEST_EXPONENT = mp.mpf(10) ** 300


class Environment(dict):
    """Values of the symbols, the accumulated absolute error of quadrature and summation, and what is left to spend."""

    def __init__(self, values, breaks=()):
        super().__init__({symbol: to_number(value) for symbol, value in values.items()})
        self.breaks = breaks  # compiled places where integrands are said to have kinks
        self.error = mp.zero
        self.depth = 0  # of integrals inside integrals
        self.left = EVALUATIONS

    def spend(self):
        self.left -= 1
        if self.left < 0:
            raise NoValue(f"more than {EVALUATIONS} evaluations of an integrand or summand")


def to_number(value):
    """A sampled value (rational, matrix of rationals, or list of them) at the present precision."""
    if isinstance(value, list):
        return [to_number(entry) for entry in value]
    if isinstance(value, sympy.MatrixBase):
        return mp.matrix([[to_number(entry) for entry in row] for row in value.tolist()])
    if isinstance(value, sympy.Integer):
        return mp.mpf(int(value))
    if isinstance(value, sympy.Rational):
        return mp.mpf(value.p) / value.q
    return sympy.sympify(value)._to_mpmath(mp.prec)


Compiled = Callable[[Environment], object]

FUNCTIONS = {
    "Abs": mp.fabs,
    "sign": mp.sign,
    "re": mp.re,
    "im": mp.im,
    "conjugate": mp.conj,
    "floor": mp.floor,
    "ceiling": mp.ceil,
    "exp": mp.exp,
    "log": mp.log,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "cot": mp.cot,
    "sec": mp.sec,
    "csc": mp.csc,
    "sinc": mp.sinc,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "acot": mp.acot,
    "atan2": mp.atan2,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "coth": mp.coth,
    "sech": mp.sech,
    "csch": mp.csch,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": mp.atanh,
    "acoth": mp.acoth,
    "factorial": mp.factorial,
    "factorial2": mp.fac2,
    "binomial": mp.binomial,
    "gamma": mp.gamma,
    "loggamma": mp.loggamma,
    "beta": mp.beta,
    "RisingFactorial": mp.rf,
    "FallingFactorial": mp.ff,
    "digamma": mp.digamma,
    "polygamma": mp.psi,
    "harmonic": lambda n, m=1: mp.harmonic(n) if m == 1 else mp.nsum(lambda k: k**-m, [1, n]),
    "zeta": mp.zeta,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "erfi": mp.erfi,
    "erfinv": mp.erfinv,
    "besselj": mp.besselj,
    "bessely": mp.bessely,
    "besseli": mp.besseli,
    "besselk": mp.besselk,
    "lowergamma": lambda s, x: mp.gammainc(s, 0, x),
    "uppergamma": lambda s, x: mp.gammainc(s, x),
    "betainc": lambda a, b, x, y: mp.betainc(a, b, x, y),
    "betainc_regularized": lambda a, b, x, y: mp.betainc(a, b, x, y, regularized=True),
    "expint": mp.expint,
    "Ei": mp.ei,
    "li": mp.li,
    "Li": lambda x: mp.li(x, offset=True),
    "Si": mp.si,
    "Ci": mp.ci,
    "LambertW": mp.lambertw,
    "Heaviside": lambda x, at_zero=0.5: mp.one if x > 0 else mp.zero if x < 0 else mp.mpf(at_zero),
    "KroneckerDelta": lambda i, j: mp.one if i == j else mp.zero,
    "legendre": mp.legendre,
    "hermite": mp.hermite,
    "chebyshevt": mp.chebyt,
    "chebyshevu": mp.chebyu,
    "jacobi": mp.jacobi,
    "gegenbauer": mp.gegenbauer,
    "Mod": lambda x, y: x - y * mp.floor(x / y),
    "arg": mp.arg,
    "laguerre": lambda n, x: mp.laguerre(n, 0, x),
    "assoc_laguerre": mp.laguerre,
    "assoc_legendre": lambda n, m, x: mp.legenp(n, m, x),
    "airyai": mp.airyai,
    "airybi": mp.airybi,
    "fresnels": mp.fresnels,
    "fresnelc": mp.fresnelc,
    "catalan": lambda n: mp.binomial(2 * n, n) / (n + 1),
    "fibonacci": mp.fibonacci,
    "bernoulli": lambda n: mp.mpf(1) / 2 if n == 1 else mp.bernoulli(int(n)),
    "polylog": mp.polylog,
    "dirichlet_eta": mp.altzeta,
    "elliptic_k": mp.ellipk,
    "elliptic_e": mp.ellipe,
}
FOLLOWED_FAR = {"Abs", "sign", "re", "im", "conjugate", "log", "atan", "Heaviside", "tanh"}


def compile_number(expression) -> Compiled:
    """A function of an :class:`Environment` that gives the value of ``expression``; raises ``NoValue`` where there is none."""
    if isinstance(expression, sympy.MatrixBase):
        rows = [[compile_number(entry) for entry in row] for row in expression.tolist()]
        return lambda env: mp.matrix([[entry(env) for entry in row] for row in rows])
    for kind, compiler in COMPILERS:
        if isinstance(expression, kind):
            return compiler(expression)
    name = type(expression).__name__
    if isinstance(expression, sympy.Function) and name in FUNCTIONS:
        function, arguments = FUNCTIONS[name], [compile_number(argument) for argument in expression.args]

        def value(env):
            values = [argument(env) for argument in arguments]
            if name not in FOLLOWED_FAR and any(abs(x) > LARGEST_EXPONENT for x in values):
                raise NoValue(f"an argument of {name} too large to follow")
            return function(*values)

        return value
    raise NoValue(f"no numerical value is known for {name}")


def _number(expression):
    at_precision = {}

    def value(env):
        if mp.prec not in at_precision:
            at_precision[mp.prec] = mp.mpmathify(expression._to_mpmath(mp.prec))  # a Python integer would make powers of itself
        return at_precision[mp.prec]

    return value


def _symbol(expression):
    def value(env):
        try:
            return env[expression]
        except KeyError:
            raise NoValue(f"{expression} has no value") from None

    return value


def _add(expression):
    terms = [compile_number(term) for term in expression.args]

    def value(env):
        total = terms[0](env)
        for term in terms[1:]:
            total = total + term(env)
        return total

    return value


def _mul(expression):
    factors = [compile_number(factor) for factor in expression.args]

    def value(env):
        before, env.error = env.error, mp.zero
        product = factors[0](env)
        for factor in factors[1:]:
            error, env.error = env.error, mp.zero
            another = factor(env)
            if error or env.error:
                env.error = error * largest_entry(another) + env.error * largest_entry(product)
            product = product * another
        if before:
            env.error += before
        return product

    return value


def largest_entry(value):
    """The absolute value of a number, the largest of a matrix."""
    return max((abs(entry) for entry in value), default=mp.zero) if isinstance(value, mp.matrix) else abs(value)


def _pow(expression):
    base, exponent = compile_number(expression.base), compile_number(expression.exp)
    if expression.exp.is_Integer and abs(expression.exp) <= LARGEST_EXPONENT:
        return _integer_power(base, int(expression.exp))

    def value(env):
        b, e = base(env), exponent(env)
        if b == 0 and mp.re(e) < 0:
            raise NoValue("division by zero")
        if abs(e) > LARGEST_EXPONENT:
            raise NoValue("an exponent too large to follow")
        return b ** (int(e) if mp.isint(e) else e)

    return value


def _integer_power(base, exponent):
    def value(env):
        b = base(env)
        if exponent < 0 and b == 0:
            raise NoValue("division by zero")
        return b**exponent

    return value


def _exp(expression):
    argument = compile_number(expression.args[0])

    def value(env):
        x = argument(env)
        if abs(x) > LARGEST_EXPONENT:
            if mp.re(x) < 0:
                return mp.zero
            raise NoValue("an exponent too large to follow")
        return mp.exp(x)

    return value


def _hyper(expression):
    upper = [compile_number(a) for a in expression.args[0]]
    lower = [compile_number(b) for b in expression.args[1]]
    argument = compile_number(expression.args[2])
    return lambda env: mp.hyper([a(env) for a in upper], [b(env) for b in lower], argument(env))


def _piecewise(expression):
    branches = [(compile_number(value), compile_condition(condition)) for value, condition in expression.args]

    def value(env):
        for branch, condition in branches:
            if condition(env):
                return branch(env)
        raise NoValue("no branch of a Piecewise applies")

    return value


def _extremum(choose):
    def compiler(expression):
        arguments = [compile_number(argument) for argument in expression.args]
        return lambda env: choose(argument(env) for argument in arguments)

    return compiler


def _indexed(expression):
    base, index = expression.base, compile_number(expression.indices[0])
    if len(expression.indices) != 1:
        raise NoValue("only sequences with one index have values")

    def value(env):
        entries, position = env[base.label], int(index(env))
        if not 1 <= position <= len(entries):
            raise NoValue(f"{base}[{position}] is outside 1..{len(entries)}")
        return entries[position - 1]

    return value


def compile_condition(condition) -> Compiled:
    """A relation, or a Boolean combination of relations, as a function to ``bool``."""
    if condition in (sympy.true, sympy.false):
        return lambda env: bool(condition)
    if isinstance(condition, (sympy.And, sympy.Or)):
        combine = all if isinstance(condition, sympy.And) else any
        parts = [compile_condition(part) for part in condition.args]
        return lambda env: combine(part(env) for part in parts)
    if isinstance(condition, sympy.Not):
        inner = compile_condition(condition.args[0])
        return lambda env: not inner(env)
    if isinstance(condition, sympy.core.relational.Relational):
        left, right = compile_number(condition.lhs), compile_number(condition.rhs)
        compare = {
            "<": lambda a, b: a < b,
            "<=": lambda a, b: a <= b,
            ">": lambda a, b: a > b,
            ">=": lambda a, b: a >= b,
            "==": lambda a, b: a == b,
            "!=": lambda a, b: a != b,
        }[condition.rel_op]

        def holds(env):
            a, b = left(env), right(env)
            if condition.rel_op not in ("==", "!=") and not (is_real(a) and is_real(b)):
                raise NoValue("complex numbers are not ordered")
            return compare(mp.re(a), mp.re(b)) if condition.rel_op not in ("==", "!=") else compare(a, b)

        return holds
    raise NoValue(f"{type(condition).__name__} is not a condition that has a value")


def is_real(value) -> bool:
    return mp.im(value) == 0 or abs(mp.im(value)) <= abs(value) * mp.mpf(10) ** (-mp.dps // 2)


def _integral(expression):
    body, limit = expression.function, expression.limits
    for inner in limit[:-1]:
        body = sympy.Integral(body, inner)
    if len(limit[-1]) != 3:
        raise NoValue("an integral without limits has no value")
    symbol, low, high = limit[-1]
    hoisted, constants = _hoist(body, symbol)
    integrand, low, high = compile_number(hoisted), compile_number(low), compile_number(high)
    features = find_features(body, symbol)
    kinks = [compile_number(kink) for kink in features.kinks]
    signs = [compile_number(sign) for sign in features.signs[:4]]
    decays = [(compile_number(length),) for length in features.decays]
    steps, peaks, waves = (
        [tuple(compile_number(part) for part in pair) for pair in pairs]
        for pairs in (features.steps, features.peaks, features.waves)
    )

    def value(env):
        a, b = low(env), high(env)
        if not (is_real(a) and is_real(b)):
            raise NoValue("a limit of integration is not real here")
        a, b = mp.re(a), mp.re(b)
        if a == b:
            return mp.zero
        saved, outer_error = env.get(symbol), env.error
        for name, constant in constants:
            env[name] = constant(env)
        env.error = mp.zero

        def with_value(function):
            def at(t):
                env.spend()
                env[symbol] = t
                return function(env)

            return at

        env.depth += 1
        try:
            places = _places(env, a, b, kinks, [with_value(sign) for sign in signs], steps)
            bumps = [(mp.re(c), w) for c, w in _values(env, peaks) if is_real(c) and w > 0]
            lengths = [] if mp.isfinite(a) == mp.isfinite(b) else [length for (length,) in _values(env, decays)]
            unit, end, side = max(lengths, default=mp.one), *((a, 1) if mp.isfinite(a) else (b, -1))
            bumps += [(end + side * FALLEN * length, length) for length in lengths if length < unit / 8]
            found, error = integrate(
                with_value(integrand),
                a,
                b,
                places,
                bumps,
                _values(env, waves),
                once=env.depth > 1,
                unit=unit,
            )
        except (ZeroDivisionError, ValueError, OverflowError) as problem:
            raise NoValue(f"the integrand fails: {problem}") from None
        finally:
            env.depth -= 1
            if saved is None:
                env.pop(symbol, None)
            else:
                env[symbol] = saved
        if mp.isnan(found):
            raise NoValue("the integrand is not a number")
        inner_error = env.error * (abs(b - a) if mp.isfinite(a) and mp.isfinite(b) else 10)
        env.error = outer_error + error + inner_error
        return found

    return value


def _hoist(body, symbol):
    """The body with its parts that do not depend on ``symbol`` named, and those parts: they are computed once, not a
    thousand times."""
    names = {}

    def visit(part):
        if not part.has(symbol):
            return part if part.is_Symbol or part.is_Integer else names.setdefault(part, sympy.Dummy())
        if isinstance(part, (sympy.Add, sympy.Mul)):
            fixed = [argument for argument in part.args if not argument.has(symbol)]
            moving = [visit(argument) for argument in part.args if argument.has(symbol)]
            return part.func(visit(part.func(*fixed)), *moving) if fixed else part.func(*moving)
        if isinstance(part, (sympy.Pow, sympy.exp)):
            return part.func(*[visit(argument) for argument in part.args])
        return part

    hoisted = visit(body)
    return hoisted, [(name, compile_number(part)) for part, name in names.items()]


def _values(env, pairs):
    """The pairs that have a value here: a feature that has none is none."""
    found = []
    for pair in pairs:
        try:
            found.append(tuple(part(env) for part in pair))
        except (NoValue, ZeroDivisionError, ValueError, OverflowError):
            continue
    return found


def _places(env, a, b, kinks, signs, steps):
    """Where the integrand bends or jumps between ``a`` and ``b``."""
    low, high = min(a, b), max(a, b)
    places = [value for (value,) in _values(env, [(kink,) for kink in (*kinks, *env.breaks)])]
    for sign in signs:
        places += sign_changes(sign, low, high)
    if mp.isfinite(high - low):
        for slope, offset in _values(env, steps):
            first, last = sorted((slope * low + offset, slope * high + offset))
            if last - first < LARGEST_STEPS:
                places += [(n - offset) / slope for n in range(int(mp.ceil(first)), int(mp.floor(last)) + 1)]
    return [mp.re(place) for place in places if is_real(place)]


def _sum(expression):
    product = isinstance(expression, sympy.Product)
    body = expression.function
    if not product and body.is_Mul:  # the rules for infinite sums stop at an absolute error
        constant, rest = body.as_independent(*expression.variables, as_Add=False)
        if constant != 1:
            return _mul(sympy.Mul(constant, sympy.Sum(rest, *expression.limits), evaluate=False))
    for inner in expression.limits[:-1]:
        body = type(expression)(body, inner)
    if len(expression.limits[-1]) != 3:
        raise NoValue("a sum without limits has no value")
    symbol, low, high = expression.limits[-1]
    term, low, high = compile_number(body), compile_number(low), compile_number(high)

    def value(env):
        a, b = low(env), high(env)
        if not (mp.isint(a) or mp.isinf(a)) or not (mp.isint(b) or mp.isinf(b)):
            raise NoValue("a limit of summation is not an integer here")
        saved = env.get(symbol)

        def at(k):
            env.spend()
            env[symbol] = mp.mpf(k)
            return term(env)

        try:
            if mp.isfinite(a) and mp.isfinite(b):
                if b < a - 1:
                    raise NoValue("the upper limit lies more than one below the lower limit")
                if b - a > LONGEST_SUM:
                    raise NoValue(f"a sum of more than {LONGEST_SUM} terms")
                terms = (at(k) for k in range(int(a), int(b) + 1))
                return mp.fprod(terms) if product else mp.fsum(terms)
            if product:
                return _infinite_product(at, a, b, env)
            return _infinite_sum(at, a, b, env)
        except (ZeroDivisionError, ValueError, OverflowError) as problem:
            raise NoValue(f"a summand fails: {problem}") from None
        finally:
            if saved is None:
                env.pop(symbol, None)
            else:
                env[symbol] = saved

    return value


def _infinite_sum(term, a, b, env):
    if a == b or (mp.isinf(a) and a > 0):
        raise NoValue("a range of summation that is none")
    if mp.isinf(a) and mp.isinf(b):
        return _infinite_sum(term, mp.zero, b, env) + _infinite_sum(term, a, -mp.one, env)
    if mp.isinf(a):
        return _infinite_sum(lambda k: term(-k), -b, mp.inf, env)
    total, error = infinite_sum(term, int(a))
    env.error += error
    return total


def _infinite_product(factor, a, b, env):
    if not mp.isfinite(a):
        raise NoValue("an infinite product without a first factor")
    first = mp.nprod(factor, [a, b])
    second = mp.fprod(factor(int(a) + k) for k in range(20)) * mp.nprod(factor, [a + 20, b])
    if not mp.isfinite(first) or abs(first - second) > abs(first) * mp.mpf("1e-6"):
        raise NoValue("the product does not converge in sight")
    env.error += abs(first - second) + abs(first) * mp.mpf(10) ** (3 - mp.dps)
    return second


def _derivative(expression):
    done = expression.doit(integrals=False)
    if not isinstance(done, sympy.Derivative):
        return compile_number(done)
    ((symbol, order),) = done.variable_count
    body = compile_number(done.expr)

    def value(env):
        saved = env[symbol]

        def at(t):
            env[symbol] = t
            return body(env)

        try:
            env.error += mp.mpf(10) ** (-mp.dps // 2)
            return mp.diff(at, saved, int(order))
        finally:
            env[symbol] = saved

    return value


def _subs(expression):
    done = expression.doit(integrals=False)
    if isinstance(done, sympy.Subs):
        raise NoValue(f"the substitution {done} cannot be carried out")
    return compile_number(done)


def _limit(expression):
    done = within_budget(expression.doit, LIMIT_CALLS)
    if done is None or isinstance(done, sympy.Limit):
        raise NoValue("the limit is not known")
    return compile_number(done)


def _matrix_symbol(expression):
    return lambda env: env[expression]


def _matrix_element(expression):
    matrix, i, j = compile_number(expression.parent), compile_number(expression.i), compile_number(expression.j)
    return lambda env: matrix(env)[int(i(env)), int(j(env))]


def _transpose(expression):
    inner = compile_number(expression.args[0])
    return lambda env: inner(env).T


def _trace(expression):
    inner = compile_number(expression.args[0])

    def value(env):
        matrix = inner(env)
        if matrix.rows != matrix.cols:
            raise NoValue("the trace of a matrix that is not square")
        return mp.fsum(matrix[i, i] for i in range(matrix.rows))

    return value


def _determinant(expression):
    inner = compile_number(expression.args[0])
    return lambda env: mp.det(inner(env))


def _inverse(expression):
    inner = compile_number(expression.args[0])

    def value(env):
        try:
            return mp.inverse(inner(env))
        except ZeroDivisionError:
            raise NoValue("a singular matrix has no inverse") from None

    return value


def _identity(expression):
    size = compile_number(expression.args[0])
    return lambda env: mp.eye(int(size(env)))


def _matrix_power(expression):
    base, exponent = compile_number(expression.args[0]), compile_number(expression.args[1])
    return lambda env: base(env) ** int(exponent(env))


COMPILERS = [
    (sympy.core.numbers.NumberSymbol, _number),
    (sympy.core.numbers.ImaginaryUnit, lambda e: lambda env: mp.j),
    (sympy.core.numbers.Infinity, lambda e: lambda env: mp.inf),
    (sympy.core.numbers.NegativeInfinity, lambda e: lambda env: -mp.inf),
    (sympy.Number, _number),
    (sympy.MatrixSymbol, _matrix_symbol),
    (sympy.matrices.expressions.matexpr.MatrixElement, _matrix_element),
    (sympy.Transpose, _transpose),
    (sympy.Trace, _trace),
    (sympy.Determinant, _determinant),
    (sympy.Identity, _identity),
    (sympy.Inverse, _inverse),
    (sympy.MatPow, _matrix_power),
    (sympy.MatAdd, _add),
    (sympy.MatMul, _mul),
    (sympy.Symbol, _symbol),
    (sympy.Add, _add),
    (sympy.Mul, _mul),
    (sympy.exp, _exp),
    (sympy.Pow, _pow),
    (sympy.hyper, _hyper),
    (sympy.Piecewise, _piecewise),
    (sympy.Max, _extremum(max)),
    (sympy.Min, _extremum(min)),
    (sympy.Indexed, _indexed),
    (sympy.Integral, _integral),
    (sympy.Sum, _sum),
    (sympy.Product, _sum),
    (sympy.Derivative, _derivative),
    (sympy.Subs, _subs),
    (sympy.Limit, _limit),
]


def evaluate(compiled: Compiled, values: dict, digits: int, breaks=()):
    """(value, error) of a compiled expression at ``values``, computed with ``digits`` digits and ten to spare.

    The value is an mpmath number or matrix; the error is an estimate of what quadrature and summation left.
    Raises ``NoValue``.
    """
    with mp.workdps(digits + 10):
        env = Environment(values, breaks)
        try:
            value = compiled(env)
        except (
            ZeroDivisionError,
            OverflowError,
            ValueError,
            TypeError,
            mpmath.libmp.ComplexResult,
            mpmath.libmp.NoConvergence,
            RecursionError,
            NotImplementedError,
            AttributeError,
        ) as problem:
            raise NoValue(f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__) from None
        entries = list(value) if isinstance(value, mp.matrix) else [value]
        if any(mp.isnan(entry) for entry in entries):
            raise NoValue("not a number")
        return value, env.error
