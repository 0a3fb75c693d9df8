"""Proofs that an author hands to a step: each is checked, none is believed."""

from dataclasses import dataclass

import sympy

from .budget import within_budget
from .domains import Domain, Integers
from .sign import is_positive, squares_certificate
from .zero import LAST_CALLS, _quietly, find_zero, merge_integrals, normal_form_is_zero

STRENGTH = ("decided", "symbolic", "probed", "estimated", "matched", "cited", "undecided", "vacuous", "refuted")


def weakest(verdicts) -> str:
    """The weakest of several verdicts; a definition has nothing to check and weakens nothing."""
    return max((verdict for verdict in verdicts if verdict != "definition"), key=STRENGTH.index, default="definition")


@dataclass(frozen=True)
class Induction:
    """Equality for every integer ``variable`` from its lower end on.

    Without ``step``, both sides must have the same increment (or the same quotient) from n to n + ``stride``.
    With ``step``, a claim about left(n + stride) in terms of left(n): the right side must satisfy the same recurrence.
    ``start`` holds claims that the base cases may use.
    """

    variable: sympy.Symbol
    step: object = None
    stride: int = 1
    start: tuple = ()

    @property
    def used(self) -> tuple:
        return (*self.start, *([self.step] if self.step is not None else []))

    def prove(self, left, right, relation, domain: Domain):
        kind = domain.kinds.get(str(self.variable))
        if relation != "=" or not isinstance(kind, Integers) or kind.low == -sympy.oo:
            return None
        n, low, found = self.variable, kind.low, []
        for base in range(int(low), int(low) + self.stride):
            case = find_zero(use(left.subs(n, base), self.start) - right.subs(n, base), domain)
            if case is None:
                return None
            found.append(case[0])
        if self.step is not None:
            ahead, recurrence = self.step.lhs, self.step.rhs
            if not normal_form_is_zero(ahead - left.subs(n, n + self.stride)) or not recurrence.has(left):
                return None
            closed = find_zero(recurrence.xreplace({left: right}) - right.subs(n, n + self.stride), domain)
            how = f"recurrence from “{self.step.id}”"
            verdicts = []
        else:
            closed = find_zero(_increment(left, n, self.stride) - _increment(right, n, self.stride), domain)
            how, verdicts = "equal increments", []
            if closed is None:
                closed = find_zero(_quotient(left, n, self.stride) - _quotient(right, n, self.stride), domain)
                how = "equal quotients of neighbours"
        if closed is None:
            return None
        cases = f"{n} = {low}" + (f", …, {low + self.stride - 1}" if self.stride > 1 else "")
        return weakest([*found, *verdicts, closed[0]]), f"induction on {n}: {cases} and {how} ({closed[1]})"


def _increment(expression, n, stride):
    """expression(n + stride) - expression(n), the sums telescoped."""
    if isinstance(expression, sympy.Sum) and len(expression.limits) == 1:
        k, low, high = expression.limits[0]
        if not low.has(n) and normal_form_is_zero(high - high.subs(n, 0) - n) and not expression.function.has(n):
            return sympy.Add(*[expression.function.subs(k, high + step) for step in range(1, stride + 1)])
    return expression.subs(n, n + stride) - expression


def _quotient(expression, n, stride):
    if isinstance(expression, sympy.Product) and len(expression.limits) == 1:
        k, low, high = expression.limits[0]
        if not low.has(n) and normal_form_is_zero(high - high.subs(n, 0) - n) and not expression.function.has(n):
            return sympy.Mul(*[expression.function.subs(k, high + step) for step in range(1, stride + 1)])
    return expression.subs(n, n + stride) / expression


