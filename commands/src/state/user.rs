use echolog_events::{
    AccountEvent, AccountStatus, AuthEvent, Event, IdentifierType, ProfileUpdated,
    ProfileVisibility, Time, UserRegistered, UserRole, UsersEvent,
};
use serde::{Deserialize, Serialize};

/// What decisions remember of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Whether the user may act, but for time: see [`Self::status_at`].
    pub status: AccountStatus,
    /// When a suspension is over by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_until: Option<Time>,
    /// Whether the account was waiting for a verified contact when it was stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_pending: bool,
    /// The e-mail address, if it is another than at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The phone number, if it is another than at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// Whether the user has shown to have the address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub email_verified: bool,
    /// Whether the user has shown to have the number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub phone_verified: bool,
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
            return;
        }
        let Some(user) = user else { return };
        if let Event::Users(UsersEvent::ProfileUpdated(e)) = event {
            user.update(e);
        } else if let Event::Accounts(e) = event {
            user.become_of(e);
        }
    }

    /// Whether the user may act at a time: a suspension may be over.
    #[must_use]
    pub fn status_at(&self, now: Time) -> AccountStatus {
        match (self.status, self.suspended_until) {
            (AccountStatus::Suspended, Some(until)) if until <= now => self.status_before(),
            (status, _) => status,
        }
    }

    /// What the account was before it was stopped.
    #[must_use]
    pub fn status_before(&self) -> AccountStatus {
        if self.was_pending { AccountStatus::Pending } else { AccountStatus::Active }
    }

    /// The address or number, if it is another than at the beginning.
    pub(crate) fn changed(&self, kind: IdentifierType) -> Option<&str> {
        match kind {
            IdentifierType::Email => self.email.as_deref(),
            IdentifierType::Phone => self.phone_number.as_deref(),
            IdentifierType::Username | IdentifierType::UserId | IdentifierType::Oauth => None,
        }
    }

    fn become_of(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::UserSuspended(e) => self.stop(AccountStatus::Suspended, e.until),
            AccountEvent::UserBanned(_) => self.stop(AccountStatus::Banned, None),
            AccountEvent::UserReinstated(e) => {
                (self.status, self.suspended_until, self.was_pending) = (e.status, None, false);
            }
            AccountEvent::UserRoleChanged(e) => self.role = e.new_role,
            AccountEvent::UserDeleted(_) => self.stop(AccountStatus::Deleted, None),
            AccountEvent::EmailChanged(e) => {
                (self.email, self.email_verified) = (Some(e.email.clone()), true);
            }
            AccountEvent::PhoneChanged(e) => {
                (self.phone_number, self.phone_verified) = (Some(e.phone_number.clone()), true);
            }
            AccountEvent::EmailVerified(e) => {
                self.email_verified = true;
                self.no_longer_wait(e.activates);
            }
            AccountEvent::PhoneVerified(e) => {
                self.phone_verified = true;
                self.no_longer_wait(e.activates);
            }
        }
    }

    /// Of a contact, to be verified.
    fn no_longer_wait(&mut self, activates: bool) {
        self.was_pending = false;
        if activates {
            self.status = AccountStatus::Active;
        }
    }

    fn stop(&mut self, status: AccountStatus, until: Option<Time>) {
        self.was_pending |= self.status == AccountStatus::Pending;
        (self.status, self.suspended_until) = (status, until);
    }

    fn registered(event: &UserRegistered) -> Self {
        Self {
            status: event.account_status,
            suspended_until: None,
            was_pending: false,
            email: None,
            phone_number: None,
            email_verified: false,
            phone_verified: false,
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
