"""Look for a counterexample at generic points, with many digits, and show the plainest one found."""

from dataclasses import dataclass, field

import sympy
from mpmath import mp

from .domains import Domain
from .numeric import compile_number, evaluate, is_real, largest_entry
from .quadrature import Diverges, NoValue

DIGITS = 30  # of agreement, for expressions without integrals and infinite sums
COARSE_DIGITS = 15  # where quadrature or an infinite sum is involved
MOST_COARSE = 20  # points with quadrature, however many are asked for
NESTED_DIGITS = 11  # where an integral is inside another
SMALLEST_STEP = sympy.Rational(1, 10**5)  # of a walk down the slope of a gap, relative to where it stands
MOST_STEPS = 400
GRID = 10**9  # of such a walk: it goes along multiples of its reciprocal
ENOUGH_DIGITS = 9  # fewer than this and a point says nothing


@dataclass
class Probe:
    """What the points said."""

    agreed: int = 0
    digits: int = DIGITS
    unusable: list[str] = field(default_factory=list)
    counterexample: dict | None = None  # symbol -> value, with "left" and "right"
    shapes: list[str] = field(default_factory=list)


class OneSided(Exception):
    """One side is finite at a point and the other is seen to diverge: whatever is claimed of the two, it fails here."""


class Sides:
    """Both sides of a relation, compiled once per choice of the arbitrary functions."""

    def __init__(self, left, right, domain: Domain, breaks=(), tolerance=None):
        self.left, self.right, self.domain = left, right, domain
        self.breaks, self.tolerance = [compile_number(place) for place in breaks], tolerance
        self.smooth = {symbol for symbol in domain.atoms() if isinstance(symbol, sympy.core.function.UndefinedFunction)}
        self.coarse = any(_needs_quadrature(side) for side in (left, right))
        self.nested = any(_is_nested(side) for side in (left, right))
        self.digits = NESTED_DIGITS if self.nested else COARSE_DIGITS if self.coarse else DIGITS
        self._compiled = None if self.smooth else (compile_number(left), compile_number(right))
        self._chosen: dict = {}  # the functions that it was compiled for last

    def at(self, point: dict, digits: int | None = None):
        """((left, error), (right, error)) at a point; raises ``NoValue``."""
        numbers = point
        if self.smooth:
            chosen = {symbol: point[symbol] for symbol in self.smooth}
            if chosen != self._chosen:
                self._compiled = [compile_number(_choose(side, chosen)) for side in (self.left, self.right)]
                self._chosen = chosen
            numbers = {symbol: value for symbol, value in point.items() if symbol not in self.smooth}
        digits = digits or self.digits
        values = []
        for name, side in zip(("left", "right"), self._compiled, strict=False):
            try:
                values.append(evaluate(side, numbers, digits, self.breaks))
            except Diverges as problem:
                values.append(problem)
            except NoValue as problem:
                raise NoValue(f"the {name} side has no value: {problem}") from None
        if all(isinstance(value, Diverges) for value in values):
            raise NoValue(f"neither side has a value: {values[0]}")
        for value in values:
            if isinstance(value, Diverges):
                raise OneSided([str(v) if isinstance(v, Diverges) else v[0] for v in values])
        return values


def _choose(expression, chosen):
    for _ in range(2):  # carrying out a derivative may bring a function forth once more
        for symbol, function in chosen.items():
            expression = expression.replace(symbol, lambda *args, function=function: function(*args))
        if expression.has(sympy.Derivative, sympy.Subs):
            expression = expression.doit(integrals=False)
        if not expression.has(*chosen):
            break
    return expression


def _needs_quadrature(expression) -> bool:
    if expression.has(sympy.Integral):
        return True
    return any(
        sympy.oo in limits[1:] or -sympy.oo in limits[1:]
        for part in expression.atoms(sympy.Sum, sympy.Product)
        for limits in part.limits
    )


def _is_nested(expression) -> bool:
    integrals = expression.atoms(sympy.Integral)
    return any(len(i.limits) > 1 or i.function.has(sympy.Integral) for i in integrals)


