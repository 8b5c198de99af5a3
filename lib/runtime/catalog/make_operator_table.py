#!/usr/bin/python3
"""Measures which operators a Debian release of ONNX Runtime really implements.

ONNX Runtime accepts a model by its opset and only then looks for a kernel of every node: accepted is not implemented. This script
asks the library itself. It takes the operator schemas that the library has registered (operator, domain, since_version, type
variables), writes for each of them one-node models over the combinations of element types that the schema allows, and creates a
session for every one of them through the C API:

  * the session is created, or the kernel's constructor complains about our made-up attributes: a kernel exists;
  * ORT_NOT_IMPLEMENTED: there is none;
  * anything else: the probe was not a valid model, so nothing is known and the combination is not held against a model.

Run it in a Debian 13 system, container or chroot (with /proc and /dev) that has python3-onnxruntime, which brings
libonnxruntime1.21:

  python3 make_operator_table.py --library libonnxruntime.so.1.21 \
      --table operators/onnxruntime-1.21.json --schemas ../../model/operator_schemas.inc

The answer does not depend on the architecture: kernels are registered by the same source everywhere. Takes about two minutes.
"""

import argparse
import ctypes
import itertools
import json
import os
import pickle
import re
import struct
import sys

# onnx.proto, TensorProto.DataType
ELEMENT_TYPES = [
    "", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "double", "uint32",
    "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz",
    "uint4", "int4", "float4e2m1"]
DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft")
MAX_PRODUCT = 4000  # type combinations tried at once; beyond it, one type variable at a time
NOT_IMPLEMENTED, RUNTIME_EXCEPTION = 9, 6


# --- a protobuf writer of ten lines: field numbers are those of onnx.proto -----------------------------------------------------

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def short_type(text):
    """'seq(tensor(float))' as aipack writes it: 'seq(float)'."""
    return re.sub(r"(?<![a-z_])tensor\((\w+)\)", r"\1", text)


def split_arguments(text):
    depth, start, out = 0, 0, []
    for i, c in enumerate(text + ","):
        if c == "," and depth == 0:
            out.append(text[start:i].strip())
            start = i + 1
        depth += (c == "(") - (c == ")")
    return out


def type_proto(text):
    """TypeProto of 'float', 'seq(float)', 'map(int64,float)', 'optional(seq(float))'; without a shape: any rank."""
    if text in ELEMENT_TYPES:
        return field(1, field(1, ELEMENT_TYPES.index(text)))
    kind, _, inner = text.partition("(")
    inner = inner[:-1]
    if kind == "seq":
        return field(4, field(1, type_proto(inner)))
    if kind == "optional":
        return field(9, field(1, type_proto(inner)))
    if kind == "map":
        key, value = split_arguments(inner)
        return field(5, field(1, ELEMENT_TYPES.index(key)) + field(2, type_proto(value)))
    if kind == "sparse_tensor":
        return field(8, field(1, ELEMENT_TYPES.index(inner)))
    raise ValueError(text)


def value_info(name, text=None):
    return field(1, name) + (field(2, type_proto(text)) if text else b"")


FLOAT, INT, STRING, TENSOR, GRAPH, FLOATS, INTS, STRINGS = 1, 2, 3, 4, 5, 6, 7, 8


def attribute(name, kind, value):
    body = field(1, name) + field(20, kind)
    if kind in (FLOAT, INT, STRING, TENSOR, GRAPH):
        return field(5, body + field({FLOAT: 2, INT: 3, STRING: 4, TENSOR: 5, GRAPH: 6}[kind], value))
    number = {FLOATS: 7, INTS: 8, STRINGS: 9}[kind]
    return field(5, body + b"".join(field(number, v) for v in value))


def tensor(element_type):
    """One element, zero (or an empty string)."""
    number = ELEMENT_TYPES.index(element_type)
    data = field(6, "") if element_type == "string" else field(9, bytes(16 if "128" in element_type else 8 if element_type in (
        "int64", "uint64", "double", "complex64") else 4 if element_type in ("float", "int32", "uint32") else
        2 if element_type in ("uint16", "int16", "float16", "bfloat16") else 1))
    return field(1, 1) + field(2, number) + data


