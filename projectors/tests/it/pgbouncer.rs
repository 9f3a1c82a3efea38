//! Readers through PgBouncer in transaction mode: many clients share a few connections, and nobody
//! sees what another one asked for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
use tokio::task::JoinSet;

use crate::support::{Log, Tables, as_user, free_port, id, port, postgres_user};

const CLIENTS: usize = 24;
const ROUNDS: usize = 30;
/// Connections of PgBouncer to PostgreSQL.
const SERVERS: usize = 3;
const USERS: usize = 7;

/// Ends PgBouncer when standard input closes: that is, when this process ends, in whatever way.
const WATCH: &str =
    r#""$1" "$2/pgbouncer.ini" >"$2/log" 2>&1 & read _; kill -INT $!; wait $!; rm -rf "$2""#;

struct PgBouncer {
    port: u16,
    _watch: Child,
}

impl PgBouncer {
    fn start(database: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("echolog-bouncer-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let user = postgres_user();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&directory, Some(uid), Some(gid)).expect("it is ours");
        }
        let (listen, server) = (free_port(), port());
        let login = format!("host=127.0.0.1 port={server} user=echolog_reader dbname={database}");
        let config = format!(
            "[databases]\nmany = {login} pool_size={SERVERS}\none = {login} pool_size=1\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\n\
             ignore_startup_parameters = extra_float_digits\n"
        );
        std::fs::write(directory.join("pgbouncer.ini"), config).expect("its configuration");
        let watch = as_user(Command::new("sh"), user, &directory)
            .args(["-c", WATCH, "sh"])
            .arg(program())
            .arg(&directory)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        Self { port: listen, _watch: watch }
    }
}

/// A client's connection to PgBouncer on this port.
async fn connect(port: u16, pool: &str) -> PgConnection {
    let url = format!("postgres://app@127.0.0.1:{port}/{pool}?sslmode=disable");
    for _ in 0..200 {
        if let Ok(connection) = PgConnection::connect(&url).await {
            return connection;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("PgBouncer does not answer");
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let mut programs = places.map(|place| place.join("pgbouncer"));
    programs.find(|program| program.is_file()).expect(
        "this test needs PgBouncer, on PATH or in /usr/sbin: `./dev test` installs it, or \
         `apt-get install pgbouncer`",
    )
}

/// Everybody has a conversation of their own.
fn log() -> Log {
    let mut log = Log::default();
    for user in (1..).take(USERS).map(id) {
        log.group(user, &[user]);
        log.send(user, user, user, "a secret");
    }
    log
}

/// A transaction begins or ends: one message, as another connection may have the next.
async fn run(connection: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement).execute(connection).await.expect("it runs");
}

/// Says for whom it asks, within a transaction. What is prepared must not outlive that.
async fn ask_for(connection: &mut PgConnection, user: usize, local: bool) {
    sqlx::query("SELECT set_config('app.current_user_id', $1, $2)")
        .persistent(false)
        .bind(id(user as u128).to_string())
        .bind(local)
        .execute(connection)
        .await
        .expect("it is set");
}

/// Whose messages are there, and which connection says so.
async fn look(connection: &mut PgConnection) -> (Vec<String>, i32) {
    let row = sqlx::raw_sql(
        "SELECT array(SELECT sender_user_id::text FROM messages.messages), pg_backend_pid()",
    )
    .fetch_one(connection)
    .await
    .expect("it is granted");
    (row.get(0), row.get(1))
}

/// One client asks for one user after the other; returns which connections answered.
async fn client(port: u16, client: usize) -> Vec<i32> {
    let mut connection = connect(port, "many").await;
    let mut servers = Vec::new();
    for round in 0..ROUNDS {
        // The last one is nobody.
        let user = (client + round) % (USERS + 1) + 1;
        run(&mut connection, "BEGIN").await;
        let mut expected = Vec::new();
        if user <= USERS {
            ask_for(&mut connection, user, true).await;
            expected.push(id(user as u128).to_string());
        }
        let (seen, server) = look(&mut connection).await;
        assert_eq!(seen, expected, "client {client} in round {round}");
        run(&mut connection, "COMMIT").await;
        let (seen, _) = look(&mut connection).await;
        assert_eq!(seen, [""; 0], "outside of a transaction there is nobody");
        servers.push(server);
    }
    servers
}

#[tokio::test]
async fn nobody_sees_what_another_client_asked_for() {
    let tables = Tables::given(&log()).await;
    let bouncer = PgBouncer::start(&tables.value("SELECT current_database()").await);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(bouncer.port, number));
    }
    let mut servers = BTreeSet::new();
    while let Some(answered) = clients.join_next().await {
        servers.extend(answered.expect("everybody saw their own"));
    }
    assert!(servers.len() <= SERVERS, "{CLIENTS} clients shared {servers:?}");

    // What the documentation warns of, and what this test would notice.
    let mut careless = connect(bouncer.port, "one").await;
    let mut other = connect(bouncer.port, "one").await;
    run(&mut careless, "BEGIN").await;
    ask_for(&mut careless, 1, false).await;
    run(&mut careless, "COMMIT").await;
    assert_eq!(look(&mut other).await.0, [id(1).to_string()]);
}
