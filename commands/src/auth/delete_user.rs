use echolog_events::{
    AccountEvent, AccountStatus, AdminAction, CredentialEvent, RevokedReason, Stream,
    TwoFactorDisabled, UserDeleted, UserRole, Uuid,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::{
    account, keys_end, links_end, need_account, need_roster_of_admin, operator, recorded,
    roster_changes, sessions_end,
};
use super::{contact, oauth, proof};
use crate::doc::{Doc, optional};
use crate::fields::{OneTimeCode, Password, SentCode, Text, Token};
use crate::{Context, Decide, Decision, Key, Needs, NewEvent, Rejection, World, access};

/// Deletes an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteUser {
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub password: Option<Password>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub totp: Option<OneTimeCode>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub recovery_code: Option<Token>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub otp: Option<SentCode>,
    /// Why.
    pub reason: Option<Text<1, 255>>,
}

impl DeleteUser {
    /// Who acts, if it is a user: the owner of the account, who has proved it once more, or somebody
    /// with a say over the accounts of others. And what the proof leaves.
    fn authority(
        context: &Context<'_>,
        world: &World,
    ) -> Result<(Option<Uuid>, Option<NewEvent>), Rejection> {
        if context.user().is_ok_and(|user| user == context.target) {
            access::present_user(context, world)?;
            let used = proof::check(context, world)?;
            Ok((context.user().map(Some)?, used))
        } else {
            Ok((operator(context, world, UserRole::Admin)?, None))
        }
    }
}

