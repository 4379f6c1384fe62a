//! The log's half of what tokens are made with, in PostgreSQL: the engine's role reads it alone.

use super::log_world::World;
use crate::support::postgres::server;

/// A role that dashboards use: the schema's owner lets it read every table, also those to come.
fn reader(url: &str, name: &str) -> String {
    server().psql_at(
        url,
        &format!(
            "CREATE ROLE {name} LOGIN;
             ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {name}, PUBLIC"
        ),
    );
    url.replace("postgres://postgres@", &format!("postgres://{name}@"))
}

#[test]
fn a_role_that_reads_every_table_reads_the_log_and_not_its_secret() {
    let world = World::postgres();
    let reader = reader(world.url(), "reader_of_all");
    world.admin("ops");
    let seen = server().psql_at(&reader, "SELECT count(*) > 0 FROM events");
    assert_eq!(seen, "t");
    for sql in [
        "SELECT secret FROM log_secret",
        "SELECT secret FROM log_identity",
        "SELECT * FROM log_secret",
        "UPDATE log_secret SET secret = ''",
    ] {
        let said = server().try_psql_at(&reader, sql);
        assert!(said.is_err(), "{sql}: {said:?}");
    }
    let said = world.project.ok(&["log", "verify", "--store", &reader]);
    assert!(said.stdout.contains("as they were written"), "{said:?}");
}

#[test]
fn a_dump_without_the_secret_gets_a_new_one() {
    let world = World::postgres();
    world.admin("ops");
    let before = world.secret();
    world.tamper("DELETE FROM log_secret");
    world.admin("ops-2");
    assert_ne!(world.secret(), before);
    world.is_clean();
}
