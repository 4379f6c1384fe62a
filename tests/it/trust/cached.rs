//! A state that was put into the table of snapshots by somebody else is not believed.

use specline::store::{AggregateStore, SnapshotKey, StreamId};
use specline_aggregates::EventSourced;
use specline_aggregates::access_key::AccessKey;
use specline_aggregates::spec::Spec;
use uuid::Uuid;

use super::log_world::World;

/// The state as the log has it, and the end of its stream, as SQL.
fn state<A: EventSourced>(world: &World, id: Uuid) -> (String, StreamId, u64, String) {
    let log = world.log();
    world.block_on(async {
        let store = AggregateStore::<A>::new(log.clone());
        let loaded = store.load(id).await.unwrap();
        let state = serde_json::to_string(&*loaded.state).unwrap();
        let stream = StreamId { aggregate_type: A::TYPE.to_owned(), aggregate_id: id };
        let head = log.stream_head(&stream).await.unwrap().unwrap();
        (state, stream, head.version, world.bytes(&head.hash))
    })
}

fn put(world: &World, row: (&str, &StreamId, u64, &str), format: u32) {
    put_with(world, row, format, "NULL");
}

fn put_with(
    world: &World,
    (state, stream, version, hash): (&str, &StreamId, u64, &str),
    format: u32,
    mac: &str,
) {
    let state = state.replace('\'', "''");
    let StreamId { aggregate_type, aggregate_id } = stream;
    let sql = if world.is_sqlite() {
        format!(
            "INSERT OR REPLACE INTO snapshots
                 (aggregate_type, aggregate_id, last_sequence, hash, format, payload, mac)
             VALUES ('{aggregate_type}', '{aggregate_id}', {version}, {hash}, {format}, '{state}',
                 {mac})"
        )
    } else {
        format!(
            "DELETE FROM snapshots WHERE aggregate_id = '{aggregate_id}';
             INSERT INTO snapshots (aggregate_type, aggregate_id, last_sequence, current_snapshot,
                 payload, hash, format, mac)
             VALUES ('{aggregate_type}', '{aggregate_id}', {version}, {version}, '{state}', {hash},
                 {format}, {mac})"
        )
    };
    world.tamper(&sql);
}

#[test]
fn a_forged_state_of_a_spec_is_not_believed() {
    for world in World::both() {
        let key = world.admin("ops");
        let serving = world.serve();
        let spec = world.draft(&serving, &key);
        drop(serving.stop());
        let id: Uuid = spec.parse().unwrap();
        let (state, stream, version, hash) = state::<Spec>(&world, id);
        let forged = state.replace("Limit links", "Raise links");
        assert_ne!(forged, state);
        put(&world, (&forged, &stream, version, &hash), Spec::snapshot_format());
        let (code, said) = world.verify();
        assert_eq!(code, 0, "a cache is no evidence: {said}");
        assert!(said.contains("1 snapshots of states are believed by nobody"), "{said}");
        let serving = world.serve();
        let (status, body) = world.get(&serving, &format!("/specs/{spec}"), &key);
        assert_eq!((status, body["title"].as_str()), (200, Some("Limit links")), "{body}");
        drop(serving.stop());
        let shown = world.project.ok(&["show", &spec]);
        assert!(shown.stdout.contains("Limit links"), "{shown:?}");
    }
}

#[test]
fn a_forged_state_of_a_key_does_not_bring_it_back() {
    for world in World::both() {
        let key = world.admin("ops");
        let id: Uuid = key[3..35].parse().unwrap();
        let (good, ..) = state::<AccessKey>(&world, id);
        world.project.ok(&["keys", "revoke", "ops"]);
        let (_, stream, version, hash) = state::<AccessKey>(&world, id);
        put(&world, (&good, &stream, version, &hash), AccessKey::snapshot_format());
        let serving = world.serve();
        let (status, body) = world.get(&serving, "/keys", &key);
        assert_eq!(status, 401, "{body}");
        drop(serving.stop());
    }
}

/// What an engine would go on from is compared with a replay: here by somebody who has the key.
#[test]
fn a_snapshot_under_a_good_code_that_is_wrong_is_found() {
    for world in World::both() {
        let key = world.admin("ops");
        let serving = world.serve();
        let spec = world.draft(&serving, &key);
        drop(serving.stop());
        let id: Uuid = spec.parse().unwrap();
        let (good, stream, version, hash) = state::<Spec>(&world, id);
        let snapshots = SnapshotKey::of_secret(&world.secret());
        let head = world.block_on(world.log().stream_head(&stream)).unwrap().unwrap();
        for (state, expected) in [(good.clone(), 0), (good.replace("Limit", "Raise"), 1)] {
            let format = Spec::snapshot_format();
            let mac = world.bytes(&snapshots.code(&stream, head, (format, &state)));
            put_with(&world, (&state, &stream, version, &hash), format, &mac);
            for command in [["audit", "verify"], ["log", "verify"]] {
                let said = world.project.specline(&command);
                assert_eq!(said.code(), expected, "{said:?}");
                assert!(expected == 0 || said.stderr.contains(&spec), "{said:?}");
            }
        }
    }
}
