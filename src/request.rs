//! The request that is being answered, for whatever is recorded or said on its way: a name of its
//! own, and the access key behind it. It travels with the task, so that no signature has to.

use std::future::Future;

use specline_aggregates::AccessKeyId;

/// A request, as its events, its log lines and its answer name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub id: String,
    /// None: the local operator, or nobody who is known yet.
    pub key: Option<AccessKeyId>,
}

tokio::task_local! {
    static CURRENT: Request;
}

/// Runs `work` as part of `request`.
pub async fn within<F: Future>(request: Request, work: F) -> F::Output {
    CURRENT.scope(request, work).await
}

/// The request that this task answers; none for a duty.
#[must_use]
pub fn current() -> Option<Request> {
    CURRENT.try_with(Clone::clone).ok()
}
