"""Compares the mattes of a network, or mattes in a folder, with the true alphas.

  mattingjax evaluate --checkpoint CKPT --images photos --alphas mattes --output report.json
  mattingjax evaluate --checkpoint model.onnx --foregrounds cutouts --backgrounds places
  mattingjax evaluate --predictions results --alphas mattes --output report.json
  mattingjax evaluate --video clip.mp4 --checkpoint CKPT --output report.json

Prints MAD and MSE (means), SAD, gradient and connectivity error (sums in thousands) and MMNet's own
gradient error (mean_gradient) of the whole images, of the unknown region and of the soft band (hair
and other soft borders), with the definitions. --output also writes them as JSON, and beside it a
.csv with every photo and a _worst.png. Pictures are matched by their names without extension.

With --video it prints how much the mattes of a video flicker, those of a network each frame alone
and steadied over time; --predictions and --alphas are videos then, matched by their times. --output
also writes a .csv with every frame and a _column.png: a column of pixels over time.
"""

from pathlib import Path
from typing import Any

from absl import flags

from mattingjax.errors import MattingError
from mattingjax.process import command_line


def _define_path(name: str, text: str):
    return flags.DEFINE_string(name, None, text)


_CHECKPOINT = flags.DEFINE_string(
    'checkpoint',
    None,
    'Checkpoint directory, the name of weights that ship, or an artefact (.xml, .onnx, .pb, '
    '.tflite).',
)
_PATHS = [
    _define_path(
        'predictions',
        "Folder of mattes to compare instead of a network's (NAME or NAME_alpha), or their video.",
    ),
    _define_path('images', 'Folder of photos, searched recursively.'),
    _define_path(
        'alphas',
        'Folder of their true alphas, enough alone with --predictions; with --video their video.',
    ),
    _define_path('foregrounds', 'Folder of cut-outs (transparent pictures), instead of photos.'),
    _define_path('backgrounds', 'Folder of pictures that the cut-outs are put on.'),
    _define_path(
        'trimaps',
        'Folder of trimaps, whose grey is the unknown region. Default: made of the alphas.',
    ),
]
_VIDEO = _define_path('video', 'Video whose mattes are evaluated, instead of photos.')
_COLUMN = flags.DEFINE_integer(
    'column',
    None,
    'With --video: the column of pixels in _column.png, from 0 on. Default: one that changes much.',
    lower_bound=0,
)
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_PREDICTION_VALUES = flags.DEFINE_string(
    'prediction_values', 'auto', 'What the numbers in --predictions mean. Default: greys.'
)
_SEED = flags.DEFINE_integer(
    'seed', 0, 'Random seed that decides which cut-out gets which background.', lower_bound=0
)
_OUTPUT = flags.DEFINE_string('output', None, 'The report to write, a .json file.')
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a report that lies there.')
_METRICS = flags.DEFINE_list(
    'metrics',
    None,
    'Some of mad, mse, sad, gradient, mean_gradient, connectivity; photos are ranked by the first. '
    'Default: all.',
)
_REGIONS = flags.DEFINE_list(
    'regions', ['whole', 'unknown', 'soft'], 'Regions where errors count: some of these three.'
)
_SIZES = ('photo', 'network')
_SIZE = flags.DEFINE_string(
    'size',
    'photo',
    'Size at which alphas are compared: photo (its own size), network (the size of its input), or '
    'height x width, as 800x600.',
)
_KERNEL = flags.DEFINE_integer(
    'trimap_kernel', 3, 'Diameter in pixels of the kernel that makes trimaps of alphas.'
)
_ITERATIONS = flags.DEFINE_integer(
    'trimap_iterations', 10, 'Number of erosions and dilations that make trimaps of alphas.'
)
_WORST = flags.DEFINE_integer('worst', 8, 'Number of photos in _worst.png.', lower_bound=0)
_ALLOW_UNMATCHED = flags.DEFINE_bool(
    'allow_unmatched', False, 'Leave out pictures without a counterpart.'
)
_SKIP_DAMAGED = flags.DEFINE_bool(
    'skip_damaged', False, 'Report and skip files that are damaged or of another size.'
)
_OF_PHOTOS = (
    *(flag for flag in _PATHS if flag.name not in ('predictions', 'alphas')),
    *(_ALPHA_VALUES, _PREDICTION_VALUES, _SEED, _METRICS, _REGIONS, _SIZE, _KERNEL, _ITERATIONS),
    *(_WORST, _ALLOW_UNMATCHED, _SKIP_DAMAGED),
)
_RUNTIME = command_line.define_runtime()
_PRECISION = command_line.define_precision()
_INPUT_SIZE = command_line.define_input_size()
command_line.define_compilation_cache()


def main() -> None:
    if _VIDEO.value:
        return _evaluate_video(Path(_VIDEO.value))
    if _COLUMN.present:
        raise MattingError('column: needs --video')
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.evaluation import EvaluationOptions, Folders, parse_size, report_folders
    from mattingjax.evaluation.metrics import check_metrics

    size: Any = _SIZE.value
    if size not in _SIZES:
        size = parse_size(size, 'size', _SIZES)
    options = EvaluationOptions(
        metrics=check_metrics(_METRICS.value),
        regions=tuple(_REGIONS.value),
        size=size,
        trimap_kernel=_KERNEL.value,
        trimap_iterations=_ITERATIONS.value,
    )
    paths = {flag.name: Path(flag.value) for flag in _PATHS if flag.value}
    folders = Folders(
        **paths,
        seed=_SEED.value,
        alpha_values=_ALPHA_VALUES.value,
        prediction_values=_PREDICTION_VALUES.value,
    )
    report_folders(
        folders,
        options,
        output=Path(_OUTPUT.value) if _OUTPUT.value else None,
        overwrite=_OVERWRITE.value,
        worst=_WORST.value,
        network=_CHECKPOINT.value,
        runtime=_RUNTIME.value,
        precision=_PRECISION.value,
        input_size=_INPUT_SIZE.value,
        allow_unmatched=_ALLOW_UNMATCHED.value,
        skip_damaged=_SKIP_DAMAGED.value,
    )


def _evaluate_video(video: Path) -> None:
    for flag in _OF_PHOTOS:
        if flag.present:
            raise MattingError(f'{flag.name}: is for photos, not for --video')
    from mattingjax.evaluation.video_report import Videos, report_video

    paths = {flag.name: Path(flag.value) for flag in _PATHS if flag.value}
    report_video(
        Videos(video, **paths),
        network=_CHECKPOINT.value,
        runtime=_RUNTIME.value,
        precision=_PRECISION.value,
        input_size=_INPUT_SIZE.value,
        column=_COLUMN.value,
        output=Path(_OUTPUT.value) if _OUTPUT.value else None,
        overwrite=_OVERWRITE.value,
    )
