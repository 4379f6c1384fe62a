//! A command that ends has sealed what it wrote: taking it back is found.

use super::log_world::World;

#[test]
fn a_revocation_cannot_be_undone_unseen() {
    for world in World::both() {
        world.admin("ops");
        world.project.ok(&["keys", "revoke", "ops"]);
        world.is_clean();
        let end = world.number("SELECT max(position) FROM events");
        assert_eq!(world.number("SELECT max(n) FROM seals"), end, "everything is sealed");
        let back = end - 1;
        let counted = if world.is_sqlite() {
            format!("UPDATE sqlite_sequence SET seq = {back} WHERE name = 'events'")
        } else {
            format!("UPDATE log_head SET position = {back}")
        };
        world.tamper(&format!("DELETE FROM events WHERE position > {back}; {counted}"));
        let (code, text) = world.verify();
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(&format!("position {end}")), "{text}");
    }
}

#[test]
fn a_run_and_a_server_end_sealed() {
    for world in World::both() {
        let said = world.project.run(&[]);
        assert_eq!(said.code(), 0, "{said:?}");
        let ends = || world.number("SELECT max(position) FROM events");
        assert_eq!(world.number("SELECT max(n) FROM seals"), ends());
        let key = world.admin("ops");
        let serving = world.serve();
        world.draft(&serving, &key);
        drop(serving.stop());
        assert_eq!(world.number("SELECT max(n) FROM seals"), ends());
        world.is_clean();
    }
}
