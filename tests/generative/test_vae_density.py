"""The VAE density estimators against exact Gaussians (torch, scipy, mpmath), enumeration and seeded Monte Carlo."""

import itertools
import math
import warnings

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.distributions import Bernoulli, LowRankMultivariateNormal, MultivariateNormal, Normal, kl_divergence

from derivable.generative.vae_density import (
    GaussianVAE,
    HeavyTailWarning,
    LinearGaussianVAE,
    bernoulli_log_likelihood,
    gap_with_control_variate,
    gaussian_chi2,
    gaussian_log_likelihood,
    gaussian_weight_nodes,
    grid_log_prob,
    iwae_bound,
    jackknife_bound,
    linear_experiment,
    log_density_estimate,
    log_mean_bias_exact,
    log_weights,
    pareto_k,
    ppca_max_loglik,
    ring,
    ring_experiment,
    train,
)

Z_LIMIT = 4.5  # false alarm 7e-6


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def linear_model(d: int = 5, k: int = 2, sigma: float = 0.7, dtype: torch.dtype = torch.float64) -> LinearGaussianVAE:
    return LinearGaussianVAE(randn(d, k, seed=1, dtype=dtype), randn(d, seed=2, dtype=dtype),
                             torch.tensor(sigma, dtype=dtype))


def log_weights_1d(variance: float, *shape: int, seed: int = 0) -> torch.Tensor:
    """log(w/p(x)) for posterior N(0, 1) and encoder N(0, variance)."""
    return math.log(variance) / 2 - (variance - 1) / 2 * randn(*shape, seed=seed).square()


def random_covariance(k: int, seed: int) -> torch.Tensor:
    A = randn(k, k, seed=seed)
    return A @ A.T + 0.3 * torch.eye(k, dtype=torch.float64)


def z_score(values: torch.Tensor, expected: torch.Tensor | float) -> torch.Tensor:
    return (values.mean(0) - expected) / (values.std(0) / math.sqrt(len(values)))


# --- The linear-Gaussian model ---


@pytest.mark.parametrize("d, k", [(1, 1), (3, 2), (2, 3), (8, 2), (50, 10)])
def test_exact_density_agrees_with_torch_low_rank_normal(d, k):
    vae = linear_model(d, k)
    x = vae.sample(7, seeded())
    reference = LowRankMultivariateNormal(vae.mu, vae.W, vae.sigma.square().expand(d))
    torch.testing.assert_close(vae.log_prob(x), reference.log_prob(x), rtol=1e-10, atol=1e-10)


def test_exact_density_agrees_with_scipy():
    vae = linear_model()
    x = vae.sample(7, seeded())
    covariance = vae.W @ vae.W.T + vae.sigma.square() * torch.eye(5, dtype=torch.float64)
    reference = stats.multivariate_normal(vae.mu.numpy(), covariance.numpy()).logpdf(x.numpy())
    np.testing.assert_allclose(vae.log_prob(x).numpy(), reference, rtol=1e-10)


@pytest.mark.parametrize("sigma", [1e-6, 1e6])
def test_exact_density_keeps_its_digits_at_extreme_noise(sigma):
    vae = linear_model(3, 2, sigma)
    x = vae.sample(1, seeded())
    with mpmath.workdps(50):
        W, r = mpmath.matrix(vae.W.tolist()), mpmath.matrix(x[0].tolist()) - mpmath.matrix(vae.mu.tolist())
        covariance = W * W.T + mpmath.mpf(vae.sigma.item()) ** 2 * mpmath.eye(3)
        quadratic = (r.T * mpmath.inverse(covariance) * r)[0]
        reference = -(quadratic + mpmath.log(mpmath.det(covariance)) + 3 * mpmath.log(2 * mpmath.pi)) / 2
    assert vae.log_prob(x).item() == pytest.approx(float(reference), rel=1e-8)


def test_float32_density_agrees_with_float64():
    x = linear_model().sample(9, seeded())
    torch.testing.assert_close(linear_model(dtype=torch.float32).log_prob(x.float()).double(),
                               linear_model().log_prob(x), rtol=1e-4, atol=1e-4)


def test_posterior_satisfies_bayes_rule():
    vae, z = linear_model(), randn(4, 2, seed=3)
    x = vae.sample(4, seeded())
    joint = gaussian_log_likelihood(x, *vae.decode(z)) + Normal(0, 1).log_prob(z).sum(-1)
    torch.testing.assert_close(joint - vae.posterior(x).log_prob(z), vae.log_prob(x), rtol=1e-10, atol=1e-10)


def test_mean_field_encoder_has_the_best_elbo_of_all_diagonal_ones():
    vae = linear_model(k=3)
    x = vae.sample(1, seeded())
    mean, scale = vae.encode_mean_field(x)

    def kl(mean, scale):
        return kl_divergence(MultivariateNormal(mean, scale_tril=torch.diag_embed(scale)), vae.posterior(x))

    mean, scale = mean.clone().requires_grad_(), scale.clone().requires_grad_()
    for gradient in torch.autograd.grad(kl(mean, scale).sum(), (mean, scale)):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-10)
    assert kl(mean, scale) > 0.01  # the posterior is correlated: a diagonal encoder can't reach it


