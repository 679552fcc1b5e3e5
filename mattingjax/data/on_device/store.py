"""The store: all photos of a training and all backgrounds, as arrays on the device."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from absl import logging

from mattingjax.data.close_ups import Person, find_person
from mattingjax.data.geometry import (
    RandomAffine,
    record_size,
    resize_record,
    shrink_record,
)
from mattingjax.data.iteration import iterate
from mattingjax.data.mixtures import import_grain
from mattingjax.data.on_device.pictures import Levels, Pictures, gather_levels, make_levels
from mattingjax.data.recomposition import blur_fusion
from mattingjax.data.records import Dataset, Record, RecordError
from mattingjax.errors import MattingError
from mattingjax.process.progress import show_progress

# The channels of photos. Those that are not needed are left out at the end.
COLOURS, ALPHA, FOREGROUND = slice(0, 3), 3, slice(4, 7)
_FARTHEST = RandomAffine.scale[0]  # the smallest scale at which augmentation shows a photo
_MOST_PIXELS = 2**31 - 1  # pixels are numbered by int32


class Store(NamedTuple):
    """What lies on the device; a tree of arrays. `create_store` makes it.

    Attributes:
      photos: The photos, of 3, 4 or 7 channels: colours, alpha, colours of the foreground.
      persons: Where the person is in each photo, float32 [N, 3], as `Person` has it, with a length
        of 0 where none is found; None if photos have no alpha.
      cutouts: Whether each photo is a cut-out, bool [N]; None if none is.
      backgrounds: Pictures for new compositions, of 3 channels; None if there are none.
    """

    photos: Pictures
    persons: jax.Array | np.ndarray | None
    cutouts: jax.Array | np.ndarray | None
    backgrounds: Pictures | None


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """A store whose arrays are still NumPy's, and what its rows are.

    Attributes:
      store: The store.
      rows: The row of each record of the dataset, int32 [R]; that of another one, which is drawn at
        random, if it cannot be read.
      names: The names of the rows.
      lost: Whether each record could not be read, bool [R].
      unreadable: The error messages of records and backgrounds that could not be read.
    """

    store: Store
    rows: np.ndarray
    names: list[str]
    lost: np.ndarray
    unreadable: list[str]

    @property
    def size(self) -> int:
        """The size of the store in bytes."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self.store))


def create_store(
    dataset: Dataset,
    backgrounds: Dataset | None,
    *,
    side: int,
    size: int,
    limit: float,
    workers: int = 0,
    on_error: str = 'skip',
) -> Loaded:
    """Reads all photos and backgrounds, reduces them and estimates foregrounds.

    Args:
      dataset: The photos: all with alphas or all without.
      backgrounds: Pictures for new compositions, or None. With them, foregrounds are kept too.
      side: The shorter side to which larger pictures are reduced, in pixels.
      size: The side of the examples that are made of them, in pixels.
      limit: The largest size of the store in bytes.
      workers: Number of processes that read photos; with 0 this process does.
      on_error: What is done about a record that cannot be read: 'skip' or 'raise'.

    Raises:
      MattingError: The store would be larger than the limit, no photo or background can be read, or
        some photos have alphas and others do not.
      RecordError: With `on_error='raise'`: a record cannot be read.
    """
    least = size * _FARTHEST
    reader = _Reader(dataset, side, least, on_error == 'skip', backgrounds is not None)
    memory = _Memory(limit, side)
    photos = memory.read(reader, workers, 'reading the photos')
    readable = [photo for photo in photos if isinstance(photo, _Photo)]
    if len({photo.levels.pixels.shape[-1] for photo in readable}) > 1:
        raise MattingError('photos: expected all with an alpha or all without, got both')
    behind = []
    if backgrounds is not None:
        reader = _Reader(backgrounds, side, least, on_error == 'skip')
        behind = memory.read(reader, workers, 'reading the backgrounds')
    cutouts = np.array([photo.is_cutout for photo in readable])
    has_alphas = readable[0].levels.pixels.shape[-1] > ALPHA
    store = Store(
        gather_levels([photo.levels for photo in readable]),
        np.array([photo.person for photo in readable], np.float32) if has_alphas else None,
        cutouts if cutouts.any() else None,
        gather_levels([item.levels for item in behind if isinstance(item, _Photo)])
        if behind
        else None,
    )
    lost = np.array([isinstance(photo, str) for photo in photos])
    rows = np.cumsum(~lost) - 1
    rows[lost] = np.random.default_rng(0).integers(len(readable), size=lost.sum())
    unreadable = [item for item in [*photos, *behind] if isinstance(item, str)]
    for error in unreadable[:1]:
        logging.warning('%s; others are taken in place of such records', error)
    names = [photo.name for photo in readable]
    return Loaded(store, rows.astype(np.int32), names, lost, unreadable)


