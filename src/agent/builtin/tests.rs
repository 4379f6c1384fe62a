//! All four phases, on repositories that look like real ones, through the gates.

mod gates;
mod reading;
mod repos;
mod wording;
