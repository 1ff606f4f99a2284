"""The checks, by the number of their quirk in CONTRIBUTING: what is expected is data."""

from collections.abc import Collection, Mapping
from typing import Final

from sandbox import LISTS
from tools.contract import lists, records, responses
from tools.contract.exchange import object_in
from tools.contract.observations import CAP, TOO_LARGE
from tools.contract.reading import Check, by_list

_ANYTHING: Final[Mapping[str, Collection[str]]] = {}

_LONG_ERROR = "code, title, detail, status, source"


def _all(*values: str, **by_subject: str) -> Mapping[str, Collection[str]]:
    """Expect one of the values of every subject, but for those that are named."""
    return {"*": values, **{name: (value,) for name, value in by_subject.items()}}


CHECKS: Final = (
    Check(5, "The account's key, asked of the probe", _all("200"),
          responses.answered(lambda seen: seen.key), switches={"404": "probe=no"}),
    Check(5, "The probe's roles", _all("roles"), responses.probe_roles,
          switches={"no roles": "probe_roles=no"}),
    Check(5, "A made-up key", _all("401"), responses.answered(lambda seen: seen.wrong_key)),
    Check(5, "What a role opens, and what is refused without it",
          _all("opened with its role", "opened", "403 without its role", "403"), responses.roles,
          is_open=True,
          switches={"401 without its role": "missing_role=401", "401": "missing_role=401"}),
    Check(6, "An unknown path", _all("404"),
          responses.answered(lambda seen: seen.unknown_path, needs_key=True)),
    Check(6, "A made-up organization, asked with a made-up key", _all("404"),
          responses.answered(lambda seen: seen.unknown_organization), is_open=True,
          switches={"401": "unknown_organization=401"}),
    *(Check(13 if name == "tags" else 7, f"The list of {name}", _all("200"), lists.answers(name))
      for name in LISTS),
    Check(7, "The link to the next page", _all("relative path with page"),
          by_list(lists.link_form),
          switches={"absolute address with page": "links=absolute",
                    "relative path with page, in an object": "links=object",
                    "relative path with page, without pageSize": "links=without_size"}),
    Check(7, "The link on the last page", _all("null"), by_list(lists.last_link),
          switches={"missing": "last_link=missing", "leads past the end": "last_link=when_full"}),
    Check(8, "The first page, twice in a row, and the second",
          _all("the same", "new records in front", "records removed in between"),
          by_list(lists.reread, needs_records=True)),
    Check(9, "What a page tells of itself, and numbers in it",
          _all("page, pageSize", customers="page, pageSize, total, totalPages"),
          by_list(lists.meta), is_open=True, switches={"nothing": "meta=missing"}),
    Check(11, "The largest page", _all("100", users="500", teams="500"),
          by_list(lambda seen: lists.page_size(seen, seen.too_large, TOO_LARGE)), is_open=True,
          switches={"400": "too_large=refused"}),
    Check(11, "The page size without pageSize", _all("100", customers="30"),
          by_list(lambda seen: lists.page_size(seen, seen.default, seen.size)), is_open=True),
    Check(12, f"Around {CAP:,} records", _all("a link, then more records"),
          by_list(lists.around_cap), is_open=True,
          switches={"no link, then no new record": "cap=cut", "a link, then 400": "cap=refused",
                    "no link, then more records": "cap=unlinked"}),
    Check(14, "The limit", _all("300", "500", "1000", "2000"), responses.limit),
    Check(14, "How the minute is counted", _all("slides"), responses.minute, is_open=True),
    Check(15, "Rate-limit headers by response", _all("limit and remaining"),
          responses.by_kind(responses.headers), is_open=True,
          switches={"limit and remaining, Retry-After in seconds": "retry_after=seconds",
                    "limit and remaining, Retry-After a date": "retry_after=date"}),
    Check(15, "x-ratelimit-reset by response", {"*": ("none",), "429": ("epoch seconds",)},
          responses.by_kind(responses.reset), is_open=True,
          switches={"epoch milliseconds": "reset=milliseconds", "an ISO date": "reset=iso"}),
    Check(16, "Bodies of errors", _all("code, message, meta", _LONG_ERROR, _LONG_ERROR.replace(
        "status", "status as text")), responses.by_kind(responses.body, of_errors=True),
          switches={"code, message, meta": "error_form=short", "HTML": "error_form=html",
                    _LONG_ERROR.replace("status", "status as text"): "error_form=long_text"}),
    Check(17, "Types of values, and forms of times", _all("all fit"),
          by_list(records.value_types, needs_records=True)),
    Check(17, "How documented values are absent", _ANYTHING,
          by_list(records.absent, needs_records=True), is_open=True),
    Check(18, "Where sla is", _ANYTHING, records.names(
        lambda _, r: ((m, None) for m in r if "sla" in object_in(r, m)), "an SLA"),
          is_open=True),
    Check(19, "Relationships with only a link, beside messages", _all("none"),
          records.names(records.links_only)),
    Check(20, "Custom attributes by suffix", _all("its type"), records.suffixes),
    Check(20, "Metadata of custom attributes", _all("properties by name"), records.metadata,
          switches={"404": "metadata=404"}),
    Check(21, "Deleted records", _ANYTHING, records.names(
        lambda _, r: [("deleted", None)] * (
            str(object_in(r, "attributes").get("deleted")).lower() == "true"),
        "a deleted record"), is_open=True),
    Check(22, "Masked values", _ANYTHING,
          records.names(records.masked, "a key without Read Sensitive permission"), is_open=True),
    Check(24, "The page after the last one", _all("200, empty, no next link"),
          by_list(lists.past_end), is_open=True,
          switches={"200, empty, a next link": "past_end=onward", "404": "past_end=404",
                    "400": "past_end=400"}),
    Check(25, "The order of a list", _all("by createdAt, ascending"), by_list(lists.order),
          is_open=True, switches={"by createdAt, descending": "order=newest_first"}),
    Check(25, "Parameters that could sort, or filter by time", _all("nothing"), lists.parameters,
          is_open=True,
          switches={"orders by id, descending": "parameters=honoured",
                    "begins after the record": "parameters=honoured",
                    "leaves out records in front": "parameters=honoured",
                    "400": "parameters=refused"}),
    Check(26, "Ids, types and links", _all("24 hexadecimals, its type, its link"),
          by_list(records.identity, needs_records=True)),
    Check(26, "Attributes, relationships and members without a column",
          dict.fromkeys(("users", "teams", "tags", "brands"), ("none",)),
          records.names(records.without_place), is_open=True),
)  # fmt: skip
