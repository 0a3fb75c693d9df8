"""The laws of the angle against mpmath and scipy, the samplers against the laws, and every refusal of bad input."""

import math
import re
from functools import partial

import mpmath
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from derivable.probability.random_vector_angles import (
    angle_cumulant,
    angle_pdf,
    angle_variance,
    coherence,
    cosine_cdf,
    cosine_logsf,
    cosine_pdf,
    density_constant,
    log_capacity,
    memory_bit_errors,
    memory_noise,
    poisson_coherence_cdf,
    random_cosines,
    random_directions,
    softmax_entropy,
    welch_bound,
)

mpmath.mp.dps = 30
law = settings(max_examples=50, deadline=None, derandomize=True)
dimensions = st.integers(2, 10**6)
ELEMENTWISE = [angle_pdf, cosine_pdf, cosine_cdf, cosine_logsf]


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def thresholds(n):
    """Cosines at the centre, at typical size, in the tails and next to 1, for dimension n."""
    spread = 1 / math.sqrt(n)
    candidates = [0.0, 1e-8, 0.1 * spread, spread, 3 * spread, 8 * spread, 20 * spread, 0.5, 0.9, 0.999, 1 - 1e-10]
    return sorted({t for t in candidates if t < 1})


def exact_constant(n):
    return mpmath.gamma(mpmath.mpf(n) / 2) / mpmath.sqrt(mpmath.pi) / mpmath.gamma(mpmath.mpf(n - 1) / 2)


def exact_log_tail(t, n):
    """log P(eta > t), the integral of sin^(n-2) from 0 to arccos(t), scaled by its largest value."""
    edge = mpmath.acos(t)
    width = 1 / ((n - 1) * mpmath.mpf(t) + mpmath.sqrt(n - 1))
    cuts = [0, *(edge - k * width for k in (60, 25, 10, 4) if edge > k * width), edge]
    area = mpmath.quad(lambda angle: (mpmath.sin(angle) / mpmath.sin(edge)) ** (n - 2), cuts)
    return mpmath.log(exact_constant(n) * area) + (n - 2) * mpmath.log(mpmath.sin(edge))


def assert_agree(computed, exact, rel=1e-12):
    assert len(computed) == len(exact) > 0
    for ours, truth in zip(computed.tolist(), exact, strict=True):
        assert abs(ours - truth) <= rel * abs(truth), (ours, truth)


# --- The laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 10, 999, 1000, 1003, 10**6])
def test_the_laws_agree_with_mpmath_at_generic_points_and_in_the_tails(n):
    t = thresholds(n)
    log_tail = [exact_log_tail(x, n) for x in t]
    assert_agree(cosine_logsf(f64(t), n), log_tail)

    likely = [(x, mpmath.exp(value)) for x, value in zip(t, log_tail, strict=True) if value > -690]
    x, tail = zip(*likely, strict=True)
    assert_agree(cosine_cdf(-f64(x), n), tail)
    assert_agree(cosine_cdf(f64(x), n), [1 - value for value in tail])
    assert_agree(cosine_logsf(-f64(x), n), [mpmath.log1p(-value) for value in tail])
    density = [exact_constant(n) * (1 - mpmath.mpf(v) ** 2) ** (mpmath.mpf(n - 3) / 2) for v in x]
    assert_agree(cosine_pdf(f64(x), n), density)
    angles = [a for v in x for a in (math.acos(v), math.pi - math.acos(v))]
    assert_agree(angle_pdf(f64(angles), n), [exact_constant(n) * mpmath.sin(a) ** (n - 2) for a in angles])


