"""Where an experiment runs and how large it is: two environment variables, read in one place.

``DERIVABLE_DEVICE`` is any torch device name (default ``cpu``); ``DERIVABLE_SCALE`` is ``small`` (default) or ``full``.
"""

import os

import torch


def device() -> torch.device:
    """The device of the experiments; raises ``ValueError`` where ``DERIVABLE_DEVICE`` names one that is not there."""
    name = os.environ.get("DERIVABLE_DEVICE", "cpu")
    try:
        chosen = torch.device(name)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"DERIVABLE_DEVICE must name a device of this machine, got {name!r}: {error}") from error
    return chosen


def at_scale(small, full):
    """``small`` or ``full``, as ``DERIVABLE_SCALE`` says; raises ``ValueError`` for any other scale."""
    sizes = {"small": small, "full": full}
    name = os.environ.get("DERIVABLE_SCALE", "small")
    if name not in sizes:
        raise ValueError(f"DERIVABLE_SCALE must be 'small' or 'full', got {name!r}")
    return sizes[name]
