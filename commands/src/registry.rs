//! The list of all commands.

use echolog_events::{Event, PasswordHash, Stream, Uuid};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::audit::RecordSensitiveAccess;
use crate::auth::{
    ApplyRetention, BanUser, BeginTwoFactor, ChangeEmail, ChangePassword, ChangePhone,
    ChangeUserRole, CompletePasswordReset, CreateApiKey, DeleteUser, DisableTwoFactor,
    EnableTwoFactor, ExpireSession, GenerateRecoveryCodes, LinkOauthProvider, LogIn, OauthProof,
    RecordApiKeyUse, RecordSessionActivity, RefreshOauthToken, RefreshSession, RegisterUser,
    ReinstateUser, RequestOtp, RequestPasswordReset, RevokeAllSessions, RevokeApiKey,
    RevokeSession, SuspendUser, UnlinkOauthProvider, UnlockUser, VerifyOtp,
};
use crate::messages::{
    AddMembers, AddReaction, ChangeRole, CreateConversation, DeleteMessage, EditMessage,
    LeaveConversation, MarkDelivered, MarkRead, PinMessage, RemoveDeletedMember, RemoveMember,
    RemoveReaction, SendMessage, UnpinMessage, UpdateConversation,
};
use crate::users::{BlockUser, UnblockUser, UpdateProfile};
use crate::{ContentType, Context, Decide, Decision, Doc, Needs, Rejection, World};

/// Whether a command may carry a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Never.
    Plain,
    /// When one of these fields is there.
    With(&'static [&'static str]),
    /// Always, or its outcome does, or what is found out about it.
    Always,
}

/// One of the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandType {
    /// The domain.
    pub domain: &'static str,
    /// The name inside the domain.
    pub name: &'static str,
    /// Whether it may carry a secret.
    pub secrecy: Secrecy,
    /// What the reference says.
    pub doc: &'static Doc,
}

impl CommandType {
    /// The command of this name.
    #[must_use]
    pub fn find(domain: &str, name: &str) -> Option<Self> {
        COMMANDS.iter().copied().find(|command| command.domain == domain && command.name == name)
    }

    /// Whether a body with these fields carries a secret.
    #[must_use]
    pub fn is_secret_with(self, body: &serde_json::Value) -> bool {
        match self.secrecy {
            Secrecy::Plain => false,
            Secrecy::Always => true,
            Secrecy::With(fields) => fields.iter().any(|field| body.get(field).is_some()),
        }
    }

    /// Whether it may carry a secret at all.
    #[must_use]
    pub fn may_carry_secret(self) -> bool {
        self.secrecy != Secrecy::Plain
    }
}

/// One line per command: `Variant = "domain.name", secrecy`. The variant is the command's type.
macro_rules! registry {
    ($($command:ident = ($domain:literal, $name:literal, $secrecy:expr)),* $(,)?) => {
        /// Any command.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Command {
            $(
                #[doc = concat!("`", $domain, ".", $name, "`")]
                $command($command)
            ),*
        }

        /// Every command.
        pub const COMMANDS: &[CommandType] = &[$(
            CommandType { domain: $domain, name: $name, secrecy: $secrecy, doc: &$command::DOC }
        ),*];

        impl Command {
            /// Reads and checks a body.
            ///
            /// # Errors
            /// `invalid` or `too_large`, with the field.
            pub fn decode(
                command: CommandType,
                encoding: ContentType,
                body: &[u8],
            ) -> Result<Self, Rejection> {
                match (command.domain, command.name) {
                    $(($domain, $name) => encoding.decode(body).map(Self::$command),)*
                    _ => Err(Rejection::invalid("command", "There is no such command.")),
                }
            }

            /// Its body in MessagePack, without any secret.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self { $(Self::$command(command) => encode(command)),* }
            }

            /// Which command it is.
            #[must_use]
            pub fn command_type(&self) -> CommandType {
                match self {
                    $(Self::$command(_) => CommandType {
                        domain: $domain, name: $name, secrecy: $secrecy, doc: &$command::DOC,
                    }),*
                }
            }

            /// The stream of the target that its first event belongs to.
            #[must_use]
            pub fn stream(&self) -> Stream {
                match self { $(Self::$command(_) => $command::STREAM),* }
            }

            /// Asks for the states that its decision reads and changes.
            pub fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
                match self { $(Self::$command(command) => command.needs(context, world, needs)),* }
            }

            /// What its outcome says besides the names of its events.
            #[must_use]
            pub fn data(&self, events: &[&Event]) -> Option<serde_json::Value> {
                match self { $(Self::$command(command) => command.data(events)),* }
            }

            /// Decides it.
            ///
            /// # Errors
            /// What the rules say no to.
            pub fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
                match self { $(Self::$command(command) => command.decide(context, world)),* }
            }
        }

        $(
            impl From<$command> for Command {
                fn from(command: $command) -> Self {
                    Self::$command(command)
                }
            }
        )*
    };
}

