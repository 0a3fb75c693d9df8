"""The engine: what earns each verdict, and what must not."""

import subprocess
import sys

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Derivative, Integral, Matrix, Rational, Subs, Sum, Symbol, cos, exp, log, oo, pi, sin, sqrt

from derivable.claims import (
    ClaimError,
    Domain,
    Exercise,
    Refuted,
    Undecided,
    Vacuous,
    antiderivative,
    asymptotic_to,
    at_least,
    at_most,
    cite,
    define,
    derive,
    equals,
    equals_up_to,
    induction,
    integer,
    matrix,
    monotone,
    positive,
    probing,
    real,
    refute,
    rises_and_falls,
    sequence,
    smooth,
    squares,
    substitution,
    tends_to,
)
from derivable.claims.budget import within_budget
from derivable.claims.derivation import Claim, Instance, Step
from derivable.claims.domains import domain_from_record
from derivable.claims.formula import parse, write
from derivable.claims.judge import judge
from derivable.claims.render import latex
from derivable.claims.statement import Statement
from derivable.claims.zero import find_zero

D = Domain(x=real(), y=real(), a=positive(), n=integer(1), k=integer(1), t=real(0, 1))
x, y, a, n, k, t = D
SETTINGS = settings(max_examples=15, deadline=None, derandomize=True)


def claim(left, *steps, domain=D, **options):
    return derive("it", "It holds", domain, left, *steps, **options)


def because(right, **options):
    return equals(right, "so it is", **options)


# ---- Verdicts


@pytest.mark.parametrize(
    ("left", "right", "verdict"),
    [
        ((x + 1) ** 2, x**2 + 2 * x + 1, "decided"),
        (1 / (x - y) - 1 / (x + y), 2 * y / (x**2 - y**2), "decided"),
        (sin(x) ** 2, 1 - cos(x) ** 2, "symbolic"),
        (log(a * (x**2 + 1)), log(a) + log(x**2 + 1), "decided"),
        (Integral(t**n, (t, 0, 1)), 1 / (n + 1), "symbolic"),
        (Derivative(exp(x * y), x), y * exp(x * y), "decided"),
        (Matrix([[x + y, 1]]) * Matrix([x + y, 1]), Matrix([[x**2 + 2 * x * y + y**2 + 1]]), "decided"),
    ],
)
def test_a_true_equality_earns_the_verdict_of_what_showed_it(left, right, verdict):
    assert claim(left, because(right)).verdict == verdict


def test_points_alone_earn_probed():
    left = Integral(log(1 + t) / (1 + t**2), (t, 0, 1))
    shown = claim(left, because(pi * log(2) / 8, by=probing()))
    assert shown.verdict == "probed" and "agrees to 15 digits at 1 generic point" in shown.steps[0].judgement.evidence


@pytest.mark.parametrize(
    ("left", "step"),
    [
        ((x + 1) ** 2, because(x**2 + 1)),
        (sqrt(x**2), because(x)),
        (Sum(k, (k, 1, n)), because(n * (n + 2) / 2)),
        (Integral(1 / t, (t, 0, 1)), because(sympy.Integer(40))),
        (exp(x), at_least(1 + x + x**2 / 2, "so it is")),
        (sin(a), at_most(a - a**3 / 6, "so it is")),
        (1 / n, tends_to(Rational(1, 10**6), "so it is", variable=n)),
        (sympy.factorial(n), asymptotic_to(sqrt(n) * (n / sympy.E) ** n, "so it is", variable=n)),
        (exp(1 / n), equals_up_to(1, 1 / n**2, "so it is", variable=n)),
        (Matrix([[x, y]]), because(Matrix([[y, x]]))),
        (sqrt(2) * x, because(sqrt(2) * x + x / 10**20)),
    ],
)
def test_a_false_step_raises_with_the_place_the_line_and_both_values(left, step):
    with pytest.raises(Refuted) as failure:
        claim(left, step)
    example = failure.value.claim.steps[0].judgement.counterexample
    assert example["left"] != example["right"]
    assert f"step 1 (line {step.line}), refuted" in str(failure.value) and "left = " in str(failure.value)


