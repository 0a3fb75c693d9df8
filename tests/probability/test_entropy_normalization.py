"""The entropy solver against brentq, SciPy, mpmath, autograd's finite differences and its own theory."""

import math

import mpmath
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from derivable.probability.entropy_normalization import (
    MaxRetrieval,
    _bracket,
    entropy,
    entropy_invariant_scale,
    entropy_normalize,
    evaluate_max_retrieval,
    first_order_exponent,
    newton_iteration_naive,
    sphere_attention_entropy,
    train_max_retrieval,
)

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_logits(*shape, scale=2.0, seed=0, dtype=F64):
    return scale * torch.randn(shape, generator=generator(seed), dtype=dtype)


def achieved(found):
    return torch.special.entr(found.log_probs.double().exp()).sum(-1)


def brentq_exponent(logits, target):
    """The root of H(t) - target in t by SciPy; H by scipy.stats.entropy."""
    a = logits.numpy()
    a = a - a.max()

    def miss(log_t):
        return scipy.stats.entropy(np.exp(a * math.exp(log_t))) - target

    return math.exp(scipy.optimize.brentq(miss, -20, 20, xtol=1e-14, rtol=1e-14))


# entropy

def test_entropy_agrees_with_scipy_in_every_dimension():
    p = torch.softmax(random_logits(3, 5, 7, scale=4), 1)
    np.testing.assert_allclose(entropy(p, dim=1).numpy(), scipy.stats.entropy(p.numpy(), axis=1), rtol=1e-12)


def test_entropy_takes_zero_log_zero_as_zero():
    assert entropy(torch.tensor([0.0, 1.0, 0.0], dtype=F64)).item() == 0
    assert entropy(torch.tensor([0.5, 0.5, 0.0], dtype=F64)).item() == pytest.approx(math.log(2), abs=1e-15)


# entropy_normalize: values

@pytest.mark.parametrize("n", [2, 3, 50, 1000])
def test_exponent_agrees_with_brentq(n):
    logits = random_logits(8, n, seed=n)
    target = math.log(n) * torch.linspace(0.05, 0.95, 8, dtype=F64)
    found = entropy_normalize(logits, target, tol=1e-13)
    expected = [brentq_exponent(row, goal) for row, goal in zip(logits, target.tolist(), strict=True)]
    torch.testing.assert_close(found.exponent, torch.tensor(expected, dtype=F64), rtol=1e-9, atol=0)
    torch.testing.assert_close(found.log_probs, torch.log_softmax(found.exponent[:, None] * logits, -1),
                               rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype, tol", [(F64, 1e-10), (torch.float32, 7e-6)])
def test_default_tolerance_is_met_and_reported(dtype, tol):
    logits = random_logits(200, 512, scale=3, dtype=dtype)
    found = entropy_normalize(logits, math.log(30))
    assert (achieved(found) - math.log(30)).abs().max() < tol
    torch.testing.assert_close(found.residual.double(), achieved(found) - math.log(30), rtol=0, atol=2e-6)
    assert found.log_probs.dtype == found.exponent.dtype == dtype
    assert 1 <= found.iterations.min() and found.iterations.max() <= 8


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    logits = random_logits(20, 64).to(dtype)
    found = entropy_normalize(logits, 2.0)
    assert found.log_probs.dtype == dtype and found.exponent.dtype == torch.float32
    torch.testing.assert_close(found.exponent, entropy_normalize(logits.float(), 2.0).exponent)


def test_batch_shapes_and_per_row_targets():
    logits = random_logits(4, 3, 20)
    target = torch.tensor([1.0, 2.0, 2.5], dtype=F64)
    found = entropy_normalize(logits, target)
    assert found.log_probs.shape == (4, 3, 20) and found.exponent.shape == found.iterations.shape == (4, 3)
    torch.testing.assert_close(achieved(found), target.expand(4, 3), rtol=0, atol=1e-10)
    single = entropy_normalize(logits[2, 1], 2.0)
    assert single.exponent.shape == ()
    torch.testing.assert_close(single.exponent, found.exponent[2, 1], rtol=1e-12, atol=0)


def test_rows_do_not_depend_on_their_neighbours():
    logits = random_logits(3000, 200, scale=3)  # more than one block of rows
    target = torch.linspace(0.5, 5, 3000, dtype=F64)
    alone = torch.stack([entropy_normalize(logits[i], target[i]).exponent for i in (0, 1500, 2999)])
    torch.testing.assert_close(entropy_normalize(logits, target).exponent[[0, 1500, 2999]], alone, rtol=1e-12, atol=0)


def test_masked_states_count_for_nothing():
    logits = random_logits(5, 8)
    padded = torch.full((5, 12), -math.inf, dtype=F64)
    padded[:, 2:10] = logits
    found, plain = entropy_normalize(padded, 1.5), entropy_normalize(logits, 1.5)
    torch.testing.assert_close(found.exponent, plain.exponent, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.log_probs[:, 2:10], plain.log_probs, rtol=1e-12, atol=1e-12)
    assert (found.log_probs[:, [0, 1, 10, 11]] == -math.inf).all()
    with pytest.raises(ValueError, match=r"unmasked states\) = 2.07944"):  # log 8, not log 12
        entropy_normalize(padded, 2.2)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(0.02, 0.98), st.floats(-6, 6))
