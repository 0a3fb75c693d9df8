"""Formulas as text, read without ever running them.

``parse`` walks Python's syntax tree and builds SymPy objects from a fixed list of names and from the symbols that the
caller declares. Nothing is evaluated by Python: an attribute, a name or a construct outside the list is an error.
Decimals are exact (``0.1`` is one tenth) and so is ``1/2``.
"""

import ast

import sympy
from sympy.printing.str import StrPrinter

LONGEST = 20_000  # characters of one formula
LARGEST_INTEGER = 10_000  # arguments of functions beyond this stay unevaluated
LARGEST_POWER = 100_000  # and so do powers with more binary digits than this

_FUNCTIONS = """
    Abs sign re im conjugate floor ceiling exp log sin cos tan cot sec csc sinc asin acos atan acot atan2 sinh cosh tanh coth
    sech csch asinh acosh atanh acoth factorial factorial2 binomial gamma loggamma beta RisingFactorial FallingFactorial digamma
    polygamma trigamma harmonic zeta erf erfc erfi erfinv besselj bessely besseli besselk lowergamma uppergamma betainc
    betainc_regularized expint Ei li Si Ci LambertW Heaviside KroneckerDelta legendre hermite chebyshevt chebyshevu jacobi gegenbauer
    Mod arg laguerre assoc_laguerre assoc_legendre airyai airybi fresnels fresnelc
    catalan fibonacci bernoulli polylog dirichlet_eta elliptic_k elliptic_e sqrt cbrt root Max Min
""".split()
_CONSTRUCTORS = """
    Integral Sum Product Derivative Limit Piecewise Rational Integer hyper Trace Transpose Determinant Inverse Identity ZeroMatrix
    And Or Not Eq Ne Lt Le Gt Ge Tuple Subs MatMul MatAdd HadamardProduct
""".split()
_CONSTANTS = {
    "pi": sympy.pi,
    "E": sympy.E,
    "I": sympy.I,
    "oo": sympy.oo,
    "EulerGamma": sympy.EulerGamma,
    "Catalan": sympy.Catalan,
    "GoldenRatio": sympy.GoldenRatio,
    "zoo": sympy.zoo,
    "nan": sympy.nan,
}


def _diff(expression, *variables):
    return sympy.diff(expression, *variables)


def _matrix(rows, *shape):
    return sympy.ImmutableMatrix(rows) if not shape else sympy.ImmutableMatrix(rows, *shape)


_SPECIAL = {
    "diff": _diff,
    "Matrix": _matrix,
    "ImmutableMatrix": _matrix,
    "ImmutableDenseMatrix": _matrix,
    "MutableDenseMatrix": _matrix,
    "eye": lambda n: sympy.ImmutableMatrix(sympy.eye(n)),
    "zeros": lambda *shape: sympy.ImmutableMatrix(sympy.zeros(*shape)),
    "ones": lambda *shape: sympy.ImmutableMatrix(sympy.ones(*shape)),
    "diag": lambda *entries: sympy.ImmutableMatrix(sympy.diag(*entries)),
    "integrate": sympy.Integral,
    "summation": sympy.Sum,
    "product": sympy.Product,
    "limit": sympy.Limit,
    "ln": sympy.log,
    "det": sympy.Determinant,
    "trace": sympy.Trace,
    "transpose": sympy.Transpose,
    "Symbol": sympy.Symbol,
}
KNOWN = {name: getattr(sympy, name) for name in _FUNCTIONS + _CONSTRUCTORS} | _SPECIAL
_ATTRIBUTES = {"T"}
_METHODS = set("trace det inv adjugate transpose exp dot cross norm jacobian row col rank doit subs diff expand".split())
_COMPARISONS = {
    ast.Lt: sympy.Lt,
    ast.LtE: sympy.Le,
    ast.Gt: sympy.Gt,
    ast.GtE: sympy.Ge,
    ast.Eq: sympy.Eq,
    ast.NotEq: sympy.Ne,
}


class FormulaError(ValueError):
    """The text is not a formula over the declared symbols."""


class ShapeMismatch(FormulaError):
    """The shapes of the matrices in the formula do not conform."""


