"""Integrals and infinite sums of a function of one number: a value with an honest error, or the sight of a divergence.

Extrapolation turns 1 + 2 + 4 + ... into -1, and a symmetric rule turns the mean of a Cauchy variable into 0. So the far
end is looked at first: where ``|f(R)| R log R`` does not fall as R runs through 2^16, 2^32, ..., 2^512, nothing converges.
"""

from collections.abc import Callable

from mpmath import mp

DISTANCE = 100  # digits to spare beside a singular end
REACH = (16, 32, 64, 128, 256, 512)  # exponents of two
HUGE = 10**5  # binary digits before the point: what grows past this is followed no further
NEIGHBOURS = (1, 1.0625, 1.1875, 1.3125, 1.5, 1.75, 1.9375)  # exact in binary
STEADY = 0.97  # a quotient of neighbours above this does not fall
LONGEST_SUM = 20_000


class NoValue(Exception):
    """The expression has no usable value at this point; the message says why."""


class Diverges(NoValue):
    """The integral or sum is seen to have no finite value."""


Function = Callable[[object], object]


def integrate(function: Function, a, b, kinks=(), peaks=(), waves=(), once=False, unit=1):
    """(value, error) of the integral of ``function`` from ``a`` to ``b``.

    Args:
        kinks: places where the function may jump, bend or blow up.
        peaks: (centre, width) of bumps that a rule must not step over.
        waves: (coefficient, power) of the phases ``coefficient * x**power`` of its oscillations.
        once: whether the rule's own estimate is enough: inside another integral, which is looked at in two ways itself.
        unit: of length; a rule for an infinite end takes it for granted that the function falls within a few of them.
    """
    if unit != 1:
        kinks, peaks = [place / unit for place in kinks], [(centre / unit, width / unit) for centre, width in peaks]
        waves = [(coefficient * unit**power, power) for coefficient, power in waves]
        return integrate(lambda t: unit * function(unit * t), a / unit, b / unit, kinks, peaks, waves, once)
    if a > b:
        value, error = integrate(function, b, a, kinks, peaks, waves, once)
        return -value, error
    ends = [a, *_distinct(place for place in kinks if a < place < b), b]
    if once:
        return _one_piece(function, ends, peaks, second=False)()
    pieces = list(zip(ends, ends[1:], strict=False))
    tails = []
    for index, (left, right) in enumerate(pieces):
        width = right - left if mp.isfinite(right - left) else mp.one
        if _diverges_at(function, left, width) or _diverges_at(function, right, -width):
            raise Diverges("the integral diverges")
        if not waves:
            cuts = [_cut(function, end, side * width, ends) for end, side in ((left, 1), (right, -1))]
            tails += [
                _tail(function, end, cut) for end, cut in zip((left, right), cuts, strict=True) if cut is not None
            ]
            pieces[index] = tuple(end if cut is None else cut for end, cut in zip((left, right), cuts, strict=True))
    if tails:
        ways = [_with_tails(function, pieces, tails, peaks, second) for second in (False, True)]
    else:
        ways = [_one_piece(function, ends, peaks, second)() for second in (False, True)]
    (first, error), (second, _) = ways
    disagreement = abs(first - second) + mp.fsum(rest for _, rest in tails)
    if max(disagreement, error) > abs(second) * mp.mpf("1e-9") and waves and not (mp.isfinite(a) and mp.isfinite(b)):
        return _oscillating(function, a, b, kinks, peaks, *waves[0])
    rounding = abs(first) * mp.mpf(10) ** (3 - mp.dps)
    # The rule's own estimate is a power of ten; it is believed where it is bad, and the two ways speak otherwise.
    return second, disagreement + rounding + (error if error > abs(second) * mp.mpf("1e-6") else 0)


def _cut(function, end, width, ends):
    """Where to cut off an end at which the function falls like a slow power; ``None`` where no cut is needed.

    A rule stops about ``10**-digits`` before the end. What lies beyond is nothing, unless the power is slow.
    """
    far = mp.mpf(10) ** mp.dps
    with mp.extradps(mp.dps if mp.isfinite(end) else 0):
        left_over, usual = [
            abs(function(_place(end, width, reach))) * (1 / reach if mp.isfinite(end) else reach) for reach in (far, 4)
        ]
    if not left_over > max(usual * mp.mpf("1e-14"), mp.mpf("1e-40")):
        return None
    if mp.isfinite(end):
        return end + width / 3
    largest = max([mp.one, *(abs(place) + 1 for place in ends if mp.isfinite(place))])
    return largest if end > 0 else -largest


