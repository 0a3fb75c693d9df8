"""Batch normalisation and the landscape: what subtracting the mean and dividing by the deviation do to curvature.

Batch norm sends the column y of one channel over a batch of B samples to ``z = gamma yhat + beta`` with
``yhat = (y - mean(y)) / sqrt(var(y) + eps)`` and the population variance (division by B). The curvature matrix of one
affine layer over inputs x is the mean of ``u u^T`` with ``u = ((x - shift) / scale, 1)``.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import binary_cross_entropy_with_logits

from derivable.arguments import require_floating, require_integer, require_number, require_shape

# ---------------------------------------------------------------- batch norm, forward and backward


class BatchNormCache(NamedTuple):
    """What the backward pass needs: yhat of shape (B, C), then gamma and 1 / sqrt(var + eps) of shape (C,)."""

    normalised: Tensor
    gamma: Tensor
    inverse_std: Tensor


def _require_like(name: str, value: object, like: Tensor) -> None:
    require_floating(name, value)
    if value.dtype != like.dtype:
        raise TypeError(f"{name} must have dtype {like.dtype} like the tensor it goes with, got {value.dtype}")


def _require_samples(name: str, value: object) -> None:
    """Demand at least two rows, whose deviation is then defined."""
    require_floating(name, value)
    require_shape(name, value, None, None)
    if len(value) < 2:
        raise ValueError(f"{name} must have at least 2 rows, got shape {tuple(value.shape)}")


def _variance(x: Tensor) -> Tensor:
    """Population variance of each column, exactly zero for a constant column whatever its mean rounds to."""
    return torch.where(x.amax(0) > x.amin(0), x.var(0, correction=0), 0)


def batchnorm_forward(y: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5
                      ) -> tuple[Float[Tensor, "B C"], BatchNormCache]:
    """Batch norm of each channel with the statistics of the batch, as ``torch.nn`` does in train mode.

    Args:
        y: (B, C), B >= 2.
        gamma, beta: (C,), in the dtype of y.
        eps: at least 0; with 0, no channel may be constant.

    Returns:
        z of shape (B, C), and the cache for ``batchnorm_backward``.

    Raises:
        TypeError: not floating, or dtypes that differ.
        ValueError: a wrong shape, B < 2, a non-finite entry, negative eps, zero variance with eps = 0, a variance that
            overflows.

    Source: Ioffe and Szegedy, 2015, arXiv:1502.03167, Algorithm 1.
    Agrees with ``torch.nn.functional.batch_norm(training=True)`` to 1e-12 (float64) and 1e-5 (float32).
    """
    _require_samples("y", y)
    for name, value in (("gamma", gamma), ("beta", beta)):
        _require_like(name, value, y)
        require_shape(name, value, y.shape[1])
    require_number("eps", eps, at_least=0.0)
    variance = _variance(y) + eps
    require_floating("variance of y", variance)
    if not (variance > 0).all():
        channel = int(variance.argmin())
        raise ValueError(f"y must not have zero variance when eps is 0, channel {channel} has")
    inverse_std = variance.rsqrt()
    normalised = (y - y.mean(0)) * inverse_std
    return gamma * normalised + beta, BatchNormCache(normalised, gamma, inverse_std)


def batchnorm_backward(g: Tensor, cache: BatchNormCache
                       ) -> tuple[Float[Tensor, "B C"], Float[Tensor, "C"], Float[Tensor, "C"]]:
    """The gradient through batch norm in closed form: ``(gamma / sigma) (g - mean(g) - yhat mean(yhat g))``.

    With eps = 0 the bracket is P g, where P projects orthogonally onto what is perpendicular to both 1 and yhat.

    Args:
        g: gradient of the loss by z, (B, C).
        cache: as ``batchnorm_forward`` returned it.

    Returns:
        The gradients by y, gamma and beta, of shapes (B, C), (C,) and (C,).

    Raises:
        TypeError, ValueError: a g of another dtype or shape than z, or not finite.

    Source: Ioffe and Szegedy, 2015, section 3, collected into one line.
    Agrees with autograd of ``torch.nn.functional.batch_norm(training=True)`` to 1e-12 (float64) and 1e-5 (float32).
    """
    normalised, gamma, inverse_std = cache
    _require_like("g", g, normalised)
    require_shape("g", g, *normalised.shape)
    projection = (normalised * g).mean(0)
    dy = gamma * inverse_std * (g - g.mean(0) - normalised * projection)
    return dy, len(g) * projection, g.sum(0)


# ---------------------------------------------------------------- curvature of one affine layer


def optimal_affine(x: Tensor) -> tuple[Float[Tensor, "d"], Float[Tensor, "d"]]:
    """The shift and scale that minimise ``k_condition(curvature_matrix(x, shift, scale))``: mean and deviation.

    Args:
        x: samples, (N, d), N >= 2, no constant column.

    Returns:
        The mean and the population standard deviation (division by N), of shape (d,).

    Raises:
        TypeError, ValueError: as ``batchnorm_forward`` for y with eps = 0.

    Source: the inequality of arithmetic and geometric means on 1 and (var_j + (mean_j - shift_j)^2) / scale_j^2.
    Agrees with a numerical minimiser of the logarithm of K to 1e-6.
    """
    _require_samples("x", x)
    variance = _variance(x)
    require_floating("variance of x", variance)
    if not (variance > 0).all():
        raise ValueError(f"x must not have a constant column, column {int(variance.argmin())} is")
    return x.mean(0), variance.sqrt()


def curvature_matrix(x: Tensor, shift: Tensor, scale: Tensor, bias: bool = True) -> Float[Tensor, "*batch p p"]:
    """The mean of ``u u^T`` over the samples, ``u = ((x - shift) / scale, 1)``: the Hessian of least squares / 2.

    Args:
        x: samples, (N, d).
        shift, scale: (..., d), with scale > 0, in the dtype of x; each leading index gives one matrix.
        bias: whether u ends with the 1.

    Returns:
        (..., d + 1, d + 1), or (..., d, d) without the bias. Differentiable in all three tensors.

    Raises:
        TypeError: not floating, or dtypes that differ.
        ValueError: a wrong shape, an empty or non-finite tensor, a scale that is not positive.

    Source: LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998.
    Agrees with ``numpy.cov`` plus the outer product of the mean to 1e-12 (float64) and 1e-5 (float32).
    """
    require_floating("x", x)
    require_shape("x", x, None, None)
    for name, value in (("shift", shift), ("scale", scale)):
        _require_like(name, value, x)
        require_shape(name, value, *value.shape[:-1], x.shape[1])
    if not (scale > 0).all():
        raise ValueError(f"scale must be positive, got {scale.min().item()}")
    u = (x - shift.unsqueeze(-2)) / scale.unsqueeze(-2)
    if bias:
        u = torch.cat((u, torch.ones_like(u[..., :1])), -1)
    return u.mT @ u / len(x)


def _require_symmetric(name: str, value: object) -> None:
    require_floating(name, value)
    if value.ndim < 2 or value.shape[-1] != value.shape[-2]:
        raise ValueError(f"{name} must have shape (..., p, p), got {tuple(value.shape)}")
    asymmetry = (value - value.mT).abs().max().item()
    if asymmetry > value.shape[-1] * torch.finfo(value.dtype).eps * value.abs().max().item():
        raise ValueError(f"{name} must be symmetric, entries differ from their mirror image by up to {asymmetry}")


def _positive_eigenvalues(name: str, value: object) -> Tensor:
    """Eigenvalues in ascending order, after demanding that the smallest stands above rounding."""
    _require_symmetric(name, value)
    eigenvalues = torch.linalg.eigvalsh(value)
    smallest, largest = eigenvalues[..., 0], eigenvalues[..., -1]
    if not (smallest > value.shape[-1] * torch.finfo(value.dtype).eps * largest).all():
        raise ValueError(f"{name} must be positive definite, got an eigenvalue {smallest.min().item()}")
    return eigenvalues


def condition_number(M: Tensor) -> Float[Tensor, "*batch"]:
    """The largest over the smallest eigenvalue of symmetric positive definite matrices.

    Args:
        M: (..., p, p).

    Raises:
        TypeError: not floating.
        ValueError: a wrong shape, not finite, not symmetric, not positive definite to the precision of the dtype.

    Agrees with ``numpy.linalg.cond`` to its conditioning, p * eps * condition number, relative.
    """
    eigenvalues = _positive_eigenvalues("M", M)
    return eigenvalues[..., -1] / eigenvalues[..., 0]


def k_condition(M: Tensor) -> Float[Tensor, "*batch"]:
    """Kaporin's K: (mean eigenvalue)^p / determinant, at least 1, and 1 only for multiples of the identity.

    It bounds the condition number: kappa <= (sqrt(K) + sqrt(K - 1))^2.

    Args, Raises: as ``condition_number``; ValueError too where K overflows the dtype.

    Source: Kaporin, 1994. Agrees with mpmath's determinant to p * eps * condition number, relative.
    """
    eigenvalues = _positive_eigenvalues("M", M)
    relative = eigenvalues / eigenvalues.mean(-1, keepdim=True)
    K = (-relative.log().sum(-1)).exp()
    require_floating("K", K)
    return K


def max_stable_lr(H: Tensor) -> Float[Tensor, "*batch"]:
    """2 / lambda_max: gradient descent on a quadratic with this Hessian diverges above it.

    Args:
        H: symmetric, (..., p, p), with a positive eigenvalue.

    Raises:
        TypeError: not floating.
        ValueError: a wrong shape, not finite, not symmetric, or no positive eigenvalue, so that nothing bounds the
            learning rate.

    Source: the descent inequality. Agrees with ``numpy.linalg.eigvalsh`` to 1e-12 (float64) and 1e-5 (float32).
    """
    _require_symmetric("H", H)
    largest = torch.linalg.eigvalsh(H)[..., -1]
    if not (largest > 0).all():
        raise ValueError(f"H must have a positive eigenvalue, its largest is {largest.min().item()}")
    return 2 / largest


# ---------------------------------------------------------------- curvature of a network


class TopEigenvalue(NamedTuple):
    """An eigenvalue of a Hessian with its unit eigenvector and how well the two were found.

    ``residual`` is |H v - value v|: some eigenvalue lies within it of ``value``. ``iterations`` counts the products
    with the Hessian. ``vector`` is flat, in the order of ``torch.nn.utils.parameters_to_vector``.
    """

    value: float
    vector: Tensor
    iterations: int
    residual: float
    converged: bool


def _hessian_product(loss_fn: Callable[[], Tensor], params: list[Tensor]) -> Callable[[Tensor], Tensor]:
    """v -> H v by a second backward pass through the gradient's graph, which is built once."""
    with torch.enable_grad():
        loss = loss_fn()
        require_floating("loss_fn()", loss)
        require_shape("loss_fn()", loss)
        if not loss.requires_grad:
            raise ValueError("loss_fn() must depend on params, its value has no gradient")
        gradients = torch.autograd.grad(loss, params, create_graph=True, allow_unused=True)
        unused = [index for index, gradient in enumerate(gradients) if gradient is None]
        if unused:
            raise ValueError(f"loss_fn() must depend on every one of params, not on those at {unused}")
        gradient = torch.cat([gradient.reshape(-1) for gradient in gradients])
    require_floating("gradient of loss_fn()", gradient)

    def product(v: Tensor) -> Tensor:
        if not gradient.requires_grad:  # the loss is linear
            return torch.zeros_like(v)
        parts = torch.autograd.grad(gradient, params, v, retain_graph=True, materialize_grads=True)
        return torch.cat([part.reshape(-1) for part in parts])

    return product


