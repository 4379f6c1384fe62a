//! Catching up: events folded into every read model, in pages of 1,000.

fn main() {}
