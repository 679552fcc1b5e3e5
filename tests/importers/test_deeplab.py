"""Checkpoints that TF-Slim's DeepLab and MobileNetV2 leave, and MODNet's backbone, become ours."""

import functools

import flax.traverse_util
import jax
import numpy as np
import pytest
from scipy import special

from mattingjax import MattingError, import_weights
from mattingjax.checkpoints import load_checkpoint, save_checkpoint
from mattingjax.importers.modnet_backbone import take_modnet_backbone
from mattingjax.networks import create_model, create_model_config, normalise
from mattingjax.networks.mobilenet_v2 import MobileNetV2
from tests.conftest import random_checkpoint
from tests.slim_deeplab import WIDTHS, write_slim_deeplab
from tests.toy import TOY

RATES = (6, 12, 18)


@pytest.fixture(autouse=True, scope='module')
def _tensorflow():
    pytest.importorskip('tensorflow')


@pytest.mark.parametrize(
    ('network', 'rates', 'widths'),
    [
        ('deeplab', (), WIDTHS[0.35]),
        ('deeplab_aspp', RATES, WIDTHS[0.35]),
        # Of a checkpoint whose channels are not rounded to a multiple of 8, and a shortcut where
        # the published widths have none.
        ('deeplab', (), (11, 6, *WIDTHS[0.35][2:13], 32, 32, 56, 56, 112)),
    ],
)
def test_a_checkpoint_of_tensorflow_computes_the_same(tmp_path, network, rates, widths):
    slim = write_slim_deeplab(tmp_path / 'model.ckpt-30000', widths, rates=rates)
    checkpoint = import_weights(tmp_path / 'model.ckpt-30000.index')
    config = checkpoint.config
    assert config.network == network
    blocks = config.architecture.blocks
    assert (config.architecture.stem, *(block.features for block in blocks)) == widths
    assert config.architecture.aspp == (24,) * (1 + len(rates))
    outputs = checkpoint.apply(slim.images)
    alpha = special.softmax(slim.logits.astype(np.float64), axis=-1)[..., 1:]
    assert slim.logits.std(axis=(1, 2)).min() > 0.05  # hundreds of times the tolerance
    np.testing.assert_allclose(outputs['logits'], slim.logits, atol=1e-4)
    np.testing.assert_allclose(outputs['alpha'], alpha, atol=1e-5)
    assert config.provenance['initialised'] == []
    assert config.provenance['ignored'] == ['MobilenetV2/Conv/weights/Momentum', 'global_step']
    save_checkpoint(tmp_path / 'ours', checkpoint)
    assert load_checkpoint(tmp_path / 'ours').config == config
    assert import_weights(tmp_path / 'model.ckpt-30000', network=network).config == config


def test_moving_averages_are_the_weights(tmp_path):
    slim = write_slim_deeplab(tmp_path / 'model', averaged=True)
    checkpoint = import_weights(tmp_path / 'model')
    np.testing.assert_allclose(checkpoint.apply(slim.images)['logits'], slim.logits, atol=1e-4)


def test_at_the_published_size_tensorflow_looks_elsewhere(tmp_path):
    """At 16 k + 1 pixels feature i is about pixel 16 i; at 16 k, and here, about 16 i + 15."""
    slim = write_slim_deeplab(tmp_path / 'model', size=(577, 577))
    moved = np.pad(slim.images, ((0, 0), (15, 0), (15, 0), (0, 0)))[:, :576, :576]
    ours = run_backbone(import_weights(tmp_path / 'model'), moved)['block16']
    np.testing.assert_allclose(  # the one pixel that no border reaches
        np.asarray(ours)[:, 18, 18], slim.features[:, 18, 18], atol=1e-4
    )


def test_of_the_classes_of_pascal_voc_background_and_person_stay(tmp_path):
    slim = write_slim_deeplab(tmp_path / 'model', classes=21)
    alpha = import_weights(tmp_path / 'model').apply(slim.images)['alpha']
    background, person = slim.logits[..., 0], slim.logits[..., 15]
    np.testing.assert_allclose(alpha[..., 0], special.expit(person - background), atol=1e-5)


def test_a_map_of_other_classes_is_drawn_anew(tmp_path):
    write_slim_deeplab(tmp_path / 'model', classes=19)
    provenance = import_weights(tmp_path / 'model').config.provenance
    names = ['logits/semantic/biases', 'logits/semantic/weights']
    assert provenance['initialised'] == names
    assert set(names) < set(provenance['ignored'])


