use echolog_events::{
    AccountStatus, DeviceType, Event, IdentifierType, LoginFailed, LoginFailure, LoginMethod,
    LoginSucceeded, OtpPurpose, PasswordEvent, PasswordRehashed, Platform, RevokedReason,
    SessionEvent, SessionStarted, Stream, UnlockedBy, UserUnlocked, Uuid,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::findings::{Check, Login};
use super::sent::{self, Wrong};
use super::{OauthProof, check_age, credentials_are_not_right, ends, identifier, oauth, proof};
use crate::doc::{Doc, optional};
use crate::fields::{DeviceMetadata, OneTimeCode, Password, SentCode, Text, Token};
use crate::state::{Code, Sessions};
use crate::{Context, Decide, Decision, Needs, NewEvent, Rejection, World};

/// How many sessions an account has at most; the one that would end first makes room.
const MAX_SESSIONS: usize = 100;

/// The kinds of names that people log in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameType {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A user name.
    Username,
}

impl From<NameType> for IdentifierType {
    fn from(name: NameType) -> Self {
        match name {
            NameType::Email => Self::Email,
            NameType::Phone => Self::Phone,
            NameType::Username => Self::Username,
        }
    }
}

/// Begins a session for somebody who proves who they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// A user name, an e-mail address or a phone number; nothing with `oauth`.
    pub identifier: Option<Text<1, 255>>,
    /// Which of them.
    pub identifier_type: Option<NameType>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub password: Option<Password>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub totp: Option<OneTimeCode>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub recovery_code: Option<Token>,
    /// In place of the password, or with it as the second factor. Never leaves the request path.
    #[serde(skip_serializing)]
    pub otp: Option<SentCode>,
    /// In place of name and password. Nothing but the provider leaves the request path.
    pub oauth: Option<OauthProof>,
    /// What tells the device from the user's others.
    pub device_id: Option<Text<1, 255>>,
    /// What its owner calls it.
    pub device_name: Option<Text<1, 255>>,
    /// What it is.
    pub device_type: Option<DeviceType>,
    /// What runs on it.
    pub platform: Option<Platform>,
    /// What tells it from others.
    pub device_fingerprint: Option<Text<1, 512>>,
    /// More about it.
    pub device_metadata: Option<DeviceMetadata>,
    /// Where push messages for it go.
    pub fcm_token: Option<Text<1, 4096>>,
}

impl LogIn {
    /// The identifier as an account would have claimed it; `None` if no account can have it.
    #[must_use]
    pub fn canonical(&self) -> Option<String> {
        identifier::canonical(self.identifier.as_ref()?.as_str(), self.name_type()?)
    }

    /// What kind of identifier it is; `None` if there is none.
    #[must_use]
    pub fn name_type(&self) -> Option<NameType> {
        let kind = |identifier: &Text<1, 255>| identifier::kind(identifier.as_str());
        self.identifier_type.or_else(|| self.identifier.as_ref().map(kind))
    }

    fn known_by(&self) -> IdentifierType {
        let name = self.name_type().filter(|_| self.oauth.is_none());
        name.map_or(IdentifierType::Oauth, IdentifierType::from)
    }

    /// Why not, if not.
    fn failure(
        &self,
        context: &Context<'_>,
        world: &World,
        sessions: &Sessions,
        login: &Login,
        code: Option<&Result<&Code, Wrong>>,
    ) -> Option<LoginFailure> {
        let shown = match (code, login.check) {
            (None, check) => check,
            (Some(Err(_)), _) if !sessions.is_locked(context.time) => {
                return Some(LoginFailure::WrongCode);
            }
            (Some(_), Check::Unknown) => Check::Unknown,
            (Some(_), Check::Right | Check::Wrong | Check::NoPassword) => Check::Right,
        };
        proof::failure(context, sessions, shown).or_else(|| {
            match world.user(context.target)?.status_at(context.time) {
                AccountStatus::Active | AccountStatus::Pending => None,
                AccountStatus::Suspended => Some(LoginFailure::Suspended),
                AccountStatus::Banned => Some(LoginFailure::Banned),
                AccountStatus::Deleted => Some(LoginFailure::Deleted),
            }
        })
    }

