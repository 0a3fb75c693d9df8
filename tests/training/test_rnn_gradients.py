"""Recurrent Jacobians against torch.func and autograd, constants against mpmath, claims against counterexamples."""

import math

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from derivable.training.rnn_gradients import (
    MODELS,
    chrono_init_,
    delayed_recall,
    forget_bias_for_horizon,
    gradient_profile,
    jacobian_norms,
    kappa,
    log_lyapunov,
    lstm_path_factor,
    mean_field_growth,
    recall_accuracy,
    recall_model,
    state_jacobian,
    state_jacobians,
    train_recall,
)

F64 = torch.float64
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
LAYERS = [nn.RNN, nn.LSTM, nn.GRU]
TORCH_CELLS = {nn.RNN: torch.rnn_tanh_cell, nn.LSTM: torch.lstm_cell, nn.GRU: torch.gru_cell}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def layer(kind, input_size, n, dtype=F64, scale=1.0, bias=True):
    """A module with N(0, scale^2) weights: larger than torch's default, so that gates move and saturate."""
    module = kind(input_size, n, bias=bias).to(dtype)
    generator = seeded()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=F64))
    return module


def example(kind, dtype=F64, T=7, batch=3, input_size=2, n=4, scale=1.0, bias=True):
    module = layer(kind, input_size, n, dtype, scale, bias)
    generator = seeded(1)
    x = torch.randn(T, batch, input_size, generator=generator, dtype=F64).to(dtype)
    h, c = torch.randn(2, batch, n, generator=generator, dtype=F64).to(dtype)
    return module, x, (h, c) if kind is nn.LSTM else h


def torch_cell(module):
    """torch's own cell of a layer, on states of shape (m,) or (batch, m) with (h, c) side by side."""
    weights = [parameter.detach() for parameter in module.parameters()]
    cell = TORCH_CELLS[type(module)]

    def step(x, state):
        x, state = x[None], state[None]
        if isinstance(module, nn.LSTM):
            return torch.cat(cell(x, state.chunk(2, -1), *weights), -1)[0]
        return cell(x, state, *weights)[0]

    return step


def as_one(state):
    return torch.cat(state, -1) if isinstance(state, tuple) else state


def reference_jacobians_of_h(module, x, state):
    """dh_T / dh_t for t = 0..T-1 with torch.func.jacrev of torch's cells: (T, batch, n, n)."""
    step, n = torch_cell(module), module.hidden_size

    def last_h(nudges, xs, start):
        current = start
        for nudge, x_t in zip(nudges, xs, strict=True):
            current = step(x_t, torch.cat((current[:n] + nudge, current[n:])))
        return current[:n]

    nudges = x.new_zeros(*x.shape[:2], n)
    jacobian = torch.func.vmap(torch.func.jacrev(last_h), in_dims=(1, 1, 0))(nudges, x, as_one(state))
    return jacobian.permute(2, 0, 1, 3)


def assert_relative(actual, expected, tolerance):
    expected = torch.as_tensor(expected, dtype=actual.dtype)
    assert actual.shape == expected.shape
    assert ((actual - expected).abs().max() <= tolerance * expected.abs().max())


# ---------------------------------------------------------------- one step


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", LAYERS)
def test_state_jacobian_is_that_of_torchs_cell(kind, dtype):
    module, x, state = example(kind, dtype)
    expected = torch.func.vmap(torch.func.jacrev(torch_cell(module), 1))(x[0], as_one(state))
    assert_relative(state_jacobian(module, x[0], state), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("kind", LAYERS)
def test_cells_and_layers_are_the_same_module(kind):
    module, x, state = example(kind)
    cell = {nn.RNN: nn.RNNCell, nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell}[kind](2, 4).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in module.state_dict().items()})
    torch.testing.assert_close(state_jacobians(cell, x, state), state_jacobians(module, x, state), rtol=0, atol=0)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_module_without_biases_is_one_with_zero_biases(kind):
    module, x, state = example(kind, bias=False)
    with_bias = kind(2, 4).double()
    with_bias.load_state_dict(module.state_dict(), strict=False)
    for name, parameter in with_bias.named_parameters():
        if "bias" in name:
            nn.init.zeros_(parameter)
    torch.testing.assert_close(jacobian_norms(module, x, state), jacobian_norms(with_bias, x, state))


def test_saturated_slopes_keep_their_digits():
    """1 - tanh^2 z is exactly 0 in float64 from z = 20 on; the slope itself is not."""
    module = nn.RNN(1, 1).double()
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    jacobian = state_jacobian(module, torch.full((1, 1), 38.0, dtype=F64), torch.zeros(1, 1, dtype=F64))
    assert jacobian.item() == pytest.approx(float(mpmath.sech(40) ** 2), rel=1e-10)


