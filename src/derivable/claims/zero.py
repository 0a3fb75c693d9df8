"""Is an expression zero? Exact normal forms first, then named rewritings, each within a budget of calls.

``find_zero(expression)`` returns ``(verdict, evidence)`` or ``None``. Only a proof counts: that no strategy reached zero is no
evidence of anything, and a symbolic yes is still looked at numerically by whoever calls (a computer algebra system errs).
"""

import sympy
from sympy import S

from .budget import within_budget

CALLS = 250_000  # of Python functions, for one strategy on one expression; about a quarter of a second
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


def _logarithms(expression):
    return sympy.expand_log(sympy.expand(expression).replace(sympy.log, lambda x: sympy.log(sympy.factor(sympy.together(x)))), force=False)


def _exp_log(expression):
    return sympy.powsimp(sympy.expand(sympy.logcombine(sympy.expand_log(expression))))


def _gamma(expression):
    return sympy.gammasimp(sympy.expand_func(expression.rewrite(sympy.gamma)))


def _special(expression):
    return sympy.expand_func(sympy.hyperexpand(expression.rewrite(sympy.hyper) if expression.has(sympy.hyper) else expression))


def _powers(expression):
    return sympy.powsimp(sympy.powdenest(sympy.expand(sympy.powsimp(expression)), force=False))


def _common_powers(expression):
    """Split x**(a+b) and combine again, after the exponents are expanded: what shifts of an index need."""
    return sympy.expand(sympy.powsimp(sympy.expand_power_exp(sympy.expand_power_base(sympy.expand(expression)))))


def _has(*kinds):
    return lambda expression: expression.has(*kinds)


_TRIGONOMETRY = (sympy.sin, sympy.cos, sympy.tan, sympy.cot, sympy.sec, sympy.csc, sympy.sinh, sympy.cosh, sympy.tanh, sympy.coth, sympy.sech, sympy.csch)
_FACTORIALS = (sympy.gamma, sympy.factorial, sympy.binomial, sympy.beta, sympy.RisingFactorial, sympy.FallingFactorial,
               sympy.factorial2, sympy.loggamma, sympy.digamma, sympy.polygamma, sympy.catalan)
_UNEVALUATED = (sympy.Integral, sympy.Sum, sympy.Product, sympy.Derivative, sympy.Limit, sympy.Subs)

STRATEGIES = [
    ("powers of a common base", lambda e: e.has(sympy.Pow, sympy.exp), _common_powers, CALLS),
    ("logarithms expanded", _has(sympy.log), _logarithms, CALLS),
    ("exponentials for trigonometric functions", _has(*_TRIGONOMETRY), _trigonometric, CALLS),
    ("gamma functions", _has(*_FACTORIALS), _gamma, CALLS),
    ("exponentials and logarithms combined", _has(sympy.exp, sympy.log), _exp_log, CALLS),
    ("powers combined", lambda e: e.has(sympy.Pow), _powers, CALLS),
    ("radicals", lambda e: any(p.exp.is_Rational and not p.exp.is_Integer for p in e.atoms(sympy.Pow)),
     lambda e: sympy.radsimp(sympy.sqrtdenest(e)), CALLS),
    ("special functions expanded", lambda e: e.has(sympy.hyper, sympy.zeta, sympy.besselk, sympy.besseli, sympy.harmonic, sympy.polygamma,
                                                   sympy.lowergamma, sympy.uppergamma, sympy.erf, sympy.erfc), _special, CALLS),
    ("piecewise folded", _has(sympy.Piecewise, sympy.Max, sympy.Abs, sympy.sign), lambda e: sympy.piecewise_fold(e.rewrite(sympy.Piecewise)), CALLS),
    ("simplify", lambda e: True, sympy.simplify, LAST_CALLS),
]


def merge_integrals(expression):
    """Write a sum of integrals (or sums) over the same range as one, where the pieces are linear in them."""
    for kind in (sympy.Integral, sympy.Sum):
        if not expression.has(kind):
            continue
        terms = sympy.Add.make_args(sympy.expand(expression, deep=False))
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
            if not normal_form_is_zero(body):
                total += kind(body, (dummy, low, high))
        expression = total
    return expression


def _split(term, kind):
    coefficient, pieces = [], []
    for factor in sympy.Mul.make_args(term):
        (pieces if isinstance(factor, kind) else coefficient).append(factor)
    if len(pieces) != 1:
        return term, None
    return sympy.Mul(*coefficient), pieces[0]


def find_zero(expression) -> tuple[str, str] | None:
    """A proof that the scalar ``expression`` is zero, as (verdict, evidence), or ``None``."""
    if _proved(lambda e: e, expression, CALLS):
        return "decided", "equal as rational functions of " + _atoms(expression)
    forms = [("", expression)]
    if expression.has(*_UNEVALUATED):
        merged = within_budget(lambda: merge_integrals(expression), CALLS)
        if merged is not None and merged != expression:
            if merged == 0:
                return "decided", "the same integrand or summand over the same range"
            forms.append(("integrals merged, ", merged))
        done = within_budget(lambda: _quietly(expression.doit), LAST_CALLS)
        if done is not None and done != expression and not done.has(sympy.nan, sympy.zoo):
            if _proved(lambda e: e, done, CALLS):
                kinds = sorted({type(part).__name__ for part in expression.atoms(*_UNEVALUATED)})
                if kinds == ["Derivative"]:
                    return "decided", "differentiated, then equal as rational functions of " + _atoms(done if done != 0 else expression)
                return "symbolic", f"SymPy {sympy.__version__} carried out {', '.join(kinds)}"
            forms.append(("evaluated, ", done))
    for prefix, form in reversed(forms):
        if form.count_ops() > LARGEST:
            continue
        for name, applies, rewrite, calls in STRATEGIES:
            if applies(form) and _proved(rewrite, form, calls):
                return "symbolic", f"SymPy {sympy.__version__}: {prefix}{name}"
    return None


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
