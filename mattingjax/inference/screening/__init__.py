"""Exported networks of unknown origin, looked at before a runtime sees them.

A network file is a program: TensorFlow writes files if a frozen graph asks for it, ONNX Runtime
loops for ever, and all of them allocate whatever a graph declares. Here each kind of file is read
without being run, what a matting network has no use for is refused, and what it would allocate and
compute is added up.
"""

from __future__ import annotations

from mattingjax.inference.screening.file_checks import check_file_size
from mattingjax.inference.screening.frozen_graph import check_frozen_graph, node_of
from mattingjax.inference.screening.guard import MAX_PIXELS, Guard, InputGuard, PixelGuard
from mattingjax.inference.screening.ir import check_ir
from mattingjax.inference.screening.lite_model import list_lite_steps, read_lite_model
from mattingjax.inference.screening.memory import MAX_MEMORY, Step, limited_memory
from mattingjax.inference.screening.onnx_model import list_onnx_steps, onnx_inputs, read_onnx
from mattingjax.inference.screening.steps import (
    list_openvino_steps,
    list_tensorflow_steps,
    openvino_source,
)

__all__ = [
    'MAX_MEMORY',
    'MAX_PIXELS',
    'Guard',
    'InputGuard',
    'PixelGuard',
    'Step',
    'check_file_size',
    'check_frozen_graph',
    'check_ir',
    'limited_memory',
    'list_lite_steps',
    'list_onnx_steps',
    'list_openvino_steps',
    'list_tensorflow_steps',
    'node_of',
    'onnx_inputs',
    'openvino_source',
    'read_lite_model',
    'read_onnx',
]
