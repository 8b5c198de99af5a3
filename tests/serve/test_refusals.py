"""Wrong requests: each gets the right status and an error that says which input and why, and the server lives on."""

import json
import random
import struct
import unittest

from support import ServerTest, in_background

A = {"name": "a", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
B = {"name": "b", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}


class Routes(ServerTest):
    def test_not_found(self):
        self.refused(self.server.infer("nobody", {"inputs": [A, B]}), 404, "'nobody'")
        self.refused(self.server.get("/v2/models/nobody"), 404, "'nobody'")
        self.refused(self.server.get("/v2/models/arithmetic/versions/2"), 404, "version '2'", "arithmetic")
        for path in ("/", "/v1", "/v2/nothing", "/v2/models//ready", "/v2/models/arithmetic/versions", "/v2/models/a/b/c/d/e",
                     "/metrics/x", "/v2/models/arithmetic/versions/1/infer/x", "/%00", "/v2/%ff"):
            self.refused(self.server.get(path), 404, "cannot find")

    def test_method(self):
        for method, path, allow in (("GET", "/v2/models/arithmetic/infer", "POST"), ("POST", "/v2", "GET, HEAD"),
                                    ("DELETE", "/v2/models/arithmetic", "GET, HEAD"),
                                    ("PUT", "/v2/repository/index", "GET, HEAD, POST"), ("PATCH", "/metrics", "GET, HEAD"),
                                    ("OPTIONS", "/v2/health/live", "GET, HEAD")):
            reply = self.server.request(method, path)
            self.refused(reply, 405, method, allow)
            self.assertEqual(reply.headers["Allow"], allow)

    def test_media_type(self):
        for headers in ({"Content-Type": "text/xml"}, {"Content-Type": "multipart/form-data; boundary=x"},
                        {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Encoding": "gzip"}):
            reply = self.server.request("POST", "/v2/models/arithmetic/infer", json.dumps({"inputs": [A, B]}), headers)
            self.refused(reply, 415, "cannot read the request")


class Documents(ServerTest):
    def refuse(self, document, *words):
        self.refused(self.server.infer("arithmetic", document), 400, *words)

    def test_not_json(self):
        for text, words in (("", ("byte 0",)), ("{", ("byte 1",)), ('{"inputs": [}', ("byte 12",)), ("[]", ("not an object",)),
                            ('{"inputs": [],}', ("byte 14",)), ('{"inputs": [] "id": ""}', ("byte 14", "','")),
                            ('{"inputs": []} x', ("byte 15",)), ("{'inputs': []}", ("byte 1",)), ('{"id": "\x01"}', ("control",)),
                            ('{"id": "\\x"}', ("escape", "byte 8")), ('{"id": "\\ud800"}', ("surrogate",)),
                            ('{"id": "\\udc00"}', ("surrogate",)), ('{"id": "\\u12g4"}', ("hexadecimal",)),
                            ('{"id": "ab', ("end of text",)), ('{"x": 01}', ("byte 7",)), ('{"x": 1.}', ("digit",)),
                            ('{"x": -}', ("digit",)), ('{"x": 1e}', ("digit",)), ('{"x": tru}', ("value",)), ("nul", ("not an object",))):
            with self.subTest(text):
                self.refuse(text, *words)

    def test_not_utf8(self):
        for text in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
            with self.subTest(text):
                self.refuse(b'{"id": "' + text + b'", "inputs": []}', "UTF-8", "byte 8")

    def test_nested_too_deep(self):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            for depth in (64, 100_000):
                self.refuse('{"x":' + opening * depth + "1" + closing * depth + "}", "nested deeper than 64")
        self.refuse('{"inputs":[{"data":' + "[" * 100_000, "nested deeper")

    def test_members(self):
        self.refuse({}, '"inputs" is missing')
        self.refuse({"inputs": {}}, '"inputs" is not an array')
        self.refuse({"inputs": [3]}, "input 0", "not an object")
        self.refuse({"inputs": [A, B], "id": 7}, '"id" is not a string')
        self.refuse({"inputs": [A, B], "id": "x" * 5000}, '"id"', "4096")
        self.refuse('{"inputs":[],"inputs":[]}', '"inputs" is there twice')
        self.refuse({"inputs": [A, B], "parameters": []}, "parameters", "not an object")
        self.refuse({"inputs": [A, B], "parameters": {"p": {}}}, "'p'")
        self.refuse({"inputs": [A, B], "parameters": {"p": None}}, "'p'")
        self.refuse('{"inputs":[],"parameters":{"p":NaN}}', "'p'", "finite")
        self.refuse({"inputs": [A, B], "parameters": {"binary_data_output": 1}}, "binary_data_output")
        self.refuse({"inputs": [A, B], "parameters": {"p": "x" * 70000}}, "65536")

    def test_inputs(self):
        self.refuse({"inputs": [A]}, "input 'b'", "missing")
        self.refuse({"inputs": []}, "input 'a'", "missing")
        self.refuse({"inputs": [A, B, A]}, "input 'a'", "twice")
        self.refuse({"inputs": [A, dict(B, name="c")]}, "input 'c'", "no such input", "'a', 'b'")
        for member, words in (("name", ("input 1", '"name" is missing')), ("datatype", ("input 'b'", '"datatype" is missing')),
                              ("shape", ("input 'b'", '"shape" is missing')),
                              ("data", ("input 'b'", "neither", "binary_data_size"))):
            self.refuse({"inputs": [A, {k: v for k, v in B.items() if k != member}]}, *words)
        self.refuse({"inputs": [A, dict(B, name=3)]}, '"name" is not a string')
        self.refuse({"inputs": [A, dict(B, parameters={"shared_memory_region": "r"})]}, "input 'b'", "shared memory")

    def test_datatype(self):
        self.refuse({"inputs": [A, dict(B, datatype="INT64")]}, "input 'b'", "INT64", "FP32")
        self.refuse({"inputs": [A, dict(B, datatype="FLOAT")]}, "input 'b'", "unknown datatype 'FLOAT'")
        self.refuse({"inputs": [A, dict(B, datatype=3)]}, "input 'b'", "datatype")

    def test_shape(self):
        self.refuse({"inputs": [A, dict(B, shape=[3])]}, "input 'b'", "has 1 dimension", "takes 2", "[N, 3]")
        self.refuse({"inputs": [A, dict(B, shape=[1, 3, 1])]}, "input 'b'", "has 3 dimensions")
        self.refuse({"inputs": [A, dict(B, shape=[3, 1])]}, "input 'b'", "dimension 1", "is 1", "takes 3")
        self.refuse({"inputs": [A, dict(B, shape=[2, 3], data=[0] * 6)]}, "input 'b'", "dimension 0 is 2", "'N' is 1",
                    "input 'a'")
        for shape, words in (([-1, 3], ("dimension 0", "'-1'")), ([1.5, 3], ("'1.5'",)), (["1", 3], ("not a number",)),
                             ([2**63, 3], ("'9223372036854775808'",)), ("13", ("not an array",)), ([1] * 40, ("32 dimensions",)),
                             ([2**40, 2**40], ("too many elements",)), ([[1], 3], ("not a number",))):
            with self.subTest(shape=shape):
                self.refuse({"inputs": [A, dict(B, shape=shape)]}, "input 'b'", *words)

    def test_number_of_elements(self):
        self.refuse({"inputs": [A, dict(B, data=[1, 2])]}, "input 'b'", "2 elements", "wants 3")
        self.refuse({"inputs": [A, dict(B, data=[1, 2, 3, 4])]}, "input 'b'", "more than the 3")
        self.refuse({"inputs": [A, dict(B, data=[])]}, "input 'b'", "0 elements")
        self.refuse({"inputs": [A, dict(B, data=3)]}, "input 'b'", "not an array")
        # A gigantic shape must not allocate anything.
        self.refuse({"inputs": [A, dict(B, shape=[2**44, 3])]}, "input 'b'", "fewer elements")

    def test_nesting(self):
        for data, words in (([[1, 2]], ("dimension 1", "2 elements", "wants 3")), ([[1, 2, 3], [4, 5, 6]], ("more than",)),
                            ([[1, 2, 3], 4], ("mixes",)), ([[[1, 2, 3]]], ("element 0",)), ([1, [2], 3], ("element 1",)),
                            ([[], [1, 2, 3]], ("dimension 1", "0 elements"))):
            with self.subTest(data=data):
                self.refuse({"inputs": [A, dict(B, data=data)]}, "input 'b'", *words)
        self.refused(self.one("identity_fp32", "FP32", [1], [[1]]), 400, "input 'x'", "nested deeper than shape [1]")

    def test_elements(self):
        cases = {
            "UINT8": [(256, "'256' is out of range of UINT8"), (-1, "out of range"), (1.5, "not an integer"),
                      ("1", "not a number"), (True, "not a number"), (None, "not a number"), (1e300, "out of range")],
            "INT8": [(128, "out of range"), (-129, "out of range")],
            "INT32": [(2**31, "out of range")],
            "INT64": [(2**63, "out of range"), (1e19, "out of range"), (float("nan"), "not an integer")],
            "UINT64": [(2**64, "out of range")],
            "BOOL": [(2, "true, false, 1 or 0"), ("true", "true or false"), (1.0, "true, false")],
            "FP16": [(65520, "out of range of FP16"), (-1e9, "out of range")],
            "BF16": [(3.4e38, "out of range of BF16")],
            "FP32": [(1e39, "out of range of FP32"), ("one", "not a number"), (None, "not a number"), ({}, "not a number")],
            "FLOAT8E4M3FN": [(500, "out of range")],
            "BYTES": [(3, "not a string"), (None, "not a string")],
        }
        for word, wrong in cases.items():
            for value, message in wrong:
                with self.subTest(word, value=value):
                    reply = self.one(f"identity_{word.lower()}", word, [2], [{"BYTES": "x"}.get(word, 1), value])
                    self.refused(reply, 400, "input 'x'", "element 1", message)
        reply = self.server.infer("identity_fp64", '{"inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[1e999]}]}')
        self.refused(reply, 400, "'1e999' is out of range of FP64")
        reply = self.server.infer("nibbles_int4", {"inputs": [{"name": "x", "datatype": "INT4", "shape": [1], "data": [8]}]})
        self.refused(reply, 400, "'8' is out of range of INT4")

    def test_outputs(self):
        for outputs, words in (([{"name": "product"}], ("output 'product'", "'sum', 'difference'")), ([{}], ("output",)),
                               ([{"name": "sum"}, {"name": "sum"}], ("output 'sum'", "twice")), ({}, ("not an array",)),
                               ([{"name": "sum", "parameters": {"binary_data": "yes"}}], ("output 'sum'", "binary_data")),
                               ([{"name": "sum", "parameters": {"classification": 2}}], ("output 'sum'", "classification"))):
            with self.subTest(outputs=outputs):
                self.refuse({"inputs": [A, B], "outputs": outputs}, *words)

    def test_runtime_refusals(self):
        reply = self.server.infer("gather", {"inputs": [
            {"name": "table", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]},
            {"name": "index", "datatype": "INT64", "shape": [], "data": [5]}]})
        self.refused(reply, 400, "model 'gather'", "out of data bounds")
        reply = self.server.infer("reshape", {"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [4], "data": [1, 2, 3, 4]},
            {"name": "shape", "datatype": "INT64", "shape": [1], "data": [3]}]})
        self.refused(reply, 500, "model 'reshape'", "cannot be reshaped")

    def test_index_request(self):
        self.refused(self.server.request("POST", "/v2/repository/index", "{"), 400, "byte 1")
        self.refused(self.server.request("POST", "/v2/repository/index", "[]"), 400, "object")


class Binary(ServerTest):
    def send(self, binary, size=12, header_length=None, **more):
        value = dict({"name": "b", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": size}}, **more)
        return self.server.infer_binary("arithmetic", {"inputs": [A, value]}, binary, header_length)

    def test_sizes(self):
        twelve = struct.pack("<3f", 1, 2, 3)
        self.assertEqual(self.send(twelve).status, 200)
        self.refused(self.send(twelve[:8]), 400, "input 'b'", "binary_data_size", "8 bytes")
        self.refused(self.send(twelve[:8], size=8), 400, "input 'b'", "8 bytes", "wants 12")
        self.refused(self.send(twelve + b"x"), 400, "1 bytes", "no input")
        self.refused(self.send(twelve + b"x", size=13), 400, "input 'b'", "13 bytes")
        self.refused(self.send(b"", size=0), 400, "input 'b'", "0 bytes")
        for size in (-1, "12", 12.0, None, 2**64, True):
            self.refused(self.send(twelve, size=size), 400, "binary_data_size")
        self.refused(self.send(twelve, data=[1, 2, 3]), 400, "input 'b'", "both")

    def test_header_length(self):
        for length in ("x", "-1", "", "99999999999999999999999", "1e3", " 7"):
            with self.subTest(length):
                reply = self.server.request("POST", "/v2/models/arithmetic/infer", json.dumps({"inputs": [A, B]}),
                                            {"Inference-Header-Content-Length": length})
                if length == " 7":  # HTTP trims white space around a value
                    self.refused(reply, 400, "JSON")
                else:
                    self.refused(reply, 400, "Inference-Header-Content-Length")
        self.refused(self.send(b"", header_length=100_000), 400, "100000", "body has")
        self.refused(self.send(b"", header_length=0), 400, "JSON", "byte 0")
        self.refused(self.send(b"", header_length=10), 400, "JSON")

    def test_strings(self):
        def send(binary, shape):
            return self.server.infer_binary("identity_bytes", {"inputs": [
                {"name": "x", "datatype": "BYTES", "shape": shape, "parameters": {"binary_data_size": len(binary)}}]}, binary)

        good = struct.pack("<I", 2) + b"ab"
        self.assertEqual(send(good, [1]).status, 200)
        self.refused(send(good, [2]), 400, "input 'x'", "too short")
        self.refused(send(good + struct.pack("<I", 9), [2]), 400, "input 'x'", "string 1")
        self.refused(send(good + good, [1]), 400, "input 'x'", "6 bytes are left")
        self.refused(send(struct.pack("<I", 2**32 - 1), [1]), 400, "input 'x'", "4294967295")
        self.refused(send(good + b"\0\0\0", [2]), 400, "input 'x'", "ends before string 1")
        self.refused(send(b"", [2**40]), 400, "input 'x'", "too short")

    def test_booleans(self):
        reply = self.server.infer_binary("identity_bool", {"inputs": [
            {"name": "x", "datatype": "BOOL", "shape": [2], "parameters": {"binary_data_size": 2}}]}, b"\1\2")
        self.refused(reply, 400, "input 'x'", "element 1", "BOOL")


class Http(ServerTest):
    arguments = ("--max-request-bytes", "20000", "--read-timeout", "2")

    def post(self, body, headers=b"", length=None):
        length = len(body) if length is None else length
        return self.server.raw(b"POST /v2/models/arithmetic/infer HTTP/1.1\r\nHost: x\r\n" + headers +
                               (b"Content-Length: %s\r\n" % str(length).encode() if length != "" else b"") + b"\r\n" + body)

    def says(self, received, status, *words):
        self.assertTrue(received.startswith(b"HTTP/1.1 %d " % status), received[:200])
        for word in words:
            self.assertIn(word.encode(), received)
        self.assertEqual(self.server.get("/v2/health/ready").status, 200)

    def test_too_large(self):
        self.refused(self.server.infer("arithmetic", " " * 20001), 413, "20000 bytes")
        self.refused(self.server.infer("arithmetic", " " * 3_000_000), 413, "20000 bytes")
        self.says(self.post(b"x", length=2**40), 413)
        chunks = b"".join(b"1000\r\n" + b" " * 4096 + b"\r\n" for _ in range(6))
        self.says(self.post(chunks + b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n", ""), 413)
        self.says(self.post(b"fffffffffffffff0\r\n", b"Transfer-Encoding: chunked\r\n", ""), 413)

    def test_too_large_is_said_before_the_body_is_sent(self):
        received = self.post(b"", b"Expect: 100-continue\r\n", 50_000)
        self.says(received, 413, "20000 bytes", "Connection: close")
        self.assertNotIn(b"100 Continue", received)

    def test_framing(self):
        body = json.dumps({"inputs": [A, B]}).encode()
        self.says(self.post(body, b"Transfer-Encoding: chunked\r\n"), 400, "both", "Connection: close")
        self.says(self.post(body, b"Content-Length: 7\r\n"), 400, "Content-Length")
        self.says(self.post(body, b"Transfer-Encoding: gzip, chunked\r\n", ""), 501, "transfer encoding")
        for length in ("-1", "1x", "0x10", "+5", "99999999999999999999999"):
            self.says(self.post(body, length=length), 400, "Content-Length")
        self.says(self.post(b"zz\r\n", b"Transfer-Encoding: chunked\r\n", ""), 400, "badly chunked")
        # Without a length there is no body.
        self.says(self.post(b"", length=""), 400, "JSON", "byte 0")

    def test_a_body_where_none_belongs_is_not_the_next_request(self):
        smuggled = b"GET /v2/models HTTP/1.1\r\nHost: x\r\n\r\n"
        for method in (b"GET", b"HEAD", b"OPTIONS"):
            received = self.server.raw(method + b" /v2/health/live HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                                       % len(smuggled) + smuggled)
            self.assertEqual(received.count(b"HTTP/1.1 "), 1, received)
        received = self.server.raw(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled)
        self.assertEqual(received.count(b"HTTP/1.1 "), 1, received)

    def test_cut_off(self):
        self.says(self.post(b'{"inputs"', length=1000), 400, "cut off")

    def test_not_http(self):
        for data in (b"\r\n\r\n", b"hello\r\n\r\n", b"GET /v2\r\n\r\n", b"GET /v2 HTTP/3.0\r\n\r\n", b"BREW /v2 HTTP/1.1\r\n\r\n",
                     b"GET /v2 x HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 1000,
                     b"GET /v2 HTTP/1.1\r\nbroken\r\n\r\n"):
            with self.subTest(data[:30]):
                received = self.server.raw(data)
                if received:
                    self.says(received, 400, '{"error":', "Connection: close")
                    self.assertEqual(received.count(b"HTTP/1.1 "), 1)
        self.assertEqual(self.server.get("/v2/health/ready").status, 200)

    def test_headers_too_large(self):
        for data in (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"GET /v2 HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
                     b"GET /v2 HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(200)) + b"\r\n"):
            received = self.server.raw(data)
            self.assertRegex(received, rb"^HTTP/1.1 (400|414) ")
        self.server.raw(b"GET /" + b"x" * 3_000_000)
        self.assertEqual(self.server.get("/v2/health/ready").status, 200)

    def test_slow_sender(self):
        received = in_background(lambda: self.server.raw(
            b"POST /v2/models/arithmetic/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", half_close=False)).join()
        self.says(received, 408, "2 s")
        # A header that never ends gets no answer, and no thread for ever.
        self.assertEqual(in_background(lambda: self.server.raw(b"GET /v2 HT", half_close=False)).join(), b"")


class Hostile(ServerTest):
    """Seeded random damage to valid requests."""

    rounds = 1500

    def body(self, random_):
        kind = random_.randrange(3)
        if kind == 0:
            return "arithmetic", json.dumps({"id": "1", "inputs": [A, B], "outputs": [{"name": "sum"}]}).encode(), b"", None
        if kind == 1:
            return "identity_bytes", json.dumps({"inputs": [
                {"name": "x", "datatype": "BYTES", "shape": [2], "data": ["ä", "b\\u0041"]}]}).encode(), b"", None
        binary = struct.pack("<I", 2) + b"ab" + struct.pack("<I", 0)
        text = json.dumps({"inputs": [{"name": "x", "datatype": "BYTES", "shape": [2],
                                       "parameters": {"binary_data_size": len(binary)}}]}).encode()
        return "identity_bytes", text + binary, b"Inference-Header-Content-Length: %d\r\n" % len(text), len(text)

    def damage(self, random_, data):
        data = bytearray(data)
        for _ in range(random_.randrange(1, 6)):
            at = random_.randrange(len(data) + 1)
            kind = random_.randrange(6)
            if kind == 0 and at < len(data):
                data[at] = random_.randrange(256)
            elif kind == 1:
                del data[at:at + random_.randrange(1, 20)]
            elif kind == 2:
                data[at:at] = random_.choice([b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"\0", b"-", b"1e999", b"NaN",
                                              b"null", b"\xff", b"[" * 200, b"99999999999999999999", b'"shape":[-1],'])
            elif kind == 3:
                data[at:at] = data[at:at + random_.randrange(1, 60)]
            elif kind == 4:
                data = data[:at]
            elif at < len(data):
                data[at] ^= 1 << random_.randrange(8)
        return bytes(data)

    def test_damaged_requests(self):
        random_ = random.Random(20250101)
        statuses = {}
        for number in range(self.rounds):
            model, body, header, _ = self.body(random_)
            request = b"POST /v2/models/%s/infer HTTP/1.1\r\nHost: x\r\n%s" % (model.encode(), header)
            if random_.random() < 0.8:  # the body only, whose length is told truly
                body = self.damage(random_, body)
                data = request + b"Content-Length: %d\r\n\r\n" % len(body) + body
            else:  # the head as well
                data = self.damage(random_, request + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            received = self.server.raw(data)
            status = int(received[9:12]) if received.startswith(b"HTTP/1.1 ") else 0
            statuses[status] = statuses.get(status, 0) + 1
            self.assertIn(status, (0, 200, 400, 404, 405, 408, 413, 414, 415, 416, 501), (number, data, received))
            if status >= 400:
                self.assertIn(b'{"error":', received, (number, data))
            self.assertIsNone(self.server.process.poll(), (number, data))
        self.assertEqual(self.server.get("/v2/health/ready").status, 200)
        self.assertGreater(statuses.get(400, 0), self.rounds // 3)
        self.assertEqual(self.one("identity_fp32", "FP32", [1], [1]).status, 200)


if __name__ == "__main__":
    unittest.main()
