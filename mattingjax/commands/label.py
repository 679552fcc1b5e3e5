"""Labels photos for a training with a teacher's mattes, corrected by masks where there are any.

  mattingjax label --teacher MODNET --images photos --masks masks --output labels
  mattingjax label --teacher MODNET --images photos --output labels

labels/labels.csv lists the photos and their alphas (--config.dataset.kind=csv), labels/background
holds strips of the photos beside the person (--config.data.backgrounds). "Crowded" photos give no
background, because passers-by seem to be there. labels/most_doubted.png shows the labels that most
need a look. Photos whose label is too doubtful are listed in labels/left_out.csv.
labels/labels.json says how the labels were made: the teacher with its SHA-256, sizes, flip, counts.
"""

from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_TEACHER = flags.DEFINE_string(
    'teacher',
    None,
    'Checkpoint directory, the name of weights that ship, or an artefact (.xml, .onnx, .pb, '
    '.tflite).',
    required=True,
)
_IMAGES = flags.DEFINE_string(
    'images', None, 'Folder of photos, searched recursively.', required=True
)
_MASKS = flags.DEFINE_string(
    'masks',
    None,
    'Folder of their masks, which replace the matte where the two contradict each other.',
)
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder to make.', required=True)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace labels that lie there.')
_MOST_DOUBT = flags.DEFINE_float(
    'most_doubt',
    0.2,
    "Leave a photo out if more than this share of the person's area is doubted: where mask and "
    'matte disagree or, without a mask, where the matte is grey.',
    lower_bound=0,
)
_INPUT_SIZE = flags.DEFINE_list(
    'input_size',
    None,
    "Input sizes in pixels (320,384) over which the teacher's mattes are averaged, multiples of "
    'its stride. Artefacts of a fixed size take none. Default: its own.',
)
_FLIP = flags.DEFINE_bool('flip', True, 'Average in the mattes of the mirror image.')
command_line.define_compilation_cache()


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.training.labels import label_photos, parse_input_sizes

    label_photos(
        _TEACHER.value,
        Path(_IMAGES.value),
        Path(_MASKS.value) if _MASKS.value else None,
        Path(_OUTPUT.value),
        alpha_values=_ALPHA_VALUES.value,
        input_sizes=parse_input_sizes(_INPUT_SIZE.value or ()),
        most_doubt=_MOST_DOUBT.value,
        flip=_FLIP.value,
        overwrite=_OVERWRITE.value,
    )
