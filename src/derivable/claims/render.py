"""How a claim looks: text for a terminal, HTML with LaTeX for the notebook and the page, LaTeX for the ledger."""

from html import escape

import sympy
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE

SIGNS = {"=": "=", "<=": r"\le", ">=": r"\ge", "->": r"\longrightarrow", "~": r"\sim", "O": "="}
TEXT_SIGNS = {"=": "=", "<=": "≤", ">=": "≥", "->": "→", "~": "∼", "O": "="}
MARKS = {
    "decided": "✓✓",
    "symbolic": "✓",
    "probed": "≈",
    "estimated": "±",
    "matched": "↔",
    "cited": "§",
    "definition": "≔",
    "refuted": "✗",
    "undecided": "?",
    "vacuous": "∅",
}

FAILED = ("refuted", "undecided", "vacuous")


class _Printer(LatexPrinter):
    """SymPy's LaTeX, with integrals and sums written after their factor, not inside its fraction."""

    def _print_Add(self, expression, order=None):
        """Terms over one integer denominator go on one fraction: (n - 3)/2, not n/2 - 3/2."""
        denominators = {term.as_coeff_Mul()[0].q for term in expression.args if term.as_coeff_Mul()[0].is_Rational}
        if len(denominators) == 1 and denominators != {1} and all(t.as_coeff_Mul()[0].is_Rational for t in expression.args):
            (denominator,) = denominators
            return rf"\frac{{{self._print(sympy.expand(denominator * expression))}}}{{{denominator}}}"
        return super()._print_Add(expression, order=order)

    def _print_Function(self, expression, exp=None):
        """An arbitrary function keeps its brackets: f(t), where a sine may stand without."""
        if not isinstance(expression, AppliedUndef):
            return super()._print_Function(expression, exp)
        arguments = ", ".join(self._print(argument) for argument in expression.args)
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{self._hprint_Function(expression.func.__name__)}{power}{{\left({arguments}\right)}}"

    def _print_Mul(self, expression):
        large = [factor for factor in expression.args if isinstance(factor, LARGE)]
        factor = sympy.Mul(*(factor for factor in expression.args if not isinstance(factor, LARGE)))
        if not expression.is_Mul or len(large) != 1 or factor == 1 or factor.has(*LARGE):  # SymPy sends reciprocals here too
            return super()._print_Mul(expression)
        text = self.parenthesize(factor, PRECEDENCE["Mul"]) if factor.is_Add else self._print(factor)
        return ("-" if factor == -1 else text + r"\,") + self._print(large[0])


LARGE = (sympy.Integral, sympy.Sum, sympy.Product)
_PRINTER = _Printer(
    {"mat_delim": "(", "mat_str": "matrix", "inv_trig_style": "full", "fold_func_brackets": True, "root_notation": True}
)


def latex(expression) -> str:
    """LaTeX as the book sets it."""
    return _PRINTER.doprint(expression)


def _abbreviated(expression, notation) -> str:
    """LaTeX with the claim's abbreviations: used only where putting them back gives the expression again."""
    for name, meaning in notation.items():
        short = expression.subs(meaning, name)
        if short.subs(name, meaning) == expression:
            expression = short
    return latex(expression)


def _right_latex(claim, step) -> str:
    text = step.latex if step.latex is not None else _abbreviated(step.right, claim.notation)
    return rf"{text} + O\!\left({latex(step.order)}\right)" if step.relation == "O" else text


def _left_latex(claim) -> str:
    return claim.latex if claim.latex is not None else _abbreviated(claim.left, claim.notation)


def _limit_latex(step) -> str:
    return rf"{latex(step.variable)}\to {latex(step.point)}" if step.variable is not None else ""


def _sign_latex(step) -> str:
    if step.relation == "->":
        return rf"\xrightarrow[{_limit_latex(step)}]{{}}"
    return SIGNS[step.relation]


def claim_latex(claim) -> str:
    """The whole statement on one line: where the chain starts, the relation, where it ends."""
    step = next((s for s in claim.steps if s.relation != "="), claim.steps[-1])
    sign = ":=" if claim.kind == "definition" else _sign_latex(step)
    tail = rf"\quad ({_limit_latex(step)})" if step.relation in ("~", "O") else ""
    return f"{_left_latex(claim)} {sign} {_right_latex(claim, claim.steps[-1])}{tail}"


