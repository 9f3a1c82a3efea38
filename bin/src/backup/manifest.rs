//! What a backup consists of.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use echolog_events::Time;
use echolog_nats::Stored;
use serde::{Deserialize, Serialize};

use super::{segments, tables};

const FILE: &str = "manifest.json";

/// The form of backups that this build writes and reads.
const FORMAT: u32 = 1;

/// What a backup consists of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// Whose it is.
    pub(super) tenant: String,
    /// The identity of the log.
    pub(super) log_id: String,
    /// Tells the master key from others.
    pub(super) key_check: String,
    /// The files of the log, in order, without a gap.
    pub(super) log: Vec<Segment>,
    /// The dump of the tables. None if no backup was ever finished.
    pub(super) tables: Option<String>,
}

/// A file of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) file: String,
    /// The first sequence.
    pub(super) first: u64,
    /// The last sequence.
    pub(super) last: u64,
    /// The broker's time of the last one.
    pub(super) until: Time,
}

impl Manifest {
    /// The manifest of the backup in a directory.
    pub(super) fn open(directory: &Path) -> anyhow::Result<Self> {
        Self::find(directory)?
            .with_context(|| format!("{} holds no backup: it has no {FILE}", directory.display()))
    }

    /// The manifest of the backup of this log, or that of a new one.
    pub(super) fn open_or_new(
        directory: &Path,
        tenant: &str,
        log_id: &str,
        key_check: &str,
    ) -> anyhow::Result<Self> {
        let shown = directory.display();
        if let Some(found) = Self::find(directory)? {
            ensure!(
                found.log_id == log_id && found.tenant == tenant,
                "{shown} holds a backup of tenant {} and log {}, but NATS has tenant {tenant} and log \
                 {log_id}: choose another directory",
                found.tenant,
                found.log_id,
            );
            found.check_key(key_check)?;
            return Ok(found);
        }
        Ok(Self {
            format: FORMAT,
            tenant: tenant.to_owned(),
            log_id: log_id.to_owned(),
            key_check: key_check.to_owned(),
            log: Vec::new(),
            tables: None,
        })
    }

    fn find(directory: &Path) -> anyhow::Result<Option<Self>> {
        let path = directory.join(FILE);
        let shown = path.display();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => bail!("{shown} cannot be read: {error}"),
        };
        let manifest: Self =
            serde_json::from_slice(&text).with_context(|| format!("{shown} makes no sense"))?;
        ensure!(
            manifest.format == FORMAT,
            "{shown} is of form {}, and this Echolog knows form {FORMAT}: use a newer one",
            manifest.format
        );
        Ok(Some(manifest))
    }

    /// Makes sure that the backup goes with this master key.
    pub(super) fn check_key(&self, key_check: &str) -> anyhow::Result<()> {
        ensure!(
            self.key_check == key_check,
            "the backup was made under another ECHOLOG_MASTER_KEY: without it no name could be \
             recognised as taken"
        );
        Ok(())
    }

    /// The last sequence of the log.
    pub(super) fn end(&self) -> u64 {
        self.log.last().map_or(0, |segment| segment.last)
    }

    /// Adds these messages to the log, if there are any.
    pub(super) fn add(
        &mut self,
        directory: &Path,
        messages: &mut Vec<Stored>,
    ) -> anyhow::Result<()> {
        if !messages.is_empty() {
            self.log.push(segments::write(directory, messages)?);
            self.save(directory)?;
            messages.clear();
        }
        Ok(())
    }

    /// Removes the dumps that it does not name: those of the last backup and of attempts that failed.
    pub(super) fn remove_other_dumps(&self, directory: &Path) -> anyhow::Result<()> {
        let failed = || format!("old dumps in {} cannot be removed", directory.display());
        for entry in fs::read_dir(directory).with_context(failed)? {
            let name = entry.with_context(failed)?.file_name();
            let name = name.to_str().filter(|name| tables::is_dump(name));
            if let Some(name) = name.filter(|name| self.tables.as_deref() != Some(name)) {
                fs::remove_file(directory.join(name)).with_context(failed)?;
            }
        }
        Ok(())
    }

    /// Replaces the manifest. What it names has to be on the disk.
    pub(super) fn save(&self, directory: &Path) -> anyhow::Result<()> {
        write(directory, FILE, |file| Ok(serde_json::to_writer_pretty(file, self)?))
    }
}

/// Makes the directory if need be, and locks it: two that write into it would spoil it. The lock goes
/// with the process.
pub(super) fn lock(directory: &Path) -> anyhow::Result<File> {
    let shown = directory.display();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("{shown} cannot be made"))?;
    let failed = || format!("{shown} cannot be locked");
    let lock = create(&directory.join("lock")).with_context(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("another backup into {shown} is under way: let it end")
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}

/// Creates a file that only its owner may read: there are messages and hashes of passwords in it.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a file whole, or not at all.
pub(super) fn write(
    directory: &Path,
    name: &str,
    content: impl FnOnce(&mut File) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let write = || -> anyhow::Result<()> {
        let part = directory.join(format!("{name}.part"));
        let mut file = create(&part)?;
        content(&mut file)?;
        file.flush()?;
        file.sync_all()?;
        fs::rename(&part, directory.join(name))?;
        File::open(directory)?.sync_all()?;
        Ok(())
    };
    write().with_context(|| format!("{} cannot be written", directory.join(name).display()))
}
