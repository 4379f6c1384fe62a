//! The tables as others query them: `docs/read-models.md` names each table and column with its
//! type, its examples run, and the plain columns say what the program's own answers say.

use std::collections::BTreeMap;

use specline_aggregates::spec::command::{Command, ReviseSpec};
use specline_aggregates::{Policy, RawJson};
use specline_projections::spec_board::Filter;
use specline_projections::{Place, ReadModels};
use sqlx::{Connection, PgConnection, Row};

use crate::files::{Files, On, catch_up, dump, on_both};
use crate::paging::eventful;
use crate::world::World;

on_both!(rebuilt_tables_hold_the_same_lists, a_nul_is_left_out);

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/read-models.md");
    std::fs::read_to_string(path).unwrap()
}

async fn connect(files: &Files) -> PgConnection {
    let Place::Postgres(url) = files.place() else { panic!("it is in PostgreSQL") };
    let url = format!("{url}?options[search_path]=specline_read");
    PgConnection::connect(&url).await.unwrap()
}

/// As `eventful`, and a spec whose last output does not pass its gate.
fn with_a_finding() -> World {
    let mut world = eventful();
    let id = world.draft(7_000, Policy::default());
    world.start(id);
    world.attach(id);
    world.start_attempt(id);
    assert!(world.submit(id, RawJson::parse("{\"no\": \"shape\"}".into()).unwrap()));
    world
}

async fn full() -> (Files, ReadModels) {
    let (world, files) = (with_a_finding(), Files::new(On::Postgres));
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 100).await;
    (files, models)
}

type Tables = BTreeMap<String, BTreeMap<String, String>>;

/// Tables and columns of the document, with their types.
fn documented() -> Tables {
    let mut tables = Tables::new();
    let mut name = String::new();
    for line in document().lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            heading.clone_into(&mut name);
            tables.insert(name.clone(), BTreeMap::new());
        } else if line.starts_with("| `") {
            let mut cells = line.split('|').skip(1).map(str::trim);
            let column = cells.next().unwrap().trim_matches('`').to_owned();
            let kind = cells.next().unwrap().to_owned();
            tables.get_mut(&name).unwrap().insert(column, kind);
        }
    }
    tables
}

#[tokio::test]
async fn the_document_names_every_table_and_column() {
    let (files, _models) = full().await;
    let mut database = connect(&files).await;
    let columns = "SELECT table_name::TEXT, column_name::TEXT, data_type::TEXT \
                   FROM information_schema.columns WHERE table_schema = 'specline_read'";
    let mut found = Tables::new();
    for row in sqlx::query(columns).fetch_all(&mut database).await.unwrap() {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let kind = match row.get::<String, _>(2).as_str() {
            "text" => "text",
            "bigint" => "integer",
            "timestamp with time zone" => "time",
            other => panic!("{table}.{column} is {other}"),
        };
        found.entry(table).or_default().insert(column, kind.to_owned());
    }
    // What the document says of all tables at once.
    for (table, columns) in &mut found {
        if table != "read_model_cursors" {
            assert_eq!(columns.remove("key").as_deref(), Some("text"), "{table}");
            let body = columns.remove("body").is_some();
            assert!(!body || columns.remove("position").is_some(), "{table}");
        }
    }
    assert_eq!(found, documented());
}

#[tokio::test]
async fn the_examples_of_the_document_run() {
    let (files, _models) = full().await;
    let mut database = connect(&files).await;
    let text = document();
    let (_, examples) = text.split_once("## Examples").unwrap();
    let queries: Vec<_> = examples.split("```sql").skip(1).collect();
    assert_eq!(queries.len(), 3);
    for query in queries {
        let (query, _) = query.split_once("```").unwrap();
        let rows = sqlx::query(query).fetch_all(&mut database).await;
        assert!(!rows.unwrap().is_empty(), "no rows: {query}");
    }
}

/// Rows of a query as texts.
async fn texts(database: &mut PgConnection, sql: &str) -> Vec<Vec<Option<String>>> {
    let rows = sqlx::query(sql).fetch_all(database).await.unwrap();
    rows.iter().map(|row| (0..row.len()).map(|column| row.get(column)).collect()).collect()
}