# ---------------------------------------------------------------- products through time


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("ord, order", [("fro", "fro"), ("spectral", 2)])
@pytest.mark.parametrize("kind", LAYERS)
def test_jacobian_norms_are_those_of_jacrev_through_the_sequence(kind, ord, order, dtype):
    module, x, state = example(kind, dtype)
    expected = torch.linalg.matrix_norm(reference_jacobians_of_h(module, x, state), order)
    actual = jacobian_norms(module, x, state, ord)
    assert ((actual / expected - 1).abs() <= TOLERANCE[dtype]).all()
    torch.testing.assert_close(jacobian_norms(module, x, state, ord, log=True).exp(), actual)


@pytest.mark.parametrize("kind", LAYERS)
def test_one_unit_one_step_and_the_default_state(kind):
    module, x, _ = example(kind, T=1, batch=1, input_size=1, n=1)
    zero = torch.zeros(1, 1, dtype=F64)
    state = (zero, zero) if kind is nn.LSTM else zero
    expected = state_jacobian(module, x[0], state)[:, :1, :1].abs().flatten(1)
    torch.testing.assert_close(jacobian_norms(module, x), expected)


@pytest.mark.parametrize("kind", LAYERS)
def test_jacobian_norms_are_differentiable(kind):
    """In U, against differentiating torch.func.jacrev of the cell."""
    module, x, state = example(kind, T=1)
    U = module.weight_hh_l0

    def norm_of_cell(weight):
        weights = [weight if parameter is U else parameter.detach() for parameter in module.parameters()]

        def next_h(h):
            if kind is nn.LSTM:
                return torch.lstm_cell(x[0], (h, state[1]), *weights)[0].sum(0)
            return TORCH_CELLS[kind](x[0], h, *weights).sum(0)

        jacobian = torch.func.jacrev(next_h)(state[0] if kind is nn.LSTM else state)
        return jacobian.permute(1, 0, 2).flatten(1).norm(dim=1).sum()

    (actual,) = torch.autograd.grad(jacobian_norms(module, x, state).sum(), U)
    assert_relative(actual, torch.func.grad(norm_of_cell)(U.detach()), 1e-10)


@pytest.mark.parametrize("kind", LAYERS)
@torch.no_grad()
def test_float32_logarithms_survive_where_the_norm_underflows(kind):
    module, x, state = example(kind, torch.float32, T=600, scale=0.1)
    single = jacobian_norms(module, x, state, log=True)
    state64 = tuple(part.double() for part in state) if kind is nn.LSTM else state.double()
    double = jacobian_norms(module.double(), x.double(), state64, log=True)
    assert double[0].max() < -150 and jacobian_norms(module.float(), x, state)[0].max() == 0
    assert ((single / double - 1).abs() < 1e-4).all()


def test_a_zero_jacobian_is_zero_and_not_nan():
    module, x, state = example(nn.RNN)
    nn.init.zeros_(module.weight_hh_l0)
    assert (jacobian_norms(module, x, state) == 0).all()
    assert (gradient_profile(module, x, torch.ones(3, 4, dtype=F64))[:-1] == -math.inf).all()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", LAYERS)
def test_gradient_profile_is_autograd(kind, dtype):
    module, x, state = example(kind, dtype)
    v = torch.randn(3, 4, generator=seeded(2), dtype=F64).to(dtype)
    x.requires_grad_()
    start = tuple(part[None] for part in state) if kind is nn.LSTM else state[None]
    (gradient,) = torch.autograd.grad((module(x, start)[0][-1] * v).sum(), x)
    torch.testing.assert_close(gradient_profile(module, x, v, state).exp(), gradient.norm(dim=-1),
                               rtol=TOLERANCE[dtype], atol=0)


@torch.no_grad()
def test_gradient_profile_survives_where_autograd_is_exactly_zero():
    model = recall_model("rnn", 32, 500, seeded())
    x, _ = delayed_recall(4, 500, seeded(1))
    v = torch.ones(4, 32)
    profile = gradient_profile(model.recurrent, x, v)
    with torch.enable_grad():
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(model.recurrent(x)[0][-1].sum(), x)
    assert (gradient[0] == 0).all() and torch.isfinite(profile).all()
    double = gradient_profile(model.recurrent.double(), x.double(), v.double())
    torch.testing.assert_close(profile.double(), double, rtol=1e-4, atol=0)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_log_lyapunov_is_the_growth_of_mpmaths_product(scale, dtype, tolerance):
    jacobians = (scale * torch.randn(20, 2, 3, 3, generator=seeded(), dtype=F64)).to(dtype)
    for k, actual in enumerate(log_lyapunov(jacobians)):
        product = mpmath.eye(3)
        for jacobian in jacobians[:, k].tolist():
            product = mpmath.matrix(jacobian) * product
        expected = mpmath.log(mpmath.mnorm(product, "f") / mpmath.sqrt(3)) / 20
        assert actual.item() == pytest.approx(float(expected), rel=tolerance)


