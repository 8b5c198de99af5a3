"""Judges of the documents that travel with an image: SBOMs, in-toto statements and SLSA provenance.

    validate_spdx(document)          SPDX 2.3
    validate_cyclonedx(document)     CycloneDX 1.6
    validate_statement(document)     in-toto Statement v1
    validate_slsa_v1(predicate)      SLSA provenance v1

Each takes a parsed document and raises Invalid with every fault that it found. CycloneDX is judged by its published schema (tests/data/schemas). SPDX's
schema, 2.3, is written down here, because no package ships it: the same closed sets of fields, required fields, enumerations and patterns. Compared
field by field with schemas/spdx-schema.json of spdx/spdx-spec (2.3.1): it leaves out fields that aipack does not write, and accepts nothing more. What a
schema cannot say follows: identifiers that lead somewhere and are unique, LicenseRefs that have a text, verification codes that are right. in-toto and
SLSA publish no JSON schema; their rules are from in-toto/attestation, spec/v1, and slsa.dev/spec/v1.0/provenance.
"""

import functools
import hashlib
import json
import pathlib
import re

import jsonschema

SCHEMAS = pathlib.Path(__file__).resolve().parents[1] / "data/schemas"


class Invalid(Exception):
    """A document that is not what it says it is: all faults, one a line."""

    def __init__(self, what, faults):
        super().__init__(f"no valid {what}:\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = faults


def _judge(what, faults):
    faults = list(faults)
    if faults:
        raise Invalid(what, faults[:50])


def _schema_faults(validator, document):
    for error in sorted(validator.iter_errors(document), key=lambda error: list(map(str, error.absolute_path))):
        yield f"{'/'.join(map(str, error.absolute_path)) or '(root)'}: {error.message[:300]}"


# --- SPDX 2.3 -------------------------------------------------------------------------------------------------------------------------------------

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
TIME = {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]|23:59:60)Z$"}
SPDX_ID = {"type": "string", "pattern": "^SPDXRef-[a-zA-Z0-9.-]+$"}
ALGORITHMS = "SHA1 SHA224 SHA256 SHA384 SHA512 SHA3-256 SHA3-384 SHA3-512 BLAKE2b-256 BLAKE2b-384 BLAKE2b-512 BLAKE3 MD2 MD4 MD5 MD6 ADLER32".split()
PURPOSES = "APPLICATION FRAMEWORK LIBRARY CONTAINER OPERATING-SYSTEM DEVICE FIRMWARE SOURCE ARCHIVE FILE INSTALL OTHER".split()
RELATIONSHIPS = """DESCRIBES DESCRIBED_BY CONTAINS CONTAINED_BY DEPENDS_ON DEPENDENCY_OF DEPENDENCY_MANIFEST_OF BUILD_DEPENDENCY_OF DEV_DEPENDENCY_OF
    OPTIONAL_DEPENDENCY_OF PROVIDED_DEPENDENCY_OF TEST_DEPENDENCY_OF RUNTIME_DEPENDENCY_OF EXAMPLE_OF GENERATES GENERATED_FROM ANCESTOR_OF DESCENDANT_OF
    VARIANT_OF DISTRIBUTION_ARTIFACT PATCH_FOR PATCH_APPLIED COPY_OF FILE_ADDED FILE_DELETED FILE_MODIFIED EXPANDED_FROM_ARCHIVE DYNAMIC_LINK STATIC_LINK
    DATA_FILE_OF TEST_CASE_OF BUILD_TOOL_OF DEV_TOOL_OF TEST_OF TEST_TOOL_OF DOCUMENTATION_OF OPTIONAL_COMPONENT_OF METAFILE_OF PACKAGE_OF AMENDS
    PREREQUISITE_FOR HAS_PREREQUISITE REQUIREMENT_DESCRIPTION_FOR SPECIFICATION_FOR OTHER""".split()


def _object(required, **properties):
    return {"type": "object", "required": required.split(), "additionalProperties": False, "properties": properties}


def _list(items, least=0):
    return {"type": "array", "items": items, "minItems": least}


def _one_of(words):
    return {"type": "string", "enum": words}


CHECKSUM = _object("algorithm checksumValue", algorithm=_one_of(ALGORITHMS), checksumValue={"type": "string", "pattern": "^[0-9a-fA-F]+$"})
ANNOTATION = _object("annotationDate annotationType annotator comment", annotationDate=TIME, annotationType=_one_of(["OTHER", "REVIEW"]),
                     annotator=TEXT, comment=TEXT)
