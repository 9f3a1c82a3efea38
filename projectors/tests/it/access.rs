//! Who sees which rows.

use echolog_events::{
    ApiKeyCreated, ConversationCreated, ConversationType, CredentialEvent, Event, JsonMap,
    MessagesEvent, OauthProvider, OauthProviderLinked, ParticipantJoined, Role, Scope, Stream,
    StreamKey, TokenHash,
};
use echolog_projectors::{Projection, rebuild::Rebuild};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::accounts::{deleted, suspended};
use crate::support::codes::{requested, reset_requested};
use crate::support::sessions::{day, failed, locked};
use crate::support::{Log, Source, Tables, id};

const ADA: u128 = 1;
const BOB: u128 = 2;
/// Left the group.
const CAROL: u128 = 3;
/// Ada blocks him; the two have a direct conversation.
const DAVE: u128 = 4;
/// Has nothing to do with anybody.
const EVE: u128 = 5;
const ADMIN: u128 = 6;
/// Has deleted the account.
const GONE: u128 = 7;

const ACTORS: [Option<u128>; 7] =
    [None, Some(ADA), Some(BOB), Some(CAROL), Some(DAVE), Some(EVE), Some(ADMIN)];

const GROUP: u128 = 100;
const DIRECT: u128 = 101;
const CHANNEL: u128 = 102;

const MEMBER: &str = "conversation_id IN (
    SELECT conversation_id FROM messages.members WHERE user_id = $U AND is_active)";
const OWN: &str = "user_id = $U";
const MEMBER_OR_OWN: &str = "conversation_id IN (
    SELECT conversation_id FROM messages.members WHERE user_id = $U AND is_active) OR user_id = $U";

/// What one has said, and what was said to one, is readable after leaving too.
const MEMBER_OR_PARTY: &str = "conversation_id IN (
    SELECT conversation_id FROM messages.members WHERE user_id = $U AND is_active)
    OR sender_user_id = $U OR recipient_user_id = $U";

/// Every table and view that a reader can ask: the columns that are compared, and the rows that an
/// actor other than an administrator sees.
const MATRIX: &[(&str, &str, &str)] = &[
    ("auth.users", "id", "id = $U"),
    ("auth.sessions", "id, user_id, device_id, ip_address, expires_at, revoked_reason", OWN),
    ("auth.refresh_tokens", "id, user_id, session_id, revoked, replaced_by_id", OWN),
    ("auth.two_factor_factors", "*", OWN),
    ("auth.recovery_codes", "id, user_id, set_id, used_at, revoked_at", OWN),
    (
        "auth.otp_verifications",
        "id, account_id, user_id, identifier, purpose, attempts, verified, expires_at",
        OWN,
    ),
    ("auth.api_keys", "id, user_id, name, key_prefix, scopes, usage_count, revoked_at", OWN),
    (
        "auth.oauth_providers",
        "id, user_id, provider, provider_user_id, provider_email, profile_data",
        OWN,
    ),
    ("auth.password_reset_tokens", "id, user_id, expires_at, used_at", OWN),
    ("auth.login_history", "*", OWN),
    ("auth.security_events", "*", OWN),
    (
        "users.profiles",
        "*",
        "profile_visibility = 'public' AND deleted_at IS NULL AND $U IS NOT NULL OR user_id = $U",
    ),
    ("users.settings", "*", OWN),
    ("users.blocked_users", "*", OWN),
    ("users.activity_log", "*", OWN),
    (
        "messages.conversations",
        "*",
        "id IN (
        SELECT conversation_id FROM messages.members WHERE user_id = $U AND is_active)",
    ),
    ("messages.members", "*", MEMBER_OR_OWN),
    ("messages.membership_periods", "*", MEMBER_OR_OWN),
    ("messages.cursor_moves", "*", MEMBER_OR_OWN),
    ("messages.participant_history", "*", MEMBER_OR_OWN),
    ("messages.messages", "*", MEMBER_OR_PARTY),
    ("messages.message_edits", "*", MEMBER),
    ("messages.message_reactions", "*", MEMBER),
    ("messages.threads", "*", MEMBER),
    ("messages.pinned_messages", "*", MEMBER),
    ("audit.auth_events", "*", OWN),
    ("audit.record_changes", "*", "false"),
    ("audit.admin_actions", "*", "false"),
    ("audit.sensitive_data_access", "*", "subject_user_id = $U"),
    ("messages.conversation_participants", "*", MEMBER),
    ("messages.message_receipts", "*", MEMBER),
    (
        "messages.delivery_tracking",
        "*",
        "message_id IN (SELECT m.id FROM messages.messages AS m
        JOIN messages.members AS p USING (conversation_id)
        WHERE p.user_id = $U AND p.is_active)",
    ),
    (
        "messages.reactions",
        "*",
        "message_id IN (SELECT m.id FROM messages.messages AS m
        JOIN messages.members AS p USING (conversation_id)
        WHERE p.user_id = $U AND p.is_active)",
    ),
    ("projection.checkpoints", "*", "true"),
];

