"""Writes the sound of a source beside the pictures: as it is where the file's format allows it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

from mattingjax.inference.video.frames import SoundTrack
from mattingjax.inference.video.writing.containers import Container

_BITS = 96_000  # a second and channel, at which AAC and Opus are hard to tell from the original
_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 11025, 8000)  # those that AAC has
_OPUS_RATE = 48000
_LAYOUTS = {1: 'mono', 6: '5.1', 8: '7.1'}  # number of channels → those that both encoders have
_LONGEST_GAP = 3600  # seconds between packets
_LONGEST = 10**6  # seconds
_KEPT = ('language', 'title')


class Sound:
    """The tracks of sound of a file that is being written.

    A track that cannot be written is left out, and never the reason that a video is not written.

    Args:
      container: The `av.container.OutputContainer`, which gets a stream for each track.
      kind: What kind of file it is.
      suffix: What messages call the kind of file, such as '.webm'.
      tracks: The tracks; their source must stay open until `write` is called the last time.
      notes: Gets what a user should know, a line each.
    """

    def __init__(
        self,
        container: Any,
        kind: Container,
        suffix: str,
        tracks: Iterable[SoundTrack],
        notes: list[str],
    ):
        self._notes = notes
        self._container = container
        self._kind = kind
        self._suffix = suffix
        self._lines = [self._open(track) for track in tracks]

    def write(self, until: Fraction | None) -> None:
        """Writes the packets that have been read, as far as they begin before a time.

        Args:
          until: Seconds; None for all that are left, and the end of the sound.
        """
        for line in self._lines:
            line.write(until)

    def drop(self) -> None:
        """Forgets the packets that have been read and not written."""
        for line in self._lines:
            line.drop()

    def _open(self, track: SoundTrack) -> _Line:
        stream, encoder = track.stream, self._kind.sound
        name = _name(stream)
        adding: Callable[[Any, Any, str], Any]
        if not name.startswith(self._kind.unusual) and self._is_possible(_add_copy, stream):
            adding, line_type = _add_copy, _Copy
        elif self._is_possible(_add_encoding, stream):
            adding, line_type = _add_encoding, _Encoding
            self._notes.append(
                f'sound: {name}, which {self._suffix} does not hold, was encoded as '
                f'{encoder.removeprefix("lib")}'
            )
        else:
            self._leave_out(name, '')('it can neither be copied nor encoded')
            return _Line(track)
        output = adding(self._container, stream, encoder)
        output.metadata.update({k: v for k, v in stream.metadata.items() if k in _KEPT})
        return line_type(track, self._container, output, self._leave_out(name, 'in part '))

    def _is_possible(self, adding: Callable[[Any, Any, str], Any], stream: Any) -> bool:
        """Whether a file of this kind can begin with such a track; tried in memory."""
        import av

        try:
            with av.open(io.BytesIO(), 'w', self._kind.format) as trial:
                adding(trial, stream, self._kind.sound)
                trial.start_encoding()
        except (av.FFmpegError, ValueError, AttributeError, TypeError):
            return False
        return True

    def _leave_out(self, name: str, how_much: str) -> Callable[[str], None]:
        def leave_out(reason: str) -> None:
            self._notes.append(f'sound: {name} was {how_much}left out: {reason}')

        return leave_out


class _Line:
    """A track on its way to the file; this one leaves it out.

    Its packets are taken all the same, or they would fill the memory.
    """

    def __init__(self, track: SoundTrack):
        self._track = track

    def write(self, until: Fraction | None) -> None:
        for _ in self._taken(until):
            pass

    def drop(self) -> None:
        self._track.packets.clear()

    def _taken(self, until: Fraction | None) -> Iterator[Any]:
        packets = self._track.packets  # which another thread lengthens meanwhile
        while packets and (until is None or not 0 < _time(packets[0]) - until < _LONGEST_GAP):
            yield packets.popleft()


def _time(packet: Any) -> Fraction:
    """When a packet begins, in seconds; those without a time follow the one before them."""
    ticks = packet.dts if packet.pts is None else packet.pts
    return Fraction(-1) if ticks is None else ticks * packet.time_base


class _Copy(_Line):
    """A track whose packets are written as they are."""

    def __init__(
        self, track: SoundTrack, container: Any, stream: Any, leave_out: Callable[[str], None]
    ):
        super().__init__(track)
        self._container = container
        self._stream = stream
        self._leave_out = leave_out
        self._latest: Fraction | None = None
        self._failed = False

    def write(self, until: Fraction | None) -> None:
        for packet in self._taken(until):
            if not self._failed and packet.size:
                self._try_to_write(packet)

    def _try_to_write(self, packet: Any) -> None:
        import av

        ticks = packet.pts if packet.dts is None else packet.dts
        if ticks is not None and not self._follows(ticks * packet.time_base):
            return
        try:
            self._write_one(packet)
        except (av.FFmpegError, ValueError) as error:
            self._fail(error)

    def _follows(self, time: Fraction) -> bool:
        """Whether a packet may come next: damaged sources jump back, or by days."""
        latest = time - 1 if self._latest is None else self._latest
        if not 0 < time - latest < _LONGEST_GAP or abs(time) > _LONGEST:
            return False
        self._latest = time
        return True

    def _write_one(self, packet: Any) -> None:
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.dts is not None:
            packet.stream = self._stream
            self._container.mux(packet)

    def _fail(self, error: Exception) -> None:
        self._failed = True
        self._leave_out(getattr(error, 'strerror', None) or str(error))


class _Encoding(_Copy):
    """A track that is decoded and encoded again."""

    def __init__(
        self, track: SoundTrack, container: Any, stream: Any, leave_out: Callable[[str], None]
    ):
        import av

        super().__init__(track, container, stream, leave_out)
        context = stream.codec_context
        # Silence is put where the source has a gap, or what follows would come too early.
        options = {'async': '1'}
        self._resampler = av.AudioResampler(
            context.format, context.layout, context.rate, context.frame_size, options
        )

    def write(self, until: Fraction | None) -> None:
        import av

        super().write(until)
        if until is None and not self._failed:
            try:
                self._encode(self._track.stream.codec_context.decode(None))
                self._encode([None])
                self._container.mux(self._stream.encode(None))
            except (av.FFmpegError, ValueError) as error:
                self._fail(error)

    def _write_one(self, packet: Any) -> None:
        import av

        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            return  # as players do
        self._encode(frames)

    def _encode(self, frames: list[Any]) -> None:
        for frame in frames:
            for part in self._resampler.resample(frame):
                self._container.mux(self._stream.encode(part))


def _name(stream: Any) -> str:
    """The name of a track's codec, not that of one of its decoders."""
    context = stream.codec_context
    return context.codec.canonical_name if context else 'of an unknown kind'


def _add_copy(container: Any, stream: Any, _: str) -> Any:
    """Adds a stream for packets as they are."""
    return container.add_stream_from_template(stream, opaque=True)


def _add_encoding(container: Any, stream: Any, encoder: str) -> Any:
    """Adds a stream of the format's own codec."""
    source = stream.codec_context
    if not source.is_open:
        source.open()  # raises unless it can be decoded
    rate = _OPUS_RATE
    if encoder != 'libopus' and source.rate in _RATES:
        rate = source.rate
    layout = _LAYOUTS.get(source.layout.nb_channels, 'stereo')
    bits = _BITS * {'mono': 1, 'stereo': 2, '5.1': 6, '7.1': 8}[layout]
    output = container.add_stream(encoder, rate, layout=layout, bit_rate=bits)
    output.codec_context.open()
    return output
