//! Data that comes in and goes out.

use specline_aggregates::output::{Category, Priority};

use super::{Extra, Topic};

pub(super) const TOPICS: &[Topic] = &[EXPORT, IMPORT, SEARCH, PAGES];

const EXPORT: Topic = Topic {
    keys: &["export*", "csv", "download*", "pdf report*"],
    slug: "export",
    hints: &["csv", "export", "report", "serialize", "writer", "format", "download"],
    homes: &["export", "services", "api", "routes", "commands"],
    extras: &[
        Extra {
            title: "Export an empty selection",
            text: "IF a selection to export holds no rows, THEN the system SHALL produce a file \
                   with its header and 0 rows",
            category: Category::Functional,
            priority: Priority::Medium,
            criteria: [
                [
                    "a selection of 0 rows",
                    "it is exported",
                    "the file holds 1 header line and 0 rows",
                ],
                [
                    "a selection of 1 row",
                    "it is exported",
                    "the file holds 1 header line and 1 row",
                ],
            ],
        },
        Extra {
            title: "Stop broken exports without leftovers",
            text: "IF an export fails before its end, THEN the system SHALL report the cause and \
                   leave no partial file behind",
            category: Category::Reliability,
            priority: Priority::High,
            criteria: [
                [
                    "an export that fails after 10 of 20 rows",
                    "it ends",
                    "the target holds 0 new files",
                ],
                [
                    "an export that fails",
                    "its outcome is read",
                    "exactly 1 message names the cause",
                ],
            ],
        },
        Extra {
            title: "Bound the memory of exports",
            text: "WHILE an export of 100000 rows is running, the system SHALL use at most 100 MiB \
                   of memory above its idle state",
            category: Category::Performance,
            priority: Priority::Low,
            criteria: [
                [
                    "a selection of 100000 rows",
                    "it is exported",
                    "the resident memory rises by at most 100 MiB",
                ],
                ["a selection of 100000 rows", "it is exported", "the file holds 100000 rows"],
            ],
        },
    ],
    assumptions: &["Files are UTF-8; an export of 100000 rows is the largest to plan for."],
    questions: &["Which fields, which order and which number and date formats does the file have?"],
    out_of_scope: &["Import of exported files.", "Scheduled exports."],
    model: None,
};

const IMPORT: Topic = Topic {
    keys: &["import*", "upload*", "ingest*"],
    slug: "import",
    hints: &["upload", "import", "parse", "file", "multipart", "reader", "validate"],
    homes: &["import", "services", "api", "routes", "commands"],
    extras: &[
        Extra {
            title: "Refuse malformed input whole",
            text: "IF one record of the input is malformed, THEN the system SHALL store none of it \
                   and name the record and the fault",
            category: Category::Reliability,
            priority: Priority::High,
            criteria: [
                [
                    "an input of 10 records with the 7th malformed",
                    "it is sent",
                    "0 records are stored and the message names record 7",
                ],
                [
                    "the same input with the 7th record mended",
                    "it is sent",
                    "10 records are stored",
                ],
            ],
        },
        Extra {
            title: "Bound the size of input",
            text: "IF an input is larger than 10 MiB, THEN the system SHALL refuse it before \
                   reading more than 10 MiB",
            category: Category::Security,
            priority: Priority::Medium,
            criteria: [
                [
                    "an input of 10 MiB and 1 byte",
                    "it is sent",
                    "it is refused and 0 records are stored",
                ],
                ["an input of exactly 10 MiB", "it is sent", "it is accepted"],
            ],
        },
        Extra {
            title: "Accept a repeated input once",
            text: "WHEN the same input is sent a second time, the system SHALL leave the stored \
                   records as they are after the first",
            category: Category::Functional,
            priority: Priority::Low,
            criteria: [
                [
                    "an input of 10 records that was stored",
                    "it is sent again",
                    "10 records are stored in all",
                ],
                [
                    "an input of 10 records that was stored",
                    "it is sent again",
                    "the answer says that 0 records are new",
                ],
            ],
        },
    ],
    assumptions: &["10 MiB is the largest input: the request gives no figure."],
    questions: &["Which formats and sizes are sent, and what happens to a record known before?"],
    out_of_scope: &["Export of the same records."],
    model: None,
};