def test_log_lyapunov_of_orthogonal_matrices_is_zero():
    rotations = torch.linalg.qr(torch.randn(50, 4, 4, generator=seeded(), dtype=F64)).Q
    assert abs(log_lyapunov(rotations).item()) < 1e-14
    assert log_lyapunov(torch.zeros(3, 2, 2)).item() == -math.inf


# ---------------------------------------------------------------- boundedness: true for one unit, false for two


def tanh_layer(U, W=None, b=None):
    n = len(U)
    module = nn.RNN(n, n).double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(U)
        module.weight_ih_l0.copy_(torch.eye(n, dtype=F64) if W is None else W)
        module.bias_ih_l0.copy_(torch.zeros(n) if b is None else b)
        nn.init.zeros_(module.bias_hh_l0)
    return module


def test_kappa_is_the_maximum_of_v_sech2_v():
    with mpmath.workdps(30):
        v = mpmath.findroot(lambda v: 2 * v * mpmath.tanh(v) - 1, 0.77)
        assert mpmath.nstr(v, 9) == "0.771702319"
        assert mpmath.nstr(v * mpmath.sech(v) ** 2, 12) == "0.447743204694"
        assert kappa() == pytest.approx(float(v * mpmath.sech(v) ** 2), abs=1e-15)


def test_a_single_unit_has_a_bounded_jacobian_and_the_bound_is_sharp():
    generator = seeded()
    s, a = 3 * torch.randn(2, 20_000, 1, generator=generator, dtype=F64)
    v = torch.linspace(-4, 4, 401, dtype=F64)
    U = (v - s) / a
    ratio = (U.abs() / torch.cosh(s + U * a) ** 2) * a.abs() / (kappa() + s.abs())
    assert 0.99 <= ratio.max() <= 1
    sharp = tanh_layer(torch.tensor([[0.771702319 / 0.3]], dtype=F64))
    jacobian = state_jacobian(sharp, torch.zeros(1, 1, dtype=F64), torch.full((1, 1), 0.3, dtype=F64))
    assert jacobian.item() == pytest.approx(kappa() / 0.3, rel=1e-12)


@pytest.mark.parametrize("M", [1.0, 1e3, 1e6])
def test_counterexample_two_units_have_an_unbounded_jacobian(M):
    """U h = 0, so the entry M never saturates its unit."""
    module = tanh_layer(torch.tensor([[0, M], [0, 0]], dtype=F64))
    x = torch.tensor([[0.2, -0.4]], dtype=F64)
    jacobian = state_jacobian(module, x, torch.tensor([[0.7, 0.0]], dtype=F64))
    assert torch.linalg.matrix_norm(jacobian, 2).item() == pytest.approx(M / math.cosh(0.2) ** 2, rel=1e-12)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(scale=st.floats(-1e4, 1e4), seed=st.integers(0, 1000))
def test_along_a_line_of_recurrent_matrices_each_row_is_bounded(scale, seed):
    """The statement that does hold for n units: U = scale U_0 with no entry of U_0 h equal to zero."""
    generator = seeded(seed)
    U_0 = torch.randn(3, 3, generator=generator, dtype=F64)
    h, s = torch.rand(2, 1, 3, generator=generator, dtype=F64) * 2 - 1
    rows = state_jacobian(tanh_layer(scale * U_0), s, h)[0].norm(dim=-1)
    bound = (kappa() + s[0].abs()) / (U_0 @ h[0]).abs() * U_0.norm(dim=-1)
    assert (rows <= bound * (1 + 1e-12)).all()


def test_counterexample_spectral_radius_below_one_and_the_gradient_explodes():
    U = torch.tensor([[1.5, 1], [-2, -1.5]], dtype=F64)
    assert torch.linalg.eigvals(U).abs().max().item() == pytest.approx(0.5, abs=1e-12)
    h_2 = float(mpmath.findroot(lambda h: h - mpmath.tanh(8 - 1.5 * h), 1))
    assert h_2 == pytest.approx(0.99999548, abs=5e-9)
    module = tanh_layer(U, b=torch.tensor([-h_2, 8], dtype=F64))
    x = torch.zeros(30, 1, 2, dtype=F64)
    fixed_point = torch.tensor([[0, h_2]], dtype=F64)
    jacobians = state_jacobians(module, x, fixed_point)
    assert torch.linalg.eigvals(jacobians[-1, 0]).abs().max().item() == pytest.approx(1.49999, abs=1e-5)
    assert jacobian_norms(module, x, fixed_point, "spectral")[0].item() == pytest.approx(2.30e5, rel=5e-3)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 3.0))
