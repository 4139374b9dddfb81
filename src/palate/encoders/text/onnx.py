"""Text encoders in ONNX Runtime: written once from PyTorch, as they are (float32) or with 8-bit weights.

The 8-bit form differs from ONNX Runtime's own dynamic quantisation in two things. What goes into a matrix product is
scaled row by row, not by the largest value of the whole batch: so a text's vector does not depend on what stands beside
it, and a token with large values does not blur the others (Yao et al., "ZeroQuant", NeurIPS 2022, token-wise). And
channels that are large in a sample of texts are divided by a factor that the weights take on (Xiao et al.,
"SmoothQuant", ICML 2023, with alpha one half).
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Vectors
from palate.machine import cores

Tokens = NDArray[np.int64]

VERSION = 1
"""Of the graphs; what changes a vector changes it."""

_OPSET = 17
_OPERATORS = "com.microsoft"  # ONNX Runtime's own
# of a weight: processors without VNNI add products in pairs of 16 bits, which 127 would overflow (255 · 127 · 2)
_WEIGHT = 64
_LEAST = 1e-30  # of a scale, so that zeros stay zeros


def export(module: Any, path: Path) -> None:
    """Write a torch module, (ids, mask) to vectors, as a float32 graph.

    Raises:
        Exception: Whatever the exporter raises at a model that it cannot follow.
    """
    torch: Any = importlib.import_module("torch")
    ids = torch.ones((2, 5), dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[0, 3:] = 0
    axes = {"ids": {0: "rows", 1: "tokens"}, "mask": {0: "rows", 1: "tokens"}, "vectors": {0: "rows"}}
    names = {"input_names": ["ids", "mask"], "output_names": ["vectors"], "dynamic_axes": axes}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of the tracer, on what the comparison with the module finds out
        torch.onnx.export(module, (ids, mask), str(path), opset_version=_OPSET, dynamo=False, **names)


def quantise(source: Path, target: Path, sample: Iterable[tuple[Tokens, Tokens]]) -> None:
    """Write a float32 graph with the weights of its matrix products in 8 bits, one scale an output.

    Args:
        sample: Batches of padded tokens and masks, to see which channels are large.
    """
    onnx: Any = importlib.import_module("onnx")
    model = onnx.load(str(source))
    weights = {constant.name: onnx.numpy_helper.to_array(constant) for constant in model.graph.initializer}
    products = [node for node in model.graph.node if _is_product(node, weights)]
    rewriter = _Rewriter(onnx, products, weights, _largest(onnx, model, products, sample))
    made = {node.output[0]: rewriter.of(node) for node in products}
    nodes = [new for node in model.graph.node for new in made.get(node.output[0], [node])]
    used = {name for node in nodes for name in node.input}
    kept = [constant for constant in model.graph.initializer if constant.name in used] + rewriter.constants
    for field, values in ((model.graph.node, nodes), (model.graph.initializer, kept)):
        del field[:]
        field.extend(values)
    model.opset_import.append(onnx.helper.make_opsetid(_OPERATORS, 1))
    onnx.save(model, str(target))


def _is_product(node: Any, weights: dict[str, Vectors]) -> bool:
    """Whether a node multiplies by a constant matrix, as a MatMul or as a Gemm of the usual form."""
    if node.op_type not in ("MatMul", "Gemm") or weights.get(node.input[1], np.zeros(0)).ndim != 2:
        return False
    usual = {"alpha": 1, "beta": 1, "transA": 0}
    return all((part.f or part.i) == usual.get(part.name, part.f or part.i) for part in node.attribute)


def _turned(node: Any) -> bool:
    """Whether the weights lie as (outputs, inputs)."""
    return any(part.name == "transB" and part.i for part in node.attribute)


def _largest(onnx: Any, model: Any, products: list[Any], sample: Iterable[tuple[Tokens, Tokens]]) -> dict[str, Vectors]:
    """The largest magnitude of each channel of what goes into the products, over the real tokens of a sample."""
    runtime: Any = importlib.import_module("onnxruntime")
    names = sorted({node.input[0] for node in products})
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    seen.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in names)
    session = runtime.InferenceSession(seen.SerializeToString(), _options(runtime), providers=["CPUExecutionProvider"])
    largest: dict[str, Vectors] = {}
    for ids, mask in sample:
        for name, values in zip(names, session.run(names, {"ids": ids, "mask": mask}), strict=True):
            rows = np.abs(values.reshape(-1, values.shape[-1]))
            rows = rows[mask.ravel() > 0] if len(rows) == mask.size else rows
            largest[name] = np.maximum(largest.get(name, np.float32(0)), rows.max(axis=0))
    return largest


class _Rewriter:
    """Matrix products with constant weights, as nodes that compute in integers."""

    def __init__(
        self, onnx: Any, products: list[Any], weights: dict[str, Vectors], largest: dict[str, Vectors]
    ) -> None:
        self._onnx, self._weights = onnx, weights
        self._factors = _factors(products, weights, largest)
        self._scaled: dict[str, tuple[str, str]] = {}  # an input that several products share is scaled once
        self.constants: list[Any] = []
        self._one = self._constant("palate_one", np.float32(1))
        self._middle = self._constant("palate_middle", np.uint8(128))
        self._step = self._constant("palate_step", np.float32(1 / 127))
        self._least = self._constant("palate_least", np.float32(_LEAST))

    def of(self, node: Any) -> list[Any]:
        """What stands in a product's place."""
        nodes, (rows, scale) = self._scale(node.input[0])
        weights, steps = self._quantise(node)
        out, bias = node.output[0], node.input[2] if len(node.input) > 2 else ""
        product, scaled = f"{out}_integer", f"{out}_scaled" if bias else out
        inputs = [rows, weights, self._one, steps, self._middle]
        nodes.append(self._node("MatMulIntegerToFloat", inputs, product, domain=_OPERATORS))
        nodes.append(self._node("Mul", [product, scale], scaled))
        return [*nodes, self._node("Add", [scaled, bias], out)] if bias else nodes

    def _scale(self, value: str) -> tuple[list[Any], tuple[str, str]]:
        """Rows as 8-bit integers around 128, by the largest of each; and what they are to be multiplied by."""
        if value in self._scaled:
            return [], self._scaled[value]
        even, size, largest, step, scale, ratio, rows = (f"{value}_{part}" for part in "easldrq")
        nodes = [
            self._node("Mul", [value, self._constant(f"{value}_f", 1 / self._factors[value])], even),
            self._node("Abs", [even], size),
            self._node("ReduceMax", [size], largest, axes=[-1], keepdims=1),
            self._node("Mul", [largest, self._step], step),
            self._node("Max", [step, self._least], scale),
            self._node("Div", [even, scale], ratio),
            self._node("QuantizeLinear", [ratio, self._one, self._middle], rows),
        ]
        self._scaled[value] = rows, scale
        return nodes, (rows, scale)

    def _quantise(self, node: Any) -> tuple[str, str]:
        """Weights (inputs, outputs) as integers up to 64, and one step an output."""
        matrix = _matrix(node, self._weights) * self._factors[node.input[0]][:, None]
        steps = np.maximum(np.abs(matrix).max(axis=0) / _WEIGHT, _LEAST).astype(np.float32)
        name = node.output[0]
        integers = np.rint(matrix / steps).astype(np.int8)
        return self._constant(f"{name}_weights", integers), self._constant(f"{name}_steps", steps)

    def _constant(self, name: str, value: Any) -> str:
        self.constants.append(self._onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return self._onnx.helper.make_node(kind, inputs, [output], **attributes)


def _matrix(node: Any, weights: dict[str, Vectors]) -> Vectors:
    """The weights of a product as (inputs, outputs)."""
    matrix = weights[node.input[1]]
    return matrix.T if _turned(node) else matrix


def _factors(products: list[Any], weights: dict[str, Vectors], largest: dict[str, Vectors]) -> dict[str, Vectors]:
    """By what each channel that goes into products is divided: powers of two, so that this rounds nothing."""
    rows: dict[str, Vectors] = {}
    for node in products:
        row = np.abs(_matrix(node, weights)).max(axis=1)
        rows[node.input[0]] = np.maximum(rows.get(node.input[0], np.float32(0)), row)
    factors = {}
    for name, row in rows.items():
        exponents = (np.log2(np.maximum(largest[name], 1e-5)) - np.log2(np.maximum(row, 1e-5))) / 2
        factors[name] = np.exp2(np.rint(exponents - exponents.mean())).astype(np.float32)
    return factors


class OnnxBackend:
    """A graph of :func:`export` or :func:`quantise`."""

    def __init__(self, path: Path) -> None:
        runtime: Any = importlib.import_module("onnxruntime")
        self._session = runtime.InferenceSession(str(path), _options(runtime), providers=["CPUExecutionProvider"])

    def __call__(self, ids: Tokens, mask: Tokens) -> Vectors:
        """Vectors of the rows, (N, E)."""
        vectors: Vectors = self._session.run(None, {"ids": ids, "mask": mask})[0]
        return vectors

    def map(self, batches: Iterable[tuple[Tokens, Tokens]]) -> Iterator[Vectors]:
        """Vectors of each batch, in their order; a batch a core at once."""
        pool = ThreadPoolExecutor(cores(), thread_name_prefix="palate-onnx")
        try:
            yield from pool.map(lambda batch: self(*batch), batches)
        finally:
            pool.shutdown(cancel_futures=True)  # interrupted, it does not run what is left


def _options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # the cores share the batches: less waiting than sharing each product
    options.log_severity_level = 3
    return options
