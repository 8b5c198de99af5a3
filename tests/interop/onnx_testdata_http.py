#!/usr/bin/python3
"""The ONNX project's own test models, analysed, built into images and asked over HTTP.

    AIPACK_BIN=build/release/bin/aipack /usr/bin/python3 tests/interop/onnx_testdata_http.py [--sample] [--cases NAME,…]

Every model of Debian 13's libonnx-testdata goes the way of a user's model: `aipack analyze`; what it says can be served goes into images of up to
64 models with `aipack build`; each image runs in podman as users are told to run it, or, without podman, its unpacked root serves through the
root's own loader. Each test data set is sent through the Open Inference Protocol, as JSON when it is small and as binary data always, and the
answers are compared with the expected outputs as the ONNX project's runner does it: the case's own tolerances for the nine networks, otherwise
1e-3 of the value plus 1e-7, NaN equal to NaN; whole numbers, booleans, strings and floats of one byte exactly.

Every case gets one verdict:
  ok        the image gives the expected outputs
  refused   `aipack analyze` says that the runtime cannot serve the model, and why
  protocol  the protocol cannot carry an input or output (a sequence, a complex number); in the server's own words
  runtime   ONNX Runtime reports an error when it runs the model
  deviates  ONNX Runtime's outputs are not the expected ones
  failed    anything else: a crash, a model that does not load, an answer that is no answer

Cases that are not ok are listed with their reasons in onnx_testdata_unsupported.tsv; the run fails when a case has another verdict than that list
says. `--update` writes the list anew, after a whole run. The test data come from AIPACK_ONNX_TESTDATA (usr/share/libonnx-testdata/data of the
package), or, once per cache, from the signed archive through `aipack build --package libonnx-testdata`.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
SKIP = 77

try:
    import numpy
    import onnx
    sys.path.insert(0, str(SOURCE / "tests/e2e"))
    import conftest
except ImportError as missing:
    print(f"skipped: {missing} (python3-numpy, python3-onnx, python3-pytest)")
    sys.exit(SKIP)

UNSUPPORTED = HERE / "onnx_testdata_unsupported.tsv"
PACKAGE = "libonnx-testdata"
PACKAGE_FOLDER = "usr/share/libonnx-testdata/data"
BATCH = 64  # build::max_models
SMALL = 512  # elements of each tensor of a request that is also sent as JSON
SAMPLE_SEED, SAMPLE_SIZE = 20250809, 40

# onnx.proto, TensorProto.DataType: the protocol's name, numpy's type of the wire form, the field that holds what raw_data does not.
TYPES = {
    1: ("FP32", "<f4", "float_data"), 2: ("UINT8", "u1", "int32_data"), 3: ("INT8", "i1", "int32_data"),
    4: ("UINT16", "<u2", "int32_data"), 5: ("INT16", "<i2", "int32_data"), 6: ("INT32", "<i4", "int32_data"),
    7: ("INT64", "<i8", "int64_data"), 8: ("BYTES", None, "string_data"), 9: ("BOOL", "u1", "int32_data"),
    10: ("FP16", "<u2", "int32_data"), 11: ("FP64", "<f8", "double_data"), 12: ("UINT32", "<u4", "uint64_data"),
    13: ("UINT64", "<u8", "uint64_data"), 16: ("BF16", "<u2", "int32_data"), 17: ("FLOAT8E4M3FN", "u1", "int32_data"),
    18: ("FLOAT8E4M3FNUZ", "u1", "int32_data"), 19: ("FLOAT8E5M2", "u1", "int32_data"), 20: ("FLOAT8E5M2FNUZ", "u1", "int32_data"),
    21: ("UINT4", "u1", "int32_data"), 22: ("INT4", "u1", "int32_data"),
}
WIRE = {name: wire for name, wire, _ in TYPES.values()}
FLOATS = {"FP16", "BF16", "FP32", "FP64"}
JSON_TYPES = {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64", "FP16", "BYTES"}

# Why ONNX Runtime deviates, where that is known. "listed": in its own onnx_backend_test_series_filters.jsonc, as a failing test.
KNOWN_DEVIATIONS = {
    "test_cast_FLOAT_to_STRING": "listed: numpy rounds strings to fewer digits", "test_castlike_FLOAT_to_STRING": "as test_cast_FLOAT_to_STRING",
    "test_cast_FLOAT_to_BFLOAT16": "the reference truncates, ONNX Runtime presumably rounds to nearest",
    "test_castlike_FLOAT_to_BFLOAT16": "the reference truncates, ONNX Runtime presumably rounds to nearest",
    "test_maxunpool_export_with_output_shape": "listed: result mismatch",
    "test_resize_downsample_scales_cubic_align_corners": "listed: results mismatch with onnx tests",
    "test_resize_downsample_scales_linear_align_corners": "listed: results mismatch with onnx tests",
    "test_training_dropout": "presumably random numbers", "test_dft": "presumably float noise where the reference is 0", "test_stft": "presumably float noise where the reference is 0",
}

Case = collections.namedtuple("Case", "category name model")
Tensor = collections.namedtuple("Tensor", "datatype shape bytes")  # bytes: as the binary extension carries them
Verdict = collections.namedtuple("Verdict", "kind reason")
OK = Verdict("ok", "")


class NotCarried(Exception):
    """What the protocol has no form for."""


class Unanswered(Exception):
    """A reply that is not an answer."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


