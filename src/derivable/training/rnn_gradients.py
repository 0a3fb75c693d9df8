"""Vanishing and exploding gradients in recurrent networks: exact Jacobians, their products, and what sets their size.

The state of a tanh RNN or a GRU is h (n entries); the state of an LSTM is (h, c) (2n entries, in this order).
Gates, signs and both bias vectors follow ``torch.nn``: the LSTM's gates are stacked as i, f, g, o, the GRU's as
r, z, n, and the GRU's z keeps the old state. A ``module`` is an ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU`` with one layer
and one direction, or the cell of that name. Sequences are time first, (T, batch, input). Logarithms are natural.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear
from torch.nn.utils import clip_grad_norm_

from derivable.arguments import require_floating, require_integer, require_number, require_shape

# ---------------------------------------------------------------- one step of each architecture


def _sigmoid_slope(z: Tensor) -> Tensor:
    # Not s (1 - s), which rounds to zero where the gate saturates.
    return torch.sigmoid(z) * torch.sigmoid(-z)


def _tanh_slope(z: Tensor) -> Tensor:
    return 4 * _sigmoid_slope(2 * z)


def _through_gates(slopes: Float[Tensor, "batch gates n"], weight: Float[Tensor, "gates_n m"]) -> Tensor:
    """The sum of diag(slope) weight over the gates, which torch stacks along the rows of ``weight``: (batch, n, m)."""
    gates, n = slopes.shape[-2:]
    return (slopes.unsqueeze(-1) * weight.unflatten(0, (gates, n))).sum(-3)


# Each class runs one step from ``state`` to ``next_state``. Then, for rows v of shape (batch, rows, m), ``pull(v)`` is
# v dnext_state/dstate and ``pull_to_input(v)`` is v dnext_state/dx. A slope named a_by_b is da / db, entry by entry.


class _TanhStep:
    """h' = tanh(z), z = W x + U h + b."""

    def __init__(self, weights, x: Tensor, h: Tensor):
        self.W, self.U, b_ih, b_hh = weights
        z = linear(x, self.W, b_ih) + linear(h, self.U, b_hh)
        self.next_state = torch.tanh(z)
        self.h_by_z = _tanh_slope(z).unsqueeze(-2)

    def pull(self, v: Tensor) -> Tensor:
        return (v * self.h_by_z) @ self.U

    def pull_to_input(self, v: Tensor) -> Tensor:
        return (v * self.h_by_z) @ self.W


