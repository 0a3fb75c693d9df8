"""The angle between two random directions of R^n: exact laws, samplers, and what nearly orthogonal vectors buy.

Throughout, theta is the angle in [0, pi] between two independent vectors of which at least one is isotropic, and
eta = cos(theta). The density of theta is C_n sin(theta)^(n-2), that of eta is C_n (1 - eta^2)^((n-3)/2).

Formulas are from Cai, Fan, Jiang, "Distributions of angles in random packing on spheres", JMLR 14 (2013), unless a
docstring says otherwise. Laws of one tensor argument are elementwise and keep its shape, dtype and device; the
tolerances in their docstrings are for float64, and 1e-4 holds for float32.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial import Chebyshev, Polynomial
from torch import Tensor

from derivable.arguments import require_floating, require_integer, require_number, require_shape

# --- The laws ---------------------------------------------------------------------------------------------------------


def angle_pdf(theta: Float[Tensor, "..."], n: int) -> Float[Tensor, "..."]:
    """Density of the angle, C_n sin(theta)^(n-2).

    Args:
        theta: angles in radians, in [0, pi].
        n: dimension, at least 2.

    Returns:
        The density in 1/radian, differentiable in ``theta``. Agrees with mpmath to 1e-12 relative, n = 2 to 10^6.

    Raises:
        TypeError, ValueError: ``theta`` not floating, NaN or outside [0, pi]; ``n`` not an integer or below 2.
    """
    require_integer("n", n, at_least=2)
    _require_interval("theta", theta, 0.0, math.pi)
    if n < 1000:
        power_of_sine = theta.sin().clamp_(min=0).pow_(n - 2)  # float32 pi exceeds pi: its sine is negative
    else:
        power_of_sine = _power_of_one_minus_square(theta.cos(), (n - 2) / 2)
    return density_constant(n) * power_of_sine


def cosine_pdf(eta: Float[Tensor, "..."], n: int) -> Float[Tensor, "..."]:
    """Density of the cosine, C_n (1 - eta^2)^((n-3)/2): arcsine law at n = 2, uniform at 3, semicircle at 4.

    Args:
        eta: cosines in [-1, 1].
        n: dimension, at least 2.

    Returns:
        The density; ``inf`` at eta = -1, 1 for n = 2, where it is unbounded. Differentiable in ``eta`` inside (-1, 1);
        at the end points the slope is infinite for n = 2 and 4, and the gradient there is ``nan``.
        Agrees with mpmath to 1e-12 relative, n = 2 to 10^6.

    Raises:
        TypeError, ValueError: ``eta`` not floating, NaN or outside [-1, 1]; ``n`` not an integer or below 2.
    """
    require_integer("n", n, at_least=2)
    _require_interval("eta", eta, -1.0, 1.0)
    return _cosine_density(eta, n)


def cosine_cdf(t: Float[Tensor, "..."], n: int) -> Float[Tensor, "..."]:
    """Distribution function of the cosine, P(eta <= t) = I_{(1+t)/2}((n-1)/2, (n-1)/2).

    The law is symmetric, so ``cosine_cdf(-t, n)`` is P(eta >= t), without loss of digits in the tail.

    Args:
        t: thresholds in [-1, 1].
        n: dimension, at least 2.

    Returns:
        Probabilities; their gradient in ``t`` is ``cosine_pdf`` itself, to any order. Agrees with mpmath to 1e-12
        relative in both tails while it exceeds 1e-300, n = 2 to 10^6.

    Raises:
        TypeError, ValueError: ``t`` not floating, NaN or outside [-1, 1]; ``n`` not an integer or below 2.
    """
    require_integer("n", n, at_least=2)
    _require_interval("t", t, -1.0, 1.0)
    return _CosineCdf.apply(t, n)


def cosine_logsf(t: Float[Tensor, "..."], n: int) -> Float[Tensor, "..."]:
    """Logarithm of P(eta > t), accurate where the probability itself underflows.

    Args:
        t: thresholds in [-1, 1].
        n: dimension, at least 2.

    Returns:
        Natural logarithms, differentiable in ``t``; ``-inf`` at t = 1. Agrees with mpmath to 1e-12 relative,
        n = 2 to 10^6.

    Raises:
        TypeError, ValueError: ``t`` not floating, NaN or outside [-1, 1]; ``n`` not an integer or below 2.
    """
    require_integer("n", n, at_least=2)
    _require_interval("t", t, -1.0, 1.0)
    below, above = t.clamp(max=0), t.clamp(min=0)
    upper_tail = (n - 1) / 2 * (torch.log1p(-above) + torch.log1p(above)) + torch.log(_scaled_tail(above, n))
    return torch.where(t < 0, torch.log1p(-_CosineCdf.apply(below, n)), upper_tail)


def angle_cumulant(n: int, order: int) -> float:
    """Cumulant of the angle: pi/2, then 0 for odd orders and (-1)^(k+1) 2^(1-2k) psi^(2k-1)(n/2) for order 2k.

    Source: twice the logarithm of the characteristic function of theta - pi/2,
    Gamma(n/2)^2 / (Gamma((n+a)/2) Gamma((n-a)/2)). Agrees with mpmath to 1e-12 relative up to order 20.

    Args:
        n: dimension, at least 2.
        order: at least 1.

    Raises:
        TypeError, ValueError: ``n`` or ``order`` not an integer or too small.
    """
    require_integer("n", n, at_least=2)
    require_integer("order", order, at_least=1)
    if order % 2:
        return math.pi / 2 if order == 1 else 0.0
    # psi^(order-1)(x) = (order-1)! zeta(order, x) for even orders; torch.polygamma(1, x) has only 9 digits.
    zeta = torch.special.zeta(float(order), torch.tensor(n / 2, dtype=torch.float64)).item()
    return (-1) ** (order // 2 + 1) * 2.0 ** (1 - order) * math.factorial(order - 1) * zeta


def angle_variance(n: int) -> float:
    """Variance of the angle in radians^2, psi'(n/2)/2: half a trigamma function, close to 1/(n-1).

    Args:
        n: dimension, at least 2.

    Raises:
        TypeError, ValueError: ``n`` not an integer or below 2.
    """
    return angle_cumulant(n, 2)


@lru_cache(typed=True)
def density_constant(n: int) -> float:
    """C_n = Gamma(n/2) / (sqrt(pi) Gamma((n-1)/2)), to 1e-14 relative: a difference of log-Gammas would lose digits.

    Args:
        n: dimension, at least 2.

    Raises:
        TypeError, ValueError: ``n`` not an integer or below 2.
    """
    require_integer("n", n, at_least=2)
    return 0.5 / _laplace_integral(np.zeros(1), n).item()


# --- How the tail is computed -----------------------------------------------------------------------------------------
#
# With eta = tanh(s) the density becomes C_n sech(s)^(n-1), and shifting s to the threshold t = tanh(s_0) gives
#
#     P(eta > t) = C_n (1 - t^2)^((n-1)/2) M(t),    M(t) = integral_0^oo (cosh r + t sinh r)^-(n-1) dr,    t >= 0.
#
# All factors are positive, so nothing cancels, and M varies slowly: it is the Mills ratio of this law. In the variable
# w that takes [0, 1] to [-1, 1] and stretches the scale 1/sqrt(n) of eta, M(t) (t + c) is smooth uniformly in n, and
# a polynomial of degree 20 follows it to 1e-14 for every n. It is found once per n by quadrature, then costs 20
# multiplications a point, where a finite sum would take n/2 of them.


def _laplace_integral(t: np.ndarray, n: int) -> np.ndarray:
    """M(t) for t in [0, 1] by the double-exponential rule r = scale exp(u - exp(-u)), to about 1e-15 relative."""
    step = 1 / 16
    u = np.arange(-4.25, 4.75, step)
    t = t[:, None]
    r = np.exp(u - np.exp(-u)) / ((n - 1) * t + math.sqrt(n - 1))
    log_integrand = -(n - 1) * np.log1p(2 * np.sinh(r / 2) ** 2 + t * np.sinh(r))
    return step * np.sum(np.exp(log_integrand) * r * (1 + np.exp(-u)), axis=-1)


def _stretch(n: int) -> float:
    """The constant c of w = 2 (1 + c) t / (t + c) - 1, a few standard deviations of eta."""
    return 4 / math.sqrt(n - 1)


@lru_cache
def _tail_coefficients(n: int) -> tuple[float, ...]:
    """Coefficients, constant first, of the polynomial in w that equals C_n M(t) (t + c) / c on [0, 1]."""
    c = _stretch(n)

    def smooth_part(w):
        t = c * (1 + w) / (1 + 2 * c - w)
        return density_constant(n) * _laplace_integral(t, n) * (t + c) / c

    return tuple(Chebyshev.interpolate(smooth_part, 20).convert(kind=Polynomial).coef.tolist())


def _scaled_tail(t: Tensor, n: int) -> Tensor:
    """C_n M(t) = P(eta > t) / (1 - t^2)^((n-1)/2) for t in [0, 1]."""
    c = _stretch(n)
    decay = c / (t + c)
    w = 1 + 2 * c - 2 * (1 + c) * decay
    *lower, leading = _tail_coefficients(n)
    value = torch.full_like(w, leading)
    for coefficient in reversed(lower):
        value.mul_(w).add_(coefficient)  # Horner's rule
    return decay * value


class _CosineCdf(torch.autograd.Function):
    """The distribution function with its density as derivative, so that no gradient passes through the polynomial."""

    @staticmethod
    def forward(t, n):
        magnitude = t.abs()
        tail = _power_of_one_minus_square(magnitude, (n - 1) / 2) * _scaled_tail(magnitude, n)
        return torch.where(t < 0, tail, 1 - tail)

    @staticmethod
    def setup_context(ctx, inputs, output):
        t, ctx.n = inputs
        ctx.save_for_backward(t)

    @staticmethod
    def backward(ctx, grad):
        (t,) = ctx.saved_tensors
        return grad * _cosine_density(t, ctx.n), None


def _cosine_density(eta: Tensor, n: int) -> Tensor:
    return density_constant(n) * _power_of_one_minus_square(eta, (n - 3) / 2)


def _power_of_one_minus_square(t: Tensor, power: float) -> Tensor:
    """(1 - t^2)^power for t in [-1, 1], in place: new tensors would cost more than the arithmetic."""
    if power < 500:
        return (1 - t).mul_(1 + t).pow_(power)  # exact to the end points
    # A large power would multiply the rounding of 1 - t^2. Where the clamp acts the value is 0 (0.01^500); without it
    # the gradient at -1 and 1 would be 0/0.
    return t.square().clamp_(max=0.99).neg_().log1p_().mul_(power).exp_()


def _require_interval(name: str, value: Tensor, low: float, high: float) -> None:
    require_floating(name, value)
    least, most = value.detach().aminmax()
    if least < low or most > high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], got values from {least:g} to {most:g}")


# --- Samples ----------------------------------------------------------------------------------------------------------


def random_directions(N: int, n: int, generator: torch.Generator | None = None, dtype: torch.dtype | None = None,
                      device: torch.device | str | None = None) -> Float[Tensor, "N n"]:
    """Independent uniform points of the unit sphere in R^n: normalised Gaussian vectors.

    Args:
        N: number of directions, at least 1.
        n: dimension, at least 2.
        generator, dtype, device: as in ``torch.randn``.

    Raises:
        TypeError, ValueError: ``N`` or ``n`` not an integer or too small.
    """
    require_integer("N", N, at_least=1)
    require_integer("n", n, at_least=2)
    gaussian = torch.randn(N, n, generator=generator, dtype=dtype, device=device)
    return gaussian / torch.linalg.vector_norm(gaussian, dim=1, keepdim=True)


def random_cosines(count: int, n: int, generator: torch.Generator | None = None, dtype: torch.dtype | None = None,
                   device: torch.device | str | None = None) -> Float[Tensor, " count"]:
    """Cosines of ``count`` independent pairs of random directions, at a cost that does not grow with n.

    Two coordinates of a random direction have density proportional to (1 - r^2)^((n-4)/2) at radius r. So
    1 - r^2 is distributed as U^(2/(n-2)) and eta = r cos(2 pi V) with U, V uniform: the Box-Muller method, which is
    its limit for large n.

    Args:
        count: number of cosines, at least 1.
        n: dimension, at least 2.
        generator, dtype, device: as in ``torch.rand``.

    Raises:
        TypeError, ValueError: ``count`` or ``n`` not an integer or too small.
    """
    require_integer("count", count, at_least=1)
    require_integer("n", n, at_least=2)
    uniform, turn = torch.rand(2, count, generator=generator, dtype=dtype, device=device)
    exponent = 2 / (n - 2) if n > 2 else math.inf  # in the plane r = 1
    radius = torch.sqrt(-torch.expm1(exponent * torch.log(uniform)))
    return radius * torch.cos(2 * math.pi * turn)


# --- Many nearly orthogonal vectors -----------------------------------------------------------------------------------


def coherence(X: Float[Tensor, "..."], block: int = 4096) -> Float[Tensor, ""]:
    """Largest absolute cosine between two different rows, in memory that grows as ``block``^2, not as N^2.

    Args:
        X: vectors as rows, shape (N, n) with N >= 2, none of them zero; they need not have length 1.
        block: rows a block, at least 1.

    Returns:
        A 0-d tensor in [0, 1], equal to the largest off-diagonal entry of the whole Gram matrix to 1e-12.

    Raises:
        TypeError: ``X`` not a floating tensor.
        ValueError: ``X`` not finite, not a matrix of at least two rows, or with a zero row; ``block`` below 1.
    """
    require_floating("X", X)
    require_shape("X", X, None, None)
    require_integer("number of rows of X", X.shape[0], at_least=2)
    require_integer("block", block, at_least=1)
    largest = X.abs().amax(dim=1, keepdim=True)
    if not largest.all():
        raise ValueError(f"X must have no zero row, got one at index {(largest == 0).nonzero()[0, 0].item()}")
    blocks = torch.nn.functional.normalize(X / largest, dim=1).split(block)  # scaled first: squares could overflow
    result = X.new_zeros(())
    for i, left in enumerate(blocks):
        result = torch.maximum(result, (left @ left.T).triu(diagonal=1).abs().max())
        for right in blocks[i + 1:]:
            result = torch.maximum(result, (left @ right.T).abs().max())
    return result.clamp(max=1)  # the product of two rounded unit vectors may exceed 1


def poisson_coherence_cdf(t: Float[Tensor, "..."], N: int, n: int) -> Float[Tensor, "..."]:
    """Approximate P(coherence <= t) of N random directions, exp(-N(N-1)/2 P(|eta| >= t)).

    The pairs are treated as rare independent events (Poisson). They are only pairwise independent: this is an
    approximation, good for N large.

    Args:
        t: thresholds in [0, 1].
        N: number of directions, at least 2.
        n: dimension, at least 2.

    Raises:
        TypeError, ValueError: ``t`` not floating, NaN or outside [0, 1]; ``N`` or ``n`` not an integer or too small.
    """
    require_integer("N", N, at_least=2)
    _require_interval("t", t, 0.0, 1.0)
    return torch.exp(-float(N * (N - 1)) * cosine_cdf(-t, n))


def welch_bound(N: int, n: int) -> float:
    """Least possible coherence of N vectors of R^n: sqrt((N-n)/(n(N-1))), and 0 while N <= n.

    Source: Welch, "Lower bounds on the maximum cross correlation of signals", IEEE Trans. Inf. Theory 20(3), 1974.

    Args:
        N: number of vectors, at least 2.
        n: dimension, at least 1.

    Raises:
        TypeError, ValueError: ``N`` or ``n`` not an integer or too small.
    """
    require_integer("N", N, at_least=2)
    require_integer("n", n, at_least=1)
    return math.sqrt(max(N - n, 0) / (n * (N - 1)))


def log_capacity(n: int, eps: float, delta: float) -> float:
    """Natural logarithm of a number of random directions that is safely nearly orthogonal.

    N <= sqrt(2 delta) (1 - eps^2)^(-(n-1)/4) directions have coherence at most ``eps`` with probability at least
    1 - ``delta``, by the union bound over pairs. The logarithm, because the number grows like e^(n eps^2/4).

    Args:
        n: dimension, at least 2.
        eps: largest absolute cosine allowed, in (0, 1).
        delta: probability of failure allowed, in (0, 1).

    Raises:
        TypeError, ValueError: ``n`` not an integer or below 2; ``eps`` or ``delta`` outside (0, 1).
    """
    require_integer("n", n, at_least=2)
    require_number("eps", eps, above=0.0, below=1.0)
    require_number("delta", delta, above=0.0, below=1.0)
    return math.log(2 * delta) / 2 - (n - 1) / 4 * math.log1p(-eps * eps)


# --- The experiments --------------------------------------------------------------------------------------------------


def memory_noise(n: int, N: int, trials: int, generator: torch.Generator | None = None,
                 dtype: torch.dtype | None = None, device: torch.device | str | None = None,
                 ) -> Float[Tensor, "trials N"]:
    """Noise of reading an associative memory that stores N bits in one vector of R^n.

    The bits b_i = -1 or 1 are stored as m = sum_i b_i k_i with random unit keys k_i, and bit j is read as the sign of
    <m, k_j>. The noise of bit j is b_j <m, k_j> - 1, a sum of N-1 cosines: its mean is 0, its variance (N-1)/n, and
    the bit is read wrongly where it is below -1.

    Args:
        n: dimension, at least 2.
        N: number of keys, at least 1.
        trials: number of independent memories, at least 1.
        generator, dtype, device: as in ``torch.randn``; the keys take trials * N * n numbers.

    Raises:
        TypeError, ValueError: a size is not an integer or too small.
    """
    require_integer("N", N, at_least=1)
    require_integer("trials", trials, at_least=1)
    keys = random_directions(trials * N, n, generator, dtype, device).view(trials, N, n)
    bits = 2 * torch.randint(2, (trials, N), generator=generator, device=device).to(keys.dtype) - 1
    memory = torch.einsum("tj,tjd->td", bits, keys)
    return bits * torch.einsum("td,tjd->tj", memory, keys) - 1


def memory_bit_errors(n: int, N: int, trials: int, generator: torch.Generator | None = None,
                      dtype: torch.dtype | None = None, device: torch.device | str | None = None,
                      ) -> Float[Tensor, " trials"]:
    """Share of bits read wrongly in each of ``trials`` memories; close to Phi(-sqrt(n/(N-1))). See ``memory_noise``."""
    noise = memory_noise(n, N, trials, generator, dtype, device)
    return (noise < -1).to(noise.dtype).mean(dim=1)


def softmax_entropy(scores: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Entropy in nats of softmax(scores) over the last dimension.

    For independent Gaussian scores of variance v it is close to log(keys) - v/2 while v < 2 log(keys).

    Args:
        scores: shape (..., keys).

    Returns:
        Shape (...), in [0, log keys], differentiable. Agrees with scipy.stats.entropy to 1e-12.

    Raises:
        TypeError, ValueError: ``scores`` not floating, 0-dimensional, empty, or not finite.
    """
    require_floating("scores", scores)
    if scores.dim() == 0:
        raise ValueError("scores must have shape (..., keys), got shape ()")
    log_probabilities = scores.log_softmax(dim=-1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
