"""Compares the results of a run, ours or msame's, with the masks.

  mattingjax bins evaluate --output outputs --index bins --report report.json

Prints MAD and MSE (means), SAD, gradient and connectivity error (sums in thousands) and MMNet's
own gradient error (mean_gradient) of the worst photos, and the means of all. The size of the
results tells how they are stored; if it does not, --channels or --outdtype must.
"""

from pathlib import Path

from absl import flags

_OUTPUT = flags.DEFINE_string('output', None, "The run's --output.", required=True)
_INDEX = flags.DEFINE_string('index', None, 'Folder that prepare wrote.', required=True)
_TIMESTAMP = flags.DEFINE_string(
    'timestamp',
    None,
    'Name of the folder of results in --output, or . for --output itself. Default: the newest.',
)
_CHANNELS = flags.DEFINE_enum(
    'channels',
    None,
    ['1', '2'],
    "Channels of the results; 2 as MMNet's softmax has, whose last is the alpha.",
)
_OUTDTYPE = flags.DEFINE_enum(
    'outdtype', None, ['float16', 'float32'], 'Type of results in .bin files.'
)
_REPORT = flags.DEFINE_string(
    'report', None, 'A .json to write; beside it a .csv of every photo and a _worst.png.'
)


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from exporters.bins.evaluation import describe_bins, evaluate_bins
    from exporters.bins.index import read_index
    from exporters.bins.outputs import find_outputs
    from mattingjax.evaluation import check_report, format_table, write_report

    path = Path(_REPORT.value) if _REPORT.value else None
    if path:
        check_report(path, 'report', overwrite=True)
    prepared = Path(_INDEX.value)
    index = read_index(prepared)
    results = find_outputs(Path(_OUTPUT.value), _TIMESTAMP.value)
    channels = int(_CHANNELS.value) if _CHANNELS.value else None
    report, encoding = evaluate_bins(
        results, prepared, index, channels=channels, dtype=_OUTDTYPE.value
    )
    height, width = index.layout.mask_shape[1:3]
    print(f'{results}: {encoding}, compared at {height} by {width} pixels')
    print(format_table(report))
    if path:
        print(*write_report(path, report, describe_bins(results, index, encoding)), sep='\n')
