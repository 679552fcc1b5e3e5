import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from mattingjax.errors import MattingError
from mattingjax.networks.losses import alpha_loss, gradient_loss
from mattingjax.networks.mmnet.loss import aux_loss, kd_loss
from mattingjax.training.distillation import (
    attention_transfer_loss,
    distillation_loss,
)
from tests.networks.losses import alphas, assert_finite_gradient


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def modnet_outputs(seed, size=32):
    return {
        'alpha': alphas(seed, 2, size, size, 1),
        'semantic': alphas(seed + 1, 2, size // 16, size // 16, 1),
        'detail': alphas(seed + 2, 2, size, size, 1),
    }


def mmnet_outputs(seed, size=32):
    logits = normal(seed, 2, size, size, 2)
    return {
        'alpha': np.asarray(jax.nn.softmax(logits)[..., 1:]),
        'logits': logits,
        'aux_logits': normal(seed + 1, 2, size // 16, size // 16, 2),
    }


def slow_attention_transfer(student, teacher):
    def attention(features):
        energy = np.square(features.astype(np.float64)).mean(-1)
        return energy / np.sqrt(np.square(energy).sum((1, 2), keepdims=True))

    return np.square(attention(student) - attention(teacher)).sum((1, 2)).mean()


def test_modnet_from_modnet():
    student, teacher = modnet_outputs(0), modnet_outputs(5)
    loss, terms = distillation_loss(student, teacher)
    assert terms == {
        'gradient': gradient_loss(student['alpha'], teacher['alpha']),
        **{name: alpha_loss(student[name], teacher[name]) for name in student},
    }
    assert loss == pytest.approx(sum(float(term) for term in terms.values()))


def test_mmnet_from_mmnet():
    student, teacher = mmnet_outputs(0), mmnet_outputs(5)
    loss, terms = distillation_loss(student, teacher)
    assert terms == {
        'alpha': alpha_loss(student['alpha'], teacher['alpha']),
        'gradient': gradient_loss(student['alpha'], teacher['alpha']),
        'kd': kd_loss(student['logits'], teacher['alpha']),
        'aux': aux_loss(student['aux_logits'], teacher['alpha']),
    }
    assert loss == pytest.approx(sum(map(float, terms.values())))


def test_mmnet_from_a_larger_modnet():
    """Only the alpha counts, shrunk to the student's size."""
    student, teacher = mmnet_outputs(0), modnet_outputs(5)
    expected = distillation_loss(student, {'alpha': teacher['alpha']})
    assert distillation_loss(student, teacher) == expected
    assert set(expected[1]) == {'alpha', 'gradient', 'kd', 'aux'}
    enlarged = jax.image.resize(teacher['alpha'], (2, 96, 96, 1), 'nearest')
    loss, _ = distillation_loss(student, {'alpha': enlarged})
    assert loss == pytest.approx(float(expected[0]), rel=0.05)


def test_inference_outputs_are_enough():
    alpha = modnet_outputs(0)['alpha']
    loss, terms = distillation_loss({'alpha': alpha}, modnet_outputs(0))
    assert loss == 0
    assert set(terms) == {'alpha', 'gradient'}


@pytest.mark.parametrize('outputs', [modnet_outputs, mmnet_outputs])
def test_gradients(outputs):
    """None into the teacher, and finite ones where the student is perfect."""
    student, features = outputs(0), {'a': normal(0, 2, 4, 4, 3), 'b': normal(1, 2, 2, 2, 5)}

    def loss(*arguments):
        return distillation_loss(*arguments)[0]

    assert_finite_gradient(loss, student, student, features, features)
    others = {'a': normal(2, 2, 4, 4, 7), 'b': normal(3, 2, 4, 4, 1)}
    own, teachers, own_features, teacher_features = assert_finite_gradient(
        loss, student, outputs(5), features, others
    )
    for gradient in jax.tree.leaves((own, own_features)):
        assert np.any(gradient)
    for gradient in jax.tree.leaves((teachers, teacher_features)):
        np.testing.assert_array_equal(gradient, 0)


def test_attention_transfer_is_its_definition():
    student, teacher = normal(0, 3, 5, 7, 4), normal(1, 3, 5, 7, 9)
    expected = slow_attention_transfer(student, teacher)
    assert 0 < expected < 2
    assert attention_transfer_loss(student, teacher) == pytest.approx(expected, rel=1e-5)


def test_attention_is_of_places_not_of_channels():
    features = normal(0, 2, 6, 6, 4)
    for same in (features[..., ::-1], 100 * features, np.tile(features, 3), -features):
        assert attention_transfer_loss(same, features) == pytest.approx(0, abs=1e-12)
    corner, other = np.zeros_like(features), np.zeros_like(features)
    corner[:, 0, 0], other[:, 5, 5] = 3, 1
    assert attention_transfer_loss(corner, other) == pytest.approx(2)


@pytest.mark.parametrize('size', [(8, 12), (4, 18), (2, 12)])
def test_larger_attention_maps_are_shrunk(size):
    student, teacher = normal(0, 2, 4, 6, 3), normal(1, 2, *size, 5)
    height, width = np.minimum(size, (4, 6))

    def shrink(features):
        """Pillow's bilinear resizing smooths too; one channel with that energy."""
        pictures = [Image.fromarray(np.square(image).mean(-1)) for image in features]
        small = [np.asarray(p.resize((width, height), Image.Resampling.BILINEAR)) for p in pictures]
        return np.sqrt(np.stack(small))[..., None]

    expected = slow_attention_transfer(shrink(student), shrink(teacher))
    assert attention_transfer_loss(student, teacher) == pytest.approx(expected, rel=1e-5)


def test_dead_and_faint_features_have_finite_gradients():
    features = normal(0, 2, 4, 4, 3)
    for scale in (0, 1e-20, 1e-12, 1e-6, 1e6):
        assert_finite_gradient(attention_transfer_loss, scale * features, features)
        assert_finite_gradient(attention_transfer_loss, features, scale * features)


def test_attention_term_is_the_mean_over_the_layers():
    outputs = modnet_outputs(0)
    students = {'a': normal(0, 2, 4, 4, 3), 'b': normal(1, 2, 8, 8, 2)}
    teachers = {'b': normal(2, 2, 8, 8, 4), 'a': normal(3, 2, 4, 4, 6)}
    loss, terms = distillation_loss(outputs, outputs, students, teachers)
    expected = np.mean([attention_transfer_loss(students[k], teachers[k]) for k in students])
    assert terms['attention'] == pytest.approx(expected)
    assert loss == pytest.approx(expected)


def test_bfloat16_is_computed_in_float32():
    arguments = mmnet_outputs(0), mmnet_outputs(5), {'a': normal(0, 2, 4, 4, 3)}
    narrow = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), arguments)
    wide = jax.tree.map(lambda x: x.astype(jnp.float32), narrow)
    loss, terms = distillation_loss(*narrow, narrow[2])
    assert (loss, terms) == distillation_loss(*wide, wide[2])
    assert {value.dtype for value in (loss, *terms.values())} == {jnp.dtype('float32')}


def test_bad_input():
    outputs, features = modnet_outputs(0), {'a': normal(0, 2, 4, 4, 3)}
    with pytest.raises(MattingError, match="teacher_features: expected the student's a, got b"):
        distillation_loss(outputs, outputs, features, {'b': features['a']})
    with pytest.raises(MattingError, match="teacher_features: expected the student's a, got none"):
        distillation_loss(outputs, outputs, features)
    with pytest.raises(MattingError, match=r'true_alpha: expected shape \[2, 32, 32, 1\], got'):
        distillation_loss(outputs, {'alpha': outputs['alpha'][:1]})
    with pytest.raises(MattingError, match=r"teacher's attention: expected shape \[2, 4, 4, 1\]"):
        attention_transfer_loss(features['a'], features['a'][:1])