def test_law_target_met_order_kept_scale_and_shift_free(seed, n, share, magnitude):
    logits = random_logits(4, n, scale=10**magnitude, seed=seed)
    target = share * math.log(n)
    found = entropy_normalize(logits, target)
    assert (achieved(found) - target).abs().max() < 2e-10
    assert (found.exponent > 0).all() and found.iterations.max() < 40
    assert (found.log_probs.gather(-1, logits.argsort(-1)).diff(dim=-1) >= 0).all()
    again = entropy_normalize(4 * logits, target)
    torch.testing.assert_close(4 * again.exponent, found.exponent, rtol=1e-12, atol=0)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0.05, 0.95))
def test_law_nearest_in_kl_among_all_with_that_entropy(seed, share):
    logits = random_logits(6, seed=seed)
    log_p = logits.log_softmax(-1)
    target = share * math.log(6)
    nearest = entropy_normalize(logits, target).log_probs
    rival = entropy_normalize(random_logits(30, 6, seed=seed + 1), target).log_probs
    kl = [(q.exp() * (q - log_p)).sum(-1) for q in (nearest, rival)]
    assert (kl[1] >= kl[0] - 1e-9).all()


def test_newton_steps_that_jump_to_and_fro_inside_the_bracket_are_stopped():
    logits = 25 * torch.rand(400, 256, generator=generator(22), dtype=F64)  # row 159: a two-cycle of Newton
    found = entropy_normalize(logits[159:160], 0.22)
    assert found.residual.abs().max() < 1e-10 and found.iterations.max() < 30


@pytest.mark.parametrize("row, n, m", [([0, -3], 2, 1), ([-0.5, 0, -3], 3, 1), ([0, -0.5, 0, -3], 4, 2), ([-3, 0, -0.5, -math.inf], 3, 1)])
def test_the_bracket_comes_from_the_two_bounds_of_its_docstring(row, n, m):
    row = torch.tensor([row], dtype=F64)
    target = torch.tensor([0.3 * math.log(m) + 0.7 * math.log(n)], dtype=F64)
    gap = -max(value for value in row[0].tolist() if value < 0)
    lo, hi, guess = (value.item() for value in _bracket(row, target, 1e-10))
    assert math.log(n) - lo**2 * 3**2 / 8 == pytest.approx(target.item(), rel=1e-13)
    assert math.log(m) + 2 * (n - m) / m * math.exp(-hi * gap / 2) == pytest.approx(target.item(), rel=1e-13)
    assert 0 < lo <= guess <= hi and lo <= entropy_normalize(row, target).exponent.item() <= hi


def test_an_evaluation_is_counted_from_one():
    found = entropy_normalize(torch.zeros(2, 4, dtype=F64), math.log(4), max_iter=1)  # t = 1 is right at once
    assert found.iterations.tolist() == [1, 1]


# entropy_normalize: extreme inputs

def test_two_states_have_a_closed_form():
    p, share = 0.9, 0.7  # H* is the binary entropy of 0.7, so t = logit(0.7) / logit(0.9)
    target = scipy.stats.entropy([share, 1 - share])
    found = entropy_normalize(torch.tensor([p, 1 - p], dtype=F64).log(), target, tol=1e-14)
    assert found.exponent.item() == pytest.approx(scipy.special.logit(share) / scipy.special.logit(p), rel=1e-12)


