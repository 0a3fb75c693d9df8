"""Proofs that an author hands to a step: each is checked, none is believed."""

from dataclasses import dataclass

import sympy

from .budget import within_budget
from .domains import Domain
from .sign import squares_certificate
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
    """

    variable: sympy.Symbol
    step: object = None
    stride: int = 1

    def prove(self, left, right, relation, domain: Domain):
        if relation != "=":
            return None
        n, found = self.variable, []
        low = domain.kinds[str(n)].low
        for base in range(int(low), int(low) + self.stride):
            case = find_zero((left - right).subs(n, base))
            if case is None:
                return None
            found.append(case[0])
        if self.step is not None:
            ahead, recurrence = self.step.lhs, self.step.rhs
            if not normal_form_is_zero(ahead - left.subs(n, n + self.stride)) or not recurrence.has(left):
                return None
            closed = find_zero(recurrence.xreplace({left: right}) - right.subs(n, n + self.stride))
            how = f"recurrence from “{self.step.id}”"
            verdicts = [self.step.verdict]
        else:
            closed = find_zero(_increment(left, n, self.stride) - _increment(right, n, self.stride))
            how, verdicts = "equal increments", []
            if closed is None:
                closed = find_zero(_quotient(left, n, self.stride) - _quotient(right, n, self.stride))
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
        integral, = integrals
        rest = sympy.expand(merged - integral)
        if rest.has(sympy.Integral) or len(integral.limits) != 1:
            return None
        dummy, low, high = integral.limits[0]
        integrand = integral.function.xreplace({dummy: self.variable})
        derivative = find_zero(integrand - sympy.diff(self.primitive, self.variable))
        if derivative is None:
            return None
        shift, back = _shift(domain)
        ends = [self._at(end.xreplace(shift) if end.has(*shift) else end, shift, side) for end, side in ((high, "-"), (low, "+"))]
        if None in ends:
            return None
        boundary = find_zero((rest.xreplace(shift) + ends[0] - ends[1]))
        if boundary is None:
            return None
        return weakest([derivative[0], boundary[0]]), f"antiderivative {self.primitive} checked: {derivative[1]}"

    def _at(self, end, shift, side):
        primitive = self.primitive.xreplace({k: v for k, v in shift.items() if k != self.variable})
        value = _quietly(lambda: primitive.subs(self.variable, end)) if abs(end) != sympy.oo else None
        if value is None or value.has(sympy.nan, sympy.zoo, sympy.oo) or value.has(sympy.AccumBounds):
            value = within_budget(lambda: _quietly(lambda: sympy.limit(primitive, self.variable, end, side)), LAST_CALLS)
        return None if value is None or isinstance(value, sympy.Limit) or value.has(sympy.nan, sympy.zoo, sympy.oo) else value


def _shift(domain: Domain):
    """Write an integer n >= low as low + k with k >= 0, so that SymPy knows the signs of exponents; and the way back."""
    shift = {}
    for name, kind in domain.kinds.items():
        if kind.integer and kind.low > -sympy.oo and kind.low not in (0, 1):
            shift[domain.symbols[name]] = kind.low + sympy.Symbol(f"{name}_", integer=True, nonnegative=True)
    return shift, {}


@dataclass(frozen=True)
class Substitution:
    """Change of variable in an integral: ``old`` = ``formula`` in the variable ``new``, strictly monotone on the range."""

    old: sympy.Symbol
    formula: sympy.Expr
    new: sympy.Symbol

    def prove(self, left, right, relation, domain: Domain):
        if relation != "=" or not left.has(sympy.Integral):
            return None
        changed = left
        for integral in left.atoms(sympy.Integral):
            moved = self._transform(integral)
            if moved is None:
                return None
            changed = changed.xreplace({integral: moved})
        found = find_zero(changed - right)
        return found and (found[0], f"substituting {self.old} = {self.formula}: {found[1]}")

    def _transform(self, integral):
        if len(integral.limits) != 1 or integral.limits[0][0] != self.old or len(integral.limits[0]) != 3:
            return None
        _, low, high = integral.limits[0]
        slope = sympy.diff(self.formula, self.new)
        ends = []
        for end in (low, high):
            roots = [root for root in sympy.solve(sympy.Eq(self.formula, end), self.new) if root.is_real is not False] if abs(end) != sympy.oo else []
            if not roots:
                for candidate in (sympy.oo, -sympy.oo, sympy.S.Zero, sympy.S.One, -sympy.S.One):
                    if _quietly(lambda c=candidate, e=end: sympy.limit(self.formula, self.new, c) == e):
                        roots = [candidate]
                        break
            if not roots:
                return None
            ends.append(roots[-1])
        body = integral.function.subs(self.old, self.formula) * slope
        if self.new.is_positive and any(end.is_negative for end in ends):
            return None
        return sympy.Integral(body, (self.new, *ends)) if not (ends[1] - ends[0]).is_negative else sympy.Integral(-body, (self.new, ends[1], ends[0]))


@dataclass(frozen=True)
class Squares:
    """right - left (for <=) is a sum of squares: pairs (nonnegative coefficient, expression to square)."""

    terms: tuple

    def prove(self, left, right, relation, domain: Domain):
        gap = {"<=": right - left, ">=": left - right}.get(relation)
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
            found = find_zero((left - right).subs(self.variable, value))
            if found is None:
                return None
            verdicts.append(found[0])
        return weakest(verdicts), f"for {self.variable} = {', '.join(map(str, self.values))}, each on its own"


@dataclass(frozen=True)
class Probing:
    """No symbolic attempt: the author knows that it is long and leads nowhere."""

    def prove(self, left, right, relation, domain: Domain):
        return None


def induction(variable, *, step=None, stride: int = 1) -> Induction:
    return Induction(variable, step, stride)


def antiderivative(primitive, variable) -> Antiderivative:
    return Antiderivative(sympy.sympify(primitive), variable)


def substitution(old, formula, new) -> Substitution:
    return Substitution(old, sympy.sympify(formula), new)


def squares(*terms) -> Squares:
    return Squares(tuple(terms))


def cases(variable, values) -> Cases:
    return Cases(variable, tuple(values))


def probing() -> Probing:
    return Probing()
