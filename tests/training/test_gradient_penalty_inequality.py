"""The squared gradient norms, the inequality between them, and the models for which it is false."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn import functional

from derivable.training.gradient_penalty_inequality import (
    ELEMENTWISE,
    KINDS,
    descend,
    fit,
    occam_bound,
    per_sample_input_grad_sqnorm,
    per_sample_param_grad_sqnorm,
    sine_samples,
    tanh_mlp,
    tightness,
)

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
ACTIVATIONS = [nn.Tanh, nn.ReLU, nn.Softplus, nn.Sigmoid]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randomise(model, seed=0, dtype=torch.float64):
    model.to(dtype)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator(seed))
        seed += 1
    return model


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def mlp(widths, activation=nn.Tanh, bias=True):
    modules = []
    for fan_in, fan_out in zip(widths, widths[1:], strict=False):
        modules += [nn.Linear(fan_in, fan_out, bias=bias), activation()]
    return nn.Sequential(*modules[:-1])


def total(output):
    return output.flatten(1).sum(1)


def reference_param(model, x, f=total):
    """torch.func: every per-sample gradient, formed and squared."""
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}

    def value(parameters, sample):
        return f(functional_call(model, parameters, (sample.unsqueeze(0),)))[0]

    gradients = vmap(grad(value), (None, 0))(parameters, x)
    return sum(gradient.flatten(1).square().sum(1) for gradient in gradients.values())


def reference_input(model, x, f=total):
    return vmap(grad(lambda sample: f(model(sample.unsqueeze(0)))[0]))(x).flatten(1).square().sum(1)


def agree(actual, expected, dtype=torch.float64):
    torch.testing.assert_close(actual, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] ** 1.5)


class Along(nn.Module):
    """Applies a module and adds its input: a skip connection."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class Twice(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(self.inner(x))


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


# The gradient norms

@settings(max_examples=15, deadline=None, derandomize=True)
@given(widths=st.lists(st.integers(1, 7), min_size=2, max_size=6), activation=st.sampled_from(ACTIVATIONS),
       bias=st.booleans(), dtype=st.sampled_from(list(TOLERANCE)), seed=st.integers(0, 1000))
def test_gradient_norms_agree_with_torch_func(widths, activation, bias, dtype, seed):
    model = randomise(mlp(widths, activation, bias), seed, dtype)
    x = normal(4, widths[0], seed=seed, dtype=dtype)
    agree(per_sample_param_grad_sqnorm(model, x, total), reference_param(model, x), dtype)
    agree(per_sample_input_grad_sqnorm(model, x, total), reference_input(model, x), dtype)


@pytest.mark.parametrize("widths", [[5, 1], [1, 1], [2] * 41, [1] * 31], ids=["one layer", "one weight", "40 layers", "30 weights"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])
def test_gradient_norms_of_one_layer_and_of_deep_narrow_networks(widths, dtype, tolerance):
    model, x = randomise(mlp(widths), 3), normal(4, widths[0], seed=3)
    for layer in model[::2]:
        nn.init.orthogonal_(layer.weight, generator=generator(5))  # or the gradients would fade away
    exact = reference_param(model, x), reference_input(model, x)
    assert all((norms > 1e-25).all() for norms in exact)
    model, x = model.to(dtype), x.to(dtype)
    found = per_sample_param_grad_sqnorm(model, x, total), per_sample_input_grad_sqnorm(model, x, total)
    for norms, reference in zip(found, exact, strict=True):
        torch.testing.assert_close(norms.double(), reference, rtol=tolerance, atol=0)


