#!/usr/bin/env python3
"""Other people's schemas and tools judge the SBOMs that aipack writes.

    sbom_interop.py FIXTURE CASE

FIXTURE writes documents of made-up inventories (sbom_fixture.cpp); CASE is a function below. Exit code 77 means: skipped, with the reason on stdout.
"""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import debian_tools

SKIPPED = 77
SOURCE = pathlib.Path(__file__).resolve().parents[2]
CASES = ("full", "platform", "based", "bare")
# What Debian's python3-spdx-tools imports to read and judge a document.
SPDX_TOOLS = ("python3-spdx-tools", "python3-license-expression", "python3-boolean", "python3-beartype", "python3-uritools", "python3-ply",
              "python3-semantic-version")


class Skip(Exception):
    pass


def documents(fixture, suffix):
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([fixture, directory], check=True)
        return {case: json.loads(pathlib.Path(directory, f"{case}.{suffix}").read_text(encoding="utf-8")) for case in CASES}


def judges():
    try:
        import schemas
    except ImportError as error:
        raise Skip(f"python3-jsonschema is not installed ({error})") from error
    return schemas


def refuses(judge, invalid, document, changes):
    """Every change of a good document must be noticed: a judge that accepts anything judges nothing."""
    for name, change in changes.items():
        broken = copy.deepcopy(document)
        change(broken)
        try:
            judge(broken)
        except invalid:
            continue
        raise AssertionError(f"accepted: {name}")


def spdx(fixture):
    schemas = judges()
    written = documents(fixture, "spdx.json")
    for document in written.values():
        schemas.validate_spdx(document)
    refuses(schemas.validate_spdx, schemas.Invalid, written["full"], {
        "no namespace": lambda d: d.pop("documentNamespace"),
        "an unknown field": lambda d: d["packages"][0].update(colour="red"),
        "a time with a fraction": lambda d: d["creationInfo"].update(created="2026-01-02T03:04:05.6Z"),
        "an unknown purpose": lambda d: d["packages"][0].update(primaryPackagePurpose="MODEL"),
        "the same identifier twice": lambda d: d["packages"][1].update(SPDXID=d["packages"][0]["SPDXID"]),
        "an identifier with '+'": lambda d: d["packages"][0].update(SPDXID="SPDXRef-g++"),
        "a relationship that leads nowhere": lambda d: d["relationships"][0].update(relatedSpdxElement="SPDXRef-gone"),
        "a licence that is none": lambda d: d["packages"][0].update(licenseDeclared="Expat"),
        "a LicenseRef without a text": lambda d: d["hasExtractedLicensingInfos"].pop(),
        "a file without SHA1": lambda d: d["files"][0]["checksums"].pop(0),
        "another verification code": lambda d: [p["packageVerificationCode"].update(packageVerificationCodeValue="00") for p in d["packages"]
                                                if "packageVerificationCode" in p],
    })


def cyclonedx(fixture):
    schemas = judges()
    written = documents(fixture, "cdx.json")
    for document in written.values():
        schemas.validate_cyclonedx(document)
    model = next(i for i, c in enumerate(written["full"]["components"]) if c["type"] == "machine-learning-model")
    refuses(schemas.validate_cyclonedx, schemas.Invalid, written["full"], {
        "a serial number that is no UUID": lambda d: d.update(serialNumber="urn:uuid:1"),
        "an unknown field": lambda d: d["components"][0].update(colour="red"),
        "a reference twice": lambda d: d["components"][1].update({"bom-ref": d["components"][0]["bom-ref"]}),
        "a dependency that leads nowhere": lambda d: d["dependencies"][0].update(dependsOn=["gone"]),
        "a licence that is none": lambda d: d["components"][0].update(licenses=[{"license": {"id": "Expat"}}]),
        "an expression that is none": lambda d: d["components"][0].update(licenses=[{"expression": "MIT AND"}]),
        "a hash of another length": lambda d: d["metadata"]["component"].update(hashes=[{"alg": "SHA-256", "content": "00"}]),
        "a model card of a package": lambda d: d["metadata"]["component"].update(modelCard=d["components"][model]["modelCard"]),
    })
    names = {component["name"] for component in written["full"]["components"] if component["type"] == "machine-learning-model"}
    assert names == {"digits", "large", "plain"}, names


