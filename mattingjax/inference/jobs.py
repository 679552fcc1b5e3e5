"""Which photos are matted, and where their results go."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from mattingjax.errors import ImageError, OutputError
from mattingjax.images import describe_others, list_folder, name_key
from mattingjax.inference.outputs import Outputs
from mattingjax.process.files import check_folder


class Job(NamedTuple):
    """A photo to matte.

    Attributes:
      path: The photo.
      target: Path of the results without their endings, which are `_alpha.png` and so on.
    """

    path: Path
    target: Path

    def files(self, outputs: Outputs) -> list[Path]:
        """The files of the results, in the order of the kinds."""
        return [self.target.with_name(name) for name in outputs.names(self.target.name)]


def list_jobs(
    inputs: Sequence[Path], target: Path, outputs: Outputs
) -> tuple[list[Job], list[Path]]:
    """Lists the photos of some inputs, and where their results go.

    Results of a photo in a folder lie in the same sub-folder below `target`; those of a photo that
    is named lie in `target` itself. Their names are the photo's without its extension, which they
    keep where another's would be the same.

    Args:
      inputs: Photos, and folders, which are searched recursively; a photo may be there twice.
      target: The folder of the results; it is not searched for photos.
      outputs: Which pictures are made of each photo.

    Returns:
      The photos, and the files in the folders whose extension belongs to no picture format.

    Raises:
      ImageError: A folder cannot be read, or holds no picture.
      OutputError: The results cannot be written, would lie among the photos or in the place of one,
        or those of two photos would have the same names.
    """
    check_folder(target)
    names: dict[str, tuple[Path, Path]] = {}  # of each photo its path and its results' full name
    others: list[Path] = []
    for source in inputs:
        if not source.is_dir():
            names.setdefault(os.path.abspath(source), (source, Path(source.name)))
            continue
        photos, unknown = _list_folder(source, target)
        others += unknown
        for path in photos:
            names.setdefault(os.path.abspath(path), (path, path.relative_to(source)))
    jobs: dict[str, Job] = {}
    stems = name_results([str(name) for _, name in names.values()])
    for (path, _), name in zip(names.values(), stems, strict=True):
        if (other := jobs.get(_key(name))) is not None:
            raise OutputError(
                f'{path}: would have the same results as {other.path}: {target / name}_*; expected '
                'other names, or a run for each'
            )
        jobs[_key(name)] = Job(path, target / name)
    _spare_photos(jobs.values(), outputs)
    return list(jobs.values()), others


def name_results(names: Sequence[str]) -> list[str]:
    """Names the results of photos: as them without the extension, if no other photo has that name.

    Args:
      names: The names of the photos; those in one folder have to be together.
    """
    stems = Counter(_key(_stem(name)) for name in names)
    stems.update(_key(name) for name in names)
    return [_stem(name) if stems[_key(_stem(name))] == 1 else name for name in names]


def _stem(name: str) -> str:
    return name.removesuffix(PurePath(name).suffix)


def _spare_photos(jobs: Iterable[Job], outputs: Outputs) -> None:
    """Raises OutputError if a result would replace one of the photos."""
    photos = {_key(os.path.realpath(job.path)): job.path for job in jobs}
    folders: dict[Path, str] = {}
    for job in jobs:
        for file in job.files(outputs):
            folder = folders.setdefault(file.parent, os.path.realpath(file.parent))
            if (photo := photos.get(_key(os.path.join(folder, file.name)))) is not None:
                raise OutputError(
                    f'{photo}: would be replaced by a result of {job.path}; expected another folder'
                )


def _key(name: Path | str) -> str:
    """The form in which a file system compares names: many of Macs and Windows know no case."""
    if sys.platform in ('darwin', 'win32'):
        return name_key(str(name)).casefold()
    return str(name)


def _list_folder(folder: Path, target: Path) -> tuple[list[Path], list[Path]]:
    if os.path.realpath(target) == os.path.realpath(folder):
        raise OutputError(
            f'{target}: expected another folder than that of the photos, or the next run would '
            'take the results for photos'
        )
    photos, others = list_folder(folder, leave_out=target)
    if not photos:
        found = f', only {describe_others(others)}' if others else ''
        raise ImageError(f'{folder}: holds no picture{found}')
    return photos, others