LAYERED = {
    "sequence, few positions": (nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5)), (4, 3, 6)),
    "sequence, many positions": (nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), (4, 9, 2)),
    "convolution": (nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(inplace=True),
                                  nn.Conv2d(4, 2, (1, 2), dilation=2), nn.Flatten(), nn.LazyLinear(3)), (4, 3, 9, 8)),
    "grouped convolution": (nn.Conv2d(4, 6, 3, groups=2, padding="same"), (3, 4, 5, 5)),
    "circular convolution": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", bias=False), (3, 2, 5, 4)),
    "one by one convolution": (nn.Conv2d(8, 9, 1), (3, 8, 2, 2)),
    "layer norm": (nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6), nn.GELU(), nn.LayerNorm((4, 6))), (3, 4, 5)),
    "group norm": (nn.Sequential(nn.Conv2d(2, 6, 3), nn.GroupNorm(3, 6), nn.Tanh()), (4, 2, 5, 5)),
    "group norm of vectors": (nn.Sequential(nn.Linear(3, 6), nn.GroupNorm(2, 6), nn.Tanh()), (4, 3)),
    "skip connection": (nn.Sequential(Along(mlp([4, 6, 4])), nn.ReLU(inplace=True), nn.Linear(4, 2)), (5, 4)),
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", LAYERED)
def test_every_supported_layer_agrees_with_torch_func(name, dtype):
    model, shape = LAYERED[name]
    x = normal(*shape, dtype=dtype)
    model.to(dtype)(x)  # lets the lazy layer find its size
    model = randomise(model, dtype=dtype)

    def weighted(output):
        return output.flatten(1) @ torch.cos(torch.arange(output[0].numel(), dtype=dtype))

    agree(per_sample_param_grad_sqnorm(model, x, weighted), reference_param(model, x, weighted), dtype)


@pytest.mark.parametrize("padding_idx", [None, 2])
def test_embedding_adds_the_gradients_of_repeated_tokens(padding_idx):
    model = randomise(nn.Sequential(nn.Embedding(5, 3, padding_idx=padding_idx), nn.Linear(3, 4), nn.Tanh()))
    tokens = torch.randint(5, (6, 7), generator=generator())
    agree(per_sample_param_grad_sqnorm(model, tokens, total), reference_param(model, tokens))


def test_gradients_that_cancel_between_positions_never_give_a_negative_norm():
    layer = randomise(nn.Linear(32, 32), dtype=torch.float32)
    h, weights = normal(64, 1, 32, dtype=torch.float32), normal(32, dtype=torch.float32)
    x = torch.cat([h, h * (1 + 1e-6)], dim=1)
    sqnorm = per_sample_param_grad_sqnorm(layer, x, lambda z: (z[:, 0] - z[:, 1]) @ weights)
    assert (sqnorm >= 0).all() and (sqnorm < 1e-2).all()


def test_a_loss_with_targets_and_chunks_of_any_size():
    model, x = randomise(mlp([5, 8, 3], nn.ReLU)), normal(7, 5)
    targets = torch.randint(3, (7,), generator=generator())

    def loss(output, targets):
        return functional.cross_entropy(output, targets, reduction="none")

    expected = torch.cat([reference_param(model, x[i:i + 1], lambda output, i=i: loss(output, targets[i:i + 1]))
                          for i in range(7)])
    for chunk_size in (None, 1, 3, 100):
        agree(per_sample_param_grad_sqnorm(model, x, loss, targets, chunk_size=chunk_size), expected)


def test_frozen_parameters_are_not_counted():
    model, x = randomise(mlp([4, 5, 6, 1])), normal(3, 4)
    model[0].requires_grad_(False)
    model[2].weight.requires_grad_(False)
    agree(per_sample_param_grad_sqnorm(model, x), reference_param(model, x))


def test_a_layer_without_influence_adds_nothing():
    model, x = randomise(nn.Linear(3, 2)), normal(4, 3)
    both = nn.ModuleDict({"used": model, "unused": randomise(nn.Linear(3, 5))})
    both.forward = lambda x: (both["used"](x), both["unused"](x))
    agree(per_sample_param_grad_sqnorm(both, x, lambda pair: total(pair[0])), reference_param(model, x))


