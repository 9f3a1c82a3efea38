use echolog_events::{
    AccountStatus, AdminAction, PasswordChange, PasswordChanged, PasswordEvent, RevokedReason,
    SessionEvent, Stream, UnlockedBy, UserUnlocked,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::recorded_if_anothers;
use super::proof::{self, check_is_present};
use super::{Authority, authority, ends, need_authority};
use crate::doc::{Doc, optional};
use crate::fields::{Id, OneTimeCode, Password, SentCode, Token};
use crate::{Context, Decide, Decision, Needs, NewEvent, Rejection, World};

/// Gives an account another password.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub old_password: Option<Password>,
    /// Leaves the request path only as a hash.
    #[serde(skip_serializing)]
    pub new_password: Option<Password>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub totp: Option<OneTimeCode>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub recovery_code: Option<Token>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub otp: Option<SentCode>,
    /// The session that stays.
    pub except_session_id: Option<Id>,
}

impl Decide for ChangePassword {
    const STREAM: Stream = Stream::Password;
    const DOC: Doc = Doc {
        summary: "Gives an account another password, and ends its sessions. A lock is opened. A wrong old password counts as a failed attempt to log in.",
        target: "your own user id; another's for services",
        fields: &[
            optional(
                "old_password",
                "text, 8 to 256 bytes; **a secret**; needed, but not from services",
            ),
            optional("new_password", "text, 8 to 256 bytes; **a secret**; needed"),
            optional(
                "totp",
                "text of six digits: what the authenticator shows; **a secret**; needed, or `recovery_code`, where two factors are in use, but not from services",
            ),
            optional("recovery_code", "text: one of the recovery codes; **a secret**"),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `2fa`, where that is the second factor or there is no password; **a secret**",
            ),
            optional("except_session_id", "UUID: the session that stays"),
        ],
        events: &[
            "password_changed",
            "user_unlocked",
            "session_revoked",
            "admin_action_recorded",
            "totp_used",
            "recovery_code_used",
            "otp_verified",
            "otp_attempt_failed",
            "login_failed",
            "user_locked",
        ],
        refused: &[
            (
                "unauthenticated",
                "the old password is not right, or too many attempts failed before: nobody is told which",
            ),
            ("forbidden", "the target is another user, or the account may not act"),
            ("conflict", "the new password is the old one"),
            ("not_found", "there is no such user"),
        ],
        example: r#"{"old_password":"correct horse battery","new_password":"staples of another kind","totp":"287082","recovery_code":"abcde-23456","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"},"except_session_id":"0192f3c4-aaaa-7bbb-8ccc-000000000005"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_authority(context, needs);
        proof::need(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let user_id = context.target;
        let authority = authority(context, world)?;
        let user =
            world.user(user_id).ok_or_else(|| Rejection::not_found("There is no such user."))?;
        let sessions = world.sessions(user_id);
        let (how, by) = match authority {
            Authority::Own => (PasswordChange::Change, Some(user_id)),
            Authority::Service => (PasswordChange::Operator, None),
            Authority::Admin(_) => {
                return Err(Rejection::forbidden("This is for the user and for services."));
            }
        };
        match (user.status_at(context.time), how) {
            (AccountStatus::Active | AccountStatus::Pending, _)
            | (AccountStatus::Suspended | AccountStatus::Banned, PasswordChange::Operator) => {}
            _ => return Err(Rejection::forbidden("The account may not act.")),
        }
        let Some(found) = &context.findings.new_password else {
            return Err(Rejection::invalid("new_password", "A new password is needed."));
        };
        check_is_present(sessions, found.password)?;
        let used = match how {
            PasswordChange::Change => {
                let Some(check) = found.check else {
                    return Err(Rejection::invalid("old_password", "The old password is needed."));
                };
                proof::after(context, world, check)?
            }
            PasswordChange::Reset | PasswordChange::Operator => None,
        };
        if found.is_same {
            return Err(Rejection::conflict("This is the password that the account has."));
        }
        let Some(password_hash) = found.hash.clone() else {
            return Err(Rejection::invalid("new_password", "A new password is needed."));
        };
        let changed = PasswordEvent::PasswordChanged(PasswordChanged {
            user_id,
            number: found.password + 1,
            password_hash,
            how,
            origin: context.findings.origin.clone(),
        });
        let mut events: Vec<NewEvent> = vec![changed.into()];
        if sessions.locked_until.is_some() {
            let unlocked = UserUnlocked { user_id, by: UnlockedBy::Password, by_user_id: by };
            events.push(SessionEvent::UserUnlocked(unlocked).into());
        }
        let except = self.except_session_id.map(Id::get);
        let ending = sessions.open.keys().filter(|id| Some(**id) != except);
        let reason = RevokedReason::PasswordChanged;
        events.extend(ending.map(|id| NewEvent::from(ends(user_id, *id, reason, by))));
        let action = AdminAction::ChangePassword;
        events.extend(recorded_if_anothers(context, &authority, action, None, json!({})));
        events.extend(used);
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use echolog_events::{
        CodeHash, Event, OtpPurpose, PasswordHash, PasswordRehashed, StreamKey, Time,
    };

    use super::super::findings::{Check, Findings, NewPassword, SecondFactor, SentCode};
    use super::super::log_in::tests::{also_sent, with_codes_by_mail};
    use super::super::tests::{found, log_in, logged_in, session, story};
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn operator() -> Actor {
        Actor::Service("svc-operator".to_owned())
    }

    fn anyone() -> Actor {
        Actor::Anonymous("anon-1".to_owned())
    }

    /// What was found out about a new password, while the account's hash has this number.
    fn new_password(password: u32, check: Option<Check>) -> Findings {
        let new_password = NewPassword {
            password,
            check,
            is_same: false,
            hash: Some(PasswordHash::new("a new hash")),
        };
        Findings { new_password: Some(new_password), ..Findings::default() }
    }

    fn names(events: &[NewEvent]) -> Vec<&'static str> {
        events.iter().map(|new| new.event.event_type().short()).collect()
    }

