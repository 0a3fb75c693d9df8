"""``derivable check``: input is data, its errors are clear, its time is bounded, and nothing in it runs."""

import json

import pytest

from derivable.claims.guard import judge_all
from derivable.claims.statements import LARGEST_FILE, judge_statement, read_statements
from derivable.cli import main

X = {"x": {"real": True, "domain": [-1, 1]}}


def statement(**fields):
    return {"id": "s", "symbols": X, "setup": [], "lhs": "(x+1)**2", "relation": "==", "rhs": "x**2+2*x+1"} | fields


def write(tmp_path, content):
    path = tmp_path / "statements.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_each_statement_gets_a_verdict_and_the_worst_one_is_the_status(tmp_path, capsys):
    path = write(
        tmp_path,
        [
            statement(id="right"),
            statement(id="wrong", rhs="x**2+x+1"),
            statement(id="same", rhs="( x + 1 )**2"),
            statement(id="equal", lhs="x+x", rhs="2*x"),
        ],
    )
    assert main(["check", str(path), "--json"]) == 1
    results = json.loads(capsys.readouterr().out)
    assert [(r["id"], r["verdict"]) for r in results] == [
        ("right", "decided"),
        ("wrong", "refuted"),
        ("same", "vacuous"),
        ("equal", "decided"),
    ]
    assert set(results[0]) == {"id", "verdict", "evidence", "counterexample"}
    assert results[1]["counterexample"] == {"at": {"x": "1/2"}, "left": "2.25", "right": "1.75"}