def test_both_norms_are_differentiable_penalties():
    model, x = randomise(mlp([4, 6, 5, 1])), normal(3, 4)
    for ours, reference in ((per_sample_param_grad_sqnorm, reference_param),
                            (per_sample_input_grad_sqnorm, reference_input)):
        actual = torch.autograd.grad(ours(model, x, create_graph=True).sum(), list(model.parameters())[:-1])
        expected = torch.autograd.grad(reference(model, x).sum(), list(model.parameters())[:-1])
        for left, right in zip(actual, expected, strict=True):
            agree(left, right)
        x_leaf = x.clone().requires_grad_()
        actual, = torch.autograd.grad(ours(model, x_leaf, create_graph=True).sum(), x_leaf)
        expected, = torch.autograd.grad(reference(model, x_leaf).sum(), x_leaf)
        agree(actual, expected)


def test_no_graph_hook_or_gradient_is_left_behind():
    model, x = randomise(mlp([4, 6, 1])), normal(3, 4)
    with torch.no_grad():
        sqnorm = per_sample_param_grad_sqnorm(model, x)
    assert not sqnorm.requires_grad and not x.requires_grad
    assert all(not module._forward_hooks for module in model)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_result_has_a_graph_only_where_one_was_asked_for():
    model, x = randomise(mlp([4, 6, 1])), normal(3, 4)
    for norm in (per_sample_param_grad_sqnorm, per_sample_input_grad_sqnorm):
        assert not norm(model, x).requires_grad and norm(model, x, create_graph=True).requires_grad


def test_an_input_changed_after_its_layer_has_seen_it_is_refused():
    inner = randomise(nn.Linear(3, 3))

    def forward(x):
        h = 1 * x
        z = inner(h)
        h.mul_(2)
        return z + h

    model = Apply(forward)
    model.inner = inner
    with pytest.raises(ValueError, match="in place"):
        per_sample_param_grad_sqnorm(model, normal(2, 3), total)


# The inequality

@settings(max_examples=40, deadline=None, derandomize=True)
@given(widths=st.lists(st.integers(1, 8), min_size=2, max_size=5), activation=st.sampled_from(ACTIVATIONS),
       bias=st.booleans(), scale=st.sampled_from([0.1, 1.0, 5.0]), seed=st.integers(0, 10_000))
def test_the_inequality_holds_and_the_three_kinds_are_ordered(widths, activation, bias, scale, seed):
    model = randomise(mlp(widths, activation, bias), seed)
    x = scale * normal(6, widths[0], seed=seed)
    weights = normal(widths[-1], seed=seed + 1)

    def f(output):
        return torch.sin(output @ weights)

    param = per_sample_param_grad_sqnorm(model, x, f)
    inputs = per_sample_input_grad_sqnorm(model, x, f)
    spectral, frobenius, product = (occam_bound(model, x, kind) for kind in KINDS)
    assert (product * inputs <= param * (1 + 1e-9)).all()
    assert (frobenius <= spectral * (1 + 1e-9)).all()
    assert ((spectral <= product * (1 + 1e-9)) | (product == 0)).all()


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_the_bound_agrees_with_jacobians_from_torch_func(activation):
    activate = activation(0.1, 0.0) if activation is nn.Threshold else activation()
    model = randomise(nn.Sequential(nn.Linear(4, 6), activate, nn.Sequential(nn.Linear(6, 5, bias=False), nn.Tanh()),
                                    nn.Linear(5, 2)))
    for dtype in TOLERANCE:
        model.to(dtype)
        x = normal(3, 4, dtype=dtype)
        before, h1, h2 = x, model[:2](x), model[:3](x)
        jacobians = [torch.eye(4, dtype=dtype).expand(3, 4, 4), vmap(jacrev(model[:2]))(x), vmap(jacrev(model[:3]))(x)]
        weights = [model[0].weight, model[2][0].weight, model[3].weight]
        for kind in KINDS:
            expected = 0
            for h, jacobian, weight, one in zip((before, h1, h2), jacobians, weights, (1, 0, 1), strict=True):
                if kind == "product":
                    norm = torch.linalg.svdvals(weight @ jacobian)[:, 0]
                elif kind == "spectral":
                    norm = torch.linalg.svdvals(weight)[0] * torch.linalg.svdvals(jacobian)[:, 0]
                else:
                    norm = weight.square().sum().sqrt() * jacobian.square().sum((1, 2)).sqrt()
                if (norm > 0).all():
                    expected = expected + (one + h.square().sum(1)) / norm**2
            agree(occam_bound(model, x, kind), expected, dtype)


