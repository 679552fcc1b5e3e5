"""Each thing that ATC would not take is reported by its node's name; the rest is not."""

import pytest

from exporters.ascend.op_check import check_ops, load_supported_ops

FLOAT, DOUBLE = 'float32', 'float64'
# What the exporter writes, the original MMNet holds, and a change of the exporter may want.
USED = """
    Add AddV2 AvgPool BatchMatMulV2 BatchToSpaceND BiasAdd ConcatV2 Const Conv2D DepthToSpace
    DepthwiseConv2dNative Exp ExpandDims FusedBatchNormV3 Identity MatMul Max MaxPool Maximum Mean
    Minimum MirrorPad Mul Neg Pack Pad Placeholder RealDiv Relu Relu6 Reshape ResizeBilinear Rsqrt
    Sigmoid Slice Softmax SpaceToBatchND Split SplitV Sqrt Square SquaredDifference Squeeze
    StridedSlice Sub Sum Transpose
"""
REFUSED = """
    BroadcastTo Einsum EnsureShape If PartitionedCall PreventGradient SelectV2
    StatefulPartitionedCall StatelessWhile Switch While XlaCallModule
"""


@pytest.fixture(scope='module')
def tf():
    return pytest.importorskip('tensorflow').compat.v1


@pytest.fixture
def graph(tf):
    """A graph with a node of `op`; attributes are Python values, types are named."""

    def build(op, **attributes):
        graph_def = tf.GraphDef()
        node = graph_def.node.add(name='a/node', op=op)
        for name, value in attributes.items():
            attribute = node.attr[name]
            if isinstance(value, str) and hasattr(tf, value):
                attribute.type = getattr(tf, value).as_datatype_enum
            elif isinstance(value, str):
                attribute.s = value.encode()
            elif isinstance(value, bool):
                attribute.b = value
            elif isinstance(value, float):
                attribute.f = value
            elif isinstance(value, int):
                attribute.i = value
            elif isinstance(value, tf.TensorShape):
                attribute.shape.CopyFrom(value.as_proto())
            else:
                attribute.list.i.extend(value)
        return graph_def

    return build


def test_accepted_and_refused_ops_are_in_the_list():
    rules = load_supported_ops()
    assert not set(USED.split()) - set(rules['operators'])
    assert not set(REFUSED.split()) - set(rules['refused'])
    assert not set(rules['operators']) & set(rules['refused'])


def test_rules_are_well_formed_and_give_their_sources():
    rules = load_supported_ops()
    assert all(source['title'] and source['address'] for source in rules['source'])
    assert rules['status']
    for op, rule in rules['operators'].items():
        assert rule['ascend_ir'], op
        for accepted in rule['attributes'].values():
            if isinstance(accepted, str):
                assert accepted in ('any', 'static', *rules['types']), op
            elif isinstance(accepted, dict):
                lowest, highest = accepted['each']
                assert lowest <= highest, op
            else:
                assert accepted, op
        assert not set(rule.get('newer', ())) & set(rule['attributes']), op
        assert set(rule.get('defaults', ())) <= set(rule['attributes']), op


def test_a_network_of_accepted_ops_is_clean(tf):
    with tf.Graph().as_default() as built:
        x = tf.placeholder(tf.float32, (1, 32, 32, 3), 'input') / 255.0
        x = tf.nn.conv2d(
            tf.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), tf.ones((3, 3, 3, 4)), 2, 'VALID'
        )
        x = tf.nn.relu6(tf.nn.bias_add(x, tf.ones(4)))
        x = tf.nn.depthwise_conv2d(x, tf.ones((3, 3, 4, 1)), (1, 1, 1, 1), 'SAME')
        x *= tf.math.rsqrt(tf.reduce_mean(tf.square(x), (1, 2), keepdims=True) + 1e-5)
        x = tf.image.resize_bilinear(tf.concat([x, x], -1), (32, 32), half_pixel_centers=True)
        tf.sigmoid(tf.reduce_sum(x, -1, keepdims=True), 'output')
    assert check_ops(built.as_graph_def()) == []


def test_the_original_mmnet_is_clean(tf, shared):
    """A graph written by TensorFlow 1; its Ascend port says that it was converted so."""
    content = (shared / 'reference/mmnet_tf1/mmnet_w1.0_reference.pb').read_bytes()
    assert check_ops(tf.GraphDef.FromString(content)) == []


@pytest.mark.parametrize('op', [*REFUSED.split(), 'VariableV2', 'Relu6Grad', 'NoSuchOp'])
def test_an_op_outside_is_named(graph, op):
    (problem,) = check_ops(graph(op))
    assert problem.startswith(f'a/node: {op}: ')
    assert '\n' not in problem


