"""Exports a checkpoint: frozen TensorFlow graph, ONNX, OpenVINO IR, and the kit for Ascend's ATC.

  python -m exporters.export --checkpoint CKPT --output DIR
  python -m exporters.export --checkpoint CKPT --output DIR --formats openvino --precision fp32,fp16
  python -m exporters.export --checkpoint CKPT --output DIR --height 288 --width 512

DIR gets model.pb with the files for Ascend beside it, model.onnx (of the size given) and
model_dynamic.onnx (of any size), model.xml and model.bin, manifest.json, and verification.png.
Artefacts take RGB photos, float32 [N, H, W, 3] in [0, 255], unless flags say otherwise, and give
alpha [N, H, W, 1] in [0, 1]. Each is compared with the JAX network; if one differs by more than
1e-4 (with FP16 weights 5e-3), nothing is written and the exit status is 3. verify.Verifier.check
says what holds for networks that float32 does not determine to 1e-4.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from exporters.frozen_graph import check_tools
from exporters.manifest import format_manifest
from exporters.options import FORMATS, ExportOptions
from exporters.pipeline import export_checkpoint
from exporters.verify import MAX_PHOTOS, VerificationError
from mattingjax.errors import MattingError
from mattingjax.images import find_images
from mattingjax.inference.signature import COLOUR_ORDERS
from mattingjax.process import command_line

__all__ = ['ExportOptions', 'export_checkpoint']


def _define_flags() -> None:
    # In a function, as other programs import this module and have flags of their own.
    flags.DEFINE_string(
        'checkpoint', None, 'Checkpoint directory, or the name of weights that ship.', required=True
    )
    flags.DEFINE_string('output', None, 'Folder to make.', required=True)
    flags.DEFINE_bool('overwrite', False, 'Replace an export that lies there already.')
    flags.DEFINE_list('formats', list(FORMATS), f'Some of {", ".join(FORMATS)}.')
    flags.DEFINE_integer('height', None, "Pixels; default: the network's input size.")
    flags.DEFINE_integer('width', None, "Pixels; default: the network's input size.")
    flags.DEFINE_integer('batch_size', 1, 'The number of images that an artefact takes at once.')
    flags.DEFINE_list(
        'precision',
        ['fp32'],
        "Precisions of the IR's weights: fp32 (model.xml), fp16 (model_fp16.xml), or both.",
    )
    flags.DEFINE_bool(
        'scaling',
        True,
        "Scale [0, 255] to the network's range inside the graph; --noscaling leaves that to AIPP.",
    )
    flags.DEFINE_enum(
        'embed_preprocessing',
        None,
        list(COLOUR_ORDERS),
        'Also write model_uint8.xml, which takes uint8 frames of any size in this order of colours '
        'and resizes them itself.',
    )
    flags.DEFINE_string('input_name', 'input', 'Name of the input node.')
    flags.DEFINE_string('output_name', 'output', 'Name of the output node.')
    flags.DEFINE_bool('verify', True, 'Compare every artefact with the JAX network.')
    flags.DEFINE_string(
        'photos',
        None,
        f'Photo, or folder of photos (the first {MAX_PHOTOS}), to compare on; default: two '
        'of scikit-image.',
    )
    flags.DEFINE_string('soc_version', None, 'Ascend chip, such as Ascend310: ATC converts for it.')
    command_line.define_compilation_cache()


def _find_photos(path: str | None) -> tuple[Path, ...]:
    if path is None:
        return ()
    photos = find_images(Path(path)) if Path(path).is_dir() else [Path(path)]
    if not photos:
        raise MattingError(f'{path}: holds no picture')
    return tuple(photos)


def main() -> int:
    values = flags.FLAGS
    check_tools()
    options = ExportOptions(
        formats=tuple(values.formats),
        height=values.height,
        width=values.width,
        batch_size=values.batch_size,
        precisions=tuple(values.precision),
        scaling_inside=values.scaling,
        embed_preprocessing=values.embed_preprocessing,
        input_name=values.input_name,
        output_name=values.output_name,
        verify=values.verify,
        photos=_find_photos(values.photos),
        soc_version=values.soc_version,
    )
    try:
        manifest = export_checkpoint(
            values.checkpoint, values.output, options, overwrite=values.overwrite
        )
    except VerificationError as error:
        print(f'error: {error}; nothing was written', file=sys.stderr)
        return 3
    print(format_manifest(manifest))
    if values.soc_version and 'ascend' in manifest:
        print(f'model.om: {manifest["ascend"]["om"]}')
    print(f'results in {values.output}')
    return 0


if __name__ == '__main__':
    _define_flags()
    command_line.run(main)