def claim_text(claim) -> str:
    """The chain as it reads in a terminal."""
    lines = [
        f"{claim.title}   [{claim.verdict}]",
        f"  for {_free_domain(claim)}" if str(_free_domain(claim)) else "",
        f"    {claim.left}",
    ]
    for step in claim.steps:
        order = f" + O({step.order})" if step.relation == "O" else ""
        limit = f"  as {step.variable} -> {step.point}" if step.variable is not None else ""
        lines.append(f"  {TEXT_SIGNS[step.relation]} {step.right}{order}{limit}")
        lines.append(
            f"        {MARKS[step.judgement.verdict]} {step.judgement.verdict}: {step.because}  ({step.judgement.evidence})"
        )
        if step.judgement.counterexample:
            lines.append(f"        {_counterexample_text(step.judgement.counterexample)}")
    return "\n".join(line for line in lines if line)


def _free_domain(claim):
    """The variables that the statement speaks about; those that it only integrates or sums over need no mention."""
    sides = [claim.left, *(step.right for step in claim.steps)]
    free = {str(symbol) for side in sides for symbol in side.free_symbols}
    free |= {str(part.func) for side in sides for part in side.atoms(sympy.core.function.AppliedUndef)}
    return claim.domain.only(free)


def _counterexample_text(example) -> str:
    at = ", ".join(f"{name} = {value}" for name, value in example["at"].items()) or "as it stands"
    return f"at {at}: left = {example['left']}, right = {example['right']}"


def verdict_html(verdict: str) -> str:
    return f"<span class='verdict verdict-{verdict}'>{MARKS[verdict]} {verdict}</span>"


def _math(text: str) -> str:
    return f"<span class='math'>\\(\\displaystyle {escape(text, quote=False)}\\)</span>"


def claim_html(claim) -> str:
    """The chain as a grid: left side, relation, right side; reason, verdict and evidence beside each step.

    Attributes stand in single quotes, because the notebook that stores this escapes double ones.
    """
    classes = "claim" + (" claim-headline" if claim.headline else "") + (" claim-refuted" if claim.verdict in FAILED else "")
    title = escape(claim.title)
    parts = [
        f"<div class='{classes}' data-claim='{claim.id}'>",
        f"<div class='claim-head'><span class='claim-title'>{title}</span>{verdict_html(claim.verdict)}</div>",
    ]
    domain = _free_domain(claim).latex()
    if domain:
        parts.append(f"<div class='claim-domain'>{_math(domain)}</div>")
    parts.append("<div class='claim-steps'>")
    for index, step in enumerate(claim.steps):
        left = _math(_left_latex(claim)) if index == 0 else ""
        sign = ":=" if claim.kind == "definition" else _sign_latex(step)
        tail = rf"\quad ({_limit_latex(step)})" if step.relation in ("~", "O") else ""
        verdict = verdict_html(step.judgement.verdict) + " " if len(claim.steps) > 1 else ""
        parts.append(
            f"<div class='claim-step'><div class='claim-lhs'>{left}</div><div class='claim-rel'>{_math(sign)}</div>"
            f"<div class='claim-rhs'>{_math(_right_latex(claim, step) + tail)}</div>"
            f"<div class='claim-because'><span class='claim-reason'>{escape(step.because)}</span> {verdict}"
            f"<span class='claim-evidence'>{escape(step.judgement.evidence)}</span></div></div>"
        )
        if step.judgement.counterexample:
            parts.append(counterexample_html(step.judgement.counterexample))
    parts.append("</div>")
    foot = _foot(claim)
    if foot:
        parts.append(f"<div class='claim-foot'>{foot}</div>")
    return "".join([*parts, "</div>"])


def counterexample_html(example: dict) -> str:
    at = ", ".join(f"{escape(name)} = {escape(value)}" for name, value in example["at"].items()) or "as it stands"
    return (
        f"<div class='counterexample' role='alert'><strong>Counterexample</strong> at {at}: "
        f"left = <code>{escape(example['left'])}</code>, right = <code>{escape(example['right'])}</code></div>"
    )


def _foot(claim) -> str:
    notes = []
    if claim.used:
        notes.append(
            "uses " + ", ".join(f"<em>{escape(used.title)}</em>" for used in claim.used if used is not claim.route_to)
        )
    if claim.route_to is not None:
        notes.append(f"a second route to <em>{escape(claim.route_to.title)}</em>")
    shown = claim_latex(claim) + "".join(_right_latex(claim, step) for step in claim.steps)
    for name, meaning in claim.notation.items():
        if latex(name) in shown:
            notes.insert(0, f"with {_math(latex(name) + ' = ' + latex(meaning))}")
    if claim.typeset_by_hand:
        notes.append("typeset by hand")
    return "; ".join(note for note in notes if note != "uses ")
