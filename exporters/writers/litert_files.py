"""LiteRT models in every precision."""

from __future__ import annotations

import functools
from typing import Any

from exporters.artefacts import TOLERANCES, Artefact
from exporters.lite_graph import conversion, quantization
from exporters.precision.within_tolerance import compress_within
from exporters.writers.job import Job
from mattingjax.inference.sessions import LiteRtSession

_NAMES = {'fp32': 'model.tflite', 'fp16': 'model_fp16.tflite', 'int8': 'model_int8.tflite'}


def write_litert(job: Job) -> list[Artefact]:
    """Writes model.tflite, model_fp16.tflite, model_int8.tflite, as the export's precisions say."""
    ends = job.signature.input_name, job.signature.output_name

    @functools.cache
    def whole() -> bytes:
        return conversion.convert_graph(job.graph, *ends)

    artefacts = []
    for precision in job.options.precisions:
        details: dict[str, Any] = {}
        if precision == 'int8':
            content, details = _quantize(job, whole())
        elif precision == 'fp16':
            content, share = compress_within(
                whole(),
                conversion.compress_largest,
                conversion.count_constants(whole()),
                lambda content: job.difference(LiteRtSession(content)),
                TOLERANCES['fp16'] / 2,
            )
            details = {'share_of_weights_in_fp16': round(share, 4)}
        else:
            content = whole()
        artefacts.append(_write(job, content, precision, details))
    return artefacts


def _quantize(job: Job, exact: bytes) -> tuple[bytes, dict[str, Any]]:
    calibration = job.calibration
    assert calibration is not None, 'ExportOptions demands photos for int8'
    quantised = quantization.quantize_graph(
        job.graph,
        exact,
        calibration.batches,
        lambda content: calibration.excess(LiteRtSession(content)),
        calibration.limit,
    )
    return quantised.content, {
        'accuracy_control': quantised.kept > 0,
        'in_floating_point': quantised.float_operations,
    }


def _write(job: Job, content: bytes, precision: str, details: dict[str, Any]) -> Artefact:
    path = job.folder / _NAMES[precision]
    path.write_bytes(conversion.add_metadata(content, job.metadata(precision)))
    operations = conversion.list_ops(content)
    details = {
        **details,
        'operations': operations,
        'operations_of_xnnpack': conversion.count_delegated(content),
    }
    return Artefact(path, 'LiteRT', precision, job.signature, ('litert',), details)
