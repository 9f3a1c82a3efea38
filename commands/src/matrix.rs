//! Who may send what: every command by every kind of actor.

use chrono::TimeDelta;
use echolog_events::{
    AuthEvent, ClaimKind, CodeHash, Event, IdentifierClaimed, JsonMap, OauthProvider, PasswordHash,
    RecoveryCode, Sealed, TokenHash,
};
use serde_json::{Value, json};

use crate::auth::{
    Check, Exchange, Exchanged, Findings, Holdings, Identity, Login, NewAuthenticator, NewCode,
    NewKey, NewPassword, NewRecoveryCodes, NewReset, NewTokens, Refresh, Reset, SealedTokens,
    SecondFactor, ShownCode, ShownProof, ShownReset, Vouched, factors,
};
use crate::story::{Ending, Story, command, id};
use crate::{Actor, COMMANDS, ClaimId, ErrorCode, Settings};

/// Those who try, in the order of the columns. All but the stranger and those with a role of the
/// platform are members of group 100, which the owner has made; what is done to an account is done to
/// the owner's.
const ACTORS: [(&str, u16); 10] = [
    ("anonymous", 0),
    ("owner", 1),
    ("member", 2),
    ("stranger", 3),
    ("moderator", 4),
    ("administrator", 5),
    ("suspended", 6),
    ("banned", 7),
    ("deleted", 8),
    ("service", 0),
];

/// Group 100 with two messages of the owner's, and the owner's account with a session.
const GROUP: u16 = 100;
const ACCOUNT: u16 = 1;
const SESSION: u16 = 500;
const OTP: u16 = 600;
const RESET: u16 = 601;

/// What becomes of each command, by actor: `y` accepted, `u` unauthenticated, `f` forbidden, `n` not
/// found, `c` conflict.
const MATRIX: &[(&str, &str)] = &[
    ("auth.register_user", "yffffffffy"),
    ("auth.log_in", "yyyyyyyyyy"),
    ("auth.refresh_session", "yyyyyyyyyy"),
    ("auth.revoke_session", "uyfffyfffy"),
    ("auth.revoke_all_sessions", "uyfffyfffy"),
    ("auth.unlock_user", "uffffyfffy"),
    ("auth.record_session_activity", "uyfffffffy"),
    ("auth.expire_session", "fffffffffy"),
    ("auth.apply_retention", "fffffffffy"),
    ("auth.suspend_user", "ufffyyfffy"),
    ("auth.ban_user", "uffffyfffy"),
    ("auth.reinstate_user", "uffffyfffy"),
    ("auth.change_user_role", "uffffyfffy"),
    ("auth.delete_user", "uyfffyfffy"),
    ("auth.create_api_key", "uyfffffffy"),
    ("auth.record_api_key_use", "fffffffffy"),
    ("auth.revoke_api_key", "uyfffyfffy"),
    ("auth.link_oauth_provider", "uyfffffffu"),
    ("auth.unlink_oauth_provider", "uyfffffffy"),
    ("auth.refresh_oauth_token", "uyfffffffy"),
    ("audit.record_sensitive_access", "fffffffffy"),
    ("auth.begin_two_factor", "uyfffffffu"),
    ("auth.enable_two_factor", "uyfffffffu"),
    ("auth.disable_two_factor", "uyfffyfffy"),
    ("auth.generate_recovery_codes", "uyfffffffu"),
    ("auth.change_password", "uyfffffffy"),
    ("auth.change_email", "uyfffffffu"),
    ("auth.change_phone", "uyfffffffu"),
    ("auth.request_otp", "uyfffffffu"),
    ("auth.verify_otp", "uyfffffffu"),
    ("auth.request_password_reset", "yyyyyyyyyy"),
    ("auth.complete_password_reset", "yyyyyyyyyy"),
    ("users.update_profile", "uyfffffffu"),
    ("users.block_user", "uyfffffffu"),
    ("users.unblock_user", "uyfffffffu"),
    ("messages.create_conversation", "uyyyyyfffu"),
    ("messages.update_conversation", "uyfffffffu"),
    ("messages.add_members", "uyfffffffu"),
    ("messages.remove_deleted_member", "fffffffffy"),
    ("messages.remove_member", "uyfffffffu"),
    ("messages.leave_conversation", "ucyffffffu"),
    ("messages.change_role", "uyfffffffu"),
    ("messages.send_message", "uyyffffffu"),
    ("messages.edit_message", "uyfffffffu"),
    ("messages.delete_message", "uyfffffffu"),
    ("messages.add_reaction", "uyyffffffu"),
    ("messages.remove_reaction", "uyyffffffu"),
    ("messages.pin_message", "uyfffffffu"),
    ("messages.unpin_message", "uyfffffffu"),
    ("messages.mark_delivered", "uyyffffffu"),
    ("messages.mark_read", "uyyffffffu"),
];

