use echolog_events::{
    AccountEvent, AccountStatus, AuthEvent, ClaimKind, EmailVerified, Event, IdentifierClaimed,
    OtpPurpose, PasswordHash, PhoneVerified, Stream, StreamKey, UserRegistered, UserRole, UserType,
};
use serde::{Deserialize, Serialize};

use super::OauthProof;
use super::contact::taken;
use super::findings::ShownProof;
use super::oauth;
use super::sent::check_proof;
use crate::doc::{Doc, optional};
use crate::fields::{Email, ImportedHash, Password, PhoneNumber, Text, Token, Username};
use crate::{Actor, ClaimId, Context, Decide, Decision, Key, Needs, NewEvent, Rejection, World};

/// Opens an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterUser {
    /// Unique without regard to case.
    pub username: Option<Username>,
    /// Unique.
    pub email: Option<Email>,
    /// Unique.
    pub phone_number: Option<PhoneNumber>,
    /// What others see.
    pub display_name: Option<Text<1, 100>>,
    /// How the account is going to be used.
    pub user_type: Option<UserType>,
    /// Leaves the request path only as a hash.
    #[serde(skip_serializing)]
    pub password: Option<Password>,
    /// Of a password that was hashed elsewhere.
    #[serde(rename = "password_hash", skip_serializing)]
    pub imported_hash: Option<ImportedHash>,
    /// That one has the address. Never leaves the request path.
    #[serde(skip_serializing)]
    pub email_proof: Option<Token>,
    /// That one has the number. Never leaves the request path.
    #[serde(skip_serializing)]
    pub phone_proof: Option<Token>,
    /// An identity that speaks for the account. Nothing but the provider leaves the request path.
    pub oauth: Option<OauthProof>,
    /// What the request path made of the password, or of its hash.
    #[serde(skip)]
    pub password_hash: Option<PasswordHash>,
}

impl RegisterUser {
    /// The unique values that the account claims, in their comparable form.
    fn claims(&self) -> impl Iterator<Item = (ClaimKind, String)> + '_ {
        let username = self.username.as_ref().map(|it| (ClaimKind::Username, it.canonical()));
        let email = self.email.as_ref().map(|it| (ClaimKind::Email, it.as_str().to_owned()));
        let phone =
            self.phone_number.as_ref().map(|it| (ClaimKind::PhoneNumber, it.as_str().to_owned()));
        [username, email, phone].into_iter().flatten()
    }

    fn display_name(&self) -> String {
        let local_part = |email: &Email| email.as_str().split('@').next().map(str::to_owned);
        self.display_name
            .as_ref()
            .map(|name| name.as_str().to_owned())
            .or_else(|| self.username.as_ref().map(|name| name.as_str().to_owned()))
            .or_else(|| self.email.as_ref().and_then(local_part))
            .unwrap_or_else(|| "User".to_owned())
    }
}

impl RegisterUser {
    /// The identity that is to speak for the account, and that it does.
    fn linked(&self, context: &Context<'_>, world: &World) -> Result<Vec<NewEvent>, Rejection> {
        if self.oauth.is_none() {
            return Ok(Vec::new());
        }
        let identity = oauth::vouched(context)?;
        let linked = oauth::links(context, world, identity, self.password_hash.is_some());
        linked.map_err(|no| Rejection { field: Some("oauth".to_owned()), ..no })
    }

    fn vouched_email<'c>(&self, context: &Context<'c>) -> Option<&'c str> {
        self.oauth.as_ref()?;
        oauth::vouched(context).ok()?.email.as_deref()
    }

    /// What is known of the address and the number because of a proof.
    fn verified(&self, context: &Context<'_>, world: &World) -> Result<Vec<NewEvent>, Rejection> {
        let user_id = context.target;
        let found = context.findings;
        let email = self.email.as_ref().map(Email::as_str);
        let phone = self.phone_number.as_ref().map(PhoneNumber::as_str);
        let of_email = |email: String| {
            AccountEvent::EmailVerified(EmailVerified { user_id, email, activates: false })
        };
        let of_phone = |phone_number: String| {
            AccountEvent::PhoneVerified(PhoneVerified { user_id, phone_number, activates: false })
        };
        // Whom Google and Apple say they know by it need not show a code.
        let email = match email {
            Some(email) if self.vouched_email(context) == Some(email) => Some(email.to_owned()),
            email => proven(context, world, (ClaimKind::Email, email), &found.email_proof)?,
        };
        let phone = proven(context, world, (ClaimKind::PhoneNumber, phone), &found.phone_proof)?;
        Ok(email.map(of_email).into_iter().chain(phone.map(of_phone)).map(NewEvent::from).collect())
    }
}

