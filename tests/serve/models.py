"""Small ONNX models for the server's tests, written with python3-onnx; each stands for one thing that models do."""

import pathlib
import unittest

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise unittest.SkipTest(f"{error.name} is not installed (python3-onnx, python3-numpy)") from error

# Element types: protocol word, ONNX number, operator set in which Identity takes it, IR version that has it.
ELEMENT_TYPES = {
    "BOOL": (TensorProto.BOOL, 16, 8),
    "UINT8": (TensorProto.UINT8, 16, 8),
    "UINT16": (TensorProto.UINT16, 16, 8),
    "UINT32": (TensorProto.UINT32, 16, 8),
    "UINT64": (TensorProto.UINT64, 16, 8),
    "INT8": (TensorProto.INT8, 16, 8),
    "INT16": (TensorProto.INT16, 16, 8),
    "INT32": (TensorProto.INT32, 16, 8),
    "INT64": (TensorProto.INT64, 16, 8),
    "FP16": (TensorProto.FLOAT16, 16, 8),
    "BF16": (TensorProto.BFLOAT16, 16, 8),
    "FP32": (TensorProto.FLOAT, 16, 8),
    "FP64": (TensorProto.DOUBLE, 16, 8),
    "BYTES": (TensorProto.STRING, 16, 8),
    # Newer than Debian 12's python3-onnx, so by number: onnx.proto3, TensorProto.DataType.
    "FLOAT8E4M3FN": (17, 19, 9),
    "FLOAT8E4M3FNUZ": (18, 19, 9),
    "FLOAT8E5M2": (19, 19, 9),
    "FLOAT8E5M2FNUZ": (20, 19, 9),
}
NIBBLE_TYPES = {"UINT4": 21, "INT4": 22}


def _save(folder, name, graph, opset=16, ir_version=8, domains=(), metadata=None):
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, v) for d, v in domains]
    model = helper.make_model(graph, opset_imports=imports, producer_name="aipack-tests")
    model.ir_version = ir_version
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path = pathlib.Path(folder) / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def _value(name, element_type, shape):
    return helper.make_tensor_value_info(name, element_type, shape)


def _int64(name, values):
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def identity(folder, word, name=None, shape=(None,)):
    """x -> y of one element type; the shape's dimensions are None or sizes."""
    number, opset, ir_version = ELEMENT_TYPES[word]
    dims = [d if d is not None else f"d{i}" for i, d in enumerate(shape)]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [_value("x", number, dims)],
                              [_value("y", number, dims)])
    return _save(folder, name or f"identity_{word.lower()}", graph, opset, ir_version)


def arithmetic(folder, name="arithmetic"):
    """a[N,3], b[N,3] -> sum, difference: two inputs that share a symbol, two outputs, metadata."""
    f = TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])],
        "arithmetic", [_value("a", f, ["N", 3]), _value("b", f, ["N", 3])],
        [_value("sum", f, ["N", 3]), _value("difference", f, ["N", 3])])
    return _save(folder, name, graph, metadata={"license": "CC0-1.0"})


def scalar(folder):
    f = TensorProto.FLOAT
    graph = helper.make_graph([helper.make_node("Mul", ["x", "x"], ["square"])], "scalar", [_value("x", f, [])],
                              [_value("square", f, [])])
    return _save(folder, "scalar", graph)


def with_default(folder):
    """x + bias, where bias is an input with an initializer: it may be given or left out."""
    f = TensorProto.FLOAT
    graph = helper.make_graph([helper.make_node("Add", ["x", "bias"], ["y"])], "with_default",
                              [_value("x", f, [2]), _value("bias", f, [2])], [_value("y", f, [2])],
                              [numpy_helper.from_array(np.array([10, 20], np.float32), "bias")])
    return _save(folder, "with_default", graph)


def zipmap(folder, string_keys=False):
    """What converters write behind a classifier: probabilities as a sequence of maps."""
    f = TensorProto.FLOAT
    labels = {"classlabels_strings": ["cat", "dog", "eel"]} if string_keys else {"classlabels_int64s": [7, 8, 9]}
    node = helper.make_node("ZipMap", ["x"], ["probabilities"], domain="ai.onnx.ml", **labels)
    key = TensorProto.STRING if string_keys else TensorProto.INT64
    output = onnx.ValueInfoProto()
    output.name = "probabilities"
    map_type = output.type.sequence_type.elem_type.map_type
    map_type.key_type = key
    map_type.value_type.tensor_type.elem_type = f
    graph = helper.make_graph([node], "zipmap", [_value("x", f, ["N", 3])], [output])
    return _save(folder, "zipmap_strings" if string_keys else "zipmap", graph, 15, domains=[("ai.onnx.ml", 2)])


