//! The trust border: each test attacks the real binary, as who it says, and shows what the attacker
//! gets.

mod adopted;
mod confined;
