//! What can go wrong with the file, and how an error of SQLite is told to the log's callers.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::store::LogError;

/// Why a log file could not be opened. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes this log.
    #[error(
        "{} is in use by another engine; send your command to that engine, or stop it first",
        path.display()
    )]
    Busy { path: PathBuf },
    /// A reader asked for a log that is not there.
    #[error("there is no log at {}; start an engine there, or name another folder", path.display())]
    Missing { path: PathBuf },
    /// The folder or the file refuses to be written.
    #[error("{} cannot be written: {cause}; check the folder and its permissions", path.display())]
    NotWritable { path: PathBuf, cause: String },
    /// There is no room.
    #[error("there is no space left for {}; free some and try again", path.display())]
    Full { path: PathBuf },
    /// The file is something else.
    #[error("{} is not a Specline log; name another file, or move this one away", path.display())]
    NotALog { path: PathBuf },
    /// A newer program wrote it.
    #[error(
        "{} has schema {found}, and this program knows {known}; use a newer specline",
        path.display()
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    /// An older program wrote it, and a reader must not change it.
    #[error(
        "{} has schema {found}, and this program reads {known}; start an engine on it once",
        path.display()
    )]
    Older { path: PathBuf, found: u32, known: u32 },
    /// The file was changed by something else, or the disk lost a part of it.
    #[error("{} is damaged: {cause}; restore it from a backup", path.display())]
    Damaged { path: PathBuf, cause: String },
    /// A backup does not replace a file.
    #[error("{} is there already; name another file", path.display())]
    Exists { path: PathBuf },
    /// A log is being copied into it.
    #[error(
        "the copy into {} is not finished; run `specline log copy` again",
        path.display()
    )]
    Unfinished { path: PathBuf },
    #[error(
        "{} cannot be opened: {cause}; check the folder and the space on its disk",
        path.display()
    )]
    Other { path: PathBuf, cause: String },
}

impl OpenError {
    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        let (path, cause) = (path.to_owned(), error.to_string());
        let kind = error.kind();
        if kind == Kind::StorageFull || kind == Kind::QuotaExceeded {
            Self::Full { path }
        } else if [
            Kind::PermissionDenied,
            Kind::ReadOnlyFilesystem,
            Kind::NotFound,
            Kind::NotADirectory,
            Kind::IsADirectory,
        ]
        .contains(&kind)
        {
            Self::NotWritable { path, cause }
        } else {
            Self::Other { path, cause }
        }
    }

    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, cause) = (path.to_owned(), error.to_string());
        let code = error.sqlite_error_code();
        if code == Some(ErrorCode::NotADatabase) {
            Self::NotALog { path }
        } else if code == Some(ErrorCode::DatabaseCorrupt) {
            Self::Damaged { path, cause }
        } else if code == Some(ErrorCode::DiskFull) {
            Self::Full { path }
        } else if code == Some(ErrorCode::ReadOnly)
            || code == Some(ErrorCode::CannotOpen)
            || code == Some(ErrorCode::PermissionDenied)
        {
            Self::NotWritable { path, cause }
        } else {
            Self::Other { path, cause }
        }
    }
}

/// What an error of SQLite means to a caller of the log. Taken by value for `map_err`.
#[expect(clippy::needless_pass_by_value, reason = "used as map_err(log_error)")]
pub(super) fn log_error(error: rusqlite::Error) -> LogError {
    let code = error.sqlite_error_code();
    let corrupt = code == Some(ErrorCode::DatabaseCorrupt)
        || code == Some(ErrorCode::NotADatabase)
        || is_unreadable(&error);
    if corrupt {
        return LogError::Corrupt { place: "the log's file".to_owned(), cause: error.to_string() };
    }
    let cause = if code == Some(ErrorCode::DiskFull) {
        "no space is left for the log; free some".to_owned()
    } else {
        error.to_string()
    };
    LogError::Transient { cause }
}

/// The value in a column is not of the kind that the log writes there.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::InvalidColumnType(..)
    )
}