def sequence_output(folder):
    """Splits x[N,2] into a sequence with `sizes` rows each: equal pieces can be stacked, unequal ones cannot."""
    f = TensorProto.FLOAT
    node = helper.make_node("SplitToSequence", ["x", "sizes"], ["pieces"], axis=0)
    output = helper.make_tensor_sequence_value_info("pieces", f, None)
    graph = helper.make_graph([node, helper.make_node("Identity", ["x"], ["copy"])], "sequence_output",
                              [_value("x", f, ["N", 2]), _value("sizes", TensorProto.INT64, ["K"])],
                              [output, _value("copy", f, ["N", 2])])
    return _save(folder, "sequence_output", graph)


def sequence_input(folder):
    node = helper.make_node("SequenceLength", ["s"], ["length"])
    graph = helper.make_graph([node], "sequence_input",
                              [helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)],
                              [_value("length", TensorProto.INT64, [])])
    return _save(folder, "sequence_input", graph)


def optional_input(folder):
    node = helper.make_node("OptionalGetElement", ["o"], ["y"])
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2])
    optional = helper.make_value_info("o", helper.make_optional_type_proto(tensor))
    graph = helper.make_graph([node], "optional_input", [optional], [_value("y", TensorProto.FLOAT, [2])])
    return _save(folder, "optional_input", graph, 16)


def gather(folder):
    """Fails inside the runtime for an index out of bounds."""
    f = TensorProto.FLOAT
    graph = helper.make_graph([helper.make_node("Gather", ["table", "index"], ["row"])], "gather",
                              [_value("table", f, ["N", 2]), _value("index", TensorProto.INT64, [])],
                              [_value("row", f, [2])])
    return _save(folder, "gather", graph)


def reshape(folder):
    """Fails inside the runtime for a shape that does not fit."""
    f = TensorProto.FLOAT
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "shape"], ["y"])], "reshape",
                              [_value("x", f, ["N"]), _value("shape", TensorProto.INT64, ["R"])],
                              [_value("y", f, None)])
    return _save(folder, "reshape", graph)


def any_rank(folder):
    f = TensorProto.FLOAT
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "any_rank", [_value("x", f, None)],
                              [_value("y", f, None)])
    return _save(folder, "any_rank", graph)


def slow(folder):
    """Multiplies matrices `rounds` times: an inference that takes as long as a test wants."""
    f = TensorProto.FLOAT
    body = helper.make_graph(
        [helper.make_node("MatMul", ["m", "one"], ["next"]), helper.make_node("Identity", ["go"], ["still"])], "body",
        [_value("i", TensorProto.INT64, []), _value("go", TensorProto.BOOL, []), _value("m", f, [128, 128])],
        [_value("still", TensorProto.BOOL, []), _value("next", f, [128, 128])])
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "", "one"], ["last"], body=body),
         helper.make_node("ReduceMax", ["last"], ["top"], keepdims=0)],
        "slow", [_value("rounds", TensorProto.INT64, [])], [_value("top", f, [])],
        [numpy_helper.from_array(np.eye(128, dtype=np.float32), "one")])
    return _save(folder, "slow", graph)


def nibbles(folder, word):
    """4-bit integers to floats and back; ONNX Runtime has hardly another operator for them."""
    f, number = TensorProto.FLOAT, NIBBLE_TYPES[word]
    zero = TensorProto(name="zero", data_type=number, dims=[], int32_data=[0])
    graph = helper.make_graph(
        [helper.make_node("DequantizeLinear", ["x", "scale"], ["real"]),
         helper.make_node("QuantizeLinear", ["f", "scale", "zero"], ["whole"])],
        f"nibbles_{word}", [_value("x", number, ["N"]), _value("f", f, ["M"])],
        [_value("real", f, ["N"]), _value("whole", number, ["M"])],
        [numpy_helper.from_array(np.array(1, np.float32), "scale"), zero])
    return _save(folder, f"nibbles_{word.lower()}", graph, 21, 10)


def external_weights(folder, name="external"):
    """x[2] + w, with w in a file beside the model."""
    f = TensorProto.FLOAT
    weights = np.array([100, 200], np.float32)
    tensor = TensorProto(name="w", data_type=f, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", f"{name}.bin"), ("offset", "0"), ("length", str(weights.nbytes))):
        tensor.external_data.add(key=key, value=value)
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "external", [_value("x", f, [2])],
                              [_value("y", f, [2])], [tensor])
    path = _save(folder, name, graph)
    path.with_name(f"{name}.bin").write_bytes(weights.tobytes())
    return path


def write_all(folder):
    for word in ELEMENT_TYPES:
        identity(folder, word)
    for word in NIBBLE_TYPES:
        nibbles(folder, word)
    identity(folder, "FP32", "matrix", (2, 3))
    identity(folder, "FP32", "cube", (None, None, None))
    identity(folder, "BYTES", "names", (None, 2))
    for write in (arithmetic, scalar, with_default, zipmap, sequence_output, sequence_input, optional_input, gather, reshape,
                  any_rank, slow):
        write(folder)
    zipmap(folder, string_keys=True)
    external_weights(pathlib.Path(folder) / "below")