class _Photo(NamedTuple):
    """A photo as it is stored, and what is known of it."""

    name: str
    levels: Levels
    person: Person
    is_cutout: bool


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Reads the record of a number; returns the error's message if it cannot be read.

    Attributes:
      dataset: The records.
      side: The shorter side to which larger pictures are reduced, in pixels.
      least: The longer side of the smallest level, in pixels.
      skip: Whether a message is returned, instead of raising the error.
      foregrounds: Whether the colours of the foreground are kept.
    """

    dataset: Dataset
    side: int
    least: float
    skip: bool
    foregrounds: bool = False

    def __call__(self, index: int) -> _Photo | str:
        try:
            record = self.dataset[index]
        except RecordError as error:
            if not self.skip:
                raise
            return str(error)
        record = shrink_record(record, self.side)
        is_cutout = 'image' not in record
        if 'alpha' in record and self.foregrounds and not is_cutout:
            record.setdefault('foreground', blur_fusion(record['image'], record['alpha']))
        height, width = record_size(record)

        def reduce(height: int, width: int) -> np.ndarray:
            return _stack(resize_record(record, height, width), self.foregrounds)

        person = find_person(record['alpha']) if 'alpha' in record else None
        return _Photo(
            str(record.get('name', index)),
            make_levels(reduce, (width, height), self.least),
            person or Person(0, 0, 0),
            is_cutout,
        )


def _stack(record: Record, foregrounds: bool) -> np.ndarray:
    """Puts the channels of a record into one picture."""
    pictures = [record['image' if 'image' in record else 'foreground']]
    if 'alpha' in record:
        pictures.append(np.round(record['alpha'] * 255).astype(np.uint8)[..., None])
        if foregrounds:
            pictures.append(record['foreground'])
    return np.concatenate(pictures, -1)


class _Memory:
    """Reads records as long as there is room for them.

    Args:
      limit: The largest number of bytes.
      side: The shorter side of the pictures, for the error message.
    """

    def __init__(self, limit: float, side: int):
        self._limit, self._side = limit, side
        self._bytes = self._pixels = 0

    def read(self, reader: _Reader, workers: int, description: str) -> list[_Photo | str]:
        count = len(reader.dataset)
        items = iterate(import_grain().MapDataset.range(count).map(reader), workers)
        read: list[_Photo | str] = []
        try:
            for item in show_progress(items, total=count, unit='photo', description=description):
                read.append(item if isinstance(item, str) else self._keep(item, len(read), count))
        finally:
            items.close()
        if all(isinstance(item, str) for item in read):
            raise MattingError(f'{description}: none can be read, the first: {read[0]}')
        return read

    def _keep(self, photo: _Photo, before: int, count: int) -> _Photo:
        # A copy lets a worker use its shared memory again.
        levels = Levels(*map(np.array, photo.levels))
        self._bytes += levels.pixels.nbytes
        self._pixels += len(levels.pixels)
        if self._bytes > self._limit or self._pixels > _MOST_PIXELS:
            raise MattingError(
                f'side: expected pictures that fit into {self._limit / 2**30:,.1f} GiB and '
                f'{_MOST_PIXELS:,} pixels, got more with the first {before + 1} of {count} at '
                f'{self._side} pixels'
            )
        return photo._replace(levels=levels)
