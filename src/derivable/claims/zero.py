"""Is an expression zero? Exact normal forms first, then named rewritings, each within a budget of calls.

``find_zero(expression)`` returns ``(verdict, evidence)`` or ``None``. Only a proof counts: that no strategy reached zero is no
evidence of anything, and a symbolic yes is still looked at numerically by whoever calls (a computer algebra system errs).
"""

import sympy
from sympy import Rational, S

from .budget import announce, within_budget
from .domains import Domain

CALLS = 250_000  # of Python functions, for one strategy on one expression; about a quarter of a second
DIFFERENTIATION_CALLS = 400_000  # for the derivatives in an expression, or for its entries at one size
INTEGRATION_CALLS = 1_200_000  # for the integrals and sums in an expression
LAST_CALLS = 800_000  # for simplify, which is heuristic and comes last
LARGEST = 4_000  # operations; larger differences are not rewritten


def normal_form_is_zero(expression) -> bool:
    """Whether the expression is zero as a rational function of its irrational parts."""
    if expression == 0:
        return True
    numerator = sympy.together(expression).as_numer_denom()[0]
    return sympy.expand(numerator) == 0


def _trigonometric(expression):
    return sympy.expand(expression.rewrite(sympy.exp).rewrite(sympy.exp))


def split_powers(expression):
    """Write base**(n/2 - 3/2) as base**(-3/2) * K, one K for each base and symbol, so that shifted exponents meet."""
    expression = expression.replace(_has_symbolic_exponent, _factored_base)
    denominators = {}
    for power in expression.atoms(sympy.Pow):
        if _has_symbolic_exponent(power):
            for coefficient, symbols in _exponent_terms(power.exp):
                key = (power.base, symbols)
                denominators[key] = sympy.ilcm(denominators.get(key, 1), coefficient.q)
    kernels = {key: sympy.Dummy("K", positive=True) for key in denominators}

    def split(power):
        constant = power.exp.expand().as_coeff_Add()[0]
        product = power.base**constant
        for coefficient, symbols in _exponent_terms(power.exp):
            key = (power.base, symbols)
            product *= kernels[key] ** (coefficient * denominators[key])
        return product

    return expression.replace(_has_symbolic_exponent, split)


def _has_symbolic_exponent(part) -> bool:
    return (
        part.is_Pow
        and not part.exp.is_number
        and all(term.as_coeff_Mul()[0].is_Rational for term in sympy.Add.make_args(part.exp.expand()))
    )


def _exponent_terms(exponent):
    return [term.as_coeff_Mul() for term in sympy.Add.make_args(exponent.expand()) if not term.is_number]


def _factored_base(power):
    """(4 u v)**e as 2**(2 e) u**e v**e where every factor is known to be positive."""
    pairs = []
    for factor in sympy.Mul.make_args(sympy.factor(sympy.together(power.base))):
        if not factor.is_positive:
            return power
        pairs += sympy.factorrat(factor).items() if factor.is_Rational else [factor.as_base_exp()]
    return sympy.Mul(*[sympy.sympify(base) ** (exponent * power.exp) for base, exponent in pairs])


def on_half_lines(expression, ranges):
    """Write t in (low, high) as (low + high w)/(1 + w) with w > 0, so that SymPy knows the signs of t - low and high - t."""
    moved = {
        symbol: (low + high * sympy.Symbol(f"{symbol}_", positive=True))
        / (1 + sympy.Symbol(f"{symbol}_", positive=True))
        for symbol, (low, high) in ranges.items()
        if expression.has(symbol)
    }
    return expression.subs(moved) if moved else expression


def _pythagoras(expression):
    """Even powers of cos and cosh through sin and sinh."""
    split = sympy.expand(split_powers(expression))
    squares = {
        sympy.cos: lambda x: 1 - sympy.sin(x) ** 2,
        sympy.cosh: lambda x: 1 + sympy.sinh(x) ** 2,
    }
    for power in split.atoms(sympy.Pow):
        square = squares.get(power.base.func)
        if square and power.exp.is_Integer and power.exp.is_even:
            split = split.subs(power, square(power.base.args[0]) ** (power.exp / 2))
    return split


def _logarithms(expression):
    return sympy.expand_log(
        sympy.expand(expression).replace(sympy.log, lambda x: sympy.log(sympy.factor(sympy.together(x)))), force=False
    )


def _exp_log(expression):
    return sympy.powsimp(sympy.expand(sympy.logcombine(sympy.expand_log(expression))))


def _gamma(expression):
    return sympy.gammasimp(sympy.expand_func(expression.rewrite(sympy.gamma)))