def _tail(function, end, cut):
    """(the part between the cut and the end as a function on a half-line, what it leaves out).

    In the logarithm of the distance a slow power is an exponential. Beside an end that is not zero, distances stop at
    what the digits can tell from none.
    """
    spare = DISTANCE if mp.isfinite(end) and end != 0 else 0

    def in_logarithm(t):
        with mp.extradps(spare):
            step = (cut - end) * mp.exp(-t) if mp.isfinite(end) else cut * mp.exp(t)
            place = end + step if mp.isfinite(end) else step
            return mp.zero if place == end else abs(step) * function(place)

    return in_logarithm, abs(in_logarithm(mp.log(10) * DISTANCE)) if spare else mp.zero


def _with_tails(function, pieces, tails, peaks, second):
    parts = [_quad(function, _points(piece, peaks, second)) for piece in pieces]
    parts += [_quad(tail, [0, 7, mp.inf] if second else [0, mp.inf]) for tail, _ in tails]
    return mp.fsum(value for value, _ in parts), mp.fsum(error for _, error in parts)


def _one_piece(function, ends, peaks, second):
    """The rule to apply: over the whole line at once where one scale fits, piece by piece otherwise."""

    def by_pieces():
        return _quad(function, _points(ends, peaks, second))

    def at_once():
        found = _even_grid(function, centre, width)
        if found:
            return found
        value, error = _quad(lambda t: width * function(centre + width * t), [-mp.inf, mp.inf])
        return (value, error) if error <= abs(value) * mp.mpf("1e-9") else by_pieces()

    if len(ends) > 2 or mp.isfinite(ends[0]) or mp.isfinite(ends[-1]):
        return by_pieces
    centres, widths = [centre for centre, _ in peaks] or [mp.zero], [width for _, width in peaks] or [mp.one]
    if max(widths) > 8 * min(widths) or max(centres) - min(centres) > 6 * max(widths):
        return by_pieces
    centre = (max(centres) + min(centres)) / 2 + (max(widths) / 3 if second else 0)
    width = max(widths) * (mp.mpf(3) / 2 if second else 1)
    return at_once


def _even_grid(function, centre, width):
    """The plain sum over an even grid: nothing is better for what falls like a Gaussian; ``None`` where it does not fall."""
    before = None
    for step in (mp.mpf(1) / 2, mp.mpf(1) / 4, mp.mpf(1) / 8):
        total = function(centre)
        largest = abs(total)
        for stride in (step * width, -step * width):
            quiet = 0
            for k in range(1, 200):
                value = function(centre + k * stride)
                total += value
                largest = max(largest, abs(value))
                quiet = quiet + 1 if abs(value) <= largest * mp.eps else 0
                if quiet == 3:
                    break
            else:
                return None
        total *= step * width
        if before is not None and abs(total - before) <= largest * width * mp.mpf(10) ** (4 - mp.dps):
            return total, abs(total - before) + largest * width * mp.eps
        before = total
    return None


