"""Labels photos with a teacher's mattes, put right by masks where there are any, to train on.

  python scripts/label.py --teacher MODNET --images photos --masks masks --output labels
  python scripts/label.py --teacher MODNET --images photos --output labels

labels/labels.csv lists the photos and their alphas (--config.dataset.kind=csv), labels/background
holds strips of the photos beside the person (--config.data.backgrounds); "crowded" photos give
none, because passers-by seem to be there. labels/most_doubted.png shows the labels that most need a
look. Photos whose label is doubted too much are listed in labels/left_out.csv.
"""

import os
import shlex
from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_TEACHER = flags.DEFINE_string(
    'teacher',
    None,
    'Checkpoint directory, the name of weights that ship, or an artefact (.xml, .onnx, .pb).',
    required=True,
)
_IMAGES = flags.DEFINE_string(
    'images', None, 'Folder of photos, searched recursively.', required=True
)
_MASKS = flags.DEFINE_string(
    'masks', None, 'Folder of their masks, which win where the matte is badly wrong.'
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
_FLIP = flags.DEFINE_bool('flip', True, 'Average the mattes of the photo and of its mirror image.')
command_line.define_compilation_cache()


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    import mattingjax
    from mattingjax.data.folders import open_images, open_pairs
    from mattingjax.errors import MattingError
    from mattingjax.files import check_new_folder, check_outside
    from mattingjax.training import pseudo_labels

    output, images = Path(_OUTPUT.value), Path(_IMAGES.value)
    kind, marker = pseudo_labels.KIND, pseudo_labels.LIST_FILE
    check_new_folder(output, kind, marker, overwrite=_OVERWRITE.value)
    masks = Path(_MASKS.value) if _MASKS.value else None
    check_outside(output, [images, *([masks] if masks else [])])
    if masks:
        dataset = open_pairs(images, masks, alpha_values=_ALPHA_VALUES.value)
    else:
        dataset = open_images(images)
    predictor = mattingjax.create_predictor(_TEACHER.value)
    with predictor.preparing(entry.photo for entry in dataset.entries):
        summary = pseudo_labels.label_folder(
            pseudo_labels.with_mirror(predictor) if _FLIP.value else predictor,
            dataset,
            output,
            most_doubt=_MOST_DOUBT.value,
            overwrite=_OVERWRITE.value,
        )
    print(
        *(f'{count} {name.replace("_", " ")}' for name, count in summary._asdict().items()),
        sep=', ',
    )
    print(output / marker)
    if summary.labelled:
        print(f'next: look at {output / "most_doubted.png"}, then train with')
        print(
            '  --config.dataset.kind=csv --config.dataset.root='
            f'{shlex.quote(os.path.abspath(output / marker))}'
        )
    if not summary.labelled:
        if not summary.left_out:
            raise MattingError(f'{images}: all {summary.unreadable} photos are unreadable')
        raise MattingError(
            f'{images}: not one of {len(dataset)} photos got a label ({summary.left_out} doubted '
            f'more than --most_doubt={_MOST_DOUBT.value:g}, {summary.unreadable} unreadable); see '
            f'{output}/most_doubted.png'
        )


if __name__ == '__main__':
    command_line.run(main)
