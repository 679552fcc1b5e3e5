r"""Makes a trained checkpoint ready to ship: small, at the size of its use, with its card.

  python scripts/pack_weights.py --checkpoint runs/modnet_384/last --input_size 384 --card CARD.md \
    --output mattingjax/weights/modnet_p

Kernels become float16, which halves the files; the script prints how much that changes the alphas
of --images. The provenance stays, without the folders of its files. The network is also exported as
model_dynamic.onnx, which runs without JAX, and compared with the checkpoint on --images.
"""

from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Checkpoint directory.', required=True)
_OUTPUT = flags.DEFINE_string('output', None, 'Checkpoint directory to make.', required=True)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a checkpoint that lies there.')
_CARD = flags.DEFINE_string(
    'card', None, 'The model card, Markdown; it becomes README.md.', required=True
)
_INPUT_SIZE = flags.DEFINE_integer(
    'input_size',
    None,
    'Input size in pixels at which it will be used, if it was trained at another.',
    lower_bound=1,
)
_ARTEFACT = flags.DEFINE_bool(
    'artefact', True, 'Export the network as model_dynamic.onnx too; needs the extra `export`.'
)
_USE = flags.DEFINE_string(
    'use', '', 'A few words on what it is for, which mattingjax list prints.'
)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos to compare the alphas on.')


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.checkpoints import check_target, load_checkpoint, save_checkpoint
    from mattingjax.checkpoints.packing import pack_checkpoint
    from mattingjax.data.folders import open_images
    from mattingjax.evaluation.weights import compare_alphas
    from mattingjax.images import find_images
    from mattingjax.process.reading import read_file

    check_target(_OUTPUT.value, overwrite=_OVERWRITE.value)
    if _ARTEFACT.value:
        from exporters.shipping import create_artefact
        from exporters.tensorflow_graph.freezing import check_tools

        check_tools()
    card = read_file(Path(_CARD.value))
    photos = open_images(Path(_IMAGES.value)) if _IMAGES.value else ()
    checkpoint = load_checkpoint(_CHECKPOINT.value)
    packed = pack_checkpoint(checkpoint, _INPUT_SIZE.value, _USE.value)
    if photos:
        mean, largest = compare_alphas(checkpoint, packed, (record['image'] for record in photos))
        print(f'{len(photos)} alphas differ by {mean:.1e} in the mean, {largest:.1e} at most')
    files = {'README.md': card}
    if _ARTEFACT.value:
        images = find_images(Path(_IMAGES.value)) if _IMAGES.value else ()
        files |= create_artefact(packed, tuple(images))
    save_checkpoint(_OUTPUT.value, packed, overwrite=_OVERWRITE.value, files=files)
    size = sum(file.stat().st_size for file in Path(_OUTPUT.value).rglob('*') if file.is_file())
    print(f'{_OUTPUT.value}: {size / 1e6:.2f} MB')


if __name__ == '__main__':
    command_line.run()