@pytest.mark.parametrize("dtype, tol", [(F64, 1e-10), (torch.float32, 7e-6)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_hundred_thousand_states_at_any_scale(dtype, tol, scale):
    logits = random_logits(2, 100_000, scale=scale, dtype=dtype)
    for target in (0.1, 5.0, 11.0):
        found = entropy_normalize(logits, target)
        assert (achieved(found) - target).abs().max() < tol


def test_logits_that_differ_by_a_millionth_need_a_huge_exponent():
    logits = 100 + 1e-6 * torch.arange(5, dtype=F64)
    found = entropy_normalize(logits, 0.3)
    assert abs(achieved(found).item() - 0.3) < 1e-10 and 1e6 < found.exponent.item() < 1e7


def test_a_plateau_between_near_ties_and_far_states():
    logits = torch.tensor([0, -1e-6, -1e4, -2e4], dtype=F64)  # H(t) stands at log 2 for t from 1e-2 to 1e5
    found = entropy_normalize(logits.expand(3, 4), torch.tensor([0.5, math.log(2), 1.0], dtype=F64))
    torch.testing.assert_close(achieved(found), torch.tensor([0.5, math.log(2), 1.0], dtype=F64), rtol=0, atol=1e-10)
    assert found.exponent[0] > 1e5 and found.exponent[2] < 1e-2


def test_tied_maxima_bound_the_entropy_from_below():
    logits = torch.tensor([2.0, 2.0, 2.0, 0.0, -1.0], dtype=F64)
    found = entropy_normalize(logits, math.log(3) + 1e-6)
    assert abs(achieved(found).item() - math.log(3) - 1e-6) < 1e-10
    with pytest.raises(ValueError, match=r"tied maxima\) = 1.09861"):
        entropy_normalize(logits, math.log(3))


def test_targets_at_the_very_edge_are_reached():
    logits = random_logits(50, 30)
    for target in (1e-7, math.log(30) - 1e-7):
        found = entropy_normalize(logits, target)
        assert (achieved(found) - target).abs().max() < 2e-10


def test_a_uniform_row_keeps_its_only_entropy_and_has_a_zero_gradient():
    logits = torch.tensor([[0.3] * 4, [0.3, 0.3, -math.inf, -math.inf]], dtype=F64, requires_grad=True)
    found = entropy_normalize(logits, torch.tensor([4.0, 2.0], dtype=F64).log())
    assert found.exponent.tolist() == [1, 1]
    found.exponent.sum().backward()
    assert (logits.grad == 0).all()
    one_hot = entropy_normalize(torch.tensor([0.0, -math.inf], dtype=F64), 0.0)
    assert one_hot.log_probs.tolist() == [0, -math.inf]


# entropy_normalize: gradients

def test_gradients_pass_gradcheck_twice():
    logits = random_logits(3, 5).requires_grad_()
    target = torch.tensor([0.4, 0.9, 1.4], dtype=F64, requires_grad=True)

    def solve(logits, target):
        return entropy_normalize(logits, target, tol=1e-14)[:2]

    assert torch.autograd.gradcheck(solve, (logits, target))
    assert torch.autograd.gradgradcheck(solve, (logits, target))


def test_exponent_gradients_are_the_formulas_of_the_implicit_function_theorem():
    logits = random_logits(4, 9).requires_grad_()
    target = torch.full((4,), 1.2, dtype=F64, requires_grad=True)
    t = entropy_normalize(logits, target).exponent
    grad_logits, grad_target = torch.autograd.grad(t.sum(), (logits, target))
    a, t = logits.detach(), t.detach()[:, None]
    q = torch.softmax(t * a, -1)
    deviation = a - (q * a).sum(-1, keepdim=True)
    variance = (q * deviation**2).sum(-1, keepdim=True)
    torch.testing.assert_close(grad_logits, -t * q * deviation / variance, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(grad_target, (-1 / (t * variance)).squeeze(-1), rtol=1e-9, atol=0)


def test_gradients_agree_with_differentiating_brentq():
    logits, target, step = random_logits(6, seed=3), 1.1, 1e-5
    leaf = logits.clone().requires_grad_()
    entropy_normalize(leaf, target).exponent.backward()
    shift = step * torch.eye(6, dtype=F64)
    numeric = [(brentq_exponent(logits + e, target) - brentq_exponent(logits - e, target)) / (2 * step) for e in shift]
    torch.testing.assert_close(leaf.grad, torch.tensor(numeric, dtype=F64), rtol=1e-6, atol=1e-7)


def test_masked_states_get_no_gradient_and_spoil_none():
    logits = random_logits(2, 6)
    logits[:, 4:] = -math.inf
    short = logits[:, :4].clone().requires_grad_()
    logits.requires_grad_()
    weight = random_logits(6, seed=1)
    entropy_normalize(logits, 0.8).log_probs.backward(weight.expand(2, 6))
    entropy_normalize(short, 0.8).log_probs.backward(weight[:4].expand(2, 4))
    torch.testing.assert_close(logits.grad[:, :4], short.grad, rtol=1e-9, atol=1e-12)
    assert (logits.grad[:, 4:] == 0).all()


# the first-order formula and the unguarded iteration

def test_first_order_error_is_quadratic_with_the_known_coefficient():
    p = torch.rand(100, generator=generator(), dtype=F64)
    p = p / p.sum()
    centred = p.log() - (p * p.log()).sum()
    v, k3 = (p * centred**2).sum(), (p * centred**3).sum()
    for change in (1e-3, -1e-3):
        target = entropy(p) + change
        error = entropy_normalize(p.log(), target, tol=1e-14).exponent - first_order_exponent(p, target)
        assert error.item() == pytest.approx((-(v + k3) * change**2 / (2 * v**3)).item(), rel=0.02)


def test_first_order_exponent_is_one_at_the_own_entropy_and_ignores_zeros():
    p = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=F64)
    assert first_order_exponent(p, entropy(p)).item() == pytest.approx(1, abs=1e-14)
    assert first_order_exponent(p, 0.9).item() == pytest.approx(first_order_exponent(p[:3], 0.9).item(), rel=1e-14)


def test_naive_iteration_is_newton_in_t_where_it_converges():
    p = torch.tensor([0.9, 0.06, 0.04], dtype=F64)
    trace = newton_iteration_naive(p, 1.09, 8)
    assert trace.exponents[0].item() == pytest.approx(0.064, abs=5e-4)
    assert trace.exponents.prod().item() == pytest.approx(entropy_normalize(p.log(), 1.09).exponent.item(), rel=1e-8)
    t = torch.tensor(1.0, dtype=F64)
    for product in trace.exponents.cumprod(0)[:4]:
        q = torch.softmax(t * p.log(), -1)
        centred = p.log() - (q * p.log()).sum()
        t = t + (1.09 - entropy(q)) / (-t * (q * centred**2).sum())  # Newton for H(t) = H*, H' = -t Var
        assert product.item() == pytest.approx(t.item(), rel=1e-9)


def test_naive_iteration_treats_each_row_of_a_batch_alone():
    p = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.35, 0.45]], dtype=F64)
    target = torch.tensor([0.8, 1.06], dtype=F64)
    trace = newton_iteration_naive(p, target, 3)
    assert trace.exponents.shape == (3, 2) and trace.probs.shape == (4, 2, 3)
    for row in range(2):
        alone = newton_iteration_naive(p[row], target[row], 3)
        torch.testing.assert_close(trace.exponents[:, row], alone.exponents, rtol=1e-12, atol=0)
        torch.testing.assert_close(trace.probs[:, row], alone.probs, rtol=1e-12, atol=0)