@dataclass(frozen=True)
class Antiderivative:
    """The integrals of both sides differ by a total derivative: d(primitive)/d(variable) is their joint integrand.

    Integration by parts and the fundamental theorem are this one certificate. Integrals over one range only.
    """

    primitive: sympy.Expr
    variable: sympy.Symbol

    def prove(self, left, right, relation, domain: Domain):
        if relation != "=":
            return None
        merged = merge_integrals(left - right)
        integrals = merged.atoms(sympy.Integral)
        if len(integrals) != 1:
            return None
        (integral,) = integrals
        rest = sympy.expand(merged - integral)
        if rest.has(sympy.Integral) or len(integral.limits) != 1:
            return None
        dummy, low, high = integral.limits[0]
        integrand = integral.function.xreplace({dummy: self.variable})
        derivative = find_zero(integrand - sympy.diff(self.primitive, self.variable), domain)
        if derivative is None:
            return None
        shift = _shift(domain)
        ends = [
            self._at(end.xreplace(shift) if end.has(*shift) else end, shift, side)
            for end, side in ((high, "-"), (low, "+"))
        ]
        if None in ends:
            return None
        boundary = find_zero(rest.xreplace(shift) + ends[0] - ends[1], domain)
        if boundary is None:
            return None
        return weakest([derivative[0], boundary[0]]), f"the antiderivative checks ({derivative[1]})"

    def _at(self, end, shift, side):
        primitive = self.primitive.xreplace({k: v for k, v in shift.items() if k != self.variable})
        value = _quietly(lambda: primitive.subs(self.variable, end)) if abs(end) != sympy.oo else None
        if value is None or value.has(sympy.nan, sympy.zoo, sympy.oo) or value.has(sympy.AccumBounds):
            value = within_budget(
                lambda: _quietly(lambda: sympy.limit(primitive, self.variable, end, side)), LAST_CALLS
            )
        return (
            None
            if value is None or isinstance(value, sympy.Limit) or value.has(sympy.nan, sympy.zoo, sympy.oo)
            else value
        )


def _shift(domain: Domain):
    """Write an integer n >= low as low + k with k >= 0, so that SymPy knows the signs of exponents."""
    shift = {}
    for name, kind in domain.kinds.items():
        if kind.integer and kind.low > -sympy.oo and kind.low not in (0, 1):
            shift[domain.symbols[name]] = kind.low + sympy.Symbol(f"{name}_", integer=True, nonnegative=True)
    return shift


@dataclass(frozen=True)
class Substitution:
    """Change of variable between the two sides: ``old`` on one is ``formula`` in the variable ``new`` on the other.

    The range of ``new`` is the one that the other side integrates over; ``formula`` must carry its ends to the old ones.
    """

    old: sympy.Symbol
    formula: sympy.Expr
    new: sympy.Symbol

    def prove(self, left, right, relation, domain: Domain):
        if relation != "=":
            return None
        for one, other in ((left, right), (right, left)):
            ranges = {integral.limits for integral in other.atoms(sympy.Integral) if integral.variables == [self.new]}
            olds = [integral for integral in one.atoms(sympy.Integral) if integral.variables == [self.old]]
            if len(ranges) != 1 or not olds:
                continue
            ((_, start, stop),) = ranges.pop()
            changed = {integral: self._transform(integral, start, stop) for integral in olds}
            if None in changed.values():
                return None
            found = find_zero(one.xreplace(changed) - other)
            if found:
                return found[0], f"substituting {self.old} = {self.formula}: {found[1]}"
        return None

    def _transform(self, integral, start, stop):
        ((_, low, high),) = integral.limits
        ends = [self._end(end, side) for end, side in ((start, "+"), (stop, "-"))]
        sign = 1 if ends == [low, high] else -1 if ends == [high, low] else None
        if sign is None:
            return None
        body = integral.function.subs(self.old, self.formula) * sympy.diff(self.formula, self.new)
        return sympy.Integral(sign * body, (self.new, start, stop))

    def _end(self, end, side):
        """Where ``formula`` carries an end of the new range; it may be infinite."""
        value = _value_at(self.formula, self.new, end, side)
        if value is None:
            value = within_budget(lambda: _quietly(lambda: sympy.limit(self.formula, self.new, end, side)), LAST_CALLS)
        return value


@dataclass(frozen=True)
class Monotone:
    """An inequality whose gap is zero or more at one end of ``variable``'s range and grows away from it."""

    variable: sympy.Symbol
    start: sympy.Expr

    def prove(self, left, right, relation, domain: Domain):
        gap = _gap(left, right, relation)
        kind = domain.kinds.get(str(self.variable))
        if gap is None or kind is None or self.start not in (kind.low, kind.high):
            return None
        slope = sympy.diff(gap, self.variable).doit()
        away = slope if self.start == kind.low else -slope
        at_start = _value_at(gap, self.variable, self.start, "+" if self.start == kind.low else "-")
        if at_start is None or not (is_positive(at_start, domain) or find_zero(at_start)):
            return None
        if not (is_positive(away, domain) or is_positive(sympy.factor(sympy.together(away)), domain)):
            return None
        return (
            "symbolic",
            f"the gap is {at_start} at {self.variable} = {self.start} and its slope {sympy.simplify(slope)} keeps one sign",
        )


