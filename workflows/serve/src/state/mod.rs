//! The state of a service: one SQLite file with a write-ahead log.
//!
//! | file | holds |
//! | --- | --- |
//! | `migrate` | the tables, version by version |
//! | `events` | what triggers found, each once, and the groups that they gather in |
//! | `run` | what a run is, and its row |
//! | `runs` | the queue: claims, ends, retries, what is left of a service that died |
//! | `results` | what runs wrote, each once |
//! | `prune` | what is let go after a while |
//! | `triggers` | how far each trigger has looked |
//!
//! Whatever belongs together is written in one transaction: events with the cursor that they were found by, a group's
//! end with its run, a run's end with its results. Between two of them a process may die at any moment.

mod events;
mod migrate;
mod prune;
mod results;
mod run;
mod runs;
mod triggers;

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub(crate) use events::Progress;
pub use events::{Accepted, GroupRule, Late, NewEvent, OnTimeout, StoredEvent};
pub use results::{ItemQuery, NewResult, StoredCollection, StoredItem};
pub use run::{Ended, NewRun, Room, Run, RunFilter, RunState};
pub use triggers::{Skip, TriggerState};

use crate::{Result, ServeError};

/// How long a writer waits for another process, such as `skysense trigger fire` beside the service.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most connections for reading that are kept open: as many as may answer at once, for opening one takes longer than
/// most answers.
const READERS: usize = 32;
/// Pages that each of them keeps, in KiB where it is negative; the system keeps the file's pages for all of them.
const READER_CACHE: i64 = -256;

/// A file that is there, for one thread at a time.
const EXISTING: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// The state of a service.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

/// Keeps others from serving the same state, for as long as it lives.
#[derive(Debug)]
pub struct ServiceLock {
    _file: File,
}

impl ServiceLock {
    /// Claims the right to serve a state.
    ///
    /// # Errors
    /// Another process has it.
    pub fn take(state: &Path) -> Result<Self> {
        make_room_for(state)?;
        let path = state.with_extension("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| ServeError::file("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ServeError::Locked { path: state.to_owned() }),
            Err(TryLockError::Error(error)) => Err(ServeError::file("lock", &path, error)),
        }
    }
}

/// Makes the folder of a file.
fn make_room_for(path: &Path) -> Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::create_dir_all(folder).map_err(|error| ServeError::file("make", folder, error)),
        None => Ok(()),
    }
}

impl Store {
    /// Opens a state, makes one where there is none, and brings one of an older version up to date.
    ///
    /// # Errors
    /// The file cannot be opened, is no state, or is of a newer version.
    pub fn open(path: &Path) -> Result<Self> {
        make_room_for(path)?;
        let mut writer = Connection::open(path).map_err(|source| ServeError::State { what: "opened", source })?;
        prepare(&writer)?;
        migrate::migrate(&mut writer, path)?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() })
    }

    /// Opens a state to serve it: nobody else does from here on, and only then is it brought up to date.
    ///
    /// # Errors
    /// Another process serves it, or as [`Store::open`].
    pub fn open_to_serve(path: &Path) -> Result<(Self, ServiceLock)> {
        let lock = ServiceLock::take(path)?;
        Ok((Self::open(path)?, lock))
    }

    /// Opens a state that is there, as it is: to look at it or to copy it. One of an older version stays so.
    ///
    /// # Errors
    /// The file is not there, cannot be opened, is no state, or is of a newer version.
    pub fn open_existing(path: &Path) -> Result<Self> {
        let opened = |source| ServeError::State { what: "opened", source };
        std::fs::metadata(path).map_err(|error| ServeError::file("open", path, error))?;
        let writer = Connection::open_with_flags(path, EXISTING).map_err(opened)?;
        writer.busy_timeout(PATIENCE).map_err(opened)?;
        migrate::check(&writer, path)?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the state answers, for the health of the service.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self) -> Result<()> {
        self.read(|state| state.query_row("SELECT count(*) FROM workflow", [], |row| row.get::<_, i64>(0)))?;
        Ok(())
    }

    /// Copies the state, as it is at one moment, into a new file.
    ///
    /// # Errors
    /// The file is there already, or cannot be written.
    pub fn backup(&self, to: &Path) -> Result<()> {
        if to.exists() {
            let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(ServeError::file("write", to, exists));
        }
        let to = to.to_string_lossy().into_owned();
        self.read(|state| state.execute("VACUUM INTO ?1", [to]))?;
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic while it was held has rolled its transaction back.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something in one transaction: all of it, or nothing.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut writer = self.writer();
        // Immediate: a transaction that reads first and then writes would fail where another process has written.
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(ServeError::write)?;
        let done = work(&transaction).map_err(ServeError::write)?;
        transaction.commit().map_err(ServeError::write)?;
        Ok(done)
    }

    /// Reads beside whoever writes.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match kept {
            Some(reader) => reader,
            None => self.reader()?,
        };
        let done = work(&reader).map_err(ServeError::read);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(reader);
        }
        done
    }

    fn reader(&self) -> Result<Connection> {
        let reader = Connection::open_with_flags(&self.path, EXISTING).map_err(ServeError::read)?;
        reader.busy_timeout(PATIENCE).map_err(ServeError::read)?;
        reader.pragma_update(None, "cache_size", READER_CACHE).map_err(ServeError::read)?;
        Ok(reader)
    }
}

fn prepare(writer: &Connection) -> Result<()> {
    let set = || -> rusqlite::Result<()> {
        writer.busy_timeout(PATIENCE)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        // With FULL a commit is on the disk when it returns: what was acknowledged survives a power cut.
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "foreign_keys", true)?;
        writer.set_prepared_statement_cache_capacity(64);
        Ok(())
    };
    set().map_err(|source| ServeError::State { what: "opened", source })
}
