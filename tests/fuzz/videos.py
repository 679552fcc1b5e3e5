"""Clips: damaged containers and streams of every format, and lists that name other files."""

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np

from mattingjax.inference.video.sources import open_source
from tests.fuzz import traps
from tests.fuzz.harness import MalformedError
from tests.fuzz.mutations import mutate_bytes

_MOST_FRAMES = 200
_FEW = tuple(range(6))
# File → encoders of pictures and sound, and the muxer's options.
_CLIPS: dict[str, tuple[dict, str | None, dict[str, str]]] = {
    'h264.mp4': ({}, 'aac', {'movflags': 'faststart'}),
    'fragments.mp4': ({}, None, {'movflags': 'frag_keyframe+empty_moov'}),
    'vp8.webm': ({'codec': 'libvpx'}, 'libopus', {}),
    'vp9.webm': ({'codec': 'libvpx-vp9'}, None, {}),
    'mpeg4.mov': ({'codec': 'mpeg4'}, 'pcm_s16le', {}),
    'pictures.gif': ({'codec': 'gif', 'pixels': 'rgb8'}, None, {}),
    'mpeg4.avi': ({'codec': 'mpeg4'}, None, {}),
    'jpegs.avi': ({'codec': 'mjpeg', 'pixels': 'yuvj420p'}, None, {}),
    'h264.mkv': ({}, 'flac', {}),
    'raw.y4m': ({'codec': 'wrapped_avframe'}, None, {}),
    'h264.ts': ({}, 'aac', {}),
    'flv1.flv': ({'codec': 'flv'}, None, {}),
}


def write_samples(folder: Path) -> None:
    from tests.inference.video.clips import Clip

    for name, (pictures, sound, options) in _CLIPS.items():
        clip = Clip(
            _FEW, size=(32, 16), sound=sound, seconds=Fraction(1, 5), container_options=options,
            **pictures,
        )  # fmt: skip
        clip.write(folder / name)


def make_video(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    if rng.integers(5) == 0:
        name, text = _make_list(rng)
        content = mutate_bytes(rng, text.encode()) if rng.integers(4) == 0 else text.encode()
    else:
        files = sorted(samples.iterdir())
        file, other = (files[i] for i in rng.integers(len(files), size=2))
        name = other.name if rng.integers(8) == 0 else file.name
        content = mutate_bytes(rng, file.read_bytes(), other.read_bytes())
    (folder / name).write_bytes(content)


def _make_list(rng: np.random.Generator) -> tuple[str, str]:
    """A list or a description in one of FFmpeg's formats that names a trap."""
    clip, text = (f'../{traps.FOLDER}/{name}' for name in (traps.CLIP, traps.TEXT))
    path = str(rng.choice([clip, text]))
    where = str(rng.choice([
        path, f'file:{path}', f'concat:{path}|{path}', f'subfile,,start,0,end,0,,:{path}',
        f'http://{traps.address()}/a.ts', f'tcp://{traps.address()}', f'crypto:{path}',
        f'cache:{path}', f'data:video/x-yuv4mpegpipe,{path}',
    ]))  # fmt: skip
    host, _, port = traps.address().partition(':')
    hls = '#EXTM3U\n#EXT-X-TARGETDURATION:1\n'
    lists = {
        'list.m3u8': f'{hls}#EXTINF:1,\n{where}\n#EXT-X-ENDLIST\n',
        'master.m3u8': f'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{where}\n',
        'key.m3u8': f'{hls}#EXT-X-KEY:METHOD=AES-128,URI="{where}"\n#EXTINF:1,\na.ts\n',
        'map.m3u8': f'{hls}#EXT-X-MAP:URI="{where}"\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n',
        'list.ffconcat': f"ffconcat version 1.0\nfile '{where}'\nduration 1\n",
        'list.sdp': f'v=0\no=- 0 0 IN IP4 {host}\ns=a\nc=IN IP4 {host}\nt=0 0\n'
        f'm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n',
        'list.mpd': '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
        'type="static"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
        f'bandwidth="1"><BaseURL>{where}</BaseURL></Representation></AdaptationSet></Period></MPD>',
        'list.imf': f'<CompositionPlaylist>{where}</CompositionPlaylist>',
        'subtitles.sub': '{1}{2}' + where + '\n',
        'subtitles.idx': f'# VobSub index file, v7\nid: en, index: 0\n{where}\n',
        'list.asx': f'<ASX version="3.0"><entry><ref href="{where}"/></entry></ASX>',
        'list.pls': f'[playlist]\nFile1={where}\nNumberOfEntries=1\n',
        'script.avs': f'AviSource("{where}")\n',
        'picture.svg': f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{where}"/></svg>',
    }
    name = str(rng.choice(list(lists)))
    return name, lists[name]


def use_video(folder: Path) -> None:
    (path,) = folder.iterdir()
    size = None
    with open_source(path) as video:
        for frame in itertools.islice(video.frames(), _MOST_FRAMES):
            pixels = frame.picture.pixels()
            if pixels.dtype != np.uint8 or pixels.shape != (*video.shape, 3):
                raise MalformedError(f'{pixels.dtype} {pixels.shape}, expected {video.shape}')
            size = pixels.shape
            times = [moment.time for moment in frame.moments]
            if not times or times != sorted(times):
                raise MalformedError(f'times {times[:5]}')
    if size is None:
        raise MalformedError('no picture and no error')
