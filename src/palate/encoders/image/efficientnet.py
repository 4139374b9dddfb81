"""EfficientNet-Lite0 as an ONNX graph, from the published weights.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; Lite leaves out
squeeze-and-excitation and has ReLU6 throughout. The graph takes pixels and gives the features before the classifier.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.arrays import Vectors

SIDE = 224
"""Pixels of the square that the network sees."""

DIM = 1280

_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""Blocks of each stage, and the stride of its first."""

_EPSILON = 1e-3  # of batch normalisation
_OPSET = 17


def graph(weights: Mapping[str, Vectors]) -> bytes:
    """The network as an ONNX file: ``pixels`` (N, 224, 224, 3) uint8 to ``features`` (N, 1280) float32.

    Args:
        weights: Of the published PyTorch file, by name.
    """
    onnx: Any = importlib.import_module("onnx")
    net = _Graph(onnx.helper, onnx.numpy_helper, weights)
    value = net.scaled("pixels")
    value = net.conv(value, "_conv_stem", "_bn0", SIDE, stride=2)
    size, block = SIDE // 2, 0
    for blocks, stride in _STAGES:
        for first in [True] + [False] * (blocks - 1):
            step = stride if first else 1
            value = net.block(value, f"_blocks.{block}", size, step, residual=not first)
            size, block = size // step, block + 1
    value = net.conv(value, "_conv_head", "_bn1", size)
    value = net.node("Flatten", [net.node("GlobalAveragePool", [value])], axis=1)
    return net.file(value)


class _Graph:
    """Nodes and constants of a graph being written."""

    def __init__(self, helper: Any, numpy_helper: Any, weights: Mapping[str, Vectors]) -> None:
        self._helper, self._numpy_helper, self._weights = helper, numpy_helper, weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        output = f"value{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, values: Any) -> str:
        name = f"constant{len(self._constants)}"
        array = np.ascontiguousarray(values, dtype=np.float32)
        self._constants.append(self._numpy_helper.from_array(array, name))
        return name

    def scaled(self, pixels: str) -> str:
        """(x - 127) / 128, channels first."""
        value = self.node("Cast", [pixels], to=self._helper.np_dtype_to_tensor_dtype(np.dtype(np.float32)))
        value = self.node("Sub", [value, self.constant(127)])
        value = self.node("Div", [value, self.constant(128)])
        return self.node("Transpose", [value], perm=[0, 3, 1, 2])

    def conv(self, value: str, name: str, norm: str, size: int, *, stride: int = 1, active: bool = True) -> str:
        """A convolution with its batch normalisation folded in, and ReLU6.

        Of uneven padding TensorFlow, where the weights were learnt, puts the larger half after.
        """
        kernel, of = self._weights[f"{name}.weight"], self._weights
        scale = of[f"{norm}.weight"] / np.sqrt(of[f"{norm}.running_var"] + _EPSILON)
        bias = of[f"{norm}.bias"] - of[f"{norm}.running_mean"] * scale
        width = kernel.shape[2]
        total = max((-(-size // stride) - 1) * stride + width - size, 0)
        value = self.node(
            "Conv",
            [value, self.constant(kernel * scale[:, None, None, None]), self.constant(bias)],
            group=len(kernel) if kernel.shape[1] == 1 else 1,
            strides=[stride, stride],
            pads=[total // 2] * 2 + [total - total // 2] * 2,
        )
        return self.node("Clip", [value, self.constant(0), self.constant(6)]) if active else value

    def block(self, value: str, name: str, size: int, stride: int, *, residual: bool) -> str:
        """Expand, filter each channel, project; where shapes stay, what came in is added."""
        inner = value
        if f"{name}._expand_conv.weight" in self._weights:
            inner = self.conv(inner, f"{name}._expand_conv", f"{name}._bn0", size)
        inner = self.conv(inner, f"{name}._depthwise_conv", f"{name}._bn1", size, stride=stride)
        inner = self.conv(inner, f"{name}._project_conv", f"{name}._bn2", size // stride, active=False)
        return self.node("Add", [inner, value]) if residual else inner

    def file(self, output: str) -> bytes:
        """The whole as bytes."""
        helper = self._helper
        kinds = {np.uint8: ["N", SIDE, SIDE, 3], np.float32: ["N", DIM]}
        ends = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
            for name, (kind, shape) in zip(("pixels", output), kinds.items(), strict=True)
        ]
        made = helper.make_graph(self._nodes, "efficientnet-lite0", ends[:1], ends[1:], self._constants)
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(made, opset_imports=opset, producer_name="palate", ir_version=8)
        data: bytes = model.SerializeToString()
        return data
