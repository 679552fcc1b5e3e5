import sys
import types

import numpy as np
import pytest

from mattingjax.errors import VideoError
from mattingjax.inference.video.writing.window import Window
from tests.inference.video.writing.readback import steady

MOMENT = tuple(steady(1))


class Tk:
    """Stands in for tkinter.Tk."""

    def __init__(self):
        self.keys, self.protocols, self.updates, self.gone = {}, {}, 0, False
        Tk.last = self

    def title(self, text):
        self.text = text

    def protocol(self, name, act):
        self.protocols[name] = act

    def bind(self, key, act):
        self.keys[key] = act

    def winfo_screenheight(self):
        return 200

    def winfo_screenwidth(self):
        return 300

    def update(self):
        self.updates += 1

    def destroy(self):
        self.gone = True


class Label:
    """Stands in for tkinter.Label."""

    def __init__(self, root, **_):
        root.label = self

    def pack(self):
        pass

    def configure(self, image):
        self.image = image


class PhotoImage:
    """Stands in for tkinter.PhotoImage."""

    def __init__(self, master, data, format):
        assert format == 'PPM'
        head, pixels = data.split(b'\n', 1)
        name, width, height, top = head.split()
        assert (name, top) == (b'P6', b'255')
        self.pixels = np.frombuffer(pixels, np.uint8).reshape(int(height), int(width), 3)


class TclError(Exception):
    pass


@pytest.fixture
def tkinter(monkeypatch):
    module = types.SimpleNamespace(Tk=Tk, Label=Label, PhotoImage=PhotoImage, TclError=TclError)
    monkeypatch.setitem(sys.modules, 'tkinter', module)
    return module


def shown():
    return Tk.last.label.image.pixels


def test_every_kind_is_shown(tkinter):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (48, 64, 3), np.uint8)
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    with Window() as window:
        window.write(colours, MOMENT)
        np.testing.assert_array_equal(shown(), colours)
        window.write(alpha, MOMENT)
        np.testing.assert_array_equal(shown(), np.dstack([alpha] * 3))
        window.write(np.dstack([colours, alpha]), MOMENT)
        np.testing.assert_array_equal(shown()[:, 32:], colours[:, 32:])
        assert set(np.unique(shown()[:, :32])) == {204, 255}  # the checkerboard
        window.finish()
        assert Tk.last.updates == 3
        assert not window.closed
        assert window.notes == []
    assert Tk.last.gone


def test_large_pictures_are_reduced_to_the_screen(tkinter):
    with Window() as window:
        window.write(np.full((400, 800), 77, np.uint8), MOMENT)
        assert shown().shape == (135, 270, 3)
        assert (shown() == 77).all()


@pytest.mark.parametrize('how', ['<q>', '<Escape>', 'WM_DELETE_WINDOW'])
def test_the_user_closes_it(tkinter, how):
    with Window() as window:
        act = Tk.last.protocols.get(how) or Tk.last.keys[how]
        act(*(['event'] if how.startswith('<') else []))
        assert window.closed
        window.write(np.zeros((4, 4), np.uint8), MOMENT)
        assert Tk.last.updates == 0


def test_a_window_that_is_gone_counts_as_closed(tkinter, monkeypatch):
    def fail(_):
        raise TclError('application has been destroyed')

    with Window() as window:
        monkeypatch.setattr(Tk, 'update', fail)
        window.write(np.zeros((4, 4), np.uint8), MOMENT)
        assert window.closed


def test_without_a_screen_or_tkinter_one_line_says_so(tkinter, monkeypatch):
    def fail():
        raise TclError('no display name and no $DISPLAY environment variable')

    monkeypatch.setattr(tkinter, 'Tk', fail)
    with pytest.raises(VideoError, match=r'window: cannot be opened \(no display name'):
        Window()
    monkeypatch.setitem(sys.modules, 'tkinter', None)
    with pytest.raises(VideoError, match='window: expected Python with tkinter'):
        Window()


def test_the_real_tkinter_without_a_screen(monkeypatch):
    pytest.importorskip('tkinter')
    monkeypatch.delenv('DISPLAY', raising=False)
    with pytest.raises(VideoError, match=r'^window: cannot be opened \(.*\)$'):
        Window()
