"""Statements as data: the fields of a JSON file become sides over a domain, and each statement gets its verdict.

A statement file is a list of objects with ``id``, ``symbols``, ``setup``, ``lhs``, ``relation``, ``rhs`` and, where needed,
``limit``, ``breaks``, ``tol`` and ``where``; other fields are ignored. Formulas are read by :mod:`.formula` and never run.
"""

import json
from pathlib import Path

import sympy
from sympy.core.cache import clear_cache

from .budget import within_budget
from .domains import Domain, kind_from_record
from .formula import FormulaError, ShapeMismatch, assignment, parse, same_text
from .judge import FAILURES, Judgement, check_side, judge
from .statement import Statement

LARGEST_FILE = 1_000_000  # bytes
READING_CALLS = 5_000_000  # of Python functions, to build the objects of one formula
RELATIONS = {"==": "=", "=": "=", "<=": "<=", ">=": ">=", "->": "->"}
ASSUMPTIONS = {"real", "positive", "negative", "nonnegative", "nonpositive", "nonzero", "integer", "finite"}
REQUIRED = {"id": str, "lhs": str, "relation": str, "rhs": str}
OPTIONAL = {"symbols": dict, "setup": list, "limit": list, "breaks": list, "tol": (int, float), "where": list}
UNREADABLE = "cannot be read"


def read_statements(path: Path) -> list[dict]:
    """The statements of a file, their fields checked.

    Raises:
        ValueError: for a file that is not a list of statements; the message names file, statement, field and value.
    """
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(f"{path} must have at most {LARGEST_FILE:,} bytes, got {size:,}")
    try:
        statements = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON: {error or type(error).__name__}") from None
    if not isinstance(statements, list):
        raise ValueError(f"{path} must hold a list of statements, got {_shown(statements)}")
    seen = set()
    for number, statement in enumerate(statements, start=1):
        where = f"{path}, statement {number}"
        if not isinstance(statement, dict):
            raise ValueError(f"{where} must be an object, got {_shown(statement)}")
        try:
            check_fields(statement)
        except ValueError as error:
            raise ValueError(f"{where} ({_shown(statement.get('id'))}): {error}") from None
        if statement["id"] in seen:
            raise ValueError(f"{where}: id must be unique in its file, got {_shown(statement['id'])} again")
        seen.add(statement["id"])
    return statements


def _no_constant(name):
    raise ValueError(f"{name} is not a JSON number")


def _shown(value) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + " …"


def check_fields(statement: dict) -> None:
    """Demand the fields of a statement, of the right types, and ranges that are ranges."""
    for field, kind in (REQUIRED | OPTIONAL).items():
        value = statement.get(field)
        if value is None and field in OPTIONAL:
            continue
        if not isinstance(value, kind) or isinstance(value, bool) or value == "":
            name = "number" if field == "tol" else {str: "text", dict: "object", list: "list"}[kind]
            raise ValueError(f"{field} must be a {name}, got {_shown(value)}")
    relation = statement["relation"]
    if relation not in RELATIONS:
        raise ValueError(f"relation must be one of {', '.join(RELATIONS)}, got {_shown(relation)}")
    limit = statement.get("limit")
    if (relation == "->") != (limit is not None):
        raise ValueError(f"limit must be given for the relation -> and for no other, got {_shown(limit)}")
    if limit is not None and (len(limit) != 2 or not isinstance(limit[0], str)):
        raise ValueError(f"limit must be [variable, point], got {_shown(limit)}")
    if statement.get("tol") is not None and not 0 < statement["tol"] < 1:
        raise ValueError(f"tol must lie between 0 and 1, got {_shown(statement['tol'])}")
    for field in ("setup", "where"):
        for line in statement.get(field) or ():
            if not isinstance(line, str):
                raise ValueError(f"{field} must hold text, got {_shown(line)}")
    for name, fields in (statement.get("symbols") or {}).items():
        if not name.isidentifier() or name in ("where", "lambda"):
            raise ValueError(f"symbols must have names that a formula can hold, got {_shown(name)}")
        if not isinstance(fields, dict):
            raise ValueError(f"symbols: {name} must be an object, got {_shown(fields)}")
        if not fields.get("bound"):
            _kind(name, fields)
    if limit is not None and limit[0] not in (statement.get("symbols") or {}):
        raise ValueError(f"limit must name a symbol, got {_shown(limit[0])}")


