//! Who may do what: the rules that commands share.

use echolog_events::{AccountStatus, ConversationType, Role, Uuid};

use crate::state::{Conversation, Message, User};
use crate::{Context, Key, Needs, Rejection, World};

/// The acting user, who exists and is active.
///
/// # Errors
/// `unauthenticated` without such a user, `forbidden` if the account may not act.
pub(crate) fn active_user<'w>(
    context: &Context<'_>,
    world: &'w World,
) -> Result<&'w User, Rejection> {
    let user = present_user(context, world)?;
    match user.status_at(context.time) {
        AccountStatus::Pending => {
            Err(Rejection::forbidden("The account waits for a verified contact."))
        }
        AccountStatus::Active
        | AccountStatus::Suspended
        | AccountStatus::Banned
        | AccountStatus::Deleted => Ok(user),
    }
}

/// The acting user, who exists and may act, or could once a contact is verified.
///
/// # Errors
/// `unauthenticated` without such a user, `forbidden` if the account is stopped or gone.
pub(crate) fn present_user<'w>(
    context: &Context<'_>,
    world: &'w World,
) -> Result<&'w User, Rejection> {
    let user = world
        .user(context.user()?)
        .ok_or_else(|| Rejection::unauthenticated("The actor is no registered user."))?;
    match user.status_at(context.time) {
        AccountStatus::Active | AccountStatus::Pending => Ok(user),
        AccountStatus::Suspended => Err(Rejection::forbidden("The account is suspended.")),
        AccountStatus::Banned => Err(Rejection::forbidden("The account is banned.")),
        AccountStatus::Deleted => Err(Rejection::forbidden("The account is deleted.")),
    }
}

/// A user who is there and whose account is not deleted.
///
/// # Errors
/// `not_found`.
pub(crate) fn present(world: &World, user: Uuid) -> Result<&User, Rejection> {
    world
        .user(user)
        .filter(|user| user.status != AccountStatus::Deleted)
        .ok_or_else(|| Rejection::not_found("There is no such user."))
}

/// The acting user as a member of the conversation that the command is about.
pub(crate) struct Member<'w> {
    /// Who acts.
    pub(crate) user: Uuid,
    /// As what.
    pub(crate) role: Role,
    /// Where.
    pub(crate) conversation: &'w Conversation,
}

/// Asks for what [`member`] reads.
pub(crate) fn need_member(context: &Context<'_>, needs: &mut Needs) {
    if let Ok(user) = context.user() {
        needs.want(Key::User(user));
    }
    needs.want(Key::Conversation(context.target));
}

/// The acting user, who is a member of the target.
///
/// # Errors
/// As [`active_user`]; `not_found` without such a conversation, `forbidden` to a stranger.
pub(crate) fn member<'w>(context: &Context<'_>, world: &'w World) -> Result<Member<'w>, Rejection> {
    active_user(context, world)?;
    let user = context.user()?;
    let conversation = world
        .conversation(context.target)
        .ok_or_else(|| Rejection::not_found("There is no such conversation."))?;
    let role = *conversation
        .members
        .get(&user)
        .ok_or_else(|| Rejection::forbidden("You are no member of this conversation."))?;
    Ok(Member { user, role, conversation })
}

impl Member<'_> {
    /// Demands a role.
    ///
    /// # Errors
    /// `forbidden` to anyone less.
    pub(crate) fn at_least(&self, role: Role) -> Result<(), Rejection> {
        if self.role >= role {
            Ok(())
        } else {
            let message = format!("This takes the role `{}` or higher.", role.name());
            Err(Rejection::forbidden(message))
        }
    }

    /// Demands anything but a direct conversation.
    ///
    /// # Errors
    /// `conflict` in a direct one.
    pub(crate) fn not_direct(&self) -> Result<(), Rejection> {
        match self.conversation.conversation_type {
            ConversationType::Direct => Err(Rejection::conflict(
                "A direct conversation has its two members and nothing else.",
            )),
            ConversationType::Group | ConversationType::Channel | ConversationType::Broadcast => {
                Ok(())
            }
        }
    }

    /// Demands that, in a direct conversation, neither blocks the other.
    ///
    /// # Errors
    /// `forbidden` if one does.
    pub(crate) fn not_blocked(&self, world: &World) -> Result<(), Rejection> {
        match self.conversation.counterpart(self.user) {
            Some(other) => neither_blocks(world, self.user, other),
            None => Ok(()),
        }
    }
}

/// Asks for what [`Member::not_blocked`] reads: known once the conversation is.
pub(crate) fn need_blocks(context: &Context<'_>, world: &World, needs: &mut Needs) {
    let Ok(user) = context.user() else { return };
    let counterpart =
        world.conversation(context.target).and_then(|conversation| conversation.counterpart(user));
    if let Some(other) = counterpart {
        needs.want(Key::Block(user));
        needs.want(Key::Block(other));
    }
}

/// Demands that neither of two users blocks the other. The message does not say who does.
///
/// # Errors
/// `forbidden` if one does.
pub(crate) fn neither_blocks(world: &World, one: Uuid, other: Uuid) -> Result<(), Rejection> {
    if world.blocks(one, other) || world.blocks(other, one) {
        Err(Rejection::forbidden("One of the two has blocked the other."))
    } else {
        Ok(())
    }
}

/// A message that is there, deleted or not.
///
/// # Errors
/// `not_found`.
pub(crate) fn any_message(
    world: &World,
    conversation: Uuid,
    id: Uuid,
) -> Result<&Message, Rejection> {
    world
        .message(conversation, id)
        .ok_or_else(|| Rejection::not_found("There is no such message in this conversation."))
}

/// Demands that a message is not deleted.
///
/// # Errors
/// `gone` if it is.
pub(crate) fn not_deleted(message: &Message) -> Result<(), Rejection> {
    if message.is_deleted { Err(Rejection::gone("The message is deleted.")) } else { Ok(()) }
}

/// A message that is there and not deleted.
///
/// # Errors
/// `not_found` or `gone`.
pub(crate) fn live_message(
    world: &World,
    conversation: Uuid,
    id: Uuid,
) -> Result<&Message, Rejection> {
    let message = any_message(world, conversation, id)?;
    not_deleted(message)?;
    Ok(message)
}
