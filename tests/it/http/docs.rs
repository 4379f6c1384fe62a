//! The OpenAPI document: whole, kept in the tree, and shown by a page that needs no other network.

use std::collections::BTreeSet;

use serde_json::Value;
use specline::http::{ROUTES, openapi};

use super::golden;
use crate::access::Caller;
use crate::support::{Lab, Start};

#[test]
fn the_document_is_the_one_in_the_tree() {
    golden("docs/openapi.json", &format!("{:#}\n", openapi()));
}

#[test]
fn every_route_is_documented_and_nothing_else() {
    let document = openapi();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let routes = ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned()));
    let routes: BTreeSet<_> = routes.collect();
    let silent: Vec<_> = routes.difference(&documented).collect();
    assert!(silent.is_empty(), "not in src/http/docs/operations.rs: {silent:#?}");
    let gone: Vec<_> = documented.difference(&routes).collect();
    assert!(gone.is_empty(), "documented, and no route: {gone:#?}");
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.insert(reference.clone());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = openapi();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 40, "only {} references", found.len());
    for reference in found {
        let target = document.pointer(reference.trim_start_matches('#'));
        assert!(target.is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn operation_ids_are_unique() {
    let document = openapi();
    let mut ids = BTreeSet::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} stands twice");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_loads_nothing_from_elsewhere() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let page = caller.get("/api/docs", "").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let html = page.body.as_str().unwrap();
    let named: Vec<_> = html.split('"').filter(|part| part.starts_with("/api/docs/")).collect();
    assert_eq!(named.len(), 2, "{html}");
    for path in named {
        let file = caller.get(path, "").await;
        assert_eq!(file.status, 200, "{path}");
        let text = file.body.as_str().unwrap();
        assert!(!text.contains("://"), "{path} names another place");
    }
    assert!(!html.contains("://"), "the page names another place");
    let served = caller.get("/api/openapi.json", "").await;
    assert_eq!(served.body, openapi());
}
