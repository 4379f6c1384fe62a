//! What the log in PostgreSQL promises beyond the suite of every store: the order that readers see
//! beside open transactions, lost connections and servers, postgres-es as a second writer, and the
//! making of the tables.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and an unwrap says where")]
#![expect(clippy::print_stdout, reason = "seeds and figures are told")]

mod away;
mod interop;
mod lost;
mod migrations;
mod order;
mod outage;
pub mod proxy;
mod racing;
mod schemas;
mod world;