def test_samples_have_the_model_covariance():
    vae = linear_model(3, 2)
    x = vae.sample(200_000, seeded()) - vae.mu
    covariance = vae.W @ vae.W.T + vae.sigma.square() * torch.eye(3, dtype=torch.float64)
    products = x[:, :, None] * x[:, None, :]
    assert z_score(products, covariance).abs().max() < Z_LIMIT
    assert z_score(x, 0.0).abs().max() < Z_LIMIT


def test_density_is_differentiable():
    x = linear_model().sample(3, seeded())
    parameters = [value.clone().requires_grad_() for value in (randn(5, 2), randn(5), torch.tensor(0.7).double())]
    assert torch.autograd.gradcheck(lambda W, mu, sigma: LinearGaussianVAE(W, mu, sigma).log_prob(x), parameters)


# --- Likelihoods ---


def test_gaussian_likelihood_agrees_with_torch():
    x, mean = randn(4, 6), randn(3, 4, 6, seed=1)
    for sigma in (torch.tensor(0.3).double(), randn(6).exp(), randn(3, 4, 1).exp(), randn(3, 4, 6).exp()):
        expected = Normal(mean, sigma).log_prob(x).sum(-1)
        torch.testing.assert_close(gaussian_log_likelihood(x, mean, sigma), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 40])
def test_bernoulli_likelihood_agrees_with_torch_and_mpmath(size):
    x, logits = (randn(4, 6) > 0).double(), size * randn(3, 4, 6, seed=1)
    values = bernoulli_log_likelihood(x, logits)
    torch.testing.assert_close(values, Bernoulli(logits=logits).log_prob(x).sum(-1), rtol=1e-12, atol=1e-12)
    with mpmath.workdps(50):
        signed = ((2 * x - 1) * logits).flatten(0, 1).tolist()
        expected = [float(-mpmath.fsum(mpmath.log1p(mpmath.exp(-v)) for v in row)) for row in signed]
    np.testing.assert_allclose(values.flatten().numpy(), expected, rtol=1e-13)


# --- Weights and bounds ---


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_exact_posterior_makes_every_weight_the_density(dtype, tolerance):
    vae = linear_model(dtype=dtype)
    x = vae.sample(6, seeded())
    logs = log_weights(x, vae.encode, vae.decode, 9, generator=seeded())
    assert logs.dtype == dtype
    torch.testing.assert_close(logs, vae.log_prob(x).expand(9, 6), rtol=tolerance, atol=tolerance)


def test_diagonal_and_triangular_scales_agree():
    vae = linear_model()
    x = vae.sample(6, seeded())
    mean, scale = vae.encode_mean_field(x)
    diagonal = log_weights(x, lambda _: (mean, scale), vae.decode, 9, generator=seeded())
    triangular = log_weights(x, lambda _: (mean, torch.diag_embed(scale)), vae.decode, 9, generator=seeded())
    torch.testing.assert_close(diagonal, triangular, rtol=1e-12, atol=1e-12)


def test_weights_are_unbiased_and_their_log_has_mean_elbo():
    vae = linear_model()
    x = vae.sample(1, seeded())
    mean, scale = vae.encode_mean_field(x)
    logs = log_weights(x, vae.encode_mean_field, vae.decode, 200_000, generator=seeded())
    elbo = vae.log_prob(x) - kl_divergence(MultivariateNormal(mean, scale_tril=torch.diag_embed(scale)),
                                           vae.posterior(x))
    assert z_score((logs - vae.log_prob(x)).exp(), 1.0).abs().max() < Z_LIMIT
    assert z_score(logs, elbo).abs().max() < Z_LIMIT


def test_chunks_bound_the_decoder_and_keep_the_result():
    vae = linear_model(k=2)
    x = vae.sample(8, seeded())  # 16 numbers of noise per sample: torch draws the same stream in any chunks
    sizes = []

    def decode(z):
        sizes.append(len(z))
        return vae.decode(z)

    whole = log_weights(x, vae.encode_mean_field, decode, 10, generator=seeded())
    chunked = log_weights(x, vae.encode_mean_field, decode, 10, generator=seeded(), chunk_bytes=4 * 8 * 5 * 8)
    least = log_weights(x, vae.encode_mean_field, decode, 10, generator=seeded(), chunk_bytes=1)
    assert sizes == [10, 4, 4, 2] + [1] * 10
    torch.testing.assert_close(chunked, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(least, whole, rtol=1e-12, atol=1e-12)


def test_gradient_of_the_bound_at_the_exact_posterior_is_the_gradient_of_the_density():
    W = randn(5, 2).requires_grad_()
    mu, sigma, x = randn(5), torch.tensor(0.7).double(), randn(3, 5, seed=4)
    vae = LinearGaussianVAE(W, mu, sigma)
    bound = iwae_bound(log_weights(x, vae.encode, vae.decode, 3, generator=seeded())).sum()
    gradient, = torch.autograd.grad(bound, W, retain_graph=True)
    expected, = torch.autograd.grad(vae.log_prob(x).sum(), W)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9)


