"""Batch norm and curvature against torch.nn, autograd, torch.func.hessian, scipy and mpmath."""

import math

import mpmath
import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd.functional import hessian
from torch.nn.utils import vector_to_parameters

from derivable.training.batch_norm_landscape import (
    NORMALISERS,
    batchnorm_backward,
    batchnorm_forward,
    condition_number,
    curvature_matrix,
    gd_excess,
    gd_steps,
    gradient_norms_by_depth,
    hessian_top_eig,
    k_condition,
    logistic_loss,
    lr_sweep,
    max_stable_lr,
    normalised_mlp,
    optimal_affine,
    skewed_features,
    teacher_labels,
)

SEEDS = st.integers(0, 10_000)
BAD = (TypeError, ValueError)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def relative(got: torch.Tensor, want: torch.Tensor) -> float:
    return ((got - want).abs().max() / want.abs().max()).item()


def normalised(y: torch.Tensor) -> torch.Tensor:
    """Batch norm written out for autograd, with eps = 0, which torch's own refuses."""
    return (y - y.mean(0)) / y.var(0, correction=0).sqrt()


def mixed_samples(d: int, seed: int, samples: int = 40) -> torch.Tensor:
    """Correlated features with means and scales of several sizes."""
    x = randn(samples, d, seed=seed) @ (torch.eye(d, dtype=torch.float64) + 0.5 * randn(d, d, seed=seed + 1))
    return x * randn(d, seed=seed + 2).exp() + 2 * randn(d, seed=seed + 3)


# ---------------------------------------------------------------- batch norm


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("B, C", [(3, 1), (5, 4), (256, 7)])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_forward_and_backward_are_those_of_torch(B, C, eps, dtype, tolerance):
    y, gamma, beta = randn(B, C, dtype=dtype), randn(C, seed=1, dtype=dtype), randn(C, seed=2, dtype=dtype)
    y = 3 * y + 2
    g = randn(B, C, seed=3, dtype=dtype)
    leaves = [tensor.requires_grad_() for tensor in (y, gamma, beta)]
    want = nn.functional.batch_norm(y, None, None, gamma, beta, training=True, eps=eps)
    want_gradients = torch.autograd.grad(want, leaves, g)
    with torch.no_grad():
        z, cache = batchnorm_forward(y, gamma, beta, eps)
        gradients = batchnorm_backward(g, cache)
    assert relative(z, want) < tolerance
    for got, wanted in zip(gradients, want_gradients, strict=True):
        assert relative(got, wanted) < tolerance


def test_layer_with_its_default_eps_is_the_same():
    layer, y = nn.BatchNorm1d(4, dtype=torch.float64), randn(9, 4)
    assert relative(batchnorm_forward(y, layer.weight, layer.bias)[0], layer(y)) < 1e-12


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(2, 9), SEEDS)
def test_backward_without_eps_is_a_projection_of_rank_b_minus_2(B, seed):
    y, gamma = randn(B, 1, seed=seed), torch.tensor([1.7], dtype=torch.float64)
    _, cache = batchnorm_forward(y, gamma, torch.zeros_like(gamma), 0.0)
    rows = torch.stack([batchnorm_backward(unit[:, None], cache)[0][:, 0] for unit in torch.eye(B, dtype=y.dtype)])
    P = rows / (gamma * cache.inverse_std)
    assert (P @ P - P).abs().max() < 1e-10
    assert (P - P.T).abs().max() < 1e-10
    assert abs(P.trace().item() - (B - 2)) < 1e-10
    assert (P @ torch.ones(B, dtype=y.dtype)).abs().max() < 1e-10
    assert (P @ cache.normalised).abs().max() < 1e-10


def test_eps_breaks_orthogonality_to_the_normalised_input_but_not_to_ones():
    y, one = randn(6, 1), torch.ones(1, dtype=torch.float64)
    _, cache = batchnorm_forward(y, one, one, 0.5)
    dy = batchnorm_backward(randn(6, 1, seed=1), cache)[0]
    assert abs(dy.sum().item()) < 1e-12
    assert abs((cache.normalised * dy).sum().item()) > 1e-2


