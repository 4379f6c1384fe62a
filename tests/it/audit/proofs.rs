//! Proofs of the log, checked by the verifier of a third party.

use serde_json::Value;
use specline::store::Position;
use specline::store::seals::{self, NoProof};

use super::verifier;
use super::world::{Place, append, audit, checked, event, fill, seal, stream};
use crate::support::times;

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_proven_under_every_seal() {
    for (place, n) in Place::both().into_iter().zip([times(40, 130), times(20, 70)]) {
        let n = u64::from(n);
        let log = place.open().await;
        fill(&*log, n).await;
        let mut roots = Vec::new();
        for size in 1..=n {
            roots.push(*seal(&*log, size).await.root.as_bytes());
        }
        let rows = audit(&*log);
        for size in 1..=n {
            let root = &roots[usize::try_from(size - 1).unwrap()];
            for position in 1..=size {
                let proof = json(&seals::prove(rows, position, Some(size)).await.unwrap());
                assert!(verifier::includes(&proof, root), "{proof}");
                assert!(!verifier::includes(&proof, &[0; 32]));
            }
            for first in 1..=size {
                let proof = seals::prove_consistency(rows, first, Some(size)).await.unwrap();
                let old = &roots[usize::try_from(first - 1).unwrap()];
                assert!(verifier::consistent(&json(&proof), old, root), "{proof:?}");
                assert!(!verifier::consistent(&json(&proof), &[0; 32], root));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_of_something_else_is_refused() {
    let place = Place::sqlite();
    let log = place.open().await;
    fill(&*log, 21).await;
    let root = *seal(&*log, 21).await.root.as_bytes();
    let proof = json(&seals::prove(audit(&*log), 11, None).await.unwrap());
    assert!(verifier::includes(&proof, &root));
    for (name, other) in [
        ("position", Value::from(12)),
        ("recorded_at_us", Value::from(proof["recorded_at_us"].as_i64().unwrap() + 1)),
        ("hash", proof["leaf"].clone()),
        ("tree_size", Value::from(12)),
        ("leaf_index", Value::from(11)),
        ("path", Value::from(proof["path"].as_array().unwrap()[1..].to_vec())),
    ] {
        let mut changed = proof.clone();
        changed[name] = other;
        assert!(!verifier::includes(&changed, &root), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sealed_or_was_changed_has_no_proof() {
    for place in Place::both() {
        let log = place.open().await;
        fill(&*log, 12).await;
        let none = seals::prove(audit(&*log), 3, None).await.unwrap_err();
        assert!(matches!(none, NoProof::NotSealed(3)), "{none}");
        seal(&*log, 10).await;
        let beyond = seals::prove(audit(&*log), 11, None).await.unwrap_err();
        assert!(matches!(beyond, NoProof::NotSealed(11)), "{beyond}");
        let between = seals::prove(audit(&*log), 3, Some(9)).await.unwrap_err();
        assert!(matches!(between, NoProof::NoSeal(9)), "{between}");
        drop(log);
        place.tamper("UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 3");
        let log = place.read().await;
        let changed = seals::prove(audit(&*log), 3, None).await.unwrap_err();
        assert!(matches!(changed, NoProof::Changed(3)), "{changed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealing_goes_on_from_the_last_seal() {
    for place in Place::both() {
        let log = place.open().await;
        fill(&*log, 30).await;
        seal(&*log, 7).await;
        seal(&*log, 8).await;
        let last = seal(&*log, 30).await;
        assert!(seals::seal(audit(&*log), Position(30)).await.unwrap().is_none());
        assert_eq!(audit(&*log).seals(0, 10).await.unwrap().len(), 3);
        drop(log);
        let report = checked(&place, &[last]).await;
        assert_eq!((report.seals, report.given, report.fault), (3, 1, None));
    }
}

/// Of a log with two full subtrees whose roots are kept, sealed after `sizes` events.
const LONG: [u64; 3] = [4_096, 7_000, 9_000];

/// Some proofs of each kind under the latest seal.
async fn proofs(place: &Place) -> Vec<Value> {
    let log = place.read().await;
    let rows = audit(&*log);
    let mut proofs = Vec::new();
    for position in [1, 2, 4_096, 4_097, 7_001, 8_192, 8_193, 9_000] {
        proofs.push(json(&seals::prove(rows, position, None).await.unwrap()));
    }
    for first in LONG {
        proofs.push(json(&seals::prove_consistency(rows, first, None).await.unwrap()));
    }
    proofs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_proven_with_the_roots_that_are_kept_and_without() {
    for place in Place::both() {
        let log = place.open().await;
        let stream = stream("Spec");
        for _ in 0..18 {
            append(&*log, &stream, vec![event("Noted", "ann", &[]); 500]).await;
        }
        let mut roots = Vec::new();
        for size in LONG {
            roots.push(*seal(&*log, size).await.root.as_bytes());
        }
        let rows = audit(&*log);
        assert_eq!(rows.count_subtrees(12).await.unwrap(), 2);
        assert_eq!(rows.count_subtrees(13).await.unwrap(), 1);
        let wanted = proofs(&place).await;
        for proof in &wanted[..8] {
            assert!(verifier::includes(proof, &roots[2]), "{proof}");
        }
        for (proof, old) in wanted[8..].iter().zip(&roots) {
            assert!(verifier::consistent(proof, old, &roots[2]), "{proof}");
        }
        // A log that was sealed before they were kept, and one in which they were changed.
        let wrong = place.bytes(&[7; 32]);
        place.tamper(&format!("UPDATE seal_subtrees SET root = {wrong}"));
        assert_eq!(proofs(&place).await, wanted);
        place.tamper("DELETE FROM seal_subtrees WHERE number = 0");
        assert_eq!(proofs(&place).await, wanted);
        place.tamper("DELETE FROM seal_subtrees");
        assert_eq!(proofs(&place).await, wanted);
        assert!(seals::seal(rows, Position(9_000)).await.unwrap().is_none());
        assert_eq!(rows.count_subtrees(12).await.unwrap(), 2);
        assert_eq!(proofs(&place).await, wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_that_were_changed_prove_nothing() {
    for place in Place::both() {
        let log = place.open().await;
        fill(&*log, 12).await;
        seal(&*log, 5).await;
        seal(&*log, 12).await;
        drop(log);
        let zeros = place.bytes(&[0; 5 * 32]);
        place.tamper(&format!("UPDATE seal_leaves SET hashes = {zeros} WHERE first = 1"));
        let log = place.read().await;
        let damaged = seals::prove(audit(&*log), 9, None).await.unwrap_err();
        assert!(matches!(damaged, NoProof::Damaged(12)), "{damaged}");
        let damaged = seals::prove_consistency(audit(&*log), 5, None).await.unwrap_err();
        assert!(matches!(damaged, NoProof::Damaged(12)), "{damaged}");
    }
}
