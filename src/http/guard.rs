//! Lets in whom a route is for, and nobody else: who calls, how often, with which scope, and whose
//! the subject is, in this order. It runs before every handler.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use axum::RequestExt as _;
use axum::extract::{MatchedPath, Path as RawPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use specline_aggregates::access_key::Scope;

use super::Api;
use super::auth::Principal;
use super::error::Refusal;
use super::needs::{self, Need, Of};
use crate::engine::{DraftRequest, EngineError, Owned};
use crate::request;

/// A refusal on its way to an answer; boxed, as answers are large.
type Refused = Box<Response>;

pub(super) async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let need = match request.extensions().get::<MatchedPath>() {
        Some(path) => needs::of(request.method(), path.as_str()),
        None => Need::Nothing,
    };
    let Need::Scope(scope, of) = need else { return next.run(request).await };
    let principal = match admit(&api, &mut request, (scope, of)).await {
        Ok(principal) => principal,
        Err(refused) => return *refused,
    };
    let current = request::current().map(|current| current.id).unwrap_or_default();
    let current = request::Request { id: current, key: principal.key() };
    request.extensions_mut().insert(principal);
    request::within(current, next.run(request)).await
}

async fn admit(
    api: &Api,
    request: &mut Request,
    (scope, of): (Scope, Of),
) -> Result<Principal, Refused> {
    let principal = api.principal(request.headers(), request.extensions()).await?;
    if let Some(key) = principal.key() {
        api.buckets.take(key).map_err(too_often)?;
    }
    if !principal.allows(scope) {
        let detail = format!("this needs a key with the scope `{}`", scope.as_str());
        return Err(Refusal::new(StatusCode::FORBIDDEN, "scope_missing", detail).into());
    }
    let Some(project) = principal.project() else { return Ok(principal) };
    let subject = subject(request, of).await?;
    for owned in subject {
        let owner = api.engine.project_of(owned).await.map_err(Refusal::from)?;
        if owner != Some(project) {
            return Err(Refusal::from(owned.not_found()).into());
        }
    }
    Ok(principal)
}

/// What the path names, whose project has to be the key's.
async fn subject(request: &mut Request, of: Of) -> Result<Vec<Owned>, Refusal> {
    let path = request.extract_parts::<RawPath<BTreeMap<String, String>>>().await;
    let path = path.map(|RawPath(path)| path).unwrap_or_default();
    Ok(match of {
        Of::Everything => {
            let detail = "this is about all projects, and the key is bound to one";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "project_bound", detail));
        }
        Of::Handler => Vec::new(),
        Of::Spec => vec![Owned::Spec(id(&path, "id")?)],
        Of::SpecAndTicket => {
            vec![Owned::Spec(id(&path, "id")?), Owned::Ticket(id(&path, "ticket_id")?)]
        }
        Of::Task => vec![Owned::Task(id(&path, "id")?)],
        Of::Ticket => vec![Owned::Ticket(id(&path, "id")?)],
        Of::Sandbox => vec![Owned::Sandbox(id(&path, "id")?)],
        Of::Project => vec![Owned::Project(id(&path, "id")?)],
    })
}

impl Api {
    /// A key that is bound to a project drafts in it, from its tickets. What it may not see, and
    /// what is on this machine, it does not learn from the answer.
    pub(super) async fn may_draft(
        &self,
        principal: &Principal,
        draft: &DraftRequest,
    ) -> Result<(), Refusal> {
        let Some(own) = principal.project() else { return Ok(()) };
        if let Some(asked) = draft.project {
            principal.may_see(asked)?;
        }
        match self.engine.project_of_draft(draft).await {
            Ok(project) if project == own => {}
            Ok(_) | Err(EngineError::InvalidInput { .. } | EngineError::NotFound { .. }) => {
                let id = "of this repository".to_owned();
                return Err(EngineError::NotFound { what: "project", id }.into());
            }
            Err(other) => return Err(other.into()),
        }
        let Some(ticket) = draft.source_ticket.map(Owned::Ticket) else { return Ok(()) };
        match self.engine.project_of(ticket).await? {
            Some(project) if project == own => Ok(()),
            Some(_) | None => Err(ticket.not_found().into()),
        }
    }
}

fn id<T: FromStr>(path: &BTreeMap<String, String>, name: &str) -> Result<T, Refusal> {
    path.get(name).and_then(|text| text.parse().ok()).ok_or_else(|| {
        let detail = format!("{name} in the path is not a UUID");
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_path", detail)
    })
}

fn too_often(wait: Duration) -> Refusal {
    let seconds = wait.as_secs() + 1;
    let detail = format!("this key calls too often; wait {seconds} s");
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).retry_after(seconds)
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.into_response())
    }
}
