//! Another e-mail address or phone number for an account.

use echolog_events::{
    AccountEvent, AuthEvent, ClaimKind, Event, IdentifierClaimed, IdentifierReleased, OtpPurpose,
    Uuid,
};

use super::findings::{Holdings, ShownProof};
use super::{proof, sent};
use crate::{ClaimId, Context, Decision, Key, Needs, NewEvent, Rejection, World, access};

/// A name that an account is to have from now on, and what proves that it is its owner's.
pub(super) struct Contact<'a> {
    pub(super) kind: ClaimKind,
    pub(super) name: &'a str,
    /// What the code was asked for that the proof is of.
    pub(super) purpose: OtpPurpose,
    pub(super) proof: Option<&'a ShownProof>,
    pub(super) changed: AccountEvent,
}

impl Contact<'_> {
    fn claim(&self, context: &Context<'_>) -> ClaimId {
        ClaimId::new(&context.settings.claim_key, self.kind, self.name)
    }

    /// Asks for what [`Self::change`] reads and changes.
    pub(super) fn need(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        proof::need(context, needs);
        needs.want(Key::Codes(context.target));
        needs.want(Key::Claim(self.claim(context)));
        for (_, id) in names(context, world) {
            needs.want(Key::Claim(id));
        }
    }

    pub(super) fn change(self, context: &Context<'_>, world: &World) -> Decision {
        let user_id = context.own_user()?;
        access::active_user(context, world)?;
        let used = proof::check(context, world)?;
        let Some(shown) = self.proof else {
            return Err(Rejection::invalid("proof", "This takes the proof of a code."));
        };
        let id = self.claim(context);
        if shown.account != user_id {
            return Err(Rejection::gone("The proof is of another account."));
        }
        sent::check_proof(context, world, shown, &id, self.purpose)?;
        let claim = world.claim(&id);
        match claim.owner {
            Some(owner) if owner == user_id => return Ok(Vec::new()),
            Some(_) => return Err(taken(self.kind)),
            None => {}
        }
        let kind = self.kind;
        let mut events = vec![NewEvent::from(self.changed)];
        events.push(NewEvent {
            key: id.stream_key(),
            event: Event::Auth(AuthEvent::IdentifierClaimed(IdentifierClaimed {
                kind,
                owner_id: user_id,
            })),
            expected: Some(claim.seq),
        });
        let old = names(context, world).into_iter().filter(|(of, _)| *of == kind);
        events.extend(old.filter_map(|name| release(user_id, name, world)));
        events.extend(used);
        Ok(events)
    }
}

/// Somebody has it.
pub(super) fn taken(kind: ClaimKind) -> Rejection {
    let name = kind.name();
    let mut taken = Rejection::already_exists(format!("The {} is taken.", name.replace('_', " ")));
    taken.field = Some(name.to_owned());
    taken
}

/// The claims to the names that an account has now: those of its beginning, but for those that it has
/// changed since.
pub(super) fn names(context: &Context<'_>, world: &World) -> Vec<(ClaimKind, ClaimId)> {
    let user = world.user(context.target);
    let email = user.and_then(|user| user.email.as_deref());
    let phone = user.and_then(|user| user.phone_number.as_deref());
    let changed = [(ClaimKind::Email, email), (ClaimKind::PhoneNumber, phone)];
    let changed: Vec<(ClaimKind, ClaimId)> = changed
        .into_iter()
        .filter_map(|(kind, name)| {
            Some((kind, ClaimId::new(&context.settings.claim_key, kind, name?)))
        })
        .collect();
    let first = context.findings.holdings.iter().flat_map(|Holdings { claims }| claims);
    let unchanged = first.filter(|(kind, _)| changed.iter().all(|(other, _)| other != kind));
    unchanged.map(|(kind, id)| (*kind, ClaimId(id.clone()))).chain(changed.clone()).collect()
}

/// A name is free again, if it is this account's.
pub(super) fn release(
    owner_id: Uuid,
    (kind, id): (ClaimKind, ClaimId),
    world: &World,
) -> Option<NewEvent> {
    let claim = world.claim(&id);
    (claim.owner == Some(owner_id)).then(|| NewEvent {
        key: id.stream_key(),
        event: Event::Auth(AuthEvent::IdentifierReleased(IdentifierReleased { kind, owner_id })),
        expected: Some(claim.seq),
    })
}
