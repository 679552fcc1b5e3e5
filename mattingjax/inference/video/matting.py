"""Mattes a video, a camera or a stream of frames: `matte_video`."""

from __future__ import annotations

import dataclasses
import os
from contextlib import ExitStack
from fractions import Fraction
from typing import Any, BinaryIO

from mattingjax.errors import OutputError, VideoError
from mattingjax.inference.predictor import Predictor, create_predictor
from mattingjax.inference.steadying import Steadiness
from mattingjax.inference.video.backgrounds import opened_scene
from mattingjax.inference.video.frames import Source
from mattingjax.inference.video.line import Line, Pictures, VideoSummary
from mattingjax.inference.video.resampling import resample
from mattingjax.inference.video.sources import open_source, parse_rate, parse_seconds, until
from mattingjax.inference.video.writing import Format, Writer, check_output, create_writer
from mattingjax.inference.video.writing.window import Window
from mattingjax.process.stopping import Stop

# Two threads with a core each compute more frames than one after the other on both.
PARALLEL = min(2, os.cpu_count() or 1)


def matte_video(
    source: str | os.PathLike | BinaryIO,
    output: str | os.PathLike | None = None,
    *,
    kind: str | None = None,
    background: Any = None,
    loop: bool = True,
    predictor: Predictor | None = None,
    steadiness: Steadiness | None = None,
    foreground: bool = True,
    refine: bool = False,
    lossless: bool = False,
    sound: bool = True,
    start: str | float | None = None,
    duration: str | float | None = None,
    fps: str | float | Fraction | None = None,
    size: str | None = None,
    pixel_format: str = 'rgb24',
    show: bool = False,
    own_process: bool = False,
) -> VideoSummary:
    """Mattes a video: alphas, cut-outs or composites, at the times and with the sound that it has.

    Frames are decoded, matted, finished and encoded side by side, a few at a time, so that the
    memory does not grow with their number. A damaged frame is replaced by the one before. The
    result appears under its name when it is whole. Ctrl-C and SIGTERM end it early, with what is
    matted so far; before the first frame, and at a second signal, nothing is left and
    KeyboardInterrupt is raised.

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
      predictor: What computes the alphas; if None, the default weights, with two frames at once.
      steadiness: How mattes are kept from flickering; by MODNet's one-frame delay if None.
      foreground: Whether cut-outs and composites get estimated foreground colours.
      refine: Whether edges are drawn anew at the frames' own resolution.
      lossless: Whether the result is encoded without loss, by FFV1 in `.mkv`.
      sound: Whether the sound is kept.
      start: Seconds, or [HOURS:]MINUTES:SECONDS, that are left out at the beginning.
      duration: Seconds, or [HOURS:]MINUTES:SECONDS, that are matted.
      fps: Frames per second of the result; of a source without times, such as raw frames, pictures
        and cameras, its own. If None, every frame keeps its time.
      size: WIDTHxHEIGHT of raw frames, or that a camera is asked for.
      pixel_format: Of raw frames: 'rgb24' or 'yuv420p'.
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
    if output is None and not show:
        raise VideoError('output: expected a file, a folder or - (or show=True)')
    if output is not None:
        check_output(output, kind, lossless=lossless)
        _spare(source, output)
    begin, length = parse_seconds(start, 'start'), parse_seconds(duration, 'duration')
    rate = parse_rate(fps)
    stop = Stop('what is matted is written', own_process=own_process)
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
        scene = (
            None if background is None else stack.enter_context(opened_scene(background, loop=loop))
        )
        pictures = Pictures(
            kind, scene, foreground=foreground, refine=refine, steadiness=steadiness or Steadiness()
        )
        if predictor is None:
            predictor = create_predictor(parallel=1 if video.is_live else PARALLEL)
        line = Line(video, predictor, pictures, stop)
        frames, form = until(video.frames(), length), _describe(video)
        if rate is not None and not video.is_live:
            frames = resample(frames, rate)
            form = dataclasses.replace(form, rate=rate, time_base=1 / rate)
        writers: list[Writer] = []
        if output is not None:
            writers.append(
                stack.enter_context(create_writer(output, kind, form, lossless=lossless))
            )
        if not show:
            return line.run(frames, writers)
        window = stack.enter_context(Window())
        return line.run(frames, [*writers, window], lambda: window.closed)


def _describe(source: Source) -> Format:
    return Format(source.shape, source.pixel_aspect, source.rate, source.time_base, source.sound)


def _spare(source: Any, output: str | os.PathLike) -> None:
    """Raises OutputError if the result would replace its source."""
    named = isinstance(source, str | os.PathLike)
    if named and os.path.realpath(source) == os.path.realpath(output):
        raise OutputError(f'{output}: expected another name than that of the source')
