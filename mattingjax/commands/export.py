"""Exports a checkpoint: frozen TensorFlow graph, ONNX, OpenVINO IR, LiteRT, a page, Ascend's kit.

  mattingjax export --checkpoint CKPT --output DIR
  mattingjax export --checkpoint CKPT --output DIR --formats openvino --precision fp32,fp16
  mattingjax export --checkpoint CKPT --output DIR --precision fp32,int8 --calibration_images PHOTOS
  mattingjax export --checkpoint CKPT --output DIR --height 288 --width 512
  mattingjax export --checkpoint CKPT --output DIR --formats web

DIR gets model.pb with the files for Ascend beside it, model.onnx (of the size given) and
model_dynamic.onnx (of any size), model.xml and model.bin, model.tflite, manifest.json, and
verification.png; with --precision fp16 or int8 also model_fp16 and model_int8 of each. The format
web is DIR/web, a page for any static host, in which browsers matte photos, clips and the camera.
Artefacts take RGB photos, float32 [N, H, W, 3] in [0, 255], unless flags say otherwise, and give
alpha [N, H, W, 1] in [0, 1]. Each is compared with the JAX network; if one differs by more than
1e-4 (with FP16 weights 5e-3), nothing is written and the exit status is 3. verify.Verifier.check
says what holds for networks that float32 does not determine to 1e-4. Forms in eight bits are
measured on the photos that they are calibrated on: with true alphas the mean absolute difference
may grow by --max_mad_drop, without them the mean difference from the network may be 0.005; one that
loses more ends with exit status 3.
"""

import sys
from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'Checkpoint directory, or the name of weights that ship.', required=True
)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder to make.', required=True)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace an export that lies there already.')
_FORMATS = flags.DEFINE_list(
    'formats',
    ['pb', 'onnx', 'openvino', 'litert'],
    'Some of pb, onnx, openvino, litert, web; web needs npm, which fetches ONNX Runtime Web.',
)
_HEIGHT = flags.DEFINE_integer('height', None, "Pixels; default: the network's input size.")
_WIDTH = flags.DEFINE_integer('width', None, "Pixels; default: the network's input size.")
_BATCH_SIZE = flags.DEFINE_integer(
    'batch_size', 1, 'The number of images that an artefact takes at once.'
)
_PRECISION = flags.DEFINE_list(
    'precision',
    ['fp32'],
    'Some of fp32 (model.onnx, ...), fp16 (model_fp16.onnx, ...: weights in half precision) and '
    'int8 (model_int8.onnx, ...: computed in eight bits); the frozen graph is float32.',
)
_CALIBRATION_IMAGES = flags.DEFINE_string(
    'calibration_images',
    None,
    'Folder of photos like those that will be matted, for int8; 300 at most are used.',
)
_CALIBRATION_ALPHAS = flags.DEFINE_string(
    'calibration_alphas',
    None,
    'Folder of their true alphas, whose errors then bound what int8 costs; with them the IR too '
    'keeps in floating point what costs too much.',
)
_MAX_MAD_DROP = flags.DEFINE_float(
    'max_mad_drop',
    None,
    'By how much int8 may raise the mean absolute difference from the true alphas. Default: '
    '0.0005.',
)
_SCALING = flags.DEFINE_bool(
    'scaling',
    True,
    "Scale [0, 255] to the network's range inside the graph; --noscaling leaves that to AIPP.",
)
_EMBED_PREPROCESSING = flags.DEFINE_enum(
    'embed_preprocessing',
    None,
    ['RGB', 'BGR'],
    'Also write model_uint8.xml, which takes uint8 frames of any size in this order of colours '
    'and resizes them itself; it computes in float32, whatever --precision says.',
)
_INPUT_NAME = flags.DEFINE_string('input_name', 'input', 'Name of the input node.')
_OUTPUT_NAME = flags.DEFINE_string('output_name', 'output', 'Name of the output node.')
_VERIFY = flags.DEFINE_bool('verify', True, 'Compare every artefact with the JAX network.')
_PHOTOS = flags.DEFINE_string(
    'photos',
    None,
    'Photo, or folder of photos (the first 8), to compare on; default: two of scikit-image.',
)
_SOC_VERSION = flags.DEFINE_string(
    'soc_version', None, 'Ascend chip, such as Ascend310: ATC converts for it.'
)
_ONNXRUNTIME_WEB = flags.DEFINE_string(
    'onnxruntime_web', None, 'The npm package for web, a .tgz file, where npm cannot fetch it.'
)
command_line.define_compilation_cache()


def main() -> int:
    # Imported here, so that --help and wrong flags answer at once.
    from exporters.manifest import format_manifest
    from exporters.options import ExportOptions
    from exporters.pipeline import export_checkpoint
    from exporters.tensorflow_graph.freezing import check_tools
    from exporters.verify import VerificationError

    check_tools()
    options = ExportOptions(
        formats=tuple(_FORMATS.value),
        height=_HEIGHT.value,
        width=_WIDTH.value,
        batch_size=_BATCH_SIZE.value,
        precisions=tuple(_PRECISION.value),
        scaling_inside=_SCALING.value,
        embed_preprocessing=_EMBED_PREPROCESSING.value,
        input_name=_INPUT_NAME.value,
        output_name=_OUTPUT_NAME.value,
        verify=_VERIFY.value,
        photos=_find_photos(_PHOTOS.value),
        calibration_images=_to_path(_CALIBRATION_IMAGES.value),
        calibration_alphas=_to_path(_CALIBRATION_ALPHAS.value),
        max_mad_drop=_MAX_MAD_DROP.value,
        soc_version=_SOC_VERSION.value,
        onnxruntime_web=_to_path(_ONNXRUNTIME_WEB.value),
    )
    try:
        manifest = export_checkpoint(
            _CHECKPOINT.value, _OUTPUT.value, options, overwrite=_OVERWRITE.value
        )
    except VerificationError as error:
        print(f'error: {error}; nothing was written', file=sys.stderr)
        return 3
    print(format_manifest(manifest))
    if _SOC_VERSION.value and 'ascend' in manifest:
        print(f'model.om: {manifest["ascend"]["om"]}')
    print(f'results in {_OUTPUT.value}')
    return 0


def _to_path(value: str | None) -> Path | None:
    return None if value is None else Path(value)


def _find_photos(path: str | None) -> tuple[Path, ...]:
    from mattingjax.errors import MattingError
    from mattingjax.images import find_images

    if path is None:
        return ()
    photos = find_images(Path(path)) if Path(path).is_dir() else [Path(path)]
    if not photos:
        raise MattingError(f'{path}: holds no picture')
    return tuple(photos)
