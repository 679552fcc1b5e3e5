"""Records and folders of the same photos."""

import numpy as np
import pytest
from PIL import Image

from mattingjax.data.trimaps import make_trimap
from tests.evaluation.photos import NAMES, SIZES, disc


@pytest.fixture
def records():
    """Photos whose brightness is their alpha, the more wrong the later the name."""
    rng = np.random.default_rng(0)
    made = []
    for i, (name, size) in enumerate(zip(NAMES, SIZES, strict=True)):
        alpha = disc(*size)
        noisy = np.clip(alpha + rng.normal(0, 0.1 * i, size), 0, 1)
        image = np.repeat(np.round(noisy * 255).astype(np.uint8)[..., None], 3, axis=-1)
        made.append({'name': name, 'image': image, 'alpha': alpha})
    return made


@pytest.fixture
def folders(records, tmp_path):
    """The records as files: photos, alphas, mattes and trimaps."""
    for record in records:
        pictures = {
            'photos': record['image'],
            'alphas': np.round(record['alpha'] * 255).astype(np.uint8),
            'mattes': record['image'][..., 0],
            'trimaps': np.round(make_trimap(record['alpha'], 2, 2) * 255).astype(np.uint8),
        }
        for folder, picture in pictures.items():
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / folder / f'{record["name"]}.png')
    return tmp_path