    /// What a no leaves behind.
    fn attempt(&self, context: &Context<'_>, login: &Login, reason: LoginFailure) -> LoginFailed {
        let account_id = context.target;
        LoginFailed {
            account_id,
            user_id: (login.check != Check::Unknown).then_some(account_id),
            identifier: login.identifier.clone(),
            identifier_type: self.known_by(),
            reason,
            counts: proof::counts(reason),
            origin: context.findings.origin.clone(),
            device_id: self.device_id.as_ref().map(|id| id.as_str().to_owned()),
        }
    }

    fn session(&self, context: &Context<'_>, login: &Login) -> SessionStarted {
        let text = |text: &str| Some(text.to_owned());
        SessionStarted {
            user_id: context.target,
            session_id: login.session_id,
            token_hash: login.tokens.token_hash.clone(),
            refresh_id: login.tokens.refresh_id,
            refresh_hash: login.tokens.refresh_hash.clone(),
            device_id: self.device(login),
            device_name: self.device_name.as_ref().and_then(|it| text(it.as_str())),
            device_type: self.device_type,
            platform: self.platform.unwrap_or_default(),
            device_fingerprint: self.device_fingerprint.as_ref().and_then(|it| text(it.as_str())),
            device_metadata: self.device_metadata.clone().unwrap_or_default().to_map(),
            fcm_token: self.fcm_token.as_ref().and_then(|it| text(it.as_str())),
            origin: context.findings.origin.clone(),
            expires_at: context.time + context.settings.session_lifetime,
        }
    }

    fn device(&self, login: &Login) -> String {
        self.device_id.as_ref().map_or(&*login.device_id, |id| id.as_str()).to_owned()
    }
}

/// Whether there was no session with this id.
fn check_new(context: &Context<'_>, sessions: &Sessions, id: Uuid) -> Result<(), Rejection> {
    if sessions.open.contains_key(&id) || sessions.ended.contains(&id) {
        return Err(Rejection::conflict("There was a session with this id already."));
    }
    if sessions.is_worn(context.time) {
        return Err(Rejection::rate_limited("Too many sessions were begun and ended just now."));
    }
    Ok(())
}

/// The sessions that end as a new one begins, and why.
fn making_room(
    sessions: &Sessions,
    context: &Context<'_>,
    device_id: &str,
) -> Vec<(Uuid, RevokedReason)> {
    let mut ending = Vec::new();
    let mut staying = Vec::new();
    for (id, session) in &sessions.open {
        if session.expires_at <= context.time {
            ending.push((*id, RevokedReason::Expired));
        } else if session.device_id == device_id {
            ending.push((*id, RevokedReason::Replaced));
        } else {
            staying.push((session.expires_at, *id));
        }
    }
    staying.sort_unstable();
    let surplus = (staying.len() + 1).saturating_sub(MAX_SESSIONS);
    ending.extend(staying[..surplus].iter().map(|(_, id)| (*id, RevokedReason::Replaced)));
    ending
}

