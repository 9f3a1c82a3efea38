//! Stored events are for ever: every version ever written decodes, and today's is the newest.
//!
//! `ECHOLOG_BLESS=1` writes the file of a new event. A file that exists is never changed.

#![allow(clippy::too_many_lines, reason = "one sample of each event")]

use std::fs;
use std::path::PathBuf;

use echolog_events::*;
use serde_json::json;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0192_f3c4_aaaa_7bbb_8ccc_0000_0000_0000 | number)
}

/// One event of each type, with every field in use.
fn samples() -> Vec<Event> {
    let metadata = json!({ "file_url": "https://example.org/a.png", "width": 640, "ratio": 1.5, "tags": ["a", null, true] });
    let serde_json::Value::Object(metadata) = metadata else { panic!("an object") };
    let (conversation_id, message_id, user_id) = (id(1), id(2), id(3));
    let reaction = Reaction { conversation_id, message_id, user_id, emoji: "👍".to_owned() };
    let pin = Pin { conversation_id, message_id, user_id };
    let text = |text: &str| Some(text.to_owned());
    let session_id = id(5);
    let origin = Origin { ip_address: "192.0.2.1".parse().ok(), user_agent: text("a browser") };
    let serde_json::Value::Object(device) = json!({ "os": "iOS" }) else { panic!("an object") };
    let serde_json::Value::Object(action) = json!({ "until": null }) else { panic!("an object") };
    let later = DateTime::from_timestamp(1_800_000_000, 123_456_000).expect("a time");
    vec![
        Event::Auth(AuthEvent::UserRegistered(UserRegistered {
            user_id,
            username: text("Ada"),
            email: text("ada@example.org"),
            phone_number: text("+442071838750"),
            password_hash: Some(PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA")),
            display_name: "Ada Lovelace".to_owned(),
            user_type: UserType::Mobile,
            role: UserRole::User,
            account_status: AccountStatus::Active,
        })),
        Event::Auth(AuthEvent::IdentifierClaimed(IdentifierClaimed {
            kind: ClaimKind::PhoneNumber,
            owner_id: user_id,
        })),
        Event::Auth(AuthEvent::IdentifierReleased(IdentifierReleased {
            kind: ClaimKind::DirectPair,
            owner_id: conversation_id,
        })),
        Event::Auth(AuthEvent::AdminRosterChanged(AdminRosterChanged {
            admins: vec![user_id, id(4)],
        })),
        Event::Accounts(AccountEvent::UserSuspended(UserSuspended {
            user_id,
            reason: "spam".to_owned(),
            until: Some(later),
            by_user_id: Some(id(4)),
        })),
        Event::Accounts(AccountEvent::UserBanned(UserBanned {
            user_id,
            reason: "more spam".to_owned(),
            by_user_id: None,
        })),
        Event::Accounts(AccountEvent::UserReinstated(UserReinstated {
            user_id,
            status: AccountStatus::Active,
            by_user_id: Some(id(4)),
        })),
        Event::Accounts(AccountEvent::UserRoleChanged(UserRoleChanged {
            user_id,
            old_role: UserRole::User,
            new_role: UserRole::Moderator,
            by_user_id: Some(id(4)),
        })),
        Event::Accounts(AccountEvent::UserDeleted(UserDeleted {
            user_id,
            reason: text("no use for it"),
            by_user_id: Some(user_id),
        })),
        Event::Accounts(AccountEvent::EmailChanged(EmailChanged {
            user_id,
            email: "countess@example.org".to_owned(),
            origin: origin.clone(),
        })),
        Event::Accounts(AccountEvent::PhoneChanged(PhoneChanged {
            user_id,
            phone_number: "+442071838751".to_owned(),
            origin: Origin::default(),
        })),
        Event::Accounts(AccountEvent::EmailVerified(EmailVerified {
            user_id,
            email: "ada@example.org".to_owned(),
            activates: true,
        })),
        Event::Accounts(AccountEvent::PhoneVerified(PhoneVerified {
            user_id,
            phone_number: "+442071838750".to_owned(),
            activates: false,
        })),
        Event::Sessions(SessionEvent::LoginSucceeded(LoginSucceeded {
            user_id,
            session_id,
            identifier: "ada@example.org".to_owned(),
            identifier_type: IdentifierType::Email,
            method: LoginMethod::Password,
            origin: origin.clone(),
            device_id: "a phone".to_owned(),
        })),
        Event::Sessions(SessionEvent::LoginFailed(LoginFailed {
            account_id: user_id,
            user_id: Some(user_id),
            identifier: "+442071838750".to_owned(),
            identifier_type: IdentifierType::Phone,
            reason: LoginFailure::WrongPassword,
            counts: true,
            origin: Origin::default(),
            device_id: text("a phone"),
        })),
        Event::Sessions(SessionEvent::UserLocked(UserLocked {
            account_id: user_id,
            user_id: Some(user_id),
            locked_until: later,
            failed_attempts: 5,
            origin: origin.clone(),
        })),
        Event::Sessions(SessionEvent::UserUnlocked(UserUnlocked {
            user_id,
            by: UnlockedBy::Admin,
            by_user_id: Some(user_id),
        })),
        Event::Sessions(SessionEvent::SessionStarted(Box::new(SessionStarted {
            user_id,
            session_id,
            token_hash: TokenHash::new("aa"),
            refresh_id: id(6),
            refresh_hash: TokenHash::new("bb"),
            device_id: "a phone".to_owned(),
            device_name: text("Ada's"),
            device_type: Some(DeviceType::Mobile),
            platform: Platform::Ios,
            device_fingerprint: text("f"),
            device_metadata: device.clone(),
            fcm_token: text("p"),
            origin: origin.clone(),
            expires_at: later,
        }))),
        Event::Sessions(SessionEvent::SessionRefreshed(Box::new(SessionRefreshed {
            user_id,
            session_id,
            token_hash: TokenHash::new("cc"),
            old_refresh_id: id(6),
            refresh_id: id(7),
            refresh_hash: TokenHash::new("dd"),
            generation: 1,
            refreshed_at: later,
            expires_at: later,
            device_name: text("Ada's"),
            device_metadata: Some(device),
            fcm_token: text("q"),
            origin: origin.clone(),
        }))),
        Event::Sessions(SessionEvent::RefreshTokenReused(RefreshTokenReused {
            user_id,
            session_id,
            generation: 0,
            origin: origin.clone(),
        })),
        Event::Sessions(SessionEvent::SessionRevoked(SessionRevoked {
            user_id,
            session_id,
            reason: RevokedReason::TokenReuse,
            by_user_id: Some(user_id),
        })),
        Event::Sessions(SessionEvent::SessionActivityRecorded(SessionActivityRecorded {
            user_id,
            session_id,
            active_at: later,
        })),
        Event::Sessions(SessionEvent::SessionExpired(SessionExpired {
            user_id,
            session_id,
            expired_at: later,
        })),
        Event::Sessions(SessionEvent::RetentionApplied(RetentionApplied {
            account_id: user_id,
            sessions_before: later - chrono::TimeDelta::days(29),
            codes_before: later,
        })),
        Event::Credentials(CredentialEvent::TwoFactorBegun(TwoFactorBegun {
            user_id,
            factor_id: id(6),
            salt: "00112233445566778899aabbccddeeff".to_owned(),
            expires_at: later,
        })),
        Event::Credentials(CredentialEvent::TwoFactorEnabled(TwoFactorEnabled {
            user_id,
            method: TwoFactorMethod::Totp,
            factor_id: Some(id(6)),
            step: Some(60_000_000),
        })),
        Event::Credentials(CredentialEvent::TwoFactorDisabled(TwoFactorDisabled {
            user_id,
            by_user_id: Some(user_id),
            reason: text("lost phone"),
        })),
        Event::Credentials(CredentialEvent::TotpUsed(TotpUsed {
            user_id,
            factor_id: id(6),
            step: 60_000_001,
        })),
        Event::Credentials(CredentialEvent::RecoveryCodesGenerated(RecoveryCodesGenerated {
            user_id,
            set_id: id(7),
            codes: vec![
                RecoveryCode { id: id(8), hash: CodeHash::new("ab".repeat(32)) },
                RecoveryCode { id: id(9), hash: CodeHash::new("cd".repeat(32)) },
            ],
        })),
        Event::Credentials(CredentialEvent::RecoveryCodeUsed(RecoveryCodeUsed {
            user_id,
            code_id: id(8),
        })),
        Event::Passwords(PasswordEvent::PasswordChanged(PasswordChanged {
            user_id,
            number: 1,
            password_hash: PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"),
            how: PasswordChange::Change,
            origin: Origin::default(),
        })),
        Event::Passwords(PasswordEvent::PasswordRehashed(PasswordRehashed {
            user_id,
            number: 2,
            password_hash: PasswordHash::new("$argon2id$v=19$m=19456,t=3,p=1$c2FsdA$aGFzaA"),
        })),
        Event::Codes(CodeEvent::OtpRequested(Box::new(OtpRequested {
            account_id: user_id,
            user_id: Some(user_id),
            otp_id: id(8),
            identifier: "ada@example.org".to_owned(),
            identifier_type: IdentifierType::Email,
            identifier_hash: "ee".to_owned(),
            purpose: OtpPurpose::TwoFactor,
            otp_hash: CodeHash::new("ff"),
            max_attempts: 5,
            requested_at: later,
            expires_at: later,
            replaces: Some(id(9)),
            origin: origin.clone(),
        }))),
        Event::Codes(CodeEvent::OtpVerified(OtpVerified {
            account_id: user_id,
            user_id: Some(user_id),
            otp_id: id(8),
            verified_at: later,
            proof_hash: Some(TokenHash::new("ab")),
            origin: origin.clone(),
        })),
        Event::Codes(CodeEvent::OtpAttemptFailed(OtpAttemptFailed {
            account_id: user_id,
            user_id: None,
            otp_id: id(8),
            attempts: 1,
            origin: origin.clone(),
        })),
        Event::Codes(CodeEvent::PasswordResetRequested(Box::new(PasswordResetRequested {
            account_id: user_id,
            user_id: Some(user_id),
            reset_id: id(10),
            identifier_hash: "ee".to_owned(),
            token_hash: TokenHash::new("ac"),
            requested_at: later,
            expires_at: later,
            replaces: Some(id(11)),
            origin: origin.clone(),
        }))),
        Event::Codes(CodeEvent::PasswordResetCompleted(PasswordResetCompleted {
            user_id,
            reset_id: id(10),
            replaces: None,
            origin,
        })),
        Event::Credentials(CredentialEvent::ApiKeyCreated(ApiKeyCreated {
            user_id,
            api_key_id: id(8),
            name: "the build server".to_owned(),
            key_prefix: "ek_AZLzxKqq".to_owned(),
            key_hash: TokenHash::new("ee"),
            scopes: vec![Scope::Messages, Scope::Users],
            expires_at: Some(later),
        })),
        Event::Credentials(CredentialEvent::ApiKeyUsed(ApiKeyUsed {
            user_id,
            api_key_id: id(8),
            count: 3,
            last_used_at: later,
        })),
        Event::Credentials(CredentialEvent::ApiKeyRevoked(ApiKeyRevoked {
            user_id,
            api_key_id: id(8),
            by_user_id: Some(user_id),
        })),
        Event::Credentials(CredentialEvent::OauthProviderLinked(OauthProviderLinked {
            user_id,
            link_id: id(11),
            provider: OauthProvider::Google,
            provider_user_id: "110169484474386276334".to_owned(),
            provider_email: text("ada@example.org"),
            profile_data: json!({ "sub": "110169484474386276334", "name": "Ada" })
                .as_object()
                .cloned()
                .unwrap_or_default(),
            has_password: true,
        })),
        Event::Credentials(CredentialEvent::OauthProviderUnlinked(OauthProviderUnlinked {
            user_id,
            link_id: id(11),
            provider: OauthProvider::Github,
            by_user_id: Some(user_id),
        })),
        Event::Credentials(CredentialEvent::OauthTokenRefreshed(OauthTokenRefreshed {
            user_id,
            link_id: id(11),
            provider: OauthProvider::Google,
            access_token: Sealed::new("x1.QWNjZXNz"),
            refresh_token: Some(Sealed::new("x1.UmVmcmVzaA")),
            token_expires_at: Some(later),
        })),
        Event::Users(UsersEvent::ProfileUpdated(ProfileUpdated {
            user_id,
            display_name: text("Ada L."),
            full_name: text("Ada Lovelace"),
            bio: text(""),
            avatar_url: text("https://example.org/ada.png"),
            profile_visibility: Some(ProfileVisibility::Friends),
            language_code: text("en"),
            timezone: None,
        })),
        Event::Users(UsersEvent::UserBlocked(UserBlocked {
            user_id,
            blocked_user_id: id(4),
            reason: text("spam"),
        })),
        Event::Users(UsersEvent::UserUnblocked(UserUnblocked { user_id, blocked_user_id: id(4) })),
        Event::Audit(AuditEvent::AdminActionRecorded(AdminActionRecorded {
            user_id,
            admin_user_id: Some(id(4)),
            action: AdminAction::SuspendUser,
            details: action,
            reason: text("spam"),
            ip_address: "192.0.2.2".parse().ok(),
        })),
        Event::Audit(AuditEvent::SensitiveDataAccessed(SensitiveDataAccessed {
            user_id,
            by_user_id: None,
            data_type: "account".to_owned(),
            access_type: AccessType::Read,
            purpose: text("a request of hers"),
            ip_address: "192.0.2.2".parse().ok(),
        })),
        Event::Messages(MessagesEvent::ConversationCreated(ConversationCreated {
            conversation_id,
            conversation_type: ConversationType::Direct,
            creator_user_id: user_id,
            title: text("a title"),
            description: None,
            avatar_url: text("https://example.org/a.png"),
            is_public: true,
            is_encrypted: false,
            direct_key: text("a:b"),
        })),
        Event::Messages(MessagesEvent::ConversationUpdated(ConversationUpdated {
            conversation_id,
            title: text("t"),
            description: text(""),
            avatar_url: None,
        })),
        Event::Messages(MessagesEvent::ConversationOwnershipTransferred(OwnershipTransferred {
            conversation_id,
            old_owner_user_id: user_id,
            new_owner_user_id: id(4),
            old_role: Role::Moderator,
        })),
        Event::Messages(MessagesEvent::ParticipantJoined(ParticipantJoined {
            conversation_id,
            user_id,
            role: Role::Member,
            invited_by_user_id: Some(id(4)),
        })),
        Event::Messages(MessagesEvent::ParticipantLeft(ParticipantLeft {
            conversation_id,
            user_id,
            old_role: Role::Admin,
        })),
        Event::Messages(MessagesEvent::ParticipantRemoved(ParticipantRemoved {
            conversation_id,
            user_id,
            removed_by_user_id: id(4),
            old_role: Role::Member,
        })),
        Event::Messages(MessagesEvent::ParticipantRoleChanged(ParticipantRoleChanged {
            conversation_id,
            user_id,
            old_role: Role::Member,
            new_role: Role::Owner,
        })),
        Event::Messages(MessagesEvent::MessageSent(MessageSent {
            conversation_id,
            message_id,
            sender_user_id: user_id,
            recipient_user_id: Some(id(4)),
            message_type: MessageType::Image,
            content: "Grüße 🎉".to_owned(),
            content_encrypted: true,
            metadata,
            reply_to_message_id: Some(id(5)),
            thread_root_message_id: Some(id(6)),
            forward_from_message_id: Some(id(7)),
            forward_from_conversation_id: Some(id(8)),
            mentions: vec![id(4), id(9)],
        })),
        Event::Messages(MessagesEvent::MessageEdited(MessageEdited {
            conversation_id,
            message_id,
            editor_user_id: user_id,
            content: "new".to_owned(),
        })),
        Event::Messages(MessagesEvent::MessageDeleted(MessageDeleted {
            conversation_id,
            message_id,
            deleted_by_user_id: id(4),
            sender_user_id: user_id,
        })),
        Event::Messages(MessagesEvent::ReactionAdded(reaction.clone())),
        Event::Messages(MessagesEvent::ReactionRemoved(reaction)),
        Event::Messages(MessagesEvent::MessagePinned(pin.clone())),
        Event::Messages(MessagesEvent::MessageUnpinned(pin)),
        Event::Messages(MessagesEvent::MessageDelivered(ConversationDelivered {
            conversation_id,
            user_id,
            message_id,
        })),
        Event::Messages(MessagesEvent::ConversationRead(ConversationRead {
            conversation_id,
            user_id,
            message_id,
        })),
        Event::System(SystemEvent::OwnershipTaken(OwnershipTaken { owner: "host:1".to_owned() })),
        Event::System(SystemEvent::PositionRecorded(PositionRecorded {})),
        Event::System(SystemEvent::AttemptRecorded(AttemptRecorded {
            command: CommandPosition { sequence: 7, nanoseconds: 1_795_238_171_345_842_070 },
        })),
    ]
}

fn file(event_type: EventType, extension: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(format!("{}.v{}.{extension}", event_type.name, event_type.schema))
}

#[test]
fn there_is_a_sample_of_every_type() {
    let types: Vec<EventType> = samples().iter().map(Event::event_type).collect();
    assert_eq!(types, EVENT_TYPES);
}

#[test]
fn what_is_written_today_is_the_newest_golden_file() {
    let bless = std::env::var_os("ECHOLOG_BLESS").is_some();
    for event in samples() {
        let path = file(event.event_type(), "msgpack");
        if bless && !path.exists() {
            fs::write(&path, event.encode()).expect("the file can be written");
            let shown = serde_json::to_string_pretty(&event.to_json()).expect("JSON");
            fs::write(file(event.event_type(), "json"), shown + "\n")
                .expect("the file can be written");
        }
        let stored = fs::read(&path)
            .unwrap_or_else(|_| panic!("{}: write it with ECHOLOG_BLESS=1", path.display()));
        assert_eq!(stored, event.encode(), "{}: a new shape is a new version", path.display());
    }
}

#[test]
fn every_golden_file_decodes() {
    let samples = samples();
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    for entry in fs::read_dir(directory).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "msgpack") {
            continue;
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let (name, version) = stem.rsplit_once(".v").expect("name.vN");
        let version = version.parse().expect("a number");
        let body = Event::decode(name, version, &fs::read(&path).expect("readable"));
        let Body::Known(event) = body else { panic!("{}: {body:?}", path.display()) };
        let newest = EventType::find(name).expect("a type that exists");
        if newest.schema == version {
            assert!(samples.contains(&event), "{}", path.display());
        }
    }
}

#[test]
fn anything_else_is_unreadable_and_says_why() {
    let unreadable = [
        Event::decode("messages.message_sent", 1, b"\xc1"),
        Event::decode("messages.message_sent", 99, b"\x80"),
        Event::decode("messages.message_mumbled", 1, b"\x80"),
    ];
    for body in unreadable {
        assert!(
            matches!(body, Body::Unreadable(Unreadable { ref reason, .. }) if !reason.is_empty())
        );
    }
}