def _half_integer(order, x):
    """polygamma(order, x) at x = 3/2, 5/2, ... by its recursion from 1/2, where SymPy knows it."""
    if not (order.is_Integer and x.is_Rational and x.q == 2 and x > 1):
        return sympy.polygamma(order, x)
    steps = range(int(x - Rational(1, 2)))
    shift = sum(1 / (Rational(1, 2) + step) ** (order + 1) for step in steps)
    return sympy.polygamma(order, Rational(1, 2)) + (-1) ** order * sympy.factorial(order) * shift


def _special(expression):
    expression = expression.replace(sympy.polygamma, _half_integer)
    return sympy.expand_func(
        sympy.hyperexpand(expression.rewrite(sympy.hyper) if expression.has(sympy.hyper) else expression)
    )


def _powers(expression):
    return sympy.powsimp(sympy.powdenest(sympy.expand(sympy.powsimp(expression)), force=False))


def _has(*kinds):
    return lambda expression: expression.has(*kinds)


_TRIGONOMETRY = (
    sympy.sin,
    sympy.cos,
    sympy.tan,
    sympy.cot,
    sympy.sec,
    sympy.csc,
    sympy.sinh,
    sympy.cosh,
    sympy.tanh,
    sympy.coth,
    sympy.sech,
    sympy.csch,
)
_FACTORIALS = (
    sympy.gamma,
    sympy.factorial,
    sympy.binomial,
    sympy.beta,
    sympy.RisingFactorial,
    sympy.FallingFactorial,
    sympy.factorial2,
    sympy.loggamma,
    sympy.digamma,
    sympy.polygamma,
    sympy.catalan,
)
_UNEVALUATED = (
    sympy.Integral,
    sympy.Sum,
    sympy.Product,
    sympy.Derivative,
    sympy.Limit,
    sympy.Subs,
    sympy.Determinant,
    sympy.Trace,
)

STRATEGIES = [
    ("powers of a common base", lambda e: any(map(_has_symbolic_exponent, e.atoms(sympy.Pow))), split_powers),
    ("Pythagoras", _has(sympy.cos, sympy.cosh), _pythagoras),
    ("logarithms expanded", _has(sympy.log), _logarithms),
    ("exponentials for trigonometric functions", _has(*_TRIGONOMETRY), _trigonometric),
    ("gamma functions", _has(*_FACTORIALS), _gamma),
    ("exponentials and logarithms combined", _has(sympy.exp, sympy.log), _exp_log),
    ("powers combined", lambda e: e.has(sympy.Pow), _powers),
    (
        "radicals",
        lambda e: any(p.exp.is_Rational and not p.exp.is_Integer for p in e.atoms(sympy.Pow)),
        lambda e: sympy.radsimp(sympy.sqrtdenest(e)),
    ),
    (
        "special functions expanded",
        lambda e: e.has(
            sympy.hyper,
            sympy.zeta,
            sympy.besselk,
            sympy.besseli,
            sympy.harmonic,
            sympy.polygamma,
            sympy.lowergamma,
            sympy.uppergamma,
            sympy.erf,
            sympy.erfc,
        ),
        _special,
    ),
    (
        "piecewise folded",
        _has(sympy.Piecewise, sympy.Max, sympy.Abs, sympy.sign),
        lambda e: sympy.piecewise_fold(e.rewrite(sympy.Piecewise)),
    ),
]


def merge_integrals(expression):
    """Write a sum of integrals (or sums) over the same range as one, where the pieces are linear in them."""
    for kind in (sympy.Integral, sympy.Sum):
        if not expression.has(kind):
            continue
        terms = [
            piece for term in sympy.Add.make_args(expression) for piece in sympy.Add.make_args(term.expand(deep=False))
        ]
        merged, rest = {}, []
        for term in terms:
            coefficient, pieces = _split(term, kind)
            if pieces is None:
                rest.append(term)
            else:
                limits = pieces.limits
                if len(limits) == 1 and len(limits[0]) == 3:
                    bound = limits[0][0]
                    dummy = sympy.Dummy("t", **bound.assumptions0)
                    key = (limits[0][1], limits[0][2], bound.assumptions0.get("integer"))
                    summand = coefficient * pieces.function.xreplace({bound: dummy})
                    first, total = merged.get(key, (dummy, S.Zero))
                    merged[key] = (first, total + summand.xreplace({dummy: first}))
                else:
                    rest.append(term)
        total = sympy.Add(*rest)
        for (low, high, _), (dummy, body) in merged.items():
            ranges = (
                {dummy: (low, high)} if low.is_number and high.is_number and low.is_finite and high.is_finite else {}
            )
            if not _vanishes(body, ranges):
                total += kind(body, (dummy, low, high))
        expression = total
    return expression


