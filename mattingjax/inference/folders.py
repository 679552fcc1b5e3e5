"""Mattes files: some photos, folders of them, or one from standard input to standard output."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mattingjax.errors import ImageError
from mattingjax.images import Photo, describe_others, load_photo, read_size
from mattingjax.inference.jobs import Job
from mattingjax.inference.outputs import Outputs, render
from mattingjax.inference.predictor import Predictor
from mattingjax.process.ahead import run_ahead
from mattingjax.process.files import LONGEST_NAME, write_files
from mattingjax.process.progress import say, show_progress
from mattingjax.process.timing import Stages

# That decode photos, and as many that finish them, while the network has another.
_THREADS = max(2, min(4, os.cpu_count() or 2))
STAGES = ('decode', 'network', 'finish')


class Summary(NamedTuple):
    """The outcome of matting photos.

    Attributes:
      matted: The photos that got a matte.
      skipped: Path of each photo that could not be matted, and the reason.
      others: Files whose extension belongs to no known picture format; they are not opened.
      existing: Photos that were left out, as their results lay there already.
      files: The files written.
      seconds: Duration of the run in seconds.
      stages: The time that all photos together took in each of `STAGES`; stages overlap.
    """

    matted: list[Path]
    skipped: list[tuple[Path, str]]
    others: list[Path]
    existing: list[Path]
    files: list[Path]
    seconds: float
    stages: Stages

    def describe(self) -> str:
        """The summary as a part of a line."""
        line = f'{len(self.matted)} matted, {len(self.skipped)} skipped'
        if self.existing:
            line += f', {len(self.existing)} there already'
        if self.others:
            line += f', {len(self.others)} of no known format ({describe_others(self.others)})'
        line += f' in {self.seconds:.1f} s'
        if not self.matted:
            return line
        return f'{line}, {len(self.matted) / self.seconds:.1f} photos/s ({self.stages.describe()})'


def matte_bytes(predictor: Predictor, content: bytes, outputs: Outputs) -> dict[str, bytes]:
    """Mattes one picture file that is in memory.

    Args:
      predictor: What computes the alpha.
      content: The bytes of the picture file.
      outputs: Which pictures to make.

    Returns:
      Kind of each picture → the bytes of its file.

    Raises:
      ImageError: The photo cannot be matted.
    """
    photo = load_photo(content, 'standard input')
    try:
        alpha = predictor(photo, refine=outputs.refine)
    except ImageError as error:
        raise ImageError(f'standard input: {error}') from error
    with ThreadPoolExecutor() as pool:
        return render(photo, alpha, outputs, pool)


def matte_file(predictor: Predictor, path: Path, target: Path, outputs: Outputs) -> list[Path]:
    """Mattes one photo.

    Args:
      predictor: What computes the alpha.
      path: The photo.
      target: Path of the results without their endings, which are `_alpha.png` and so on.
      outputs: Which pictures to make.

    Returns:
      The files written.

    Raises:
      ImageError: The photo cannot be matted.
      OutputError: The results cannot be written.
    """
    ((_, result),) = _Line(predictor, outputs).run([Job(path, target)])
    if isinstance(result, ImageError):
        raise result
    return result


def matte_photos(
    predictor: Predictor,
    jobs: Sequence[Job],
    outputs: Outputs,
    *,
    others: Sequence[Path] = (),
    skip_existing: bool = False,
) -> Summary:
    """Mattes photos; a bad one is reported and skipped.

    Each photo gets the alpha that it would get alone. Other threads decode the photos that come
    next and finish those that the network had; how many at once, and so the memory, does not depend
    on the number of photos. Progress goes to standard error.

    Args:
      predictor: What computes the alphas.
      jobs: The photos, and where their results go, as `list_jobs` lists them.
      outputs: Which pictures to make of each photo.
      others: Files of no picture format, for the summary.
      skip_existing: Whether photos all of whose results lie there already are left out.

    Returns:
      Which photos were matted and which were skipped, and what took how long.

    Raises:
      OutputError: The results cannot be written.
    """
    start = time.monotonic()
    existing: list[Path] = []
    if skip_existing:
        done = {job for job in jobs if all(file.is_file() for file in job.files(outputs))}
        existing = [job.path for job in jobs if job in done]
        jobs = [job for job in jobs if job not in done]
    matted: list[Path] = []
    skipped: list[tuple[Path, str]] = []
    files: list[Path] = []
    line = _Line(predictor, outputs)

    def skip(path: Path, error: ImageError) -> None:
        skipped.append((path, str(error)))
        say(f'skipped: {error}')

    if predictor.compiles:
        jobs = _order_by_size(predictor, jobs, skip)
    with predictor.preparing([job.path for job in jobs]):
        results = show_progress(
            line.run(jobs), total=len(jobs), unit='photo', description='matting'
        )
        for job, result in results:
            if isinstance(result, ImageError):
                skip(job.path, result)
            else:
                matted.append(job.path)
                files += result
    seconds = time.monotonic() - start
    return Summary(matted, skipped, list(others), existing, files, seconds, line.stages)


def _order_by_size(
    predictor: Predictor, jobs: Iterable[Job], skip: Callable[[Path, ImageError], None]
) -> list[Job]:
    """Sorts the photos that can be matted by the size at which the network sees them."""
    sizes = {}
    for job in jobs:
        try:
            sizes[job] = predictor.network_size(*read_size(job.path))
        except ImageError as error:
            skip(job.path, _naming(job.path, error))
    return sorted(sizes, key=lambda job: (sizes[job], job.path))


def _naming(path: Path, error: ImageError) -> ImageError:
    """The error with the path of the photo in front, unless it stands there already."""
    named = str(error).startswith(f'{path}: ')
    return error if named else ImageError(f'{path}: {error}')


class _Line:
    """An assembly line: photos are decoded, matted and finished side by side, in order.

    Args:
      predictor: What computes the alphas.
      outputs: Which pictures to make of each photo.

    Attributes:
      stages: The time that all photos together took in each of `STAGES`.
    """

    def __init__(self, predictor: Predictor, outputs: Outputs):
        self._predictor, self._outputs = predictor, outputs
        self.stages = Stages(*STAGES)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, list[Path] | ImageError]]:
        """Yields each photo with the files written, or with what is wrong with it."""
        with (
            ThreadPoolExecutor(_THREADS) as encoders,  # closed last, as finishers need them
            ThreadPoolExecutor(_THREADS) as finishers,
            ThreadPoolExecutor(_THREADS) as decoders,
        ):
            finishing: deque[tuple[Job, Future[list[Path]]]] = deque()
            for job, decoded in run_ahead(decoders, self._decode, jobs, _THREADS):
                try:
                    photo = decoded.result()
                    with self.stages.timed('network'):
                        alpha = self._predictor(photo)
                except ImageError as error:
                    yield job, _naming(job.path, error)
                    continue
                future = finishers.submit(self._finish, job, photo, alpha, encoders)
                del photo, alpha, decoded  # the next may be as large
                finishing.append((job, future))
                if len(finishing) > _THREADS:
                    yield _end(*finishing.popleft())
            while finishing:
                yield _end(*finishing.popleft())

    def _decode(self, job: Job) -> Photo:
        for file in job.files(self._outputs):
            if len(os.fsencode(file.name)) > LONGEST_NAME:
                raise ImageError(f'{job.path}: the name is too long for that of a result')
        with self.stages.timed('decode'):
            return load_photo(job.path)

    def _finish(
        self, job: Job, photo: Photo, alpha: np.ndarray, encoders: ThreadPoolExecutor
    ) -> list[Path]:
        files = job.files(self._outputs)
        with self.stages.timed('finish'):
            if self._outputs.refine:
                alpha = self._predictor.refine(photo, alpha)
            contents = render(photo, alpha, self._outputs, encoders).values()
            write_files(dict(zip(files, contents, strict=True)))
        return files


def _end(job: Job, future: Future[list[Path]]) -> tuple[Job, list[Path] | ImageError]:
    try:
        return job, future.result()
    except ImageError as error:
        return job, _naming(job.path, error)