@pytest.mark.parametrize('widths', [WIDTHS[0.35], WIDTHS[1.0]])
@pytest.mark.parametrize('network', ['deeplab', 'deeplab_aspp'])
def test_a_classifier_of_imagenet_is_a_backbone(tmp_path, network, widths):
    slim = write_slim_deeplab(tmp_path / 'mobilenet', widths, with_head=False, size=(32, 48))
    checkpoint = import_weights(tmp_path / 'mobilenet', network=network)
    assert checkpoint.config.network == network
    published = create_model_config(network).architecture
    architecture = checkpoint.config.architecture
    assert (architecture.aspp, architecture.projection) == (published.aspp, published.projection)
    provenance = checkpoint.config.provenance
    assert all(
        name.startswith(('image_pooling/', 'aspp', 'concat_projection/', 'logits/semantic/'))
        for name in provenance['initialised']
    )
    assert len(provenance['initialised']) == 5 * (3 if network == 'deeplab' else 9) + 2
    assert {'MobilenetV2/Conv_1/weights', 'MobilenetV2/Logits/Conv2d_1c_1x1/biases'} < set(
        provenance['ignored']
    )
    features = run_backbone(checkpoint, slim.images)['block16']
    np.testing.assert_allclose(features, slim.features, atol=1e-4)


def write_another(folder):
    import tensorflow.compat.v1 as tf

    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable('DeepLab/MobilenetV2/Conv/weights', initializer=np.zeros(3, np.float32))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(folder / 'other'), write_meta_graph=False)
    return folder / 'other'


@pytest.mark.parametrize('with_head', [True, False])
def test_it_is_no_other_network(tmp_path, with_head):
    write_slim_deeplab(tmp_path / 'model', with_head=with_head, size=(32, 32))
    for network in ('modnet', 'mmnet'):
        with pytest.raises(MattingError, match=f'model: expected {network}, found deeplab$'):
            import_weights(tmp_path / 'model', network=network)
    reference = write_another(tmp_path)
    with pytest.raises(MattingError, match='other: expected variables of MobilenetV2/, as those'):
        import_weights(reference, network='deeplab')
    with pytest.raises(MattingError, match=r'a prune_info belongs to MODNet, .* is of TensorFlow'):
        import_weights(tmp_path / 'model', prune_info=tmp_path / 'a.json')
    if with_head:
        with pytest.raises(MattingError, match=r'model: expected deeplab_aspp, found deeplab$'):
            import_weights(tmp_path / 'model', network='deeplab_aspp')


def run_backbone(checkpoint, images) -> dict[str, jax.Array]:
    """The output of each block, by its name."""
    apply = jax.jit(
        functools.partial(
            create_model(checkpoint.config).apply,
            capture_intermediates=lambda module, _: (module.name or '').startswith('block'),
        )
    )
    images = normalise(checkpoint.config.preprocessing, images)
    _, state = apply(checkpoint.variables, images)
    return {name: layer['__call__'][0] for name, layer in state['intermediates'].items()}


