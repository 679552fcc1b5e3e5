"""Mattes videos: what is decoded, matted, finished and encoded overlaps, a few frames at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from mattingjax.errors import ImageError, VideoError
from mattingjax.images import Photo, resize
from mattingjax.images.compositing import composite, cut_out, to_uint8
from mattingjax.images.foreground import estimate_foreground
from mattingjax.inference.predictor import Predictor
from mattingjax.inference.steadying import Seen, Steadiness, steady
from mattingjax.inference.video.backgrounds import Backdrop, Scene
from mattingjax.inference.video.frames import Frame, Moment, Source
from mattingjax.inference.video.writing import KINDS, Writer
from mattingjax.process.ahead import read_ahead, run_ahead
from mattingjax.process.progress import show_progress
from mattingjax.process.stopping import Stop
from mattingjax.process.timing import Stages

T = TypeVar('T')
Result = TypeVar('Result')

STAGES = ('decode', 'network', 'finish', 'encode')
_AHEAD = 3  # frames that wait before each stage
_FINISHERS = 2
_FINEST = 512  # pixels, for the colours of foregrounds: about what networks see of a frame


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Which pictures are made of the frames.

    Attributes:
      kind: 'alpha' (grey), 'cutout' (RGBA) or 'composite' (RGB).
      scene: What is behind the person of composites; 'composite' needs it.
      foreground: Whether cut-outs and composites get estimated foreground colours instead of the
        frame's own, so that hair carries no old background.
      refine: Whether edges are drawn anew at the frame's own resolution.
      steadiness: How mattes are kept from flickering.
    """

    kind: str = 'cutout'
    scene: Scene | None = None
    foreground: bool = True
    refine: bool = False
    steadiness: Steadiness = dataclasses.field(default_factory=Steadiness)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise VideoError(f'kind: expected one of {", ".join(KINDS)}, got {self.kind!r}')
        if not isinstance(self.steadiness, Steadiness):
            raise VideoError(
                f'steadiness: expected a mattingjax.Steadiness, got {self.steadiness!r}'
            )
        if (self.kind == 'composite') != (self.scene is not None):
            raise VideoError(
                f'kind, background: a composite needs a background, and nothing else does; got '
                f'{self.kind} {"with" if self.scene else "without"} one'
            )


class VideoSummary(NamedTuple):
    """The outcome of matting a video.

    Attributes:
      frames: The number of frames written, one for each moment of the source.
      repeated: How many frames of the source are damaged, so that the ones before are shown again.
      seconds: Duration of the run in seconds.
      stages: The time that all frames together took in each of `STAGES`; stages overlap.
      notes: What is special about what was read and written, a line each.
      damage: What is wrong with the source, a line; None if all is well.
      stopped_by: The number of the signal that ended the run early; None if none did.
    """

    frames: int
    repeated: int
    seconds: float
    stages: Stages
    notes: list[str]
    damage: str | None
    stopped_by: int | None

    def describe(self) -> str:
        """The summary as a part of a line."""
        frames = f'{self.frames} frame{"s" * (self.frames != 1)}'
        line = (
            f'{frames} in {self.seconds:.1f} s, {self.frames / self.seconds:.1f} frames/s '
            f'({self.stages.describe()})'
        )
        if self.repeated:
            line += f', for {self.repeated} damaged of the source the ones before'
        return line


class _Task(NamedTuple):
    """A picture to make: a frame, its alpha at the network's size, when, and what is behind."""

    frame: Frame
    alpha: np.ndarray
    moments: tuple[Moment, ...]
    backdrop: Backdrop | None


