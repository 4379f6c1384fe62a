//! What the engine obeys is what a verification sees: no event beside the positions, and no index
//! that hides one.

use std::fs;

use super::log_world::{World, forge_key};

#[test]
fn an_admin_key_below_the_first_position_opens_nothing_and_is_found() {
    for position in [0, -7] {
        for world in World::both() {
            world.admin("ops");
            let forged = forge_key();
            world.tamper(&forged.at(&world, position));
            let serving = world.serve();
            let (status, body) = world.get(&serving, "/keys", &forged.key);
            assert_ne!(status, 200, "at {position}: {body}");
            drop(serving.stop());
            world.is_found(&[&format!("position {position}"), &forged.id.to_string()]);
        }
    }
}

#[test]
fn no_event_can_be_put_below_the_first_position() {
    for world in World::both() {
        world.admin("ops");
        let sql = forge_key().at(&world, 0);
        let refused = if world.is_sqlite() {
            rusqlite::Connection::open(world.file()).unwrap().execute_batch(&sql).is_err()
        } else {
            world.is_refused(&sql)
        };
        assert!(refused);
        world.is_clean();
    }
}

/// Turns the entry of a stream's last event in SQLite's own index into one of a stream that does
/// not exist: one flipped bit of the id.
fn hide_last_event(world: &World, id: &str) {
    {
        let connection = rusqlite::Connection::open(world.file()).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
    let position =
        world.number(&format!("SELECT max(position) FROM events WHERE aggregate_id = '{id}'"));
    let sequence =
        world.number(&format!("SELECT max(sequence) FROM events WHERE aggregate_id = '{id}'"));
    let mut bytes = fs::read(world.file()).unwrap();
    // A record of the index: the type, the id, the sequence, the position.
    let mut entry = b"AccessKey".to_vec();
    entry.extend_from_slice(id.as_bytes());
    entry.push(u8::try_from(sequence).unwrap());
    entry.push(u8::try_from(position).unwrap());
    let found: Vec<usize> = bytes
        .windows(entry.len())
        .enumerate()
        .filter(|(_, w)| *w == entry)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(found.len(), 1, "the entry of the index");
    let last_of_id = found[0] + "AccessKey".len() + id.len() - 1;
    // The highest digit that keeps the entries in order: the row behind it is another stream's.
    bytes[last_of_id] = b'~';
    fs::write(world.file(), bytes).unwrap();
}

#[test]
fn an_index_that_hides_an_event_is_found() {
    let world = World::sqlite();
    let key = world.admin("ops");
    world.project.ok(&["keys", "revoke", "ops"]);
    let id: uuid::Uuid = key[3..35].parse().unwrap();
    hide_last_event(&world, &id.to_string());
    world.is_found(&["index"]);
    // And an engine does not start on it, to serve the key as it was before it was revoked.
    match world.try_serve() {
        Ok(serving) => {
            let (status, body) = world.get(&serving, "/keys", &key);
            drop(serving.stop());
            panic!("it serves: {status} {body}");
        }
        Err(said) => assert!(said.contains("damaged"), "{said}"),
    }
}