/// The name, if there is a proof that somebody has it.
fn proven(
    context: &Context<'_>,
    world: &World,
    (kind, name): (ClaimKind, Option<&str>),
    proof: &Option<ShownProof>,
) -> Result<Option<String>, Rejection> {
    let field = match kind {
        ClaimKind::Email => "email_proof",
        ClaimKind::PhoneNumber
        | ClaimKind::Username
        | ClaimKind::DirectPair
        | ClaimKind::OauthIdentity => "phone_proof",
    };
    match (name, proof) {
        (Some(name), Some(proof)) => {
            let id = ClaimId::new(&context.settings.claim_key, kind, name);
            check_proof(context, world, proof, &id, OtpPurpose::Registration)?;
            Ok(Some(name.to_owned()))
        }
        (None, Some(_)) => Err(Rejection::invalid(field, "This is a proof of nothing.")),
        (Some(_), None) if context.settings.require_contact_proof && !is_service(context) => {
            Err(Rejection::invalid(field, "This takes the proof of a code here."))
        }
        (_, None) => Ok(None),
    }
}

fn is_service(context: &Context<'_>) -> bool {
    matches!(context.actor, Actor::Service(_))
}

impl Decide for RegisterUser {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Opens an account. At least one of `username`, `email` and `phone_number` is needed.",
        target: "the new user's id, a UUIDv7 made by the client",
        fields: &[
            optional(
                "username",
                "text, 3 to 50 of `A-Z a-z 0-9 _ . -`; unique without regard to case",
            ),
            optional(
                "email",
                "text, an e-mail address of at most 255 bytes; unique, kept in lower case",
            ),
            optional("phone_number", "text, E.164; unique"),
            optional(
                "display_name",
                "text, 1 to 100 characters; default: the user name, else the local part of the address",
            ),
            optional("user_type", "`web` (default) or `mobile`"),
            optional("password", "text, 8 to 256 bytes; **a secret**: send the command by `req.`"),
            optional(
                "password_hash",
                "text: instead of `password`, from services only, what another system hashed it to: Argon2id, or bcrypt (`$2a$`, `$2b$`, `$2y$`) of cost 4 to 14; send the command by `req.`",
            ),
            optional(
                "email_proof",
                "text: what `verify_otp` told of a code that was asked for with this address for `registration`; **a secret**; the address counts as verified then",
            ),
            optional("phone_proof", "text: the same of the phone number; **a secret**"),
            optional("oauth", oauth::KIND),
        ],
        events: &[
            "user_registered",
            "identifier_claimed",
            "oauth_provider_linked",
            "oauth_token_refreshed",
            "email_verified",
            "phone_verified",
        ],
        refused: &[
            (
                "forbidden",
                "the actor is a user other than the target, or brings a hash and is no service",
            ),
            (
                "already_exists",
                "the target is a user already, or a value is taken (`field` says which)",
            ),
            (
                "unauthenticated",
                "the provider does not vouch for what is shown in `oauth`: a code is good once",
            ),
            (
                "unavailable",
                "the operator has not set the provider up, or it does not answer, or with nonsense",
            ),
            ("gone", "a proof is not right, is of another value, or has expired"),
            ("invalid", "the operator takes addresses and numbers with a proof only"),
        ],
        example: r#"{"username":"ada","email":"ada@example.org","phone_number":"+442071838750","display_name":"Ada Lovelace","user_type":"web","password":"correct horse battery","password_hash":"$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW","email_proof":"eo_AZLzxKqq","phone_proof":"eo_AZLzxKqr","oauth":{"provider":"google","id_token":"eyJhbGciOiJSUzI1NiJ9.e30.c2ln","nonce":"n-0S6_WzA2Mj"}}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::User(context.target));
        for (kind, value) in self.claims() {
            needs.want(Key::Claim(ClaimId::new(&context.settings.claim_key, kind, &value)));
        }
        if self.oauth.is_some() {
            needs.want(Key::Credentials(context.target));
            oauth::need_claim(context, needs);
        }
        let proofs = [&context.findings.email_proof, &context.findings.phone_proof];
        for proof in proofs.into_iter().flatten() {
            needs.want(Key::Codes(proof.account));
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let user_id = context.target;
        if matches!(context.actor, Actor::User(actor) if *actor != user_id) {
            return Err(Rejection::forbidden("A user cannot register another user."));
        }
        if user_id.get_version_num() != 7 {
            return Err(Rejection::invalid("target", "The id of a new user is a UUIDv7."));
        }
        if self.claims().next().is_none() {
            return Err(Rejection::invalid(
                "username",
                "One of `username`, `email` and `phone_number` is needed.",
            ));
        }
        if world.user(user_id).is_some() {
            return Err(Rejection::already_exists("There is a user with this id already."));
        }
        let verified = self.verified(context, world)?;
        let waits = context.settings.require_verified_contact && verified.is_empty();
        let mut events = vec![NewEvent::new(
            StreamKey::of(Stream::User, user_id),
            Event::Auth(AuthEvent::UserRegistered(UserRegistered {
                user_id,
                username: self.username.as_ref().map(|it| it.as_str().to_owned()),
                email: self.email.as_ref().map(|it| it.as_str().to_owned()),
                phone_number: self.phone_number.as_ref().map(|it| it.as_str().to_owned()),
                password_hash: self.password_hash.clone(),
                display_name: self.display_name(),
                user_type: self.user_type.unwrap_or_default(),
                role: UserRole::User,
                account_status: match waits {
                    true => AccountStatus::Pending,
                    false => AccountStatus::Active,
                },
            })),
        )];
        for (kind, value) in self.claims() {
            let id = ClaimId::new(&context.settings.claim_key, kind, &value);
            let claim = world.claim(&id);
            if claim.owner.is_some() {
                return Err(taken(kind));
            }
            events.push(NewEvent {
                key: id.stream_key(),
                event: Event::Auth(AuthEvent::IdentifierClaimed(IdentifierClaimed {
                    kind,
                    owner_id: user_id,
                })),
                expected: Some(claim.seq),
            });
        }
        events.extend(self.linked(context, world)?);
        events.extend(verified);
        Ok(events)
    }
}