@pytest.mark.parametrize("eps", [0.0, 1e-5, 0.5])
def test_norm_of_the_gradient_is_exactly_what_is_left_of_g(eps):
    B, gamma = 7, torch.tensor([1.3], dtype=torch.float64)
    g = randn(B, 1, seed=1)
    _, cache = batchnorm_forward(randn(B, 1), gamma, gamma, eps)
    yhat, dy = cache.normalised, batchnorm_backward(g, cache)[0]
    lost = g.sum() ** 2 / B + (g * yhat).sum() ** 2 / B * (2 - yhat.square().sum() / B)
    want = (gamma * cache.inverse_std) ** 2 * (g.square().sum() - lost)
    assert relative(dy.square().sum(), want) < 1e-12


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(3, 8), SEEDS)
def test_curvature_along_the_gradient_falls_by_the_inner_product_of_g_and_the_normalised_input(B, seed):
    gamma, a, b = 1.4, randn(B, seed=seed), randn(B, B, seed=seed + 1)

    def loss_of_z(z):
        return (a * z**3).sum() + torch.tanh(b @ z).sum()

    def loss_of_y(y):
        return loss_of_z(gamma * normalised(y))

    y = randn(B, seed=seed + 2)
    yhat, sigma = normalised(y), y.std(correction=0)
    g, v = torch.func.grad(loss_of_z)(gamma * yhat), torch.func.grad(loss_of_y)(y)
    got = v @ hessian(loss_of_y, y) @ v
    rescaled = gamma**2 / sigma**2 * (v @ hessian(loss_of_z, gamma * yhat) @ v)
    drop = gamma / (B * sigma**2) * (g @ yhat) * (v @ v)
    assert abs(got - (rescaled - drop)) < 1e-9 * (rescaled.abs() + drop.abs())


def test_a_constant_channel_is_an_error_only_without_eps():
    y = torch.full((7, 1), 0.1, dtype=torch.float64)
    assert y.var(0, correction=0) > 0  # because the mean rounds to another number
    one = torch.ones(1, dtype=torch.float64)
    with pytest.raises(ValueError, match="y must not have zero variance.*channel 0"):
        batchnorm_forward(y, one, one, 0.0)
    z, _ = batchnorm_forward(y, one, one, 1e-5)
    assert torch.allclose(z, torch.ones_like(z))


# ---------------------------------------------------------------- one affine layer


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_curvature_matrix_is_covariance_plus_mean_outer_product(dtype, tolerance):
    x, shift = randn(50, 3, dtype=dtype), randn(2, 3, seed=1, dtype=dtype)
    scale = randn(2, 3, seed=2, dtype=dtype).exp()
    M = curvature_matrix(x, shift, scale)
    for index in range(2):
        u = np.column_stack([((x - shift[index]) / scale[index]).double().numpy(), np.ones(50)])
        want = np.cov(u.T, bias=True) + np.outer(u.mean(0), u.mean(0))
        assert relative(M[index].double(), torch.from_numpy(want)) < tolerance
    assert relative(curvature_matrix(x, shift, scale, bias=False), M[:, :3, :3]) < tolerance


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 5), SEEDS)
def test_the_mean_is_the_best_shift_for_every_eigenvalue_and_the_determinant_ignores_it(d, seed):
    x = mixed_samples(d, seed)
    mean, std = optimal_affine(x)
    at_mean, elsewhere = curvature_matrix(x, torch.stack([mean, mean + randn(d, seed=seed + 9)]), std.expand(2, d))
    best, other = torch.linalg.eigvalsh(at_mean), torch.linalg.eigvalsh(elsewhere)
    assert other[-1] >= best[-1] * (1 - 1e-9)
    assert other[0] <= best[0] * (1 + 1e-9)
    assert torch.linalg.det(elsewhere) == pytest.approx(torch.linalg.det(at_mean).item(), rel=1e-8)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 5), SEEDS)
def test_k_is_least_at_mean_and_deviation_where_it_is_one_over_det_correlation(d, seed):
    x = mixed_samples(d, seed)
    mean, std = optimal_affine(x)
    best = k_condition(curvature_matrix(x, mean, std))
    correlation = torch.from_numpy(np.atleast_2d(np.corrcoef(x.T.numpy())))
    assert best * torch.linalg.det(correlation) == pytest.approx(1, rel=1e-10)
    shift, scale = mean + 0.3 * randn(d, seed=seed + 4), std * (0.3 * randn(d, seed=seed + 5)).exp()
    assert k_condition(curvature_matrix(x, shift, scale)) > best


def test_without_the_bias_only_ratios_of_scales_matter():
    x = mixed_samples(3, 0)
    mean, std = optimal_affine(x)
    K = k_condition(curvature_matrix(x, mean.expand(2, 3), torch.stack([std, 5 * std]), bias=False))
    assert K[0] == pytest.approx(K[1].item(), rel=1e-12)
    K = k_condition(curvature_matrix(x, mean.expand(2, 3), torch.stack([std, 5 * std])))
    assert K[1] > 2 * K[0]


def test_a_numerical_minimiser_of_k_finds_mean_and_deviation():
    x = mixed_samples(3, 5)

    def log_k(point):
        leaf = torch.from_numpy(point).requires_grad_()
        shift, log_scale = leaf.chunk(2)
        value = k_condition(curvature_matrix(x, shift, log_scale.exp())).log()
        return value.item(), torch.autograd.grad(value, leaf)[0].numpy()

    found = scipy.optimize.minimize(log_k, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    mean, std = optimal_affine(x)
    assert np.abs(found - torch.cat((mean, std.log())).numpy()).max() < 1e-6


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 5), SEEDS)
def test_k_bounds_the_condition_number(d, seed):
    x = mixed_samples(d, seed)
    M = curvature_matrix(x, torch.zeros(d, dtype=x.dtype), torch.ones(d, dtype=x.dtype))
    K, kappa = k_condition(M).item(), condition_number(M).item()
    assert (kappa + 1) ** 2 / (4 * kappa) <= K * (1 + 1e-9)
    assert kappa == pytest.approx(np.linalg.cond(M.numpy()), rel=6 * 2.3e-16 * kappa + 1e-14)


