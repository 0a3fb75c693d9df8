import math

import pytest
import torch

from derivable.arguments import require_floating


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_finite_entries_may_add_up_to_infinity(dtype):
    require_floating("x", torch.full((3, 1000), torch.finfo(dtype).max, dtype=dtype))


@pytest.mark.parametrize("entries", [[0, math.nan], [0, math.inf], [0, -math.inf, math.inf]])
def test_the_first_entry_that_is_not_finite_is_named(entries):
    with pytest.raises(ValueError, match=rf"x must be finite, got {entries[1]} at index \(1,\)"):
        require_floating("x", torch.tensor(entries))
