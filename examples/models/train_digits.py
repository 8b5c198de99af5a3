#!/usr/bin/python3
"""Trains the example model: handwritten digits, 8 x 8 pixels, told apart by a small neural network.

  python3 train_digits.py            writes digits.onnx and digits_samples.json beside this script
  python3 train_digits.py --out DIR  writes them elsewhere
  python3 train_digits.py --check    verifies the files beside this script instead: the model's accuracy on the held-out images is
                                     what its metadata says, and every sample gets its label and its probabilities

Needs Debian's python3-sklearn (which contains the images), python3-numpy and python3-onnx. Every random choice is seeded, so two runs
on one machine write the same bytes; other versions of NumPy or another BLAS may differ in the last bits of the weights.
"""

import argparse
import json
import pathlib
import sys

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
except ImportError as error:
    print("needs python3-sklearn, python3-numpy and python3-onnx: %s" % error, file=sys.stderr)
    sys.exit(77)  # what test runners read as "skipped"

SEED = 20261120
HIDDEN = 48
SAMPLES = 10
TOLERANCE = 1e-5
HERE = pathlib.Path(__file__).resolve().parent


def split():
    """Training and held-out images; a quarter, the same share of each digit, is never trained on."""
    digits = load_digits()
    return train_test_split(digits.data.astype(np.float32), digits.target, test_size=0.25, random_state=SEED, stratify=digits.target)


def train(pixels, labels):
    network = MLPClassifier(hidden_layer_sizes=(HIDDEN,), alpha=1e-3, max_iter=400, random_state=SEED)
    network.fit(pixels / 16.0, labels)
    return network


def make_model(network, accuracy):
    weights = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in (
        ("hidden_weights", network.coefs_[0]), ("hidden_bias", network.intercepts_[0]),
        ("output_weights", network.coefs_[1]), ("output_bias", network.intercepts_[1]),
        ("brightest", np.array(16.0)))]
    nodes = [
        helper.make_node("Div", ["pixels", "brightest"], ["scaled"], "scale"),
        helper.make_node("Gemm", ["scaled", "hidden_weights", "hidden_bias"], ["hidden_sums"], "hidden"),
        helper.make_node("Relu", ["hidden_sums"], ["hidden_values"], "hidden_activation"),
        helper.make_node("Gemm", ["hidden_values", "output_weights", "output_bias"], ["scores"], "output"),
        helper.make_node("Softmax", ["scores"], ["probabilities"], "normalise", axis=1),
        helper.make_node("ArgMax", ["scores"], ["label"], "choose", axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
         helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        weights,
        doc_string="pixels: 8 x 8 grey values from 0 (white) to 16 (black), row by row. label: the digit. "
                   "probabilities: one per digit, in order.")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="aipack-example",
                              producer_version="1", ir_version=8)
    model.doc_string = "Reads a handwritten digit of 8 x 8 pixels."
    helper.set_model_props(model, {
        "title": "Handwritten digits",
        "description": "A network with one hidden layer of %d units, trained on three quarters of the digits data of scikit-learn." % HIDDEN,
        "license": "CC-BY-4.0",
        "attribution": "E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository",
        "accuracy": "%.4f" % accuracy,
    })
    onnx.checker.check_model(model)
    return model


def evaluate(model, pixels):
    """Labels and probabilities, computed from the model's own nodes and weights; where onnx has its reference evaluator, by that."""
    try:
        from onnx.reference import ReferenceEvaluator
    except ImportError:
        ReferenceEvaluator = None
    if ReferenceEvaluator is not None:
        label, probabilities = ReferenceEvaluator(model).run(["label", "probabilities"], {"pixels": pixels})
        return label, probabilities
    values = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    values["pixels"] = pixels
    for node in model.graph.node:
        given = [values[name] for name in node.input]
        if node.op_type == "Div":
            result = given[0] / given[1]
        elif node.op_type == "Gemm":
            result = given[0] @ given[1] + given[2]
        elif node.op_type == "Relu":
            result = np.maximum(given[0], 0)
        elif node.op_type == "Softmax":
            exponents = np.exp(given[0] - given[0].max(axis=1, keepdims=True))
            result = exponents / exponents.sum(axis=1, keepdims=True)
        elif node.op_type == "ArgMax":
            result = given[0].argmax(axis=1)
        else:
            raise ValueError(node.op_type)
        values[node.output[0]] = result
    return values["label"], values["probabilities"]


def make_samples(model, pixels, labels):
    """The first held-out image of each digit, with what the model must answer."""
    chosen = [int(np.flatnonzero(labels == digit)[0]) for digit in range(SAMPLES)]
    answers, probabilities = evaluate(model, pixels[chosen])
    return {
        "model": "digits.onnx", "input": "pixels", "tolerance": TOLERANCE,
        "samples": [{"pixels": [int(v) for v in pixels[i]], "digit": int(labels[i]), "label": int(a), "probabilities": [round(float(v), 8) for v in p]}
                    for i, a, p in zip(chosen, answers, probabilities)],
    }


def check():
    model = onnx.load(str(HERE / "digits.onnx"))
    onnx.checker.check_model(model)
    _, held_out, _, labels = split()
    answers, _ = evaluate(model, held_out)
    accuracy = float((answers == labels).mean())
    stated = float({p.key: p.value for p in model.metadata_props}["accuracy"])
    if abs(accuracy - stated) > 1e-3:
        return "the model's accuracy on held-out images is %.4f, its metadata says %.4f" % (accuracy, stated)
    if "**%.1f %%**" % (100 * stated) not in (HERE / "README.md").read_text(encoding="utf-8"):
        return "README.md does not state the accuracy %.1f %%" % (100 * stated)
    data = json.loads((HERE / "digits_samples.json").read_text(encoding="ascii"))
    pixels = np.array([s["pixels"] for s in data["samples"]], dtype=np.float32)
    answers, probabilities = evaluate(model, pixels)
    for sample, answer, row in zip(data["samples"], answers, probabilities):
        if sample["label"] != answer or np.abs(row - np.array(sample["probabilities"])).max() > data["tolerance"]:
            return "the sample of digit %d gets another answer" % sample["digit"]
    # Training again must give a model of the same quality, bit for bit where the libraries are those of the committed file.
    pixels, _, digits, _ = split()
    again = train(pixels, digits)
    retrained = float((again.predict(held_out / 16.0) == labels).mean())
    if abs(retrained - stated) > 0.02:
        return "training again gives an accuracy of %.4f, the committed model has %.4f" % (retrained, stated)
    print("accuracy %.4f on %d held-out images, %d samples verified, trained again: %.4f" % (accuracy, len(labels), len(data["samples"]), retrained))
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        return check()
    pixels, held_out, digits, labels = split()
    network = train(pixels, digits)
    accuracy = float((network.predict(held_out / 16.0) == labels).mean())
    model = make_model(network, accuracy)
    (options.out / "digits.onnx").write_bytes(model.SerializeToString(deterministic=True))
    samples = make_samples(model, held_out, labels)
    text = json.dumps({k: v for k, v in samples.items() if k != "samples"}, indent=1)[:-2] + ',\n "samples": [\n'
    text += ",\n".join("  " + json.dumps(s) for s in samples["samples"]) + "\n ]\n}\n"
    (options.out / "digits_samples.json").write_text(text, encoding="ascii")
    print("accuracy %.4f on %d held-out images" % (accuracy, len(labels)))
    return None


if __name__ == "__main__":
    sys.exit(main())
