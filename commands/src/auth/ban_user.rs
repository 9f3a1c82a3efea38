use echolog_events::{
    AccountEvent, AccountStatus, AdminAction, RevokedReason, Stream, UserBanned, UserRole,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::{
    account, need_account, need_roster_of_admin, not_own, operator, recorded, roster_changes,
    sessions_end,
};
use crate::doc::{Doc, required};
use crate::fields::Text;
use crate::{Context, Decide, Decision, Needs, Rejection, World};

/// Stops an account for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BanUser {
    /// Why.
    pub reason: Text<1, 255>,
}

impl Decide for BanUser {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Stops an account for good: it can neither act nor log in, and its sessions end. The same again is no error.",
        target: "the user's id",
        fields: &[required("reason", "text, 1 to 255 characters")],
        events: &[
            "user_banned",
            "session_revoked",
            "admin_action_recorded",
            "admin_roster_changed",
        ],
        refused: &[
            ("forbidden", "you are no administrator or service, or the target is you"),
            ("not_found", "there is no such user"),
            ("conflict", "the target is the last administrator"),
            ("gone", "the account is deleted"),
        ],
        example: r#"{"reason":"spam"}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        need_account(context, needs);
        need_roster_of_admin(context, world, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let by = operator(context, world, UserRole::Admin)?;
        not_own(context, by)?;
        match account(context, world)?.status {
            AccountStatus::Banned => return Ok(Vec::new()),
            AccountStatus::Active | AccountStatus::Pending | AccountStatus::Suspended => {}
            AccountStatus::Deleted => return Err(Rejection::gone("The account is deleted.")),
        }
        let roster = roster_changes(context, world, false)?;
        let reason = self.reason.as_str();
        let banned = AccountEvent::UserBanned(UserBanned {
            user_id: context.target,
            reason: reason.to_owned(),
            by_user_id: by,
        });
        let mut events = vec![banned.into()];
        events.extend(sessions_end(context, world, RevokedReason::Admin, by));
        events.push(recorded(context, by, AdminAction::BanUser, Some(reason), json!({})));
        events.extend(roster);
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::super::operators::tests::{greets, names, service, town};
    use super::super::tests::{found, log_in, logged_in};
    use super::super::{Check, ReinstateUser};
    use super::*;
    use crate::story::id;
    use crate::{Actor, ErrorCode};

    fn ban() -> BanUser {
        BanUser { reason: serde_json::from_value(json!("spam")).expect("a reason") }
    }

    #[test]
    fn whoever_is_banned_is_out() {
        let story = logged_in(town(), 1);
        let events = story.when(id(4), id(1), ban()).accepted();
        assert_eq!(names(events), ["user_banned", "session_revoked", "admin_action_recorded"]);
        let story = story.done(&service(), id(1), ban());
        story.when(id(1), id(1), greets()).refused(ErrorCode::Forbidden);
        let anyone = Actor::Anonymous("anon-1".to_owned());
        let with = |check| {
            let story = logged_in(town(), 1).done(&service(), id(1), ban());
            story.findings(found(2, check)).when_actor(&anyone, id(1), log_in("d"))
        };
        with(Check::Wrong).refused(ErrorCode::Unauthenticated);
        with(Check::Right).refused(ErrorCode::Forbidden);
        story.when(id(4), id(1), ban()).then_nothing();
    }

    #[test]
    fn is_refused() {
        let story = town();
        story.when(id(2), id(1), ban()).refused(ErrorCode::Forbidden);
        story.when(id(3), id(1), ban()).refused(ErrorCode::Forbidden);
        story.when(id(4), id(4), ban()).refused(ErrorCode::Forbidden);
        story.when(id(4), id(9), ban()).refused(ErrorCode::NotFound);
    }

    #[test]
    fn somebody_is_left_who_looks_after_everything() {
        let events = town().when(id(4), id(5), ban()).accepted();
        let expected = ["user_banned", "admin_action_recorded", "admin_roster_changed"];
        assert_eq!(names(events), expected);
        let story = town().done(&service(), id(5), ban());
        story.when_actor(&service(), id(4), ban()).refused(ErrorCode::Conflict);
        story.when(id(5), id(4), ban()).refused(ErrorCode::Forbidden);
        // Once that one is back, it is not the last.
        let story = story.done(&service(), id(5), ReinstateUser::default());
        story.when_actor(&service(), id(4), ban()).accepted();
    }
}
