"""Makes a trained checkpoint one that ships: small, of the size it is used at, with its model card.

  python scripts/pack_weights.py --checkpoint runs/modnet_384/last --input_size 384 --card CARD.md \
    --output mattingjax/weights/modnet_p

Kernels become float16, which halves the files; what that changes is printed: the largest difference
of the alphas of --images. The provenance stays, without the folders that files lay in.
"""

from absl import flags

from mattingjax import command_line

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Checkpoint directory.', required=True)
_OUTPUT = flags.DEFINE_string('output', None, 'Checkpoint directory to make.', required=True)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a checkpoint that lies there.')
_CARD = flags.DEFINE_string(
    'card', None, 'The model card, Markdown; it becomes README.md.', required=True
)
_INPUT_SIZE = flags.DEFINE_integer(
    'input_size', None, 'Pixels of a side at which it is used, if it was trained at another size.'
)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos to compare the alphas on.')


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from pathlib import Path

    import numpy as np

    from mattingjax.checkpoints import check_target, load_checkpoint, save_checkpoint
    from mattingjax.data.folders import open_images
    from mattingjax.inference import Predictor
    from mattingjax.packing import pack_checkpoint
    from mattingjax.runtimes import JaxRuntime

    check_target(_OUTPUT.value, overwrite=_OVERWRITE.value)
    card = Path(_CARD.value).read_bytes()
    photos = open_images(Path(_IMAGES.value)) if _IMAGES.value else ()
    packed = pack_checkpoint(load_checkpoint(_CHECKPOINT.value), _INPUT_SIZE.value)
    files = {'README.md': card}
    save_checkpoint(_OUTPUT.value, packed, overwrite=_OVERWRITE.value, files=files)
    size = sum(file.stat().st_size for file in Path(_OUTPUT.value).rglob('*') if file.is_file())
    print(f'{_OUTPUT.value}: {size / 1e6:.2f} MB')
    if photos:
        whole, half = JaxRuntime(_CHECKPOINT.value), JaxRuntime(_OUTPUT.value)
        whole.input_size = half.input_size
        before, after = Predictor(whole), Predictor(half)
        differences = [
            np.abs(before(record['image']) - after(record['image'])).max() for record in photos
        ]
        print(f'largest difference of {len(differences)} alphas: {max(differences):.1e}')


if __name__ == '__main__':
    command_line.run(main)
