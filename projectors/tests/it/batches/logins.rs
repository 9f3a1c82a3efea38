//! Random log-ins: what the rules of sessions allow, of few accounts and devices, so that one meets
//! what another has done.

use std::collections::BTreeMap;

use echolog_events::{
    DeviceType, IdentifierType, JsonMap, LoginFailed, LoginFailure, LoginMethod, LoginSucceeded,
    Origin, Platform, RefreshTokenReused, RevokedReason, SessionEvent, SessionRefreshed,
    SessionRevoked, SessionStarted, Time, TokenHash, UnlockedBy, UserLocked, UserUnlocked, Uuid,
};

use crate::support::id;

/// What the dice show: what happens, to which account, on which device or to which session, how.
pub(super) type Turn = [u8; 4];

/// So many failures lock an account.
const FAILURES: u32 = 3;

/// What an account's next events depend on.
#[derive(Default)]
struct Account {
    live: Vec<Live>,
    failed: u32,
    locked: bool,
    /// How many sessions it has had: other users take the same ids.
    sessions: u128,
}

/// A session that has not ended.
struct Live {
    id: Uuid,
    device: String,
    generation: u32,
    newest: Uuid,
    /// The token before, if the newest one was not used yet.
    before: Option<Uuid>,
}

/// All accounts, and the stand-ins of names that nobody has.
#[derive(Default)]
pub(super) struct Logins {
    accounts: BTreeMap<Uuid, Account>,
    tokens: u128,
}

impl Logins {
    /// The events of one command.
    pub(super) fn turn(&mut self, turn: Turn, users: &[Uuid], now: Time) -> Vec<SessionEvent> {
        let [what, who, which, how] = turn;
        let user = users[usize::from(who) % users.len()];
        let live = self.accounts.entry(user).or_default().live.len();
        match what % 16 {
            0..=3 => self.log_in(user, which, how, now),
            4..=6 => self.fail(user, Some(user), how, now),
            7 => self.fail(id(0xd1ce + u128::from(who % 2)), None, how, now),
            8..=11 if live > 0 => vec![self.refresh(user, which, how, now)],
            12 if live > 0 => self.reuse(user, which, how),
            13 if live > 0 => vec![self.end(user, which, RevokedReason::Logout)],
            14 if live > 0 => {
                (0..live).map(|_| self.end(user, 0, RevokedReason::LogoutAll)).collect()
            }
            15 if self.accounts[&user].locked => vec![self.unlock(user, UnlockedBy::Admin)],
            _ => self.log_in(user, which, how, now),
        }
    }

    fn account(&mut self, id: Uuid) -> &mut Account {
        self.accounts.entry(id).or_default()
    }

    fn token(&mut self) -> (Uuid, TokenHash) {
        self.tokens += 1;
        (id(0x70_0000 + self.tokens), TokenHash::new(format!("hash {}", self.tokens)))
    }

    fn log_in(&mut self, user_id: Uuid, which: u8, how: u8, now: Time) -> Vec<SessionEvent> {
        let device_id = format!("device {}", which % 3);
        let mut events = Vec::new();
        if self.account(user_id).locked {
            events.push(self.unlock(user_id, UnlockedBy::Time));
        }
        let same = self.account(user_id).live.iter().position(|it| it.device == device_id);
        if let Some(same) = same {
            events.push(self.end(user_id, same as u8, RevokedReason::Replaced));
        }
        let ((_, token_hash), (refresh_id, refresh_hash)) = (self.token(), self.token());
        let account = self.account(user_id);
        account.sessions += 1;
        account.failed = 0;
        let session_id = id(0x5e_0000 + account.sessions);
        account.live.push(Live {
            id: session_id,
            device: device_id.clone(),
            generation: 0,
            newest: refresh_id,
            before: None,
        });
        events.push(SessionEvent::SessionStarted(Box::new(SessionStarted {
            user_id,
            session_id,
            token_hash,
            refresh_id,
            refresh_hash,
            device_id: device_id.clone(),
            device_name: given(how, 0, "a name"),
            device_type: (how & 2 > 0).then_some(DeviceType::Tablet),
            platform: if how & 1 > 0 { Platform::Android } else { Platform::Web },
            device_fingerprint: given(how, 1, "a print"),
            device_metadata: metadata(how),
            fcm_token: given(how, 2, "push"),
            origin: origin(how),
            expires_at: later(now, 30),
        })));
        events.push(SessionEvent::LoginSucceeded(LoginSucceeded {
            user_id,
            session_id,
            identifier: "somebody".to_owned(),
            identifier_type: IdentifierType::Username,
            method: LoginMethod::Password,
            origin: origin(how),
            device_id,
        }));
        events
    }

