"""Where a claim is meant to hold.

A :class:`Domain` names its variables, says what each may be, and draws generic points from it: rationals with no
accidental structure, small integers always, both signs, non-square and non-symmetric matrices.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import sympy
from sympy import Rational, oo

LARGEST_SIDE = 13  # of a matrix at the far end of its sizes
HEIGHT = 9973  # denominators of sampled rationals: a prime, so that nothing cancels by chance


@dataclass(frozen=True)
class Real:
    """The open interval (low, high)."""

    low: sympy.Expr = -oo
    high: sympy.Expr = oo
    integer = False

    def symbol(self, name: str) -> sympy.Symbol:
        sign = {"positive": True} if self.low >= 0 else {"negative": True} if self.high <= 0 else {"real": True}
        return sympy.Symbol(name, **sign)

    def sample(self, rng: random.Random, index: int, share: float):
        """A generic value; ``share`` says how far along a range with two ends it lies."""
        low, high = self.low, self.high
        if low == -oo and high == oo:
            size = self._size(rng, index)
            return size if rng.random() < 0.5 else -size
        if high == oo:
            return low + self._size(rng, index)
        if low == -oo:
            return high - self._size(rng, index)
        return _rational(low + (high - low) * Rational(1 + int(share * (HEIGHT - 1)), HEIGHT))

    @staticmethod
    def _size(rng, index):
        scale = (1, 3, Rational(1, 4), 10, Rational(1, 25))[index % 5]
        return scale * Rational(rng.randrange(HEIGHT // 4, 2 * HEIGHT), HEIGHT)

    def edges(self):
        """Points near the ends, and far out where there is no end."""
        low, high = self.low, self.high
        width = high - low if high < oo and low > -oo else sympy.Integer(1)
        near = [
            _rational(end + sign * width * step)
            for end, sign in ((low, 1), (high, -1))
            if abs(end) < oo
            for step in (Rational(1, 1009), Rational(1, 1000003))
        ]
        far = [sympy.Integer(sign * 997) for end, sign in ((low, -1), (high, 1)) if abs(end) == oo]
        return near + far

    def simple(self):
        """Plain values inside, simplest first: candidates for a counterexample that a person can follow."""
        values = [
            sympy.Integer(1),
            sympy.Integer(2),
            sympy.Integer(-1),
            Rational(1, 2),
            sympy.Integer(3),
            Rational(-1, 2),
            sympy.Integer(-2),
            Rational(1, 3),
            Rational(3, 2),
            sympy.Integer(5),
            Rational(1, 10),
            sympy.Integer(10),
        ]
        inside = [value for value in values if self.low < value < self.high]
        if not inside and self.high < oo and self.low > -oo:
            inside = [_rational((self.low + self.high) / 2)]
        return inside

    def latex(self) -> str:
        if (self.low, self.high) == (-oo, oo):
            return r"\in\mathbb{R}"
        if self.high == oo:
            return f"> {sympy.latex(self.low)}"
        if self.low == -oo:
            return f"< {sympy.latex(self.high)}"
        return rf"\in({sympy.latex(self.low)}, {sympy.latex(self.high)})"

    def record(self) -> dict:
        assumption = "positive" if self.low >= 0 else "negative" if self.high <= 0 else "real"
        return {assumption: True, "domain": [str(self.low), str(self.high)]}


@dataclass(frozen=True)
class Integers:
    """The integers low..high, both included."""

    low: sympy.Expr = -oo
    high: sympy.Expr = oo
    integer = True

    def symbol(self, name: str) -> sympy.Symbol:
        sign = {"positive": True} if self.low >= 1 else {"nonnegative": True} if self.low >= 0 else {}
        return sympy.Symbol(name, integer=True, **sign)

    def sample(self, rng: random.Random, index: int, share: float):
        if self.low == -oo:
            return sympy.Integer(rng.randrange(-9, 10)) if self.high == oo else self.high - rng.randrange(0, 12)
        if index < 3 and self.low + index <= self.high:
            return self.low + index
        reach = 11 if self.high == oo or index % 2 else 60
        return self.low + int(share * (min(self.high - self.low, reach) + 1))

    def edges(self):
        return [sympy.Integer(end) for end in (self.low, self.high) if abs(end) < oo] + (
            [self.low + 40] if self.low > -oo and self.high == oo else []
        )

    def simple(self):
        if self.low == -oo:
            return [sympy.Integer(value) for value in (0, 1, 2, -1, 3) if value <= self.high]
        return [self.low + step for step in range(6) if self.low + step <= self.high]

    def latex(self) -> str:
        if (self.low, self.high) == (-oo, oo):
            return r"\in\mathbb{Z}"
        if self.high == oo:
            return rf"\in\{{{self.low}, {self.low + 1}, \dots\}}"
        return rf"\in\{{{self.low}, \dots, {self.high}\}}"

    def record(self) -> dict:
        sign = {"positive": True} if self.low >= 1 else {"nonnegative": True} if self.low >= 0 else {}
        return {"integer": True, **sign, "domain": [str(self.low), str(self.high)]}


@dataclass(frozen=True)
class Sequence:
    """x_1, ..., x_length with entries from one range; ``total`` rescales them to that sum."""

    length: object
    entries: Real
    total: object = None
    integer = False

    def symbol(self, name: str) -> sympy.IndexedBase:
        return sympy.IndexedBase(sympy.Symbol(name, **self.entries.symbol(name).assumptions0))

    def draw(self, rng, size: int) -> list:
        values = [self.entries.sample(rng, 0, rng.random()) for _ in range(size)]
        return values if self.total is None else [self.total * value / sum(values) for value in values]

    def latex(self) -> str:
        total = "" if self.total is None else rf",\ \textstyle\sum = {sympy.latex(self.total)}"
        return rf"_1, \dots, {{}}_{{{sympy.latex(self.length)}}} {self.entries.latex()}{total}"

    def record(self) -> dict:
        record = {"sequence": str(self.length), "entries": self.entries.record()}
        return record if self.total is None else record | {"total": str(self.total)}


@dataclass(frozen=True)
class Matrices:
    """Real rows x columns matrices; ``kind`` may be ``"any"``, ``"symmetric"``, ``"positive definite"`` or ``"orthogonal"``."""

    rows: object
    columns: object
    kind: str = "any"
    integer = False

    def symbol(self, name: str) -> sympy.MatrixSymbol:
        return sympy.MatrixSymbol(name, self.rows, self.columns)

    def draw(self, rng, rows: int, columns: int) -> sympy.ImmutableMatrix:
        entries = [[Rational(rng.randrange(-HEIGHT, HEIGHT), 4999) for _ in range(columns)] for _ in range(rows)]
        matrix = sympy.Matrix(entries)
        if self.kind == "symmetric":
            matrix = matrix + matrix.T
        elif self.kind == "positive definite":
            matrix = matrix * matrix.T + sympy.eye(rows) / 7
        elif self.kind == "orthogonal":
            skew = (matrix - matrix.T).applyfunc(lambda entry: Rational(round(entry * 7), 7))  # its inverse stays printable
            matrix = (sympy.eye(rows) - skew) * (sympy.eye(rows) + skew).inv()
        return sympy.ImmutableMatrix(matrix)

    def latex(self) -> str:
        space = rf"\in\mathbb{{R}}^{{{sympy.latex(self.rows)}\times {sympy.latex(self.columns)}}}"
        return space if self.kind == "any" else rf"{space}\ \text{{{self.kind}}}"

    def record(self) -> dict:
        return {"matrix": [str(self.rows), str(self.columns)], "kind": self.kind}


@dataclass(frozen=True)
class Smooth:
    """Any smooth real function of ``arguments`` real variables."""

    arguments: int = 1
    integer = False

    def symbol(self, name: str):
        return sympy.Function(name, real=True)

    def draw(self, rng) -> sympy.Lambda:
        variables = sympy.symbols(f"u1:{self.arguments + 1}", real=True)
        pick = lambda: Rational(rng.randrange(-HEIGHT, HEIGHT) or 1, 7001)  # noqa: E731
        inner = pick() + sum(pick() * variable for variable in variables)
        body = (
            pick() * sympy.sin(inner)
            + sum(pick() * variable**2 for variable in variables)
            + pick() * sympy.exp(inner / 3)
        )
        return sympy.Lambda(variables, body)

    def latex(self) -> str:
        return r"\text{ smooth}"

    def record(self) -> dict:
        return {"function": self.arguments}


def real(low=-oo, high=oo) -> Real:
    """A real variable in the open interval (low, high)."""
    return _ordered(Real, low, high)


def positive(high=oo) -> Real:
    """A real variable in (0, high)."""
    return _ordered(Real, 0, high)


def integer(low=-oo, high=oo) -> Integers:
    """An integer variable in low..high, both included."""
    kind = _ordered(Integers, low, high, strict=False)
    for name, end in (("low", kind.low), ("high", kind.high)):
        if abs(end) < oo and not end.is_Integer:
            raise ValueError(f"{name} must be an integer or infinite, got {end}")
    return kind


def sequence(length, entries: Real | None = None, total=None) -> Sequence:
    """A sequence x[1], ..., x[length] of reals; ``total=1`` with positive entries is a point of the simplex."""
    return Sequence(length, entries or Real(), None if total is None else sympy.sympify(total))


def matrix(rows, columns, kind: str = "any") -> Matrices:
    """A real matrix; the sizes are integers or integer variables of the same domain."""
    if kind not in ("any", "symmetric", "positive definite", "orthogonal"):
        raise ValueError(f"kind must be 'any', 'symmetric', 'positive definite' or 'orthogonal', got {kind!r}")
    if kind != "any" and rows != columns:
        raise ValueError(f"a {kind} matrix is square, got {rows} x {columns}")
    return Matrices(rows, columns, kind)


def smooth(arguments: int = 1) -> Smooth:
    """An arbitrary smooth function of that many real variables."""
    return Smooth(arguments)


def _ordered(kind, low, high, strict=True):
    low, high = sympy.sympify(low), sympy.sympify(high)
    for name, end in (("low", low), ("high", high)):
        if not getattr(end, "is_extended_real", False) or end.free_symbols:
            raise ValueError(f"{name} must be a real number or infinite, got {end}")
    if not (low < high if strict else low <= high):
        raise ValueError(f"low must be {'less than' if strict else 'at most'} high, got low={low} and high={high}")
    return kind(low, high)


def _rational(value):
    """A nearby rational of an end such as pi/2, so that points stay exact."""
    value = sympy.sympify(value)
    return value if value.is_Rational else Rational(str(value.evalf(12)))


Kind = Real | Integers | Sequence | Matrices | Smooth


class Domain:
    """Named variables, what each may be, and hypotheses that tie them together.

    >>> D = Domain(n=integer(2), t=real(0, 1))
    >>> n, t = D

    Args:
        where: hypotheses, as SymPy relations between the variables (strings are read with the variables' names).
        **variables: name -> ``real()``, ``positive()``, ``integer()``, ``sequence()``, ``matrix()`` or ``smooth()``;
            sizes may name earlier integer variables.
    """

    def __init__(self, /, *, where=(), **variables: Kind):
        self.kinds: dict[str, Kind] = {}
        self.symbols: dict[str, object] = {}
        for name, kind in variables.items():
            if not isinstance(kind, Kind):
                raise TypeError(
                    f"{name} must be real(), positive(), integer(), sequence(), matrix() or smooth(), got {kind!r}"
                )
            if isinstance(kind, Sequence):
                kind = Sequence(self._size(kind.length), kind.entries, kind.total)
            if isinstance(kind, Matrices):
                kind = Matrices(self._size(kind.rows), self._size(kind.columns), kind.kind)
            self.kinds[name] = kind
            self.symbols[name] = kind.symbol(name)
        self.where = tuple(
            self._relation(relation) for relation in ([where] if isinstance(where, (str, sympy.Basic)) else where)
        )

    def _size(self, size):
        from .formula import parse

        size = parse(size, self.symbols) if isinstance(size, str) else sympy.sympify(size)
        if not size.is_integer or (size.is_Integer and size < 1):
            raise ValueError(f"a size must be a positive integer or an earlier integer variable, got {size}")
        return size

    def _relation(self, relation):
        from .formula import parse

        parsed = parse(relation, self.symbols) if isinstance(relation, str) else relation
        if not isinstance(parsed, (sympy.core.relational.Relational, sympy.logic.boolalg.Boolean)):
            raise TypeError(f"a hypothesis must be a relation, got {relation!r}")
        return parsed

    def __iter__(self) -> Iterator:
        return iter(self.symbols.values())

    def __getitem__(self, name: str):
        try:
            return self.symbols[name]
        except KeyError:
            raise KeyError(f"the domain has no variable {name!r}; it has {', '.join(self.symbols)}") from None

    def but(self, *, where=None, **changed: Kind) -> "Domain":
        """The same domain with some variables changed or added, or other hypotheses (``where=()`` drops them all)."""
        return Domain(where=self.where if where is None else where, **(self.kinds | changed))

    def bounded(self) -> dict:
        """The real variables with two finite ends: symbol -> (low, high)."""
        return {
            self.symbols[name]: (kind.low, kind.high)
            for name, kind in self.kinds.items()
            if isinstance(kind, Real) and abs(kind.low) < oo and abs(kind.high) < oo
        }

    def only(self, names: set[str]) -> "Domain":
        """The same domain without the variables that are neither in ``names`` nor needed by those that are."""
        needed = set(names) | {str(symbol) for relation in self.where for symbol in relation.free_symbols}
        for name in list(needed):
            kind = self.kinds.get(name)
            sizes = (
                [kind.length]
                if isinstance(kind, Sequence)
                else [kind.rows, kind.columns]
                if isinstance(kind, Matrices)
                else []
            )
            needed |= {str(symbol) for size in sizes for symbol in size.free_symbols}
        return Domain(where=self.where, **{name: kind for name, kind in self.kinds.items() if name in needed})

    def atoms(self) -> set:
        """The objects that an expression over this domain may contain freely."""
        return {symbol.label if isinstance(symbol, sympy.IndexedBase) else symbol for symbol in self.symbols.values()}

    def points(self, count: int, seed: str) -> Iterator[dict]:
        """``count`` generic points (symbol -> value) that satisfy the hypotheses; the same points for the same seed."""
        rng = random.Random(seed)
        compiled = self._compiled_hypotheses()
        found = 0
        starts, steps = [rng.random() for _ in self.kinds], _even_steps(len(self.kinds))
        for index in range(200 * count):
            # Each variable runs evenly through its range: few points, and no wide part of a range without one.
            shares = [(start + index * step) % 1 for start, step in zip(starts, steps, strict=True)]
            point = self._point(rng, index, shares)
            if self._satisfies(point, compiled):
                found += 1
                yield point
                if found == count:
                    return

    def edge_points(self, seed: str) -> Iterator[dict]:
        """Points with one scalar variable near an end of its range (or far out), the others generic; functions are drawn once."""
        rng = random.Random(seed)
        compiled = self._compiled_hypotheses()
        functions = {name: kind.draw(rng) for name, kind in self.kinds.items() if isinstance(kind, Smooth)}
        matrices = [kind for kind in self.kinds.values() if isinstance(kind, Matrices)]
        sides = {str(symbol) for kind in matrices for symbol in sympy.Tuple(kind.rows, kind.columns).free_symbols}
        for name, kind in self.kinds.items():
            if not isinstance(kind, (Real, Integers)):
                continue
            for edge in kind.edges():
                if name in sides:
                    edge = min(edge, sympy.Integer(LARGEST_SIDE))
                # Once with the smallest integers beside it, once with generic ones.
                for others in (0, 3):
                    point = self._point(rng, others, [rng.random() for _ in self.kinds], fixed=functions | {name: edge})
                    if self._satisfies(point, compiled):
                        yield point

    def simple_points(self, limit: int = 400) -> Iterator[dict]:
        """Points with plain scalar coordinates, simplest first; none where a variable is not a scalar."""
        if not all(isinstance(kind, (Real, Integers)) for kind in self.kinds.values()):
            return
        compiled = self._compiled_hypotheses()
        choices = [kind.simple() for kind in self.kinds.values()]
        if not all(choices):
            return
        deepest = sum(len(choice) - 1 for choice in choices)
        yielded = 0
        for total in range(deepest + 1):
            for ranks in _compositions(total, [len(choice) for choice in choices]):
                point = {symbol: choice[rank] for symbol, choice, rank in zip(self.symbols.values(), choices, ranks, strict=False)}
                if self._satisfies(point, compiled):
                    yield point
                yielded += 1
                if yielded == limit:
                    return

    def _point(self, rng, index, shares, fixed=None):
        point = {}
        for (name, kind), share in zip(self.kinds.items(), shares, strict=True):
            symbol = self.symbols[name]
            if fixed and name in fixed:
                point[symbol] = fixed[name]
            elif isinstance(kind, Sequence):
                numbers = {name: value for name, value in point.items() if not isinstance(value, list)}
                point[symbol.label] = kind.draw(rng, int(kind.length.subs(numbers)))
            elif isinstance(kind, Matrices):
                point[symbol] = kind.draw(rng, int(kind.rows.subs(point)), int(kind.columns.subs(point)))
            elif isinstance(kind, Smooth):
                point[symbol] = kind.draw(rng)
            else:
                point[symbol] = sympy.sympify(kind.sample(rng, index, share))
        return point

    def _compiled_hypotheses(self):
        from .numeric import compile_condition

        return [compile_condition(relation) for relation in self.where]

    @staticmethod
    def _satisfies(point, compiled):
        from .numeric import Environment
        from .quadrature import NoValue

        values = {symbol: value for symbol, value in point.items() if not isinstance(value, sympy.Lambda)}
        try:
            return all(condition(Environment(values)) for condition in compiled)
        except NoValue:
            return False

    def latex(self) -> str:
        parts = [f"{_name_latex(symbol)} {self.kinds[name].latex()}" for name, symbol in self.symbols.items()]
        return r",\quad ".join(parts + [sympy.latex(relation) for relation in self.where])

    def __str__(self) -> str:
        parts = []
        for name, kind in self.kinds.items():
            match kind:
                case Real():
                    parts.append(f"{name} in ({kind.low}, {kind.high})")
                case Integers():
                    parts.append(f"{name} integer in [{kind.low}, {kind.high}]")
                case Sequence():
                    parts.append(f"{name}[1..{kind.length}]")
                case Matrices():
                    parts.append(
                        f"{name} {kind.rows} x {kind.columns}" + ("" if kind.kind == "any" else f" {kind.kind}")
                    )
                case Smooth():
                    parts.append(f"{name} smooth")
        return ", ".join(parts + [str(relation) for relation in self.where])

    __repr__ = __str__

    def record(self) -> dict:
        """The domain as data: the ``symbols`` of a statement file, and the hypotheses under ``where``."""
        return {
            "symbols": {name: kind.record() for name, kind in self.kinds.items()},
            "where": [str(relation) for relation in self.where],
        }


def _even_steps(count: int) -> list[float]:
    """Steps whose multiples fill the unit cube evenly: powers of 1/g with g**(count + 1) = g + 1."""
    g = 1.5
    for _ in range(30):
        g = (1 + g) ** (1 / (count + 1))
    return [g ** -(power + 1) for power in range(count)]


def _name_latex(symbol) -> str:
    if isinstance(symbol, sympy.IndexedBase):
        return sympy.latex(symbol.label)
    if isinstance(symbol, sympy.core.function.UndefinedFunction):
        return sympy.latex(sympy.Symbol(str(symbol)))
    return sympy.latex(symbol)


def _compositions(total, sizes):
    """All tuples of ranks below ``sizes`` that add up to ``total``."""
    if not sizes:
        if total == 0:
            yield ()
        return
    for first in range(min(total, sizes[0] - 1) + 1):
        for rest in _compositions(total - first, sizes[1:]):
            yield (first, *rest)


def domain_from_record(record: dict) -> Domain:
    """The domain that :meth:`Domain.record` wrote."""
    kinds = {name: kind_from_record(fields) for name, fields in record["symbols"].items()}
    kinds = dict(sorted(kinds.items(), key=lambda item: isinstance(item[1], Sequence | Matrices)))  # sizes come first
    return Domain(where=record.get("where", ()), **kinds)


def kind_from_record(fields: dict):
    if "sequence" in fields:
        return Sequence(
            fields["sequence"],
            kind_from_record(fields["entries"]),
            sympy.Rational(fields["total"]) if "total" in fields else None,
        )
    if "matrix" in fields:
        return Matrices(*fields["matrix"], fields.get("kind", "any"))
    if "function" in fields:
        return Smooth(fields["function"])
    from .formula import parse

    low, high = [parse(str(end)) for end in fields["domain"]]
    return integer(low, high) if fields.get("integer") else real(low, high)
