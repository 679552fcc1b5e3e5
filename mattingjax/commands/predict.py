"""Mattes photos, folders of photos, or standard input.

  mattingjax predict photo.jpg --output out
  mattingjax predict photos/ more/*.png --output out --background=white --checkpoint CKPT
  mattingjax predict - < photo.jpg > cutout.png

For each photo `out` gets NAME_alpha.png, NAME_cutout.png, NAME_panel.png (photo, alpha and cut-out
side by side) and, with --background, NAME_composite.png. In a folder, and of several photos, bad
files are reported and skipped; the exit status is 2 if no photo could be matted.
"""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from mattingjax.errors import ImageError, MattingError
from mattingjax.process import command_line

if TYPE_CHECKING:
    from mattingjax.inference import Predictor
    from mattingjax.inference.folders import Outputs

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint',
    'modnet_p',
    'Checkpoint directory, the name of weights that ship, or an artefact (.xml, .onnx, .pb).',
)
_INPUT = flags.DEFINE_string(
    'input',
    None,
    'A photo, a folder (searched recursively), or - for stdin: the same as without --input.',
)
_OUTPUT = flags.DEFINE_string(
    'output', None, 'Folder of the results; not for standard input. Default: out.'
)
_BACKGROUND = flags.DEFINE_string(
    'background', None, "A colour ('white', '#00b140') or a picture; makes composites too."
)
_KINDS = flags.DEFINE_list(
    'outputs',
    None,
    'Which of alpha, cutout, composite, panel. Default: alpha, cutout, panel, and composite with '
    '--background. For standard input exactly one: cutout, or composite with --background.',
)
_FOREGROUND = flags.DEFINE_bool(
    'foreground', True, 'Estimate foreground colours, so that hair carries no old background.'
)
_RUNTIME = flags.DEFINE_enum(
    'runtime',
    None,
    ['jax', 'openvino', 'onnxruntime', 'tensorflow'],
    'What runs the network: jax for a checkpoint; openvino, onnxruntime or tensorflow for an '
    'artefact. Default: the one that suits it.',
)
_INPUT_SIZE = command_line.define_input_size()
command_line.define_compilation_cache()


def main(words: list[str]) -> int:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.images.compositing import Background
    from mattingjax.inference import create_predictor, folders
    from mattingjax.process.files import check_folder

    sources = _find_sources(words)
    is_stream = sources == ['-']
    background = Background(_BACKGROUND.value) if _BACKGROUND.value else None
    kinds = _KINDS.value
    if kinds is None:
        kinds = _default_kinds(is_stream, background is not None)
    outputs = folders.Outputs(tuple(kinds), background, _FOREGROUND.value)
    if is_stream and len(kinds) != 1:
        raise MattingError(
            f'--outputs: expected one kind for standard input, got {",".join(kinds)}'
        )
    target = Path(_OUTPUT.value or 'out')
    if not is_stream:
        check_folder(target)
        _check_clashes(sources, target)
    predictor = create_predictor(_CHECKPOINT.value, _RUNTIME.value, input_size=_INPUT_SIZE.value)

    if is_stream:
        (content,) = folders.matte_bytes(predictor, sys.stdin.buffer.read(), outputs).values()
        sys.stdout.buffer.write(content)
        return 0
    return _matte(predictor, [Path(source) for source in sources], target, outputs)


def _find_sources(words: list[str]) -> list[str]:
    """The photos and folders to matte, all of which exist, or '-' alone for standard input."""
    given = [] if _INPUT.value is None else [_INPUT.value]
    for word in words:
        # Shells of Windows leave patterns to the command.
        found = [] if os.path.exists(word) else sorted(glob.glob(word))
        given += found or [word]
    if not given:
        raise MattingError('--input: a value is required, or paths without it (see --help)')
    if '-' in given:
        if len(given) > 1:
            raise MattingError('-: expected standard input alone, got other photos beside it')
        if _OUTPUT.value:
            raise MattingError(
                '--output: not with standard input, whose result goes to standard output'
            )
        return given
    for source in given:
        if not os.path.exists(source):
            raise MattingError(f'{source or "an empty path"}: no such file or folder')
        if not os.path.isfile(source) and not os.path.isdir(source):
            raise MattingError(f'{source}: neither a file nor a folder (streams: -)')
    return given


def _default_kinds(one: bool, has_background: bool) -> list[str]:
    if one:
        return ['composite' if has_background else 'cutout']
    return ['alpha', 'cutout', 'panel', *(['composite'] if has_background else [])]


def _check_clashes(sources: list[str], target: Path) -> None:
    """Raises MattingError if photos of two inputs would have the same results."""
    owners: dict[str, str] = {}
    for source in sources if len(sources) > 1 else ():
        for name in _find_names(Path(source), target):
            key = os.path.normcase(name)
            if key in owners:
                raise MattingError(
                    f'{source}: would have the same results as {owners[key]}: {target / name}_*.png'
                )
            owners[key] = source


def _find_names(source: Path, target: Path) -> Iterator[Path]:
    """Paths of the results of an input in the folder of the results, without their endings."""
    from mattingjax.images import list_folder

    if source.is_file():
        yield Path(source.stem)
        return
    photos = list_folder(source, leave_out=target).images
    stems = Counter(photo.with_suffix('') for photo in photos)
    for photo in photos:
        name = photo if stems[photo.with_suffix('')] > 1 else photo.with_suffix('')
        yield name.relative_to(source)


def _matte(predictor: Predictor, sources: list[Path], target: Path, outputs: Outputs) -> int:
    """Mattes one input after another; the exit status."""
    from mattingjax.inference import folders
    from mattingjax.process.progress import say

    matted = 0
    for source in sources:
        try:
            if source.is_file():
                files = folders.matte_file(predictor, source, target / source.stem, outputs)
                print(*files, sep='\n')
                matted += 1
            else:
                summary = folders.matte_folder(predictor, source, target, outputs)
                print(f'{summary.describe()}; results in {target}')
                matted += len(summary.matted)
        except ImageError as error:
            if len(sources) == 1:
                raise
            say(f'skipped: {error}')
    return 0 if matted else 2
