"""JSON Schemas of the configuration models, walked and put into words.

One description serves both the error messages (`bot.config.problems`) and the reference file
(`bot.config.reference`), so that they cannot disagree.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

from strategies.config import OFF

type Schema = dict[str, Any]


@cache
def schema_of(model: type[BaseModel]) -> Schema:
    """JSON Schema of a model with every reference in place; treat it as read-only."""
    schema = model.model_json_schema()
    resolved = _inline(schema, schema.get("$defs", {}))
    assert isinstance(resolved, dict)
    return resolved


def step(schema: Schema, part: str | int) -> tuple[Schema | None, bool]:
    """Go one step along an error's location.

    Returns:
        The schema below and whether the step is part of the key that a person wrote (the tag of a
        union is not); ``(None, False)`` where the location leads nowhere, as a union's member label does.
    """
    properties = schema.get("properties", {})
    if part in properties:
        return properties[part], True
    if isinstance(part, int) and "items" in schema:
        return schema["items"], True
    extra = schema.get("additionalProperties")
    if isinstance(part, str) and isinstance(extra, dict):
        return extra, True
    for variant in variants(schema):
        if part in _tags(variant):
            return variant, False
    optional = _without_null(schema)
    return step(optional, part) if optional is not schema else (None, False)


def variants(schema: Schema) -> list[Schema]:
    """Alternatives of a union of tables that a key such as ``kind`` tells apart; else empty."""
    return schema["oneOf"] if "discriminator" in schema else []


def is_table(schema: Schema) -> bool:
    """Whether a value of this schema is a TOML table with known keys (a section)."""
    return "properties" in _without_null(schema)


def table(schema: Schema) -> Schema:
    """The section itself, where it may also be absent."""
    return _without_null(schema)


def describe(schema: Schema) -> str:
    """What is expected, in words: ``a number from 0 to 1``."""
    if variants(schema):
        tag = schema["discriminator"]["propertyName"]
        tags = [json.dumps(name) for variant in variants(schema) for name in _tags(variant)]
        return f"a table whose {tag} is {_any_of(tags)}"
    if "anyOf" in schema:
        some = " or ".join(describe(one) for one in schema["anyOf"] if one.get("type") != "null")
        # Where None is the default, leaving it out says so; elsewhere a file needs a word for it.
        can_be_off = schema.get("default") is not None and {"type": "null"} in schema["anyOf"]
        return f"{some}, or {json.dumps(OFF)}" if can_be_off else some
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return _any_of([json.dumps(value) for value in schema["enum"]])
    match schema.get("type"):
        case "boolean":
            return "true or false"
        case "integer" | "number":
            return _describe_number(schema)
        case "string":
            return f"text that matches {schema['pattern']}" if "pattern" in schema else "text"
        case "array":
            some = "a list of one or more: " if schema.get("minItems") else "a list of: "
            return some + describe(schema.get("items", {}))
        case _:
            return "a table"


def choices(schema: Schema) -> list[str]:
    """Texts that are allowed, where there is a fixed set of them."""
    allowed = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return [value for value in allowed if isinstance(value, str)] + [
        value for one in schema.get("anyOf", []) for value in choices(one)
    ]


def tags(schema: Schema) -> list[str]:
    """Values of the key that tells the variants of a union of tables apart."""
    return [name for variant in variants(schema) for name in _tags(variant)]


def _tags(variant: Schema) -> Sequence[str]:
    return choices(variant.get("properties", {}).get("kind", {}))


def _any_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _without_null(schema: Schema) -> Schema:
    others = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    return others[0] if len(others) == 1 else schema


def _describe_number(schema: Schema) -> str:
    noun = "a whole number" if schema["type"] == "integer" else "a number"
    at_least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    at_most, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if at_least is not None and at_most is not None:
        return f"{noun} from {at_least:g} to {at_most:g}"
    limits = [
        f"{word} {limit:g}"
        for word, limit in (("of at least", at_least), ("above", above), ("up to", at_most), ("below", below))
        if limit is not None
    ]
    return " ".join([noun, " and ".join(limits)]).rstrip()


def _inline(node: Any, definitions: Schema) -> Any:
    if isinstance(node, list):
        return [_inline(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _inline(target, definitions) | _inline(beside, definitions)
    return {key: _inline(value, definitions) for key, value in node.items() if key != "$defs"}
