"""What FFmpeg attaches to a frame beside its pixels."""

from __future__ import annotations

from typing import Any


def read_side_data(frame: Any, kind: str) -> bytes | None:
    """The bytes of one kind of side data, laid out as FFmpeg does on this machine.

    Args:
      frame: A decoded frame, an `av.VideoFrame`.
      kind: A name of `av.sidedata.sidedata.Type`.

    Returns:
      None if there is none, or if PyAV does not know one of the kinds that the frame has.
    """
    try:
        data: Any = frame.side_data.get(kind)
    except ValueError:
        return None
    return None if data is None else bytes(data)
