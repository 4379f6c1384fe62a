//! End-to-end behaviour of the command line, and the lessons that the engine and the worker own.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

mod agents;
mod bench;
mod calls;
mod contract;
mod evaluators;
mod exits;
mod lessons;
mod parked;
mod people;
mod repeats;
mod steering;
