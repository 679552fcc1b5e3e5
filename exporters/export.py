"""Exports a checkpoint: frozen TensorFlow graph, ONNX, OpenVINO IR, and the kit for Ascend's ATC.

  python -m exporters.export --checkpoint CKPT --output DIR
  python -m exporters.export --checkpoint CKPT --output DIR --formats openvino --precision fp32,fp16
  python -m exporters.export --checkpoint CKPT --output DIR --height 288 --width 512

DIR gets model.pb with the files for Ascend beside it, model.onnx (of the size given) and
model_dynamic.onnx (of any size), model.xml and model.bin, manifest.json, and verification.png.
Artefacts take RGB photos, float32 [N, H, W, 3] in [0, 255], unless flags say otherwise, and give
alpha [N, H, W, 1] in [0, 1]. Each is compared with the JAX network; if one differs by more than
1e-4 (FP16 weights: 5e-3; for networks that float32 does not determine so far, see
verify.Verifier.check), nothing is written and the exit status is 3.
"""

from __future__ import annotations

import concurrent.futures
import functools
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from exporters import openvino_ir, verify
from exporters.artefacts import (
    Artefact,
    run_atc,
    write_frozen_graph,
    write_onnx,
    write_openvino,
    write_openvino_uint8,
)
from exporters.ascend import kit as ascend_kit
from exporters.folding import fold_batch_norm, fold_scaling, without_scaling
from exporters.frozen_graph import check_tools, create_frozen_graph
from exporters.manifest import (
    create_manifest,
    describe_network,
    format_manifest,
    spare_other_files,
)
from exporters.onnx_graph.conversion import create_onnx
from exporters.options import FORMATS, ExportOptions, check_pixels
from mattingjax import Checkpoint, load_checkpoint
from mattingjax.errors import MattingError
from mattingjax.files import check_new_folder, new_folder
from mattingjax.images import encode_png, find_images
from mattingjax.inference.signature import MANIFEST_FILE, Signature
from mattingjax.networks import ModelConfig, check_size
from mattingjax.process import command_line
from mattingjax.process.progress import show_progress

_KIND = ('an export', MANIFEST_FILE)


def export_checkpoint(
    path_or_name: Path | str,
    output: Path | str,
    options: ExportOptions | None = None,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Exports a checkpoint, all of it or nothing; progress goes to standard error.

    Args:
      path_or_name: A checkpoint directory, or the name of weights that ship.
      output: The folder to make.
      options: What to export; everything, of the network's input size, if None.
      overwrite: Whether an export that lies there already is replaced.

    Returns:
      The content of manifest.json.

    Raises:
      ToolsError: JAX is too new for graph export, or a package is missing.
      CheckpointError: There is no such checkpoint, or it is damaged.
      ConfigError: Height or width is no multiple of the network's stride.
      OutputError: The folder cannot be written, or something lies there already.
      VerificationError: An artefact differs from the JAX network.
    """
    check_tools()
    options = options or ExportOptions()
    check_new_folder(Path(output), *_KIND, overwrite=overwrite)
    spare_other_files(Path(output))
    checkpoint = load_checkpoint(path_or_name)
    config = checkpoint.config
    height, width = (
        config.input_size if side is None else side for side in (options.height, options.width)
    )
    check_size(config, height, width, 'export')
    check_pixels(options.batch_size, height, width)
    if 'pb' in options.formats:
        ascend_kit.check_kit_size(height, width)
    shape = (options.batch_size, height, width, 3)
    photos = verify.load_photos(options.photos)
    with (
        new_folder(Path(output), *_KIND, overwrite=overwrite) as folder,
        show_progress(total=_count_steps(options), unit='step') as bar,
    ):

        def step(description: str) -> None:
            bar.set_description_str(description)
            bar.update()

        cases = None
        if options.verify:
            # XLA compiles the network for comparison while TensorFlow traces it.
            cases = _start(verify.create_cases, checkpoint, photos, shape[:3])
        artefacts, notes = _write_artefacts(folder, checkpoint, shape, options, cases, step)
        parities: dict[str, Any] = {}
        if cases is not None:
            step('comparing with the network')
            parities, sheet = verify.verify_artefacts(checkpoint, artefacts, cases.result())
            (folder / 'verification.png').write_bytes(encode_png(sheet))
        entries = {
            artefact.path.name: artefact.describe(parities.get(artefact.path.name))
            for artefact in artefacts
        }
        manifest = create_manifest(checkpoint, entries, notes)
        (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + '\n')
        step('done')
    return manifest


def _needs_onnx(options: ExportOptions) -> bool:
    return not {'onnx', 'openvino'}.isdisjoint(options.formats)


def _count_steps(options: ExportOptions) -> int:
    """How many steps an export shows: three that each has, and those that are asked for."""
    return 3 + _needs_onnx(options) + ('openvino' in options.formats) + options.verify


def _start(function: Callable[..., Any], *arguments: Any) -> concurrent.futures.Future[Any]:
    """Calls a function in a thread that Ctrl-C and errors elsewhere need not wait for."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _write_artefacts(
    folder: Path,
    checkpoint: Checkpoint,
    shape: tuple[int, int, int, int],
    options: ExportOptions,
    cases: concurrent.futures.Future[verify.Cases] | None,
    step: Callable[[str], None],
) -> tuple[list[Artefact], dict[str, Any]]:
    """The road from a checkpoint to its files; returns them, and notes for the manifest."""
    config, network = checkpoint.config, describe_network(checkpoint)
    signature = _signature(config, shape, options)
    ends = options.input_name, options.output_name
    artefacts: list[Artefact] = []
    notes = {}

    step('folding constants')
    variables = fold_batch_norm(config, checkpoint.variables)
    if options.scaling_inside:
        folded, variables = fold_scaling(config, variables)
    else:
        folded = without_scaling(config)

    step('tracing to TensorFlow')
    graph = create_frozen_graph(folded, variables, shape, *ends)
    if 'pb' in options.formats:
        artefact, kit = write_frozen_graph(folder, graph, signature, config.preprocessing)
        artefacts.append(artefact)
        notes['ascend'] = run_atc(folder, kit, options.soc_version)

    if _needs_onnx(options):
        step('converting to ONNX')
        model = create_onnx(graph, *ends)
    if 'onnx' in options.formats:
        artefacts += write_onnx(folder, model, signature, network)

    if 'openvino' in options.formats:
        step('converting to OpenVINO')
        measure = None
        if cases is not None:
            measure = functools.partial(
                verify.worst_difference, cases=cases.result()[shape[:3]], signature=signature
            )
        artefacts += write_openvino(folder, model, signature, network, options.precisions, measure)
        if order := options.embed_preprocessing:
            artefacts.append(write_openvino_uint8(folder, model, signature, network, order))
    return artefacts, notes


