//! Reading of repositories.
