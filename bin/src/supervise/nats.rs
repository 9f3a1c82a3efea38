//! A private nats-server with JetStream.

use super::child::{Supervised, end_leftovers};
use super::place::{Place, write_secret};
use super::{Binaries, Credential, SuperviseError, local_url};
use nix::sys::signal::Signal;
use nix::sys::statvfs::statvfs;
use std::fmt::Write;
use std::fs::File;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

const WHAT: &str = "nats-server";
const CONFIG: &str = "nats.conf";
const PORT: &str = "port";
const MONITORING_PORT: &str = "monitoring-port";
const WEBSOCKET_PORT: &str = "websocket-port";
const STOP_SIGNAL: Signal = Signal::SIGTERM;
const STORE: &str = "store";
/// Where nats-server stores what belongs to no account.
const NO_ACCOUNT: &str = "$G";
/// What the log says, in one line, when the disk is full.
const DISK_FULL: [&str; 2] = ["critical write error", "no space left"];
/// So much is enough to start on: more than what can be half written.
const ROOM: u64 = 16 << 20;
/// How often we look at the log, and whether there is room again.
const POLL: Duration = Duration::from_secs(1);
/// How much garbage nats-server gathers before it collects it, in percent of what it keeps. A fifth
/// of its processor time goes into collecting where Go decides (100), a twentieth here.
const GARBAGE: &str = "GOGC";
const GARBAGE_PERCENT: &str = "400";
/// More than any disk has.
const NO_LIMIT: u64 = 1 << 50;

/// How to run a nats-server.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// The port on 127.0.0.1; `None` takes the one of the run before, or any free one.
    pub port: Option<u16>,
    /// Whether to serve monitoring by HTTP, on 127.0.0.1 and a free port.
    pub monitoring: bool,
    /// Whether to listen for WebSockets, on 127.0.0.1 and a free port.
    pub websocket: bool,
    /// Whether an acknowledged message is on the disk. Without it a crash of the machine may lose
    /// the last two minutes; only benchmarks that compare want that.
    pub sync: bool,
    /// How much JetStream may store, in bytes; `None` leaves it to the disk. (Left to itself
    /// nats-server takes three quarters of what is free when it starts, whatever it stores already.)
    pub max_store: Option<u64>,
    /// Who may connect.
    pub auth: NatsAuth,
    /// The account that takes over what was stored while there were no accounts.
    pub heir: Option<String>,
    /// More configuration, in nats-server's own syntax.
    pub config: String,
}

impl Default for NatsOptions {
    fn default() -> Self {
        let (auth, config) = (NatsAuth::Open, String::new());
        Self {
            port: None,
            monitoring: false,
            websocket: false,
            sync: true,
            max_store: None,
            auth,
            heir: None,
            config,
        }
    }
}

/// Who may connect to a nats-server.
#[derive(Debug, Clone)]
pub enum NatsAuth {
    /// Anybody on this machine; for tests.
    Open,
    /// This user, with every right.
    User(Credential),
    /// Whom [`NatsOptions::config`] says (accounts, auth callout); [`Nats::url`] is for this one
    /// of them.
    Configured(Credential),
}

/// A running nats-server.
#[derive(Debug)]
pub struct Nats {
    server: Supervised,
    ports: Ports,
    options: NatsOptions,
    place: Place,
}

/// Where a nats-server listens.
#[derive(Debug, Clone, Copy)]
struct Ports {
    clients: u16,
    monitoring: Option<u16>,
    websocket: Option<u16>,
}

