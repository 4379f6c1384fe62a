//! Keys on several nodes of one log.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::support::{Cluster, Served};

/// The bound that docs/access.md promises.
const BOUND: Duration = Duration::from_secs(1);

#[test]
fn a_revoked_key_is_refused_on_every_node_within_a_second() {
    let cluster = Cluster::new();
    // The client asks again and again, which it could not otherwise.
    let patient = ("SPECLINE_FAILED_LOGINS_PER_MINUTE", "0".to_owned());
    let served = Served { env: vec![patient], ..Served::default() };
    let (one, two) = (cluster.serve(&served), cluster.serve(&served));
    for n in 0..5 {
        let body = json!({ "name": format!("ci {n}"), "scopes": ["reader"] });
        let made = cluster.post(&one, "/keys", &body, None).unwrap();
        assert_eq!(made.status, 201, "{made:?}");
        let key = made.body["key"].as_str().unwrap();
        let status = |node: String| {
            let answer = cluster.http.call(Method::GET, &node, key, None);
            answer.map(|answer| answer.status)
        };
        let (here, there) = (one.url("/specs"), two.url("/specs"));
        assert_eq!(status(here.clone()), Some(200));
        assert_eq!(status(there.clone()), Some(200), "a key holds on every node at once");
        let path = format!("/keys/{}/revoke", made.body["id"].as_str().unwrap());
        assert_eq!(cluster.post(&one, &path, &json!({}), None).unwrap().status, 200);
        let revoked = Instant::now();
        assert_eq!(status(here), Some(401), "at once where it was revoked");
        let mut last_good = None;
        while revoked.elapsed() < BOUND {
            if status(there.clone()) == Some(200) {
                last_good = Some(revoked.elapsed());
            }
        }
        assert_eq!(status(there), Some(401), "the last good answer came after {last_good:?}");
    }
}
