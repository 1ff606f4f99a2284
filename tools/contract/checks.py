"""The checks, in the order of CONTRIBUTING's list of quirks."""

from tools.contract import custom, lists, pages, records, responses
from tools.contract.check import Check, each_list, single

_NO_TOTALS = {"customers": "total"}
_LARGEST = {"users": "500", "teams": "500"}
_DEFAULTS = {"customers": "30"}

CHECKS = (
    Check(1, "The organization's address", "answers", single("answers", responses.own_address)),
    Check(5, "A wrong key", "401", single("401", responses.wrong_key)),
    Check(
        5,
        "The probe of the key",
        "200, with the key's roles",
        single("200, with the key's roles", responses.probe),
    ),
    Check(5, "A missing role", "403 (?)", single("403", responses.missing_role)),
    Check(6, "An unknown path", "404", single("404", responses.unknown_path)),
    Check(6, "An unknown organization", "404 (?)", single("404", responses.unknown_organization)),
    Check(
        7,
        "The link to the next page",
        "relative path",
        each_list("relative path", lists.link_form),
    ),
    Check(
        7,
        "How the next page is named",
        "by page number",
        each_list("by page number", pages.numbering),
    ),
    Check(7, "The link on the last page", "null", each_list("null", lists.last_link)),
    Check(
        8,
        "A page read twice",
        "the same records",
        each_list("the same records", lists.reread),
    ),
    Check(
        8,
        "Two neighbouring pages",
        "each record once",
        each_list("each record once", lists.overlap),
    ),
    Check(
        9,
        "Totals",
        "total (customers); no total (all others)",
        each_list(_NO_TOTALS, lists.has_total, "no total"),
    ),
    Check(
        10,
        "What a page says of itself",
        "page and pageSize",
        each_list("page and pageSize", lists.meta_members),
    ),
    Check(10, "Numbers in meta", "number (?)", each_list("number", lists.meta_numbers)),
    Check(
        11,
        "The largest page",
        "100; 500 (users, teams); more is clamped (?)",
        each_list(_LARGEST, lists.largest_size, "100"),
    ),
    Check(
        11,
        "The default page",
        "30 (customers) (?); 100 (all others)",
        each_list(_DEFAULTS, lists.default_size, "100"),
    ),
    Check(
        12,
        "After 10,000 records",
        "more records (?)",
        each_list("more records", lists.beyond_cap),
    ),
    Check(13, "The list of tags", "200", single("200", responses.tags)),
    Check(14, "The limit", "a plan's", single("a plan's", responses.limit)),
    Check(
        14,
        "What remains of the limit",
        "falls with the requests",
        single("falls with the requests", responses.remaining),
    ),
    Check(
        15,
        "Rate-limit headers of a success",
        "limit and remaining",
        single("limit and remaining", responses.headers_of_success),
    ),
    Check(
        15,
        "Rate-limit headers of an error",
        "limit and remaining (?)",
        single("limit and remaining", responses.headers_of_errors),
    ),
    Check(
        15,
        "x-ratelimit-reset of a success",
        "absent (?)",
        single("absent", responses.reset_of_success),
    ),
    Check(
        15,
        "A 429",
        "reset: epoch seconds; no Retry-After (?)",
        single("reset: epoch seconds; no Retry-After", responses.refusal),
    ),
    Check(
        16,
        "Bodies of errors",
        "message, or detail and a status as a number or as text",
        responses.error_bodies,
    ),
    Check(17, "Types of values", "all fit, or can be converted", records.value_types),
    Check(17, "Times", "ISO 8601, UTC, milliseconds", records.time_format),
    Check(18, "sla of conversations", "attributes and relationships", records.sla),
    Check(19, "Relationships without an id", "messages", records.links_only),
    Check(
        20,
        "Custom attributes by suffix",
        f"{', '.join(custom.SUFFIXES)}, with values of that type",
        custom.suffixes,
    ),
    Check(
        20,
        "Metadata of custom attributes",
        "properties by name",
        single("properties by name", responses.metadata),
    ),
    Check(20, "Custom attributes with arrays", "all in the metadata", custom.many_values),
    Check(21, "Deleted tags and teams", "can be listed", records.deleted),
    Check(22, "Masked values", "can come", records.masked),
    Check(
        24,
        "A page past the last one",
        "200, empty, no next link (?)",
        each_list("200, empty, no next link", lists.past_end),
    ),
    Check(25, "The order of a list", "oldest first (?)", each_list("oldest first", lists.order)),
    Check(
        26,
        "Attributes without a column",
        "any number (customers, conversations); 0 (all others)",
        records.without_column,
    ),
    Check(
        26,
        "Relationships and members without a column",
        "custom-object classes only",
        records.other_members,
    ),
)
