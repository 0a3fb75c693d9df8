"""Laws and samples of the angle between random directions, beside scipy's beta and uniform_direction."""

import mpmath
import numpy as np
import torch

from benchmarks.harness import Comparison, Growth, Peer
from derivable.devices import device
from derivable.probability.random_vector_angles import angle_pdf, coherence, cosine_cdf, cosine_pdf, random_cosines

TITLE = "The angle between two random vectors"
CHECKED = 16  # points at which mpmath gives the truth


def like() -> dict:
    return {"dtype": torch.float64, "device": device()}


def generator() -> torch.Generator:
    return torch.Generator(device()).manual_seed(0)


def exact_pdf(theta: float, n: int) -> mpmath.mpf:
    constant = mpmath.gammaprod([mpmath.mpf(n) / 2], [mpmath.mpf(1) / 2, mpmath.mpf(n - 1) / 2])
    return constant * mpmath.sin(theta) ** (n - 2)


def exact_cdf(t: float, n: int) -> mpmath.mpf:
    """With eta = tanh(s) the density becomes C_n sech(s)^(n-1), which a quadrature rule handles for every n."""
    constant = mpmath.gammaprod([mpmath.mpf(n) / 2], [mpmath.mpf(1) / 2, mpmath.mpf(n - 1) / 2])
    start = mpmath.atanh(abs(mpmath.mpf(t)))
    ends = [start + k / mpmath.sqrt(n) for k in (0, 1, 2, 4, 8, 16, 32)] + [mpmath.inf]
    tail = constant * mpmath.quad(lambda s: mpmath.sech(s) ** (n - 1), ends)
    return tail if t < 0 else 1 - tail


def relative_error(points: torch.Tensor, exact) -> object:
    """The largest relative error of an answer at some of the points."""
    chosen = np.linspace(0, len(points) - 1, CHECKED).astype(int)
    with mpmath.workdps(30):
        truth = [exact(float(points[i])) for i in chosen]

    def error(answer) -> float:
        answer = answer.cpu().numpy() if isinstance(answer, torch.Tensor) else answer
        return max(float(abs(answer[i] / value - 1)) for i, value in zip(chosen, truth, strict=True))

    return error


def pdf(points: int, n: int) -> Comparison:
    theta = random_cosines(points, n, generator(), **like()).acos()
    on_cpu = theta.cpu().numpy()

    def make_scipy():
        from scipy.stats import beta

        law = beta((n - 1) / 2, (n - 1) / 2)
        return lambda: law.pdf((1 + np.cos(on_cpu)) / 2) * np.sin(on_cpu) / 2

    return Comparison(
        name=f"density of the angle, n = {n}, {points:.0e} points, float64", ours=lambda: angle_pdf(theta, n),
        peers={"scipy.stats.beta.pdf": Peer(make_scipy, target=8)},
        error=relative_error(theta, lambda x: exact_pdf(x, n)), measure="relative, against mpmath", tolerance=1e-10,
        work={"exp float64": 2 * points, "bytes": 16 * points},  # a sine and a power; read once, written once
        note="scipy's density needs a logarithm, a product and an exponential, ours a sine and a power. The limit is "
             "these two functions, which torch evaluates more slowly than the exponential of the ceiling.")


def cdf(points: int, n: int) -> Comparison:
    t = random_cosines(points, n, generator(), **like())
    on_cpu = t.cpu().numpy()

    def make_scipy():
        from scipy.stats import beta

        law = beta((n - 1) / 2, (n - 1) / 2)
        return lambda: law.cdf((1 + on_cpu) / 2)

    return Comparison(
        name=f"distribution function of the cosine, n = {n}, {points:.0e} points, float64",
        ours=lambda: cosine_cdf(t, n), peers={"scipy.stats.beta.cdf": Peer(make_scipy, target=3)},
        error=relative_error(t, lambda x: exact_cdf(x, n)), measure="relative, against mpmath", tolerance=1e-10,
        work={"exp float64": points, "bytes": 16 * points},
        note="For n = 3 the law is uniform and scipy only returns its argument. Ours takes a power and a polynomial of "
             "degree 20 for every n.")


def sampling(count: int, n: int) -> Comparison:
    draws = generator()

    def make_pairs():
        from scipy.stats import uniform_direction

        law = uniform_direction(n)
        return lambda: (law.rvs(count) * law.rvs(count)).sum(1)

    def make_beta():
        from scipy.stats import beta

        return lambda: 2 * beta.rvs((n - 1) / 2, (n - 1) / 2, size=count) - 1

    def kolmogorov(answer) -> float:
        ordered = torch.as_tensor(answer, dtype=torch.float64).cpu().sort().values
        law = cosine_cdf(ordered, n)
        rank = torch.arange(count + 1, dtype=torch.float64) / count
        return float(torch.maximum((rank[1:] - law).max(), (law - rank[:-1]).max())) * count**0.5

    return Comparison(
        name=f"samples of the cosine, n = {n}, {count:.0e} of them, float64",
        ours=lambda: random_cosines(count, n, draws, **like()),
        peers={"scipy.stats.uniform_direction, pairs": Peer(make_pairs, target=50),
               "scipy.stats.beta.rvs": Peer(make_beta)},
        error=kolmogorov, measure="Kolmogorov's sqrt(N) sup |F_N - F|", tolerance=1.95,  # exceeded once in 1000 times
        work={"exp float64": 4 * count, "bytes": 8 * count})


def comparisons(tiny: bool = False) -> list[Comparison]:
    points, samples = (100, 1000) if tiny else (10**6, 10**5)
    return [pdf(points, 128), pdf(points, 10**6), cdf(points, 3), cdf(points, 128),
            cdf(points, 129), sampling(samples, 128)]


def growths() -> list[Growth]:
    def directions(N):
        return torch.randn(N, 64, generator=generator(), **like())

    def cosines(count, n):
        return random_cosines(count, n, generator(), **like())

    def pdf_of(points):
        eta = cosines(points, 128)
        return lambda: cosine_pdf(eta, 128)

    def cdf_of(n):
        t = cosines(10**5, n)
        return lambda: cosine_cdf(t, n)

    def coherence_of(N):
        X = directions(N)
        return lambda: coherence(X)

    return [Growth("cosine_pdf", "points", (10**5, 10**6, 3 * 10**6, 10**7), pdf_of, time=1, memory=1),
            Growth("cosine_cdf, 10^5 points", "n", (4, 64, 1024, 16384, 10**6), cdf_of, time=0),
            Growth("random_cosines, 10^5 of them", "n", (4, 64, 1024, 16384, 10**6),
                   lambda n: lambda: cosines(10**5, n), time=0),
            Growth("coherence of N directions in 64 dimensions", "N", (1024, 2048, 4096, 8192), coherence_of, time=2)]