impl Nats {
    /// Starts nats-server with its configuration, store and log in `directory`, and waits until it
    /// answers.
    pub async fn start(
        binaries: &Binaries,
        directory: &Path,
        options: NatsOptions,
    ) -> Result<Self, SuperviseError> {
        let place = Place::take(directory)?;
        end_leftovers(WHAT, place.directory(), STOP_SIGNAL).await?;
        if let Some(heir) = &options.heir {
            hand_down(&place.join(STORE).join("jetstream"), heir)?;
        }
        let (server, ports) = match launch(binaries, &place, &options).await {
            Err(error) if error.is_port_taken() && options.port.is_none() => {
                place.forget_port(PORT);
                place.forget_port(MONITORING_PORT);
                place.forget_port(WEBSOCKET_PORT);
                launch(binaries, &place, &options).await?
            }
            other => other?,
        };
        Ok(Self { server, ports, options, place })
    }

    /// What a client connects to, with the credential if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.options.auth {
            NatsAuth::Open => local_url("nats", self.port()).into(),
            NatsAuth::User(credential) | NatsAuth::Configured(credential) => {
                credential.url("nats", self.port(), "")
            }
        }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.clients
    }

    /// What a browser connects to, if that was asked for.
    #[must_use]
    pub fn websocket_url(&self) -> Option<String> {
        self.ports.websocket.map(|port| local_url("ws", port).into())
    }

    /// Where monitoring is served, if it was asked for.
    #[must_use]
    pub fn monitoring_url(&self) -> Option<String> {
        self.ports.monitoring.map(|port| local_url("http", port).into())
    }

    /// The process id; 0 once it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Lets JetStream store more than before, or as much as there is room for, while it runs.
    pub fn set_max_store(&self, max_store: Option<u64>) -> Result<(), SuperviseError> {
        let options = NatsOptions { max_store, ..self.options.clone() };
        let text = configuration(&self.place, &options, self.ports);
        write_secret(&self.place.join(CONFIG), &text)?;
        self.server.signal(Signal::SIGHUP);
        Ok(())
    }

    /// Watches it until it has to be [started again](Self::restart), which is so once it has met a
    /// full disk: then it takes nothing more. That there is room again is waited for, as it would
    /// otherwise give up the rest of a group of messages of which it has written the beginning.
    ///
    /// An error says why it ended by itself.
    pub async fn watch(&mut self) -> Result<(), SuperviseError> {
        let (log, store) = (self.server.log().to_owned(), self.place.join(STORE));
        let unfit = async {
            meets_full_disk(&log).await?;
            tracing::error!(
                store = %store.display(),
                "the disk of nats-server is full: make room, and it is started again"
            );
            while free(&store)? < ROOM {
                sleep(POLL).await;
            }
            Ok(())
        };
        tokio::select! {
            error = self.server.ended_by_itself() => Err(error),
            unfit = unfit => unfit,
        }
    }

    /// Stops it and starts it again where it was; clients connect anew by themselves.
    pub async fn restart(self, binaries: &Binaries) -> Result<Self, SuperviseError> {
        let Self { server, ports, options, place } = self;
        server.stop().await?;
        let options = NatsOptions { port: Some(ports.clients), ..options };
        let (server, ports) = launch(binaries, &place, &options).await?;
        Ok(Self { server, ports, options, place })
    }

    /// Stops it; one that does not stop within 20 seconds is killed.
    pub async fn stop(self) -> Result<(), SuperviseError> {
        self.server.stop().await
    }

    /// Ends it without warning, to see what is left.
    pub async fn kill(self) -> Result<(), SuperviseError> {
        self.server.kill().await
    }
}

/// Waits until the server's log says that there was no room for something.
async fn meets_full_disk(log: &Path) -> Result<(), SuperviseError> {
    let doing = || format!("read {}", log.display());
    let mut file = File::open(log).map_err(SuperviseError::io(doing()))?;
    let mut said = String::new();
    while !said.lines().any(|line| DISK_FULL.iter().all(|words| line.contains(words))) {
        // The last line may be there in part only.
        let whole = said.rfind('\n').map_or(0, |end| end + 1);
        said.drain(..whole);
        sleep(POLL).await;
        file.read_to_string(&mut said).map_err(SuperviseError::io(doing()))?;
    }
    Ok(())
}

