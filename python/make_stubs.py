"""Writes the type stubs of the extension module from the signatures that pybind11 records: `python3 make_stubs.py [OUTPUT]`.

The committed file is src/aipack/_core.pyi; a test compares it with what this script writes.
"""

import inspect
import re
import sys

from aipack import _core

HEADER = '"""Type stubs of the extension module, written by make_stubs.py."""\n\nfrom typing import Any\n\n'


def python_type(text: str) -> str:
    """pybind11's spelling of a type as Python's."""
    text = text.replace("aipack._core.", "").replace("aipack::python::", "")
    for ours, theirs in {"List": "list", "Dict": "dict", "Tuple": "tuple"}.items():
        text = re.sub(rf"\b{ours}\[", f"{theirs}[", text)
    text = re.sub(r"Optional\[([^\[\]]+(?:\[[^\[\]]*\])?)\]", r"\1 | None", text)
    return re.sub(r"\bobject\b", "Any", text)


def split_arguments(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for char in text:
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [*parts, current.strip()] if current.strip() else parts


def signature(doc: str | None) -> tuple[list[str], str]:
    """Argument types without `self`, and the result's type."""
    match = re.search(r"\((.*)\) -> (.*)", (doc or "").splitlines()[0] if doc else "")
    if match is None:
        return [], "Any"
    arguments = [argument.split(": ", 1)[1] if ": " in argument else "Any" for argument in split_arguments(match.group(1))]
    return [python_type(argument) for argument in arguments[1:]], python_type(match.group(2))


def members(kind: type) -> list[str]:
    lines = []
    for name, member in sorted(vars(kind).items()):
        if isinstance(member, property):
            lines += ["    @property", f"    def {name}(self) -> {signature(member.fget.__doc__)[1]}: ..."]
        elif name == "__init__" and "->" in (member.__doc__ or ""):
            arguments = signature(member.__doc__)[0]
            lines.append(f"    def __init__({', '.join(['self', *(f'arg{i}: {t}' for i, t in enumerate(arguments))])}) -> None: ...")
        elif not name.startswith("_") and callable(member):
            arguments, result = signature(member.__doc__)
            lines.append(f"    def {name}({', '.join(['self', *(f'arg{i}: {t}' for i, t in enumerate(arguments))])}) -> {result}: ...")
    return lines or ["    ..."]


def stubs() -> str:
    text = HEADER + "__version__: str\n"
    for name, kind in sorted(vars(_core).items()):
        if inspect.isclass(kind):
            text += "\n" + "\n".join([f"class {name}:", *members(kind)]) + "\n"
    return text


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="utf-8") as output:
            output.write(stubs())
    else:
        sys.stdout.write(stubs())
