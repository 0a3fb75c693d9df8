"""Questions whose answer is a formula: the reader types one, and is told whether it is right, with a counterexample where not."""

from dataclasses import dataclass
from html import escape

import sympy

from .domains import Domain
from .formula import FormulaError, parse
from .judge import check_side, judge
from .render import counterexample_html, latex, verdict_html
from .statement import Statement


@dataclass(frozen=True)
class Answer:
    """What the checker says to one answer."""

    right: bool
    message: str
    html: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Exercise:
    """A question. ``solution`` is a claim's right side, so that the answer is proved where it is derived.

    Args:
        id: a short name, unique in the chapter.
        question: in words; mathematics between ``\\(`` and ``\\)``.
        domain: the variables that an answer may use.
        solution: the expected value, a SymPy expression over the domain.
    """

    id: str
    question: str
    domain: Domain
    solution: sympy.Expr

    def __post_init__(self):
        check_side("solution", self.solution, self.domain)

    def answer(self, text: str) -> Answer:
        """Check an answer, typed in SymPy's notation; never evaluates it as Python."""
        names = ", ".join(map(str, self.domain.symbols)) or "none"
        try:
            given = check_side("answer", parse(text, self.domain.symbols), self.domain)
        except (FormulaError, ValueError, TypeError) as problem:
            return self._say(False, f"I cannot read that: {problem} (variables: {names})", "undecided")
        if given == self.solution:
            return self._say(True, "Right.", "decided", given)
        judgement = judge(Statement(given, "=", self.solution, self.domain))
        if judgement.verdict == "refuted":
            example = judgement.counterexample
            at = ", ".join(f"{name} = {value}" for name, value in example["at"].items())
            message = f"Not this: {'at ' + at + ' ' if at else ''}your formula gives {example['left']}, the answer is {example['right']}."
            return self._say(False, message, "refuted", given, example)
        if judgement.verdict in ("undecided", "vacuous"):
            return self._say(False, f"I could not decide: {judgement.evidence}.", "undecided", given)
        return self._say(True, f"Right: {judgement.evidence}.", judgement.verdict, given)

    def _say(self, right, message, verdict, given=None, example=None):
        shown = (
            f'<span class="math notranslate nohighlight">\\({escape(latex(given), quote=False)}\\)</span> '
            if given is not None
            else ""
        )
        counter = counterexample_html(example) if example else ""
        return Answer(
            right,
            message,
            f'<div class="answer answer-{"right" if right else "wrong"}">{shown}{verdict_html(verdict)} '
            f"<span>{escape(message)}</span>{counter}</div>",
        )

    def _repr_html_(self) -> str:
        names = ", ".join(f"<code>{escape(str(name))}</code>" for name in self.domain.symbols)
        return (
            f'<div class="exercise" data-exercise="{escape(self.id)}"><p class="exercise-question">{self.question}</p>'
            f'<p class="exercise-variables">Your answer may use {names or "numbers only"}.</p></div>'
        )

    def __repr__(self) -> str:
        return f"Exercise {self.id}: {self.question}"
