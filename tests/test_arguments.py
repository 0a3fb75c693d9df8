import re
from fractions import Fraction

import pytest
import torch

from derivable.arguments import require_floating, require_integer, require_number, require_shape


@pytest.mark.parametrize(
    ("check", "error", "message"),
    [
        (lambda: require_integer("n", 2.0, 1), TypeError, "n must be an integer, got 2.0 of type float"),
        (lambda: require_integer("n", True, 1), TypeError, "n must be an integer, got True of type bool"),
        (lambda: require_integer("n", 0, 1), ValueError, "n must be at least 1, got 0"),
        (lambda: require_number("t", "1"), TypeError, "t must be a real number, got '1' of type str"),
        (lambda: require_number("t", 1j), TypeError, "t must be a real number"),
        (lambda: require_number("t", float("nan")), ValueError, "t must be finite, got nan"),
        (lambda: require_number("t", float("inf"), above=0), ValueError, "t must be greater than 0, got inf"),
        (lambda: require_number("t", 0, above=0), ValueError, "t must be greater than 0, got 0"),
        (lambda: require_number("t", 2, at_least=0, below=2), ValueError, "t must be at least 0 and less than 2, got 2"),
        (lambda: require_number("t", 1.5, at_most=1), ValueError, "t must be at most 1, got 1.5"),
        (lambda: require_floating("x", [1.0]), TypeError, "x must be a torch.Tensor, got list"),
        (lambda: require_floating("x", torch.ones(2, dtype=torch.int64)), TypeError, "x must have a floating dtype"),
        (lambda: require_floating("x", torch.ones(0, 3)), ValueError, "x must not be empty, got shape (0, 3)"),
        (lambda: require_floating("x", torch.tensor([1.0, torch.nan])), ValueError, "must be finite, got nan at index (1,)"),
        (lambda: require_shape("x", torch.ones(2, 3), 2, 4), ValueError, "x must have shape (2, 4), got (2, 3)"),
        (lambda: require_shape("x", torch.ones(2, 3), None), ValueError, "x must have shape (any), got (2, 3)"),
    ],
)
def test_a_bad_argument_is_an_error_with_its_name_its_value_and_what_was_expected(check, error, message):
    with pytest.raises(error, match=re.escape(message)):
        check()


@pytest.mark.parametrize(
    ("require", "arguments", "bounds"),
    [
        (require_integer, ("n", 1, 1), {}),
        (require_number, ("t", 1), {"above": 0, "at_most": 1}),
        (require_number, ("t", Fraction(1, 2)), {"at_least": Fraction(1, 2), "below": 1.0}),
        (require_floating, ("x", torch.ones(2, 3, dtype=torch.float16)), {}),
        (require_shape, ("x", torch.ones(2, 3), 2, None), {}),
    ],
)
def test_good_arguments_pass_and_bounds_may_be_integers_or_fractions(require, arguments, bounds):
    assert require(*arguments, **bounds) is None
