"""The camera and clips on the page, with the server and with an engine that is in the page."""

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from tests.inference.serving.page.pages import (
    ASTRONAUT,
    cutout_of,
    download,
    give,
    opened,
    pixels_of,
    wait_for,
)

# A fake engine that computes in the page: the left half of what it gets is the person.
LIVE_ENGINE = """
export const open = async () => ({
  networks: [{ name: 'half', title: 'Half', note: '' }], defaultNetwork: 'half',
  live: true, clips: 'live', limits: null, where: 'here',
});
export async function cutOutFrame(frame) {
  const canvas = new OffscreenCanvas(frame.width, frame.height);
  const context = canvas.getContext('2d');
  context.drawImage(frame, 0, 0);
  context.clearRect(frame.width / 2, 0, frame.width, frame.height);
  frame.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
export async function cutOut(photo) {
  const result = await cutOutFrame(await createImageBitmap(photo));
  const canvas = new OffscreenCanvas(result.width, result.height);
  canvas.getContext('2d').putImageData(result, 0, 0);
  return canvas.convertToBlob();
}
"""


def test_the_camera_takes_a_photo(page):
    page.click('#camera')
    wait_for(page, 'live')
    assert page.evaluate("document.getElementById('sight').videoWidth") > 400
    page.keyboard.press('Escape')
    wait_for(page, 'empty')
    assert page.evaluate("document.getElementById('sight').srcObject.active") is False
    page.click('#camera')
    wait_for(page, 'live')
    page.click('#shoot')
    wait_for(page, 'done')
    height, width = cutout_of(page).shape[:2]
    assert width > height > 400
    assert download(page)[0] == 'camera_cutout.png'


def test_live_matting(browser, address):
    with opened(browser, address, LIVE_ENGINE) as page:
        page.click('#camera')
        wait_for(page, 'live')
        page.check('input[value="#3f7fd6"]')
        page.click('#show-composite')
        page.wait_for_selector('#speed:text-matches("([2-9]|..) frames/s")')
        page.click('#stop')
        wait_for(page, 'empty')
        frame = pixels_of(page, 'window.matting.frame')
        result = pixels_of(page, 'window.matting.result')
        half = frame.shape[1] // 2
        assert (frame[:, :half] == result[:, :half]).all()
        assert (result[:, half:] == 0).all()
        shown = pixels_of(page)
        assert (shown[:, :half] == frame[:, :half]).all()
        assert (shown[:, half:, :3] == [0x3F, 0x7F, 0xD6]).all()


def test_a_camera_that_is_asked_for_twice_is_opened_once(browser, address):
    with opened(browser, address, LIVE_ENGINE) as page:
        page.evaluate(
            """() => {
              window.streams = [];
              const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
              let wait = 600; // the first answer comes last
              navigator.mediaDevices.getUserMedia = async (wanted) => {
                const stream = await ask(wanted);
                const later = wait;
                wait = 0;
                await new Promise((resolve) => setTimeout(resolve, later));
                streams.push(stream);
                return stream;
              };
            }"""
        )
        page.dblclick('#camera')
        wait_for(page, 'live')
        assert page.evaluate('document.activeElement.id') == 'shoot', 'the button is gone'
        page.evaluate(
            """async () => {
              while (streams.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
            }"""
        )
        assert page.evaluate('streams.map(({ active }) => active)') == [True, False]
        page.click('#stop')
        assert page.evaluate('streams.map(({ active }) => active)') == [False, False]


def test_a_camera_that_is_pulled_out_is_told(browser, address):
    with opened(browser, address, LIVE_ENGINE) as page:
        page.click('#camera')
        wait_for(page, 'live')
        page.evaluate(
            """() => {
              const [track] = document.getElementById('sight').srcObject.getTracks();
              track.dispatchEvent(new Event('ended'));
            }"""
        )
        wait_for(page, 'error')
        assert page.text_content('#status') == 'The camera has stopped.'


def test_a_live_engine_that_fails(browser, address):
    engine = LIVE_ENGINE.replace('frame.close();', "throw new Error('No memory is left.');")
    with opened(browser, address, engine) as page:
        page.click('#camera')
        wait_for(page, 'error')
        assert page.text_content('#status') == 'No memory is left.'
        assert page.evaluate("document.getElementById('sight').srcObject.active") is False
        assert page.locator('#drop').is_visible()


def test_a_photo_of_the_live_camera(browser, address):
    with opened(browser, address, LIVE_ENGINE) as page:
        page.click('#camera')
        wait_for(page, 'live')
        page.click('#shoot')
        wait_for(page, 'done')
        assert cutout_of(page)[..., 3].mean() == pytest.approx(127.5, abs=1)


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A second of the astronaut, WebM: Debian's Chromium and others play it."""
    av = pytest.importorskip('av', reason='PyAV is not installed')
    path = tmp_path_factory.mktemp('clip') / 'clip.webm'
    photo = np.asarray(Image.open(ASTRONAUT).resize((128, 128)))
    with av.open(path, 'w') as container:
        stream = container.add_stream('vp9', rate=8)
        stream.width, stream.height, stream.pix_fmt = 128, 128, 'yuv420p'
        for _ in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(photo)))
        container.mux(stream.encode())
    return path