@pytest.mark.parametrize(
    ('edit', 'message'),
    [
        (
            lambda names: names.pop('aspp0/BatchNorm/beta'),
            r'aspp0/BatchNorm/beta: missing \(expected shape \(24,\)\)',
        ),
        (
            lambda names: names.update({'MobilenetV2/Conv/weights': np.ones((3, 3, 3, 5))}),
            r'BatchNorm/\S+: expected shape \(5,\), found \(16,\)',
        ),
        (
            lambda names: names.update({'decoder/weights': np.ones(3)}),
            r'decoder/weights: unknown variable of shape \(3,\)',
        ),
        (
            lambda names: names.update({'aspp0/BatchNorm/moving_variance': -np.ones(24)}),
            r'aspp0/BatchNorm/moving_variance: has a negative variance',
        ),
        (
            # With the original's epsilon its root is real, with ours it is not.
            lambda names: names.update(
                {'MobilenetV2/Conv/BatchNorm/moving_variance': np.full(16, -5e-4)}
            ),
            r'MobilenetV2/Conv/BatchNorm/moving_variance: has a negative variance',
        ),
        *(
            (
                lambda names, gone=gone: names.pop(gone),
                rf'edited: {gone}: missing \(expected shape',
            )
            for gone in (
                'image_pooling/weights',
                'concat_projection/weights',
                'MobilenetV2/expanded_conv_5/project/weights',
                'MobilenetV2/expanded_conv_5/expand/weights',
                'MobilenetV2/Conv/weights',
                'logits/semantic/weights',
                'logits/semantic/biases',
            )
        ),
        (
            lambda names: [names.pop(name) for name in list(names) if 'conv_16/' in name],
            r'edited: MobilenetV2/expanded_conv_16/\S+: missing \(expected shape',
        ),
        (
            lambda names: names.update({'aspprofile': np.ones(3)}),
            r'aspprofile: unknown variable of shape \(3,\)',
        ),
        (
            lambda names: names.update({'aspp2_pointwise/weights': np.ones((1, 1, 112, 24))}),
            r'aspp[123]_\S+: missing',
        ),
        (
            lambda names: names.update({'logits/semantic/biases': np.ones(21)}),
            r'logits/semantic/biases: expected shape \(2,\), found \(21,\)',
        ),
        (
            lambda names: names.update({'logits/semantic/weights': np.ones((5, 21))}),
            r'logits/semantic/weights: expected shape \(1, 1, 24, 2\), found \(5, 21\)',
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, edit, message):
    import tensorflow.compat.v1 as tf

    write_slim_deeplab(tmp_path / 'whole', size=(32, 32))
    reader = tf.train.load_checkpoint(str(tmp_path / 'whole'))
    tensors = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    edit(tensors)
    with tf.Graph().as_default(), tf.Session() as session:
        for name, value in tensors.items():
            tf.get_variable(name, initializer=np.asarray(value, np.float32))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(tmp_path / 'edited'), write_meta_graph=False)
    with pytest.raises(MattingError, match=message):
        import_weights(tmp_path / 'edited')


def test_modnets_backbone_sees_what_it_saw(modnet):
    """Where no border is near, and 15 pixels further down and right."""
    taken = take_modnet_backbone(modnet)
    images = np.random.default_rng(0).uniform(0, 255, (1, 640, 640, 3)).astype(np.float32)
    ours = run_backbone(taken, images)
    images = normalise(modnet.config.preprocessing, images)
    shifted = np.pad(images[:, 15:, 15:], ((0, 0), (0, 15), (0, 15), (0, 0)))
    backbone = MobileNetV2(modnet.config.architecture.backbone)
    variables = {name: tree['backbone'] for name, tree in modnet.variables.items()}
    apply = functools.partial(backbone.apply, train=False, capture_intermediates=True)
    _, state = jax.jit(apply)(variables, shifted)
    theirs = {
        name: layer['__call__'][0]
        for name, layer in state['intermediates'].items()
        if name != '__call__'
    }
    # At half of the resolution, where MODNet strides and this network dilates.
    middle = slice(8, 12)
    last = np.asarray(theirs['features_17'])[:, middle, middle]
    assert last.std() > 0.01
    np.testing.assert_allclose(
        np.asarray(ours['block16'])[:, 16:24:2, 16:24:2], last, rtol=1e-3, atol=1e-4
    )
    middle = slice(16, 24)
    np.testing.assert_allclose(
        np.asarray(ours['block12'])[:, middle, middle],
        np.asarray(theirs['features_13'])[:, middle, middle],
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize('network', ['deeplab', 'deeplab_aspp'])
def test_a_modnet_gives_its_backbone(modnet, modnet_path, network):
    checkpoint = import_weights(modnet_path, network=network)
    architecture = checkpoint.config.architecture
    backbone = modnet.config.architecture.backbone
    assert (architecture.stem, architecture.blocks) == (backbone.stem, backbone.blocks)
    provenance = checkpoint.config.provenance
    ours = flax.traverse_util.flatten_dict(checkpoint.variables, sep='/')
    theirs = flax.traverse_util.flatten_dict(modnet.variables, sep='/')
    assert set(provenance['ignored']) < set(theirs)
    taken = set(theirs) - set(provenance['ignored'])
    assert len(taken) == len(set(ours) - set(provenance['initialised']))
    assert all(path.split('/')[1] == 'backbone' for path in taken)
    assert not any('features_18' in path for path in taken)
    np.testing.assert_array_equal(
        ours['params/block3/expand/conv/kernel'],
        theirs['params/backbone/features_4/expand/conv/kernel'],
    )
    np.testing.assert_array_equal(
        ours['batch_stats/stem/bn/var'], theirs['batch_stats/backbone/features_0/bn/var']
    )


def test_another_network_has_no_such_backbone(mmnet, mmnet_path, modnet_path):
    with pytest.raises(MattingError, match=r'mmnet: expected deeplab, found mmnet'):
        import_weights(mmnet_path, network='deeplab')
    with pytest.raises(MattingError, match=r'modnet: expected mmnet, found modnet'):
        import_weights(modnet_path, network='mmnet')
    with pytest.raises(MattingError, match=r"expected one of modnet, .* got 'unet'"):
        import_weights(modnet_path, network='unet')
    for options in ({'prune_info': 'a.json'}, {'sha256': '0' * 64}):
        with pytest.raises(MattingError, match=r'(a.json|0{64}): belongs to a file'):
            import_weights(modnet_path, network='deeplab', **options)
    with pytest.raises(MattingError, match=r'expected modnet for deeplab or .*, got toy for deepl'):
        take_modnet_backbone(random_checkpoint(create_model_config(TOY.name)))


def test_a_checkpoint_of_ours_is_none_of_others(modnet_path):
    with pytest.raises(MattingError, match='modnet: is a checkpoint of modnet already'):
        import_weights(modnet_path, network='modnet')
    with pytest.raises(MattingError, match='source: expected a path, got nothing'):
        import_weights('', network='deeplab')
    with pytest.raises(MattingError, match='expected a weights file, got a folder'):
        import_weights(modnet_path)


def test_import_from_the_command_line(run_script, modnet_path, tmp_path):
    arguments = ('--source', modnet_path, '--network', 'deeplab', '--output', tmp_path / 'out')
    process = run_script('import_weights', *arguments)
    assert process.returncode == 0, process.stderr
    assert b'deeplab, ' in process.stdout
    assert load_checkpoint(tmp_path / 'out').config.network == 'deeplab'
    wrong = (*arguments[:3], 'deeplav', '--output', tmp_path / 'other')
    process = run_script('import_weights', *wrong)
    assert process.returncode == 2
    assert b"--network: expected one of modnet, mmnet, deeplab, deeplab_aspp, got 'deeplav'" in (
        process.stderr
    )
