//! The one integration test binary: one to build, one to link.

mod sandbox_process;
mod store_conformance;
