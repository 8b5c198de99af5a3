"""Every element type, both ways of carrying it, and every kind of value that a model may have."""

import json
import math
import struct
import unittest

from support import ServerTest

import numpy as np  # after support, which skips where there is none

# Values that each type holds exactly, its limits among them, with their little-endian bytes.
EXACT = {
    "BOOL": ([True, False, True], bytes([1, 0, 1])),
    "UINT8": ([0, 1, 255], bytes([0, 1, 255])),
    "UINT16": ([0, 65535], struct.pack("<2H", 0, 65535)),
    "UINT32": ([0, 4294967295], struct.pack("<2I", 0, 4294967295)),
    "UINT64": ([0, 18446744073709551615], struct.pack("<2Q", 0, 18446744073709551615)),
    "INT8": ([-128, 0, 127], struct.pack("<3b", -128, 0, 127)),
    "INT16": ([-32768, 32767], struct.pack("<2h", -32768, 32767)),
    "INT32": ([-2147483648, 2147483647], struct.pack("<2i", -2147483648, 2147483647)),
    "INT64": ([-9223372036854775808, 9223372036854775807], struct.pack("<2q", -9223372036854775808, 9223372036854775807)),
    "FP16": ([0.0, -1.5, 65504.0, 5.960464477539063e-08], struct.pack("<4e", 0.0, -1.5, 65504.0, 5.960464477539063e-08)),
    "BF16": ([1.0, -3.140625, 0.0], struct.pack("<3H", 0x3F80, 0xC049, 0)),
    "FP32": ([0.0, -1.5, 3.4028234663852886e38], struct.pack("<3f", 0.0, -1.5, 3.4028234663852886e38)),
    "FP64": ([0.1, -1.7976931348623157e308], struct.pack("<2d", 0.1, -1.7976931348623157e308)),
    "FLOAT8E4M3FN": ([448.0, -1.0, 0.001953125], bytes([0x7E, 0xB8, 0x01])),
    "FLOAT8E4M3FNUZ": ([240.0, -1.0], bytes([0x7F, 0xC0])),
    "FLOAT8E5M2": ([57344.0, -1.0], bytes([0x7B, 0xBC])),
    "FLOAT8E5M2FNUZ": ([57344.0, -1.0], bytes([0x7F, 0xC0])),
}
NIBBLES = {"UINT4": ([0, 15, 7], bytes([0xF0, 0x07])), "INT4": ([-8, 7, -1], bytes([0x78, 0x0F]))}