def test_the_bound_on_the_condition_number_is_attained():
    K = k_condition(torch.diag(torch.tensor([1.0, 5.0, 9.0], dtype=torch.float64))).item()
    assert (math.sqrt(K) + math.sqrt(K - 1)) ** 2 == pytest.approx(9, rel=1e-12)


def test_k_agrees_with_mpmath_for_an_ill_conditioned_matrix():
    x = mixed_samples(4, 3) + 30
    M = curvature_matrix(x, torch.zeros(4, dtype=x.dtype), torch.ones(4, dtype=x.dtype))
    with mpmath.workdps(40):
        exact = mpmath.matrix(M.tolist())
        want = (sum(exact[i, i] for i in range(5)) / 5) ** 5 / mpmath.det(exact)
    assert k_condition(M).item() == pytest.approx(float(want), rel=5 * 2.3e-16 * condition_number(M).item())


def test_unit_variance_does_not_minimise_the_condition_number_itself():
    correlation = torch.tensor([[1, .95, -.85], [.95, 1, -.85], [-.85, -.85, 1]], dtype=torch.float64)
    doubled = torch.diag(torch.tensor([2.0, 2.0, 1.0], dtype=torch.float64))
    assert condition_number(correlation).item() == pytest.approx(55.3505, abs=1e-4)
    rescaled = doubled @ correlation @ doubled
    assert condition_number(rescaled).item() == pytest.approx(42.821, abs=1e-3)
    assert k_condition(rescaled) > k_condition(correlation)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_max_stable_lr_is_two_over_the_top_eigenvalue(dtype, tolerance):
    root = randn(4, 5, 5, dtype=dtype)
    H = root @ root.mT
    want = 2 / np.linalg.eigvalsh(H.double().numpy())[:, -1]
    assert relative(max_stable_lr(H).double(), torch.from_numpy(want)) < tolerance


# ---------------------------------------------------------------- the top eigenvalue


def small_network(seed: int = 0, dtype: torch.dtype = torch.float64):
    """A network with train-mode batch norm (63 parameters), its loss on 20 samples, and the dense Hessian of that loss.

    The dense Hessian is taken in float64 of the network written out: torch.func.hessian of torch's own batch norm in
    train mode is wrong in the derivatives of gamma's gradient, and so not even symmetric (torch 2.13).
    """
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).to(dtype)
    theta, x, y = randn(63, seed=seed), randn(20, 4, seed=seed + 1), torch.arange(20) % 3
    vector_to_parameters(theta.to(dtype), model.parameters())

    def written_out(theta):
        W, b, gamma, beta, V, c = theta.split([24, 6, 6, 6, 18, 3])
        h = x @ W.view(6, 4).T + b
        h = (h - h.mean(0)) / (h.var(0, correction=0) + 1e-5).sqrt()
        return nn.functional.cross_entropy(torch.tanh(gamma * h + beta) @ V.view(3, 6).T + c, y)

    return model, lambda: nn.functional.cross_entropy(model(x.to(dtype)), y), torch.func.hessian(written_out)(theta)


def quadratic(H: torch.Tensor):
    theta = torch.ones(len(H), dtype=H.dtype, requires_grad=True)
    return lambda: theta @ H @ theta / 2, [theta]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("which", ["magnitude", "largest"])
@pytest.mark.parametrize("sign", [1, -1])
def test_top_eigenvalue_with_train_mode_batch_norm_is_that_of_the_dense_hessian(seed, which, sign):
    model, loss, H = small_network(seed)
    H = sign * H
    spectrum = torch.linalg.eigvalsh(H)
    want = spectrum[-1] if which == "largest" else spectrum[spectrum.abs().argmax()]
    top = hessian_top_eig(lambda: sign * loss(), model.parameters(), which=which, tolerance=1e-6, generator=seeded())
    assert top.converged
    assert top.value == pytest.approx(want.item(), rel=1e-8)
    assert (H @ top.vector - top.value * top.vector).norm().item() == pytest.approx(top.residual, abs=1e-10)
    assert top.vector.norm().item() == pytest.approx(1, abs=1e-12)


def test_float32_agrees_with_float64():
    model, loss, H = small_network(dtype=torch.float32)
    top = hessian_top_eig(loss, model.parameters(), which="largest", generator=seeded())
    assert top.vector.dtype == torch.float32
    assert top.value == pytest.approx(torch.linalg.eigvalsh(H)[-1].item(), rel=1e-4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 40), SEEDS)