/// Views that are complete only in part of their rows, and which.
const PARTLY: &[(&str, &str)] =
    &[("views.unread_counts", OWN), ("messages.message_status", MEMBER)];

/// All that an analyst can ask.
const STATISTICS: [&str; 5] = [
    "views.conversation_sizes",
    "views.message_types",
    "views.messaging_stats",
    "views.registrations",
    "views.user_growth",
];

fn opens(log: &mut Log, conversation: u128, kind: ConversationType, members: &[(u128, Role)]) {
    let owner = id(members[0].0);
    let mut events = vec![MessagesEvent::ConversationCreated(ConversationCreated {
        conversation_id: id(conversation),
        conversation_type: kind,
        title: None,
        description: None,
        avatar_url: None,
        creator_user_id: owner,
        is_public: false,
        is_encrypted: false,
        direct_key: None,
    })];
    events.extend(members.iter().map(|(user, role)| {
        MessagesEvent::ParticipantJoined(ParticipantJoined {
            conversation_id: id(conversation),
            user_id: id(*user),
            role: *role,
            invited_by_user_id: None,
        })
    }));
    let events = events.into_iter().map(|event| (event.stream(), Event::Messages(event)));
    log.command(owner, events.collect());
}

async fn town() -> (Log, Tables) {
    let mut log = Log::default();
    for user in [ADA, BOB, CAROL, DAVE, EVE, ADMIN] {
        log.register(id(user), &format!("user{user}"));
    }
    log.group(id(GROUP), &[ADA, BOB, CAROL].map(id));
    opens(&mut log, DIRECT, ConversationType::Direct, &[(DAVE, Role::Member), (ADA, Role::Member)]);
    let channel = [(ADA, Role::Owner), (BOB, Role::Moderator), (EVE, Role::Member)];
    opens(&mut log, CHANNEL, ConversationType::Channel, &channel);
    for (chat, sender) in [(GROUP, ADA), (GROUP, BOB), (DIRECT, DAVE), (CHANNEL, ADA)] {
        let message = id(chat * 10 + sender);
        log.send(id(chat), message, id(sender), "hello");
        log.reply(id(chat), id(chat * 1000 + sender), id(sender), message);
        log.edit(id(chat), message, id(sender), "good morning");
        log.react(id(chat), message, id(sender), "👍");
        log.pin(id(chat), message, id(sender));
    }
    log.send(id(GROUP), id(GROUP * 10 + CAROL), id(CAROL), "goodbye");
    log.read(id(GROUP), id(CAROL), id(GROUP * 10 + ADA));
    log.deliver(id(GROUP), id(BOB), id(GROUP * 10 + ADA));
    log.leave(id(GROUP), id(CAROL));
    log.block(id(ADA), id(DAVE));
    for (user, session) in [(ADA, 1), (ADA, 2), (BOB, 1), (ADMIN, 1)] {
        let key = ApiKeyCreated {
            user_id: id(user),
            api_key_id: id(0xa000 + 16 * user + session),
            name: "a server".to_owned(),
            key_prefix: "ek_AZLzxKqq".to_owned(),
            key_hash: TokenHash::new(format!("key {session} of {user}")),
            scopes: vec![Scope::Messages],
            expires_at: None,
        };
        let link = OauthProviderLinked {
            user_id: id(user),
            link_id: id(0xb000 + 16 * user + session),
            provider: OauthProvider::Google,
            provider_user_id: format!("{session} of {user}"),
            provider_email: None,
            profile_data: JsonMap::new(),
            has_password: true,
        };
        let link = Event::Credentials(CredentialEvent::OauthProviderLinked(link));
        log.command(id(user), vec![(StreamKey::of(Stream::Credential, id(user)), link)]);
        let key = Event::Credentials(CredentialEvent::ApiKeyCreated(key));
        log.command(id(user), vec![(StreamKey::of(Stream::Credential, id(user)), key)]);
        log.log_in(id(user), id(0x5e0 + session), &format!("device {session}"));
    }
    log.account(vec![failed(id(EVE), Some(id(EVE)), true)]);
    log.account(vec![failed(id(0xd1ce), None, true)]);
    for user in [ADA, EVE] {
        log.codes(vec![reset_requested(id(user), id(0x4e5e + user), None)]);
    }
    for (account, user) in [(ADA, Some(id(ADA))), (EVE, Some(id(EVE))), (0xd1ce, None)] {
        log.codes(vec![requested(id(account), user, id(0xc0de), None)]);
    }
    log.account(vec![locked(id(BOB), Some(id(BOB)), day(9))]);
    log.two_factor(id(BOB));
    log.two_factor(id(EVE));
    log.account(vec![locked(id(EVE), Some(id(EVE)), day(9))]);
    log.register(id(GONE), "gone");
    log.operate(id(GONE), deleted(id(GONE)));
    log.look_at(id(BOB));
    log.look_at(id(EVE));
    log.operate(id(EVE), suspended(id(EVE), "spam", Some(day(9))));
    let tables = Tables::given(&log).await;
    let admin = id(ADMIN);
    tables.execute(&format!("UPDATE auth.users SET role = 'admin' WHERE id = '{admin}'")).await;
    let eve = id(EVE);
    let hides = "UPDATE users.profiles SET profile_visibility";
    tables.execute(&format!("{hides} = 'private' WHERE user_id = '{eve}'")).await;
    tables.execute(&format!("{hides} = 'friends' WHERE user_id = '{}'", id(DAVE))).await;
    (log, tables)
}

