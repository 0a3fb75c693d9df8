"""Judge statements in a process of their own, which is ended where it does not answer.

What decides a verdict is counted in calls (:mod:`.budget`), never in seconds. This is the net beneath: one huge integer or
one runaway in compiled code makes no calls. A statement that falls into it is undecided, and the strategy is named.
"""

import math
import multiprocessing
import time
from collections.abc import Iterable, Iterator

from .budget import listen
from .statements import judge_statement

SECONDS = 45  # of processor time, far above what the budgets let any statement take
PATIENCE = 8  # times as long on the wall, for a busy machine, or one that cannot limit processor time
MEMORY = 4 * 2**30  # bytes


def judge_all(statements: Iterable[dict], seconds: float = SECONDS) -> Iterator[dict]:
    """The results of :func:`judge_statement`, in order; each within ``seconds`` of processor time."""
    worker = None
    try:
        for statement in statements:
            worker = worker or _Worker()
            result, stage = worker.ask(statement, seconds)
            if result is None:
                worker.end()
                worker = None
                evidence = f"stopped without an answer (at: {stage}; limit: {seconds:g} s, {MEMORY >> 30} GiB)"
                result = {"id": statement["id"], "verdict": "undecided", "evidence": evidence, "counterexample": None}
            yield result
    finally:
        if worker:
            worker.end()


class _Worker:
    def __init__(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        self.process.start()
        other.close()

    def ask(self, statement, seconds):
        """(result or ``None``, the last stage that the worker announced)."""
        stage = "reading the formulas"
        end = time.monotonic() + PATIENCE * seconds
        try:
            self.pipe.send((statement, seconds))
            while self.pipe.poll(max(0, end - time.monotonic())):
                message = self.pipe.recv()
                if isinstance(message, dict):
                    return message, stage
                stage = message
        except (EOFError, OSError):
            pass
        return None, stage

    def end(self):
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe):
    listen(pipe.send)
    while True:
        try:
            statement, seconds = pipe.recv()
        except EOFError:
            return
        _limit(seconds)
        try:
            pipe.send(judge_statement(statement))
        except Exception as error:  # a defect here, or memory or depth used up: this statement's answer, and no other's
            evidence = f"the checker failed: {type(error).__name__}: {error}"
            pipe.send({"id": statement["id"], "verdict": "undecided", "evidence": evidence, "counterexample": None})


def _limit(seconds):
    """Ask the system to end this process past ``seconds`` more of processor time, or when it takes too much memory."""
    try:
        import resource
    except ImportError:  # not on every system
        return
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), hard))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