# --- Test data ---


def tensor_of(proto):
    """The wire form of a TensorProto."""
    if proto.data_type not in TYPES:
        raise NotCarried(f"a tensor of ONNX element type {proto.data_type}")
    datatype, wire, field = TYPES[proto.data_type]
    shape = list(proto.dims)
    if datatype == "BYTES":
        content = b"".join(len(text).to_bytes(4, "little") + text for text in proto.string_data)
    elif proto.raw_data:
        content = proto.raw_data
    else:
        values = numpy.array(getattr(proto, field))
        content = (values.astype("<i8") if values.dtype.kind != "f" else values).astype(wire).tobytes()
    return Tensor(datatype, shape, content)


def read_value(path, type_proto):
    """A test data file: one tensor, a list for a sequence, None for an empty optional."""
    content = path.read_bytes()
    kind = type_proto.WhichOneof("value")
    if kind == "tensor_type":
        tensor = tensor_of(onnx.TensorProto.FromString(content))
        # numpy has no bfloat16 and no floats of one byte: the generator stored their bits as whole numbers of the same size.
        declared, wire, _ = TYPES.get(type_proto.tensor_type.elem_type, ("", None, ""))
        if 16 <= type_proto.tensor_type.elem_type <= 20 and WIRE[tensor.datatype] == wire:
            tensor = tensor._replace(datatype=declared)
        return tensor
    if kind == "optional_type":
        optional = onnx.OptionalProto.FromString(content)
        if optional.elem_type == onnx.OptionalProto.TENSOR:
            return tensor_of(optional.tensor_value)
        if optional.elem_type == onnx.OptionalProto.UNDEFINED:
            return None
        return [tensor_of(item) for item in optional.sequence_value.tensor_values]
    if kind == "sequence_type":
        sequence = onnx.SequenceProto.FromString(content)
        return [tensor_of(item) for item in sequence.tensor_values]
    raise NotCarried(f"a value of kind {kind}")


def strings_of(content):
    texts, at = [], 0
    while at < len(content):
        length = int.from_bytes(content[at:at + 4], "little")
        texts.append(content[at + 4:at + 4 + length])
        at += 4 + length
    return texts


def numbers_of(tensor):
    """The tensor's elements, flat, in a type that numpy computes with."""
    if tensor.datatype == "BYTES":
        return strings_of(tensor.bytes)
    flat = numpy.frombuffer(tensor.bytes, WIRE[tensor.datatype])
    if tensor.datatype == "FP16":
        return flat.view("<f2").astype("f4")
    if tensor.datatype == "BF16":
        return (flat.astype("<u4") << 16).view("<f4")
    return flat


