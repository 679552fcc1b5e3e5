"""`matte_video` from end to end, with a network whose alpha is the red of the frame."""

import io
import os
import signal
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from mattingjax import create_predictor, matte_video
from mattingjax.errors import MattingError, OutputError, VideoError
from mattingjax.inference.steadying import Steadiness
from mattingjax.inference.video.line import Line
from mattingjax.inference.video.writing.writers import VideoFile
from tests.inference.video.clips import Clip, damaged, grey_of, packets_of
from tests.inference.video.predictors import red
from tests.inference.video.writing.readback import read

UNSTEADY = Steadiness(one_frame_delay=False)
MILLISECOND = Fraction(1, 1000)
VARIABLE = (3, 4, 6, 9, 10, 11, 15, 16, 20, 21)


def matte(source, output, **options):
    return matte_video(
        source, output, predictor=red(), **{'steadiness': UNSTEADY, 'foreground': False, **options}
    )


def times_of(path):
    return [packet.pts * packet.time_base for packet in packets_of(path, 'video')]


def sounds_of(path):
    return [
        (bytes(packet), packet.pts * packet.time_base, packet.duration * packet.time_base)
        for packet in packets_of(path, 'audio')
    ]


def greys_of(path):
    return [int(picture[0][20, 20]) for picture in read(path).pictures]


@pytest.mark.parametrize('times', [tuple(range(10)), VARIABLE])
@pytest.mark.parametrize(
    ('source', 'sound', 'output', 'options'),
    [
        ('clip.mp4', 'aac', 'alpha.mkv', {'kind': 'alpha', 'lossless': True}),
        ('clip.mov', 'aac', 'alpha.mp4', {'kind': 'alpha'}),
        ('clip.mkv', 'libopus', 'cut.webm', {}),
        ('clip.webm', 'libopus', 'cut.webm', {}),
        ('clip.webm', 'libopus', 'alpha.mkv', {'kind': 'alpha'}),
        ('clip.mp4', 'aac', 'cut.mov', {}),
        ('clip.mkv', 'pcm_s16le', 'cut.mov', {}),
        ('clip.mp4', 'libmp3lame', 'composite.mp4', {'background': 'lime'}),
    ],
)
def test_every_frame_has_its_matte_at_its_time_with_its_sound(
    tmp_path, times, source, sound, output, options
):
    """Counts, times and durations, and the packets of the sound."""
    webm = source.endswith('.webm')
    Clip(
        times=times,
        codec='libvpx-vp9' if webm else 'libx264',
        options={} if webm else {'bf': '2', 'preset': 'medium'},
        sound=sound,
        seconds=Fraction(times[-1] + 1, 25),
    ).write(tmp_path / source)
    summary = matte(tmp_path / source, tmp_path / output, **options)
    assert (summary.frames, summary.repeated, summary.damage) == (10, 0, None)
    before, after = read(tmp_path / source), read(tmp_path / output)
    shown = sorted(
        zip(before.times, before.durations, strict=True)
    )  # B-frames lie in another order
    assert len(after.times) == len(times)
    for (time, _), found in zip(shown, after.times, strict=True):
        assert abs(time - found) <= MILLISECOND
    end = sum(shown[-1])
    assert abs(after.times[-1] + after.durations[-1] - end) <= MILLISECOND
    sounds = sounds_of(tmp_path / source), sounds_of(tmp_path / output)
    assert [sound[0] for sound in sounds[0]] == [sound[0] for sound in sounds[1]]
    for mine, theirs in zip(*sounds, strict=True):
        assert abs(mine[1] - theirs[1]) <= MILLISECOND


def test_a_matte_is_that_of_its_own_frame(tmp_path):
    Clip(times=VARIABLE, codec='ffv1', pixels='bgr0').write(tmp_path / 'clip.mkv')
    matte(tmp_path / 'clip.mkv', tmp_path / 'out.mkv', kind='alpha', lossless=True)
    assert greys_of(tmp_path / 'out.mkv') == [grey_of(index) for index in range(10)]