def test_bound_agrees_with_mpmath_far_outside_the_range_of_exp():
    logs = torch.stack([1000 * randn(5), -2000 + 3 * randn(5, seed=1)], 1)
    with mpmath.workdps(50):
        expected = [float(mpmath.log(mpmath.fsum(mpmath.exp(v) for v in column) / 5)) for column in logs.T.tolist()]
    np.testing.assert_allclose(iwae_bound(logs).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("spread", [0.1, 1.0, 30.0])
def test_jackknife_agrees_with_leaving_out_one_by_one(spread):
    logs = spread * randn(7, 3)
    left_out = torch.stack([iwae_bound(torch.cat([logs[:i], logs[i + 1:]])) for i in range(7)]).mean(0)
    torch.testing.assert_close(jackknife_bound(logs), 7 * iwae_bound(logs) - 6 * left_out, rtol=1e-10, atol=1e-10)


def test_jackknife_removes_the_bias_of_order_one_over_K():
    K, v = 8, 2.25 / math.sqrt(3.5) - 1
    values = jackknife_bound(log_weights_1d(2.25, K, 200_000))
    exact = {n: log_mean_bias_exact(*gaussian_weight_nodes(2.25), n).item() for n in (K - 1, K)}
    assert z_score(values, K * exact[K] - (K - 1) * exact[K - 1]).abs() < Z_LIMIT
    assert abs(values.mean()) < 0.3 * v / (2 * K)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=30), st.floats(-500, 500))
def test_bounds_shift_with_the_log_weights(values, shift):
    logs = torch.tensor(values, dtype=torch.float64)
    for bound in (iwae_bound, jackknife_bound):
        torch.testing.assert_close(bound(logs + shift), bound(logs) + shift, rtol=1e-10, atol=1e-9)


# --- The estimate and its diagnostics ---


def test_estimate_is_within_its_error_bars_and_warns_of_nothing_when_the_encoder_is_good():
    vae = linear_model()
    x = vae.sample(20, seeded())

    def wide_encode(x):
        mean, scale = vae.encode(x)
        return mean, 1.3 * scale

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate = log_density_estimate(x, wide_encode, vae.decode, 4000, generator=seeded())
    z = (estimate.log_density - vae.log_prob(x)) / estimate.standard_error
    assert z.abs().max() < Z_LIMIT and 0.4 < z.std() < 1.6  # the error bars are neither too small nor too large
    assert estimate.reliable.all()
    covariance = vae.posterior(x).covariance_matrix
    v = gaussian_chi2(torch.zeros(20, 2).double(), covariance, torch.zeros(20, 2).double(), 1.69 * covariance)
    torch.testing.assert_close(estimate.effective_sample_size, 4000 / (1 + v), rtol=0.05, atol=0)
    torch.testing.assert_close(estimate.standard_error, (v / 4000).sqrt(), rtol=0.1, atol=0)


def test_error_and_sample_size_follow_their_definitions_at_small_K():
    vae = linear_model()
    x = vae.sample(4, seeded())
    estimate = log_density_estimate(x, vae.encode_mean_field, vae.decode, 30, generator=seeded(5))
    weights = log_weights(x, vae.encode_mean_field, vae.decode, 30, generator=seeded(5)).exp().numpy()
    np.testing.assert_allclose(estimate.log_density, np.log(weights.mean(0)), rtol=1e-10)
    np.testing.assert_allclose(estimate.standard_error, stats.sem(weights) / weights.mean(0), rtol=1e-10)
    np.testing.assert_allclose(estimate.effective_sample_size, weights.sum(0)**2 / (weights**2).sum(0), rtol=1e-10)


def test_float32_estimate_sums_the_squares_in_float64():
    vae = linear_model(dtype=torch.float32)
    estimate = log_density_estimate(vae.sample(4, seeded()), vae.encode_mean_field, vae.decode, 1000,
                                    generator=seeded())
    assert [field.dtype for field in estimate] == [torch.float32, *[torch.float64] * 3, torch.bool]


def test_narrow_encoder_is_reported_as_unreliable():
    vae = linear_model()
    x = vae.sample(4, seeded())

    def narrow_encode(x):
        mean, scale = vae.encode(x)
        return mean, 0.3 * scale

    with pytest.warns(HeavyTailWarning, match="k-hat is above 0.7 for 4 of 4 rows"):
        estimate = log_density_estimate(x, narrow_encode, vae.decode, 4000, generator=seeded())
    assert not estimate.reliable.any() and (estimate.pareto_k > 0.7).all()


