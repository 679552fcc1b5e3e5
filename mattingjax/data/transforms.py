"""Chains of transforms, from a record as it lies on disk to an example that a network trains on.

A transform is called with a record and a random generator, from which alone its lots come, and
returns another record; the one it got stays as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from mattingjax.data.degradations import (
    CameraNoise,
    ColourJitter,
    DefocusBlur,
    JpegCompression,
    LightGradient,
    MotionBlur,
)
from mattingjax.data.geometry import (
    CloseUp,
    RandomAffine,
    RandomCrop,
    RandomResize,
    RandomRotation,
    flip,
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
    """One transform after another."""

    transforms: tuple[Transform, ...]

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        for transform in self.transforms:
            record = transform(record, rng)
        return record


@dataclasses.dataclass(frozen=True)
class Maybe:
    """A transform that is left out by lot.

    Attributes:
      transform: What may be done.
      probability: That it is.
    """

    transform: Transform
    probability: float = 0.5

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        return self.transform(record, rng) if rng.random() < self.probability else record


@dataclasses.dataclass(frozen=True)
class ToExample:
    """The last of a chain: the record at the network's size, in the shapes that it trains on.

    A record that has another size is squeezed to it, as prediction does for networks of a fixed
    input size.

    Attributes:
      size: Side in pixels.
      trimap: Whether the example gets one, drawn as MODNet's are.
    """

    size: int
    trimap: bool = False

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        """Makes an example.

        Returns:
          `image`, uint8 [S, S, 3]; if the record has an alpha, `alpha`, float32 [S, S, 1] in
          [0, 1], and if asked for `trimap`, float32 [S, S, 1] of 0, 0.5 and 1; `name`.

        Raises:
          MattingError: The record is a cut-out.
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
    estimation: str = 'blur_fusion',
    trimap: bool = False,
    keep_aspect: bool = False,
    close_ups: float = 0.0,
    close_up_scale: tuple[float, float] = CloseUp.scale,
) -> Transform:
    """A ready chain.

    Args:
      name: 'mmnet' or 'modnet' for the originals' augmentations, 'strong' for those and all that
        befalls photos in the field, 'evaluation' for none.
      size: Side of the examples in pixels.
      backgrounds: Pictures without people, for new compositions; cut-outs need them.
      recomposition: Probability that a photo gets a new background, if there are backgrounds.
        In evaluation it never does.
      estimation: How its foreground colours are estimated; see `Recompose`.
      trimap: Whether examples get trimaps, for the losses that need them.
      keep_aspect: Of 'strong': whether photos keep their proportions, as MODNet sees them, instead
        of being squeezed to a square, as MMNet does.
      close_ups: Of 'strong': probability that a photo is cut down to the head and some more,
        unless it shows no more; see `CloseUp`.
      close_up_scale: Range of the height of what is left then, as a share of the person's.

    Raises:
      MattingError: The name or a value is not among those above.
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
            recompose = (Recompose(backgrounds, 0.0, estimation, relight=False),)
        else:
            recompose = (Recompose(backgrounds, recomposition, estimation),)
    geometry: dict[str, tuple[Transform, ...]] = {
        'mmnet': mmnet_geometry(size),
        'modnet': modnet_geometry(size),
        'strong': strong_geometry(size, keep_aspect, close_ups, close_up_scale),
        'evaluation': (RandomResize(size),),
    }
    degradations = field_degradations() if name == 'strong' else ()
    return Chain((*geometry[name], *recompose, *degradations, ToExample(size, trimap)))


def mmnet_geometry(size: int) -> tuple[Transform, ...]:
    """MMNet's own: scale 1–1.15 per axis, crop, flip, every other time a rotation by up to 15°.

    References:
      The training code of Seo et al., https://arxiv.org/abs/1904.03816.
    """
    return (
        RandomResize(size, (1.0, 1.15), step=0.01),
        RandomCrop(size),
        Maybe(flip),
        Maybe(RandomRotation(15.0)),
    )


def modnet_geometry(size: int) -> tuple[Transform, ...]:
    """MODNet's: the short side is brought to the size, or a little over, and a square cut out."""
    return RandomResize(size, (1.0, 1.25), keep_aspect=True), RandomCrop(size), Maybe(flip)


def strong_geometry(
    size: int,
    keep_aspect: bool = False,
    close_ups: float = 0.0,
    close_up_scale: tuple[float, float] = CloseUp.scale,
) -> tuple[Transform, ...]:
    """Close-ups, and every affine map within reason; see `CloseUp` and `RandomAffine`."""
    nearer = (Maybe(CloseUp(close_up_scale), close_ups),) if close_ups else ()
    return *nearer, RandomAffine(size, keep_aspect=keep_aspect), Maybe(flip)


def field_degradations() -> tuple[Transform, ...]:
    """Colours, light, blur, noise and compression, in the order in which they come about."""
    return (
        Maybe(LightGradient(), 0.3),
        Maybe(DefocusBlur(), 0.2),
        Maybe(MotionBlur(), 0.15),
        Maybe(CameraNoise(), 0.4),
        Maybe(ColourJitter(), 0.8),
        Maybe(JpegCompression(), 0.5),
    )