@pytest.mark.parametrize('degrees', [0, 90, 180, 270])
@pytest.mark.parametrize('output', ['out.mkv', 'out.webm', 'out'])
def test_the_rotation_is_applied_once(tmp_path, degrees, output):
    """A clip whose upper left quarter is red before it is turned counterclockwise."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :32] = (255, 0, 0)
    with av.open(str(tmp_path / 'clip.mp4'), 'w') as container:
        stream = container.add_stream('libx264', 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.set_display_rotation(degrees)
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(pixels, 'rgb24')
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(tmp_path / 'clip.mp4')) as container:
        turned = next(container.decode(video=0)).rotation
    assert turned % 360 == degrees
    kind = {'out.mkv': 'alpha', 'out.webm': 'composite', 'out': 'alpha'}[output]
    background = 'black' if kind == 'composite' else None
    matte(tmp_path / 'clip.mp4', tmp_path / output, kind=kind, background=background)
    if output == 'out':
        found = np.asarray(Image.open(tmp_path / output / '000000.png')).astype(int)
    else:
        with av.open(str(tmp_path / output)) as container:
            frame = next(container.decode(video=0))
            assert frame.rotation == 0
            found = frame.to_ndarray(format='rgb24')[..., 0].astype(int)
    expected = np.rot90(pixels[..., 0], degrees // 90)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 8


def test_a_part_of_a_clip_at_another_rate(tmp_path):
    Clip(times=range(40), sound='aac', seconds=Fraction(8, 5)).write(tmp_path / 'clip.mp4')
    matte(
        tmp_path / 'clip.mp4', tmp_path / 'out.mkv', kind='alpha', lossless=True,
        start='0.4', duration=0.8, fps=50,
    )  # fmt: skip
    expected = [index // 2 for index in range(20, 60)]
    found = [round((grey - 20) / 5) for grey in greys_of(tmp_path / 'out.mkv')]
    assert found == expected
    times = times_of(tmp_path / 'out.mkv')
    assert times == [Fraction(20 * index, 1000) for index in range(40)]
    sounds = sounds_of(tmp_path / 'out.mkv')
    assert -0.03 < sounds[0][1] < 0.03
    assert 0.76 < sounds[-1][1] + sounds[-1][2] < 0.83


def test_sound_that_is_not_wanted_is_not_there(tmp_path):
    Clip(sound='aac').write(tmp_path / 'clip.mp4')
    for sound in (True, False):
        matte(tmp_path / 'clip.mp4', tmp_path / 'out.mkv', kind='alpha', sound=sound)
        with av.open(str(tmp_path / 'out.mkv')) as container:
            assert len(container.streams.audio) == sound


def test_damaged_frames_are_repeated_and_counted(tmp_path):
    clip = tmp_path / 'clip.mkv'
    Clip(codec='ffv1', pixels='bgr0', options={'slicecrc': '1', 'g': '1'}).write(clip)
    clip.write_bytes(damaged(clip, [4, 5], keep=40))
    summary = matte(clip, tmp_path / 'out.mkv', kind='alpha', lossless=True)
    assert (summary.frames, summary.repeated) == (10, 2)
    expected = [grey_of(index) for index in (0, 1, 2, 3, 3, 3, 6, 7, 8, 9)]
    assert greys_of(tmp_path / 'out.mkv') == expected
    assert times_of(tmp_path / 'out.mkv') == [Fraction(index, 25) for index in range(10)]
    assert summary.describe().endswith('for 2 damaged of the source the ones before')


def test_a_truncated_clip_is_matted_as_far_as_it_goes(tmp_path):
    clip = tmp_path / 'clip.mkv'
    Clip(times=range(50), codec='ffv1', pixels='bgr0').write(clip)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    summary = matte(clip, tmp_path / 'out.mp4', kind='alpha')
    assert 20 < summary.frames < 30
    assert 'of 2.0 s' in summary.damage
    assert len(times_of(tmp_path / 'out.mp4')) == summary.frames


def test_mattes_are_steadied_by_default(tmp_path):
    """A matte that flashes for one frame, while the picture hardly changes, is taken out."""
    Clip(times=range(6), codec='ffv1', pixels='bgr0').write(tmp_path / 'clip.mkv')
    flashing = red()
    original = flashing._runtime.__class__.__call__

    class Flashing(flashing._runtime.__class__):
        def __call__(self, images):
            alpha = original(self, images)
            return 1 - alpha if abs(alpha.mean() * 255 - grey_of(3)) < 1 else alpha

    flashing._runtime = Flashing()
    for steadiness, is_flashing in ((UNSTEADY, True), (None, False)):
        matte_video(
            tmp_path / 'clip.mkv', tmp_path / 'out.mkv', kind='alpha', lossless=True,
            predictor=flashing, steadiness=steadiness,
        )  # fmt: skip
        greys = greys_of(tmp_path / 'out.mkv')
        assert (abs(greys[3] - grey_of(3)) > 20) == is_flashing
        assert [greys[i] for i in (0, 1, 5)] == [grey_of(i) for i in (0, 1, 5)]


def test_kinds_and_what_is_behind(tmp_path):
    """Half transparent, with the frame's own colours."""
    Clip(times=(0,), codec='ffv1', pixels='bgr0').write(tmp_path / 'clip.mkv')
    Clip(times=range(5, 8), codec='ffv1', pixels='bgr0').write(tmp_path / 'behind.mkv')
    grey = grey_of(0)
    alpha = round(grey / 255 * 255) / 255
    for background, behind in (('white', 255), (tmp_path / 'behind.mkv', grey_of(0))):
        matte(tmp_path / 'clip.mkv', tmp_path / 'out', background=background)
        pixels = np.asarray(Image.open(tmp_path / 'out' / '000000.png'))
        assert abs(pixels - (alpha * grey + (1 - alpha) * behind)).max() <= 1
        for file in (tmp_path / 'out').iterdir():
            file.unlink()
    matte(tmp_path / 'clip.mkv', tmp_path / 'out')
    pixels = np.asarray(Image.open(tmp_path / 'out' / '000000.png'))
    assert (pixels[0, 0] == grey).all()
    assert pixels.shape == (48, 64, 4)