def test_exact_posterior_is_reliable_with_the_full_effective_sample_size():
    vae = linear_model()
    x = vae.sample(4, seeded())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate = log_density_estimate(x, vae.encode, vae.decode, 100, generator=seeded())
    assert (estimate.pareto_k == -torch.inf).all()
    torch.testing.assert_close(estimate.effective_sample_size, torch.full((4,), 100.0).double())
    assert (estimate.standard_error < 1e-12).all()


def test_one_sample_has_no_finite_error_bar():
    vae = linear_model()
    with pytest.warns(HeavyTailWarning):
        estimate = log_density_estimate(vae.sample(3, seeded()), vae.encode_mean_field, vae.decode, 1,
                                        generator=seeded())
    assert (estimate.standard_error == torch.inf).all() and (estimate.effective_sample_size == 1).all()
    assert estimate.log_density.isfinite().all() and not estimate.reliable.any()


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9, 1.5])
def test_pareto_k_recovers_the_shape_of_a_pareto_law(k):
    u = torch.rand(20_000, 8, generator=seeded(), dtype=torch.float64)
    # 424 tail points: the spread of one fit is about (1 + k) / sqrt(424), of the mean of eight a third of it.
    assert pareto_k(-k * u.log()).mean().item() == pytest.approx(k, abs=4.5 * (1 + k) / math.sqrt(8 * 424) + 0.01)


def test_pareto_k_agrees_with_scipy_maximum_likelihood():
    logs = log_weights_1d(0.4, 20_000)
    tail = logs.sort().values[-math.ceil(3 * math.sqrt(20_000)) - 1:]
    excess = (tail.exp() - tail[0].exp())[1:]
    shape, _, _ = stats.genpareto.fit(excess.numpy(), floc=0)
    assert pareto_k(logs[:, None]).item() == pytest.approx(shape, abs=0.03)


def test_pareto_k_of_degenerate_weights():
    assert pareto_k(torch.zeros(100, 1)).item() == -math.inf
    assert pareto_k(torch.zeros(20, 1)).item() == math.inf
    one_dominates = torch.full((100, 1), -1000.0).double() + randn(100, 1)
    one_dominates[3] = 0.0
    assert pareto_k(one_dominates).item() == math.inf


# --- Chi-square and the exact bias ---


def test_chi2_in_one_dimension_agrees_with_quadrature_and_with_the_closed_form():
    for m, s, a, q in [(0.0, 1.0, 0.0, 2.25), (0.3, 1.7, -0.4, 1.1), (1.0, 0.5, 0.0, 3.0)]:
        arguments = [torch.tensor(v, dtype=torch.float64).reshape(shape)
                     for v, shape in ((m, 1), (s, (1, 1)), (a, 1), (q, (1, 1)))]
        with mpmath.workdps(30):
            expected = mpmath.quad(lambda z, m=m, s=s, a=a, q=q: mpmath.npdf(z, m, mpmath.sqrt(s)) ** 2
                                   / mpmath.npdf(z, a, mpmath.sqrt(q)), [-40, -10, -3, 0, 3, 10, 40]) - 1
        assert gaussian_chi2(*arguments).item() == pytest.approx(float(expected), rel=1e-10)


def test_chi2_agrees_with_the_determinant_formula_in_mpmath():
    for k in (2, 3):
        m, a, S = randn(k, seed=5), randn(k, seed=6), random_covariance(k, 7)
        Q = 0.6 * S + 0.1 * random_covariance(k, 8)
        with mpmath.workdps(40):
            u = mpmath.matrix(m.tolist()) - mpmath.matrix(a.tolist())
            Sm, Qm = mpmath.matrix(S.tolist()), mpmath.matrix(Q.tolist())
            A, b = 2 * mpmath.inverse(Sm) - mpmath.inverse(Qm), mpmath.inverse(Qm) * u
            exponent = ((u.T * b)[0] + (b.T * mpmath.inverse(A) * b)[0]) / 2
            expected = mpmath.sqrt(mpmath.det(Qm) / mpmath.det(A)) / mpmath.det(Sm) * mpmath.exp(exponent) - 1
        assert gaussian_chi2(m, S, a, Q).item() == pytest.approx(float(expected), rel=1e-10)


def test_chi2_of_the_mean_field_encoder_is_infinite_beyond_correlation_one_half():
    zero, eye = torch.zeros(2).double(), torch.eye(2).double()

    def chi2(r):
        return gaussian_chi2(zero, torch.linalg.inv(eye + r * eye.flip(0)), zero, eye).item()

    assert chi2(0.49) == pytest.approx(2.8186411790773, rel=1e-10)
    assert chi2(0.51) == math.inf and chi2(-0.51) == math.inf and chi2(-0.49) < 3


def test_chi2_is_batched():
    m, a, S = randn(4, 2), randn(4, 2, seed=1), torch.stack([random_covariance(2, i) for i in range(4)])
    Q = torch.tensor([0.4, 0.8, 1.0, 2.0]).double()[:, None, None] * S
    one_by_one = torch.stack([gaussian_chi2(*row) for row in zip(m, S, a, Q, strict=True)])
    torch.testing.assert_close(gaussian_chi2(m, S, a, Q), one_by_one)
    assert one_by_one[0] == torch.inf and one_by_one[1:].isfinite().all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.55, 5))
