"""Chains of transforms, from a record as it lies on disk to an example that a network trains on.

A transform takes a record and a random generator, its only source of randomness, and returns a
changed copy of the record.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from mattingjax.data.close_ups import CloseUp
from mattingjax.data.degradations import (
    CameraNoise,
    ColourJitter,
    DefocusBlur,
    JpegCompression,
    LightGradient,
    MotionBlur,
)
from mattingjax.data.geometry import (
    Flip,
    RandomAffine,
    RandomCrop,
    RandomResize,
    RandomRotation,
    resize_record,
)
from mattingjax.data.recomposition import Recompose
from mattingjax.data.records import Dataset, Record
from mattingjax.data.trimaps import random_trimap
from mattingjax.errors import MattingError

Transform = Callable[[Record, np.random.Generator], Record]

TRANSFORMS = ('mmnet', 'modnet', 'strong', 'evaluation')


@dataclasses.dataclass(frozen=True)
class Chain:
    """Applies one transform after another."""

    transforms: tuple[Transform, ...]

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        for transform in self.transforms:
            record = transform(record, rng)
        return record


@dataclasses.dataclass(frozen=True)
class Maybe:
    """Applies a transform with some probability.

    Attributes:
      transform: The transform.
      probability: The probability that it is applied, in [0, 1].
    """

    transform: Transform
    probability: float = 0.5

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        return self.transform(record, rng) if rng.random() < self.probability else record


@dataclasses.dataclass(frozen=True)
class ToExample:
    """Makes the example of a record, as the last transform of a chain.

    A record of another size is resized without keeping its aspect ratio, as prediction does for
    networks of a fixed input size.

    Attributes:
      size: Side S of the example in pixels.
      trimap: Whether the example gets a random trimap, as MODNet's training makes them.
    """

    size: int
    trimap: bool = False

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        """Makes an example.

        Returns:
          `name` and `image`, uint8 [S, S, 3]; for a record with an alpha also `alpha`, float32
          [S, S, 1] in [0, 1], and on request `trimap`, float32 [S, S, 1] of 0, 0.5 and 1.

        Raises:
          MattingError: The record is a cut-out, which no earlier transform gave a background.
        """
        name = record.get('name', '')
        if 'image' not in record:
            raise MattingError(f'{name}: a cut-out without a background; backgrounds are needed')
        record = resize_record(record, self.size, self.size)
        example = {'image': record['image'], 'name': name}
        if 'alpha' in record:
            alpha = record['alpha']
            example['alpha'] = alpha[..., None]
            if self.trimap:
                example['trimap'] = random_trimap(alpha, rng)[..., None]
        return example


def create_transform(
    name: str,
    size: int,
    *,
    backgrounds: Dataset | None = None,
    recomposition: float = 0.5,
    trimap: bool = False,
    keep_aspect: bool = False,
    close_ups: float = 0.0,
    close_up_scale: tuple[float, float] = CloseUp.scale,
) -> Chain:
    """Makes the chain of transforms of a training.

    Args:
      name: The augmentations: 'mmnet' and 'modnet' are those of the originals, 'strong' is random
        affine maps and all degradations, and 'evaluation' is none.
      size: Side of the examples in pixels, at least 1.
      backgrounds: Pictures without people, for recomposition; cut-outs need them.
      recomposition: Probability that a photo gets a new background, if there are backgrounds, in
        [0, 1]. With 'evaluation' it is 0.
      trimap: Whether examples get trimaps, for the losses that need them.
      keep_aspect: With 'strong', whether photos keep their aspect ratio, as MODNet's input does,
        instead of being resized to a square, as MMNet's input is.
      close_ups: With 'strong', the probability of a `CloseUp`, in [0, 1].
      close_up_scale: Range of the height of a close-up, as a share of the person's.

    Raises:
      MattingError: There is no such name, or a value is out of range.
    """
    if name not in TRANSFORMS:
        raise MattingError(f'transform: expected one of {", ".join(TRANSFORMS)}, got {name!r}')
    if not 0 <= close_ups <= 1:
        raise MattingError(f'close_ups: expected 0 to 1, got {close_ups}')
    if size < 1:
        raise MattingError(f'size: expected at least 1 pixel, got {size}')
    recompose: tuple[Transform, ...] = ()
    if backgrounds is not None:
        if name == 'evaluation':
            recompose = (Recompose(backgrounds, 0.0, relight=False),)
        else:
            recompose = (Recompose(backgrounds, recomposition),)
    geometry: dict[str, tuple[Transform, ...]] = {
        'mmnet': mmnet_geometry(size),
        'modnet': modnet_geometry(size),
        'strong': strong_geometry(size, keep_aspect, close_ups, close_up_scale),
        'evaluation': (RandomResize(size),),
    }
    degradations = field_degradations() if name == 'strong' else ()
    return Chain((*geometry[name], *recompose, *degradations, ToExample(size, trimap)))


def mmnet_geometry(size: int) -> tuple[Transform, ...]:
    """MMNet's augmentation: a scale for each axis, a crop, and at random a flip and a rotation.

    Args:
      size: Side of the square that comes out, in pixels.

    References:
      The training code of Seo et al., https://arxiv.org/abs/1904.03816.
    """
    return (
        RandomResize(size, (1.0, 1.15), step=0.01),
        RandomCrop(size),
        Maybe(Flip()),
        Maybe(RandomRotation(15.0)),
    )


def modnet_geometry(size: int) -> tuple[Transform, ...]:
    """MODNet's augmentation: the short side is resized, and a square is cropped and maybe flipped.

    Args:
      size: Side of the square that comes out, in pixels.
    """
    return RandomResize(size, (1.0, 1.25), keep_aspect=True), RandomCrop(size), Maybe(Flip())


def strong_geometry(
    size: int,
    keep_aspect: bool = False,
    close_ups: float = 0.0,
    close_up_scale: tuple[float, float] = CloseUp.scale,
) -> tuple[Transform, ...]:
    """The geometric part of 'strong'; see `create_transform` for the arguments."""
    nearer = (Maybe(CloseUp(close_up_scale), close_ups),) if close_ups else ()
    return *nearer, RandomAffine(size, keep_aspect=keep_aspect), Maybe(Flip())


def field_degradations() -> tuple[Transform, ...]:
    """Light, blur, noise, colours and compression, in the order in which a camera adds them."""
    return (
        Maybe(LightGradient(), 0.3),
        Maybe(DefocusBlur(), 0.2),
        Maybe(MotionBlur(), 0.15),
        Maybe(CameraNoise(), 0.4),
        Maybe(ColourJitter(), 0.8),
        Maybe(JpegCompression(), 0.5),
    )