def node(name, domain, inputs, outputs, attributes):
    return (b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(4, name)
            + b"".join(attributes) + (field(7, domain) if domain else b""))


def model(domain, version, graph):
    opsets = [field(1, domain) + field(2, version)] + ([] if domain == "" else [field(2, 17)])
    return field(1, 8) + field(7, graph) + b"".join(field(8, o) for o in opsets)


# --- the schema, as far as it matters here --------------------------------------------------------------------------------------

class Schema:
    def __init__(self, raw):
        self.domain, self.name, self.version, self.deprecated = raw.domain, raw.name, raw.since_version, raw.deprecated
        allowed = {c.type_param_str: sorted({short_type(t) for t in c.allowed_type_strs}) for c in raw.type_constraints}
        self.inputs = [self.parameter(p, allowed) for p in raw.inputs]
        self.outputs = [self.parameter(p, allowed) for p in raw.outputs]
        used = {p["var"] for p in self.inputs + self.outputs}
        # A variable with one type is that type.
        self.allowed = {v: t for v, t in allowed.items() if v in used and len(t) > 1}
        for p in self.inputs + self.outputs:
            if p["var"] in allowed and p["var"] not in self.allowed:
                p["var"], p["fixed"] = None, allowed[p["var"]][0]
        self.attributes = {a.name: (int(a.type), a.required) for a in raw.attributes.values()}

    @staticmethod
    def parameter(p, allowed):
        variable = p.typeStr if p.typeStr in allowed else None
        return {"var": variable, "fixed": None if variable else short_type(p.typeStr),
                "option": str(p.option).rsplit(".", 1)[-1], "homogeneous": p.isHomogeneous}

    def key(self):
        return (self.domain, self.name, self.version)

    def signature(self):
        """'T,T,T>T': one part per parameter; ':int64' is fixed, '*' variadic, '~' variadic with differing types."""
        def part(p):
            text = p["var"] if p["var"] else ":" + p["fixed"]
            if p["option"] == "Variadic":
                text += "*" if p["homogeneous"] else "~"
            return text
        return ";".join(map(part, self.inputs)) + ">" + ";".join(map(part, self.outputs))