def compare(sides: Sides, point: dict) -> tuple[str, int, object, object]:
    """("equal" | "different", digits, left, right) at a point; raises ``NoValue`` where the point says nothing."""
    digits = sides.digits
    (left, error_l), (right, error_r) = sides.at(point)
    with mp.workdps(digits + 10):
        if _shape(left) != _shape(right):
            return "different", digits, left, right
        gap, scale, error = largest_entry(left - right), max(largest_entry(left), largest_entry(right)), error_l + error_r
        if sides.tolerance is not None:
            allowed = sides.tolerance.p * max(scale, mp.one) / sides.tolerance.q
            if error > allowed:
                raise NoValue(f"the quadrature or the sum leaves an error of {mp.nstr(error, 2)}")
            return "equal" if gap <= allowed else "different", ENOUGH_DIGITS, left, right
        if gap <= scale * mp.mpf(10) ** -digits and error == 0:
            return "equal", digits, left, right
    return (_compare_coarse if sides.coarse else _compare_fine)(sides, point, (left, right, gap, scale, error))


def _compare_coarse(sides, point, first):
    """With quadrature: the gap against the error that is left; where the two are close, again with twice the digits."""
    left, right, gap, scale, error = first
    digits, smallest = sides.digits, mp.mpf(10) ** -sides.digits
    if gap > 1000 * error and gap > scale / 10**6 and gap > smallest:
        return "different", digits, left, right
    agreed = _agreed_digits(gap, scale, error)
    if gap <= 10 * error and agreed >= ENOUGH_DIGITS:
        return "equal", min(agreed, digits), left, right
    (left, error_l), (right, error_r) = sides.at(point, 2 * digits)
    with mp.workdps(2 * digits + 10):
        before, larger, gap, error = gap, scale, largest_entry(left - right), error_l + error_r
        scale = max(largest_entry(left), largest_entry(right))
        agreed = _agreed_digits(gap, scale, error)
        if gap > 1000 * error and abs(gap - before) <= before / 20:
            return "different", digits, left, right
        if agreed >= ENOUGH_DIGITS and (gap <= 10 * error or gap <= before / 1000):
            return "equal", min(agreed, digits), left, right
        # Both sides are 0, and what is left of their terms falls as the digits grow. A tiny value is another thing.
        if larger > smallest**4 and scale <= larger * mp.sqrt(smallest) and error <= mp.sqrt(smallest):
            return "equal", digits, left, right
    raise NoValue(f"the quadrature or the sum leaves an error of {mp.nstr(error, 2)}")


def _agreed_digits(gap, scale, error) -> int:
    left_over = max(gap, error)
    if left_over == 0:
        return mp.dps
    return int(-mp.log10(left_over / scale)) if scale > 0 else 0


