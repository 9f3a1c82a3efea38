use chrono::TimeDelta;
use echolog_events::{
    AccountStatus, Event, RefreshTokenReused, RevokedReason, SessionEvent, SessionRefreshed, Stream,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ends;
use super::findings::Refresh;
use crate::doc::{Doc, optional};
use crate::fields::{DeviceMetadata, Text, Token};
use crate::state::Session;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// How long the refresh token before the last one is still good, for a client that did not get the
/// answer: longer than it takes to ask again of a partition that has lost its owner.
const GRACE: TimeDelta = TimeDelta::minutes(1);

/// Exchanges a session's tokens for new ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshSession {
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub refresh_token: Option<Token>,
    /// What its owner calls the device.
    pub device_name: Option<Text<1, 255>>,
    /// More about the device.
    pub device_metadata: Option<DeviceMetadata>,
    /// Where push messages for it go.
    pub fcm_token: Option<Text<1, 4096>>,
}

/// What a refresh token is to its session.
enum Shown {
    Current,
    /// The answer to the last refresh may have been lost.
    JustExchanged,
    Reused,
}

fn shown(context: &Context<'_>, session: &Session, refresh: &Refresh) -> Option<Shown> {
    if refresh.generation > session.generation {
        return None;
    }
    if refresh.hash == session.refresh_hash {
        return Some(Shown::Current);
    }
    let last = session.previous_hash.as_ref() == Some(&refresh.hash);
    let lately = session.exchanged_at.is_some_and(|at| context.time < at + GRACE);
    Some(if last && lately { Shown::JustExchanged } else { Shown::Reused })
}

pub(super) fn not_right() -> Rejection {
    Rejection::unauthenticated("The refresh token is not right, or its session has ended.")
}

