//! Attacks on the trust border, through the real binary: what a repository, an agent, a key, a
//! neighbour and a writer of the database try, and what must not come of it.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

mod adopted;
mod borders;
mod cached;
mod callers;
mod clocks;
mod configured;
mod confined;
mod foreign;
mod git_programs;
mod hangup;
mod hidden;
mod links;
mod log_world;
mod many_launches;
mod marks;
mod modes;
mod named;
mod policies;
mod programs;
mod sealed;
mod secret;
mod served;
mod special_files;
mod terminal;