def test_random_quadratics_give_their_top_eigenvalue_and_sign(p, seed):
    root = randn(p, p, seed=seed)
    H = root + root.T
    spectrum = torch.linalg.eigvalsh(H)
    top = hessian_top_eig(*quadratic(H), tolerance=1e-10, generator=seeded(seed))
    assert top.converged and top.iterations <= p
    assert top.value == pytest.approx(spectrum[spectrum.abs().argmax()].item(), rel=1e-9)


def test_a_small_gap_takes_more_than_two_iterations_and_is_resolved():
    H = torch.diag(torch.cat((torch.linspace(0, 0.9, 60, dtype=torch.float64), torch.tensor([0.99, 1.0]).double())))
    top = hessian_top_eig(*quadratic(H), tolerance=1e-8, generator=seeded())
    assert top.iterations > 10
    assert top.value == pytest.approx(1, rel=1e-12)


def test_running_out_of_iterations_is_reported():
    H = torch.diag(torch.linspace(0.5, 1, 200, dtype=torch.float64))
    top = hessian_top_eig(*quadratic(H), max_iterations=3, generator=seeded())
    assert not top.converged and top.iterations == 3
    assert top.residual > 1e-3 * top.value
    assert (torch.linalg.eigvalsh(H) - top.value).abs().min() <= top.residual


@pytest.mark.parametrize("value", [2.0, -2.0, 0.0])
def test_multiples_of_the_identity_need_one_iteration(value):
    top = hessian_top_eig(*quadratic(value * torch.eye(5, dtype=torch.float64)), generator=seeded())
    assert top.value == pytest.approx(value, abs=1e-12)
    assert top.iterations == 1 and top.converged


def test_a_linear_loss_has_curvature_zero():
    theta = randn(3).requires_grad_()
    assert hessian_top_eig(lambda: theta.sum(), [theta], generator=seeded()).value == 0


def test_the_loss_is_evaluated_once_and_the_mode_is_left_alone():
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 1)).double()
    calls = []

    def loss():
        calls.append(1)
        return model(randn(8, 3)).square().mean()

    hessian_top_eig(loss, model.parameters(), generator=seeded())
    assert len(calls) == 1 and model.training
    assert model[1].num_batches_tracked == 1
    assert all(param.grad is None for param in model.parameters())


def test_train_mode_and_eval_mode_differ():
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5, momentum=None), nn.Tanh(), nn.Linear(5, 1)).double()
    vector_to_parameters(randn(sum(param.numel() for param in model.parameters())), model.parameters())
    x = randn(16, 3, seed=1)
    model(x)  # running averages become those of this batch, up to the unbiased variance
    train = hessian_top_eig(lambda: model(x).square().mean(), model.parameters(), generator=seeded()).value
    model.eval()
    evaluated = hessian_top_eig(lambda: model(x).square().mean(), model.parameters(), generator=seeded()).value
    assert abs(train - evaluated) > 0.1 * abs(evaluated)


def test_logistic_regression_at_zero_has_a_quarter_of_the_curvature_matrix():
    x, labels = 3 * randn(400, 10) + 2, (randn(400, seed=1) > 0).double()
    layer = nn.Linear(10, 1).double()
    vector_to_parameters(torch.zeros(11, dtype=torch.float64), layer.parameters())
    mean, std = optimal_affine(x)
    tops = []
    for shift, scale in ((0 * mean, std / std), (mean, std / std), (mean, std)):
        u = (x - shift) / scale
        top = hessian_top_eig(lambda u=u: logistic_loss(layer, u, labels), layer.parameters(), tolerance=1e-7,
                              generator=seeded())
        tops.append(top.value)
        want = torch.linalg.eigvalsh(curvature_matrix(x, shift, scale))[-1].item() / 4
        assert top.value == pytest.approx(want, rel=1e-10)
    assert tops[0] > 4 * tops[1] > 30 * tops[2]


def test_curvature_of_a_batch_norm_layer_grows_without_bound_as_the_weights_shrink():
    x, targets, w = randn(30, 4), randn(30, seed=1), randn(4, seed=2)

    def loss(w):
        return torch.tanh(normalised(x @ w)).sub(targets).square().mean()

    gradient, H = torch.func.grad(loss)(w), hessian(loss, w)
    assert abs(w @ gradient) < 1e-12 * w.norm() * gradient.norm()
    top = torch.linalg.eigvalsh(H)
    top = top[top.abs().argmax()].item()
    for a in (10.0, 0.1, 0.01):
        assert relative(torch.func.grad(loss)(a * w), gradient / a) < 1e-12
        scaled = (a * w).requires_grad_()
        got = hessian_top_eig(lambda scaled=scaled: loss(scaled), [scaled], tolerance=1e-8, generator=seeded()).value
        assert got == pytest.approx(top / a**2, rel=1e-10)


