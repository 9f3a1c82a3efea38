//! Where the servers' programs are.

use super::SuperviseError;
use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that this module runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The program `nats-server`.
    pub nats_server: PathBuf,
    /// The directory that holds `postgres`, `initdb` and their tools.
    pub postgres_bin: PathBuf,
}

/// One program to look for, and how new it must be.
struct Wanted {
    what: &'static str,
    variable: &'static str,
    meaning: &'static str,
    needed: &'static str,
}

const NATS: Wanted = Wanted {
    what: "nats-server",
    variable: "ECHOLOG_NATS_SERVER",
    meaning: "a nats-server",
    // Before this version an atomic batch is not one fsync.
    needed: "2.15.1",
};

const POSTGRES: Wanted = Wanted {
    what: "postgres",
    variable: "ECHOLOG_PG_BIN",
    meaning: "the directory of a `postgres` and `initdb`",
    needed: "15",
};

impl Binaries {
    /// Looks at `ECHOLOG_NATS_SERVER` and `ECHOLOG_PG_BIN`, then along `PATH`, then in `.dev/bin`
    /// of this directory and those above it, then (PostgreSQL) in `/usr/lib/postgresql/*/bin`,
    /// the newest first. What a variable names is taken or refused; elsewhere what is too old is
    /// passed over.
    pub fn find() -> Result<Self, SuperviseError> {
        let here = env::current_dir().unwrap_or_default();
        let local = here.ancestors().map(|directory| directory.join(".dev/bin"));
        let places: Vec<PathBuf> = path().into_iter().chain(local).collect();

        let nats = places.iter().map(|place| place.join("nats-server"));
        let postgres = places
            .iter()
            .cloned()
            .chain(packaged())
            .filter(|place| is_program(&place.join("initdb")));
        Ok(Self {
            nats_server: NATS.choose(nats, Path::to_owned)?,
            postgres_bin: POSTGRES.choose(postgres, |place| place.join("postgres"))?,
        })
    }
}

impl Wanted {
    /// The first candidate whose program is there and new enough.
    fn choose(
        &self,
        mut candidates: impl Iterator<Item = PathBuf>,
        program: impl Fn(&Path) -> PathBuf,
    ) -> Result<PathBuf, SuperviseError> {
        let Self { what, variable, meaning, needed } = *self;
        let Some(named) = env::var_os(self.variable).filter(|value| !value.is_empty()) else {
            let good = |place: &PathBuf| {
                version(&program(place)).is_some_and(|found| self.is_new_enough(&found))
            };
            return candidates.find(good).ok_or(SuperviseError::NotFound {
                what,
                variable,
                meaning,
            });
        };
        let place = PathBuf::from(named);
        let path = program(&place);
        match version(&path) {
            Some(found) if self.is_new_enough(&found) => Ok(place),
            Some(found) => Err(SuperviseError::TooOld { what, path, found, needed, variable }),
            None => Err(SuperviseError::Misnamed { variable, path, what }),
        }
    }

    fn is_new_enough(&self, found: &str) -> bool {
        numbers(found) >= numbers(self.needed)
    }
}

/// Where PostgreSQL's programs may be, the best place first: the one that `ECHOLOG_PG_BIN` names,
/// those of `PATH`, Debian's.
pub fn postgres_places() -> impl Iterator<Item = PathBuf> {
    let named = env::var_os(POSTGRES.variable).filter(|value| !value.is_empty());
    named.map(PathBuf::from).into_iter().chain(path()).chain(packaged())
}

fn path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

/// Where Debian's packages put PostgreSQL, the newest first.
fn packaged() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut versions: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let number = |path: &PathBuf| numbers(&path.file_name().unwrap_or_default().to_string_lossy());
    versions.sort_by_key(|path| std::cmp::Reverse(number(path)));
    versions.into_iter().map(|version| version.join("bin")).collect()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

/// What the program's `--version` says: `nats-server: v2.15.1` and
/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` both have it in the first word that
/// starts with a digit, but for a `v`.
fn version(program: &Path) -> Option<String> {
    if !is_program(program) {
        return None;
    }
    let said = Command::new(program).arg("--version").output().ok()?.stdout;
    let said = String::from_utf8_lossy(&said);
    let mut words = said.split_whitespace().map(|word| word.trim_start_matches('v'));
    words.find(|word| word.starts_with(|first: char| first.is_ascii_digit())).map(str::to_owned)
}

/// The numbers of a version, for comparing; `17beta1` counts as 17.
fn numbers(version: &str) -> Vec<u32> {
    let number = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().unwrap_or(0)
    };
    version.split('.').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_not_by_text() {
        assert!(NATS.is_new_enough("2.15.1"));
        assert!(NATS.is_new_enough("2.100.0"));
        assert!(NATS.is_new_enough("3.0.0-beta.1"));
        assert!(!NATS.is_new_enough("2.15.0"));
        assert!(!NATS.is_new_enough("2.9.99"));
        assert!(POSTGRES.is_new_enough("15.18"));
        assert!(POSTGRES.is_new_enough("18beta1"));
        assert!(!POSTGRES.is_new_enough("9.6.24"));
        assert!(!POSTGRES.is_new_enough("14.20"));
    }
}
