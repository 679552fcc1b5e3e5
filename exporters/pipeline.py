"""The road from a checkpoint to a folder of artefacts, each compared with the JAX network."""

from __future__ import annotations

import concurrent.futures
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import logging

from exporters.artefacts import Artefact
from exporters.ascend.kit import check_kit_size
from exporters.cases import Case, Cases, create_cases, load_photos
from exporters.manifest import create_manifest, describe_network, spare_other_files
from exporters.onnx_graph.conversion import create_onnx
from exporters.options import ExportOptions, check_pixels
from exporters.precision.calibration import FEW_PHOTOS, Calibration, open_calibration
from exporters.tensorflow_graph.folding import fold_batch_norm, fold_scaling, without_scaling
from exporters.tensorflow_graph.freezing import check_tools, create_frozen_graph
from exporters.verify import verify_artefacts
from exporters.web.runtime import load_runtime
from exporters.writers.frozen_graph_files import convert_with_atc, write_frozen_graph
from exporters.writers.job import Job
from exporters.writers.litert_files import write_litert
from exporters.writers.onnx_files import write_onnx
from exporters.writers.openvino_files import write_openvino, write_openvino_uint8
from exporters.writers.web_files import write_web
from mattingjax import Checkpoint, load_checkpoint
from mattingjax.images import encode_png
from mattingjax.inference.signature import MANIFEST_FILE, Signature
from mattingjax.networks import ModelConfig, check_size
from mattingjax.process.files import check_new_folder, new_folder
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
      options: What to export; all formats at the network's input size if None.
      overwrite: Whether an export that lies there already is replaced.

    Returns:
      The content of manifest.json.

    Raises:
      ToolsError: JAX is too new for graph export, or a package is missing.
      MattingError: ONNX Runtime Web cannot be had.
      CheckpointError: There is no such checkpoint, or it is damaged.
      ConfigError: Height or width is no multiple of the network's stride.
      RecordError: A photo to calibrate on, or its alpha, cannot be read.
      OutputError: The folder cannot be written, or something lies there already.
      VerificationError: An artefact differs from the JAX network, or eight bits cost it too much.
    """
    check_tools()
    options = options or ExportOptions()
    check_new_folder(Path(output), *_KIND, overwrite=overwrite)
    spare_other_files(Path(output))
    checkpoint = load_checkpoint(path_or_name)
    name = Path(os.path.abspath(path_or_name)).name
    signature = _sign(checkpoint.config, options)
    photos = load_photos(options.photos)
    runtime = load_runtime(options.onnxruntime_web) if 'web' in options.formats else None
    calibration = _load_calibration(checkpoint, signature, options)
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
            cases = _start(create_cases, checkpoint, photos, signature.shape[:3])
        artefacts, notes = _write_artefacts(
            folder, name, checkpoint, signature, options, cases, calibration, runtime, step
        )
        entries = _verify(folder, checkpoint, artefacts, cases, calibration, step)
        if calibration is not None:
            notes['calibration'] = calibration.describe()
        manifest = create_manifest(checkpoint, entries, notes)
        (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + '\n')
        step('done')
    return manifest


def _verify(
    folder: Path,
    checkpoint: Checkpoint,
    artefacts: list[Artefact],
    cases: concurrent.futures.Future[Cases] | None,
    calibration: Calibration | None,
    step: Callable[[str], None],
) -> dict[str, Any]:
    """Compares the artefacts with the network, if there are cases; returns their entries."""
    if cases is None:
        return {artefact.name: artefact.describe(None) for artefact in artefacts}
    step('comparing with the network')
    parities, losses, sheet = verify_artefacts(checkpoint, artefacts, cases.result(), calibration)
    (folder / 'verification.png').write_bytes(encode_png(sheet))
    return {
        artefact.name: artefact.describe(parities[artefact.name], losses.get(artefact.name))
        for artefact in artefacts
    }


def _choose_shape(config: ModelConfig, options: ExportOptions) -> tuple[int, int, int, int]:
    """The shape of the input; raises MattingError unless the network and every format take it."""
    height, width = (
        config.input_size if side is None else side for side in (options.height, options.width)
    )
    check_size(config, height, width, 'export')
    check_pixels(options.batch_size, height, width)
    if 'pb' in options.formats:
        check_kit_size(height, width)
    return options.batch_size, height, width, 3


def _load_calibration(
    checkpoint: Checkpoint, signature: Signature, options: ExportOptions
) -> Calibration | None:
    """The photos for eight bits; None where nothing is in eight bits."""
    if options.calibration_images is None:
        return None
    records = open_calibration(options.calibration_images, options.calibration_alphas)
    calibration = Calibration(checkpoint, records, signature, options.max_mad_drop)
    if len(records) < FEW_PHOTOS:
        logging.warning(
            '%s: photos to calibrate on: expected %d or more, of all kinds, found %d',
            options.calibration_images,
            FEW_PHOTOS,
            len(records),
        )
    return calibration


def _needs_onnx(options: ExportOptions) -> bool:
    return not {'onnx', 'openvino', 'web'}.isdisjoint(options.formats)


def _count_steps(options: ExportOptions) -> int:
    """The number of steps that the progress bar shows: three always, and the optional ones."""
    converted = {'openvino', 'litert'}.intersection(options.formats)
    return 3 + _needs_onnx(options) + len(converted) + options.verify


def _start(function: Callable[..., Any], *arguments: Any) -> concurrent.futures.Future[Any]:
    """Calls a function in a thread for which neither Ctrl-C nor an error elsewhere waits."""
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
    name: str,
    checkpoint: Checkpoint,
    signature: Signature,
    options: ExportOptions,
    cases: concurrent.futures.Future[Cases] | None,
    calibration: Calibration | None,
    runtime: dict[str, bytes] | None,
    step: Callable[[str], None],
) -> tuple[list[Artefact], dict[str, Any]]:
    """Writes all files that are asked for; returns them, and notes for the manifest."""
    shape = signature.shape
    ends = options.input_name, options.output_name
    artefacts: list[Artefact] = []
    notes = {}

    step('folding constants')
    folded, variables = _fold(checkpoint, options)

    step('tracing to TensorFlow')
    graph = create_frozen_graph(folded, variables, shape, *ends)
    if 'pb' in options.formats:
        artefact, kit_files = write_frozen_graph(folder, graph, signature)
        artefacts.append(artefact)
        notes['ascend'] = convert_with_atc(folder, kit_files, options.soc_version)

    if _needs_onnx(options):
        step('converting to ONNX')
        model = create_onnx(graph, *ends)

    def at_size() -> list[Case]:
        assert cases is not None, 'ExportOptions demands verification for what is measured'
        return cases.result()[shape[:3]]

    network = describe_network(checkpoint)
    job = Job(folder, graph, signature, network, options, name, at_size, calibration)
    if 'onnx' in options.formats:
        artefacts += write_onnx(job, model)
    if 'openvino' in options.formats:
        step('converting to OpenVINO')
        artefacts += write_openvino(job, model)
        if options.embed_preprocessing:
            artefacts.append(write_openvino_uint8(job, model))
    if 'litert' in options.formats:
        step('converting to LiteRT')
        artefacts += write_litert(job)
    if runtime is not None:
        artefact, notes['web'] = write_web(job, model, runtime)
        artefacts.append(artefact)
    return artefacts, notes


def _fold(checkpoint: Checkpoint, options: ExportOptions) -> tuple[ModelConfig, Any]:
    """The network and its variables with constants folded into the convolutions."""
    config = checkpoint.config
    variables = fold_batch_norm(config, checkpoint.variables)
    if options.scaling_inside:
        return fold_scaling(config, variables)
    return without_scaling(config), variables


def _sign(config: ModelConfig, options: ExportOptions) -> Signature:
    """How the artefacts of one size are fed; raises as `_choose_shape` does."""
    return Signature(
        input_name=options.input_name,
        output_name=options.output_name,
        shape=_choose_shape(config, options),
        dtype='float32',
        scaling_inside=options.scaling_inside,
        colour_order='RGB',
        resize_inside=False,
        input_size=config.input_size,
        preprocessing=config.preprocessing,
    )