@pytest.mark.parametrize("n", [2, 3, 4, 5, 17, 128])
def test_the_laws_agree_with_scipy_beta(n):
    t = torch.linspace(-0.98, 0.98, 41, dtype=torch.float64)
    beta = scipy.stats.beta((n - 1) / 2, (n - 1) / 2)
    unit = (1 + t.numpy()) / 2
    assert_agree(cosine_pdf(t, n), beta.pdf(unit) / 2)
    assert_agree(cosine_cdf(t, n), beta.cdf(unit))
    assert_agree(cosine_logsf(t, n), beta.logsf(unit))
    assert_agree(angle_pdf(t.acos(), n), beta.pdf(unit) / 2 * t.acos().sin().numpy())


@pytest.mark.parametrize("n", [2, 3, 4, 10, 1000, 10**6])
def test_the_density_constant_is_the_ratio_of_gammas(n):
    assert density_constant(n) == pytest.approx(float(exact_constant(n)), rel=1e-14)


@law
@given(dimensions, st.floats(-8, 8))
def test_the_two_densities_are_one_law_in_two_variables(n, deviations):
    theta = f64(math.pi / 2 - math.atan(deviations / math.sqrt(n)))
    torch.testing.assert_close(angle_pdf(theta, n), cosine_pdf(theta.cos(), n) * theta.sin(), rtol=1e-11, atol=0)


@law
@given(dimensions, st.floats(0, 1))
def test_the_tail_obeys_the_three_concentration_bounds(n, t):
    log_tail = cosine_logsf(f64(t), n).item()
    first = math.log(0.5) + ((n - 1) / 2 * math.log1p(-t * t) if t < 1 else -math.inf)
    second = math.log(0.5) - (n - 1) * t * t / 2
    slack = 1e-12 * (1 + n * t * t)
    assert log_tail <= first + slack
    assert first <= second + slack
    assert second <= -n * t * t / 2 + slack


@law
@given(dimensions, st.floats(-1, 1), st.floats(-1, 1))
def test_the_distribution_function_is_monotone_and_symmetric(n, a, b):
    low, high = cosine_cdf(f64(sorted([a, b])), n)
    assert 0 <= low <= high + 1e-14 <= 1 + 1e-14
    assert cosine_cdf(f64(a), n) + cosine_cdf(f64(-a), n) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("n", [2, 3, 4, 1000, 10**6])
def test_the_laws_at_the_end_points(n):
    ends = f64([-1.0, 1.0])
    assert cosine_cdf(ends, n).tolist() == [0, 1]
    assert cosine_logsf(ends, n).tolist() == [0, -math.inf]
    assert cosine_pdf(ends, n).tolist() == [{2: math.inf, 3: 0.5}.get(n, 0.0)] * 2
    for dtype in (torch.float32, torch.float64):
        angles = torch.tensor([0.0, math.pi], dtype=dtype)
        expected = torch.full((2,), 1 / math.pi if n == 2 else 0.0, dtype=dtype)
        torch.testing.assert_close(angle_pdf(angles, n), expected, rtol=1e-6, atol=1e-15)
    assert cosine_cdf(f64(0.0), n).item() == pytest.approx(0.5, abs=1e-14)


@pytest.mark.parametrize("n", [2, 3, 4, 10, 128, 10**6])
def test_the_gradients_are_the_density_and_the_hazard(n):
    t = (f64([-2.0, -0.3, 0.0, 0.2, 1.3]) / math.sqrt(max(n, 4))).clamp(-0.99, 0.99).requires_grad_()
    (slope,) = torch.autograd.grad(cosine_cdf(t, n).sum(), t, create_graph=True)
    assert torch.equal(slope, cosine_pdf(t, n))
    (curvature,) = torch.autograd.grad(slope.sum(), t)
    torch.testing.assert_close(curvature, -(n - 3) * t / (1 - t**2) * slope, rtol=1e-10, atol=1e-10)
    (log_slope,) = torch.autograd.grad(cosine_logsf(t, n).sum(), t)
    torch.testing.assert_close(log_slope, -cosine_pdf(t, n) / cosine_cdf(-t, n), rtol=1e-9, atol=0)
    assert torch.equal(torch.func.grad(lambda x: cosine_cdf(x, n).sum())(t.detach()), slope.detach())


