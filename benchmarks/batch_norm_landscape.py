"""The top eigenvalue of a network's Hessian, beside PyHessian and curvlinops, also with train-mode batch norm."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.harness import Comparison, Growth, Peer
from derivable.devices import device
from derivable.training.batch_norm_landscape import hessian_top_eig

TITLE = "What batch normalisation does to curvature"


def problem(inputs: int, width: int, batch: int) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(),
                          nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 10)).to(device())
    x, y = torch.randn(batch, inputs, device=device()), torch.randint(10, (batch,), device=device())
    for _ in range(200):
        model(x)  # the running averages settle
    return model, x, y


def reference(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The eigenvalue of largest modulus in float64, by ARPACK on second derivatives from autograd."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    params = list(model.parameters())
    gradients = torch.autograd.grad(cross_entropy(model(x), y), params, create_graph=True)
    count = sum(param.numel() for param in params)

    def product(v):
        parts = torch.split(torch.as_tensor(v.ravel(), device=x.device), [param.numel() for param in params])
        parts = [part.view_as(param) for part, param in zip(parts, params, strict=True)]
        products = torch.autograd.grad(gradients, params, parts, retain_graph=True)
        return torch.cat([part.reshape(-1) for part in products]).cpu().numpy()

    return float(eigsh(LinearOperator((count, count), product, dtype="float64"), k=1, return_eigenvectors=False)[0])


def top_eigenvalue(mode: str, inputs: int, width: int, batch: int) -> Comparison:
    model, x, y = problem(inputs, width, batch)
    exact_model = problem(inputs, width, batch)[0].double().train(mode == "train")
    truth = reference(exact_model, x.double(), y)
    params = list(model.parameters())

    def ours():
        model.train(mode == "train")
        return hessian_top_eig(lambda: cross_entropy(model(x), y), params)

    def make_pyhessian(tolerance):
        def make():
            from pyhessian import hessian

            def call():
                model.train(mode == "train")
                found = hessian(model, nn.CrossEntropyLoss(), data=(x, y), cuda=x.is_cuda)
                value = found.eigenvalues(maxIter=1000, tol=tolerance)[0][0]
                model.zero_grad()  # its graph would stay alive
                return value

            return call

        return make

    def make_curvlinops():
        from curvlinops import HessianLinearOperator
        from scipy.sparse.linalg import eigsh

        def call():
            model.train(mode == "train")
            operator = HessianLinearOperator(model, nn.CrossEntropyLoss(), params, [(x, y)], check_deterministic=False)
            return eigsh(operator.to_scipy(), k=1, tol=1e-2, return_eigenvectors=False)[0]

        return call

    def error(answer) -> float:
        return abs(getattr(answer, "value", answer) / truth - 1)

    count = sum(param.numel() for param in params)
    iterations = ours().iterations
    return Comparison(
        name=f"top eigenvalue, batch norm in {mode} mode, {count} parameters, batch {batch}, float32", ours=ours,
        peers={"PyHessian, tol=1e-3 (its default)": Peer(make_pyhessian(1e-3), target=2),
               "PyHessian, tol=1e-5": Peer(make_pyhessian(1e-5), target=2),
               "curvlinops with scipy's eigsh": Peer(make_curvlinops, target=2)},
        error=error, measure="relative, against ARPACK in float64", tolerance=1e-3,
        work={"gemm float32": iterations * 8 * batch * count},  # four products of the batch with each weight
        note="PyHessian's power iteration stops when two steps look alike, so its time and its error depend on the "
             "random start.")


def comparisons(tiny: bool = False) -> list[Comparison]:
    sizes = (4, 8, 16) if tiny else (64, 128, 512)
    return [top_eigenvalue("eval", *sizes), top_eigenvalue("train", *sizes)]


def growths() -> list[Growth]:
    def call(width):
        model, x, y = problem(64, width, 256)
        params = list(model.parameters())
        return lambda: hessian_top_eig(lambda: cross_entropy(model(x), y), params, tolerance=1e-6, max_iterations=8)

    return [Growth("hessian_top_eig, 8 iterations", "width", (256, 512, 1024, 1536), call, time=2, memory=2)]