registry! {
    RegisterUser = ("auth", "register_user", Secrecy::With(&["password", "password_hash", "email_proof", "phone_proof", "oauth"])),
    LogIn = ("auth", "log_in", Secrecy::Always),
    RefreshSession = ("auth", "refresh_session", Secrecy::Always),
    RevokeSession = ("auth", "revoke_session", Secrecy::Plain),
    RevokeAllSessions = ("auth", "revoke_all_sessions", Secrecy::Plain),
    UnlockUser = ("auth", "unlock_user", Secrecy::Plain),
    RecordSessionActivity = ("auth", "record_session_activity", Secrecy::Plain),
    ExpireSession = ("auth", "expire_session", Secrecy::Plain),
    ApplyRetention = ("auth", "apply_retention", Secrecy::Plain),
    SuspendUser = ("auth", "suspend_user", Secrecy::Plain),
    BanUser = ("auth", "ban_user", Secrecy::Plain),
    ReinstateUser = ("auth", "reinstate_user", Secrecy::Plain),
    ChangeUserRole = ("auth", "change_user_role", Secrecy::Plain),
    DeleteUser = ("auth", "delete_user", Secrecy::Always),
    RecordSensitiveAccess = ("audit", "record_sensitive_access", Secrecy::Plain),
    BeginTwoFactor = ("auth", "begin_two_factor", Secrecy::Always),
    EnableTwoFactor = ("auth", "enable_two_factor", Secrecy::Always),
    DisableTwoFactor = ("auth", "disable_two_factor", Secrecy::Always),
    GenerateRecoveryCodes = ("auth", "generate_recovery_codes", Secrecy::Always),
    ChangePassword = ("auth", "change_password", Secrecy::Always),
    ChangeEmail = ("auth", "change_email", Secrecy::Always),
    ChangePhone = ("auth", "change_phone", Secrecy::Always),
    RequestOtp = ("auth", "request_otp", Secrecy::Always),
    VerifyOtp = ("auth", "verify_otp", Secrecy::Always),
    CreateApiKey = ("auth", "create_api_key", Secrecy::Always),
    RecordApiKeyUse = ("auth", "record_api_key_use", Secrecy::Plain),
    RevokeApiKey = ("auth", "revoke_api_key", Secrecy::Plain),
    LinkOauthProvider = ("auth", "link_oauth_provider", Secrecy::Always),
    UnlinkOauthProvider = ("auth", "unlink_oauth_provider", Secrecy::Plain),
    RefreshOauthToken = ("auth", "refresh_oauth_token", Secrecy::Always),
    RequestPasswordReset = ("auth", "request_password_reset", Secrecy::Always),
    CompletePasswordReset = ("auth", "complete_password_reset", Secrecy::Always),
    UpdateProfile = ("users", "update_profile", Secrecy::Plain),
    BlockUser = ("users", "block_user", Secrecy::Plain),
    UnblockUser = ("users", "unblock_user", Secrecy::Plain),
    CreateConversation = ("messages", "create_conversation", Secrecy::Plain),
    UpdateConversation = ("messages", "update_conversation", Secrecy::Plain),
    AddMembers = ("messages", "add_members", Secrecy::Plain),
    RemoveDeletedMember = ("messages", "remove_deleted_member", Secrecy::Plain),
    RemoveMember = ("messages", "remove_member", Secrecy::Plain),
    LeaveConversation = ("messages", "leave_conversation", Secrecy::Plain),
    ChangeRole = ("messages", "change_role", Secrecy::Plain),
    SendMessage = ("messages", "send_message", Secrecy::Plain),
    EditMessage = ("messages", "edit_message", Secrecy::Plain),
    DeleteMessage = ("messages", "delete_message", Secrecy::Plain),
    AddReaction = ("messages", "add_reaction", Secrecy::Plain),
    RemoveReaction = ("messages", "remove_reaction", Secrecy::Plain),
    PinMessage = ("messages", "pin_message", Secrecy::Plain),
    UnpinMessage = ("messages", "unpin_message", Secrecy::Plain),
    MarkDelivered = ("messages", "mark_delivered", Secrecy::Plain),
    MarkRead = ("messages", "mark_read", Secrecy::Plain),
}

impl Command {
    /// A fingerprint of its content, the same for both encodings and without any secret: what
    /// tells a retry from another command under the same id.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let CommandType { domain, name, .. } = self.command_type();
        let mut hash = Sha256::new();
        for part in [domain.as_bytes(), b".", name.as_bytes(), b"\0", &self.encode()] {
            hash.update(part);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hash.finalize()[..8]);
        u64::from_be_bytes(first)
    }

    /// The id of the message that it makes.
    #[must_use]
    pub fn new_message(&self) -> Option<Uuid> {
        if let Self::SendMessage(command) = self { Some(command.message_id.get()) } else { None }
    }

    /// Whether it carries a secret now.
    #[must_use]
    pub fn carries_secret(&self) -> bool {
        if let Self::RegisterUser(command) = self {
            command.password.is_some()
                || command.imported_hash.is_some()
                || command.email_proof.is_some()
                || command.phone_proof.is_some()
                || command.oauth.as_ref().is_some_and(OauthProof::carries_secret)
        } else {
            self.command_type().secrecy == Secrecy::Always
        }
    }

    /// Whether another provider has to be asked about somebody.
    #[must_use]
    pub fn asks_provider(&self) -> bool {
        if let Self::RegisterUser(command) = self {
            command.oauth.is_some()
        } else if let Self::LogIn(command) = self {
            command.oauth.is_some()
        } else {
            matches!(self, Self::LinkOauthProvider(_) | Self::RefreshOauthToken(_))
        }
    }

    /// Whether it names somebody by what strangers may know as well: an address, a number, a user name.
    #[must_use]
    pub fn names_somebody(&self) -> bool {
        matches!(
            self,
            Self::LogIn(_)
                | Self::RequestOtp(_)
                | Self::VerifyOtp(_)
                | Self::RequestPasswordReset(_)
                | Self::CompletePasswordReset(_)
        )
    }

    /// Puts in what a password was hashed to.
    pub fn set_password_hash(&mut self, hash: String) {
        if let Self::RegisterUser(command) = self {
            command.password_hash = Some(PasswordHash::new(hash));
        }
    }
}

/// Without the fields that were left out: a field that is added later must not change what a
/// command without it looks like, since its digest is in the log.
fn encode<T: Serialize>(command: &T) -> Vec<u8> {
    let mut body = serde_json::to_value(command).expect("a command has nothing that JSON lacks");
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    ContentType::MessagePack.encode(&body)
}