impl Decide for LogIn {
    const STREAM: Stream = Stream::Session;
    const DOC: Doc = Doc {
        summary: "Begins a session. The outcome's `data` has `user_id`, `session_id`, `session_token`, `refresh_token` and `expires_at`; the tokens are told once.",
        target: "the new session's id, a UUIDv7 that the client has just made",
        fields: &[
            optional(
                "identifier",
                "text, 1 to 255: a user name, an e-mail address or a phone number; needed, but not with `oauth`",
            ),
            optional(
                "identifier_type",
                "`username`, `email` or `phone`; default: `email` with an `@` in it, `phone` with a `+` in front, else `username`",
            ),
            optional(
                "password",
                "text, 8 to 256 bytes; **a secret**; needed, or `otp`, or `oauth`",
            ),
            optional(
                "totp",
                "text of six digits: what the authenticator shows; **a secret**; this or `recovery_code` is needed where two factors are in use",
            ),
            optional("recovery_code", "text: one of the recovery codes; **a secret**"),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `login`; **a secret**; in place of the password, or with it where that is the second factor",
            ),
            optional("oauth", oauth::KIND),
            optional(
                "device_id",
                "text, 1 to 255: what tells the device from the user's others; a device has one session, a new one ends the one before",
            ),
            optional("device_name", "text, 1 to 255 characters"),
            optional("device_type", "`mobile`, `tablet`, `desktop` or `web`"),
            optional("platform", "`ios`, `android` or `web` (default)"),
            optional("device_fingerprint", "text, 1 to 512 characters"),
            optional("device_metadata", "map of at most 20 texts of at most 255 characters"),
            optional("fcm_token", "text, 1 to 4096 characters: where push messages go"),
        ],
        events: &[
            "session_revoked",
            "user_unlocked",
            "session_started",
            "login_succeeded",
            "totp_used",
            "recovery_code_used",
            "otp_verified",
            "email_verified",
            "phone_verified",
            "password_rehashed",
            "oauth_token_refreshed",
            "login_failed",
            "otp_attempt_failed",
            "user_locked",
        ],
        refused: &[
            (
                "unauthenticated",
                "the credentials are not right, or too many attempts failed before: nobody is told which",
            ),
            (
                "unauthenticated",
                "the password is right, but a second factor is needed: `data.second_factor` lists the kinds. Send it with the password, under a new command id",
            ),
            (
                "unauthenticated",
                "the provider does not vouch for what is shown in `oauth`: a code is good once",
            ),
            ("not_found", "the identity is linked to no account"),
            (
                "unavailable",
                "the operator has not set the provider up, or it does not answer, or with nonsense",
            ),
            ("forbidden", "they are right, but the account is suspended or banned"),
            ("conflict", "there was a session with this id already"),
        ],
        example: r#"{"identifier":"ada@example.org","identifier_type":"email","password":"correct horse battery","totp":"287082","recovery_code":"abcde-23456","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"},"oauth":{"provider":"google","code":"4/0AY0e-g7","code_verifier":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk","redirect_uri":"https://app.example.org/callback","nonce":"n-0S6_WzA2Mj"},"device_id":"b7c1","device_name":"Ada's phone","device_type":"mobile","platform":"ios","device_fingerprint":"f1","device_metadata":{"os_version":"19.1"},"fcm_token":"d2Vi"}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        proof::need(context, needs);
        if let Some(code) = context.findings.login.as_ref().and_then(|login| login.code.as_ref()) {
            sent::need(context, world, code.otp_id, needs);
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let Some(login) = &context.findings.login else {
            return Err(Rejection::invalid("password", "A password or a code is needed."));
        };
        let sessions = world.sessions(context.target);
        check_age(context, login.session_id)?;
        let code = login.code.as_ref();
        let code = code.map(|code| sent::right(context, world, code, &[OtpPurpose::Login]));
        let mut kept = None;
        if self.oauth.is_some() {
            kept = oauth::linked(context, world)?;
        } else if code.is_none() {
            proof::check_is_present(sessions, login.password)?;
        }
        if let Some(reason) = self.failure(context, world, sessions, login, code.as_ref()) {
            let attempt = self.attempt(context, login, reason);
            let wrong = code.and_then(Result::err);
            let left = wrong.and_then(|wrong| wrong.leaves(context, world));
            return Err(proof::failed(context, sessions, attempt).leaving(left));
        }
        if world.user(context.target).is_none() {
            return Err(credentials_are_not_right());
        }
        let attempt = |reason| self.attempt(context, login, reason);
        let second_factor = proof::second_factor(context, world, attempt)?;
        // Whoever has got here may know about the account.
        check_new(context, sessions, login.session_id)?;
        let user_id = context.target;
        let mut events: Vec<SessionEvent> = making_room(sessions, context, &self.device(login))
            .into_iter()
            .map(|(session, reason)| ends(user_id, session, reason, None))
            .collect();
        // Of a lock that is over: one that is not has been met above.
        if sessions.locked_until.is_some() {
            let by = UnlockedBy::Time;
            let unlocked = UserUnlocked { user_id, by, by_user_id: None };
            events.push(SessionEvent::UserUnlocked(unlocked));
        }
        events.push(SessionEvent::SessionStarted(Box::new(self.session(context, login))));
        events.push(SessionEvent::LoginSucceeded(LoginSucceeded {
            user_id,
            session_id: login.session_id,
            identifier: login.identifier.clone(),
            identifier_type: self.known_by(),
            method: match code {
                _ if self.oauth.is_some() => LoginMethod::Oauth,
                Some(_) => LoginMethod::Code,
                None => LoginMethod::Password,
            },
            origin: context.findings.origin.clone(),
            device_id: self.device(login),
        }));
        let rehashed = login.rehashed.clone().map(|password_hash| {
            let number = login.password + 1;
            let event = PasswordRehashed { user_id, number, password_hash };
            NewEvent::from(PasswordEvent::PasswordRehashed(event))
        });
        let mut events: Vec<NewEvent> = events.into_iter().map(NewEvent::from).collect();
        events.extend(rehashed);
        events.extend(second_factor);
        events.extend(kept.map(NewEvent::from));
        if let (Some(shown), Some(Ok(code))) = (&login.code, code) {
            events.push(sent::used(context, world, shown.otp_id, None));
            events.extend(sent::verifies(context, world, code));
        }
        Ok(events)
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        events.iter().find_map(|event| {
            let Event::Sessions(SessionEvent::SessionStarted(e)) = event else { return None };
            Some(json!({
                "user_id": e.user_id, "session_id": e.session_id, "expires_at": e.expires_at,
            }))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeDelta;
    use echolog_events::{
        AccountEvent, AuthEvent, CodeHash, EmailChanged, OauthProvider, Origin, PasswordHash,
        StreamKey, Time,
    };

    use super::super::findings::Findings;
    use super::super::link_oauth_provider::tests::{has_linked, vouching};
    use super::super::request_otp::tests::SENT_TO;
    use super::super::tests::{
        found, log_in, logged_in, recovering, session, showing, story, two_factor,
    };
    use super::*;
    use crate::auth::{NewCode, SecondFactor, registered_for_tests};
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn anyone() -> Actor {
        Actor::Anonymous("anon-1".to_owned())
    }

    fn names(events: impl IntoIterator<Item = NewEvent>) -> Vec<&'static str> {
        events.into_iter().map(|new| new.event.event_type().short()).collect()
    }

    /// What comes of an attempt by somebody on the device `d`.
    fn attempt(story: Story, number: u16, check: Check) -> Result<Vec<&'static str>, Rejection> {
        let story = story.findings(found(number, check));
        story.when_actor(&anyone(), id(1), log_in("d")).decision().map(names)
    }

    fn after_failures(count: u16) -> Story {
        (0..count).fold(story(), |story, number| {
            story.findings(found(number, Check::Wrong)).failed(&anyone(), id(1), log_in("d"))
        })
    }

    #[test]
    fn who_knows_the_password_gets_a_session() {
        let events = attempt(story(), 1, Check::Right).expect("a session");
        assert_eq!(events, ["session_started", "login_succeeded"]);
    }

    #[test]
    fn a_weak_hash_makes_way_for_a_strong_one() {
        let mut found = found(1, Check::Right);
        if let Some(login) = &mut found.login {
            login.rehashed = Some(PasswordHash::new("stronger"));
        }
        let story = story().findings(found);
        let events = story.when_actor(&anyone(), id(1), log_in("d")).accepted();
        assert_eq!(names(events), ["session_started", "login_succeeded", "password_rehashed"]);
    }

    #[test]
    fn a_device_has_one_session() {
        let story = logged_in(logged_in(story(), 1), 2);
        let same = story.findings(found(3, Check::Right));
        let ended = ends(id(1), session(2), RevokedReason::Replaced, None);
        let events = same.when_actor(&anyone(), id(1), log_in("device 2")).accepted();
        assert_eq!(events[0].event, Event::Sessions(ended));
        assert_eq!(names(events), ["session_revoked", "session_started", "login_succeeded"]);
    }

    #[test]
    fn a_session_id_serves_once() {
        let story = logged_in(story(), 1);
        assert_eq!(attempt(story, 1, Check::Right).expect_err("open").code, ErrorCode::Conflict);
        let ended = crate::auth::RevokeSession { session_id: session(1).into() };
        let story = logged_in(self::story(), 1).done(&Actor::User(id(1)), id(1), ended);
        assert_eq!(attempt(story, 1, Check::Right).expect_err("ended").code, ErrorCode::Conflict);
    }

    #[test]
    fn a_session_id_is_new() {
        for seconds in [-121, 301] {
            let time = Time::default() + TimeDelta::seconds(seconds);
            let no = attempt(story().at(time), 1, Check::Right).expect_err("not of now");
            assert_eq!((no.code, no.field.as_deref()), (ErrorCode::Invalid, Some("target")));
        }
    }

    #[test]
    fn too_many_sessions_make_room() {
        let mut story = story();
        let most = u16::try_from(MAX_SESSIONS).expect("a few");
        for number in 0..most {
            story = logged_in(story, number);
        }
        let events = attempt(story, most, Check::Right).expect("a session");
        assert_eq!(events, ["session_revoked", "session_started", "login_succeeded"]);
    }

    /// What a client hears of it.
    fn said(no: Rejection) -> Rejection {
        Rejection { events: Box::default(), ..no }
    }

    #[test]
    fn all_who_fail_hear_the_same() {
        for check in [Check::Wrong, Check::NoPassword, Check::Unknown] {
            let no = attempt(story(), 1, check).expect_err("not right");
            assert_eq!(names(no.events.clone()), ["login_failed"]);
            assert_eq!(said(no), credentials_are_not_right());
        }
    }

    #[test]
    fn too_many_failures_lock_even_the_right_password_out() {
        let no = attempt(after_failures(4), 9, Check::Wrong).expect_err("not right");
        assert_eq!(names(no.events), ["login_failed", "user_locked"]);
        let no = attempt(after_failures(5), 9, Check::Right).expect_err("locked");
        assert_eq!(names(no.events.clone()), ["login_failed"]);
        assert_eq!(said(no), credentials_are_not_right());
    }

    #[test]
    fn a_lock_passes_and_counting_begins_anew() {
        let later = Time::default() + TimeDelta::minutes(15);
        let number = 9;
        let mut found = found(number, Check::Wrong);
        if let Some(login) = &mut found.login {
            login.session_id =
                uuid::Builder::from_unix_timestamp_millis(900_000, &[1; 10]).into_uuid();
        }
        let story = after_failures(5).at(later).findings(found.clone());
        let no =
            story.when_actor(&anyone(), id(1), log_in("d")).refused(ErrorCode::Unauthenticated);
        assert_eq!(names(no.events), ["login_failed"]);
        if let Some(login) = &mut found.login {
            login.check = Check::Right;
        }
        let story = story.findings(found);
        let events = story.when_actor(&anyone(), id(1), log_in("d")).accepted();
        assert_eq!(names(events), ["user_unlocked", "session_started", "login_succeeded"]);
    }

    #[test]
    fn success_forgets_failures() {
        let story = logged_in(after_failures(4), 8);
        let no = attempt(story, 9, Check::Wrong).expect_err("not right");
        assert_eq!(names(no.events), ["login_failed"]);
    }

    #[test]
    fn an_account_that_may_not_act_begins_no_session() {
        for (status, code) in [
            (AccountStatus::Suspended, Some(ErrorCode::Forbidden)),
            (AccountStatus::Banned, Some(ErrorCode::Forbidden)),
            (AccountStatus::Deleted, Some(ErrorCode::Unauthenticated)),
            (AccountStatus::Pending, None),
        ] {
            let mut event = registered_for_tests(id(1));
            if let Event::Auth(AuthEvent::UserRegistered(e)) = &mut event {
                e.account_status = status;
            }
            let story = || Story::new().event(StreamKey::of(Stream::User, id(1)), event.clone());
            assert_eq!(attempt(story(), 1, Check::Right).err().map(|no| no.code), code);
            // Whoever does not know the password is not told.
            let no = attempt(story(), 1, Check::Wrong).expect_err("not right");
            assert_eq!(no.code, ErrorCode::Unauthenticated);
        }
    }

    fn with(factor: Findings, number: u16) -> Findings {
        Findings { second_factor: factor.second_factor, ..found(number, Check::Right) }
    }

    fn try_with(story: Story, findings: Findings) -> crate::story::Ending {
        story.findings(findings).when_actor(&anyone(), id(1), log_in("d"))
    }

    #[test]
    fn with_two_factors_a_password_is_not_enough() {
        let story = || two_factor(story(), 1);
        let no = try_with(story(), found(1, Check::Right)).refused(ErrorCode::Unauthenticated);
        assert_eq!(no.data, Some(json!({ "second_factor": ["totp", "recovery_code"] })));
        assert!(no.events.is_empty(), "it is no attempt that failed");
        // Without the password nobody hears that there is one.
        let no = attempt(story(), 1, Check::Wrong).expect_err("not right");
        assert_eq!(no.data, None);
        for (shown, used) in [
            (showing(&story(), 1, 30), "totp_used"),
            (recovering(&story(), 4), "recovery_code_used"),
        ] {
            let events = try_with(story(), with(shown, 1)).decision().map(names);
            assert_eq!(events.ok(), Some(vec!["session_started", "login_succeeded", used]));
        }
    }

    #[test]
    fn a_code_is_good_once_and_guessing_locks() {
        let story = two_factor(story(), 1);
        let shown = with(showing(&story, 1, 30), 1);
        let story = story.findings(shown.clone()).done(&anyone(), id(1), log_in("d"));
        let wrong = Findings { login: with(shown.clone(), 2).login, ..shown };
        let mut story = story.findings(wrong);
        for _ in 0..5 {
            let no = story.when_actor(&anyone(), id(1), log_in("d"));
            assert_eq!(no.refused(ErrorCode::Unauthenticated).data, None);
            story = story.failed(&anyone(), id(1), log_in("d"));
        }
        let right = with(recovering(&story, 4), 2);
        try_with(story, right).refused(ErrorCode::Unauthenticated);
    }

    /// Somebody logs in by an identity at a provider, which the client calls so.
    fn by_oauth(story: Story, its_id: &str, shown: Findings) -> crate::story::Ending {
        let oauth = vouching(OauthProvider::Google, its_id, 601).oauth;
        let found = found(2, Check::Right);
        let findings = Findings { oauth, second_factor: shown.second_factor, ..found };
        let body = json!({ "oauth": { "provider": "google" }, "device_id": "d" });
        let log_in: LogIn = serde_json::from_value(body).expect("a good body");
        story.findings(findings).when_actor(&anyone(), id(1), log_in)
    }

    #[test]
    fn a_linked_identity_will_do() {
        let story = || has_linked(story(), OauthProvider::Google, 600);
        let events = by_oauth(story(), "ada", Findings::default()).accepted();
        let Event::Sessions(SessionEvent::LoginSucceeded(e)) = &events[1].event else {
            panic!("{events:?}");
        };
        let known_by = (e.identifier_type, e.method);
        assert_eq!(known_by, (IdentifierType::Oauth, LoginMethod::Oauth));
        let other = by_oauth(story(), "another", Findings::default());
        other.refused(ErrorCode::NotFound);
        let unlink = json!({ "provider": "google" });
        let unlink: crate::auth::UnlinkOauthProvider =
            serde_json::from_value(unlink).expect("a good body");
        let story = story().done(&Actor::User(id(1)), id(1), unlink);
        let not_any_more = by_oauth(story, "ada", Findings::default());
        not_any_more.refused(ErrorCode::NotFound);
    }

    #[test]
    fn an_identity_is_one_factor_and_opens_no_lock() {
        let story = || two_factor(has_linked(story(), OauthProvider::Google, 600), 1);
        let no = by_oauth(story(), "ada", Findings::default());
        assert!(no.refused(ErrorCode::Unauthenticated).data.is_some(), "a second factor is asked");
        let shown = showing(&story(), 1, 30);
        let events = names(by_oauth(story(), "ada", shown).accepted());
        assert_eq!(events, ["session_started", "login_succeeded", "totp_used"]);
        let locked = has_linked(super::super::tests::story(), OauthProvider::Google, 600);
        let locked = (0..5).fold(locked, |story, number| {
            story.findings(found(number, Check::Wrong)).failed(&anyone(), id(1), log_in("d"))
        });
        by_oauth(locked, "ada", Findings::default()).refused(ErrorCode::Unauthenticated);
    }

    #[test]
    fn without_the_request_path_nothing_happens() {
        let story = story().findings(Findings::default());
        story.when_actor(&anyone(), id(1), log_in("d")).refused(ErrorCode::Invalid);
    }

    #[test]
    fn identifiers_are_compared_as_accounts_have_them() {
        let canonical = |identifier: &str| {
            let body = json!({ "identifier": identifier });
            serde_json::from_value::<LogIn>(body).expect("a good body").canonical()
        };
        assert_eq!(canonical("Ada").as_deref(), Some("ada"));
        assert_eq!(canonical("ADA@example.org").as_deref(), Some("ada@example.org"));
        assert_eq!(canonical("+442071838750").as_deref(), Some("+442071838750"));
        assert_eq!(canonical("no user name at all"), None);
    }

    /// User 1 was sent a code for this.
    fn sent(story: Story, purpose: OtpPurpose) -> Story {
        also_sent(story, purpose, 700, "the code")
    }

    pub(in crate::auth) fn also_sent(
        story: Story,
        purpose: OtpPurpose,
        number: u16,
        text: &str,
    ) -> Story {
        let new_code = NewCode {
            otp_id: id(number),
            user_id: Some(id(1)),
            identifier: "ada@example.org".to_owned(),
            identifier_hash: SENT_TO.to_owned(),
            hash: CodeHash::new(text),
        };
        let found = Findings { new_code: Some(new_code), ..Findings::default() };
        let body = json!({ "purpose": purpose.name(), "identifier": "ada@example.org" });
        let request: crate::auth::RequestOtp = serde_json::from_value(body).expect("a good body");
        story.findings(found).done(&Actor::User(id(1)), id(1), request)
    }

    fn code(text: &str) -> Option<super::super::SentCode> {
        Some(super::super::SentCode { otp_id: id(700), hash: CodeHash::new(text) })
    }

    /// Somebody shows a code in place of a password.
    fn by_code(story: Story, check: Check, text: &str) -> Result<Vec<&'static str>, Rejection> {
        let mut findings = found(9, check);
        if let Some(login) = &mut findings.login {
            login.code = code(text);
        }
        let story = story.findings(findings);
        story.when_actor(&anyone(), id(1), log_in("d")).decision().map(names)
    }

