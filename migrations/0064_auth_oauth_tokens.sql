-- What a provider gives for calls in a user's name is kept where the operator wants so, sealed.
COMMENT ON COLUMN auth.oauth_providers.access_token IS 'Sealed: x1. and base64url; NULL: not kept.';
COMMENT ON COLUMN auth.oauth_providers.refresh_token IS 'Sealed: x1. and base64url; NULL: not kept, or the provider has given none.';
COMMENT ON COLUMN auth.oauth_providers.token_expires_at IS 'When the access token is over, as far as the provider says.';
