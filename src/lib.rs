//! Specline: a durable workflow engine for spec-driven development with AI coding agents.
//! ARCHITECTURE.md says what is where, and why.

pub mod agent;
pub mod bench;
pub mod cli;

pub mod commands;
pub mod config;
pub mod crash_point;
pub mod descriptors;
pub mod engine;
pub mod export;
pub mod git;
pub mod http;
pub mod metrics;
pub mod plain;
pub mod private;
pub mod program;
pub mod prompts;
pub mod protocol;
pub mod request;
pub mod sandbox;
pub mod store;
pub mod telemetry;
pub mod untrusted;
pub mod view;
pub mod worker;