def test_the_inequality_summed_over_a_vector_output():
    model, x = randomise(mlp([5, 7, 4])), normal(6, 5)
    outputs = [lambda output, k=k: output[:, k] for k in range(4)]
    param = sum(per_sample_param_grad_sqnorm(model, x, f) for f in outputs)
    inputs = sum(per_sample_input_grad_sqnorm(model, x, f) for f in outputs)
    agree(inputs, vmap(jacrev(model))(x).square().sum((1, 2)))
    assert (occam_bound(model, x, "product") * inputs <= param * (1 + 1e-9)).all()


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Softplus])
def test_equality_for_scalar_chains(activation):
    model, x = randomise(mlp([1, 1, 1, 1, 1], activation)), normal(8, 1)
    for kind in KINDS:
        agree(tightness(model, x, kind=kind), torch.ones(8, dtype=torch.float64))


def test_equality_for_orthogonal_linear_networks_and_every_f():
    model, x = randomise(mlp([16] * 4, nn.Identity)), normal(5, 16)
    for layer in model[::2]:
        nn.init.orthogonal_(layer.weight, generator=generator())
    for f in (total, lambda output: output.square().sum(1), lambda output: torch.sin(output[:, 0])):
        for kind in ("spectral", "product"):
            agree(tightness(model, x, f, kind=kind), torch.ones(5, dtype=torch.float64))
        assert (tightness(model, x, f, kind="frobenius") < 0.01).all()


def test_not_splitting_the_norm_makes_the_bound_an_order_of_magnitude_tighter():
    draws = {kind: [] for kind in KINDS}
    for seed in range(8):
        model = tanh_mlp([10, 32, 32, 1], generator(seed)).double()
        for kind in KINDS:
            draws[kind].append(tightness(model, normal(32, 10, seed=seed), kind=kind))
    spectral, frobenius, product = (torch.cat(draws[kind]).median().item() for kind in KINDS)
    assert 0.03 < spectral < 0.11
    assert 0.005 < frobenius < 0.025
    assert 0.45 < product < 0.70