@pytest.mark.parametrize(
    ("left", "step"),
    [
        (exp(x), at_least(1 + x, "so it is")),
        (x**2 + y**2, at_least(2 * x * y, "so it is")),
        (1 / n, tends_to(0, "so it is", variable=n)),
        (sympy.factorial(n), asymptotic_to(sqrt(2 * pi * n) * (n / sympy.E) ** n, "so it is", variable=n)),
        (exp(1 / n), equals_up_to(1 + 1 / n, 1 / n**2, "so it is", variable=n)),
    ],
)
def test_true_inequalities_and_limits_are_accepted(left, step):
    assert claim(left, step).verdict in ("decided", "symbolic", "probed")


def test_the_same_object_on_both_sides_is_vacuous():
    with pytest.raises(Vacuous):
        claim(sin(x) ** 2 + cos(x) ** 2, because(sin(x) ** 2 + cos(x) ** 2))


def test_a_chain_is_worth_its_weakest_step():
    chain = claim((x + 1) ** 2 - 1, because(x**2 + 2 * x), because(x * (x + 2)), at_least(2 * x, "a square"))
    assert chain.verdict == "decided" and chain.relation == ">="
    weaker = claim(x + sin(x) ** 2, because(x + 1 - cos(x) ** 2), because(1 + x - (1 + cos(2 * x)) / 2))
    assert weaker.verdict == "symbolic"


def test_a_matrix_identity_says_at_which_sizes_it_was_decided():
    M = Domain(m=integer(1), r=integer(1), A=matrix("m", "r"), B=matrix("m", "r"))
    A, B = M["A"], M["B"]
    identity = derive("trace", "The trace of a product", M, sympy.Trace(A.T * B), because(sympy.Trace(B * A.T)))
    assert identity.verdict == "decided" and "m = 2, r = 1" in identity.steps[0].judgement.evidence
    with pytest.raises(Refuted):
        derive(
            "product",
            "Products commute",
            M.but(B=matrix("r", "m")),
            M["A"] * sympy.MatrixSymbol("B", M["r"], M["m"]),
            because(sympy.MatrixSymbol("B", M["r"], M["m"]) * M["A"]),
        )


def test_sequences_and_arbitrary_functions_are_probed_at_several_lengths_and_functions():
    S = Domain(n=integer(1), i=integer(1), x=sequence("n"), f=smooth(), u=real())
    n, i, x, f, u = S
    total = derive("sum", "Linearity", S, Sum(2 * x[i], (i, 1, n)), because(2 * Sum(x[i], (i, 1, n))))
    assert total.verdict in ("decided", "symbolic", "probed")
    product = derive("product", "Product rule", S, Derivative(u * f(u), u), because(f(u) + u * f(u).diff(u)))
    assert product.verdict in ("decided", "symbolic")
    with pytest.raises(Refuted):
        derive("square", "No such rule", S, Derivative(f(u) ** 2, u), because(f(u).diff(u) ** 2))


# ---- What may be claimed at all


@pytest.mark.parametrize(
    ("left", "step", "error", "message"),
    [
        (Symbol("z"), because(x), ValueError, "z without a domain"),
        (sympy.Function("g")(x), because(x), ValueError, "g without a domain"),
        (x, because(sympy.nan), ValueError, "must be a number, got nan"),
        (x, because(float("nan")), ValueError, "must be a finite number"),
        (x, because("x"), TypeError, "must be a SymPy expression, got 'x'"),
        ([x], because(x), TypeError, "must be a SymPy expression"),
        (x, "x = x", TypeError, "steps"),
    ],
)
def test_a_side_that_is_no_expression_over_the_domain_is_an_error(left, step, error, message):
    with pytest.raises(error, match=message):
        derive("it", "It holds", D, left, step)


def test_a_reason_an_id_and_a_step_are_demanded():
    with pytest.raises(ValueError, match="because must say why"):
        equals(x, " ")
    with pytest.raises(ValueError, match="id must be lower-case"):
        derive("It Holds", "It holds", D, x, because(x + 0 * y))
    with pytest.raises(ValueError, match="at least one step"):
        derive("it", "It holds", D, x)
    with pytest.raises(ValueError, match="point the same way"):
        claim(x, at_least(x - 1, "so it is"), at_most(x + 1, "so it is"))


