"""The part of JSON Schema that docs/schema uses; an unknown keyword is an error, so nothing is skipped in silence."""

import json
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
KNOWN = {"$schema", "title", "description", "type", "properties", "required", "additionalProperties", "items", "enum",
         "const", "pattern", "minimum", "maximum"}


def errors(value, schema, at="$"):
    """Sentences about what is wrong; empty when nothing is."""
    unknown = set(schema) - KNOWN
    if unknown:
        raise ValueError(f"{at}: keywords that are not understood: {unknown}")
    want = schema.get("type")
    if want and (not isinstance(value, TYPES[want]) or (isinstance(value, bool) and want != "boolean")):
        return [f"{at}: {value!r} is no {want}"]
    bad = []
    if "const" in schema and value != schema["const"]:
        bad.append(f"{at}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        bad.append(f"{at}: {value!r} is none of {schema['enum']}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        bad.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if "minimum" in schema and value < schema["minimum"]:
        bad.append(f"{at}: {value} is below {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        bad.append(f"{at}: {value} is above {schema['maximum']}")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        bad += [f"{at}: {k} is missing" for k in schema.get("required", []) if k not in value]
        if schema.get("additionalProperties") is False:
            bad += [f"{at}: {k} is not in the schema" for k in value if k not in properties]
        for k, v in value.items():
            if k in properties:
                bad += errors(v, properties[k], f"{at}.{k}")
    if isinstance(value, list):
        for i, v in enumerate(value):
            bad += errors(v, schema.get("items", {}), f"{at}[{i}]")
    return bad


def check(answer):
    """Holds an answer of fabctl -j against the schema that it names."""
    name, version = answer["schema"].split("/")
    with open(os.path.join(ROOT, "docs", "schema", f"{name}.{version}.json"), encoding="utf-8") as f:
        bad = errors(answer, json.load(f))
    assert not bad, "\n".join(bad[:10])