def hessian_top_eig(loss_fn: Callable[[], Tensor], params: Iterable[Tensor], *, which: str = "magnitude",
                    tolerance: float = 1e-3, max_iterations: int = 100, generator: torch.Generator | None = None
                    ) -> TopEigenvalue:
    """The top eigenvalue of the Hessian of a loss, by Lanczos with full reorthogonalisation.

    The loss is evaluated once, in whatever mode the model is in: with batch norm in train mode the batch statistics
    are differentiated too, running averages move by one update, and dropout keeps one mask. Each iteration costs one
    product with the Hessian. It stops when the residual is at most ``tolerance`` times the largest |eigenvalue| found;
    the error of the value is then of the order of residual^2 / gap to the next eigenvalue. A loose tolerance can stop
    at a lower eigenvalue before the top one has shown itself: 1e-2 did so in 2 of 60 random starts on a network of
    26,634 parameters, 1e-3 in none of 500.

    Args:
        loss_fn: returns the scalar loss as a differentiable function of ``params``.
        params: tensors that require gradients, all of one floating dtype and device.
        which: "magnitude" for the largest |eigenvalue| (with its sign), "largest" for the largest eigenvalue.
        tolerance: relative residual, at least the machine epsilon of the dtype.
        max_iterations: at least 1; the basis takes this many vectors of memory.
        generator: of the random start, on the device of ``params``.

    Raises:
        TypeError: not callable, not tensors of one floating dtype.
        ValueError: no params, a loss that is not a finite scalar depending on each of them, a gradient or a product
            with the Hessian that is not finite, an unknown ``which``, a number out of range.

    Source: Lanczos, 1950; Pearlmutter, Fast exact multiplication by the Hessian, 1994.
    Agrees with ``torch.linalg.eigvalsh`` of ``torch.func.hessian``, taken of the network written out in elementary
    operations, to 1e-8 relative (float64, tolerance 1e-6) and 1e-4 relative (float32, tolerance 1e-3).
    """
    if not callable(loss_fn):
        raise TypeError(f"loss_fn must be callable, got {type(loss_fn).__name__}")
    params = list(params)
    if not params:
        raise ValueError("params must not be empty")
    for index, param in enumerate(params):
        _require_like(f"params[{index}]", param, params[0])
        if not param.requires_grad:
            raise ValueError(f"params[{index}] must require gradients")
    if which not in ("magnitude", "largest"):
        raise ValueError(f"which must be 'magnitude' or 'largest', got {which!r}")
    require_number("tolerance", tolerance, at_least=torch.finfo(params[0].dtype).eps, below=1.0)
    require_integer("max_iterations", max_iterations, at_least=1)

    product = _hessian_product(loss_fn, params)
    p = sum(param.numel() for param in params)
    like = {"dtype": params[0].dtype, "device": params[0].device}
    v = torch.randn(p, generator=generator, **like)
    v /= v.norm()
    basis = torch.empty(min(max_iterations, p), p, **like)
    tridiagonal = torch.zeros(len(basis), len(basis), dtype=torch.float64)
    for k in range(len(basis)):
        basis[k] = v
        w = product(v)
        require_floating("product with the Hessian", w)
        tridiagonal[k, k] = torch.dot(v, w)
        for _ in range(2):  # once loses orthogonality, twice keeps it
            w = w - basis[:k + 1].T @ (basis[:k + 1] @ w)
        beta = w.norm().item()
        ritz_values, ritz_vectors = torch.linalg.eigh(tridiagonal[:k + 1, :k + 1])
        top = ritz_values.abs().argmax() if which == "magnitude" else k
        residual = beta * ritz_vectors[-1, top].abs().item()
        converged = residual <= tolerance * ritz_values.abs().max().item()
        if converged or k + 1 == len(basis):
            break
        tridiagonal[k, k + 1] = tridiagonal[k + 1, k] = beta
        v = w / beta
    vector = ritz_vectors[:, top].to(**like) @ basis[:k + 1]
    return TopEigenvalue(ritz_values[top].item(), vector, k + 1, residual, converged)