class ElementTypes(ServerTest):
    def test_json_in_and_out(self):
        for word, (values, _) in EXACT.items():
            with self.subTest(word):
                reply = self.one(f"identity_{word.lower()}", word, [len(values)], values)
                self.assertEqual(reply.status, 200, reply.body)
                output, = reply.json["outputs"]
                self.assertEqual((output["name"], output["datatype"], output["shape"]), ("y", word, [len(values)]))
                if word == "FP32":
                    np.testing.assert_array_equal(np.array(output["data"], np.float32), np.array(values, np.float32))
                elif word == "FP16":
                    np.testing.assert_array_equal(np.array(output["data"], np.float16), np.array(values, np.float16))
                else:
                    self.assertEqual(output["data"], values)

    def test_binary_in_and_out(self):
        for word, (values, data) in EXACT.items():
            with self.subTest(word):
                reply = self.server.infer_binary(f"identity_{word.lower()}", {
                    "inputs": [{"name": "x", "datatype": word, "shape": [len(values)],
                                "parameters": {"binary_data_size": len(data)}}],
                    "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}, data)
                self.assertEqual(reply.status, 200, reply.body)
                self.assertEqual(reply.headers["Content-Type"], "application/octet-stream")
                length = int(reply.headers["Inference-Header-Content-Length"])
                output, = json.loads(reply.body[:length])["outputs"]
                self.assertEqual(output["parameters"]["binary_data_size"], len(data))
                self.assertNotIn("data", output)
                self.assertEqual(reply.body[length:], data)

    def test_four_bit_integers(self):
        for word, (values, data) in NIBBLES.items():
            with self.subTest(word):
                model = f"nibbles_{word.lower()}"
                reals = {"name": "f", "datatype": "FP32", "shape": [3], "data": values}
                reply = self.server.infer(model, {"inputs": [
                    {"name": "x", "datatype": word, "shape": [3], "data": values}, reals]})
                self.assertEqual(reply.status, 200, reply.body)
                self.assertEqual([o["data"] for o in reply.json["outputs"]], [values, values])
                reply = self.server.infer_binary(model, {
                    "inputs": [{"name": "x", "datatype": word, "shape": [3], "parameters": {"binary_data_size": 2}}, reals],
                    "outputs": [{"name": "real"}, {"name": "whole", "parameters": {"binary_data": True}}]}, data)
                length = int(reply.headers["Inference-Header-Content-Length"])
                self.assertEqual(json.loads(reply.body[:length])["outputs"][0]["data"], values)
                self.assertEqual(reply.body[length:], data)

    def test_floats_read_back_to_the_same_bits(self):
        generator = np.random.default_rng(7)
        values = generator.integers(0, 2**32, 2000, dtype=np.uint32).view(np.float32)
        values = values[np.isfinite(values)]
        reply = self.one("identity_fp32", "FP32", [len(values)], [float(v) for v in values])
        back = np.array(reply.json["outputs"][0]["data"], np.float32)
        np.testing.assert_array_equal(back.view(np.uint32), values.view(np.uint32))

    def test_not_a_number_and_infinity(self):
        for word in ("FP16", "BF16", "FP32", "FP64"):
            with self.subTest(word):
                body = ('{"inputs":[{"name":"x","datatype":"%s","shape":[6],'
                        '"data":[NaN,Infinity,-Infinity,"NaN","Infinity","-Infinity"]}]}' % word)
                reply = self.server.infer(f"identity_{word.lower()}", body)
                self.assertEqual(reply.json["outputs"][0]["data"], ["NaN", "Infinity", "-Infinity"] * 2)
                # numpy takes the three words, so that a client needs nothing special.
                back = np.array(reply.json["outputs"][0]["data"], np.float64)
                self.assertTrue(math.isnan(back[0]) and math.isinf(back[1]) and back[2] < 0)

    def test_strings(self):
        texts = ["", "plain", "Grüße ☃ 🎈", "a\u0000b", "line\nbreak \"quoted\" \\"]
        reply = self.one("identity_bytes", "BYTES", [len(texts)], texts)
        self.assertEqual(reply.json["outputs"][0]["data"], texts)

    def test_strings_that_are_not_text_travel_in_binary_form(self):
        data = b"\xff\x00\xfe"
        binary = struct.pack("<I", len(data)) + data + struct.pack("<I", 0)
        request = {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [2],
                               "parameters": {"binary_data_size": len(binary)}}],
                   "parameters": {"binary_data_output": True}}
        reply = self.server.infer_binary("identity_bytes", request, binary)
        length = int(reply.headers["Inference-Header-Content-Length"])
        self.assertEqual(reply.body[length:], binary)
        del request["parameters"]
        self.refused(self.server.infer_binary("identity_bytes", request, binary), 400, "output 'y'", "element 0", "UTF-8",
                     "binary_data")

    def test_no_elements(self):
        for shape, data in (([0, 2, 3], []), ([2, 0, 3], []), ([2, 0, 3], [[], []])):
            with self.subTest(shape=shape, data=data):
                reply = self.one("cube", "FP32", shape, data)
                self.assertEqual(reply.status, 200, reply.body)
                self.assertEqual(reply.json["outputs"][0], {"name": "y", "datatype": "FP32", "shape": shape, "data": []})
        reply = self.one("identity_bytes", "BYTES", [0], [])
        self.assertEqual(reply.json["outputs"][0]["data"], [])

    def test_scalar(self):
        reply = self.one("scalar", "FP32", [], [3])
        self.assertEqual(reply.json["outputs"], [{"name": "square", "datatype": "FP32", "shape": [], "data": [9.0]}])

    def test_nested_data(self):
        nested = [[1, 2, 3], [4, 5, 6]]
        for data in (nested, [1, 2, 3, 4, 5, 6]):
            reply = self.one("matrix", "FP32", [2, 3], data)
            self.assertEqual(reply.json["outputs"][0]["data"], [1, 2, 3, 4, 5, 6])
        names = self.one("names", "BYTES", [1, 2], [["a", "b"]])
        self.assertEqual(names.json["outputs"][0]["data"], ["a", "b"])


