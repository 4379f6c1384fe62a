//! The one integration test binary: one to build, one to link.

mod abuse;
mod access;
mod audit;
mod crash;
mod http;
mod moving;
mod nodes;
mod operations;
mod postgres;
mod run;
mod sandbox_process;
mod store_conformance;
mod support;
mod tidy;
mod trust;
