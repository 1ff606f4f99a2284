"""The causes that the code finds by itself, and raises as a `Fault` of their name."""

from typing import Final

from source_kustomer.errors.cause import CONFIG, MANY, ONCE, SYSTEM, TRANSIENT, TWICE, Cause

FAULTS: Final = (
    Cause(
        "local_setting", "a proxy or certificates that the environment names and nobody can use",
        ONCE, CONFIG,
        "The environment variable {setting} {fault}: correct or unset it where the connector runs.",
    ),
    Cause(
        "used_up_share", "the share of the rate limit, which let no request leave in time", ONCE,
        TRANSIENT,
        "What this connector may use of the organization's rate limit is used up, so that {stream} "
        "could not be asked for: run it again later, or raise the share of the rate limit.",
    ),
    Cause(
        "large_body", "a body that is too large to be held in memory", ONCE, TRANSIENT,
        "{host} sent a response for {stream} of more than {megabytes} MB, which is no page of "
        "records: run it again later, and tell Kustomer's support if it lasts.",
    ),
    Cause(
        "not_a_list", "JSON without a list of resources in `data`", MANY, TRANSIENT,
        "{host} answered for {stream} with JSON that is not a list of records: check the "
        "organization name, and run it again later.",
    ),
    Cause(
        "not_metadata", "JSON that does not describe custom attributes", MANY, TRANSIENT,
        "{host} answered for {stream} with JSON that does not describe its custom attributes: run "
        "it again later, and tell Kustomer's support if it lasts.",
    ),
    Cause(
        "no_links", "a full page without `links`", MANY, TRANSIENT,
        "A full page of {records} {stream} came without the links that say whether more follow, so "
        "the list might be short: run it again later.",
    ),
    Cause(
        "foreign_link", "`links.next` that leaves the list's own address", ONCE, SYSTEM,
        "The link to the next page of {stream} leads away from {host}/v1/{stream} and was not "
        "followed: please report this to the connector's maintainers.",
    ),
    Cause(
        "circling_link", "`links.next` that leads to a page already read", TWICE, TRANSIENT,
        "The link to the next page of {stream} leads back to a page already read, so the list has "
        "no end: run it again later, and tell Kustomer's support if it lasts.",
    ),
    Cause(
        "skipped_pages", "`links.next` that leaves out pages of a list that counts them", TWICE,
        TRANSIENT,
        "The link to the next page of {stream} leads from page {asked} to page {got} and leaves "
        "out what is between: run it again later, and tell Kustomer's support if it lasts.",
    ),
    Cause(
        "wrong_page", "`meta` of another page, or of a larger page size, than was asked for", MANY,
        TRANSIENT,
        "Kustomer was asked for {asked} of {stream} and sent {got}, so records might be missed: "
        "run it again later.",
    ),
    Cause(
        "refused_page", "a page that is refused again and again, while pages follow it", ONCE,
        TRANSIENT,
        "Kustomer refuses page {page} of {stream} again and again, although there are pages after "
        "it: run it again later, and tell Kustomer's support if it lasts.",
    ),
    Cause(
        "empty_pages", "many empty pages in a row that each promise another", ONCE, TRANSIENT,
        "{pages} pages of {stream} in a row were empty and each promised another: run it again "
        "later, and tell Kustomer's support if it lasts.",
    ),
    Cause(
        "moving_list", "a list that moves faster than its moved pages can be read again", ONCE,
        TRANSIENT,
        "{stream} change faster than they can be read, {pages} pages were read again in vain: run "
        "it again at a quieter time.",
    ),
    Cause(
        "lower_total", "`meta.total` that is lower than before, until a second look confirms it",
        MANY, TRANSIENT,
        "Kustomer told {total} records of {stream} after {before}, and could not be asked "
        "again in time: run it again later.",
    ),
    Cause(
        "short_page",
        "a page that is not full but promises another, or has no new record, until a second look "
        "confirms it", MANY, TRANSIENT,
        "Kustomer sent a page of {stream} with fewer records than it should have, and could not be "
        "asked again in time: run it again later.",
    ),
    Cause(
        "past_end", "an empty page after the pages of a list without a total", TWICE, TRANSIENT,
        "Kustomer has no page of {stream} any more at which this sync could go on: run it again.",
        ends_list=True,
    ),
    Cause(
        "cut_off", "a list that ends while its total promises whole pages more", MANY, TRANSIENT,
        "Kustomer ended the list of {stream} after {records} of {total} records, again and again: "
        "run it again later; if it lasts, a limit on Kustomer's side cuts the list off, so ask "
        "Kustomer's support to lift it.",
    ),
)  # fmt: skip