def test_a_verdict_cannot_be_typed():
    shown = claim((x + 1) ** 2, because(x**2 + 2 * x + 1))
    with pytest.raises(AttributeError):
        shown.verdict = "decided"
    with pytest.raises(TypeError):
        equals(x, "so it is", verdict="decided")
    with pytest.raises(TypeError):
        Claim("it", "It holds", D, x, [], verdict="decided")


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (1, 0, "low must be less than high"),
        (sympy.I, 1, "low must be a real number"),
        (x, 1, "low must be a real number"),
    ],
)
def test_a_range_that_is_none_is_an_error(low, high, message):
    with pytest.raises(ValueError, match=message):
        real(low, high)


def test_the_hypotheses_are_part_of_the_claim():
    plain = Domain(a=positive(), b=positive())
    with pytest.raises(Refuted):
        derive("order", "An order", plain, plain["a"], at_most(plain["b"], "so it is"))
    ordered = plain.but(where="a < b")
    assert derive("order", "An order", ordered, ordered["a"], at_most(ordered["b"], "given")).verdict == "probed"
    with pytest.raises((Undecided, Refuted)):
        empty = plain.but(where="a < -1")
        derive("order", "No point", empty, sin(empty["a"]), because(sympy.sinh(empty["b"])))


# ---- Proofs handed in


@pytest.mark.parametrize(
    ("left", "step", "holds"),
    [
        (Sum(k**3, (k, 1, n)), lambda by: because(n**2 * (n + 1) ** 2 / 4, by=by), (induction(n), induction(x))),
        (
            Integral(t * exp(t), (t, 0, 1)),
            lambda by: because(sympy.Integer(1), by=by),
            (antiderivative((t - 1) * exp(t), t), antiderivative(t * exp(t), t)),
        ),
        (
            Integral(2 * t * cos(t**2), (t, 0, 1)),
            lambda by: because(Integral(cos(y), (y, 0, 1)), by=by),
            (substitution(t, sqrt(y), y), substitution(t, y + 1, y)),
        ),
        (log(1 + a), lambda by: at_most(a, "so it is", by=by), (monotone(a, 0), monotone(a, oo))),
        (
            t * (1 - t),
            lambda by: at_least(0, "so it is", by=by),
            (rises_and_falls(t, 1, 1 - 2 * t), rises_and_falls(t, 1, 2 * t - 1)),
        ),
        (x**2 + y**2, lambda by: at_least(2 * x * y, "so it is", by=by), (squares((1, x - y)), squares((1, x + y)))),
    ],
    ids=["induction", "antiderivative", "substitution", "monotone", "rises_and_falls", "squares"],
)
def test_a_proof_that_is_handed_in_is_checked(left, step, holds):
    right_proof, wrong_proof = holds
    assert claim(left, step(right_proof)).verdict in ("decided", "symbolic")
    with pytest.raises(Undecided, match="does not go through"):
        claim(left, step(wrong_proof))


def test_a_proof_does_not_save_a_false_statement():
    with pytest.raises(Refuted):
        claim(Sum(k, (k, 1, n)), because(n * (n + 1), by=induction(n)))


def test_refute_wants_a_false_statement_and_cite_one_that_survives():
    shown = refute("root", "A root", D, sqrt(x**2), because(x))
    assert "left = " in repr(shown)
    with pytest.raises(ClaimError, match="was to be refuted, but it is decided"):
        refute("square", "A square", D, (x + 1) ** 2, because(x**2 + 2 * x + 1))
    with pytest.raises(Refuted):
        cite("bound", "A bound", D, exp(x), at_most(1 + x, "so it is written"), reference="A book, p. 1")
    known = cite("bound", "A bound", D, exp(x), at_least(1 + x, "so it is written"), reference="A book, p. 1")
    assert known.verdict == "cited" and "A book, p. 1" in known.steps[0].judgement.evidence
    with pytest.raises(ValueError, match="reference must name the source"):
        cite("bound", "A bound", D, exp(x), at_least(1 + x, "so it is written"), reference="")


def test_what_a_claim_uses_is_recorded_and_a_definition_weakens_nothing():
    square = claim((x + 1) ** 2, because(x**2 + 2 * x + 1))
    name = define("name", "A name", D, Symbol("q"), x**2, "a short name")
    user = derive("user", "A user", D, (x + 1) ** 2 * y, because((x**2 + 2 * x + 1) * y, using=[square, name]))
    assert user.used == (square, name) and user.record()["uses"] == ["it", "name"]
    assert isinstance(square.at(x=2), Instance) and square.at(x=2).lhs == 9


# ---- Budgets


