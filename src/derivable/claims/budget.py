"""A budget for symbolic work, counted in function calls.

Seconds would make a verdict depend on the machine. The number of Python calls does not: a strategy that fits
its budget here fits it on a slower computer, and in the browser. What Python calls to import a module does not count:
only the first work that needs the module makes those calls.

``DERIVABLE_BUDGET`` multiplies every budget, to see which verdicts hang on them (``make machines``).
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable

SCALE = float(os.environ.get("DERIVABLE_BUDGET", 1))
IMPORT = importlib._bootstrap._find_and_load.__code__  # what runs where a module is not loaded yet


class OverBudget(BaseException):
    """Raised inside the work when its calls are spent. Not an ``Exception``: SymPy catches those along the way."""


def within_budget(work: Callable, calls: int):
    """Return ``work()``, or ``None`` once it has made more than ``calls`` Python calls."""
    left, importing = calls * SCALE, 0
    previous = sys.getprofile()

    def count(frame, event, argument):
        nonlocal left, importing
        if frame.f_code is IMPORT:
            importing += (event == "call") - (event == "return")
        elif event == "call" and not importing:
            left -= 1
            # A generator may be running because it is being thrown away; an exception there would be lost.
            if left < 0 and not frame.f_code.co_flags & inspect.CO_GENERATOR:
                raise OverBudget

    sys.setprofile(count)
    try:
        return work()
    except OverBudget:
        return None
    finally:
        sys.setprofile(previous)


_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None]) -> None:
    """Call ``listener`` with the name of each strategy that starts from now on."""
    _listeners.append(listener)


def announce(strategy: str) -> None:
    """Say which strategy starts, so that one that never ends can be named."""
    for listener in _listeners:
        listener(strategy)
