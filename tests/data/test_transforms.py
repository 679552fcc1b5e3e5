import pickle

import cv2
import numpy as np
import pytest

from mattingjax.data.transforms import TRANSFORMS, Chain, Maybe, create_transform
from mattingjax.errors import MattingError
from mattingjax.inference import Predictor
from mattingjax.networks import Preprocessing

BACKGROUNDS = [{'image': np.full((50, 70, 3), (0, 200, 0), np.uint8)}]


@pytest.fixture
def record():
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(256, size=(9, 7, 3), dtype=np.uint8), (90, 120))
    alpha = cv2.resize(rng.random((9, 7)).astype(np.float32), (90, 120))
    return {'image': image, 'alpha': np.clip(2 * alpha - 0.5, 0, 1), 'name': 'photo'}


def cut_out(record):
    return {'foreground': record['image'], 'alpha': record['alpha'], 'name': 'cutout'}


@pytest.mark.parametrize('name', TRANSFORMS)
def test_examples_have_what_a_network_trains_on(name, record):
    transform = create_transform(name, 64, backgrounds=BACKGROUNDS, trimap=True)
    before = {key: np.copy(value) for key, value in record.items()}
    for seed in range(15):
        for source in (record, cut_out(record)):
            example = transform(source, np.random.default_rng(seed))
            assert example.keys() == {'image', 'alpha', 'trimap', 'name'}
            assert example['name'] == source['name']
            assert (example['image'].dtype, example['image'].shape) == (np.uint8, (64, 64, 3))
            for key in ('alpha', 'trimap'):
                assert (example[key].dtype, example[key].shape) == (np.float32, (64, 64, 1))
            assert example['alpha'].min() >= 0
            assert example['alpha'].max() <= 1
            assert set(np.unique(example['trimap'])) <= {0, 0.5, 1}
            assert (example['trimap'] == 0.5).any()
    for key, value in before.items():
        np.testing.assert_array_equal(record[key], value)


@pytest.mark.parametrize('name', TRANSFORMS)
def test_photos_without_alpha_pass(name, record):
    transform = create_transform(name, 64, backgrounds=BACKGROUNDS, trimap=True)
    del record['alpha']
    example = transform(record, np.random.default_rng(0))
    assert example.keys() == {'image', 'name'}


@pytest.mark.parametrize('name', TRANSFORMS)
def test_depends_on_its_generator_alone_also_when_pickled(name, record):
    transform = create_transform(name, 32, backgrounds=BACKGROUNDS, trimap=True)
    copy = pickle.loads(pickle.dumps(transform))
    first = [transform(record, np.random.default_rng(seed)) for seed in range(5)]
    again = [copy(record, np.random.default_rng(seed)) for seed in range(5)]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_equal(one, other)
    same = all(np.array_equal(first[0]['image'], example['image']) for example in first)
    assert same == (name == 'evaluation')


@pytest.mark.parametrize('size', [(120, 90), (30, 200), (64, 64), (40, 50)])
def test_evaluation_shows_what_prediction_shows(size):
    image = np.random.default_rng(0).integers(256, size=(*size, 3), dtype=np.uint8)

    class Spy:
        input_size = 64
        preprocessing = Preprocessing((0.0,) * 3, (255.0,) * 3, resize='exact', multiple_of=16)
        fixed_size = None
        resizes = False
        parallel = 1

        def __call__(self, images):
            self.seen = images[0]
            return images[..., :1]

    spy = Spy()
    Predictor(spy)(image)
    record = {'image': image, 'alpha': image[..., 0].astype(np.float32) / 255}
    example = create_transform('evaluation', 64)(record, np.random.default_rng(0))
    # 8-bit pictures are rounded, twice where one side shrinks and the other grows.
    np.testing.assert_allclose(example['image'], spy.seen, rtol=0, atol=1.2)
    np.testing.assert_allclose(example['alpha'][..., 0] * 255, spy.seen[..., 0], atol=1e-3)


def test_evaluation_puts_cutouts_on_backgrounds_as_they_are(record):
    transform = create_transform('evaluation', 64, backgrounds=BACKGROUNDS)
    record['alpha'][:60], record['alpha'][60:] = 1, 0
    image = transform(cut_out(record), np.random.default_rng(0))['image']
    plain = create_transform('evaluation', 64)(record, np.random.default_rng(0))['image']
    np.testing.assert_array_equal(image[:31], plain[:31])
    np.testing.assert_array_equal(image[33:], np.broadcast_to((0, 200, 0), (31, 64, 3)))


@pytest.mark.parametrize('name', TRANSFORMS)
def test_a_cutout_without_background_is_an_error(name, record):
    transform = create_transform(name, 32)
    for seed in range(20):
        with pytest.raises(MattingError, match='cutout: a cut-out'):
            transform(cut_out(record), np.random.default_rng(seed))


def test_maybe_follows_its_probability(record):
    def mark(record, rng):
        return record | {'marked': True}

    rng = np.random.default_rng(0)
    count = sum('marked' in Maybe(mark, 0.2)(record, rng) for _ in range(1000))
    assert 160 < count < 240
    assert 'marked' in Chain((Maybe(mark, 0), Maybe(mark, 1)))(record, rng)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'name': 'mmnett'},
            "transform: expected one of mmnet, modnet, strong, evaluation, got 'mmnet",
        ),
        ({'size': 0}, 'size: expected at least 1 pixel, got 0'),
        ({'close_ups': 1.5}, 'close_ups: expected 0 to 1, got 1.5'),
        (
            {'close_ups': 0.5, 'close_up_scale': (0.7, 0.2)},
            'close_up_scale: expected two numbers over 0, the lower first, got (0.7, 0.2)',
        ),
        ({'close_ups': 0.5, 'close_up_scale': (0.3,)}, 'the lower first, got (0.3,)'),
        ({'close_ups': 0.5, 'close_up_scale': ('a', 'b')}, "the lower first, got ('a', 'b')"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(MattingError) as caught:
        create_transform(**{'name': 'strong', 'size': 64, **changes})
    assert message in str(caught.value)


def test_close_ups_are_as_near_as_asked():
    """Of a person of 200 rows 40 are left."""
    alpha = np.zeros((240, 240), np.float32)
    alpha[20:220] = 1
    rows = np.repeat(np.arange(240, dtype=np.uint8)[:, None, None], 240, 1).repeat(3, 2)
    transform = create_transform('strong', 64, close_ups=1.0, close_up_scale=(0.2, 0.2))
    for seed in range(10):
        record = {'image': rows, 'alpha': alpha}
        near = transform.transforms[0](record, np.random.default_rng(seed))
        assert 38 <= np.ptp(near['image']) <= 41