def test_a_budget_counts_calls_and_stops_at_the_same_one_each_time():
    def work():
        nonlocal done
        for count in range(1000):
            done = count
            step()

    def step():
        return None

    stops = set()
    for _ in range(3):
        done = 0
        assert within_budget(work, 100) is None
        stops.add(done)
    assert len(stops) == 1 and 90 < stops.pop() < 110
    assert within_budget(lambda: 7, 100) == 7


def test_every_budget_can_be_made_smaller_and_larger_to_see_what_hangs_on_it(monkeypatch):
    def work():
        return [step() for _ in range(50)]

    def step():
        return 0

    assert within_budget(work, 100) is not None
    monkeypatch.setattr("derivable.claims.budget.SCALE", 0.25)
    assert within_budget(work, 100) is None


def test_a_budget_does_not_count_what_python_calls_to_import_a_module(tmp_path, monkeypatch):
    functions = "\n".join(f"f{index} = (lambda: {index})()" for index in range(500))
    (tmp_path / "needed_by_the_work.py").write_text(functions)
    monkeypatch.syspath_prepend(tmp_path)

    def work():
        import needed_by_the_work

        return needed_by_the_work.f7 + sum(step() for _ in range(10))

    def step():
        return 0

    counts = []
    for _ in ("first", "again"):
        counts.append(next(calls for calls in range(1, 100) if within_budget(work, calls) is not None))
    assert counts[0] == counts[1] < 30
    assert within_budget(lambda: [step() for _ in range(100)], 50) is None


def test_a_strategy_over_its_budget_proves_nothing(monkeypatch):
    monkeypatch.setattr("derivable.claims.zero.CALLS", 1)
    monkeypatch.setattr("derivable.claims.zero.LAST_CALLS", 1)
    assert find_zero(sin(x) ** 2 + cos(x) ** 2 - 1) is None


def test_functions_are_chosen_in_nested_substitutions_too():
    arbitrary = Domain(g=smooth(), x=real(), y=real())
    g, x, y = arbitrary
    gap = g(x) - g(y)
    on_the_diagonal = Derivative(Subs(gap, (x, y), (y, y)), y) - Subs(Derivative(gap, y), (x, y), (y, y))
    assert judge(Statement(on_the_diagonal, "=", Derivative(g(y), y), arbitrary)).verdict in ("decided", "symbolic", "probed")
    assert judge(Statement(on_the_diagonal, "=", 2 * Derivative(g(y), y), arbitrary)).verdict == "refuted"


# ---- Records and rendering


@pytest.mark.parametrize(
    ("left", "step", "domain"),
    [
        (Sum(k**2, (k, 1, n)), because(n * (n + 1) * (2 * n + 1) / 6), D),
        (Integral(t**n * (1 - t), (t, 0, 1)), because(1 / (n + 1) - 1 / (n + 2)), D),
        ((sqrt(a) + Rational(1, 10)) ** 2, because(a + sqrt(a) / 5 + Rational(1, 100)), D),
        (1 / n, tends_to(0, "so it is", variable=n), D),
        (Matrix([[(x + y) ** 2, a]]), because(Matrix([[x**2 + 2 * x * y + y**2, a]])), D),
    ],
)
def test_a_record_reads_back_as_the_same_statement(left, step, domain):
    record = claim(left, step, domain=domain).record()
    again = domain_from_record(record["domain"])
    sides = [parse(text, again.symbols, bound=True) for text in (record["left"], record["steps"][0]["rhs"])]
    written = [sympy.sympify(left), sympy.sympify(step.right)]
    for side, original in zip(sides, written, strict=True):
        same = {symbol: again[str(symbol)] for symbol in original.free_symbols}
        assert sympy.simplify(side.doit() - original.subs(same).doit()) == side.doit() * 0
    assert record["verdict"] == record["steps"][0]["verdict"] and record["sympy"] == sympy.__version__


@pytest.mark.parametrize("size", [sympy.Integer(2), n])
def test_an_identity_matrix_is_written_as_one_and_not_as_the_imaginary_unit(size):
    for written in (sympy.Identity(size), sympy.ZeroMatrix(size, size), 2 * sympy.Identity(size)):
        assert parse(write(written), {"n": n}) == written
    assert write(sympy.ImmutableMatrix([[x, y]])) == "Matrix([[x, y]])"


