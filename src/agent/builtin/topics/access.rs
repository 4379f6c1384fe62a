//! Who may do what, and how often.

use specline_aggregates::output::{Category, Priority};

use super::{Extra, Topic};

pub(super) const TOPICS: &[Topic] = &[RATE_LIMIT, PASSWORD_RESET, LOGIN];

const RATE_LIMIT: Topic = Topic {
    keys: &["rate limit*", "rate-limit*", "ratelimit*", "throttl*", "request quota*"],
    slug: "rate-limit",
    hints: &[
        "throttle",
        "limiter",
        "quota",
        "middleware",
        "layer",
        "router",
        "route",
        "handler",
        "serve",
        "429",
    ],
    homes: &["middleware", "middlewares", "http", "api", "server", "web"],
    extras: &[
        Extra {
            title: "Reject requests over the limit",
            text: "WHEN a client sends more requests than its limit within one window, the system \
                   SHALL reject each further request of that window with status 429",
            category: Category::Security,
            priority: Priority::Critical,
            criteria: [
                [
                    "a limit of 5 requests in 60 seconds",
                    "one client sends 6 requests in 10 seconds",
                    "the first 5 are answered as before and the 6th gets status 429",
                ],
                [
                    "a client that was rejected",
                    "the window of 60 seconds has ended",
                    "its next request is answered with the same status as before the limit",
                ],
            ],
        },
        Extra {
            title: "Tell rejected clients when to retry",
            text: "WHEN the system rejects a request for exceeding the limit, the system SHALL \
                   include a Retry-After header with the whole seconds until the window ends",
            category: Category::Functional,
            priority: Priority::High,
            criteria: [
                [
                    "a client over its limit with 42 seconds of the window left",
                    "it sends a request",
                    "the response carries Retry-After with a value from 1 to 42",
                ],
                [
                    "a client below its limit",
                    "it sends a request",
                    "the response carries 0 Retry-After headers",
                ],
            ],
        },
        Extra {
            title: "Count each client by itself",
            text: "WHILE one client is over its limit, the system SHALL answer the requests of \
                   every other client as if no limit had been reached",
            category: Category::Reliability,
            priority: Priority::High,
            criteria: [
                [
                    "client A over its limit of 5 requests",
                    "client B sends 5 requests",
                    "all 5 requests of client B get a status other than 429",
                ],
                [
                    "two clients behind one address with different API keys",
                    "each sends 5 requests",
                    "all 10 requests get a status other than 429",
                ],
            ],
        },
        Extra {
            title: "Set limits by configuration",
            text: "WHERE a limit is configured for a route, the system SHALL apply that limit in \
                   place of the default of 100 requests in 60 seconds",
            category: Category::Constraint,
            priority: Priority::Medium,
            criteria: [
                [
                    "a route configured with 2 requests in 60 seconds",
                    "a client sends 3 requests",
                    "the 3rd gets status 429",
                ],
                [
                    "a route without a limit of its own",
                    "a client sends 101 requests in 60 seconds",
                    "the first 100 are served and the 101st gets status 429",
                ],
            ],
        },
        Extra {
            title: "Keep serving when counting fails",
            text: "IF the request counters cannot be read or written, THEN the system SHALL serve \
                   the request and record one warning that names the cause",
            category: Category::Reliability,
            priority: Priority::Medium,
            criteria: [
                [
                    "a counter store that fails on each call",
                    "a client sends 1 request",
                    "the request is served with its usual status",
                ],
                [
                    "a counter store that fails on each call",
                    "a client sends 1 request",
                    "the log gains exactly 1 warning that names the cause",
                ],
            ],
        },
    ],
    assumptions: &[
        "The default limit is 100 requests in 60 seconds per client: the request gives no figure.",
        "A client is known by its API key or account, and by its network address without one.",
        "Counters live in the memory of one process: several instances count apart.",
    ],
    questions: &[
        "Which limit and which window are wanted, and do they differ by route or by plan?",
        "By what is a client known: API key, account or network address?",
        "Does the service run as several instances that have to share the counters?",
    ],
    out_of_scope: &[
        "Billing or selling of higher limits.",
        "Protection against floods below HTTP, which belongs in front of the service.",
    ],
    model: Some((
        "RateLimitCounter",
        &["client: string", "window_start: timestamp", "n_requests: integer"],
    )),
};