def test_a_moving_background_changes_while_a_frame_stays(tmp_path):
    Clip(times=(0, 4, 8), codec='ffv1', pixels='bgr0').write(tmp_path / 'slow.mkv')
    Clip(times=range(9), codec='ffv1', pixels='bgr0').write(tmp_path / 'fast.mkv')
    matte(
        tmp_path / 'slow.mkv',
        tmp_path / 'out',
        fps=25,
        background=tmp_path / 'fast.mkv',
        loop=False,
    )
    found = [
        np.asarray(Image.open(path))[0, 0, 0] for path in sorted((tmp_path / 'out').glob('*.png'))
    ]
    mixed = [(grey_of(i // 4) ** 2 + (255 - grey_of(i // 4)) * grey_of(i)) / 255 for i in range(9)]
    np.testing.assert_allclose(found, mixed, atol=1)


def test_raw_frames_of_a_stream(tmp_path):
    frames = np.stack([np.full((40, 60, 3), 10 * index, np.uint8) for index in range(5)])
    summary = matte(
        io.BytesIO(frames.tobytes()[:-7]), tmp_path / 'out.mkv', kind='alpha', lossless=True,
        size='60x40', fps='10',
    )  # fmt: skip
    assert summary.frames == 4
    assert summary.damage.startswith('ends within frame 5')
    assert greys_of(tmp_path / 'out.mkv') == [0, 10, 20, 30]
    assert times_of(tmp_path / 'out.mkv') == [Fraction(index, 10) for index in range(4)]


def test_a_video_of_a_stream_and_a_folder(tmp_path):
    Clip(codec='ffv1', pixels='bgr0').write(tmp_path / 'clip.mkv')
    with open(tmp_path / 'clip.mkv', 'rb') as stream:
        matte(stream, tmp_path / 'out', background='white')
    again = matte(tmp_path / 'out', tmp_path / 'again.mkv', kind='alpha', lossless=True, fps=5)
    assert again.frames == 10
    assert times_of(tmp_path / 'again.mkv')[1] == Fraction(1, 5)


@pytest.mark.parametrize('size', [(63, 47), (17, 33)])
@pytest.mark.parametrize('output', ['out.mp4', 'out.webm', 'out.mkv', 'out.mov'])
def test_odd_sizes_stay(tmp_path, size, output):
    Clip(times=range(3), codec='ffv1', pixels='bgr0', size=size).write(tmp_path / 'clip.mkv')
    matte(tmp_path / 'clip.mkv', tmp_path / output, kind='alpha')
    with av.open(str(tmp_path / output)) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == size
    assert abs(frame.to_ndarray(format='gray').astype(int)[5, 5] - 33) < 20


def test_mattes_of_weights_that_ship_are_those_of_single_frames(tmp_path, shared):
    """What the video has is what a photo of the frame would get."""
    from mattingjax.inference.video.reading import open_video

    clip = shared / 'data' / 'video' / 'carphone.mp4'
    predictor = create_predictor('mmnet_0.5', parallel=2)
    matte_video(
        clip, tmp_path / 'out', kind='alpha', duration=0.3, predictor=predictor, steadiness=UNSTEADY
    )
    with open_video(clip) as source:
        for path, frame in zip(
            sorted((tmp_path / 'out').glob('*.png')), source.frames(), strict=False
        ):
            expected = predictor(frame.picture.pixels())
            assert np.abs(np.asarray(Image.open(path)) / 255 - expected).mean() < 1e-3


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'kind': 'sketch'}, 'kind: expected one of alpha, cutout, composite'),
        ({'kind': 'composite'}, 'a composite needs a background'),
        (
            {'kind': 'alpha', 'background': 'red'},
            'a composite needs a background, and nothing else',
        ),
        ({'start': '5'}, r'start: expected at most 0\.\d+ s in .*clip.mp4, got 5'),
        ({'start': 'x'}, 'start: expected seconds'),
        ({'duration': 0}, 'duration: expected more than 0 seconds, got 0'),
        ({'fps': '0'}, 'fps: expected more than 0'),
        ({'fps': '1e-9'}, 'fps: expected more than 0'),
        ({'pixel_format': 'yuv420p'}, 'pixel_format: expected none without the size'),
        ({'size': '4x4'}, 'size: expected none'),
        (
            {'background': 'octarine'},
            'background: expected a colour, a picture, a video, blur.*octa',
        ),
        ({'steadiness': 0.5}, r'steadiness: expected a mattingjax.Steadiness, got 0.5'),
    ],
)
def test_impossible_arguments_are_told(tmp_path, options, message):
    Clip().write(tmp_path / 'clip.mp4')
    with pytest.raises(MattingError, match=message):
        matte(tmp_path / 'clip.mp4', tmp_path / 'out.mov', **options)
    assert [path.name for path in tmp_path.iterdir()] == ['clip.mp4']


