"""Packs data sets: photos, shrunk and encoded, and their alphas into ArrayRecord files."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import errno
import io
import json
import os
import shlex
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from mattingjax.data.geometry import shrink_record
from mattingjax.data.pack_sources import PackSource
from mattingjax.data.packed import (
    FORMAT,
    PACK_FILE,
    SOURCES_FILE,
    SUFFIX,
    Pack,
    Part,
    Shard,
    require_utf8,
)
from mattingjax.data.records import PhotoFiles, Record, RecordError
from mattingjax.errors import MattingError
from mattingjax.images import encode_jpeg, encode_png
from mattingjax.images.compositing import to_uint8
from mattingjax.process.files import check_new_folder, new_folder, write_file
from mattingjax.process.progress import say, show_progress
from mattingjax.process.reading import hash_file

_KIND = 'a pack'
# Grain reads single records. Compressed pictures would not get smaller by more compression.
_WRITER_OPTIONS = 'group_size:1,uncompressed'


@dataclasses.dataclass(frozen=True)
class Encoder:
    """How photos and alphas are stored.

    Attributes:
      side: The longest shorter side in pixels; larger photos are shrunk to it, by area.
      photos: 'jpeg', or 'png' to keep every pixel.
      quality: The quality of JPEG photos, from 1 to 100.
    """

    side: int = 384
    photos: str = 'jpeg'
    quality: int = 85

    def __post_init__(self) -> None:
        if self.side < 1:
            raise MattingError(f'side: expected at least 1 pixel, got {self.side}')
        if self.photos not in ('jpeg', 'png'):
            raise MattingError(f"photos: expected 'jpeg' or 'png', got {self.photos!r}")
        if not 1 <= self.quality <= 100:
            raise MattingError(f'quality: expected 1 to 100, got {self.quality}')

    def encode(self, record: Record) -> bytes:
        """Encodes a record as `packed` describes it.

        Args:
          record: A photo or a cut-out; its alpha is rounded to 8 bits.

        Returns:
          A ZIP archive, the same for the same record.
        """
        record = shrink_record(record, self.side)
        files = {}
        for name in ('image', 'foreground'):
            if name in record:
                suffix, content = self._encode_photo(record, name)
                files[f'{name}.{suffix}'] = content
        if 'alpha' in record:
            files['alpha.png'] = encode_png(to_uint8(record['alpha']), compress_level=9)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, 'w') as archive:
            archive.comment = record['name'].encode(errors='surrogateescape')
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name), content)  # without the time of day
        return buffer.getvalue()

    def _encode_photo(self, record: Record, name: str) -> tuple[str, bytes]:
        pixels = record[name]
        if self.photos == 'png':
            return 'png', encode_png(pixels, compress_level=9)
        if name == 'foreground':
            pixels = _spread_colours(pixels, to_uint8(record['alpha']) > 0)
        return 'jpg', encode_jpeg(pixels, self.quality)


def _spread_colours(foreground: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Gives invisible pixels of a cut-out the colour of the nearest visible one.

    In JPEG their arbitrary colours would bleed into the edges.
    """
    if not visible.any():
        return foreground
    rows, columns = distance_transform_edt(~visible, return_distances=False, return_indices=True)
    return foreground[rows, columns]


def pack(
    sources: Sequence[PackSource],
    output: Path,
    encoder: Encoder,
    *,
    shard_mb: int = 256,
    overwrite: bool = False,
    tell: Callable[[str], None] = print,
) -> None:
    """Packs data sets into a folder, of which each part is a dataset of kind 'packed'.

    The same files give the same bytes, with the same versions of Pillow and OpenCV. Records that
    cannot be read are left out and counted.

    Args:
      sources: What becomes the parts, with names that differ.
      output: The folder to make, laid out as `packed` describes it.
      encoder: How photos are stored.
      shard_mb: The size in MB (10⁶ bytes) from which a file of records is followed by another.
      overwrite: Whether an earlier pack is replaced.
      tell: Gets the lines for the user: what each part holds, and how to go on.

    Raises:
      MattingError: Photos with and without alphas are in one part, or not one record of a part can
        be read.
      OutputError: The folder cannot be written, or something else lies there.
    """
    check_new_folder(output, _KIND, PACK_FILE, overwrite=overwrite)
    require_utf8(Path(os.path.realpath(output)))
    for source in sources:
        _find_contents(source)
    parts = []
    with new_folder(output, _KIND, PACK_FILE, overwrite=overwrite) as folder:
        for source in sources:
            parts.append(_pack_part(source, folder / source.name, encoder, shard_mb * 10**6))
        quality = encoder.quality if encoder.photos == 'jpeg' else None
        described = Pack(FORMAT, encoder.side, encoder.photos, quality, tuple(parts))
        write_file(folder / PACK_FILE, (json.dumps(described.to_dict(), indent=1) + '\n').encode())
    for part in parts:
        tell(_summarize(part))
    size = sum(path.stat().st_size for path in output.rglob('*') if path.is_file())
    tell(f'{output}: {size / 1e6:.1f} MB')
    root = shlex.quote(os.path.abspath(output / parts[0].name))
    tell(f'next: train with --config.dataset.kind=packed --config.dataset.root={root}')


