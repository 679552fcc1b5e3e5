r"""Measures networks side by side: size, errors of their mattes, time in OpenVINO.

  python scripts/benchmark_weights.py --output out --images PHOTOS --alphas MATTES \
    --foregrounds CUTOUTS --backgrounds PHOTOS --networks modnet=CKPT,modnet_p

Networks are names of weights that ship or NAME=CHECKPOINT; the first is what times are divided by
(each at its own input size, exported and run by --runtime in --precision). Prints a Markdown table:
parameters, multiply-accumulates of inference, megabytes of the checkpoint's files, mean absolute
error (of all pixels and of the soft band, unless alphas are masks) and mean square error in
hundredths and MMNet's gradient error in thousandths, of cut-outs on backgrounds (composites) and of
photos, at the photo's own size. Without --images, or without --foregrounds, their columns are left
out; errors are those of the checkpoints, whatever is timed. Writes OUTPUT/weights.json, and for
each network a report of each set with its worst mattes to look at; with photos also
OUTPUT/weights.png, as MMNet's paper has it for its widths: for each set the gradient error and the
mean absolute difference, each against the time and against the number of parameters, networks of
one family joined by that number. With --nolatency they are drawn against the parameters only. Those
of an earlier run are replaced.
"""

from absl import flags

from mattingjax.process import command_line
from mattingjax.process.machine import RUNTIME_PACKAGES

_NETWORKS = flags.DEFINE_list(
    'networks', None, "NAME or NAME=CHECKPOINT; times are divided by the first one's."
)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder of the reports.', required=True)
_SETS = command_line.define_sets()
_LATENCY = flags.DEFINE_bool('latency', True, 'Whether times are measured; needs the export extra.')
_RUNTIME = flags.DEFINE_enum(
    'runtime', 'openvino', list(RUNTIME_PACKAGES), 'What the networks are timed in.'
)
_PRECISION = command_line.define_precision()


def main() -> None:
    from pathlib import Path

    import mattingjax
    from exporters.latency import ExportTimer
    from mattingjax.evaluation.sets import name_sets
    from mattingjax.evaluation.weights import compare_weights, parse_networks

    networks = parse_networks(_NETWORKS.value or mattingjax.list_weights())
    sets = name_sets(**{name: flag.value for name, flag in _SETS.items()})
    timer = ExportTimer(_RUNTIME.value, _PRECISION.value) if _LATENCY.value else None
    compare_weights(networks, sets, Path(_OUTPUT.value), timer)


if __name__ == '__main__':
    command_line.run()
