r"""Prunes MODNet in several ways and measures what each leaves of the matte, before any retraining.

  python scripts/benchmark_pruning.py --checkpoint CKPT --output out --images PHOTOS \
    --alphas MATTES --foregrounds CUTOUTS --backgrounds PHOTOS --train_images PHOTOS \
    --train_alphas MATTES

Prints a Markdown table of mean absolute differences, in hundredths, on the middle squares of photos
with mattes ('photos') and of cut-outs on backgrounds ('composites'), and writes a picture of one
photo of each set. Batch normalisation is recalibrated, and Taylor's gradients are taken, on photos
of --train_images.
"""

from absl import flags

from mattingjax.process import command_line

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'The dense MODNet.', required=True)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder for pruning.png.', required=True)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.', required=True)
_ALPHAS = flags.DEFINE_string('alphas', None, 'Folder of their mattes.', required=True)
_FOREGROUNDS = flags.DEFINE_string('foregrounds', None, 'Folder of cut-outs.', required=True)
_BACKGROUNDS = flags.DEFINE_string('backgrounds', None, 'Folder of backgrounds.', required=True)
_TRAIN_IMAGES = flags.DEFINE_string('train_images', None, 'Folder of other photos.', required=True)
_TRAIN_ALPHAS = flags.DEFINE_string('train_alphas', None, 'Folder of their mattes.', required=True)
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_PHOTOS = flags.DEFINE_integer('photos', 16, 'Photos of each folder.', lower_bound=1)
_GRADIENTS = flags.DEFINE_integer('gradients', 8, "Photos for Taylor's gradients.", lower_bound=1)

# How much is pruned: a target, and for the reference rule, whose widths follow from the weights,
# the settings that come nearest to it.
_AMOUNTS = {
    '80 % of the MACs': ({'target_macs': '0.8x'}, {'ratio': 0.1, 'threshold': 0.1}),
    '1.34 M, 4.4 G': (
        {'target_params': '1.34M', 'target_macs': '4.4G'},
        {'ratio': 0.5, 'threshold': 0.52},
    ),
}
_WAYS = {
    'uniform, L1': {},
    'uniform, L1 unscaled': {'scale_invariant': False},
    'uniform, FPGM': {'method': 'fpgm'},
    'uniform, Taylor': {'method': 'taylor'},
    'uniform, random': {'method': 'random'},
    'global, L1': {'selection': 'global'},
    'global, L1 unscaled': {'selection': 'global', 'scale_invariant': False},
    'global, Taylor': {'selection': 'global', 'method': 'taylor'},
    'reference rule, shortcuts kept': {'selection': 'reference', 'keep_shortcuts': True},
    'reference rule': {'selection': 'reference'},
}


def main() -> None:
    from pathlib import Path

    from mattingjax import pruning
    from mattingjax.checkpoints import load_checkpoint
    from mattingjax.evaluation import Folders
    from mattingjax.evaluation.pruning import (
        compare_pruning,
        draw_comparison,
        format_comparison,
        load_squares,
    )
    from mattingjax.images import encode_png
    from mattingjax.images.sheets import make_sheet
    from mattingjax.process.files import check_folder, write_file

    check_folder(Path(_OUTPUT.value))
    checkpoint = load_checkpoint(_CHECKPOINT.value)
    config = checkpoint.config
    values, backgrounds = _ALPHA_VALUES.value, Path(_BACKGROUNDS.value)
    folders = {
        'composites': Folders(
            foregrounds=Path(_FOREGROUNDS.value), backgrounds=backgrounds, alpha_values=values
        ),
        'photos': Folders(
            images=Path(_IMAGES.value), alphas=Path(_ALPHAS.value), alpha_values=values
        ),
    }
    sets = {
        name: load_squares(given.open(), config.input_size, _PHOTOS.value)
        for name, given in folders.items()
    }
    batches = list(
        pruning.load_batches(config, pruning.choose_photos(_TRAIN_IMAGES.value, _PHOTOS.value))
    )
    pairs = pruning.load_pairs(
        config,
        Path(_TRAIN_IMAGES.value),
        Path(_TRAIN_ALPHAS.value),
        _GRADIENTS.value,
        alpha_values=values,
    )
    gradients = list(pruning.compute_gradients(config, checkpoint.variables, pairs))
    rows = []
    for amount, (targets, reference) in _AMOUNTS.items():
        options = {
            name: pruning.PruneOptions(
                **way, **(reference if way.get('selection') == 'reference' else targets)
            )
            for name, way in _WAYS.items()
        }
        outcomes = compare_pruning(checkpoint, options, sets, batches, gradients)
        print(f'\n{amount}\n\n{format_comparison(outcomes)}', flush=True)
        rows += draw_comparison(outcomes, sets)
    titles = ['photo', 'true alpha', *outcomes]
    picture = Path(_OUTPUT.value) / 'pruning.png'
    write_file(picture, encode_png(make_sheet(rows, titles)))
    print(f'\nLook at {picture}: each way after recalibration, a row for each amount and set.')


if __name__ == '__main__':
    command_line.run()