def test_impossible_results_are_told_before_anything_is_read(tmp_path):
    Clip().write(tmp_path / 'clip.mkv')
    for output, message in (
        (tmp_path / 'out.mp4', r'out.mp4: .mp4 cannot hold the transparency of a cut-out'),
        (tmp_path / 'clip.mkv', 'expected another name than that of what it is made of'),
        (None, r'output: expected a file'),
    ):
        with pytest.raises(MattingError, match=message):
            matte(tmp_path / 'clip.mkv', output)


@pytest.mark.parametrize('source', [42, [np.zeros((4, 4, 3), np.uint8)]])
def test_what_is_no_source_is_told(tmp_path, source):
    with pytest.raises(VideoError, match='source: expected a path, camera:NUMBER or an open'):
        matte(source, tmp_path / 'out.mov')


def test_frames_that_are_too_small_are_told(tmp_path):
    Clip(size=(12, 12), codec='ffv1', pixels='bgr0').write(tmp_path / 'clip.mkv')
    with pytest.raises(VideoError, match=r'clip.mkv: expected a photo of at least 16 pixels'):
        matte(tmp_path / 'clip.mkv', tmp_path / 'out.mkv')
    assert not (tmp_path / 'out.mkv').exists()


def test_what_fails_midway_leaves_nothing(tmp_path):
    Clip(times=range(30)).write(tmp_path / 'clip.mp4')
    predictor = red()

    def fail(pixels):
        raise MattingError('the network is lost')

    predictor.run = fail
    with pytest.raises(MattingError, match='the network is lost'):
        matte_video(tmp_path / 'clip.mp4', tmp_path / 'out.mov', predictor=predictor)
    assert [path.name for path in tmp_path.iterdir()] == ['clip.mp4']


def test_ctrl_c_keeps_what_is_matted(tmp_path):
    Clip(times=range(500)).write(tmp_path / 'clip.mp4')
    predictor = red()
    original, seen = predictor.run, []

    def run(pixels):
        seen.append(1)
        if len(seen) == 50:
            os.kill(os.getpid(), signal.SIGINT)
        return original(pixels)

    predictor.run = run
    summary = matte_video(tmp_path / 'clip.mp4', tmp_path / 'out.mkv', predictor=predictor)
    assert summary.stopped_by == signal.SIGINT
    assert 40 < summary.frames < 100
    assert len(times_of(tmp_path / 'out.mkv')) == summary.frames