fn actor(name: &str, user: u16) -> Actor {
    match name {
        "anonymous" => Actor::Anonymous("anon-1".to_owned()),
        "service" => Actor::Service("svc-operator".to_owned()),
        _ => Actor::User(id(user)),
    }
}

fn done(story: Story, by: u16, target: u16, name: &str, body: &Value) -> Story {
    let by = if by == 0 { actor("service", 0) } else { Actor::User(id(by)) };
    let (domain, name) = name.split_once('.').expect("a domain");
    story.done(&by, id(target), command(domain, name, body))
}

/// A small town, in which somebody of each kind lives.
fn town() -> Story {
    let settings = Settings { keep_oauth_tokens: true, ..Settings::default() };
    let story = Story::new().settings(settings).users((1..=8).map(id)).users([id(20), id(21)]);
    let group = json!({
        "conversation_type": "group", "title": "group",
        "member_user_ids": [id(2), id(6), id(7), id(8), id(20)],
    });
    let story = done(story, 1, GROUP, "messages.create_conversation", &group);
    let message = |n: u16| json!({ "message_id": id(n), "content": "hello" });
    let story = done(story, 1, GROUP, "messages.send_message", &message(1000));
    let story = done(story, 1, GROUP, "messages.send_message", &message(1001));
    let story = [(4, "moderator"), (5, "admin"), (21, "admin")].into_iter().fold(
        story,
        |story, (user, role)| {
            done(story, 0, user, "auth.change_user_role", &json!({ "role": role }))
        },
    );
    let story = done(story, 0, 6, "auth.suspend_user", &json!({ "reason": "spam" }));
    let story = done(story, 0, 7, "auth.ban_user", &json!({ "reason": "spam" }));
    let gone = story.findings(Findings {
        holdings: Some(Holdings { claims: Vec::new() }),
        ..Findings::default()
    });
    done(gone, 0, 8, "auth.delete_user", &json!({}))
}