@pytest.mark.parametrize("p, target, first, second", [
    ([0.99, 0.01], 0.69, -2.033, -89),
    ([0.34, 0.33, 0.33], 0.1, 4994, None),
])
def test_naive_iteration_fails_where_the_safeguarded_one_does_not(p, target, first, second):
    p = torch.tensor(p, dtype=F64)
    trace = newton_iteration_naive(p, target, 6)
    assert trace.exponents[0].item() == pytest.approx(first, rel=1e-3)
    assert second is None or trace.exponents[1].item() == pytest.approx(second, rel=0.01)
    assert trace.exponents[-1].isnan()
    assert abs(achieved(entropy_normalize(p.log(), target)).item() - target) < 1e-10


# attention on the sphere

@pytest.mark.parametrize("d", [1, 2, 3, 64, 511])
@pytest.mark.parametrize("scale", [1e-3, 0.125, 1.0, 2.0])
def test_sphere_attention_entropy_agrees_with_mpmath_bessel(d, scale):
    with mpmath.workdps(40):
        nu, x = mpmath.mpf(d) / 2 - 1, mpmath.mpf(scale) * d
        expected = (mpmath.loggamma(nu + 1) + nu * mpmath.log(2 / x) + mpmath.log(mpmath.besseli(nu, x))
                    - x * mpmath.besseli(nu + 1, x) / mpmath.besseli(nu, x))
    found = sphere_attention_entropy(torch.tensor(scale, dtype=F64), d)
    assert found.item() == pytest.approx(float(expected), rel=1e-10, abs=1e-10)