PACKAGE = _object(
    "SPDXID downloadLocation name", SPDXID=SPDX_ID, annotations=_list(ANNOTATION), attributionTexts=TEXTS, builtDate=TIME, checksums=_list(CHECKSUM),
    comment=TEXT, copyrightText=TEXT, description=TEXT, downloadLocation=TEXT,
    externalRefs=_list(_object(
        "referenceCategory referenceLocator referenceType", comment=TEXT, referenceLocator=TEXT, referenceType=TEXT,
        referenceCategory=_one_of(["OTHER", "PERSISTENT-ID", "PERSISTENT_ID", "SECURITY", "PACKAGE-MANAGER", "PACKAGE_MANAGER"]))),
    filesAnalyzed={"type": "boolean"}, hasFiles=TEXTS, homepage=TEXT, licenseComments=TEXT, licenseConcluded=TEXT, licenseDeclared=TEXT,
    licenseInfoFromFiles=TEXTS, name=TEXT, originator=TEXT, packageFileName=TEXT,
    packageVerificationCode=_object("packageVerificationCodeValue", packageVerificationCodeValue=TEXT, packageVerificationCodeExcludedFiles=TEXTS),
    primaryPackagePurpose=_one_of(PURPOSES), releaseDate=TIME, sourceInfo=TEXT, summary=TEXT, supplier=TEXT, validUntilDate=TIME, versionInfo=TEXT)
FILE = _object(
    "SPDXID checksums fileName", SPDXID=SPDX_ID, annotations=_list(ANNOTATION), attributionTexts=TEXTS, checksums=_list(CHECKSUM, 1), comment=TEXT,
    copyrightText=TEXT, fileContributors=TEXTS, fileName=TEXT, licenseComments=TEXT, licenseConcluded=TEXT, licenseInfoInFiles=TEXTS, noticeText=TEXT,
    fileTypes=_list(_one_of("SOURCE BINARY ARCHIVE APPLICATION AUDIO IMAGE TEXT VIDEO DOCUMENTATION SPDX OTHER".split())))
SPDX = _object(
    "SPDXID creationInfo dataLicense name spdxVersion documentNamespace", SPDXID=TEXT, annotations=_list(ANNOTATION), comment=TEXT, name=TEXT,
    creationInfo=_object("created creators", comment=TEXT, created=TIME, creators=_list(TEXT, 1), licenseListVersion=TEXT),
    dataLicense=TEXT, documentNamespace=TEXT, spdxVersion=TEXT, documentDescribes=TEXTS, packages=_list(PACKAGE), files=_list(FILE),
    hasExtractedLicensingInfos=_list(_object("extractedText licenseId", comment=TEXT, extractedText=TEXT, licenseId=TEXT, name=TEXT, seeAlsos=TEXTS)),
    relationships=_list(_object("spdxElementId relatedSpdxElement relationshipType", comment=TEXT, spdxElementId=TEXT, relatedSpdxElement=TEXT,
                                relationshipType=_one_of(RELATIONSHIPS))))


@functools.cache
def _license_names():
    """(identifiers, exceptions) of the licence list; the enumeration of CycloneDX has one behind the other."""
    names = json.loads((SCHEMAS / "spdx.schema.json").read_text())["enum"]
    border = next(i for i in range(1, len(names)) if names[i].lower() < names[i - 1].lower())
    return set(names[:border]), set(names[border:])


def license_references(expression):
    """The LicenseRefs of an SPDX expression (2.3, annex D); raises ValueError for what is none."""
    identifiers, exceptions = _license_names()
    words = re.findall(r"[()]|[^\s()]+", expression)
    references, depth, wants_operand = set(), 0, True
    position = 0
    while position < len(words):
        word = words[position]
        if wants_operand and word == "(":
            depth += 1
        elif wants_operand:
            if re.fullmatch(r"LicenseRef-[A-Za-z0-9.-]+", word):
                references.add(word)
            elif word not in identifiers and word.removesuffix("+") not in identifiers:
                raise ValueError(f"{word!r} is no licence identifier")
            if words[position + 1:position + 2] == ["WITH"]:
                if not words[position + 2:] or words[position + 2] not in exceptions:
                    raise ValueError(f"WITH what in {expression!r}?")
                position += 2
            wants_operand = False
        elif word == ")":
            depth -= 1
            if depth < 0:
                raise ValueError(f"brackets of {expression!r}")
        elif word in ("AND", "OR"):
            wants_operand = True
        else:
            raise ValueError(f"{word!r} where an operator belongs")
        position += 1
    if wants_operand or depth:
        raise ValueError(f"{expression!r} ends early")
    return references


