//! Logs of what operators do about accounts, written by hand.

use echolog_events::{
    AccessType, AccountEvent, AccountStatus, AdminAction, AdminActionRecorded, AuditEvent, Event,
    JsonMap, SensitiveDataAccessed, Stream, StreamKey, Time, UserBanned, UserDeleted,
    UserReinstated, UserRole, UserRoleChanged, UserSuspended, Uuid,
};

use super::Log;

impl Log {
    /// Appends something that is done about an account, with what the audit remembers of it.
    pub(crate) fn operate(&mut self, user_id: Uuid, known: (AdminAction, AccountEvent)) {
        let (action, event) = known;
        let recorded = AuditEvent::AdminActionRecorded(AdminActionRecorded {
            user_id,
            admin_user_id: None,
            action,
            details: JsonMap::from_iter([("n".to_owned(), 1.into())]),
            reason: Some("because".to_owned()),
            ip_address: "192.0.2.3".parse().ok(),
        });
        let key = StreamKey::of(Stream::User, user_id);
        let events = vec![(key.clone(), Event::Accounts(event)), (key, Event::Audit(recorded))];
        self.command(user_id, events);
    }

    /// An operator looks at an account.
    pub(crate) fn look_at(&mut self, user_id: Uuid) {
        let looked = AuditEvent::SensitiveDataAccessed(SensitiveDataAccessed {
            user_id,
            by_user_id: None,
            data_type: "account".to_owned(),
            access_type: AccessType::Read,
            purpose: Some("a request".to_owned()),
            ip_address: "192.0.2.3".parse().ok(),
        });
        self.command(user_id, vec![(StreamKey::of(Stream::User, user_id), Event::Audit(looked))]);
    }
}

pub(crate) fn suspended(
    user_id: Uuid,
    reason: &str,
    until: Option<Time>,
) -> (AdminAction, AccountEvent) {
    let reason = reason.to_owned();
    let event = UserSuspended { user_id, reason, until, by_user_id: None };
    (AdminAction::SuspendUser, AccountEvent::UserSuspended(event))
}

pub(crate) fn banned(user_id: Uuid, reason: &str) -> (AdminAction, AccountEvent) {
    let event = UserBanned { user_id, reason: reason.to_owned(), by_user_id: None };
    (AdminAction::BanUser, AccountEvent::UserBanned(event))
}

pub(crate) fn reinstated(user_id: Uuid) -> (AdminAction, AccountEvent) {
    let event = UserReinstated { user_id, status: AccountStatus::Active, by_user_id: None };
    (AdminAction::ReinstateUser, AccountEvent::UserReinstated(event))
}

pub(crate) fn promoted(user_id: Uuid, new_role: UserRole) -> (AdminAction, AccountEvent) {
    let old_role = UserRole::User;
    let event = UserRoleChanged { user_id, old_role, new_role, by_user_id: None };
    (AdminAction::ChangeUserRole, AccountEvent::UserRoleChanged(event))
}

pub(crate) fn deleted(user_id: Uuid) -> (AdminAction, AccountEvent) {
    let event = UserDeleted { user_id, reason: None, by_user_id: Some(user_id) };
    (AdminAction::DeleteUser, AccountEvent::UserDeleted(event))
}
