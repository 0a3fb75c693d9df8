"""How an implementation is measured: is the answer exact, then how long it takes, how much memory, and how it grows.

Everything runs on the device that ``DERIVABLE_DEVICE`` names. On a GPU times come from device events; the path through
this file is the same. With one thread on a CPU the time is that of the processor, so that waiting for a core that
other programs hold does not count.
"""

import ctypes
import gc
import math
import os
import platform
import statistics
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch.profiler import ProfilerActivity, profile

from derivable.devices import device

SHORTEST = 5e-3  # seconds; a quicker call is repeated so that the clock sees at least this much
MIN_ROUNDS, MAX_ROUNDS = 5, 30


@dataclass
class Peer:
    """Something people would use instead: ``make()`` imports it and returns the call to time."""

    make: Callable[[], Callable[[], object]]
    target: float | None = None  # the ratio of times that we aim at
    memory_target: float | None = None  # the largest share of its memory that we want to take


@dataclass
class Comparison:
    """One piece of work, done by us and by the peers on the same input."""

    name: str
    ours: Callable[[], object]
    peers: dict[str, Peer]
    error: Callable[[object], float]  # of an answer, against a reference in higher precision
    measure: str  # what that error is, in words
    tolerance: float  # the largest error with which an answer counts
    work: dict[str, float]  # what cannot be avoided, in units of the machine's ceilings
    note: str = ""  # why a target is missed


@dataclass
class Growth:
    """How the time and the memory of a call should grow with one size: as powers with these exponents."""

    name: str
    variable: str
    sizes: tuple[int, ...]
    make: Callable[[int], Callable[[], object]]
    time: float
    memory: float | None = None


@dataclass
class Clock:
    """Seconds for one call."""

    device: torch.device = field(default_factory=device)

    def seconds(self, call: Callable[[], object], repeats: int = 1) -> float:
        if self.device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(repeats):
                call()
            end.record()
            end.synchronize()
            return start.elapsed_time(end) / 1e3 / repeats
        now = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        start = now()
        for _ in range(repeats):
            call()
        return (now() - start) / repeats

    def repeats(self, call: Callable[[], object]) -> int:
        """How many calls make one measurement; the first of them warms up."""
        call()
        return max(1, math.ceil(SHORTEST / self.seconds(call)))


def peak_memory(call: Callable[[], object]) -> int | None:
    """Bytes that the call needs at its peak beyond what is held before; None where the system doesn't tell."""
    gc.collect()
    if device().type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    if not sys.platform.startswith("linux"):
        return None
    ctypes.CDLL(None).malloc_trim(0)  # give back what earlier calls left, or the peak would not show
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak to the present size
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before)


def _status(entry: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(entry))
    return int(line.split()[1]) * 1024


def quartiles(values: list[float]) -> list[float]:
    """The lower quartile, the median and the upper quartile."""
    return np.quantile(values, [0.25, 0.5, 0.75]).tolist()


def seed() -> None:
    """The same random numbers for each side's answer, as far as it draws them the same way."""
    torch.manual_seed(0)
    np.random.seed(0)


def interleave(calls: dict[str, Callable[[], object]], budget: float, clock: Clock) -> dict[str, list[float]]:
    """Seconds of each call in each round. In a round each is timed once, in an order that turns round after round."""
    repeats = {name: clock.repeats(call) for name, call in calls.items()}
    times = {name: [] for name in calls}
    start = time.monotonic()
    order = list(calls)
    while len(times[order[0]]) < MIN_ROUNDS or (
            time.monotonic() - start < budget and len(times[order[0]]) < MAX_ROUNDS):
        for name in order:
            times[name].append(clock.seconds(calls[name], repeats[name]))
        order.reverse()
    return times