/// What the request path would find, whatever the command asks for.
fn findings() -> Findings {
    let tokens = |n: u16| NewTokens {
        token_hash: TokenHash::new(format!("session token {n}")),
        refresh_id: id(3_000 + n),
        refresh_hash: TokenHash::new(format!("refresh token {n}")),
        generation: n.into(),
    };
    let codes = (0..10).map(|n| RecoveryCode {
        id: id(900 + n),
        hash: factors::code_hash(b"", id(ACCOUNT), &n.to_string()),
    });
    Findings {
        login: Some(Login {
            session_id: id(SESSION),
            identifier: "ada".to_owned(),
            check: Check::Right,
            code: None,
            tokens: tokens(0),
            device_id: "a phone".to_owned(),
            password: 0,
            rehashed: None,
        }),
        new_password: Some(NewPassword {
            password: 0,
            check: Some(Check::Right),
            is_same: false,
            hash: Some(PasswordHash::new("another")),
        }),
        api_key: Some(NewKey {
            key_hash: TokenHash::new("key"),
            key_prefix: "ek_prefix".to_owned(),
        }),
        new_code: Some(new_code()),
        new_reset: Some(NewReset {
            reset_id: id(RESET),
            user_id: Some(id(ACCOUNT)),
            identifier_hash: "ada".to_owned(),
            hash: TokenHash::new("reset token"),
        }),
        reset: Some(Reset {
            reset_id: id(RESET),
            shown: ShownReset::Token(TokenHash::new("reset token")),
            identifier_hash: None,
            password: 0,
            password_hash: PasswordHash::new("another"),
        }),
        shown_code: Some(ShownCode {
            otp_id: id(OTP),
            identifier_hash: None,
            hash: new_code().hash,
            proof_hash: TokenHash::new("proof"),
        }),
        oauth: Some(Vouched::For(Box::new(Identity {
            link_id: id(750),
            provider: OauthProvider::Google,
            provider_user_id: "ada".to_owned(),
            email: None,
            profile: JsonMap::new(),
            tokens: Some(provider_tokens()),
        }))),
        exchanged: Some(Exchanged {
            link_id: id(750),
            used: Sealed::new("refresh token"),
            exchange: Exchange::For(Box::new(provider_tokens())),
        }),
        refresh: Some(Refresh {
            session_id: id(SESSION),
            generation: 0,
            hash: TokenHash::new("refresh token 0"),
            tokens: tokens(1),
        }),
        holdings: Some(Holdings { claims: Vec::new() }),
        password: Some(Check::Right),
        authenticator: Some(NewAuthenticator { factor_id: id(800), salt: "salt".to_owned() }),
        recovery_codes: Some(NewRecoveryCodes { set_id: id(899), codes: codes.collect() }),
        ..Findings::default()
    }
}

fn provider_tokens() -> SealedTokens {
    SealedTokens {
        access_token: Sealed::new("access token"),
        refresh_token: Some(Sealed::new("refresh token")),
        expires_at: None,
    }
}

fn proof() -> ShownProof {
    ShownProof { account: id(ACCOUNT), otp_id: id(OTP), hash: TokenHash::new("proof") }
}

fn new_code() -> NewCode {
    NewCode {
        otp_id: id(OTP),
        user_id: Some(id(ACCOUNT)),
        identifier: "ada@example.org".to_owned(),
        identifier_hash: ClaimId::new(b"", ClaimKind::Email, "ada@example.org").0,
        hash: CodeHash::new("123456"),
    }
}

/// The owner shows what the authenticator shows.
fn showing(story: Story) -> Story {
    let secret = factors::secret(b"", id(ACCOUNT), id(800), "salt");
    let code = factors::shown_at(secret, story.now());
    let shown = SecondFactor::Totp(factors::code_hash(b"", id(ACCOUNT), &code));
    story.findings(Findings { second_factor: Some(shown), ..findings() })
}

