//! What each read model of a spec shows after a known course of events.

use specline_aggregates::spec::command as spec_command;
use specline_aggregates::spec::command::Command;
use specline_aggregates::spec::{LossCause, Payload, Status};
use specline_aggregates::{Phase, Policy, SpecId, Usage};
use specline_projections::requirements::Coverage;
use specline_projections::spec_board::Filter;
use specline_projections::spec_detail::{Outcome, PhaseStatus};
use specline_projections::{DomainEvent, Error, ReadModels};

use crate::files::{Files, On, catch_up, on_both};
use crate::world::{USAGE, World, output};

on_both!(
    the_board_shows_a_line,
    the_board_is_listed_filtered_and_paged,
    the_detail_shows_phases_attempts_and_cost,
    reopened_phases_are_stale,
    the_timeline_has_a_sentence_an_event,
    requirements_appear_when_accepted_and_are_traced_when_synced,
    requirements_in_a_blob_are_named_and_marked
);

/// A spec whose first sandbox dies and whose first explore output fails.
fn eventful(world: &mut World) -> SpecId {
    let id = world.draft(1, Policy::default());
    assert!(world.start(id) && world.attach(id) && world.start_attempt(id));
    let lost = spec_command::ReportSandboxLost {
        epoch: world.specs[&id].epoch(),
        cause: LossCause::Signal { signal: 9 },
        last_heard: None,
        reported: Usage::default(),
        wait: world.wait(),
    };
    assert!(world.spec(id, &Command::ReportLost(lost)));
    assert!(world.attach(id) && world.start_attempt(id));
    let bad = specline_aggregates::RawJson::parse("{}".into()).unwrap();
    assert!(world.submit(id, bad));
    for phase in Phase::ALL.into_iter().filter(|phase| phase.needs_agent()) {
        world.later(10_000);
        assert!(world.start_attempt(id) && world.submit(id, output(phase, 0)));
    }
    assert!(world.plan_sync(id));
    world.make_planned(id);
    assert!(world.complete_sync(id, true));
    id
}

async fn shown(on: On, world: &World) -> (Files, ReadModels) {
    let files = Files::new(on);
    let models = files.open(world.head()).await;
    catch_up(&models, world, 20).await;
    (files, models)
}

async fn the_board_shows_a_line(on: On) {
    let mut world = World::new();
    let id = eventful(&mut world);
    let (_files, models) = shown(on, &world).await;
    let line = models.spec(id).await.unwrap().unwrap();
    assert_eq!((line.status, line.phase), (Status::Completed, Some(Phase::Sync)));
    assert_eq!((line.progress, line.score, line.epoch.0), (5, Some(1000), 2));
    assert_eq!(line.usage.input_tokens, 5 * USAGE.input_tokens);
    assert_eq!(line.slug, "add-rate-limiting-1");
    assert_eq!(line.created_at, world.log[0].recorded_at);
    assert_eq!(models.spec(SpecId::new(uuid::Uuid::nil())).await.unwrap(), None);
}