# ---------------------------------------------------------------- experiment A: least squares


def skewed_features(samples: int, features: int, generator: torch.Generator | None = None,
                    dtype: torch.dtype = torch.float64) -> Float[Tensor, "samples features"]:
    """Gaussian features with scales exp(N(0, 1)) and means N(0, 9): what a layer sees without normalisation.

    Raises TypeError or ValueError where a size is not a positive integer. The device is the generator's.
    """
    require_integer("samples", samples, at_least=1)
    require_integer("features", features, at_least=1)
    like = {"generator": generator, "dtype": dtype, "device": generator.device if generator else None}
    scale = torch.randn(features, **like).exp()
    return scale * torch.randn(samples, features, **like) + 3 * torch.randn(features, **like)


def gd_excess(M: Tensor, error: Tensor, lr: float, steps: Tensor) -> Float[Tensor, "T"]:
    """The excess loss ``e^T M e / 2`` after gradient descent on a quadratic, from its eigenvalues and not step by step.

    Args:
        M: Hessian, symmetric positive definite, (p, p).
        error: e at the start, parameters minus minimiser, (p,), in the dtype of M.
        lr: learning rate, greater than 0.
        steps: numbers of steps, (T,), an integer dtype.

    Returns:
        (T,); infinite where descent has diverged beyond the dtype.

    Raises:
        TypeError, ValueError: a wrong type, shape or range, M not positive definite.

    Source: ``e_t = (I - lr M)^t e_0``. Agrees with running the steps to 1e-10 relative to the excess at the start.
    """
    _positive_eigenvalues("M", M)
    require_shape("M", M, None, None)
    _require_like("error", error, M)
    require_shape("error", error, len(M))
    require_number("lr", lr, above=0.0)
    if not isinstance(steps, Tensor) or steps.is_floating_point():
        raise TypeError(f"steps must be an integer tensor, got {steps!r}")
    require_shape("steps", steps, None)
    if steps.numel() == 0 or (steps < 0).any():
        raise ValueError(f"steps must be at least 0 and not empty, got {steps.tolist()}")
    eigenvalues, eigenvectors = torch.linalg.eigh(M)
    weights = eigenvalues * (eigenvectors.T @ error).square() / 2
    factors = (1 - lr * eigenvalues).abs().pow(2 * steps.unsqueeze(1))
    return torch.where(weights > 0, weights * factors, 0).sum(1)