def data_sets(case):
    """(inputs, outputs) by name for each data set of a case; the nine networks without inputs get the dummy ones of ONNX' own runner."""
    graph = onnx.load(str(case.model), load_external_data=False).graph
    initialized = {tensor.name for tensor in graph.initializer} | {tensor.values.name for tensor in graph.sparse_initializer}
    fed = [value for value in graph.input if value.name not in initialized]
    if case.category == "light":
        inputs = {}
        for value in fed:
            shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
            count = int(numpy.prod(shape))
            inputs[value.name] = Tensor("FP32", shape, (numpy.arange(count) / count).astype("<f4").tobytes())
        yield inputs, {graph.output[0].name: read_value(case.model.with_name(f"{case.name}_output_0.pb"), graph.output[0].type)}
        return
    for folder in sorted(case.model.parent.glob("test_data_set_*")):
        def values(prefix, declared):
            found = {}
            for i in range(len(list(folder.glob(f"{prefix}_*.pb")))):
                path = folder / f"{prefix}_{i}.pb"
                found[declared[i].name] = read_value(path, declared[i].type)
            return found
        count = len(list(folder.glob("input_*.pb")))
        yield values("input", fed if count <= len(fed) else graph.input), values("output", graph.output)


def cases_of(folder):
    cases = [Case(path.relative_to(folder).parts[0], path.parent.name, path) for path in folder.rglob("model.onnx")]
    cases += [Case("light", path.stem, path) for path in folder.glob("light/*.onnx")]
    return sorted(cases)


def sample_of(cases):
    """A seeded choice in which every kind of model and of element has its place."""
    wanted = ["test_strnorm_model_", "test_string_", "test_cast_FLOAT_to_FLOAT16", "test_cast_FLOAT16_", "test_cast_FLOAT_to_BFLOAT16", "test_cast_FLOAT_to_STRING",
              "FLOAT8E4M3FN", "FLOAT8E5M2", "INT4", "test_and", "test_not", "test_nonzero", "test_unique", "test_constantofshape_int_shape_zero", "zero_", "_empty", "test_expand_shape",
              "test_sequence_", "test_optional_", "test_lstm", "test_ai_onnx_ml", "test_adam", "test_nonmaxsuppression", "test_isnan", "test_label_encoder", "light_squeezenet"]
    choose = random.Random(SAMPLE_SEED)
    chosen = set()
    for word in wanted:
        if matches := [case for case in cases if word in case.name]:
            chosen.add(choose.choice(matches))
    for category in ("pytorch-converted", "pytorch-operator", "simple"):
        chosen.update(choose.sample([case for case in cases if case.category == category], 3))
    rest = [case for case in cases if case not in chosen and case.category != "light"]
    chosen.update(choose.sample(rest, max(0, SAMPLE_SIZE - len(chosen))))
    return sorted(chosen)


# --- aipack ---


class Aipack:
    def __init__(self, program, cache):
        self.program = program
        self.environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"} | {"AIPACK_CACHE_DIR": str(cache)}

    def __call__(self, *words, check=True):
        result = subprocess.run([self.program, *map(str, words)], env=self.environment, capture_output=True, text=True, timeout=1200, check=False)
        if check and result.returncode != 0:
            raise RuntimeError(f"aipack {' '.join(map(str, words[:4]))} … exited with {result.returncode}: {result.stderr[-2000:]}")
        return result

    def build(self, models, root, *words):
        """Builds one image and unpacks it; returns the docker archive, which is kept beside the root."""
        shutil.rmtree(root, ignore_errors=True)
        parts = root.with_name(root.name + ".parts")
        parts.mkdir(parents=True)
        archive = root.with_name(root.name + ".tar")
        self("build", *models, "--platform", "linux/amd64", "--compress", "none", "-q", "-o", f"docker-archive:{archive}", *words)
        return archive, parts

    def judge(self, case):
        """The verdict of `analyze`."""
        result = self("analyze", case.model, "--platform", "linux/amd64", "--json", check=False)
        try:
            record = json.loads(result.stdout if result.returncode == 0 else result.stderr)
        except ValueError:
            return Verdict("failed", f"analyze ended with {result.returncode}: {result.stderr[-300:]}")
        if result.returncode != 0:
            return Verdict("failed" if result.returncode < 0 or result.returncode >= 70 else "refused", json.dumps(record))
        verdicts = [one for one in record["runtimes"] if one["name"] == "onnxruntime"]
        if verdicts and verdicts[0]["supported"]:
            return OK
        return Verdict("refused", verdicts[0]["reason"] if verdicts else "no runtime")


