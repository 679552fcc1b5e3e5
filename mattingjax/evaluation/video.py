"""Evaluates the mattes of a video: how much they flicker, and how far they are from true alphas."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mattingjax.errors import VideoError
from mattingjax.evaluation.columns import Columns
from mattingjax.evaluation.metrics import METRICS, compute_metrics, mad
from mattingjax.evaluation.metrics.flicker import DEFINITION, Flicker
from mattingjax.images import resize
from mattingjax.inference import Predictor
from mattingjax.inference.steadying import Seen, Steadiness, steady
from mattingjax.inference.video.alphas import at_the_same_time, read_alphas
from mattingjax.inference.video.frames import Frame, Moment, Source
from mattingjax.inference.video.reading import open_video
from mattingjax.process.progress import say, show_progress

SMOOTHING = 0.8
VARIANTS = {
    'each frame alone': Steadiness(one_frame_delay=False),
    'one-frame delay': Steadiness(),
    "MODNet's own delay": Steadiness(threshold=0.1),
    'filter': Steadiness(one_frame_delay=False, smoothing=SMOOTHING),
    'one-frame delay, filter': Steadiness(smoothing=SMOOTHING),
}
ALONE = next(iter(VARIANTS))
_PREDICTIONS = 'predictions'
_AGAINST_TRUE = ('mad', 'mse')
DEFINITIONS = {
    'flicker': DEFINITION,
    'mad_alone': f'mean of |alpha − alpha of {ALONE}|',
    **{name: f'{METRICS[name].definition}, true being the reference' for name in _AGAINST_TRUE},
}


@dataclasses.dataclass(frozen=True)
class Videos:
    """The videos of an evaluation, all of one size and with the same times to the millisecond.

    Attributes:
      video: The video that is matted.
      alphas: Its true alphas, as `read_alphas` reads them; None if nobody knows them.
      predictions: Mattes of it, which are measured instead of a network's.
    """

    video: Path
    alphas: Path | None = None
    predictions: Path | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class VideoReport:
    """The figures of a video.

    Attributes:
      times: Seconds of each frame.
      frames: Name of each variant → name of each figure of `DEFINITIONS` → its value for each
        frame; NaN where there is none.
      figures: Name of each variant → name of each figure → its value for the whole video: the mean
        over the frames, of flicker that over all still pixels.
      picture: A column of pixels over time, as `Columns` draws it.
      column: Which one.
      damage: What is wrong with the video; None if nothing is.
    """

    times: list[float]
    frames: dict[str, dict[str, list[float]]]
    figures: dict[str, dict[str, float]]
    picture: np.ndarray
    column: int
    damage: str | None


def evaluate_video(
    videos: Videos, predictor: Predictor | None = None, *, column: int | None = None
) -> VideoReport:
    """Measures the mattes of a video, frame by frame, in memory that does not grow with the frames.

    A network's mattes are measured in five variants at once: each frame alone, with the one-frame
    delay, with that of MODNet to the letter, with the filter of smoothing 0.8, and with the first
    delay and the filter.

    Args:
      videos: The videos.
      predictor: The network; None if `videos.predictions` has the mattes.
      column: The column of pixels that is drawn; None takes one at which alphas change much.

    Raises:
      VideoError: A video cannot be read, or two differ in size, times or number of frames.
      MattingError: There is no such column.
      ImageError: The network cannot matte pictures of that size.
    """
    measures = _Measures(column)
    with open_video(videos.video, sound=False) as source:
        for note in source.notes:
            say(f'{source.name}: {note}')
        references = _Matched(videos.alphas, source) if videos.alphas else None
        if predictor:
            shown = _predict(source, predictor)
        else:
            assert videos.predictions is not None
            shown = _read(source, _Matched(videos.predictions, source))
        for moment, photo, alphas in show_progress(
            shown, total=source.count, unit='frame', description='evaluating'
        ):
            reference = references.take(moment) if references else None
            measures.add(moment, photo, alphas, reference)
        if references:
            references.end()
        return measures.report(source)


class _Shown(NamedTuple):
    """A frame and its mattes, each float32 [H, W], by their names."""

    moment: Moment
    photo: np.ndarray
    alphas: dict[str, np.ndarray]


def _predict(source: Source, predictor: Predictor) -> Iterator[_Shown]:
    """Yields each frame with all variants of a network's matte."""

    def see(frame: Frame) -> Seen:
        pixels = frame.picture.resized(*predictor.network_size(*frame.picture.shape))
        return Seen(pixels, predictor.run(pixels))

    seen = ((frame, see(frame)) for frame in source.frames())
    copies = itertools.tee(seen, len(VARIANTS))
    steadied = [
        steady(copy, options) for copy, options in zip(copies, VARIANTS.values(), strict=True)
    ]
    for variants in zip(*steadied, strict=True):
        frame = variants[0][0]
        alphas = {
            name: np.clip(resize(alpha, *frame.picture.shape), 0, 1)
            for name, (_, alpha) in zip(VARIANTS, variants, strict=True)
        }
        photo = frame.picture.pixels()
        for moment in frame.moments:
            yield _Shown(moment, photo, alphas)