#[tokio::test]
async fn plain_columns_say_what_the_program_answers() {
    let (files, models) = full().await;
    let mut database = connect(&files).await;
    let board = "SELECT id, title, status, cost_micro_usd::TEXT, \
                 (extract(epoch FROM created_at) * 1000000)::BIGINT::TEXT \
                 FROM spec_board WHERE id IS NOT NULL ORDER BY ordinal DESC";
    let found = texts(&mut database, board).await;
    let lines = models.specs(&Filter::default(), None, 1_000).await.unwrap().rows;
    assert!(lines.len() > 5 && found.len() == lines.len());
    for (row, line) in found.iter().zip(&lines) {
        let cost = line.usage.cost_micro_usd.to_string();
        let created = line.created_at.micros().to_string();
        let (id, status) = (line.id.to_string(), line.status.to_string());
        let expected = [id, line.title.clone(), status, cost, created].map(Some);
        assert_eq!(row.as_slice(), expected);

        let of =
            |table: &str| format!("SELECT count(*)::TEXT FROM {table} WHERE spec = '{}'", line.id);
        let n = |rows: Vec<Vec<Option<String>>>| rows[0][0].clone().unwrap();
        let requirements = models.requirements(line.id).await.unwrap();
        let tasks: usize = requirements.iter().map(|line| line.tasks.len()).sum();
        let detail = models.spec_detail(line.id).await.unwrap().unwrap();
        let failed = detail.phases.iter().flat_map(|phase| &phase.findings).filter(|f| !f.passed);
        for (table, expected) in [
            ("requirement_lines", requirements.len()),
            ("requirement_tasks", tasks),
            ("spec_phases", detail.phases.len()),
            ("spec_attempts", detail.attempts.len()),
            ("spec_findings", failed.count()),
        ] {
            assert_eq!(n(texts(&mut database, &of(table)).await), expected.to_string(), "{table}");
        }
    }
}

/// Views and rights of others stay when a table is rebuilt.
#[tokio::test]
async fn a_rebuild_keeps_what_others_built_on_the_table() {
    let (files, models) = full().await;
    let mut database = connect(&files).await;
    files.execute("CREATE VIEW public.mine AS SELECT id, title FROM spec_board").await;
    let before = texts(&mut database, "SELECT id, title FROM public.mine ORDER BY id").await;
    models.begin_rebuild("spec_board").await.unwrap();
    models.apply_rebuild("spec_board", 0, &with_a_finding().log).await.unwrap();
    models.swap("spec_board").await.unwrap();
    let after = texts(&mut database, "SELECT id, title FROM public.mine ORDER BY id").await;
    assert!(before == after && before.len() > 5);
}

/// Lists that shrink and grow leave the same rows, live and rebuilt.
async fn rebuilt_tables_hold_the_same_lists(on: On) {
    let (world, files) = (eventful(), Files::new(on));
    let models = files.open(0).await;
    catch_up(&models, &world, 3).await;
    for name in ["requirements", "spec_detail"] {
        let live = models.dump(name).await.unwrap();
        models.begin_rebuild(name).await.unwrap();
        models.apply_rebuild(name, 0, &world.log).await.unwrap();
        models.swap(name).await.unwrap();
        let rebuilt = models.dump(name).await.unwrap();
        assert!(live == rebuilt && live.len() > 10_000, "{name}: {} bytes", live.len());
    }
}

/// PostgreSQL takes no NUL in a text: it is left out of columns, on both databases.
async fn a_nul_is_left_out(on: On) {
    let mut world = eventful();
    let id = *world.specs.keys().next().unwrap();
    let title = "Nul\0 and \u{1F600}".to_owned();
    let command =
        ReviseSpec { title: Some(title.clone()), description: None, by: "some\0one".to_owned() };
    let revise = Command::Revise(command);
    let head = world.head();
    let drafted = world.draft(4_000, Policy::default());
    let id = if world.spec(id, &revise) { id } else { drafted };
    world.spec(drafted, &revise);
    assert!(world.head() > head);
    let files = Files::new(on);
    let models = files.open(0).await;
    catch_up(&models, &world, 100).await;
    assert!(models.spec(id).await.unwrap().is_some());
    let line = models.spec(drafted).await.unwrap().unwrap();
    assert_eq!(line.title, title, "the document has it");
    let other = Files::new(if on == On::Sqlite { On::Postgres } else { On::Sqlite });
    let others = other.open(0).await;
    catch_up(&others, &world, 10).await;
    assert_eq!(dump(&models).await, dump(&others).await);
    let found = Filter { text: Some("NUL\0 and".to_owned()), ..Filter::default() };
    assert!(!models.specs(&found, None, 10).await.unwrap().rows.is_empty());
}