async fn the_board_is_listed_filtered_and_paged(on: On) {
    let mut world = World::new();
    let ids: Vec<SpecId> = (0..7).map(|n| world.draft(n, Policy::default())).collect();
    for id in &ids[..3] {
        world.start(*id);
    }
    let (_files, models) = shown(on, &world).await;
    let listed = |filter: Filter| {
        let models = &models;
        async move { models.specs(&filter, None, 100).await.unwrap().rows }
    };
    let all = listed(Filter::default()).await;
    let newest_first: Vec<_> = ids.iter().rev().copied().collect();
    assert_eq!(all.iter().map(|line| line.id).collect::<Vec<_>>(), newest_first);

    let status = Some(Status::Executing);
    assert_eq!(listed(Filter { status, ..Filter::default() }).await.len(), 3);
    let phase = Some(Phase::Explore);
    assert_eq!(listed(Filter { phase, ..Filter::default() }).await.len(), 3);
    let project = Some(all[0].project);
    assert_eq!(listed(Filter { project, ..Filter::default() }).await.len(), 3);
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
    assert_eq!(listed(text("RATE limiting 4")).await.len(), 1);
    assert_eq!(listed(text("%")).await.len(), 0, "a wildcard is a character like any other");

    let first = models.specs(&Filter::default(), None, 3).await.unwrap();
    let second = models.specs(&Filter::default(), first.next.as_deref(), 3).await.unwrap();
    let third = models.specs(&Filter::default(), second.next.as_deref(), 3).await.unwrap();
    assert_eq!((third.rows.len(), third.next), (1, None));
    assert_eq!([first.rows, second.rows, third.rows].concat(), all);
    let refused = models.specs(&Filter::default(), Some("x"), 3).await;
    assert!(matches!(refused, Err(Error::InvalidCursor(_))), "{refused:?}");
}

async fn the_detail_shows_phases_attempts_and_cost(on: On) {
    let mut world = World::new();
    let id = eventful(&mut world);
    let (_files, models) = shown(on, &world).await;
    let detail = models.spec_detail(id).await.unwrap().unwrap();
    assert!(detail.phases.iter().all(|phase| phase.status == PhaseStatus::Completed));
    let explore = &detail.phases[0];
    assert_eq!((explore.attempts, explore.score, explore.threshold), (3, Some(1000), Some(700)));
    assert!(!explore.findings.is_empty());
    assert_eq!(explore.digest, Some(output(Phase::Explore, 0).digest()));
    let outcomes: Vec<_> = detail.attempts.iter().map(|record| record.outcome).collect();
    let expected = [
        Outcome::SandboxLost,
        Outcome::InvalidOutput,
        Outcome::Accepted,
        Outcome::Accepted,
        Outcome::Accepted,
        Outcome::Accepted,
        Outcome::Accepted,
    ];
    assert_eq!(outcomes, expected);
    assert!(detail.attempts.iter().all(|record| record.ended_at.is_some()));
    assert_eq!(detail.attempts[1].epoch.0, 2);
    assert_eq!((detail.checkpoints.len(), detail.sandboxes_lost.len()), (5, 1));
    assert_eq!(detail.exported.len(), 2);
    assert_eq!(detail.folder.as_deref(), Some("specs/add-rate-limiting"));
    assert_eq!(detail.totals.unwrap().tasks, 4);
    assert_eq!(detail.version, world.specs[&id].version());
}

async fn reopened_phases_are_stale(on: On) {
    let mut world = World::new();
    let id = eventful(&mut world);
    let retry = spec_command::RetryFromPhase {
        phase: Phase::Design,
        by: "someone".into(),
        reason: "too coarse".into(),
        budget: None,
        manifest: None,
    };
    assert!(world.spec(id, &Command::Retry(retry)));
    let (_files, models) = shown(on, &world).await;
    let detail = models.spec_detail(id).await.unwrap().unwrap();
    let statuses: Vec<_> = detail.phases.iter().map(|phase| phase.status).collect();
    let (done, stale) = (PhaseStatus::Completed, PhaseStatus::Stale);
    assert_eq!(statuses, [done, done, stale, stale, stale]);
    assert_eq!(detail.checkpoints.iter().filter(|saved| !saved.stale).count(), 2);
    let requirements = models.requirements(id).await.unwrap();
    assert!(requirements.iter().all(|line| line.coverage == Coverage::Stale));
}

