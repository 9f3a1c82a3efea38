//! Commands about conversations and messages.

mod add_members;
mod add_reaction;
mod change_role;
mod create_conversation;
mod delete_message;
mod edit_message;
mod leave_conversation;
mod mark_delivered;
mod mark_read;
mod metadata;
mod pin_message;
mod remove_deleted_member;
mod remove_member;
mod remove_reaction;
mod send_message;
mod unpin_message;
mod update_conversation;

#[cfg(test)]
mod given;

pub use add_members::AddMembers;
pub use add_reaction::AddReaction;
pub use change_role::ChangeRole;
pub use create_conversation::CreateConversation;
pub use delete_message::DeleteMessage;
pub use edit_message::EditMessage;
pub use leave_conversation::LeaveConversation;
pub use mark_delivered::MarkDelivered;
pub use mark_read::MarkRead;
pub use metadata::{Kind, MESSAGE_TYPES, MessageRule};
pub use pin_message::PinMessage;
pub use remove_deleted_member::RemoveDeletedMember;
pub use remove_member::RemoveMember;
pub use remove_reaction::RemoveReaction;
pub use send_message::SendMessage;
pub use unpin_message::UnpinMessage;
pub use update_conversation::UpdateConversation;
