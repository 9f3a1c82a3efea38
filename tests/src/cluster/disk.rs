//! A small disk that a test can fill.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::statvfs;

/// A file system of its own, in memory. It goes with everything in it when this is dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Puts one of so many megabytes at this place.
    ///
    /// # Errors
    /// Whoever is not root may not.
    pub fn mount(at: &Path, megabytes: u32) -> anyhow::Result<Self> {
        std::fs::create_dir_all(at)?;
        let size = format!("size={megabytes}m,mode=0755");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).context(
            "this test needs a small file system of its own, which takes root and the right to mount: \
             run it so, or pass over such tests with `-- --skip disk::`",
        )?;
        Ok(Self(at.to_owned()))
    }

    /// Fills it but for so many kilobytes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn fill(&self, but_for: u64) -> anyhow::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.ballast())?;
        let zeros = vec![0; 64 * 1024];
        loop {
            match file.write(&zeros) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
        let length = file.metadata()?.len();
        Ok(file.set_len(length.saturating_sub(but_for * 1024))?)
    }

    /// Makes room again.
    ///
    /// # Errors
    /// It was not full.
    pub fn make_room(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.ballast())?)
    }

    /// How many bytes are free.
    ///
    /// # Errors
    /// It is gone.
    pub fn free(&self) -> anyhow::Result<u64> {
        let disk = statvfs(&self.0)?;
        Ok(disk.blocks_available() * disk.fragment_size())
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Servers may still be ending.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
