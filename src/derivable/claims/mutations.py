"""The mistakes that a person makes in a formula, made on purpose.

``mutants(expression, domain)`` yields (what was done, the mutated expression), each different from the original;
``rewrites`` yields forms that are equal to it. What becomes of them says what a green mark is worth.
"""

from collections.abc import Iterator

import sympy

from .domains import Domain

TWO_ARGUMENTS = (
    sympy.beta,
    sympy.binomial,
    sympy.polygamma,
    sympy.lowergamma,
    sympy.uppergamma,
    sympy.atan2,
    sympy.besseli,
)
LOST = (sympy.log, sympy.exp, sympy.Abs)


def mutants(expression, domain: Domain) -> Iterator[tuple[str, object]]:
    """Each single mistake at each place of the expression, without repetitions."""
    seen = {expression}
    for name, mutant in _everywhere(expression, domain):
        if mutant not in seen and not _broken(mutant):
            seen.add(mutant)
            yield name, mutant
    for name, mutant in _on_the_whole(expression, domain):
        if mutant not in seen and not _broken(mutant):
            seen.add(mutant)
            yield name, mutant


def rewrites(expression) -> Iterator[tuple[str, object]]:
    """Forms that say the same: expanded, factored, over one denominator, bound variables renamed, indices shifted."""
    if not getattr(expression, "is_Matrix", False):
        for rewrite in (sympy.expand, sympy.factor, sympy.together):
            yield rewrite.__name__, rewrite(expression)
    for large in expression.atoms(sympy.Sum, sympy.Integral, sympy.Product):
        if len(large.limits) != 1 or len(large.limits[0]) != 3:
            continue
        variable, low, high = large.limits[0]
        new = sympy.Symbol("zeta_", **variable.assumptions0)
        renamed = type(large)(large.function.xreplace({variable: new}), (new, low, high))
        yield "renamed bound variable", expression.xreplace({large: renamed})
        if isinstance(large, sympy.Sum) and not large.function.has(sympy.Indexed):
            shifted = sympy.Sum(large.function.subs(variable, variable - 1), (variable, low + 1, high + 1))
            yield "shifted index", expression.xreplace({large: shifted})


def _broken(mutant) -> bool:
    return mutant.has(sympy.zoo, sympy.nan) if hasattr(mutant, "has") else True


def _everywhere(expression, domain):
    """Mutate every node in turn and put it back into its place."""
    for name, mutant in _at(expression, domain):
        yield name, mutant
    if isinstance(expression, sympy.MatrixBase):
        for index, entry in enumerate(expression):
            for name, mutant in _everywhere(entry, domain):
                entries = list(expression)
                entries[index] = mutant
                yield name, sympy.ImmutableMatrix(*expression.shape, entries)
        return
    for index, part in enumerate(expression.args):
        if not isinstance(part, sympy.Basic) or isinstance(part, sympy.core.symbol.Str):
            continue
        for name, mutant in _everywhere(part, domain):
            arguments = list(expression.args)
            arguments[index] = mutant
            try:
                yield name, expression.func(*arguments)
            except Exception:  # a mistake that cannot even be written down
                continue


def _at(node, domain):
    """The mistakes that can be made at this node itself."""
    if isinstance(node, sympy.Add):
        for term in node.args:
            yield "sign of a term", node - 2 * term
            yield "dropped term", node - term
            yield "factor 2 on a term", node + term
    if isinstance(node, sympy.MatMul):
        for index in range(len(node.args)):
            rest = node.args[:index] + node.args[index + 1 :]
            if node.args[index] != -1 and _conform(rest):
                yield "dropped factor", sympy.MatMul(*rest)
    elif isinstance(node, sympy.Mul):
        for factor in node.args:
            if factor == -1:
                continue
            yield "dropped factor", node / factor
        numerator, denominator = sympy.fraction(node)
        if denominator != 1 and numerator != 1:
            yield "swapped numerator and denominator", denominator / numerator
    if isinstance(node, sympy.Pow):
        yield "exponent one higher", node.base ** (node.exp + 1)
        yield "exponent one lower", node.base ** (node.exp - 1)
        if node.exp in (2, sympy.Rational(1, 2), -sympy.Rational(1, 2)):
            yield "lost square or root", node.base ** (1 if node.exp > 0 else -1)
        if node.exp.could_extract_minus_sign():
            yield "reciprocal", node.base ** (-node.exp)
    if isinstance(node, LOST) and not node.args[0].is_number:
        yield f"lost {node.func.__name__}", node.args[0]
    if (
        isinstance(node, sympy.Function)
        and len(node.args) == 1
        and isinstance(node.args[0], sympy.Expr)
        and not isinstance(node, sympy.core.function.AppliedUndef)
    ):
        yield "argument one higher", node.func(node.args[0] + 1)
    if isinstance(node, TWO_ARGUMENTS):
        yield "swapped arguments", node.func(*reversed(node.args))
    if isinstance(node, (sympy.Sum, sympy.Product)) and len(node.limits) == 1 and len(node.limits[0]) == 3:
        variable, low, high = node.limits[0]
        yield "lower limit one higher", type(node)(node.function, (variable, low + 1, high))
        if high != sympy.oo:
            yield "upper limit one lower", type(node)(node.function, (variable, low, high - 1))
    if (
        isinstance(node, sympy.MatMul)
        and len(node.args) == 2
        and all(getattr(part, "is_Matrix", False) for part in node.args)
    ):
        try:
            yield "swapped order of a product", sympy.MatMul(node.args[1], node.args[0])
        except Exception:  # the shapes do not conform: such a slip cannot be written down
            pass
    if isinstance(node, sympy.MatrixSymbol) and node.rows == node.cols:
        yield "transpose", node.T
    if isinstance(node, sympy.Transpose) and node.rows == node.cols:
        yield "lost transpose", node.args[0]


def _conform(factors) -> bool:
    shapes = [factor.shape for factor in factors if getattr(factor, "is_Matrix", False)]
    return bool(shapes) and all(left[1] == right[0] for left, right in zip(shapes, shapes[1:], strict=False))


def _on_the_whole(expression, domain):
    """The mistakes that concern the whole side."""
    yield "sign", -expression
    yield "factor 2", 2 * expression
    yield "factor 1/2", expression / 2
    if not getattr(expression, "is_Matrix", False):
        yield "one more", expression + 1
        yield "square for value", expression**2
        if expression.is_nonnegative or expression.is_positive:
            yield "root for value", sympy.sqrt(expression)
    free = [symbol for symbol in domain if isinstance(symbol, sympy.Symbol) and symbol in expression.free_symbols]
    for one in free:
        for other in domain:
            if isinstance(other, sympy.Symbol) and other != one and _same_kind(domain, one, other):
                yield f"{other} for {one}", expression.subs(one, other)
    for index, one in enumerate(free):
        for other in free[index + 1 :]:
            if _same_kind(domain, one, other):
                yield f"{one} and {other} swapped", expression.subs({one: other, other: one}, simultaneous=True)
    if isinstance(expression, (sympy.MatrixExpr, sympy.MatrixBase)) and expression.shape[0] == expression.shape[1]:
        yield "transpose of the whole", expression.T


def _same_kind(domain, one, other):
    return domain.kinds[str(one)].integer == domain.kinds[str(other)].integer
