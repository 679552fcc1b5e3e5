"""Packed data sets: photos and alphas in ArrayRecord files, which Grain reads in any order.

PACK/pack.json                 side and quality; of each part its licence and the files' hashes
PACK/PART/00000.array_record   the first records of a part, and so on
PACK/PART/sources.csv          for each record its name, and the SHA-256 of what it was made of

A record is a ZIP archive that is not compressed: `image.jpg` or `image.png` and perhaps
`alpha.png`, or `foreground` and `alpha` of a cut-out; its comment is the record's name.
`packing.pack` writes them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.config.schema import Schema, read_json
from mattingjax.data.alpha_values import GREY
from mattingjax.data.records import Record, RecordError
from mattingjax.errors import ConfigError, ImageError, MattingError, list_some
from mattingjax.images import check_alpha, load_photo, open_picture
from mattingjax.process.reading import hash_file

PACK_FILE, SOURCES_FILE, FORMAT = 'pack.json', 'sources.csv', 1
SUFFIX = '.array_record'
CONTENTS = (('image', 'alpha'), ('image',), ('foreground', 'alpha'))  # what records may hold


@dataclasses.dataclass(frozen=True)
class Shard(Schema):
    """A file of records.

    Attributes:
      file: Its name.
      records: The number of records in it.
      size: Its size in bytes.
      sha256: Its SHA-256, in hexadecimal digits.
    """

    file: str
    records: int
    size: int
    sha256: str

    def validate(self) -> None:
        self.require(os.path.basename(self.file) == self.file != '', 'file', 'the name of a file')
        self.require(self.records > 0, 'records', 'at least 1')


@dataclasses.dataclass(frozen=True)
class Part(Schema):
    """A data set in a pack.

    Attributes:
      name: Its name, which is that of its folder too.
      contents: What each record holds, one of `CONTENTS`.
      licence: The licence of its photos; None if it was not given.
      shards: The files of its records, in their order.
      unreadable: The names of the records that were left out, because they could not be read.
    """

    name: str
    contents: tuple[str, ...]
    licence: str | None
    shards: tuple[Shard, ...]
    unreadable: tuple[str, ...]

    @property
    def records(self) -> int:
        """The number of its records."""
        return sum(shard.records for shard in self.shards)

    def validate(self) -> None:
        self.require(self.contents in CONTENTS, 'contents', f'one of {CONTENTS}')
        self.require(len(self.shards) > 0, 'shards', 'at least one file')


@dataclasses.dataclass(frozen=True)
class Pack(Schema):
    """What pack.json holds.

    Attributes:
      format: The version of the layout.
      side: The longest shorter side of a photo in pixels; larger ones were shrunk to it.
      photos: The format of the photos, 'jpeg' or 'png'.
      quality: The quality of JPEG photos, 1 to 100; None for PNG.
      parts: The data sets.
    """

    format: int
    side: int
    photos: str
    quality: int | None
    parts: tuple[Part, ...]

    def validate(self) -> None:
        self.require(self.format == FORMAT, 'format', str(FORMAT))


@dataclasses.dataclass(frozen=True, repr=False)
class PackedDataset:
    """A part of a pack; its files are opened when the first record is asked for.

    A record has a `name` and what the part holds: `image` or `foreground`, and `alpha`.

    Attributes:
      folder: The folder of the part.
      shards: Its files.
      contents: What each record holds, one of `CONTENTS`.
      indices: The numbers of the records of the part that belong to the dataset, in their order.
    """

    folder: Path
    shards: tuple[Shard, ...]
    contents: tuple[str, ...]
    indices: tuple[int, ...] | range

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Record:
        """Reads a record.

        Raises:
          RecordError: The file of the record is missing, or it or the record is damaged.
        """
        number = self.indices[index]
        where = f'{self.folder}: record {number}'
        try:
            content = self._reader[number]
        except RuntimeError as error:  # what ArrayRecord raises for all that is wrong with a file
            raise RecordError(f'{where} cannot be read ({error})') from error
        try:
            return self._decode(content, where)
        except ImageError as error:
            raise RecordError(str(error)) from error

    def __repr__(self) -> str:
        # Without the folder, which may have moved when a training resumes.
        return f'PackedDataset({len(self)} records, {self._digest()[:12]})'

    def select(self, indices: Iterable[int]) -> PackedDataset:
        """Makes a dataset of some of the records, in the given order."""
        return dataclasses.replace(self, indices=tuple(self.indices[i] for i in indices))

    def describe(self) -> dict[str, Any]:
        """Describes the files and the choice of records, for the manifest of a training.

        Returns:
          JSON types: the folder `root`, the `sha256` of each file, and a `digest` of the hashes and
          of the records chosen, which does not depend on `root`.

        Raises:
          MattingError: A file cannot be read, or is not the one that was packed.
        """
        for shard in self.shards:
            path = self.folder / shard.file
            try:
                found = hash_file(path)
            except OSError as error:
                raise MattingError(f'{path}: cannot be read ({error.strerror})') from error
            if found != shard.sha256:
                raise MattingError(
                    f'{path}: damaged or another file: expected the SHA-256 {shard.sha256:.12}… of '
                    f'{PACK_FILE}, found {found:.12}…'
                )
        hashes = {shard.file: shard.sha256 for shard in self.shards}
        return {'root': str(self.folder.absolute()), 'digest': self._digest(), 'sha256': hashes}

    def _digest(self) -> str:
        listed = [*(shard.sha256 for shard in self.shards), *map(str, self.indices)]
        return hashlib.sha256('\n'.join(listed).encode()).hexdigest()

    @functools.cached_property
    def _reader(self) -> Any:
        # It opens files when they are needed, in each process, and serves several threads.
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        # With the numbers of records in them, no file is opened to count these.
        paths = [f'{self.folder / shard.file}[0:{shard.records}]' for shard in self.shards]
        return ArrayRecordDataSource(paths)

    def _decode(self, content: bytes, where: str) -> Record:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                name = archive.comment.decode(errors='surrogateescape')
                if sum(info.file_size for info in archive.infolist()) > len(content):
                    raise zipfile.BadZipFile('compressed')  # it may have a size without bounds
                files = {Path(file).stem: archive.read(file) for file in archive.namelist()}
        except Exception as error:  # zipfile raises all kinds of errors on damaged archives
            raise ImageError(f'{where}: damaged ({type(error).__name__}: {error})') from error
        where = f'{where} ({name})'
        if set(files) != set(self.contents):
            expected = ', '.join(self.contents)
            raise ImageError(f'{where}: expected {expected}, found {list_some(files) or "nothing"}')
        colours, *_ = self.contents
        image = load_photo(files[colours], where).pixels
        record = {'name': name, colours: image}
        if 'alpha' in files:
            record['alpha'] = _decode_alpha(files['alpha'], image, where)
        return record


def _decode_alpha(content: bytes, image: np.ndarray, where: str) -> np.ndarray:
    picture, _ = open_picture(content, where)
    if picture.mode != 'L':
        raise ImageError(f'{where}: expected an alpha of 8-bit greys, found mode {picture.mode}')
    alpha = GREY.apply(np.asarray(picture))
    try:
        check_alpha(alpha, image)
    except ImageError as error:
        raise ImageError(f'{where}: {error}') from error
    return alpha


def is_packed(root: Path) -> bool:
    """Whether a folder is a pack, or a part of one."""
    root = Path(os.path.realpath(root))
    is_part = (root.parent / PACK_FILE).is_file() and any(root.glob(f'*{SUFFIX}'))
    return is_part or (root / PACK_FILE).is_file()


def open_packed(root: Path) -> PackedDataset:
    """Opens a part of a pack.

    Args:
      root: The folder of the part, PACK/PART.

    Raises:
      MattingError: The folder is no part of a pack, pack.json is missing or damaged, or files are
        missing or of another size.
    """
    real = Path(os.path.realpath(root))
    if (real / PACK_FILE).is_file():
        parts = [part.name for part in _read_pack(real / PACK_FILE).parts]
        raise MattingError(
            f'{root}: expected a part of the pack, a folder in it: {list_some(parts, 5)}'
        )
    file = real.parent / PACK_FILE
    if not file.is_file():
        raise MattingError(f'{root}: expected a part of a pack, a folder beside {PACK_FILE}')
    part = next((part for part in _read_pack(file).parts if part.name == real.name), None)
    if part is None:
        raise MattingError(f'{root}: {PACK_FILE} beside it lists no part {real.name}')
    require_utf8(root)
    for shard in part.shards:
        try:
            size = (real / shard.file).stat().st_size
        except OSError as error:
            raise MattingError(f'{root / shard.file}: cannot be read ({error.strerror})') from error
        if size != shard.size:
            raise MattingError(
                f'{root / shard.file}: damaged or another file: expected the {shard.size} bytes '
                f'that {PACK_FILE} lists, found {size}'
            )
    return PackedDataset(root, part.shards, part.contents, range(part.records))


def require_utf8(folder: Path) -> None:
    """Raises MattingError if ArrayRecord cannot open files in a folder because of its path."""
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise MattingError(f'{folder}: ArrayRecord files need a path that is UTF-8') from error


def _read_pack(file: Path) -> Pack:
    try:
        return Pack.from_dict(read_json(file))
    except ConfigError as error:
        raise MattingError(f'{file}: expected the list of a pack: {error}') from error
