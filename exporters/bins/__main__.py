r"""The loop of Ascend's msame: photos to .bin files, a network run on them, its outputs measured.

  python -m exporters.bins prepare --artefact export/model.pb --images photos --alphas mattes \
    --output bins
  python -m exporters.bins run --model export/model.onnx --input bins/images --output outputs
  python -m exporters.bins evaluate --output outputs --index bins --report report.json

Where there is an Ascend card, msame takes the place of `run`:

  ./msame --model export/model.om --input bins/images --output outputs

The first argument is one of these verbs; `python -m exporters.bins VERB --help` lists its flags.
"""

import difflib
import inspect
import sys
from pathlib import Path
from typing import Any

from absl import flags

from mattingjax.process import command_line

# For each verb, one function defines the flags, and its docstring is what --help shows; another
# does the work. Libraries are imported there, so that --help and wrong flags answer at once.


def define_prepare() -> None:
    r"""Turns photos into .bin files, exactly as an artefact wants them, and alphas into masks.

      python -m exporters.bins prepare --artefact export/model.pb --images photos --alphas mattes \
        --output bins
      python -m exporters.bins prepare --artefact export/model.pb --foregrounds cutouts \
        --backgrounds places --output bins

    Photos and alphas have the same names, extensions aside. Cut-outs (transparent pictures) are
    each put on one of the backgrounds. The output folder gets images/NAME.bin (the network's input,
    [1, H, W, 3] without a header), masks/NAME.bin (float32 [1, H, W, 1] in [0, 1]), index.json and
    preview.png; it is written whole or not at all.
    """
    _define_path('artefact', '.pb, .onnx or .xml; its manifest or metadata tells its input.')
    flags.DEFINE_integer(
        'height',
        None,
        'Height of the input in pixels; needed without --artefact, or if that takes any size.',
    )
    flags.DEFINE_integer(
        'width',
        None,
        'Width of the input in pixels; needed without --artefact, or if that takes any size.',
    )
    flags.DEFINE_enum(
        'dtype',
        None,
        ['float32', 'uint8'],
        "Type of the input. Default: the artefact's, or float32. uint8, for a model with AIPP, is "
        'never normalised.',
    )
    _define_path('images', 'Folder of photos.')
    _define_path('alphas', 'Folder of their alphas.')
    flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
    _define_path('foregrounds', 'Folder of cut-outs, instead of photos and alphas.')
    _define_path('backgrounds', 'Folder of backgrounds for the cut-outs.')
    flags.DEFINE_integer('seed', 0, 'Random seed for the choice of backgrounds.', lower_bound=0)
    flags.DEFINE_string(
        'mask_size',
        None,
        'Height x width of the masks, such as 800x600, to which outputs are resized. Default: the '
        "input's.",
    )
    _define_path('output', 'Folder to make.', required=True)
    flags.DEFINE_bool('overwrite', False, 'Replace what prepare wrote there before.')


def prepare() -> None:
    from exporters.bins.index import PREVIEW_FILE, create_layout
    from exporters.bins.preparation import prepare_bins
    from mattingjax.evaluation import Folders, parse_size

    values = flags.FLAGS
    names = 'images', 'alphas', 'foregrounds', 'backgrounds'
    paths: dict[str, Any] = {
        name: Path(folder) for name in names if (folder := getattr(values, name))
    }
    folders = Folders(**paths, seed=values.seed, alpha_values=values.alpha_values)
    layout = create_layout(
        Path(values.artefact) if values.artefact else None,
        height=values.height,
        width=values.width,
        dtype=values.dtype,
        mask_size=parse_size(values.mask_size, 'mask_size') if values.mask_size else None,
    )
    output = Path(values.output)
    folders.check_outside(output)
    index = prepare_bins(folders.open(), layout, output, overwrite=values.overwrite)
    print(
        f'{len(index.items)} inputs, {layout.input_dtype} {list(layout.input_shape)}, and their '
        f'masks in {output}; {output / PREVIEW_FILE} shows some'
    )