def parse(text: str, symbols: dict | None = None, *, bound: bool = False):
    """The SymPy object that ``text`` describes.

    Args:
        text: a formula in SymPy's notation, such as ``"Sum(x**k/factorial(k), (k, 0, oo))"``.
        symbols: name -> SymPy object (symbols, functions, matrices, ``Lambda``s). They take precedence over SymPy's own names.
        bound: whether an undeclared name may stand as a bound variable of an integral, a sum or a ``Lambda``.

    Raises:
        FormulaError: not a formula, an unknown name, or a construct that formulas do not have.
    """
    return _Reader(dict(symbols or {}), bound).read(text)


class _Writer(StrPrinter):
    """SymPy's text, where it reads back: its ``I`` for an identity matrix would be the imaginary unit."""

    def _print_MatrixBase(self, matrix):
        return f"Matrix({self._print(matrix.tolist())})"

    def _print_Identity(self, matrix):
        return f"Identity({self._print(matrix.rows)})"

    def _print_ZeroMatrix(self, matrix):
        return f"ZeroMatrix({self._print(matrix.rows)}, {self._print(matrix.cols)})"


def write(expression) -> str:
    """The text of a SymPy object, such that :func:`parse` gives the object again."""
    return _Writer().doprint(expression)


def same_text(first: str, second: str) -> bool:
    """Whether two formulas are the same text up to spaces and brackets."""
    try:
        return ast.dump(_tree(first)) == ast.dump(_tree(second))
    except RecursionError:
        return first.strip() == second.strip()


def assignment(line: str, symbols: dict) -> tuple[str, object]:
    """Read ``name = formula`` (a line of a setup)."""
    name, equals, text = line.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier():
        raise FormulaError(f"a setup line reads 'name = formula', got {line!r}")
    return name, parse(text, symbols, bound=True)


