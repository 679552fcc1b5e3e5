r"""Measures networks side by side: size, errors of their mattes, time in OpenVINO.

  python scripts/benchmark_weights.py --output out --images PHOTOS --alphas MATTES \
    --foregrounds CUTOUTS --backgrounds PHOTOS --networks modnet=CKPT,modnet_p

Networks are names of weights that ship or NAME=CHECKPOINT; the first is what times are divided by
(each is measured once; FP32, its own input size). Prints a Markdown table: parameters,
multiply-accumulates of inference, megabytes of the checkpoint's files, mean absolute error (of all
pixels and of the soft band, unless alphas are masks) and mean square error in hundredths and
MMNet's gradient error in thousandths, of cut-outs on backgrounds (composites) and of photos, at the
photo's own size. Without --images, or without --foregrounds, their columns are left out. Writes
OUTPUT/weights.json, and for each network a report of each set with its worst mattes to look at;
those of an earlier run are replaced.
"""

from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_NETWORKS = flags.DEFINE_list(
    'networks', None, "NAME or NAME=CHECKPOINT; times are divided by the first one's."
)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder of the reports.', required=True)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.')
_ALPHAS = flags.DEFINE_string('alphas', None, 'Folder of their mattes.')
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_FOREGROUNDS = flags.DEFINE_string('foregrounds', None, 'Folder of cut-outs.')
_BACKGROUNDS = flags.DEFINE_string('backgrounds', None, 'Folder of backgrounds.')
_LATENCY = flags.DEFINE_bool('latency', True, 'Whether times are measured; needs the export extra.')


def main() -> None:
    import mattingjax
    from exporters.latency import time_exported
    from mattingjax.evaluation import Folders
    from mattingjax.evaluation.weights import compare_weights, parse_networks

    networks = parse_networks(_NETWORKS.value or mattingjax.list_weights())
    sets = {}
    if _FOREGROUNDS.value or _BACKGROUNDS.value:
        sets['composites'] = Folders(
            **_paths(foregrounds=_FOREGROUNDS.value, backgrounds=_BACKGROUNDS.value),
            alpha_values=_ALPHA_VALUES.value,
        )
    if _IMAGES.value or _ALPHAS.value:
        sets['photos'] = Folders(
            **_paths(images=_IMAGES.value, alphas=_ALPHAS.value), alpha_values=_ALPHA_VALUES.value
        )
    timer = time_exported if _LATENCY.value else None
    compare_weights(networks, sets, Path(_OUTPUT.value), timer)


def _paths(**folders: str | None) -> dict[str, Path]:
    return {name: Path(folder) for name, folder in folders.items() if folder}


if __name__ == '__main__':
    command_line.run()
