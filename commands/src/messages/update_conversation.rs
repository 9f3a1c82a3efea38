use echolog_events::{ConversationUpdated, MessagesEvent, Role, Stream};
use serde::{Deserialize, Serialize};

use crate::access::{member, need_member};
use crate::doc::{Doc, optional};
use crate::fields::{Text, UrlOrEmpty};
use crate::{Context, Decide, Decision, Needs, Rejection, World};

/// Changes what a conversation says about itself. An empty text clears a field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateConversation {
    /// Its name; cannot be cleared.
    pub title: Option<Text<1, 255>>,
    /// What it is about.
    pub description: Option<Text<0, 2000>>,
    /// A picture.
    pub avatar_url: Option<UrlOrEmpty>,
}

impl Decide for UpdateConversation {
    const STREAM: Stream = Stream::Conversation;
    const DOC: Doc = Doc {
        summary: "Changes what a conversation says about itself. A field that is left out stays; an empty text clears it.",
        target: "the conversation's id",
        fields: &[
            optional("title", "text, 1 to 255 characters"),
            optional("description", "text, at most 2,000 characters"),
            optional("avatar_url", "an http or https address, or empty"),
        ],
        events: &["conversation_updated"],
        refused: &[
            ("invalid", "no field at all"),
            ("not_found", "there is no such conversation"),
            ("forbidden", "the actor is no admin of it"),
            ("conflict", "the conversation is a direct one"),
        ],
        example: r#"{"title":"Poetry","description":"of science","avatar_url":"https://example.org/p.png"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_member(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        member.not_direct()?;
        member.at_least(Role::Admin)?;
        if *self == Self::default() {
            return Err(Rejection::invalid("", "There is no field to change."));
        }
        let old = member.conversation;
        let changed =
            |new: Option<&str>, old: &str| new.filter(|new| *new != old).map(str::to_owned);
        let updated = ConversationUpdated {
            conversation_id: context.target,
            title: changed(self.title.as_ref().map(Text::as_str), &old.title),
            description: changed(self.description.as_ref().map(Text::as_str), &old.description),
            avatar_url: changed(self.avatar_url.as_ref().map(UrlOrEmpty::as_str), &old.avatar_url),
        };
        if updated.title.is_none() && updated.description.is_none() && updated.avatar_url.is_none()
        {
            return Ok(Vec::new());
        }
        Ok(vec![MessagesEvent::ConversationUpdated(updated).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{direct, group, here, read};
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;
    use serde_json::json;

    #[test]
    fn only_what_differs() {
        let update: UpdateConversation = read(json!({ "title": "a title", "description": "new" }));
        let expected = ConversationUpdated {
            conversation_id: here(),
            description: Some("new".to_owned()),
            ..ConversationUpdated::default()
        };
        group()
            .when(id(2), here(), update)
            .then_messages([MessagesEvent::ConversationUpdated(expected)]);
        let same: UpdateConversation = read(json!({ "title": "a title" }));
        group().when(id(1), here(), same).then_nothing();
    }

    #[test]
    fn is_refused() {
        let update: UpdateConversation = read(json!({ "title": "new" }));
        group().when(id(3), here(), update.clone()).refused(ErrorCode::Forbidden);
        group().when(id(9), here(), update.clone()).refused(ErrorCode::Forbidden);
        group().when(id(1), id(101), update.clone()).refused(ErrorCode::NotFound);
        direct().when(id(1), here(), update).refused(ErrorCode::Conflict);
        group().when(id(1), here(), UpdateConversation::default()).refused(ErrorCode::Invalid);
    }
}
