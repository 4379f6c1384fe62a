//! How sandboxes are kept apart from the machine.

use super::{Error, Key, Reader, Secret};
use crate::sandbox::isolation::{self, Choice};

/// `[sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    pub isolation: Choice,
}

impl Sandbox {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let key = Key {
            name: "sandbox.isolation",
            flag: None,
            env: &[isolation::VARIABLE],
            secret: Secret::No,
        };
        Ok(Self { isolation: reader.value(key, Choice::Auto)? })
    }
}
