"""Per-sample gradient norms, beside the ghost norms of Opacus and BackPACK and gradients that are really formed."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.harness import Comparison, Growth, Peer
from derivable.devices import device
from derivable.training.gradient_penalty_inequality import per_sample_param_grad_sqnorm

TITLE = "Gradient norms of single samples"


def problem(widths: tuple[int, ...], batch: int, dtype: torch.dtype = torch.float32
            ) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    layers = []
    for fan_in, fan_out in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    x, y = torch.randn(batch, widths[0]), torch.randint(widths[-1], (batch,))
    return nn.Sequential(*layers[:-1]).to(device(), dtype), x.to(device(), dtype), y.to(device())


def losses(output: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(output, targets, reduction="none")


def one_by_one(model: nn.Module, x: Tensor, y: Tensor, chunk_size: int | None = None) -> Tensor:
    """The gradient of each sample, formed and squared."""
    params = {name: param.detach() for name, param in model.named_parameters()}

    def loss(params, x, y):
        return cross_entropy(torch.func.functional_call(model, params, (x[None],)), y[None])

    gradients = torch.func.vmap(torch.func.grad(loss), (None, 0, 0), chunk_size=chunk_size)(params, x, y)
    return sum(gradient.flatten(1).square().sum(1) for gradient in gradients.values())


def norms(widths: tuple[int, ...], batch: int) -> Comparison:
    model, x, y = problem(widths, batch)
    exact = one_by_one(*problem(widths, batch, torch.float64), chunk_size=16)

    def make_opacus():
        from opacus.grad_sample import GradSampleModuleFastGradientClipping

        wrapped = GradSampleModuleFastGradientClipping(problem(widths, batch)[0], max_grad_norm=1.0,
                                                       use_ghost_clipping=True, loss_reduction="sum")

        def call():
            wrapped.zero_grad()
            losses(wrapped(x), y).sum().backward()
            return sum(param._norm_sample.square() for param in wrapped.parameters())

        return call

    def make_backpack():
        from backpack import backpack, extend
        from backpack.extensions import BatchL2Grad

        extended, loss = extend(problem(widths, batch)[0]), extend(nn.CrossEntropyLoss(reduction="sum"))

        def call():
            extended.zero_grad()
            with backpack(BatchL2Grad()):
                loss(extended(x), y).backward()
            return sum(param.batch_l2 for param in extended.parameters())

        return call

    linears = [module for module in model if isinstance(module, nn.Linear)]
    forward = 2 * batch * sum(linear.weight.numel() for linear in linears)
    backward = 2 * batch * sum(linear.weight.numel() for linear in linears[1:])  # the input needs no gradient
    return Comparison(
        name=f"squared norms of {batch} gradients, MLP {'-'.join(map(str, widths))}, float32",
        ours=lambda: per_sample_param_grad_sqnorm(model, x, losses, y),
        peers={"Opacus, ghost norms": Peer(make_opacus, target=1.5),
               "BackPACK, BatchL2Grad": Peer(make_backpack, target=1.5),
               "torch.func.vmap of grad": Peer(lambda: lambda: one_by_one(model, x, y), target=50, memory_target=0.1)},
        error=lambda answer: float((answer / exact - 1).abs().max()), measure="relative, against float64 vmap",
        tolerance=1e-4, work={"gemm float32": forward + backward},
        note="What must be done is the products of a forward and a backward pass. The peers also form the sum of the "
             "gradients, half as much again, and no more than that can be saved.")


def comparisons(tiny: bool = False) -> list[Comparison]:
    return [norms((8, 6, 3), 4) if tiny else norms((784, 512, 512, 10), 256)]


def growths() -> list[Growth]:
    def call(widths, batch):
        model, x, y = problem(widths, batch)
        return lambda: per_sample_param_grad_sqnorm(model, x, losses, y)

    def formed(width):
        model, x, y = problem((width, width, 10), 64)
        return lambda: one_by_one(model, x, y)

    return [Growth("per_sample_param_grad_sqnorm", "batch", (512, 1024, 2048, 4096),
                   lambda batch: call((784, 512, 512, 10), batch), time=1, memory=1),
            Growth("per_sample_param_grad_sqnorm, batch 1024", "width", (512, 1024, 1536, 2048),
                   lambda width: call((width, width, 10), 1024), time=2, memory=1),
            Growth("torch.func.vmap of grad, batch 64", "width", (256, 512, 768, 1024), formed, time=2, memory=2)]
