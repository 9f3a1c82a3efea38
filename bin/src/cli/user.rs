//! `echolog user`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use echolog_commands::{Outcome, Status};
use echolog_events::{OauthProvider, Uuid};
use echolog_projectors::people::People;
use serde_json::{Map, Value, json};

use super::secret;
use crate::client::{Client, Request};
use crate::clock;
use crate::config::Config;
use crate::sealing::{Kind, Seal};

/// Who sends the commands.
const ACTOR: &str = "svc-operator";

/// Look after accounts, as an operator.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    echolog user create --username ada --role admin --password\n  \
    echolog user suspend ada --reason spam --until 2036-01-31T12:00:00Z\n  \
    echolog user show ada@example.org --reason \"asked for help\"\n\n\
    USER is an id, a user name, an e-mail address or a phone number; of a deleted account the id.\n\
    It takes a running handler; what was done, by whom and why, is in audit.admin_actions.")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Open an account and print its id.
    Create(Create),
    /// Show all about an account; that somebody has looked is recorded.
    Show {
        /// Whose.
        user: String,
        #[command(flatten)]
        reason: Reason,
    },
    /// List accounts, the oldest first.
    List {
        /// Only those of this role.
        #[arg(long, value_parser = ROLES)]
        role: Option<String>,
        /// Only those of this status.
        #[arg(long, value_parser = ["active", "pending", "suspended", "banned", "deleted"])]
        status: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Give an account another role.
    Role {
        /// Whose.
        user: String,
        /// Which.
        #[arg(value_parser = ROLES)]
        role: String,
        #[command(flatten)]
        reason: MaybeReason,
    },
    /// Stop an account for a time; its sessions end.
    Suspend {
        /// Whose.
        user: String,
        #[command(flatten)]
        reason: Reason,
        /// Until when (RFC 3339); until somebody reinstates it if it is left out.
        #[arg(long)]
        until: Option<String>,
    },
    /// Stop an account for good; its sessions end.
    Ban {
        /// Whose.
        user: String,
        #[command(flatten)]
        reason: Reason,
    },
    /// Let an account act again that is suspended or banned.
    Reinstate {
        /// Whose.
        user: String,
        #[command(flatten)]
        reason: MaybeReason,
    },
    /// Let somebody log in again after too many attempts have failed.
    Unlock {
        /// Who.
        user: String,
    },
    /// Give an account another password; asks for it, or reads the first line of standard input.
    Password {
        /// Whose.
        user: String,
    },
    /// Let a password alone be enough to log in, for somebody who has lost the second factor.
    OneFactor {
        /// Who.
        user: String,
        #[command(flatten)]
        reason: Reason,
    },
    /// List the open sessions of an account; that somebody has looked is recorded.
    Sessions {
        /// Whose.
        user: String,
        #[command(flatten)]
        reason: Reason,
    },
    /// Print the token by which calls to a provider are made in a user's name, if such are kept; that
    /// somebody has looked is recorded.
    OauthToken {
        /// Whose.
        user: String,
        /// Of which provider.
        #[arg(value_parser = OauthProvider::ALL.map(OauthProvider::name))]
        provider: String,
        #[command(flatten)]
        reason: Reason,
    },
    /// End the sessions of an account.
    Revoke {
        /// Whose.
        user: String,
        /// Only this one.
        #[arg(long)]
        session: Option<Uuid>,
    },
    /// Delete an account: its names are free, and it leaves its conversations.
    Delete {
        /// Whose.
        user: String,
        #[command(flatten)]
        reason: Reason,
    },
}

const ROLES: [&str; 4] = ["user", "creator", "moderator", "admin"];

#[derive(Debug, clap::Args)]
struct Create {
    /// 3 to 50 of `A-Z a-z 0-9 _ . -`.
    #[arg(long)]
    username: Option<String>,
    /// An e-mail address.
    #[arg(long)]
    email: Option<String>,
    /// E.164, with the plus sign.
    #[arg(long)]
    phone: Option<String>,
    /// What others see.
    #[arg(long)]
    display_name: Option<String>,
    /// What the account may do.
    #[arg(long, value_parser = ROLES)]
    role: Option<String>,
    /// Ask for a password; where nobody sits there, it is the first line of standard input.
    #[arg(long)]
    password: bool,
    #[command(flatten)]
    reason: MaybeReason,
}