def define_run() -> None:
    """Runs an artefact on .bin files, as Ascend's msame runs an OM model on a card.

      python -m exporters.bins run --model export/model.onnx --input bins/images --output outputs
      python -m exporters.bins run --model export/model.onnx --output outputs --loop 100

    Each input gives OUTPUT/YYYYMMDD_HHMMSS/NAME_output_0.bin (or .txt), a folder that appears when
    it is complete. Unlike msame, which runs each file of a folder once, it runs it --loop times.
    """
    _define_path('model', '.pb, .onnx or .xml.', required=True)
    _define_path('input', 'Folder of .bin files, or one file. Default: zeros, to measure the time.')
    _define_path('output', 'Folder in which the folder of the results is made.', required=True)
    flags.DEFINE_enum(
        'outfmt', 'BIN', ['BIN', 'TXT'], 'Format of the results.', case_sensitive=False
    )
    flags.DEFINE_integer('loop', 1, 'How often each file is run.', lower_bound=1)
    flags.DEFINE_enum(
        'runtime',
        None,
        ['openvino', 'onnxruntime', 'tensorflow'],
        'What runs the artefact. Default: what suits the file.',
    )


def run() -> None:
    from exporters.bins.msame import run_bins

    values = flags.FLAGS
    summary = run_bins(
        Path(values.model),
        Path(values.input) if values.input else None,
        Path(values.output),
        outfmt=values.outfmt,
        loop=values.loop,
        runtime=values.runtime,
    )
    print(f'results in {summary.folder}')


def define_evaluate() -> None:
    """Compares the results of a run, ours or msame's, with the masks.

      python -m exporters.bins evaluate --output outputs --index bins --report report.json

    Prints MAD and MSE (means), SAD, gradient and connectivity error (sums in thousands) and MMNet's
    own gradient error (mean_gradient) of the worst photos, and the means of all. The size of the
    results tells how they are stored; if it does not, --channels or --outdtype must.
    """
    _define_path('output', "The run's --output.", required=True)
    _define_path('index', 'Folder that prepare wrote.', required=True)
    flags.DEFINE_string(
        'timestamp',
        None,
        'Name of the folder of results in --output, or . for --output itself. Default: the newest.',
    )
    flags.DEFINE_enum(
        'channels',
        None,
        ['1', '2'],
        "Channels of the results; 2 as MMNet's softmax has, whose last is the alpha.",
    )
    flags.DEFINE_enum('outdtype', None, ['float16', 'float32'], 'Type of results in .bin files.')
    _define_path('report', 'A .json to write; beside it a .csv of every photo and a _worst.png.')


def evaluate() -> None:
    from exporters.bins.evaluation import describe_bins, evaluate_bins
    from exporters.bins.index import read_index
    from exporters.bins.outputs import find_outputs
    from mattingjax.evaluation import check_report, format_table, write_report

    values = flags.FLAGS
    path = Path(values.report) if values.report else None
    if path:
        check_report(path, 'report', overwrite=True)
    prepared = Path(values.index)
    index = read_index(prepared)
    results = find_outputs(Path(values.output), values.timestamp)
    channels = int(values.channels) if values.channels else None
    report, encoding = evaluate_bins(
        results, prepared, index, channels=channels, dtype=values.outdtype
    )
    height, width = index.layout.mask_shape[1:3]
    print(f'{results}: {encoding}, compared at {height} by {width} pixels')
    print(format_table(report))
    if path:
        print(*write_report(path, report, describe_bins(results, index, encoding)), sep='\n')


VERBS = {
    'prepare': (define_prepare, prepare),
    'run': (define_run, run),
    'evaluate': (define_evaluate, evaluate),
}


def main() -> None:
    """Takes the verb off the command line; its flags are the rest."""
    verb = sys.argv[1] if len(sys.argv) > 1 else ''
    if verb in ('help', '-h', '-help', '--help', '-helpshort', '--helpshort', '--helpfull'):
        print(__doc__)
        return
    if verb not in VERBS:
        close = difflib.get_close_matches(verb, VERBS, 1)
        hint = f'did you mean {close[0]}? ' if close else ''
        found = repr(verb) if verb else 'nothing'
        print(
            f'error: expected prepare, run or evaluate as the first argument, got {found} '
            f'({hint}see --help)',
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv[:2] = [f'exporters.bins {verb}']
    define_flags, act = VERBS[verb]
    define_flags()
    sys.modules['__main__'].__doc__ = f'{inspect.getdoc(define_flags)}\n'  # what --help shows
    command_line.run(act)


def _define_path(name: str, text: str, required: bool = False) -> None:
    flags.DEFINE_string(name, None, text, required=required)


if __name__ == '__main__':
    main()
