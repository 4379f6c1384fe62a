//! The one integration test binary: one to build, one to link.

mod audit;
mod access;
mod crash;
mod moving;
mod nodes;
mod postgres;
mod run;
mod sandbox_process;
mod store_conformance;
mod support;
mod tidy;
