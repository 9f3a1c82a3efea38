//! Tables `users.profiles` and `users.settings`.

use std::collections::HashMap;

use echolog_events::{
    AccountEvent, Body, Event, Meta, ProfileUpdated, ProfileVisibility, Recorded, Time,
    UserRegistered, UsersEvent, Uuid,
};
use serde_json::json;
use sqlx::PgConnection;

use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// What a new account speaks, and where its clock is, until it says otherwise.
const LANGUAGE: &str = "en";
const TIMEZONE: &str = "UTC";

const LOAD: &str = "SELECT user_id, display_name, full_name, bio, avatar_url, profile_visibility,
        language_code, timezone, deleted_at
    FROM {schema}.profiles WHERE user_id = ANY($1)";

/// Of `profiles`.
const COLUMNS: &str = "user_id uuid, username text, display_name text, full_name text, bio text,
    avatar_url text, profile_visibility text, language_code text, timezone text,
    online_status text, last_seen timestamptz, phone_visible boolean, is_verified boolean,
    social_links jsonb, interests text[], bio_links jsonb, is_deactivated boolean,
    followers_count integer, following_count integer, posts_count integer, created_at timestamptz,
    updated_at timestamptz, deleted_at timestamptz";

const UPDATE: &str = "UPDATE {schema}.profiles AS p SET
        display_name = d.display_name, full_name = d.full_name, bio = d.bio,
        avatar_url = d.avatar_url, profile_visibility = d.profile_visibility,
        language_code = d.language_code, timezone = d.timezone, deleted_at = d.deleted_at,
        updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::timestamptz[], $10::timestamptz[]) AS d (user_id, display_name, full_name,
        bio, avatar_url, profile_visibility, language_code, timezone, deleted_at, updated_at)
    WHERE p.user_id = d.user_id";

/// Nobody's profile changes by being seen.
const SEEN: &str = "UPDATE {schema}.profiles AS p SET last_seen = greatest(p.last_seen, d.seen_at)
    FROM unnest($1::uuid[], $2::timestamptz[]) AS d (user_id, seen_at)
    WHERE p.user_id = d.user_id";

/// Of `settings`.
pub(super) const SETTINGS: &str = "user_id uuid, profile_visibility text, show_last_seen text,
    show_profile_photo text, show_status text, allow_group_invites text,
    read_receipts_enabled boolean, typing_indicators_enabled boolean,
    notifications_enabled boolean, push_enabled boolean, email_notifications_enabled boolean,
    sms_notifications_enabled boolean, theme text, appearance jsonb, privacy_settings jsonb,
    created_at timestamptz, updated_at timestamptz";

#[derive(Debug)]
pub(super) struct Statements {
    load: Sql,
    rows: Table,
    update: Sql,
    seen: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            load: target.sql(LOAD),
            rows: Table::new(target, "profiles", COLUMNS),
            update: target.sql(UPDATE),
            seen: target.sql(SEEN),
        }
    }
}

/// The fields of a profile that its user may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    DisplayName,
    FullName,
    Bio,
    AvatarUrl,
    ProfileVisibility,
    LanguageCode,
    Timezone,
}

impl Field {
    /// Its column in `users.profiles`.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::DisplayName => "display_name",
            Self::FullName => "full_name",
            Self::Bio => "bio",
            Self::AvatarUrl => "avatar_url",
            Self::ProfileVisibility => "profile_visibility",
            Self::LanguageCode => "language_code",
            Self::Timezone => "timezone",
        }
    }

    /// A number that tells the rows of one event apart; part of their ids, so it never changes.
    pub(super) fn ordinal(self) -> u8 {
        match self {
            Self::DisplayName => 0,
            Self::FullName => 1,
            Self::Bio => 2,
            Self::AvatarUrl => 3,
            Self::ProfileVisibility => 4,
            Self::LanguageCode => 5,
            Self::Timezone => 6,
        }
    }
}

/// A field that was given another value.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    pub(super) field: Field,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
}

/// The changeable part of a profile; an empty text is kept as NULL.
#[derive(sqlx::FromRow)]
struct Profile {
    user_id: Uuid,
    display_name: Option<String>,
    full_name: Option<String>,
    bio: Option<String>,
    avatar_url: Option<String>,
    profile_visibility: Option<String>,
    language_code: Option<String>,
    timezone: Option<String>,
    deleted_at: Option<Time>,
    #[sqlx(skip)]
    origin: Origin,
}

