//! What the commands of those have in common who have a say over the accounts of others.

use echolog_events::{
    AccountStatus, AdminAction, AdminActionRecorded, AdminRosterChanged, ApiKeyRevoked, AuditEvent,
    AuthEvent, CredentialEvent, Event, JsonMap, RevokedReason, UserRole, Uuid,
};
use serde_json::Value;

use super::{Authority, ends, oauth};
use crate::state::{Roster, User};
use crate::{Actor, Context, Key, Needs, NewEvent, Rejection, World, access};

/// Asks for what [`operator`] and [`account`] read, and for the sessions of the account.
pub(super) fn need_account(context: &Context<'_>, needs: &mut Needs) {
    if let Ok(user) = context.user() {
        needs.want(Key::User(user));
    }
    needs.want(Key::User(context.target));
    needs.want(Key::Sessions(context.target));
}

/// How many administrators there are at most: each change of them names them all.
const MAX_ADMINS: usize = 1_000;

/// Demands somebody of this role at least, or a service: `None`.
pub(super) fn operator(
    context: &Context<'_>,
    world: &World,
    least: UserRole,
) -> Result<Option<Uuid>, Rejection> {
    if matches!(context.actor, Actor::Service(_)) {
        return Ok(None);
    }
    let role = access::active_user(context, world)?.role;
    if role < least {
        return Err(Rejection::forbidden("This is for those who look after others' accounts."));
    }
    context.user().map(Some)
}

/// Demands that the account is another's.
pub(super) fn not_own(context: &Context<'_>, by: Option<Uuid>) -> Result<(), Rejection> {
    if by == Some(context.target) {
        return Err(Rejection::forbidden("This takes somebody else: it is your own account."));
    }
    Ok(())
}

/// Asks for who the administrators are, where the account is one of them.
pub(super) fn need_roster_of_admin(context: &Context<'_>, world: &World, needs: &mut Needs) {
    if world.user(context.target).is_some_and(|user| user.role == UserRole::Admin) {
        needs.want(Key::Roster);
    }
}

/// Whether the account is among those administrators who may act from now on; nothing if it was so
/// before. Somebody always is.
pub(super) fn roster_changes(
    context: &Context<'_>,
    world: &World,
    is_admin: bool,
) -> Result<Option<NewEvent>, Rejection> {
    let Roster { mut admins, seq } = world.roster();
    let user = context.target;
    let account = world.user(user).filter(|account| account.role == UserRole::Admin);
    if !is_admin && account.is_none() {
        return Ok(None);
    }
    // Another process may have ended the actor's role just now.
    if context.user().is_ok_and(|by| !admins.contains(&by)) {
        return Err(Rejection::forbidden("This is for those who look after others' accounts."));
    }
    let may_act = account.is_some_and(|account| account.status == AccountStatus::Active);
    if may_act && !admins.contains(&user) {
        return Err(Rejection::unavailable("Who the administrators are cannot be told now."));
    }
    let changes = if is_admin { admins.insert(user) } else { admins.remove(&user) };
    if !changes {
        return Ok(None);
    }
    if admins.is_empty() {
        return Err(Rejection::conflict("This is the last administrator: make another one first."));
    }
    if admins.len() > MAX_ADMINS {
        return Err(Rejection::conflict("There are as many administrators as there may be."));
    }
    let changed = AdminRosterChanged { admins: admins.into_iter().collect() };
    Ok(Some(NewEvent {
        key: AdminRosterChanged::stream(),
        event: Event::Auth(AuthEvent::AdminRosterChanged(changed)),
        expected: Some(seq),
    }))
}

/// The account that a command is about.
pub(super) fn account<'w>(context: &Context<'_>, world: &'w World) -> Result<&'w User, Rejection> {
    world.user(context.target).ok_or_else(|| Rejection::not_found("There is no user with this id."))
}

/// All sessions of the account end.
pub(super) fn sessions_end(
    context: &Context<'_>,
    world: &World,
    reason: RevokedReason,
    by: Option<Uuid>,
) -> impl Iterator<Item = NewEvent> {
    let open = world.sessions(context.target).open.keys();
    open.map(move |session| ends(context.target, *session, reason, by).into())
}

/// All API keys end.
pub(super) fn keys_end(
    context: &Context<'_>,
    world: &World,
    by_user_id: Option<Uuid>,
) -> impl Iterator<Item = NewEvent> {
    let user_id = context.target;
    let open = world.credentials(user_id).api_keys.open.keys();
    open.map(move |id| ApiKeyRevoked { user_id, api_key_id: *id, by_user_id })
        .map(|revoked| CredentialEvent::ApiKeyRevoked(revoked).into())
}

/// Identities at providers speak for the account no more.
pub(super) fn links_end(
    context: &Context<'_>,
    world: &World,
    by: Option<Uuid>,
) -> impl Iterator<Item = NewEvent> {
    let links = world.credentials(context.target).oauth.of.iter();
    links.flat_map(move |(provider, link)| oauth::unlinks(context, world, (*provider, link), by))
}

/// What the audit remembers of it.
pub(super) fn recorded(
    context: &Context<'_>,
    by: Option<Uuid>,
    action: AdminAction,
    reason: Option<&str>,
    details: Value,
) -> NewEvent {
    let details = match details {
        Value::Object(details) => details,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            JsonMap::new()
        }
    };
    let recorded = AdminActionRecorded {
        user_id: context.target,
        admin_user_id: by,
        action,
        details,
        reason: reason.map(str::to_owned),
        ip_address: context.findings.origin.ip_address,
    };
    AuditEvent::AdminActionRecorded(recorded).into()
}

/// What the audit remembers of something that everybody may do about their own account, where it was
/// another's. What workers do is nobody's doing.
pub(super) fn recorded_if_anothers(
    context: &Context<'_>,
    authority: &Authority,
    action: AdminAction,
    reason: Option<&str>,
    details: Value,
) -> Option<NewEvent> {
    let by = match (authority, context.actor) {
        (Authority::Own, _) => return None,
        (_, Actor::Service(name)) if name == Actor::WORKER => return None,
        (Authority::Admin(id), _) => Some(*id),
        (Authority::Service, _) => None,
    };
    Some(recorded(context, by, action, reason, details))
}

/// Who is there in the stories about operators.
#[cfg(test)]
pub(super) mod tests {
    use super::super::ChangeUserRole;
    use super::*;
    use crate::story::{Story, id};
    use crate::users::UpdateProfile;

    /// Somebody gets a role.
    pub(in super::super) fn promoted(story: Story, user: Uuid, role: UserRole) -> Story {
        story.done(&service(), user, ChangeUserRole { role, reason: None })
    }

    /// Users 1 and 2, a moderator 3, administrators 4 and 5.
    pub(in super::super) fn town() -> Story {
        let story = Story::new().users((1..=5).map(id));
        let story = promoted(story, id(3), UserRole::Moderator);
        let story = promoted(story, id(4), UserRole::Admin);
        promoted(story, id(5), UserRole::Admin)
    }

    pub(in super::super) fn service() -> Actor {
        Actor::Service("svc-operator".to_owned())
    }

    /// Something that only those do who may act.
    pub(in super::super) fn greets() -> UpdateProfile {
        serde_json::from_value(serde_json::json!({ "bio": "hello" })).expect("a good body")
    }

    pub(in super::super) fn names(events: Vec<NewEvent>) -> Vec<&'static str> {
        events.iter().map(|new| new.event.event_type().short()).collect()
    }
}
