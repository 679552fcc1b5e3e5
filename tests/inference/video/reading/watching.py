"""What tests of videos look at: which picture is shown when, and with which line one is refused."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mattingjax.errors import VideoError
from mattingjax.inference.video.frames import Moment
from mattingjax.inference.video.reading import VideoFile, open_video
from tests.inference.video.clips import Clip, index_of

B_FRAMES = {'preset': 'medium', 'bf': '3', 'b-adapt': '0'}


def read(path: Any, **options: Any) -> tuple[VideoFile, list[tuple[int, Moment]]]:
    """The source and all moments: which picture, and when."""
    with open_video(path, **options) as video:
        frames = list(video.frames())
    return video, [(index_of(f.picture.pixels()), m) for f in frames for m in f.moments]


def shown(path: Any, **options: Any) -> list[tuple[int, Fraction]]:
    """Which picture is shown at which time."""
    return [(index, moment.time) for index, moment in read(path, **options)[1]]


def refusal(path: Any, **options: Any) -> str:
    """The one line with which a video is refused, without its name."""
    with pytest.raises(VideoError) as caught, open_video(path, **options) as video:
        list(video.frames())
    message = str(caught.value)
    assert message.startswith(f'{path}: ')
    assert '\n' not in message
    return message.removeprefix(f'{path}: ')


def long_clip(folder: Path) -> Path:
    """Writes 60 frames with a key frame among every ten, an MP4 whose index comes first."""
    path = folder / 'long.mp4'
    options = {**B_FRAMES, 'g': '10'}
    Clip(range(60), options=options, container_options={'movflags': 'faststart'}).write(path)
    return path
