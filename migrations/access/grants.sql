-- Who may do what at all; which rows, row-level security says. Granted anew by each `echolog migrate`
-- and after a restore. A table that is named nowhere here is nobody's but the owner's.

BEGIN;
-- A worker that makes a month's partition changes the same row of the catalogue.
LOCK TABLE audit.record_changes IN SHARE UPDATE EXCLUSIVE MODE;

-- A function is everybody's when it is made, and again after a restore. These tell something, or
-- cost processor time.
REVOKE EXECUTE ON FUNCTION auth.is_admin(), messages.my_conversation_ids(),
    messages.is_conversation_participant(uuid), messages.is_conversation_admin(uuid),
    messages.can_send_messages(uuid),
    messages.can_delete_message(uuid, uuid), messages.can_delete_message(uuid),
    messages.search_messages(text, uuid, integer, timestamptz),
    users.is_blocked_by(uuid), users.are_contacts(uuid, uuid), users.is_contact_with(uuid),
    users.generate_unique_username(varchar),
    auth.hash_password(text), auth.verify_password(text, text), auth.generate_otp(integer),
    auth.generate_token(integer), audit.ensure_month(date)
FROM PUBLIC;

-- The reader: what an application shows its users. Nothing of the projections but how far they are:
-- their rows hold what other tables keep back.
GRANT USAGE ON SCHEMA auth, users, messages, audit, views, projection, location, media
TO echolog_reader;

-- Without `password_hash`.
GRANT SELECT (
    id, email, phone_number, username, password_changed_at, role, user_type, account_status,
    email_verified, email_verified_at, phone_verified, phone_verified_at, two_factor_enabled,
    two_factor_method, failed_login_attempts, locked, locked_until, last_login_at, device_id, suspension_reason,
    suspended_at, suspended_until, created_at, updated_at, deleted_at
) ON auth.users TO echolog_reader;

-- Without the hashes of tokens.
GRANT SELECT (
    id, user_id, device_id, device_name, device_type, platform, device_fingerprint, device_metadata,
    ip_address, user_agent, location, fcm_token, expires_at, last_activity_at, revoked_at,
    revoked_reason, created_at, updated_at
) ON auth.sessions TO echolog_reader;
GRANT SELECT (
    id, user_id, session_id, device_id, expires_at, revoked, revoked_at, replaced_by_id, created_at,
    updated_at
) ON auth.refresh_tokens TO echolog_reader;
GRANT SELECT (id, user_id, set_id, used_at, revoked_at, created_at, updated_at)
ON auth.recovery_codes TO echolog_reader;

-- Without the hashes of codes, and the column where no code is.
GRANT SELECT (
    id, account_id, user_id, identifier, identifier_type, purpose, attempts, max_attempts, verified,
    verified_at, expires_at, created_at, updated_at
) ON auth.otp_verifications TO echolog_reader;
GRANT SELECT (
    id, user_id, name, key_prefix, scopes, last_used_at, usage_count, expires_at, revoked_at,
    created_at, updated_at
) ON auth.api_keys TO echolog_reader;
GRANT SELECT (
    id, user_id, provider, provider_user_id, provider_email, token_expires_at, profile_data,
    created_at, updated_at
) ON auth.oauth_providers TO echolog_reader;
GRANT SELECT (id, user_id, expires_at, used_at, created_at, updated_at)
ON auth.password_reset_tokens TO echolog_reader;

GRANT SELECT ON
    auth.two_factor_factors, auth.login_history, auth.security_events,
    users.profiles, users.settings, users.blocked_users, users.activity_log,
    messages.conversations, messages.members, messages.membership_periods, messages.messages,
    messages.message_edits, messages.message_reactions, messages.threads, messages.cursor_moves,
    messages.participant_history, messages.pinned_messages,
    messages.conversation_participants, messages.message_receipts, messages.message_status,
    messages.delivery_tracking, messages.reactions,
    views.unread_counts,
    audit.auth_events, audit.record_changes, audit.admin_actions, audit.sensitive_data_access,
    projection.checkpoints
TO echolog_reader;

GRANT EXECUTE ON FUNCTION auth.is_admin(), messages.my_conversation_ids(),
    messages.is_conversation_participant(uuid), messages.is_conversation_admin(uuid),
    messages.can_send_messages(uuid),
    messages.can_delete_message(uuid, uuid), messages.can_delete_message(uuid),
    messages.search_messages(text, uuid, integer, timestamptz),
    users.is_blocked_by(uuid), users.is_contact_with(uuid), users.generate_unique_username(varchar)
TO echolog_reader;

-- The workers. Tables are the owner's to make and to exchange.
GRANT USAGE ON SCHEMA auth, users, messages, audit, projection TO echolog_projector;

GRANT SELECT, INSERT, UPDATE, DELETE ON
    auth.users, auth.sessions, auth.refresh_tokens, auth.two_factor_factors, auth.recovery_codes,
    auth.otp_verifications, auth.password_reset_tokens, auth.api_keys, auth.oauth_providers,
    users.profiles, users.settings, users.blocked_users, users.activity_log,
    messages.conversations, messages.members, messages.membership_periods, messages.messages,
    messages.message_edits, messages.message_reactions, messages.threads, messages.cursor_moves,
    messages.participant_history, messages.pinned_messages,
    projection.deciders, projection.ledger, projection.parked
TO echolog_projector;

-- What happened stays.
GRANT SELECT, INSERT ON
    audit.auth_events, audit.record_changes, audit.admin_actions, audit.sensitive_data_access,
    auth.login_history, auth.security_events
TO echolog_projector;
GRANT EXECUTE ON FUNCTION audit.ensure_month(date) TO echolog_projector;

GRANT SELECT, UPDATE ON projection.checkpoints, projection.folds TO echolog_projector;
-- What a person has said: which log this is, and what was given up.
GRANT SELECT ON projection.log, projection.skipped, _sqlx_migrations TO echolog_projector;

-- The analyst: numbers about many.
GRANT USAGE ON SCHEMA views, location, media TO echolog_analyst;
GRANT SELECT ON
    views.user_growth, views.registrations, views.messaging_stats, views.message_types,
    views.conversation_sizes
TO echolog_analyst;
COMMIT;