impl Decide for DeleteUser {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Deletes an account, for good: nobody logs in to it any more, its sessions and API keys end, its names and its identities at other providers are free for others, and it leaves its conversations, of which the highest of those who were there longest becomes the owner. What was said stays.",
        target: "your own user id; another's for administrators and services",
        fields: &[
            optional("password", "text, 8 to 256 bytes; **a secret**; needed for your own account"),
            optional(
                "totp",
                "text of six digits: what the authenticator shows; **a secret**; needed, or `recovery_code`, where two factors are in use",
            ),
            optional("recovery_code", "text: one of the recovery codes; **a secret**"),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `2fa`, where that is the second factor or there is no password; **a secret**",
            ),
            optional("reason", "text, 1 to 255 characters"),
        ],
        events: &[
            "user_deleted",
            "identifier_released",
            "session_revoked",
            "api_key_revoked",
            "oauth_provider_unlinked",
            "two_factor_disabled",
            "totp_used",
            "recovery_code_used",
            "otp_verified",
            "otp_attempt_failed",
            "admin_action_recorded",
            "admin_roster_changed",
            "login_failed",
            "user_locked",
        ],
        refused: &[
            ("unauthenticated", "the password is not right, or too many attempts failed before"),
            ("forbidden", "the target is another user and you are no administrator"),
            ("not_found", "there is no such user"),
            ("conflict", "the target is the last administrator"),
            ("gone", "the account is deleted already"),
        ],
        example: r#"{"password":"correct horse battery","totp":"287082","recovery_code":"abcde-23456","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"},"reason":"no use for it"}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        need_account(context, needs);
        proof::need(context, needs);
        oauth::need_claims(context, world, needs);
        need_roster_of_admin(context, world, needs);
        for (_, id) in contact::names(context, world) {
            needs.want(Key::Claim(id));
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        if context.findings.holdings.is_none() {
            return Err(Rejection::internal("The command got lost on its way to its owner."));
        }
        let (by, used) = Self::authority(context, world)?;
        let user = account(context, world)?;
        if user.status == AccountStatus::Deleted {
            return Err(Rejection::gone("The account is deleted."));
        }
        let roster = match user.role {
            UserRole::Admin => roster_changes(context, world, false)?,
            UserRole::User | UserRole::Creator | UserRole::Moderator => None,
        };
        let user_id = context.target;
        let reason = self.reason.as_ref().map(Text::as_str);
        let deleted = AccountEvent::UserDeleted(UserDeleted {
            user_id,
            reason: reason.map(str::to_owned),
            by_user_id: by,
        });
        let mut events = vec![deleted.into()];
        let names = contact::names(context, world).into_iter();
        events.extend(names.filter_map(|name| contact::release(user_id, name, world)));
        events.extend(sessions_end(context, world, RevokedReason::UserDeleted, by));
        events.extend(keys_end(context, world, by));
        events.extend(links_end(context, world, by));
        events.extend(used);
        if world.credentials(user_id).asks_for_second_factor() {
            let (by_user_id, reason) = (by, None);
            let disabled = TwoFactorDisabled { user_id, by_user_id, reason };
            events.push(CredentialEvent::TwoFactorDisabled(disabled).into());
        }
        if by != Some(user_id) {
            events.push(recorded(context, by, AdminAction::DeleteUser, reason, json!({})));
        }
        events.extend(roster);
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{ClaimKind, OauthProvider};

    use super::super::create_api_key::tests::with_keys;
    use super::super::link_oauth_provider::tests::has_linked;
    use super::super::operators::tests::{greets, names, service, town};
    use super::super::tests::{found, log_in, logged_in};
    use super::super::{Check, Findings, Holdings, RegisterUser};
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn anyone() -> Actor {
        Actor::Anonymous("anon-1".to_owned())
    }

    fn ada() -> RegisterUser {
        let body = json!({ "username": "ada", "email": "ada@example.org" });
        serde_json::from_value(body).expect("a good body")
    }

    /// The town, in which Ada is user 6.
    fn story() -> Story {
        town().done(&anyone(), id(6), ada())
    }

    fn holding(story: Story, check: Option<Check>) -> Story {
        let names = [(ClaimKind::Username, "ada"), (ClaimKind::Email, "ada@example.org")];
        let claims = names.map(|(kind, name)| (kind, story.claim(kind, name).0)).to_vec();
        let holdings = Some(Holdings { claims });
        story.findings(Findings { holdings, password: check, ..Findings::default() })
    }

    #[test]
    fn an_account_goes_with_its_names() {
        let story = holding(story(), Some(Check::Right));
        let events = story.when(id(6), id(6), DeleteUser::default()).accepted();
        let expected = ["user_deleted", "identifier_released", "identifier_released"];
        assert_eq!(names(events), expected, "nobody else has done it");
        let story = story.done(&Actor::User(id(6)), id(6), DeleteUser::default());
        story.when(id(6), id(6), greets()).refused(ErrorCode::Forbidden);
        story.when_actor(&anyone(), id(7), ada()).accepted();
        story.when_actor(&service(), id(6), DeleteUser::default()).refused(ErrorCode::Gone);
        // A name that somebody else has by now is theirs.
        let story = story.done(&anyone(), id(7), ada());
        let story = holding(story, Some(Check::Right));
        story.when(id(6), id(6), DeleteUser::default()).refused(ErrorCode::Forbidden);
    }

    #[test]
    fn its_sessions_end_and_nobody_logs_in() {
        let story = logged_in(town(), 1);
        let story = holding(story, None);
        let events = story.when(id(4), id(1), DeleteUser::default()).accepted();
        assert_eq!(names(events), ["user_deleted", "session_revoked", "admin_action_recorded"]);
        let story = story.done(&service(), id(1), DeleteUser::default());
        for check in [Check::Right, Check::Wrong] {
            let story = logged_in(town(), 1);
            let story = holding(story, None).done(&service(), id(1), DeleteUser::default());
            let no = story.findings(found(2, check)).when_actor(&anyone(), id(1), log_in("d"));
            no.refused(ErrorCode::Unauthenticated);
        }
        story.when(id(1), id(1), greets()).refused(ErrorCode::Forbidden);
    }

    #[test]
    fn its_api_keys_end() {
        let story = holding(with_keys(town(), 600..602), None);
        let events = story.when_actor(&service(), id(1), DeleteUser::default()).accepted();
        let ended = ["api_key_revoked", "api_key_revoked"];
        assert_eq!(names(events)[1..3], ended);
    }

    #[test]
    fn its_identities_elsewhere_are_free_again() {
        let story = has_linked(town(), OauthProvider::Google, 600);
        let story = holding(has_linked(story, OauthProvider::Github, 601), None);
        let events = story.when_actor(&service(), id(1), DeleteUser::default()).accepted();
        let ended = ["oauth_provider_unlinked", "identifier_released"];
        assert_eq!(names(events)[1..5], [ended, ended].concat());
    }

    #[test]
    fn the_last_administrator_stays() {
        let story = holding(town(), Some(Check::Right));
        let events = story.when(id(4), id(5), DeleteUser::default()).accepted();
        let expected = ["user_deleted", "admin_action_recorded", "admin_roster_changed"];
        assert_eq!(names(events), expected);
        let story = story.done(&service(), id(5), DeleteUser::default());
        story.when(id(4), id(4), DeleteUser::default()).refused(ErrorCode::Conflict);
    }

    #[test]
    fn is_refused() {
        let story = holding(story(), None);
        let no = story.when(id(6), id(6), DeleteUser::default()).refused(ErrorCode::Invalid);
        assert_eq!(no.field.as_deref(), Some("password"));
        story.when(id(3), id(6), DeleteUser::default()).refused(ErrorCode::Forbidden);
        story
            .when_actor(&anyone(), id(6), DeleteUser::default())
            .refused(ErrorCode::Unauthenticated);
        story.when(id(4), id(9), DeleteUser::default()).refused(ErrorCode::NotFound);
        for check in [Check::Wrong, Check::NoPassword] {
            let story = holding(self::story(), Some(check));
            let no = story.when(id(6), id(6), DeleteUser::default());
            no.refused(ErrorCode::Unauthenticated);
        }
    }
}
