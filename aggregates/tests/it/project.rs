//! Given, when, then for every command of a project.

use cqrs_es::test::TestFramework;
use specline_aggregates::project::{Command, Event, Project, Rejection, Settings};
use specline_aggregates::{Policy, ProjectId};

pub fn project_id() -> ProjectId {
    ProjectId::of_repository("/home/ada/links")
}

pub fn settings(name: &str) -> Settings {
    let (name, repository) = (name.to_owned(), "/home/ada/links".to_owned());
    Settings { name, repository, policy: Policy::default() }
}

pub fn created(settings: Settings) -> Event {
    let settings = Box::new(settings);
    Event::ProjectCreated { project: project_id(), settings, by: "ada".to_owned() }
}

fn create(settings: Settings) -> Command {
    let settings = Box::new(settings);
    Command::Create { project: project_id(), settings, by: "ada".to_owned() }
}

fn revise(name: Option<&str>, policy: Option<Policy>) -> Command {
    let (name, policy) = (name.map(str::to_owned), policy.map(Box::new));
    Command::Revise { name, policy, by: "ada".to_owned() }
}

#[test]
fn is_created_once() {
    let none = TestFramework::<Project>::with(()).given_no_previous_events();
    none.when(create(settings("Links"))).then_expect_events(vec![created(settings("Links"))]);
    let given = TestFramework::<Project>::with(()).given(vec![created(settings("Links"))]);
    given.when(create(settings("Other"))).then_expect_error(Rejection::AlreadyExists);
}

#[test]
fn a_revision_changes_what_it_names() {
    let after = Settings { name: "Short links".to_owned(), ..settings("Links") };
    let revised = Event::ProjectRevised { settings: Box::new(after), by: "ada".to_owned() };
    let given = || TestFramework::<Project>::with(()).given(vec![created(settings("Links"))]);
    given().when(revise(Some("Short links"), None)).then_expect_events(vec![revised]);
    given().when(revise(Some("Links"), None)).then_expect_events(Vec::new());
    let none = TestFramework::<Project>::with(()).given_no_previous_events();
    none.when(revise(Some("Links"), None)).then_expect_error(Rejection::NotFound);
}

#[test]
fn what_could_never_work_is_refused() {
    let project = Project::default();
    let refused = |settings| project.decide(&create(settings)).unwrap_err();
    for name in ["", " ", "a\tb", &"x".repeat(201)] {
        assert_eq!(refused(settings(name)).code(), "invalid_input", "{name:?}");
    }
    let policy = Policy { agent: "no body".to_owned(), ..Policy::default() };
    let refusal = refused(Settings { policy: policy.clone(), ..settings("Links") });
    assert!(refusal.to_string().starts_with("policy.agent"), "{refusal}");
    let mut known = Project::default();
    known.evolve(&created(settings("Links"))).unwrap();
    assert!(known.decide(&revise(None, Some(policy))).is_err());
    assert!(known.evolve(&created(settings("Links"))).is_err());
    assert_eq!(known.version(), 1);
}
