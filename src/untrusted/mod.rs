//! Files that somebody else may have put where Specline looks: a repository, an agent, a neighbour.
//! They are read and written here, never through links, never waiting for a pipe or a device, and
//! never more than the caller has room for. What the bytes mean is the caller's affair.
//!
//! [`read_regular`] is for one file in a folder that is ours or that a person named; [`Folder`] for
//! everything beneath a root whose inside is not trusted, each part of a path included.

mod folder;
mod regular;

pub use folder::Folder;
pub use regular::{Unfit, is_unfit, open_regular, read_regular, read_text};