def test_a_dead_layer_drops_its_terms():
    model = randomise(mlp([3, 4, 1], nn.ReLU))
    with torch.no_grad():
        model[0].bias.fill_(-100)
    x = normal(5, 3)
    first = (1 + x.square().sum(1)) / torch.linalg.svdvals(model[0].weight)[0] ** 2
    agree(occam_bound(model, x), first)
    assert (tightness(model, x) == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_is_differentiable_in_the_weights(kind):
    model, x = randomise(mlp([3, 4, 1])), normal(5, 3)
    weight = model[0].weight
    gradient, = torch.autograd.grad(occam_bound(model, x, kind).sum(), weight)
    direction, step = normal(4, 3, seed=5), 1e-5
    with torch.no_grad():
        weight += step * direction
        above = occam_bound(model, x, kind).sum()
        weight -= 2 * step * direction
        below = occam_bound(model, x, kind).sum()
    torch.testing.assert_close((above - below) / (2 * step), (gradient * direction).sum(), rtol=1e-6, atol=1e-8)


# Where it fails

def test_no_converse_a_flat_network_has_a_parameter_gradient():
    model, x = nn.Linear(3, 1).double(), normal(4, 3)
    nn.init.zeros_(model.weight)
    assert (per_sample_input_grad_sqnorm(model, x) == 0).all()
    agree(per_sample_param_grad_sqnorm(model, x), 1 + x.square().sum(1))


def test_weight_sharing_can_cancel_the_parameter_gradient_alone():
    """tanh(w x1 + b) - tanh(w x2 + b) at x1 = x2: the same layer at two positions of a sequence."""
    layer = randomise(nn.Linear(1, 1))
    x = torch.full((1, 2, 1), 0.7, dtype=torch.float64)

    def difference(z):
        return torch.tanh(z[:, 0, 0]) - torch.tanh(z[:, 1, 0])

    slope = layer.weight.item() * (1 - math.tanh(layer(x)[0, 0, 0].item()) ** 2)
    assert per_sample_param_grad_sqnorm(layer, x, difference).item() == 0
    assert per_sample_input_grad_sqnorm(layer, x, difference).item() == pytest.approx(2 * slope**2, rel=1e-12)
    assert abs(slope) > 0.01


def test_a_skip_connection_breaks_the_inequality():
    """f = x + tanh(w x + b) with a small w: the input's way around the layer is not in the bound."""
    branch = nn.Sequential(nn.Linear(1, 1), nn.Tanh()).double()
    nn.init.constant_(branch[0].weight, 1e-3)
    nn.init.zeros_(branch[0].bias)
    x = torch.tensor([[0.7]], dtype=torch.float64)
    model = Along(branch)
    param = per_sample_param_grad_sqnorm(model, x).item()
    bounded = (occam_bound(branch, x) * per_sample_input_grad_sqnorm(model, x)).item()
    assert param == pytest.approx(1.49, rel=1e-5)
    assert bounded == pytest.approx(1.49e6 * 1.001**2, rel=1e-5)
    with pytest.raises(ValueError, match="Along"):
        occam_bound(model, x)


def test_the_mean_gradient_of_a_batch_is_not_bounded():
    """Two equal samples with opposite residuals: the mean of the gradients is 0, no input gradient is."""
    model, x = randomise(mlp([3, 4, 1])), normal(1, 3).expand(2, 3)
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64)

    def f(output):
        return signs * output[:, 0]

    mean = torch.autograd.grad(f(model(x)).mean(), list(model.parameters()))
    assert sum(gradient.square().sum() for gradient in mean) == 0
    inputs = per_sample_input_grad_sqnorm(model, x, f)
    assert (inputs > 0.01).all()
    assert (occam_bound(model, x) * inputs <= per_sample_param_grad_sqnorm(model, x, f)).all()


def test_the_gradient_of_the_loss_vanishes_at_interpolation_while_f_stays_steep():
    model, x = randomise(mlp([3, 4, 1])), normal(5, 3)
    targets = model(x).detach()

    def loss(output, targets):
        return (output - targets).square().sum(1)

    assert (per_sample_param_grad_sqnorm(model, x, loss, targets) == 0).all()
    assert (per_sample_input_grad_sqnorm(model, x) > 0.001).all()
    with pytest.raises(ValueError, match="0/0"):
        tightness(model, x, loss, targets)


@pytest.mark.parametrize(("law", "limit"), [("default", 2 / math.sqrt(3)), ("normal", 2.0), ("orthogonal", 1.0)])
def test_spectral_norms_at_initialisation_are_near_one_or_two_not_zero(law, limit):
    weight = tanh_mlp([512, 512], generator())[0].weight
    if law == "normal":
        nn.init.normal_(weight, std=512**-0.5, generator=generator())
    if law == "orthogonal":
        nn.init.orthogonal_(weight, generator=generator())
    assert torch.linalg.matrix_norm(weight, ord=2).item() == pytest.approx(limit, rel=0.02)


# The experiment

def train(seed, **penalty):
    x, _, y = sine_samples(40, 5, 0.5, generator(seed))
    model = tanh_mlp([5, 16, 1], generator(seed))
    fit(model, x, y, 150, 2e-2, **penalty)
    return (per_sample_param_grad_sqnorm(model, x).mean().item(), per_sample_input_grad_sqnorm(model, x).mean().item())


