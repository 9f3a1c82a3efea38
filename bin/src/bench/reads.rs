//! What readers wait for: the same questions under row-level security, and by the owner of the tables
//! with conditions of his own.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::process::Command;

use super::figures::{Read, Reads, each, percentile};
use super::process;
use super::scale::Scale;
use super::tools::{Tools, run, times};
use crate::config::Config;
use crate::supervise::{Binaries, Credential, Postgres, PostgresOptions};

const POPULATION: &str = include_str!("../../bench/reads_population.sql");
const INDEX: &str = include_str!("../../bench/reads_index.sql");

/// Seconds that a question is asked over and over, by one client.
const SECONDS: &str = "10";

/// Messages that are written together, and how often: to see what the index for searching costs.
const BATCH: u64 = 500;
const BATCHES: u64 = 200;

/// Who asks: any user. In a transaction, and for that user, whoever may see what.
const ASK: &str = "\\set u random(0, :conversations - 1)
    \\set c (:u + 37 * random(0, 19)) % :conversations
    \\set w int(20000.0 * pow(random(0, 999999) / 1000000.0, 3))
    BEGIN;
    SELECT set_config('app.current_user_id', bench.id(1, :u)::text, true);
    ";

/// The last messages of a conversation.
const HISTORY: [&str; 2] = [
    "SELECT id, seq, sender_user_id, content, created_at FROM messages.messages
        WHERE conversation_id = bench.id(2, :c) ORDER BY seq DESC LIMIT 50;",
    "SELECT id, seq, sender_user_id, content, created_at FROM messages.messages
        WHERE conversation_id = bench.id(2, :c) AND EXISTS (
            SELECT FROM messages.members
            WHERE conversation_id = bench.id(2, :c) AND user_id = bench.id(1, :u) AND is_active)
        ORDER BY seq DESC LIMIT 50;",
];

/// Conversations with their unread numbers.
const INBOX: &str =
    "SELECT c.id, c.title, c.last_message_preview, c.last_message_at, p.unread_count
        FROM messages.conversation_participants AS p
        JOIN messages.conversations AS c ON c.id = p.conversation_id
        WHERE p.user_id = bench.id(1, :u) AND p.is_active
        ORDER BY c.last_activity_at DESC LIMIT 20;";

/// One word in all of one's conversations.
const SEARCH: [&str; 2] = [
    "SELECT * FROM messages.search_messages('w' || :w);",
    "SELECT conversation_id, id, seq, sender_user_id, content, created_at FROM messages.messages
        WHERE to_tsvector('simple', content) @@ websearch_to_tsquery('simple', 'w' || :w)
            AND NOT content_encrypted AND NOT is_deleted
            AND conversation_id = ANY (ARRAY(SELECT conversation_id FROM messages.members
                WHERE user_id = bench.id(1, :u) AND is_active))
        ORDER BY created_at DESC, id DESC LIMIT 50;",
];

/// Measures on a server of its own.
pub(super) async fn measure(
    binaries: &Binaries,
    config: &Config,
    data: &Path,
    scale: &Scale,
) -> anyhow::Result<Reads> {
    let owner = Credential::new("echolog_owner", "bench");
    let directory = data.join("reads");
    let postgres = Postgres::start(binaries, &directory, PostgresOptions::new(owner)).await?;
    let config = Config { database_url: Some(postgres.url("echolog")), ..config.clone() };
    config.database_or_create().await?.migrate().await?;
    let tools = Tools::new(binaries, &postgres);
    let conversations = scale.conversations as u64;
    let messages = scale.events_large / 2;
    let sizes = [("messages", messages), ("conversations", conversations)];
    tracing::info!(messages, conversations, "filling tables");
    tools.sql("echolog", POPULATION, &sizes).await?;
    let site = Site { tools: &tools, directory: &directory, conversations };
    let bare = site.write().await?;
    let search = site.ask("search", SEARCH).await?;
    let begun = Instant::now();
    tools.sql("echolog", INDEX, &[]).await?;
    let index_seconds = begun.elapsed().as_secs_f64();
    let indexed = site.write().await?;
    let reads = Reads {
        messages,
        history: site.ask("history", HISTORY).await?,
        inbox: site.ask("inbox", [INBOX, INBOX]).await?,
        search,
        search_indexed: site.ask("search-indexed", SEARCH).await?,
        index_seconds,
        write_us: bare,
        write_indexed_us: indexed,
    };
    postgres.stop().await?;
    Ok(reads)
}

struct Site<'s> {
    tools: &'s Tools<'s>,
    directory: &'s Path,
    conversations: u64,
}

impl Site<'_> {
    /// Writes messages in batches; returns PostgreSQL's processor time for each.
    async fn write(&self) -> anyhow::Result<f64> {
        let script = format!("SELECT bench.send({BATCH}, {});", self.conversations);
        let before = process::cpu_of_family(self.tools.postgres.pid())?;
        let transactions = BATCHES.to_string();
        self.pgbench("write", &script, &["--transactions", &transactions], None).await?;
        let cpu = process::cpu_of_family(self.tools.postgres.pid())?.saturating_sub(before);
        Ok(each(cpu, usize::try_from(BATCH * BATCHES)?))
    }

    /// Asks as a reader, and as the owner.
    async fn ask(&self, name: &str, [reader, owner]: [&str; 2]) -> anyhow::Result<Read> {
        tracing::info!(name, "asking");
        let time = ["--time", SECONDS];
        let mut measured = Vec::new();
        for (query, role) in [(reader, Some("-c role=echolog_reader")), (owner, None)] {
            let script = format!("{ASK}{query}\nCOMMIT;\n");
            let mut times = self.pgbench(name, &script, &time, role).await?;
            times.sort_unstable();
            measured.push((percentile(&times, 0.5), percentile(&times, 0.99)));
        }
        let ((p50_ms, p99_ms), (owner_p50_ms, owner_p99_ms)) = (measured[0], measured[1]);
        Ok(Read { p50_ms, p99_ms, owner_p50_ms, owner_p99_ms, ratio: p50_ms / owner_p50_ms })
    }

    /// Runs pgbench with one client and returns how long each transaction took. Statements are not
    /// prepared: that is how one reads through PgBouncer.
    async fn pgbench(
        &self,
        name: &str,
        script: &str,
        arguments: &[&str],
        options: Option<&str>,
    ) -> anyhow::Result<Vec<Duration>> {
        let logs = self.directory.join(format!("log-{name}"));
        let _ = fs::remove_dir_all(&logs);
        fs::create_dir_all(&logs)?;
        let file = self.directory.join(format!("{name}.pgbench"));
        let script: Vec<&str> = script.lines().map(str::trim).collect();
        fs::write(&file, script.join("\n"))?;
        let mut command = Command::new(self.tools.program("pgbench"));
        command
            .args(["--no-vacuum", "--protocol", "extended", "--client", "1", "--log"])
            .args(["--random-seed", "1"])
            .args(arguments)
            .arg(format!("--log-prefix={}", logs.join("times").display()))
            .args(["--define", &format!("conversations={}", self.conversations)])
            .arg("--file")
            .arg(&file)
            .envs(options.map(|options| ("PGOPTIONS", options)))
            .arg(self.tools.postgres.url("echolog"));
        run(command, "").await?;
        times(&logs)
    }
}
