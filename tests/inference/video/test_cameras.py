import threading
import time
from fractions import Fraction

import cv2
import numpy as np
import pytest

from mattingjax.errors import VideoError
from mattingjax.inference.video import cameras
from mattingjax.inference.video.cameras import open_camera
from tests.waiting import wait_until

SECONDS = 10  # until a test that hangs fails


class Capture:
    """Stands in for OpenCV's VideoCapture: its frame number k is blue of level k.

    `there` frames can be read; reading waits for more, and fails once the camera is off.
    """

    def __init__(self, number, shape=(4, 6), rate=29.97, frames=1):
        self.number, self.shape, self.rate = number, shape, rate
        self.asked = {}
        self.changed = threading.Condition()
        self.there = frames
        self.given = 0
        self.off = False
        self.is_released = threading.Event()

    def isOpened(self):  # noqa: N802
        return True

    def set(self, what, value):
        self.asked[what] = value

    def get(self, what):
        assert what == cv2.CAP_PROP_FPS
        return self.rate

    def read(self):
        with self.changed:
            assert self.changed.wait_for(lambda: self.off or self.given < self.there, SECONDS)
            if self.given >= self.there:
                return False, None
            pixels = np.zeros((*self.shape, 3), np.uint8)
            pixels[..., 0] = self.given
            self.given += 1
            return True, pixels

    def shoot(self, count=1):
        """Lets the camera take pictures, and waits until they were read."""
        with self.changed:
            self.there += count
            self.changed.notify_all()
        wait_until(lambda: self.given >= self.there, SECONDS)
        time.sleep(0.02)  # until the last one is handed over

    def switch_off(self):
        with self.changed:
            self.off = True
            self.changed.notify_all()

    def release(self):
        self.is_released.set()


@pytest.fixture
def captures(monkeypatch):
    """The stand-ins that were opened; they are switched off in the end."""
    opened = []

    def open_capture(number):
        opened.append(Capture(number))
        return opened[-1]

    monkeypatch.setattr(cv2, 'VideoCapture', open_capture)
    yield opened
    for capture in opened:
        capture.switch_off()


def level(frame):
    """Which frame of the stand-in it is; its colours are in the order red, green, blue."""
    pixels = frame.picture.pixels()
    assert not pixels[..., :2].any()
    return pixels[0, 0, 2]


def test_a_camera(captures):
    with open_camera('camera:3', (480, 640), Fraction(25)) as source:
        (capture,) = captures
        assert capture.number == 3
        assert capture.asked == {
            cv2.CAP_PROP_FRAME_HEIGHT: 480,
            cv2.CAP_PROP_FRAME_WIDTH: 640,
            cv2.CAP_PROP_FPS: 25.0,
        }
        assert (source.name, source.shape, source.is_live) == ('camera:3', (4, 6), True)
        assert source.rate == Fraction(2997, 100)
        assert source.notes == ['the camera gives 6x4 instead of 640x480']
        frames = source.frames()
        capture.shoot()
        first = next(frames)
        assert (level(first), first.moments) == (1, ((0, None),))
        time.sleep(0.05)
        capture.shoot()
        second = next(frames)
        assert level(second) == 2
        ((seconds, duration),) = second.moments
        assert duration is None
        assert 0.05 <= seconds < SECONDS
        assert (seconds / source.time_base).denominator == 1
        capture.switch_off()  # so that closing need not wait
    assert capture.is_released.wait(SECONDS)
    assert list(frames) == []
    assert source.damage is None


def test_only_the_newest_frame_counts(captures):
    with open_camera('camera:0') as source:
        captures[0].shoot(5)
        frames = source.frames()
        assert level(next(frames)) == 5
        captures[0].shoot(3)
        assert level(next(frames)) == 8
        captures[0].switch_off()


def test_times_grow_even_within_a_tick(captures, monkeypatch):
    monkeypatch.setattr(cameras.time, 'monotonic', lambda: 7.0)
    with open_camera('camera:0') as source:
        frames = source.frames()
        times = []
        for _ in range(3):
            with captures[0].changed:
                captures[0].there += 1
                captures[0].changed.notify_all()
            times.append(next(frames).moments[0].time)
        captures[0].switch_off()
    assert times == [0, source.time_base, 2 * source.time_base]


def test_a_camera_that_stops(captures):
    with open_camera('camera:0') as source:
        captures[0].shoot()
        captures[0].switch_off()
        assert [level(frame) for frame in source.frames()] == [1]
    assert source.damage == 'the camera stopped'
    assert captures[0].is_released.wait(SECONDS)


def test_a_camera_that_raises(captures):
    with open_camera('camera:0') as source:

        def fail():
            raise cv2.error('the driver is gone')

        captures[0].read = fail
        with captures[0].changed:  # a call that is waiting returns
            captures[0].there += 1
            captures[0].changed.notify_all()
        assert len(list(source.frames())) <= 1
    assert source.damage == 'the camera stopped'


def test_a_camera_that_hangs(captures, monkeypatch):
    monkeypatch.setattr(cameras, '_PATIENCE', 0.05)
    monkeypatch.setattr(cameras, '_CLOSING', 0.05)
    with open_camera('camera:0') as source:
        assert list(source.frames()) == []
    assert source.damage == 'the camera stopped'
    assert not captures[0].is_released.is_set()


def test_closing_from_another_thread_ends_the_frames(captures):
    source = open_camera('camera:0')
    frames = []
    reader = threading.Thread(target=lambda: frames.extend(source.frames()))
    reader.start()
    time.sleep(0.05)  # it waits for a frame
    closer = threading.Thread(target=source.__exit__, args=(None, None, None))
    closer.start()
    reader.join(SECONDS)
    assert not reader.is_alive()
    captures[0].switch_off()
    closer.join(SECONDS)
    assert not closer.is_alive()
    assert (frames, source.damage) == ([], None)


@pytest.mark.parametrize(
    ('rate', 'used'),
    [(0, 30), (-1, 30), (float('nan'), 30), (1e6, 30), (25.0, 25), (15.5, Fraction(31, 2))],
)
def test_rates_that_drivers_give(captures, monkeypatch, rate, used):
    monkeypatch.setattr(Capture, 'get', lambda self, what: rate)
    with open_camera('camera:0') as source:
        captures[0].switch_off()
        assert source.rate == used


def test_a_camera_without_frames(captures, monkeypatch):
    monkeypatch.setattr(Capture, 'read', lambda self: (False, None))
    with pytest.raises(VideoError) as error:
        open_camera('camera:0')
    expected = 'camera:0: the camera gives no frames; another program may have it'
    assert str(error.value) == expected
    assert captures[0].is_released.is_set()


@pytest.mark.parametrize('name', ['camera:x', 'camera:', 'camera', 'camera:-1', 'camera:1000'])
def test_names_that_are_no_cameras(name):
    with pytest.raises(VideoError) as error:
        open_camera(name)
    assert str(error.value) == f'{name}: expected camera:NUMBER, such as camera:0'


def test_a_camera_that_is_not_there(capfd):
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(VideoError) as error:
        open_camera('camera:97')
    assert str(error.value) == 'camera:97: no such camera here'
    assert capfd.readouterr() == ('', '')
    assert cv2.utils.logging.getLogLevel() == level
