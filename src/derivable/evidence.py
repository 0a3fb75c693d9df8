"""Claims whose evidence is a measurement: a Monte-Carlo interval, or agreement with an independent implementation.

They live beside ``derivable.claims`` and look like its claims, but may use torch. The verdict is computed here as there.
"""

import math

import sympy
from sympy import Expr
from torch import Tensor

from derivable.arguments import require_floating, require_number
from derivable.claims import Claim, Domain, Refuted
from derivable.claims.derivation import Step, check_id, failure_text
from derivable.claims.judge import Judgement, check_side

LARGEST_Z = 4.5  # two-sided false alarm 7e-6 for one claim


def estimate(
    id: str,
    title: str,
    domain: Domain,
    left: Expr,
    right: Expr,
    *,
    at: dict[str, float],
    samples: Tensor,
    seed: int,
    because: str,
    headline: bool = False,
    latex: str | None = None,
) -> Claim:
    """Check an expectation by simulation: the mean of ``samples`` must lie within 4.5 standard errors of ``right``.

    Args:
        left: what is estimated, an expression over ``domain``; it is shown, the samples stand for it.
        right: its predicted value, an expression over ``domain``.
        at: the values of the domain's variables in this simulation.
        samples: independent draws, shape (count,), whose expectation is ``left``.
        seed: of the generator that drew them; recorded.
        because: how they were drawn.

    Raises:
        Refuted: the interval does not cover the prediction.
        TypeError, ValueError: samples that are not a finite floating vector of at least 100 draws, or a variable without a value.
    """
    check_id(id)
    require_floating("samples", samples)
    if samples.dim() != 1 or samples.numel() < 100:
        raise ValueError(f"samples must be a vector of at least 100 draws, got shape {tuple(samples.shape)}")
    left, right = check_side("left", left, domain), check_side("right", right, domain)
    values = {domain[name]: sympy.nsimplify(value) for name, value in at.items()}
    missing = sorted(str(symbol) for symbol in right.free_symbols - set(values))
    if missing:
        raise ValueError(f"at must give a value to {', '.join(missing)}, got {at}")
    predicted = float(right.subs(values))
    draws = samples.detach().double()
    mean = draws.mean().item()
    error = (draws.std() / math.sqrt(draws.numel())).item()
    gap = abs(mean - predicted)
    z = gap / error if error > 0 else (0.0 if gap == 0 else math.inf)
    places = ", ".join(f"{name} = {value:g}" for name, value in at.items())
    counterexample = None
    if z <= LARGEST_Z:
        verdict = "estimated"
        evidence = (
            f"{places}: {draws.numel()} draws, seed {seed}, mean {_rounded(mean, error)} ± {error:.1g}, predicted {predicted:.4g}, "
            f"|z| ≤ {LARGEST_Z}"
        )
    else:
        verdict, evidence = "refuted", f"{draws.numel()} draws, seed {seed}: |z| = {z:.1f} > {LARGEST_Z}"
        counterexample = {
            "at": {name: f"{value:g}" for name, value in at.items()},
            "left": f"{mean:.6g} ± {error:.1g}",
            "right": f"{predicted:.6g}",
        }
    measured = {
        "at": at,
        "mean": float(f"{mean:.4g}"),
        "error": float(f"{error:.2g}"),
        "count": draws.numel(),
        "seed": seed,
    }
    return _measured(
        id,
        title,
        domain,
        left,
        "=",
        right,
        because,
        Judgement(verdict, evidence, counterexample),
        headline,
        latex,
        measured,
    )


def match(
    id: str,
    title: str,
    domain: Domain,
    left: Expr,
    right: Expr,
    *,
    ours: Tensor,
    reference: Tensor,
    name: str,
    tolerance: float,
    because: str,
    headline: bool = False,
    latex: str | None = None,
) -> Claim:
    """Check an implementation against an independent one: the largest relative difference must be at most ``tolerance``.

    Args:
        left, right: the formula that is implemented, as expressions over ``domain``; they are shown.
        ours, reference: values of both implementations on the same inputs, of one shape.
        name: of the reference implementation, such as ``"scipy.stats.beta"``.
        tolerance: relative to the largest magnitude of the reference at each point (at least 1e-300).

    Raises:
        Refuted: a value differs by more than the tolerance.
        TypeError, ValueError: tensors of different shapes, not floating, or not finite.
    """
    check_id(id)
    require_number("tolerance", tolerance, above=0, at_most=0.1)
    require_floating("ours", ours)
    require_floating("reference", reference)
    if ours.shape != reference.shape:
        raise ValueError(
            f"ours and reference must have one shape, got {tuple(ours.shape)} and {tuple(reference.shape)}"
        )
    ours, reference = ours.detach().double().flatten(), reference.detach().double().flatten()
    relative = (ours - reference).abs() / reference.abs().clamp_min(1e-300)
    worst = int(relative.argmax())
    if relative[worst] <= tolerance:
        judgement = Judgement("matched", f"{ours.numel()} values agree with {name} to a relative {tolerance:g}")
    else:
        judgement = Judgement(
            "refuted",
            f"differs from {name} by a relative {relative[worst].item():.2g}, more than {tolerance:g}",
            {
                "at": {"index": str(worst)},
                "left": f"{ours[worst].item():.12g}",
                "right": f"{reference[worst].item():.12g}",
            },
        )
    return _measured(
        id,
        title,
        domain,
        check_side("left", left, domain),
        "=",
        check_side("right", right, domain),
        because,
        judgement,
        headline,
        latex,
        {"reference": name, "tolerance": tolerance},
    )


def _measured(id, title, domain, left, relation, right, because, judgement, headline, latex, measured) -> Claim:
    step = Step(relation, right, because, judgement=judgement)
    claim = Claim(id, title, domain, left, [step], headline=headline, latex=latex, kind="measured", measured=measured)
    if judgement.verdict == "refuted":
        raise Refuted(failure_text(claim, 1), claim)
    return claim


def _rounded(mean: float, error: float) -> str:
    """The mean to the last digit that its error leaves meaningful, so that the text repeats on other machines."""
    digits = max(0, 1 - math.floor(math.log10(error))) if error > 0 else 6
    return f"{mean:.{min(digits, 12)}f}"
