//! The read models against the aggregates: what they show is what a replay says, however the events
//! are paged and whenever the process dies.

mod crash;
mod due_work;
mod failure;
mod files;
mod models;
mod paging;
mod rebuild;
mod walk;
mod work;
mod world;
