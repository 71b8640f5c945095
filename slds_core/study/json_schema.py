"""The JSON schema of a configuration, for editors and other programs: made from the classes that check it."""

from typing import Any

from slds_core.study import registry
from slds_core.study.schema import Configuration

_KINDS = {"models": "models", "inference": "inference", "gradients": "gradients", "objective": "objectives"}


def json_schema() -> dict[str, Any]:
    """Returns the JSON schema (draft 2020-12) of ``config.yaml``, with the parameters of every installed plugin.

    Settings of plugins in files are let through: only the study knows them.
    """
    schema = Configuration.model_json_schema()
    properties = schema["properties"]
    for section, kind in _KINDS.items():
        setting = {"anyOf": [*_settings(kind, section), _other(kind)]}
        found = {"description": properties[section].get("description", "")}
        if section == "objective":
            properties[section] = found | setting
        else:
            properties[section] = found | {"type": "object", "additionalProperties": setting, "minProperties": 1}
            if section == "gradients":
                del properties[section]["minProperties"]
    schema["$defs"] = {"Resources": schema["$defs"]["Resources"]}  # the others are written out above
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _settings(kind: str, section: str) -> list[dict[str, Any]]:
    return [_setting(name, registry.plugin_class(kind, name), section) for name in sorted(registry.available(kind))]


def _setting(name: str, cls: type[Any], section: str) -> dict[str, Any]:
    found = cls.model_json_schema()
    parameters = {key: _or_list(value) for key, value in found.get("properties", {}).items()}
    properties: dict[str, Any] = {"plugin": {"const": name}}
    if section == "gradients" and cls.start == "fixed_point":
        properties["at"] = _or_list({"type": "string", "description": "inference setting to differentiate at"})
    return {
        "title": name,
        "description": found.get("description", ""),
        "type": "object",
        "properties": properties | parameters,
        "required": ["plugin"],
        "additionalProperties": False,
    }


def _or_list(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns a parameter's schema or that of a list of its values, which stands for as many settings."""
    single = {key: value for key, value in schema.items() if key not in ("title", "description", "default")}
    described = {key: schema[key] for key in ("description", "default") if key in schema}
    return described | {"anyOf": [single, {"type": "array", "items": single, "minItems": 1}]}


def _other(kind: str) -> dict[str, Any]:
    known = sorted(registry.available(kind))
    return {
        "title": "a plugin in a file",
        "type": "object",
        "properties": {"plugin": {"type": "string", "not": {"enum": known}}},
        "required": ["plugin"],
    }
