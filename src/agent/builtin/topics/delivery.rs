//! Messages to people and to other systems.

use specline_aggregates::output::{Category, Priority};

use super::{Extra, Topic};

pub(super) const TOPICS: &[Topic] = &[WEBHOOK, NOTIFICATION];

const WEBHOOK: Topic = Topic {
    keys: &["webhook*", "callback url*"],
    slug: "webhook",
    hints: &["webhook", "event", "http", "client", "deliver", "queue", "retry", "signature"],
    homes: &["webhooks", "events", "services", "integrations"],
    extras: &[
        Extra {
            title: "Retry failed webhook deliveries",
            text: "IF a webhook delivery is not answered with a status from 200 to 299 within 10 \
                   seconds, THEN the system SHALL try it again up to 5 times with growing pauses",
            category: Category::Reliability,
            priority: Priority::High,
            criteria: [
                ["a receiver that fails 2 times", "an event occurs", "the 3rd try delivers it"],
                [
                    "a receiver that always fails",
                    "an event occurs",
                    "6 tries are made and the delivery is marked as failed",
                ],
            ],
        },
        Extra {
            title: "Sign every webhook delivery",
            text: "WHEN the system sends a webhook, the system SHALL sign the body with the secret \
                   of its receiver",
            category: Category::Security,
            priority: Priority::Critical,
            criteria: [
                [
                    "a receiver with a secret",
                    "a webhook arrives",
                    "its signature matches the HMAC-SHA256 of the body",
                ],
                [
                    "a body changed in 1 byte",
                    "the receiver verifies it",
                    "the signature does not match",
                ],
            ],
        },
        Extra {
            title: "Deliver beside the main work",
            text: "WHILE a receiver does not answer, the system SHALL complete the operation that \
                   raised the event without waiting for it",
            category: Category::Performance,
            priority: Priority::Medium,
            criteria: [
                [
                    "a receiver that answers after 30 seconds",
                    "an event occurs",
                    "the operation that raised it ends within 1 second of its usual time",
                ],
                [
                    "1 silent and 1 answering receiver",
                    "an event occurs",
                    "the answering receiver gets it within 10 seconds",
                ],
            ],
        },
    ],
    assumptions: &["Five further tries, 10 seconds for an answer: the request gives no figures."],
    questions: &["Which events are sent, and who registers a receiver and its secret?"],
    out_of_scope: &["A user interface for receivers."],
    model: Some((
        "WebhookDelivery",
        &[
            "id: identifier",
            "event: string",
            "target: url",
            "n_attempts: integer",
            "status: pending, delivered or failed",
        ],
    )),
};

const NOTIFICATION: Topic = Topic {
    keys: &["notif*", "email*", "e-mail*", "sms", "push message*", "reminder*"],
    slug: "notification",
    hints: &["notify", "mail", "email", "message", "send", "template", "queue", "smtp"],
    homes: &["notifications", "mail", "services", "jobs"],
    extras: &[
        Extra {
            title: "Survive a failing message channel",
            text: "IF a message cannot be handed to its channel, THEN the system SHALL keep it and \
                   try again up to 3 times within 15 minutes",
            category: Category::Reliability,
            priority: Priority::High,
            criteria: [
                [
                    "a channel that fails 1 time",
                    "a message is due",
                    "it is delivered by the 2nd try",
                ],
                [
                    "a channel that always fails",
                    "a message is due",
                    "4 tries are made and the message is marked as failed",
                ],
            ],
        },
        Extra {
            title: "Send each message once",
            text: "WHEN one event is processed twice, the system SHALL send exactly 1 message for \
                   it",
            category: Category::Functional,
            priority: Priority::Medium,
            criteria: [
                ["an event processed 2 times", "the outbox is read", "it holds exactly 1 message"],
                ["2 different events", "the outbox is read", "it holds exactly 2 messages"],
            ],
        },
        Extra {
            title: "Respect the choice of recipients",
            text: "WHERE a recipient has switched such messages off, the system SHALL send that \
                   recipient 0 of them",
            category: Category::Usability,
            priority: Priority::Low,
            criteria: [
                ["a recipient who switched messages off", "an event occurs", "0 messages are sent"],
                [
                    "the same recipient after switching them on",
                    "an event occurs",
                    "1 message is sent",
                ],
            ],
        },
    ],
    assumptions: &["Three further tries within 15 minutes: the request gives no figure."],
    questions: &["Which channel carries the messages, and what is their wording?"],
    out_of_scope: &["Statistics on opened messages."],
    model: Some((
        "Notification",
        &[
            "id: identifier",
            "recipient: identifier",
            "event: string",
            "status: pending, sent or failed",
            "n_attempts: integer",
        ],
    )),
};
