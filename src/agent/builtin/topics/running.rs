//! How a program runs: caches, records, health, measures, options and looks.

use specline_aggregates::output::{Category, Priority};

use super::{Extra, Topic};

pub(super) const TOPICS: &[Topic] = &[CACHE, AUDIT, HEALTH, METRICS, OPTION, THEME];

const CACHE: Topic = Topic {
    keys: &["cache*", "caching", "memoiz*"],
    slug: "cache",
    hints: &["cache", "ttl", "store", "load", "fetch", "query", "get"],
    homes: &["cache", "services", "storage", "store"],
    extras: &[
        Extra {
            title: "Serve fresh values after writes",
            text: "WHEN a cached value is changed at its source, the system SHALL serve the new \
                   value from the next read on",
            category: Category::Functional,
            priority: Priority::Critical,
            criteria: [
                ["a value read 1 time", "it is changed and read again", "the new value is served"],
                [
                    "2 cached values",
                    "1 of them is changed",
                    "the other is still served from the cache",
                ],
            ],
        },
        Extra {
            title: "Work without the cache",
            text: "IF the cache cannot be reached, THEN the system SHALL answer from the source \
                   and record one warning",
            category: Category::Reliability,
            priority: Priority::High,
            criteria: [
                ["a cache that fails on each call", "a value is read", "the right value is served"],
                ["a cache that fails on each call", "a value is read", "the log gains 1 warning"],
            ],
        },
        Extra {
            title: "Bound the size of the cache",
            text: "WHILE the cache holds 10000 entries, the system SHALL evict one entry for each \
                   new one",
            category: Category::Performance,
            priority: Priority::Low,
            criteria: [
                ["a cache of 10000 entries", "1 more value is read", "it holds 10000 entries"],
                ["an entry that was evicted", "its value is read", "the right value is served"],
            ],
        },
    ],
    assumptions: &["10000 entries at most: the request gives no figure."],
    questions: &["How old may a served value be, and is the cache shared by several processes?"],
    out_of_scope: &["Caching in browsers and proxies."],
    model: None,
};

const AUDIT: Topic = Topic {
    keys: &["audit*", "activity log*", "change history", "logging"],
    slug: "audit-log",
    hints: &["audit", "log", "event", "record", "history", "trace", "handler"],
    homes: &["audit", "logging", "services", "events"],
    extras: &[
        Extra {
            title: "Keep secrets out of records",
            text: "IF a recorded value is a password, a token or a key, THEN the system SHALL \
                   write a placeholder in its place",
            category: Category::Security,
            priority: Priority::Critical,
            criteria: [
                [
                    "an operation with a known token",
                    "the records are searched for it",
                    "it is found 0 times",
                ],
                ["an operation with a known token", "its record is read", "it holds 1 placeholder"],
            ],
        },
        Extra {
            title: "Record who did what when",
            text: "WHEN a recorded operation ends, the system SHALL write one entry with time, \
                   actor, operation and outcome",
            category: Category::Functional,
            priority: Priority::High,
            criteria: [
                [
                    "3 operations of which 1 fails",
                    "the records are read",
                    "they hold exactly 3 entries with time, actor, operation and outcome",
                ],
                [
                    "an operation that is only read",
                    "the records are read",
                    "0 entries were added for it",
                ],
            ],
        },
        Extra {
            title: "Bound the growth of records",
            text: "WHILE records older than 90 days exist, the system SHALL remove them once a day",
            category: Category::Constraint,
            priority: Priority::Low,
            criteria: [
                [
                    "1 record of 91 days and 1 of 89 days",
                    "the daily removal runs",
                    "1 record is left",
                ],
                ["0 records older than 90 days", "the daily removal runs", "0 records are removed"],
            ],
        },
    ],
    assumptions: &["Records are kept 90 days: the request gives no figure."],
    questions: &["Who may read the records, and how long are they kept?"],
    out_of_scope: &["A user interface to browse the records."],
    model: Some((
        "AuditEntry",
        &[
            "id: identifier",
            "at: timestamp",
            "actor: identifier",
            "operation: string",
            "outcome: succeeded or failed",
        ],
    )),
};

const HEALTH: Topic = Topic {
    keys: &["health check*", "healthcheck*", "health endpoint*", "readiness", "liveness"],
    slug: "health",
    hints: &["health", "ready", "live", "status", "router", "route", "server"],
    homes: &["health", "routes", "api", "http"],
    extras: &[
        Extra {
            title: "Report an unreachable dependency",
            text: "IF a store that the service needs cannot be reached within 2 seconds, THEN the \
                   system SHALL answer the readiness check with status 503 and its name",
            category: Category::Reliability,
            priority: Priority::High,
            criteria: [
                ["a store that is stopped", "the readiness check is called", "the status is 503"],
                ["the store started again", "the readiness check is called", "the status is 200"],
            ],
        },
        Extra {
            title: "Answer checks within bounds",
            text: "WHILE the service is under load, the system SHALL answer a health check within \
                   3 seconds",
            category: Category::Performance,
            priority: Priority::Medium,
            criteria: [
                ["100 requests in flight", "10 checks are called", "all 10 end within 3 seconds"],
                ["a store that never answers", "1 check is called", "it ends within 3 seconds"],
            ],
        },
        Extra {
            title: "Keep internals out of checks",
            text: "The health answer SHALL contain no credential, address or stack trace",
            category: Category::Security,
            priority: Priority::Low,
            criteria: [
                [
                    "a failing store",
                    "the check is called without credentials",
                    "the body holds 0 addresses and 0 credentials",
                ],
                ["a working store", "the check is called", "the body holds only names and states"],
            ],
        },
    ],
    assumptions: &["A check may take 3 seconds: the request gives no figure."],
    questions: &["Who calls the check, and which dependencies decide it?"],
    out_of_scope: &["Alerting on failed checks."],
    model: None,
};