    fn change() -> ChangePassword {
        ChangePassword::default()
    }

    #[test]
    fn the_other_sessions_end() {
        let story = logged_in(logged_in(story(), 1), 2);
        let story = story.findings(new_password(0, Some(Check::Right)));
        let but_one = ChangePassword { except_session_id: Some(session(2).into()), ..change() };
        let events = story.when(id(1), id(1), but_one).accepted();
        assert_eq!(names(&events), ["password_changed", "session_revoked"]);
        let reason = RevokedReason::PasswordChanged;
        assert_eq!(events[1].event, Event::Sessions(ends(id(1), session(1), reason, Some(id(1)))));
    }

    #[test]
    fn a_code_that_was_sent_is_a_second_factor() {
        let later = Time::default() + TimeDelta::minutes(2);
        let story = with_codes_by_mail(story()).at(later);
        let story = also_sent(story, OtpPurpose::TwoFactor, 701, "another code");
        let shown = SentCode { otp_id: id(701), hash: CodeHash::new("another code") };
        let second_factor = Some(SecondFactor::Sent(shown));
        let found = Findings { second_factor, ..new_password(0, Some(Check::Right)) };
        let events = story.findings(found).when(id(1), id(1), change()).accepted();
        assert_eq!(names(&events), ["password_changed", "otp_verified"]);
    }

    #[test]
    fn a_wrong_old_password_counts_as_any_other() {
        let wrong = || new_password(0, Some(Check::Wrong));
        let mut story = story().findings(wrong());
        for _ in 0..4 {
            story = story.failed(&Actor::User(id(1)), id(1), change());
        }
        let no = story.when(id(1), id(1), change()).refused(ErrorCode::Unauthenticated);
        assert_eq!(names(&no.events), ["login_failed", "user_locked"]);
        let story = story.failed(&Actor::User(id(1)), id(1), change());
        let story = story.findings(new_password(0, Some(Check::Right)));
        let no = story.when(id(1), id(1), change()).refused(ErrorCode::Unauthenticated);
        assert_eq!(names(&no.events), ["login_failed"], "even the right one");
    }

