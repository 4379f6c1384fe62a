//! End-to-end behaviour of the command line.
