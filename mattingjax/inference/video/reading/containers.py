"""Opens containers of video: the file itself and nothing else is read; errors are one line."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from mattingjax.errors import VideoError, list_some, missing_package
from mattingjax.inference.video.frames import USUAL_RATE

MAX_PIXELS = 2**28  # of a picture; four times what the largest cameras for films record
MAX_SIDE = 2**15
MAX_RATE = 1000  # more is an artefact of how times are stored
_MAX_THREADS = 4  # each holds a picture; the network needs the other cores more
_READ_SIZE = 1 << 16
_HEAD = 32  # bytes of a file's beginning that tell what FFmpeg does not
_STILLS = ('heic', 'heix', 'heim', 'heis', 'mif1', 'avif')  # ISO/IEC 23008-12, brands of pictures


class Bytes:
    """A file's bytes without its name, so that only its content says what it is.

    FFmpeg would take a name such as `http://...`, `concat:a|b` or `picture%03d.png` for more than a
    name.

    Args:
      file: A file opened for bytes; it need not be seekable.

    Attributes:
      head: The first bytes, once they have been read.
      can_seek: Whether it can be read from any place.
    """

    def __init__(self, file: BinaryIO):
        self.head = b''
        self._file = file
        # What is there already, so that a video is seen while it still comes in.
        self._read = getattr(file, 'read1', file.read)
        self.can_seek = file.seekable()
        if self.can_seek:
            self.seek, self.tell = self._seek, file.tell

    def read(self, size: int) -> bytes:
        data = self._read(size)
        if len(self.head) < _HEAD:
            self.head = (self.head + data)[:_HEAD]
        return data

    def _seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return -1  # damaged files point to anywhere; FFmpeg knows what to do then


def open_file(path: Path) -> BinaryIO:
    """Opens a file for FFmpeg.

    Raises:
      VideoError: There is no such file, or it cannot be read.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        raise VideoError(f'{name}: expected a video, found a folder')
    if os.path.exists(name) and not os.path.isfile(name):  # opening a pipe might never end
        raise VideoError(
            f'{name}: expected a file, found a device or a pipe; standard input is -, a camera '
            'camera:0'
        )
    try:
        return open(name, 'rb', buffering=0)
    except (FileNotFoundError, ValueError) as error:  # ValueError: a zero byte in the name
        raise VideoError(f'{name}: no such file') from error
    except OSError as error:
        raise VideoError(f'{name}: cannot be read ({error.strerror or error})') from error


def open_container(file: Bytes, name: str) -> Any:
    """Opens an `av.container.InputContainer`.

    Args:
      file: The bytes, from their beginning on.
      name: What messages call it.

    Raises:
      VideoError: FFmpeg cannot read it, or it is a picture.
    """
    av = import_av(name)
    # The main file needs no protocol; lists of files (HLS, concat, SDP) would open others by one.
    options = {'protocol_whitelist': 'none', 'max_pixels': str(MAX_PIXELS)}
    try:
        container = av.open(
            file,
            options=options,
            io_open=_refuse,
            metadata_errors='replace',
            buffer_size=_READ_SIZE,
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
            raise VideoError(f'{name}: cannot be read ({error.strerror or error})') from error
        if not file.head:
            raise VideoError(f'{name}: expected a video, found an empty file') from error
        if is_mp4(file):
            raise VideoError(f'{name}: an incomplete MP4 or QuickTime file: no index') from error
        raise VideoError(f'{name}: not a video that FFmpeg can read') from error
    if container.format.name == 'webp_pipe' and file.head[12:16] == b'VP8X' and file.head[20] & 2:
        container.close()
        raise VideoError(f'{name}: an animated WebP, which FFmpeg cannot read; expected a video')
    if container.format.name.endswith('_pipe') or (
        container.metadata.get('major_brand', '').strip() in _STILLS
    ):
        container.close()
        raise still_picture(name)
    return container


def pick_video(container: Any, name: str) -> Any:
    """Picks the `av.VideoStream` to read, and gets its decoder ready.

    Args:
      container: An open container.
      name: What messages call it.

    Raises:
      VideoError: There is none, its codec is unknown, or its pictures are too large.
    """
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    videos = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not videos:
        raise VideoError(f'{name}: has no video, only {_contents(container)}')
    best = container.streams.best('video')
    video = next((stream for stream in videos if stream is best), videos[0])
    codec = video.codec_context
    if codec is None:
        raise VideoError(f'{name}: no decoder for its video ({_codec_name(container, video)})')
    check_size(codec.width, codec.height, name)
    codec.thread_type = 'AUTO'
    codec.thread_count = min(_MAX_THREADS, os.cpu_count() or 1)
    codec.options = {'max_pixels': str(MAX_PIXELS)}
    return video


def check_size(width: int, height: int, name: str):
    """Refuses pictures that no video has.

    Raises:
      VideoError: They are too large.
    """
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise VideoError(
            f'{name}: its pictures are too large: expected at most {MAX_PIXELS} pixels and '
            f'{MAX_SIDE} a side, found {width} x {height}'
        )


def still_picture(name: str) -> VideoError:
    """The error for a picture where a video is expected."""
    return VideoError(f'{name}: expected a video, found a picture; mattingjax predict takes those')


def frame_rate(video: Any) -> Fraction:
    """The average rate of a video stream in frames per second, or what FFmpeg guesses.

    Args:
      video: An `av.VideoStream`.
    """
    for rate in (video.average_rate, video.guessed_rate, video.base_rate):
        if rate and 0 < rate <= MAX_RATE:
            return Fraction(rate)
    return USUAL_RATE


def is_mp4(file: Bytes) -> bool:
    """Whether a file that has been opened begins as MP4 and QuickTime files do."""
    return file.head[4:8] in (b'ftyp', b'mdat', b'moov', b'wide', b'free', b'skip')


def has_hidden_alpha(video: Any) -> bool:
    """Whether a stream has a transparency that FFmpeg's own decoders drop, as VP8's and VP9's."""
    tags = {name.lower(): value for name, value in video.metadata.items()}  # writers differ
    return tags.get('alpha_mode') == '1'


def import_av(name: str) -> Any:
    """PyAV, which is not installed by default.

    Args:
      name: The video that needs it.
    """
    try:
        import av
    except ImportError as error:
        raise missing_package(name, 'av', 'video') from error
    return av


def _refuse(url: str, flags: int, options: dict) -> Any:
    raise PermissionError(f'{url}: a video may not open other files')


def _contents(container: Any) -> str:
    kinds = {'audio': 'sound', 'video': 'a cover picture', 'subtitle': 'subtitles'}
    found = []
    for stream in container.streams:
        kind = kinds.get(stream.type, stream.type)
        codec = getattr(stream, 'codec_context', None)
        found.append(f'{kind} ({codec.name})' if codec else kind)
    return list_some(dict.fromkeys(found)) or 'a header'


def _codec_name(container: Any, stream: Any) -> str:
    """What FFmpeg knows of a stream that it cannot decode; only its log has it."""
    from av import logging

    level = logging.get_level()
    logging.set_level(logging.INFO)
    try:
        lines = container.dumps_format().splitlines()
    finally:
        logging.set_level(level)
    about = [line for line in lines if f'Stream #0:{stream.index}' in line and 'Video: ' in line]
    return about[0].split('Video: ', 1)[1].split(',')[0] if about else 'of an unknown codec'