def test_chi2_is_non_negative_and_does_not_change_with_coordinates(seed, k, ratio):
    m, a = randn(k, seed=seed), randn(k, seed=seed + 1)
    S, T = random_covariance(k, seed), random_covariance(k, seed + 9)
    value = gaussian_chi2(m, S, a, ratio * S)
    assert value >= 0
    moved = gaussian_chi2(T @ m, T @ S @ T.T, T @ a, ratio * T @ S @ T.T)
    torch.testing.assert_close(torch.log1p(moved), torch.log1p(value), rtol=1e-6, atol=1e-6)
    assert gaussian_chi2(m, S, m, S).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("variance", [0.01, 0.25, 0.64, 1.0, 2.25, 10.0, 30.0])
def test_exact_bias_at_one_sample_is_the_kl_divergence(variance):
    kl = (variance - 1 - math.log(variance)) / 2
    assert log_mean_bias_exact(*gaussian_weight_nodes(variance), 1).item() == pytest.approx(-kl, abs=1e-11)


def test_exact_bias_agrees_with_enumeration():
    log_ratio, probability = torch.tensor([[-3.0, 0.2, 1.5], [0.5, 0.3, 0.2]], dtype=torch.float64)
    for K in (1, 2, 3, 5):
        expected = 0.0
        for states in itertools.product(range(3), repeat=K):
            chosen = list(states)
            expected += probability[chosen].prod() * iwae_bound(log_ratio[chosen])
        assert log_mean_bias_exact(log_ratio, probability, K).item() == pytest.approx(expected.item(), abs=1e-11)


def test_exact_bias_of_two_samples_agrees_with_a_double_integral():
    log_ratio, probability = gaussian_weight_nodes(2.25)
    log_ratio, probability = log_ratio[::4], probability[::4] / probability[::4].sum()
    pairs = torch.logaddexp(log_ratio[:, None], log_ratio) - math.log(2)
    expected = probability @ pairs @ probability
    assert log_mean_bias_exact(*gaussian_weight_nodes(2.25), 2).item() == pytest.approx(expected.item(), abs=1e-11)


def test_exact_bias_is_finite_when_the_probabilities_add_up_to_just_over_one():
    for seed in range(20):
        probability = torch.rand(1000, generator=seeded(seed), dtype=torch.float64)
        log_ratio, probability = randn(1000, seed=seed), probability / probability.sum()
        assert log_mean_bias_exact(log_ratio, probability, 1).item() == pytest.approx(
            (log_ratio @ probability).item(), abs=1e-11)


def test_bias_has_the_two_term_expansion_in_one_over_K():
    log_ratio, probability = gaussian_weight_nodes(2.25)
    deviation = log_ratio.exp() - 1
    v, third = (deviation**2 @ probability).item(), (deviation**3 @ probability).item()
    assert v == pytest.approx(2.25 / math.sqrt(3.5) - 1, rel=1e-12)
    remainders = {K: -log_mean_bias_exact(log_ratio, probability, K).item() - v / (2 * K)
                  + (third / 3 - 3 * v**2 / 4) / K**2 for K in (64, 256)}
    assert remainders[64] / remainders[256] == pytest.approx(64, rel=0.05)  # what is left is O(K^-3)


def test_narrow_encoder_breaks_the_one_over_K_law():
    bias = [-log_mean_bias_exact(*gaussian_weight_nodes(0.25), 4**i).item() for i in range(9)]
    published = [0.318, 0.203, 0.121, 0.0697, 0.0401, 0.0232, 0.0135, 0.0080, 0.0047]
    np.testing.assert_allclose(bias, published, atol=5.1e-4)
    slope = math.log(bias[8] / bias[7]) / math.log(4)
    assert slope == pytest.approx(-1 / 3 - 1 / (2 * 7.5 * math.log(4)), abs=0.01)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(-20, 5), st.floats(0.01, 1)), min_size=2, max_size=6))
def test_bias_shrinks_with_every_sample(states):
    log_ratio, probability = torch.tensor(states, dtype=torch.float64).T
    probability = probability / probability.sum()
    log_mean = torch.logsumexp(log_ratio + probability.log(), 0).item()
    values = [log_mean_bias_exact(log_ratio, probability, K).item() for K in (1, 2, 3, 4, 8)] + [log_mean]
    assert values[0] == pytest.approx((log_ratio @ probability).item(), abs=1e-10)
    assert all(before <= after + 1e-11 for before, after in itertools.pairwise(values))


def test_control_variate_finds_the_exact_gap_with_a_much_smaller_error():
    logs = log_weights_1d(2.25, 64, 20_000) - 7
    mean, error = gap_with_control_variate(logs, torch.tensor(-7.0).double())
    exact = -log_mean_bias_exact(*gaussian_weight_nodes(2.25), 64)
    assert abs(mean - exact) / error < Z_LIMIT
    assert error < iwae_bound(logs).std() / math.sqrt(20_000) / 15