/// A plain account, for the stories of other commands.
#[cfg(any(test, feature = "story"))]
pub(crate) fn registered_for_tests(user_id: echolog_events::Uuid) -> Event {
    Event::Auth(AuthEvent::UserRegistered(UserRegistered {
        user_id,
        username: None,
        email: None,
        phone_number: None,
        password_hash: None,
        display_name: "Someone".to_owned(),
        user_type: UserType::Web,
        role: UserRole::User,
        account_status: AccountStatus::Active,
    }))
}

#[cfg(test)]
mod tests {
    use echolog_events::{CredentialEvent, OauthProvider};

    use super::super::link_oauth_provider::tests::{has_linked, vouching};
    use super::super::operators::tests::names;
    use super::super::{Findings, Vouched};
    use super::*;
    use crate::story::{Story, id};
    use crate::{ErrorCode, Settings};

    fn command(json: &str) -> RegisterUser {
        serde_json::from_str(json).expect("a good command")
    }

    fn anonymous() -> Actor {
        Actor::Anonymous("anon-1".to_owned())
    }

    #[test]
    fn shows_no_secret() {
        let marked = "a marked secret";
        let mut registered = command(r#"{"username":"ada","password":"a marked secret"}"#);
        registered.password_hash = Some(PasswordHash::new(marked));
        assert!(!format!("{registered:?}").contains(marked));
        let events = Story::new().when_actor(&anonymous(), id(1), registered).accepted();
        let shown = format!("{events:?}");
        assert!(shown.contains("ada") && !shown.contains(marked), "{shown}");
    }

    #[test]
    fn claims_every_identifier() {
        let story = Story::new();
        let events = story
            .when_actor(
                &anonymous(),
                id(1),
                command(r#"{"username":"Ada","email":"Ada@Example.org"}"#),
            )
            .accepted();
        assert_eq!(events.len(), 3);
        assert_eq!(events[1].key, story.claim(ClaimKind::Username, "ada").stream_key());
        assert_eq!(events[2].key, story.claim(ClaimKind::Email, "ada@example.org").stream_key());
        assert_eq!(events[1].expected, Some(0));
        let Event::Auth(AuthEvent::UserRegistered(registered)) = &events[0].event else {
            panic!("the account comes first");
        };
        assert_eq!(registered.display_name, "Ada");
        assert_eq!(registered.account_status, AccountStatus::Active);
    }

    #[test]
    fn a_taken_name_is_refused_whatever_its_case() {
        let story = Story::new().done(&anonymous(), id(1), command(r#"{"username":"ada"}"#));
        let taken = story
            .when_actor(&anonymous(), id(2), command(r#"{"username":"ADA"}"#))
            .refused(ErrorCode::AlreadyExists);
        assert_eq!(taken.field.as_deref(), Some("username"));
        story
            .when_actor(&anonymous(), id(1), command(r#"{"username":"eve"}"#))
            .refused(ErrorCode::AlreadyExists);
    }

    #[test]
    fn a_released_name_is_claimed_from_its_release() {
        let story = Story::new();
        let claim = story.claim(ClaimKind::Username, "ada").stream_key();
        let released =
            echolog_events::IdentifierReleased { kind: ClaimKind::Username, owner_id: id(9) };
        let story = story.event(claim, Event::Auth(AuthEvent::IdentifierReleased(released)));
        let events =
            story.when_actor(&anonymous(), id(1), command(r#"{"username":"ada"}"#)).accepted();
        assert_eq!(events[1].expected, Some(1));
    }

    /// Somebody registers with an identity at a provider, which calls them so.
    fn by_oauth(story: Story, its_id: &str, body: &str) -> crate::story::Ending {
        let oauth = vouching(OauthProvider::Google, its_id, 600).oauth;
        let story = story.findings(Findings { oauth, ..Findings::default() });
        story.when_actor(&anonymous(), id(1), command(body))
    }

    #[test]
    fn an_identity_speaks_for_a_new_account() {
        let body = r#"{"username":"ada","email":"ada@example.org","oauth":{"provider":"google"}}"#;
        let events = by_oauth(Story::new(), "ada", body).accepted();
        let expected = [
            "user_registered",
            "identifier_claimed",
            "identifier_claimed",
            "oauth_provider_linked",
            "identifier_claimed",
            "email_verified",
        ];
        assert_eq!(names(events.clone()), expected);
        let Event::Credentials(CredentialEvent::OauthProviderLinked(linked)) = &events[3].event
        else {
            panic!("{events:?}");
        };
        assert!(!linked.has_password);
        // Of another address the provider says nothing.
        let other = body.replace("ada@", "lovelace@");
        let events = names(by_oauth(Story::new(), "ada", &other).accepted());
        assert_eq!(events.len(), 5, "{events:?}");
        // The provider's address alone is nobody's name here.
        let alone = r#"{"oauth":{"provider":"google"}}"#;
        by_oauth(Story::new(), "ada", alone).refused(ErrorCode::Invalid);
    }

    #[test]
    fn an_identity_that_speaks_for_somebody_opens_no_account() {
        let story = has_linked(Story::new().users([id(1)]), OauthProvider::Google, 600);
        let oauth = vouching(OauthProvider::Google, "ada", 601).oauth;
        let story = story.findings(Findings { oauth, ..Findings::default() });
        let body = r#"{"username":"ada","oauth":{"provider":"google"}}"#;
        let no = story.when_actor(&anonymous(), id(2), command(body));
        let no = no.refused(ErrorCode::AlreadyExists);
        assert_eq!(no.field.as_deref(), Some("oauth"));
        for (vouched, code) in [
            (Some(Vouched::ForNobody), ErrorCode::Unauthenticated),
            (Some(Vouched::Unasked), ErrorCode::Unavailable),
            (None, ErrorCode::Invalid),
        ] {
            let found = Findings { oauth: vouched, ..Findings::default() };
            let story = Story::new().findings(found);
            story.when_actor(&anonymous(), id(1), command(body)).refused(code);
        }
    }

    #[test]
    fn needs_an_identifier_and_a_new_id() {
        let story = Story::new();
        story.when_actor(&anonymous(), id(1), RegisterUser::default()).refused(ErrorCode::Invalid);
        story
            .when_actor(&anonymous(), echolog_events::Uuid::nil(), command(r#"{"username":"ada"}"#))
            .refused(ErrorCode::Invalid);
    }

    #[test]
    fn only_for_oneself() {
        let story = Story::new();
        story.when(id(2), id(1), command(r#"{"username":"ada"}"#)).refused(ErrorCode::Forbidden);
        story.when(id(1), id(1), command(r#"{"username":"ada"}"#)).accepted();
    }

    #[test]
    fn waits_for_a_verified_contact_where_that_is_demanded() {
        let settings = Settings { require_verified_contact: true, ..Settings::default() };
        let events = Story::new()
            .settings(settings)
            .when_actor(&anonymous(), id(1), command(r#"{"phone_number":"+442071838750"}"#))
            .accepted();
        let Event::Auth(AuthEvent::UserRegistered(registered)) = &events[0].event else {
            panic!("the account comes first");
        };
        assert_eq!(registered.account_status, AccountStatus::Pending);
        assert_eq!(registered.display_name, "User");
    }
}