def test_the_product_is_bounded_by_singular_values(seed, scale):
    generator = seeded(seed)
    U = scale * torch.randn(3, 3, generator=generator, dtype=F64)
    x = torch.randn(6, 2, 3, generator=generator, dtype=F64)
    slopes = (1 - tanh_layer(U)(x)[0] ** 2).amax(-1)
    lags = torch.arange(6, 0, -1)[:, None]
    bound = slopes.flip(0).cumprod(0).flip(0) * torch.linalg.matrix_norm(U, 2) ** lags
    assert (jacobian_norms(tanh_layer(U), x, ord="spectral") <= bound * (1 + 1e-10)).all()


@torch.no_grad()
def test_an_orthogonal_tanh_rnn_never_explodes():
    U = nn.init.orthogonal_(torch.empty(32, 32, dtype=F64), generator=seeded())
    x = 0.3 * torch.randn(200, 2, 32, generator=seeded(1), dtype=F64)
    norms = jacobian_norms(tanh_layer(U), x, ord="spectral")
    assert (norms <= 1).all() and (norms.diff(dim=0) >= 0).all()


@pytest.mark.parametrize("gain, grows", [(0.9, False), (1.1, True)])
def test_zero_is_stable_under_a_scaled_orthogonal_matrix_exactly_below_gain_one(gain, grows):
    U = gain * nn.init.orthogonal_(torch.empty(5, 5, dtype=F64), generator=seeded())
    jacobians = state_jacobians(tanh_layer(U), torch.zeros(20, 1, 5, dtype=F64))
    assert log_lyapunov(jacobians).item() == pytest.approx(math.log(gain), rel=1e-10)
    assert (log_lyapunov(jacobians).item() > 0) == grows


# ---------------------------------------------------------------- gates


def scalar_lstm(**values):
    """One unit whose inputs add to the pre-activations of i, f, g, o; U and b of the named gates, 0 for the rest."""
    module = nn.LSTM(4, 1).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.weight_ih_l0.copy_(torch.eye(4))
        for name, value in values.items():
            vector = module.weight_hh_l0[:, 0] if name[0] == "U" else module.bias_ih_l0
            vector["ifgo".index(name[2])] = value
    return module


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_lstm_path_factor_is_jacrev_with_the_output_gate_held(dtype):
    module, x, (_, c) = example(nn.LSTM, dtype)
    o = torch.rand(3, 4, generator=seeded(2), dtype=F64).to(dtype)
    step = torch_cell(module)

    def next_c(c, o, x):
        return step(x, torch.cat((o * torch.tanh(c), c)))[4:]

    expected = torch.func.vmap(torch.func.jacrev(next_c))(c, o, x[0])
    assert_relative(lstm_path_factor(module, x[0], c, o), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("gate, bound", [("f", kappa() / 4), ("i", 1 / 4), ("g", 1.0)])
def test_each_extra_term_of_the_path_factor_stays_below_its_bound_and_comes_near(gate, bound):
    """The term of U_g is not small: its supremum is |U_g|, at i = o = 1, c = g = 0."""
    module = scalar_lstm(**{f"U_{gate}": 2.0})
    generator = seeded()
    x = 4 * torch.randn(200_000, 4, generator=generator, dtype=F64)
    c = torch.randn(200_000, 1, generator=generator, dtype=F64)
    o = torch.rand(200_000, 1, generator=generator, dtype=F64)
    f = state_jacobian(module, x, (o * c.tanh(), c))[:, 1, 1]
    terms = (lstm_path_factor(module, x, c, o)[:, 0, 0] - f).abs() / 2
    assert 0.9 * bound <= terms.max() <= bound


def scalar_products(module, T, h, c):
    """The true dh_T/dh_0 and dc_T/dc_0 of a scalar LSTM, and the product of its path factors."""
    x, o = torch.zeros(1, 4, dtype=F64), h / torch.tanh(c)
    true, path = torch.eye(2, dtype=F64), 1.0
    for _ in range(T):
        true = state_jacobian(module, x, (h, c))[0] @ true
        path = path * lstm_path_factor(module, x, c, o).item()
        (h,), (c,) = module(x[None], (h[None], c[None]))[1]
        o = h / torch.tanh(c)
    return true, path


def test_without_output_recurrence_the_path_factors_multiply_to_the_true_gradient():
    """Then each state Jacobian is an outer product u v^T and the product telescopes."""
    module = scalar_lstm(U_i=1.3, U_f=-0.7, U_g=2.1, b_i=0.3, b_f=0.9, b_g=-0.4, b_o=0.2)
    c = torch.tensor([[0.8]], dtype=F64)
    h = torch.sigmoid(torch.tensor(0.2, dtype=F64)) * torch.tanh(c)
    jacobian = state_jacobian(module, torch.zeros(1, 4, dtype=F64), (h, c))
    assert abs(torch.linalg.det(jacobian).item()) < 1e-16
    # dc_T/dc_0 along the path: h_0 follows c_0 with o_0 fixed.
    true, path = scalar_products(module, 12, h, c)
    by_c = torch.stack((h / torch.tanh(c) / torch.cosh(c) ** 2, torch.ones_like(c)))[:, 0, 0]
    assert (true @ by_c)[1].item() == pytest.approx(path, rel=1e-12)


def test_counterexample_every_path_factor_is_one_and_the_gradient_explodes():
    """f = 1, i = 0: the cell is constant and dc_T/dc_0 = 1, but h feeds back through its own output gate."""
    c = torch.tensor([[3.0]], dtype=F64)
    module = scalar_lstm(U_o=8, b_f=40, b_i=-40, b_o=-8 * math.tanh(3) / 2)
    h = c.tanh() / 2
    true, path = scalar_products(module, 30, h, c)
    assert path == pytest.approx(1, abs=1e-12) and true[1, 1].item() == pytest.approx(1, abs=1e-12)
    assert true[0, 0].item() == pytest.approx(9.25e8, rel=5e-3)
    norms = jacobian_norms(module, torch.zeros(30, 1, 4, dtype=F64), (h, c))
    assert norms[0].item() == pytest.approx((2 * math.tanh(3)) ** 30, rel=1e-6)


def test_determinant_of_the_scalar_lstm_state_jacobian():
    """det = f o (1 - o) U_o tanh c', up to sign: the order (h, c) or (c, h) does not change it."""
    module, x, (h, c) = example(nn.LSTM, batch=50, n=1, input_size=1)
    with torch.no_grad():
        _, z_f, _, z_o = (x[0] @ module.weight_ih_l0.T + h @ module.weight_hh_l0.T
                          + module.bias_ih_l0 + module.bias_hh_l0).chunk(4, -1)
        next_c = module(x[:1], (h[None], c[None]))[1][1][0]
        o = torch.sigmoid(z_o)
        expected = torch.sigmoid(z_f) * o * (1 - o) * module.weight_hh_l0[3, 0] * torch.tanh(next_c)
        torch.testing.assert_close(torch.linalg.det(state_jacobian(module, x[0], (h, c))), expected[:, 0],
                                   rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10.0))
