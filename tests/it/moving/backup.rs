//! A backup is the log of one moment, taken beside a busy engine.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use specline::store::{EventLog, Position, SqliteLog};

use super::filled::{fill_file, keyed, opened, same, stream, table};
use crate::support::{Project, times};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_busy_writer_is_a_beginning_of_the_log() {
    let project = Project::new();
    let path = project.path("log.db");
    fill_file(&path, 10_000).await;
    let store = format!("sqlite:{}", path.display());
    let log = Arc::new(opened(&path));
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write_on(Arc::clone(&log), Arc::clone(&stop)));
    for n in 0..times(3, 30) {
        let before = *log.watch_head().borrow();
        let to = project.path(&format!("backup.{n}.db"));
        let to_text = to.display().to_string();
        let args = ["backup", "--to", &to_text, "--json", "--store", &store];
        let running = project.start(project.command(&args));
        let said = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
        assert_eq!(said.code(), 0, "{said:?}");
        let after = *log.watch_head().borrow();
        let backup = SqliteLog::open_read_only(&to).unwrap();
        let head = *backup.watch_head().borrow();
        assert!(before <= head && head <= after, "{before} {head} {after}");
        assert!(before < after, "the writer was busy meanwhile");
        assert_eq!(said.json()["events"], head.0);
        let verified = backup.verify(Position(1), Position(u64::MAX), |_| {}).await.unwrap();
        assert_eq!((verified.events, verified.first_difference), (head.0, None));
        let mode = std::fs::metadata(&to).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it holds the secret");
        drop(backup);
        assert_eq!(
            table(&to, "idempotency_keys", "position").len() as u64,
            keys_up_to(&path, head)
        );
        let events = table(&to, "events", "position");
        let all = table(&path, "events", "position");
        same(&events, &all[..events.len()], "events");
    }
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    let left: Vec<_> = std::fs::read_dir(project.root()).unwrap().map(Result::unwrap).collect();
    let partial =
        left.iter().filter(|entry| entry.file_name().to_string_lossy().contains("partial"));
    assert_eq!(partial.count(), 0, "{left:?}");
}

async fn write_on(log: Arc<SqliteLog>, stop: Arc<AtomicBool>) {
    let mut number = 1_000_000;
    while !stop.load(Ordering::Relaxed) {
        log.append(keyed(&stream(), number, 5)).await.unwrap();
        number += 1;
    }
}

fn keys_up_to(path: &std::path::Path, position: Position) -> u64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT count(*) FROM idempotency_keys WHERE position <= ?1";
    connection.query_row(sql, [position.0], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_never_replaces_a_file() {
    let project = Project::new();
    let path = project.path("log.db");
    fill_file(&path, 100).await;
    let store = format!("sqlite:{}", path.display());
    std::fs::write(project.path("mine"), "a letter").unwrap();
    let to = project.path("mine").display().to_string();
    let said = project.specline(&["backup", "--to", &to, "--store", &store]);
    assert_eq!(said.code(), 78, "{said:?}");
    assert!(said.stderr.contains("is there already"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "a letter");
    // Without a name, one with the time, in the folder where one is.
    let said = project.ok(&["backup", "--json", "--store", &store]);
    let file = said.json()["file"].as_str().unwrap().to_owned();
    let name = file.rsplit('/').next().unwrap();
    assert!(name.starts_with("specline-20") && name.ends_with("Z.db"), "{file}");
    assert!(std::path::Path::new(&file).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_gives_no_backup() {
    let project = Project::new();
    let path = project.path("log.db");
    fill_file(&path, 100).await;
    let sql = "DROP TRIGGER events_refuse_update;
               UPDATE events SET payload = '{}' WHERE position = 50";
    rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let store = format!("sqlite:{}", path.display());
    let to = project.path("backup.db");
    let to_text = to.display().to_string();
    let said = project.specline(&["backup", "--to", &to_text, "--store", &store]);
    assert_eq!(said.code(), 1, "{said:?}");
    assert!(said.stderr.contains("position 50"), "{said:?}");
    assert!(!to.exists());
}

#[test]
fn postgresql_is_backed_up_with_its_own_tools() {
    let project = Project::new();
    let said = project.specline(&["backup", "--store", "postgres://ann:secret@db/x"]);
    assert_eq!(said.code(), 2, "{said:?}");
    assert!(said.stderr.contains("pg_dump") && said.stderr.contains("--in-place"), "{said:?}");
    assert!(!said.stderr.contains("secret"), "{said:?}");
}