fn literal(actor: Option<u128>) -> String {
    actor.map_or("NULL::uuid".to_owned(), |actor| format!("'{}'::uuid", id(actor)))
}

/// What a reader gets who asks for this actor.
async fn read(tables: &Tables, actor: Option<u128>, query: &str) -> sqlx::Result<Vec<String>> {
    let mut connection = tables.database.pool().acquire().await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("SET LOCAL ROLE echolog_reader").execute(&mut *transaction).await?;
    let user = actor.map(|actor| id(actor).to_string()).unwrap_or_default();
    sqlx::query("SELECT set_config('app.current_user_id', $1, true)")
        .bind(user)
        .execute(&mut *transaction)
        .await?;
    let rows = texts(&mut transaction, query).await?;
    transaction.rollback().await?;
    Ok(rows)
}

async fn texts(connection: &mut PgConnection, query: &str) -> sqlx::Result<Vec<String>> {
    let query = format!("SELECT (t.*)::text FROM ({query}) AS t ORDER BY 1");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(connection).await
}

async fn everybody_sees_what_is_theirs(tables: &Tables) {
    let mut owner = tables.database.pool().acquire().await.expect("a connection");
    for (table, columns, rule) in MATRIX {
        let mut most = 0;
        for actor in ACTORS {
            let rule =
                if actor == Some(ADMIN) { "true" } else { &rule.replace("$U", &literal(actor)) };
            let rule = format!("SELECT {columns} FROM {table} WHERE {rule}");
            let expected = texts(&mut owner, &rule).await.expect("the rule holds");
            let seen = read(tables, actor, &format!("SELECT {columns} FROM {table}")).await;
            assert_eq!(seen.expect("it is granted"), expected, "{table} as {actor:?}");
            most = most.max(expected.len());
        }
        assert!(most > 0 || *table == "users.settings", "{table} is empty: nothing was tested");
    }
    for (view, rule) in PARTLY {
        for actor in ACTORS.into_iter().flatten() {
            let rule = rule.replace("$U", &literal(Some(actor)));
            let query = format!("SELECT * FROM {view} WHERE {rule}");
            let expected = texts(&mut owner, &query).await.expect("it is a view");
            assert_eq!(read(tables, Some(actor), &query).await.expect("it is granted"), expected);
        }
    }
}

