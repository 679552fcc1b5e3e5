"""Sessions of OpenVINO."""

from __future__ import annotations

import functools
import logging
import queue
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.errors import MattingError
from mattingjax.inference import screening
from mattingjax.inference.sessions.session import (
    METADATA_KEY,
    SessionOptions,
    Shape,
    as_artefact_error,
    check_device,
    check_ends,
    guard_onnx,
    loading,
)
from mattingjax.process.files import make_folder
from mattingjax.process.packages import import_openvino

_LOG = logging.getLogger(__name__)
# A form of one size saves a fifth of a run and takes as long to compile as ten runs.
_RECURRING = 48  # inputs of one size in a session, from which on it gets a form of its own
_MOST_FORMS = 4  # at once; the one that was used longest ago goes first
_MOST_COUNTED = 1024  # sizes
_CAPABILITIES = {'f32': 'FP32', 'bf16': 'BF16', 'f16': 'FP16'}
PRECISIONS = tuple(_CAPABILITIES)  # those that `SessionOptions.precision` knows


class OpenVinoSession:
    """Runs OpenVINO IR, ONNX or a frozen TensorFlow graph with OpenVINO.

    A network that takes any size is compiled once more for sizes that come again and again, which
    runs faster; until that is done, in another thread, the form of any size goes on.

    Args:
      source: The `.xml`, `.onnx` or `.pb` file, or an `openvino.Model`, which is trusted.
      options: The device, the precision, the shape, and whether the file is trusted.

    Raises:
      ArtefactError: It is damaged, or `mattingjax.inference.screening` refuses it.
      MattingError: OpenVINO has no such device here, or the device no such precision.
    """

    def __init__(self, source: Any, options: SessionOptions | None = None):
        ov = import_openvino()
        options = options or SessionOptions()
        self._path, model = source, source
        self._guard: screening.Guard = screening.PixelGuard(source)
        if not isinstance(source, ov.Model):
            model, self._guard = _load_openvino_model(source, trusted=options.trusted)
        self._device = check_device('OpenVINO', options.device, list_openvino_devices())
        _check_precision(options.precision, self._device)
        self.metadata = None
        for place in ([METADATA_KEY], ['framework', METADATA_KEY]):  # of IR, and of ONNX
            if model.has_rt_info(place):
                self.metadata = model.get_rt_info(place).astype(str)
        self.input_shape = _openvino_shape(model)
        shape = self.input_shape
        if options.fix_shape is not None:
            shape = options.fix_shape(shape, self.metadata)
        if None not in shape:
            self._guard.check(shape)  # type: ignore[arg-type]  # no side is None
        self.parallel = options.parallel
        self._settings = {
            'PERFORMANCE_HINT': 'LATENCY' if self.parallel == 1 else 'THROUGHPUT',
            'INFERENCE_PRECISION_HINT': options.precision,
        }
        if self.parallel > 1:
            self._settings['NUM_STREAMS'] = str(self.parallel)
        if self._device == 'CPU':
            if options.threads:
                self._settings['INFERENCE_NUM_THREADS'] = str(options.threads)
            if self.parallel > 1 or options.threads:  # what runs beside it may need its core
                self._settings['ENABLE_CPU_PINNING'] = 'NO'
        if options.cache is not None:
            make_folder(options.cache)
            self._settings['CACHE_DIR'] = str(options.cache)
        self._compiled = self._compile(model, shape)
        with loading(source, 'OpenVINO'):
            port = model.inputs[0]
            self.input_name = port.get_any_name()
            self.input_dtype = np.dtype(port.element_type.to_dtype())
        self.device = ','.join(self._compiled.network.get_property('EXECUTION_DEVICES'))
        self._forms = None
        if None in shape:
            self._forms = _Forms(lambda fixed: self._compile(model, fixed))

    def _compile(self, model: Any, shape: Shape) -> _Compiled:
        with loading(self._path, 'OpenVINO'):
            if shape != self.input_shape:
                model = model.clone()
                model.reshape([-1 if side is None else side for side in shape])
            return _Compiled(openvino_core().compile_model(model, self._device, self._settings))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self._guard.check(images.shape)
        form = self._forms.find(images.shape) if self._forms is not None else None
        with as_artefact_error(self._path, 'OpenVINO cannot run it'):
            return (form or self._compiled)(images)