def test_gru_states_stay_in_the_cube_and_its_jacobian_terms_in_their_bounds(seed, scale):
    """One unit without biases: |dh'/dh| <= 1 + |U_z| / 2 + |U_n| (1 + |U_r| / 4)."""
    generator = seeded(seed)
    module = nn.GRU(1, 1, bias=False).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(scale * torch.randn(3, 1, generator=generator, dtype=F64))
        h = torch.rand(64, 1, generator=generator, dtype=F64) * 2 - 1
        x = torch.randn(20, 64, 1, generator=generator, dtype=F64)
        assert (module(x, h[None])[0].abs() <= 1).all()
        U_r, U_z, U_n = module.weight_hh_l0[:, 0].abs().tolist()
        jacobian = state_jacobian(module, x[0], h)
        assert (jacobian.abs() <= 1 + U_z / 2 + U_n * (1 + U_r / 4)).all()


@pytest.mark.parametrize("b_f, b_i, true_factor, forget_only", [(0, None, 0.617, 0.507), (1, None, 0.842, 0.740),
                                                                (3, None, 1.024, 0.954), (3, -3, 0.954, 0.951)])
@torch.no_grad()
def test_the_forget_gate_alone_misjudges_the_cell_gradient_at_default_scale(b_f, b_i, true_factor, forget_only):
    """Factor per step of |dc_40/dc_0|_F / sqrt(n). At b_f = 3 the forget gates say decay and the truth is growth."""
    n, T = 32, 40
    logs = []
    for seed in range(5):
        generator = seeded(seed)
        module = recall_model("lstm-forget-1", n, T, generator).recurrent.double()
        module.bias_ih_l0[n:2 * n] = b_f
        if b_i is not None:
            module.bias_ih_l0.copy_(torch.cat((torch.full((n,), b_i), torch.full((n,), b_f), torch.zeros(2 * n))))
            module.bias_hh_l0.zero_()
        jacobians = state_jacobians(module, torch.randn(T, 2, 6, generator=generator, dtype=F64))
        product = torch.eye(2 * n, dtype=F64)
        for jacobian in jacobians:
            product = jacobian @ product
        forget = jacobians[..., n:, n:].diagonal(dim1=-2, dim2=-1).prod(0)
        sizes = torch.stack((torch.linalg.matrix_norm(product[:, n:, n:]), forget.norm(dim=-1)))
        logs.append((sizes / n**0.5).log() / T)
    measured = torch.stack(logs).mean((0, 2)).exp()
    assert measured[0].item() == pytest.approx(true_factor, abs=0.03)
    assert measured[1].item() == pytest.approx(forget_only, abs=0.03)
    assert measured[0] > measured[1]


# ---------------------------------------------------------------- predictions


