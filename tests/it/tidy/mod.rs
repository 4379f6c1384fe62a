//! The rules of the house that no compiler holds: sizes, headers, and which module may use what.

mod edges;
mod sizes;
mod sources;
