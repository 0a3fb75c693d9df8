"""Giving a distribution a prescribed entropy: p_t = p^t / sum p^t with t chosen so that H(p_t) = H*.

Entropies are in nats. Where logits are given, softmax(t * logits) is p_t, and a logit of ``-inf`` masks its state.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from derivable.arguments import require_floating, require_integer, require_number

TOLERANCE = {torch.float64: 1e-10, torch.float32: 5e-6}  # nats; float32 rounds H itself by about 1e-6
BLOCK_BYTES = 2**21  # rows solved together on a CPU: their temporaries stay in cache


class EntropyNormalized(NamedTuple):
    """What ``entropy_normalize`` found, row by row."""

    log_probs: Float[Tensor, "*batch states"]  # log of the distribution with the target entropy; -inf where masked
    exponent: Float[Tensor, "*batch"]  # t, the inverse temperature
    iterations: Int[Tensor, "*batch"]  # entropies evaluated until the row met the tolerance
    residual: Float[Tensor, "*batch"]  # H(t) - target in nats


class NaiveTrace(NamedTuple):
    """Every step of ``newton_iteration_naive``."""

    exponents: Float[Tensor, "steps *batch"]  # the factor gamma of each step; their product is t
    probs: Float[Tensor, "steps_and_start *batch states"]  # before the first step and after each


def _require_probabilities(name: str, value: object) -> None:
    require_floating(name, value)
    if value.dim() == 0:
        raise ValueError(f"{name} must have shape (..., states), got a scalar {value.item()}")
    if (value < 0).any():
        raise ValueError(f"{name} must not be negative, got {value.min().item()}")
    total = value.sum(-1)
    off = (total - 1).abs().max()
    if off > 1e3 * torch.finfo(value.dtype).eps:
        raise ValueError(f"{name} must sum to 1 over its last dimension, got a sum that is off by {off.item():.3g}")


def _require_logits(name: str, value: object) -> None:
    """Demand floating logits of shape (..., states): finite, or -inf for a masked state, one state open in each row."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
    if not value.is_floating_point():
        raise TypeError(f"{name} must have a floating dtype, got {value.dtype}")
    if value.dim() == 0 or value.numel() == 0:
        raise ValueError(f"{name} must have shape (..., states) and not be empty, got shape {tuple(value.shape)}")
    top = value.amax(-1)  # NaN and +inf win the maximum, -inf only where every state is masked
    if not torch.isfinite(top).all():
        bad = top[~torch.isfinite(top)][0].item()
        reason = "a row with every state masked" if bad == -math.inf else bad
        raise ValueError(f"{name} must be finite, or -inf for a masked state, got {reason}")


def _require_target(target: object, logits: Tensor) -> Tensor:
    """The target of each row, as a tensor of the logits' batch shape."""
    if isinstance(target, Tensor):
        require_floating("target", target)
    else:
        require_number("target", target)
        target = torch.tensor(target, dtype=torch.float64)
    try:
        return target.to(logits).expand(logits.shape[:-1])
    except RuntimeError as error:
        raise ValueError(f"target must broadcast to the batch shape {tuple(logits.shape[:-1])}, "
                         f"got {tuple(target.shape)}") from error


def entropy(p: Tensor, dim: int = -1) -> Tensor:
    """Shannon entropy -sum p log p in nats, with 0 log 0 = 0.

    Args:
        p: probabilities that sum to 1 over ``dim``, any shape, floating.
        dim: the dimension of the states.

    Returns:
        The entropies, shape of ``p`` without ``dim``. Differentiable where p > 0.

    Raises:
        TypeError, ValueError: for a dtype that is not floating, an empty or scalar tensor, negative or unnormalised p.

    Agrees with ``scipy.stats.entropy`` to 1e-12 in float64.
    """
    require_floating("p", p)
    if not -p.dim() <= dim < p.dim():
        raise ValueError(f"dim must be a dimension of p, which has {p.dim()}, got {dim}")
    p = p.movedim(dim, -1)
    _require_probabilities("p", p)
    return torch.special.entr(p).sum(-1)