#[tokio::test]
async fn readers_see_what_is_theirs_before_and_after_a_rebuild() {
    let (log, tables) = town().await;
    everybody_sees_what_is_theirs(&tables).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    let mut source = Source(&log.events);
    rebuild.create_shadow().await.expect("a copy");
    rebuild.catch_up(&mut source, None, |_| {}).await.expect("caught up");
    rebuild.swap(&mut source).await.expect("swapped");
    everybody_sees_what_is_theirs(&tables).await;
    rebuild.rollback(&mut source).await.expect("rolled back");
    everybody_sees_what_is_theirs(&tables).await;
}

#[tokio::test]
async fn who_has_left_keeps_what_was_said_by_them() {
    let (_, tables) = town().await;
    let query = "SELECT id FROM messages.messages";
    let own = format!("({})", id(GROUP * 10 + CAROL));
    assert_eq!(read(&tables, Some(CAROL), query).await.expect("it is granted"), [own]);
}

#[tokio::test]
async fn friends_are_contacts() {
    let (_, tables) = town().await;
    let query = format!("SELECT user_id FROM users.profiles WHERE user_id = '{}'", id(DAVE));
    let seen = async |actor| read(&tables, Some(actor), &query).await.expect("granted").len();
    assert_eq!((seen(ADA).await, seen(EVE).await, seen(DAVE).await), (0, 0, 1));
    // As the migration will that brings contacts.
    let (one, other) = (id(ADA), id(DAVE));
    let contacts = format!(
        "CREATE OR REPLACE FUNCTION users.are_contacts(user_id_a uuid, user_id_b uuid) RETURNS boolean
         LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
         AS $$SELECT ARRAY[user_id_a, user_id_b] @> ARRAY['{one}', '{other}']::uuid[]$$"
    );
    tables.execute(&contacts).await;
    assert_eq!((seen(ADA).await, seen(EVE).await, seen(DAVE).await), (1, 0, 1));
    let blind = read(&tables, None, &query).await.expect("granted");
    assert_eq!(blind, [""; 0]);
}

/// Everything that a role can read.
const READABLE: &str = "SELECT c.oid::regclass::text FROM pg_class AS c
    WHERE c.relkind IN ('r', 'p', 'v', 'm')
        AND c.relnamespace::regnamespace::text
            NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND has_any_column_privilege('{role}', c.oid, 'SELECT') ORDER BY 1";

async fn readable(tables: &Tables, role: &str) -> Vec<String> {
    let rows = tables.rows(&READABLE.replace("{role}", role)).await;
    rows.iter().map(|row| row.trim_matches(['(', ')']).to_owned()).collect()
}