def test_a_reciprocal_of_a_sum_is_typeset_as_a_fraction():
    total = Sum(k, (k, 1, n))
    assert latex(1 / total) == r"\frac{1}{\sum_{k=1}^{n} k}" and latex(-total) == r"-\sum_{k=1}^{n} k"
    assert latex(Sum(k**2, (k, 1, n)) / total) == r"\frac{\sum_{k=1}^{n} k^{2}}{\sum_{k=1}^{n} k}"


@SETTINGS
@given(low=st.integers(-5, 5), width=st.integers(1, 5))
def test_a_domain_survives_its_record_and_draws_inside_itself(low, width):
    domain = Domain(u=real(low, low + width), m=integer(low, low + width), where="u < m")
    again = domain_from_record(domain.record())
    assert str(again) == str(domain)
    points = list(again.points(6, "seed"))
    assert points == list(domain.points(6, "seed"))
    for point in points:
        assert low < point[again["u"]] < low + width and low <= point[again["m"]] <= low + width
        assert point[again["u"]] < point[again["m"]]


def test_a_claim_reads_as_text_and_its_html_escapes_what_it_is_given():
    shown = derive("odd", "a < b & <script>", D, Sum(2 * k - 1, (k, 1, n)), equals(n**2, because="as <i>seen</i>"))
    text, html = repr(shown), shown._repr_html_()
    assert text.splitlines()[0] == "a < b & <script>   [symbolic]"
    assert "  = n**2" in text and "as <i>seen</i>" in text and "for n integer in [1, oo]" in text
    assert "<script>" not in html and "a &lt; b &amp; &lt;script&gt;" in html and "<i>" not in html
    assert r"\sum_{k=1}^{n}" in html and r"\frac" in shown.record()["statement"] or "n^{2}" in html


# ---- Properties


@SETTINGS
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=5), st.integers(1, 3))
def test_an_expanded_polynomial_is_its_product_and_no_other(coefficients, shift):
    polynomial = sum(c * x**power for power, c in enumerate(coefficients)) + x**6
    assert judge(
        Statement(polynomial * (x - shift), "=", sympy.expand(polynomial * (x - shift)) + 0 * y, D)
    ).verdict in (
        "decided",
        "vacuous",
    )
    assert (
        judge(Statement(polynomial * (x - shift), "=", sympy.expand(polynomial * (x + shift)), D)).verdict == "refuted"
    )


@SETTINGS
@given(st.integers(1, 6), st.integers(1, 6))
def test_integrals_of_powers_are_right_and_a_wrong_exponent_is_refused(p, q):
    left = Integral(t**p * (1 - t) ** q, (t, 0, 1))
    value = sympy.beta(p + 1, q + 1)
    assert judge(Statement(left, "=", value, D)).verdict in ("decided", "symbolic", "probed")
    assert judge(Statement(left, "=", sympy.beta(p + 1, q + 2), D)).verdict == "refuted"


# ---- Exercises


@pytest.mark.parametrize(
    ("text", "right", "says"),
    [
        ("n*(n+1)/2", True, "Right."),
        ("(n**2 + n)/2", True, "Right"),
        ("Sum(k, (k, 1, n))", False, "I cannot read that"),
        ("n*(n-1)/2", False, "Not this: at n = 1 your formula gives 0.0, the answer is 1.0."),
        ("n*(n+1", False, "I cannot read that"),
        ("__import__('os')", False, "I cannot read that"),
        ("m", False, "I cannot read that"),
        ("", False, "I cannot read that"),
    ],
)
def test_an_answer_is_right_wrong_with_a_counterexample_or_unreadable(text, right, says):
    domain = Domain(n=integer(1))
    answer = Exercise("sum", "What is 1 + ... + n?", domain, domain["n"] * (domain["n"] + 1) / 2).answer(text)
    assert answer.right is right and answer.message.startswith(says), answer.message
    assert "<script" not in answer.html


def test_an_answer_is_escaped():
    domain = Domain(n=integer(1))
    answer = Exercise("sum", "What?", domain, domain["n"]).answer("<script>alert(1)</script>")
    assert not answer.right and "<script>" not in answer.html


# ---- Where it runs


def test_the_engine_imports_neither_numpy_nor_torch():
    code = "import sys, derivable.claims; print(sorted({'numpy', 'torch', 'scipy'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_steps_are_data():
    step = because(x)
    assert isinstance(step, Step) and step.judgement is None
