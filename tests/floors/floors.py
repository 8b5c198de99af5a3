"""The architecture as a test: floors.py ROOT checks a source tree against the table in lib/README.md, `floors.py --self-test` the checker.

Rules: an #include of another component leads to a lower floor, and to one that DEPENDS reaches; public headers include the standard library
and aipack only; private headers stay in their folder; the table says what lib/*/CMakeLists.txt says; every component has its page.
"""

import pathlib
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
STANDARD = re.compile(r"^[a-z_]+$")  # <vector>, <string_view>; C and third-party headers have a "." or a "/"
SOURCES = {".cpp", ".hpp", ".h"}


def table_of(root):
    """{component: (floor, stands on, third party)} in the table's order."""
    rows = {}
    for line in (root / "lib/README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and cells[0].isdigit():
            listed = [set(filter(None, re.split(r",\s*", cells[i]))) for i in (2, 4)]
            rows[cells[1].strip("`")] = (int(cells[0]), *listed)
    return rows


def cmake_of(path):
    """(DEPENDS, LIBRARIES) of a component; libraries as the packages they come from."""
    text = re.sub(r"#.*", "", path.read_text())
    call = re.search(r"aipack_component\(([^)]*)\)", text)
    words = call.group(1).split() if call else []
    found = {"DEPENDS": set(), "LIBRARIES": set()}
    section = None
    for word in words:
        if word in ("SOURCES", "DEPENDS", "LIBRARIES"):
            section = word
        elif section in found:
            found[section].add(word)
    packages = {word.split("::")[1 if word.startswith("PkgConfig::") else 0] for word in found["LIBRARIES"]}
    return found["DEPENDS"], packages


def includes_of(path):
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return [(mark == "<", name) for mark, name in INCLUDE.findall(text)]


def sources_in(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCES)


def check(root):
    """Every violation, as a sentence."""
    faults = []
    table = table_of(root)
    if len(table) < 2:
        return ["lib/README.md has no table of floors"]
    floors = [floor for floor, _, _ in table.values()]
    if floors != sorted(floors):
        faults.append("lib/README.md: the table is not in the order of its floors")

    built = re.findall(r"add_subdirectory\((\w+)\)", (root / "lib/CMakeLists.txt").read_text())
    folders = {path.parent.name for path in root.glob("lib/*/CMakeLists.txt")}
    public = {path.name for path in root.glob("include/aipack/*") if path.is_dir()}
    for name in sorted((folders | public | set(built)) ^ set(table)):
        faults.append(f"{name}: a component in the table or in the tree, but not in both")
    order = [table[name][0] for name in built if name in table]
    if order != sorted(order):
        faults.append("lib/CMakeLists.txt: components are not added floor by floor")

    stands_on = {}
    for name in table:
        if name not in folders:
            continue
        floor, listed, third_party = table[name]
        depends, libraries = cmake_of(root / "lib" / name / "CMakeLists.txt")
        stands_on[name] = depends
        if depends != listed:
            faults.append(f"{name}: DEPENDS {sorted(depends)} in CMake, {sorted(listed)} in the table")
        if libraries != third_party:
            faults.append(f"{name}: LIBRARIES {sorted(libraries)} in CMake, {sorted(third_party)} in the table")
        for other in sorted(depends):
            if other not in table or table[other][0] >= floor:
                faults.append(f"{name}: DEPENDS {other}, which is not on a lower floor")
        if not (root / "lib" / name / "README.md").is_file():
            faults.append(f"lib/{name}/README.md is missing")

    def reachable(name):
        seen, pending = set(), [name]
        while pending:
            for other in stands_on.get(pending.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    pending.append(other)
        return seen

    for name, (floor, _, _) in table.items():
        below = reachable(name)
        headers = sources_in(root / "include/aipack" / name)
        for path in headers + sources_in(root / "lib" / name):
            where = path.relative_to(root)
            for angled, header in includes_of(path):
                parts = header.split("/")
                if parts[0] == "aipack" and not angled:
                    other = parts[1]
                    if not (root / "include" / header).is_file():
                        faults.append(f"{where}: includes {header}, which does not exist")
                    elif other != name and (other not in table or table[other][0] >= floor):
                        faults.append(f"{where}: includes {header}, which is not on a lower floor")
                    elif other != name and other not in below:
                        faults.append(f"{where}: includes {header}, which DEPENDS of {name} does not reach")
                elif path in headers and not (angled and STANDARD.match(header)):
                    faults.append(f"{where}: a public header includes {header}")
                elif not angled and not is_private(root, name, path, header):
                    faults.append(f"{where}: includes {header}, which is not a private header of {name}")

    for folder in ("tools/aipack", "python", "examples"):
        for path in sources_in(root / folder):
            for angled, header in includes_of(path):
                home = (root / folder).resolve()
                near = any((base / header).is_file() and home in (base / header).resolve().parents
                           for base in (path.parent, home))
                public_header = header.startswith("aipack/") and (root / "include" / header).is_file()
                if not angled and not near and not public_header:
                    faults.append(f"{path.relative_to(root)}: includes {header}, which is not a public header")
    return faults


def is_private(root, name, path, header):
    """A header beside the file or in its component's folder."""
    home = (root / "lib" / name).resolve()
    return any((base / header).is_file() and home in (base / header).resolve().parents
               for base in (path.parent, home))


def self_test():
    """A small healthy tree, then one wound at a time."""
    healthy = {
        "lib/README.md": "| floor | component | stands on | x | y |\n|---|---|---|---|---|\n"
                         "| 0 | `core` | | errors | fmt |\n| 1 | `io` | core | bytes | fmt |\n"
                         "| 1 | `oci` | core | values | fmt |\n| 2 | `fs` | io | trees | fmt, zstd |\n",
        "lib/CMakeLists.txt": "add_subdirectory(core)\nadd_subdirectory(io)\nadd_subdirectory(oci)\nadd_subdirectory(fs)\n",
        "lib/core/CMakeLists.txt": "aipack_component(core\n  LIBRARIES fmt::fmt\n  SOURCES a.cpp)\n",
        "lib/io/CMakeLists.txt": "aipack_component(io\n  DEPENDS core\n  LIBRARIES fmt::fmt\n  SOURCES a.cpp)\n",
        "lib/oci/CMakeLists.txt": "aipack_component(oci\n  DEPENDS core # why\n  LIBRARIES fmt::fmt\n  SOURCES a.cpp)\n",
        "lib/fs/CMakeLists.txt": "aipack_component(fs\n  DEPENDS io\n  LIBRARIES fmt::fmt PkgConfig::zstd\n  SOURCES a.cpp)\n",
        "include/aipack/core/a.hpp": "#include <vector>\n",
        "include/aipack/io/a.hpp": '#include "aipack/core/a.hpp"\n',
        "include/aipack/oci/a.hpp": "#include <string_view>\n",
        "include/aipack/fs/a.hpp": '#include "aipack/io/a.hpp"\n',
        "lib/io/a.cpp": '#include "aipack/io/a.hpp"\n#include "own.hpp"\n#include <fcntl.h>\n#include <fmt/format.h>\n',
        "lib/io/own.hpp": "",
        "tools/aipack/main.cpp": '#include "aipack/fs/a.hpp"\n#include "verbs.hpp"\n',
        "tools/aipack/verbs.hpp": "",
        **{f"lib/{name}/README.md": "" for name in ("core", "io", "oci", "fs")},
    }
    wounds = {
        "upward": {"include/aipack/core/a.hpp": '#include "aipack/io/a.hpp"\n'},
        "upward from a source": {"lib/io/a.cpp": '#include "aipack/fs/a.hpp"\n'},
        "sideways": {"lib/io/a.cpp": '#  include "aipack/oci/a.hpp"\n'},
        "not in DEPENDS": {"include/aipack/fs/a.hpp": '#include "aipack/oci/a.hpp"\n'},
        "third party in public": {"include/aipack/io/a.hpp": "#include <fmt/format.h>\n"},
        "system in public": {"include/aipack/io/a.hpp": "#include <unistd.h>\n"},
        "private in public": {"include/aipack/io/a.hpp": '#include "own.hpp"\n'},
        "another's private header": {"lib/fs/a.cpp": '#include "../io/own.hpp"\n'},
        "missing header": {"lib/fs/a.cpp": '#include "aipack/io/gone.hpp"\n'},
        "DEPENDS not in the table": {"lib/fs/CMakeLists.txt": "aipack_component(fs\n  DEPENDS io oci\n  LIBRARIES fmt::fmt PkgConfig::zstd)\n"},
        "LIBRARIES not in the table": {"lib/io/CMakeLists.txt": "aipack_component(io\n  DEPENDS core\n  LIBRARIES fmt::fmt CURL::libcurl)\n"},
        "no page": {"lib/oci/README.md": None},
        "unknown component": {"lib/extra/CMakeLists.txt": "aipack_component(extra)\n"},
        "wrong build order": {"lib/CMakeLists.txt": "add_subdirectory(core)\nadd_subdirectory(fs)\nadd_subdirectory(io)\nadd_subdirectory(oci)\n"},
        "tool sees inside": {"tools/aipack/main.cpp": '#include "../../lib/io/own.hpp"\n'},
    }

    def faults_of(files):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            for name, text in files.items():
                if text is not None:
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    (root / name).write_text(text)
            return check(root)

    failed = [("healthy", faults_of(healthy))] if faults_of(healthy) else []
    failed += [(name, "went unnoticed") for name, wound in wounds.items() if not faults_of({**healthy, **wound})]
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