const PASSWORD_RESET: Topic = Topic {
    keys: &[
        "password reset*",
        "reset password*",
        "reset my password",
        "reset their password",
        "forget their password",
        "forgets their password",
        "forgot password",
        "forgotten password",
        "password recovery",
    ],
    slug: "password-reset",
    hints: &["password", "auth", "token", "mail", "account", "session", "hash"],
    homes: &["auth", "accounts", "users", "services", "routes"],
    extras: &[
        Extra {
            title: "Expire unused reset links",
            text: "IF a reset link is older than 60 minutes or was used before, THEN the system \
                   SHALL refuse it and keep the password unchanged",
            category: Category::Security,
            priority: Priority::Critical,
            criteria: [
                [
                    "a reset link issued 61 minutes ago",
                    "it is opened",
                    "it is refused and the old password still signs in",
                ],
                [
                    "a reset link that was used 1 time",
                    "it is opened again",
                    "it is refused and the password stays as it was set",
                ],
            ],
        },
        Extra {
            title: "Hide which accounts exist",
            text: "WHEN a reset is asked for an address without an account, the system SHALL give \
                   the same answer as for an address with one",
            category: Category::Security,
            priority: Priority::High,
            criteria: [
                [
                    "1 known and 1 unknown address",
                    "a reset is asked for each",
                    "both answers have the same status and body",
                ],
                ["an unknown address", "a reset is asked for it", "0 messages are sent"],
            ],
        },
        Extra {
            title: "End sessions after a reset",
            text: "WHEN a password is reset, the system SHALL end every other session of the \
                   account",
            category: Category::Security,
            priority: Priority::Medium,
            criteria: [
                [
                    "an account with 2 open sessions",
                    "its password is reset in one of them",
                    "the other session gets status 401 on its next request",
                ],
                [
                    "another account with 1 open session",
                    "the reset ends",
                    "the session of that account stays valid",
                ],
            ],
        },
    ],
    assumptions: &["A reset link lives 60 minutes: the request gives no figure."],
    questions: &["How long is a reset link valid, and which channel carries it?"],
    out_of_scope: &["A second factor at sign-in.", "Rules on the strength of passwords."],
    model: Some((
        "PasswordReset",
        &[
            "account_id: identifier",
            "token_hash: string",
            "expires_at: timestamp",
            "used_at: timestamp or null",
        ],
    )),
};

const LOGIN: Topic = Topic {
    keys: &[
        "login*",
        "log in",
        "logging in",
        "sign in",
        "sign-in",
        "signin",
        "authenticat*",
        "oauth*",
        "sso",
        "single sign*",
        "jwt",
        "2fa",
        "two-factor*",
        "api key*",
    ],
    slug: "auth",
    hints: &[
        "auth",
        "login",
        "session",
        "token",
        "jwt",
        "password",
        "middleware",
        "user",
        "account",
        "credential",
    ],
    homes: &["auth", "security", "middleware", "routes", "services"],
    extras: &[
        Extra {
            title: "Refuse invalid credentials",
            text: "IF the credentials of a request are missing, expired or wrong, THEN the system \
                   SHALL refuse the request with status 401 and reveal no account detail",
            category: Category::Security,
            priority: Priority::Critical,
            criteria: [
                [
                    "a request without credentials",
                    "it reaches a protected part",
                    "it gets status 401 and changes 0 records",
                ],
                [
                    "1 known and 1 unknown account",
                    "each signs in with a wrong secret",
                    "both answers have the same status and body",
                ],
            ],
        },
        Extra {
            title: "Slow down repeated failures",
            text: "WHEN one account fails to authenticate 5 times within 15 minutes, the system \
                   SHALL refuse further tries for that account for 15 minutes",
            category: Category::Security,
            priority: Priority::High,
            criteria: [
                [
                    "an account with 5 failed tries in 15 minutes",
                    "the right secret is sent",
                    "the 6th try is refused",
                ],
                [
                    "an account with 4 failed tries in 15 minutes",
                    "the right secret is sent",
                    "the 5th try succeeds",
                ],
            ],
        },
        Extra {
            title: "Record every authentication outcome",
            text: "WHEN an authentication succeeds or fails, the system SHALL record one entry \
                   with time, account and outcome, without any secret",
            category: Category::Security,
            priority: Priority::Medium,
            criteria: [
                [
                    "1 failed and 1 successful try",
                    "the log is read",
                    "it holds exactly 2 entries with time, account and outcome",
                ],
                [
                    "a try with a known secret",
                    "the log is searched for that secret",
                    "it is found 0 times",
                ],
            ],
        },
    ],
    assumptions: &["Five failures in 15 minutes lock an account for 15 minutes: assumed figures."],
    questions: &["Which identity source is used, and how long does a session live?"],
    out_of_scope: &["Management of roles and permissions beyond what exists today."],
    model: None,
};
