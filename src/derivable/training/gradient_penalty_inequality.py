"""Squared gradient norms of single samples, and the inequality that ties the input's to the parameters'.

A layer ``z = W h + b`` that sees ``h`` and receives the gradient ``delta = df/dz`` has ``df/dW = delta h^T`` and
``df/db = delta``, so one backward pass to the layers' outputs gives ``||grad_theta f||^2 = sum_t (1 + ||h_t||^2)
||delta_t||^2`` without any parameter gradient. In a stack ``grad_x f = (W_t J_t)^T delta_t`` for every layer t, with
``J_t = dh_t/dx``, and Cauchy-Schwarz bounds the one by the other.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional

from derivable.arguments import require_floating, require_integer, require_number, require_shape

ELEMENTWISE = (nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.Identity,
               nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.ReLU, nn.ReLU6, nn.SELU, nn.Sigmoid, nn.SiLU, nn.Softplus,
               nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Threshold)
KINDS = ("spectral", "frobenius", "product")


def per_sample_param_grad_sqnorm(model: nn.Module, x: Tensor, f: Callable | None = None, targets: Tensor | None = None,
                                 *, create_graph: bool = False, chunk_size: int | None = None
                                 ) -> Float[Tensor, "batch"]:
    """Squared norm of each sample's gradient with respect to all trainable parameters, none of them formed.

    Agrees with ``torch.func.vmap(torch.func.grad(...))`` to 1e-10 relative in float64 and 1e-4 in float32.

    Args:
        model: any module whose trainable parameters belong to ``Linear`` (also applied along a sequence), ``Conv2d``,
            ``Embedding``, ``LayerNorm`` and ``GroupNorm`` layers, each called once, with the batch as first axis of
            its input. Samples must not influence each other. Parameters that require no gradient are not counted.
        x: (batch, ...) input in the model's floating dtype, or integers for a model that starts with an embedding.
        f: maps the output (and ``targets``, where given) to one value a sample, shape (batch,). Without it the model
            must have one output a sample. For a loss use ``reduction="none"``: a mean would divide by the batch size.
        targets: (batch, ...) second argument of ``f``, cut into chunks together with ``x``.
        create_graph: make the result differentiable, so that it can be a penalty.
        chunk_size: samples treated at once, to bound the memory; all of them by default.

    Raises:
        TypeError: for an argument of the wrong type, or an ``x`` of another dtype than the parameters.
        ValueError: for another layer with parameters, batch norm, a parameter that is shared or a layer not called
            exactly once, an ``f`` that is not one finite differentiable value a sample, a gradient that overflows.

    Source: Goodfellow, "Efficient per-example gradient computations", 2015, arXiv:1510.01799; for a weight that is
    applied at several positions, ``||sum_p delta_p h_p^T||^2 = sum_pq (h_p . h_q)(delta_p . delta_q)``.
    """
    layers = _trainable_layers(model)
    _check_input(model, x, f, targets)
    if chunk_size is None:
        chunk_size = len(x)
    require_integer("chunk_size", chunk_size, at_least=1)
    target_chunks = itertools.repeat(None) if targets is None else targets.split(chunk_size)
    chunks = [_param_grad_sqnorm(model, layers, x_chunk, f, target_chunk, create_graph)
              for x_chunk, target_chunk in zip(x.split(chunk_size), target_chunks, strict=False)]
    return torch.cat(chunks)


def per_sample_input_grad_sqnorm(model: nn.Module, x: Tensor, f: Callable | None = None, targets: Tensor | None = None,
                                 *, create_graph: bool = False) -> Float[Tensor, "batch"]:
    """Squared norm of each sample's gradient with respect to its own input.

    Agrees with ``torch.func.vmap(torch.func.grad(...))`` to 1e-10 relative in float64 and 1e-4 in float32.

    Args:
        model: any module in which samples do not influence each other.
        x: (batch, ...) input in the model's floating dtype.
        f, targets, create_graph: as in ``per_sample_param_grad_sqnorm``.

    Raises:
        TypeError, ValueError: as in ``per_sample_param_grad_sqnorm``; any layer but batch norm is accepted.

    Source: Drucker and Le Cun, "Improving generalization performance using double backpropagation", 1992.
    """
    _check_input(model, x, f, targets)
    require_floating("x", x)
    x = x if x.requires_grad else x.detach().requires_grad_()
    values = _values(model, x, f, targets)
    gradient, = torch.autograd.grad(values, x, torch.ones_like(values), create_graph=create_graph)
    sqnorm = gradient.flatten(1).square().sum(1)
    require_floating("squared norm of the input gradient", sqnorm)
    return sqnorm


def occam_bound(mlp: nn.Module, x: Tensor, kind: str = "spectral") -> Float[Tensor, "batch"]:
    """The factor c(x) in ``c(x) ||grad_x f||^2 <= ||grad_theta f||^2``, which holds for every f of the output.

    ``c(x) = sum_t (1 + ||h_t||^2) / N_t^2`` over the linear layers (without the 1 where there is no bias), with

    - "spectral": ``N_t = ||W_t|| ||J_t||`` in spectral norms,
    - "frobenius": the same in Frobenius norms, cheaper and smaller,
    - "product": ``N_t = ||W_t J_t||`` in the spectral norm, the largest c and the sharpest bound.

    Terms with N_t = 0 are dropped: there ``grad_x f = 0``. Agrees with ``torch.func.jacrev`` of the truncated networks
    to 1e-10 relative in float64 and 1e-4 in float32. Differentiable where the largest singular values are simple.

    Args:
        mlp: ``nn.Sequential`` (nested or not) of ``Linear`` and elementwise activation modules, or one ``Linear``.
        x: (batch, inputs) in the model's dtype, float32 or float64.
        kind: one of ``KINDS``.

    Raises:
        TypeError: for an argument of the wrong type, or an ``x`` of another dtype than the parameters.
        ValueError: for any other model, shared or frozen parameters, a wrong shape, an unknown kind, or a c(x) that
            overflows the dtype (a saturated network: use float64).

    Source: Dherin, Munn, Barrett, "The geometric Occam's razor implicit in deep learning", 2021, arXiv:2111.15090.
    """
    modules = _linear_stack(mlp)
    inputs = next(module.in_features for module in modules if isinstance(module, nn.Linear))
    _check_input(mlp, x, None, None)
    require_shape("x", x, None, inputs)
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"x must be float32 or float64, singular values need it, got {x.dtype}")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    h, jacobian = x, torch.eye(inputs, dtype=x.dtype, device=x.device).unsqueeze(0)
    factor = x.new_zeros(len(x))
    for module in modules:
        if isinstance(module, nn.Linear):
            sqnorm = h.square().sum(1) + (module.bias is not None)
            norm = _norm_of_step(module.weight, jacobian, kind)
            factor = factor + torch.where(norm > 0, sqnorm / torch.where(norm > 0, norm, 1).square(), 0)
            h, jacobian = module(h), module.weight @ jacobian
        else:
            h, slope = torch.func.jvp(module, (h,), (torch.ones_like(h),))
            jacobian = slope.unsqueeze(2) * jacobian
    require_floating("occam_bound", factor)
    return factor


def tightness(mlp: nn.Module, x: Tensor, f: Callable | None = None, targets: Tensor | None = None,
              kind: str = "spectral") -> Float[Tensor, "batch"]:
    """How much of the parameter gradient the bound accounts for: ``c(x) ||grad_x f||^2 / ||grad_theta f||^2``.

    In [0, 1] up to rounding (1e-12 in float64, 1e-4 in float32); 1 where the inequality is an equality.

    Args:
        mlp, x, kind: as in ``occam_bound``.
        f, targets: as in ``per_sample_param_grad_sqnorm``.

    Raises:
        TypeError, ValueError: as in ``occam_bound``, and where the parameter gradient of a sample is 0 (0/0).
    """
    with torch.no_grad():
        factor = occam_bound(mlp, x, kind)
    param = per_sample_param_grad_sqnorm(mlp, x, f, targets)
    if (param == 0).any():
        index = (param == 0).nonzero()[0].item()
        raise ValueError(f"tightness is 0/0 where the parameter gradient vanishes, as at x[{index}]: leave it out")
    return factor * per_sample_input_grad_sqnorm(mlp, x, f, targets) / param


# The experiment: a noisy sine along one direction, learnt by a tanh network.

def sine_samples(samples: int, dimension: int, noise: float, generator: torch.Generator | None = None
                 ) -> tuple[Float[Tensor, "samples dimension"], Float[Tensor, "samples 1"], Float[Tensor, "samples 1"]]:
    """Draw x from N(0, I), the signal ``sin(2 w.x)`` with one random unit vector w, and the signal plus noise.

    Args:
        samples, dimension: sizes, at least 1.
        noise: standard deviation of the noise, at least 0.
        generator: a CPU generator, so that every device sees the same data.

    Returns:
        ``x, signal, y`` on the CPU in torch's default dtype.

    Raises:
        TypeError, ValueError: for sizes or noise outside these ranges.
    """
    require_integer("samples", samples, at_least=1)
    require_integer("dimension", dimension, at_least=1)
    require_number("noise", noise, at_least=0.0)
    direction = functional.normalize(torch.randn(dimension, 1, generator=generator), dim=0)
    x = torch.randn(samples, dimension, generator=generator)
    signal = torch.sin(2 * x @ direction)
    return x, signal, signal + noise * torch.randn(samples, 1, generator=generator)


def tanh_mlp(widths: Sequence[int], generator: torch.Generator | None = None) -> nn.Sequential:
    """A tanh network with the law of ``nn.Linear``'s default initialisation, drawn from ``generator``; on the CPU.

    Args:
        widths: number of inputs, hidden widths, number of outputs; at least two entries, each at least 1.
        generator: a CPU generator, so that every device starts from the same weights.

    Raises:
        TypeError, ValueError: for widths that are not such a list.
    """
    require_integer("len(widths)", len(widths), at_least=2)
    for width in widths:
        require_integer("each of widths", width, at_least=1)
    modules = []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        for parameter in linear.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), generator=generator)
        modules += [linear, nn.Tanh()]
    return nn.Sequential(*modules[:-1])


def fit(mlp: nn.Module, x: Tensor, y: Tensor, steps: int, learning_rate: float, param_penalty: float = 0.0,
        input_penalty: float = 0.0) -> None:
    """Train in place with full-batch Adam on the mean squared error plus the mean squared gradient norms of the output.

    Args:
        mlp: a module with one output a sample that ``per_sample_param_grad_sqnorm`` accepts.
        x: (batch, ...) inputs.
        y: (batch, 1) targets.
        steps: number of updates, at least 0.
        learning_rate: above 0.
        param_penalty, input_penalty: weights of the means of ``||grad_theta f||^2`` and ``||grad_x f||^2``, at least 0.

    Raises:
        TypeError, ValueError: for arguments outside these ranges, or a loss that is not finite.
    """
    require_integer("steps", steps, at_least=0)
    require_number("learning_rate", learning_rate, above=0.0)
    require_number("param_penalty", param_penalty, at_least=0.0)
    require_number("input_penalty", input_penalty, at_least=0.0)
    _check_pairs(x, y)
    optimizer = torch.optim.Adam(mlp.parameters(), lr=learning_rate)
    for _ in range(steps):
        loss = functional.mse_loss(mlp(x), y)
        if param_penalty:
            loss = loss + param_penalty * per_sample_param_grad_sqnorm(mlp, x, create_graph=True).mean()
        if input_penalty:
            loss = loss + input_penalty * per_sample_input_grad_sqnorm(mlp, x, create_graph=True).mean()
        require_floating("loss", loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def descend(mlp: nn.Module, x: Tensor, y: Tensor, learning_rate: float, until: float, max_steps: int) -> int:
    """Train in place by plain full-batch gradient descent until the mean squared error is at most ``until``.

    Args:
        mlp: a module with one output a sample.
        x: (batch, ...) inputs.
        y: (batch, 1) targets.
        learning_rate, until: above 0.
        max_steps: at least 1.

    Returns:
        The number of updates made.

    Raises:
        TypeError: for arguments of the wrong type.
        ValueError: for arguments outside these ranges, a loss that is not finite or not reached in ``max_steps``.
    """
    require_number("learning_rate", learning_rate, above=0.0)
    require_number("until", until, above=0.0)
    require_integer("max_steps", max_steps, at_least=1)
    _check_pairs(x, y)
    optimizer = torch.optim.SGD(mlp.parameters(), lr=learning_rate)
    for step in range(max_steps + 1):
        loss = functional.mse_loss(mlp(x), y)
        require_floating("loss", loss)
        if loss <= until:
            return step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    raise ValueError(f"max_steps must suffice to bring the loss to until={until}, got {max_steps} and {loss:.4g}")


# Below: what a layer adds to the squared norm. Each rule takes the layer, its input h and the gradient d at its output,
# and returns the squared norms of the weight's and of the bias's gradient, shape (batch,) each.

def _gram_sqnorm(input_gram: Tensor, d: Tensor) -> Tensor:
    """``sum_pq <h_p, h_q> <d_p, d_q>``; clamped, because cancellation may leave a rounding error below 0."""
    return (input_gram * (d @ d.mT)).sum((1, 2)).clamp_min(0)


def _outer_sqnorm(h: Tensor, d: Tensor) -> Tensor:
    """``||sum_p d_p h_p^T||_F^2`` for h (batch, positions, n) and d (batch, positions, m), by the smaller matrix."""
    if 2 * h.shape[1] ** 2 <= h.shape[2] * d.shape[2]:
        return _gram_sqnorm(h @ h.mT, d)
    return (d.mT @ h).square().sum((1, 2))


def _linear(layer: nn.Linear, h: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    h, d = (tensor.reshape(len(tensor), -1, tensor.shape[-1]) for tensor in (h, d))
    return _outer_sqnorm(h, d), d.sum(1).square().sum(1)


def _conv2d(layer: nn.Conv2d, h: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    h = functional.pad(h, layer._reversed_padding_repeated_twice, mode=mode)
    patches = functional.unfold(h, layer.kernel_size, layer.dilation, stride=layer.stride)
    batch, positions = len(h), patches.shape[2]
    patches = patches.reshape(batch * layer.groups, -1, positions)
    weight = _outer_sqnorm(patches.mT, d.reshape(batch * layer.groups, -1, positions).mT)
    return weight.reshape(batch, layer.groups).sum(1), d.sum((2, 3)).square().sum(1)


def _embedding(layer: nn.Embedding, h: Tensor, d: Tensor) -> tuple[Tensor, None]:
    index = h.reshape(len(h), -1)
    same_row = index.unsqueeze(1) == index.unsqueeze(2)
    if layer.padding_idx is not None:
        same_row = same_row & (index != layer.padding_idx).unsqueeze(1)
    return _gram_sqnorm(same_row, d.reshape(*index.shape, -1)), None


def _layer_norm(layer: nn.LayerNorm, h: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    normalized = functional.layer_norm(h, layer.normalized_shape, eps=layer.eps)
    weight, bias = ((tensor.reshape(len(h), -1, layer.weight.numel()).sum(1)) for tensor in (d * normalized, d))
    return weight.square().sum(1), bias.square().sum(1)


def _group_norm(layer: nn.GroupNorm, h: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    normalized = functional.group_norm(h, layer.num_groups, eps=layer.eps)
    weight, bias = ((tensor.reshape(len(h), layer.num_channels, -1).sum(2)) for tensor in (d * normalized, d))
    return weight.square().sum(1), bias.square().sum(1)


RULES = {nn.Linear: _linear, nn.Conv2d: _conv2d, nn.Embedding: _embedding, nn.LayerNorm: _layer_norm,
         nn.GroupNorm: _group_norm}


def _param_grad_sqnorm(model: nn.Module, layers: dict[str, nn.Module], x: Tensor, f: Callable | None,
                       targets: Tensor | None, create_graph: bool) -> Tensor:
    """One forward pass that records every layer's input, one backward pass that stops at the layers' outputs."""
    calls = []

    def record(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        # The edge stays right when the next module overwrites the output in place; the tensor would not.
        h = inputs[0] if create_graph else inputs[0].detach()
        calls.append((layer, h, h._version, get_gradient_edge(output)))

    handles = [layer.register_forward_hook(record) for layer in layers.values()]
    try:
        values = _values(model, x, f, targets)
    finally:
        for handle in handles:
            handle.remove()
    for name, layer in layers.items():
        seen = [len(h) for called, h, _, _ in calls if called is layer]
        if seen != [len(x)]:
            raise ValueError(f"every layer of model must be called once, with the batch of {len(x)} as first axis, "
                             f"got calls of sizes {seen} to {name!r}")
    if any(h._version != version for _, h, version, _ in calls):
        raise ValueError("model must not overwrite the input of a layer in place after the layer has seen it")
    edges = [edge for _, _, _, edge in calls]
    gradients = torch.autograd.grad(values, edges, torch.ones_like(values), create_graph=create_graph,
                                    allow_unused=True)
    total = values.new_zeros(len(x))
    for (layer, h, _, _), gradient in zip(calls, gradients, strict=True):
        if gradient is None:  # the layer's output has no influence on f
            continue
        parameters = layer.weight, getattr(layer, "bias", None)
        for parameter, sqnorm in zip(parameters, RULES[type(layer)](layer, h, gradient), strict=True):
            if parameter is not None and parameter.requires_grad:
                total = total + sqnorm
    require_floating("squared norm of the parameter gradient", total)
    return total


def _values(model: nn.Module, x: Tensor, f: Callable | None, targets: Tensor | None) -> Tensor:
    """f of the model's output, checked to be one finite differentiable value a sample."""
    with torch.enable_grad():
        try:
            output = model(x)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, IndexError) as error:
            raise ValueError(f"x must fit the model, got shape {tuple(x.shape)}: {error}") from error
        if f is not None:
            values = f(output) if targets is None else f(output, targets)
        elif output.shape in ((len(x),), (len(x), 1)):
            values = output.reshape(-1)
        else:
            raise ValueError(f"f must be given for a model with more than one output a sample, "
                             f"got None and an output of shape {tuple(output.shape)}")
    require_floating("f(model(x))", values)
    require_shape("f(model(x))", values, len(x))
    if not values.requires_grad:
        raise ValueError("f(model(x)) must be differentiable, got values without a graph")
    return values


