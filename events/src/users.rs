//! Events of profiles and of blocking.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What happens to profiles and between users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum UsersEvent {
    /// A profile changed. Stream `user`.
    ProfileUpdated(ProfileUpdated),
    /// A user blocked another. Stream `block` of the one who blocks.
    UserBlocked(UserBlocked),
    /// A user unblocked another. Stream `block` of the one who blocked.
    UserUnblocked(UserUnblocked),
}

/// The fields of a profile that changed; `None` is unchanged, an empty text clears the field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileUpdated {
    /// Whose profile.
    pub user_id: Uuid,
    /// What others see; never empty.
    pub display_name: Option<String>,
    /// The name in full.
    pub full_name: Option<String>,
    /// A few words.
    pub bio: Option<String>,
    /// An http(s) address.
    pub avatar_url: Option<String>,
    /// Who sees the profile.
    pub profile_visibility: Option<ProfileVisibility>,
    /// A BCP 47 tag.
    pub language_code: Option<String>,
    /// An IANA name.
    pub timezone: Option<String>,
}

/// A user blocked another: nothing passes between the two in direct conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserBlocked {
    /// Who blocks.
    pub user_id: Uuid,
    /// Who is blocked.
    pub blocked_user_id: Uuid,
    /// Why, in the blocker's words.
    pub reason: Option<String>,
}

/// A user unblocked another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserUnblocked {
    /// Who had blocked.
    pub user_id: Uuid,
    /// Who is free again.
    pub blocked_user_id: Uuid,
}

/// Who sees a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileVisibility {
    /// Everyone.
    #[default]
    Public,
    /// Contacts.
    Friends,
    /// Nobody else.
    Private,
}
