"""ICC profiles made from primaries."""

import io

import numpy as np
import pytest
from PIL import ImageCms

from mattingjax.images.icc import DISPLAY_P3, REC_2020, SRGB, make_profile


@pytest.mark.parametrize(
    ('primaries', 'name', 'red', 'blue'),
    [
        # Known from the profiles of others: X, Y, Z of red and blue, adapted to D50.
        (SRGB, 'sRGB', (0.43604, 0.22249, 0.01392), (0.14305, 0.06061, 0.71393)),
        (DISPLAY_P3, 'Display P3', (0.51512, 0.24120, -0.00105), (0.15710, 0.06657, 0.78407)),
        (REC_2020, 'Rec. 2020', (0.67348, 0.27904, -0.00194), (0.12505, 0.04561, 0.79684)),
    ],
)
def test_little_cms_reads_the_profile(primaries, name, red, blue):
    profile = ImageCms.ImageCmsProfile(io.BytesIO(make_profile(primaries)))
    assert ImageCms.getProfileDescription(profile).strip() == name
    assert ImageCms.isIntentSupported(profile, ImageCms.Intent.PERCEPTUAL, ImageCms.Direction.INPUT)
    core = profile.profile
    assert (core.xcolor_space, core.device_class, core.connection_space) == ('RGB ', 'mntr', 'XYZ ')
    np.testing.assert_allclose(core.red_colorant[0], red, atol=3e-4)
    np.testing.assert_allclose(core.blue_colorant[0], blue, atol=3e-4)
    columns = [core.red_colorant, core.green_colorant, core.blue_colorant]
    np.testing.assert_allclose(np.sum(columns, axis=0)[0], (0.9642, 1, 0.8249), atol=1e-4)


def test_unknown_primaries_have_none():
    assert make_profile(2) is None