class Values(ServerTest):
    def test_input_with_a_default(self):
        x = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}
        bias = {"name": "bias", "datatype": "FP32", "shape": [2], "data": [5, 6]}
        self.assertEqual(self.server.infer("with_default", {"inputs": [x]}).json["outputs"][0]["data"], [11, 22])
        self.assertEqual(self.server.infer("with_default", {"inputs": [x, bias]}).json["outputs"][0]["data"], [6, 8])
        inputs = {i["name"]: i for i in self.server.get("/v2/models/with_default").json["inputs"]}
        self.assertTrue(inputs["bias"]["optional"])
        self.assertNotIn("optional", inputs["x"])

    def test_any_rank(self):
        reply = self.one("any_rank", "FP32", [1, 2, 1], [1, -2])
        self.assertEqual(reply.json["outputs"][0], {"name": "y", "datatype": "FP32", "shape": [1, 2, 1], "data": [-1, 2]})

    def test_sequence_of_maps_becomes_a_tensor_with_its_keys(self):
        for model, keys in (("zipmap", [7, 8, 9]), ("zipmap_strings", ["cat", "dog", "eel"])):
            with self.subTest(model):
                reply = self.one(model, "FP32", [2, 3], [0.5, 0.25, 0.25, 0, 0, 1])
                output, = reply.json["outputs"]
                self.assertEqual((output["datatype"], output["shape"]), ("FP32", [2, 3]))
                self.assertEqual(output["data"], [0.5, 0.25, 0.25, 0, 0, 1])
                self.assertEqual(json.loads(output["parameters"]["keys"]), keys)
                described, = self.server.get(f"/v2/models/{model}").json["outputs"]
                self.assertEqual(described["shape"], [-1, -1])
                self.assertTrue(described["onnx_type"].startswith("sequence(map("))
        empty = self.one("zipmap", "FP32", [0, 3], []).json["outputs"][0]
        self.assertEqual((empty["shape"], empty["data"]), ([0, 0], []))

    def split(self, sizes, **more):
        return self.server.infer("sequence_output", {"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [4, 2], "data": list(range(8))},
            {"name": "sizes", "datatype": "INT64", "shape": [len(sizes)], "data": sizes}], **more})

    def test_sequence_of_tensors_is_stacked_when_it_can_be(self):
        outputs = {o["name"]: o for o in self.split([2, 2]).json["outputs"]}
        self.assertEqual(outputs["pieces"]["shape"], [2, 2, 2])
        self.assertEqual(outputs["pieces"]["data"], list(range(8)))
        self.refused(self.split([1, 3]), 400, "output 'pieces'", "[1, 2]", "[3, 2]", "other outputs")
        self.assertEqual(self.split([1, 3], outputs=[{"name": "copy"}]).status, 200)

    def test_sequence_input_is_refused(self):
        self.assertEqual(self.server.get("/v2/models/sequence_input").json["inputs"][0]["datatype"], "UNSUPPORTED")
        self.refused(self.one("sequence_input", "FP32", [1], [1], name="s"), 400, "input 's'", "sequence(tensor(float))")
        self.refused(self.server.infer("sequence_input", {"inputs": []}), 400, "input 's'", "cannot carry")

    def test_optional_input_takes_a_tensor(self):
        reply = self.one("optional_input", "FP32", [2], [1, 2], name="o")
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(reply.json["outputs"][0]["data"], [1, 2])
        self.refused(self.server.infer("optional_input", {"inputs": []}), 400, "input 'o'", "missing")

    def test_external_weights(self):
        reply = self.one("external", "FP32", [2], [1, 2])
        self.assertEqual(reply.json["outputs"][0]["data"], [101, 202])


if __name__ == "__main__":
    unittest.main()