def _kind(name: str, fields: dict):
    """What a free symbol may be: from its range where it has one, otherwise from its assumptions."""
    if not fields.keys().isdisjoint({"sequence", "matrix", "function"}):
        return kind_from_record(fields)
    strangers = fields.keys() - ASSUMPTIONS - {"domain", "bound"}
    if strangers:
        raise ValueError(f"symbols: {name} must have assumptions out of {sorted(ASSUMPTIONS)}, got {sorted(strangers)}")
    low = 1 if fields.get("positive") and fields.get("integer") else 0 if _nonnegative(fields) else "-oo"
    high = 0 if fields.get("negative") or fields.get("nonpositive") else "oo"
    ends = fields.get("domain", [low, high])
    if not isinstance(ends, list) or len(ends) != 2:
        raise ValueError(f"symbols: {name} must have a domain [low, high], got {_shown(ends)}")
    try:
        kind = kind_from_record(fields | {"domain": ends})
    except ValueError as error:
        raise ValueError(f"symbols: {name} has the domain {_shown(ends)}: {error}") from None
    if (_nonnegative(fields) and kind.low < 0) or (fields.get("negative") and kind.high > 0):
        raise ValueError(f"symbols: {name} must have a domain that fits its sign, got {_shown(ends)}")
    return kind


def _nonnegative(fields) -> bool:
    return bool(fields.get("positive") or fields.get("nonnegative"))


def read_statement(statement: dict) -> Statement:
    """Both sides over the domain.

    Raises:
        FormulaError: a formula cannot be read; the message names the field.
        ShapeMismatch: the shapes inside a formula do not conform.
    """
    symbols = statement.get("symbols") or {}
    kinds = {name: _kind(name, fields) for name, fields in symbols.items() if not fields.get("bound")}
    domain = _field("where", "", lambda _: Domain(where=statement.get("where") or (), **kinds))
    names = dict(domain.symbols)
    for name, fields in symbols.items():
        if fields.get("bound"):
            assumed = {assumption: True for assumption in ASSUMPTIONS if fields.get(assumption)}
            names[name] = sympy.Symbol(name, **(assumed or {"real": True}))
    for line in statement.get("setup") or ():
        name, value = _field("setup", line, lambda line: assignment(line, names))
        names[name] = value
    left, right = (_field(side, statement[side], lambda text: _side(text, names, domain)) for side in ("lhs", "rhs"))
    limit = statement.get("limit")
    variable, point = (names[limit[0]], _field("limit", str(limit[1]), parse)) if limit else (None, None)
    breaks = tuple(_field("breaks", str(end), lambda text: parse(text, names)) for end in statement.get("breaks") or ())
    tolerance = sympy.Rational(str(statement["tol"])) if statement.get("tol") else None
    relation = RELATIONS[statement["relation"]]
    return Statement(left, relation, right, domain, variable, point, breaks=breaks, tolerance=tolerance)


def _side(text, names, domain):
    side = parse(text, names, bound=True)
    try:
        return check_side("it", side, domain)
    except ShapeMismatch:
        raise
    except (ValueError, TypeError) as error:
        raise FormulaError(str(error)) from None


def _field(field: str, text: str, read):
    try:
        value = within_budget(lambda: read(text), READING_CALLS)
    except ShapeMismatch as error:
        raise ShapeMismatch(f"{field}: {error}") from None
    except (FormulaError, TypeError) as error:
        raise FormulaError(f"{field} {UNREADABLE}: {error}") from None
    if value is None:
        raise FormulaError(f"{field} {UNREADABLE}: it takes more than {READING_CALLS:,} calls: {text[:200]!r}")
    return value


def judge_statement(statement: dict) -> dict:
    """The verdict on one statement whose fields are checked: ``id``, ``verdict``, ``evidence``, ``counterexample``."""
    clear_cache()  # a warm cache saves calls, and calls are what the budgets count
    try:
        judgement = _judge(statement)
    except ShapeMismatch as error:
        shapes = {"at": {}, "left": statement["lhs"], "right": statement["rhs"]}
        judgement = Judgement("refuted", f"the shapes do not conform: {error}", shapes)
    except FormulaError as error:
        judgement = Judgement("undecided", str(error))
    return {
        "id": statement["id"],
        "verdict": judgement.verdict,
        "evidence": judgement.evidence,
        "counterexample": judgement.counterexample,
    }


def _judge(statement: dict) -> Judgement:
    if same_text(statement["lhs"], statement["rhs"]) and statement["relation"] != "->":
        return Judgement("vacuous", "both sides are the same text")
    readable = read_statement(statement)
    if readable.left == readable.right:
        return Judgement("decided", "both sides evaluate to the same expression")
    return judge(readable, thorough=False)


def accepted(result: dict) -> bool:
    return result["verdict"] not in FAILURES
