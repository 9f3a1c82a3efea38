use echolog_events::{AccountEvent, AccountStatus, AdminAction, Stream, UserRole, UserRoleChanged};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::{account, need_account, operator, recorded, roster_changes};
use crate::doc::{Doc, optional, required};
use crate::fields::Text;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Gives an account another role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeUserRole {
    /// Which.
    pub role: UserRole,
    /// Why.
    pub reason: Option<Text<1, 255>>,
}

impl Decide for ChangeUserRole {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Gives an account another role. Its sessions stay. There is always an administrator once there was one; the first is made by a service.",
        target: "the user's id",
        fields: &[
            required("role", "`user`, `creator`, `moderator` or `admin`"),
            optional("reason", "text, 1 to 255 characters"),
        ],
        events: &["user_role_changed", "admin_action_recorded", "admin_roster_changed"],
        refused: &[
            ("forbidden", "you are no administrator or service"),
            ("not_found", "there is no such user"),
            (
                "conflict",
                "the target is the last administrator, is banned, or is to be one and may not act",
            ),
            ("gone", "the account is deleted"),
        ],
        example: r#"{"role":"moderator","reason":"elected"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_account(context, needs);
        needs.want(Key::Roster);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let by = operator(context, world, UserRole::Admin)?;
        let user = account(context, world)?;
        match user.status {
            AccountStatus::Deleted => return Err(Rejection::gone("The account is deleted.")),
            AccountStatus::Banned => return Err(Rejection::conflict("The account is banned.")),
            AccountStatus::Suspended | AccountStatus::Pending if self.role == UserRole::Admin => {
                return Err(Rejection::conflict("An administrator's account is an active one."));
            }
            AccountStatus::Active | AccountStatus::Pending | AccountStatus::Suspended => {}
        }
        if user.role == self.role {
            return Ok(Vec::new());
        }
        let roster = roster_changes(context, world, self.role == UserRole::Admin)?;
        let changed = UserRoleChanged {
            user_id: context.target,
            old_role: user.role,
            new_role: self.role,
            by_user_id: by,
        };
        let reason = self.reason.as_ref().map(Text::as_str);
        let details = json!({ "old_role": user.role, "new_role": self.role });
        let mut events = vec![
            AccountEvent::UserRoleChanged(changed).into(),
            recorded(context, by, AdminAction::ChangeUserRole, reason, details),
        ];
        events.extend(roster);
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{AdminRosterChanged, AuthEvent, Event};

    use super::super::operators::tests::{names, promoted, service, town};
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn to(role: UserRole) -> ChangeUserRole {
        ChangeUserRole { role, reason: None }
    }

    #[test]
    fn the_first_administrator_is_made_by_a_service() {
        let story = Story::new().users([id(1), id(2)]);
        story.when(id(1), id(1), to(UserRole::Admin)).refused(ErrorCode::Forbidden);
        let events = story.when_actor(&service(), id(1), to(UserRole::Admin)).accepted();
        assert_eq!(events[2].expected, Some(0));
        let admins = vec![id(1)];
        let roster = AuthEvent::AdminRosterChanged(AdminRosterChanged { admins });
        assert_eq!(events[2].event, Event::Auth(roster));
        let story = promoted(story, id(1), UserRole::Admin);
        let events = story.when(id(1), id(2), to(UserRole::Admin)).accepted();
        assert_eq!(events[2].expected, Some(5), "behind the last one");
    }

    #[test]
    fn the_last_administrator_stays_one() {
        let story = promoted(town(), id(4), UserRole::User);
        for actor in [service(), Actor::User(id(5))] {
            let no = story.when_actor(&actor, id(5), to(UserRole::Moderator));
            no.refused(ErrorCode::Conflict);
        }
        let story = promoted(story, id(1), UserRole::Admin);
        let events = story.when(id(5), id(5), to(UserRole::Moderator)).accepted();
        let expected = ["user_role_changed", "admin_action_recorded", "admin_roster_changed"];
        assert_eq!(names(events), expected, "one may step down");
    }

    #[test]
    fn other_roles_leave_the_roster_alone() {
        let events = town().when(id(4), id(1), to(UserRole::Creator)).accepted();
        assert_eq!(names(events), ["user_role_changed", "admin_action_recorded"]);
        town().when(id(4), id(3), to(UserRole::Moderator)).then_nothing();
    }

    #[test]
    fn is_refused() {
        let story = town();
        story.when(id(3), id(1), to(UserRole::Creator)).refused(ErrorCode::Forbidden);
        story.when(id(4), id(9), to(UserRole::Creator)).refused(ErrorCode::NotFound);
        let reason: Text<1, 255> = serde_json::from_value(json!("spam")).expect("a reason");
        let suspend = super::super::SuspendUser { reason: reason.clone(), until: None };
        let suspended = town().done(&service(), id(1), suspend);
        suspended.when(id(4), id(1), to(UserRole::Admin)).refused(ErrorCode::Conflict);
        suspended.when(id(4), id(1), to(UserRole::Creator)).accepted();
        let banned = story.done(&service(), id(1), super::super::BanUser { reason });
        banned.when(id(4), id(1), to(UserRole::Creator)).refused(ErrorCode::Conflict);
    }
}
