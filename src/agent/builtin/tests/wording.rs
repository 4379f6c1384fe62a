//! Wording of requirements.
