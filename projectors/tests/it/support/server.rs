//! A PostgreSQL of its own: one server for the test binary, one database per test.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use echolog_projectors::db::{Database, DatabaseOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::Mutex;

/// Ends PostgreSQL and removes its files when standard input closes: that is, when this process
/// ends, in whatever way.
const WATCH: &str = r#""$1/postgres" -D "$2/data" -p "$3" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c fsync=off -c full_page_writes=off -c synchronous_commit=off \
    -c timezone=UTC -c autovacuum=off >"$2/log" 2>&1 &
read _; kill -INT $!; wait $!; rm -rf "$2""#;

struct Server {
    port: u16,
    _watch: Child,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static TEMPLATE: Mutex<bool> = Mutex::const_new(false);
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Where a database of the server is.
pub(crate) fn url(name: &str) -> String {
    url_of("postgres", name)
}

/// The same for another user than the owner.
pub(crate) fn url_of(user: &str, name: &str) -> String {
    format!("postgres://{user}@127.0.0.1:{}/{name}?sslmode=disable", port())
}

/// Where the server listens.
pub(crate) fn port() -> u16 {
    SERVER.get_or_init(start).port
}

/// A new, migrated database: as its owner sees it, and as workers do.
pub(crate) async fn database() -> (Database, Database) {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut template = TEMPLATE.lock().await;
    let mut admin = connect_patiently().await;
    if !*template {
        admin.execute("CREATE DATABASE template_echolog").await.expect("a template");
        connect(&url("template_echolog")).await.migrate().await.expect("migrations");
        // As an operator does, but for the password.
        let login = "ALTER ROLE echolog_projector LOGIN; ALTER ROLE echolog_reader LOGIN";
        sqlx::raw_sql(login).execute(&mut admin).await.expect("they may log in");
        *template = true;
    }
    let create = format!("CREATE DATABASE {name} TEMPLATE template_echolog");
    admin.execute(AssertSqlSafe(create)).await.expect("a database");
    (connect(&url(&name)).await, connect(&url_of("echolog_projector", &name)).await)
}

pub(crate) async fn connect(url: &str) -> Database {
    let options = DatabaseOptions {
        url: url.to_owned(),
        max_connections: 4,
        connect_timeout: Duration::from_secs(10),
    };
    Database::connect(&options).await.expect("a connection")
}

async fn connect_patiently() -> PgConnection {
    for _ in 0..200 {
        if let Ok(connection) = PgConnection::connect(&url("postgres")).await {
            return connection;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("PostgreSQL does not answer");
}

fn start() -> Server {
    let binaries = binaries();
    let directory = std::env::temp_dir().join(format!("echolog-test-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let user = postgres_user();
    if let Some((uid, gid)) = user {
        chown(&directory, Some(uid), Some(gid)).expect("the directory is ours");
    }
    let initdb = as_user(Command::new(binaries.join("initdb")), user, &directory)
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(directory.join("data"))
        .output()
        .expect("initdb runs");
    assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
    let port = free_port();
    let watch = as_user(Command::new("sh"), user, &directory)
        .args(["-c", WATCH, "sh"])
        .arg(&binaries)
        .arg(&directory)
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("a shell");
    Server { port, _watch: watch }
}

pub(crate) fn as_user(mut command: Command, user: Option<(u32, u32)>, directory: &Path) -> Command {
    command.current_dir(directory);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// PostgreSQL refuses to run as root.
pub(crate) fn postgres_user() -> Option<(u32, u32)> {
    let me = std::fs::metadata("/proc/self").expect("/proc").uid();
    if me != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("users");
    let find = |name: &str| users.lines().find(|line| line.split(':').next() == Some(name));
    let line = find("postgres").or_else(|| find("nobody")).expect("a user other than root");
    let mut numbers = line.split(':').skip(2).map(|number| number.parse().expect("a number"));
    Some((numbers.next()?, numbers.next()?))
}

fn binaries() -> PathBuf {
    if let Some(path) = std::env::var_os("ECHOLOG_PG_BIN") {
        return path.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL, or ECHOLOG_PG_BIN");
    let mut paths: Vec<PathBuf> =
        versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    paths.sort();
    paths.pop().expect("PostgreSQL, or ECHOLOG_PG_BIN")
}

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}