#[derive(Debug, clap::Args)]
struct Reason {
    /// Why, for whoever asks later.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
}

#[derive(Debug, clap::Args)]
struct MaybeReason {
    /// Why, for whoever asks later.
    #[arg(long)]
    reason: Option<String>,
}

/// Sends commands, and reads tables.
struct Operator {
    client: Client,
    people: People,
    config: Config,
    json: bool,
}

/// Exit code 0 for done, 1 for refused.
pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    let database = config.database().await?;
    database.check_migrated().await?;
    let operator = Operator {
        client: Client::connect(config.bus("user").await?, config.names()?).await?,
        people: People::new(&database),
        config,
        json: args.json,
    };
    operator.run(args.command).await
}

impl Operator {
    async fn run(&self, command: Command) -> anyhow::Result<ExitCode> {
        match command {
            Command::Create(create) => self.create(create).await,
            Command::Show { user, reason } => self.show(&user, &reason.reason).await,
            Command::List { role, status, limit } => {
                let accounts = self.people.list(role.as_deref(), status.as_deref(), limit).await?;
                let columns = ["id", "role", "account_status", "created_at", "username"];
                self.print_rows(&accounts, &columns);
                Ok(ExitCode::SUCCESS)
            }
            Command::Role { user, role, reason } => {
                let body = json!({ "role": role, "reason": reason.reason });
                self.act(&user, "auth.change_user_role", body).await
            }
            Command::Suspend { user, reason, until } => {
                let body = json!({ "reason": reason.reason, "until": until });
                self.act(&user, "auth.suspend_user", body).await
            }
            Command::Ban { user, reason } => {
                self.act(&user, "auth.ban_user", json!({ "reason": reason.reason })).await
            }
            Command::Reinstate { user, reason } => {
                self.act(&user, "auth.reinstate_user", json!({ "reason": reason.reason })).await
            }
            Command::Unlock { user } => self.act(&user, "auth.unlock_user", json!({})).await,
            Command::Password { user } => {
                let body = json!({ "new_password": secret::new_password()? });
                self.act(&user, "auth.change_password", body).await
            }
            Command::OneFactor { user, reason } => {
                let body = json!({ "reason": reason.reason });
                self.act(&user, "auth.disable_two_factor", body).await
            }
            Command::Sessions { user, reason } => self.sessions(&user, &reason.reason).await,
            Command::OauthToken { user, provider, reason } => {
                self.oauth_token(&user, &provider, &reason.reason).await
            }
            Command::Revoke { user, session: None } => {
                self.act(&user, "auth.revoke_all_sessions", json!({})).await
            }
            Command::Revoke { user, session: Some(session) } => {
                let body = json!({ "session_id": session });
                self.act(&user, "auth.revoke_session", body).await
            }
            Command::Delete { user, reason } => {
                self.act(&user, "auth.delete_user", json!({ "reason": reason.reason })).await
            }
        }
    }

    async fn create(&self, create: Create) -> anyhow::Result<ExitCode> {
        let Create { username, email, phone, display_name, role, password, reason } = create;
        let password = password.then(secret::new_password).transpose()?;
        let id = clock::new_id();
        let body = json!({
            "username": username, "email": email, "phone_number": phone,
            "display_name": display_name, "password": password,
        });
        let outcome = self.send(id, "auth.register_user", body).await?;
        if outcome.status != Status::Accepted || role.is_none() {
            return self.tell(id, &outcome);
        }
        let body = json!({ "role": role, "reason": reason.reason });
        let outcome = self.send(id, "auth.change_user_role", body).await?;
        self.tell(id, &outcome)
    }