def _bracket(centred: Tensor, target: Tensor, tol: float) -> tuple[Tensor, Tensor, Tensor]:
    """Exponents lo <= t <= hi around the root and a first guess; raises where there is no root.

    ``centred`` (rows, states) has row maxima 0. With n states, m of them at the maximum, range R and gap g below the
    maximum: psi'' <= R^2/4 gives H(t) >= log n - t^2 R^2 / 8, and bounding the states below the maximum by the nearest
    gives H(t) - log m <= (n-m)/m (1 + tg) exp(-tg) <= 2 (n-m)/m exp(-tg/2).
    """
    states, filled = centred.new_tensor(centred.shape[-1]), centred
    if centred.amin() == -math.inf:
        masked = centred == -math.inf
        states, filled = (~masked).sum(-1, dtype=centred.dtype), centred.masked_fill(masked, 0)
    lower = -filled.sign().sum(-1)  # how many states lie below the maximum
    spread = -filled.amin(-1)
    gap = -1 / centred.reciprocal().amin(-1)  # 1/0 = +inf at the maximum and 1/-inf = -0 never win
    missing, excess = states.log() - target, target - (states - lower).log()
    uniform = (lower == 0) & (missing.abs() <= tol)  # already at its only entropy: keep t = 1
    bad = ~(uniform | (missing > 0) & (excess > 0))
    if bad.any():
        least, most = (target - excess)[bad][0].item(), (target + missing)[bad][0].item()
        raise ValueError(f"target must lie strictly between log(number of tied maxima) = {least:.6g} and "
                         f"log(number of unmasked states) = {most:.6g}, got {target[bad][0].item():.6g}")
    lo = torch.where(uniform, 1, (8 * missing).sqrt() / spread)
    hi = torch.where(uniform, 1, 2 / gap * (2 * lower / ((states - lower) * excess)).log())
    guess = -2 * target * states / filled.sum(-1)  # the scale at which the mean of -log p is of the order of H*
    return lo, hi, torch.fmax(lo, torch.fmin(hi, guess))


def _solve(centred: Tensor, target: Tensor, tol: float, max_iter: int) -> tuple[Tensor, Tensor, Tensor]:
    """Newton in log t inside a shrinking bracket: t, iterations, residual. Overwrites ``centred`` by log p_t."""
    lo, hi, t = _bracket(centred, target, tol)
    exponent, log_sum, residual = torch.empty_like(t), torch.empty_like(t), torch.empty_like(t)
    iterations = torch.empty_like(t, dtype=torch.int64)
    missed = torch.full_like(t, math.inf)  # by the step before
    scores, rows = centred, torch.arange(len(t), device=t.device)  # of the rows that are still open
    for iteration in range(1, max_iter + 1):
        z = (scores * t.unsqueeze(-1)).clamp_(min=-80)  # exp(-80) = 2e-35 adds nothing; no 0 * inf, no subnormals
        weight = z.exp()
        total = weight.sum(-1)
        mean = weight.mul_(z).sum(-1) / total
        variance = weight.mul_(z).sum(-1) / total - mean**2
        error = total.log() - mean - target
        done = error.abs() <= tol
        found = rows[done]
        exponent[found], log_sum[found], residual[found] = t[done], total[done].log(), error[done]
        iterations[found] = iteration
        open_ = (~done).nonzero().squeeze(-1)
        if len(open_) == 0:
            centred.mul_(exponent.unsqueeze(-1)).sub_(log_sum.unsqueeze(-1))
            return exponent, iterations, residual
        lo, hi = torch.where(error > 0, t, lo), torch.where(error < 0, t, hi)
        newton = t * (error / variance).exp()  # dH/d(log t) = -Var(log p_t)
        # Newton's steps may jump to and fro inside the bracket for ever: bisect unless the last one came much nearer.
        trusted = (lo < newton) & (newton < hi) & (error.abs() < missed / 2)
        t, missed = torch.where(trusted, newton, lo.sqrt() * hi.sqrt()), error.abs()
        if len(open_) < len(rows):
            scores, rows, target = scores.index_select(0, open_), rows[open_], target[open_]
            t, lo, hi, missed = t[open_], lo[open_], hi[open_], missed[open_]
    raise ValueError(f"max_iter = {max_iter} was too small for tol = {tol:g}: {len(rows)} rows remain, "
                     f"off by up to {error.abs().max():.3g} nats")


