//! The tables, by PostgreSQL's own tools.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use echolog_events::Uuid;
use percent_encoding::percent_decode_str;
use tokio::process::Command;
use url::{Url, form_urlencoded};

use super::manifest;
use crate::clock;
use crate::config::Config;
use crate::supervise::postgres_places;

/// Writes the tables of one moment into a file of the directory, and returns its name.
pub(super) async fn dump(config: &Config, directory: &Path) -> anyhow::Result<String> {
    let name = format!("tables-{}.dump", clock::new_id());
    let file = directory.join(&name);
    // It writes into a file that is there, and leaves to us who may read it.
    let written =
        manifest::create(&file).with_context(|| format!("{} cannot be written", file.display()))?;
    let arguments = ["--format=custom", "--no-owner", "--file"].map(OsStr::new);
    run(config, "pg_dump", arguments.into_iter().chain([file.as_os_str()])).await?;
    written.sync_all()?;
    Ok(name)
}

/// Whether a file of this name is a dump of the tables.
pub(super) fn is_dump(name: &str) -> bool {
    let id = name.strip_prefix("tables-").and_then(|rest| rest.strip_suffix(".dump"));
    id.is_some_and(|id| Uuid::try_parse(id).is_ok())
}

/// Makes the tables from a file: all of them, or none.
pub(super) async fn restore(config: &Config, file: &Path) -> anyhow::Result<()> {
    // Roles that were given rights may not be there.
    let arguments = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"];
    let arguments = arguments.map(OsStr::new);
    run(config, "pg_restore", arguments.into_iter().chain([file.as_os_str()])).await
}

/// Makes sure that a file can be read to its end.
pub(super) async fn check(file: &Path) -> anyhow::Result<()> {
    let arguments = ["--file=/dev/null"].map(OsStr::new);
    finish("pg_restore", tool("pg_restore")?.args(arguments).arg(file)).await
}

async fn run(
    config: &Config,
    name: &'static str,
    arguments: impl Iterator<Item = &OsStr>,
) -> anyhow::Result<()> {
    let (url, password) = address(&config.database_url()?)?;
    let mut command = tool(name)?;
    command.envs(password.map(|password| ("PGPASSWORD", password)));
    command.arg("--dbname").arg(url.as_str()).args(arguments).env("PGAPPNAME", "echolog-backup");
    finish(name, &mut command).await
}

/// An address as PostgreSQL's own programs take it, without the parameters that only our client
/// library knows; and the password, as everybody on the machine sees the arguments of a process.
fn address(url: &str) -> anyhow::Result<(Url, Option<String>)> {
    let mut url = Url::parse(url).context("DATABASE_URL is no address")?;
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut password = url.password().map(decoded);
    if password.is_some() {
        ensure!(url.set_password(None).is_ok(), "DATABASE_URL names no server");
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in url.query_pairs() {
        let name = match &*name {
            "password" => {
                password = Some(value.into_owned());
                continue;
            }
            "ssl-mode" => "sslmode",
            "ssl-root-cert" | "ssl-ca" => "sslrootcert",
            "ssl-cert" => "sslcert",
            "ssl-key" => "sslkey",
            "sslmode" | "sslrootcert" | "sslcert" | "sslkey" | "host" | "hostaddr" | "port"
            | "dbname" | "user" | "options" => &name,
            _ => continue,
        };
        query.append_pair(name, &value);
    }
    // They take a plus for a plus.
    let query = query.finish().replace('+', "%20");
    url.set_query(Some(&query).filter(|query| !query.is_empty()).map(String::as_str));
    Ok((url, password))
}

/// One of PostgreSQL's programs.
pub(super) fn tool(name: &'static str) -> anyhow::Result<Command> {
    let path = postgres_places().map(|place| place.join(name)).find(|path| path.exists());
    Ok(Command::new(path.with_context(|| {
        format!("there is no {name}: install PostgreSQL's client programs, or set ECHOLOG_PG_BIN")
    })?))
}

async fn finish(name: &str, command: &mut Command) -> anyhow::Result<()> {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = run.await.with_context(|| format!("{name} does not run"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_password_and_nothing_that_only_we_know() {
        for (url, bare, password) in [
            ("postgres://me:a%40b@db:5/x", "postgres://me@db:5/x", Some("a@b")),
            ("postgres://me@db/x?password=a%40b", "postgres://me@db/x", Some("a@b")),
            ("postgres:///x?host=/run/pg", "postgres:///x?host=%2Frun%2Fpg", None),
            (
                "postgres://db/x?ssl-mode=require&statement-cache-capacity=0&options=-c%20jit=off",
                "postgres://db/x?sslmode=require&options=-c%20jit%3Doff",
                None,
            ),
        ] {
            let (shown, kept) = address(url).expect("an address");
            assert_eq!((shown.as_str(), kept.as_deref()), (bare, password), "{url}");
        }
    }
}