def mpmath_growth(weight_std, input_std):
    def gaussian(f):
        return mpmath.quad(lambda z: f(z) * mpmath.npdf(z), range(-10, 11, 2))

    def excess(q):
        return weight_std**2 * gaussian(lambda z: mpmath.tanh(mpmath.sqrt(q) * z) ** 2) + input_std**2 - q

    q = mpmath.findroot(excess, (0.01, weight_std**2 + input_std**2), solver="anderson")
    return float(weight_std * mpmath.sqrt(gaussian(lambda z: mpmath.sech(mpmath.sqrt(q) * z) ** 4)))


@pytest.mark.parametrize("weight_std, input_std, printed", [
    (0.5, 0.5, 0.414), (0.9, 0.5, 0.702), (1.2, 0.5, 0.865), (1.5, 0.5, 0.983), (1.5497, 0.5, 1.000),
    (2.0, 0.5, 1.128), (4.0, 0.5, 1.533)])
def test_mean_field_growth_reproduces_the_table(weight_std, input_std, printed):
    assert mean_field_growth(weight_std, input_std) == pytest.approx(printed, abs=1e-3)


@pytest.mark.parametrize("weight_std, input_std", [(0.5, 0.5), (4.0, 0.1), (3.0, 0.0)])
def test_mean_field_growth_is_mpmaths(weight_std, input_std):
    assert mean_field_growth(weight_std, input_std) == pytest.approx(mpmath_growth(weight_std, input_std), rel=1e-10)


def test_without_input_noise_the_critical_weight_scale_is_one():
    assert mean_field_growth(0.7, 0.0) == pytest.approx(0.7, rel=1e-12)
    assert mean_field_growth(0.999, 0.0) < 1 < mean_field_growth(1.01, 0.0)


@pytest.mark.parametrize("weight_std", [0.5, 0.9, 1.5, 2.0, 4.0])
@torch.no_grad()
def test_mean_field_growth_predicts_a_wide_random_rnn(weight_std):
    n, T, generator = 300, 300, seeded(3)
    U = weight_std / n**0.5 * torch.randn(n, n, generator=generator, dtype=F64)
    module = tanh_layer(U, W=0.5 * torch.eye(n, dtype=F64))
    x = torch.randn(T, 1, n, generator=generator, dtype=F64)
    profile = gradient_profile(module, x, torch.randn(1, n, generator=generator, dtype=F64))
    growth = ((profile[0] - profile[-100]) / (T - 100)).exp().item()
    assert growth == pytest.approx(mean_field_growth(weight_std, 0.5), rel=0.04)


@pytest.mark.parametrize("horizon", [0.01, 0.7, 1, 60, 1e6, 1e300])
def test_forget_bias_is_mpmaths(horizon):
    with mpmath.workdps(340):  # 1 - e^(-1/T) needs them
        expected = -mpmath.log(mpmath.expm1(1 / mpmath.mpf(horizon)))
    assert forget_bias_for_horizon(horizon) == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize("bias, half_life, e_fold", [(0, 1.000, 1.443), (1, 2.213, 3.192), (2, 5.461, 7.878),
                                                    (3, 14.266, 20.581), (4, 38.190, 55.097), (5, 103.218, 148.913)])
def test_memory_table_of_a_constant_forget_gate(bias, half_life, e_fold):
    rate = math.log1p(math.exp(-bias))
    assert (round(math.log(2) / rate, 3), round(1 / rate, 3)) == (half_life, e_fold)
    assert forget_bias_for_horizon(1 / rate) == pytest.approx(bias, abs=1e-12)


def test_forget_bias_follows_its_series():
    T = 20.0
    series = math.log(T) - 1 / (2 * T) - 1 / (24 * T**2) + 1 / (2880 * T**4)
    assert forget_bias_for_horizon(T) == pytest.approx(series, abs=1 / T**6)


@pytest.mark.parametrize("kind, blocks", [(nn.LSTM, (-1, 1, 0, 0)), (nn.GRU, (0, 1, 0)), (nn.LSTMCell, (-1, 1, 0, 0))])
def test_chrono_init_writes_one_bias_vector_with_log_uniform_times(kind, blocks):
    n, horizon = 1000, 101.0
    module = chrono_init_(kind(1, n), horizon, seeded())
    written, other = [value for name, value in module.named_parameters() if "bias" in name]
    assert (other == 0).all()
    keep = written.view(-1, n)[blocks.index(1)]
    times = keep.exp()
    assert times.min() >= 1 and times.max() <= horizon - 1
    assert abs(times.mean().item() - 50.5) < 4.5 * 99 / math.sqrt(12 * n)
    for block, sign in zip(written.view(-1, n), blocks, strict=True):
        torch.testing.assert_close(block, sign * keep, rtol=0, atol=0)


