"""Mattes the clip of one request, by `mattingjax video` in a process that can be ended."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fastapi import HTTPException

from mattingjax.errors import OutputError, VideoError
from mattingjax.inference.serving.bodies import BACKGROUND
from mattingjax.inference.serving.limits import Limits
from mattingjax.inference.serving.matting import load_background
from mattingjax.inference.serving.workers import Abandoned
from mattingjax.inference.video.sources import open_source
from mattingjax.process.interrupts import running
from mattingjax.process.scratch import scratch_folder

CLIP_TYPES = {'mp4': 'video/mp4', 'webm': 'video/webm'}
_GLANCE = 0.2  # seconds between two looks whether anybody waits
_NAME = 'video'  # of the part, and of its file
_STREAM = 'the stream: '  # what messages about an open file begin with


class Clip(NamedTuple):
    """A clip to matte.

    Attributes:
      content: The bytes of its file.
      kind: 'alpha', 'cutout' or 'composite'.
      background: A colour or 'blur', the bytes of a picture's file, or None.
      format: A key of `CLIP_TYPES`.
      source: The checkpoint or artefact, as `create_predictor` takes it.
      flags: Further flags of `mattingjax video`.
    """

    content: bytes
    kind: str
    background: str | bytes | None
    format: str
    source: str
    flags: Sequence[str]


def matte_clip(clip: Clip, limits: Limits, abandoned: threading.Event) -> bytes:
    """Mattes a clip.

    Args:
      clip: The clip, and what is made of it.
      limits: How long and how large it may be.
      abandoned: Is looked at now and then.

    Returns:
      The bytes of the result's file.

    Raises:
      HTTPException: It is no video (415), too long or too large (413), or cannot be matted (422);
        or so is its background. Or the disk is full (507).
      RuntimeError: The process failed for another reason.
      Abandoned: Nobody waits for the result any longer.
    """
    _check_clip(clip.content, limits)
    if isinstance(clip.background, bytes):
        load_background(clip.background, limits.max_megapixels * 1e6, abandoned)
    with _full_disk_as_answer(), scratch_folder() as folder:
        (folder / _NAME).write_bytes(clip.content)
        result = folder / f'result.{clip.format}'
        # A file may be longer than it says.
        command = [
            sys.executable, '-m', 'mattingjax', 'video', str(folder / _NAME),
            f'--output={result}', f'--kind={clip.kind}', f'--checkpoint={clip.source}',
            f'--duration={limits.max_clip_seconds:.3f}', *clip.flags,
        ]  # fmt: skip
        if isinstance(clip.background, bytes):
            (folder / BACKGROUND).write_bytes(clip.background)
            command.append(f'--background={folder / BACKGROUND}')
        elif clip.background is not None:
            command.append(f'--background={clip.background}')
        with running(command) as process:
            said = _wait(process, abandoned).replace(f'{folder}/', '')
        with contextlib.suppress(FileNotFoundError):  # what a damaged clip still has is a result
            return result.read_bytes()
        last = (said.splitlines() or [''])[-1]
        if process.returncode == 2 and last.startswith(f'error: {result.name}: '):
            raise OutputError(last)
    if process.returncode == 2 and last.startswith((f'error: {_NAME}: ', f'error: {BACKGROUND}: ')):
        raise HTTPException(422, last.removeprefix('error: '))
    raise RuntimeError(f'mattingjax video ended with {process.returncode}: {last}')


@contextlib.contextmanager
def _full_disk_as_answer() -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        raise HTTPException(507, 'the server has no room for clips') from error


def _check_clip(content: bytes, limits: Limits) -> None:
    """Raises HTTPException unless the clip is a video that is neither too long nor too large."""
    try:
        with open_source(io.BytesIO(content), sound=False) as video:
            seconds = None if video.count is None else float(video.count / video.rate)
            height, width = video.shape
    except VideoError as error:
        raise HTTPException(415, f'video: {str(error).removeprefix(_STREAM)}') from error
    if seconds is not None and seconds > limits.max_clip_seconds:
        raise HTTPException(
            413,
            f'video: expected at most {limits.max_clip_seconds:g} seconds, got {seconds:.1f} '
            'seconds',
        )
    if height * width > limits.max_megapixels * 1e6:
        raise HTTPException(
            413,
            f'video: expected at most {limits.max_megapixels:g} megapixels, got {width}x{height}',
        )


def _wait(process: subprocess.Popen[str], abandoned: threading.Event) -> str:
    """Returns what a program said once it has ended."""
    while True:
        try:
            return process.communicate(timeout=_GLANCE)[0]
        except subprocess.TimeoutExpired:
            if abandoned.is_set():
                raise Abandoned from None
