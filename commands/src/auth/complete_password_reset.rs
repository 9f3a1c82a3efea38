use echolog_events::{
    AccountStatus, CodeEvent, OtpPurpose, PasswordChange, PasswordChanged, PasswordEvent,
    PasswordResetCompleted, RevokedReason, SessionEvent, Stream, UnlockedBy, UserUnlocked,
};
use serde::{Deserialize, Serialize};

use super::operators::keys_end;
use super::proof::check_is_present;
use super::{NameType, SentCode, ShownReset, ends, identifier, sent};
use crate::doc::{Doc, optional};
use crate::fields::{OneTimeCode, Password, Text, Token};
use crate::{ClaimId, Context, Decide, Decision, Key, Needs, NewEvent, Rejection, World};

/// Gives an account another password for one that was lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletePasswordReset {
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub token: Option<Token>,
    /// Where a code went that is shown in place of the token.
    pub identifier: Option<Text<1, 255>>,
    /// Whether that is an address or a number.
    pub identifier_type: Option<NameType>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub code: Option<OneTimeCode>,
    /// Leaves the request path only as a hash.
    #[serde(skip_serializing)]
    pub new_password: Option<Password>,
}

impl CompletePasswordReset {
    /// Where the code went, as an account would have claimed it, and what kind of name that is.
    #[must_use]
    pub fn canonical(&self) -> Option<(NameType, String)> {
        identifier::typed(self.identifier.as_ref()?.as_str(), self.identifier_type)
    }
}

/// The one answer to whoever has no token that is good.
fn gone() -> Rejection {
    Rejection::gone("The token is not right, has expired, was used or replaced.")
}

