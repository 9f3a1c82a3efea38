//! Functions that readers know by name.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;

use crate::support::{Log, Tables, id};

async fn refused(tables: &Tables, query: &str) -> String {
    let error = sqlx::raw_sql(AssertSqlSafe(query))
        .execute(tables.database.pool())
        .await
        .expect_err("it is refused");
    error.as_database_error().expect("by PostgreSQL").message().to_owned()
}

#[tokio::test]
async fn a_password_is_known_by_its_bcrypt_hash_alone() {
    let tables = Tables::new().await;
    let hash = tables.value("SELECT auth.hash_password('correct horse')").await;
    assert!(hash.starts_with("$2a$12$") && hash.len() == 60, "{hash}");
    assert_ne!(tables.value("SELECT auth.hash_password('correct horse')").await, hash, "salted");
    // Of other implementations: `U*U` with cost 5, as their own tests have it.
    let known = "$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    for (password, hash, expected) in [
        ("correct horse", hash.as_str(), "t"),
        ("Correct horse", &hash, "f"),
        ("", &hash, "f"),
        ("U*U", &format!("$2a{known}"), "t"),
        ("U*U", &format!("$2b{known}"), "t"),
        ("U*U", &format!("$2y{known}"), "t"),
        ("U*U ", &format!("$2b{known}"), "f"),
        ("U*U", &format!("$2x{known}"), "f"),
        ("U*U", &format!("$2b{known}x"), "f"),
        // Half a minute of processor time.
        ("U*U", &format!("$2b$20{}", &known[3..]), "f"),
        ("x", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA", "f"),
        ("x", "x", "f"),
        ("", "", "f"),
    ] {
        let query = format!("SELECT auth.verify_password('{password}', '{hash}')");
        assert_eq!(tables.value(&query).await, expected, "{password} {hash}");
    }
    for nothing in ["NULL, 'x'", "'x', NULL", &format!("NULL, '{hash}'")] {
        let query = format!("SELECT auth.verify_password({nothing})");
        assert_eq!(tables.value(&query).await, "f", "{nothing}");
    }
}

#[tokio::test]
async fn codes_and_tokens_are_random() {
    let tables = Tables::new().await;
    for length in 1..=10 {
        let code = tables.value(&format!("SELECT auth.generate_otp({length})")).await;
        assert!(code.len() == length && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
    }
    for length in ["0", "11", "-1", "NULL"] {
        let query = format!("SELECT auth.generate_otp({length})");
        assert_eq!(refused(&tables, &query).await, "a code has 1 to 10 digits");
    }
    // By chi-squared with nine degrees of freedom: 45 is exceeded once in a million runs. Bytes modulo
    // 10 would come to about 155.
    let digits = "SELECT sum((count - 40000) ^ 2 / 40000.0) FROM (
            SELECT count(*) FROM generate_series(1, 40000) AS n,
                LATERAL (SELECT auth.generate_otp(10) WHERE n > 0) AS code (text),
                regexp_split_to_table(text, '') AS digit
            GROUP BY digit
        ) AS digits HAVING count(*) = 10";
    let chi: f64 = tables.value(digits).await.parse().expect("a number");
    assert!(chi < 45.0, "{chi}");

    let mut tokens = HashSet::new();
    for _ in 0..100 {
        let token = tables.value("SELECT auth.generate_token(32)").await;
        assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
        assert!(tokens.insert(token), "twice the same");
    }
    refused(&tables, "SELECT auth.generate_token(0)").await;
}

#[tokio::test]
async fn a_transaction_says_its_session() {
    let tables = Tables::new().await;
    let session = id(7);
    let query = format!(
        "SELECT auth.current_session_id() IS NULL, set_config('app.session_id', '{session}', true),
            auth.current_session_id(), set_config('app.session_id', '', true),
            auth.current_session_id() IS NULL"
    );
    assert_eq!(tables.rows(&query).await, ["(t,#7,#7,\"\",t)"]);
}

#[tokio::test]
async fn user_names_are_suggested_that_commands_would_take() {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.register(id(2), "ada_1");
    log.register(id(3), "user");
    let tables = Tables::given(&log).await;
    for (base, expected) in [
        ("ada", "ada_2"),
        ("Ada", "ada_2"),
        ("Bob", "bob"),
        ("Ada Lovelace!", "ada_lovelace"),
        ("_-x-_", "x_user"),
        ("", "user_1"),
        ("名前", "user_1"),
        ("O'Brien", "o_brien"),
    ] {
        let base = base.replace('\'', "''");
        let query = format!("SELECT users.generate_unique_username('{base}')");
        assert_eq!(tables.value(&query).await, expected, "{base}");
    }
    let long = format!("SELECT users.generate_unique_username('{}')", "abc ".repeat(60));
    assert_eq!(tables.value(&long).await.len(), 39, "no more than a name may have, with a number");
    assert_eq!(tables.value("SELECT users.generate_unique_username(NULL)").await, "user_1");
}

#[tokio::test]
async fn nobody_has_contacts_yet() {
    let tables = Tables::new().await;
    let query = format!("SELECT users.are_contacts('{}', '{}')", id(1), id(2));
    assert_eq!(tables.value(&query).await, "f");
    let query = format!("SELECT users.is_contact_with('{}')", id(2));
    assert_eq!(tables.value(&query).await, "f");
}

#[tokio::test]
async fn distances_and_sizes_are_for_people() {
    let tables = Tables::new().await;
    for (from, to, kilometres) in [
        ("0, 0", "0, 0", 0.0),
        ("0, 0", "0, 1", 111.195),
        ("52.5200, 13.4050", "48.8566, 2.3522", 877.463),
        ("0, 0", "0, 180", 20_015.087),
        ("90, 0", "-90, 0", 20_015.087),
        ("0, 179.5", "0, -179.5", 111.195),
    ] {
        let query = format!("SELECT location.calculate_distance({from}, {to})");
        let found: f64 = tables.value(&query).await.parse().expect("a number");
        assert!((found - kilometres).abs() < 0.01, "{from} to {to}: {found}");
    }
    for (bytes, text) in [
        ("0", "0 B"),
        ("1023", "1023 B"),
        ("1024", "1.00 KB"),
        ("1536", "1.50 KB"),
        ("5242880", "5.00 MB"),
        ("1610612736", "1.50 GB"),
        ("9223372036854775807", "8589934592.00 GB"),
    ] {
        let query = format!("SELECT media.format_file_size({bytes})");
        assert_eq!(tables.value(&query).await, text);
    }
}