def read_schemas():
    """In a child: the Python binding and the C library do not share a process well."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        import onnxruntime.capi.onnxruntime_pybind11_state as state
        found = [Schema(raw) for raw in state.get_all_operator_schema() if raw.domain in DOMAINS]
        with os.fdopen(write_end, "wb") as out:
            pickle.dump(found, out)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as data:
        seen = {s.key(): s for s in pickle.load(data)}
    os.waitpid(child, 0)
    return [seen[k] for k in sorted(seen)]


# --- probes ---------------------------------------------------------------------------------------------------------------------

OUTPUT_TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "output_datatype")


def body_graph(kind):
    """A body for If, Loop and Scan."""
    constant = node("Constant", "", [], ["c"], [attribute("value", TENSOR, tensor("float"))])
    out = value_info("c", "float")
    if kind == "If":
        return field(1, constant) + field(2, "b") + field(12, out)
    if kind == "Loop":
        return (field(1, node("Identity", "", ["cond"], ["cond_out"], [])) + field(1, node("Identity", "", ["v"], ["v_out"], []))
                + field(2, "b") + field(11, value_info("i", "int64")) + field(11, value_info("cond", "bool"))
                + field(11, value_info("v", "float")) + field(12, value_info("cond_out", "bool")) + field(12, value_info("v_out", "float")))
    return (field(1, node("Identity", "", ["v"], ["v_out"], [])) + field(2, "b") + field(11, value_info("v", "float"))
            + field(12, value_info("v_out", "float")))


def probe(schema, types, arity):
    """A one-node model of `schema` with `types` (type variable -> type) and `arity` inputs, or None when it cannot be written."""
    inputs, graph_inputs, outputs = [], b"", []
    # More inputs than parameters repeat the last, variadic one.
    for index, p in enumerate(schema.inputs[:arity] + schema.inputs[-1:] * (arity - len(schema.inputs))):
        text = types.get(p["var"]) if p["var"] else p["fixed"]
        inputs.append("x%d" % index)
        graph_inputs += field(11, value_info(inputs[-1], text))
    for index, p in enumerate(schema.outputs):
        if p["option"] == "Single" or index == 0 or p["option"] == "Variadic":
            outputs.append(("y%d" % index, types.get(p["var"]) if p["var"] else p["fixed"]))
    bound = {p["var"] for p in schema.inputs[:arity]}
    attributes = []
    for name, (kind, required) in sorted(schema.attributes.items()):
        free = [p["var"] for p in schema.outputs if p["var"] and p["var"] not in bound]
        if name in OUTPUT_TYPE_ATTRIBUTES and kind in (INT, STRING) and (free or required):
            wanted = types.get(free[0]) if free else "float"
            wanted = re.sub(r"^seq\((\w+)\)$", r"\1", wanted)  # SequenceEmpty states the element's type
            if wanted not in ELEMENT_TYPES:
                return None
            attributes.append(attribute(name, kind, ELEMENT_TYPES.index(wanted) if kind == INT else wanted.upper()))
        elif schema.name in ("ConstantOfShape", "Constant") and name == "value":
            wanted = types.get(free[0]) if free else "float"
            if wanted not in ELEMENT_TYPES:
                return None
            attributes.append(attribute(name, TENSOR, tensor(wanted)))
        elif schema.name == "LabelEncoder" and schema.version >= 2:
            suffix = {"string": ("strings", STRINGS, ["a"]), "int64": ("int64s", INTS, [1]), "float": ("floats", FLOATS, [1.0])}
            for prefix, var in (("keys_", "T1"), ("values_", "T2")):
                if types.get(var) in suffix and name == prefix + suffix[types[var]][0]:
                    attributes.append(attribute(name, suffix[types[var]][1], suffix[types[var]][2]))
                elif types.get(var) not in suffix and name == prefix + "tensor" and types.get(var) in ELEMENT_TYPES:
                    attributes.append(attribute(name, TENSOR, tensor(types[var])))
        elif schema.name in ("If", "Loop", "Scan") and kind == GRAPH:
            attributes.append(attribute(name, GRAPH, body_graph(schema.name)))
        elif required:
            sample = {FLOAT: 1.0, INT: 1, STRING: "sum" if name == "equation" else "x", FLOATS: [1.0], INTS: [1], STRINGS: ["x"]}
            if schema.name == "Einsum":
                sample[STRING] = "...->..."
            if kind == TENSOR:
                attributes.append(attribute(name, TENSOR, tensor("float")))
            elif kind in sample:
                attributes.append(attribute(name, kind, sample[kind]))
            else:
                return None
    graph = (field(1, node(schema.name, schema.domain, inputs, [o for o, _ in outputs], attributes)) + field(2, "probe") + graph_inputs
             + b"".join(field(12, value_info(o, text)) for o, text in outputs))
    return model(schema.domain, schema.version, graph)


def arities(schema):
    """How many inputs to give: all of them, the required ones, several of a variadic one."""
    required = sum(1 for p in schema.inputs if p["option"] == "Single")
    variadic = any(p["option"] == "Variadic" for p in schema.inputs)
    more = [len(schema.inputs) + 1, len(schema.inputs) + 2, len(schema.inputs) + 3] if variadic else []
    return list(dict.fromkeys([len(schema.inputs), required + (1 if variadic else 0), required] + more))


class Runtime:
    """The few entries of the C API's function table that a session needs (onnxruntime_c_api.h, struct OrtApi)."""

    def __init__(self, library):
        pointer = ctypes.c_void_p
        lib = ctypes.CDLL(library)
        lib.OrtGetApiBase.restype = pointer
        base = ctypes.cast(lib.OrtGetApiBase(), ctypes.POINTER(pointer))
        table = ctypes.cast(ctypes.CFUNCTYPE(pointer, ctypes.c_uint32)(base[0])(17), ctypes.POINTER(pointer))

        def entry(index, result, *arguments):
            return ctypes.CFUNCTYPE(result, *arguments)(table[index])
        self.code = entry(1, ctypes.c_int, pointer)
        self.message = entry(2, ctypes.c_char_p, pointer)
        create_env = entry(3, pointer, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(pointer))
        self.create = entry(8, pointer, pointer, ctypes.c_char_p, ctypes.c_size_t, pointer, ctypes.POINTER(pointer))
        create_options = entry(10, pointer, ctypes.POINTER(pointer))
        self.release_status = entry(93, None, pointer)
        self.release_session = entry(95, None, pointer)
        self.env, self.options = pointer(), pointer()
        assert not create_env(4, b"probe", ctypes.byref(self.env))
        assert not create_options(ctypes.byref(self.options))
        assert not entry(24, pointer, pointer, ctypes.c_int)(self.options, 1)  # one thread
        assert not entry(23, pointer, pointer, ctypes.c_int)(self.options, 0)  # no graph optimisation

    def load(self, data):
        session = ctypes.c_void_p()
        status = self.create(self.env, data, len(data), self.options, ctypes.byref(session))
        if not status:
            self.release_session(session)
            return 0, ""
        answer = self.code(status), self.message(status).decode(errors="replace")
        self.release_status(status)
        return answer