def test_a_penalty_on_the_parameter_gradient_also_lowers_the_input_gradient_not_conversely():
    plain, penalised, flattened = train(0), train(0, param_penalty=1e-1), train(0, input_penalty=1e-1)
    assert penalised[0] < 0.5 * plain[0] and penalised[1] < 0.5 * plain[1]
    assert flattened[1] < 0.25 * plain[1] and flattened[0] > 0.5 * plain[0]
    assert train(0) == plain


def test_descend_stops_at_the_first_loss_below_the_target():
    x, _, y = sine_samples(20, 3, 0.1, generator())
    model = tanh_mlp([3, 16, 1], generator())
    steps = descend(model, x, y, 0.1, 0.1, 2000)
    assert 0 < steps < 2000 and 0.09 < functional.mse_loss(model(x), y) <= 0.1
    assert descend(model, x, y, 0.1, 0.1, 1) == 0
    again = tanh_mlp([3, 16, 1], generator())
    with pytest.raises(ValueError, match="max_steps"):
        descend(again, x, y, 0.1, 0.1, steps - 1)


def test_samples_follow_their_generator_and_the_signal_is_a_sine_of_one_direction():
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    x, signal, y = sine_samples(2000, 4, 0.5, generator())
    tanh_mlp([3, 4, 1], generator())
    assert torch.equal(state, torch.random.get_rng_state())
    torch.testing.assert_close(sine_samples(2000, 4, 0.5, generator())[2], y)
    assert (y - signal).std().item() == pytest.approx(0.5, rel=0.06)
    small = x.norm(dim=1) < 0.7
    direction = torch.linalg.lstsq(x[small], torch.asin(signal[small]) / 2).solution
    assert direction.norm().item() == pytest.approx(1, rel=1e-3)
    torch.testing.assert_close(torch.sin(2 * x @ direction), signal, rtol=1e-3, atol=1e-3)


def test_the_tanh_network_ends_with_a_linear_layer():
    assert [type(module) for module in tanh_mlp([3, 4, 1])] == [nn.Linear, nn.Tanh, nn.Linear]


# Bad input

class SkippingSequential(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


X = normal(4, 3)
PLAIN = randomise(mlp([3, 5, 1]))
WIDE = randomise(mlp([3, 5, 2]))
SHARED = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).double()
SHARED[1].weight = SHARED[0].weight
REPEATED = nn.Sequential(*[nn.Linear(3, 3)] * 2).double()
FROZEN = randomise(mlp([3, 5, 1])).requires_grad_(False)
PARTLY_FROZEN = randomise(mlp([3, 5, 1]))
PARTLY_FROZEN[0].requires_grad_(False)
HUGE = randomise(mlp([3, 5, 1], nn.Identity), dtype=torch.float32)
with torch.no_grad():
    HUGE[2].weight.fill_(1e30)


def with_value(value):
    x = X.clone()
    x[1, 2] = value
    return x


