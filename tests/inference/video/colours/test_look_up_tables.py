import numpy as np
import pytest

from mattingjax.inference.video.colours.look_up_tables import LookUpTable

av = pytest.importorskip('av')


def planar(rgb):
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], 'gbrp16le')
    for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
        rows = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)
        rows[:, : plane.width] = rgb[..., channel]
    return frame


def packed(frame):
    green, blue, red = (
        np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    )
    return np.stack([red, green, blue], -1)


def test_a_function_of_all_three_channels():
    def mix(rgb):
        red, green, blue = rgb.T
        return np.stack([green, 0.25 * red + 0.5 * blue, 1 - red], -1)

    table = LookUpTable(mix)
    for height, width in ((3, 5), (40, 33), (3, 5), (1, 1), (2, 2), (7, 9), (8, 9)):
        rgb = np.random.default_rng(width).integers(0, 65536, (height, width, 3))
        want = mix(rgb.reshape(-1, 3) / 65535).reshape(rgb.shape) * 65535
        np.testing.assert_allclose(packed(table.apply(planar(rgb))), want, atol=2)
