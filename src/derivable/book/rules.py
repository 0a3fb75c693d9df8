"""What a chapter may not do: each rule yields problems, and each stands for a way in which books rot in silence."""

import ast
import re
from collections.abc import Iterator

from nbformat import NotebookNode

DISPLAY = re.compile(r"\$\$.+?\$\$[ \t]*(?:\(([\w-]+)\))?", re.DOTALL)
MATH_BLOCK = re.compile(r"^[`:]{3,}\{math\}(.*?)^[`:]{3,}", re.DOTALL | re.MULTILINE)
MARKED = ("definition-", "notation-", "cited-")
COMPARISONS = {"allclose", "isclose", "equal", "array_equal"}
RANDOM = {"rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli", "rand_like", "randn_like"}
NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)")
CODE = re.compile(r"`[^`]*`|\{[a-z:]+\}`[^`]*`")
DIGITS = 3  # significant digits from which a decimal in the text must come from a cell


def check_equations(notebook: NotebookNode) -> Iterator[str]:
    """A display equation is rendered by a claim; one typed by hand says that it is a definition or a citation."""
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "markdown":
            continue
        labels = [match.group(1) or "" for match in DISPLAY.finditer(cell.source)]
        labels += [label(block) for block in MATH_BLOCK.findall(cell.source)]
        for name in labels:
            if not name.startswith(MARKED):
                yield f"cell {number}: a display equation typed by hand, labelled {name!r}, not {' or '.join(MARKED)}…"


def label(block: str) -> str:
    found = re.search(r":label:\s*([\w-]+)", block)
    return found.group(1) if found else ""


def check_comparisons(notebook: NotebookNode) -> Iterator[str]:
    """A comparison is asserted; one that is only shown cannot fail."""
    for number, tree in code_of(notebook):
        shown = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == "print"]
        last = tree.body[-1].value if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        parts = [argument for call in shown for argument in call.args]
        if last is not None and last not in shown:
            parts.append(last)
        for part in parts:
            if isinstance(part, ast.Compare) or (isinstance(part, ast.Call) and called(part) in COMPARISONS):
                yield f"cell {number}: shows the comparison {ast.unparse(part)[:60]!r} instead of asserting it"


def check_seeds(notebook: NotebookNode) -> Iterator[str]:
    """Random numbers come from a generator with a seed."""
    for number, tree in code_of(notebook):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            if called(node) in RANDOM and owner(node) in ("torch", "np", "numpy", "random"):
                if not {"generator", None} & {keyword.arg for keyword in node.keywords}:  # None: a ** of keywords
                    yield f"cell {number}: {ast.unparse(node)[:60]!r} draws without a seeded generator"
            if called(node) == "default_rng" and not node.args:
                yield f"cell {number}: a random generator without a seed"
        seeded = {
            id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "manual_seed"
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) == "Generator" and id(node) not in seeded:
                yield f"cell {number}: {ast.unparse(node)[:60]!r} has no manual_seed"


def check_numbers(notebook: NotebookNode) -> Iterator[str]:
    """A decimal in the text with three significant digits or more is one that a cell of the chapter shows or contains."""
    shown = " ".join(
        text for cell in notebook.cells if cell.cell_type == "code" for text in [cell.source, *outputs_of(cell)]
    )
    known = [float(value) for value in NUMBER.findall(shown)]
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "markdown":
            continue
        for typed in NUMBER.findall(CODE.sub(" ", cell.source)):
            digits = len(typed.replace(".", "").lstrip("0"))
            places = len(typed.partition(".")[2])
            if digits >= DIGITS and not any(f"{value:.{places}f}" == typed for value in known):
                yield f"cell {number}: the number {typed} in the text is shown by no cell"


def outputs_of(cell: NotebookNode) -> Iterator[str]:
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield output.get("data", {}).get("text/plain", "")


def code_of(notebook: NotebookNode) -> Iterator[tuple[int, ast.Module]]:
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code":
            yield number, ast.parse(cell.source)


def called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def owner(node: ast.Call) -> str:
    value = getattr(node.func, "value", None)
    while isinstance(value, ast.Attribute):
        value = value.value
    return getattr(value, "id", "")


RULES = (check_equations, check_comparisons, check_seeds, check_numbers)