def _check_input(model: nn.Module, x: Tensor, f: Callable | None, targets: Tensor | None) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ValueError(f"model must treat samples separately, got {type(module).__name__} at {name!r}")
    takes_integers = any(isinstance(module, nn.Embedding) for module in model.modules())
    if not (takes_integers and isinstance(x, Tensor) and not x.is_floating_point()):
        require_floating("x", x)
        dtypes = {parameter.dtype for parameter in model.parameters()}
        if dtypes and dtypes != {x.dtype}:
            raise TypeError(f"x must have the dtype of the parameters, got {x.dtype} and {dtypes}")
    if x.ndim == 0 or x.numel() == 0:
        raise ValueError(f"x must have shape (batch, ...) and not be empty, got shape {tuple(x.shape)}")
    if f is not None and not callable(f):
        raise TypeError(f"f must be callable or None, got {f!r}")
    if targets is not None:
        if f is None:
            raise ValueError("f must be given where targets are, got None")
        if not isinstance(targets, Tensor):
            raise TypeError(f"targets must be a torch.Tensor or None, got {type(targets).__name__}")
        require_shape("targets", targets, len(x), *targets.shape[1:])


def _check_pairs(x: Tensor, y: Tensor) -> None:
    require_floating("x", x)
    require_floating("y", y)
    require_shape("y", y, len(x), 1)