class _LSTMStep:
    """c' = f c + i g, h' = o tanh(c'); the pre-activations of i, f, g, o are W x + U h + b."""

    def __init__(self, weights, x: Tensor, state: Tensor):
        self.W, self.U, b_ih, b_hh = weights
        h, c = state.chunk(2, -1)
        z_i, z_f, z_g, z_o = (linear(x, self.W, b_ih) + linear(h, self.U, b_hh)).chunk(4, -1)
        i, f, g, o = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.tanh(z_g), torch.sigmoid(z_o)
        next_c = f * c + i * g
        tanh_c = torch.tanh(next_c)
        self.next_state = torch.cat((o * tanh_c, next_c), -1)
        self.f = f.unsqueeze(-2)
        self.c_by_ifg = torch.stack((g * _sigmoid_slope(z_i), c * _sigmoid_slope(z_f), i * _tanh_slope(z_g)), -2)
        self.h_by_o = (tanh_c * _sigmoid_slope(z_o)).unsqueeze(-2)
        self.h_by_c = (o * _tanh_slope(next_c)).unsqueeze(-2)

    def _split(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """The rows on h' and on c'; the latter with what reaches c' through h' = o tanh(c')."""
        v_h, v_c = v.chunk(2, -1)
        return v_h, v_c + v_h * self.h_by_c

    def _pull_through_gates(self, v_h: Tensor, v_c: Tensor, weight: Tensor) -> Tensor:
        ifg = 3 * self.f.shape[-1]
        return v_c @ _through_gates(self.c_by_ifg, weight[:ifg]) + (v_h * self.h_by_o) @ weight[ifg:]

    def pull(self, v: Tensor) -> Tensor:
        v_h, v_c = self._split(v)
        return torch.cat((self._pull_through_gates(v_h, v_c, self.U), v_c * self.f), -1)

    def pull_to_input(self, v: Tensor) -> Tensor:
        return self._pull_through_gates(*self._split(v), self.W)


class _GRUStep:
    """h' = (1 - z) n + z h, n = tanh(z_n), z_n = W_n x + b_n + r (U_n h + b_hn)."""

    def __init__(self, weights, x: Tensor, h: Tensor):
        self.W, self.U, b_ih, b_hh = weights
        x_r, x_z, x_n = linear(x, self.W, b_ih).chunk(3, -1)
        h_r, h_z, h_n = linear(h, self.U, b_hh).chunk(3, -1)
        z_r, z_z = x_r + h_r, x_z + h_z
        r, z = torch.sigmoid(z_r), torch.sigmoid(z_z)
        z_n = x_n + r * h_n
        n = torch.tanh(z_n)
        self.next_state = (1 - z) * n + z * h
        self.z = z.unsqueeze(-2)
        by_n = torch.sigmoid(-z_z) * _tanh_slope(z_n)
        by_r, by_z = by_n * h_n * _sigmoid_slope(z_r), (h - n) * _sigmoid_slope(z_z)
        self.h_by_input = torch.stack((by_r, by_z, by_n), -2)
        self.h_by_state = torch.stack((by_r, by_z, by_n * r), -2)

    def pull(self, v: Tensor) -> Tensor:
        return v * self.z + v @ _through_gates(self.h_by_state, self.U)

    def pull_to_input(self, v: Tensor) -> Tensor:
        return v @ _through_gates(self.h_by_input, self.W)


_STEPS = {nn.RNN: _TanhStep, nn.RNNCell: _TanhStep, nn.LSTM: _LSTMStep, nn.LSTMCell: _LSTMStep,
          nn.GRU: _GRUStep, nn.GRUCell: _GRUStep}


def _formulas(module: object) -> tuple[type, tuple]:
    """The step class of the module and its weights (W, U, b_ih, b_hh), after checking that the class describes it."""
    step_class = next((step for kind, step in _STEPS.items() if isinstance(module, kind)), None)
    if step_class is None:
        raise TypeError(f"module must be an nn.RNN, nn.LSTM, nn.GRU or one of their cells, got {type(module).__name__}")
    if getattr(module, "nonlinearity", "tanh") != "tanh":
        raise ValueError(f"module must have nonlinearity='tanh', got {module.nonlinearity!r}")
    for name, wanted in (("num_layers", 1), ("bidirectional", False), ("proj_size", 0), ("batch_first", False)):
        if getattr(module, name, wanted) != wanted:
            raise ValueError(f"module must have {name}={wanted}, got {getattr(module, name)}")
    for name, parameter in module.named_parameters():
        require_floating(f"module.{name}", parameter)
    suffix = "_l0" if isinstance(module, nn.RNNBase) else ""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return step_class, tuple(getattr(module, name + suffix, None) for name in names)


def _checked_state(module: nn.Module, batch: int, state: object) -> Tensor:
    """The state as one (batch, n) or (batch, 2n) tensor; zeros where ``state`` is None."""
    is_lstm = isinstance(module, nn.LSTM | nn.LSTMCell)
    weight = next(module.parameters())
    if state is None:
        return weight.new_zeros(batch, module.hidden_size * (2 if is_lstm else 1))
    if is_lstm and not (isinstance(state, tuple) and len(state) == 2):
        raise TypeError(f"state must be a pair (h, c) for an LSTM, got {type(state).__name__}")
    parts = state if is_lstm else (state,)
    for part in parts:
        _check_like("state", part, weight, batch, module.hidden_size)
    return torch.cat(parts, -1)


def _check_like(name: str, value: object, weight: Tensor, *sizes: int | None) -> None:
    require_floating(name, value)
    require_shape(name, value, *sizes)
    if value.dtype != weight.dtype:
        raise TypeError(f"{name} must have the module's dtype {weight.dtype}, got {value.dtype}")


def _run(module: nn.Module, x: object, state: object) -> list:
    """The steps of the module along the sequence x."""
    step_class, weights = _formulas(module)
    _check_like("x", x, weights[0], None, None, module.input_size)
    state = _checked_state(module, x.shape[1], state)
    steps = []
    for x_t in x:
        steps.append(step_class(weights, x_t, state))
        state = steps[-1].next_state
    return steps


def _identity_rows(state: Tensor) -> Float[Tensor, "batch m m"]:
    batch, m = state.shape
    return torch.eye(m, dtype=state.dtype, device=state.device).expand(batch, m, m)


def state_jacobian(module: nn.Module, x: Tensor, state: object = None) -> Float[Tensor, "batch m m"]:
    """The Jacobian of one step, dstate_t / dstate_{t-1}, in closed form.

    Args:
        module: recurrent module or cell (see the top of this file).
        x: the step's input, (batch, input_size), in the module's dtype.
        state: h of shape (batch, n), or the pair (h, c) for an LSTM; zeros where it is None.

    Returns:
        (batch, n, n), or (batch, 2n, 2n) for an LSTM, ordered (h, c). Entry [j, k] is dstate_t[j] / dstate_{t-1}[k].

    Raises:
        TypeError, ValueError: another module, more than one layer or direction, a projection, ReLU, a wrong shape or
        dtype, an empty or non-finite tensor.

    Source: the chain rule on Hochreiter & Schmidhuber (1997) and Cho et al. (2014), in torch's convention.
    Agrees with ``torch.func.jacrev`` of the cell to 1e-10 (float64) and 1e-4 (float32) of the largest entry.
    """
    step_class, weights = _formulas(module)
    _check_like("x", x, weights[0], None, module.input_size)
    step = step_class(weights, x, _checked_state(module, len(x), state))
    return step.pull(_identity_rows(step.next_state))


def state_jacobians(module: nn.Module, x: Tensor, state: object = None) -> Float[Tensor, "T batch m m"]:
    """The step Jacobians along the trajectory that the sequence x, (T, batch, input_size), drives.

    Arguments, errors and agreement are those of ``state_jacobian``; needs memory for T * batch * m^2 numbers, which
    ``jacobian_norms`` does not.
    """
    return torch.stack([step.pull(_identity_rows(step.next_state)) for step in _run(module, x, state)])


def lstm_path_factor(module: nn.Module, x: Tensor, c: Tensor, o: Tensor) -> Float[Tensor, "batch n n"]:
    """dc_t / dc_{t-1} of an LSTM along the cell path: h_{t-1} = o tanh(c_{t-1}) moves, its output gate o does not.

    The product of these factors is the true gradient only where the output gate does not see the state (U_o = 0).

    Args:
        module: LSTM module or cell.
        x: the step's input, (batch, input_size).
        c: the cell c_{t-1}, (batch, n).
        o: the output gate of step t - 1, (batch, n), with values in [0, 1].

    Returns:
        (batch, n, n): diag(f) + (dc_t / dh_{t-1}) diag(o sech^2 c).

    Raises:
        TypeError, ValueError: as ``state_jacobian``; o outside [0, 1].

    Source: kexue.fm/archives/7888, in matrix form.
    Agrees with ``torch.func.jacrev`` to 1e-10 (float64) and 1e-4 (float32).
    """
    if not isinstance(module, nn.LSTM | nn.LSTMCell):
        raise TypeError(f"module must be an nn.LSTM or nn.LSTMCell, got {type(module).__name__}")
    weight = _formulas(module)[1][0]
    for name, value in (("c", c), ("o", o)):
        _check_like(name, value, weight, None, module.hidden_size)
    if not ((o >= 0) & (o <= 1)).all():
        raise ValueError(f"o must have values in [0, 1], got {o.min().item()} to {o.max().item()}")
    of_c = state_jacobian(module, x, (o * torch.tanh(c), c))[:, module.hidden_size:]
    by_h, by_c = of_c.chunk(2, -1)
    return by_c + by_h * (o * _tanh_slope(c)).unsqueeze(-2)


# ---------------------------------------------------------------- products through time


def _rescaled(v: Float[Tensor, "*batch rows n"]) -> tuple[Tensor, Tensor]:
    """v with largest entry 1, and the factor taken out; a zero matrix stays zero."""
    size = v.detach().flatten(-2).abs().amax(-1)
    return v / torch.where(size > 0, size, 1)[..., None, None], size


def _log_norms(sizes: list[Tensor], rescaled_norms: list[Tensor]) -> Tensor:
    """Logarithms of the norms: the factors taken out so far times the norm of what was left, listed step by step.

    Summed in float64, because a float32 logarithm of 1e-30 has lost a digit already.
    """
    return torch.stack(sizes).double().log().cumsum(0) + torch.stack(rescaled_norms).double().log()


def jacobian_norms(module: nn.Module, x: Tensor, state: object = None, ord: str = "fro", log: bool = False,
                   ) -> Float[Tensor, "T batch"]:
    """The norms of dh_T / dh_t for t = 0..T-1, where h_0 is the initial state.

    For an LSTM, c_t is held fixed: this is the Jacobian that autograd gives for the tensor h_t. The n rows of
    dh_T / dh_T = I are pulled back one step at a time, in O(T batch n^3) time and, without gradients,
    O(T batch n + batch n^2) memory. Differentiable in the module's parameters, x and state.

    Args:
        module: recurrent module or cell.
        x: sequence, (T, batch, input_size), in the module's dtype.
        state: initial h of shape (batch, n), or the pair (h, c) for an LSTM; zeros where it is None.
        ord: "fro" (Frobenius) or "spectral" (largest singular value).
        log: return the logarithms, which neither underflow nor overflow.

    Returns:
        (T, batch); 0 (or -inf for the logarithm) where the Jacobian is zero.

    Raises:
        TypeError, ValueError: as ``state_jacobian``; ord is another word.

    Source: Pascanu, Mikolov & Bengio (2013), the product of step Jacobians.
    Agrees with ``torch.func.jacrev`` through the whole sequence to 1e-10 (float64) and 1e-4 (float32), relative.
    """
    orders = {"fro": "fro", "spectral": 2}
    if ord not in orders:
        raise ValueError(f"ord must be 'fro' or 'spectral', got {ord!r}")
    steps = _run(module, x, state)
    n = module.hidden_size
    v = _identity_rows(steps[-1].next_state)[:, :n]
    sizes, norms = [], []
    for step in reversed(steps):
        v, size = _rescaled(step.pull(v))
        sizes.append(size)
        norms.append(torch.linalg.matrix_norm(v[..., :n].double(), orders[ord]))
    logs = _log_norms(sizes, norms).flip(0)
    return (logs if log else logs.exp()).to(x.dtype)


def gradient_profile(module: nn.Module, x: Tensor, cotangent: Tensor, state: object = None) -> Float[Tensor, "T batch"]:
    """Logarithms of |d<v, h_T> / dx_t| for t = 1..T: how loudly the end of the sequence still hears each input.

    Args:
        module: recurrent module or cell.
        x: sequence, (T, batch, input_size), in the module's dtype.
        cotangent: v, (batch, n), one for each sequence; for example the gradient of a loss by h_T.
        state: initial state, as in ``jacobian_norms``.

    Returns:
        (T, batch), Euclidean norms over the input entries; -inf where the gradient is exactly zero.

    Raises:
        TypeError, ValueError: as ``state_jacobian``.

    Source: backpropagation through time with the running row rescaled at each step.
    Agrees with ``torch.autograd.grad`` to 1e-10 (float64) and 1e-4 (float32) wherever the latter does not underflow.
    """
    steps = _run(module, x, state)
    _check_like("cotangent", cotangent, x, x.shape[1], module.hidden_size)
    v = torch.zeros_like(steps[-1].next_state)
    v[:, :module.hidden_size] = cotangent
    v = v.unsqueeze(-2)
    sizes, norms = [], []
    for step in reversed(steps):
        v, size = _rescaled(v)
        sizes.append(size)
        norms.append(torch.linalg.matrix_norm(step.pull_to_input(v).double()))
        v = step.pull(v)
    return _log_norms(sizes, norms).flip(0).to(x.dtype)


def log_lyapunov(step_jacobians: Tensor) -> Float[Tensor, "*batch"]:
    """Logarithmic growth per step of the product J_T ... J_1: the largest Lyapunov exponent as T grows.

    Growth is the root mean square over all start directions, |J_T ... J_1|_F / sqrt(n), so that the identity and every
    orthogonal matrix give exactly 0 at each T. The product is rescaled at each step and never overflows or underflows.

    Args:
        step_jacobians: (T, ..., n, n), for example from ``state_jacobians``.

    Returns:
        The shape of the middle axes; -inf where the product is exactly zero.

    Raises:
        TypeError, ValueError: not floating, empty, not finite, or not square matrices along a leading axis T.

    Source: Oseledets' multiplicative ergodic theorem.
    Agrees with mpmath's product of the same matrices to 1e-12 (float64) and 1e-5 (float32).
    """
    require_floating("step_jacobians", step_jacobians)
    if step_jacobians.ndim < 3 or step_jacobians.shape[-1] != step_jacobians.shape[-2]:
        raise ValueError(f"step_jacobians must have shape (T, ..., n, n), got {tuple(step_jacobians.shape)}")
    T, n = len(step_jacobians), step_jacobians.shape[-1]
    product = torch.eye(n, dtype=step_jacobians.dtype, device=step_jacobians.device)
    sizes = []
    for jacobian in step_jacobians:
        product, size = _rescaled(jacobian @ product)
        sizes.append(size)
    log_norm = _log_norms(sizes, [torch.linalg.matrix_norm(product.double())] * T)[-1]
    return ((log_norm - math.log(n) / 2) / T).to(step_jacobians.dtype)


# ---------------------------------------------------------------- what the theory predicts


def kappa() -> float:
    """The maximum of v sech^2 v, 0.4477432046943...: a scalar tanh unit has |dh'/dh| <= (kappa + |s|) / |h|.

    Attained where 2 v tanh v = 1, where it equals v - 1 / (4 v). Here s is the part of the pre-activation that does not
    depend on h. Source: kexue.fm/archives/7888. Agrees with mpmath to 1e-15.
    """
    v = 0.77
    for _ in range(4):  # Newton
        v -= (2 * v * math.tanh(v) - 1) / (2 * math.tanh(v) + 2 * v / math.cosh(v) ** 2)
    return v - 1 / (4 * v)


def mean_field_growth(weight_std: float | int, input_std: float | int) -> float:
    """The growth per step sqrt(chi) of gradients in a wide tanh RNN with random weights.

    U has independent N(0, weight_std^2 / n) entries and each pre-activation gets N(0, input_std^2) from the input. Then
    q = weight_std^2 E tanh^2(sqrt(q) Z) + input_std^2 is the variance of the pre-activations and
    chi = weight_std^2 E sech^4(sqrt(q) Z). Exact as n grows to infinity, and only for random weights.

    Args:
        weight_std: greater than 0, at most 100.
        input_std: at least 0, at most 100.

    Raises:
        TypeError, ValueError: not a number, or outside these ranges.

    Source: Chen, Pennington & Schoenholz (2018). Agrees with mpmath's quadrature to 1e-10.
    """
    require_number("weight_std", weight_std, above=0.0, at_most=100.0)
    require_number("input_std", input_std, at_least=0.0, at_most=100.0)
    z = torch.linspace(-10, 10, 20001, dtype=torch.float64)  # the trapezoid rule converges exponentially here
    density = torch.exp(-z**2 / 2) / torch.exp(-z**2 / 2).sum()

    def next_variance(q: float) -> float:
        return weight_std**2 * float(density @ torch.tanh(math.sqrt(q) * z) ** 2) + input_std**2

    low, high = input_std**2, weight_std**2 + input_std**2
    for _ in range(100):  # next_variance is concave in q, so it crosses q once
        middle = (low + high) / 2
        low, high = (middle, high) if next_variance(middle) > middle else (low, middle)
    return weight_std * math.sqrt(float(density @ _tanh_slope(math.sqrt(high) * z) ** 2))


def forget_bias_for_horizon(horizon: float | int) -> float:
    """The bias b of a constant forget gate f = sigmoid(b) that keeps f^horizon = 1/e.

    It is -ln(e^(1/T) - 1) = ln T - 1/(2T) - 1/(24 T^2) + ...; horizon T > 0 is in steps. Agrees with mpmath to 1e-14.
    """
    require_number("horizon", horizon, above=0.0)
    return -1 / horizon - math.log(-math.expm1(-1 / horizon))


def chrono_init_(module: nn.Module, horizon: float | int, generator: torch.Generator | None = None) -> nn.Module:
    """Spread the memory of an LSTM or GRU over 1..horizon steps by its biases alone, in place.

    The gate that keeps the old state gets the bias ln u, u uniform on [1, horizon - 1]; the LSTM's input gate gets
    -ln u. The other biases become 0, and so does torch's second bias vector: torch adds the two.

    Args:
        module: ``nn.LSTM``, ``nn.GRU`` or a cell of these, with biases.
        horizon: the longest lag, at least 2 steps.
        generator: on the module's device.

    Returns:
        The module.

    Raises:
        TypeError, ValueError: a tanh RNN or another module, no biases, horizon below 2.

    Source: Tallec & Ollivier (2018).
    """
    bias_ih, bias_hh = _formulas(module)[1][2:]
    if not isinstance(module, nn.LSTM | nn.LSTMCell | nn.GRU | nn.GRUCell):
        raise TypeError(f"module must be gated (LSTM or GRU), got {type(module).__name__}")
    if bias_ih is None:
        raise ValueError("module must have bias=True, got False")
    require_number("horizon", horizon, at_least=2.0)
    with torch.no_grad():
        keep = bias_ih.new_empty(module.hidden_size).uniform_(1, horizon - 1, generator=generator).log()
        zero = torch.zeros_like(keep)
        is_lstm = isinstance(module, nn.LSTM | nn.LSTMCell)
        bias_ih.copy_(torch.cat((-keep, keep, zero, zero) if is_lstm else (zero, keep, zero)))
        bias_hh.zero_()
    return module


# ---------------------------------------------------------------- the experiment: delayed recall

CLASSES = 4
CHANNELS = CLASSES + 2
MODELS = ("rnn", "rnn-orthogonal", "lstm", "lstm-forget-1", "lstm-chrono", "gru", "gru-chrono")


def delayed_recall(batch: int, delay: int, generator: torch.Generator | None = None,
                   ) -> tuple[Float[Tensor, "delay batch channels"], Int[Tensor, "batch"]]:
    """Sequences whose first step shows one of four symbols; the other steps are noise in two channels of their own.

    Args:
        batch: number of sequences.
        delay: their length; the symbol is shown at the first step and asked for after the last.
        generator: decides the values and the device (CPU where it is None).

    Returns:
        x, (delay, batch, 6), and the symbols, (batch,).

    Raises:
        TypeError, ValueError: sizes that are not integers of at least 1.
    """
    require_integer("batch", batch, at_least=1)
    require_integer("delay", delay, at_least=1)
    device = "cpu" if generator is None else generator.device
    symbols = torch.randint(CLASSES, (batch,), generator=generator, device=device)
    x = torch.zeros(delay, batch, CHANNELS, device=device)
    x[0, torch.arange(batch, device=device), symbols] = 1
    x[1:, :, CLASSES:] = 0.3 * torch.randn(delay - 1, batch, 2, generator=generator, device=device)
    return x, symbols


class Recaller(nn.Module):
    """A recurrent layer and a linear readout of its last output."""

    def __init__(self, recurrent: nn.RNNBase, readout: nn.Linear):
        super().__init__()
        self.recurrent = recurrent
        self.readout = readout

    def forward(self, x: Float[Tensor, "T batch channels"]) -> Float[Tensor, "batch classes"]:
        return self.readout(self.recurrent(x)[0][-1])


def recall_model(name: str, hidden_size: int, delay: int, generator: torch.Generator | None = None) -> Recaller:
    """One of the seven ``MODELS``: torch's default initialisation, changed where the name says so.

    Args:
        name: an entry of ``MODELS``. "orthogonal" is about U, "forget-1" sets the forget bias to 1, "chrono" calls
            ``chrono_init_`` with the delay as horizon.
        hidden_size: n, at least 1.
        delay: the length of the sequences, at least 2.
        generator: decides the weights and the device (CPU where it is None).

    Raises:
        TypeError, ValueError: an unknown name or a size out of range.
    """
    if name not in MODELS:
        raise ValueError(f"name must be one of {', '.join(MODELS)}, got {name!r}")
    require_integer("hidden_size", hidden_size, at_least=1)
    require_integer("delay", delay, at_least=2)
    device = "cpu" if generator is None else generator.device
    kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[name.split("-")[0]]
    with torch.device("meta"):  # where torch's own initialisation does not draw from the global generator
        model = Recaller(kind(CHANNELS, hidden_size), nn.Linear(hidden_size, CLASSES))
    model.to_empty(device=device)
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -hidden_size**-0.5, hidden_size**-0.5, generator=generator)
    if name == "rnn-orthogonal":
        nn.init.orthogonal_(model.recurrent.weight_hh_l0, generator=generator)
    elif name == "lstm-forget-1":
        forget = slice(hidden_size, 2 * hidden_size)
        nn.init.ones_(model.recurrent.bias_ih_l0[forget])
        nn.init.zeros_(model.recurrent.bias_hh_l0[forget])
    elif name.endswith("chrono"):
        chrono_init_(model.recurrent, delay, generator)
    return model


def train_recall(model: Recaller, delay: int, steps: int, batch: int, generator: torch.Generator | None = None,
                 learning_rate: float = 5e-3) -> Float[Tensor, "steps"]:
    """Train on fresh batches of ``delayed_recall`` with Adam, gradients clipped to norm 1; returns the losses.

    The generator's device is the model's. Raises TypeError or ValueError for sizes that are not integers of at least 1
    and for a learning rate that is not positive.
    """
    require_integer("steps", steps, at_least=1)
    require_number("learning_rate", learning_rate, above=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        x, symbols = delayed_recall(batch, delay, generator)
        loss = cross_entropy(model(x), symbols)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


@torch.no_grad()
def recall_accuracy(model: Recaller, delay: int, samples: int, generator: torch.Generator | None = None) -> float:
    """The share of ``samples`` fresh sequences whose symbol the model names; chance is 1/4."""
    x, symbols = delayed_recall(samples, delay, generator)
    return float((model(x).argmax(-1) == symbols).double().mean())