def test_a_bias_before_batch_norm_never_learns():
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1)).double()
    model(randn(8, 3)).square().mean().backward()
    assert model[0].bias.grad.abs().max() < 1e-14 < model[0].weight.grad.abs().max()


# ---------------------------------------------------------------- experiments


def least_squares(seed: int = 1):
    """Hessian, error at zero weights and the best fixed learning rate: raw, centred, standardised."""
    generator = seeded(seed)
    x = skewed_features(400, 8, generator)
    targets = x @ torch.randn(8, generator=generator, dtype=x.dtype)
    mean, std = optimal_affine(x)
    for shift, scale in ((0 * mean, std / std), (mean, std / std), (mean, std)):
        M = curvature_matrix(x, shift, scale)
        u = torch.cat(((x - shift) / scale, torch.ones(400, 1, dtype=x.dtype)), 1)
        error = -torch.linalg.lstsq(u, targets[:, None]).solution[:, 0]
        eigenvalues = torch.linalg.eigvalsh(M)
        yield M, error, (2 / (eigenvalues[0] + eigenvalues[-1])).item()


def test_excess_loss_and_step_count_are_those_of_gradient_descent_run_step_by_step():
    _, (M, start, lr), _ = least_squares()
    error, excesses = start, []
    for _ in range(400):
        excesses.append((error @ M @ error / 2).item())
        error = error - lr * (M @ error)
    got = gd_excess(M, start, lr, torch.arange(400))
    assert (got - torch.tensor(excesses, dtype=M.dtype)).abs().max() < 1e-10 * excesses[0]
    assert gd_steps(M, start, lr) == next(step for step, e in enumerate(excesses) if e <= 1e-6 * excesses[0])


def test_each_normalisation_saves_steps_and_none_exceeds_the_bound_of_its_condition_number():
    counts = []
    for M, error, lr in least_squares():
        kappa = condition_number(M).item()
        counts.append(gd_steps(M, error, lr))
        assert counts[-1] <= math.ceil(math.log(1e-6) / (2 * math.log((kappa - 1) / (kappa + 1))))
    assert counts[0] > 4 * counts[1] > 30 * counts[2]


def test_two_over_the_top_eigenvalue_is_where_descent_starts_to_diverge():
    M, error = torch.diag(torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)), torch.ones(3, dtype=torch.float64)
    limit = max_stable_lr(M).item()
    steps = torch.tensor([3000])
    assert gd_excess(M, error, 0.99 * limit, steps) < 1e-2
    assert gd_excess(M, error, 1.01 * limit, steps) > 1e40
    with pytest.raises(ValueError, match="lr must be greater than 0 and less than"):
        gd_steps(M, error, 1.01 * limit)


def test_published_condition_numbers_of_the_raw_features():
    for seed, want in enumerate([5548, 35168, 58867, 17893, 20637]):
        x = skewed_features(400, 8, seeded(seed))
        M = curvature_matrix(x, torch.zeros(8, dtype=x.dtype), torch.ones(8, dtype=x.dtype))
        assert round(condition_number(M).item()) == want


def network_data(samples: int = 512):
    generator = seeded(1)
    x = skewed_features(samples, 10, generator, torch.float32)
    return x, teacher_labels(x, generator)


def test_labels_are_balanced_and_drawn_from_the_generator():
    x, labels = network_data()
    assert labels.mean() == 0.5
    assert not torch.equal(labels, teacher_labels(x, seeded(2)))


def test_normalisers_share_their_weights():
    nets = [normalised_mlp(3, 4, 2, name, seeded()) for name in NORMALISERS]
    weights = [[m.weight for m in net if isinstance(m, nn.Linear)] for net in nets]
    assert all(torch.equal(a, b) for other in weights[1:] for a, b in zip(weights[0], other, strict=True))


def test_only_a_layer_without_a_normaliser_has_a_bias_of_its_own():
    for name in NORMALISERS:
        *hidden, last = (module for module in normalised_mlp(3, 4, 2, name, seeded()) if isinstance(module, nn.Linear))
        assert [layer.bias is not None for layer in hidden] == [name == "none"] * 2
        assert all((layer.bias == 0).all() for layer in (*hidden, last) if layer.bias is not None) and last.bias is not None


def test_normalisers_do_what_they_are_called():
    x = 3 * randn(50, 3, dtype=torch.float32) + 2
    mean, batch = (normalised_mlp(3, 4, 2, name, seeded())[:2](x) for name in ("mean", "batch"))
    assert mean.mean(0).abs().max() < 1e-5 and batch.mean(0).abs().max() < 1e-5
    assert (mean.std(0, correction=0) - 1).abs().min() > 0.1
    assert (batch.std(0, correction=0) - 1).abs().max() < 1e-3


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_sweep_is_sgd_at_each_learning_rate(normaliser):
    x, labels = network_data()
    net = normalised_mlp(10, 8, 2, normaliser, seeded())
    lrs = torch.tensor([0.01, 0.1])
    got = lr_sweep(net, x, labels, lrs, 5, 32, seeded(3))
    for lr, final in zip(lrs.tolist(), got, strict=True):
        model, batches = normalised_mlp(10, 8, 2, normaliser, seeded()), seeded(3)
        optimiser = torch.optim.SGD(model.parameters(), lr)
        for _ in range(5):
            chosen = torch.randint(512, (32,), generator=batches)
            optimiser.zero_grad()
            logistic_loss(model, x[chosen], labels[chosen]).backward()
            optimiser.step()
        assert final.item() == pytest.approx(logistic_loss(model, x, labels).item(), rel=1e-4)