@pytest.mark.parametrize(("call", "message"), [
    (lambda: per_sample_param_grad_sqnorm(PLAIN, [1.0]), "x must be a torch.Tensor, got list"),
    (lambda: per_sample_param_grad_sqnorm(lambda x: x, X), "model must be a torch.nn.Module, got function"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X.long()), "x must have a floating dtype"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X.float()), "x must have the dtype of the parameters"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X, f="sum"), "f must be callable or None, got 'sum'"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X, f=lambda output: 1.0), r"f\(model\(x\)\) must be a torch.Tensor"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X, f=lambda output, targets: output[:, 0], targets=[1, 2, 3, 4]),
     "targets must be a torch.Tensor or None, got list"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X, chunk_size=1.5), "chunk_size must be an integer"),
    (lambda: per_sample_input_grad_sqnorm(PLAIN, X.long()), "x must have a floating dtype"),
    (lambda: per_sample_input_grad_sqnorm(PLAIN, X.float()), "x must have the dtype of the parameters"),
    (lambda: per_sample_input_grad_sqnorm(lambda x: x, X), "model must be a torch.nn.Module, got function"),
    (lambda: per_sample_input_grad_sqnorm(nn.Embedding(3, 2), torch.tensor([0, 1])), "x must have a floating dtype"),
    (lambda: occam_bound(lambda x: x, X), "model must be a torch.nn.Module, got function"),
    (lambda: occam_bound(PLAIN, X.float()), "x must have the dtype of the parameters"),
    (lambda: occam_bound(randomise(mlp([3, 1]), dtype=torch.bfloat16), X.bfloat16()), "x must be float32 or float64"),
    (lambda: tightness(PLAIN, X.long()), "x must have a floating dtype"),
    (lambda: sine_samples(3.0, 2, 0.1), "samples must be an integer"),
    (lambda: sine_samples(3, 2.0, 0.1), "dimension must be an integer"),
    (lambda: sine_samples(3, 2, "0.1"), "noise must be a real number"),
    (lambda: tanh_mlp([3, 2.5]), "each of widths must be an integer"),
    (lambda: fit(PLAIN, X, X[:, :1], 1.5, 0.1), "steps must be an integer"),
    (lambda: fit(PLAIN, X, X[:, :1].long(), 1, 0.1), "y must have a floating dtype"),
    (lambda: fit(PLAIN, X.long(), X[:, :1], 1, 0.1), "x must have a floating dtype"),
    (lambda: descend(PLAIN, X, X[:, :1].long(), 0.1, 0.1, 1), "y must have a floating dtype"),
    (lambda: descend(PLAIN, X, X[:, :1], 0.1, 0.1, 1.5), "max_steps must be an integer"),
])
def test_wrong_types_are_type_errors_that_name_the_argument(call, message):
    with pytest.raises(TypeError, match=f"^({message}|Type-check error)"):  # the second where types are checked at run time
        call()


