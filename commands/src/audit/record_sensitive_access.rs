use echolog_events::{AccessType, AuditEvent, SensitiveDataAccessed, Stream};
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, required};
use crate::fields::Text;
use crate::{Actor, Context, Decide, Decision, Key, Needs, Rejection, World};

/// Records that somebody looks at what is nobody's business, before it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordSensitiveAccess {
    /// At what.
    pub data_type: Text<1, 50>,
    /// What is done with it.
    pub access_type: AccessType,
    /// What for.
    pub purpose: Text<1, 255>,
}

impl Decide for RecordSensitiveAccess {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Records that a service is about to show somebody's personal data to somebody else. Whom it is about can read that in `audit.sensitive_data_access`.",
        target: "the id of the user whom it is about",
        fields: &[
            required("data_type", "text, 1 to 50 characters: what is shown, in a word"),
            required("access_type", "`read`, `export`, `decrypt` or `update`"),
            required("purpose", "text, 1 to 255 characters: what for"),
        ],
        events: &["sensitive_data_accessed"],
        refused: &[("forbidden", "you are no service"), ("not_found", "there is no such user")],
        example: r#"{"data_type":"account","access_type":"read","purpose":"the user asked for help"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::User(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        if !matches!(context.actor, Actor::Service(_)) {
            return Err(Rejection::forbidden("This is for services."));
        }
        if world.user(context.target).is_none() {
            return Err(Rejection::not_found("There is no user with this id."));
        }
        let accessed = SensitiveDataAccessed {
            user_id: context.target,
            by_user_id: None,
            data_type: self.data_type.as_str().to_owned(),
            access_type: self.access_type,
            purpose: Some(self.purpose.as_str().to_owned()),
            ip_address: context.findings.origin.ip_address,
        };
        Ok(vec![AuditEvent::SensitiveDataAccessed(accessed).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use crate::story::{Story, id};

    #[test]
    fn services_say_what_they_show() {
        let command: RecordSensitiveAccess =
            serde_json::from_str(RecordSensitiveAccess::DOC.example).expect("a good command");
        let story = Story::new().users([id(1), id(2)]);
        let operator = Actor::Service("svc-operator".to_owned());
        let events = story.when_actor(&operator, id(1), command.clone()).accepted();
        assert_eq!(events[0].event.event_type().short(), "sensitive_data_accessed");
        story.when_actor(&operator, id(9), command.clone()).refused(ErrorCode::NotFound);
        story.when(id(2), id(1), command).refused(ErrorCode::Forbidden);
    }
}
