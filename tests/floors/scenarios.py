"""A table of scenarios as a test: scenarios.py ROOT checks that each test that a table names exists, `scenarios.py --self-test` the checker.

Rows are `| scenario | file | test |`; an empty scenario is that of the row above. The file is relative to tests/, the test its name word for word.
A row without a file says why there is none.
"""

import pathlib
import re
import sys
import tempfile

TABLES = ["tests/unit/registry/README.md"]
TEST_CASE = re.compile(r'TEST_CASE(?:_METHOD)?\(\s*(?:[\w:]+,\s*)?((?:"(?:[^"\\]|\\.)*"\s*)+)')
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
FUNCTION = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
NO_TEST = "none: "


def tests_in(path):
    """Names of the tests of a file; C++ may write one in several literals."""
    text = path.read_text()
    if path.suffix == ".py":
        return set(FUNCTION.findall(text))
    return {re.sub(r"\\(.)", r"\1", "".join(LITERAL.findall(literals))) for literals in TEST_CASE.findall(text)}


def plain(cell):
    """Without the marks of code around all of it."""
    return cell[1:-1] if re.fullmatch(r"`[^`]+`", cell) else cell


def rows_of(text):
    """(line number, scenario, file, test) of each row that is no head."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("|") and not set(line) <= set("|-: "):
            cells = [plain(cell.strip()) for cell in line.strip().strip("|").split("|")]
            if cells != ["Scenario", "File", "Test"]:
                yield (number, *cells) if len(cells) == 3 else (number, "", "", "")


def check(root):
    """Every violation, as a sentence."""
    faults = []
    known = {}
    for table in TABLES:
        rows = list(rows_of((root / table).read_text()))
        if len(rows) < 2:
            faults.append(f"{table}: there is no table of scenarios")
        above = ""
        for number, scenario, file, test in rows:
            above = scenario or above
            if not above or not test:
                faults.append(f"{table}:{number}: not a scenario, a file and a test")
            elif not file:
                if not test.startswith(NO_TEST) or len(test) < len(NO_TEST) + 10:
                    faults.append(f"{table}:{number}: {above}: neither a test nor a reason")
            elif not (root / "tests" / file).is_file():
                faults.append(f"{table}:{number}: {above}: there is no tests/{file}")
            else:
                if file not in known:
                    known[file] = tests_in(root / "tests" / file)
                if test not in known[file]:
                    faults.append(f"{table}:{number}: {above}: tests/{file} has no test '{test}'")
    return faults


def self_test():
    """A healthy tree has no fault; each wound has one."""
    table = "| Scenario | File | Test |\n|---|---|---|\n"
    healthy = table + (
        "| pull | `unit/a_test.cpp` | a blob is \"pulled\", and whole |\n"
        "| | `unit/a_test.cpp` | a fixture has a `test` |\n"
        "| push | `e2e/test_a.py` | `test_a_push` |\n"
        "| delete | | none: aipack deletes nothing |\n")
    wounds = {
        "no table": "text\n",
        "another name": healthy.replace("pulled", "pushed"),
        "another file": healthy.replace("a_test.cpp", "b_test.cpp"),
        "another function": healthy.replace("`test_a_push`", "`test_a_pus`"),
        "no reason": healthy.replace("none: aipack deletes nothing", "none: "),
        "a test without a file": healthy.replace("`e2e/test_a.py`", ""),
        "no scenario": healthy.replace("| pull |", "| |"),
        "a column too few": healthy + "| a | b |\n",
    }

    def faults_of(text):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            files = {
                TABLES[0]: text,
                "tests/unit/a_test.cpp": 'TEST_CASE("a blob is \\"pulled\\", "\n          "and whole",\n          "[a]") {}\n'
                                         'TEST_CASE_METHOD(Fixture, "a fixture has a `test`", "[a]") {}\n',
                "tests/e2e/test_a.py": "def test_a_push(aipack):\n    pass\n",
            }
            for name, content in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content)
            return check(root)

    failed = [("healthy", fault) for fault in faults_of(healthy)]
    failed += [(name, "went unnoticed") for name, wound in wounds.items() if not faults_of(wound)]
    for failure in failed:
        print(*failure)
    return 1 if failed else 0


def main(argument):
    if argument == "--self-test":
        return self_test()
    faults = check(pathlib.Path(argument).resolve())
    for fault in faults:
        print(fault)
    return 1 if faults else 0


sys.exit(main(sys.argv[1]))
