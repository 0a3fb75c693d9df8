"""Each rule catches the failure that it is for, and lets the healthy form pass."""

import nbformat
import pytest

from derivable.book.rules import RULES, check_comparisons, check_equations, check_numbers, check_seeds


def notebook(text: str = "", code: str = "", output: str = ""):
    cell = nbformat.v4.new_code_cell(code)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=output)]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text), cell])


@pytest.mark.parametrize(
    ("rule", "sick", "healthy"),
    [
        (check_equations, {"text": "$$ a = b $$"}, {"text": "$$ a := b $$ (definition-of-a)"}),
        (check_equations, {"text": "$$ a = b $$ (main-result)"}, {"text": "inline $a = b$ only"}),
        (check_equations, {"text": "```{math}\na = b\n```"}, {"text": "```{math}\n:label: cited-welch\na = b\n```"}),
        (check_comparisons, {"code": "print(torch.allclose(a, b))"}, {"code": "assert torch.allclose(a, b)"}),
        (check_comparisons, {"code": "abs(a - b) < 1e-9"}, {"code": "print(abs(a - b))"}),
        (check_seeds, {"code": "torch.randn(3)"}, {"code": "torch.randn(3, generator=g)"}),
        (check_seeds, {"code": "g = torch.Generator()"}, {"code": "g = torch.Generator().manual_seed(1)"}),
        (check_seeds, {"code": "np.random.default_rng()"}, {"code": "np.random.default_rng(1)"}),
        (
            check_numbers,
            {"text": "it is 0.4478", "output": "0.4477432"},
            {"text": "it is 0.4477", "output": "0.4477432"},
        ),
        (check_numbers, {"text": "it is 12.375"}, {"text": "it is 12.375", "code": "x = 12.375"}),
    ],
)
def test_a_rule_catches_its_failure_and_nothing_else(rule, sick, healthy):
    assert list(rule(notebook(**sick)))
    assert not list(rule(notebook(**healthy)))


def test_every_rule_names_the_cell():
    sick = notebook("$$ a = b $$ and 0.1234", "x = torch.rand(2)\nprint(a == b)")
    problems = [problem for rule in RULES for problem in rule(sick)]
    assert len(problems) == 4
    assert all(problem.startswith("cell ") for problem in problems)


def test_short_decimals_and_code_in_the_text_are_free():
    assert not list(check_numbers(notebook("half is 0.5, see `torch==2.13.0`, section 1.2")))
