"""Every kernel test runs twice: on the machine code, and on the Python function that it was compiled from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from leo_core.kernels import coherence, dawid_skene, geometric_median, hashing, kmeans, pcs, sketch
from leo_core.kernels.warm import compile_all

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = (coherence, dawid_skene, geometric_median, hashing, kmeans, pcs, sketch)


@pytest.fixture(autouse=True, scope="module", params=["compiled", "python"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    """Name of the mode; in ``"python"`` no kernel of these modules is compiled."""
    if request.param == "compiled":
        compile_all()
        yield request.param
        return
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        for module in MODULES:
            for name, value in list(vars(module).items()):
                if hasattr(value, "py_func"):
                    patch.setattr(module, name, value.py_func)
        yield request.param