const SEARCH: Topic = Topic {
    keys: &["search*", "full-text*", "autocomplete", "filter by*", "filtering"],
    slug: "search",
    hints: &["search", "query", "filter", "index", "find", "list", "match"],
    homes: &["search", "services", "queries", "routes"],
    extras: &[
        Extra {
            title: "Answer searches without a match",
            text: "IF no record matches a search, THEN the system SHALL answer with an empty list \
                   and a success status",
            category: Category::Functional,
            priority: Priority::Medium,
            criteria: [
                [
                    "10 records of which none matches",
                    "a search is sent",
                    "the list holds 0 records",
                ],
                ["10 records of which 1 matches", "a search is sent", "the list holds 1 record"],
            ],
        },
        Extra {
            title: "Treat search text as data",
            text: "IF a search text holds characters with a meaning in the query language, THEN \
                   the system SHALL match them literally",
            category: Category::Security,
            priority: Priority::High,
            criteria: [
                ["a record named 100%_done'", "that text is searched", "exactly 1 record is found"],
                ["10 records", "the text ' OR 1=1 is searched", "0 records are found"],
            ],
        },
        Extra {
            title: "Bound searches in time and size",
            text: "WHILE 100000 records are stored, the system SHALL answer a search within 500 ms \
                   with at most 50 records",
            category: Category::Performance,
            priority: Priority::Low,
            criteria: [
                [
                    "100000 stored records",
                    "100 searches are sent one by one",
                    "95 of them are answered within 500 ms",
                ],
                ["60 records that match", "a search is sent", "the list holds 50 records"],
            ],
        },
    ],
    assumptions: &["Up to 100000 records, 50 a page, 500 ms: the request gives no figures."],
    questions: &["Which fields are searched, and how are the results ordered?"],
    out_of_scope: &["Ranking by learned relevance.", "Correction of typing errors."],
    model: None,
};

const PAGES: Topic = Topic {
    keys: &["paginat*", "page size", "infinite scroll", "cursor-based"],
    slug: "pagination",
    hints: &["page", "limit", "offset", "cursor", "list", "query", "all"],
    homes: &["api", "routes", "queries", "services"],
    extras: &[
        Extra {
            title: "Refuse invalid page parameters",
            text: "IF a page size is below 1 or above 100, THEN the system SHALL refuse the \
                   request with status 400 and name the allowed range",
            category: Category::Functional,
            priority: Priority::High,
            criteria: [
                ["a page size of 101", "the list is asked for", "the status is 400"],
                ["a page size of 100", "the list is asked for", "the status is 200"],
            ],
        },
        Extra {
            title: "Show each record exactly once",
            text: "WHILE records are added between two pages, the system SHALL show each earlier \
                   record exactly 1 time over all pages",
            category: Category::Reliability,
            priority: Priority::Medium,
            criteria: [
                [
                    "25 records and a page size of 10",
                    "all pages are read with 1 record added between",
                    "each of the 25 records is shown 1 time",
                ],
                ["25 records and a page size of 10", "the last page is read", "it holds 5 records"],
            ],
        },
        Extra {
            title: "Default the page size",
            text: "WHERE a request names no page size, the system SHALL answer with at most 50 \
                   records",
            category: Category::Constraint,
            priority: Priority::Low,
            criteria: [
                ["60 records", "the list is asked for without a page size", "50 records are shown"],
                ["40 records", "the list is asked for without a page size", "40 records are shown"],
            ],
        },
    ],
    assumptions: &["Pages hold 50 records by default and 100 at most: assumed figures."],
    questions: &["May present callers go on without page parameters?"],
    out_of_scope: &["Filtering and sorting beyond what exists today."],
    model: None,
};