# --- pPCA and the experiments ---


@pytest.mark.parametrize("n, d, k", [(200, 5, 2), (200, 5, 0), (4, 8, 2)])
def test_ppca_maximum_is_attained_and_not_exceeded(n, d, k):
    x = randn(n, d) * torch.arange(1, d + 1)
    mu, centred = x.mean(0), x - x.mean(0)
    values, vectors = np.linalg.eigh((centred.T @ centred / n).numpy())
    values, vectors = torch.tensor(values).flip(0), torch.tensor(vectors.copy()).flip(1)
    noise = values[k:].mean()
    W = vectors[:, :max(k, 1)] * ((values[:max(k, 1)] - noise).sqrt() if k else 0)
    best = ppca_max_loglik(x, k).item()
    at_maximum = LinearGaussianVAE(W, mu, noise.sqrt()).log_prob(x).mean().item()
    assert best == pytest.approx(at_maximum, rel=1e-10)
    for shift in (0.9, 1.1):
        assert LinearGaussianVAE(W, mu, shift * noise.sqrt()).log_prob(x).mean().item() < best


def test_linear_vae_reaches_the_ppca_maximum_with_a_tight_elbo():
    result = linear_experiment(0, points=300, steps=1200)
    assert -1e-12 < result.maximum - result.log_density < 2e-3
    assert 0 <= result.log_density - result.elbo < 2e-3
    assert result.cosine < 0.02


def test_grid_agrees_with_the_exact_density():
    vae = linear_model(3, 2)
    x = vae.sample(5, seeded())
    torch.testing.assert_close(grid_log_prob(x, vae.decode, half_width=9.0, points=201), vae.log_prob(x),
                               rtol=1e-8, atol=1e-8)


def test_ring_has_the_radius_and_noise_it_was_asked_for():
    x = ring(50_000, radius=3.0, noise=0.1, generator=seeded())
    assert z_score(x.square().sum(1), 9 + 2 * 0.1**2).abs() < Z_LIMIT
    assert z_score(x, 0.0).abs().max() < Z_LIMIT


def test_ring_experiment_measures_a_shrinking_gap_and_repeats():
    sizes = {"points": 500, "tests": 20, "steps": 60, "batch": 64, "sample_sizes": (1, 8, 64)}
    result = ring_experiment(0, 1, **sizes)
    assert result.gaps[1] > result.gaps[8] > result.gaps[64] > 0
    assert math.isfinite(result.log_density)
    assert ring_experiment(0, 1, **sizes) == result != ring_experiment(1, 1, **sizes)


def test_training_lowers_the_loss_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    generator = seeded()
    vae = GaussianVAE(2, 2, 16, generator=generator, dtype=torch.float32)
    x = ring(500, generator=generator, dtype=torch.float32)
    losses = train(vae, x, K=4, steps=400, batch=64, learning_rate=1e-2, generator=generator)
    assert losses.shape == (400,) and losses[-50:].mean() < losses[:5].mean() - 0.5
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("hidden", [0, 4])
def test_every_parameter_has_the_dtype_that_was_asked_for(dtype, hidden):
    vae = GaussianVAE(2, 3, hidden, generator=seeded(), dtype=dtype)
    assert {name: value.dtype for name, value in vae.state_dict().items()} == dict.fromkeys(vae.state_dict(), dtype)
    assert [value.dtype for value in (*vae.encode(randn(5, 2, dtype=dtype)), *vae.decode(randn(5, 3, dtype=dtype)))] == [dtype] * 4


def test_training_draws_its_rows_on_the_device_of_the_data(monkeypatch):
    """Seen from the call, because on a machine without a GPU the default device is the right one as well."""
    devices, randint = [], torch.randint

    def spy(*arguments, **options):
        devices.append(options.get("device"))
        return randint(*arguments, **options)

    monkeypatch.setattr(torch, "randint", spy)
    vae = GaussianVAE(2, 2, 4, generator=seeded(), dtype=torch.float64)
    train(vae, ring(9, generator=seeded()), K=1, steps=2, batch=3, learning_rate=0.1, generator=seeded())
    assert devices == [torch.device("cpu")] * 2


# --- Bad input ---

VAE = linear_model()
X = randn(3, 5)
ZERO, EYE = torch.zeros(2).double(), torch.eye(2).double()
BAD = torch.tensor([[1.0, math.nan]]).double()
RING_VAE = GaussianVAE(2, 2, 4, generator=seeded(), dtype=torch.float64)
TRAINING = {"K": 1, "steps": 1, "batch": 2, "learning_rate": 0.1, "generator": seeded()}


def weights(x=X, encode=VAE.encode, decode=VAE.decode, K=2, **more):
    return log_weights(x, encode, decode, K, **more)


def encode_with(mean=None, scale=None):
    return lambda x: (torch.zeros(3, 2).double() if mean is None else mean,
                      torch.ones(3, 2).double() if scale is None else scale)