class _Compiled:
    """A compiled network that any number of threads may call.

    Args:
      network: The `openvino.CompiledModel`.
    """

    def __init__(self, network: Any):
        self.network = network
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()  # a request runs one input

    def __call__(self, images: np.ndarray) -> np.ndarray:
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self.network.create_infer_request()
        try:
            return np.array(request.infer(images, share_inputs=True)[0])
        finally:
            self._idle.put(request)


class _Forms:
    """A network of any size, compiled for some sizes alone.

    Args:
      compile_for: Function from the shape of an input to the compiled network.
    """

    def __init__(self, compile_for: Callable[[tuple[int, ...]], _Compiled]):
        self._compile_for = compile_for
        self._counts: Counter[tuple[int, ...]] = Counter()
        self._forms: OrderedDict[tuple[int, ...], Future[_Compiled]] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1)

    def find(self, shape: tuple[int, ...]) -> _Compiled | None:
        """The form for an input of this shape that is next; None where there is none yet."""
        with self._lock:
            return self._find(shape)

    def _find(self, shape: tuple[int, ...]) -> _Compiled | None:
        if shape not in self._forms:
            if len(self._counts) >= _MOST_COUNTED:
                self._counts.clear()
            self._counts[shape] += 1
            if self._counts[shape] < _RECURRING:
                return None
            self._forms[shape] = self._thread.submit(self._compile_for, shape)
            if len(self._forms) > _MOST_FORMS:
                self._forms.popitem(last=False)
        self._forms.move_to_end(shape)
        form = self._forms[shape]
        if not form.done():
            return None
        if error := form.exception():
            _LOG.info('no form of its own for %s: %s', shape, error)
            del self._forms[shape]
            self._counts[shape] = 0  # it may go better later
            return None
        return form.result()


@functools.cache
def openvino_core() -> Any:
    """OpenVINO's core, one for the whole process, as it looks for devices."""
    return import_openvino().Core()


def list_openvino_devices() -> list[str]:
    """What OpenVINO can run a network on here, such as CPU, GPU, NPU, and AUTO, which chooses.

    Raises:
      ImportError: OpenVINO is not installed.
    """
    there = openvino_core().available_devices
    classes = [name.split('.')[0] for name in there]  # several cards are GPU.0, GPU.1
    return list(dict.fromkeys([*classes, *there, 'AUTO']))


def can_compute(precision: str, device: str = 'CPU') -> bool:
    """Whether OpenVINO computes in a precision ('f32', 'bf16' or 'f16') on a device.

    Raises:
      MattingError: There is no such precision.
    """
    if precision not in PRECISIONS:
        raise MattingError(f'precision: expected one of {", ".join(PRECISIONS)}, got {precision!r}')
    if device == 'AUTO':
        device = 'CPU'
    found = openvino_core().get_property(device, 'OPTIMIZATION_CAPABILITIES')
    return _CAPABILITIES[precision] in found


def _check_precision(precision: str, device: str) -> None:
    if not can_compute(precision, device):
        able = [name for name in PRECISIONS if can_compute(name, device)]
        raise MattingError(
            f'precision: expected one of {", ".join(able)}, which {device} computes in here, got '
            f'{precision!r}'
        )


def _load_openvino_model(path: Path | str, *, trusted: bool) -> tuple[Any, screening.Guard]:
    """Reads a `.xml`, `.onnx` or `.pb` with OpenVINO, once it is known to be harmless.

    Returns:
      An `openvino.Model` of one input and one output, not compiled, and the guard of its memory.

    Raises:
      ArtefactError: It is damaged, or `mattingjax.inference.screening` refuses it.
    """
    path = Path(path)
    guard: screening.Guard | None = screening.PixelGuard(path) if trusted else None
    if guard is None and path.suffix == '.onnx':
        guard = guard_onnx(path)
    elif guard is None and path.suffix == '.pb':
        screening.check_frozen_graph(path)
    elif guard is None:
        screening.check_ir(path)
    with loading(path, 'OpenVINO'):
        model = openvino_core().read_model(str(path))
        check_ends(path, len(model.inputs), len(model.outputs))
        if guard is None:
            guard = screening.InputGuard(
                path,
                _openvino_shape(model),
                lambda shape: screening.list_openvino_steps(model, shape),
                screening.openvino_source(model),
            )
    return model, guard


def _openvino_shape(model: Any) -> Shape:
    return tuple(
        side.get_length() if side.is_static else None for side in model.inputs[0].partial_shape
    )