    #[test]
    fn an_operator_sets_a_password_and_opens_the_lock() {
        let locked = (0..5).fold(story(), |story, number| {
            story.findings(found(number, Check::Wrong)).failed(&anyone(), id(1), log_in("d"))
        });
        let story = locked.findings(new_password(0, None));
        let events = story.when_actor(&operator(), id(1), change()).accepted();
        assert_eq!(names(&events), ["password_changed", "user_unlocked", "admin_action_recorded"]);
        story.when_actor(&operator(), id(9), change()).refused(ErrorCode::NotFound);
        story.when(id(2), id(1), change()).refused(ErrorCode::Forbidden);
        story.when_actor(&anyone(), id(1), change()).refused(ErrorCode::Unauthenticated);
        story.when(id(1), id(1), change()).refused(ErrorCode::Invalid);
    }

    #[test]
    fn the_same_password_is_no_new_one() {
        let mut same = new_password(0, Some(Check::Right));
        if let Some(found) = &mut same.new_password {
            found.is_same = true;
        }
        story().findings(same.clone()).when(id(1), id(1), change()).refused(ErrorCode::Conflict);
        // Whoever does not know the old one is not told.
        if let Some(found) = &mut same.new_password {
            found.check = Some(Check::Wrong);
        }
        story().findings(same).when(id(1), id(1), change()).refused(ErrorCode::Unauthenticated);
    }

    fn changed() -> Story {
        let story = story().findings(new_password(0, Some(Check::Right)));
        story.done(&Actor::User(id(1)), id(1), change())
    }

    #[test]
    fn what_was_checked_against_an_earlier_hash_proves_nothing() {
        let story = changed();
        story.when(id(1), id(1), change()).refused(ErrorCode::Unavailable);
        let story = story.findings(found(1, Check::Right));
        story.when_actor(&anyone(), id(1), log_in("d")).refused(ErrorCode::Unavailable);
        let story = story.findings(new_password(1, Some(Check::Right)));
        let events = story.when(id(1), id(1), change()).accepted();
        let Event::Passwords(PasswordEvent::PasswordChanged(e)) = &events[0].event else {
            panic!("the password comes first")
        };
        assert_eq!(e.number, 2);
    }

    #[test]
    fn a_hash_of_the_same_password_takes_its_turn_too() {
        let rehashed = PasswordEvent::PasswordRehashed(PasswordRehashed {
            user_id: id(1),
            number: 2,
            password_hash: PasswordHash::new("stronger"),
        });
        let key = StreamKey::of(Stream::Password, id(1));
        let story = changed().event(key, Event::Passwords(rehashed));
        let story = story.findings(new_password(1, Some(Check::Right)));
        story.when(id(1), id(1), change()).refused(ErrorCode::Unavailable);
    }

    #[test]
    fn an_account_that_may_not_act_changes_nothing() {
        for (status, own, operated) in [
            (AccountStatus::Pending, None, None),
            (AccountStatus::Suspended, Some(ErrorCode::Forbidden), None),
            (AccountStatus::Banned, Some(ErrorCode::Forbidden), None),
            (AccountStatus::Deleted, Some(ErrorCode::Forbidden), Some(ErrorCode::Forbidden)),
        ] {
            let mut event = crate::auth::registered_for_tests(id(1));
            if let Event::Auth(echolog_events::AuthEvent::UserRegistered(e)) = &mut event {
                e.account_status = status;
            }
            let story = Story::new().event(StreamKey::of(Stream::User, id(1)), event);
            let story = story.findings(new_password(0, Some(Check::Right)));
            let code = |ending: crate::story::Ending| ending.decision().err().map(|no| no.code);
            assert_eq!(code(story.when(id(1), id(1), change())), own, "{status:?}");
            assert_eq!(code(story.when_actor(&operator(), id(1), change())), operated);
        }
    }
}