def test_batch_norm_trains_at_rates_where_the_plain_network_fails_though_it_starts_with_more_curvature():
    x, labels = network_data()
    lrs = torch.tensor([0.25, 4.0])
    final, curvature = {}, {}
    for name in NORMALISERS:
        net = normalised_mlp(10, 32, 4, name, seeded())
        curvature[name] = hessian_top_eig(lambda net=net: logistic_loss(net, x, labels), net.parameters(),
                                          which="largest", generator=seeded()).value
        final[name] = lr_sweep(net, x, labels, lrs, 60, 128, seeded(3))
    assert final["batch"].max() < 0.4
    assert final["none"][1] > 0.6
    assert curvature["batch"] > 2 * curvature["none"] > 2 * curvature["mean"] >= 0.5


def test_a_diverged_run_counts_as_infinite_and_leaves_the_others_alone():
    x, labels = network_data(64)
    net = normalised_mlp(10, 8, 2, "none", seeded())
    final = lr_sweep(net, x, labels, torch.tensor([0.01, 1e30]), 5, 32, seeded(3))
    alone = lr_sweep(net, x, labels, torch.tensor([0.01]), 5, 32, seeded(3))
    assert final[1] == math.inf
    assert final[0].item() == pytest.approx(alone[0].item(), rel=1e-4)


@pytest.mark.parametrize("activation, batch_norm, growth", [
    ("relu", True, math.sqrt(math.pi / (math.pi - 1))), ("tanh", True, 1.096), ("linear", True, 1.006),
    ("relu", False, 0.996), ("linear", False, 1.001)])
def test_batch_norm_makes_gradients_grow_towards_the_input_at_initialisation(activation, batch_norm, growth):
    generator = seeded()
    x = torch.randn(256, 128, generator=generator)
    norms = gradient_norms_by_depth(x, 20, activation, batch_norm, generator)
    assert (norms[0] / norms[-1]).item() ** (1 / 19) == pytest.approx(growth, abs=0.03)


def test_a_direction_without_error_stays_without_it_where_descent_diverges():
    M, error = torch.diag(torch.tensor([1.0, 3.0], dtype=torch.float64)), torch.tensor([1.0, 0.0], dtype=torch.float64)
    excess = gd_excess(M, error, 0.8, torch.tensor([0, 2, 3000]))  # in the second direction 1.4^6000 overflows
    assert excess.tolist() == pytest.approx([0.5, 0.5 * 0.2**4, 0.0], rel=1e-12, abs=0)


def test_the_growth_of_gradients_repeats_from_its_generator_and_leaves_the_global_one_alone():
    state = torch.get_rng_state()
    runs = [gradient_norms_by_depth(randn(6, 3), 4, "relu", True, seeded(seed)) for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2]) and runs[0].dtype == torch.float64
    assert torch.equal(state, torch.get_rng_state())


# ---------------------------------------------------------------- bad input

ONE, TWO = torch.ones(1, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
EYE = torch.eye(2, dtype=torch.float64)
NAN = torch.tensor([[1.0, math.nan], [2.0, 3.0]], dtype=torch.float64)
Y = randn(4, 2)
CACHE = batchnorm_forward(Y, TWO, TWO)[1]
THETA = torch.ones(2, dtype=torch.float64, requires_grad=True)
NET = normalised_mlp(2, 3, 1, "batch", seeded()).double()
LABELS = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=torch.float64)