const METRICS: Topic = Topic {
    keys: &["metric*", "prometheus", "opentelemetry", "telemetry", "observab*"],
    slug: "metrics",
    hints: &["metric", "counter", "histogram", "trace", "middleware", "router", "handler"],
    homes: &["metrics", "telemetry", "observability", "middleware"],
    extras: &[
        Extra {
            title: "Bound the number of series",
            text: "The metrics SHALL carry no label whose values come from user input",
            category: Category::Performance,
            priority: Priority::Medium,
            criteria: [
                [
                    "1000 requests with 1000 different ids",
                    "the metrics are read",
                    "the number of series is the same as after 1 request",
                ],
                ["an unknown path", "it is requested", "it is counted under 1 common label"],
            ],
        },
        Extra {
            title: "Keep working without a collector",
            text: "IF the metrics cannot be delivered, THEN the system SHALL serve its requests \
                   with the same results as before",
            category: Category::Reliability,
            priority: Priority::High,
            criteria: [
                ["a collector that is stopped", "100 requests are sent", "all 100 are answered"],
                [
                    "a collector that is stopped",
                    "100 requests are sent",
                    "at most 1 warning is logged",
                ],
            ],
        },
    ],
    assumptions: &["The present operations are measured by count, failure and duration."],
    questions: &["Which collector reads the metrics, and who may read them?"],
    out_of_scope: &["Dashboards and alerts."],
    model: None,
};

const OPTION: Topic = Topic {
    keys: &[
        "command line option*",
        "command line flag*",
        "command-line option*",
        "command-line flag*",
        "cli option*",
        "cli flag*",
        "a subcommand",
        "--*",
    ],
    slug: "",
    hints: &["command", "arg", "flag", "option", "parse", "subcommand", "help", "cli", "main"],
    homes: &["cli", "commands", "cmd", "bin"],
    extras: &[
        Extra {
            title: "Refuse invalid arguments",
            text: "IF an argument is unknown or malformed, THEN the system SHALL exit with status \
                   2 and name the argument",
            category: Category::Functional,
            priority: Priority::High,
            criteria: [
                ["an unknown argument", "the program runs", "it exits with status 2"],
                [
                    "an unknown argument",
                    "the program runs",
                    "exactly 1 message names it, on the error stream",
                ],
            ],
        },
        Extra {
            title: "Describe the option in help",
            text: "WHEN help is asked for, the system SHALL list the option with its default value",
            category: Category::Usability,
            priority: Priority::Low,
            criteria: [
                ["the built program", "it runs with --help", "the output names the option 1 time"],
                ["the built program", "it runs with --help", "it exits with status 0"],
            ],
        },
    ],
    assumptions: &["Present options and their meaning stay as they are."],
    questions: &["What is the default where the option is left out?"],
    out_of_scope: &["Configuration files for the same setting."],
    model: None,
};

const THEME: Topic = Topic {
    keys: &["dark mode", "dark theme", "theme*", "theming"],
    slug: "theme",
    hints: &["theme", "style", "css", "color", "layout", "component", "app", "settings"],
    homes: &["components", "styles", "theme", "ui"],
    extras: &[
        Extra {
            title: "Remember the chosen theme",
            text: "WHEN a person chooses a theme, the system SHALL show that theme on the next \
                   visit",
            category: Category::Usability,
            priority: Priority::High,
            criteria: [
                ["a chosen dark theme", "the page is loaded again", "the dark theme is shown"],
                [
                    "no chosen theme",
                    "the page is loaded",
                    "the theme of the operating system is shown",
                ],
            ],
        },
        Extra {
            title: "Keep text readable in each theme",
            text: "The text in each theme SHALL have a contrast ratio of at least 4.5 to 1",
            category: Category::Usability,
            priority: Priority::Medium,
            criteria: [
                ["each theme", "every text style is measured", "all ratios are at least 4.5 to 1"],
                ["each theme", "the focus ring is measured", "its ratio is at least 3 to 1"],
            ],
        },
    ],
    assumptions: &["The choice is kept in the browser of the person."],
    questions: &["Is the choice kept per device or per account?"],
    out_of_scope: &["Themes that people define themselves."],
    model: None,
};