@pytest.mark.parametrize(("n", "slope"), [(3, 0), (5, 1.5), (6, 0), (2000, 0), (10**6, 0)])
def test_the_slope_of_the_cosine_density_at_its_end_points(n, slope):
    ends = f64([-1.0, 1.0]).requires_grad_()
    (gradient,) = torch.autograd.grad(cosine_pdf(ends, n).sum(), ends)
    torch.testing.assert_close(gradient, f64([slope, -slope]))


def test_the_gradient_in_the_angle_is_that_of_the_formula():
    theta = f64([0.0, 0.4, 1.9, math.pi]).requires_grad_()
    (slope,) = torch.autograd.grad(angle_pdf(theta, 5).sum(), theta)
    torch.testing.assert_close(slope, density_constant(5) * 3 * theta.sin() ** 2 * theta.cos())


@pytest.mark.parametrize("function", ELEMENTWISE)
@pytest.mark.parametrize("n", [2, 3, 10, 300, 10**6])
def test_float32_keeps_shape_and_dtype_and_four_digits(function, n):
    deviations = torch.tensor([[-3.0, -1.0, -0.1], [0.2, 1.1, 4.0]])
    argument = (deviations / math.sqrt(max(n, 20))).float()
    argument = argument.acos() if function is angle_pdf else argument
    single, double = function(argument, n), function(argument.double(), n)
    assert single.shape == argument.shape and single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=0)


# --- Cumulants --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 10, 10**6])
def test_even_cumulants_are_polygammas(n):
    for k in range(1, 11):
        exact = (-1) ** (k + 1) * mpmath.mpf(2) ** (1 - 2 * k) * mpmath.psi(2 * k - 1, mpmath.mpf(n) / 2)
        assert_agree(f64([angle_cumulant(n, 2 * k)]), [exact])


@pytest.mark.parametrize("n", [2, 3, 7])
def test_cumulants_are_those_of_the_density(n):
    def moment(k):
        area = mpmath.quad(lambda a: mpmath.sin(a) ** (n - 2) * (a - mpmath.pi / 2) ** k, [0, mpmath.pi / 2, mpmath.pi])
        return float(exact_constant(n) * area)

    assert angle_cumulant(n, 1) == math.pi / 2
    assert angle_cumulant(n, 2) == angle_variance(n) == pytest.approx(moment(2), rel=1e-13)
    assert angle_cumulant(n, 3) == 0
    assert angle_cumulant(n, 4) == pytest.approx(moment(4) - 3 * moment(2) ** 2, rel=1e-12)


@pytest.mark.parametrize(("n", "exact"), [
    (2, math.pi**2 / 12), (3, math.pi**2 / 4 - 2), (4, math.pi**2 / 12 - 1 / 2), (5, math.pi**2 / 4 - 20 / 9),
    (6, math.pi**2 / 12 - 5 / 8),
])  # fmt: skip
def test_variance_in_low_dimensions(n, exact):
    assert angle_variance(n) == pytest.approx(exact, rel=1e-13)


@law
@given(dimensions)
def test_the_variance_lies_between_its_expansions(n):
    lower = 1 / n + 1 / n**2
    assert lower * (1 - 1e-15) < angle_variance(n) < (lower + 2 / (3 * n**3)) * (1 + 1e-15)


# --- Samples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 4, 10, 1000])
def test_sampled_cosines_follow_the_law(n):
    direct = random_cosines(40_000, n, generator(1), torch.float64)
    pairs = torch.stack([random_directions(4_000, n, generator(seed), torch.float64) for seed in (2, 3)])
    for sample in (direct, pairs.prod(dim=0).sum(dim=1).clamp(-1, 1)):
        test = scipy.stats.kstest(sample.numpy(), lambda t: cosine_cdf(torch.from_numpy(t), n).numpy())
        assert test.pvalue > 1e-4
        variance_of_square = 2 * (n - 1) / (n**2 * (n + 2))
        z = (sample.square().mean().item() - 1 / n) / math.sqrt(variance_of_square / len(sample))
        assert abs(z) < 4.5


