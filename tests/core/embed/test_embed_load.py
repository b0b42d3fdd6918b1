"""Embedders by name."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from leo_core.errors import ConfigError
from leo_core.stages.embed.load import load_embedder


@pytest.mark.parametrize("name", ["hashed", "static", "default"])
def test_known_names(name: str) -> None:
    embedder = load_embedder(name, dimension=64)
    assert embedder.fingerprint.dimension == 64
    assert np.linalg.norm(embedder.embed(["a question"])) == pytest.approx(1)


def test_unknown_name_lists_the_names() -> None:
    with pytest.raises(ConfigError, match=r"'word2vec'.*default, hashed, static"):
        load_embedder("word2vec")


@pytest.mark.parametrize("stage", ["embed", "memory", "novelty"])
def test_configs_load_neither_numpy_nor_numba(stage: str) -> None:
    code = f"import sys, leo_core.stages.{stage}.config; print(sorted({{'numpy', 'numba'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_naming_an_embedder_does_not_load_numba() -> None:
    code = "import sys, leo_core.stages.embed.load, leo_core.stages.embed.callable; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