def _summarize(part: Part) -> str:
    size = sum(shard.size for shard in part.shards)
    return (
        f'{part.name}: {part.records} records, {len(part.unreadable)} unreadable, '
        f'{size / 1e6:.1f} MB{"" if part.licence else ", no licence given"}'
    )


def _find_contents(source: PackSource) -> tuple[str, ...]:
    """Finds what all records of a part hold, one of `packed.CONTENTS`."""
    entries = [entry for dataset in source.datasets for entry in dataset.entries]
    found = {
        ('foreground', 'alpha') if 'foreground' in entry.files else tuple(entry.files)
        for entry in entries
    }
    if len(found) > 1:
        kinds = ' and '.join(sorted(f'({", ".join(kind)})' for kind in found))
        raise MattingError(f'dataset: {source.name}: expected records of one kind, found {kinds}')
    (contents,) = found
    return contents


def _pack_part(source: PackSource, folder: Path, encoder: Encoder, limit: int) -> Part:
    folder.mkdir()
    writer = _ShardWriter(folder, limit)
    packed: list[dict[str, str]] = []
    unreadable: list[str] = []
    places = [(data, index) for data in source.datasets for index in range(len(data))]
    for data, index in show_progress(places, unit='photo', description=f'packing {source.name}'):
        entry = data.entries[index]
        try:
            content = encoder.encode(data[index])
        except RecordError as error:
            unreadable.append(entry.name)
            say(f'skipped: {error}')
            continue
        writer.write(content)
        packed.append(_describe(entry))
    if not packed:
        raise MattingError(f'{source.name}: all {len(places)} photos are unreadable')
    _write_sources(folder / SOURCES_FILE, packed)
    contents = _find_contents(source)
    return Part(source.name, contents, source.licence, writer.finish(), tuple(unreadable))


def _describe(entry: PhotoFiles) -> dict[str, str]:
    return {'name': entry.name} | {what: hash_file(path) for what, path in entry.files.items()}


def _write_sources(path: Path, sources: Sequence[dict[str, str]]) -> None:
    with path.open('w', encoding='utf-8', errors='surrogateescape', newline='') as file:
        table = csv.DictWriter(file, list(sources[0]), lineterminator='\n')
        table.writeheader()
        table.writerows(sources)


class _ShardWriter:
    """Writes records into files, in their order.

    Args:
      folder: The folder of the files.
      limit: The bytes of records from which a file is followed by another.
    """

    def __init__(self, folder: Path, limit: int):
        self._folder, self._limit = folder, limit
        self._shards: list[Shard] = []
        self._writer: Any = None
        self._records = self._bytes = 0

    def write(self, record: bytes) -> None:
        """Appends a record; raises OSError if it cannot be written."""
        from array_record.python.array_record_module import ArrayRecordWriter

        if self._writer is not None and self._bytes + len(record) > self._limit:
            self._close()
        with _as_os_error(self._path):
            if self._writer is None:
                self._writer = ArrayRecordWriter(str(self._path), _WRITER_OPTIONS)
            self._writer.write(record)
        self._records, self._bytes = self._records + 1, self._bytes + len(record)

    def finish(self) -> tuple[Shard, ...]:
        """Ends the last file and describes all; raises OSError if it cannot be written."""
        self._close()
        return tuple(self._shards)

    @property
    def _path(self) -> Path:
        return self._folder / f'{len(self._shards):05d}{SUFFIX}'

    def _close(self) -> None:
        if self._writer is None:
            return
        path = self._path
        with _as_os_error(path):
            self._writer.close()
        size, sha256 = path.stat().st_size, hash_file(path)
        self._shards.append(Shard(path.name, self._records, size, sha256))
        self._writer = None
        self._records = self._bytes = 0


@contextlib.contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    """Turns what ArrayRecord raises when a file cannot be written into OSError."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition(';')[0]  # the first of what led to each other
        raise OSError(errno.EIO, reason, str(path)) from error