def _spdx_faults(document):
    yield from _schema_faults(jsonschema.Draft201909Validator(SPDX), document)
    if document.get("spdxVersion") != "SPDX-2.3" or document.get("dataLicense") != "CC0-1.0" or document.get("SPDXID") != "SPDXRef-DOCUMENT":
        yield "spdxVersion, dataLicense or SPDXID: not those of SPDX 2.3"
    namespace = document.get("documentNamespace", "")
    if not re.fullmatch(r"[a-z]+://[^\s#]+", namespace):
        yield f"documentNamespace: {namespace!r} is no absolute URI without '#'"  # 6.5
    for creator in document["creationInfo"]["creators"]:
        if not re.match(r"(Person|Organization|Tool): .", creator):
            yield f"creators: {creator!r}"

    packages, files = document.get("packages", []), document.get("files", [])
    elements = [item["SPDXID"] for item in packages + files]
    for twice in {item for item in elements if elements.count(item) > 1}:
        yield f"{twice}: given to two elements"
    known = set(elements) | {"SPDXRef-DOCUMENT"}
    contained = {}
    described = list(document.get("documentDescribes", []))
    for relation in document.get("relationships", []):
        for end in (relation["spdxElementId"], relation["relatedSpdxElement"]):
            if end not in known and end not in ("NONE", "NOASSERTION"):
                yield f"relationships: {end} is not in the document"
        if relation["relationshipType"] == "CONTAINS":
            contained.setdefault(relation["spdxElementId"], []).append(relation["relatedSpdxElement"])
        if relation["relationshipType"] == "DESCRIBES" and relation["spdxElementId"] == "SPDXRef-DOCUMENT":
            described.append(relation["relatedSpdxElement"])
    if not described:
        yield "relationships: the document describes nothing"
    reached, pending = set(), list(described)
    related = {}
    for relation in document.get("relationships", []):
        for one, other in (("spdxElementId", "relatedSpdxElement"), ("relatedSpdxElement", "spdxElementId")):
            related.setdefault(relation[one], []).append(relation[other])
    while pending:
        element = pending.pop()
        if element not in reached:
            reached.add(element)
            pending += related.get(element, [])
    for element in set(elements) - reached:
        yield f"{element}: in no relationship to what is described"

    texts = {info["licenseId"] for info in document.get("hasExtractedLicensingInfos", [])}
    used = set()
    for item in packages + files:
        statements = [item.get("licenseConcluded"), item.get("licenseDeclared"), *item.get("licenseInfoInFiles", []), *item.get("licenseInfoFromFiles", [])]
        for statement in statements:
            if statement not in (None, "NONE", "NOASSERTION"):
                try:
                    used |= license_references(statement)
                except ValueError as error:
                    yield f"{item['SPDXID']}: {error}"
    for reference in used ^ texts:
        yield f"hasExtractedLicensingInfos: {reference} is stated and not explained, or the other way round"

    by_id = {item["SPDXID"]: item for item in files}
    lengths = {"SHA1": 40, "SHA256": 64}
    for item in packages + files:
        for checksum in item.get("checksums", []):
            if len(checksum["checksumValue"]) != lengths.get(checksum["algorithm"], len(checksum["checksumValue"])):
                yield f"{item['SPDXID']}: a checksum of another length"
    for item in files:
        if not item["fileName"].startswith("./"):
            yield f"{item['SPDXID']}: {item['fileName']!r} is not relative to the package"  # 8.1
        if not any(checksum["algorithm"] == "SHA1" for checksum in item["checksums"]):
            yield f"{item['SPDXID']}: a file without SHA1"  # 8.4
    for item in packages:
        mine = [by_id[element] for element in contained.get(item["SPDXID"], []) if element in by_id]
        code = item.get("packageVerificationCode", {}).get("packageVerificationCodeValue")
        if item.get("filesAnalyzed", True):
            sums = sorted(checksum["checksumValue"] for file in mine for checksum in file["checksums"] if checksum["algorithm"] == "SHA1")
            if code != hashlib.sha1("".join(sums).encode()).hexdigest():
                yield f"{item['SPDXID']}: its verification code is not that of its files"  # 7.9
        elif mine or code:
            yield f"{item['SPDXID']}: files, or a code of them, in a package whose files were not analysed"  # 7.8
        for field in ("supplier", "originator"):
            if field in item and not re.match(r"(Person|Organization): .|NOASSERTION$", item[field]):
                yield f"{item['SPDXID']}: {field} {item[field]!r}"