def test_sphere_attention_entropy_reproduces_the_published_table():
    found = [sphere_attention_entropy(torch.ones((), dtype=F64), d).item() for d in (32, 64, 96, 128, 256, 512)]
    assert found == pytest.approx([-7.77471, -15.4734, -23.1726, -30.8718, -61.6692, -123.264], rel=4e-6)


def test_sphere_attention_entropy_limits_and_gradient():
    scale = torch.tensor([0.0, 0.1, 0.7], dtype=F64, requires_grad=True)
    assert sphere_attention_entropy(scale, 64)[0].item() == 0
    assert torch.autograd.gradcheck(lambda s: sphere_attention_entropy(s, 7), (scale[1:].detach().requires_grad_(),))
    golden = -0.5 * math.log((1 + 5**0.5) / 2)
    assert sphere_attention_entropy(torch.ones((), dtype=F64), 10**4).item() / 10**4 == pytest.approx(golden, abs=1e-4)


def test_entropy_invariant_scale_inverts_the_entropy_to_leading_order():
    n = torch.tensor([64, 512, 8192], dtype=F64)
    for d, tol in ((64, 0.5), (4096, 0.05)):
        scale = entropy_invariant_scale(n, d, 3.0)
        torch.testing.assert_close(n.log() + sphere_attention_entropy(scale, d), torch.full((3,), 3.0, dtype=F64),
                                   rtol=0, atol=tol)
    torch.testing.assert_close(entropy_invariant_scale(n, 10**8, 3.0), (2 * (n.log() - 3) / 10**8).sqrt(),
                               rtol=1e-6, atol=0)


# the experiment's model

def test_max_retrieval_answers_are_the_class_of_the_largest_priority():
    model = MaxRetrieval(2, classes=4, width=8, generator=generator())
    tokens, answer = model.sample(5, 7, generator(1))
    assert tokens.shape == (2, 7, 5, 5)
    best = tokens[..., 0].argmax(-1)
    for index in np.ndindex(2, 7):
        assert tokens[index][best[index], 1 + answer[index]] == 1


def test_max_retrieval_stays_on_the_device_of_its_weights():
    model = MaxRetrieval(2, classes=4, width=8, device="meta", dtype=torch.float32)  # a device every machine has
    tokens, answer = model.sample(5, 7)
    assert tokens.device.type == answer.device.type == "meta" and tokens.dtype == torch.float32
    assert all(weight.device.type == "meta" and weight.dtype == torch.float32 for weight in model.parameters())


def test_max_retrieval_forward_is_textbook_attention():
    model = MaxRetrieval(2, classes=4, width=8, generator=generator())
    tokens, _ = model.sample(5, 7, generator(1))
    x = tokens @ model.embed[:, None]
    weights = ((x @ model.key[:, None]) @ model.query[:, None]).squeeze(-1).softmax(-1)
    expected = torch.einsum("rbn,rbnd->rbd", weights, x @ model.value[:, None]) @ model.readout
    torch.testing.assert_close(model(tokens, lambda s: s.softmax(-1)), expected)


def test_training_repeats_from_its_seed_and_learns():
    def run():
        source = generator(5)
        model = MaxRetrieval(2, classes=3, width=8, generator=source)
        losses = train_max_retrieval(model, 6, steps=150, batch=32, learning_rate=0.02, generator=source)
        return losses, *evaluate_max_retrieval(model, 6, lambda s: s.softmax(-1), batch=200, generator=source)

    (losses, accuracy, spread), (again, *_) = run(), run()
    assert torch.equal(losses, again) and losses.shape == (150, 2)
    assert (accuracy > 0.6).all() and (spread < math.log(6)).all()


# bad input

GOOD = torch.tensor([0.5, 0.3, 0.2], dtype=F64)