def unpack(archive, parts, root):
    subprocess.run(["tar", "-xf", archive, "-C", parts], check=True)
    root.mkdir()
    for layer in json.loads((parts / "manifest.json").read_text())[0]["Layers"]:
        subprocess.run(["tar", "-xpf", parts / layer, "-C", root], check=True)
    shutil.rmtree(parts)


def find_testdata(aipack, cache):
    given = os.environ.get("AIPACK_ONNX_TESTDATA")
    if given:
        folder = pathlib.Path(given)
        if not (folder / "node").is_dir():
            print(f"skipped: AIPACK_ONNX_TESTDATA={given} has no node/, it should be {PACKAGE_FOLDER} of {PACKAGE}")
            sys.exit(SKIP)
        return folder
    folder = cache.with_name(cache.name + "-onnx-testdata")
    if not folder.is_dir():  # the whole package in an image: verified as every other
        with tempfile.TemporaryDirectory(dir=cache.parent) as work:
            root = pathlib.Path(work) / "root"
            archive, parts = aipack.build([conftest.MODEL], root, "--package", PACKAGE)
            unpack(archive, parts, root)
            with contextlib.suppress(OSError):  # a run beside this one was faster
                (root / PACKAGE_FOLDER).rename(folder)
    return folder


# --- Serving ---


@contextlib.contextmanager
def serve_in_podman(podman, archive, image, log):
    podman("load", "-q", "-i", archive)
    port = conftest.free_port()
    try:
        with podman.serve(image, port) as name:
            def alive():
                state = podman("inspect", "-f", "{{.State.Running}}", name, check=False).stdout.strip()
                return "" if state == "true" else "the container ended"
            try:
                conftest.wait_until_ready(port, alive)
                yield port
            finally:
                log.write_text(podman("logs", name, check=False).stderr)
    finally:
        podman("rmi", "-f", image, check=False)


@contextlib.contextmanager
def serve_from_root(archive, parts, root, log):
    unpack(archive, parts, root)
    port = conftest.free_port()
    libraries = root / "usr/lib/x86_64-linux-gnu"
    command = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, root / "usr/bin/aipack-serve", "--runtime-library", libraries,
               "--models", root / "models", "--host", "127.0.0.1", "--port", port]
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output,
                                   env={**os.environ, "ORT_LOAD_CONFIG_FROM_MODEL": "0", "LANG": "C.UTF-8"})
    try:
        conftest.wait_until_ready(port, lambda: "" if process.poll() is None else "the server ended")
        yield port
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(root)