impl Decide for RefreshSession {
    const STREAM: Stream = Stream::Session;
    const DOC: Doc = Doc {
        summary: "Exchanges the tokens of a session for new ones; the outcome is as of `log_in`. A refresh token is good once, and for a minute after that in case the answer got lost. One that is shown later ends the session: somebody else has it too.",
        target: "your own user id",
        fields: &[
            optional("refresh_token", "text; **a secret**; needed"),
            optional("device_name", "text, 1 to 255 characters; left out: unchanged"),
            optional("device_metadata", "map, as of `log_in`; left out: unchanged"),
            optional("fcm_token", "text, 1 to 4096 characters; left out: unchanged"),
        ],
        events: &["session_refreshed", "refresh_token_reused", "session_revoked"],
        refused: &[
            (
                "unauthenticated",
                "the refresh token is none of this user, was exchanged before, or its session has ended",
            ),
            ("forbidden", "the account may not act"),
        ],
        example: r#"{"refresh_token":"er_AZLzxKqq","device_name":"Ada's phone","device_metadata":{"os_version":"19.2"},"fcm_token":"d2Vi"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::Sessions(context.target));
        needs.want(Key::User(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let user_id = context.target;
        let refresh = context.findings.refresh.as_ref().ok_or_else(not_right)?;
        let user = world.user(user_id).ok_or_else(not_right)?;
        let sessions = world.sessions(user_id);
        let session = sessions.live(refresh.session_id, context.time).ok_or_else(not_right)?;
        let session_id = refresh.session_id;
        match shown(context, session, refresh).ok_or_else(not_right)? {
            Shown::Current | Shown::JustExchanged => {}
            Shown::Reused => {
                let reused = SessionEvent::RefreshTokenReused(RefreshTokenReused {
                    user_id,
                    session_id,
                    generation: refresh.generation,
                    origin: context.findings.origin.clone(),
                });
                let ended = ends(user_id, session_id, RevokedReason::TokenReuse, None);
                return Err(not_right().leaving([reused.into(), ended.into()]));
            }
        }
        match user.status_at(context.time) {
            AccountStatus::Active | AccountStatus::Pending => {}
            AccountStatus::Suspended | AccountStatus::Banned | AccountStatus::Deleted => {
                return Err(Rejection::forbidden("The account may not act."));
            }
        }
        let text = |text: &str| text.to_owned();
        let refreshed = SessionRefreshed {
            user_id,
            session_id,
            token_hash: refresh.tokens.token_hash.clone(),
            old_refresh_id: session.refresh_id,
            refresh_id: refresh.tokens.refresh_id,
            refresh_hash: refresh.tokens.refresh_hash.clone(),
            generation: refresh.tokens.generation,
            refreshed_at: context.time,
            expires_at: context.time + context.settings.session_lifetime,
            device_name: self.device_name.as_ref().map(|it| text(it.as_str())),
            device_metadata: self.device_metadata.as_ref().map(DeviceMetadata::to_map),
            fcm_token: self.fcm_token.as_ref().map(|it| text(it.as_str())),
            origin: context.findings.origin.clone(),
        };
        Ok(vec![SessionEvent::SessionRefreshed(Box::new(refreshed)).into()])
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        events.iter().find_map(|event| {
            let Event::Sessions(SessionEvent::SessionRefreshed(e)) = event else { return None };
            Some(json!({
                "user_id": e.user_id, "session_id": e.session_id, "expires_at": e.expires_at,
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{Time, TokenHash};

    use super::super::findings::Findings;
    use super::super::tests::{logged_in, session, story, tokens};
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    /// The token of this generation is shown; the next ones are ready.
    fn found(generation: u32) -> Findings {
        let refresh = Refresh {
            session_id: session(1),
            generation,
            hash: TokenHash::new(format!("refresh 1 {generation}")),
            tokens: tokens(1, generation + 1),
        };
        Findings { refresh: Some(refresh), ..Findings::default() }
    }

    fn anyone() -> Actor {
        Actor::Anonymous("anon-1".to_owned())
    }

    fn refreshed(story: Story, generation: u32) -> Story {
        let story = story.findings(found(generation));
        story.done(&anyone(), id(1), RefreshSession::default())
    }

    fn at(story: Story, seconds: i64) -> Story {
        story.at(Time::default() + TimeDelta::seconds(seconds))
    }

    fn refused(story: Story, generation: u32) -> Vec<&'static str> {
        let story = story.findings(found(generation));
        let ending = story.when_actor(&anyone(), id(1), RefreshSession::default());
        let no = ending.refused(ErrorCode::Unauthenticated);
        no.events.iter().map(|new| new.event.event_type().short()).collect()
    }

    #[test]
    fn each_token_leads_to_the_next() {
        let story = refreshed(refreshed(logged_in(story(), 1), 0), 1);
        let state = story.state(&Key::Sessions(id(1)));
        let crate::State::Sessions(sessions) = state else { panic!("sessions") };
        assert_eq!(sessions.open[&session(1)].generation, 2);
    }

    #[test]
    fn a_lost_answer_is_asked_for_again_at_once() {
        let story = refreshed(logged_in(story(), 1), 0);
        let story = at(story, 59).findings(found(0));
        story.when_actor(&anyone(), id(1), RefreshSession::default()).accepted();
    }

    #[test]
    fn a_token_that_was_exchanged_ends_the_session() {
        let story = refreshed(logged_in(story(), 1), 0);
        assert_eq!(refused(at(story, 61), 0), ["refresh_token_reused", "session_revoked"]);
        let story = refreshed(refreshed(logged_in(self::story(), 1), 0), 1);
        assert_eq!(refused(story, 0), ["refresh_token_reused", "session_revoked"]);
    }

    #[test]
    fn a_token_of_no_session_changes_nothing() {
        assert!(refused(logged_in(story(), 1), 1).is_empty(), "from the future");
        assert!(refused(story(), 0).is_empty(), "no such session");
        let over = 30 * 24 * 60 * 60;
        assert!(refused(at(logged_in(story(), 1), over), 0).is_empty(), "its time is over");
        let story = logged_in(self::story(), 1).findings(Findings::default());
        let ending = story.when_actor(&anyone(), id(1), RefreshSession::default());
        assert!(ending.refused(ErrorCode::Unauthenticated).events.is_empty(), "none of ours");
    }

    #[test]
    fn of_two_that_were_exchanged_for_one_the_first_is_void() {
        let story = refreshed(logged_in(story(), 1), 0);
        let mut again = found(0);
        if let Some(refresh) = &mut again.refresh {
            refresh.tokens.refresh_hash = TokenHash::new("the second");
        }
        let story = story.findings(again).done(&anyone(), id(1), RefreshSession::default());
        assert_eq!(refused(story, 1), ["refresh_token_reused", "session_revoked"]);
    }
}
