//! `echolog user`, as an operator uses it.

use echolog_tests::{Tenant, run};
use serde_json::{Value, json};

use crate::cli::echolog;

/// What it prints, if it ends well.
async fn user(t: &Tenant, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let arguments = [&["user"], arguments].concat();
    let output = echolog(t, &arguments, input).await?;
    anyhow::ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// How it ends if it does not.
async fn fails(t: &Tenant, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let output = echolog(t, &[&["user"], arguments].concat(), "").await?;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

#[test]
fn an_operator_looks_after_accounts() {
    run(async {
        let t = Tenant::start().await?;
        let create = ["create", "--username", "ada", "--role", "admin", "--password"];
        let said = user(&t, &create, "correct horse battery\n").await?;
        assert!(said.contains("user_role_changed"), "{said}");
        let shown = user(&t, &["create", "--username", "bob", "--json"], "").await?;
        let bob: Value = serde_json::from_str(&shown)?;
        let bob = bob["user_id"].as_str().unwrap_or_default().to_owned();
        let projected = "SELECT count(*) FROM auth.users WHERE role = 'admin' OR username = 'bob'";
        echolog_tests::eventually("both are in the tables", || async {
            Ok(t.value(projected).await? == "2")
        })
        .await?;

        user(&t, &["suspend", "bob", "--reason", "noise"], "").await?;
        let again = user(&t, &["suspend", &bob, "--reason", "noise"], "").await?;
        assert!(again.contains("nothing had to change"), "{again}");
        user(&t, &["reinstate", &bob], "").await?;
        user(&t, &["role", &bob, "moderator", "--reason", "elected"], "").await?;
        user(&t, &["unlock", &bob], "").await?;
        user(&t, &["password", &bob], "staples of another kind\n").await?;
        let body = json!({ "identifier": "bob", "password": "staples of another kind" });
        t.accept("anon-test", "auth.log_in", echolog::clock::new_id(), body).await?;
        let revoked = user(&t, &["revoke", &bob], "").await?;
        assert!(revoked.contains("session_revoked, admin_action_recorded"), "{revoked}");
        let shown = user(&t, &["show", &bob, "--reason", "asked for help", "--json"], "").await?;
        let shown: Value = serde_json::from_str(&shown)?;
        assert_eq!((&shown["username"], &shown["has_password"]), (&json!("bob"), &json!(true)));
        assert!(!shown.to_string().contains("argon2"), "{shown}");
        let listed = user(&t, &["list", "--json"], "").await?;
        assert_eq!(serde_json::from_str::<Vec<Value>>(&listed)?.len(), 2);
        let sessions = user(&t, &["sessions", &bob, "--reason", "asked", "--json"], "").await?;
        assert_eq!(serde_json::from_str::<Vec<Value>>(&sessions)?.len(), 0);
        user(&t, &["ban", &bob, "--reason", "spam"], "").await?;
        let deleted = user(&t, &["delete", &bob, "--reason", "asked for it", "--json"], "").await?;
        let deleted: Value = serde_json::from_str(&deleted)?;
        assert_eq!(deleted["events"][0], "user_deleted");

        let looked = "SELECT actor, data_type, purpose FROM audit.sensitive_data_access
            ORDER BY created_at";
        echolog_tests::eventually("who looked is known", || async {
            let rows = t.rows(looked).await?;
            Ok(rows
                == [
                    ["svc-operator", "account", "asked for help"],
                    ["svc-operator", "sessions", "asked"],
                ])
        })
        .await?;
        let done =
            "SELECT string_agg(action || ' ' || coalesce(reason, '-'), ', ' ORDER BY created_at)
            FROM audit.admin_actions WHERE actor = 'svc-operator'";
        echolog_tests::eventually("what was done is known", || async {
            Ok(t.value(done).await?
                == "change_user_role -, suspend_user noise, reinstate_user -, \
                    change_user_role elected, change_password -, revoke_all_sessions -, \
                    ban_user spam, delete_user asked for it")
        })
        .await?;
        Ok(())
    });
}

#[test]
fn what_an_operator_may_not_do_is_said() {
    run(async {
        let t = Tenant::start().await?;
        user(&t, &["create", "--username", "ada", "--role", "admin"], "").await?;
        let admins = "SELECT count(*) FROM auth.users WHERE role = 'admin'";
        echolog_tests::eventually("she is in the tables", || async {
            Ok(t.value(admins).await? == "1")
        })
        .await?;
        for (arguments, code, hint) in [
            (&["role", "ada", "user"][..], 1, "conflict: This is the last administrator"),
            (&["delete", "ada", "--reason", "x"], 1, "conflict"),
            (&["suspend", "ada", "--reason", "x"], 1, "forbidden"),
            (&["create", "--username", "ADA"], 1, "already_exists"),
            (&["create", "--username", "bob", "--password"], 1, "no password on standard input"),
            (&["show", "nobody", "--reason", "x"], 1, "nobody has the name"),
            (&["show", "ada"], 2, "--reason"),
            (&["role", "ada", "king"], 2, "king"),
            (
                &["create", "--username", "bob", "--password", "on the command line"],
                2,
                "unexpected",
            ),
        ] {
            let (ended, said) = fails(&t, arguments).await?;
            assert_eq!(ended, Some(code), "{arguments:?}: {said}");
            assert!(said.contains(hint), "{arguments:?}: {said}");
        }
        Ok(())
    });
}

#[test]
fn the_password_of_services_is_changed_in_both_files() {
    run(async {
        let directory = tempfile::tempdir()?;
        let place = directory.path().to_string_lossy().into_owned();
        let accounts = async |more: &[&str]| {
            let arguments = [&["accounts", "--directory", &place], more].concat();
            let binary = echolog_tests::echolog_binary()?;
            anyhow::Ok(tokio::process::Command::new(binary).args(arguments).output().await?)
        };
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name));
        assert!(!accounts(&["--rotate", "svc"]).await?.status.success(), "nothing is there yet");
        assert!(accounts(&[]).await?.status.success());
        let (old_conf, old_env) = (read("accounts.conf")?, read("echolog.env")?);
        assert!(accounts(&["--rotate", "svc"]).await?.status.success());
        let (conf, env) = (read("accounts.conf")?, read("echolog.env")?);
        let url = |env: &str, name: &str| {
            let line = env.lines().find(|line| line.starts_with(name)).map(str::to_owned);
            line.unwrap_or_default()
        };
        let password = |env: &str| {
            let line = url(env, "NATS_URL=");
            let password = line.split_once("echolog:").and_then(|(_, rest)| rest.split_once('@'));
            password.map(|(password, _)| password.to_owned()).unwrap_or_default()
        };
        let (old, new) = (password(&old_env), password(&env));
        assert!(new.len() == 64 && old != new && old_conf.contains(&old));
        assert!(conf.contains(&new) && !conf.contains(&old) && !env.contains(&old));
        let kept = "ECHOLOG_CALLOUT_URL=";
        assert_eq!(url(&env, kept), url(&old_env, kept));
        assert_eq!(conf, old_conf.replace(&old, &new));
        Ok(())
    });
}