def _tree(text: str) -> ast.expr:
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text, got {text!r} of type {type(text).__name__}")
    if len(text) > LONGEST:
        raise FormulaError(f"a formula has at most {LONGEST} characters, got {len(text)}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise FormulaError(f"not a formula ({reason}): {text[:200]!r}") from None


def _is_huge(base, exponent) -> bool:
    """Whether a power is too large to be written out, whatever its base."""
    if not getattr(exponent, "is_Rational", False):
        return bool(getattr(exponent, "is_number", False) and getattr(base, "is_number", False) and exponent.is_Pow)
    digits = max(base.p.bit_length(), base.q.bit_length()) if getattr(base, "is_Rational", False) else 64 if base.is_number else 1
    return bool(abs(exponent) * digits > LARGEST_POWER)


class _Reader:
    def __init__(self, symbols, bound):
        self.symbols, self.bound = symbols, bound

    def read(self, text):
        try:
            return self.node(_tree(text))
        except FormulaError:
            raise
        except RecursionError:
            raise FormulaError("the formula is nested too deeply") from None
        except (sympy.matrices.exceptions.ShapeError, sympy.matrices.exceptions.NonSquareMatrixError) as error:
            raise ShapeMismatch(f"{error} in {text[:200]!r}") from None
        except Exception as error:  # SymPy raises many kinds for arguments that make no sense
            raise FormulaError(f"{type(error).__name__}: {error} in {text[:200]!r}") from None

    def node(self, node):
        reader = getattr(self, f"read_{type(node).__name__}", None)
        if reader is None:
            raise FormulaError(f"a formula has no {type(node).__name__}: {ast.unparse(node)[:100]!r}")
        return reader(node)

    def read_Constant(self, node):
        value = node.value
        if value is True or value is False:
            return sympy.true if value else sympy.false
        if isinstance(value, int):
            return sympy.Integer(value)
        if isinstance(value, float):
            return sympy.Rational(repr(value))
        raise FormulaError(f"a formula has no constant {value!r}")

    def read_Name(self, node):
        name = node.id
        if name in self.symbols:
            return self.symbols[name]
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if self.bound and name not in KNOWN and not name.startswith("__"):
            return self.symbols.setdefault(name, sympy.Symbol(name, real=True))
        raise FormulaError(f"unknown name {name!r}: neither a declared symbol nor a function that formulas know")

    def read_Tuple(self, node):
        return tuple(self.node(element) for element in node.elts)

    def read_List(self, node):
        return [self.node(element) for element in node.elts]

    def read_UnaryOp(self, node):
        value = self.node(node.operand)
        if isinstance(node.op, ast.USub):
            return -value
        if isinstance(node.op, ast.UAdd):
            return value
        if isinstance(node.op, (ast.Not, ast.Invert)):
            return sympy.Not(value)
        raise FormulaError(f"a formula has no {type(node.op).__name__}")

    def read_BinOp(self, node):
        left, right = self.node(node.left), self.node(node.right)
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult() | ast.MatMult():
                return left * right
            case ast.Div():
                return left / right
            case ast.Pow():
                return sympy.Pow(left, right, evaluate=False) if _is_huge(left, right) else left**right
            case ast.Mod():
                return sympy.Mod(left, right)
            case ast.FloorDiv():
                return sympy.floor(left / right)
            case ast.BitAnd():
                return sympy.And(left, right)
            case ast.BitOr():
                return sympy.Or(left, right)
        raise FormulaError(f"a formula has no {type(node.op).__name__}")

    def read_BoolOp(self, node):
        return (sympy.And if isinstance(node.op, ast.And) else sympy.Or)(*[self.node(value) for value in node.values])

    def read_Compare(self, node):
        if len(node.ops) != 1 or type(node.ops[0]) not in _COMPARISONS:
            raise FormulaError(f"not a single comparison: {ast.unparse(node)[:100]!r}")
        return _COMPARISONS[type(node.ops[0])](self.node(node.left), self.node(node.comparators[0]))

    def read_Subscript(self, node):
        base, index = self.node(node.value), self.node(node.slice)
        if isinstance(base, (sympy.MatrixBase, sympy.MatrixExpr, sympy.IndexedBase)):
            return base[index]
        raise FormulaError(f"{ast.unparse(node.value)[:100]!r} has no entries")

    def read_Attribute(self, node):
        if node.attr in _ATTRIBUTES:
            value = self.node(node.value)
            if isinstance(value, (sympy.MatrixBase, sympy.MatrixExpr)):
                return value.T
        raise FormulaError(f"a formula has no attribute {node.attr!r}")

    def read_Call(self, node):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            value, method = self.node(node.func.value), node.func.attr
            if node.keywords or not isinstance(value, (sympy.Basic, sympy.MatrixBase)) or not hasattr(value, method):
                raise FormulaError(f"a formula has no call {ast.unparse(node)[:100]!r}")
            return getattr(value, method)(*[self.node(argument) for argument in node.args])
        if not isinstance(node.func, ast.Name):
            raise FormulaError(f"a formula has no call {ast.unparse(node)[:100]!r}")
        if node.keywords:
            raise FormulaError(f"functions in a formula have no keywords: {ast.unparse(node)[:100]!r}")
        name = node.func.id
        if name == "Lambda" and name not in self.symbols:
            return self.function(node)
        function = self.symbols.get(name)
        if function is None or isinstance(function, sympy.Symbol):
            function = KNOWN.get(name)
        if function is None:
            raise FormulaError(f"unknown function {name!r}")
        arguments = [self.node(argument) for argument in node.args]
        if any(
            getattr(argument, "is_Integer", False) and abs(argument) > LARGEST_INTEGER for argument in arguments
        ) and name not in ("Integer", "Rational"):
            return function(*arguments, evaluate=False)
        return function(*arguments)

    def function(self, node):
        if len(node.args) != 2:
            raise FormulaError("a Lambda has a variable (or a tuple of them) and a formula")
        variables = node.args[0].elts if isinstance(node.args[0], ast.Tuple) else [node.args[0]]
        if not all(isinstance(variable, ast.Name) for variable in variables):
            raise FormulaError("the variables of a Lambda are names")
        names = [variable.id for variable in variables]
        inner = _Reader(self.symbols | {name: sympy.Dummy(name) for name in names}, self.bound)
        return sympy.Lambda(tuple(inner.symbols[name] for name in names), inner.node(node.args[1]))