@pytest.mark.parametrize(
    ('op', 'attributes', 'problem'),
    [
        (
            'DepthwiseConv2dNative',
            {'T': FLOAT, 'padding': 'EXPLICIT'},
            "padding is 'EXPLICIT', expected SAME or VALID",
        ),
        (
            'DepthwiseConv2dNative',
            {'padding': 'VALID', 'explicit_paddings': [0, 0, 1, 1, 1, 1, 0, 0]},
            'explicit_paddings is [0, 0, 1, 1, 1, 1, 0, 0], expected []: it is newer than 1.15',
        ),
        ('Conv2D', {'T': DOUBLE}, "T is 'DT_DOUBLE', expected DT_FLOAT or DT_HALF"),
        ('Conv2D', {'strides': [1, 64, 2, 1]}, 'strides is [1, 64, 2, 1], expected values from 1'),
        ('Conv2D', {'data_format': 'NCHW_VECT_C'}, "data_format is 'NCHW_VECT_C', expected NHWC"),
        ('Conv2D', {'surprise': 1}, 'surprise is 1, expected no such attribute'),
        ('MatMul', {'T': FLOAT, 'grad_a': True}, 'grad_a is True, expected False: it is newer'),
        ('FusedBatchNormV3', {'is_training': True}, 'is_training is True, expected False'),
        ('FusedBatchNormV3', {}, 'is_training is True, expected False'),
        ('Cast', {'SrcT': FLOAT, 'DstT': DOUBLE}, "DstT is 'DT_DOUBLE', expected DT_FLOAT"),
        ('Const', {'dtype': 'string'}, "dtype is 'DT_STRING', expected DT_FLOAT"),
    ],
)
def test_an_attribute_outside_is_named_with_its_value(graph, op, attributes, problem):
    (found,) = check_ops(graph(op, **attributes))
    assert found.startswith(f'a/node: {op}.{problem}')


@pytest.mark.parametrize(
    ('op', 'attributes'),
    [
        ('Conv2D', {'T': FLOAT, 'padding': 'EXPLICIT', 'explicit_paddings': [0, 0, 1, 1, 1, 1]}),
        ('DepthwiseConv2dNative', {'T': 'half', 'padding': 'SAME', 'explicit_paddings': []}),
        ('FusedBatchNormV3', {'is_training': False, 'exponential_avg_factor': 1.0}),
        ('ResizeBilinear', {'T': FLOAT, 'align_corners': False, 'half_pixel_centers': True}),
        ('Relu', {'T': FLOAT, '_output_shapes': 'whatever a tracer notes'}),
    ],
)
def test_an_attribute_inside_passes(graph, op, attributes):
    assert check_ops(graph(op, **attributes)) == []


def test_resizing_is_half_pixel_or_aligns_corners(graph):
    (problem,) = check_ops(graph('ResizeBilinear', align_corners=True, half_pixel_centers=True))
    assert 'a/node' in problem
    assert 'not both of align_corners, half_pixel_centers' in problem


@pytest.mark.parametrize('shape', [None, (None, 4), (1, 0)])
def test_an_input_has_a_static_shape(tf, graph, shape):
    (problem,) = check_ops(graph('Placeholder', dtype=FLOAT, shape=tf.TensorShape(shape)))
    assert problem.startswith('a/node: Placeholder.shape is ')
    assert 'all known' in problem


def test_an_input_without_a_shape_is_named(graph):
    (problem,) = check_ops(graph('Placeholder', dtype=FLOAT))
    assert 'Placeholder.shape is None' in problem


def test_a_function_library_is_named(graph):
    graph_def = graph('Relu', T=FLOAT)
    graph_def.library.function.add().signature.name = 'body'
    (problem,) = check_ops(graph_def)
    assert problem.startswith('body: a function')


def test_control_flow_of_a_traced_function_is_found(tf):
    with tf.Graph().as_default() as built:
        x = tf.placeholder(tf.float32, (), 'input')
        tf.while_loop(lambda x: x < 10, lambda x: x + 1, [x], name='loop')
    problems = check_ops(built.as_graph_def())
    assert any('loop' in problem and 'control flow' in problem for problem in problems)


def test_every_problem_is_given(graph):
    graph_def = graph('Einsum')
    graph_def.node.add(name='other', op='BroadcastTo')
    assert [problem.split(':')[0] for problem in check_ops(graph_def)] == ['a/node', 'other']
