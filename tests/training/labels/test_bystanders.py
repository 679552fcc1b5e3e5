import cv2
import numpy as np
import pytest

from mattingjax.training.labels.bystanders import people_score, shows_people


def street(seed: int, *, somebody: bool, height: int = 600) -> np.ndarray:
    """A wall and a pavement, uint8 [height, 0.37 × height, 3]; perhaps somebody stands there."""
    picture = np.full((600, 220, 3), 170, np.uint8)
    picture[450:] = 120
    noise = np.random.default_rng(seed).normal(0, 4, picture.shape)
    picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if somebody:
        cv2.ellipse(picture, (110, 384), (9, 12), 0, 0, 360, (150, 110, 90), -1)
        torso = np.array([(86, 402), (134, 402), (126, 470), (94, 470)])
        cv2.fillPoly(picture, [torso], (40, 40, 60))
        for side in (-1, 1):
            cv2.line(picture, (110 + side * 22, 408), (110 + side * 29, 470), (40, 40, 60), 11)
            cv2.line(picture, (110 + side * 9, 470), (110 + side * 12, 565), (25, 25, 30), 15)
    return cv2.resize(picture, (round(220 * height / 600), height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('height', [300, 600, 2000])
def test_who_stands_there_is_seen(seed, height):
    assert shows_people(street(seed, somebody=True, height=height))
    assert not shows_people(street(seed, somebody=False, height=height))


def test_whom_the_border_cuts_off_is_seen():
    assert shows_people(street(0, somebody=True)[:, 80:])


@pytest.mark.parametrize('shape', [(1, 1), (2, 400), (400, 2), (16, 16)])
def test_every_shape_has_a_score(shape):
    assert -2 <= people_score(np.full((*shape, 3), 128, np.uint8)) < 1