@pytest.mark.parametrize("call, error, words", [
    (lambda: entropy(torch.tensor([])), ValueError, "p must not be empty"),
    (lambda: entropy(torch.tensor([0.5, math.nan])), ValueError, "p must be finite"),
    (lambda: entropy(torch.tensor([1.5, -0.5])), ValueError, "p must not be negative, got -0.5"),
    (lambda: entropy(torch.tensor([0.5, 0.4])), ValueError, "p must sum to 1"),
    (lambda: entropy(torch.tensor([1, 0])), TypeError, "p must have a floating dtype"),
    (lambda: entropy(torch.tensor(1.0)), ValueError, "dim must be a dimension of p"),
    (lambda: entropy(GOOD, dim=1), ValueError, "dim must be a dimension of p"),
    (lambda: entropy_normalize(torch.zeros(0, 3), 0.5), ValueError, r"logits must have shape .* got shape \(0, 3\)"),
    (lambda: entropy_normalize(torch.zeros(3, 0), 0.5), ValueError, "logits must have shape"),
    (lambda: entropy_normalize(torch.tensor(1.0), 0.5), ValueError, "logits must have shape"),
    (lambda: entropy_normalize(torch.tensor([0.0, math.nan]), 0.5), ValueError, "logits must be finite.* got nan"),
    (lambda: entropy_normalize(torch.tensor([0.0, math.inf]), 0.5), ValueError, "logits must be finite.* got inf"),
    (lambda: entropy_normalize(torch.full((2,), -math.inf), 0.5), ValueError, "logits must .* every state masked"),
    (lambda: entropy_normalize(torch.tensor([1, 2]), 0.5), TypeError, "logits must have a floating dtype"),
    (lambda: entropy_normalize(GOOD.log(), 1.2), ValueError, "target must lie strictly between .* got 1.2"),
    (lambda: entropy_normalize(GOOD.log(), math.log(3)), ValueError, "target must lie strictly between"),
    (lambda: entropy_normalize(GOOD.log(), 0.0), ValueError, "target must lie strictly between"),
    (lambda: entropy_normalize(GOOD.log(), -1.0), ValueError, "target must lie strictly between"),
    (lambda: entropy_normalize(torch.tensor([0.0, -math.inf]), 0.5), ValueError, "target must lie strictly between"),
    (lambda: entropy_normalize(torch.zeros(5), 1.0), ValueError, r"target must .* tied maxima\) = 1.60944"),
    (lambda: entropy_normalize(GOOD.log(), math.nan), ValueError, "target must be finite"),
    (lambda: entropy_normalize(GOOD.log(), torch.tensor([0.5, math.inf])), ValueError, "target must be finite"),
    (lambda: entropy_normalize(GOOD.log().expand(2, 3), torch.full((3,), 0.5)), ValueError,
     r"target must broadcast to the batch shape \(2,\), got \(3,\)"),
    (lambda: entropy_normalize(GOOD.log(), torch.tensor(1)), TypeError, "target must have a floating dtype"),
    (lambda: entropy_normalize(GOOD.log(), 0.5, tol=0.0), ValueError, "tol must be greater than 0"),
    (lambda: entropy_normalize(GOOD.log(), 0.5, max_iter=0), ValueError, "max_iter must be at least 1"),
    (lambda: entropy_normalize(GOOD.log(), 0.5, max_iter=2), ValueError, "max_iter = 2 was too small .* 1 rows remain"),
    (lambda: first_order_exponent(torch.full((4,), 0.25), 1.0), ValueError, "p must not be uniform"),
    (lambda: first_order_exponent(2 * GOOD, 1.0), ValueError, "p must sum to 1"),
    (lambda: newton_iteration_naive(GOOD, 1.0, 0), ValueError, "steps must be at least 1"),
    (lambda: newton_iteration_naive(GOOD - 1, 1.0, 3), ValueError, "p must not be negative"),
    (lambda: sphere_attention_entropy(torch.tensor([-1.0]), 3), ValueError, "scale must not be negative"),
    (lambda: sphere_attention_entropy(torch.tensor([1.0]), 0), ValueError, "d must be at least 1"),
    (lambda: entropy_invariant_scale(torch.tensor([2.0]), 64, 3.0), ValueError, "n must be at least 1 and log n at least target = 3"),
    (lambda: entropy_invariant_scale(torch.tensor([20.0]), 64, -1.0), ValueError, "target must be at least 0"),
    (lambda: entropy_invariant_scale(torch.tensor([20]), 64, 1.0), TypeError, "n must have a floating dtype"),
    (lambda: entropy_invariant_scale(torch.tensor([20.0]), 0, 1.0), ValueError, "d must be at least 1"),
    (lambda: MaxRetrieval(0), ValueError, "replicates must be at least 1"),
    (lambda: train_max_retrieval(MaxRetrieval(1), 0, steps=1, batch=1), ValueError, "n must be at least 1"),
    (lambda: evaluate_max_retrieval(MaxRetrieval(1), 3, torch.exp, batch=0), ValueError, "batch must be at least 1"),
])
def test_bad_input_is_a_clear_error(call, error, words):
    with pytest.raises(error, match=f"^{words}"):
        call()
