"""Every route of the Open Inference Protocol and what stands beside it."""

import contextlib
import json
import struct
import unittest

from support import ServerTest

X = {"name": "a", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
Y = {"name": "b", "datatype": "FP32", "shape": [1, 3], "data": [10, 20, 30]}


class Routes(ServerTest):
    def test_health(self):
        self.assertEqual(self.server.get("/v2/health/live").json, {"live": True})
        self.assertEqual(self.server.get("/v2/health/ready").json, {"ready": True})

    def test_server_metadata(self):
        for path in ("/v2", "/v2/"):
            reply = self.server.get(path)
            self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "application/json"))
            self.assertEqual(reply.json["name"], "aipack-serve")
            self.assertIn("binary_tensor_data", reply.json["extensions"])
            self.assertRegex(reply.json["version"], r"^\d+\.\d+\.\d+")
            self.assertRegex(reply.json["runtime"]["version"], r"^1\.\d+")

    def test_model_metadata(self):
        described = self.server.get("/v2/models/arithmetic").json
        self.assertEqual(described["name"], "arithmetic")
        self.assertEqual(described["versions"], ["1"])
        self.assertEqual(described["platform"], "onnxruntime_onnx")
        self.assertEqual(described["inputs"], [
            {"name": name, "datatype": "FP32", "shape": [-1, 3], "dimensions": ["N", 3]} for name in ("a", "b")])
        self.assertEqual([o["name"] for o in described["outputs"]], ["sum", "difference"])
        self.assertEqual(described["parameters"]["license"], "CC0-1.0")
        self.assertEqual(described["parameters"]["producer"], "aipack-tests")
        self.assertEqual(self.server.get("/v2/models/arithmetic/versions/1").json, described)

    def test_model_ready(self):
        for path in ("/v2/models/scalar/ready", "/v2/models/scalar/versions/1/ready"):
            self.assertEqual(self.server.get(path).json, {"name": "scalar", "ready": True})

    def test_lists(self):
        names = self.server.get("/v2/models").json["models"]
        self.assertIn("arithmetic", names)
        self.assertIn("external", names)  # from the folder below
        self.assertEqual(names, sorted(names))
        for reply in (self.server.get("/v2/repository/index"), self.server.request("POST", "/v2/repository/index"),
                      self.server.request("POST", "/v2/repository/index", '{"ready": true}')):
            index = reply.json
            self.assertEqual([m["name"] for m in index], names)
            self.assertEqual(index[0]["state"], "READY")

    def test_head(self):
        reply = self.server.request("HEAD", "/v2/models/arithmetic")
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertGreater(int(reply.headers["Content-Length"]), 100)

    def test_ranges_are_not_for_computed_answers(self):
        whole = self.server.get("/v2")
        part = self.server.request("GET", "/v2", headers={"Range": "bytes=0-4"})
        self.assertEqual((part.status, part.body), (200, whole.body))

    def test_metrics(self):
        before = self.server.metric("aipack_serve_inference_requests_total", model="scalar", status="200")
        self.one("scalar", "FP32", [], [2])
        self.one("scalar", "FP32", [], [3])
        self.one("scalar", "INT8", [], [3])
        metric = self.server.metric
        self.assertEqual(metric("aipack_serve_inference_requests_total", model="scalar", status="200"), before + 2)
        self.assertGreaterEqual(metric("aipack_serve_inference_requests_total", model="scalar", status="400"), 1)
        count = metric("aipack_serve_inference_duration_seconds_count", model="scalar")
        self.assertEqual(metric("aipack_serve_inference_duration_seconds_bucket", model="scalar", le="+Inf"), count)
        self.assertGreater(metric("aipack_serve_inference_duration_seconds_sum", model="scalar"), 0)
        self.assertGreater(metric("aipack_serve_inference_request_bytes_total", model="scalar"), 100)
        self.assertGreater(metric("aipack_serve_inference_response_bytes_total", model="scalar"), 100)
        self.assertEqual(metric("aipack_serve_inference_requests_in_flight"), 0)
        self.assertGreater(metric("aipack_serve_model_load_seconds", model="scalar"), 0)
        self.assertGreater(metric("process_resident_memory_bytes"), 1e6)
        self.assertGreater(metric("process_cpu_seconds_total"), 0)
        self.assertEqual(metric("aipack_serve_info", version=self.server.get("/v2").json["version"]), 1)
        # Names that are no models share one label, so that nobody can fill the memory of whoever scrapes.
        for name in ("nobody", "no-one"):
            self.one(name, "FP32", [], [1])
        self.assertEqual(metric("aipack_serve_inference_requests_total", model="no-one"), 0)
        self.assertGreaterEqual(metric("aipack_serve_inference_requests_total", model="", status="404"), 2)

    def test_metrics_form(self):
        reply = self.server.get("/metrics")
        self.assertTrue(reply.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        families, samples = set(), set()
        for line in reply.body.decode().splitlines():
            if line.startswith("# TYPE "):
                name = line.split()[2]
                self.assertNotIn(name, families)
                families.add(name)
            elif not line.startswith("# HELP "):
                key, value = line.rsplit(" ", 1)
                float(value)
                self.assertNotIn(key, samples)
                samples.add(key)
                name = key.split("{")[0]
                self.assertTrue(name in families or name.rsplit("_", 1)[0] in families, name)


class Inference(ServerTest):
    def test_two_inputs_two_outputs(self):
        for version in (None, "1"):
            reply = self.server.infer("arithmetic", {"inputs": [X, Y]}, version)
            self.assertEqual(reply.json, {"model_name": "arithmetic", "model_version": "1", "outputs": [
                {"name": "sum", "datatype": "FP32", "shape": [1, 3], "data": [11, 22, 33]},
                {"name": "difference", "datatype": "FP32", "shape": [1, 3], "data": [-9, -18, -27]}]})

    def test_members_in_any_order(self):
        turned = dict(reversed(X.items()))
        self.assertEqual(next(iter(turned)), "data")
        reply = self.server.infer("arithmetic", {"inputs": [turned, Y], "id": "7"})
        self.assertEqual(reply.json["outputs"][0]["data"], [11, 22, 33])

    def test_id_and_parameters_come_back(self):
        parameters = {"trace": "ü\n", "priority": 3, "ratio": 0.25, "dry": False}
        reply = self.server.infer("arithmetic", {"id": "request \"7\"", "parameters": parameters, "inputs": [X, Y]})
        self.assertEqual((reply.json["id"], reply.json["parameters"]), ("request \"7\"", parameters))
        reply = self.server.infer("arithmetic", {"inputs": [X, Y]})
        self.assertFalse({"id", "parameters"} & set(reply.json))

    def test_unknown_members_are_ignored(self):
        reply = self.server.infer("arithmetic", {"inputs": [dict(X, note={"deep": [1, {"er": None}]}), Y], "more": [[]]})
        self.assertEqual(reply.status, 200)

    def test_chosen_outputs_in_the_asked_order(self):
        reply = self.server.infer("arithmetic", {"inputs": [X, Y], "outputs": [{"name": "difference"}]})
        self.assertEqual([o["name"] for o in reply.json["outputs"]], ["difference"])
        reply = self.server.infer("arithmetic", {"inputs": [X, Y], "outputs": [{"name": "difference"}, {"name": "sum"}]})
        self.assertEqual([o["name"] for o in reply.json["outputs"]], ["difference", "sum"])
        reply = self.server.infer("arithmetic", {"inputs": [X, Y], "outputs": []})
        self.assertEqual(len(reply.json["outputs"]), 2)

    def test_dynamic_batch(self):
        for n in (0, 1, 2, 1000):
            inputs = [{"name": i, "datatype": "FP32", "shape": [n, 3], "data": [1] * (3 * n)} for i in "ab"]
            reply = self.server.infer("arithmetic", {"inputs": inputs})
            self.assertEqual(reply.json["outputs"][0]["shape"], [n, 3])
            self.assertEqual(reply.json["outputs"][0]["data"], [2] * (3 * n))

    def test_model_name_in_the_request(self):
        self.assertEqual(self.server.infer("arithmetic", {"model_name": "arithmetic", "inputs": [X, Y]}).status, 200)
        self.refused(self.server.infer("arithmetic", {"model_name": "scalar", "inputs": [X, Y]}), 400, "model_name")

    def test_binary_and_json_mixed(self):
        binary = struct.pack("<3f", 10, 20, 30)
        request = {"inputs": [X, {"name": "b", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}],
                   "outputs": [{"name": "difference", "parameters": {"binary_data": True}}, {"name": "sum"}]}
        reply = self.server.infer_binary("arithmetic", request, binary)
        length = int(reply.headers["Inference-Header-Content-Length"])
        outputs = json.loads(reply.body[:length])["outputs"]
        self.assertEqual(outputs[1]["data"], [11, 22, 33])
        self.assertEqual(struct.unpack("<3f", reply.body[length:]), (-9, -18, -27))

    def test_binary_by_default(self):
        request = {"inputs": [X, Y], "parameters": {"binary_data_output": True},
                   "outputs": [{"name": "sum"}, {"name": "difference", "parameters": {"binary_data": False}}]}
        reply = self.server.infer("arithmetic", request)
        length = int(reply.headers["Inference-Header-Content-Length"])
        document = json.loads(reply.body[:length])
        self.assertEqual(document["outputs"][1]["data"], [-9, -18, -27])
        self.assertEqual(struct.unpack("<3f", reply.body[length:]), (11, 22, 33))
        self.assertNotIn("parameters", document)  # the protocol's own parameter is not echoed

    def test_binary_outputs_follow_each_other(self):
        request = {"inputs": [X, Y], "parameters": {"binary_data_output": True}}
        reply = self.server.infer("arithmetic", request)
        length = int(reply.headers["Inference-Header-Content-Length"])
        self.assertEqual(struct.unpack("<6f", reply.body[length:]), (11, 22, 33, -9, -18, -27))

    def test_media_types(self):
        body = json.dumps({"inputs": [X, Y]})
        for media_type in ("application/json", "application/json; charset=utf-8", "Application/JSON",
                           "application/octet-stream"):
            reply = self.server.request("POST", "/v2/models/arithmetic/infer", body, {"Content-Type": media_type})
            self.assertEqual(reply.status, 200, media_type)

    def test_large_request(self):
        n = 300_000
        inputs = [{"name": i, "datatype": "FP32", "shape": [n // 3, 3], "data": [0.5] * n} for i in "ab"]
        reply = self.server.infer("arithmetic", {"inputs": inputs, "outputs": [{"name": "sum"}]})
        self.assertEqual(reply.json["outputs"][0]["data"], [1.0] * n)


class Connections(ServerTest):
    def test_keep_alive(self):
        with contextlib.closing(self.server.connect()) as connection:
            ports = set()
            for n in range(150):  # more than the HTTP library's own limit for a connection
                connection.request("POST", "/v2/models/arithmetic/infer", json.dumps({"inputs": [X, Y]}))
                response = connection.getresponse()
                self.assertEqual(response.status, 200)
                self.assertEqual(json.loads(response.read())["outputs"][0]["data"], [11, 22, 33])
                ports.add(connection.sock.getsockname())
            self.assertEqual(len(ports), 1)

    def test_a_refused_request_does_not_end_the_connection(self):
        with contextlib.closing(self.server.connect()) as connection:
            for path, status in (("/v2/models/nobody/infer", 404), ("/v2", 405), ("/v2/nowhere", 404)) * 3:
                connection.request("POST", path, json.dumps({"inputs": [X, Y]}))
                first = connection.sock.getsockname()
                response = connection.getresponse()
                response.read()
                self.assertEqual(response.status, status)
                connection.request("GET", "/v2/health/live")
                self.assertEqual(connection.sock.getsockname(), first)
                self.assertEqual(connection.getresponse().read(), b'{"live":true}')

    def test_requests_sent_ahead(self):
        one = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        body = json.dumps({"inputs": [X, Y]}).encode()
        post = b"POST /v2/models/arithmetic/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        received = self.server.raw(one + post + post + one)
        self.assertEqual(received.count(b"HTTP/1.1 200 OK"), 4)
        self.assertEqual(received.count(b'"data":[11.0,22.0,33.0]'), 2)

    def test_chunked_request(self):
        body = json.dumps({"inputs": [X, Y]}).encode()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]) for i in range(0, len(body), 7))
        head = b"POST /v2/models/arithmetic/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        received = self.server.raw(head + chunks + b"0\r\n\r\nGET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b'"data":[11.0,22.0,33.0]', received)
        self.assertTrue(received.endswith(b'{"live":true}'))

    def test_expect_continue(self):
        body = json.dumps({"inputs": [X, Y]}).encode()
        head = (b"POST /v2/models/arithmetic/infer HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body))
        received = self.server.raw(head + body)
        self.assertTrue(received.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"))
        self.assertIn(b'"data":[11.0,22.0,33.0]', received)

    def test_close_on_request(self):
        received = self.server.raw(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", half_close=False)
        self.assertIn(b"Connection: close", received)
        received = self.server.raw(b"GET /v2/health/live HTTP/1.0\r\n\r\n", half_close=False)
        self.assertTrue(received.endswith(b'{"live":true}'))


if __name__ == "__main__":
    unittest.main()
