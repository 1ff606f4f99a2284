"""The checks, by the number of their quirk in CONTRIBUTING: what is expected is data."""

from collections.abc import Collection, Mapping
from typing import Final

from sandbox import LISTS
from tools.contract import lists, records, responses
from tools.contract.observations import CAP
from tools.contract.reading import Check
from tools.contract.responses import tags

_ANY: Final[Mapping[str, Collection[str]]] = {}


def _all(*values: str, **by_list: str) -> Mapping[str, Collection[str]]:
    """Expect one of the values of every subject, but for those that are named."""
    return {"*": values, **{name: (value,) for name, value in by_list.items()}}


_HEADERS = _all("limit and remaining")
_PAGES: Final = {
    "size": _all("100", users="500", teams="500"),
    "default": _all("100", customers="30"),
}

CHECKS: Final = (
    Check(1, "The organization's address", _all("answers"), responses.own_address),
    Check(5, "The account's key, asked of the probe", _all("200"), responses.key,
          switches={"404, unknown organization": "probe=no"}),
    Check(5, "The probe names the key's roles", _all("roles"), responses.probe_roles,
          switches={"no roles": "probe_roles=no"}),
    Check(5, "A made-up key", _all("401, refused key"), responses.wrong_key),
    Check(5, "A missing role", _all("403"), responses.missing_role, is_open=True,
          switches={"401": "missing_role=401"}),
    Check(5, "Which role opens which list",
          _all("opened with its role", "refused without its role"), responses.roles),
    Check(6, "An unknown path", _all("404, unknown organization"), responses.unknown_path),
    Check(6, "A made-up organization, asked with a made-up key", _all("404, unknown organization"),
          responses.unknown_organization, is_open=True,
          switches={"401, refused key": "unknown_organization=401"}),
    *(Check(7, f"The list of {name}", _all("200"), lists.answers(name)) for name in LISTS),
    Check(7, "The link to the next page", _all("relative path"), lists.link_form,
          switches={"absolute address": "links=absolute", "relative path, in an object":
                    "links=object", "relative path, without pageSize": "links=without_size"}),
    Check(7, "Parameters that name the next page", _all("page"), lists.page_naming),
    Check(7, "The link on the last page", _all("null"), lists.last_link,
          switches={"missing": "last_link=missing", "leads past the end": "last_link=when_full"}),
    Check(7, "A page without a link", _all("the last"), lists.without_link),
    Check(8, "The first page, read twice in a row",
          _all("the same records", "new records in front", "records removed in between"),
          lists.reread),
    Check(8, "Two neighbouring pages", _all("each record once"), lists.overlap),
    Check(9, "Totals", _all("no total", customers="total"), lists.totals),
    Check(10, "What a page tells of itself", _all("page and pageSize"), lists.meta_members,
          switches={"no meta": "meta=missing"}),
    Check(10, "Numbers in meta", _all("number"), lists.meta_numbers, is_open=True,
          switches={"text": "numbers_as_text=yes"}),
    Check(11, "The largest page", _PAGES["size"], lists.largest_page, is_open=True,
          switches={"400": "too_large=refused"}),
    Check(11, "The page size without pageSize", _PAGES["default"], lists.default_page,
          is_open=True),
    Check(11, "meta.pageSize where too many are asked for", _all("what came"), lists.told_size,
          is_open=True),
    Check(12, f"Around {CAP:,} records", _all("a link, then more records"), lists.beyond_cap,
          is_open=True, switches={
              "no link, then no record": "cap=cut",
              "a link, then 400": "cap=refused",
              "no link, then more records": "cap=unlinked"}),
    Check(13, "The list of tags, which is not documented", _all("there"), tags),
    Check(14, "The limit", _all("300", "500", "1000", "2000"), responses.limit),
    Check(14, "What remains of the limit", _all("falls"), responses.remaining),
    Check(14, "How the minute is counted", _all("slides"), responses.minute, is_open=True),
    Check(15, "Rate-limit headers by response", _HEADERS, responses.headers, is_open=True),
    Check(15, "x-ratelimit-reset by response", {"*": ("none",), "429": ("epoch seconds",)},
          responses.resets, is_open=True),
    Check(15, "A 429", {
        "reset": ("epoch seconds",),
        "Retry-After": ("none",),
        "body": ("code, message, meta", "code, title, detail, status as a number, source"),
    }, responses.refusal, is_open=True),
    Check(16, "Bodies of errors", _all(
        "code, message, meta",
        "code, title, detail, status as a number, source",
        "code, title, detail, status as text, source"), responses.error_bodies,
        switches={
            "code, message, meta": "error_form=short",
            "code, title, detail, status as text, source": "error_form=long_text",
            "HTML": "error_form=html"}),
    Check(17, "Values that do not fit their column", _all("none"), records.value_types),
    Check(17, "Values that are converted", _ANY, records.converted, is_open=True),
    Check(17, "Times", _all("ISO 8601, UTC, milliseconds"), records.times),
    Check(17, "How values are absent", _ANY, records.absent, is_open=True),
    Check(17, "Documented attributes that never came", _ANY, records.never, is_open=True),
    Check(18, "sla of conversations", _ANY, records.sla, is_open=True),
    Check(19, "Relationships with only a link", _all("none", "messages"), records.links_only),
    Check(20, "Custom attributes by suffix", _all("its type"), records.suffixes),
    Check(20, "Metadata of custom attributes", _all("properties by name"), records.metadata,
          switches={"404": "metadata=404"}),
    Check(20, "Members of the metadata", _ANY, records.definitions, is_open=True),
    Check(20, "Custom attributes with arrays, in the metadata", _all("all are"),
          records.many_values),
    Check(21, "Deleted records", _ANY, records.deleted, is_open=True),
    Check(22, "Masked values", _ANY, records.masked, is_open=True),
    Check(24, "The page after the last one", _all("200, empty, no next link"), lists.past_end,
          is_open=True, switches={
              "200, empty, a next link": "past_end=onward",
              "404": "past_end=404",
              "400": "past_end=400"}),
    Check(25, "The order of a list", _all("by createdAt, ascending"), lists.order, is_open=True,
          switches={"by createdAt, descending": "order=newest_first"}),
    Check(25, "sort=desc", _all("nothing"), lists.sort, is_open=True,
          switches={"400": "sort=refused"}),
    Check(25, "page[after] with a record's id", _all("nothing"), lists.cursor, is_open=True,
          switches={"begins after that record": "page_after=honoured", "400": "page_after=refused"}),
    Check(25, "fromDate", _all("nothing"), lists.time_filter, is_open=True,
          switches={"leaves out older ones": "from_date=honoured", "400": "from_date=refused"}),
    Check(26, "Ids, types and links", _all("id of 24 hexadecimals, its type, its link"),
          records.identity),
    Check(26, "Attributes without a column", _all("none"), records.without_column),
    Check(26, "Relationships without a column", _all("none"), records.relationships),
    Check(26, "Members of records", _all("none"), records.members),
)  # fmt: skip