def test_accepted_statements_have_status_0_and_read_as_lines(tmp_path, capsys):
    assert main(["check", str(write(tmp_path, [statement()]))]) == 0
    assert capsys.readouterr().out == "decided    s: equal as rational functions of x\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "must be JSON"),
        ("[" * 100_000, "must be JSON"),
        ('[{"id": NaN}]', "NaN is not a JSON number"),
        ("{}", "must hold a list of statements, got {}"),
        ("[1]", "statement 1 must be an object, got 1"),
        ([statement(), statement()], "statement 2: id must be unique in its file, got 's' again"),
        ([statement(id=7)], "statement 1 (7): id must be a text, got 7"),
        ([statement(rhs=None)], "rhs must be a text, got None"),
        ([statement(relation="<")], "relation must be one of ==, =, <=, >=, ->, got '<'"),
        ([statement(relation="->")], "limit must be given for the relation ->"),
        ([statement(limit=["x", "0"])], "limit must be given for the relation -> and for no other"),
        ([statement(relation="->", limit=["y", "0"])], "limit must name a symbol, got 'y'"),
        ([statement(tol=2)], "tol must lie between 0 and 1, got 2"),
        ([statement(setup="y = 1")], "setup must be a list, got 'y = 1'"),
        ([statement(setup=[1])], "setup must hold text, got 1"),
        ([statement(symbols={"x y": {}})], "symbols must have names that a formula can hold, got 'x y'"),
        ([statement(symbols={"x": 1})], "symbols: x must be an object, got 1"),
        ([statement(symbols={"x": {"domain": [1, 0]}})], "symbols: x has the domain [1, 0]: low must be less than high"),
        ([statement(symbols={"x": {"domain": [1]}})], "symbols: x must have a domain [low, high], got [1]"),
        ([statement(symbols={"x": {"prime": True}})], "symbols: x must have assumptions out of"),
        ([statement(symbols={"x": {"positive": True, "domain": [-1, 1]}})], "must have a domain that fits its sign"),
        (" " * (LARGEST_FILE + 1), "must have at most 1,000,000 bytes"),
    ],
    ids=lambda value: None if not isinstance(value, str) or len(value) < 80 else value[:20],
)
def test_a_malformed_file_is_status_2_and_one_line_that_names_the_fault(tmp_path, capsys, content, message):
    path = write(tmp_path, content)
    assert main(["check", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error and str(path) in error and error.count("\n") == 1


def test_a_file_that_is_not_there_is_status_2(tmp_path, capsys):
    assert main(["check", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


@pytest.mark.safety
@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("__import__('os').mkdir('ran')", "no call"),
        ("x.__class__", "no attribute '__class__'"),
        ("(lambda: 1)()", "no call"),
        ("f'{x}'", "no JoinedStr"),
        ("[k for k in (1, 2)]", "no ListComp"),
        ("open('ran', 'w')", "unknown function 'open'"),
        ("eval('1')", "unknown function 'eval'"),
        ("Matrix(['1+1'])", "no constant '1+1'"),
        ("Symbol('x')", "no constant 'x'"),
        ("x if x else 1", "no IfExp"),
        ("(y := 1)", "no NamedExpr"),
        ("sigmoid(x)", "unknown function 'sigmoid'"),
        ("x + y", "y without a domain"),
        ("__name__", "unknown name '__name__'"),
        ("x +", "not a formula"),
        ("(" * 3000 + "x" + ")" * 3000, "not a formula"),
        ("+".join("x" * 9000), "nested too deeply|not a formula"),
        ("x" * 30_000, "at most 20000 characters"),
        ("sin(x, 1, 2)", "TypeError"),
        ("eye(3", "not a formula"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_not_a_formula_is_named_and_nothing_runs(tmp_path, monkeypatch, formula, message):
    monkeypatch.chdir(tmp_path)
    result = judge_statement(statement(rhs=formula))
    assert result["verdict"] == "undecided"
    assert any(part in result["evidence"] for part in message.split("|")), result
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_formula_is_status_2_and_the_other_statements_keep_their_verdicts(tmp_path, capsys):
    path = write(tmp_path, [statement(id="bad", rhs="__import__('os')"), statement(id="good")])
    assert main(["check", str(path), "--json"]) == 2
    captured = capsys.readouterr()
    assert [r["verdict"] for r in json.loads(captured.out)] == ["undecided", "decided"]
    assert "statement 'bad': rhs cannot be read" in captured.err


@pytest.mark.parametrize(
    ("formula", "verdict"),
    [
        ("10**10**10", "refuted"),
        ("factorial(10**9)", "refuted"),
        ("binomial(10**8, 10**7)", "refuted"),
        ("100000**100000**3", "refuted"),
        ("fibonacci(10**9)", "refuted"),
        ("Sum(sin(i*j*k), (i, 1, 10**6), (j, 1, 10**6), (k, 1, 10**6))", "undecided"),
        ("diff(exp(x**2), x, 5000)", "undecided"),
    ],
)
def test_huge_numbers_and_long_sums_end_soon(formula, verdict):
    assert judge_statement(statement(lhs=formula, rhs="x"))["verdict"] == verdict


def test_a_statement_that_never_ends_is_stopped_and_named_and_the_next_one_is_judged():
    runaway = statement(id="runaway", lhs="bernoulli(10**4)**(10**4) + bernoulli(9998)**9998", rhs="bernoulli(9996)**9996")
    stopped, judged = judge_all([runaway, statement()], seconds=1.0)
    assert stopped["verdict"] == "undecided" and stopped["evidence"].startswith("stopped without an answer (at: ")
    assert judged["verdict"] == "decided"


def test_shapes_that_do_not_conform_are_refused_with_the_reason():
    for right in ("Matrix([1, 2])*Matrix([1, 2])", "Matrix([1, 2])"):
        result = judge_statement(statement(lhs="Matrix([[x, x]])", rhs=right))
        assert result["verdict"] == "refuted" and "shapes do not conform" in result["evidence"]
        assert result["counterexample"] is not None


def test_shapes_must_conform_at_every_size_not_only_where_two_sizes_happen_to_agree():
    size, two = {"integer": True, "domain": [2, 6]}, {"n": 1, "k": 1}
    symbols = {name: size for name in two} | {"A": {"matrix": ["n", "n"]}, "B": {"matrix": ["n", "k"]}}
    for left, right, misfit in (
        ("trace(A*B)", "trace(B*A)", "A*B"),
        ("A*B + A", "A + A*B", "n×k and n×n"),
        ("det(B)**2", "det(B*B)", "Determinant(B)"),
    ):
        result = judge_statement(statement(lhs=left, rhs=right, symbols=symbols))
        assert result["verdict"] == "refuted" and misfit in result["evidence"], result
    held = judge_statement(statement(lhs="trace(A.T*B*B.T)", rhs="trace(B*B.T*A)", symbols=symbols))
    assert held["verdict"] in ("decided", "probed"), held


def test_the_tolerance_of_a_statement_is_what_its_sides_may_differ_by():
    close = statement(lhs="exp(x)", rhs="exp(x)*(1+1/10**7)")
    assert judge_statement(close)["verdict"] == "refuted"
    assert judge_statement(close | {"tol": 1e-6})["verdict"] == "probed"
    assert judge_statement(close | {"tol": 1e-8})["verdict"] == "refuted"


def test_breaks_are_kinks_that_the_text_does_not_show():
    kinked = statement(
        lhs="Integral(sqrt(sin(t)**2), (t, 0, 10))",
        rhs="7 + cos(10)",
        symbols={"t": {"real": True, "bound": True}},
        breaks=["pi", "2*pi", "3*pi"],
    )
    assert judge_statement(kinked)["verdict"] in ("probed", "symbolic")
    assert judge_statement(kinked | {"rhs": "7 - cos(10)"})["verdict"] == "refuted"


def test_assumptions_stand_in_for_a_range():
    free = statement(lhs="Abs(a)", rhs="a", symbols={"a": {"positive": True}})
    assert judge_statement(free)["verdict"] == "decided"
    assert judge_statement(free | {"symbols": {"a": {"real": True}}})["verdict"] == "refuted"


def test_a_verdict_does_not_depend_on_what_was_judged_before():
    hard = statement(lhs="sin(x)**4 + cos(x)**4", rhs="(3 + cos(4*x))/4")
    alone = judge_statement(hard)
    judge_statement(statement(lhs="sin(2*x)", rhs="2*sin(x)*cos(x)"))
    assert judge_statement(hard) == alone


def test_the_files_of_statements_are_read_as_they_are(tmp_path):
    assert read_statements(write(tmp_path, [statement()])) == [statement()]
