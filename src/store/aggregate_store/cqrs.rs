//! `cqrs_es::EventStore` on the aggregate store, so that the stock `CqrsFramework` works on it.

use std::collections::HashMap;

use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};
use specline_aggregates::EventSourced;
use uuid::Uuid;

use super::{AggregateStore, Commit, Loaded, StoreError};
use crate::store::{LogError, Recorded};

/// Events read at a time.
const PAGE: usize = 1_000;

/// A loaded aggregate, and the copy that the framework's command handler changes: the sink applies
/// each event to it, and a commit starts from the loaded one again, so none counts twice.
#[derive(Debug)]
pub struct Context<A> {
    loaded: Loaded<A>,
    working: A,
}

impl<A: EventSourced> AggregateContext<A> for Context<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.working
    }
}

impl<A: EventSourced> EventStore<A> for AggregateStore<A> {
    type AC = Context<A>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let stream = Self::stream(parse_id::<A>(aggregate_id)?);
        let mut envelopes = Vec::new();
        loop {
            let after = envelopes.len() as u64;
            let page = self.log().read_stream(&stream, after, PAGE).await;
            let page = page.map_err(|error| told::<A>(error.into()))?;
            for event in &page {
                envelopes.push(envelope::<A>(event).map_err(told::<A>)?);
            }
            if page.len() < PAGE {
                return Ok(envelopes);
            }
        }
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<Context<A>, AggregateError<A::Error>> {
        let id = parse_id::<A>(aggregate_id)?;
        let loaded = self.load(id).await.map_err(told::<A>)?;
        let working = A::clone(&loaded.state);
        Ok(Context { loaded, working })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Context<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (id, before) = (context.loaded.id.to_string(), context.loaded.version());
        let commit = Commit {
            events: events.clone(),
            metadata: metadata.clone().into_iter().collect(),
            key: None,
            blobs: Vec::new(),
        };
        Self::commit(self, context.loaded, commit).await.map_err(told::<A>)?;
        let envelopes = events.into_iter().zip(before + 1..).map(|(payload, sequence)| {
            let sequence = count(sequence);
            EventEnvelope {
                aggregate_id: id.clone(),
                sequence,
                payload,
                metadata: metadata.clone(),
            }
        });
        Ok(envelopes.collect())
    }
}

fn parse_id<A: EventSourced>(text: &str) -> Result<Uuid, AggregateError<A::Error>> {
    Uuid::try_parse(text).map_err(|error| AggregateError::UnexpectedError(Box::new(error)))
}

fn envelope<A: EventSourced>(event: &Recorded) -> Result<EventEnvelope<A>, StoreError> {
    let payload = A::decode(&event.event_type, &event.event_version, &event.payload)
        .map_err(|error| StoreError::undecodable(event, error))?;
    let metadata = serde_json::from_str(&event.metadata).map_err(|error| {
        let place = super::Place::of(event);
        StoreError::Malformed { place, cause: format!("metadata: {error}") }
    })?;
    Ok(EventEnvelope {
        aggregate_id: event.stream.aggregate_id.to_string(),
        sequence: count(event.sequence),
        payload,
        metadata,
    })
}

fn count(sequence: u64) -> usize {
    usize::try_from(sequence).unwrap_or(usize::MAX)
}

/// The framework's name for each error.
fn told<A: EventSourced>(error: StoreError) -> AggregateError<A::Error> {
    match error {
        StoreError::Log(LogError::Conflict { .. }) => AggregateError::AggregateConflict,
        StoreError::Log(LogError::Transient { .. }) => {
            AggregateError::DatabaseConnectionError(Box::new(error))
        }
        StoreError::Newer { .. } | StoreError::Malformed { .. } => {
            AggregateError::DeserializationError(Box::new(error))
        }
        StoreError::Log(
            LogError::KeyReused { .. } | LogError::TooLarge { .. } | LogError::Corrupt { .. },
        )
        | StoreError::DoesNotFollow { .. }
        | StoreError::Illegal { .. }
        | StoreError::NotSerialisable { .. } => AggregateError::UnexpectedError(Box::new(error)),
    }
}
