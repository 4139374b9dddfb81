"""EfficientNet-Lite0 and musicnn once more, in torch: what the encoders are measured and checked against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def efficientnet_lite0(weights: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Pixels (N, 224, 224, 3) uint8 to features (N, 1280), as torch tensors."""
    import torch
    import torch.nn.functional as f

    w = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}

    def conv(x: Any, name: str, norm: str, stride: int = 1) -> Any:
        kernel = w[f"{name}.weight"]
        total = max((-(-x.shape[2] // stride) - 1) * stride + kernel.shape[2] - x.shape[2], 0)
        x = f.pad(x, (total // 2, total - total // 2) * 2)
        x = f.conv2d(x, kernel, stride=stride, groups=kernel.shape[0] if kernel.shape[1] == 1 else 1)
        parts = (w[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return f.batch_norm(x, *parts, eps=1e-3)

    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]

    @torch.inference_mode()
    def run(pixels: Any) -> Any:
        x = f.relu6(conv((pixels.float().permute(0, 3, 1, 2) - 127) / 128, "_conv_stem", "_bn0", 2))
        for number, stride in enumerate(strides):
            name, before = f"_blocks.{number}", x
            if number:
                x = f.relu6(conv(x, f"{name}._expand_conv", f"{name}._bn0"))
            x = f.relu6(conv(x, f"{name}._depthwise_conv", f"{name}._bn1", stride))
            x = conv(x, f"{name}._project_conv", f"{name}._bn2")
            x = x + before if x.shape == before.shape else x
        return f.relu6(conv(x, "_conv_head", "_bn1")).mean((2, 3))

    return run


def musicnn(weights: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Log-mel patches (n, 187, 96) to features (n, 200), as torch tensors; convolutions as the paper draws them."""
    import torch
    import torch.nn.functional as f

    w = {name: torch.from_numpy(np.array(value)) for name, value in weights.items() if "Adam" not in name}

    def number(name: str, n: int) -> str:
        return f"{name}_{n}" if n else name

    def norm(x: Any, n: int) -> Any:
        parts = (
            w[f"{number('batch_normalization', n)}/{p}"] for p in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return f.batch_norm(x, *parts, eps=1e-3)

    def conv(x: Any, n: int) -> Any:
        kernel = w[f"{number('conv2d', n)}/kernel"].permute(3, 2, 0, 1)
        before = (kernel.shape[2] - 1) // 2
        x = f.pad(x, (0, 0, before, kernel.shape[2] - 1 - before))
        return norm(f.relu(f.conv2d(x, kernel, w[f"{number('conv2d', n)}/bias"])), n + 1)

    @torch.inference_mode()
    def run(patches: Any) -> Any:
        x = norm(patches[:, None], 0)
        front = torch.cat([conv(x, n).amax(3) for n in range(5)], 1)  # (n, 561, 187)
        one = conv(front.transpose(1, 2)[:, None], 5)[:, :, :, 0]
        two = one + conv(one.transpose(1, 2)[:, None], 6)[:, :, :, 0]
        three = two + conv(two.transpose(1, 2)[:, None], 7)[:, :, :, 0]
        states = torch.cat([front, one, two, three], 1)
        pooled = norm(torch.stack([states.amax(2), states.mean(2)], 2).flatten(1), 9)
        return norm(f.relu(pooled @ w["dense/kernel"] + w["dense/bias"]), 10)

    return run
