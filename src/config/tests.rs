//! Configuration: what goes before what, what is refused, what is hidden.

use std::path::{Path, PathBuf};

use super::{Config, Error, File, Source, Sources, Whose};

fn none(_: &str) -> Option<String> {
    None
}

fn file(text: &str) -> Result<File, Error> {
    File::parse(Path::new("c.toml"), text)
}

fn source_of(config: &Config, key: &str) -> (Option<String>, Source) {
    let entry = config.entries.iter().find(|entry| entry.key == key).unwrap();
    (entry.value.clone(), entry.source.clone())
}

#[test]
fn the_defaults_are_valid() {
    let config = Config::read(Sources::new(&none)).unwrap();
    assert!(config.entries.iter().all(|entry| entry.source == Source::Default));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.store.url, None);
}

#[test]
fn flags_go_before_environment_before_file() {
    let text = "[log]\nformat = \"json\"\nlevel = \"debug\"\n[server]\nrate_limit = 7\n";
    let env = |name: &str| (name == "SPECLINE_LOG").then(|| "warn".to_owned());
    let mut sources = Sources { files: vec![file(text).unwrap()], ..Sources::new(&env) };
    sources.flags.insert("log.format", "text".to_owned());
    let config = Config::read(sources).unwrap();
    assert_eq!(source_of(&config, "log.format").1, Source::Flag("--log-format".to_owned()));
    let level = source_of(&config, "log.level");
    assert_eq!(level, (Some("warn".into()), Source::Environment("SPECLINE_LOG".into())));
    let rate = source_of(&config, "server.rate_limit");
    assert_eq!(rate, (Some("7".into()), Source::File("c.toml:5".into())));
    assert_eq!(config.server.rate_limit, 7);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_what_was_meant() {
    let text = "# a comment\n[server]\nlisten = \"127.0.0.1:1\"\nratelimit = 3\n";
    let sources = Sources { files: vec![file(text).unwrap()], ..Sources::new(&none) };
    let error = Config::read(sources).unwrap_err().to_string();
    let said = "c.toml:4: there is no key `server.ratelimit`; did you mean `server.rate_limit`?";
    assert_eq!(error, said);
}

#[test]
fn a_wrong_value_says_where_it_stands() {
    let sources = Sources {
        files: vec![file("\n[log]\nformat = \"xml\"\n").unwrap()],
        ..Sources::new(&none)
    };
    let error = Config::read(sources).unwrap_err().to_string();
    assert_eq!(error, "log.format (file c.toml:3): \"xml\" is neither `text` nor `json`");
    let error = file("[log\nformat = 1").unwrap_err();
    assert!(matches!(error, Error::Malformed { line: 1, .. }), "{error:?}");
    let missing = PathBuf::from("/nonexistent/config.toml");
    let opened = File::open(&missing, Whose::User);
    assert!(matches!(opened, Err(Error::Unreadable { path, .. }) if path == missing));
}

#[test]
fn a_certificate_needs_its_key() {
    let env = |name: &str| (name == "SPECLINE_TLS_CERT").then(|| "cert.pem".to_owned());
    let error = Config::read(Sources::new(&env)).unwrap_err().to_string();
    assert_eq!(error, "server.tls_cert: it needs `server.tls_key` beside it");
}

#[test]
fn passwords_are_never_shown() {
    for url in [
        "postgres://me:hunter2@db/specs",
        "postgres://db/specs?user=me&password=hunter2",
        "postgres://me:a@hunter2@db/specs",
    ] {
        let env = |name: &str| (name == "SPECLINE_STORE").then(|| url.to_owned());
        let config = Config::read(Sources::new(&env)).unwrap();
        assert_eq!(config.store.url.as_deref(), Some(url));
        let (shown, _) = source_of(&config, "store.url");
        let shown = shown.unwrap();
        assert!(shown.contains("db/specs") && shown.contains("***"), "{shown}");
        assert!(!format!("{:?}", config.entries).contains("hunter2"), "{shown}");
    }
}

#[test]
fn programs_have_names_and_commands() {
    let of = |text: &str| {
        let sources = Sources { files: vec![file(text).unwrap()], ..Sources::new(&none) };
        Config::read(sources).map(|config| config.programs)
    };
    let text = "[agents.mine]\ncommand = [\"agent\", \"two words\"]\nenv = [\"A\", \"B\"]\n\
                time_s = 3\n[evaluators.house]\ncommand = \"/bin/judge -x\"\n";
    let programs = of(text).unwrap();
    let mine = &programs.agents["mine"];
    assert_eq!(mine.command, "agent 'two words'");
    assert_eq!((mine.env.join(" "), mine.time_ms), ("A B".to_owned(), Some(3_000)));
    assert_eq!(programs.evaluators["house"].time_ms, None);
    for (text, said) in [
        ("[agents.a]\ndriver = \"command\"\n", "it needs `command`"),
        ("[agents.a]\ncommand = \"./agent\"\n", "a relative path"),
        ("[agents.a]\ncommand = \"agent 'x\"\n", "an open quote"),
        ("[agents.a]\ncommand = \"x\"\ndriver = \"docker\"\n", "is no driver"),
        ("[agents.builtin]\ncommand = \"x\"\n", "none of the engine's own"),
        ("[agents.\"a b\"]\ncommand = \"x\"\n", "a name has"),
        ("[evaluators.a]\ncommand = \"x\"\ntime_s = 0\n", "is no time"),
        ("[agents.a]\ncomand = \"x\"\n", "there is no key `agents.a.comand`"),
        ("[evaluators.a]\ncommand = \"x\"\nenv = [\"A\"]\n", "no key `evaluators.a.env`"),
    ] {
        let error = of(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}