class _EntropyNormalize(torch.autograd.Function):
    """The solution as a function of logits and target; the implicit function theorem gives its derivative."""

    @staticmethod
    def forward(ctx, logits, target, tol, max_iter):
        centred = logits - logits.amax(-1, keepdim=True)  # before t multiplies: near-ties need t ~ 1e6
        centred = centred.reshape(-1, logits.shape[-1])
        block = len(centred)
        if not centred.is_cuda:
            block = max(1, BLOCK_BYTES // (centred.shape[-1] * centred.element_size()))
        blocks = zip(centred.split(block), target.flatten().split(block), strict=True)
        found = zip(*(_solve(scores, goal, tol, max_iter) for scores, goal in blocks), strict=True)
        t, iterations, residual = (torch.cat(part).view(target.shape) for part in found)
        log_probs = centred.view(logits.shape)
        ctx.mark_non_differentiable(iterations, residual)
        ctx.save_for_backward(log_probs, t)
        return log_probs, t, iterations, residual

    @staticmethod
    def backward(ctx, grad_log_probs, grad_t, *_):
        log_probs, t = ctx.saved_tensors
        masked = log_probs == -math.inf
        probs, grad_log_probs = log_probs.exp(), grad_log_probs.masked_fill(masked, 0)
        z = (log_probs - log_probs.amax(-1, keepdim=True)).masked_fill(masked, 0)
        centred = z - (probs * z).sum(-1, keepdim=True)  # t (a - E_q a), exactly 0 for a uniform row
        variance = (probs * centred**2).sum(-1)
        grad_z = grad_log_probs - probs * grad_log_probs.sum(-1, keepdim=True)
        # dt/da_j = -t q_j (a_j - E_q a) / Var_q(a) and dt/dH* = -1 / (t Var_q(a)), with t^2 Var_q(a) = variance.
        # A uniform row has variance 0: every t is a root, and its t = 1 counts as constant.
        slope = torch.where(variance > 0, (t * grad_t + (grad_z * centred).sum(-1)) / variance, 0)
        grad_logits = t.unsqueeze(-1) * (grad_z - slope.unsqueeze(-1) * probs * centred)
        return grad_logits, -slope, None, None


def entropy_normalize(logits: Tensor, target: Tensor | float, *, tol: float | None = None,
                      max_iter: int = 100) -> EntropyNormalized:
    """The distribution softmax(t * logits), t > 0, that has the target entropy; every row has its own t.

    Of all q with that entropy it is the nearest to p = softmax(logits) in KL(q || p), and it keeps the order of p.
    The root is found by Newton's method in log t; a step that leaves the bracket, or follows one that did not halve the
    residual, is replaced by bisection, and finished rows leave the computation. Differentiable twice in ``logits`` and
    ``target`` by the implicit function theorem.

    Args:
        logits: shape (..., states), floating; log-probabilities will do, ``-inf`` masks a state. Half precision is
            computed in float32.
        target: the entropy in nats, a number or a tensor that broadcasts to the batch shape (...). It must lie strictly
            between log(number of tied maxima) and log(number of unmasked states) of its row. A row that is uniform on
            its unmasked states accepts the logarithm of their number (within ``tol``) and keeps t = 1.
        tol: the largest admitted |H(t) - target| in nats; by default 1e-10 in float64 and 5e-6 in float32.
        max_iter: the largest admitted number of entropy evaluations.

    Returns:
        ``EntropyNormalized``: log_probs (..., states) in the dtype of ``logits``; exponent, iterations, residual (...).

    Raises:
        TypeError: for logits or a target that are not floating.
        ValueError: for empty, NaN or +inf logits, a row without an unmasked state, a target that does not broadcast or
            cannot be reached, and when ``max_iter`` evaluations did not bring every row to ``tol``.

    Source: kexue.fm/archives/8829 for the power transform; the safeguarded iteration replaces its plain Newton step.
    Agrees with ``scipy.optimize.brentq`` on H(t) - target to 1e-9 relative in t (float64, well-conditioned rows).
    """
    _require_logits("logits", logits)
    work = logits.to(torch.promote_types(logits.dtype, torch.float32))
    target = _require_target(target, work)
    tol = TOLERANCE[work.dtype] if tol is None else tol
    require_number("tol", tol, above=0.0)
    require_integer("max_iter", max_iter, 1)
    log_probs, exponent, iterations, residual = _EntropyNormalize.apply(work, target, tol, max_iter)
    return EntropyNormalized(log_probs.to(logits.dtype), exponent, iterations, residual)


def first_order_exponent(p: Tensor, target: Tensor | float) -> Tensor:
    """One Newton step from t = 1: t = 1 + (H* - H_1) / (H_1^2 - E[(log p)^2]) = 1 - (H* - H_1) / Var(log p).

    Args:
        p: probabilities, shape (..., states), floating; zeros stay zeros.
        target: the entropy H* in nats, a number or a tensor that broadcasts to (...).

    Returns:
        The exponents, shape (...). The error is O((H* - H_1)^2); far from p the exponent may be negative.

    Raises:
        TypeError, ValueError: for what is no probability vector, a bad target, or a row that is uniform on its support.

    Source: kexue.fm/archives/8829. Agrees with the symbolic series reversal; exact where Var(log p) determines H.
    """
    _require_probabilities("p", p)
    target = _require_target(target, p)
    log_p = p.clamp(min=torch.finfo(p.dtype).tiny).log()
    relative = (log_p - log_p.amax(-1, keepdim=True)).masked_fill(p == 0, 0)
    variance = (p * (relative - (p * relative).sum(-1, keepdim=True))**2).sum(-1)
    if (variance == 0).any():
        raise ValueError("p must not be uniform on its support: no power of it has another entropy")
    return 1 - (target - torch.special.entr(p).sum(-1)) / variance


def newton_iteration_naive(p: Tensor, target: Tensor | float, steps: int) -> NaiveTrace:
    """The iteration p <- p^gamma / sum p^gamma with gamma from the first-order formula, without any safeguard.

    For teaching: it may reverse the order of the probabilities (gamma < 0) or end in NaN (underflow makes 0 log 0), and
    the trace shows it. ``entropy_normalize`` is the function to use.

    Args:
        p: probabilities, shape (..., states), floating.
        target: the entropy in nats, a number or a tensor that broadcasts to (...).
        steps: how often to replace p, at least 1.

    Returns:
        ``NaiveTrace``: exponents (steps, ...) and probs (steps + 1, ..., states).

    Raises:
        TypeError, ValueError: for what is no probability vector, a bad target or steps < 1.

    Source: kexue.fm/archives/8829.
    """
    _require_probabilities("p", p)
    target = _require_target(target, p)
    require_integer("steps", steps, 1)
    exponents, probs = [], [p]
    for _ in range(steps):
        p = probs[-1]
        log_p = p.log()
        now = -(p * log_p).sum(-1)
        gamma = 1 + (target - now) / (now**2 - (p * log_p**2).sum(-1))
        power = p ** gamma.unsqueeze(-1)
        exponents.append(gamma)
        probs.append(power / power.sum(-1, keepdim=True))
    return NaiveTrace(torch.stack(exponents), torch.stack(probs))


def sphere_attention_entropy(scale: Tensor, d: int) -> Tensor:
    """h_d(scale): annealed attention entropy minus log n, for keys uniform on the sphere of radius sqrt(d).

    The scores are scale * q.k with |q| = |k| = sqrt(d). With x = scale * d and nu = d/2 - 1, h is
    log Gamma(nu+1) + nu log(2/x) + log I_nu(x) - x I_{nu+1}(x) / I_nu(x). The power series of I_nu has positive terms
    w_k = (x^2/4)^k / (k! (nu+1)_k), and h = log(sum w) - 2 E_w[k].

    Args:
        scale: any shape, floating, not negative. Computed in float64.
        d: the dimension, at least 1.

    Returns:
        h in nats, the shape and dtype of ``scale``. Differentiable for scale > 0.

    Raises:
        TypeError, ValueError: for a scale that is not floating, not finite or negative, or d < 1.

    Source: kexue.fm/archives/7695, 8823. Agrees with mpmath's Bessel functions to 1e-10 for d <= 512 and scale <= 2.
    """
    require_floating("scale", scale)
    if (scale < 0).any():
        raise ValueError(f"scale must not be negative, got {scale.min().item()}")
    require_integer("d", d, 1)
    half = scale.double().unsqueeze(-1) * d / 2
    x = 2 * float(half.detach().max())
    peak = ((d / 2 - 1)**2 + x**2)**0.5 / 2 - (d / 2 - 1) / 2  # w_k is largest here and falls off like a Gaussian
    k = torch.arange(int(peak + 12 * peak**0.5) + 60, dtype=torch.float64, device=scale.device)
    log_w = torch.special.xlogy(2 * k, half) - torch.lgamma(k + 1) - torch.lgamma(k + d / 2) + math.lgamma(d / 2)
    h = log_w.logsumexp(-1) - 2 * (log_w.softmax(-1) * k).sum(-1)
    return h.to(scale.dtype)


def entropy_invariant_scale(n: Tensor, d: int, target: float) -> Tensor:
    """The scale at which keys uniform on the sphere give attention entropy ``target``, to leading order in d.

    sqrt(1 - S) / S with S = exp(-2 (log n - target) / d); about sqrt(2 (log n - target) / d) while log n << d.

    Args:
        n: the number of keys, any shape, floating, with log n >= target.
        d: the dimension, at least 1.
        target: the entropy in nats, at least 0.

    Returns:
        The scale of q.k for |q| = |k| = sqrt(d), the shape of ``n``.

    Raises:
        TypeError, ValueError: for an n that is not floating, bad numbers, or log n < target.

    Source: the Laplace limit h_d / d -> log sin(theta), cos(theta) = scale sin^2(theta). The annealed entropy at this
    scale is within 1 nat of ``target`` for d = 64 and n <= 10^4.
    """
    require_floating("n", n)
    require_integer("d", d, 1)
    require_number("target", target, at_least=0.0)
    if (n < 1).any() or (n.log() < target).any():
        raise ValueError(f"n must be at least 1 and log n at least target = {target:g}, got n = {n.min().item():g}")
    rate = 2 * (n.log() - target) / d
    return (-torch.expm1(-rate)).sqrt() * rate.exp()


class MaxRetrieval(nn.Module):
    """One-head attention with a learned query that must report the class of the token with the largest priority.

    A token is (priority, one-hot class). ``replicates`` independent models stand side by side in the first dimension,
    so that several runs train in one loop.
    """

    def __init__(self, replicates: int, classes: int = 10, width: int = 32, *,
                 generator: torch.Generator | None = None, device: torch.device | str = "cpu",
                 dtype: torch.dtype = torch.float64):
        super().__init__()
        for name, value, least in (("replicates", replicates, 1), ("classes", classes, 2), ("width", width, 1)):
            require_integer(name, value, least)
        self.classes = classes

        def weight(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(replicates, rows, columns, generator=generator, device=device,
                                            dtype=dtype) / rows**0.5)

        self.embed = weight(1 + classes, width)
        self.key, self.query = weight(width, width), weight(width, 1)
        self.value, self.readout = weight(width, width), weight(width, classes)

    def sample(self, n: int, batch: int, generator: torch.Generator | None = None
               ) -> tuple[Float[Tensor, "replicates batch n features"], Int[Tensor, "replicates batch"]]:
        """Random sequences of n tokens and their answers, different ones for every replicate."""
        shape = (len(self.query), batch, n)
        priority = torch.rand(shape, generator=generator, device=self.query.device, dtype=self.query.dtype)
        label = torch.randint(self.classes, shape, generator=generator, device=self.query.device)
        answer = label.gather(-1, priority.argmax(-1, keepdim=True)).squeeze(-1)
        one_hot = nn.functional.one_hot(label, self.classes).to(priority)
        return torch.cat([priority.unsqueeze(-1), one_hot], -1), answer

    def scores(self, tokens: Float[Tensor, "replicates batch n features"]) -> Float[Tensor, "replicates batch n"]:
        direction = self.embed @ self.key @ self.query  # carried to the tokens: cheaper than a key for each token
        return (tokens @ direction.unsqueeze(1)).squeeze(-1)

    def forward(self, tokens: Float[Tensor, "replicates batch n features"],
                attend: Callable[[Tensor], Tensor]) -> Float[Tensor, "replicates batch classes"]:
        """Class logits; ``attend`` turns scores (replicates, batch, n) into weights of the same shape."""
        weights = attend(self.scores(tokens))
        return (weights.unsqueeze(-2) @ tokens).squeeze(-2) @ self.embed @ self.value @ self.readout


def train_max_retrieval(model: MaxRetrieval, n: int, *, steps: int, batch: int, learning_rate: float = 0.01,
                        generator: torch.Generator | None = None) -> Float[Tensor, "steps replicates"]:
    """Train every replicate with plain softmax attention and Adam on fresh sequences of length n; returns the losses.

    ``generator`` lives on the model's device. Adam acts on each weight alone, so the replicates do not interact.
    """
    for name, value in (("n", n), ("steps", steps), ("batch", batch)):
        require_integer(name, value, 1)
    require_number("learning_rate", learning_rate, above=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        tokens, answer = model.sample(n, batch, generator)
        logits = model(tokens, lambda scores: scores.softmax(-1))
        loss = nn.functional.cross_entropy(logits.movedim(-1, 1), answer, reduction="none").mean(-1)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


@torch.no_grad()
def evaluate_max_retrieval(model: MaxRetrieval, n: int, attend: Callable[[Tensor], Tensor], *, batch: int,
                           generator: torch.Generator | None = None
                           ) -> tuple[Float[Tensor, " replicates"], Float[Tensor, " replicates"]]:
    """Accuracy and mean attention entropy (nats) of each replicate on ``batch`` sequences of length n."""
    for name, value in (("n", n), ("batch", batch)):
        require_integer(name, value, 1)
    tokens, answer = model.sample(n, batch, generator)
    correct = model(tokens, attend).argmax(-1) == answer
    return correct.to(tokens).mean(-1), torch.special.entr(attend(model.scores(tokens))).sum(-1).mean(-1)