def test_the_variance_of_sampled_angles_is_half_a_trigamma():
    for n in (2, 3, 100):
        angles = random_cosines(200_000, n, generator(n), torch.float64).acos()
        variance = angle_variance(n)
        error = math.sqrt((angle_cumulant(n, 4) + 2 * variance**2) / len(angles))
        assert abs(angles.var().item() - variance) < 4.5 * error


@pytest.mark.parametrize("sample", [random_cosines, random_directions])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_repeat_with_their_generator_and_leave_the_global_one_alone(sample, dtype):
    state = torch.get_rng_state()
    first, again, other = (sample(50, 5, generator(seed), dtype, "cpu") for seed in (7, 7, 8))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.dtype == dtype and torch.isfinite(first).all() and first.abs().max() <= 1
    assert torch.equal(state, torch.get_rng_state())


def test_random_directions_have_length_one_and_no_preferred_axis():
    X = random_directions(20_000, 3, generator(), torch.float64)
    torch.testing.assert_close(X.norm(dim=1), torch.ones(20_000, dtype=torch.float64))
    torch.testing.assert_close(X.T @ X / 20_000, torch.eye(3, dtype=torch.float64) / 3, rtol=0, atol=0.012)
    assert X.mean(dim=0).abs().max() < 4.5 / math.sqrt(3 * 20_000)


# --- Many nearly orthogonal vectors -----------------------------------------------------------------------------------