impl Decide for CompletePasswordReset {
    const STREAM: Stream = Stream::Code;
    const DOC: Doc = Doc {
        summary: "Gives an account another password for one that was lost. A lock is opened, all sessions and API keys end.",
        target: "the reset's id, as of `request_password_reset`, or the code's, as of `request_otp` for `password_reset`",
        fields: &[
            optional("token", "text; **a secret**; needed, or `identifier` and `code`"),
            optional("identifier", "text, 1 to 255: where the code went"),
            optional("identifier_type", "`email` or `phone`, as of `request_otp`"),
            optional("code", "text, 6 digits; **a secret**"),
            optional("new_password", "text, 8 to 256 bytes; **a secret**; needed"),
        ],
        events: &[
            "password_reset_completed",
            "password_changed",
            "user_unlocked",
            "session_revoked",
            "api_key_revoked",
            "otp_verified",
            "otp_attempt_failed",
        ],
        refused: &[
            ("gone", "the token is not right, or it or the code has expired, was used or replaced"),
            ("unauthenticated", "it is another code: the fifth wrong one is the last"),
            ("forbidden", "the account may not act"),
        ],
        example: r#"{"token":"ep_AZLzxKqq","identifier":"ada@example.org","identifier_type":"email","code":"123456","new_password":"staples of another kind"}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        needs.want(Key::Codes(context.target));
        needs.want(Key::Sessions(context.target));
        needs.want(Key::User(context.target));
        needs.want(Key::Credentials(context.target));
        // What an earlier build has kept does not say where it went.
        let reset = world.codes(context.target).reset.as_ref();
        if let Some(reset) = reset.filter(|reset| !reset.identifier_hash.is_empty()) {
            needs.want(Key::Claim(ClaimId(reset.identifier_hash.clone())));
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let user_id = context.target;
        let found = context.findings.reset.as_ref().ok_or_else(gone)?;
        let used = match &found.shown {
            ShownReset::Token(hash) => {
                let reset = world.codes(user_id).reset.as_ref().ok_or_else(gone)?;
                let sent_to = ClaimId(reset.identifier_hash.clone());
                let is_good = reset.id == found.reset_id
                    && reset.hash == *hash
                    && reset.expires_at > context.time
                    // Whoever has got hold of an address of before must not get in with it.
                    && world.claim(&sent_to).owner == Some(user_id);
                if !is_good {
                    return Err(gone());
                }
                None
            }
            ShownReset::Code(hash) => {
                let code = world.codes(user_id).open.get(&found.reset_id);
                if code.is_some_and(|code| !sent::went_to(code, found.identifier_hash.as_deref())) {
                    return Err(sent::gone());
                }
                let shown = SentCode { otp_id: found.reset_id, hash: hash.clone() };
                sent::right(context, world, &shown, &[OtpPurpose::PasswordReset])
                    .map_err(|wrong| wrong.refused(context, world))?;
                Some(sent::used(context, world, found.reset_id, None))
            }
        };
        let user = world.user(user_id).ok_or_else(gone)?;
        match user.status_at(context.time) {
            AccountStatus::Active | AccountStatus::Pending => {}
            AccountStatus::Suspended | AccountStatus::Banned | AccountStatus::Deleted => {
                return Err(Rejection::forbidden("The account may not act."));
            }
        }
        let sessions = world.sessions(user_id);
        check_is_present(sessions, found.password)?;
        let token = world.codes(user_id).reset.as_ref().filter(|_| used.is_some());
        let completed = PasswordResetCompleted {
            user_id,
            reset_id: found.reset_id,
            replaces: token.and_then(|token| token.good_id(context.time)),
            origin: context.findings.origin.clone(),
        };
        let changed = PasswordChanged {
            user_id,
            number: found.password + 1,
            password_hash: found.password_hash.clone(),
            how: PasswordChange::Reset,
            origin: context.findings.origin.clone(),
        };
        let mut events: Vec<NewEvent> = vec![
            CodeEvent::PasswordResetCompleted(completed).into(),
            PasswordEvent::PasswordChanged(changed).into(),
        ];
        if sessions.locked_until.is_some() {
            let by = UnlockedBy::Password;
            let unlocked = UserUnlocked { user_id, by, by_user_id: None };
            events.push(SessionEvent::UserUnlocked(unlocked).into());
        }
        let reason = RevokedReason::PasswordChanged;
        let open = sessions.open.keys();
        events.extend(open.map(|id| NewEvent::from(ends(user_id, *id, reason, None))));
        // Whoever had got in may have made one for themselves.
        events.extend(keys_end(context, world, None));
        events.extend(used);
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use echolog_events::{
        AuthEvent, ClaimKind, CodeHash, Event, IdentifierClaimed, IdentifierReleased, PasswordHash,
        Time, TokenHash,
    };

    use super::super::request_otp::tests::{SENT_TO, sent};
    use super::super::request_password_reset::tests::{anyone, found, request};
    use super::super::tests::logged_in;
    use super::*;
    use crate::ErrorCode;
    use crate::auth::{Check, Findings, Reset};
    use crate::story::{Story, id};

    fn shown(number: u16, token: &str) -> Findings {
        let reset = Reset {
            reset_id: id(800 + number),
            shown: ShownReset::Token(TokenHash::new(token)),
            identifier_hash: None,
            password: 0,
            password_hash: PasswordHash::new("a new hash"),
        };
        Findings { reset: Some(reset), ..Findings::default() }
    }

    fn complete() -> CompletePasswordReset {
        CompletePasswordReset::default()
    }

    /// User 1, whose address it goes to, has asked for a token.
    fn asked(story: Story) -> Story {
        let address = ClaimId(SENT_TO.to_owned()).stream_key();
        let kind = ClaimKind::Email;
        let claimed = AuthEvent::IdentifierClaimed(IdentifierClaimed { kind, owner_id: id(1) });
        let story = story.event(address, Event::Auth(claimed));
        story.findings(found(1)).done(&anyone(), id(1), request())
    }

    #[test]
    fn an_address_of_before_leads_nowhere() {
        let address = ClaimId(SENT_TO.to_owned()).stream_key();
        let (kind, owner_id) = (ClaimKind::Email, id(1));
        let released = AuthEvent::IdentifierReleased(IdentifierReleased { kind, owner_id });
        let story = asked(super::super::tests::story()).event(address, Event::Auth(released));
        let story = story.findings(shown(1, "token 1"));
        story.when_actor(&anyone(), id(1), complete()).refused(ErrorCode::Gone);
    }

    #[test]
    fn a_code_is_shown_under_the_name_that_it_went_to() {
        let by_code = |identifier_hash: &str, code: &str| {
            let reset = Reset {
                reset_id: id(701),
                shown: ShownReset::Code(CodeHash::new(code)),
                identifier_hash: Some(identifier_hash.to_owned()),
                password: 0,
                password_hash: PasswordHash::new("a new hash"),
            };
            let found = Findings { reset: Some(reset), ..Findings::default() };
            let story = sent(OtpPurpose::PasswordReset).findings(found);
            story.when_actor(&anyone(), id(1), complete())
        };
        for code in ["code 1", "a guess"] {
            let no = by_code("another name of the account", code).refused(ErrorCode::Gone);
            assert!(no.events.is_empty(), "nobody learns that both lead to one account");
        }
        by_code(SENT_TO, "a guess").refused(ErrorCode::Unauthenticated);
        by_code(SENT_TO, "code 1").accepted();
    }

    #[test]
    fn a_code_ends_the_token_that_was_on_its_way() {
        let later = Time::default() + TimeDelta::minutes(1);
        let story = sent(OtpPurpose::PasswordReset).at(later).findings(found(1));
        let reset = Reset {
            reset_id: id(701),
            shown: ShownReset::Code(CodeHash::new("code 1")),
            identifier_hash: Some(SENT_TO.to_owned()),
            password: 0,
            password_hash: PasswordHash::new("a new hash"),
        };
        let found = Findings { reset: Some(reset), ..Findings::default() };
        let story = story.done(&anyone(), id(1), request()).findings(found);
        let events = story.when_actor(&anyone(), id(1), complete()).accepted();
        let Event::Codes(CodeEvent::PasswordResetCompleted(completed)) = &events[0].event else {
            panic!("{events:?}")
        };
        assert_eq!(completed.replaces, Some(id(801)));
    }

    fn names(events: Vec<NewEvent>) -> Vec<&'static str> {
        events.into_iter().map(|new| new.event.event_type().short()).collect()
    }

    #[test]
    fn a_token_is_good_once() {
        let story = asked(logged_in(super::super::tests::story(), 1)).findings(shown(1, "token 1"));
        let events = story.when_actor(&anyone(), id(1), complete()).accepted();
        let expected = ["password_reset_completed", "password_changed", "session_revoked"];
        assert_eq!(names(events), expected);
        let story = story.done(&anyone(), id(1), complete());
        story.when_actor(&anyone(), id(1), complete()).refused(ErrorCode::Gone);
    }

    #[test]
    fn a_lock_is_opened() {
        let locked = (0..5).fold(super::super::tests::story(), |story, number| {
            let findings = super::super::tests::found(number, Check::Wrong);
            let command = super::super::tests::log_in("d");
            story.findings(findings).failed(&anyone(), id(1), command)
        });
        let story = asked(locked).findings(shown(1, "token 1"));
        let events = story.when_actor(&anyone(), id(1), complete()).accepted();
        let expected = ["password_reset_completed", "password_changed", "user_unlocked"];
        assert_eq!(names(events), expected);
    }

    #[test]
    fn nothing_else_is_good() {
        let story = || asked(super::super::tests::story());
        for (number, token) in [(1, "token 2"), (2, "token 1")] {
            let story = story().findings(shown(number, token));
            story.when_actor(&anyone(), id(1), complete()).refused(ErrorCode::Gone);
        }
        let late = story().at(Time::default() + TimeDelta::hours(1)).findings(shown(1, "token 1"));
        late.when_actor(&anyone(), id(1), complete()).refused(ErrorCode::Gone);
        let later = story().at(Time::default() + TimeDelta::minutes(1)).findings(found(2));
        let replaced = later.done(&anyone(), id(1), request()).findings(shown(1, "token 1"));
        replaced.when_actor(&anyone(), id(1), complete()).refused(ErrorCode::Gone);
        let none = story().findings(Findings::default());
        none.when_actor(&anyone(), id(1), complete()).refused(ErrorCode::Gone);
        let other = story().findings(shown(1, "token 1"));
        other.when_actor(&anyone(), id(2), complete()).refused(ErrorCode::Gone);
    }
}