def compare(comparison: Comparison, ceilings: dict[str, float], budget: float) -> dict:
    """Measure one comparison.

    Whoever is less exact than the tolerance gets no ratio: a wrong answer is not fast. A peer that is not installed,
    or that cannot do the work, is part of the result.
    """
    sides = {"ours": {"name": "ours", "target": None, "memory_target": None}}
    calls = {"ours": comparison.ours}
    for name, peer in comparison.peers.items():
        sides[name] = {"name": name, "target": peer.target, "memory_target": peer.memory_target}
        try:
            calls[name] = peer.make()
        except ImportError as error:
            sides[name] |= {"status": "absent", "message": str(error)}
    for name, call in list(calls.items()):
        seed()
        try:
            error = float(comparison.error(call()))
        except Exception as problem:
            if name == "ours":
                raise
            message = textwrap.shorten(f"{type(problem).__name__}: {problem}", 150, placeholder=" ...")
            sides[name] |= {"status": "failed", "message": message}
            del calls[name]
            continue
        exact = error <= comparison.tolerance  # False for a NaN
        sides[name] |= {"status": "measured" if exact else "inexact", "error": error}
    times = interleave(calls, budget, Clock())
    for name, call in calls.items():
        sides[name] |= {"seconds": quartiles(times[name]), "memory": peak_memory(call)}
        if name != "ours" and sides[name]["status"] == sides["ours"]["status"] == "measured":
            per_round = zip(times[name], times["ours"], strict=True)
            sides[name]["ratio"] = quartiles([theirs / ours for theirs, ours in per_round])
    limit = sum(amount / ceilings[kind] for kind, amount in comparison.work.items())
    return {"name": comparison.name, "measure": comparison.measure, "tolerance": comparison.tolerance,
            "rounds": len(times["ours"]), "sides": list(sides.values()), "work": comparison.work,
            "fraction_of_limit": limit / sides["ours"]["seconds"][1], "profile": top_operations(comparison.ours),
            "note": comparison.note}


def top_operations(call: Callable[[], object], count: int = 5) -> list[list]:
    """The operations that take the largest shares of the call's time, by themselves."""
    on_gpu = device().type == "cuda"
    with profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu) as record:
        for _ in range(10):
            call()
    entries = [(entry.key, entry.self_device_time_total if on_gpu else entry.self_cpu_time_total)
               for entry in record.key_averages()]
    total = sum(spent for _, spent in entries)
    entries.sort(key=lambda entry: -entry[1])
    return [[name, round(spent / total, 3)] for name, spent in entries[:count]]


def grow(growth: Growth, budget: float) -> dict:
    """Time and memory at each size, with the exponent of the power law that fits them best."""
    clock = Clock()
    calls = {str(size): growth.make(size) for size in growth.sizes}
    times = interleave(calls, budget, clock)
    seconds = [statistics.median(times[str(size)]) for size in growth.sizes]
    result = {"name": growth.name, "variable": growth.variable, "sizes": list(growth.sizes), "seconds": seconds,
              "time": fit_exponent(growth.sizes, seconds, growth.time)}
    if growth.memory is not None:
        memory = [peak_memory(call) for call in calls.values()]
        if all(memory):
            result |= {"bytes": memory, "memory": fit_exponent(growth.sizes, memory, growth.memory)}
    return result


def fit_exponent(sizes: tuple[int, ...], values: list[float], claimed: float) -> dict:
    """The slope on log-log axes with its 95% interval, beside the claimed one."""
    fit = scipy.stats.linregress(np.log(sizes), np.log(values))
    half_width = scipy.stats.t.ppf(0.975, len(sizes) - 2) * fit.stderr
    return {"claimed": claimed, "fitted": fit.slope, "interval": [fit.slope - half_width, fit.slope + half_width]}


def measure_ceilings(size: int = 1024, count: int = 2**20) -> dict[str, float]:
    """The best that this machine does now: operations of a matrix product, exponentials, bytes moved, each a second."""
    clock = Clock()

    def rate(amount: int, operation: Callable, *inputs: torch.Tensor) -> float:
        out = torch.empty_like(inputs[0])
        call = partial(operation, *inputs, out=out)
        repeats = clock.repeats(call)
        return amount / min(clock.seconds(call, repeats) for _ in range(10))

    ceilings = {}
    for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        matrix = torch.rand(size, size, dtype=dtype, device=device())
        values = torch.rand(count, dtype=dtype, device=device())
        ceilings[f"gemm {name}"] = rate(2 * size**3, torch.mm, matrix, matrix)
        ceilings[f"exp {name}"] = rate(count, torch.exp, values)
    large = torch.rand(16 * count, device=device())
    ceilings["bytes"] = rate(2 * large.nbytes, lambda source, out: out.copy_(source), large)  # read and written
    return ceilings


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def machine() -> dict:
    """What the numbers depend on."""
    on_gpu = device().type == "cuda"
    cores = os.cpu_count()
    accelerator = torch.cuda.get_device_name(device()) if on_gpu else None
    return {"name": accelerator.lower().replace(" ", "-") if on_gpu else f"cpu-{cores}-core", "device": device().type,
            "accelerator": accelerator, "processor": processor(), "cores": cores,
            "threads": torch.get_num_threads(), "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(), "torch": torch.__version__}


def moment() -> dict:
    """When, and how busy the machine was: processes waiting for a core, over the last minute."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "load": load}