def test_chrono_times_reach_from_one_step_to_one_below_the_horizon():
    times = chrono_init_(nn.GRU(1, 1000), 3, seeded()).bias_ih_l0[1000:2000].exp()
    assert 1 <= times.min() < 1.01 and 1.99 < times.max() <= 2
    assert (chrono_init_(nn.LSTM(1, 5), 2, seeded()).bias_ih_l0 == 0).all()  # u = 1, whose logarithm is 0


# ---------------------------------------------------------------- the experiment


def test_delayed_recall_shows_the_symbol_once_and_noise_after():
    x, symbols = delayed_recall(2000, 10, seeded())
    assert x.shape == (10, 2000, 6) and set(symbols.tolist()) == {0, 1, 2, 3}
    torch.testing.assert_close(x[0], nn.functional.one_hot(symbols, 6).float())
    assert (x[1:, :, :4] == 0).all()
    assert x[1:, :, 4:].std().item() == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("name", MODELS)
def test_experiment_repeats_from_its_generators_and_leaves_the_global_one(name):
    before = torch.random.get_rng_state()
    runs = []
    for _ in range(2):
        generator = seeded(7)
        model = recall_model(name, 8, 5, generator)
        losses = train_recall(model, 5, steps=3, batch=4, generator=generator)
        runs.append((losses, recall_accuracy(model, 5, 50, generator)))
    assert torch.equal(runs[0][0], runs[1][0]) and runs[0][1] == runs[1][1]
    assert torch.isfinite(runs[0][0]).all()
    assert torch.equal(torch.random.get_rng_state(), before)


@torch.no_grad()
def test_gradient_decay_per_step_at_initialisation():
    """Means of five seeds: default LSTMs and GRUs forget about as fast as default RNNs; orthogonal U is slower."""
    table = {"rnn": 0.595, "rnn-orthogonal": 0.904, "lstm": 0.636, "lstm-forget-1": 0.845, "lstm-chrono": 0.963,
             "gru": 0.638, "gru-chrono": 0.961}
    for name in MODELS:
        decays = []
        for seed in range(5):
            generator = seeded(seed)
            model = recall_model(name, 32, 60, generator)
            x, _ = delayed_recall(16, 60, generator)
            profile = gradient_profile(model.recurrent, x, torch.randn(16, 32, generator=generator))
            decays.append(((profile[0] - profile[-1]) / 59).mean().exp().item())
        assert sum(decays) / 5 == pytest.approx(table[name], abs=0.02), name


@pytest.mark.parametrize("name, low, high", [("lstm", 0.0, 0.6), ("lstm-chrono", 0.95, 1.0)])
def test_one_bias_vector_decides_whether_the_lstm_learns_to_recall(name, low, high):
    generator = seeded()
    model = recall_model(name, 32, 60, generator)
    train_recall(model, 60, steps=300, batch=64, generator=generator)
    assert low <= recall_accuracy(model, 60, 1000, generator) <= high


# ---------------------------------------------------------------- bad input


def poisoned():
    module = nn.RNN(2, 3)
    with torch.no_grad():
        module.weight_hh_l0[0, 0] = math.nan
    return module


X, V = torch.zeros(5, 1, 2), torch.zeros(1, 3)
RNN, LSTM = nn.RNN(2, 3), nn.LSTM(2, 3)


