"""Runs an artefact on .bin files, as Ascend's msame runs an OM model on a card.

  mattingjax bins run --model export/model.onnx --input bins/images --output outputs
  mattingjax bins run --model export/model.onnx --output outputs --loop 100

Each input gives OUTPUT/YYYYMMDD_HHMMSS/NAME_output_0.bin (or .txt), a folder that appears when
it is complete. Unlike msame, which runs each file of a folder once, it runs it --loop times.
"""

from pathlib import Path

from absl import flags

_MODEL = flags.DEFINE_string('model', None, '.pb, .onnx, .xml or .tflite.', required=True)
_INPUT = flags.DEFINE_string(
    'input', None, 'Folder of .bin files, or one file. Default: zeros, to measure the time.'
)
_OUTPUT = flags.DEFINE_string(
    'output', None, 'Folder in which the folder of the results is made.', required=True
)
_OUTFMT = flags.DEFINE_enum(
    'outfmt', 'BIN', ['BIN', 'TXT'], 'Format of the results.', case_sensitive=False
)
_LOOP = flags.DEFINE_integer('loop', 1, 'How often each file is run.', lower_bound=1)
_RUNTIME = flags.DEFINE_enum(
    'runtime',
    None,
    ['openvino', 'onnxruntime', 'tensorflow', 'litert'],
    'What runs the artefact. Default: what suits the file.',
)


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from exporters.bins.msame import run_bins

    summary = run_bins(
        Path(_MODEL.value),
        Path(_INPUT.value) if _INPUT.value else None,
        Path(_OUTPUT.value),
        outfmt=_OUTFMT.value,
        loop=_LOOP.value,
        runtime=_RUNTIME.value,
    )
    print(f'results in {summary.folder}')
