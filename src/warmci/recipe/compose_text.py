"""YAML to and from Docker's CLI. It writes YAML 1.2 and reads what it calls YAML 1.1; nothing may change its type."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from warmci.base.errors import RecipeFailedError

Document = dict[str, Any]
_DIGITS_OF_A_FLOAT = 309


class _Loader(yaml.CSafeLoader):
    """Types as Go's yaml.v3 writes them; it quotes a string that it would read as something else."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    ("null", r"null|~|", "n~"),
    ("bool", r"true|false", "tf"),
    ("int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?|-?\.inf|\.nan", "-.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), [*_first, ""])


def _number(_: _Loader, node: yaml.ScalarNode) -> float | str:
    """To Go what no float64 holds is no number."""
    value = str(node.value)
    number = float(value.replace(".inf", "inf").replace(".nan", "nan"))
    return value if math.isinf(number) and "inf" not in value else number


def _integer(_: _Loader, node: yaml.ScalarNode) -> int | str:
    """The same of digits; what lies between an integer and the end of a float64 is quoted."""
    value = str(node.value)
    return int(value) if len(value) < _DIGITS_OF_A_FLOAT else value


_Loader.add_constructor("tag:yaml.org,2002:float", _number)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


class _Dumper(yaml.CSafeDumper):
    """Each string is quoted, so that it stays one whatever it looks like."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  (PyYAML's signature)
        return True


_ONCE = frozenset(
    {"cap_add", "cap_drop", "depends_on", "devices", "dns", "dns_search", "expose", "external_links", "extra_hosts"}
    | {"links", "security_opt", "tmpfs"}
)
"""Lists of a service of which the CLI's schema wants each item once (uniqueItems)."""
_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def read(text: bytes) -> Document:
    """What the CLI printed. Raises RecipeFailedError for a document that is nested beyond reason."""
    try:
        document = yaml.load(text, _Loader)  # noqa: S506  (a safe loader)
    except (RecursionError, yaml.YAMLError) as error:
        raise RecipeFailedError(f"the compose files are nested too deeply: {type(error).__name__}") from None
    return document if isinstance(document, dict) else {}


def dump(document: Document) -> str:
    """YAML that the CLI reads back as it is: every dollar of a value doubled, since it expands variables again.

    An empty name, as of a label `${NONE}` in a list, is taken in lists alone; and what two files both have in a list,
    merged to be there twice, is refused where it is read again.
    """

    def escaped(value: Any) -> Any:
        if isinstance(value, dict) and "" in value:
            return escaped([key if item is None else f"{key}={item}" for key, item in value.items()])
        if isinstance(value, dict):
            return {key: escaped(item) for key, item in value.items()}
        if isinstance(value, list):
            return [escaped(item) for item in value]
        return value.replace("$", "$$") if isinstance(value, str) else value

    services = {
        name: {key: list(dict.fromkeys(value)) if key in _ONCE else value for key, value in service.items()}
        for name, service in document.get("services", {}).items()
    }
    return yaml.dump(
        escaped({**document, "services": services}),
        Dumper=_Dumper,
        sort_keys=True,
        default_flow_style=False,
        width=1000,
    )


_LINE = re.compile("[^\n\r\x85\u2028\u2029]*(?:\r\n|[\n\r\x85\u2028\u2029]|$)")
_MARKER = re.compile(r"(?:---|\.\.\.)(?=\s|$)")


def nested(text: str, key: str) -> str:
    """The first document of a YAML text as the value of a key, a line lower. What breaks a line to the CLI is a line.

    Under a key that begins with `x-` the CLI parses and expands it without acting on anything in it.
    """
    lines, began = [f"{key}:\n"], False
    for line in _LINE.findall(text.removeprefix("\ufeff")):
        is_marker = _MARKER.match(line)
        if is_marker and began:
            break
        if is_marker or (line.startswith("%") and not began):
            began = bool(is_marker and line.startswith("---"))
            shown = line[3:] if is_marker else re.sub(r"[^\s]", "", line)
            lines.append(f"     {shown}")
            continue
        began = began or bool(line.strip() and not line.lstrip().startswith("#"))
        lines.append(f"  {line}")
    return "".join(lines)