def _vanishes(body, ranges) -> bool:
    if normal_form_is_zero(body) or normal_form_is_zero(split_powers(on_half_lines(body, ranges))):
        return True
    return body.has(sympy.cos, sympy.cosh) and normal_form_is_zero(_pythagoras(body))


def _split(term, kind):
    coefficient, pieces = [], []
    for factor in sympy.Mul.make_args(term):
        (pieces if isinstance(factor, kind) else coefficient).append(factor)
    if len(pieces) != 1:
        return term, None
    return sympy.Mul(*coefficient), pieces[0]


def find_zero(expression, domain: Domain | None = None, thorough: bool = True) -> tuple[str, str] | None:
    """A proof that the scalar ``expression`` is zero on ``domain``, as (verdict, evidence), or ``None``.

    ``thorough`` gives every strategy its full budget and tries ``simplify``; without it the search costs a third.
    """
    calls, integration_calls = (CALLS, INTEGRATION_CALLS) if thorough else (CALLS // 3, CALLS)
    if expression == 0:
        return "decided", "the same, term by term"
    if _proved(lambda e: e, expression, CALLS):
        return "decided", "equal as rational functions of " + _atoms(expression)
    if expression.has(sympy.Derivative, sympy.Subs):
        # Differentiate under the integral sign before anything tries to integrate.
        done = within_budget(lambda: _quietly(lambda: expression.doit(integrals=False)), DIFFERENTIATION_CALLS)
        if done is not None and done != expression:
            found = find_zero(done, domain, thorough)
            if found:
                return found[0], f"differentiated; {found[1]}"
    forms = [("", expression)]
    if expression.has(*_UNEVALUATED):
        merged = within_budget(lambda: merge_integrals(expression), CALLS)
        if merged is not None and merged != expression:
            if merged == 0:
                return "symbolic", "the same integrand or summand over the same range"
            forms.append(("integrals merged, ", merged))
        done = within_budget(lambda: _quietly(expression.doit), integration_calls)
        if done is not None and done.has(sympy.Piecewise) and domain is not None:
            done = done.replace(sympy.Ne, lambda one, other: _never_equal(one, other, domain))
        if done is not None and done != expression and not done.has(sympy.nan, sympy.zoo):
            if _proved(lambda e: e, done, CALLS):
                kinds = sorted({type(part).__name__ for part in expression.atoms(*_UNEVALUATED)})
                if not {"Integral", "Sum", "Product", "Limit"} & set(kinds):
                    return "decided", "carried out, then equal as rational functions of " + _atoms(expression)
                return "symbolic", f"SymPy {sympy.__version__} carried out {', '.join(kinds)}"
            forms.append(("evaluated, ", done))
    if domain is not None and domain.bounded():
        moved = within_budget(lambda: on_half_lines(forms[-1][1], domain.bounded()), CALLS)
        if moved is not None and moved != forms[-1][1]:
            forms.insert(0, ("bounded variables moved to half-lines, ", moved))
    forms = [(prefix, form) for prefix, form in reversed(forms) if form.count_ops() <= LARGEST]
    for prefix, form in forms:
        for name, applies, rewrite in STRATEGIES:
            if applies(form):
                announce(prefix + name)
                if _proved(rewrite, form, calls):
                    return "symbolic", f"SymPy {sympy.__version__}: {prefix}{name}"
    for prefix, form in (forms[:1] + forms[1:][-1:]) * thorough:  # the most and the least worked on; it is the slowest of all
        announce(f"{prefix}simplify")
        if _proved(sympy.simplify, form, LAST_CALLS):
            return "symbolic", f"SymPy {sympy.__version__}: {prefix}simplify"
    return None


def _never_equal(one, other, domain):
    """``Ne(a, 1)`` holds everywhere when 1 lies outside the range of ``a``: special cases of SymPy's integrals fall away."""
    kind = domain.kinds.get(str(one))
    ends = (getattr(kind, "low", None), getattr(kind, "high", None))
    if None not in ends and other.is_number and not (ends[0] < other < ends[1]):
        return sympy.true
    return sympy.Ne(one, other)


def _proved(rewrite, expression, calls) -> bool:
    def work():
        rewritten = _quietly(lambda: rewrite(expression))
        return rewritten is not None and rewritten.is_finite is not False and normal_form_is_zero(rewritten)

    return bool(within_budget(lambda: _quietly(work), calls))


def _quietly(work):
    """SymPy's rewriting raises many kinds of errors on forms that it does not know; then the strategy has not applied."""
    try:
        return work()
    except Exception:
        return None


def _atoms(expression) -> str:
    names = sorted(str(symbol) for symbol in expression.free_symbols)
    functions = sorted({type(part).__name__ for part in expression.atoms(sympy.Function)})
    return ", ".join(names + functions) if names or functions else "integers"