def validate_spdx(document):
    _judge("SPDX 2.3 document", _spdx_faults(document))


# --- CycloneDX 1.6 ---------------------------------------------------------------------------------------------------------------------------------

def _additional_items(_validator, allowed, instance, schema):
    """The rule as of drafts 4 to 2019-09; jsonschema's own, up to 4.17, sorts the items for its message, which objects cannot be."""
    listed = schema.get("items", {})
    if allowed is False and isinstance(instance, list) and isinstance(listed, list) and len(instance) > len(listed):
        yield jsonschema.ValidationError(f"{len(instance) - len(listed)} more items than are allowed")


@functools.cache
def _cyclonedx_validator():
    schemas = {name: json.loads((SCHEMAS / f"{name}.schema.json").read_text()) for name in ("bom-1.6", "spdx", "jsf-0.82")}
    store = {schema["$id"]: schema for schema in schemas.values()}
    resolver = jsonschema.RefResolver("http://cyclonedx.org/schema/bom-1.6.schema.json", schemas["bom-1.6"], store=store)
    validator = jsonschema.validators.extend(jsonschema.Draft7Validator, {"additionalItems": _additional_items})
    return validator(schemas["bom-1.6"], resolver=resolver, format_checker=jsonschema.draft7_format_checker)


def _components(component):
    yield component
    for inner in component.get("components", []):
        yield from _components(inner)


def _cyclonedx_faults(document):
    yield from _schema_faults(_cyclonedx_validator(), document)
    if document.get("specVersion") != "1.6":
        yield "specVersion: not 1.6"
    roots = [document["metadata"]["component"], *document.get("components", [])]
    components = [component for root in roots for component in _components(root)]
    references = [component["bom-ref"] for component in components if "bom-ref" in component]
    for twice in {item for item in references if references.count(item) > 1}:
        yield f"{twice}: given to two components"
    entries = [entry["ref"] for entry in document.get("dependencies", [])]
    for twice in {item for item in entries if entries.count(item) > 1}:
        yield f"dependencies: {twice} twice"
    for entry in document.get("dependencies", []):
        for reference in (entry["ref"], *entry.get("dependsOn", [])):
            if reference not in references:
                yield f"dependencies: {reference} is not in the document"
    for component in components:
        if (component["type"] == "machine-learning-model") < ("modelCard" in component):
            yield f"{component['name']}: a model card of what is no model"
        for choice in component.get("licenses", []):
            if "expression" in choice:
                try:
                    license_references(choice["expression"])
                except ValueError as error:
                    yield f"{component['name']}: {error}"
        if "purl" in component and not re.fullmatch(r"pkg:[a-z]+/[^\s?#@]+(@[^\s?#]+)?(\?[^\s#]+)?", component["purl"]):
            yield f"{component['name']}: {component['purl']!r} is no package URL"


def validate_cyclonedx(document):
    _judge("CycloneDX 1.6 document", _cyclonedx_faults(document))


# --- in-toto Statement v1, SLSA provenance v1 ------------------------------------------------------------------------------------------------------

