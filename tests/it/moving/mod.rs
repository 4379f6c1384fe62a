//! Moving a log into another store, backing it up and putting it back: with the real binary, and
//! with the library where a test must look inside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and an unwrap says where")]
#![expect(clippy::print_stdout, reason = "moments of a kill are told")]

mod backup;
mod copy;
mod filled;
mod killed;
mod refused;
mod restore;
mod resumed;