def _compare_fine(sides, point, first):
    """Without quadrature a true difference keeps its value when the digits grow; rounding shrinks with them.

    A gap below the digits carried may stand still and be rounding all the same: one side cancelled to 0, the other did not.
    """
    before, digits = first[2], sides.digits
    for carried, finer in ((digits, 2 * digits + 20), (2 * digits + 20, 6 * digits)):
        (left, _), (right, _) = sides.at(point, finer)
        with mp.workdps(finer + 10):
            gap = largest_entry(left - right)
            if gap == 0 or gap <= before * mp.mpf(10) ** (-digits // 2):
                return "equal", digits, left, right
            if abs(gap - before) <= before / 100 and gap > mp.mpf(10) ** -carried:
                return "different", digits, left, right
        before = gap
    raise NoValue("the difference does not settle as the digits grow")


def _shape(value):
    return (value.rows, value.cols) if isinstance(value, mp.matrix) else ()


def describe(point: dict, left, right) -> dict:
    """A counterexample as text: each variable's value and both sides."""
    shown = {str(symbol): _text(value) for symbol, value in point.items()}
    return {"at": shown} | side_texts(left, right)


def side_texts(left, right) -> dict:
    """Both values with as many digits as it takes to see that they differ."""
    for digits in (12, 20, 30, 60):
        texts = {"left": _number_text(left, digits), "right": _number_text(right, digits)}
        if texts["left"] != texts["right"]:
            break
    return texts


def _text(value):
    if isinstance(value, list):
        return "[" + ", ".join(_text(entry) for entry in value) + "]"
    if isinstance(value, sympy.MatrixBase):
        return "[" + ", ".join("[" + ", ".join(_text(entry) for entry in row) + "]" for row in value.tolist()) + "]"
    if isinstance(value, sympy.Lambda):
        return str(value)
    value = sympy.sympify(value)
    return str(value) if value.is_Rational and value.q <= 100 else str(value.evalf(8))


def _number_text(value, digits: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, mp.matrix):
        return (
            "["
            + ", ".join(
                "[" + ", ".join(_number_text(value[i, j], digits // 2) for j in range(value.cols)) + "]"
                for i in range(value.rows)
            )
            + "]"
        )
    if mp.im(value) == 0:
        return mp.nstr(mp.re(value), digits)
    return mp.nstr(value, digits)


def probe_equality(left, right, domain: Domain, seed: str, count: int | None = None, **options) -> Probe:
    """Compare both sides at generic points; stop at the first counterexample and look for a plainer one."""
    return _probe(left, right, domain, seed, count, _differs, **options)


def probe_order(left, right, domain: Domain, seed: str, count: int | None = None, **options) -> Probe:
    """Look for a point with left > right: generic points, ends of the ranges, then downhill from the tightest points."""
    return _probe(left, right, domain, seed, count, _exceeds, search=True, **options)


def _differs(sides, point):
    try:
        outcome, digits, left, right = compare(sides, point)
    except OneSided as seen:
        return True, sides.digits, *seen.args[0]
    return outcome == "different", digits, left, right


def _exceeds(sides, point):
    try:
        return _exceeds_in_value(sides, point)
    except OneSided as seen:
        return True, sides.digits, *seen.args[0]


def _exceeds_in_value(sides, point):
    (left, error_l), (right, error_r) = sides.at(point)
    with mp.workdps(sides.digits + 10):
        if isinstance(left, mp.matrix) or isinstance(right, mp.matrix):
            raise NoValue("matrices are not ordered")
        if not (is_real(left) and is_real(right)):
            raise NoValue("complex numbers are not ordered")
        left, right = mp.re(left), mp.re(right)
        gap, error = left - right, error_l + error_r
        scale = max(abs(left), abs(right))
        if gap <= 0:
            return False, sides.digits, left, right
        if gap > 1000 * error and gap > max(scale * 1000, 1) * mp.mpf(10) ** -sides.digits:
            return True, sides.digits, left, right
    outcome, digits, left, right = compare(sides, point)  # too close to tell: the careful comparison does
    return outcome == "different" and mp.re(left) > mp.re(right), digits, left, right


def _probe(left, right, domain, seed, count, violates, search=False, plain=True, breaks=(), tolerance=None) -> Probe:
    result = Probe()
    try:
        sides = Sides(left, right, domain, breaks, tolerance)
    except NoValue as problem:
        result.unusable.append(str(problem))
        return result
    result.digits = sides.digits
    free = _free(left) | _free(right)
    domain = domain.only({str(symbol) for symbol in free})
    count = count or _generic_points(sides, search, bool(free))
    points = list(domain.points(min(count, MOST_COARSE) if sides.coarse else count, seed))
    if not points:
        result.unusable.append("no point of the domain was found that satisfies the hypotheses")
    points += list(domain.edge_points(seed))[: 32 if not sides.coarse else 10 if search else 2]
    slack = []
    bad = None
    for index, point in enumerate(points):
        try:
            false, digits, a, b = violates(sides, point)
        except NoValue as problem:
            result.unusable.append(str(problem))
            if len(result.unusable) >= 4 and not result.agreed:
                break
            continue
        if false:
            bad = (point, a, b)
            break
        if index < count:
            result.agreed += 1
            result.digits = min(result.digits, digits)
            result.shapes.append(_sizes(point, domain))
        if search and _shape(a) == _shape(b) == ():
            slack.append(((b - a) / (abs(a) + abs(b) + mp.mpf("1e-30")), index))
    if bad is None and search and not sides.coarse:
        for _, index in sorted(slack, key=lambda pair: pair[0])[:3]:
            bad = _descend(sides, points[index], domain, violates)
            if bad:
                break
    if bad:
        result.counterexample = _plainest(sides, bad, domain, violates, free) if plain else describe(*bad)
    return result


def _generic_points(sides, search, free) -> int:
    """How many: fewer where each is dear, more where an inequality may be tight."""
    if not free:
        return 1
    if sides.coarse:
        return 3 if sides.nested else 8 if search else 5
    points = 40 if search else 12
    return points * 2 // 3 if sides.smooth else points  # each arbitrary function is compiled anew


def _descend(sides, start, domain, violates):
    """Walk one coordinate at a time towards smaller slack; return a violation if there is one."""
    ends = [getattr(kind, name, None) for kind in domain.kinds.values() for name in ("length", "rows", "columns")]
    sizes = {symbol for end in ends if end is not None for symbol in end.free_symbols}  # what has that size would not move along
    scalars = [
        (symbol, domain.kinds[name])
        for name, symbol in domain.symbols.items()
        if isinstance(start.get(symbol), sympy.Rational) and symbol not in sizes
    ]
    compiled = domain._compiled_hypotheses()

    def slack(point):
        (a, _), (b, _) = sides.at(point, 15)
        if not (is_real(a) and is_real(b)):
            raise NoValue("complex")
        return (mp.re(b) - mp.re(a)) / (abs(a) + abs(b) + mp.mpf("1e-30"))

    point, best = dict(start), None
    step, tries = sympy.Rational(1, 3), 0
    while step > SMALLEST_STEP and tries < MOST_STEPS:
        moved_on = False
        for symbol, kind in scalars:
            for sign in (1, -1):
                if kind.integer:
                    moved = point[symbol] + sign
                else:
                    moved = point[symbol] + sign * step * (abs(point[symbol]) + sympy.Rational(1, 50))
                    moved = sympy.Rational((2 * moved.p * GRID + moved.q) // (2 * moved.q), GRID)  # SymPy's round is slow
                if not (kind.low < moved < kind.high or (kind.integer and kind.low <= moved <= kind.high)):
                    continue
                trial, tries = point | {symbol: moved}, tries + 1
                if not domain._satisfies(trial, compiled):
                    continue
                try:
                    best = slack(point) if best is None else best
                    value = slack(trial)
                    if value < best:
                        point, best, moved_on = trial, value, True
                    if value < 0:
                        false, _, a, b = violates(sides, trial)
                        if false:
                            return trial, a, b
                except (NoValue, OneSided):
                    continue
        step = step if moved_on else step / 2
    return None


def _plainest(sides, bad, domain, violates, free):
    """The same failure at the plainest point where it shows clearly; the generic one if there is none."""
    point, left, right = bad
    tries = 0
    for simple in domain.simple_points():
        tries += 1
        if tries > (12 if sides.coarse else 60):
            break
        try:
            false, _, a, b = violates(sides, simple)
        except NoValue:
            continue
        if false and (_shape(a) != () or str in (type(a), type(b)) or abs(a - b) > (abs(a) + abs(b)) / 1000):
            point, left, right = simple, a, b
            break
    shown = {symbol: value for symbol, value in point.items() if symbol in free or not free}
    return describe(shown, left, right)


def _free(expression) -> set:
    symbols = set(expression.free_symbols)
    return symbols | {function.func for function in expression.atoms(sympy.core.function.AppliedUndef)}


def _sizes(point, domain):
    return ", ".join(
        f"{name} = {point[symbol]}"
        for name, symbol in domain.symbols.items()
        if domain.kinds[name].integer and symbol in point
    )