@law
@given(st.integers(2, 40), st.integers(2, 9), st.integers(1, 50), st.integers(0, 100))
def test_coherence_is_the_largest_off_diagonal_cosine_for_every_block(N, n, block, seed):
    X = torch.randn(N, n, generator=generator(seed), dtype=torch.float64)
    gram = torch.nn.functional.normalize(X, dim=1) @ torch.nn.functional.normalize(X, dim=1).T
    expected = gram.abs().fill_diagonal_(0).max()
    torch.testing.assert_close(coherence(X, block), expected, rtol=1e-12, atol=0)
    stretched = X * torch.logspace(-150, 150, N, dtype=torch.float64)[:, None]
    torch.testing.assert_close(coherence(stretched, block), expected, rtol=1e-12, atol=0)
    assert coherence(X, block) >= welch_bound(N, n) * (1 - 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_coherence_of_parallel_rows_has_an_angle(dtype):
    X = torch.randn(200, 3, generator=generator(), dtype=dtype)
    result = coherence(torch.cat([X, -3 * X]), block=64)
    assert 1 - 1e-6 < result <= 1 and not result.acos().isnan()
    assert coherence(torch.eye(5, dtype=dtype), block=2) == 0


def test_welch_bound_is_attained_by_the_simplex():
    for n in (2, 3, 10):
        basis = torch.eye(n + 1, dtype=torch.float64)
        simplex = basis - basis.mean(dim=0)  # n + 1 vectors that span n dimensions
        assert coherence(simplex).item() == pytest.approx(welch_bound(n + 1, n), rel=1e-12)
    assert welch_bound(10, 10) == 0


@pytest.mark.parametrize(("n", "eps", "directions"), [
    (256, 0.3, 408), (512, 0.3, 1.71e5), (768, 0.2, 2.51e3), (1024, 0.2, 3.42e4), (4096, 0.1, 2.94e4),
])  # fmt: skip
def test_capacity_at_even_odds(n, eps, directions):
    assert math.exp(log_capacity(n, eps, 0.5)) == pytest.approx(directions, rel=3e-3)


@law
@given(st.integers(2, 10**6), st.floats(0.01, 0.99), st.floats(0.001, 0.999))
def test_capacity_is_a_union_bound_over_pairs(n, eps, delta):
    log_pairs = 2 * log_capacity(n, eps, delta) - math.log(2)
    log_failure = log_pairs + math.log(2) + cosine_logsf(f64(eps), n).item()
    assert log_failure <= math.log(delta) + 1e-12 * n


def test_poisson_law_gives_the_median_coherence():
    for n, N, median in [(64, 100, 0.4550), (256, 500, 0.2791), (1024, 1000, 0.1501)]:
        below, above = poisson_coherence_cdf(f64([median - 1e-4, median + 1e-4]), N, n)
        assert below < 0.5 < above
    sampled = torch.stack([coherence(random_directions(100, 64, generator(seed))) for seed in range(20)]).median()
    assert sampled.item() == pytest.approx(0.4550, rel=0.03)


@law
@given(dimensions, st.floats(0, 1))
def test_poisson_law_of_one_pair_errs_by_the_square_of_its_tail(n, t):
    exceeds = 2 * cosine_cdf(f64(-t), n)
    error = poisson_coherence_cdf(f64(t), 2, n) - (1 - exceeds)
    assert -1e-14 <= error <= exceeds**2 / 2 + 1e-14


# --- The experiments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_noise_has_the_predicted_mean_and_variance(dtype):
    n, N = 64, 17
    noise = memory_noise(n, N, 2000, generator(), dtype)
    assert noise.shape == (2000, N) and noise.dtype == dtype
    per_memory = noise.double().mean(dim=1)  # memories are independent, the bits of one memory are not
    assert abs(per_memory.mean()) < 4.5 * per_memory.std() / math.sqrt(2000)
    squares = noise.double().square().mean(dim=1)
    assert abs(squares.mean() - (N - 1) / n) < 4.5 * squares.std() / math.sqrt(2000)


@pytest.mark.parametrize(("n", "N"), [(64, 32), (256, 256)])
def test_memory_bit_errors_are_close_to_the_gaussian_prediction(n, N):
    errors = memory_bit_errors(n, N, 100, generator())
    assert errors.shape == (100,)
    predicted = scipy.stats.norm.cdf(-math.sqrt(n / (N - 1)))
    assert abs(errors.mean().item() - predicted) < 4.5 * errors.std().item() / 10
    assert memory_bit_errors(n, 1, 3, generator()).tolist() == [0, 0, 0]


@law
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_softmax_entropy_agrees_with_scipy(scores):
    scores = f64(scores)
    expected = scipy.stats.entropy(scores.softmax(dim=0).numpy())
    assert softmax_entropy(scores).item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_softmax_entropy_of_uniform_and_saturated_rows():
    rows = torch.stack([torch.zeros(8), torch.tensor([1e4] + [0.0] * 7)]).double().requires_grad_()
    entropy = softmax_entropy(rows)
    torch.testing.assert_close(entropy, f64([math.log(8), 0.0]))
    (slope,) = torch.autograd.grad(entropy.sum(), rows)
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-15)


# --- Bad input --------------------------------------------------------------------------------------------------------

FINE = f64([0.5])


@pytest.mark.parametrize("function", [*ELEMENTWISE, partial(poisson_coherence_cdf, N=3)])
@pytest.mark.parametrize(("value", "n", "error", "named"), [
    (FINE, 1, ValueError, "n must be at least 2, got 1"),
    (FINE, 2.5, TypeError, "2.5"),
    (FINE, True, TypeError, "True"),
    (f64([math.nan]), 3, ValueError, "must be finite, got nan"),
    (f64([0.1, -4.0]), 3, ValueError, r"must lie in \[.*-4"),
    (f64([4.0]), 3, ValueError, r"must lie in \[.*4"),
    (f64([]), 3, ValueError, "must not be empty"),
    (torch.tensor([0]), 3, TypeError, "int64|i64"),
    (0.5, 3, TypeError, "Tensor"),
])  # fmt: skip
def test_the_laws_refuse(function, value, n, error, named):
    with pytest.raises(error, match=named):
        function(value, n=n)


