"""Mattes a video, a camera or a stream of frames: `matte_video`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from mattingjax.errors import OutputError, VideoError
from mattingjax.inference.predictor import Predictor, create_predictor
from mattingjax.inference.steadying import Steadiness
from mattingjax.inference.video.backgrounds import opened_scene
from mattingjax.inference.video.frames import Frame, Source
from mattingjax.inference.video.line import Line, Pictures, VideoSummary
from mattingjax.inference.video.resampling import resample
from mattingjax.inference.video.sources import open_source, parse_rate, parse_seconds, until
from mattingjax.inference.video.writing import Format, Writer, check_output, create_writer
from mattingjax.inference.video.writing.window import Window
from mattingjax.process.stopping import Stop
from mattingjax.weights import DEFAULT_WEIGHTS

# Two threads with a core each compute more frames than one after the other on both.
PARALLEL = min(2, os.cpu_count() or 1)


def matte_video(
    source: str | os.PathLike | BinaryIO,
    output: str | os.PathLike | None = None,
    *,
    kind: str | None = None,
    background: Any = None,
    loop: bool = True,
    predictor: Predictor | Path | str | None = None,
    steadiness: Steadiness | None = None,
    foreground: bool = True,
    refine: bool = False,
    lossless: bool = False,
    sound: bool = True,
    start: str | float | None = None,
    duration: str | float | None = None,
    fps: str | float | Fraction | None = None,
    size: str | None = None,
    pixel_format: str | None = None,
    show: bool = False,
    own_process: bool = False,
) -> VideoSummary:
    """Mattes a video: alphas, cut-outs or composites, at the times and with the sound that it has.

    Frames are decoded, matted, finished and encoded side by side, a few at a time, so that the
    memory does not grow with their number. A damaged frame is replaced by the one before. The
    result appears under its name when it is whole. Ctrl-C and SIGTERM end it early, with what is
    matted so far; a Ctrl-C before the first frame, and a second one, leave nothing and raise
    KeyboardInterrupt.

    Args:
      source: The path of a video or of a folder of pictures, 'camera:0' for a camera, or an open
        binary file, such as `sys.stdin.buffer`, with a video or with raw frames.
      output: The result, by its suffix: `.mp4`, `.mov`, `.mkv` or `.webm`; a path without a suffix
        is a folder of PNG files, and '-' is standard output, which gets raw frames. With `show` it
        may be None.
      kind: 'alpha' (grey), 'cutout' (transparent) or 'composite'; if None 'composite' where
        there is a background, else 'cutout'.
      background: What composites are put on: a colour, a picture, a video, or 'blur' or
        'blur:PIXELS' for the frame's own background, blurred.
      loop: Whether a background video begins anew when it ends; if not, the result ends with it.
      predictor: What computes the alphas, or the network that `create_predictor` makes one of, for
        two frames at once where the source is no camera; the default weights if None.
      steadiness: How mattes are kept from flickering, a `mattingjax.Steadiness`; by a
        one-frame delay after MODNet's if None.
      foreground: Whether cut-outs and composites get estimated foreground colours.
      refine: Whether edges are drawn anew at the frames' own resolution.
      lossless: Whether the result is encoded without loss, by FFV1 in `.mkv`.
      sound: Whether the sound is kept.
      start: Seconds, or [HOURS:]MINUTES:SECONDS, that are left out at the beginning.
      duration: Seconds, or [HOURS:]MINUTES:SECONDS, that are matted.
      fps: Frames per second of the result; of a source without times, such as raw frames, pictures
        and cameras, its own. If None, every frame keeps its time.
      size: WIDTHxHEIGHT of raw frames, or that a camera is asked for.
      pixel_format: Of raw frames: 'rgb24', if None, or 'yuv420p'.
      show: Whether the pictures are shown in a window, until that is closed; for the main thread.
      own_process: Whether the process does nothing else. Then it ends at once with the exit status
        128 + the signal's number where KeyboardInterrupt would be raised.

    Returns:
      What was written, how fast, and what is wrong with the source if anything is.

    Raises:
      VideoError: The source cannot be read, holds no frame, or an argument is impossible.
      ImageError: The background is neither a colour nor a picture nor a video.
      OutputError: The result cannot be written, or its format cannot hold it.
      ImportError: The package av is not installed.
    """
    kind = kind or ('cutout' if background is None else 'composite')
    _check_output(output, kind, (source, background), lossless=lossless, show=show)
    begin, length = parse_seconds(start, 'start'), parse_seconds(duration, 'duration')
    if length == 0:
        raise VideoError(f'duration: expected more than 0 seconds, got {duration}')
    rate, stop = parse_rate(fps), Stop('what is matted is written', own_process=own_process)
    with ExitStack() as stack:
        stack.enter_context(stop.watching())
        video = stack.enter_context(
            open_source(
                source,
                start=begin,
                duration=length,
                rate=rate,
                size=size,
                pixel_format=pixel_format,
                sound=sound and output is not None,
            )
        )
        scene = None
        if background is not None:
            scene = stack.enter_context(opened_scene(background, loop=loop))
        pictures = Pictures(
            kind, scene, foreground, refine, Steadiness() if steadiness is None else steadiness
        )
        if not isinstance(predictor, Predictor):
            network = DEFAULT_WEIGHTS if predictor is None else predictor
            predictor = create_predictor(network, parallel=1 if video.is_live else PARALLEL)
        line = Line(video, predictor, pictures, stop)
        frames, form = _at_rate(video, until(video.frames(), length), rate)
        writers: list[Writer] = []
        if output is not None:
            writers.append(create_writer(output, kind, form, lossless=lossless))
            stack.enter_context(writers[0])
        window = stack.enter_context(Window()) if show else None
        return line.run(
            frames,
            [*writers, window] if window else writers,
            _count(video, length, form.rate),
            lambda: window is not None and window.closed,
        )


def _check_output(
    output: str | os.PathLike | None, kind: str, inputs: tuple, *, lossless: bool, show: bool
) -> None:
    """Raises an error unless the result can be written, and replaces nothing it is made of."""
    if output is None:
        if not show:
            raise VideoError('output: expected a file, a folder or - (or show=True)')
        return
    check_output(output, kind, lossless=lossless)
    for given in inputs:
        named = isinstance(given, str | os.PathLike)
        if named and os.path.realpath(given) == os.path.realpath(output):
            raise OutputError(f'{output}: expected another name than that of what it is made of')


def _at_rate(
    source: Source, frames: Iterator[Frame], rate: Fraction | None
) -> tuple[Iterator[Frame], Format]:
    """The frames of a source, at a constant rate if one is given, and what a writer should know."""
    form = Format(source.shape, source.pixel_aspect, source.rate, source.time_base, source.sound)
    if rate is None or source.is_live:
        return frames, form
    return resample(frames, rate), dataclasses.replace(form, rate=rate, time_base=1 / rate)


def _count(source: Source, length: Fraction | None, rate: Fraction) -> int | None:
    """How many frames the result will have, as far as that is known before."""
    seconds = [length] if length is not None else []
    if source.count is not None:
        if not seconds and rate == source.rate:
            return source.count
        seconds.append(source.count / source.rate)
    return max(1, round(min(seconds) * rate)) if seconds else None