def test_a_clip_is_matted(page, clip):
    give(page, clip)
    width = page.evaluate(
        """() => new Promise((resolve) => {
          const clip = document.getElementById('clip');
          if (clip.readyState) resolve(clip.videoWidth);
          else clip.onloadedmetadata = () => resolve(clip.videoWidth);
        })"""
    )
    assert width == 128
    with page.expect_download() as saved:
        page.click('#download')
    assert saved.value.suggested_filename == 'clip_cutout.webm'
    assert page.locator('#start').is_hidden()
    page.check('input[value="#00b140"]')
    assert page.text_content('#status') == 'The clip has the look that was chosen before.'
    assert page.text_content('#download') == 'Download as it was'
    page.check('input[value=none]')
    assert page.locator('#start').is_hidden(), 'it looks as it should'
    assert page.text_content('#download') == 'Download'
    page.check('input[value="#00b140"]')
    page.click('#start')  # a clip takes long: it is matted again when somebody says so
    wait_for(page, 'done')
    with page.expect_download() as saved:
        page.click('#download')
    assert saved.value.suggested_filename == 'clip_composite.mp4'
    with pytest.importorskip('av').open(saved.value.path()) as result:
        corner = next(result.decode(video=0)).to_ndarray(format='rgb24')[4, 4]
    assert np.abs(corner.astype(int) - [0x00, 0xB1, 0x40]).max() < 12


def test_a_live_clip_that_the_browser_cannot_play(browser, address, tmp_path):
    (tmp_path / 'clip.mp4').write_bytes(b'no clip')
    with opened(browser, address, LIVE_ENGINE) as page:
        give(page, tmp_path / 'clip.mp4', 'error')
        assert page.text_content('#status') == 'This browser cannot play this clip.'


def test_a_frame_that_came_meanwhile_is_taken_at_once(page):
    counts = page.evaluate(
        """async () => {
          const { matteLive } = await import(new URL('live.js', document.baseURI));
          const video = document.createElement('canvas'); // whose frames come when they are told to
          let come;
          video.videoWidth = video.videoHeight = 8;
          video.requestVideoFrameCallback = (callback) => { come = callback; };
          const [answers, frees] = [[], []];
          const cutOut = (_, onFree) => {
            frees.push(onFree);
            return new Promise((resolve) => answers.push(resolve));
          };
          const stop = new AbortController();
          matteLive(video, cutOut, () => {}, stop.signal);
          const counts = [];
          const count = async () => {
            await new Promise((resolve) => setTimeout(resolve, 100));
            counts.push(answers.length);
          };
          come();
          await count();
          come(); // while the first is matted
          await count();
          answers[0](new ImageData(8, 8));
          await count();
          answers[1](new ImageData(8, 8));
          await count(); // no third has come
          come();
          await count();
          come();
          frees[2](); // it takes another before it has done this one
          await count();
          come();
          frees[3](); // but no third
          await count();
          answers[2](new ImageData(8, 8));
          await count();
          stop.abort();
          return counts;
        }"""
    )
    assert counts == [1, 1, 2, 2, 3, 4, 4, 5]


def test_a_live_clip(browser, address, clip):
    with opened(browser, address, LIVE_ENGINE) as page:
        page.set_input_files('#file', clip)
        wait_for(page, 'live')
        assert pixels_of(page).shape == (128, 128, 4)
        page.click('#stop')
        wait_for(page, 'empty')
        page.set_input_files('#file', clip)
        wait_for(page, 'live')
        page.click('#shoot:text-is("Take this frame")')
        wait_for(page, 'done')
        assert download(page)[0] == 'clip_cutout.png'


def test_a_live_clip_is_recorded_with_its_sound(browser, address, tmp_path):
    av = pytest.importorskip('av', reason='PyAV is not installed')
    path = tmp_path / 'grey.webm'
    with av.open(path, 'w') as container:  # two seconds that become brighter, and a tone
        video, audio = container.add_stream('vp9', rate=8), container.add_stream('libopus', 48000)
        video.width, video.height, video.pix_fmt, audio.layout = 128, 96, 'yuv420p', 'mono'
        tone = np.sin(np.arange(96_000, dtype=np.float32) * 0.06)[None]
        sound = av.AudioFrame.from_ndarray(tone / 2, 'fltp', 'mono')
        sound.sample_rate = 48000
        for level in range(16):
            luma, chroma = np.full((96, 128), 50 + 10 * level), np.full((48, 128), 128)
            planes = np.concatenate([luma, chroma]).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(planes, 'yuv420p')))
        container.mux([*video.encode(), *audio.encode(sound), *audio.encode()])
    with opened(browser, address, LIVE_ENGINE) as page:
        page.set_input_files('#file', path)
        wait_for(page, 'live')
        page.click('#record')
        wait_for(page, 'recording')
        page.keyboard.press('Escape')
        wait_for(page, 'empty')
        page.set_input_files('#file', path)
        wait_for(page, 'live')
        page.click('#record')
        wait_for(page, 'done')
        with page.expect_download() as saved:
            page.click('#download')
        assert saved.value.suggested_filename == 'grey_composite.webm'
        content = io.BytesIO(pathlib.Path(saved.value.path()).read_bytes())
        assert page.locator('#start').is_hidden()
        page.check('input[value="#00b140"]')
        page.click('#start')
        wait_for(page, 'live')
    with av.open(content) as film:
        assert {stream.type for stream in film.streams} == {'video', 'audio'}
        decoded = list(film.decode(video=0, audio=0))
    frames = [frame for frame in decoded if isinstance(frame, av.VideoFrame)]
    tones = [frame.to_ndarray() for frame in decoded if isinstance(frame, av.AudioFrame)]
    assert 1 < frames[-1].time - frames[0].time < 3
    assert max(np.abs(tone).max() for tone in tones) > 0.2
    first, last = (frames[i].to_ndarray(format='rgb24').astype(int) for i in (0, -1))
    assert first.shape == (96, 128, 3)
    assert np.abs(first[:, :60] - 255 * (50 - 16) / 219).max() < 4, 'it begins at the beginning'
    assert last[:, :60].mean() == pytest.approx(255 * (200 - 16) / 219, abs=25), 'until its end'
    assert min(first[:, 68:].min(), last[:, 68:].min()) > 243, 'on white'