#[derive(Clone, Copy, Default)]
enum Origin {
    /// In the table as it is.
    #[default]
    Stored,
    /// In the table, changed at this time.
    Changed(Time),
}

/// The profiles that a batch makes or changes.
#[derive(Default)]
pub(super) struct Profiles<'a> {
    profiles: HashMap<Uuid, Profile>,
    registered: Vec<(Time, &'a UserRegistered)>,
    /// Who was in use, and when last.
    seen: HashMap<Uuid, Time>,
}

impl<'a> Profiles<'a> {
    /// Loads the profiles that the batch changes.
    pub(super) async fn load(
        connection: &mut PgConnection,
        statements: &Statements,
        events: &[&Recorded],
    ) -> Result<Self, ProjectionError> {
        let changed: Vec<Uuid> = events.iter().filter_map(|event| changes(event)).collect();
        let mut profiles = Self::default();
        if !changed.is_empty() {
            let rows: Vec<Profile> =
                statements.load.query_as().bind(changed).fetch_all(connection).await?;
            profiles.profiles.extend(rows.into_iter().map(|row| (row.user_id, row)));
        }
        Ok(profiles)
    }

    pub(super) fn register(&mut self, event: &Recorded, registered: &'a UserRegistered) {
        self.registered.push((event.meta.time, registered));
        let profile = Profile {
            user_id: registered.user_id,
            display_name: Some(registered.display_name.clone()),
            full_name: None,
            bio: None,
            avatar_url: None,
            profile_visibility: Some(visibility(ProfileVisibility::default()).to_owned()),
            language_code: Some(LANGUAGE.to_owned()),
            timezone: Some(TIMEZONE.to_owned()),
            deleted_at: None,
            origin: Origin::Changed(event.meta.time),
        };
        self.profiles.insert(registered.user_id, profile);
    }

    /// Changes a profile, and says what is really different.
    pub(super) fn update(
        &mut self,
        event: &Recorded,
        update: &ProfileUpdated,
    ) -> Result<Vec<Change>, ProjectionError> {
        let Some(profile) = self.profiles.get_mut(&update.user_id) else {
            return Err(ProjectionError::data(event, format!("no profile {}", update.user_id)));
        };
        let changes = profile.apply(update);
        if !changes.is_empty() {
            profile.origin = Origin::Changed(event.meta.time);
        }
        Ok(changes)
    }

    /// The profile is one of an account that is gone.
    pub(super) fn delete(&mut self, event: &Recorded, user: Uuid) -> Result<(), ProjectionError> {
        let Some(profile) = self.profiles.get_mut(&user) else {
            return Err(ProjectionError::data(event, format!("no profile {user}")));
        };
        profile.deleted_at = Some(event.meta.time);
        profile.origin = Origin::Changed(event.meta.time);
        Ok(())
    }

    /// A user was here.
    pub(super) fn see(&mut self, user: Uuid, at: Time) {
        let seen = self.seen.entry(user).or_insert(at);
        *seen = at.max(*seen);
    }

