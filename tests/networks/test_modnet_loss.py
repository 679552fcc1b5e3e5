import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from mattingjax.errors import MattingError
from mattingjax.networks.modnet.loss import (
    MODNET_WEIGHTS,
    SOC_WEIGHTS,
    detail_loss,
    matte_loss,
    modnet_loss,
    semantic_loss,
    soc_loss,
)
from tests.networks.losses import alphas, assert_finite_gradient

SIZE = 64, 96


@pytest.fixture(scope='module')
def batch():
    """A network's outputs, the true alpha, the image and a trimap."""
    rng = np.random.default_rng(0)
    outputs = make_outputs(1, *SIZE)
    image = rng.uniform(-1, 1, (2, *SIZE, 3)).astype(np.float32)
    trimap = rng.integers(0, 3, (2, *SIZE, 1)).astype(np.float32) / 2
    return outputs, alphas(4, 2, *SIZE, 1), image, trimap


def make_outputs(seed, height, width):
    """Random ones; the alpha has calm regions, so that it has a boundary."""
    noise = np.random.default_rng(seed).normal(size=(2, height, width, 1))
    smooth = 40 * ndimage.gaussian_filter(noise, (0, 8, 8, 0)) + 0.3
    return {
        'alpha': np.clip(smooth, 0, 1).astype(np.float32),
        'semantic': alphas(seed + 1, 2, height // 16, width // 16, 1),
        'detail': alphas(seed + 2, 2, height, width, 1),
    }


def slow_coarse(alpha):
    """Bilinear × 1/16 is the mean of the four middle pixels of each square."""
    middle = (alpha[:, a::16, b::16] for a in (7, 8) for b in (7, 8))
    shrunk = sum(pixels.astype(np.float64) for pixels in middle) / 4
    impulse = np.zeros((3, 3))
    impulse[1, 1] = 1
    kernel = ndimage.gaussian_filter(impulse, 0.8)
    return np.stack([ndimage.correlate(a[..., 0], kernel, mode='mirror') for a in shrunk])[
        ..., None
    ]


def slow_boundary(alpha, semantic):
    """The person's boundary by SciPy's morphology, one image at a time."""
    height, width = alpha.shape[1:3]
    side = int((height + width) / 2 * 0.05)
    boundaries = []
    for image_alpha, image_semantic in zip(alpha[..., 0], semantic[..., 0], strict=True):
        at = [(np.arange(size) + 0.5) / 16 - 0.5 for size in (height, width)]
        enlarged = ndimage.map_coordinates(
            (image_semantic > 0.1).astype(float), np.meshgrid(*at, indexing='ij'), order=1,
            mode='nearest',
        )  # fmt: skip
        person = (image_alpha > 0.1) * enlarged
        dilated = ndimage.grey_dilation(person, size=(side, side))
        boundaries.append(dilated != ndimage.grey_erosion(person, size=(side, side)))
    return np.stack(boundaries)[..., None]


def test_equals_the_original(shared):
    with np.load(shared / 'reference/losses/modnet_losses.npz') as file:
        reference = {name: np.moveaxis(file[name], 1, -1) if file[name].ndim else float(file[name])
                     for name in file.files}  # fmt: skip
    outputs = {
        'alpha': reference['matte'],
        'semantic': reference['semantic'],
        'detail': reference['detail'],
    }
    backup = {'alpha': reference['backup_matte'], 'detail': reference['backup_detail']}
    labels = (reference[name] for name in ('true_matte', 'image', 'trimap'))
    for (loss, terms), weights, prefix in (
        (modnet_loss(outputs, *labels), MODNET_WEIGHTS, ''),
        (soc_loss(outputs, backup), SOC_WEIGHTS, 'soc_'),
    ):
        assert set(terms) == set(weights)
        found = {name: weights[name] * float(term) for name, term in terms.items()}
        expected = {name: reference[f'{prefix}{name}_loss'] for name in terms}
        print({f'{prefix}{name}': f'{abs(found[name] / expected[name] - 1):.1e}' for name in terms})
        assert found == pytest.approx(expected, rel=1e-6)
        assert loss == pytest.approx(sum(expected.values()), rel=1e-6)


def test_semantic_loss_is_its_definition(batch):
    outputs, alpha, _, _ = batch
    expected = np.square(outputs['semantic'] - slow_coarse(alpha)).mean()
    assert semantic_loss(outputs['semantic'], alpha) == pytest.approx(expected, rel=1e-6)


def test_detail_and_matte_loss_are_their_definitions(batch):
    outputs, true, image, trimap = (jax.tree.map(np.float64, part) for part in batch)
    unknown = trimap == 0.5
    expected = np.where(unknown, np.abs(outputs['detail'] - true), 0).mean()
    result = detail_loss(batch[0]['detail'], *(batch[i] for i in (1, 3)))
    assert result == pytest.approx(expected, rel=1e-6)

    def both(alpha):
        return np.abs(alpha - true).mean() + np.abs(image * alpha - image * true).mean()

    whole = both(outputs['alpha'])
    boundary = both(np.where(unknown, outputs['alpha'], trimap))
    arguments = batch[0]['alpha'], *batch[1:3]
    assert matte_loss(*arguments) == pytest.approx(whole, rel=1e-6)
    assert matte_loss(*arguments, batch[3]) == pytest.approx(whole + 4 * boundary, rel=1e-6)


def test_total(batch):
    loss, terms = modnet_loss(*batch)
    expected = 10 * terms['semantic'] + 10 * terms['detail'] + terms['matte']
    assert loss == pytest.approx(float(expected))


def test_without_a_trimap(batch):
    outputs, alpha, image, _ = batch
    loss, terms = modnet_loss(outputs, alpha, image)
    assert set(terms) == {'semantic', 'matte'}
    assert terms['semantic'] == modnet_loss(*batch)[1]['semantic']
    assert terms['matte'] == matte_loss(outputs['alpha'], alpha, image)
    assert loss == pytest.approx(float(10 * terms['semantic'] + terms['matte']))


@pytest.mark.parametrize('unknown', [0.0, 0.5])
def test_gradient_is_finite_for_a_perfect_prediction(batch, unknown):
    outputs, alpha, image, _ = batch
    perfect = {**outputs, 'alpha': alpha, 'detail': alpha}
    trimap = np.full_like(alpha, unknown)  # nothing unknown, or everything
    assert_finite_gradient(lambda outputs: modnet_loss(outputs, alpha, image, trimap)[0], perfect)


# Squares of even side have no middle; one pixel leaves no boundary.
@pytest.mark.parametrize(('size', 'side'), [(SIZE, 4), ((64, 64), 3), ((32, 32), 1)])
def test_soc_loss_is_its_definition(size, side):
    outputs, reference = make_outputs(5, *size), make_outputs(7, *size)
    semantic, coarse = outputs['semantic'].astype(np.float64), slow_coarse(outputs['alpha'])
    expected_semantic = (
        np.square(semantic - np.where(coarse > 0.01, coarse, 0)).mean()
        + np.square(coarse - np.where(semantic > 0.01, semantic, 0)).mean()
    )
    boundary = slow_boundary(outputs['alpha'], outputs['semantic'])
    assert int(sum(size) / 2 * 0.05) == side
    assert boundary.any() == (side > 1)
    area = np.maximum(boundary.sum((1, 2, 3)), 1)
    expected_detail = sum(
        ((boundary * np.abs(outputs[name] - reference[name])).sum((1, 2, 3)) / area).mean()
        for name in ('detail', 'alpha')
    )
    loss, terms = soc_loss(outputs, reference)
    assert terms['semantic'] == pytest.approx(expected_semantic, rel=1e-6)
    assert terms['detail'] == pytest.approx(expected_detail, rel=1e-6)
    assert loss == pytest.approx(100 * expected_semantic + expected_detail, rel=1e-6)


def test_soc_targets_get_no_gradient(batch):
    outputs, reference = batch[0], make_outputs(9, *SIZE)
    gradient, reference_gradient = assert_finite_gradient(
        lambda *outputs: soc_loss(*outputs)[0], outputs, reference
    )
    for values in reference_gradient.values():
        np.testing.assert_array_equal(values, 0)
    semantic, coarse = outputs['semantic'], slow_coarse(outputs['alpha'])
    expected = 200 * (semantic - np.where(coarse > 0.01, coarse, 0)) / semantic.size
    np.testing.assert_allclose(gradient['semantic'], expected, atol=1e-5)
    boundary = slow_boundary(outputs['alpha'], semantic)
    np.testing.assert_array_equal(np.asarray(gradient['detail']) != 0, boundary)


@pytest.mark.parametrize('value', [0, 1])
def test_soc_of_nobody_and_of_everybody(value):
    outputs = {
        'alpha': np.full((2, *SIZE, 1), value, np.float32),
        'semantic': np.full((2, SIZE[0] // 16, SIZE[1] // 16, 1), value, np.float32),
        'detail': alphas(1, 2, *SIZE, 1),
    }
    loss, terms = soc_loss(outputs, make_outputs(9, *SIZE))
    assert terms['detail'] == 0
    assert loss == pytest.approx(0, abs=1e-9)
    assert_finite_gradient(lambda outputs: soc_loss(outputs, outputs)[0], outputs)


def test_bfloat16_is_computed_in_float32(batch):
    def narrow(tree):
        return jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), tree)

    def wide(tree):
        return jax.tree.map(lambda x: x.astype(jnp.float32), tree)

    arguments, soc_arguments = narrow(batch), narrow((batch[0], make_outputs(9, *SIZE)))
    for loss, inputs in ((modnet_loss, arguments), (soc_loss, soc_arguments)):
        total, terms = loss(*inputs)
        assert (total, terms) == loss(*wide(inputs))
        assert {value.dtype for value in (total, *terms.values())} == {jnp.dtype('float32')}


def test_bad_input(batch):
    outputs, alpha, image, trimap = batch
    with pytest.raises(MattingError, match=r'trimap: expected shape \[2, 64, 96, 1\], got'):
        detail_loss(outputs['detail'], alpha, trimap[..., 0])
    with pytest.raises(MattingError, match=r'trimap: expected shape \[2, 64, 96, 1\], got'):
        modnet_loss(outputs, alpha, image, trimap[:1])
    with pytest.raises(MattingError, match=r'true_alpha: expected shape \[2, 4, 6, 1\], got'):
        semantic_loss(outputs['semantic'], alpha[:1])
    with pytest.raises(MattingError, match=r'reference detail: expected shape \[2, 64, 96, 1\]'):
        soc_loss(outputs, {**outputs, 'detail': outputs['detail'][:1]})
