"""What the records show: Kustomer's own names are named, an organization's are counted."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from source_kustomer.conversion import conversion
from tools.contract.exchange import Record
from tools.contract.lists import Look, each_list
from tools.contract.observations import RESOURCES, ListSeen, Observations
from tools.contract.reading import NotObservable, Reading, Readings, Seen

SCHEMAS = Path(__file__).parents[2] / "source_kustomer" / "schemas"

SUFFIXES: Mapping[str, str] = {
    "Str": "string",
    "Txt": "string",
    "Num": "number",
    "At": "time",
    "Bool": "boolean",
    "Url": "string",
    "Id": "string",
    "Tree": "string",
}

_MEMBERS = frozenset({"type", "id", "attributes", "relationships", "links"})
# Columns that no attribute fills.
_OWN_COLUMNS = frozenset(
    {"id", "type", "relationships", "links", "additionalAttributes", "additionalMembers"}
)
_LINKS_ONLY = frozenset({"messages"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)

# How Kustomer names what is its own. The suffixes of custom attributes that it does not use itself
# make a name an organization's.
_OWN_NAME = re.compile(r"(?!.*(Str|Txt|Num|Bool|Tree)$)[a-z][A-Za-z]{1,40}", re.ASCII)

# A text of an agent or a customer may hold asterisks of its own.
_FREE_TEXT = frozenset({"name", "displayName", "preview", "firstName", "lastName", "emailSignature"})
_MASK = re.compile(r"[\d+() .-]*[*•]{3,}[\d*•+() .-]*|[\w.]{0,3}[*•]{3,}@[\w*•.-]+", re.ASCII)

_KINDS: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}


def _each_with_records(look: "Look") -> Look:
    """Leave out lists without a record."""

    def readings(seen: Observations) -> Readings:
        empty = NotObservable("it is empty", "a list with records")
        return {
            name: reading if isinstance(reading, NotObservable) or seen.lists[name].size else empty
            for name, reading in look(seen).items()
        }

    return readings


@_each_with_records
@each_list
def identity(seen: ListSeen) -> Reading:
    """Say what ids, types and links of records look like."""
    kind, forms = seen.name.removesuffix("s"), Counter[str]()
    for record in _records(seen):
        identifier, link = record.get("id"), object_in(record, "links").get("self")
        is_hex = isinstance(identifier, str) and re.fullmatch(r"[0-9a-f]{24}", identifier)
        form = "id of 24 hexadecimals" if is_hex else f"{_kind(identifier)} id"
        form += ", its type" if record.get("type") == kind else ", another type"
        is_own = link == f"/v1/{seen.name}/{identifier}"
        forms[form + (", its link" if is_own else ", another link" if link else ", no link")] += 1
    return Seen(_counted(forms, sum(forms.values())), seen.sample)


@_each_with_records
@each_list
def value_types(seen: ListSeen) -> Reading:
    """Say of which columns values do not fit, and of what kind they are."""
    return _odd_values(seen, is_converted=False)


@_each_with_records
@each_list
def converted(seen: ListSeen) -> Reading:
    """Say of which columns values are of another type but can be converted."""
    return _odd_values(seen, is_converted=True)


@_each_with_records
@each_list
def times(seen: ListSeen) -> Reading:
    """Say which times are written in another way than documented."""
    odd = Counter[str]()
    for attributes in _attributes(seen):
        for name, schema in _columns(seen.name).items():
            value = attributes.get(name)
            if schema.get("format") == "date-time" and isinstance(value, str):
                odd[name] += _TIME.fullmatch(value) is None
    return Seen(_listed(+odd) or "ISO 8601, UTC, milliseconds", f"{odd.total()} of {seen.sample}")


@_each_with_records
@each_list
def absent(seen: ListSeen) -> Reading:
    """Say how values of documented attributes are absent."""
    forms = Counter[str]()
    for attributes in _attributes(seen):
        for name in _columns(seen.name):
            value = attributes.get(name, forms)
            if value is None or value == {} or value is forms:
                forms["{}" if value == {} else "null" if value is None else "no key"] += 1
    return Seen(_listed(forms) or "none is absent", seen.sample)


@_each_with_records
@each_list
def never(seen: ListSeen) -> Reading:
    """Name the documented attributes that no record has."""
    come = {name for attributes in _attributes(seen) for name in attributes}
    return Seen(", ".join(n for n in _columns(seen.name) if n not in come) or "none", seen.sample)


def sla(seen: Observations) -> Readings:
    """Say where conversations have their `sla`."""
    conversations = seen.lists["conversations"]
    if not conversations.first.is_ok:
        return {"": conversations.first.unread}
    records = list(_records(conversations))
    places = ("attributes", "relationships")
    found = [p for p in places if any("sla" in object_in(r, p) for r in records)]
    if not found:
        return {"": NotObservable(f"none of {conversations.sample} has one", "an account with SLAs")}
    return {"": Seen(" and ".join(found), conversations.sample)}


@_each_with_records
@each_list
def links_only(seen: ListSeen) -> Reading:
    """Name the relationships that have only a link."""
    found = [
        (name, value)
        for name, value in _relationships(seen)
        if isinstance(value, dict) and "data" not in value and "meta" not in value
    ]
    others = [(name, value) for name, value in found if name not in _LINKS_ONLY]
    known = ", ".join(_LINKS_ONLY & {name for name, _ in found})
    return Seen(_own(seen, others) if others else known or "none", seen.sample)


@_each_with_records
@each_list
def deleted(seen: ListSeen) -> Reading:
    """Say whether deleted records are listed."""
    count = sum(attributes.get("deleted") in {True, "true"} for attributes in _attributes(seen)
                if isinstance(attributes.get("deleted"), bool | str))
    if count or seen.name in {"tags", "teams"}:
        return Seen("listed" if count else "none", f"{count} of {seen.sample}")
    return NotObservable(f"none of {seen.sample}", "a deleted record")


@_each_with_records
@each_list
def masked(seen: ListSeen) -> Reading:
    """Name the attributes with masked values: text of a mask and nothing else."""
    found = [
        (name, None)
        for attributes in _attributes(seen)
        for name, value in attributes.items()
        if name not in _FREE_TEXT and any(map(_MASK.fullmatch, _texts(value)))
    ]
    if not found:
        return NotObservable(f"none in {seen.sample}", "a key without Read Sensitive permission")
    return Seen(_own(seen, found), seen.sample)


@_each_with_records
@each_list
def without_column(seen: ListSeen) -> Reading:
    """Name the attributes that have no column."""
    columns = _columns(seen.name)
    names = (name for attributes in _attributes(seen) for name in attributes)
    return Seen(_own(seen, ((name, None) for name in names if name not in columns)), seen.sample)


@_each_with_records
@each_list
def relationships(seen: ListSeen) -> Reading:
    """Name the relationships that have no column."""
    known = _LINKS_ONLY | {c.removesuffix("Id") for c in _all_columns(seen.name) if c.endswith("Id")}
    found = ((name, value) for name, value in _relationships(seen) if name not in known)
    return Seen(_own(seen, found), seen.sample)


@_each_with_records
@each_list
def members(seen: ListSeen) -> Reading:
    """Name the members of records that are not documented."""
    names = (name for record in _records(seen) for name in record if name not in _MEMBERS)
    return Seen(_own(seen, ((name, None) for name in names)), seen.sample)


def suffixes(seen: Observations) -> Readings:
    """Say by suffix whether custom attributes hold the type that it names."""
    found: dict[str, Counter[str]] = {}
    names: dict[str, set[tuple[str, str]]] = {}
    for list_name in RESOURCES:
        for name, value in _custom(seen.lists[list_name]):
            suffix = _suffix(name)
            names.setdefault(suffix, set()).add((list_name, name))
            for item in value if isinstance(value, list) else [value]:
                if suffix in SUFFIXES and not _is_a(SUFFIXES[suffix], item):
                    found.setdefault(suffix, Counter())[_kind(item)] += 1
    if not names:
        return {"": NotObservable("no custom attribute came", "an account with some")}
    return {
        suffix: Seen(
            _listed(found.get(suffix, Counter())) or "its type", f"{len(known)} attributes"
        )
        for suffix, known in sorted(names.items())
    }


def metadata(seen: Observations) -> Readings:
    """Say what the metadata of custom attributes look like."""
    return {
        name: came.unread
        if came.unasked or came.status in {401, 403}
        else Seen("properties by name" if _properties(seen, name) is not None else
                  "another form" if came.is_ok else came.outcome, "1 request")
        for name, came in seen.metadata.items()
    }


def definitions(seen: Observations) -> Readings:
    """Name the members of the metadata's definitions, and the kinds of their values."""
    readings: dict[str, Reading] = {}
    for name, came in seen.metadata.items():
        found, known = Counter[str](), _properties(seen, name)
        if known is None:
            readings[name] = came.unread
            continue
        for definition in known.values():
            for member, value in definition.items() if isinstance(definition, dict) else ():
                plain = member if _OWN_NAME.fullmatch(member) else "another member"
                found[f"{plain} {_kind(value)}"] += 1
        readings[name] = Seen(_listed(found) or "no member", f"{len(known)} attributes")
    return readings


