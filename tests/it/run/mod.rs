//! End-to-end behaviour of the command line, and the lessons that the engine and the worker own.

mod agents;
mod calls;
mod contract;
mod exits;
mod lessons;
mod people;
mod steering;