class Client:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def ask(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        reply = self.connection.getresponse()
        return reply.status, reply.headers, reply.read()

    def infer(self, model, inputs, outputs, binary):
        """The outputs by name, in wire form."""
        document = {"inputs": [], "outputs": [{"name": name} for name in outputs], "parameters": {"binary_data_output": binary}}
        tail = b""
        for name, tensor in inputs.items():
            entry = {"name": name, "datatype": tensor.datatype, "shape": tensor.shape}
            if binary:
                entry["parameters"] = {"binary_data_size": len(tensor.bytes)}
                tail += tensor.bytes
            else:
                entry["data"] = json_data(tensor)
            document["inputs"].append(entry)
        head = json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        if binary:
            headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
        status, answered, body = self.ask("POST", f"/v2/models/{model}/infer", head + tail, headers)
        if status != 200:
            raise Unanswered(status, json.loads(body)["error"])
        length = int(answered.get("Inference-Header-Content-Length", len(body)))
        found, at = {}, length
        for output in json.loads(body[:length])["outputs"]:
            size = output.get("parameters", {}).get("binary_data_size")
            if size is not None:
                content, at = body[at:at + size], at + size
            else:
                content = wire_of(output["datatype"], output["data"])
            found[output["name"]] = Tensor(output["datatype"], output["shape"], content)
        if at != len(body):
            raise Unanswered(status, f"{len(body) - at} bytes after the last output")
        return found


def json_data(tensor):
    numbers = numbers_of(tensor)
    if tensor.datatype == "BYTES":
        return [text.decode() for text in numbers]
    return [bool(value) for value in numbers] if tensor.datatype == "BOOL" else numbers.tolist()


def wire_of(datatype, data):
    if datatype == "BYTES":
        return b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in data)
    if datatype == "FP16":
        return numpy.array(data, "<f4").astype("<f2").tobytes()
    if datatype == "BF16":
        return (numpy.array(data, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return numpy.array(data, WIRE[datatype]).tobytes()


def difference(expected, found, rtol, atol):
    """Nothing, or how the output deviates."""
    if found.datatype != expected.datatype:
        return f"{found.datatype} instead of {expected.datatype}"
    if list(found.shape) != list(expected.shape):
        return f"shape {list(found.shape)} instead of {list(expected.shape)}"
    want, have = numbers_of(expected), numbers_of(found)
    if expected.datatype == "BYTES":
        return "" if want == have else f"strings {have[:4]} instead of {want[:4]}"
    if len(want) != len(have):
        return f"{len(have)} elements instead of {len(want)}"
    if expected.datatype not in FLOATS:
        wrong = int((want != have).sum())
        if not wrong:
            return ""
        first = int(numpy.argmax(want != have))
        return f"{wrong} of {want.size} elements, the first {have[first]} instead of {want[first]}"
    want, have = want.astype("f8"), have.astype("f8")
    close = numpy.isclose(have, want, rtol=rtol, atol=atol, equal_nan=True)
    if close.all():
        return ""
    first = int(numpy.argmin(close))
    return f"{int((~close).sum())} of {want.size} elements, the first {have[first]:.7g} instead of {want[first]:.7g}"


def tolerances(case):
    """Those of ONNX' runner: a case's own in data.json, else 1e-3 and 1e-7."""
    own = case.model.parents[1] / "real" / case.name.replace("light_", "test_") / "data.json"
    limits = json.loads(own.read_text()) if case.category == "light" and own.exists() else {}
    return limits.get("rtol", 1e-3), limits.get("atol", 1e-7)


def stacked(items):
    """A sequence as the server writes it: stacked, when all shapes are equal."""
    if not items or any((item.datatype, item.shape) != (items[0].datatype, items[0].shape) for item in items):
        return None
    return Tensor(items[0].datatype, [len(items), *items[0].shape], b"".join(item.bytes for item in items))


def serve_case(client, case):
    """Asks one model everything its data sets hold."""
    rtol, atol = tolerances(case)
    asked = 0
    try:
        for inputs, outputs in data_sets(case):
            # A value without a wire form is sent as a tensor all the same, so that the server gives its reason.
            uncarried = [name for name, value in inputs.items() if isinstance(value, list)]
            sent = {name: Tensor("FP32", [1], b"\0\0\0\0") if name in uncarried else value for name, value in inputs.items() if value is not None}
            tensors = [*sent.values(), *(value for item in outputs.values() for value in (item if isinstance(item, list) else [item]) if value is not None)]
            small = all(value.datatype in JSON_TYPES and numpy.prod(value.shape) <= SMALL for value in tensors)
            for binary in (True, False) if small else (True,):
                try:
                    found = client.infer(case.name, sent, outputs, binary)
                except Unanswered as reply:
                    carried = not uncarried and None not in inputs.values() and all(isinstance(value, Tensor) for value in outputs.values())
                    if reply.status >= 500:
                        return Verdict("runtime" if reply.status == 500 else "failed", str(reply))
                    return Verdict("failed" if carried else "protocol", str(reply))
                if uncarried:
                    return Verdict("failed", f"the server took a tensor for {uncarried}")
                asked += 1
                for name, value in outputs.items():
                    expected = stacked(value) if isinstance(value, list) else value
                    if expected is None:
                        return Verdict("failed", f"an answer for output {name}, which is {value}")
                    if how := difference(expected, found[name], rtol, atol):
                        known = next((f" ({why})" for prefix, why in KNOWN_DEVIATIONS.items() if case.name.startswith(prefix)), "")
                        return Verdict("deviates", f"output {name}: {how}{known}")
    except NotCarried as reason:
        status, _, body = client.ask("GET", f"/v2/models/{case.name}")
        return Verdict("protocol", f"{reason}; the server's metadata: {body.decode()[:200] if status == 200 else status}")
    return OK if asked else Verdict("failed", "no test data")


def ask_all(port, cases, verdicts):
    """Fills in the verdicts of the cases; ends early when the server died, which is the verdict of the case it died at."""
    client = Client(port)
    for case in cases:
        try:
            verdicts[case] = serve_case(client, case)
        except (OSError, http.client.HTTPException) as error:
            verdicts[case] = Verdict("failed", f"the connection broke: {error!r}")
            client = Client(port)
            try:
                client.ask("GET", "/v2/health/live")
            except OSError:
                return
        except (ValueError, KeyError, TypeError) as error:
            verdicts[case] = Verdict("failed", f"an answer that cannot be read: {error!r}")


def run_batch(aipack, podman, cases, work):
    """Builds one image of all the cases and asks it. What was not answered goes into two smaller images, down to the model that is to blame."""
    verdicts, cause = {}, ""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        models, root, log = (pathlib.Path(folder) / name for name in ("models", "root", "log"))
        models.mkdir()
        paths = [pathlib.Path(shutil.copyfile(case.model, models / f"{case.name}.onnx")) for case in cases]
        image = "localhost/onnx-testdata:1"
        try:
            archive, parts = aipack.build(paths, root, "-t", image)
            with serve_in_podman(podman, archive, image, log) if podman else serve_from_root(archive, parts, root, log) as port:
                ask_all(port, cases, verdicts)
        except (Exception, conftest.pytest.fail.Exception) as error:  # the latter is no Exception
            cause = f"{error} {log.read_text()[-1000:] if log.exists() else ''}"
    left = [case for case in cases if case not in verdicts]
    if len(left) == 1 and len(cases) == 1:
        return {left[0]: Verdict("failed", cause)}
    for part in (left[:len(left) // 2], left[len(left) // 2:]):
        if part:
            verdicts.update(run_batch(aipack, podman, part, work))
    return verdicts


# --- The report ---


def listed():
    if not UNSUPPORTED.exists():
        return {}
    rows = [line.split("\t") for line in UNSUPPORTED.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {(category, name): Verdict(kind, reason) for category, name, kind, reason in rows}


def one_line(text):
    text = " ".join(text.split())
    return text if len(text) <= 240 else text[:240] + "…"


def report(results, seconds, options):
    kinds = ["ok", "refused", "protocol", "runtime", "deviates", "failed"]
    table = collections.Counter((case.category, verdict.kind) for case, verdict in results.items())
    print(f"{'':20}" + "".join(f"{kind:>10}" for kind in kinds))
    for category in sorted({case.category for case in results}):
        print(f"{category:20}" + "".join(f"{table[category, kind]:>10}" for kind in kinds))
    print(f"{'all ' + str(len(results)):20}" + "".join(f"{sum(table[category, kind] for category in {c.category for c in results}):>10}" for kind in kinds))
    print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))
    if options.tsv:
        options.tsv.write_text("".join(f"{case.category}\t{case.name}\t{verdict.kind}\t{one_line(verdict.reason)}\n"
                                       for case, verdict in sorted(results.items())), encoding="utf-8")
    if options.update:
        rows = [f"{case.category}\t{case.name}\t{verdict.kind}\t{one_line(verdict.reason)}\n" for case, verdict in sorted(results.items()) if verdict != OK]
        UNSUPPORTED.write_text("# category\tcase\tverdict\treason: the models of libonnx-testdata that an image does not answer as expected (onnx_testdata_http.py --update)\n"
                               + "".join(rows), encoding="utf-8")
    known = listed()
    wrong = 0
    for case, verdict in sorted(results.items()):
        expected = known.get((case.category, case.name), OK)
        if verdict.kind != expected.kind or verdict.kind == "failed":
            wrong += 1
            print(f"{case.category}/{case.name}: {verdict.kind}, not {expected.kind}: {one_line(verdict.reason)}")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", action="store_true", help=f"about {SAMPLE_SIZE} cases of every kind")
    parser.add_argument("--cases", type=lambda text: set(text.split(",")), help="only these cases")
    parser.add_argument("--engine", choices=["auto", "podman", "loader"], default="auto")
    parser.add_argument("--tsv", type=pathlib.Path, help="write every case's verdict there")
    parser.add_argument("--update", action="store_true", help=f"write {UNSUPPORTED.name} anew")
    options = parser.parse_args()
    if options.update and (options.sample or options.cases):
        parser.error("--update needs a whole run")
    if os.uname().machine != "x86_64":
        print(f"skipped: the images are for linux/amd64, this is {os.uname().machine}")
        return SKIP
    if not pathlib.Path(conftest.AIPACK).exists():
        print(f"skipped: no {conftest.AIPACK}: name the built command in AIPACK_BIN")
        return SKIP
    cache = pathlib.Path(os.environ.get("AIPACK_TEST_CACHE", SOURCE / "build/test-cache")).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    aipack = Aipack(conftest.AIPACK, cache)
    cases = cases_of(find_testdata(aipack, cache))
    if options.sample:
        cases = sample_of(cases)
    if options.cases:
        cases = [case for case in cases if case.name in options.cases]
    seconds, start = {}, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4 * (os.cpu_count() or 2)) as pool:  # they mostly wait
        results = dict(zip(cases, pool.map(aipack.judge, cases)))
    seconds["analyze"], start = time.monotonic() - start, time.monotonic()
    # The networks' weights are computed when they are loaded and are large: three of them to an image.
    servable = [case for case in cases if results[case] == OK]
    small, large = [case for case in servable if case.category != "light"], [case for case in servable if case.category == "light"]
    batches = [small[i:i + BATCH] for i in range(0, len(small), BATCH)]
    batches += [large[i:i + 3] for i in range(0, len(large), 3)]
    if options.sample and batches:
        batches = [servable]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        podman = None
        if options.engine != "loader" and shutil.which("podman") and shutil.which("runc"):
            podman = conftest.Podman(work / "podman")
            if podman("info", check=False).returncode != 0:
                podman = None
        if options.engine == "podman" and not podman:
            print("skipped: podman does not work here")
            return SKIP
        print(f"{len(cases)} models, {len(servable)} to serve in {len(batches)} images, " + ("in podman" if podman else "through the roots' own loader"), flush=True)
        try:
            for number, batch in enumerate(batches):
                results.update(run_batch(aipack, podman, batch, work))
                for case in batch:
                    if results[case] != OK:
                        print(f"  {case.category}/{case.name}: {results[case].kind}: {one_line(results[case].reason)}")
                print(f"image {number + 1} of {len(batches)}: {sum(results[case] == OK for case in batch)} of {len(batch)} ok", flush=True)
        finally:
            if podman:
                podman("system", "reset", "--force", check=False)
    seconds["build and serve"] = time.monotonic() - start
    return report(results, seconds, options)


if __name__ == "__main__":
    sys.exit(main())