    #[test]
    fn a_code_will_do() {
        let story = || sent(story(), OtpPurpose::Login);
        let events = by_code(story(), Check::NoPassword, "the code").expect("a session");
        assert_eq!(events, ["session_started", "login_succeeded", "otp_verified"]);
        let no = by_code(story(), Check::NoPassword, "a guess").expect_err("another");
        assert_eq!(names(no.events.clone()), ["login_failed", "otp_attempt_failed"]);
        assert_eq!(said(no), credentials_are_not_right());
        let no = by_code(story(), Check::Unknown, "the code").expect_err("nobody");
        assert_eq!(said(no), credentials_are_not_right());
        let other = sent(super::super::tests::story(), OtpPurpose::PasswordReset);
        let no = by_code(other, Check::NoPassword, "the code").expect_err("for something else");
        assert_eq!(names(no.events), ["login_failed"]);
    }

    #[test]
    fn a_code_to_an_address_of_before_is_gone() {
        let changed = |email: &str| {
            let (user_id, email) = (id(1), email.to_owned());
            let changed = EmailChanged { user_id, email, origin: Origin::default() };
            let user = StreamKey::of(Stream::User, user_id);
            let event = Event::Accounts(AccountEvent::EmailChanged(changed));
            by_code(sent(story(), OtpPurpose::Login).event(user, event), Check::Right, "the code")
        };
        let no = changed("countess@example.org").expect_err("whoever has it may be another");
        assert_eq!(names(no.events), ["login_failed"]);
        changed("ada@example.org").expect("it is the present one");
    }