@pytest.mark.parametrize("call, error, message", [
    (lambda: weights(K=0), ValueError, "K must be at least 1, got 0"),
    (lambda: weights(K=True), TypeError, "K must be an integer"),
    (lambda: weights(x=X.long()), TypeError, "x must have a floating dtype"),
    (lambda: weights(x=X[0]), ValueError, "x must have shape"),
    (lambda: weights(x=X[:0]), ValueError, "x must not be empty"),
    (lambda: weights(x=X / 0), ValueError, "x must be finite"),
    (lambda: weights(x=X[:, :4], encode=encode_with()), ValueError, "the mean from decode must have shape"),
    (lambda: weights(chunk_bytes=0), ValueError, "chunk_bytes must be at least 1"),
    (lambda: weights(encode=encode_with(mean=torch.zeros(2, 2).double())), ValueError, "the mean from encode"),
    (lambda: weights(encode=encode_with(scale=torch.zeros(3, 2).double())), ValueError,
     "the scale from encode .* must be positive, got 0.0"),
    (lambda: weights(encode=encode_with(scale=-EYE.expand(3, 2, 2))), ValueError, "the scale from encode .* must be positive, got -1.0"),
    (lambda: weights(encode=encode_with(scale=torch.ones(3, 2, 2).double())), ValueError,
     "the scale from encode must be lower triangular"),
    (lambda: weights(encode=encode_with(scale=torch.ones(3, 3).double())), ValueError, "the scale from encode"),
    (lambda: weights(decode=lambda z: (VAE.decode(z)[0] * math.nan, VAE.sigma)), ValueError,
     r"log p\(x\|z\) from decode must be finite, got nan"),
    (lambda: weights(decode=lambda z: (VAE.decode(z)[0], -VAE.sigma)), ValueError, "sigma from decode must be pos"),
    (lambda: weights(decode=lambda z: (VAE.decode(z)[0], VAE.sigma / 0 * 0)), ValueError, "sigma from decode"),
    (lambda: weights(decode=lambda z: VAE.decode(z)[:1], log_likelihood=bernoulli_log_likelihood), ValueError,
     "x must hold only 0 and 1"),
    (lambda: log_density_estimate(X, VAE.encode, VAE.decode, 0), ValueError, "K must be at least 1"),
    (lambda: iwae_bound(BAD), ValueError, "log_weights must be finite"),
    (lambda: iwae_bound(torch.tensor(1.0)), ValueError, "log_weights must have shape"),
    (lambda: iwae_bound(torch.zeros(0, 2)), ValueError, "log_weights must not be empty"),
    (lambda: jackknife_bound(torch.zeros(1, 2)), ValueError,
     "K, the first size of log_weights, must be at least 2, got 1"),
    (lambda: pareto_k(torch.zeros(3)), ValueError, "log_weights must have shape"),
    (lambda: gap_with_control_variate(torch.zeros(3, 1), torch.tensor(0.0)), ValueError,
     r"log_weights must have shape \(K, R, ...\) with R >= 2, got \(3, 1\)"),
    (lambda: gap_with_control_variate(torch.zeros(3, 4), torch.zeros(4)), ValueError, "log_prob must have shape"),
    (lambda: LinearGaussianVAE(EYE, ZERO, torch.tensor(0.0)), ValueError, "sigma must be positive, got 0.0"),
    (lambda: LinearGaussianVAE(EYE, ZERO, torch.ones(2)), ValueError, "sigma must have shape"),
    (lambda: LinearGaussianVAE(EYE, torch.zeros(3), torch.tensor(1.0)), ValueError, "mu must have shape"),
    (lambda: LinearGaussianVAE(ZERO, ZERO, torch.tensor(1.0)), ValueError, "W must have shape"),
    (lambda: VAE.log_prob(X[:, :4]), ValueError, "x must have shape"),
    (lambda: VAE.sample(0), ValueError, "n must be at least 1"),
    (lambda: ppca_max_loglik(X, 5), ValueError, "k must be below the 5 columns"),
    (lambda: ppca_max_loglik(X, 2), ValueError, "x must spread outside a plane of dimension k = 2"),
    (lambda: ppca_max_loglik(torch.ones(4, 3), 1), ValueError, "x must spread outside a plane of dimension k = 1"),
    (lambda: ppca_max_loglik(X[:1], 0), ValueError, "the number of rows of x must be at least 2"),
    (lambda: gaussian_chi2(ZERO, -EYE, ZERO, EYE), ValueError, "S must be symmetric and positive definite"),
    (lambda: gaussian_chi2(ZERO, EYE, ZERO, EYE + EYE[:1]), ValueError, "Q must be symmetric"),
    (lambda: gaussian_chi2(ZERO, EYE, ZERO[:1], EYE), ValueError, "a must have shape"),
    (lambda: gaussian_chi2(ZERO, EYE[:1], ZERO, EYE), ValueError, "S must have shape"),
    (lambda: gaussian_weight_nodes(0.0), ValueError, "variance must be at least 0.01"),
    (lambda: log_mean_bias_exact(ZERO, ZERO, 1), ValueError, "probability must be non-negative with sum 1, got sum 0"),
    (lambda: log_mean_bias_exact(ZERO, torch.tensor([-1.0, 2.0]), 1), ValueError, "probability must be non-negative"),
    (lambda: log_mean_bias_exact(ZERO, ZERO[:1], 1), ValueError, "probability must have shape"),
    (lambda: log_mean_bias_exact(ZERO, ZERO + 0.5, 0), ValueError, "K must be at least 1"),
    (lambda: log_mean_bias_exact(-BAD[0].log() / 0, ZERO + 0.5, 1), ValueError, "log_ratio must be finite"),
    (lambda: ring(0), ValueError, "n must be at least 1"),
    (lambda: ring(3, noise=-1.0), ValueError, "noise must be greater than 0"),
    (lambda: grid_log_prob(X, VAE.decode, points=1), ValueError, "points must be at least 2"),
    (lambda: grid_log_prob(X[:, :4], VAE.decode), ValueError, "the mean from decode must have shape"),
    (lambda: GaussianVAE(2, 0, 4, generator=seeded(), dtype=torch.float64), ValueError, "k must be at least 1"),
    (lambda: GaussianVAE(0, 2, 4, generator=seeded(), dtype=torch.float64), ValueError, "d must be at least 1"),
    (lambda: GaussianVAE(2, 2, -1, generator=seeded(), dtype=torch.float64), ValueError, "hidden must be at least 0"),
    (lambda: gap_with_control_variate(torch.zeros(3, 4), torch.tensor(1)), TypeError, "log_prob must have a floating"),
    (lambda: gap_with_control_variate(torch.tensor([1]), torch.tensor(1.0)), TypeError, "log_weights must have a float"),
    (lambda: grid_log_prob(X[0], VAE.decode), ValueError, r"x must have shape \(any, any\), got \(5,\)"),
    (lambda: grid_log_prob(X.long(), VAE.decode), TypeError, "x must have a floating dtype"),
    (lambda: grid_log_prob(X, VAE.decode, half_width=0.0), ValueError, "half_width must be greater than 0"),
    (lambda: ring(3, radius=0.0), ValueError, "radius must be greater than 0"),
    (lambda: ring(3, noise=0.0), ValueError, "noise must be greater than 0"),
    (lambda: ppca_max_loglik(X.long(), 1), TypeError, "x must have a floating dtype"),
    (lambda: ppca_max_loglik(X[0], 1), ValueError, "x must have shape"),
    (lambda: ppca_max_loglik(X, -1), ValueError, "k must be at least 0"),
    (lambda: gaussian_chi2(torch.tensor([1, 2]), EYE, ZERO, EYE), TypeError, "m must have a floating dtype"),
    (lambda: gaussian_chi2(ZERO, EYE.long(), ZERO, EYE), TypeError, "S must have a floating dtype"),
    (lambda: gaussian_chi2(ZERO[0], EYE, ZERO, EYE), ValueError, r"m must have shape \(..., k\), got \(\)"),
    (lambda: gaussian_weight_nodes(30.1), ValueError, "variance must be at least 0.01 and at most 30"),
    (lambda: log_mean_bias_exact(torch.tensor([1]), ZERO, 1), TypeError, "log_ratio must have a floating dtype"),
    (lambda: log_mean_bias_exact(ZERO, torch.tensor([1, 0]), 1), TypeError, "probability must have a floating dtype"),
    (lambda: log_mean_bias_exact(EYE, ZERO + 0.5, 1), ValueError, "log_ratio must have shape"),
    (lambda: LinearGaussianVAE(EYE.long(), ZERO, torch.tensor(1.0)), TypeError, "W must have a floating dtype"),
    (lambda: LinearGaussianVAE(EYE, ZERO, torch.tensor(1)), TypeError, "sigma must have a floating dtype"),
    (lambda: VAE.log_prob(X.long()), TypeError, "x must have a floating dtype"),
    (lambda: weights(encode=lambda x: (torch.zeros(3, 2).long(), EYE)), TypeError, "the mean from encode must have a fl"),
    (lambda: weights(encode=encode_with(scale=torch.ones(3, 2).long())), TypeError, "the scale from encode must have a"),
    (lambda: train(RING_VAE, X[:, :2].long(), **TRAINING), TypeError, "x must have a floating dtype"),
    (lambda: train(RING_VAE, X[:, :2], **TRAINING | {"steps": 0}), ValueError, "steps must be at least 1"),
    (lambda: train(RING_VAE, X[:, :2], **TRAINING | {"batch": 0}), ValueError, "batch must be at least 1"),
    (lambda: train(RING_VAE, X[:, :2], **TRAINING | {"learning_rate": 0.0}), ValueError, "learning_rate must be great"),
])
def test_bad_input_is_a_clear_error(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()
