//! Files, for those who try Echolog out and have no servers.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Letter, Undelivered};

/// A directory that only its owner may read.
#[derive(Clone)]
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn new(place: &Path) -> anyhow::Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(place);
        made.with_context(|| format!("{} cannot be made", place.display()))?;
        Ok(Self(place.to_owned()))
    }

    pub(super) async fn carry(&self, letter: &Letter) -> Result<(), Undelivered> {
        let path = self.0.join(format!("{}.txt", letter.id));
        let Letter { to, subject, text, .. } = letter;
        let content = format!("To: {to}\nSubject: {subject}\n\n{text}\n");
        let written = tokio::task::spawn_blocking(move || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(content.as_bytes())
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Undelivered::Failed("the file cannot be written")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use echolog_events::{Time, Uuid};

    use super::*;

    #[tokio::test]
    async fn only_their_owner_reads_them() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files::new(&directory.path().join("outbox")).expect("a place");
        let letter = Letter {
            id: Uuid::nil(),
            to: "ada@example.org".to_owned(),
            subject: "Your code",
            text: "123456".to_owned(),
            expires_at: Time::default(),
        };
        files.carry(&letter).await.expect("it is written");
        let path = files.0.join(format!("{}.txt", Uuid::nil()));
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(text, "To: ada@example.org\nSubject: Your code\n\n123456\n");
        for (path, mode) in [(files.0.as_path(), 0o700), (&path, 0o600)] {
            let permissions = path.metadata().expect("it is there").permissions();
            assert_eq!(permissions.mode() & 0o777, mode);
        }
    }
}