/// How many bytes are free where this directory is.
fn free(directory: &Path) -> Result<u64, SuperviseError> {
    let disk = statvfs(directory).map_err(std::io::Error::from);
    let disk = disk.map_err(SuperviseError::io(format!("look at {}", directory.display())))?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

async fn launch(
    binaries: &Binaries,
    place: &Place,
    options: &NatsOptions,
) -> Result<(Supervised, Ports), SuperviseError> {
    let other = |wanted: bool, name| wanted.then(|| place.port(name, None)).transpose();
    let ports = Ports {
        clients: place.port(PORT, options.port)?,
        monitoring: other(options.monitoring, MONITORING_PORT)?,
        websocket: other(options.websocket, WEBSOCKET_PORT)?,
    };
    let config = place.join(CONFIG);
    write_secret(&config, &configuration(place, options, ports))?;

    let mut command = Command::new(&binaries.nats_server);
    // The working directory is how a later run knows this process again.
    command.arg("--config").arg(config).current_dir(place.directory());
    if std::env::var_os(GARBAGE).is_none() {
        command.env(GARBAGE, GARBAGE_PERCENT);
    }
    let mut server = Supervised::spawn(WHAT, command, STOP_SIGNAL, place.join("nats.log")).await?;
    let name = server_name(place);
    server.until_ready(async || greets(ports.clients, &name).await.then_some(())).await?;
    Ok((server, ports))
}

/// Moves what was stored while there were no accounts to the account that has it from now on.
fn hand_down(store: &Path, heir: &str) -> Result<(), SuperviseError> {
    let (before, after) = (store.join(NO_ACCOUNT), store.join(heir));
    if !before.exists() || after.exists() {
        return Ok(());
    }
    let doing = || format!("move {} to {}", before.display(), after.display());
    std::fs::rename(&before, &after).map_err(SuperviseError::io(doing()))
}

fn configuration(place: &Place, options: &NatsOptions, ports: Ports) -> String {
    let store = quoted(&place.join(STORE).to_string_lossy());
    let sync = if options.sync { "always" } else { "2m" };
    let max_store = options.max_store.unwrap_or(NO_LIMIT);
    let name = server_name(place);
    let port = ports.clients;
    let mut text = format!(
        "# Written anew at every start.\n\
         server_name: \"{name}\"\n\
         listen: \"127.0.0.1:{port}\"\n\
         max_payload: 1MB\n\
         jetstream {{ store_dir: {store}, sync_interval: {sync}, max_file_store: {max_store} }}\n"
    );
    // Writing to a String cannot fail.
    if let Some(port) = ports.monitoring {
        let _ = writeln!(text, "http: \"127.0.0.1:{port}\"");
    }
    if let Some(port) = ports.websocket {
        let _ = writeln!(text, "websocket {{ listen: \"127.0.0.1:{port}\", no_tls: true }}");
    }
    if let NatsAuth::User(Credential { user, password }) = &options.auth {
        let (user, password) = (quoted(user), quoted(password));
        let _ = writeln!(text, "authorization {{ user: {user}, password: {password} }}");
    }
    text + &options.config
}

/// A string of nats-server's configuration.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The directory as a name that the server may have: the same at every start, and no other
/// server's, so that we cannot take a stranger on our port for it.
fn server_name(place: &Place) -> String {
    let path = place.directory().to_string_lossy();
    path.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Does the server of this name greet on this port? It does so only once JetStream has recovered
/// its store.
async fn greets(port: u16, name: &str) -> bool {
    let greeting = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.ok()?;
        Some(line.starts_with("INFO {") && line.contains(&format!("\"server_name\":\"{name}\"")))
    };
    timeout(Duration::from_secs(1), greeting).await.ok().flatten().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_path_stays_in_the_path() {
        assert_eq!(quoted(r#"/tmp/a "b"\c"#), r#""/tmp/a \"b\"\\c""#);
    }
}