async fn the_timeline_has_a_sentence_an_event(on: On) {
    let mut world = World::new();
    let id = eventful(&mut world);
    let other = world.draft(2, Policy::default());
    let (_files, models) = shown(on, &world).await;
    let entries = models.timeline(id, None, 1_000).await.unwrap().rows;
    let events: Vec<_> = world.log.iter().filter(|e| e.aggregate_id == id.uuid()).collect();
    assert_eq!(entries.len(), events.len());
    for (entry, event) in entries.iter().zip(events) {
        assert_eq!((entry.sequence, entry.position), (event.sequence, event.position));
        assert_eq!(entry.event_type, event.event_type);
        assert!(!entry.summary.is_empty() && !entry.summary.contains('\n'));
    }
    let sentences: Vec<_> = entries.iter().map(|entry| entry.summary.as_str()).collect();
    for expected in [
        "Drafted: Add rate limiting 1",
        "Sandbox 1 was lost in EXPLORE: it was killed by signal 9",
        "Gate passed REQUIREMENTS with 1000/1000 (needs 700)",
        "Completed: 4 requirements, 2 tickets, 4 tasks",
    ] {
        assert!(sentences.contains(&expected), "{expected:?} is not among {sentences:#?}");
    }
    let first = models.timeline(id, None, 5).await.unwrap();
    let rest = models.timeline(id, first.next.as_deref(), 1_000).await.unwrap();
    assert_eq!([first.rows, rest.rows].concat(), entries);
    assert_eq!(models.timeline(other, None, 10).await.unwrap().rows.len(), 1);
}

async fn requirements_appear_when_accepted_and_are_traced_when_synced(on: On) {
    let mut world = World::new();
    let id = world.draft(1, Policy::default());
    assert!(world.start(id) && world.attach(id) && world.start_attempt(id));
    assert!(world.submit(id, output(Phase::Explore, 0)) && world.start_attempt(id));
    assert!(world.submit(id, output(Phase::Requirements, 0)));
    let (_files, models) = shown(on, &world).await;
    let accepted = models.requirements(id).await.unwrap();
    assert_eq!(accepted[0].local_id, "REQ-001");
    assert!(accepted.iter().all(|line| line.coverage == Coverage::None && line.id.is_none()));
    assert!(accepted.iter().all(|line| line.text.to_lowercase().contains("shall")));

    for phase in [Phase::Design, Phase::Tasks] {
        assert!(world.start_attempt(id) && world.submit(id, output(phase, 0)));
    }
    assert!(world.plan_sync(id));
    catch_up(&models, &world, 100).await;
    let planned = models.requirements(id).await.unwrap();
    assert!(planned.iter().all(|line| line.coverage == Coverage::Planned));
    world.make_planned(id);
    assert!(world.complete_sync(id, true));
    catch_up(&models, &world, 100).await;
    let synced = models.requirements(id).await.unwrap();
    assert_eq!(synced.len(), accepted.len());
    let ids = world.specs[&id].synced().unwrap();
    for line in synced {
        assert_eq!(line.coverage, Coverage::Synced);
        assert_eq!(line.id, Some(ids.requirements[&line.local_id]));
        assert!(!line.components.is_empty() && !line.tasks.is_empty());
        assert!(line.tasks.iter().all(|task| task.id == Some(ids.tasks[&task.local_id])));
    }
}

async fn requirements_in_a_blob_are_named_and_marked(on: On) {
    let (mut world, mut blob) = (World::new(), None);
    let id = eventful(&mut world);
    for event in &mut world.log {
        if let DomainEvent::Spec(specline_aggregates::spec::Event::OutputSubmitted {
            phase: Phase::Requirements,
            output,
            digest,
            ..
        }) = &mut event.event
        {
            *output = Payload::Blob { digest: *digest, bytes: 600_000 };
            blob = Some(*digest);
        }
    }
    let (_files, models) = shown(on, &world).await;
    let lines = models.requirements(id).await.unwrap();
    assert_eq!(lines.len(), 4);
    assert!(blob.is_some());
    assert!(lines.iter().all(|line| line.blob == blob && line.text.is_empty()));
    assert!(lines.iter().all(|line| line.coverage == Coverage::Synced && line.id.is_some()));
}
