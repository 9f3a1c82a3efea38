use echolog_events::{Event, ProfileUpdated, ProfileVisibility, Stream, StreamKey, UsersEvent};
use serde::{Deserialize, Serialize};

use crate::access::active_user;
use crate::doc::{Doc, optional};
use crate::fields::{LanguageCode, Text, Timezone, UrlOrEmpty};
use crate::state::Profile;
use crate::{Context, Decide, Decision, Key, Needs, NewEvent, Rejection, World};

/// Changes the actor's own profile. An empty text clears a field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateProfile {
    /// What others see; cannot be cleared.
    pub display_name: Option<Text<1, 100>>,
    /// The name in full.
    pub full_name: Option<Text<0, 100>>,
    /// A few words.
    pub bio: Option<Text<0, 1000>>,
    /// A picture.
    pub avatar_url: Option<UrlOrEmpty>,
    /// Who sees the profile.
    pub profile_visibility: Option<ProfileVisibility>,
    /// The language to be written to.
    pub language_code: Option<LanguageCode>,
    /// Where the user is.
    pub timezone: Option<Timezone>,
}

/// The new value of a field, if it is one.
fn changed<T: PartialEq>(new: Option<T>, old: &T) -> Option<T> {
    new.filter(|new| new != old)
}

impl UpdateProfile {
    fn text(value: Option<&str>, old: &String) -> Option<String> {
        changed(value.map(str::to_owned), old)
    }

    /// What differs from the profile as it is.
    fn difference(&self, old: &Profile) -> ProfileUpdated {
        ProfileUpdated {
            user_id: echolog_events::Uuid::nil(),
            display_name: Self::text(
                self.display_name.as_ref().map(Text::as_str),
                &old.display_name,
            ),
            full_name: Self::text(self.full_name.as_ref().map(Text::as_str), &old.full_name),
            bio: Self::text(self.bio.as_ref().map(Text::as_str), &old.bio),
            avatar_url: Self::text(
                self.avatar_url.as_ref().map(UrlOrEmpty::as_str),
                &old.avatar_url,
            ),
            profile_visibility: changed(self.profile_visibility, &old.profile_visibility),
            language_code: Self::text(
                self.language_code.as_ref().map(LanguageCode::as_str),
                &old.language_code,
            ),
            timezone: Self::text(self.timezone.as_ref().map(Timezone::as_str), &old.timezone),
        }
    }
}

impl Decide for UpdateProfile {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Changes the actor's own profile. A field that is left out stays; an empty text clears it.",
        target: "the actor's own user id",
        fields: &[
            optional("display_name", "text, 1 to 100 characters"),
            optional("full_name", "text, at most 100 characters"),
            optional("bio", "text, at most 1,000 characters"),
            optional("avatar_url", "an http or https address, or empty"),
            optional("profile_visibility", "`public`, `friends` or `private`"),
            optional("language_code", "a BCP 47 tag such as `pt-BR`, at most 10 characters"),
            optional("timezone", "an IANA time zone such as `Europe/Berlin`"),
        ],
        events: &["profile_updated"],
        refused: &[("forbidden", "the target is not the actor"), ("invalid", "no field at all")],
        example: r#"{"display_name":"Ada L.","full_name":"Ada Lovelace","bio":"Poetical science.","avatar_url":"https://example.org/ada.png","profile_visibility":"public","language_code":"en","timezone":"Europe/London"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::User(context.target));
        if let Ok(user) = context.user() {
            needs.want(Key::User(user));
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let user = active_user(context, world)?;
        let user_id = context.own_user()?;
        if *self == Self::default() {
            return Err(Rejection::invalid("", "There is no field to change."));
        }
        let difference = ProfileUpdated { user_id, ..self.difference(&user.profile) };
        if difference == (ProfileUpdated { user_id, ..ProfileUpdated::default() }) {
            return Ok(Vec::new());
        }
        let key = StreamKey::of(Stream::User, user_id);
        Ok(vec![NewEvent::new(key, Event::Users(UsersEvent::ProfileUpdated(difference)))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn command(json: &str) -> UpdateProfile {
        serde_json::from_str(json).expect("a good command")
    }

    #[test]
    fn only_what_differs() {
        let story = Story::new().users([id(1)]);
        story.when(id(1), id(1), command(r#"{"bio":"x","language_code":"en"}"#)).then([
            Event::Users(UsersEvent::ProfileUpdated(ProfileUpdated {
                user_id: id(1),
                bio: Some("x".to_owned()),
                ..ProfileUpdated::default()
            })),
        ]);
        let story = story.done(&Actor::User(id(1)), id(1), command(r#"{"bio":"x"}"#));
        story.when(id(1), id(1), command(r#"{"bio":"x"}"#)).then_nothing();
        story.when(id(1), id(1), command(r#"{"bio":""}"#)).accepted();
    }

    #[test]
    fn only_ones_own() {
        let story = Story::new().users([id(1), id(2)]);
        story.when(id(2), id(1), command(r#"{"bio":"x"}"#)).refused(ErrorCode::Forbidden);
        story.when(id(3), id(3), command(r#"{"bio":"x"}"#)).refused(ErrorCode::Unauthenticated);
        story.when(id(1), id(1), UpdateProfile::default()).refused(ErrorCode::Invalid);
    }
}
