"""Log-density of a variational autoencoder (VAE): importance sampling, its exact bias, and ground truth.

Notation: prior p(z) = N(0, I_k); decoder p(x|z); encoder q(z|x); weight w = p(x|z) p(z) / q(z|x), z ~ q(z|x).
K samples give L_K = E log(mean of w), the importance-weighted bound, and L_1 is the evidence lower bound (ELBO).

An encoder is a function ``x (B, d) -> mean (B, k), scale``; the scale is (B, k), one standard deviation for each
coordinate, or (B, k, k), a lower-triangular Cholesky factor. A decoder is a function ``z (..., k) -> parameters``,
a tuple that goes to the log-likelihood: (mean, sigma) for the Gaussian, (logits,) for the Bernoulli.
"""

import math
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence
from torch.nn import functional as F

from derivable.arguments import require_floating, require_integer, require_number, require_shape

LOG_2PI = math.log(2 * math.pi)
PARETO_K_LIMIT = 0.7  # above it the error no longer falls at a usable rate (Vehtari et al., arXiv:1507.02646)

Encoder = Callable[[Tensor], tuple[Tensor, Tensor]]
Decoder = Callable[[Tensor], tuple[Tensor, ...]]


class HeavyTailWarning(UserWarning):
    """The weights have so heavy a tail that the standard error can't be trusted."""


class LogDensityEstimate(NamedTuple):
    """An estimate of log p(x) for each x, with what is needed to judge it; every field has shape (B,)."""

    log_density: Float[Tensor, " batch"]
    standard_error: Float[Tensor, " batch"]
    effective_sample_size: Float[Tensor, " batch"]
    pareto_k: Float[Tensor, " batch"]
    reliable: Bool[Tensor, " batch"]


def _require_positive(name: str, value: Tensor) -> None:
    if not (value > 0).all():
        raise ValueError(f"{name} must be positive, got {value.min().item()}")


def _require_log_weights(value: object, at_least: int) -> None:
    require_floating("log_weights", value)
    if value.ndim == 0:
        raise ValueError("log_weights must have shape (K, ...), got ()")
    require_integer("K, the first size of log_weights,", value.shape[0], at_least=at_least)


# --- The estimator ---------------------------------------------------------------------------------------------------


