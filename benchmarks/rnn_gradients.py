"""Norms of dh_T / dh_t for every t, beside the ways in which torch itself forms these Jacobians."""

import torch
from torch import Tensor, nn

from benchmarks.harness import Comparison, Growth, Peer
from derivable.devices import device
from derivable.training.rnn_gradients import jacobian_norms

TITLE = "Vanishing and exploding gradients in recurrent networks"
KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
TARGETS = {"RNN": 15, "LSTM": 3.5, "GRU": 3.5}
GEMMS = {"RNN": 1, "LSTM": 2, "GRU": 1}  # products with an n x n matrix for each step and row


def problem(kind: str, T: int, batch: int, n: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    module = KINDS[kind](n, n).to(device()).requires_grad_(False)
    return module, torch.randn(T, batch, n, device=device())


def last_state(module: nn.Module, x: Tensor):
    """h_T as a function of what is added to each h_t: its Jacobian at zero holds dh_T / dh_t."""
    weights = [getattr(module, name) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]
    cell = {nn.RNN: torch.rnn_tanh_cell, nn.LSTM: torch.lstm_cell, nn.GRU: torch.gru_cell}[type(module)]

    def run(added: Tensor) -> Tensor:
        h = c = torch.zeros_like(added[0])
        for x_t, added_t in zip(x, added, strict=True):
            h = h + added_t
            if isinstance(module, nn.LSTM):
                h, c = cell(x_t, (h, c), *weights)
            else:
                h = cell(x_t, h, *weights)
        return h

    return run


def autograd_norms(module: nn.Module, x: Tensor, vectorize: bool, sum_batch: bool) -> Tensor:
    """Norms from ``torch.autograd.functional.jacobian``, in float64: squares of small entries underflow in float32.

    Sequences do not influence each other, so the Jacobian of the sum over the batch has all that is asked for. Without
    that remark there is one block for each pair of sequences, of which those on the diagonal count.
    """
    run = last_state(module, x)
    zero = x.new_zeros(*x.shape[:2], module.hidden_size)
    function = (lambda added: run(added).sum(0)) if sum_batch else run
    jacobian = torch.autograd.functional.jacobian(function, zero, vectorize=vectorize)
    if not sum_batch:  # (batch, n, T, batch, n) -> (n, T, batch, n)
        jacobian = jacobian.diagonal(dim1=0, dim2=3).movedim(-1, 2)
    return torch.linalg.vector_norm(jacobian, dim=(0, 3), dtype=torch.float64)


def compare(kind: str, T: int, batch: int, n: int) -> Comparison:
    module, x = problem(kind, T, batch, n)
    exact = autograd_norms(problem(kind, T, batch, n)[0].double(), x.double(), vectorize=False, sum_batch=True)

    def peer(**options):
        return Peer(lambda: lambda: autograd_norms(module, x, **options), TARGETS[kind])

    jacobian = "torch.autograd.functional.jacobian"
    return Comparison(
        name=f"{kind}: {T} steps, batch {batch}, {n} units, float32", ours=lambda: jacobian_norms(module, x),
        peers={jacobian: peer(vectorize=False, sum_batch=False),
               f"{jacobian}, batch summed": peer(vectorize=False, sum_batch=True),
               f"{jacobian}, vectorize=True": peer(vectorize=True, sum_batch=False),
               f"{jacobian}, vectorize=True, batch summed": peer(vectorize=True, sum_batch=True)},
        error=lambda answer: float(((answer - exact) / exact).abs().max()),
        measure="relative, against float64 autograd", tolerance=1e-4,
        work={"gemm float32": GEMMS[kind] * T * 2 * batch * n**3},
        note="With the batch summed and the rows vectorised, the peer multiplies the same matrices as we do, and only "
             "what lies around the products can be saved: at these sizes that is the dispatch of small operations, "
             "which is most of our time too. The peer keeps every dh_T / dh_t, we keep one.")


def comparisons(tiny: bool = False) -> list[Comparison]:
    T, batch, n = (3, 2, 4) if tiny else (64, 4, 64)
    return [compare(kind, T, batch, n) for kind in KINDS]


def growths() -> list[Growth]:
    def call(kind, T, batch, n):
        module, x = problem(kind, T, batch, n)
        return lambda: jacobian_norms(module, x)

    return [Growth("jacobian_norms, LSTM, 64 units", "steps", (32, 64, 128, 256, 512),
                   lambda T: call("LSTM", T, 4, 64), time=1),
            Growth("jacobian_norms, RNN, 4 steps", "units", (512, 768, 1024, 1536),
                   lambda n: call("RNN", 4, 1, n), time=3, memory=2)]