class Line:
    """An assembly line from the frames of a source to writers.

    Args:
      source: Where the frames come from.
      predictor: What computes the alphas.
      pictures: Which pictures are made.
      stop: What asks for an early end.

    Raises:
      VideoError: The frames are too small, too thin or too large for a matte.
    """

    def __init__(self, source: Source, predictor: Predictor, pictures: Pictures, stop: Stop):
        self._source, self._predictor = source, predictor
        self._pictures, self._stop = pictures, stop
        self._stages = Stages(*STAGES)
        self._ends_early = False  # before the frames do
        self._ahead = 1 if source.is_live else _AHEAD  # what waits is late
        try:
            self._seen_size = predictor.network_size(*source.shape)
        except ImageError as error:
            raise VideoError(f'{source.name}: {error}') from error

    def run(
        self,
        frames: Iterable[Frame],
        writers: Sequence[Writer],
        total: int | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> VideoSummary:
        """Mattes frames until they end, or nobody wants more of them.

        Args:
          frames: Those of the source, or some of them.
          writers: What takes the pictures; they are finished in the end.
          total: How many frames the result will have, for the progress; None if nobody knows.
          is_over: Whether the run should end, as if the frames had; asked after each picture.

        Raises:
          VideoError: There is no frame, or one cannot be used.
          OutputError: A result cannot be written.
        """
        begin, count = time.monotonic(), 0
        progress = show_progress(total=total, unit='frame', description='matting')
        with progress, contextlib.closing(self._finished(frames)) as finished:
            for task, picture in finished:
                with self._stages.timed('encode'):
                    for writer in writers:
                        writer.write(picture, task.moments)
                count += len(task.moments)
                self._stop.has_done_something()
                progress.update(len(task.moments))
                if is_over():
                    self._ends_early = True
                    break
        if not count:
            raise VideoError(f'{self._source.name}: {self._source.damage or "no frame came"}')
        with self._stages.timed('encode'):
            for writer in writers:
                writer.finish(early=self._ends_early or self._stop.requested is not None)
        source = self._source
        return VideoSummary(
            count,
            source.repeated,
            time.monotonic() - begin,
            self._stages,
            [
                note
                for origin in (source, self._pictures.scene, *writers)
                if origin
                for note in origin.notes
            ],
            source.damage,
            self._stop.requested,
        )

    def _finished(self, frames: Iterable[Frame]) -> Generator[tuple[_Task, np.ndarray]]:
        """Yields the pictures in order; other threads are at the next ones."""
        parallel = self._predictor.parallel
        with (
            ThreadPoolExecutor(_FINISHERS) as finishers,
            ThreadPoolExecutor(parallel) as networks,
            contextlib.closing(
                read_ahead(
                    self._timed(frames), self._ahead, lambda: self._stop.requested is not None
                )
            ) as decoded,
        ):
            seen = run_ahead(networks, self._see, decoded, parallel - 1 + self._ahead)
            steadied = steady(_results(seen), self._pictures.steadiness)
            tasks = self._tasks(steadied)
            yield from _results(run_ahead(finishers, self._finish, tasks, self._ahead))

    def _timed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        iterator = iter(frames)
        while True:
            with self._stages.timed('decode'):
                frame = next(iterator, None)
            if frame is None:
                return
            yield frame

    def _see(self, frame: Frame) -> Seen:
        with self._stages.timed('decode'):
            pixels = frame.picture.resized(*self._seen_size)
        with self._stages.timed('network'):
            return Seen(pixels, self._predictor.run(pixels))

    def _tasks(self, steadied: Iterable[tuple[Frame, np.ndarray]]) -> Iterator[_Task]:
        """What is to be made of each frame, until what is behind the person is over."""
        scene = self._pictures.scene
        for frame, alpha in steadied:
            # Before a scene that moves, each moment has a picture of its own.
            alone = scene is not None and scene.moves
            parts = [(moment,) for moment in frame.moments] if alone else [frame.moments]
            for moments in parts:
                backdrop = None if scene is None else scene.at(moments[0].time)
                if scene is not None and backdrop is None:
                    self._ends_early = True
                    return
                yield _Task(frame, alpha, moments, backdrop)

    def _finish(self, task: _Task) -> np.ndarray:
        with self._stages.timed('finish'):
            picture, pictures = task.frame.picture, self._pictures
            alpha = resize(task.alpha, *picture.shape)  # which may leave [0, 1]
            if pictures.kind == 'alpha' and not pictures.refine:
                return to_uint8(alpha)
            alpha = np.clip(alpha, 0, 1)
            pixels = picture.pixels()
            if pictures.refine:
                alpha = self._predictor.refine(Photo(pixels, None), alpha)
            if pictures.kind == 'alpha':
                return to_uint8(alpha)
            colours = pixels
            if pictures.foreground:
                colours = estimate_foreground(pixels, alpha, finest=_FINEST)
            if task.backdrop is None:
                return cut_out(colours, alpha)
            return composite(colours, alpha, task.backdrop(pixels, alpha))


def _results(started: Iterable[tuple[T, Future[Result]]]) -> Iterator[tuple[T, Result]]:
    for item, future in started:
        yield item, future.result()
