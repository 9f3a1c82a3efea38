use echolog_events::{
    AccountStatus, AuthEvent, Event, ProfileUpdated, ProfileVisibility, UserRegistered, UserRole,
    UsersEvent,
};
use serde::{Deserialize, Serialize};

/// What decisions remember of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Whether the user may act.
    pub status: AccountStatus,
    /// What the user may do.
    pub role: UserRole,
    /// The profile, to tell a change from none.
    pub profile: Profile,
}

/// The fields of a profile that a user may change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// What others see.
    pub display_name: String,
    /// The name in full.
    pub full_name: String,
    /// A few words.
    pub bio: String,
    /// An http(s) address.
    pub avatar_url: String,
    /// Who sees the profile.
    pub profile_visibility: ProfileVisibility,
    /// A BCP 47 tag.
    pub language_code: String,
    /// An IANA name.
    pub timezone: String,
}

impl User {
    pub(super) fn evolve(user: &mut Option<Self>, event: &Event) {
        if let Event::Auth(AuthEvent::UserRegistered(e)) = event {
            *user = Some(Self::registered(e));
        } else if let (Some(user), Event::Users(UsersEvent::ProfileUpdated(e))) = (user, event) {
            user.update(e);
        }
    }

    fn registered(event: &UserRegistered) -> Self {
        Self {
            status: event.account_status,
            role: event.role,
            profile: Profile {
                display_name: event.display_name.clone(),
                full_name: String::new(),
                bio: String::new(),
                avatar_url: String::new(),
                profile_visibility: ProfileVisibility::default(),
                language_code: "en".to_owned(),
                timezone: "UTC".to_owned(),
            },
        }
    }

    fn update(&mut self, event: &ProfileUpdated) {
        fn set<T: Clone>(field: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        let profile = &mut self.profile;
        set(&mut profile.display_name, event.display_name.as_ref());
        set(&mut profile.full_name, event.full_name.as_ref());
        set(&mut profile.bio, event.bio.as_ref());
        set(&mut profile.avatar_url, event.avatar_url.as_ref());
        set(&mut profile.profile_visibility, event.profile_visibility.as_ref());
        set(&mut profile.language_code, event.language_code.as_ref());
        set(&mut profile.timezone, event.timezone.as_ref());
    }
}