def verdict(code, message):
    """True: a kernel exists; False: none; None: the probe says nothing."""
    if code == 0:
        return True
    if code == NOT_IMPLEMENTED:
        return False
    if "is not currently registered or supported" in message or "InsertedPrecisionFreeCast" in message:
        return False  # an element type that the library does not know; a kernel that its own float16 pass asks for in vain
    if code == RUNTIME_EXCEPTION and message.startswith("Exception during initialization"):
        return True  # the kernel was found and its constructor refused our attributes
    return None


def assignments(schema, first_only):
    names = sorted(schema.allowed)
    choices = [schema.allowed[n] for n in names]
    total = 1
    for c in choices:
        total *= len(c)
    if first_only:
        preferred = ("float", "int64", "string", "seq(float)", "int8", "uint8")
        yield {n: next((p for p in preferred if p in c), c[0]) for n, c in zip(names, choices)}
    elif total <= MAX_PRODUCT:
        for combination in itertools.product(*choices):
            yield dict(zip(names, combination))
    else:
        base = next(assignments(schema, True))
        yield base
        for name in names:
            for text in schema.allowed[name]:
                if text != base[name]:
                    yield {**base, name: text}


def measure(schema, runtime):
    """A list of (types, verdict) and the last message of an inconclusive probe."""
    results, note = [], ""
    only_one = schema.name in ("If", "Loop", "Scan")  # their bodies are float; the kernels take every type
    for types in assignments(schema, only_one):
        answer = None
        for arity in arities(schema):
            data = probe(schema, types, arity)
            if data is None:
                continue
            code, message = runtime.load(data)
            answer = verdict(code, message)
            if answer is not None:
                break
            note = note or message
        results.append((types, answer))
    return results, note


def measure_all(schemas, library):
    """Each chunk in a child of its own: a probe that brings the library down costs that schema's answer and nothing else."""
    answers, pending = {}, [schemas[i:i + 24] for i in range(0, len(schemas), 24)]
    while pending:
        chunk = pending.pop(0)
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            runtime = Runtime(library)
            with os.fdopen(write_end, "w") as out:
                for schema in chunk:
                    results, note = measure(schema, runtime)
                    print(json.dumps([list(schema.key()), results, note]), file=out, flush=True)
            os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end) as lines:
            for line in lines:
                key, results, note = json.loads(line)
                answers[tuple(key)] = (results, note)
        os.waitpid(child, 0)
        rest = [s for s in chunk if s.key() not in answers]
        if rest:
            print("the library crashed on %s-%d; no verdict" % (rest[0].name, rest[0].version), file=sys.stderr)
            answers[rest[0].key()] = ([], "crash")
            if rest[1:]:
                pending.insert(0, rest[1:])
        sys.stderr.write("\r%d of %d" % (len(answers), len(schemas)))
    sys.stderr.write("\n")
    return answers


