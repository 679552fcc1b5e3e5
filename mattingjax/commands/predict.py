"""Mattes photos, folders of photos, or standard input.

  mattingjax predict photo.jpg --output out
  mattingjax predict photos/ more/*.png --output out --background=white --checkpoint CKPT
  mattingjax predict - < photo.jpg > cutout.png

For each photo `out` gets NAME_alpha.png, NAME_cutout.png, NAME_panel.png (photo, alpha and cut-out
side by side) and, with --background, NAME_composite.png. In a folder, and of several photos, bad
files are reported and skipped; the exit status is 2 if one that was named could not be matted, or
none at all. Weights that ship run in ONNX Runtime, without JAX.
"""

from __future__ import annotations

import glob
import os
import sys
from pathlib import Path

from absl import flags

from mattingjax.commands.network import Network
from mattingjax.commands.pictures import Pictures
from mattingjax.errors import MattingError
from mattingjax.process import command_line
from mattingjax.process.reading import explain_absence

_NETWORK = Network()
_INPUT = flags.DEFINE_multi_string(
    'input',
    None,
    'A photo, a folder (searched recursively), or - for stdin: the same as without --input.',
)
_OUTPUT = flags.DEFINE_string(
    'output', None, 'Folder of the results; not for standard input. Default: out.'
)
_PICTURES = Pictures(
    'alpha, cutout, panel, and composite with --background. For standard input exactly one: '
    'cutout, or composite with --background.'
)
_SKIP_EXISTING = flags.DEFINE_bool(
    'skip_existing', False, 'Leave out photos all of whose results lie in --output already.'
)
command_line.define_compilation_cache(may_spare_jax=True)


def main(words: list[str]) -> int:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.inference import folders
    from mattingjax.inference.jobs import list_jobs
    from mattingjax.process.progress import say

    sources = _find_sources(words)
    is_stream = sources == ['-']
    outputs = _PICTURES.load(lambda has_background: _default_kinds(is_stream, has_background))
    if is_stream and len(outputs.kinds) != 1:
        raise MattingError(
            f'--outputs: expected one kind for standard input, got {",".join(outputs.kinds)}'
        )
    if is_stream and _SKIP_EXISTING.value:
        raise MattingError('--skip_existing: not with standard input, which leaves no files')
    if _OUTPUT.value == '':
        raise MattingError('--output: expected a folder, got an empty path')
    target = Path(_OUTPUT.value or 'out')
    paths = [] if is_stream else [Path(source) for source in sources]
    jobs, others = list_jobs(paths, target, outputs) if paths else ([], [])
    predictor = _NETWORK.load()
    by = _NETWORK.describe(predictor)

    if is_stream:
        if sys.stdin is None or sys.stdout is None:
            raise MattingError('-: standard input or standard output is closed')
        (content,) = folders.matte_bytes(predictor, sys.stdin.buffer.read(), outputs).values()
        sys.stdout.buffer.write(content)
        say(f'matted {by}')
        return 0
    alone = set(paths) == {job.path for job in jobs}  # photos that were named, and no folder
    if alone and len(jobs) == 1 and not _SKIP_EXISTING.value:
        _print_paths(folders.matte_file(predictor, *jobs[0], outputs))
        say(f'matted {by}')
        return 0
    summary = folders.matte_photos(
        predictor, jobs, outputs, others=others, skip_existing=_SKIP_EXISTING.value
    )
    if alone:
        _print_paths(summary.files)
    print(f'{summary.describe()}, {by}; results in {target}')
    # A photo that was named is asked for; one in a folder may be anything.
    missed = set(paths).intersection(path for path, _ in summary.skipped)
    return 2 if missed or not (summary.matted or summary.existing) else 0


def _print_paths(paths: list[Path]) -> None:
    for path in paths:
        print(path)


def _find_sources(words: list[str]) -> list[str]:
    """The photos and folders to matte, all of which exist, or '-' alone for standard input."""
    given = list(_INPUT.value or ())
    for word in words:
        # Shells of Windows leave patterns to the command.
        found = [] if os.path.exists(word) else sorted(glob.glob(word))
        given += found or [word]
    if not given:
        raise MattingError('--input: a value is required, or paths without it (see --help)')
    if '-' in given:
        if len(given) > 1:
            raise MattingError('-: expected standard input alone, got other photos beside it')
        if _OUTPUT.value is not None:
            raise MattingError(
                '--output: not with standard input, whose result goes to standard output'
            )
        return given
    for source in given:
        if not os.path.exists(source):
            raise MattingError(
                f'{source or "an empty path"}: {explain_absence(source, "file or folder")}'
            )
        if not os.path.isfile(source) and not os.path.isdir(source):
            raise MattingError(f'{source}: neither a file nor a folder (streams: -)')
    return given


def _default_kinds(one: bool, has_background: bool) -> list[str]:
    if one:
        return ['composite' if has_background else 'cutout']
    return ['alpha', 'cutout', 'panel', *(['composite'] if has_background else [])]
