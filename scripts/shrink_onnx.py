"""Keep the weights of an ONNX model in fewer bits; onnxruntime folds them back to float32 when it loads the model.

Only ordinary operators are used (Cast, Mul, Add on constants), so the running network is a plain float32 one: no
quantised kernels, the same speed, the same answer on every CPU.

    16 bits   one scale per output channel, int16 (float16 keeps 11 bits of the large weights, this keeps 16)
    12 bits   one scale per output channel; the upper 8 bits as int8, the lower 4 as uint4 (two to a byte)
     8 bits   one scale per output channel, int8
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

OPSET_WITH_UINT4 = 21


def in_fewer_bits(model: onnx.ModelProto, bits: Mapping[str, int]) -> onnx.ModelProto:
    """Return the model with each named weight kept in 8, 12 or 16 bits; other tensors stay as they are."""
    graph = model.graph
    tensors, nodes = list(graph.initializer), list(graph.node)
    del graph.initializer[:], graph.node[:]
    for tensor in tensors:
        if tensor.name not in bits:
            graph.initializer.append(tensor)
            continue
        stored, unpack = _store(tensor.name, numpy_helper.to_array(tensor), bits[tensor.name])
        graph.initializer.extend(stored)
        graph.node.extend(unpack)
    graph.node.extend(nodes)
    if 12 in bits.values():
        graph.initializer.append(numpy_helper.from_array(np.float32(16), "sixteen"))
        model.opset_import[0].version = OPSET_WITH_UINT4
        model.ir_version = max(model.ir_version, 10)
    return model


def _store(name: str, weights: npt.NDArray[np.float32], bits: int) -> tuple[list[TensorProto], list[NodeProto]]:
    levels, scale = _quantise(weights, bits)
    scales = numpy_helper.from_array(scale, f"{name}.scale")
    scaled = helper.make_node("Mul", [f"{name}.levels", scales.name], [name])
    if bits in (8, 16):
        stored = numpy_helper.from_array(levels.astype(np.int8 if bits == 8 else np.int16), f"{name}.int{bits}")
        return [stored, scales], [_to_float(stored.name, f"{name}.levels"), scaled]
    upper = numpy_helper.from_array((levels >> 4).astype(np.int8), f"{name}.upper")
    lower = helper.make_tensor(f"{name}.lower", TensorProto.UINT4, weights.shape, _nibbles(levels & 15), raw=True)
    return [upper, lower, scales], [
        _to_float(upper.name, f"{name}.upper_float"),
        helper.make_node("Mul", [f"{name}.upper_float", "sixteen"], [f"{name}.upper_levels"]),
        _to_float(lower.name, f"{name}.lower_levels"),
        helper.make_node("Add", [f"{name}.upper_levels", f"{name}.lower_levels"], [f"{name}.levels"]),
        scaled,
    ]


def _quantise(weights: npt.NDArray[np.float32], bits: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return whole numbers in [-2^(bits-1)+1, 2^(bits-1)-1] and one scale per output channel (the first axis)."""
    largest = np.abs(weights.reshape(len(weights), -1)).max(axis=1)
    scale = np.where(largest > 0, largest / (2 ** (bits - 1) - 1), 1).astype(np.float32)
    scale = scale.reshape((-1,) + (1,) * (weights.ndim - 1))
    return np.rint(weights / scale).astype(np.int32), scale


def _nibbles(values: npt.NDArray[np.int32]) -> bytes:
    """Two values of 4 bits to a byte, the first in the lower half."""
    flat = values.reshape(-1).astype(np.uint8)
    flat = np.append(flat, np.zeros(len(flat) % 2, np.uint8))
    return bytes(flat[0::2] | (flat[1::2] << 4))


def _to_float(source: str, target: str) -> NodeProto:
    return helper.make_node("Cast", [source], [target], to=TensorProto.FLOAT)