def _trainable_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that own trainable parameters, by name; refuses those without a rule, and shared parameters."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    layers, owners = {}, {}
    for name, module in model.named_modules(remove_duplicate=False):
        for parameter_name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            if type(module) not in RULES or parameter_name not in ("weight", "bias"):
                supported = ", ".join(kind.__name__ for kind in RULES)
                raise ValueError(f"model must have its parameters in {supported} layers, "
                                 f"got {type(module).__name__} at {name!r} with parameter {parameter_name!r}")
            if parameter in owners:
                raise ValueError(f"model must not share parameters, got the same {parameter_name} "
                                 f"at {owners[parameter]!r} and {name!r}")
            layers[name] = module
            owners[parameter] = name
    if not layers:
        raise ValueError(f"model must have a parameter that requires a gradient, got none in {type(model).__name__}")
    return layers


def _linear_stack(mlp: nn.Module) -> list[nn.Module]:
    """The modules of a plain multilayer perceptron in their order; refuses every other model."""
    _trainable_layers(mlp)

    def flatten(module: nn.Module) -> list[nn.Module]:
        # Exact types: a subclass may have another forward, a skip connection for one.
        if type(module) is nn.Sequential:
            return [leaf for child in module for leaf in flatten(child)]
        if type(module) is nn.Linear or type(module) in ELEMENTWISE:
            return [module]
        raise ValueError(f"mlp must be a Sequential of Linear layers and elementwise activations, "
                         f"got {type(module).__name__}")

    modules = flatten(mlp)
    if not all(parameter.requires_grad for parameter in mlp.parameters()):
        raise ValueError("mlp must have no frozen parameter: the inequality counts every weight and bias")
    return modules


def _norm_of_step(weight: Tensor, jacobian: Tensor, kind: str) -> Tensor:
    """The N_t of ``occam_bound``."""
    if kind == "product":
        return torch.linalg.matrix_norm(weight @ jacobian, ord=2)
    order = 2 if kind == "spectral" else "fro"
    return torch.linalg.matrix_norm(weight, ord=order) * torch.linalg.matrix_norm(jacobian, ord=order)
