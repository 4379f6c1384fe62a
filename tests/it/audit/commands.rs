//! `specline audit`: what a person or a script sees.

use std::process::{Command, Output};

use serde_json::Value;

use super::verifier;
use super::world::{Place, fill, seal};

fn run(place: &Place, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_specline"));
    command.arg("audit").args(args).args(["--store", &place.url()]);
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seals_are_exported_and_a_log_is_checked_against_them() {
    for place in Place::both() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("seals.json").display().to_string();
        let root = {
            let log = place.open().await;
            fill(&*log, 20).await;
            seal(&*log, 9).await;
            seal(&*log, 20).await.root
        };
        assert!(run(&place, &["seals", "--export", &kept]).status.success());
        let whole = run(&place, &["verify", "--against", &kept, "--json"]);
        assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
        let report = json(&whole);
        assert_eq!(
            (&report["events"], &report["seals"], &report["seals_kept_elsewhere"]),
            (&20.into(), &2.into(), &2.into())
        );
        let proof = json(&run(&place, &["prove", "7"]));
        assert!(verifier::includes(&proof, root.as_bytes()), "{proof}");
        let table = run(&place, &["seals"]);
        assert!(String::from_utf8_lossy(&table.stdout).contains(&root.to_string()));

        place.tamper("UPDATE events SET event_type = 'Other' WHERE position = 13");
        let changed = run(&place, &["verify", "--json"]);
        assert_eq!(changed.status.code(), Some(1));
        assert_eq!(json(&changed)["first_bad_position"], 13);
        assert!(String::from_utf8_lossy(&changed.stderr).contains("position 13"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seals_of_another_log_are_refused() {
    let (one, other) = (Place::sqlite(), Place::sqlite());
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("seals.json").display().to_string();
    for place in [&one, &other] {
        let log = place.open().await;
        fill(&*log, 3).await;
        seal(&*log, 3).await;
    }
    assert!(run(&one, &["seals", "--export", &kept]).status.success());
    let refused = run(&other, &["verify", "--against", &kept]);
    assert_eq!(refused.status.code(), Some(2));
    std::fs::write(&kept, "not JSON").unwrap();
    assert_eq!(run(&one, &["verify", "--against", &kept]).status.code(), Some(2));
}