DIGEST_LENGTHS = {"sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "gitCommit": 40, "gitTree": 40}
RESOURCE_FIELDS = {"name", "uri", "digest", "content", "downloadLocation", "mediaType", "annotations"}


def _is_uri(text):
    return isinstance(text, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+", text) is not None


def _resource_faults(where, resource):
    """ResourceDescriptor (in-toto/attestation, spec/v1/resource_descriptor.md)."""
    if not isinstance(resource, dict):
        yield f"{where}: no object"
        return
    for field in resource.keys() - RESOURCE_FIELDS:
        yield f"{where}: a field {field!r} that resource descriptors do not have"
    if not resource.keys() & {"uri", "digest", "content"}:
        yield f"{where}: none of uri, digest and content"
    for field in ("name", "downloadLocation", "mediaType", "content"):
        if field in resource and not isinstance(resource[field], str):
            yield f"{where}/{field}: no string"
    if "uri" in resource and not _is_uri(resource["uri"]):
        yield f"{where}/uri: {resource['uri']!r} is no URI"
    for algorithm, value in resource.get("digest", {}).items():
        length = DIGEST_LENGTHS.get(algorithm)
        if not isinstance(value, str) or not re.fullmatch("[0-9a-f]+", value) or (length and len(value) != length):
            yield f"{where}/digest/{algorithm}: {value!r}"
    if "annotations" in resource and not isinstance(resource["annotations"], dict):
        yield f"{where}/annotations: no object"


def _statement_faults(document):
    if not isinstance(document, dict):
        yield "no object"
        return
    for field in document.keys() - {"_type", "subject", "predicateType", "predicate"}:
        yield f"a field {field!r} that statements do not have"
    if document.get("_type") != "https://in-toto.io/Statement/v1":
        yield f"_type: {document.get('_type')!r}"
    if not _is_uri(document.get("predicateType")):
        yield f"predicateType: {document.get('predicateType')!r} is no type URI"
    if "predicate" in document and not isinstance(document["predicate"], dict):
        yield "predicate: no object"
    subjects = document.get("subject")
    if not isinstance(subjects, list) or not subjects:
        yield "subject: no list, or an empty one"
        return
    for number, subject in enumerate(subjects):
        yield from _resource_faults(f"subject/{number}", subject)
        if not isinstance(subject, dict) or not subject.get("digest"):
            yield f"subject/{number}: without a digest it matches nothing"
    names = [subject.get("name") for subject in subjects if isinstance(subject, dict) and subject.get("name")]
    if len(names) != len(set(names)):
        yield "subject: names that are not unique"


def validate_statement(document):
    _judge("in-toto Statement v1", _statement_faults(document))


def _fields(where, value, required, optional):
    """Faults of an object's fields; SLSA lets nobody add fields without a URI for a name."""
    if not isinstance(value, dict):
        yield f"{where}: no object"
        return
    for field in set(required) - value.keys():
        yield f"{where}/{field}: missing"
    for field in value.keys() - set(required) - set(optional):
        if not _is_uri(field):
            yield f"{where}: a field {field!r} that the format does not have"


def _slsa_faults(predicate):
    """https://slsa.dev/spec/v1.0/provenance, "Schema"."""
    yield from _fields("predicate", predicate, ["buildDefinition", "runDetails"], [])
    definition, run = predicate.get("buildDefinition", {}), predicate.get("runDetails", {})
    yield from _fields("buildDefinition", definition, ["buildType", "externalParameters"], ["internalParameters", "resolvedDependencies"])
    if not _is_uri(definition.get("buildType")):
        yield f"buildDefinition/buildType: {definition.get('buildType')!r} is no type URI"
    for field in ("externalParameters", "internalParameters"):
        if not isinstance(definition.get(field, {}), dict):
            yield f"buildDefinition/{field}: no object"
    for number, dependency in enumerate(definition.get("resolvedDependencies", [])):
        yield from _resource_faults(f"resolvedDependencies/{number}", dependency)
    yield from _fields("runDetails", run, ["builder"], ["metadata", "byproducts"])
    builder = run.get("builder", {})
    yield from _fields("builder", builder, ["id"], ["builderDependencies", "version"])
    if not _is_uri(builder.get("id")):
        yield f"builder/id: {builder.get('id')!r} is no type URI"
    version = builder.get("version", {})
    if not isinstance(version, dict) or not all(isinstance(value, str) for value in version.values()):
        yield "builder/version: no map of strings"
    for number, dependency in enumerate(builder.get("builderDependencies", [])):
        yield from _resource_faults(f"builderDependencies/{number}", dependency)
    metadata = run.get("metadata", {})
    yield from _fields("metadata", metadata, [], ["invocationId", "startedOn", "finishedOn"])
    for field in ("startedOn", "finishedOn"):
        if field in metadata and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", str(metadata[field])):
            yield f"metadata/{field}: {metadata[field]!r} is no timestamp in UTC"
    if "invocationId" in metadata and not isinstance(metadata["invocationId"], str):
        yield "metadata/invocationId: no string"
    for number, byproduct in enumerate(run.get("byproducts", [])):
        yield from _resource_faults(f"byproducts/{number}", byproduct)


def validate_slsa_v1(predicate):
    _judge("SLSA provenance v1", _slsa_faults(predicate))