def gaussian_log_likelihood(x: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """Log-density of N(mean, diag(sigma^2)) at x, summed over the last axis.

    Args:
        x: data, (B, d).
        mean: (..., B, d).
        sigma: positive standard deviations; a scalar, or of last size 1 or d and broadcast against ``mean``.

    Returns:
        (..., B). Agrees with ``torch.distributions.Normal`` to 1e-12 in float64.

    Raises:
        ValueError: ``sigma`` is not positive, or ``mean`` does not end in the shape of ``x``.
    """
    require_shape("the mean from decode", mean, *mean.shape[:-2], *x.shape)
    _require_positive("sigma from decode", sigma)
    d = x.shape[-1]
    log_volume = sigma.log().expand(*sigma.shape[:-1], d).sum(-1)
    return -((x - mean) / sigma).square().sum(-1) / 2 - log_volume - d / 2 * LOG_2PI


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """Log-probability of the binary vector x under independent Bernoulli variables, summed over the last axis.

    Args:
        x: data of zeros and ones, (B, d). Grey values are refused: the cross-entropy is then not a density.
        logits: (..., B, d).

    Returns:
        (..., B). In float64 it agrees with ``torch.distributions.Bernoulli`` to 1e-12, with mpmath to 1e-13 relative.

    Raises:
        ValueError: ``x`` is not binary, or ``logits`` does not end in the shape of ``x``.
    """
    require_shape("the logits from decode", logits, *logits.shape[:-2], *x.shape)
    if not ((x == 0) | (x == 1)).all():
        raise ValueError("x must hold only 0 and 1 for a Bernoulli decoder")
    return F.logsigmoid((2 * x - 1) * logits).sum(-1)


def log_weights(x: Tensor, encode: Encoder, decode: Decoder, K: int, *, generator: torch.Generator | None = None,
                log_likelihood: Callable[..., Tensor] = gaussian_log_likelihood,
                chunk_bytes: int = 2**20) -> Float[Tensor, "K batch"]:
    """Log importance weights log w = log p(x|z) + log p(z) - log q(z|x) for K reparameterised samples of each x.

    Differentiable in the parameters of both networks. Memory for the decoder's output is about ``chunk_bytes``
    unless gradients are kept; the default fits a CPU cache, and a GPU wants more (2**28).

    Args:
        x: data, (B, d), floating.
        encode: the encoder (see the module's text).
        decode: the decoder; it is called with (n, B, k) for chunks of n <= K samples.
        K: samples for each x, at least 1.
        generator: source of the noise, on the device of ``x``.
        log_likelihood: log p(x|z) from ``x`` and the decoder's parameters.
        chunk_bytes: size of one array (n, B, d) of decoder outputs; never less than one sample of the batch.

    Returns:
        (K, B). With the exact posterior as encoder every entry is log p(x), to 1e-12 in float64.

    Raises:
        TypeError: ``x`` is not floating, ``K`` not an integer.
        ValueError: K < 1, a wrong shape, a scale that is not positive, a network's output that is not finite.

    Source: Burda, Grosse, Salakhutdinov, arXiv:1509.00519, equation 8.
    """
    require_floating("x", x)
    require_shape("x", x, None, None)
    require_integer("K", K, at_least=1)
    require_integer("chunk_bytes", chunk_bytes, at_least=1)
    mean, scale = encode(x)
    require_floating("the mean from encode", mean)
    require_floating("the scale from encode", scale)
    (batch, d), k = x.shape, mean.shape[-1]
    require_shape("the mean from encode", mean, batch, k)
    full = scale.ndim == 3
    require_shape("the scale from encode", scale, batch, k, *([k] if full else []))
    deviations = scale.diagonal(dim1=-2, dim2=-1) if full else scale
    _require_positive("the scale from encode (its diagonal, when triangular)", deviations)
    if full and not torch.equal(scale, scale.tril()):
        raise ValueError("the scale from encode must be lower triangular when it has shape (B, k, k)")
    log_volume = deviations.log().sum(-1)

    rows = max(1, chunk_bytes // (batch * d * x.element_size()))
    result = x.new_empty(K, batch)  # filled in place: a list of small results would break up the heap between chunks
    for start in range(0, K, rows):
        noise = torch.randn(min(rows, K - start), batch, k, generator=generator, dtype=x.dtype, device=x.device)
        z = mean + (torch.einsum("bij,nbj->nbi", scale, noise) if full else scale * noise)
        log_prior_over_encoder = (noise.square() - z.square()).sum(-1) / 2 + log_volume  # the 2 pi cancels
        likelihood = log_likelihood(x, *decode(z))
        require_shape("log p(x|z) from decode", likelihood, len(noise), batch)
        result[start:start + len(noise)] = likelihood + log_prior_over_encoder
    require_floating("log p(x|z) from decode", result)
    return result


def iwae_bound(log_weights: Tensor) -> Tensor:
    """The estimate log(mean of w) of log p(x), whose expectation is L_K; K = 1 gives the ELBO's estimate.

    Args:
        log_weights: (K, ...), finite.

    Returns:
        (...). Agrees with the sum in 50 digits to 1e-12 in float64.

    Raises:
        TypeError, ValueError: not a floating, finite tensor with K >= 1.
    """
    _require_log_weights(log_weights, at_least=1)
    return torch.logsumexp(log_weights, 0) - math.log(log_weights.shape[0])


def jackknife_bound(log_weights: Tensor) -> Tensor:
    """K L_K - (K-1) (mean of the leave-one-out L_{K-1}): the bias falls from O(1/K) to O(1/K^2); no longer a bound.

    Args:
        log_weights: (K, ...), finite, K >= 2.

    Returns:
        (...). Agrees with the K leave-one-out sums done one by one to 1e-10 in float64.

    Raises:
        TypeError, ValueError: not a floating, finite tensor with K >= 2.

    Source: Nowozin, Debiasing evidence approximations, ICLR 2018 (JVI, order 1).
    """
    _require_log_weights(log_weights, at_least=2)
    K = log_weights.shape[0]
    total = torch.logsumexp(log_weights, 0)
    # log(sum - w_i) loses its digits only when w_i is most of the sum: the largest weight is left out by hand.
    largest = log_weights.argmax(0, keepdim=True)
    without_largest = torch.logsumexp(log_weights.scatter(0, largest, -torch.inf), 0)
    share = (log_weights - total).exp().scatter(0, largest, 0.0)
    left_out = (total + torch.log1p(-share)).scatter(0, largest, without_largest[None])
    return K * (total - math.log(K)) - (K - 1) * (left_out.mean(0) - math.log(K - 1))


def pareto_k(log_weights: Tensor) -> Tensor:
    """Shape of a generalised Pareto law fitted to the largest weights: moments of order above 1/k are infinite.

    The tail is the min(K/5, 3 sqrt K) largest weights; the fit is Zhang and Stephens' posterior mean, shrunk
    towards 1/2 by ten pseudo-observations.

    Args:
        log_weights: (K, B), finite.

    Returns:
        (B,) in float64: ``-inf`` when the tail is flat to rounding (bounded weights, such as with the exact posterior),
        ``inf`` when it has under five weights (K <= 20) or they are nothing beside the largest. Otherwise it agrees
        with ``arviz.psislw`` to 1e-10, and with the true shape of a Pareto law within the fit's spread.

    Raises:
        TypeError, ValueError: not a floating, finite tensor (K, B).

    Source: Vehtari et al., arXiv:1507.02646; Zhang and Stephens, Technometrics 51 (2009).
    """
    _require_log_weights(log_weights, at_least=1)
    require_shape("log_weights", log_weights, None, None)
    K = log_weights.shape[0]
    size = math.ceil(min(K / 5, 3 * math.sqrt(K)))
    logs = log_weights.detach().double().sort(0).values[-size - 1:]
    if size < 5:
        return torch.full_like(logs[0], torch.inf)
    weights = (logs - logs[-1]).exp()
    excess = weights[1:] - weights[0]

    points = 30 + math.isqrt(size)
    quartile = excess[int(size / 4 + 0.5) - 1]
    grid = 1 - (points / (torch.arange(points, dtype=logs.dtype, device=logs.device) + 0.5)).sqrt()
    theta = grid[:, None] / (3 * quartile) + 1 / excess[-1]
    shape = torch.log1p(-theta[:, None] * excess).mean(1)
    log_posterior = size * ((-theta / shape).log() - shape)  # up to a constant
    theta = (theta * log_posterior.softmax(0)).sum(0)
    fitted = (size * torch.log1p(-theta * excess).mean(0) + 5) / (size + 10)
    flat = logs[-1] - logs[0] <= torch.finfo(log_weights.dtype).eps ** 0.5
    return fitted.nan_to_num(torch.inf, torch.inf, torch.inf).masked_fill(flat, -torch.inf)


def log_density_estimate(x: Tensor, encode: Encoder, decode: Decoder, K: int, *,
                         generator: torch.Generator | None = None,
                         log_likelihood: Callable[..., Tensor] = gaussian_log_likelihood,
                         chunk_bytes: int = 2**20) -> LogDensityEstimate:
    """Estimate log p(x) by K importance samples, with its standard error, effective sample size and Pareto k-hat.

    The standard error is the delta method's, sd(w) / (sqrt(K) mean(w)), and infinite for K = 1. It says nothing of
    the bias, about -(standard error)^2 / 2. Where k-hat is above 0.7 ``reliable`` is false and a ``HeavyTailWarning``
    is given: the error bar of such an x means little. No gradients are kept; train with ``iwae_bound``.

    Args, Raises: as ``log_weights``.

    Returns:
        ``LogDensityEstimate``; ``log_density`` has the dtype of ``x``, the rest are float64 (sums of squares).
        On a linear-Gaussian model the estimate lies within its error bars of ``LinearGaussianVAE.log_prob``.
    """
    with torch.no_grad():
        logs = log_weights(x, encode, decode, K, generator=generator, log_likelihood=log_likelihood,
                           chunk_bytes=chunk_bytes)
    weights = (logs - logs.max(0).values).double().exp()
    effective = weights.sum(0).square() / weights.square().sum(0)
    variance = weights.var(0) / weights.mean(0).square() if K > 1 else torch.full_like(effective, torch.inf)
    k_hat = pareto_k(logs)
    reliable = k_hat <= PARETO_K_LIMIT
    if not reliable.all():
        warnings.warn(f"k-hat is above {PARETO_K_LIMIT} for {int((~reliable).sum())} of {len(x)} rows of x (largest "
                      f"{k_hat.max().item():.2f}, K = {K}): their standard errors can't be trusted",
                      HeavyTailWarning, stacklevel=2)
    return LogDensityEstimate(iwae_bound(logs), (variance / K).sqrt(), effective, k_hat, reliable)


def gap_with_control_variate(log_weights: Tensor, log_prob: Tensor) -> tuple[Tensor, Tensor]:
    """The gap log p(x) - L_K from R repetitions when log p(x) is known: the mean of Y - 1 - log Y, Y = mean(w)/p(x).

    Y has mean exactly 1, so Y - 1 is a control variate: it removes the leading noise of -log Y and costs nothing.

    Args:
        log_weights: (K, R, ...), R >= 2 repetitions for the same x, finite.
        log_prob: the exact log p(x), (...).

    Returns:
        mean and standard error, (...). Agrees with ``log_mean_bias_exact`` within the error.

    Raises:
        TypeError, ValueError: an argument is not floating and finite, or has no axis of repetitions.
    """
    _require_log_weights(log_weights, at_least=1)
    require_floating("log_prob", log_prob)
    if log_weights.ndim < 2 or log_weights.shape[1] < 2:
        raise ValueError(f"log_weights must have shape (K, R, ...) with R >= 2, got {tuple(log_weights.shape)}")
    require_shape("log_prob", log_prob, *log_weights.shape[2:])
    log_ratio = iwae_bound(log_weights) - log_prob
    values = torch.expm1(log_ratio) - log_ratio
    return values.mean(0), values.std(0) / math.sqrt(len(values))


# --- Exact numbers ---------------------------------------------------------------------------------------------------


class LinearGaussianVAE:
    """The model x = W z + mu + sigma noise, whose density and posterior are known.

    Args:
        W: (d, k), floating.
        mu: (d,).
        sigma: positive scalar tensor, the decoder's standard deviation.

    Raises:
        TypeError: not floating tensors.
        ValueError: wrong shapes, values that are not finite, sigma <= 0.

    Source: Tipping and Bishop, Probabilistic principal component analysis, JRSS B 61 (1999).
    """

    def __init__(self, W: Tensor, mu: Tensor, sigma: Tensor) -> None:
        for name, value in (("W", W), ("mu", mu), ("sigma", sigma)):
            require_floating(name, value)
        require_shape("W", W, None, None)
        require_shape("mu", mu, W.shape[0])
        require_shape("sigma", sigma)
        _require_positive("sigma", sigma)
        self.W, self.mu, self.sigma = W, mu, sigma
        identity = torch.eye(W.shape[1], dtype=W.dtype, device=W.device)
        self.precision = identity + W.T @ W / sigma.square()  # of the posterior; the same for every x

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """Exact p(z|x) = N(precision^-1 W^T (x - mu) / sigma^2, precision^-1), for x of shape (B, d)."""
        require_floating("x", x)
        require_shape("x", x, None, self.W.shape[0])
        projected = (x - self.mu) @ self.W / self.sigma.square()
        mean = torch.cholesky_solve(projected.T, torch.linalg.cholesky(self.precision)).T
        return MultivariateNormal(mean, precision_matrix=self.precision)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x) of N(mu, W W^T + sigma^2 I) for x of shape (B, d); shape (B,), cost O(d k) for each x.

        Agrees with ``torch.distributions.LowRankMultivariateNormal`` to 1e-10 in float64.
        """
        z = self.posterior(x).mean
        # Woodbury as a sum of squares: the exponent at the posterior mean z is the quadratic form in x.
        squares = ((x - self.mu - z @ self.W.T) / self.sigma).square().sum(-1) + z.square().sum(-1)
        d = self.W.shape[0]
        log_determinant = 2 * d * self.sigma.log() + torch.logdet(self.precision)
        return -(squares + log_determinant + d * LOG_2PI) / 2

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The exact posterior as an encoder: mean (B, k) and Cholesky factor (B, k, k)."""
        posterior = self.posterior(x)
        return posterior.mean, posterior.scale_tril

    def encode_mean_field(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The diagonal encoder with the best ELBO: the posterior mean, and variances 1 / diag(precision)."""
        mean = self.posterior(x).mean
        return mean, self.precision.diagonal().rsqrt().expand_as(mean)

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean W z + mu of the decoder, and its standard deviation."""
        return z @ self.W.T + self.mu, self.sigma

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, d)."""
        require_integer("n", n, at_least=1)
        d, k = self.W.shape
        noise = torch.randn(n, k + d, generator=generator, dtype=self.W.dtype, device=self.W.device)
        return self.decode(noise[:, :k])[0] + self.sigma * noise[:, k:]


def ppca_max_loglik(x: Tensor, k: int) -> Tensor:
    """Largest mean log-likelihood that a linear-Gaussian model with k latent variables reaches on the data.

    Args:
        x: data, (n, d), n >= 2.
        k: latent variables, 0 <= k < d.

    Returns:
        Scalar, nats for each row. Agrees with ``LinearGaussianVAE.log_prob`` at the maximum to 1e-10 in float64.

    Raises:
        TypeError, ValueError: bad types or shapes, or data in a k-plane (the likelihood is then unbounded).

    Source: Tipping and Bishop (1999), equations 8 to 11.
    """
    require_floating("x", x)
    require_shape("x", x, None, None)
    n, d = x.shape
    require_integer("the number of rows of x", n, at_least=2)
    require_integer("k", k, at_least=0)
    if k >= d:
        raise ValueError(f"k must be below the {d} columns of x, got {k}")
    variances = torch.linalg.svdvals(x - x.mean(0)).square() / n
    variances = F.pad(variances, (0, d - len(variances)))
    noise = variances[k:].mean()
    if noise <= torch.finfo(x.dtype).eps * variances[0]:
        raise ValueError(f"x must spread outside a plane of dimension k = {k}: the likelihood is unbounded")
    return -(d * (LOG_2PI + 1) + variances[:k].log().sum() + (d - k) * noise.log()) / 2


def gaussian_chi2(m: Tensor, S: Tensor, a: Tensor, Q: Tensor) -> Tensor:
    """Variance Var(w)/p(x)^2 of the weights, chi^2(N(m, S) || N(a, Q)), for posterior N(m, S) and encoder N(a, Q).

    With Q = L L^T, B = L^T S^-1 L = V diag(beta) V^T and c = V^T L^-1 (m - a),
    log(1 + chi^2) = sum of log beta - log(2 beta - 1)/2 + c^2 beta / (2 beta - 1); infinite once a beta <= 1/2.

    Args:
        m, a: means, (..., k).
        S, Q: covariances, (..., k, k), symmetric and positive definite.

    Returns:
        (...), ``inf`` where the variance is infinite. Agrees with mpmath quadrature to 1e-10 in float64.

    Raises:
        TypeError, ValueError: not floating and finite, shapes that don't fit, a covariance that is not one.
    """
    for name, value in (("m", m), ("S", S), ("a", a), ("Q", Q)):
        require_floating(name, value)
    if m.ndim == 0:
        raise ValueError("m must have shape (..., k), got ()")
    require_shape("a", a, *m.shape)
    factors = {}
    for name, covariance in (("S", S), ("Q", Q)):
        require_shape(name, covariance, *m.shape, m.shape[-1])
        factors[name], info = torch.linalg.cholesky_ex(covariance)
        if info.any() or not torch.allclose(covariance, covariance.mT):
            raise ValueError(f"{name} must be symmetric and positive definite, got {covariance.tolist()}")
    whitened = torch.linalg.solve_triangular(factors["S"], factors["Q"], upper=False)
    beta, V = torch.linalg.eigh(whitened.mT @ whitened)
    shift = torch.linalg.solve_triangular(factors["Q"], (m - a)[..., None], upper=False)
    c = (V.mT @ shift)[..., 0]
    finite = (beta > 0.5).all(-1)
    beta = torch.where(finite[..., None], beta, 1.0)
    excess = beta - 1
    terms = torch.log1p(excess) - torch.log1p(2 * excess) / 2 + c.square() * beta / (2 * beta - 1)
    return torch.where(finite, torch.expm1(terms.sum(-1)), torch.inf)


def gaussian_weight_nodes(variance: float) -> tuple[Tensor, Tensor]:
    """Quadrature nodes for w/p(x) when the posterior is N(0, 1) and the encoder N(0, variance).

    Args:
        variance: the encoder's, in [0.01, 30].

    Returns:
        log(w/p(x)) and probability at 4001 equally spaced points, float64 (the trapezoid rule converges
        geometrically here). What lies outside has probability 1e-23.
    """
    require_number("variance", variance, at_least=0.01, at_most=30.0)
    y = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    log_ratio = math.log(variance) / 2 - (variance - 1) / 2 * y.square()
    return log_ratio, (-y.square() / 2).softmax(0)


def log_mean_bias_exact(log_ratio: Tensor, probability: Tensor, K: int) -> Tensor:
    """E log(mean of K independent ratios), the bias L_K - log p(x), without sampling.

    Frullani's integral log u = int_0^inf (e^-s - e^(-s u)) / s ds gives, with phi(s) = E e^(-s ratio),
    E log(mean) = int (e^-s - phi(s/K)^K) / s ds; the trapezoid rule in log s converges geometrically.

    Args:
        log_ratio: log(w/p(x)) at each state of a discrete law, or at quadrature nodes, (n,).
        probability: of each state, (n,), non-negative, sum 1.
        K: samples, at least 1.

    Returns:
        Scalar, nats, at most log E ratio. Agrees with enumeration, and for ``gaussian_weight_nodes`` with
        -KL(q || posterior) at K = 1, to 1e-11 in float64 (to which the work is converted).

    Raises:
        TypeError, ValueError: bad types, shapes, values that are not finite, not a probability vector, K < 1.
    """
    require_floating("log_ratio", log_ratio)
    require_floating("probability", probability)
    require_shape("log_ratio", log_ratio, None)
    require_shape("probability", probability, len(log_ratio))
    require_integer("K", K, at_least=1)
    log_ratio, probability = log_ratio.double(), probability.double()
    if (probability < 0).any() or abs(probability.sum() - 1) > 1e-6:
        raise ValueError(f"probability must be non-negative with sum 1, got sum {probability.sum().item()}")
    probability = probability / probability.sum()
    log_mean = torch.logsumexp(log_ratio + probability.log(), 0)
    ratio = log_ratio - log_mean  # of mean 1, so that the integrand is O(s) at 0 and the lower limit is universal
    step = 0.125  # error exp(-pi^2 / step) = 5e-35
    log_s = torch.arange(-45.0, math.log(40 * K) - ratio.min().item(), step, dtype=torch.float64, device=ratio.device)
    total = torch.zeros_like(log_mean)
    for t in log_s.split(256):
        one_minus_phi = -torch.expm1(-(t[:, None] + ratio - math.log(K)).exp()) @ probability
        total += ((-t.exp()).exp() - (K * torch.log1p(-one_minus_phi.clamp(max=1))).exp()).sum()
    return log_mean + step * total


# --- Experiments -----------------------------------------------------------------------------------------------------


class GaussianVAE(nn.Module):
    """A VAE with tanh networks, a diagonal Gaussian encoder, and a Gaussian decoder with one learned sigma.

    Args:
        d: data columns.
        k: latent variables.
        hidden: width of the one hidden layer of each network; 0 for affine networks.
        generator: of the initial weights, on the device where the model is made.
        dtype: of the parameters.
    """

    def __init__(self, d: int, k: int, hidden: int, *, generator: torch.Generator, dtype: torch.dtype) -> None:
        super().__init__()
        for name, value, least in (("d", d, 1), ("k", k, 1), ("hidden", hidden, 0)):
            require_integer(name, value, at_least=least)

        def network(inputs: int, outputs: int) -> nn.Sequential:
            sizes = [inputs, hidden, outputs] if hidden else [inputs, outputs]
            layers = []
            for fan_in, fan_out in pairwise(sizes):
                linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out, dtype=dtype, device=generator.device)
                nn.init.xavier_uniform_(linear.weight, generator=generator)
                nn.init.zeros_(linear.bias)
                layers += [linear, nn.Tanh()]
            return nn.Sequential(*layers[:-1])

        self.encoder = network(d, 2 * k)
        nn.init.zeros_(self.encoder[-1].weight[k:])  # start with q(z|x) of unit width
        self.decoder = network(k, d)
        self.log_sigma = nn.Parameter(torch.zeros((), dtype=dtype, device=generator.device))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviations of q(z|x)."""
        mean, log_scale = self.encoder(x).chunk(2, dim=-1)
        return mean, log_scale.exp()

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of p(x|z)."""
        return self.decoder(z), self.log_sigma.exp()


def train(vae: GaussianVAE, x: Tensor, *, K: int, steps: int, batch: int, learning_rate: float,
          generator: torch.Generator) -> Tensor:
    """Maximise the K-sample bound by Adam with a cosine schedule; returns the loss of each step, (steps,)."""
    require_floating("x", x)
    require_integer("steps", steps, at_least=1)
    require_integer("batch", batch, at_least=1)
    require_number("learning_rate", learning_rate, above=0.0)
    optimizer = torch.optim.Adam(vae.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for _ in range(steps):
        rows = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        loss = -iwae_bound(log_weights(x[rows], vae.encode, vae.decode, K, generator=generator)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return torch.stack(losses)


class LinearResult(NamedTuple):
    """Mean over the data, in nats, and the largest |cosine| between two columns of W."""

    maximum: float
    log_density: float
    elbo: float
    cosine: float


def linear_experiment(seed: int, *, points: int = 2000, d: int = 8, k: int = 2, steps: int = 3000,
                      dtype: torch.dtype = torch.float64, device: str | torch.device = "cpu") -> LinearResult:
    """Train a linear VAE with a diagonal encoder; compare its exact likelihood and ELBO with the pPCA maximum.

    The data come from a linear-Gaussian model with k random orthogonal columns of norms from 2 to 1, and sigma = 0.5.
    Distinct norms matter: the rotation that makes the diagonal encoder exact is learned at the rate of their gap.
    """
    generator = torch.Generator(device).manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(d, k, generator=generator, dtype=dtype, device=device)).Q
    W = directions * torch.linspace(2, 1, k, dtype=dtype, device=device)
    x = LinearGaussianVAE(W, torch.zeros_like(W[:, 0]), torch.full_like(W[0, 0], 0.5)).sample(points, generator)
    vae = GaussianVAE(d, k, 0, generator=generator, dtype=dtype)
    train(vae, x, K=1, steps=steps, batch=points, learning_rate=1e-2, generator=generator)
    with torch.no_grad():
        trained = LinearGaussianVAE(vae.decoder[0].weight, vae.decoder[0].bias, vae.log_sigma.exp())
        log_density = trained.log_prob(x)
        mean, scale = vae.encode(x)
        gap = kl_divergence(MultivariateNormal(mean, scale_tril=torch.diag_embed(scale)), trained.posterior(x))
        columns = F.normalize(trained.W, dim=0)
        cosine = (columns.T @ columns).triu(1).abs().max()
        return LinearResult(ppca_max_loglik(x, k).item(), log_density.mean().item(),
                            (log_density - gap).mean().item(), cosine.item())


def ring(n: int, *, radius: float = 2.0, noise: float = 0.15, generator: torch.Generator | None = None,
         dtype: torch.dtype = torch.float64, device: str | torch.device = "cpu") -> Tensor:
    """n points (n, 2), uniform on a circle, with Gaussian noise of standard deviation ``noise`` on each coordinate."""
    require_integer("n", n, at_least=1)
    require_number("radius", radius, above=0.0)
    require_number("noise", noise, above=0.0)
    angle = 2 * math.pi * torch.rand(n, generator=generator, dtype=dtype, device=device)
    circle = radius * torch.stack([angle.cos(), angle.sin()], -1)
    return circle + noise * torch.randn(n, 2, generator=generator, dtype=dtype, device=device)


def grid_log_prob(x: Tensor, decode: Decoder, *, half_width: float = 6.0, points: int = 401) -> Tensor:
    """log p(x) of a Gaussian VAE with two latent variables, by the trapezoid rule on a square grid of z.

    Args:
        x: (B, d).
        decode: gives (mean, sigma) with a scalar sigma.
        half_width: of the square; the prior mass outside 6 is 4e-9.
        points: on each side.

    Returns:
        (B,). On a linear decoder it agrees with ``LinearGaussianVAE.log_prob`` to 1e-8 in float64, as long as
        the image of a grid step is not larger than sigma; doubling ``points`` shows whether it is.
    """
    require_floating("x", x)
    require_shape("x", x, None, None)
    require_number("half_width", half_width, above=0.0)
    require_integer("points", points, at_least=2)
    axis = torch.linspace(-half_width, half_width, points, dtype=x.dtype, device=x.device)
    z = torch.cartesian_prod(axis, axis)
    log_prior = -z.square().sum(-1) / 2 - LOG_2PI + 2 * math.log(2 * half_width / (points - 1))
    mean, sigma = decode(z)
    require_shape("sigma from decode", sigma)
    return torch.stack([torch.logsumexp(gaussian_log_likelihood(row.expand(len(z), -1), mean, sigma) + log_prior, 0)
                        for row in x])


class RingResult(NamedTuple):
    """Mean exact log-density of fresh points in nats, and the mean gap log p(x) - L_K at each number of samples."""

    log_density: float
    gaps: dict[int, float]


def ring_experiment(seed: int, train_K: int, *, points: int = 4000, tests: int = 200, hidden: int = 32,
                    steps: int = 3000, batch: int = 256, sample_sizes: tuple[int, ...] = (1, 8, 64, 512, 4096),
                    dtype: torch.dtype = torch.float64, device: str | torch.device = "cpu") -> RingResult:
    """Train a VAE on the noisy ring with ``train_K`` samples; measure its exact density and the gap of L_K.

    Each L_K is averaged over the disjoint groups of K among max(sample_sizes) samples, a multiple of each K.
    """
    generator = torch.Generator(device).manual_seed(seed)
    x = ring(points + tests, generator=generator, dtype=dtype, device=device)
    vae = GaussianVAE(2, 2, hidden, generator=generator, dtype=dtype)
    train(vae, x[:points], K=train_K, steps=steps, batch=batch, learning_rate=1e-2, generator=generator)
    with torch.no_grad():
        exact = grid_log_prob(x[points:], vae.decode)
        logs = log_weights(x[points:], vae.encode, vae.decode, max(sample_sizes), generator=generator)
        gaps = {K: (exact - iwae_bound(logs.unflatten(0, (K, -1)))).mean().item() for K in sample_sizes}
    return RingResult(exact.mean().item(), gaps)