/// What a command needs to make sense: what has happened before, its target and its body.
#[allow(clippy::too_many_lines, reason = "a few lines for each command")]
fn case(name: &str) -> (Story, u16, Value) {
    let story = town().findings(findings());
    let logged_in = |story| done(story, 0, ACCOUNT, "auth.log_in", &json!({ "identifier": "ada" }));
    let begun = |story| done(story, 1, ACCOUNT, "auth.begin_two_factor", &json!({}));
    let two_factors = |story| {
        let story = showing(begun(story));
        let story = done(story, 1, ACCOUNT, "auth.enable_two_factor", &json!({}));
        let code = SecondFactor::RecoveryCode(factors::code_hash(b"", id(ACCOUNT), "0"));
        story.findings(Findings { second_factor: Some(code), ..findings() })
    };
    let code = |purpose: &str| json!({ "purpose": purpose, "identifier": "ada@example.org" });
    let lost = json!({ "identifier": "ada@example.org" });
    let key = json!({ "api_key_id": id(700), "name": "a server", "scopes": ["messages"] });
    let session = json!({ "session_id": id(SESSION) });
    let reason = json!({ "reason": "spam" });
    let message = json!({ "message_id": id(1001) });
    let about = |user: u16| json!({ "user_id": id(user) });
    let reaction = json!({ "message_id": id(1001), "emoji": "👍" });
    match name {
        "auth.register_user" => (story, 50, json!({ "username": "zoe" })),
        "auth.log_in" => (story, ACCOUNT, json!({ "identifier": "ada" })),
        "auth.refresh_session" => (logged_in(story), ACCOUNT, json!({})),
        "auth.revoke_session" | "auth.record_session_activity" => {
            (logged_in(story), ACCOUNT, session)
        }
        "auth.expire_session" => {
            let late = logged_in(story).at(echolog_events::Time::default() + TimeDelta::days(31));
            (late, ACCOUNT, session)
        }
        "auth.apply_retention" => {
            let late = story.at(echolog_events::Time::default() + TimeDelta::days(2));
            let before = "1970-01-01T00:00:00Z";
            (late, ACCOUNT, json!({ "sessions_before": before, "codes_before": before }))
        }
        "auth.revoke_all_sessions"
        | "auth.unlock_user"
        | "auth.delete_user"
        | "auth.begin_two_factor" => (story, ACCOUNT, json!({})),
        "auth.change_password" => (story, ACCOUNT, json!({})),
        "auth.request_password_reset" => (story, ACCOUNT, lost),
        "auth.complete_password_reset" => {
            let (kind, owner_id) = (ClaimKind::Email, id(ACCOUNT));
            let claimed = AuthEvent::IdentifierClaimed(IdentifierClaimed { kind, owner_id });
            let address = ClaimId("ada".to_owned()).stream_key();
            let story = story.event(address, Event::Auth(claimed));
            (done(story, 1, ACCOUNT, "auth.request_password_reset", &lost), ACCOUNT, json!({}))
        }
        "auth.request_otp" => (story, ACCOUNT, code("2fa")),
        "auth.verify_otp" => {
            let code = code("email_verification");
            (done(story, 1, ACCOUNT, "auth.request_otp", &code), ACCOUNT, json!({}))
        }
        "auth.change_email" => {
            let asked = done(story, 1, ACCOUNT, "auth.request_otp", &code("email_verification"));
            let proven = done(asked, 1, ACCOUNT, "auth.verify_otp", &json!({}));
            let found = Findings { email_proof: Some(proof()), ..findings() };
            (proven.findings(found), ACCOUNT, json!({ "email": "ada@example.org" }))
        }
        "auth.change_phone" => {
            let number = "+442071838750";
            let new = NewCode {
                identifier: number.to_owned(),
                identifier_hash: ClaimId::new(b"", ClaimKind::PhoneNumber, number).0,
                ..new_code()
            };
            let story = story.findings(Findings { new_code: Some(new), ..findings() });
            let change = json!({ "purpose": "phone_change", "identifier": number });
            let asked = done(story, 1, ACCOUNT, "auth.request_otp", &change);
            let proven = done(asked, 1, ACCOUNT, "auth.verify_otp", &json!({}));
            let found = Findings { phone_proof: Some(proof()), ..findings() };
            (proven.findings(found), ACCOUNT, json!({ "phone_number": number }))
        }
        "auth.suspend_user" | "auth.ban_user" => (story, ACCOUNT, reason),
        "auth.reinstate_user" => (story, 6, json!({})),
        "auth.change_user_role" => (story, ACCOUNT, json!({ "role": "creator" })),
        "auth.create_api_key" => (story, ACCOUNT, key),
        "auth.record_api_key_use" => {
            let used = json!({
                "api_key_id": id(700), "count": 1, "last_used_at": "1970-01-01T00:00:00Z",
            });
            (done(story, 1, ACCOUNT, "auth.create_api_key", &key), ACCOUNT, used)
        }
        "auth.revoke_api_key" => {
            let revoked = json!({ "api_key_id": id(700) });
            (done(story, 1, ACCOUNT, "auth.create_api_key", &key), ACCOUNT, revoked)
        }
        "auth.link_oauth_provider" => (story, ACCOUNT, json!({ "provider": "google" })),
        "auth.unlink_oauth_provider" | "auth.refresh_oauth_token" => {
            let google = json!({ "provider": "google" });
            (done(story, 1, ACCOUNT, "auth.link_oauth_provider", &google), ACCOUNT, google)
        }
        "auth.enable_two_factor" => (showing(begun(story)), ACCOUNT, json!({})),
        "auth.disable_two_factor" | "auth.generate_recovery_codes" => {
            (two_factors(story), ACCOUNT, json!({}))
        }
        "audit.record_sensitive_access" => (
            story,
            ACCOUNT,
            json!({ "data_type": "account", "access_type": "read", "purpose": "help" }),
        ),
        "users.update_profile" => (story, ACCOUNT, json!({ "bio": "hello" })),
        "users.block_user" | "users.unblock_user" => (story, ACCOUNT, about(20)),
        "messages.create_conversation" => {
            let body =
                json!({ "conversation_type": "group", "title": "t", "member_user_ids": [id(20)] });
            (story, 101, body)
        }
        "messages.update_conversation" => (story, GROUP, json!({ "title": "another" })),
        "messages.add_members" => (story, GROUP, json!({ "user_ids": [id(21)] })),
        "messages.remove_member" => (story, GROUP, about(20)),
        "messages.remove_deleted_member" => (story, GROUP, about(8)),
        "messages.leave_conversation" => (story, GROUP, json!({})),
        "messages.change_role" => (story, GROUP, json!({ "user_id": id(20), "role": "moderator" })),
        "messages.send_message" => {
            (story, GROUP, json!({ "message_id": id(1002), "content": "hello" }))
        }
        "messages.edit_message" => {
            (story, GROUP, json!({ "message_id": id(1001), "content": "hallo" }))
        }
        "messages.add_reaction" | "messages.remove_reaction" => (story, GROUP, reaction),
        "messages.delete_message"
        | "messages.pin_message"
        | "messages.unpin_message"
        | "messages.mark_delivered"
        | "messages.mark_read" => (story, GROUP, message),
        _ => panic!("say here what {name} needs to make sense"),
    }
}

