//! A log of either kind with the real program on it, and somebody who can write its database.

use std::process::Command;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use specline::store::chain::{Content, GENESIS, chain_hash};
use specline::store::{EventLog, PgLog, SideTables, SqliteLog, StreamId};
use specline_aggregates::Digest;
use uuid::Uuid;

use crate::support::postgres::{Database, server};
use crate::support::{Http, Project, Running, wait_for};

/// A project whose log is in one of the two databases.
pub struct World {
    pub project: Project,
    database: Option<Database>,
    http: Http,
}

/// An engine that answers.
pub struct Serving {
    running: Running,
    url: String,
}

impl World {
    pub fn sqlite() -> Self {
        Self { project: Project::new(), database: None, http: Http::new() }
    }

    pub fn postgres() -> Self {
        let database = server().database();
        let project = Project::on_store(database.url());
        Self { project, database: Some(database), http: Http::new() }
    }

    pub fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres()]
    }

    pub const fn is_sqlite(&self) -> bool {
        self.database.is_none()
    }

    /// Of the database.
    pub fn url(&self) -> &str {
        self.database.as_ref().expect("this log is in PostgreSQL").url()
    }

    pub fn file(&self) -> std::path::PathBuf {
        self.project.repo().join(".specline/log.db")
    }

    /// Runs SQL as the owner of the database, whom no trigger and no check of ours holds back.
    pub fn tamper(&self, sql: &str) {
        let Some(database) = &self.database else {
            let connection = rusqlite::Connection::open(self.file()).unwrap();
            let mut named = connection
                .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
                .unwrap();
            let named: Vec<String> =
                named.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            for name in named {
                connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
            }
            connection.execute_batch(sql).unwrap();
            return;
        };
        let free = "ALTER TABLE events DISABLE TRIGGER USER;
             ALTER TABLE events DROP CONSTRAINT IF EXISTS events_position_check;
             ALTER TABLE events DROP CONSTRAINT IF EXISTS events_sequence_check;";
        server().psql_at(database.url(), &format!("{free}{sql}"));
    }

    /// The one number that a query brings.
    pub fn number(&self, sql: &str) -> i64 {
        match &self.database {
            None => {
                let connection = rusqlite::Connection::open(self.file()).unwrap();
                connection.query_row(sql, [], |row| row.get(0)).unwrap()
            }
            Some(database) => server().psql_at(database.url(), sql).parse().unwrap(),
        }
    }

    /// Whether PostgreSQL itself refuses a statement.
    pub fn is_refused(&self, sql: &str) -> bool {
        let database = self.database.as_ref().expect("a log in PostgreSQL");
        let tried = format!(
            "CREATE TABLE tried (refused boolean);
             DO $$ BEGIN {sql}; INSERT INTO tried VALUES (false);
             EXCEPTION WHEN OTHERS THEN INSERT INTO tried VALUES (true); END $$;"
        );
        server().psql_at(database.url(), &tried);
        server().psql_at(database.url(), "SELECT refused FROM tried") == "t"
    }

    /// Bytes, as SQL writes them.
    pub fn bytes(&self, digest: &Digest) -> String {
        if self.is_sqlite() { format!("x'{digest}'") } else { format!("'\\x{digest}'::bytea") }
    }

    /// A JSON column that is changed by replacing one word by another.
    pub fn replaced(&self, column: &str, word: &str, by: &str) -> String {
        if self.is_sqlite() {
            format!("{column} = replace({column}, '{word}', '{by}')")
        } else {
            format!("{column} = replace({column}::text, '{word}', '{by}')::json")
        }
    }

    /// The log, opened for reading.
    pub fn log(&self) -> std::sync::Arc<dyn EventLog> {
        match &self.database {
            None => std::sync::Arc::new(SqliteLog::open_read_only(&self.file()).unwrap()),
            Some(database) => std::sync::Arc::new(
                self.http.runtime().block_on(PgLog::open_read_only(database.url())).unwrap(),
            ),
        }
    }

    /// What the key of the snapshots is made from.
    pub fn secret(&self) -> [u8; 32] {
        match &self.database {
            None => {
                let log = SqliteLog::open_read_only(&self.file()).unwrap();
                let salt = self.block_on(log.secret()).unwrap();
                let state = self.project.path("state").join(log.identity().log_id.to_string());
                let key = std::fs::read(state.join("secret")).unwrap();
                specline::engine::token_key(&key.try_into().unwrap(), &salt)
            }
            Some(database) => self.block_on(async {
                PgLog::open_read_only(database.url()).await.unwrap().secret().await.unwrap()
            }),
        }
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.http.runtime().block_on(work)
    }

    /// A key that is good for everything, made by the operator.
    pub fn admin(&self, name: &str) -> String {
        let said = self.project.ok(&["keys", "create", name, "--scope", "admin"]);
        let key = said.stdout.lines().find(|line| line.starts_with("sl_"));
        key.unwrap_or_else(|| panic!("{said:?}")).to_owned()
    }

    pub fn serve(&self) -> Serving {
        let mut running = self.project.start(self.project.command(&["serve"]));
        let url = wait_for("the address", || {
            assert!(!running.has_ended(), "{}", running.stderr());
            running.stdout().lines().next().map(str::to_owned)
        });
        wait_for("it to serve", || running.stderr().contains("serving").then_some(()));
        Serving { running, url }
    }

    /// Starts an engine; what it said where it would not.
    pub fn try_serve(&self) -> Result<Serving, String> {
        let mut running = self.project.start(self.project.command(&["serve"]));
        let end = wait_for("it to serve or to end", || {
            let serves = running.stderr().contains("serving") && !running.stdout().is_empty();
            (serves || running.has_ended()).then_some(serves)
        });
        if !end {
            return Err(running.stderr());
        }
        let url = running.stdout().lines().next().unwrap_or_default().to_owned();
        Ok(Serving { running, url })
    }

    /// The status of a read, and its body.
    pub fn get(&self, serving: &Serving, path: &str, key: &str) -> (u16, Value) {
        let url = format!("{}/api/v1{path}", serving.url);
        let answer = self.http.call(Method::GET, &url, key, None).expect("an answer");
        (answer.status, answer.body)
    }

    pub fn post(&self, serving: &Serving, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/api/v1{path}", serving.url);
        let answer = self.http.call(Method::POST, &url, key, Some((body, None)));
        let answer = answer.expect("an answer");
        (answer.status, answer.body)
    }

    /// Drafts a spec.
    pub fn draft(&self, serving: &Serving, key: &str) -> String {
        let body = json!({
            "title": "Limit links",
            "description": "Limit how many links an API key may create.",
            "repository": self.project.repo(),
        });
        let (status, answer) = self.post(serving, "/specs", key, &body);
        assert_eq!(status, 201, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// What `audit verify` says: its exit code, and all that it printed.
    pub fn verify(&self) -> (i32, String) {
        let said = self.project.specline(&["audit", "verify"]);
        (said.code(), format!("{}{}", said.stdout, said.stderr))
    }

    /// `verify` finds it, and `log verify` too; the words name it.
    pub fn is_found(&self, words: &[&str]) {
        for command in [["audit", "verify"], ["log", "verify"]] {
            let said = self.project.specline(&command);
            let text = format!("{}{}", said.stdout, said.stderr);
            assert_eq!(said.code(), 1, "{command:?}: {text}");
            assert!(words.iter().all(|word| text.contains(word)), "{command:?}: {text}");
        }
    }

    /// Nothing is found.
    pub fn is_clean(&self) {
        let (code, text) = self.verify();
        assert_eq!(code, 0, "{text}");
    }
}

impl Serving {
    pub fn stop(self) -> String {
        self.running.signal(Signal::TERM);
        let said = self.running.wait();
        format!("{}{}", said.stdout, said.stderr)
    }
}

/// A key that nobody made, and the event that would mint it.
pub struct Forged {
    pub key: String,
    pub id: Uuid,
    payload: String,
    hash: Digest,
}

/// What the engine's own event of a new admin key would say.
pub fn forge_key() -> Forged {
    let (id, secret) = (Uuid::now_v7(), "5".repeat(64));
    let mut hasher = blake3::Hasher::new_derive_key("specline access key v1");
    hasher.update(id.as_bytes());
    hasher.update(secret.as_bytes());
    let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
    let payload = json!({ "AccessKeyCreated": {
        "key": id, "grant": { "name": "forged", "scopes": ["admin"] },
        "secret_digest": digest, "by": "engine",
    }})
    .to_string();
    let stream = StreamId { aggregate_type: "AccessKey".to_owned(), aggregate_id: id };
    let content = Content {
        event_type: "AccessKeyCreated",
        event_version: "1",
        payload: &payload,
        metadata: METADATA,
    };
    let hash = chain_hash(&GENESIS, &stream, 1, content);
    Forged { key: format!("sl_{}_{secret}", id.simple()), id, payload, hash }
}

const METADATA: &str = r#"{"actor":"engine:serve"}"#;

impl Forged {
    /// The statement that puts it at a position.
    pub fn at(&self, world: &World, position: i64) -> String {
        let hash = world.bytes(&self.hash);
        format!(
            "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type,
                 event_version, payload, metadata, recorded_at, hash)
             VALUES ({position}, 'AccessKey', '{}', 1, 'AccessKeyCreated', '1', '{}', '{METADATA}',
                 1, {hash})",
            self.id, self.payload
        )
    }

    /// The statement that puts it there as postgres-es would.
    pub fn foreign(&self) -> String {
        format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
                 event_version, payload, metadata)
             VALUES ('AccessKey', '{}', 1, 'AccessKeyCreated', '1', '{}', '{METADATA}')",
            self.id, self.payload
        )
    }
}

/// `command`, with the umask that hides nothing.
pub fn wide_open(command: &Command) -> Command {
    let mut open = Command::new("sh");
    open.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(command.get_program());
    open.args(command.get_args()).env_clear();
    open.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        open.current_dir(folder);
    }
    open.stdin(std::process::Stdio::null());
    open
}