@pytest.mark.parametrize(("call", "message"), [
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X[:0]), "x must not be empty"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X[0, 0]), "x must have shape"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X[:, :2]), "x must fit the model"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, with_value(math.nan)), r"x must be finite, got nan at index \(1, 2\)"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, with_value(math.inf)), "x must be finite"),
    (lambda: per_sample_param_grad_sqnorm(WIDE, X), "f must be given"),
    (lambda: per_sample_param_grad_sqnorm(WIDE, X, torch.sum), r"f\(model\(x\)\) must have shape \(4\)"),
    (lambda: per_sample_param_grad_sqnorm(WIDE, X, lambda output: output[:, 0] * math.nan), r"f\(model\(x\)\)"),
    (lambda: per_sample_param_grad_sqnorm(WIDE, X, lambda output: output[:, 0].detach()), r"f\(model\(x\)\) must be differentiable"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X, lambda output: (output[:, 0] * 0).sqrt()), "squared norm"),
    (lambda: per_sample_param_grad_sqnorm(HUGE, X.float()), "squared norm"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X, targets=X), "f must be given"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X, lambda output, targets: output[:, 0], X[:2]), "targets"),
    (lambda: per_sample_param_grad_sqnorm(PLAIN, X, chunk_size=0), "chunk_size"),
    (lambda: per_sample_param_grad_sqnorm(SHARED, X, total), "model must not share.*weight at '0' and '1'"),
    (lambda: per_sample_param_grad_sqnorm(REPEATED, X, total), "model must not share"),
    (lambda: per_sample_param_grad_sqnorm(Twice(nn.Linear(3, 3).double()), X, total), "every layer of model must be called once"),
    (lambda: per_sample_param_grad_sqnorm(nn.Sequential(Apply(torch.t), nn.Linear(4, 4), Apply(torch.t)).double(), X,
                                          total), "every layer of model .* with the batch of 4 as first axis"),
    (lambda: per_sample_param_grad_sqnorm(nn.LSTM(3, 2).double(), X, total), "model must have its parameters in .* LSTM"),
    (lambda: per_sample_param_grad_sqnorm(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double(), X, total),
     "model must .* BatchNorm1d at '1'"),
    (lambda: per_sample_param_grad_sqnorm(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False)).double(), X),
     "model must treat samples separately"),
    (lambda: per_sample_param_grad_sqnorm(FROZEN, X), "model must have a parameter that requires a gradient"),
    (lambda: per_sample_param_grad_sqnorm(nn.Embedding(3, 2), torch.tensor([5]), total), "x must fit the model"),
    (lambda: per_sample_input_grad_sqnorm(nn.BatchNorm1d(3).double(), X, total), "model must treat samples separately"),
    (lambda: per_sample_input_grad_sqnorm(PLAIN, with_value(math.nan)), "x must be finite"),
    (lambda: per_sample_input_grad_sqnorm(HUGE, X.float()), "squared norm"),
    (lambda: occam_bound(PLAIN, X, "nuclear"), "kind must be one of"),
    (lambda: occam_bound(PLAIN, X[0]), r"x must have shape \(any, 3\)"),
    (lambda: occam_bound(PLAIN, X[:, :2]), r"x must have shape \(any, 3\)"),
    (lambda: occam_bound(PLAIN, with_value(math.nan)), "x must be finite"),
    (lambda: occam_bound(FROZEN, X), "model must have a parameter that requires a gradient"),
    (lambda: occam_bound(PARTLY_FROZEN, X), "mlp must have no frozen parameter"),
    (lambda: occam_bound(SkippingSequential(nn.Linear(3, 3)).double(), X), "mlp must be a Sequential .* got SkippingSequential"),
    (lambda: occam_bound(nn.Conv2d(1, 1, 1).double(), X), "mlp must be a Sequential .* Conv2d"),
    (lambda: occam_bound(nn.RNN(3, 2).double(), X), "model must have its parameters in .* RNN"),
    (lambda: occam_bound(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double(), X), "model must .* BatchNorm1d"),
    (lambda: occam_bound(nn.Sequential(nn.Linear(3, 2), nn.Dropout()).double(), X), "mlp must be a Sequential .* Dropout"),
    (lambda: occam_bound(SHARED, X), "model must not share"),
    (lambda: occam_bound(REPEATED, X), "model must not share"),
    (lambda: occam_bound(Along(nn.Linear(3, 3).double()), X), "mlp must be a Sequential .* Along"),
    (lambda: tightness(PLAIN, X, kind="l1"), "kind must be one of"),
    (lambda: tightness(WIDE, X), "f must be given"),
    (lambda: sine_samples(0, 2, 0.1), "samples must be at least 1"),
    (lambda: sine_samples(1, 2, -0.1), "noise must be at least 0"),
    (lambda: tanh_mlp([3]), r"len\(widths\) must be at least 2"),
    (lambda: tanh_mlp([3, 0]), "each of widths must be at least 1"),
    (lambda: fit(PLAIN, X, X[:, :2], 1, 0.1), "y must have shape"),
    (lambda: fit(PLAIN, X, X[:, :1], 1, 0.0), "learning_rate"),
    (lambda: fit(PLAIN, X, X[:, :1], 1, 0.1, param_penalty=-1.0), "param_penalty"),
    (lambda: fit(PLAIN, X, X[:, :1], 1, 0.1, input_penalty=math.nan), "input_penalty"),
    (lambda: fit(PLAIN, X, X[:, :1], -1, 0.1), "steps must be at least 0"),
    (lambda: descend(PLAIN, X, X[:, :1], 0.1, 0.0, 1), "until must be greater than 0"),
    (lambda: descend(PLAIN, X, X[:, :1], 0.0, 0.1, 1), "learning_rate must be greater than 0"),
    (lambda: descend(PLAIN, X, X[:, :1], 0.1, 0.1, 0), "max_steps must be at least 1"),
    (lambda: descend(PLAIN, X, X[:, :2], 0.1, 0.1, 1), r"y must have shape \(4, 1\)"),
    (lambda: sine_samples(2, 0, 0.1), "dimension must be at least 1"),
    (lambda: descend(randomise(mlp([3, 5, 1], nn.Identity)), X, X[:, :1], 1e3, 1e-9, 500), "loss must be finite"),
])
def test_wrong_values_are_value_errors_that_name_the_argument(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