    #[test]
    fn a_lock_is_no_less_one_for_a_code() {
        let no = by_code(sent(after_failures(5), OtpPurpose::Login), Check::NoPassword, "the code");
        assert_eq!(said(no.expect_err("locked")), credentials_are_not_right());
    }

    /// User 1 has codes sent as a second factor.
    pub(in crate::auth) fn with_codes_by_mail(story: Story) -> Story {
        let story = sent(story, OtpPurpose::TwoFactor);
        let shown = SecondFactor::Sent(code("the code").expect("a code"));
        let found = Findings {
            second_factor: Some(shown),
            password: Some(Check::Right),
            ..recovering(&story, 0)
        };
        let enable = crate::auth::EnableTwoFactor::default();
        story.findings(found).done(&Actor::User(id(1)), id(1), enable)
    }

    #[test]
    fn a_code_is_one_factor_and_not_both() {
        let story = with_codes_by_mail(story()).at(Time::default() + TimeDelta::minutes(2));
        let no = attempt(story, 9, Check::Right).expect_err("a second one is needed");
        assert_eq!(no.data, Some(json!({ "second_factor": ["email", "recovery_code"] })));

        let later = Time::default() + TimeDelta::minutes(2);
        let again = || {
            let story = with_codes_by_mail(super::super::tests::story()).at(later);
            also_sent(story, OtpPurpose::Login, 701, "another code")
        };
        let shown =
            |text: &str| super::super::SentCode { otp_id: id(701), hash: CodeHash::new(text) };
        let with = |second: &str| {
            let second_factor = Some(SecondFactor::Sent(shown(second)));
            let found = Findings { second_factor, ..found(9, Check::Right) };
            again().findings(found).when_actor(&anyone(), id(1), log_in("d")).decision().map(names)
        };
        let events = with("another code").expect("both factors");
        assert_eq!(events, ["session_started", "login_succeeded", "otp_verified"]);
        let no = with("a guess").expect_err("another");
        assert_eq!(names(no.events), ["login_failed", "otp_attempt_failed"]);

        let mut alone = found(9, Check::NoPassword);
        if let Some(login) = &mut alone.login {
            login.code = Some(shown("another code"));
        }
        let no = again().findings(alone).when_actor(&anyone(), id(1), log_in("d"));
        assert!(no.decision().expect_err("one factor").data.is_some());
    }
}