    fn fail(
        &mut self,
        account_id: Uuid,
        user: Option<Uuid>,
        how: u8,
        now: Time,
    ) -> Vec<SessionEvent> {
        let account = self.account(account_id);
        let counts = !account.locked;
        let mut events = vec![SessionEvent::LoginFailed(LoginFailed {
            account_id,
            user_id: user,
            identifier: "+442071838750".to_owned(),
            identifier_type: IdentifierType::Phone,
            reason: match (user, counts) {
                (None, _) => LoginFailure::UnknownIdentifier,
                (Some(_), true) => LoginFailure::WrongPassword,
                (Some(_), false) => LoginFailure::Locked,
            },
            counts,
            origin: origin(how),
            device_id: given(how, 3, "a device"),
        })];
        account.failed += u32::from(counts);
        if counts && account.failed >= FAILURES {
            // A stand-in's lock is over by the next time.
            account.locked = user.is_some();
            events.push(SessionEvent::UserLocked(UserLocked {
                account_id,
                user_id: user,
                locked_until: later(now, 1),
                failed_attempts: account.failed,
            }));
        }
        events
    }

    fn unlock(&mut self, user_id: Uuid, by: UnlockedBy) -> SessionEvent {
        let account = self.account(user_id);
        account.locked = false;
        account.failed = 0;
        SessionEvent::UserUnlocked(UserUnlocked { user_id, by })
    }

    fn refresh(&mut self, user_id: Uuid, which: u8, how: u8, now: Time) -> SessionEvent {
        let ((_, token_hash), (refresh_id, refresh_hash)) = (self.token(), self.token());
        let live = &mut self.account(user_id).live;
        let index = usize::from(which) % live.len();
        let live = &mut live[index];
        // Now and then the answer to the last one was lost.
        let old_refresh_id = live.before.filter(|_| how.is_multiple_of(4)).unwrap_or(live.newest);
        live.before = Some(old_refresh_id);
        live.newest = refresh_id;
        live.generation += 1;
        SessionEvent::SessionRefreshed(Box::new(SessionRefreshed {
            user_id,
            session_id: live.id,
            token_hash,
            old_refresh_id,
            refresh_id,
            refresh_hash,
            generation: live.generation,
            expires_at: later(now, if how < 128 { 30 } else { 10 }),
            device_name: given(how, 3, "another name"),
            device_metadata: (how & 16 > 0).then(|| metadata(how)),
            fcm_token: given(how, 5, "push 2"),
            origin: origin(how),
        }))
    }

    fn reuse(&mut self, user_id: Uuid, which: u8, how: u8) -> Vec<SessionEvent> {
        let live = &self.account(user_id).live;
        let live = &live[usize::from(which) % live.len()];
        let reused = RefreshTokenReused {
            user_id,
            session_id: live.id,
            generation: live.generation,
            origin: origin(how),
        };
        let ended = self.end(user_id, which, RevokedReason::TokenReuse);
        vec![SessionEvent::RefreshTokenReused(reused), ended]
    }

    fn end(&mut self, user_id: Uuid, which: u8, reason: RevokedReason) -> SessionEvent {
        let live = &mut self.account(user_id).live;
        let ended = live.remove(usize::from(which) % live.len());
        let by_user_id = (reason == RevokedReason::Logout).then_some(user_id);
        let session_id = ended.id;
        SessionEvent::SessionRevoked(SessionRevoked { user_id, session_id, reason, by_user_id })
    }
}

fn given(how: u8, bit: u8, text: &str) -> Option<String> {
    (how & (1 << bit) > 0).then(|| text.to_owned())
}

fn metadata(how: u8) -> JsonMap {
    given(how, 6, "9").map(|os| ("os".to_owned(), os.into())).into_iter().collect()
}

fn origin(how: u8) -> Origin {
    let address = ["192.0.2.7", "2001:db8::7", "198.51.100.1"].get(usize::from(how % 4));
    Origin {
        ip_address: address.map(|it| it.parse().expect("an address")),
        user_agent: given(how, 4, "an agent"),
    }
}

fn later(now: Time, days: i64) -> Time {
    now + chrono::TimeDelta::days(days)
}
