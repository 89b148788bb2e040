"""Records of group coordinators, encoded by the schemas that lie in a broker's own jars (Kafka 4.0 and later).

The schemas' language: clients/src/main/resources/common/message/README.md of Kafka.
"""

import json
import re
import struct
import zipfile

from kafka_wire import varint

INTEGERS = {"bool": ">?", "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "int64": ">q"}


def coordinator_schemas(kafka):
    """{name: (schema of the key, schema of the value)} of all records in __consumer_offsets."""
    schemas = {}
    for jar in kafka.glob("kafka-group-coordinator-*.jar"):
        with zipfile.ZipFile(jar) as content:
            for entry in content.namelist():
                if entry.startswith("common/message/") and entry.endswith(".json"):
                    schema = json.loads(re.sub(r"^\s*//.*$", "", content.read(entry).decode(), flags=re.M))
                    schemas[schema["name"]] = schema
    keys = {name.removesuffix("Key"): key for name, key in schemas.items() if key["type"] == "coordinator-key"}
    return {name: (key, schemas[f"{name}Value"]) for name, key in keys.items()}


def _holds(versions, version):
    """Whether "none", "3", "0-4" or "2+" has the version."""
    if versions == "none":
        return False
    first, _, last = versions.replace("+", "-99").partition("-")
    return int(first) <= version <= int(last or first)


def versions_of(schema):
    return [version for version in range(100) if _holds(schema["validVersions"], version)]


class Encoder:
    """Encodes values by a schema; of a field that isn't given one that is easy to tell from nothing, or null."""

    def __init__(self, schema, version, nulls=False):
        self.version, self.nulls = version, nulls
        self.structures = {common["name"]: common["fields"] for common in schema.get("commonStructs", [])}
        self.is_flexible = _holds(schema.get("flexibleVersions", "none"), version)

    def structure(self, fields, values):
        fields = [field for field in fields if _holds(field.get("versions", "0+"), self.version)]
        tagged = [field for field in fields if _holds(field.get("taggedVersions", "none"), self.version)]
        data = b"".join(self.field(field, values) for field in fields if field not in tagged)
        if not self.is_flexible:
            return data
        data += varint(len(tagged))
        for field in sorted(tagged, key=lambda field: field["tag"]):
            value = self.field(field, values)
            data += varint(field["tag"]) + varint(len(value)) + value
        return data

    def field(self, field, values):
        kind = field["type"]
        is_null = self.nulls and field["name"] not in values and _holds(field.get("nullableVersions", "none"), self.version)
        value = values.get(field["name"])
        if kind.startswith("[]"):
            return self._array(kind[2:], field, None if is_null else [{}] if value is None else value)
        return self._one(kind, field, value, is_null)

    def _array(self, kind, field, elements):
        if elements is None:
            return self._length(None, ">i")
        return self._length(len(elements), ">i") + b"".join(self._one(kind, field, element or None) for element in elements)

    def _one(self, kind, field, value, is_null=False):
        if kind in INTEGERS:
            return struct.pack(INTEGERS[kind], 7 if value is None else value)
        if kind == "uuid":
            return bytes(range(16)) if value is None else value
        if kind in ("string", "bytes"):
            data = None if is_null else b"text" if value is None else value
            return self._length(None if data is None else len(data), ">h" if kind == "string" else ">i") + (data or b"")
        if is_null or field.get("nullableVersions") and "fields" in field:  # a structure has a byte before it
            return b"\xff" if is_null else b"\x01" + self.structure(self._fields(kind, field), value or {})
        return self.structure(self._fields(kind, field), value or {})

    def _fields(self, kind, field):
        return field["fields"] if "fields" in field else self.structures[kind]

    def _length(self, length, form):
        if self.is_flexible:
            return varint(0 if length is None else length + 1)
        return struct.pack(form, -1 if length is None else length)


def record(schemas, version, key, value, nulls=False):
    """The key's and the value's bytes; `version` is the value's."""
    key_schema, value_schema = schemas
    return (
        struct.pack(">h", key_schema["apiKey"]) + Encoder(key_schema, 0).structure(key_schema["fields"], key),
        struct.pack(">h", version) + Encoder(value_schema, version, nulls).structure(value_schema["fields"], value),
    )