def spdx_tools(fixture):
    """The validator of the SPDX project."""
    try:
        places = [debian_tools.fetch(package, "sid") for package in SPDX_TOOLS]
    except debian_tools.Missing as missing:
        raise Skip(str(missing)) from missing
    sys.path[:0] = [str(pathlib.Path(place) / "usr/lib/python3/dist-packages") for place in places]
    try:
        from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
        from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
    except ImportError as error:
        raise Skip(f"Debian's python3-spdx-tools does not run here ({error})") from error
    for case, document in documents(fixture, "spdx.json").items():
        faults = validate_full_spdx_document(JsonLikeDictParser().parse(document), "SPDX-2.3")
        assert not faults, f"{case}: " + "\n".join(f"{fault.validation_message} ({fault.context.spdx_id})" for fault in faults[:20])


def license_list(_fixture):
    """The library knows the identifiers of the schema, no more and no fewer."""
    made = subprocess.run([sys.executable, SOURCE / "tools/spdx-list", SOURCE / "tests/data/schemas/spdx.schema.json"], capture_output=True, text=True,
                          check=True).stdout
    assert made == (SOURCE / "lib/license/spdx_list.inc").read_text(), "lib/license/spdx_list.inc is not what tools/spdx-list prints"


def predicates(_fixture):
    """The judges of statements and provenance notice what is wrong; other tests use them on what a build attaches."""
    schemas = judges()
    digest = {"sha256": "0" * 64}
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "digits", "digest": digest}],
                 "predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}
    provenance = {"buildDefinition": {"buildType": "https://example.org/build/v1", "externalParameters": {"models": ["digits.onnx"]},
                                      "resolvedDependencies": [{"uri": "pkg:deb/debian/libc6@2.41-12", "digest": digest}]},
                  "runDetails": {"builder": {"id": "https://example.org/builder", "version": {"aipack": "0.1.0"}},
                                 "metadata": {"startedOn": "2026-01-02T03:04:05Z"}}}
    schemas.validate_statement(statement)
    schemas.validate_slsa_v1(provenance)
    refuses(schemas.validate_statement, schemas.Invalid, statement, {
        "another type": lambda d: d.update(_type="https://in-toto.io/Statement/v0.1"),
        "no subject": lambda d: d.update(subject=[]),
        "a subject without a digest": lambda d: d["subject"][0].pop("digest"),
        "a digest in capitals": lambda d: d["subject"][0].update(digest={"sha256": "A" * 64}),
        "a short digest": lambda d: d["subject"][0].update(digest={"sha256": "00"}),
        "a predicate type that is no URI": lambda d: d.update(predicateType="provenance"),
        "a predicate that is a string": lambda d: d.update(predicate="{}"),
        "an unknown field": lambda d: d.update(payload=1),
    })
    refuses(schemas.validate_slsa_v1, schemas.Invalid, provenance, {
        "no build type": lambda d: d["buildDefinition"].pop("buildType"),
        "no parameters": lambda d: d["buildDefinition"].pop("externalParameters"),
        "no builder": lambda d: d["runDetails"].pop("builder"),
        "a builder without identity": lambda d: d["runDetails"]["builder"].pop("id"),
        "fields of version 0.2": lambda d: d.update(materials=[]),
        "a dependency that names nothing": lambda d: d["buildDefinition"]["resolvedDependencies"].append({"name": "x"}),
        "a time with an offset": lambda d: d["runDetails"]["metadata"].update(startedOn="2026-01-02T03:04:05+01:00"),
    })


def main():
    fixture, case = sys.argv[1:]
    try:
        {function.__name__: function for function in (spdx, cyclonedx, spdx_tools, license_list, predicates)}[case](fixture)
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