@dataclass(frozen=True)
class RisesAndFalls:
    """An inequality whose gap is zero at both ends of the range, and whose slope is ``positive * falling``.

    A positive factor times a decreasing one changes sign at most once, from plus to minus: the gap rises, then falls,
    and so is nowhere below its ends.
    """

    variable: sympy.Symbol
    positive: sympy.Expr
    falling: sympy.Expr

    def prove(self, left, right, relation, domain: Domain):
        gap = _gap(left, right, relation)
        kind = domain.kinds.get(str(self.variable))
        if gap is None or kind is None:
            return None
        ends = [_value_at(gap, self.variable, end, side) for end, side in ((kind.low, "+"), (kind.high, "-"))]
        slope = find_zero(sympy.diff(gap, self.variable) - self.positive * self.falling, domain)
        if None in ends or slope is None or not all(find_zero(end) or is_positive(end, domain) for end in ends):
            return None
        if not (is_positive(self.positive, domain) and is_positive(-sympy.diff(self.falling, self.variable), domain)):
            return None
        return (
            "symbolic",
            f"the gap is 0 at both ends; its slope is a positive factor times the decreasing {self.falling}",
        )


def _gap(left, right, relation):
    return {"<=": right - left, ">=": left - right}.get(relation)


def _value_at(expression, variable, end, side):
    """The value at an end of the range, integrals over an empty range being zero; a limit where it must be one."""
    if abs(end) != sympy.oo:
        value = _quietly(lambda: expression.subs(variable, end).doit())
        if value is not None and not value.has(sympy.nan, sympy.zoo, sympy.oo, sympy.Integral):
            return value
    value = within_budget(lambda: _quietly(lambda: sympy.limit(expression, variable, end, side)), LAST_CALLS)
    return None if value is None or value.has(sympy.Limit, sympy.nan, sympy.zoo, sympy.oo) else value


@dataclass(frozen=True)
class Squares:
    """right - left (for <=) is a sum of squares: pairs (nonnegative coefficient, expression to square)."""

    terms: tuple

    def prove(self, left, right, relation, domain: Domain):
        gap = _gap(left, right, relation)
        if gap is None or not squares_certificate(gap, self.terms):
            return None
        return "decided", "sum of squares: " + " + ".join(f"{c}*({s})**2" for c, s in self.terms)


@dataclass(frozen=True)
class Cases:
    """Prove the statement separately for each value of an integer variable, and say for which."""

    variable: sympy.Symbol
    values: tuple

    def prove(self, left, right, relation, domain: Domain):
        if relation != "=":
            return None
        verdicts = []
        for value in self.values:
            found = find_zero((left - right).subs(self.variable, value), domain)
            if found is None:
                return None
            verdicts.append(found[0])
        return weakest(verdicts), f"for {self.variable} = {', '.join(map(str, self.values))}, each on its own"


@dataclass(frozen=True)
class Probing:
    """No symbolic attempt: the author knows that it is long and leads nowhere."""

    def prove(self, left, right, relation, domain: Domain):
        return None


def use(expression, claims):
    """Replace the left sides of equalities that are proved already by their right sides."""
    for claim in claims:
        if claim.relation == "=":
            expression = expression.xreplace({claim.lhs: claim.rhs})
    return expression


def induction(variable, *, step=None, stride: int = 1, start=()) -> Induction:
    return Induction(variable, step, stride, start if isinstance(start, tuple) else (start,))


def antiderivative(primitive, variable) -> Antiderivative:
    return Antiderivative(sympy.sympify(primitive), variable)


def substitution(old, formula, new) -> Substitution:
    return Substitution(old, sympy.sympify(formula), new)


def monotone(variable, start) -> Monotone:
    return Monotone(variable, sympy.sympify(start))


def rises_and_falls(variable, positive, falling) -> RisesAndFalls:
    return RisesAndFalls(variable, sympy.sympify(positive), sympy.sympify(falling))


def squares(*terms) -> Squares:
    return Squares(tuple(terms))


def cases(variable, values) -> Cases:
    return Cases(variable, tuple(values))


def probing() -> Probing:
    return Probing()
