"""Imported networks equal the originals."""

import functools
import shutil

import flax.traverse_util
import jax
import numpy as np
import pytest

from mattingjax import MattingError, import_weights
from mattingjax.importers import modnet_names
from mattingjax.networks import create_model, create_model_config, normalise, variable_shapes

PRUNED = 'modnet_p_ratio_0.5_thresh_0.5'


def report(what, ours, theirs) -> np.ndarray:
    """The absolute difference; its maximum is printed (pytest -rP shows it)."""
    error = np.abs(np.asarray(ours) - theirs)
    print(f'{what}: {error.max():.1e}')
    return error


def in_double_precision(checkpoint, image):
    """What `checkpoint.apply` computes, in float64, as arrays of NumPy."""
    apply = jax.jit(functools.partial(create_model(checkpoint.config).apply, auxiliary=True))
    jax.config.update('jax_enable_x64', True)
    try:
        variables = jax.tree.map(np.float64, checkpoint.variables)
        image = normalise(checkpoint.config.preprocessing, np.float64(image))
        return jax.device_get(apply(variables, image))
    finally:
        jax.config.update('jax_enable_x64', False)


def assert_equals_original(what, ours, theirs):
    """Within 1e-4, but for single pixels in which the random networks amplify rounding errors.

    No arithmetic but PyTorch's own, in its order of summation, is closer in every pixel: see
    "Equality with the originals" in mattingjax/README.md.
    """
    error = report(what, ours, theirs)
    assert np.quantile(error, 0.99) <= 1e-4
    assert error.max() <= 3e-4


@pytest.mark.parametrize(
    ('weights', 'outputs', 'info'),
    [
        ('modnet_official_format.ckpt', 'modnet_official_io.npz', None),
        ('our_modnet.ckpt', 'our_modnet_io.npz', None),
        (f'{PRUNED}.ckpt', f'{PRUNED}_io.npz', f'{PRUNED}.json'),
        (f'{PRUNED}.ckpt', f'{PRUNED}_io.npz', None),
    ],
)
def test_modnet_equals_pytorch(shared, weights, outputs, info):
    folder = shared / 'reference' / 'modnet_torch'
    checkpoint = import_weights(folder / weights, prune_info=info and folder / info)
    stored = np.load(folder / outputs)
    sizes = [name.removesuffix('_image') for name in stored.files if name.endswith('_image')]
    assert sizes
    model = create_model(checkpoint.config)
    apply = jax.jit(lambda variables, image: model.apply(variables, image, auxiliary=True))
    for size in sizes:
        # The stored images are normalised; scaled to [0, 255] and back, float32 loses a bit.
        ours = apply(checkpoint.variables, stored[f'{size}_image'].transpose(0, 2, 3, 1))
        for name, key in (('semantic', 'semantic'), ('detail', 'detail'), ('matte', 'alpha')):
            theirs = stored[f'{size}_{name}'].transpose(0, 2, 3, 1)
            assert_equals_original(f'{weights} {size} {name}', ours[key], theirs)
            if name == 'semantic':
                np.testing.assert_allclose(ours[key], theirs, atol=1e-4, rtol=0)


def test_published_modnet_onnx_equals_its_mattes(shared):
    pytest.importorskip('onnx')
    checkpoint = import_weights(shared / 'weights' / 'modnet_photographic.onnx')
    assert checkpoint.config.architecture == create_model_config('modnet').architecture
    stored = np.load(shared / 'weights' / 'modnet_photographic_io.npz')
    for i in (0, 1):
        alpha = checkpoint.apply(stored[f'image{i}'].astype(np.float32))['alpha']
        assert (
            report(f'modnet_photographic.onnx photo {i}', alpha, stored[f'alpha{i}']).max() <= 1e-4
        )
    initialised = checkpoint.config.provenance['initialised']
    assert len(initialised) == 10
    assert all(name.startswith(modnet_names.TRAINING_HEADS) for name in initialised)


def test_pruned_modnet_onnx_equals_pytorch(shared):
    pytest.importorskip('onnx')
    folder = shared / 'reference' / 'modnet_torch'
    from_onnx = import_weights(folder / f'{PRUNED}_reference.onnx')
    from_torch = import_weights(folder / f'{PRUNED}.ckpt')
    assert from_onnx.config.architecture == from_torch.config.architecture
    stored = np.load(folder / f'{PRUNED}_io.npz')
    images = stored['128x192_image'].transpose(0, 2, 3, 1) * 127.5 + 127.5
    theirs = stored['128x192_matte'].transpose(0, 2, 3, 1)
    alpha = from_onnx.apply(images.astype(np.float32))['alpha']
    assert_equals_original(f'{PRUNED}_reference.onnx', alpha, theirs)


@pytest.mark.parametrize(('width', 'variables'), [('1.0', 199_420), ('0.5', 68_996)])
def test_mmnet_equals_tensorflow(shared, width, variables):
    folder = shared / 'reference' / 'mmnet_tf1'
    checkpoint = import_weights(folder / f'MMNetModel-w{width}-1.index')
    shapes = flax.traverse_util.flatten_dict(variable_shapes(checkpoint.config)).values()
    assert sum(int(np.prod(leaf.shape)) for leaf in shapes) == variables
    stored = np.load(folder / f'MMNetModel-w{width}_io.npz')
    theirs = {name: stored[name] for name in ('logits', 'aux_logits')}
    theirs['alpha'] = stored['prob'][..., 1:]
    # In float64 TensorFlow's rounding is left, the same on every machine. In float32 our own comes
    # to it, which depends on the processor's vectors and on JAX, so that each has its bound.
    exact = in_double_precision(checkpoint, stored['image'])
    ours = checkpoint.apply(stored['image'])
    for name, values in theirs.items():
        assert exact[name].dtype == np.float64
        what = f'MMNet {width} {name}'
        bounds = (5e-6, 1e-5) if name == 'alpha' else (5e-5, 5e-5)
        assert report(f'{what}, float64', exact[name], values).max() <= bounds[0]
        assert report(f'{what}, float32 to float64', ours[name], exact[name]).max() <= bounds[1]
        report(what, ours[name], values)


def test_damaged_tensorflow_checkpoint(shared, tmp_path):
    folder = shared / 'reference' / 'mmnet_tf1'
    shutil.copy(folder / 'MMNetModel-w0.5-1.index', tmp_path / 'cut.index')
    with pytest.raises(MattingError, match=r'cut: cut\.data-00000-of-00001: No such file'):
        import_weights(tmp_path / 'cut')
    (tmp_path / 'bad.index').write_bytes(b'nonsense')
    with pytest.raises(MattingError, match='damaged TensorFlow checkpoint'):
        import_weights(tmp_path / 'bad.index')
