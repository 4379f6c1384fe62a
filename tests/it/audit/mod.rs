//! The log as auditors use it: queries, the live stream, seals and proofs, and every kind of
//! tampering found.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod bounded;
mod commands;
mod indexed;
mod live;
mod load;
mod proofs;
mod queries;
mod served;
mod tampering;
mod verifier;
mod world;
