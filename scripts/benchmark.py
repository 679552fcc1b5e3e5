r"""Measures exported networks beside each other: time, size, and errors of their mattes.

  python scripts/benchmark.py --models published.onnx,export/model.xml
  python scripts/benchmark.py --models export/model.xml,export/model_int8.xml,export/model.tflite \
    --images PHOTOS --alphas ALPHAS --output out

Each artefact runs in each of --runtimes that reads it, and in OpenVINO in each of --precisions. The
networks alone are timed, in turn in one process; compare the ratios of the medians to the first
one's, milliseconds depend on the machine. With photos, or with cut-outs and backgrounds, the errors
of the mattes are measured first, of each artefact in each runtime and precision, through the
preprocessing that its signature asks for; other people's exports, without one, are timed alone.

Prints a Markdown table, the fastest first: mean absolute error (of all pixels and of the soft band,
unless alphas are masks) and mean square error in hundredths, MMNet's gradient error in thousandths.
With --output also writes benchmark.json and, of errors against time, benchmark.png.
"""

from absl import flags

from mattingjax.process import command_line

_MODELS = flags.DEFINE_list(
    'models', None,
    'Artefacts, and folders of exports for all in them; the first is what the others are compared '
    'with.',
    required=True,
)  # fmt: skip
_RUNTIMES = flags.DEFINE_list(
    'runtimes',
    None,
    'What runs them: some of openvino, onnxruntime, litert, tensorflow. Default: all but the last. '
    'ONNX Runtime gets a frozen graph that is named as tf2onnx converts it.',
)
_PRECISIONS = flags.DEFINE_list(
    'precisions',
    ['f32', 'bf16'],
    "OpenVINO's: some of f32, bf16, f16; one that the CPU does not compute in is left out.",
)
_SIZE = flags.DEFINE_string(
    'size',
    None,
    'Height and width for models of free size, as 800x600. Default: the input size that they tell, '
    'or 512x512.',
)
_ROUNDS = flags.DEFINE_integer('rounds', 30, 'Timed runs of each.', lower_bound=1)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder of benchmark.json and benchmark.png.')
_SETS = command_line.define_sets()


def main() -> None:
    from pathlib import Path

    from exporters.benchmark import compare_artefacts, list_entries
    from exporters.benchmark.entries import DEFAULT_RUNTIMES
    from mattingjax.evaluation import parse_size
    from mattingjax.evaluation.sets import name_sets

    size = parse_size(_SIZE.value, 'size') if _SIZE.value else None
    sets = name_sets(**{name: flag.value for name, flag in _SETS.items()})
    entries = list_entries(_MODELS.value, _RUNTIMES.value or DEFAULT_RUNTIMES, _PRECISIONS.value)
    output = Path(_OUTPUT.value) if _OUTPUT.value else None
    compare_artefacts(entries, sets, size=size, rounds=_ROUNDS.value, output=output)


if __name__ == '__main__':
    command_line.run()
