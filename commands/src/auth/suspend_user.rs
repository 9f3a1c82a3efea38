use echolog_events::{
    AccountEvent, AccountStatus, AdminAction, RevokedReason, Stream, UserRole, UserSuspended,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::{account, need_account, not_own, operator, recorded, sessions_end};
use crate::doc::{Doc, optional, required};
use crate::fields::{Moment, Text};
use crate::{Context, Decide, Decision, Needs, Rejection, World};

/// Stops an account for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspendUser {
    /// Why.
    pub reason: Text<1, 255>,
    /// Until when.
    pub until: Option<Moment>,
}

impl Decide for SuspendUser {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Stops an account for a time: it can neither act nor log in, and its sessions end. The same again is no error; another `until` takes the place of the one before.",
        target: "the user's id",
        fields: &[
            required("reason", "text, 1 to 255 characters"),
            optional(
                "until",
                "time, RFC 3339, in the future; left out: until somebody reinstates the account",
            ),
        ],
        events: &["user_suspended", "session_revoked", "admin_action_recorded"],
        refused: &[
            (
                "forbidden",
                "you are no moderator, administrator or service, the target is you, or an administrator",
            ),
            ("not_found", "there is no such user"),
            ("conflict", "the account is banned"),
            ("gone", "the account is deleted"),
        ],
        example: r#"{"reason":"spam","until":"2036-01-31T12:00:00Z"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_account(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let by = operator(context, world, UserRole::Moderator)?;
        not_own(context, by)?;
        let user = account(context, world)?;
        let until = self.until.map(Moment::get);
        if until.is_some_and(|until| until <= context.time) {
            return Err(Rejection::invalid("until", "This time has passed."));
        }
        match user.status_at(context.time) {
            AccountStatus::Suspended if user.suspended_until == until => return Ok(Vec::new()),
            AccountStatus::Active | AccountStatus::Pending | AccountStatus::Suspended => {}
            AccountStatus::Banned => return Err(Rejection::conflict("The account is banned.")),
            AccountStatus::Deleted => return Err(Rejection::gone("The account is deleted.")),
        }
        let end =
            |until: Option<echolog_events::Time>| until.unwrap_or(echolog_events::Time::MAX_UTC);
        let is_shorter = user.status_at(context.time) == AccountStatus::Suspended
            && end(until) < end(user.suspended_until);
        if is_shorter {
            operator(context, world, UserRole::Admin)?;
        }
        if user.role == UserRole::Admin {
            return Err(Rejection::forbidden("An administrator cannot be suspended."));
        }
        let reason = self.reason.as_str();
        let suspended = AccountEvent::UserSuspended(UserSuspended {
            user_id: context.target,
            reason: reason.to_owned(),
            until,
            by_user_id: by,
        });
        let mut events = vec![suspended.into()];
        events.extend(sessions_end(context, world, RevokedReason::Admin, by));
        let details = json!({ "until": until });
        let action = AdminAction::SuspendUser;
        events.push(recorded(context, by, action, Some(reason), details));
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use echolog_events::Time;

    use super::super::BanUser;
    use super::super::operators::tests::{greets, names, service, town};
    use super::super::tests::logged_in;
    use super::*;
    use crate::story::id;
    use crate::{Actor, ErrorCode};

    fn suspend(until: Option<i64>) -> SuspendUser {
        let until = until.map(|seconds| Time::default() + TimeDelta::seconds(seconds));
        let reason = serde_json::from_value(json!("spam")).expect("a reason");
        SuspendUser { reason, until: until.map(Moment::from) }
    }

    #[test]
    fn whoever_is_suspended_has_no_session() {
        let story = logged_in(logged_in(town(), 1), 2);
        for actor in [Actor::User(id(3)), Actor::User(id(4)), service()] {
            let events = story.when_actor(&actor, id(1), suspend(Some(60))).accepted();
            let expected =
                ["user_suspended", "session_revoked", "session_revoked", "admin_action_recorded"];
            assert_eq!(names(events), expected, "by {actor}");
        }
    }

    #[test]
    fn it_is_over_when_its_time_has_passed() {
        let story = town().done(&service(), id(1), suspend(Some(60)));
        let act = greets();
        story.when(id(1), id(1), act.clone()).refused(ErrorCode::Forbidden);
        let story = story.at(Time::default() + TimeDelta::seconds(60));
        story.when(id(1), id(1), act).accepted();
        // It can be done again.
        let events = story.when_actor(&service(), id(1), suspend(Some(90))).accepted();
        assert_eq!(names(events), ["user_suspended", "admin_action_recorded"]);
    }

    #[test]
    fn the_same_again_changes_nothing() {
        let story = town().done(&service(), id(1), suspend(None));
        story.when(id(3), id(1), suspend(None)).then_nothing();
        // Less than that takes more than a moderator.
        story.when(id(3), id(1), suspend(Some(60))).refused(ErrorCode::Forbidden);
        story.when(id(4), id(1), suspend(Some(60))).accepted();
        let story = town().done(&service(), id(1), suspend(Some(60)));
        story.when(id(3), id(1), suspend(Some(120))).accepted();
        story.when(id(3), id(1), suspend(Some(30))).refused(ErrorCode::Forbidden);
    }

    #[test]
    fn is_refused() {
        let story = town();
        story.when(id(2), id(1), suspend(None)).refused(ErrorCode::Forbidden);
        story.when(id(3), id(3), suspend(None)).refused(ErrorCode::Forbidden);
        story.when(id(3), id(4), suspend(None)).refused(ErrorCode::Forbidden);
        story.when_actor(&service(), id(4), suspend(None)).refused(ErrorCode::Forbidden);
        story.when(id(3), id(9), suspend(None)).refused(ErrorCode::NotFound);
        let past = story.when(id(3), id(1), suspend(Some(0))).refused(ErrorCode::Invalid);
        assert_eq!(past.field.as_deref(), Some("until"));
        let anyone = Actor::Anonymous("anon-1".to_owned());
        story.when_actor(&anyone, id(1), suspend(None)).refused(ErrorCode::Unauthenticated);
        let ban = BanUser { reason: suspend(None).reason };
        let story = story.done(&service(), id(1), ban);
        story.when(id(3), id(1), suspend(None)).refused(ErrorCode::Conflict);
    }
}