def _signature(
    config: ModelConfig, shape: tuple[int, int, int, int], options: ExportOptions
) -> Signature:
    return Signature(
        input_name=options.input_name,
        output_name=options.output_name,
        shape=shape,
        dtype='float32',
        scaling_inside=options.scaling_inside,
        colour_order='RGB',
        resize_inside=False,
        input_size=config.input_size,
        preprocessing=config.preprocessing,
    )


def _define_flags() -> None:
    # In a function: other programs import this module and have flags of their own.
    flags.DEFINE_string(
        'checkpoint', None, 'Checkpoint directory, or the name of weights that ship.', required=True
    )
    flags.DEFINE_string('output', None, 'Folder to make.', required=True)
    flags.DEFINE_bool('overwrite', False, 'Replace an export that lies there already.')
    flags.DEFINE_list('formats', list(FORMATS), f'Some of {", ".join(FORMATS)}.')
    flags.DEFINE_integer('height', None, "Pixels; default: the network's input size.")
    flags.DEFINE_integer('width', None, "Pixels; default: the network's input size.")
    flags.DEFINE_integer('batch_size', 1, 'Images at once.')
    flags.DEFINE_list(
        'precision',
        ['fp32'],
        'Weights of the IR: fp32 (model.xml), fp16 (model_fp16.xml), or both.',
    )
    flags.DEFINE_bool(
        'scaling',
        True,
        "Scale [0, 255] to the network's range inside the graph; --noscaling leaves it to AIPP.",
    )
    flags.DEFINE_enum(
        'embed_preprocessing',
        None,
        list(openvino_ir.COLOUR_ORDERS),
        'Also write model_uint8.xml, which takes uint8 frames of any size in this order of colours '
        'and resizes them itself.',
    )
    flags.DEFINE_string('input_name', 'input', 'Name of the input node.')
    flags.DEFINE_string('output_name', 'output', 'Name of the output node.')
    flags.DEFINE_bool('verify', True, 'Compare every artefact with the JAX network.')
    flags.DEFINE_string(
        'photos',
        None,
        f'Photo, or folder of photos (the first {verify.MAX_PHOTOS}), to compare on; default: two '
        'of scikit-image.',
    )
    flags.DEFINE_string('soc_version', None, 'Ascend chip (Ascend310, say) to run ATC for, too.')
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
    except verify.VerificationError as error:
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