# --- the table ------------------------------------------------------------------------------------------------------------------

def compress(schema, results):
    """What a model may use: True (everything the schema allows), None (nothing), or alternatives {variable: [types]}."""
    known = [(t, v) for t, v in results if v is not None]
    if not known and schema.domain == "ai.onnx.preview.training":
        return None  # Debian builds for inference; probes of Adam and Momentum need matching lists of inputs and outputs
    if not known:
        return True  # nothing is held against a model that could not be measured
    if all(v for _, v in known):
        return True
    if not any(v for _, v in known):
        return None
    full = 1
    for types in schema.allowed.values():
        full *= len(types)
    if full > MAX_PRODUCT:
        return [{n: sorted(set(a) - {t[n] for t, v in known if not v and all(
            t[m] == known[0][0][m] for m in t if m != n)}) for n, a in schema.allowed.items()}]
    # Combinations that could not be probed count as present: only what is proven missing is refused.
    alternatives = [{n: frozenset([x]) for n, x in t.items()} for t, v in results if v is not False]
    for name in sorted(schema.allowed):
        merged = {}
        for a in alternatives:
            rest = tuple(sorted((n, tuple(sorted(x))) for n, x in a.items() if n != name))
            merged.setdefault(rest, (a, set()))[1].update(a[name])
        alternatives = [{**a, name: frozenset(x)} for a, x in merged.values()]
    return sorted(({n: sorted(x) for n, x in a.items() if set(x) != set(schema.allowed[n])} for a in alternatives), key=json.dumps)


def write_table(path, library, schemas, answers):
    sets, operators, inconclusive = {}, {}, 0
    for schema in schemas:
        results, note = answers[schema.key()]
        entry = None if schema.deprecated else compress(schema, results)
        if not schema.deprecated and not any(v is not None for _, v in results):
            inconclusive += 1
            print("no verdict: %s %s-%d: %s" % (schema.domain, schema.name, schema.version, note[:160]), file=sys.stderr)
        if isinstance(entry, list):
            entry = [{n: sets.setdefault(" ".join(x), "s%d" % len(sets)) for n, x in a.items()} for a in entry]
        operators.setdefault(schema.domain, {}).setdefault(schema.name, {})[str(schema.version)] = (
            "all" if entry is True else "none" if entry is None else entry)
    with open(path, "w", encoding="ascii") as out:
        out.write('{\n"comment": "Generated by make_operator_table.py. Per domain, operator and since_version: all (every type of the schema has a '
                  'kernel), none, or alternatives of type variable to a named set of types.",\n"library": %s,\n"type_sets": {\n' % json.dumps(library))
        out.write(",\n".join("%s: %s" % (json.dumps(name), json.dumps(text)) for text, name in sets.items()))
        out.write('\n},\n"operators": {\n')
        blocks = []
        for domain in sorted(operators):
            rows = ",\n".join("%s: %s" % (json.dumps(name), json.dumps(versions, separators=(",", ":")))
                              for name, versions in sorted(operators[domain].items()))
            blocks.append("%s: {\n%s\n}" % (json.dumps(domain), rows))
        out.write(",\n".join(blocks) + "\n}\n}\n")
    print("%d operator versions, %d without a verdict" % (len(schemas), inconclusive), file=sys.stderr)


def write_schemas(path, schemas):
    with open(path, "w", encoding="ascii") as out:
        out.write("// Generated by lib/runtime/catalog/make_operator_table.py from the schemas that ONNX Runtime registers (ONNX's own and its\n"
                  "// contributed ones): domain, operator, since_version, inputs>outputs. Sorted.\n")
        for s in schemas:
            out.write('{"%s", "%s", %d, "%s"},\n' % (s.domain, s.name, s.version, s.signature()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default="libonnxruntime.so.1.21")
    parser.add_argument("--table", required=True)
    parser.add_argument("--schemas")
    options = parser.parse_args()
    schemas = read_schemas()
    if options.schemas:
        write_schemas(options.schemas, schemas)
    write_table(options.table, options.library, schemas, measure_all(schemas, options.library))


if __name__ == "__main__":
    main()