@pytest.mark.parametrize('how', ['signal', 'background'])
def test_the_sound_of_what_ends_early_ends_with_the_picture(tmp_path, how):
    Clip(times=range(100), sound='aac', seconds=Fraction(4)).write(tmp_path / 'clip.mp4')
    Clip(times=range(30), codec='ffv1', pixels='bgr0').write(tmp_path / 'behind.mkv')
    predictor = red()
    original, seen = predictor.run, []

    def run(pixels):
        seen.append(1)
        if len(seen) == 30 and how == 'signal':
            os.kill(os.getpid(), signal.SIGTERM)
        return original(pixels)

    predictor.run = run
    background = tmp_path / 'behind.mkv' if how == 'background' else None
    matte_video(
        tmp_path / 'clip.mp4', tmp_path / 'out.mov', background=background, loop=False,
        predictor=predictor,
    )  # fmt: skip
    end = times_of(tmp_path / 'out.mov')[-1] + Fraction(1, 25)
    assert 1 < end < 3
    last = sounds_of(tmp_path / 'out.mov')[-1]
    assert abs(last[1] + last[2] - end) < 0.05


def test_a_picture_that_moves_is_a_background_that_moves(tmp_path):
    greys = [Image.new('L', (64, 48), grey) for grey in (20, 25, 30)]
    greys[0].save(tmp_path / 'moving.gif', save_all=True, append_images=greys[1:], duration=40)
    Clip(times=range(3), codec='ffv1', pixels='bgr0').write(tmp_path / 'clip.mkv')
    matte(tmp_path / 'clip.mkv', tmp_path / 'out', background=tmp_path / 'moving.gif')
    files = sorted((tmp_path / 'out').glob('*.png'))
    found = [int(np.asarray(Image.open(file))[0, 0, 0]) for file in files]
    assert found == [20, 25, 30]  # behind a half transparent grey of the same level


def test_the_network_may_be_named(tmp_path):
    Clip(times=range(2)).write(tmp_path / 'clip.mp4')
    summary = matte_video(tmp_path / 'clip.mp4', tmp_path / 'out.mov', predictor='mmnet_0.5')
    assert summary.frames == 2


def test_a_window_that_is_closed_ends_the_run(tmp_path, monkeypatch):
    from mattingjax.inference.video import matting

    class Window:
        notes = ()

        def __init__(self):
            self.shown, self.closed = 0, False
            windows.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, picture, moments):
            assert threading.current_thread() is threading.main_thread()
            self.shown += 1
            self.closed = self.shown == 4

        def finish(self, *, early):
            finished.append(early)

    windows, finished = [], []
    monkeypatch.setattr(matting, 'Window', Window)
    Clip(times=range(30)).write(tmp_path / 'clip.mp4')
    summary = matte(tmp_path / 'clip.mp4', tmp_path / 'out.webm', show=True)
    assert (summary.frames, windows[0].shown) == (4, 4)
    assert len(times_of(tmp_path / 'out.webm')) == 4
    assert matte(tmp_path / 'clip.mp4', None, show=True).frames == 4
    assert finished == [True, True]


def test_few_frames_are_held_at_a_time(tmp_path, monkeypatch):
    """However long a clip is: between the network and the result there are only some frames."""
    counts, most = {'seen': 0, 'written': 0}, []
    see, write = Line._see, VideoFile.write

    def seeing(self, frame):
        counts['seen'] += 1
        most.append(counts['seen'] - counts['written'])
        return see(self, frame)

    def writing(self, picture, moments):
        counts['written'] += 1
        write(self, picture, moments)

    monkeypatch.setattr(Line, '_see', seeing)
    monkeypatch.setattr(VideoFile, 'write', writing)
    Clip(times=range(200)).write(tmp_path / 'clip.mp4')
    matte(tmp_path / 'clip.mp4', tmp_path / 'out.mkv', kind='alpha')
    assert counts == {'seen': 200, 'written': 200}
    assert max(most) <= 12


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path):
    resource = pytest.importorskip('resource')
    Clip(times=range(200), size=(320, 240)).write(tmp_path / 'clip.mp4')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r'out.mkv: cannot be written \(File too large\)'):
            matte(tmp_path / 'clip.mp4', tmp_path / 'out.mkv', kind='alpha', lossless=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ['clip.mp4']


def test_a_source_that_is_a_cut_out_is_matted_anew_with_a_note(tmp_path):
    Clip(times=range(3)).write(tmp_path / 'clip.mp4')
    for suffix, note in (('.webm', 'left out'), ('.mov', 'put on white')):
        matte(tmp_path / 'clip.mp4', tmp_path / f'cutout{suffix}')
        summary = matte(tmp_path / f'cutout{suffix}', tmp_path / 'out.mp4', kind='alpha')
        assert [note in told for told in summary.notes if 'transparency' in told] == [True]