def _distinct(places):
    kept = []
    for place in sorted(places):
        if not kept or place - kept[-1] > abs(place) * mp.mpf(10) ** (-mp.dps // 2):
            kept.append(place)
    return kept


def _quad(function, points):
    """(value, error): Gauss-Legendre where the function is smooth, tanh-sinh where it is not or the piece is infinite."""
    total, error, size = mp.zero, mp.zero, _size(function, points)

    def scaled(t):  # mpmath stops at an absolute error, whatever the size of the values
        return function(t) / size

    for piece in zip(points, points[1:], strict=False):
        value = rest = None
        if mp.isfinite(piece[0]) and mp.isfinite(piece[1]):
            value, rest = mp.quadgl(scaled, piece, error=True, maxdegree=5)
        if value is None or not rest <= abs(value) * mp.mpf(10) ** (4 - mp.dps):
            degree = 6 if mp.dps <= 20 else 7 if mp.dps <= 30 else 9
            value, rest = mp.quadts(scaled, piece, error=True, maxdegree=degree)
        total, error = total + value, error + rest
    if not mp.isfinite(total):
        raise NoValue("the quadrature gives no finite value")
    return total * size, error * size


def _size(function, points):
    """A power of two near the largest of a few values of the function between the points."""
    finite = [point for point in points if mp.isfinite(point)] or [mp.zero]
    pairs = list(zip(finite, finite[1:], strict=False))
    places = [low + (high - low) * share for low, high in pairs for share in (mp.mpf(1) / 16, mp.mpf(9) / 16)]
    places += [finite[-1] + 1] * mp.isinf(points[-1]) + [finite[0] - 1] * mp.isinf(points[0])
    values = [abs(function(place)) for place in places]
    largest = max((value for value in values if mp.isfinite(value)), default=mp.zero)
    return mp.ldexp(1, mp.mag(largest)) if largest else mp.one


def _points(ends, peaks, second):
    """Where the rule is to be applied piece by piece; two ways that share only the ends."""
    share, unit, shift = (mp.mpf(5) / 9, mp.mpf(23) / 8, mp.mpf(1) / 3) if second else (mp.mpf(3) / 8, mp.one, mp.zero)
    centres = _distinct(
        centre + shift * width for centre, width in peaks if ends[0] < centre + shift * width < ends[-1]
    )
    if len(centres) > 4:
        centres = [centres[0], centres[-1]]
    if peaks:
        unit = unit * max(width for _, width in peaks)
    points = _distinct({place for place in (*ends, *centres) if mp.isfinite(place)})
    inner = (
        [low + share * (high - low) for low, high in zip(points, points[1:], strict=False)] if len(points) < 6 else []
    )
    if mp.isinf(ends[0]) and mp.isinf(ends[-1]) and not points:
        points = [shift]
    left = [ends[0], points[0] - 3 * unit] if mp.isinf(ends[0]) else []
    right = [points[-1] + 3 * unit, ends[-1]] if mp.isinf(ends[-1]) else []
    return [*left, *sorted([*points, *inner]), *right]


def _diverges_at(function, end, width) -> bool:
    """Whether the function is seen to be too large near ``end`` (from the side of ``width``) to be integrated."""
    sizes = []
    with mp.extradps(160 if mp.isfinite(end) else 0):
        for exponent in REACH:
            far = mp.mpf(2) ** exponent
            weight = exponent / far if mp.isfinite(end) else exponent * far
            try:
                sizes.append(abs(function(_place(end, width, far))) * weight)
            except (NoValue, ZeroDivisionError, ValueError, OverflowError):
                break
            if not mp.isfinite(sizes[-1]) or sizes[-1] == 0 or (len(sizes) > 1 and sizes[-1] < sizes[-2] / 5):
                return False
            if mp.mag(sizes[-1]) > HUGE:
                break
        if not _never_falls(sizes):
            return False
        tried = REACH[: len(sizes)][-3:]
        return all(
            _one_sided([function(_place(end, width, factor * mp.mpf(2) ** exponent)) for factor in NEIGHBOURS])
            for exponent in tried
        )


def _never_falls(sizes) -> bool:
    if sizes and mp.mag(sizes[-1]) > HUGE:
        return True
    if len(sizes) < 3 or any(sizes[index] < sizes[index - 1] * STEADY for index in (-1, -2)):
        return False
    # R^(-1-a) with a tiny a > 0 converges: the logarithm of |f| R falls twice as far over each doubling of log R.
    before, last = (mp.log(sizes[index] / sizes[index - 1] / 2) for index in (-2, -1))
    return not (last < 0 and last < 1.5 * before - mp.mpf("0.01"))


def _place(end, width, far):
    if mp.isfinite(end):
        return end + width / far
    return far if end > 0 else -far


def _one_sided(values) -> bool:
    """Same sign, and one after the other larger or smaller: no oscillation here."""
    if any(mp.im(value) != 0 for value in values):
        return False
    steps = [later - earlier for earlier, later in zip(values, values[1:], strict=False)]
    return len({mp.sign(value) for value in values}) == 1 and (all(s >= 0 for s in steps) or all(s <= 0 for s in steps))


def _oscillating(function, a, b, kinks, peaks, coefficient, power):
    """Half-waves as terms of an accelerated series, cut in two different ways."""
    if mp.isinf(a) and mp.isinf(b):
        left = _oscillating(function, a, mp.zero, kinks, peaks, coefficient, power)
        right = _oscillating(function, mp.zero, b, kinks, peaks, coefficient, power)
        return left[0] + right[0], left[1] + right[1]
    if mp.isinf(a):
        return _oscillating(lambda x: function(-x), -b, mp.inf, [-k for k in kinks], peaks, coefficient, power)

    def zero(n):
        return (n * mp.pi / coefficient) ** (mp.one / power)

    heights = []
    for exponent in (16, 32, 48):
        n = mp.mpf(2) ** exponent
        width = zero(n + 1) - zero(n)  # half-waves that grow narrow may keep their height
        heights.append(width * max(abs(function(zero(n + mp.mpf(step) / 8))) for step in range(16)))
    if heights[0] > 0 and heights[2] >= STEADY * heights[0]:
        raise Diverges("the integral oscillates without settling")
    start = max([a, mp.zero, *(kink for kink in kinks if kink > a)])
    head, error = _quad(function, _points([a, start], peaks, second=False)) if start > a else (mp.zero, mp.zero)
    first = mp.quadosc(function, [start, mp.inf], zeros=zero)
    second = mp.quadosc(function, [start, mp.inf], zeros=lambda n: zero(n + mp.mpf(1) / 2))
    return head + second, error + abs(first - second) + abs(second) * mp.mpf(10) ** (3 - mp.dps)


def sign_changes(function: Function, a, b):
    """Where a continuous function changes sign between ``a`` and ``b``, seen on a grid and closed in on by halving."""
    grid = [_spread(a, b, mp.mpf(step) / 64) for step in range(1, 64)]
    values = [mp.re(function(x)) for x in grid]
    found = []
    for low, high, at_low, at_high in zip(grid, grid[1:], values, values[1:], strict=False):
        if at_low * at_high < 0:
            for _ in range(mp.prec):
                middle = (low + high) / 2
                at_middle = mp.re(function(middle))
                low, high = (middle, high) if at_middle * at_low > 0 else (low, middle)
            found.append(low)
        elif at_low == 0:
            found.append(low)
    return found


def _spread(a, b, share):
    """The point of (a, b) at that share of the way; infinite ranges are bent into finite ones."""
    if mp.isfinite(a) and mp.isfinite(b):
        return a + (b - a) * share
    if mp.isfinite(a):
        return a + share / (1 - share)
    if mp.isfinite(b):
        return b - (1 - share) / share
    return (2 * share - 1) / (share * (1 - share))


def infinite_sum(term: Function, start: int):
    """(value, error) of term(start) + term(start + 1) + ...: plainly where it falls geometrically, accelerated otherwise."""
    total, small = mp.zero, mp.mpf(10) ** (-mp.dps - 2)
    terms = []
    for k in range(start, start + 400):
        value = term(k)
        total += value
        terms.append(abs(value))
        if len(terms) > 12 and max(terms[-3:]) <= small * max(abs(total), max(terms[:8]) * small):
            return total, mp.zero
    if _sum_diverges(term):
        raise Diverges("the sum diverges")
    if terms[-1] > 0 and terms[-1] < terms[-100] * mp.mpf("1e-6"):
        for k in range(start + 400, start + LONGEST_SUM):
            value = term(k)
            total += value
            if abs(value) <= small * abs(total):
                return total, mp.zero
    first = mp.nsum(term, [start, mp.inf])
    second = mp.fsum(term(k) for k in range(start, start + 20)) + mp.nsum(term, [start + 20, mp.inf])
    error = abs(first - second)
    if not mp.isfinite(first) or error > abs(first) * mp.mpf("1e-9"):
        head = mp.fsum(term(k) for k in range(start, start + 40))
        tail, error = mp.sumem(term, [start + 40, mp.inf], error=True)
        first = second = head + tail
    if not mp.isfinite(first) or error > abs(first) * mp.mpf("1e-3") + mp.mpf("1e-9"):
        raise NoValue("the sum does not converge in sight")
    return second, error + abs(first) * mp.mpf(10) ** (3 - mp.dps)


def _sum_diverges(term) -> bool:
    """Cauchy's condensation, twice; and terms of changing sign must tend to zero."""
    sizes, heights = [], []
    with mp.extradps(160):
        for exponent in REACH:
            k = 2**exponent
            try:
                heights.append(max(abs(term(k)), abs(term(k + 1))))
            except (NoValue, ZeroDivisionError, ValueError, OverflowError):
                break
            sizes.append(heights[-1] * exponent * k)
            if not mp.isfinite(heights[-1]) or heights[-1] == 0:
                return False
            if mp.mag(heights[-1]) > HUGE:
                return True
            if len(sizes) > 1 and sizes[-1] < sizes[-2] / 10**6:
                return False
        if _never_falls(heights):
            return True
        tried = REACH[: len(sizes)][-3:]
        return _never_falls(sizes) and all(_one_sided([term(2**e + step) for step in range(7)]) for e in tried)