    async fn show(&self, user: &str, purpose: &str) -> anyhow::Result<ExitCode> {
        let id = self.find(user).await?;
        self.record(id, "account", purpose).await?;
        let account = self.people.account(id).await?;
        let account = account.with_context(|| format!("there is no account {id}"))?;
        if self.json {
            println!("{account:#}");
        } else if let Value::Object(columns) = &account {
            for (name, value) in columns.iter().filter(|(_, value)| !value.is_null()) {
                println!("{name}: {}", plain(value));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn sessions(&self, user: &str, purpose: &str) -> anyhow::Result<ExitCode> {
        let id = self.find(user).await?;
        self.record(id, "sessions", purpose).await?;
        let sessions = self.people.sessions(id).await?;
        let columns = ["id", "platform", "last_activity_at", "ip_address", "device_name"];
        self.print_rows(&sessions, &columns);
        Ok(ExitCode::SUCCESS)
    }

    /// Prints the token and nothing else, for a program that reads it.
    async fn oauth_token(
        &self,
        user: &str,
        provider: &str,
        purpose: &str,
    ) -> anyhow::Result<ExitCode> {
        let known = OauthProvider::ALL.into_iter().find(|known| known.name() == provider);
        let known = known.context("there is no such provider")?;
        let id = self.find(user).await?;
        let kept = self.people.oauth_token(id, known).await?;
        let (kept, over) = kept.context("no identity of this provider is linked")?;
        let kept = kept.context("no token of this provider is kept")?;
        self.record(id, "oauth_token", purpose).await?;
        let token = Seal::new(&self.config.keys()?.oauth, id, known).open(Kind::Access, &kept);
        let token = token.context("it was sealed under another master key")?;
        if over.is_some_and(|over| over <= clock::now()) {
            eprintln!("It is over: auth.refresh_oauth_token gets another.");
        }
        if self.json {
            println!("{:#}", json!({ "access_token": token, "token_expires_at": over }));
        } else {
            println!("{token}");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Nothing is shown before it is in the log that it was.
    async fn record(&self, id: Uuid, what: &str, purpose: &str) -> anyhow::Result<()> {
        let body = json!({ "data_type": what, "access_type": "read", "purpose": purpose });
        let outcome = self.send(id, "audit.record_sensitive_access", body).await?;
        match outcome.error {
            None => Ok(()),
            Some(error) => bail!("{}: {}", error.code.name(), error.message),
        }
    }

    /// Sends a command about an account and says what became of it.
    async fn act(&self, user: &str, command: &str, body: Value) -> anyhow::Result<ExitCode> {
        let id = self.find(user).await?;
        let outcome = self.send(id, command, body).await?;
        self.tell(id, &outcome)
    }

    async fn find(&self, user: &str) -> anyhow::Result<Uuid> {
        if let Ok(id) = echolog_commands::fields::parse_id(user) {
            return Ok(id);
        }
        let found = self.people.find(user).await?;
        found.with_context(|| format!("nobody has the name, address or number `{user}`"))
    }

    /// Fields that were left out are left out.
    async fn send(&self, id: Uuid, command: &str, mut body: Value) -> anyhow::Result<Outcome> {
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        Ok(self.client.send(&Request::new(ACTOR, command, id, body)).await?)
    }

    fn tell(&self, id: Uuid, outcome: &Outcome) -> anyhow::Result<ExitCode> {
        let accepted = outcome.status == Status::Accepted;
        if self.json {
            let mut shown = serde_json::to_value(outcome)?;
            shown["user_id"] = json!(id);
            println!("{shown:#}");
        } else if let Some(error) = &outcome.error {
            eprintln!("error: {}: {}", error.code.name(), error.message);
        } else if outcome.events.is_empty() {
            println!("{id}: nothing had to change");
        } else {
            println!("{id}: {}", outcome.events.join(", "));
        }
        Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn print_rows(&self, rows: &[Value], columns: &[&str]) {
        if self.json {
            return println!("{:#}", Value::from(rows.to_vec()));
        }
        let none = Map::new();
        for row in rows {
            let row = row.as_object().unwrap_or(&none);
            let values =
                columns.iter().map(|column| row.get(*column).map_or_else(String::new, plain));
            println!("{}", values.collect::<Vec<_>>().join("  "));
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