fn letter(ending: Ending) -> char {
    match ending.decision() {
        Ok(_) => 'y',
        Err(no) => match no.code {
            ErrorCode::Unauthenticated => 'u',
            ErrorCode::Forbidden => 'f',
            ErrorCode::NotFound => 'n',
            ErrorCode::Conflict => 'c',
            ErrorCode::Invalid
            | ErrorCode::AlreadyExists
            | ErrorCode::Gone
            | ErrorCode::TooLarge
            | ErrorCode::RateLimited
            | ErrorCode::Unavailable
            | ErrorCode::Internal => panic!("{no:?}"),
        },
    }
}

#[test]
fn every_command_is_for_whom_it_is_for() {
    let mut wrong = Vec::new();
    for found in COMMANDS {
        let name = format!("{}.{}", found.domain, found.name);
        let (story, target, body) = case(&name);
        let command = command(found.domain, found.name, &body);
        let line: String = ACTORS
            .iter()
            .map(|(kind, user)| {
                letter(story.when_actor(&actor(kind, *user), id(target), command.clone()))
            })
            .collect();
        let expected = MATRIX.iter().find(|(known, _)| *known == name).map(|(_, line)| *line);
        if expected != Some(&line) {
            wrong.push(format!("(\"{name}\", \"{line}\"), not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(MATRIX.len(), COMMANDS.len(), "a line for nothing");
}
