r"""Measures networks side by side: size, errors of their mattes, time in OpenVINO.

  python scripts/benchmark_weights.py --output out --images PHOTOS --alphas MATTES \
    --foregrounds CUTOUTS --backgrounds PHOTOS --networks modnet=CKPT,modnet_p

Networks are names of weights that ship or NAME=CHECKPOINT; the first is what times are divided by
(each is measured once; FP32, its own input size). Prints a Markdown table: parameters,
multiply-accumulates of inference, megabytes of the checkpoint's files, mean absolute and mean
square error in hundredths and MMNet's gradient error in thousandths, of cut-outs on backgrounds
(composites) and of photos, at the photo's own size. Without --images, or without --foregrounds,
their columns are left out. Writes OUTPUT/weights.json, and for each network a report of each set
with its worst mattes to look at; those of an earlier run are replaced.
"""

from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_NETWORKS = flags.DEFINE_list('networks', None, 'NAME or NAME=CHECKPOINT; the first is the peer.')
_OUTPUT = flags.DEFINE_string('output', None, 'Folder of the reports.', required=True)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.')
_ALPHAS = flags.DEFINE_string('alphas', None, 'Folder of their mattes.')
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_FOREGROUNDS = flags.DEFINE_string('foregrounds', None, 'Folder of cut-outs.')
_BACKGROUNDS = flags.DEFINE_string('backgrounds', None, 'Folder of backgrounds.')
_LATENCY = flags.DEFINE_bool('latency', True, 'Whether times are measured; needs the export extra.')

_METRICS = {'mad': ('MAD', 1e2), 'mse': ('MSE', 1e2), 'mean_gradient': ('mean gradient', 1e3)}


def main() -> None:
    import json
    import re

    import mattingjax
    from mattingjax.checkpoints import load_config
    from mattingjax.errors import MattingError
    from mattingjax.evaluation import Folders
    from mattingjax.files import check_folder, write_file

    output = Path(_OUTPUT.value)
    check_folder(output)
    networks = {}
    for entry in _NETWORKS.value or mattingjax.list_weights():
        name, _, path = entry.partition('=')
        if name in networks or not re.fullmatch(r'[\w.-]+', name):
            raise MattingError(
                f'--networks: expected names of letters, digits and ._-, each once, got {entry!r}; '
                'NAME=CHECKPOINT names a path'
            )
        networks[name] = path or name
    if not networks:
        raise MattingError('--networks: expected at least one, no weights ship')
    configs = {name: load_config(path) for name, path in networks.items()}
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
    for folders in sets.values():
        folders.check_outside(output)
    rows = {name: _measure_size(config, networks[name]) for name, config in configs.items()}
    for name, row in rows.items():
        for key, folders in sets.items():
            row[key] = _evaluate(folders, networks[name], output / f'{name}_{key}.json')
    if _LATENCY.value:
        peer = None
        for name, seconds in _measure_latencies(configs).items():
            peer = peer or seconds
            rows[name]['time_ratio'] = seconds / peer
    print(_format(rows, list(sets)))
    write_file(output / 'weights.json', (json.dumps(rows, indent=1) + '\n').encode())


def _paths(**folders: str | None) -> dict[str, Path]:
    return {name: Path(folder) for name, folder in folders.items() if folder}


def _measure_size(config, path_or_name: str) -> dict:
    from mattingjax.checkpoints import find_checkpoint
    from mattingjax.networks.complexity import measure_complexity

    complexity = measure_complexity(config)
    files = [file for file in find_checkpoint(path_or_name).rglob('*') if file.is_file()]
    return {
        **{name: complexity[name] for name in ('parameters', 'macs', 'inference_macs')},
        'megabytes': sum(file.stat().st_size for file in files) / 1e6,
    }


def _evaluate(folders, network: str, report_file: Path) -> dict[str, float]:
    from mattingjax.evaluation import EvaluationOptions, evaluate_folders, write_report

    options = EvaluationOptions(metrics=tuple(_METRICS), regions=('whole',))
    report, about = evaluate_folders(folders, options, network=network, worst=8)
    write_report(report_file, report, about)
    return {name: report.means[name] for name in _METRICS}


def _measure_latencies(configs) -> dict[str, float]:
    """Seconds of each network, all timed in turn."""
    import contextlib

    from exporters.latency import open_exported
    from mattingjax.process.timing import time_in_turn

    with contextlib.ExitStack() as stack:
        runs = {
            name: stack.enter_context(open_exported(config)) for name, config in configs.items()
        }
        return time_in_turn(runs, 20)


def _format(rows: dict[str, dict], sets: list[str]) -> str:
    titles = ['', 'parameters', 'G MACs', 'MB']
    for key in sets:
        titles += [f'{key}: {title}' for title, _ in _METRICS.values()]
    if _LATENCY.value:
        titles.append('time')
    lines = [titles, ['---'] * len(titles)]
    for name, row in rows.items():
        cells = [name, f'{row["parameters"]:,}', f'{row["inference_macs"] / 1e9:.2f}']
        cells.append(f'{row["megabytes"]:.2f}')
        for key in sets:
            cells += [f'{row[key][metric] * scale:.2f}' for metric, (_, scale) in _METRICS.items()]
        if _LATENCY.value:
            cells.append(f'{row["time_ratio"]:.3f}')
        lines.append(cells)
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


if __name__ == '__main__':
    command_line.run(main)