def gd_steps(M: Tensor, error: Tensor, lr: float, reduction: float = 1e-6) -> int:
    """The number of gradient descent steps that bring the excess loss to ``reduction`` times its start.

    Args:
        M, error, lr: as in ``gd_excess``; lr below ``max_stable_lr(M)``, error not zero.
        reduction: between 0 and 1.

    Raises:
        TypeError, ValueError: as ``gd_excess``; an lr at which descent does not converge.

    Source: bisection on ``gd_excess``, which then falls with every step. Equals the count of the steps run one by one.
    """
    require_number("reduction", reduction, above=0.0, below=1.0)
    limit = max_stable_lr(M).item()
    require_number("lr", lr, above=0.0, below=limit)

    def excess(steps: int) -> float:
        return gd_excess(M, error, lr, torch.tensor([steps], device=M.device)).item()

    target = reduction * excess(0)
    low, high = 0, 1
    while excess(high) > target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if excess(middle) > target else (low, middle)
    return high


# ---------------------------------------------------------------- experiment B: a deep network

NORMALISERS = ("none", "mean", "batch")


class _SubtractMean(nn.Module):
    """Batch norm without the division: each channel minus its mean over the batch, plus a bias."""

    def __init__(self, width: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, y: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        return y - y.mean(0) + self.bias


def normalised_mlp(inputs: int, width: int, depth: int, normaliser: str, generator: torch.Generator | None = None
                   ) -> nn.Sequential:
    """A ReLU network with one output; each of its ``depth`` hidden layers is normalised before the ReLU.

    Weights are uniform in +-1 / sqrt(fan-in), torch's default, and drawn from ``generator``; biases start at zero.
    The same generator state gives the same weights for each normaliser.

    Args:
        inputs, width, depth: at least 1.
        normaliser: "none", "mean" (subtract the batch mean) or "batch" (``nn.BatchNorm1d``, batch statistics always).
        generator: on the CPU; move the network with ``.to`` afterwards.

    Raises:
        TypeError, ValueError: a size that is not a positive integer, an unknown normaliser.
    """
    for name, value in (("inputs", inputs), ("width", width), ("depth", depth)):
        require_integer(name, value, at_least=1)
    if normaliser not in NORMALISERS:
        raise ValueError(f"normaliser must be one of {NORMALISERS}, got {normaliser!r}")
    layers = []
    for fan_in in [inputs] + [width] * (depth - 1):
        layers.append(nn.Linear(fan_in, width, bias=normaliser == "none"))
        if normaliser == "mean":
            layers.append(_SubtractMean(width))
        elif normaliser == "batch":
            layers.append(nn.BatchNorm1d(width, track_running_stats=False))
        layers.append(nn.ReLU())
    layers.append(nn.Linear(width, 1))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            bound = layer.in_features ** -0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def teacher_labels(x: Tensor, generator: torch.Generator | None = None, width: int = 32) -> Float[Tensor, "N"]:
    """Balanced labels 0 and 1: a random tanh network of the standardised samples, cut at its median.

    Args:
        x: (N, d), N >= 2, no constant column.
        generator: on the device of x.
        width: of the teacher's one hidden layer, at least 1.

    Raises:
        TypeError, ValueError: as ``optimal_affine``; width not a positive integer.
    """
    mean, std = optimal_affine(x)
    require_integer("width", width, at_least=1)
    like = {"generator": generator, "dtype": x.dtype, "device": x.device}
    hidden = torch.tanh((x - mean) / std @ torch.randn(x.shape[1], width, **like) / x.shape[1] ** 0.5)
    output = hidden @ torch.randn(width, **like)
    return (output > output.median()).to(x.dtype)


def logistic_loss(model: nn.Module, x: Float[Tensor, "N d"], labels: Float[Tensor, "N"]) -> Float[Tensor, ""]:
    """The mean binary cross-entropy of a network with one output."""
    return binary_cross_entropy_with_logits(model(x).squeeze(-1), labels)


def lr_sweep(model: nn.Module, x: Tensor, labels: Tensor, lrs: Tensor, steps: int, batch: int,
             generator: torch.Generator | None = None) -> Float[Tensor, "R"]:
    """The loss after SGD at each learning rate; all runs share the start and the batches and advance together.

    Args:
        model: network with one output and without buffers, for example ``normalised_mlp``; it is not changed.
        x: samples, (N, d), in the model's dtype and on its device.
        labels: 0 or 1, (N,).
        lrs: (R,), greater than 0.
        steps: at least 1.
        batch: samples of one step, drawn with replacement, at least 2.
        generator: of the batches, on the CPU.

    Returns:
        (R,), the logistic loss over all of x; infinite where the run has diverged.

    Raises:
        TypeError, ValueError: a wrong type, shape or range; a model with buffers.
    """
    _require_samples("x", x)
    _require_like("labels", labels, x)
    require_shape("labels", labels, len(x))
    if not ((labels == 0) | (labels == 1)).all():
        raise ValueError(f"labels must be 0 or 1, got {labels.min().item()} to {labels.max().item()}")
    _require_like("lrs", lrs, x)
    require_shape("lrs", lrs, None)
    if not (lrs > 0).all():
        raise ValueError(f"lrs must be greater than 0, got {lrs.min().item()}")
    require_integer("steps", steps, at_least=1)
    require_integer("batch", batch, at_least=2)
    if any(True for _ in model.buffers()):
        raise ValueError("model must not have buffers, its runs would share them")

    def loss(params: dict[str, Tensor], x: Tensor, labels: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(functional_call(model, params, (x,)).squeeze(-1), labels)

    gradients = vmap(grad(loss), in_dims=(0, None, None))
    params = {name: param.detach().expand(len(lrs), *param.shape) for name, param in model.named_parameters()}
    for _ in range(steps):
        chosen = torch.randint(len(x), (batch,), generator=generator).to(x.device)
        gradient = gradients(params, x[chosen], labels[chosen])
        params = {name: param - lrs.view(-1, *[1] * (param.ndim - 1)) * gradient[name]
                  for name, param in params.items()}
    final = vmap(loss, in_dims=(0, None, None))(params, x, labels)
    return torch.where(final.isnan(), torch.inf, final)


# ---------------------------------------------------------------- gradients of deep random networks

ACTIVATIONS = {"relu": (torch.relu, 2.0), "tanh": (torch.tanh, 1.0), "linear": (lambda h: h, 1.0)}  # and n Var(W)


def gradient_norms_by_depth(x: Tensor, depth: int, activation: str, batch_norm: bool,
                            generator: torch.Generator | None = None) -> Float[Tensor, "layers"]:
    """The norms of the gradient by each layer's output, in a random square network at initialisation.

    One layer is ``activation(norm(h W))`` with independent N(0, 2 / n) weights for ReLU, N(0, 1 / n) otherwise; the
    loss is the inner product of the last output with Gaussian noise.

    Args:
        x: input, (B, n), B >= 2.
        depth: number of layers, at least 1.
        activation: "relu", "tanh" or "linear".
        batch_norm: whether ``norm`` is batch norm (gamma = 1, beta = 0, eps = 0) or nothing.
        generator: on the device of x.

    Returns:
        (depth,), from the first layer to the last.

    Raises:
        TypeError, ValueError: a wrong type, shape or range, a channel that is constant under batch norm.

    Source: Yang et al., A mean field theory of batch normalization, 2019, arXiv:1902.08129: with batch norm and ReLU
    the norms grow towards the input by sqrt(pi / (pi - 1)) = 1.211 a layer as B and n grow.
    """
    _require_samples("x", x)
    require_integer("depth", depth, at_least=1)
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {tuple(ACTIVATIONS)}, got {activation!r}")
    function, gain = ACTIVATIONS[activation]
    n = x.shape[1]
    like = {"generator": generator, "dtype": x.dtype, "device": x.device}
    h = x.detach().requires_grad_()
    outputs = []
    for _ in range(depth):
        h = h @ (torch.randn(n, n, **like) * (gain / n) ** 0.5)
        if batch_norm:
            h, _ = batchnorm_forward(h, h.new_ones(n), h.new_zeros(n), eps=0.0)
        h = function(h)
        outputs.append(h)
    gradients = torch.autograd.grad(h, outputs, torch.randn(h.shape, **like))
    return torch.stack([gradient.norm() for gradient in gradients])
