//! A server's directory: locked while in use, with the port that it keeps.

use super::SuperviseError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A directory that is ours until this value is dropped.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    /// The lock goes with the process, even one that is killed; no child inherits it.
    _lock: File,
}

impl Place {
    /// Makes the directory if need be, and locks it.
    pub(super) fn take(directory: &Path) -> Result<Self, SuperviseError> {
        let doing = || format!("use directory {}", directory.display());
        std::fs::create_dir_all(directory).map_err(SuperviseError::io(doing()))?;
        let directory = directory.canonicalize().map_err(SuperviseError::io(doing()))?;
        let lock = File::create(directory.join("lock")).map_err(SuperviseError::io(doing()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(SuperviseError::InUse { directory }),
            Err(TryLockError::Error(source)) => Err(SuperviseError::io(doing())(source)),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The port to listen on: `wanted`, else the one kept in file `name` if it is free, else any
    /// free one, which is kept from now on.
    pub(super) fn port(&self, name: &str, wanted: Option<u16>) -> Result<u16, SuperviseError> {
        let file = self.join(name);
        let port = match wanted {
            Some(port) => free_port(port).ok_or(SuperviseError::PortTaken { port })?,
            None => {
                let kept = std::fs::read_to_string(&file).unwrap_or_default();
                let kept = kept.trim().parse().ok().and_then(free_port);
                kept.or_else(|| free_port(0)).ok_or(SuperviseError::PortTaken { port: 0 })?
            }
        };
        let doing = format!("write {}", file.display());
        std::fs::write(&file, format!("{port}\n")).map_err(SuperviseError::io(doing))?;
        Ok(port)
    }

    /// Drops the kept port, for the rare case that somebody takes it between our look and the
    /// server's start.
    pub(super) fn forget_port(&self, name: &str) {
        let _ = std::fs::remove_file(self.join(name));
    }
}

/// Writes a file that only its owner may read, since it holds a password.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), SuperviseError> {
    // An older file would keep its mode.
    let _ = std::fs::remove_file(path);
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(SuperviseError::io(format!("write {}", path.display())))
}

/// This port, or any for 0, if nobody listens on it.
fn free_port(port: u16) -> Option<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(listener.local_addr().ok()?.port())
}
