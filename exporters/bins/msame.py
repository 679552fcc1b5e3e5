"""Runs an artefact on .bin files as Ascend's msame runs an OM model on a card.

msame reads the files of the input folder in the order of their names. Each must have as many bytes
as the model's input, and its output goes to TIMESTAMP/STEM_output_0.bin or .txt below the output
folder. Without inputs the model runs on zeros, to measure the time alone; then, and for a single
file, the output is named after the model. A .txt holds the values in reading order, a blank after
each, a hundred to a line; msame writes six digits, we nine, which lose nothing.

References:
  https://gitee.com/ascend/tools, folder msame.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exporters.bins.files import read_values
from exporters.bins.index import IMAGES_FOLDER, INDEX_FILE, Index, Layout, read_index
from exporters.bins.outputs import OUTPUT_SUFFIX, check_name
from mattingjax.errors import ArtefactError, MattingError, OutputError
from mattingjax.inference.sessions import READERS, Session, create_session
from mattingjax.inference.signature import check_numbers, read_signature
from mattingjax.process.files import check_folder, make_folder
from mattingjax.process.reading import explain_absence
from mattingjax.process.scratch import scratch_errors, scratch_folder_in

FORMATS = ('BIN', 'TXT')
_VALUES_PER_LINE = 100


class Summary(NamedTuple):
    """The result of a run.

    Attributes:
      folder: The folder of the outputs.
      milliseconds: Duration of each inference.
    """

    folder: Path
    milliseconds: list[float]


def run_bins(
    model: Path,
    source: Path | None,
    output: Path,
    *,
    outfmt: str = 'BIN',
    loop: int = 1,
    runtime: str | None = None,
) -> Summary:
    """Runs an artefact on .bin files; writes of it to standard output in msame's words.

    Args:
      model: A `.pb`, `.onnx`, `.xml` or `.tflite` file of one input and one output.
      source: A folder of .bin files, one such file, or None for zeros. Files that `prepare_bins`
        wrote must still agree with its index.
      output: The folder in which the folder of the results is made, which is named by the time and
        appears when it is complete.
      outfmt: Format of the results, 'BIN' or 'TXT'.
      loop: How often each file is run, at least 1.
      runtime: 'openvino', 'onnxruntime', 'tensorflow' or 'litert'; the default for the kind of
        file if None.

    Raises:
      ArtefactError: The artefact is missing, damaged or cannot be run.
      MattingError: The format is unknown, there are no inputs, or an input is damaged or of
        another size.
      OutputError: The results cannot be written.
    """
    if outfmt not in FORMATS:
        raise MattingError(f'outfmt: expected one of {", ".join(FORMATS)}, got {outfmt!r}')
    check_folder(output)
    files, index = _find_inputs(source), _find_index(source)
    for path in files:
        if path != source:
            check_name(path.stem)
    session = create_session(model, runtime)
    shape = _choose_shape(model, session, index)
    if index is not None:
        _check_layout(model, session, index.layout)
    for _ in _load_inputs(files, shape, session.input_dtype, index):
        pass  # so that a bad file shows before hours of inference, not after them
    print(f'[INFO] load model {model} success')
    print(f'[INFO] device {_name_device(model, runtime)}')
    stamp = time.strftime('%Y%m%d_%H%M%S')
    milliseconds: list[float] = []
    make_folder(output)
    with scratch_folder_in(output) as scratch:
        results = scratch / stamp
        make_folder(results)
        for file, values in _load_inputs(files, shape, session.input_dtype, index):
            print(f'[INFO] start to process file:{file}' if file else '[INFO] input all zeros')
            outcome, taken = _infer(session, values, loop)
            milliseconds += taken
            check_numbers(model, outcome)
            stem = file.stem if file and source != file else model.stem
            with scratch_errors(output / stamp, results):
                _write_output(results, f'{stem}{OUTPUT_SUFFIX}', outcome, outfmt)
        folder = _rename(results, output)
    print('[INFO] output data success')
    print(f'Inference average time: {np.mean(milliseconds):.6f} ms')
    if len(milliseconds) > 1:
        print(f'Inference average time without first time: {np.mean(milliseconds[1:]):.6f} ms')
    return Summary(folder, milliseconds)


def _infer(session: Session, values: np.ndarray, loop: int) -> tuple[np.ndarray, list[float]]:
    """Runs one input several times; returns the last output, and the milliseconds of each run."""
    milliseconds = []
    for _ in range(loop):
        start = time.perf_counter()
        outcome = session(values)
        milliseconds.append((time.perf_counter() - start) * 1e3)
        print(f'Inference time: {milliseconds[-1]:.3f}ms', flush=True)
    return outcome, milliseconds


def format_values(values: np.ndarray) -> str:
    """Formats floats as msame's TXT, with enough digits to read the same values back."""
    words = [f'{value:.9g} ' for value in values.ravel().tolist()]
    lines = (words[i : i + _VALUES_PER_LINE] for i in range(0, len(words), _VALUES_PER_LINE))
    return ''.join(''.join(line) + '\n' for line in lines)


