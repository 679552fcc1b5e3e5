import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mattingjax.config.schema import parse_json, read_json
from mattingjax.errors import ConfigError
from mattingjax.networks import MMNetConfig, MODNetConfig, create_model_config
from mattingjax.networks.mmnet.module import (
    RATES,
    REFINEMENT_RATES,
    EncoderBlockConfig,
    scale_width,
)
from mattingjax.networks.mobilenet_v2 import STRIDES, InvertedResidualConfig, MobileNetV2Config
from mattingjax.networks.model_config import ModelConfig
from tests.conftest import LIBRARY_NETWORKS

widths = st.integers(1, 2000)
ibnorm_widths = st.integers(2, 300)


@st.composite
def modnet_configs(draw, widths=widths, ibnorm_widths=ibnorm_widths) -> MODNetConfig:
    stem = inputs = draw(widths)
    blocks = []
    for stride in STRIDES:
        expand, wants_shortcut = draw(st.booleans()), draw(st.booleans())
        shortcut = stride == 1 and wants_shortcut
        features = inputs if shortcut else draw(widths)
        hidden = draw(widths) if expand else inputs
        blocks.append(InvertedResidualConfig(hidden, features, expand, shortcut))
        inputs = features
    rest = {
        field.name: draw(
            st.tuples(*[ibnorm_widths] * len(field.default))
            if isinstance(field.default, tuple)
            else ibnorm_widths
        )
        for field in dataclasses.fields(MODNetConfig)
        if field.name != 'backbone'
    }
    return MODNetConfig(MobileNetV2Config(stem, tuple(blocks), draw(widths)), **rest)


@st.composite
def mmnet_configs(draw, widths=widths) -> MMNetConfig:
    def blocks(rates):
        return tuple(
            EncoderBlockConfig(draw(st.tuples(*[widths] * len(branches))), draw(widths))
            for branches in rates
        )

    return MMNetConfig(
        init=draw(widths),
        encoder=blocks(RATES),
        compressed=draw(st.tuples(widths, widths)),
        shortcut=draw(st.tuples(widths, widths)),
        refinement=blocks(REFINEMENT_RATES),
        final=draw(widths),
        dropout=draw(st.floats(0, 0.99)),
    )


@settings(max_examples=50, deadline=None)
@given(st.one_of(modnet_configs(), mmnet_configs()))
def test_json_round_trip(architecture):
    text = json.dumps(architecture.to_dict())
    assert type(architecture).from_dict(json.loads(text)) == architecture


@pytest.mark.parametrize('network', LIBRARY_NETWORKS)
def test_model_config_round_trip(network):
    config = create_model_config(network, provenance={'why': ['a', 1]})
    read = ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert read == config
    assert read.provenance == config.provenance
    assert hash(read) == hash(config)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'conv_f': 0}, r'MODNetConfig.conv_f: expected a width of 2 to 65536, got 0'),
        ({'conv_f': 'many'}, r"MODNetConfig.conv_f: expected int, got 'many'"),
        ({'conv_f': True}, r'MODNetConfig.conv_f: expected int, got True'),
        ({'se_hidden': 0}, r'MODNetConfig.se_hidden: expected a width of 1 to 65536, got 0'),
        ({'conv_hr4x': [8, 8]}, r'MODNetConfig.conv_hr4x: expected 3 items, got \[8, 8\]'),
        ({'conv_hr4x': [8, 1, 8]}, r'conv_hr4x.1: expected a width of 2 to 65536, got 1'),
        ({'conv_g': 8}, r'MODNetConfig.conv_g: unknown field'),
        ({'backbone': None}, r'MODNetConfig.backbone: expected an object, got None'),
    ],
)
def test_modnet_errors_name_field_and_value(change, message):
    with pytest.raises(ConfigError, match=message):
        MODNetConfig.from_dict(MODNetConfig().to_dict() | change)


def test_a_missing_field_is_named():
    content = MODNetConfig().to_dict()
    del content['backbone']['stem']
    with pytest.raises(ConfigError, match=r'MODNetConfig.backbone.stem: missing'):
        MODNetConfig.from_dict(content)


def test_a_shortcut_needs_equal_widths_and_stride_one():
    blocks = list(MobileNetV2Config().blocks)
    blocks[1] = dataclasses.replace(blocks[1], shortcut=True)
    with pytest.raises(ConfigError, match=r'blocks.1.shortcut: expected no shortcut \(stride 2'):
        MobileNetV2Config(blocks=tuple(blocks))


def test_a_block_that_does_not_expand_keeps_its_width():
    blocks = list(MobileNetV2Config().blocks)
    blocks[0] = dataclasses.replace(blocks[0], hidden=31)
    with pytest.raises(ConfigError, match=r'blocks.0.hidden: expected 32, .* got 31'):
        MobileNetV2Config(blocks=tuple(blocks))


def test_mmnet_errors_name_field_and_value():
    with pytest.raises(ConfigError, match=r'MMNetConfig.dropout: expected a share .* got 1.0'):
        MMNetConfig(dropout=1.0)
    block = EncoderBlockConfig((8, 8), 8)
    with pytest.raises(ConfigError, match=r'encoder.0.expanded: expected 4 widths'):
        MMNetConfig(encoder=(block, *MMNetConfig().encoder[1:]))
    with pytest.raises(ConfigError, match=r'width multiplier: expected over 0, .* got 0'):
        MMNetConfig.from_multiplier(0)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'network': 'unet'},
            "network: expected one of modnet, mmnet, deeplab, deeplab_aspp(, toy)?, got 'unet'",
        ),
        ({'input_size': 500}, 'input_size: expected a multiple of 32 pixels, .* got 500'),
        ({'input_size': '512'}, "multiple of 32 pixels, .* got '512'"),
        ({'provenance': 3}, 'provenance: expected an object, got 3'),
        ({'colour': 1}, 'ModelConfig.colour: unknown field'),
        (
            {'architecture': MMNetConfig().to_dict()},
            'ModelConfig.architecture.compressed: unknown field',
        ),
    ],
)
def test_model_config_errors(change, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_dict(create_model_config('modnet').to_dict() | change)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[' * 10**5 + ']' * 10**5, 'expected JSON nested at most 64 deep'),
        ('{"a":' * 300 + '1' + '}' * 300, 'expected JSON nested at most 64 deep'),
        ('{', 'not a JSON file'),
        (b'\xff\xfe{', 'not a JSON file'),
        ('1' * 5000, 'not a JSON file'),
    ],
)
def test_texts_that_are_no_json(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        parse_json(text)
    (tmp_path / 'a.json').write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message):
        read_json(tmp_path / 'a.json')


def test_json_files_are_of_a_sane_size(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('{"a": [1, {"b": null}]}')
    assert read_json(path) == {'a': [1, {'b': None}]}
    with path.open('r+b') as file:
        file.truncate(2**35)  # a sparse one
    with pytest.raises(ConfigError, match='at most 64 MB, found 32768 MB'):
        read_json(path)


def test_widths_round_as_the_original_rounds():
    assert [scale_width(16, m) for m in (0.25, 0.5, 0.75, 1.0, 1.4)] == [8, 8, 16, 16, 24]
    assert [scale_width(40, m) for m in (0.25, 0.5, 0.75, 1.0, 1.4)] == [8, 24, 32, 40, 56]


def test_a_byte_order_mark_is_no_content(tmp_path):
    (tmp_path / 'a.json').write_text('{"a": 1}', encoding='utf-8-sig')
    assert read_json(tmp_path / 'a.json') == {'a': 1}