@pytest.mark.parametrize("call, message", [
    (lambda: batchnorm_forward(Y[:1], TWO, TWO), "y must have at least 2 rows"),
    (lambda: batchnorm_forward(Y[:0], TWO, TWO), "y must not be empty"),
    (lambda: batchnorm_forward(NAN, TWO, TWO), r"y must be finite, got nan at index \(0, 1\)"),
    (lambda: batchnorm_forward(Y[0], TWO, TWO), "y must have shape"),
    (lambda: batchnorm_forward(Y.long(), TWO, TWO), "y must have a floating dtype"),
    (lambda: batchnorm_forward(Y, ONE, TWO), r"gamma must have shape \(2\)"),
    (lambda: batchnorm_forward(Y, TWO, TWO.float()), "beta must have dtype"),
    (lambda: batchnorm_forward(Y, TWO, TWO, -1.0), "eps must be at least 0"),
    (lambda: batchnorm_forward(1e200 * Y, TWO, TWO), "variance of y must be finite"),
    (lambda: batchnorm_forward(1e-200 * Y, TWO, TWO, 0.0), "y must not have zero variance"),
    (lambda: batchnorm_backward(Y[:3], CACHE), r"g must have shape \(4, 2\)"),
    (lambda: batchnorm_backward(Y.float(), CACHE), "g must have dtype"),
    (lambda: optimal_affine(torch.ones(3, 2)), "x must not have a constant column"),
    (lambda: optimal_affine(Y[:1]), "x must have at least 2 rows"),
    (lambda: curvature_matrix(Y, TWO, -TWO), "scale must be positive, got -1"),
    (lambda: curvature_matrix(Y, ONE, TWO), r"shift must have shape \(2\)"),
    (lambda: curvature_matrix(Y, ONE[0], TWO), r"shift must have shape \(2\)"),
    (lambda: curvature_matrix(Y, TWO, TWO.float()), "scale must have dtype"),
    (lambda: condition_number(-EYE), "M must be positive definite, got an eigenvalue -1"),
    (lambda: condition_number(TWO), "M must have shape"),
    (lambda: condition_number(NAN), "M must be finite"),
    (lambda: k_condition(torch.ones(2, 2)), "M must be positive definite"),
    (lambda: k_condition(torch.tensor([[1.0, 0.5], [0.0, 1.0]])), "M must be symmetric"),
    (lambda: k_condition(torch.diag(torch.tensor([1e9] + [1.0] * 60, dtype=torch.float64))), "K must be finite"),
    (lambda: max_stable_lr(-EYE), "H must have a positive eigenvalue"),
    (lambda: max_stable_lr(Y), "H must have shape"),
    (lambda: hessian_top_eig(lambda: Y.sum(), [THETA]), r"loss_fn\(\) must depend on params"),
    (lambda: hessian_top_eig(lambda: THETA.sum(), [THETA, TWO.clone().requires_grad_()]), r"loss_fn\(\) must depend on .* those at \[1\]"),
    (lambda: hessian_top_eig(lambda: THETA, [THETA]), r"loss_fn\(\) must have shape \(\)"),
    (lambda: hessian_top_eig(lambda: 1.0, [THETA]), r"loss_fn\(\) must be a torch.Tensor"),
    (lambda: hessian_top_eig(lambda: (THETA * math.nan).sum(), [THETA]), r"loss_fn\(\) must be finite"),
    (lambda: hessian_top_eig(lambda: (THETA - 1).sqrt().sum(), [THETA]), r"gradient of loss_fn\(\) must be finite"),
    (lambda: hessian_top_eig(lambda: ((THETA - 1) ** 1.5).sum(), [THETA]), "product with the Hessian must be finite"),
    (lambda: hessian_top_eig(lambda: THETA.sum(), []), "params must not be empty"),
    (lambda: hessian_top_eig(lambda: THETA.sum(), [TWO]), r"params\[0\] must require gradients"),
    (lambda: hessian_top_eig(lambda: THETA.sum(), [THETA, THETA.float()]), r"params\[1\] must have dtype"),
    (lambda: hessian_top_eig(THETA, [THETA]), None),
    (lambda: hessian_top_eig(lambda: THETA.sum(), [THETA], which="top"), "which must be"),
    (lambda: hessian_top_eig(lambda: THETA.sum(), [THETA], tolerance=0.0), "tolerance must be at least"),
    (lambda: hessian_top_eig(lambda: THETA.sum(), [THETA], max_iterations=0), "max_iterations must be at least 1"),
    (lambda: skewed_features(0, 3), "samples must be at least 1"),
    (lambda: gd_excess(EYE, ONE, 0.1, torch.arange(3)), r"error must have shape \(2\)"),
    (lambda: gd_excess(EYE, TWO, 0.1, torch.ones(3)), "steps must be an integer tensor"),
    (lambda: gd_excess(EYE, TWO, 0.1, torch.tensor([-1])), "steps must be at least 0"),
    (lambda: gd_excess(EYE.expand(3, 2, 2), TWO, 0.1, torch.arange(3)), "M must have shape"),
    (lambda: gd_steps(EYE, TWO, 0.1, 1.5), "reduction must be"),
    (lambda: normalised_mlp(2, 3, 0, "batch"), "depth must be at least 1"),
    (lambda: normalised_mlp(2, 3, 1, "layer"), "normaliser must be one of"),
    (lambda: teacher_labels(Y, width=0), "width must be at least 1"),
    (lambda: lr_sweep(NET, Y, LABELS + 1, ONE, 1, 2), "labels must be 0 or 1"),
    (lambda: lr_sweep(NET, Y, LABELS, -ONE, 1, 2), "lrs must be greater than 0"),
    (lambda: lr_sweep(NET, Y, LABELS, ONE, 1, 1), "batch must be at least 2"),
    (lambda: lr_sweep(nn.Sequential(nn.BatchNorm1d(2)), Y, LABELS, ONE, 1, 2), "model must not have buffers"),
    (lambda: gradient_norms_by_depth(Y, 2, "gelu", True), "activation must be one of"),
    (lambda: gradient_norms_by_depth(Y, 0, "relu", True), "depth must be at least 1"),
    (lambda: gradient_norms_by_depth(Y[:1], 2, "relu", True), "x must have at least 2 rows"),
    (lambda: batchnorm_forward(Y, TWO.long(), TWO), "gamma must have a floating dtype"),
    (lambda: batchnorm_backward(Y.long(), CACHE), "g must have a floating dtype"),
    (lambda: optimal_affine(Y.long()), "x must have a floating dtype"),
    (lambda: optimal_affine(Y[0]), "x must have shape"),
    (lambda: optimal_affine(1e200 * Y), "variance of x must be finite"),
    (lambda: curvature_matrix(Y.long(), TWO, TWO), "x must have a floating dtype"),
    (lambda: curvature_matrix(Y[0], TWO, TWO), "x must have shape"),
    (lambda: curvature_matrix(Y, TWO.long(), TWO), "shift must have a floating dtype"),
    (lambda: curvature_matrix(Y, TWO, ONE), r"scale must have shape \(2\)"),
    (lambda: curvature_matrix(Y, TWO, 0 * TWO), "scale must be positive, got 0"),
    (lambda: condition_number(EYE.long()), "M must have a floating dtype"),
    (lambda: k_condition(EYE.long()), "M must have a floating dtype"),
    (lambda: max_stable_lr(EYE.long()), "H must have a floating dtype"),
    (lambda: max_stable_lr(0 * EYE), "H must have a positive eigenvalue, its largest is 0"),
    (lambda: max_stable_lr(torch.tensor([[1.0, 0.5], [0.0, 1.0]])), "H must be symmetric"),
    (lambda: hessian_top_eig(lambda: THETA.sum(), [torch.tensor([1])]), r"params\[0\] must have a floating dtype"),
    (lambda: hessian_top_eig(lambda: THETA.sum(), [THETA], tolerance=1.0), "tolerance must be .* and less than 1, got 1"),
    (lambda: hessian_top_eig(lambda: THETA.sum(), [THETA], tolerance=2e-16), "tolerance must be at least 2.22045e-16"),
    (lambda: skewed_features(3, 0), "features must be at least 1"),
    (lambda: gd_excess(-EYE, TWO, 0.1, torch.arange(3)), "M must be positive definite"),
    (lambda: gd_excess(EYE, TWO.float(), 0.1, torch.arange(3)), "error must have dtype"),
    (lambda: gd_excess(EYE, TWO, 0.0, torch.arange(3)), "lr must be greater than 0"),
    (lambda: gd_excess(EYE, TWO, 0.1, torch.tensor(3)), r"steps must have shape \(any\)"),
    (lambda: gd_excess(EYE, TWO, 0.1, torch.arange(0)), "steps must be at least 0 and not empty"),
    (lambda: gd_steps(EYE, TWO, 0.1, 0.0), "reduction must be greater than 0 and less than 1, got 0"),
    (lambda: gd_steps(EYE, TWO, 0.1, 1.0), "reduction must be greater than 0 and less than 1, got 1"),
    (lambda: gd_steps(EYE, TWO, 0.0), "lr must be greater than 0 and less than 2"),
    (lambda: gd_steps(EYE, TWO, 2.0), "lr must be greater than 0 and less than 2"),
    (lambda: normalised_mlp(0, 3, 1, "batch"), "inputs must be at least 1"),
    (lambda: normalised_mlp(2, 0, 1, "batch"), "width must be at least 1"),
    (lambda: teacher_labels(torch.ones(3, 2)), "x must not have a constant column"),
    (lambda: lr_sweep(NET, Y[:1], LABELS, ONE, 1, 2), "x must have at least 2 rows"),
    (lambda: lr_sweep(NET, Y, LABELS.float(), ONE, 1, 2), "labels must have dtype"),
    (lambda: lr_sweep(NET, Y, LABELS[:2], ONE, 1, 2), r"labels must have shape \(4\)"),
    (lambda: lr_sweep(NET, Y, LABELS, ONE.float(), 1, 2), "lrs must have dtype"),
    (lambda: lr_sweep(NET, Y, LABELS, EYE, 1, 2), r"lrs must have shape \(any\)"),
    (lambda: lr_sweep(NET, Y, LABELS, 0 * ONE, 1, 2), "lrs must be greater than 0, got 0"),
    (lambda: lr_sweep(NET, Y, LABELS, ONE, 0, 2), "steps must be at least 1"),
])
def test_bad_input_is_a_clear_error(call, message):
    with pytest.raises(BAD, match=message and f"^{message}"):
        call()