def _read(source: Source, predictions: _Matched) -> Iterator[_Shown]:
    """Yields each frame with the matte that another video has for it."""
    for frame in source.frames():
        photo = frame.picture.pixels()
        for moment in frame.moments:
            yield _Shown(moment, photo, {_PREDICTIONS: predictions.take(moment)})
    predictions.end()


class _Matched:
    """The alphas of a video, each of which must belong to a frame of the source."""

    def __init__(self, path: Path, source: Source):
        self._path, self._source = path, source
        self._alphas = read_alphas(path)
        self._count = 0

    def take(self, moment: Moment) -> np.ndarray:
        """The alpha of the next frame; raises VideoError unless it is that of a moment."""
        name, video = self._path, self._source.name
        found, alpha = next(self._alphas, (None, None))
        if found is None or alpha is None:
            raise VideoError(f'{name}: ends after {self._count} frames, but {video} has more')
        if alpha.shape != self._source.shape:
            (height, width), (expected_height, expected_width) = alpha.shape, self._source.shape
            raise VideoError(
                f'{name}: expected {expected_width}x{expected_height} pixels as in {video}, got '
                f'{width}x{height}'
            )
        if not at_the_same_time(found, moment):
            raise VideoError(
                f'{name}: expected frame {self._count} at {float(moment.time):.3f} s as in '
                f'{video}, got {float(found.time):.3f} s'
            )
        self._count += 1
        return alpha

    def end(self) -> None:
        """Raises VideoError if there are more alphas."""
        if next(self._alphas, None) is not None:
            raise VideoError(
                f'{self._path}: goes on after {self._count} frames, all that '
                f'{self._source.name} has'
            )


class _Measures:
    """Collects figures frame by frame; `column` is that of `Columns`."""

    def __init__(self, column: int | None):
        self._flicker, self._columns = Flicker(), Columns(column)
        self._times: list[float] = []
        self._frames: dict[str, dict[str, list[float]]] = {}

    def add(
        self,
        moment: Moment,
        photo: np.ndarray,
        alphas: dict[str, np.ndarray],
        reference: np.ndarray | None,
    ) -> None:
        self._times.append(float(moment.time))
        self._columns.add(photo, alphas)
        for variant, flicker in self._flicker.add(photo, alphas).items():
            figures = {'flicker': flicker}
            if ALONE in alphas:
                figures['mad_alone'] = mad(alphas[variant], alphas[ALONE])
            if reference is not None:
                figures |= compute_metrics(alphas[variant], reference, metrics=_AGAINST_TRUE)
            rows = self._frames.setdefault(variant, {name: [] for name in figures})
            for name, value in figures.items():
                rows[name].append(value)

    def report(self, source: Source) -> VideoReport:
        figures = {
            variant: {name: float(np.mean(values)) for name, values in rows.items()}
            | {'flicker': self._flicker.values.get(variant, math.nan)}
            for variant, rows in self._frames.items()
        }
        picture = self._columns.draw()
        assert self._columns.chosen is not None
        return VideoReport(
            self._times, self._frames, figures, picture, self._columns.chosen, source.damage
        )
