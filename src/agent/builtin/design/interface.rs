//! The faces of a design: data models, endpoints and the choice that its topic brings.

use std::collections::BTreeSet;

use specline_aggregates::RawJson;
use specline_aggregates::output::{Component, DataModel, Decision, Endpoint, Field};

use super::super::{feature, tokens};
use super::Source;

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];
const MAX_ENDPOINTS: usize = 8;
const MAX_MODELS: usize = 3;

/// The model that the topic needs, and existing ones that the request names.
pub(super) fn models(source: &Source<'_>, components: &[Component]) -> Vec<DataModel> {
    let path = components.first().and_then(|component| component.path.clone());
    let mut models = Vec::new();
    if let Some((name, fields)) = feature::topic(source.request).and_then(|topic| topic.model) {
        let fields = fields.iter().map(|field| as_field(field)).collect();
        models.push(DataModel { name: name.into(), fields, path });
    }
    let text = tokens::words(&feature::text(source.request));
    let asked: BTreeSet<&str> = text.iter().map(|word| word.trim_end_matches('s')).collect();
    for model in &source.explore.existing_models {
        let words = tokens::words(&model.name);
        let is_asked = |word: &String| asked.contains(word.trim_end_matches('s'));
        let is_named = !words.is_empty() && words.iter().all(is_asked);
        let is_new = models.iter().all(|known: &DataModel| known.name != model.name);
        if is_named && is_new && !model.fields.is_empty() && models.len() < MAX_MODELS {
            models.push(DataModel {
                name: model.name.clone(),
                fields: model.fields.iter().map(|field| as_field(field)).collect(),
                path: Some(model.path.clone()),
            });
        }
    }
    models
}

fn as_field(text: &str) -> Field {
    let (name, kind) = text.split_once(": ").unwrap_or((text, "as declared"));
    Field { name: name.into(), kind: kind.into() }
}

/// Endpoints that the request names, that its topic needs, and existing ones that it changes.
pub(super) fn endpoints(source: &Source<'_>) -> Vec<Endpoint> {
    let mut endpoints = named(&feature::text(source.request));
    if source.survey.n_routes() > 0 {
        endpoints.extend(of_topic(source));
        endpoints.extend(changed(source));
    }
    let mut seen = BTreeSet::new();
    endpoints.retain(|endpoint| seen.insert((endpoint.method.clone(), endpoint.path.clone())));
    endpoints.truncate(MAX_ENDPOINTS);
    endpoints
}

fn endpoint(method: &str, path: &str, description: String) -> Endpoint {
    let (request, response, auth) = (None, None, None);
    let (method, path) = (method.to_owned(), path.to_owned());
    Endpoint { method, path, description, request, response, auth }
}

/// `GET /orders/{id}` in the request's own words.
fn named(text: &str) -> Vec<Endpoint> {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c == '`').collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter(|pair| METHODS.contains(&pair[0]));
    pairs
        .filter_map(|pair| {
            let path = pair[1].trim_end_matches(['.', ',', ';', ':', ')', '"']);
            let is_path = path.starts_with('/') && path.len() < 200 && path.is_ascii();
            let plain = path.chars().all(|c| c.is_alphanumeric() || "/{}:_-.".contains(c));
            (is_path && plain).then(|| endpoint(pair[0], path, "Named in the request".into()))
        })
        .collect()
}

fn of_topic(source: &Source<'_>) -> Option<Endpoint> {
    let topic = feature::topic(source.request)?;
    let base = base_path(source);
    let (method, path, what) = match topic.slug {
        "export" => ("GET", format!("{base}/export"), "Answers with the exported file"),
        "import" => ("POST", format!("{base}/import"), "Takes the file to import"),
        "search" => ("GET", format!("{base}/search"), "Answers with the records that match"),
        "password-reset" => ("POST", "/password-reset".into(), "Asks for a reset link"),
        "health" => ("GET", "/health".into(), "Says whether the service can work"),
        "metrics" => ("GET", "/metrics".into(), "Shows the measures to the collector"),
        "webhook" => ("POST", "/webhooks".into(), "Registers a receiver"),
        _ => return None,
    };
    let known = source.survey.routes.iter().flatten().any(|r| r.path == path && r.method == method);
    let state = if known { "existing" } else { "proposed" };
    let mut endpoint = endpoint(method, &path, format!("{what} ({state})"));
    endpoint.response = RawJson::of("as the acceptance criteria say").ok();
    Some(endpoint)
}

/// The collection that the most related route serves.
fn base_path(source: &Source<'_>) -> String {
    let related = source.explore.related_to_feature.iter();
    let mut routes = related.filter_map(|related| source.survey.index(&related.path));
    let first = routes.find_map(|index| source.survey.routes[index].first());
    let path = first.map_or("", |route| route.path.as_str());
    let fixed = path.split('/').take_while(|part| !part.contains([':', '{', '<', '*']));
    fixed.collect::<Vec<_>>().join("/").trim_end_matches('/').to_owned()
}

fn changed(source: &Source<'_>) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    let sources = source.explore.related_to_feature.iter().take(4);
    for index in sources.filter_map(|related| source.survey.index(&related.path)) {
        let path = &source.survey.files[index].path;
        for route in &source.survey.routes[index] {
            let description = format!("Existing, in {path} line {}: changed by this", route.line);
            if METHODS.contains(&route.method.as_str()) {
                endpoints.push(endpoint(&route.method, &route.path, description));
            }
        }
    }
    endpoints
}

/// The choice that a topic always brings.
pub(super) fn topic_decision(slug: &str) -> Option<Decision> {
    let (choice, alternatives, why): (&str, &[&str], &str) = match slug {
        "rate-limit" => (
            "Count in a fixed window, in the memory of the process",
            &["A token bucket per client", "Counters in a shared store such as Redis"],
            "no further service is needed; several instances would need a shared store",
        ),
        "auth" => (
            "Check credentials in one layer in front of the handlers",
            &["Check in each handler"],
            "a handler that forgets the check cannot exist",
        ),
        "cache" => (
            "Drop an entry when its source changes, with an age limit as a second line",
            &["An age limit alone", "Writing through the cache"],
            "readers see their own writes, and a missed change ends with the age limit",
        ),
        "export" => (
            "Write rows as they are read",
            &["Build the whole file in memory"],
            "memory stays bounded however many rows there are",
        ),
        "import" => (
            "Check the whole input, then store it in one transaction",
            &["Store each record as it is read"],
            "a fault in the last record leaves nothing behind",
        ),
        "webhook" | "notification" => (
            "Put messages in an outbox and deliver them beside the main work",
            &["Deliver within the operation that raised them"],
            "a slow or dead receiver does not hold the operation up, and nothing is lost",
        ),
        "password-reset" => (
            "Store only a hash of the reset token",
            &["Store the token itself", "A signed token without storage"],
            "a leaked table opens no account, and a used link can be refused",
        ),
        "pagination" => (
            "Page by the key of the last record shown",
            &["Page by number and offset"],
            "records added between two pages shift nothing",
        ),
        _ => return None,
    };
    Some(Decision {
        choice: choice.into(),
        alternatives: alternatives.iter().map(|text| (*text).to_owned()).collect(),
        why: why.into(),
    })
}