@pytest.mark.parametrize(("function", "low", "high", "interval"), [
    (angle_pdf, 0.0, math.pi, "[0, 3.14159]"), (cosine_pdf, -1.0, 1.0, "[-1, 1]"), (cosine_cdf, -1.0, 1.0, "[-1, 1]"),
    (cosine_logsf, -1.0, 1.0, "[-1, 1]"), (partial(poisson_coherence_cdf, N=3), 0.0, 1.0, "[0, 1]"),
])  # fmt: skip
def test_the_laws_take_the_ends_of_their_interval_and_nothing_beyond(function, low, high, interval):
    assert not function(f64([low, high]), n=5).isnan().any()
    for beyond in (low - 1e-6, high + 1e-6):
        with pytest.raises(ValueError, match=re.escape(f"must lie in {interval}")):
            function(f64([0.5, beyond]), n=5)


@pytest.mark.parametrize(("call", "error", "named"), [
    (lambda: coherence(f64([1.0, 2.0])), ValueError, r"X must have shape \(any, any\), got \(2,\)"),
    (lambda: coherence(f64([[1.0, 2.0]])), ValueError, "rows of X must be at least 2, got 1"),
    (lambda: coherence(f64([[1.0, 2.0], [0.0, 0.0]])), ValueError, "X must have no zero row, got one at index 1"),
    (lambda: coherence(f64([[1.0, math.inf], [1.0, 0.0]])), ValueError, r"X must be finite, got inf at index \(0, 1\)"),
    (lambda: coherence(torch.eye(2), block=0), ValueError, "block must be at least 1, got 0"),
    (lambda: welch_bound(1, 3), ValueError, "N must be at least 2, got 1"),
    (lambda: welch_bound(3, 0), ValueError, "n must be at least 1, got 0"),
    (lambda: poisson_coherence_cdf(FINE, 1, 3), ValueError, "N must be at least 2, got 1"),
    (lambda: poisson_coherence_cdf(-FINE, 9, 3), ValueError, r"t must lie in \[0, 1\].*-0.5"),
    (lambda: log_capacity(1, 0.1, 0.5), ValueError, "n must be at least 2, got 1"),
    (lambda: log_capacity(9, 1.0, 0.5), ValueError, "eps must be greater than 0 and less than 1, got 1"),
    (lambda: log_capacity(9, 0.1, 0.0), ValueError, "delta must be greater than 0 and less than 1, got 0"),
    (lambda: log_capacity(9, math.nan, 0.5), ValueError, "eps must .* got nan"),
    (lambda: angle_variance(1), ValueError, "n must be at least 2, got 1"),
    (lambda: angle_cumulant(3, 0), ValueError, "order must be at least 1, got 0"),
    (lambda: density_constant(1), ValueError, "n must be at least 2, got 1"),
    (lambda: random_cosines(0, 3), ValueError, "count must be at least 1, got 0"),
    (lambda: random_cosines(3, 1), ValueError, "n must be at least 2, got 1"),
    (lambda: random_directions(0, 3), ValueError, "N must be at least 1, got 0"),
    (lambda: random_directions(3, 1), ValueError, "n must be at least 2, got 1"),
    (lambda: memory_bit_errors(8, 0, 1), ValueError, "N must be at least 1, got 0"),
    (lambda: memory_bit_errors(8, 4, 0), ValueError, "trials must be at least 1, got 0"),
    (lambda: softmax_entropy(torch.tensor(1.0)), ValueError, r"scores must have shape \(..., keys\), got shape \(\)"),
    (lambda: softmax_entropy(torch.tensor([1.0, -math.inf])), ValueError, "scores must be finite, got -inf"),
    (lambda: softmax_entropy(torch.tensor([1, 2])), TypeError, "int64|i64"),
])  # fmt: skip
def test_the_other_functions_refuse(call, error, named):
    with pytest.raises(error, match=named):
        call()
