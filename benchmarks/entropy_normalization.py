"""Giving each row of logits a prescribed entropy, beside the perplexity searches of t-SNE and a root finder."""

import math

import numpy as np
import torch

from benchmarks.harness import Comparison, Growth, Peer
from derivable.devices import device
from derivable.probability.entropy_normalization import entropy_normalize

TITLE = "Giving a distribution a prescribed entropy"
PERPLEXITY = 30.0


def squared_distances(rows: int, states: int) -> torch.Tensor:
    """Between two clouds of points in the plane, in float32: what a perplexity search is used for."""
    generator = torch.Generator().manual_seed(0)
    points = 5 * torch.randn(rows + states, 2, generator=generator)
    return torch.cdist(points[:rows], points[rows:]).square()


def entropy_error(answer) -> float:
    """The largest distance from the target, in nats, of the rows that were returned."""
    p = torch.as_tensor(answer).double().cpu()
    return float((torch.special.entr(p).sum(-1) - math.log(PERPLEXITY)).abs().max())


def normalize(rows: int, states: int, dtype: torch.dtype, target: float) -> Comparison:
    distances = squared_distances(rows, states)
    logits = -distances.to(device(), dtype)
    on_cpu = distances.numpy()
    goal = math.log(PERPLEXITY)

    def make_sklearn():
        from sklearn.manifold._utils import _binary_search_perplexity

        return lambda: _binary_search_perplexity(on_cpu, PERPLEXITY, 0)

    def make_brentq():
        from scipy.optimize import brentq

        scores = -on_cpu.astype(np.float64 if dtype == torch.float64 else np.float32)
        scores -= scores.max(1, keepdims=True)

        def entropy(t, row):
            z = t * row
            weight = np.exp(z)
            total = weight.sum()
            return math.log(total) - (weight @ z) / total

        def solve(row):
            t = brentq(lambda t: entropy(t, row) - goal, 1e-6, 1e6, xtol=1e-12, rtol=1e-9)
            weight = np.exp(t * row)
            return weight / weight.sum()

        return lambda: np.stack([solve(row) for row in scores])

    found = entropy_normalize(logits, goal)
    exponentials = states * (float(found.iterations.sum()) + rows)
    name = str(dtype).removeprefix("torch.")
    return Comparison(
        name=f"{rows} rows of {states} states to entropy ln {PERPLEXITY:g}, {name}",
        ours=lambda: entropy_normalize(logits, goal).log_probs.exp_(),
        peers={"scikit-learn, perplexity search (float64 inside)": Peer(make_sklearn, target),
               f"scipy.optimize.brentq, row by row ({name})": Peer(make_brentq)},
        error=entropy_error, measure="nats from the target", tolerance=2e-5,  # scikit-learn stops at 1e-5
        work={f"exp {name}": exponentials, "bytes": 2 * logits.nbytes},
        note="The largest part of our time is the exponentials that any such search evaluates. They fill the vector "
             "units of the core; the peer works number by number and leaves most of them idle. A program that shares "
             "the core therefore slows us more than the peer: the ratio is lowest on a busy machine.")


def comparisons(tiny: bool = False) -> list[Comparison]:
    rows, states = (4, 64) if tiny else (2048, 512)
    return [normalize(rows, states, torch.float32, target=8), normalize(rows, states, torch.float64, target=4)]


def growths() -> list[Growth]:
    def call(rows, states):
        logits = -squared_distances(rows, states).to(device())
        return lambda: entropy_normalize(logits, math.log(PERPLEXITY))

    return [Growth("entropy_normalize, rows of 512 states", "rows", (2048, 4096, 8192, 16384, 32768),
                   lambda rows: call(rows, 512), time=1, memory=1),
            Growth("entropy_normalize, 512 rows", "states", (256, 512, 1024, 2048, 4096),
                   lambda states: call(512, states), time=1)]
