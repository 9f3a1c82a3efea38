use echolog_events::{AccountEvent, AccountStatus, AdminAction, Stream, UserReinstated, UserRole};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::{
    account, need_account, need_roster_of_admin, not_own, operator, recorded, roster_changes,
};
use crate::doc::{Doc, optional};
use crate::fields::Text;
use crate::{Context, Decide, Decision, Needs, Rejection, World};

/// Lets an account act again that was stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReinstateUser {
    /// Why.
    pub reason: Option<Text<1, 255>>,
    /// Only if this is over by itself.
    pub if_over: Option<bool>,
}

impl Decide for ReinstateUser {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Lets an account act again that is suspended or banned. Sessions that ended stay so.",
        target: "the user's id",
        fields: &[
            optional("reason", "text, 1 to 255 characters"),
            optional(
                "if_over",
                "boolean; `true`: only a suspension whose time has passed, and otherwise nothing: so tables follow what time has decided",
            ),
        ],
        events: &["user_reinstated", "admin_action_recorded", "admin_roster_changed"],
        refused: &[
            ("forbidden", "you are no administrator or service, or the target is you"),
            ("not_found", "there is no such user"),
            ("conflict", "the account is neither suspended nor banned"),
            ("gone", "the account is deleted"),
        ],
        example: r#"{"reason":"a mistake","if_over":false}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        need_account(context, needs);
        need_roster_of_admin(context, world, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let by = operator(context, world, UserRole::Admin)?;
        not_own(context, by)?;
        let user = account(context, world)?;
        let only_if_over = self.if_over == Some(true);
        let is_over = user.status != user.status_at(context.time);
        match user.status {
            _ if only_if_over && !is_over => return Ok(Vec::new()),
            AccountStatus::Suspended | AccountStatus::Banned => {}
            AccountStatus::Active | AccountStatus::Pending => {
                return Err(Rejection::conflict("The account is neither suspended nor banned."));
            }
            AccountStatus::Deleted => return Err(Rejection::gone("The account is deleted.")),
        }
        let reinstated = UserReinstated {
            user_id: context.target,
            status: user.status_before(),
            by_user_id: by.filter(|_| !only_if_over),
        };
        let mut events = vec![AccountEvent::UserReinstated(reinstated).into()];
        // What time does is nobody's doing.
        if !only_if_over {
            let reason = self.reason.as_ref().map(Text::as_str);
            events.push(recorded(context, by, AdminAction::ReinstateUser, reason, json!({})));
        }
        if user.role == UserRole::Admin {
            events.extend(roster_changes(context, world, true)?);
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use echolog_events::{AuthEvent, Event, StreamKey, Time};

    use super::super::operators::tests::{greets, names, service, town};
    use super::super::{BanUser, SuspendUser, registered_for_tests};
    use super::*;
    use crate::ErrorCode;
    use crate::fields::Moment;
    use crate::story::{Story, id};

    fn reason() -> Text<1, 255> {
        serde_json::from_value(json!("spam")).expect("a reason")
    }

    fn suspended(story: Story, seconds: i64) -> Story {
        let until = Moment::from(Time::default() + TimeDelta::seconds(seconds));
        story.done(&service(), id(1), SuspendUser { reason: reason(), until: Some(until) })
    }

    #[test]
    fn whoever_is_reinstated_may_act() {
        let banned = town().done(&service(), id(1), BanUser { reason: reason() });
        for story in [suspended(town(), 60), banned] {
            let events = story.when(id(4), id(1), ReinstateUser::default()).accepted();
            assert_eq!(names(events), ["user_reinstated", "admin_action_recorded"]);
            let story = story.done(&service(), id(1), ReinstateUser::default());
            story.when(id(1), id(1), greets()).accepted();
            story.when(id(4), id(1), ReinstateUser::default()).refused(ErrorCode::Conflict);
        }
    }

    #[test]
    fn nobody_has_a_contact_verified_by_being_suspended() {
        let mut event = registered_for_tests(id(6));
        if let Event::Auth(AuthEvent::UserRegistered(e)) = &mut event {
            e.account_status = AccountStatus::Pending;
        }
        let story = town().event(StreamKey::of(Stream::User, id(6)), event);
        let until = Moment::from(Time::default() + TimeDelta::seconds(60));
        let suspend = SuspendUser { reason: reason(), until: Some(until) };
        let story = story.done(&service(), id(6), suspend);
        let story = story.done(&service(), id(6), BanUser { reason: reason() });
        let events = story.when(id(4), id(6), ReinstateUser::default()).accepted();
        let Event::Accounts(AccountEvent::UserReinstated(e)) = &events[0].event else {
            panic!("it is reinstated first");
        };
        assert_eq!(e.status, AccountStatus::Pending);
    }

    #[test]
    fn what_time_decides_is_followed_and_no_more() {
        let if_over = ReinstateUser { if_over: Some(true), ..ReinstateUser::default() };
        let story = suspended(town(), 60);
        story.when_actor(&service(), id(1), if_over.clone()).then_nothing();
        let story = story.at(Time::default() + TimeDelta::seconds(60));
        let events = story.when_actor(&service(), id(1), if_over.clone()).accepted();
        assert_eq!(names(events), ["user_reinstated"]);
        let story = story.done(&service(), id(1), if_over.clone());
        story.when_actor(&service(), id(1), if_over).then_nothing();
    }

    #[test]
    fn is_refused() {
        let story = suspended(town(), 60);
        for user in [1, 2, 3] {
            story.when(id(user), id(1), ReinstateUser::default()).refused(ErrorCode::Forbidden);
        }
        story.when(id(4), id(9), ReinstateUser::default()).refused(ErrorCode::NotFound);
        story.when(id(4), id(2), ReinstateUser::default()).refused(ErrorCode::Conflict);
    }
}
