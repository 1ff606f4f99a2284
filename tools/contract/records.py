"""What the records show: Kustomer's own names are told, an organization's are counted."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from source_kustomer.conversion import conversion
from tools.contract.asking import NotObservable, Reading, Readings, Record, Seen, object_in
from tools.contract.observations import WITH_METADATA, ListSeen, Observations
from tools.tour.account import PROJECT

_SUFFIXES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("Str", "Txt", "Url", "Id", "Tree", "At"), frozenset({"string"})),
    "Num": frozenset({"number", "integer"}),
    "Bool": frozenset({"boolean"}),
}
_MEMBERS = frozenset({"type", "id", "attributes", "relationships", "links"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
# How Kustomer names what is its own. It ends none of its names in these suffixes of custom ones.
_OWN_NAME = re.compile(r"(?!.*(Str|Txt|Num|Bool|Tree)$)[a-z][A-Za-z]{1,40}", re.ASCII)
# What people write may hold asterisks of their own.
_FREE_TEXT = frozenset({"name", "displayName", "firstName", "lastName", "preview"})
_MASK = re.compile(r"[\d+() .-]*[*•]{3,}[\d*•+() .-]*|[\w.]{0,3}[*•]{3,}@[\w*•.-]+", re.ASCII)

_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object"}

# Names that a record has, with the value where it tells whose the name is.
Named = Iterable[tuple[str, Any]]


def names(pick: Callable[[str, Record], Named], needed: str, seen: ListSeen) -> Reading:
    """Read the names that `pick` finds in the records; none needs something."""
    customs, told = {name for name, _ in _custom(seen)}, Counter[str]()
    for name, value in (named for r in _records(seen) for named in pick(seen.name, r)):
        # Classes of custom objects are an organization's: they have a count, or such a link.
        is_class = isinstance(value, dict) and ("meta" in value or "kobj" in json.dumps(value))
        is_own = _OWN_NAME.fullmatch(name) and name not in customs
        told["(custom objects)" if is_class else name if is_own else "(another name)"] += 1
    if needed and not told:
        return NotObservable(f"none in {seen.sample}", needed)
    return Seen(_listed(told) or "none", seen.sample)


def identity(seen: ListSeen) -> Reading:
    forms = Counter[str]()
    for record in _records(seen):
        identifier, link = record.get("id"), object_in(record, "links").get("self")
        is_hex = isinstance(identifier, str) and re.fullmatch(r"[0-9a-f]{24}", identifier)
        form = "24 hexadecimals" if is_hex else f"another {_kind(identifier)}"
        form += ", its type" * (record.get("type") == seen.name.removesuffix("s"))
        forms[form + ", its link" * (link == f"/v1/{seen.name}/{identifier}")] += 1
    return Seen(_listed(forms) if len(forms) > 1 else "".join(forms), seen.sample)


def value_types(seen: ListSeen) -> Reading:
    """Read which columns' values do not fit; the sample names those that can be converted."""
    odd: dict[bool, dict[str, Counter[str]]] = {True: {}, False: {}}
    for attributes in _attributes(seen):
        for name, schema in _columns(seen.name).items():
            value = attributes.get(name)
            if value is None or value == {}:
                continue
            fitting, kind = conversion(schema)(value), _kind(value)
            if schema.get("format") == "date-time" and not _TIME.fullmatch(str(value)):
                fitting, kind = None, f"{kind} of another form"
            if value != fitting:
                odd[fitting is None].setdefault(name, Counter())[kind] += 1
    unfit, converted = (
        "; ".join(f"{name}: {_listed(kinds)}" for name, kinds in odd[is_lost].items())
        for is_lost in (True, False)
    )
    return Seen(unfit or "all fit", seen.sample + f", converted: {converted}" * bool(converted))


def absent(seen: ListSeen) -> Reading:
    forms, never = Counter[str](), set(_columns(seen.name))
    for attributes in _attributes(seen):
        never -= attributes.keys()
        for name in _columns(seen.name):
            value = attributes.get(name)
            if value is None or value == {}:
                is_there = "null" if name in attributes else "no key"
                forms["{}" if value == {} else is_there] += 1
    told = f"; never came: {', '.join(sorted(never)) or 'none'}"
    return Seen((_listed(forms) or "none is") + told, seen.sample)