def _find_inputs(source: Path | None) -> list[Path]:
    """The .bin files in the order of their names; none at all for zeros."""
    if source is None:
        return []
    # Those of pathlib raise where a folder above may not be searched.
    if os.path.isfile(source):
        return [source]
    if not os.path.isdir(source):
        raise MattingError(f'{source}: {explain_absence(source, "file or folder")}')
    files = sorted(source.glob('[!.]*.bin'))
    if not files:
        hint = f' (prepare wrote them to {source / IMAGES_FOLDER})'
        raise MattingError(
            f'{source}: holds no .bin file' + (hint if (source / INDEX_FILE).is_file() else '')
        )
    return files


def _find_index(source: Path | None) -> Index | None:
    """The index of the inputs, if `prepare_bins` wrote them."""
    if source is None:
        return None
    folder = (source.parent if source.is_file() else source).absolute()
    prepared = folder.name == IMAGES_FOLDER and (folder.parent / INDEX_FILE).is_file()
    return read_index(folder.parent) if prepared else None


def _choose_shape(model: Path, session: Session, index: Index | None) -> tuple[int, ...]:
    """The shape of one input; that of the index where the artefact takes any size."""
    shape = tuple(session.input_shape)
    if None in shape[1:] and index is not None:
        shape = index.layout.input_shape
    shape = (shape[0] or 1, *shape[1:])
    if None in shape:
        raise ArtefactError(
            f'{model}: takes any size, {list(shape)}; expected a static one, or inputs of '
            'mattingjax bins prepare'
        )
    return tuple(size or 1 for size in shape)


def _check_layout(model: Path, session: Session, layout: Layout) -> None:
    """Raises ArtefactError unless the inputs were prepared for such an artefact."""
    found = (layout.input_shape, layout.input_dtype)
    shape = tuple(
        wanted or side for wanted, side in zip(session.input_shape, found[0], strict=True)
    )
    expected = (shape, str(session.input_dtype))
    if found != expected:
        raise ArtefactError(
            f'{model}: expected inputs {expected[1]} {list(expected[0])}, found {found[1]} '
            f'{list(found[0])} in the {INDEX_FILE} of them'
        )
    try:
        signature = read_signature(model, session.metadata)
    except ArtefactError:
        return  # other programs' artefacts have none, and can be run without it
    wanted, given = signature.encoding(layout.input_dtype), layout.encoding
    if given != wanted:
        raise ArtefactError(
            f'{model}: expected inputs with mean {wanted.mean}, std {wanted.std}, '
            f'{wanted.colour_order}, found mean {given.mean}, std {given.std}, '
            f'{given.colour_order} in the {INDEX_FILE} of them'
        )


def _load_inputs(
    files: list[Path], shape: tuple[int, ...], dtype: np.dtype, index: Index | None
) -> Iterator[tuple[Path | None, np.ndarray]]:
    """Each file with its values, which are checked; or zeros if there are no files."""
    if not files:
        yield None, np.zeros(shape, dtype)
    hashes = (
        {Path(item.image_file).name: item.image_sha256 for item in index.items} if index else {}
    )
    for file in files:
        if index is not None and file.name not in hashes:
            raise MattingError(f'{file}: the {INDEX_FILE} beside its folder does not know it')
        values = read_values(file, shape, dtype, 'the input of the model', hashes.get(file.name))
        yield file, values


def _name_device(model: Path, runtime: str | None) -> str:
    runtime = runtime or READERS[model.suffix][0]
    device = 'CPU'
    if runtime == 'tensorflow':
        import tensorflow as tf

        device = 'GPU' if tf.config.list_physical_devices('GPU') else 'CPU'
    return f'{device} ({runtime}), not a card of Ascend'


def _write_output(folder: Path, stem: str, values: np.ndarray, outfmt: str) -> None:
    if outfmt == 'TXT':
        (folder / f'{stem}.txt').write_text(format_values(values), encoding='ascii')
    else:
        (folder / f'{stem}.bin').write_bytes(values.tobytes())


def _rename(results: Path, output: Path) -> Path:
    """Moves the results to the output folder; adds a number if another run had the same time."""
    folder, count = output / results.name, 0
    while True:
        try:
            return results.rename(folder)
        except OSError as error:
            if not folder.exists():
                raise OutputError(f'{folder}: cannot be written ({error.strerror})') from error
            count += 1
            folder = output / f'{results.name}_{count}'