    pub(super) async fn write(
        mut self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<(), ProjectionError> {
        let mut new = Rows::new();
        for (created_at, registered) in &self.registered {
            if let Some(profile) = self.profiles.remove(&registered.user_id) {
                let seen = self.seen.remove(&registered.user_id);
                profile.put(*created_at, seen, registered, &mut new);
            } else {
                // Registered twice in one batch: as in two, the second row has no place.
                let reason = format!("profile {} exists already", registered.user_id);
                return Err(ProjectionError::Data { reason });
            }
        }
        new.send(connection, &statements.rows).await?;
        let changed: Vec<(Profile, Time)> = self
            .profiles
            .into_values()
            .filter_map(|profile| match profile.origin {
                Origin::Changed(at) => Some((profile, at)),
                Origin::Stored => None,
            })
            .collect();
        if !changed.is_empty() {
            update(&mut *connection, &statements.update, &changed).await?;
        }
        let seen: Vec<(Uuid, Time)> = self.seen.into_iter().collect();
        if !seen.is_empty() {
            let query = statements.seen.query();
            let query = query.bind(column(&seen, |(user, _)| *user));
            query.bind(column(&seen, |(_, at)| *at)).execute(connection).await?;
        }
        Ok(())
    }
}

/// The user whose profile an event changes.
fn changes(event: &Recorded) -> Option<Uuid> {
    if let Body::Known(Event::Users(UsersEvent::ProfileUpdated(update))) = &event.body {
        Some(update.user_id)
    } else if let Body::Known(Event::Accounts(AccountEvent::UserDeleted(deleted))) = &event.body {
        Some(deleted.user_id)
    } else {
        None
    }
}

async fn update(
    connection: &mut PgConnection,
    sql: &Sql,
    changed: &[(Profile, Time)],
) -> Result<(), ProjectionError> {
    sql.query()
        .bind(column(changed, |(profile, _)| profile.user_id))
        .bind(column(changed, |(profile, _)| profile.display_name.as_deref()))
        .bind(column(changed, |(profile, _)| profile.full_name.as_deref()))
        .bind(column(changed, |(profile, _)| profile.bio.as_deref()))
        .bind(column(changed, |(profile, _)| profile.avatar_url.as_deref()))
        .bind(column(changed, |(profile, _)| profile.profile_visibility.as_deref()))
        .bind(column(changed, |(profile, _)| profile.language_code.as_deref()))
        .bind(column(changed, |(profile, _)| profile.timezone.as_deref()))
        .bind(column(changed, |(profile, _)| profile.deleted_at))
        .bind(column(changed, |(_, at)| *at))
        .execute(connection)
        .await?;
    Ok(())
}

impl Profile {
    fn apply(&mut self, update: &ProfileUpdated) -> Vec<Change> {
        let visibility = update.profile_visibility.map(|value| visibility(value).to_owned());
        let fields = [
            (Field::DisplayName, &mut self.display_name, &update.display_name),
            (Field::FullName, &mut self.full_name, &update.full_name),
            (Field::Bio, &mut self.bio, &update.bio),
            (Field::AvatarUrl, &mut self.avatar_url, &update.avatar_url),
            (Field::ProfileVisibility, &mut self.profile_visibility, &visibility),
            (Field::LanguageCode, &mut self.language_code, &update.language_code),
            (Field::Timezone, &mut self.timezone, &update.timezone),
        ];
        let mut changes = Vec::new();
        for (field, value, new) in fields {
            let Some(new) = new else { continue };
            let new = Some(new.clone()).filter(|text| !text.is_empty());
            if *value != new {
                let old = std::mem::replace(value, new.clone());
                changes.push(Change { field, old, new });
            }
        }
        changes
    }

    fn put(
        &self,
        created_at: Time,
        seen: Option<Time>,
        registered: &UserRegistered,
        rows: &mut Rows,
    ) {
        let updated_at = match self.origin {
            Origin::Stored => created_at,
            Origin::Changed(at) => at,
        };
        rows.row(&[
            &self.user_id,
            &registered.username.as_deref(),
            &self.display_name,
            &self.full_name,
            &self.bio,
            &self.avatar_url,
            &self.profile_visibility,
            &self.language_code,
            &self.timezone,
            &"offline",
            &seen.map_or(created_at, |seen| seen.max(created_at)),
            &true,
            &false,
            &json!({}),
            &Vec::<String>::new(),
            &json!([]),
            &false,
            &0_i32,
            &0_i32,
            &0_i32,
            &created_at,
            &updated_at,
            &self.deleted_at,
        ]);
    }
}

/// The settings of a new account.
pub(super) fn settings(meta: &Meta, event: &UserRegistered, rows: &mut Rows) {
    let everyone = "everyone";
    rows.row(&[
        &event.user_id,
        &everyone,
        &everyone,
        &everyone,
        &everyone,
        &everyone,
        &true,
        &true,
        &true,
        &true,
        &true,
        &false,
        &"system",
        &json!({}),
        &json!({}),
        &meta.time,
        &meta.time,
    ]);
}

/// The name of a visibility in tables.
pub(crate) fn visibility(visibility: ProfileVisibility) -> &'static str {
    match visibility {
        ProfileVisibility::Public => "public",
        ProfileVisibility::Friends => "friends",
        ProfileVisibility::Private => "private",
    }
}