#[tokio::test]
async fn nothing_is_open_by_mistake() {
    let tables = Tables::new().await;
    let mut named: Vec<&str> = MATRIX.iter().map(|(table, ..)| *table).collect();
    named.extend(PARTLY.iter().map(|(view, _)| *view));
    named.sort_unstable();
    assert_eq!(readable(&tables, "echolog_reader").await, named, "each has a row in the matrix");
    assert_eq!(readable(&tables, "echolog_analyst").await, STATISTICS);
    assert_eq!(readable(&tables, "authenticated_users").await, [""; 0]);

    let open = "SELECT c.oid::regclass FROM pg_class AS c
        WHERE c.relnamespace::regnamespace::text IN
                ('auth', 'users', 'messages', 'audit', 'views', 'projection')
            AND NOT has_table_privilege('echolog_analyst', c.oid, 'SELECT')
            AND CASE WHEN c.relkind IN ('r', 'p') THEN NOT c.relispartition AND NOT c.relrowsecurity
                WHEN c.relkind = 'v' THEN NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
            END";
    assert_eq!(tables.rows(open).await, Vec::<String>::new());
    let written = "SELECT c.oid::regclass
        FROM pg_class AS c, unnest(ARRAY['echolog_reader', 'echolog_analyst']) AS role
        WHERE c.relkind IN ('r', 'p', 'v')
            AND has_table_privilege(role, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
            AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')";
    assert_eq!(tables.rows(written).await, Vec::<String>::new());
    let loose = "SELECT p.oid::regprocedure FROM pg_proc AS p
        WHERE p.prosecdef AND NOT coalesce('search_path=\"\"' = ANY (p.proconfig), false)
            AND p.pronamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')";
    assert_eq!(tables.rows(loose).await, Vec::<String>::new());
    let anybodys = "SELECT p.oid::regprocedure FROM pg_proc AS p
        WHERE p.prosecdef AND has_function_privilege('public', p.oid, 'EXECUTE')";
    assert_eq!(tables.rows(anybodys).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_kept_back_is_refused() {
    let (_, tables) = town().await;
    for query in [
        "SELECT password_hash FROM auth.users",
        "SELECT * FROM auth.users",
        "SELECT code_hash FROM auth.recovery_codes",
        "SELECT session_token FROM auth.sessions",
        "SELECT otp_hash FROM auth.otp_verifications",
        "SELECT otp_code FROM auth.otp_verifications",
        "SELECT token_hash FROM auth.password_reset_tokens",
        "SELECT access_token FROM auth.oauth_providers",
        "SELECT refresh_token FROM auth.oauth_providers",
        "SELECT * FROM auth.oauth_providers",
        "SELECT refresh_token FROM auth.sessions",
        "SELECT * FROM auth.sessions",
        "SELECT token FROM auth.refresh_tokens",
        "SELECT * FROM auth.refresh_tokens",
        "SELECT * FROM projection.deciders",
        "SELECT * FROM projection.ledger",
        "SELECT * FROM projection.parked",
        "SELECT * FROM projection.log",
        "SELECT 1 FROM messages.messages FOR UPDATE",
    ] {
        let refused = read(&tables, Some(ADMIN), query).await.expect_err(query);
        let code = refused.as_database_error().and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some("42501"), "{query}: {refused}");
    }
    let partition = tables
        .value("SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit.record_changes'::regclass LIMIT 1")
        .await;
    let query = format!("SELECT * FROM {partition}");
    read(&tables, Some(ADMIN), &query).await.expect_err("a partition is not read past its table");
}

#[tokio::test]
async fn functions_say_what_commands_would() {
    let (_, tables) = town().await;
    let ask = async |actor, expression: String| {
        let rows = read(&tables, actor, &format!("SELECT {expression}")).await.expect("it runs");
        rows[0] == "(t)"
    };
    let at_home = [(GROUP, ADA), (GROUP, BOB), (DIRECT, ADA), (DIRECT, DAVE), (CHANNEL, ADA)];
    let at_home = [&at_home[..], &[(CHANNEL, BOB), (CHANNEL, EVE)]].concat();
    // In the direct conversation one blocks the other; in the channel, members read.
    let may_send = [(GROUP, ADA), (GROUP, BOB), (CHANNEL, ADA), (CHANNEL, BOB)];
    for actor in ACTORS {
        assert_eq!(ask(actor, "auth.is_admin()".to_owned()).await, actor == Some(ADMIN));
        for chat in [GROUP, DIRECT, CHANNEL] {
            let of =
                |pairs: &[(u128, u128)]| actor.is_some_and(|user| pairs.contains(&(chat, user)));
            let call = |name| format!("messages.{name}('{}')", id(chat));
            assert_eq!(ask(actor, call("is_conversation_participant")).await, of(&at_home));
            let owns = of(&[(GROUP, ADA), (CHANNEL, ADA)]);
            assert_eq!(ask(actor, call("is_conversation_admin")).await, owns, "{chat} {actor:?}");
            assert_eq!(
                ask(actor, call("can_send_messages")).await,
                of(&may_send),
                "{chat} {actor:?}"
            );
        }
        let blocked = format!("users.is_blocked_by('{}')", id(ADA));
        assert_eq!(ask(actor, blocked).await, actor == Some(DAVE));
        // Bob's message in the group: his, and the owner's to delete.
        let message = id(GROUP * 10 + BOB);
        let may = actor == Some(BOB) || actor == Some(ADA);
        let one = format!("messages.can_delete_message('{message}')");
        let two = format!("messages.can_delete_message('{}', '{message}')", id(GROUP));
        assert_eq!((ask(actor, one).await, ask(actor, two).await), (may, may), "{actor:?}");
    }
}