def deleted(_: str, record: Record) -> Named:
    told = str(object_in(record, "attributes").get("deleted"))
    return [("deleted", None)] * (told.lower() == "true")


def masked(_: str, record: Record) -> Named:
    for name, value in object_in(record, "attributes").items():
        if name not in _FREE_TEXT and any(map(_MASK.fullmatch, _texts(value))):
            yield name, None


def without_place(name: str, record: Record) -> Named:
    columns = _columns(name, of_attributes=False)
    yield from ((member, None) for member in record if member not in _MEMBERS)
    yield from ((a, None) for a in object_in(record, "attributes") if a not in _columns(name))
    for relationship, value in object_in(record, "relationships").items():
        if relationship != "messages" and f"{relationship}Id" not in columns:
            yield relationship, value


def links_only(_: str, record: Record) -> Named:
    for name, value in object_in(record, "relationships").items():
        if isinstance(value, dict) and not {"data", "meta"} & {*value} and name != "messages":
            yield name, value


def suffixes(seen: Observations) -> Reading | Readings:
    odd, found = dict[str, Counter[str]](), dict[str, set[str]]()
    for name, value in (named for each in WITH_METADATA for named in _custom(seen.lists[each])):
        suffix = next((s for s in _SUFFIXES if name.endswith(s)), "without")
        found.setdefault(suffix, set()).add(name)
        for item in value if isinstance(value, list) else [value]:
            if item is not None and _kind(item) not in _SUFFIXES.get(suffix, {_kind(item)}):
                odd.setdefault(suffix, Counter())[_kind(item)] += 1
    if not found:
        return NotObservable("no custom attribute came", "an account with some")
    return {
        suffix: Seen(_listed(odd.get(suffix, {})) or "its type", f"{len(known)} attributes")
        for suffix, known in sorted(found.items())
    }


def metadata(seen: Observations) -> Readings:
    """Read whether metadata name each attribute, and tell which have arrays."""
    readings = dict[str, Reading]()
    for name, came in seen.metadata.items():
        known = came.member("data", "attributes", "properties")
        arrays = {n for n, value in _custom(seen.lists[name]) if isinstance(value, list)}
        if came.unasked or came.is_refused:
            readings[name] = came.unread
        elif not came.is_ok or not isinstance(known, dict):
            readings[name] = Seen("another form" if came.is_ok else came.outcome, "1 request")
        else:
            forms = Counter(
                f"{member if _OWN_NAME.fullmatch(member) else '(another name)'} {_kind(value)}"
                for attribute in known
                for member, value in object_in(known, attribute).items()
            )
            flags = [map(object_in(known, n).get, ("multi", "array")) for n in arrays]
            unknown = sum(True not in told for told in flags)
            value = "properties by name" + f", {unknown} without their arrays" * bool(unknown)
            sample = f"{len(known)} attributes, {len(arrays)} with arrays; {_listed(forms)}"
            readings[name] = Seen(value, sample)
    return readings


@cache
def _columns(name: str, *, of_attributes: bool = True) -> Mapping[str, Mapping[str, Any]]:
    """Return a list's columns, or those that attributes fill."""
    path = PROJECT / "source_kustomer" / "schemas" / f"{name}.json"
    columns: dict[str, Any] = json.loads(path.read_text())["properties"]
    ids = {column for column in columns if column.endswith("Id")} - {"externalId"}
    others = _MEMBERS | {"additionalAttributes", "additionalMembers"} | ids
    return {c: schema for c, schema in columns.items() if not (of_attributes and c in others)}


def _records(seen: ListSeen) -> Iterable[Record]:
    return {str(r.get("id")): r for page in seen.all for r in page.records}.values()


def _attributes(seen: ListSeen) -> Iterator[dict[str, Any]]:
    return (object_in(record, "attributes") for record in _records(seen))


def _custom(seen: ListSeen) -> Named:
    return (named for a in _attributes(seen) for named in object_in(a, "custom").items())


def _kind(value: object) -> str:
    if isinstance(value, list):
        return f"array of {' and '.join(sorted(set(map(_kind, value)))) or 'nothing'}"
    return _KINDS.get(type(value), "null")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
