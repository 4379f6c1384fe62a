//! What the read models of projects and access keys show.

use specline_aggregates::access_key::{self, Grant, Scope};
use specline_aggregates::project::{self, Settings};
use specline_aggregates::{AccessKeyId, Digest, Policy, ProjectId, derive_id};
use specline_projections::{DomainEvent, Error};

use crate::files::{Files, On, catch_up, on_both};
use crate::world::World;

on_both!(a_project_shows_what_was_last_said, keys_show_who_and_what_but_no_secret);

fn key_id(n: u8) -> AccessKeyId {
    derive_id(&["key", &n.to_string()]).into()
}

/// A project that is named and renamed, and two keys, of which the first is revoked.
pub fn project_and_keys(world: &mut World) -> ProjectId {
    let project = ProjectId::of_repository("/repo/1");
    let by = || "ada".to_owned();
    let settings = |name: &str| {
        let (name, repository) = (name.to_owned(), "/repo/1".to_owned());
        Box::new(Settings { name, repository, policy: Policy::default() })
    };
    let named = project::Event::ProjectCreated { project, settings: settings("Links"), by: by() };
    let renamed = project::Event::ProjectRevised { settings: settings("Short links"), by: by() };
    world.write(project.uuid(), 1, DomainEvent::Project(named));
    world.later(1_000);
    world.write(project.uuid(), 2, DomainEvent::Project(renamed));
    for n in [1, 2] {
        let (name, scopes) = (format!("key {n}"), [Scope::Operator, Scope::Approver].into());
        let grant = Grant { name, scopes, project: Some(project), expires_at: None };
        let created = access_key::Event::AccessKeyCreated {
            key: key_id(n),
            grant: Box::new(grant),
            secret_digest: Digest::of(b"secret"),
            by: by(),
        };
        world.write(key_id(n).uuid(), 1, DomainEvent::AccessKey(created));
    }
    let revoked = access_key::Event::AccessKeyRevoked { by: by(), reason: "lost".to_owned() };
    world.write(key_id(1).uuid(), 2, DomainEvent::AccessKey(revoked));
    project
}

async fn a_project_shows_what_was_last_said(on: On) {
    let (files, mut world) = (Files::new(on), World::new());
    let project = project_and_keys(&mut world);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 1).await;
    let found = models.projects(Some(project), None, 10).await.unwrap();
    let [line] = found.rows.as_slice() else { panic!("{found:?}") };
    assert_eq!((line.settings.name.as_str(), line.version), ("Short links", 2));
    assert!(line.updated_at > line.created_at);
    let other = Some(ProjectId::of_repository("/repo/2"));
    assert!(models.projects(other, None, 10).await.unwrap().rows.is_empty());
    let wrong = models.projects(None, Some("x"), 10).await.unwrap_err();
    assert!(matches!(wrong, Error::InvalidCursor(_)), "{wrong}");
}

async fn keys_show_who_and_what_but_no_secret(on: On) {
    let (files, mut world) = (Files::new(on), World::new());
    let project = project_and_keys(&mut world);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 2).await;
    let first = models.access_keys(None, 1).await.unwrap();
    let rest = models.access_keys(first.next.as_deref(), 10).await.unwrap();
    let (revoked, good) = (&first.rows[0], &rest.rows[0]);
    assert_eq!((revoked.id, good.id, rest.next.as_ref()), (key_id(1), key_id(2), None));
    assert_eq!((revoked.revoked_by.as_deref(), revoked.version), (Some("ada"), 2));
    assert!(!revoked.is_good(world.now) && good.is_good(world.now));
    assert_eq!((good.project, good.scopes.len()), (Some(project), 2));
    let bytes = models.dump("access_keys").await.unwrap();
    let digest = Digest::of(b"secret").to_string();
    assert!(!String::from_utf8_lossy(&bytes).contains(&digest));
}