@pytest.mark.parametrize("call, error, words", [
    (lambda: jacobian_norms(nn.RNN(2, 3, bidirectional=True), X), ValueError, "module must have bidirectional=False"),
    (lambda: jacobian_norms(nn.GRU(2, 3, num_layers=2), X), ValueError, "module must have num_layers=1, got 2"),
    (lambda: jacobian_norms(nn.LSTM(2, 3, proj_size=2), X), ValueError, "module must have proj_size=0, got 2"),
    (lambda: jacobian_norms(nn.RNN(2, 3, batch_first=True), X), ValueError, "module must have batch_first=False"),
    (lambda: jacobian_norms(nn.RNN(2, 3, nonlinearity="relu"), X), ValueError, "module must have nonlinearity='tanh', got 'relu'"),
    (lambda: state_jacobian(nn.RNNCell(2, 3, nonlinearity="relu"), X[0]), ValueError, "module must have nonlinearity='tanh'"),
    (lambda: jacobian_norms(nn.Linear(2, 3), X), TypeError, "module must be an nn.RNN.*got Linear"),
    (lambda: jacobian_norms(poisoned(), X), ValueError, "module.weight_hh_l0 must be finite, got nan"),
    (lambda: jacobian_norms(RNN, X[0]), ValueError, r"x must have shape \(any, any, 2\), got \(1, 2\)"),
    (lambda: state_jacobian(RNN, X), ValueError, r"x must have shape \(any, 2\)"),
    (lambda: jacobian_norms(RNN, X[:0]), ValueError, "x must not be empty"),
    (lambda: gradient_profile(RNN, X + math.inf, V), ValueError, "x must be finite, got inf"),
    (lambda: jacobian_norms(RNN, X.long()), TypeError, "x must have a floating dtype"),
    (lambda: jacobian_norms(RNN, X.double()), TypeError, "x must have the module's dtype torch.float32"),
    (lambda: jacobian_norms(RNN, X, V[:, :2]), ValueError, r"state must have shape \(1, 3\), got \(1, 2\)"),
    (lambda: jacobian_norms(RNN, X, (V, V)), TypeError, "state must be a torch.Tensor, got tuple"),
    (lambda: jacobian_norms(LSTM, X, V), TypeError, r"state must be a pair \(h, c\) for an LSTM, got Tensor"),
    (lambda: jacobian_norms(LSTM, X, (V, V, V)), TypeError, r"state must be a pair \(h, c\) for an LSTM, got tuple"),
    (lambda: jacobian_norms(LSTM, X, [V, V]), TypeError, r"state must be a pair \(h, c\) for an LSTM, got list"),
    (lambda: jacobian_norms(RNN, X, ord="nuclear"), ValueError, "ord must be 'fro' or 'spectral', got 'nuclear'"),
    (lambda: gradient_profile(RNN, X, V * math.nan), ValueError, "cotangent must be finite"),
    (lambda: gradient_profile(RNN, X, V[:, :1]), ValueError, r"cotangent must have shape \(1, 3\)"),
    (lambda: lstm_path_factor(RNN, X[0], V, V), TypeError, "module must be an nn.LSTM or nn.LSTMCell, got RNN"),
    (lambda: lstm_path_factor(LSTM, X[0], V, V - 1), ValueError, r"o must have values in \[0, 1\], got -1"),
    (lambda: lstm_path_factor(LSTM, X[0], V, V[:, :2]), ValueError, r"o must have shape \(any, 3\)"),
    (lambda: log_lyapunov(torch.zeros(3, 3)), ValueError, r"step_jacobians must have shape \(T, ..., n, n\)"),
    (lambda: log_lyapunov(torch.zeros(4, 2, 3)), ValueError, "step_jacobians must have shape"),
    (lambda: log_lyapunov(torch.zeros(0, 2, 2)), ValueError, "step_jacobians must not be empty"),
    (lambda: forget_bias_for_horizon(0.0), ValueError, "horizon must be greater than 0, got 0.0"),
    (lambda: forget_bias_for_horizon(-3), ValueError, "horizon must be greater than 0, got -3"),
    (lambda: forget_bias_for_horizon(math.nan), ValueError, "horizon must be greater than 0, got nan"),
    (lambda: mean_field_growth(0.0, 0.5), ValueError, "weight_std must be greater than 0"),
    (lambda: mean_field_growth(1.0, -0.5), ValueError, "input_std must be at least 0"),
    (lambda: chrono_init_(LSTM, 1.5), ValueError, "horizon must be at least 2, got 1.5"),
    (lambda: chrono_init_(RNN, 10), TypeError, r"module must be gated \(LSTM or GRU\), got RNN"),
    (lambda: chrono_init_(nn.GRU(2, 3, bias=False), 10), ValueError, "module must have bias=True"),
    (lambda: delayed_recall(0, 5), ValueError, "batch must be at least 1, got 0"),
    (lambda: delayed_recall(2, 0), ValueError, "delay must be at least 1, got 0"),
    (lambda: recall_model("transformer", 8, 5), ValueError, "name must be one of rnn, .*got 'transformer'"),
    (lambda: recall_model("lstm", 0, 5), ValueError, "hidden_size must be at least 1"),
    (lambda: train_recall(recall_model("gru", 4, 5), 5, 0, 2), ValueError, "steps must be at least 1"),
    (lambda: recall_model("lstm", 4, 1), ValueError, "delay must be at least 2, got 1"),
    (lambda: mean_field_growth(100.5, 0.5), ValueError, "weight_std must be .* and at most 100, got 100.5"),
    (lambda: mean_field_growth(1.0, 100.5), ValueError, "input_std must be .* and at most 100, got 100.5"),
    (lambda: log_lyapunov(torch.zeros(2, 3, 3).long()), TypeError, "step_jacobians must have a floating dtype"),
    (lambda: gradient_profile(RNN, X, V.double()), TypeError, "cotangent must have the module's dtype"),
    (lambda: lstm_path_factor(LSTM, X[0], V[:, :2], V), ValueError, r"c must have shape \(any, 3\)"),
    (lambda: lstm_path_factor(LSTM, X[0], V, V + 1.5), ValueError, r"o must have values in \[0, 1\], got 1.5 to 1.5"),
    (lambda: lstm_path_factor(LSTM, X[0], V.double(), V), TypeError, "c must have the module's dtype"),
    (lambda: train_recall(recall_model("gru", 4, 5), 5, 2, 2, learning_rate=0.0), ValueError, "learning_rate must be"),
])
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=f"^{words}"):
        call()
