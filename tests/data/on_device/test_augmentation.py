"""Examples that are made on the device are like those that the host's pipeline makes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mattingjax.data.on_device.augmentation import create_augmentation
from mattingjax.data.on_device.store import create_store
from mattingjax.data.synthetic import SyntheticPortraits
from mattingjax.data.transforms import Chain, ToExample, create_transform
from mattingjax.errors import MattingError
from tests.data.on_device.pinned import blobs

pytestmark = pytest.mark.usefixtures('quickly_compiled')

SIZE, DRAWS = 32, 360
BACKGROUNDS = [{'image': blobs(60, 80, seed)['image']} for seed in (8, 9)]


@pytest.fixture(scope='module')
def portraits():
    """Records as files have them: without the true foreground."""
    records = [SyntheticPortraits(6, 64)[i] for i in range(6)]
    return [{name: record[name] for name in ('image', 'alpha', 'name')} for record in records]


def make(chain, store, rows, seed=0):
    augment = jax.jit(jax.vmap(create_augmentation(chain), (None, 0, 0)))
    keys = jax.random.split(jax.random.key(seed), len(rows))
    return jax.tree.map(np.asarray, augment(store, jnp.asarray(rows), keys))


def measure(examples):
    """What examples look like, a number for each: colours, light, sharpness, size and place."""
    images = np.stack([example['image'] for example in examples]).astype(np.float32)
    alphas = np.stack([example['alpha'][..., 0] for example in examples])
    trimaps = np.stack([example['trimap'][..., 0] for example in examples])
    area = alphas.mean((1, 2)) + 1e-3
    places = np.linspace(0, 1, SIZE)
    return {
        'red': images[..., 0].mean((1, 2)),
        'green': images[..., 1].mean((1, 2)),
        'blue': images[..., 2].mean((1, 2)),
        'contrast': images.std((1, 2, 3)),
        'saturation': (images.max(-1) - images.min(-1)).mean((1, 2)),
        'light': images[:, :, : SIZE // 2].mean((1, 2, 3)) - images.mean((1, 2, 3)),
        'steps': np.abs(np.diff(images, axis=2)).mean((1, 2, 3)),
        'area': area,
        'soft': ((alphas > 0.05) & (alphas < 0.95)).mean((1, 2)),
        'column': (alphas.mean(1) * places).mean(1) / area,
        'row': (alphas.mean(2) * places).mean(1) / area,
        'width': (alphas.max(1) > 0.5).mean(1),
        'unknown': (trimaps == 0.5).mean((1, 2)),
    }


# What is allowed beside chance: differences of interpolation, which show in the edges of so small
# pictures, and of the estimated foreground.
SYSTEMATIC = {'steps': 0.6, 'contrast': 0.5, 'soft': 0.025, 'unknown': 0.01}


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('strong', {'keep_aspect': True, 'close_ups': 0.5, 'backgrounds': BACKGROUNDS}),
        ('mmnet', {}),
        ('modnet', {'backgrounds': BACKGROUNDS}),
    ],
    ids=['strong', 'mmnet', 'modnet'],
)
def test_statistics_equal_the_hosts(portraits, name, options):
    """Means differ by less than four standard errors, and distributions as chance allows."""
    chain = create_transform(name, SIZE, trimap=True, **options)
    records = np.arange(DRAWS) % len(portraits)
    host = measure(
        [chain(portraits[i], np.random.default_rng([7, n])) for n, i in enumerate(records)]
    )
    behind = options.get('backgrounds')
    store = create_store(portraits, behind, side=64, size=SIZE, limit=1e9).store
    made = make(chain, store, records)
    device = measure([{key: value[n] for key, value in made.items()} for n in range(DRAWS)])
    for what, values in host.items():
        error = np.sqrt((values.var() + device[what].var()) / DRAWS)
        difference = device[what].mean() - values.mean()
        assert abs(difference) < 4 * error + SYSTEMATIC.get(what, 0), what
        if what not in SYSTEMATIC:
            assert scipy.stats.ks_2samp(values, device[what]).pvalue > 1e-3, what


def test_without_augmentation_it_is_the_hosts_example(portraits):
    chain = create_transform('evaluation', SIZE, trimap=True)
    expected = chain(portraits[0], np.random.default_rng(0))
    store = create_store(portraits, None, side=64, size=SIZE, limit=1e9).store
    found = make(chain, store, [0, 1])
    assert found.keys() == expected.keys() - {'name'}
    for key, value in found.items():
        assert (value.dtype, value.shape[1:]) == (expected[key].dtype, expected[key].shape)
    assert np.abs(found['image'][0].astype(float) - expected['image']).mean() < 1.5
    assert np.abs(found['alpha'][0] - expected['alpha']).mean() < 0.01


def test_an_example_depends_on_its_photo_and_key_alone(portraits):
    chain = create_transform('modnet', SIZE)
    store = create_store(portraits, None, side=64, size=SIZE, limit=1e9).store
    augment = jax.jit(jax.vmap(create_augmentation(chain), (None, 0, 0)))
    keys = jax.random.split(jax.random.key(3), 4)
    first = augment(store, jnp.array([0, 1, 2, 3]), keys)
    again = augment(store, jnp.array([5, 1, 4, 3]), keys)
    for key, value in first.items():
        np.testing.assert_array_equal(value[1::2], again[key][1::2])
        assert not np.array_equal(value[0], again[key][0])
    others = augment(store, jnp.array([0, 1, 2, 3]), keys[::-1])
    assert not np.array_equal(first['image'][0], others['image'][0])


def test_cutouts_always_get_a_background_and_photos_as_often_as_asked(portraits):
    green = [{'image': np.full((50, 50, 3), (0, 200, 0), np.uint8)}]
    cutouts = [
        {'foreground': record['image'], 'alpha': record['alpha']} for record in portraits[:3]
    ]
    chain = create_transform('modnet', SIZE, backgrounds=green, recomposition=0.25)
    store = create_store([*cutouts, *portraits[3:]], green, side=64, size=SIZE, limit=1e9).store
    made = make(chain, store, np.arange(DRAWS) % 6)
    empty = made['alpha'][..., 0] < 0.01
    distances = np.abs(made['image'].astype(int) - (0, 200, 0)).max(-1)
    is_green = np.array(
        [distance[none].mean() < 3 for distance, none in zip(distances, empty, strict=True)]
    )
    is_cutout = np.arange(DRAWS) % 6 < 3
    assert is_green[is_cutout].all()
    share = is_green[~is_cutout].mean()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / (DRAWS / 2))


def test_photos_without_alpha_pass(portraits):
    photos = [{'image': record['image']} for record in portraits]
    chain = create_transform('strong', SIZE, backgrounds=BACKGROUNDS, trimap=True, close_ups=0.5)
    store = create_store(photos, BACKGROUNDS, side=64, size=SIZE, limit=1e9).store
    assert make(chain, store, [0, 1]).keys() == {'image'}


def test_a_transform_without_counterpart_is_an_error():
    with pytest.raises(MattingError, match=r'on_device: the transform <function .* no counterpart'):
        create_augmentation(Chain((lambda record, rng: record, ToExample(SIZE))))