def many_values(seen: Observations) -> Readings:
    """Say whether the metadata know of each custom attribute that has arrays."""
    readings: dict[str, Reading] = {}
    for name, came in seen.metadata.items():
        known = _properties(seen, name)
        having = {n for n, value in _custom(seen.lists[name]) if isinstance(value, list)}
        if known is None or not having:
            nothing = NotObservable("no array came", "a custom attribute with several values")
            readings[name] = came.unread if known is None else nothing
            continue
        flagged = {n for n, d in known.items()
                   if isinstance(d, dict) and True in (d.get("multi"), d.get("array"))}
        unknown = len(having - flagged)
        value = f"{unknown} are not" if unknown else "all are"
        readings[name] = Seen(value, f"{len(having)} attributes")
    return readings


def object_in(value: Mapping[str, Any], member: str) -> dict[str, Any]:
    """Return a member that should be an object, an empty one where it is not."""
    found = value.get(member)
    return found if isinstance(found, dict) else {}


@cache
def _all_columns(name: str) -> Mapping[str, Mapping[str, Any]]:
    properties: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())["properties"]
    return properties


@cache
def _columns(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the columns of a list's attributes."""
    return {
        column: schema
        for column, schema in _all_columns(name).items()
        if column not in _OWN_COLUMNS
        and (not column.endswith("Id") or column == "externalId")
    }


def _records(seen: ListSeen) -> Iterator[Record]:
    """Yield each record once."""
    pages = [*seen.numbered.values(), seen.second, *seen.walked]
    yield from {str(r.get("id")): r for page in pages for r in page.records}.values()


def _attributes(seen: ListSeen) -> Iterator[dict[str, Any]]:
    return (object_in(record, "attributes") for record in _records(seen))


def _relationships(seen: ListSeen) -> Iterator[tuple[str, Any]]:
    for record in _records(seen):
        yield from object_in(record, "relationships").items()


def _custom(seen: ListSeen) -> Iterator[tuple[str, Any]]:
    for attributes in _attributes(seen):
        yield from object_in(attributes, "custom").items()


def _properties(seen: Observations, name: str) -> dict[str, Any] | None:
    properties = seen.metadata[name].member("data", "attributes", "properties")
    return properties if isinstance(properties, dict) else None


def _odd_values(seen: ListSeen, *, is_converted: bool) -> Reading:
    odd: dict[str, Counter[str]] = {}
    for attributes in _attributes(seen):
        for name, schema in _columns(seen.name).items():
            value = attributes.get(name)
            if value is None or value == {}:
                continue
            fitting = conversion(schema)(value)
            is_odd = fitting is None if not is_converted else fitting not in (None, value)
            if is_odd:
                odd.setdefault(name, Counter())[_kind(value)] += 1
    texts = [f"{name}: {_listed(kinds)}" for name, kinds in odd.items()]
    return Seen("; ".join(texts) or "none", seen.sample)


def _own(seen: ListSeen, found: Iterable[tuple[str, object]]) -> str:
    """Count names, and tell those that are Kustomer's own."""
    counts, classes = Counter[str](), set[str]()
    for name, value in found:
        counts[name] += 1
        # Classes of custom objects are an organization's: they have a count, or a link of their own.
        if isinstance(value, dict) and ("meta" in value or "kobject" in json.dumps(value)):
            classes.add(name)
    customs, told = {name for name, _ in _custom(seen)}, Counter[str]()
    for name, count in sorted(counts.items()):
        is_own = _OWN_NAME.fullmatch(name) and name not in customs
        told["(custom objects)" if name in classes else name if is_own else "(other names)"] += count
    return _listed(told) or "none"


def _suffix(attribute: str) -> str:
    return next((s for s in SUFFIXES if attribute.endswith(s)), "without")


def _kind(value: object) -> str:
    if isinstance(value, list):
        kinds = sorted({_KINDS.get(type(item), "value") for item in value})
        return f"array of {' and '.join(kinds) or 'nothing'}"
    return _KINDS.get(type(value), "value")


def _is_a(kind: str, value: object) -> bool:
    """Whether a value is of this kind, or null."""
    if kind == "time":
        return value is None or (isinstance(value, str) and value[:4].isdigit())
    return value is None or _kind(value) in ({kind, "integer"} if kind == "number" else {kind})


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in a value, at most a few levels deep: none of Kustomer's is deeper."""
    values = [value]
    for _ in range(4):
        yield from (v for v in values if isinstance(v, str))
        values = [
            item
            for v in values
            for item in (v if isinstance(v, list) else v.values() if isinstance(v, dict) else ())
        ]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _counted(forms: Mapping[str, int], total: int) -> str:
    """Return one form alone, several with their counts."""
    return next(iter(forms), "") if max(forms.values(), default=0) == total else _listed(forms)
