"""Mattes of a video that hold still: flashes are taken out, and what does not move is averaged."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from mattingjax.errors import MattingError

T = TypeVar('T')

# Differences of pictures in levels of 255 that are noise of cameras and codecs, and that are
# movement: for the delay, and for the filter, which leaves a trail behind what it takes for noise.
_DELAY_NOISE, _FILTER_NOISE = (8, 24), (4, 12)
_WINDOW = 5  # pixels of the network over whose mean pictures are compared
_REACH = 4  # pixels of the network about a movement that the filter leaves alone too
_JITTER, _CHANGED = 0.1, 0.4  # differences of alphas that are jitter, and that are none
_CUT = 25  # mean difference of two pictures in levels of 255, from which they are two scenes
_CUT_SIDE = 32  # pixels a side at which pictures are compared for that


class Seen(NamedTuple):
    """What a network saw of a frame, and its answer.

    Attributes:
      pixels: float32 [h, w, 3] in [0, 255].
      alpha: float32 [h, w] in [0, 1].
    """

    pixels: np.ndarray
    alpha: np.ndarray


@dataclasses.dataclass(frozen=True)
class Steadiness:
    """How mattes are steadied; none of the two leaves every matte as it is.

    Attributes:
      one_frame_delay: Whether an alpha that leaves the range of the frames before and after is
        brought back into it.
      smoothing: How much of the alphas before is kept where nothing moves, in [0, 1): 0 is nothing,
        0.8 takes a fifth of every new alpha.
      threshold: ξ of MODNet's one-frame delay, in (0, 1), 0.1 there: where the alphas before and
        after differ by ξ at most, and the one between them by more from both, it becomes their mean
        whatever the pictures show. None takes this module's rule instead, see `steady`.
    """

    one_frame_delay: bool = True
    smoothing: float = 0.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.one_frame_delay, bool):
            raise MattingError(
                f'one_frame_delay: expected True or False, got {self.one_frame_delay!r}'
            )
        if not (_is_number(self.smoothing) and 0 <= self.smoothing < 1):
            raise MattingError(
                f'smoothing: expected a number from 0 to less than 1, got {self.smoothing!r}'
            )
        if self.threshold is None:
            return
        if not (_is_number(self.threshold) and 0 < self.threshold < 1):
            raise MattingError(
                f'threshold: expected a number between 0 and 1, got {self.threshold!r}'
            )
        if not self.one_frame_delay:
            raise MattingError(f'threshold={self.threshold}: needs the one-frame delay')

    def describe(self) -> str:
        """Describes what is done to a matte, in words."""
        parts = []
        if self.one_frame_delay and self.threshold is None:
            parts.append(
                'alphas brought into the range of their neighbours in time where the '
                'picture looks as in one of them'
            )
        elif self.one_frame_delay:
            parts.append(
                f'alphas that differ by more than {self.threshold:g} from neighbours in '
                'time that agree become their mean (MODNet)'
            )
        if self.smoothing:
            parts.append(f'running mean of smoothing {self.smoothing:g} where nothing moves')
        return ', then '.join(parts) or "the network's mattes as they are"


def steady(frames: Iterable[tuple[T, Seen]], options: Steadiness) -> Iterator[tuple[T, np.ndarray]]:
    """Steadies the mattes of a video, frame by frame.

    The one-frame delay waits for the frame after, as MODNet's does. Where the picture looks as in
    the frames before and after, alpha is brought into the range of their alphas. That is not to
    their mean, so what rises or falls steadily stays as it is and does not lag behind. Where the
    picture differs from one of them, as under a hand that passes, alpha stays too; between the two
    the correction fades. MODNet's rule asks for neighbours that agree within 0.1 and an alpha that
    differs by more, so that it leaves faint flicker, and all flicker of alphas that rise or fall;
    and it does not look at the picture, so that it erases what is really seen for one frame. Its
    threshold in `Steadiness` brings it back.

    The filter comes after it: steady += weight · (alpha − steady), pixel by pixel. The weight is
    1 − smoothing, and rises to 1 where the picture differs from what it was (a running mean with
    the same weights, so that slow movements add up), and about such places; and where alpha itself
    differs much. So moving edges are those of each frame.

    Differences of pictures are those of means over 5×5 pixels, the largest of a channel. At a cut,
    or where the size changes, everything begins anew.

    Args:
      frames: Anything that belongs to a frame, and what the network saw of it. One frame is read
        ahead with the one-frame delay, and three are held at most.
      options: How they are steadied.

    Yields:
      What belongs to each frame, as many as came in and in their order, and its alpha, float32
      [h, w] in [0, 1].

    References:
      Ke et al., MODNet: Real-Time Trimap-Free Portrait Matting via Objective Decomposition, AAAI
      2022 (https://arxiv.org/abs/2011.11961), for the one-frame delay.
    """
    for _, numbered in itertools.groupby(_number_scenes(frames), key=lambda each: each[0]):
        scene: Iterator[tuple[T, Seen]] = ((item, seen) for _, item, seen in numbered)
        if options.one_frame_delay:
            scene = _delay(scene, options.threshold)
        if options.smoothing:
            scene = _filter(scene, options.smoothing)
        for item, seen in scene:
            yield item, seen.alpha


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _number_scenes(frames: Iterable[tuple[T, Seen]]) -> Iterator[tuple[int, T, Seen]]:
    """Yields the frames with the number of their scene: it rises at cuts and changes of size."""
    number, before, shape = 0, None, None
    for item, seen in frames:
        small = cv2.resize(seen.pixels, (_CUT_SIDE, _CUT_SIDE), interpolation=cv2.INTER_AREA)
        if before is not None and (
            seen.alpha.shape != shape or np.abs(small - before).mean() > _CUT
        ):
            number += 1
        before, shape = small, seen.alpha.shape
        yield number, item, seen


def _delay(scene: Iterator[tuple[T, Seen]], threshold: float | None) -> Iterator[tuple[T, Seen]]:
    """Yields a scene one frame late, every alpha but the first and last set right by both sides."""
    item, seen = next(scene)
    before, moved = seen, np.zeros_like(seen.alpha)  # the first alpha is in its own range
    for next_item, after in scene:
        if threshold is None:
            movement = _movement(after.pixels, seen.pixels, _DELAY_NOISE)
            alpha = _into_range(before.alpha, seen.alpha, after.alpha, np.maximum(moved, movement))
            moved = movement
        else:
            alpha = _without_outliers(before.alpha, seen.alpha, after.alpha, threshold)
        yield item, seen._replace(alpha=alpha)
        before, item, seen = seen, next_item, after
    yield item, seen


def _into_range(
    before: np.ndarray, alpha: np.ndarray, after: np.ndarray, movement: np.ndarray
) -> np.ndarray:
    """Brings an alpha into the range of its neighbours where nothing moved."""
    within = cv2.min(cv2.max(alpha, cv2.min(before, after)), cv2.max(before, after))
    return within + movement * (alpha - within)


def _without_outliers(
    before: np.ndarray, alpha: np.ndarray, after: np.ndarray, threshold: float
) -> np.ndarray:
    """MODNet's own rule."""
    is_outlier = (
        (np.abs(after - before) <= threshold)
        & (np.abs(alpha - before) > threshold)
        & (np.abs(alpha - after) > threshold)
    )
    return np.where(is_outlier, (before + after) / 2, alpha)


def _filter(scene: Iterator[tuple[T, Seen]], smoothing: float) -> Iterator[tuple[T, Seen]]:
    """Yields a scene with running means of the alphas, which follow at once what moves."""
    item, (pixels, alpha) = next(scene)
    yield item, Seen(pixels, alpha)
    window = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
    for item, seen in scene:
        movement = cv2.dilate(_movement(seen.pixels, pixels, _FILTER_NOISE), window)
        change = _ramp(np.abs(seen.alpha - alpha), _JITTER, _CHANGED)
        weight = np.maximum(np.maximum(movement, change), np.float32(1 - smoothing))
        alpha = alpha + weight * (seen.alpha - alpha)
        pixels = pixels + weight[..., None] * (seen.pixels - pixels)
        yield item, seen._replace(alpha=alpha)


def _movement(pixels: np.ndarray, others: np.ndarray, noise: tuple[int, int]) -> np.ndarray:
    """How surely two pictures differ at each pixel: float32 [h, w], 0 for noise, 1 for more."""
    difference = cv2.subtract(pixels, others)
    means = cv2.blur(difference, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REPLICATE)
    red, green, blue = cv2.split(np.abs(means))
    # In this way the largest channel takes an eighth of the time of NumPy's `max`.
    return _ramp(cv2.max(cv2.max(red, green), blue), *noise)


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to `low`, 1 from `high`, straight between them."""
    return np.clip((values - low) / (high - low), 0, 1)
