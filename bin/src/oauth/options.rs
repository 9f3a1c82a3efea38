//! What an operator says about providers.

use anyhow::{Context as _, bail};
use oauth2::url::{Host, Url};
use openidconnect::IssuerUrl;

/// Which providers vouch for people, and where they are; without a client id, one does not.
#[derive(Clone, Default, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Where providers may send clients with a code, comma separated: only codes that came there are
    /// taken.
    #[arg(long, env = "ECHOLOG_OAUTH_REDIRECT_URIS", value_delimiter = ',', global = true)]
    pub oauth_redirect_uris: Vec<String>,
    /// Keep what providers give for calls in a user's name, sealed under the master key.
    #[arg(long, env = "ECHOLOG_OAUTH_KEEP_TOKENS", global = true)]
    pub oauth_keep_tokens: bool,
    /// What Google calls this application.
    #[arg(long, env = "ECHOLOG_OAUTH_GOOGLE_CLIENT_ID", global = true)]
    pub oauth_google_client_id: Option<String>,
    /// What it knows it by.
    #[arg(long, env = "ECHOLOG_OAUTH_GOOGLE_CLIENT_SECRET", hide_env_values = true, global = true)]
    pub oauth_google_client_secret: Option<String>,
    /// What Google calls its apps for phones, comma separated: they bring ID tokens.
    #[arg(long, env = "ECHOLOG_OAUTH_GOOGLE_APP_CLIENT_IDS", value_delimiter = ',', global = true)]
    pub oauth_google_app_client_ids: Vec<String>,
    /// Where Google is.
    #[arg(
        long,
        env = "ECHOLOG_OAUTH_GOOGLE_ISSUER",
        default_value = "https://accounts.google.com",
        global = true
    )]
    pub oauth_google_issuer: String,
    /// What Apple calls this application: a Services ID.
    #[arg(long, env = "ECHOLOG_OAUTH_APPLE_CLIENT_ID", global = true)]
    pub oauth_apple_client_id: Option<String>,
    /// What it knows it by: a token that is signed with a key of yours, for six months at most.
    #[arg(long, env = "ECHOLOG_OAUTH_APPLE_CLIENT_SECRET", hide_env_values = true, global = true)]
    pub oauth_apple_client_secret: Option<String>,
    /// What Apple calls its apps, comma separated, which are bundle ids: they bring ID tokens.
    #[arg(long, env = "ECHOLOG_OAUTH_APPLE_APP_CLIENT_IDS", value_delimiter = ',', global = true)]
    pub oauth_apple_app_client_ids: Vec<String>,
    /// Where Apple is.
    #[arg(
        long,
        env = "ECHOLOG_OAUTH_APPLE_ISSUER",
        default_value = "https://appleid.apple.com",
        global = true
    )]
    pub oauth_apple_issuer: String,
    /// What Facebook calls this application.
    #[arg(long, env = "ECHOLOG_OAUTH_FACEBOOK_CLIENT_ID", global = true)]
    pub oauth_facebook_client_id: Option<String>,
    /// What it knows it by.
    #[arg(
        long,
        env = "ECHOLOG_OAUTH_FACEBOOK_CLIENT_SECRET",
        hide_env_values = true,
        global = true
    )]
    pub oauth_facebook_client_secret: Option<String>,
    /// Where Facebook gives tokens for codes.
    #[arg(
        long,
        env = "ECHOLOG_OAUTH_FACEBOOK_TOKEN_URL",
        default_value = "https://graph.facebook.com/v24.0/oauth/access_token",
        global = true
    )]
    pub oauth_facebook_token_url: String,
    /// Where Facebook says who somebody is.
    #[arg(
        long,
        env = "ECHOLOG_OAUTH_FACEBOOK_USER_URL",
        default_value = "https://graph.facebook.com/v24.0/me",
        global = true
    )]
    pub oauth_facebook_user_url: String,
    /// What GitHub calls this application.
    #[arg(long, env = "ECHOLOG_OAUTH_GITHUB_CLIENT_ID", global = true)]
    pub oauth_github_client_id: Option<String>,
    /// What it knows it by.
    #[arg(long, env = "ECHOLOG_OAUTH_GITHUB_CLIENT_SECRET", hide_env_values = true, global = true)]
    pub oauth_github_client_secret: Option<String>,
    /// Where GitHub gives tokens for codes.
    #[arg(
        long,
        env = "ECHOLOG_OAUTH_GITHUB_TOKEN_URL",
        default_value = "https://github.com/login/oauth/access_token",
        global = true
    )]
    pub oauth_github_token_url: String,
    /// Where GitHub says who somebody is.
    #[arg(
        long,
        env = "ECHOLOG_OAUTH_GITHUB_USER_URL",
        default_value = "https://api.github.com/user",
        global = true
    )]
    pub oauth_github_user_url: String,
}

/// Without secrets.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("redirect_uris", &self.oauth_redirect_uris)
            .field("keep_tokens", &self.oauth_keep_tokens)
            .finish_non_exhaustive()
    }
}

/// What a provider knows this application by.
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: String,
}

impl Client {
    /// The one of the configuration, if there is one.
    pub(super) fn of(
        provider: &str,
        id: Option<&str>,
        secret: Option<&str>,
    ) -> anyhow::Result<Option<Self>> {
        match (id, secret) {
            (None, None) => Ok(None),
            (Some(id), Some(secret)) => {
                Ok(Some(Self { id: id.to_owned(), secret: secret.to_owned() }))
            }
            (None, Some(_)) | (Some(_), None) => bail!(
                "ECHOLOG_OAUTH_{provider}_CLIENT_ID and ECHOLOG_OAUTH_{provider}_CLIENT_SECRET are set together or not at all"
            ),
        }
    }
}

/// An address at which secrets are safe: by TLS, or on this machine.
pub(super) fn address(name: &str, text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).with_context(|| format!("{name} is no address"))?;
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || url.scheme() == "http" && here {
        return Ok(url);
    }
    bail!("{name} is no address that begins with https://")
}

/// The same, in the very words by which tokens call it.
pub(super) fn issuer(name: &str, text: &str) -> anyhow::Result<IssuerUrl> {
    address(name, text)?;
    Ok(IssuerUrl::new(text.to_owned())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_by_tls_or_stay_here() {
        for good in ["https://accounts.google.com", "http://127.0.0.1:1", "http://[::1]:1/a"] {
            assert!(address("x", good).is_ok(), "{good}");
        }
        for bad in ["http://example.org", "ftp://127.0.0.1", "accounts.google.com", ""] {
            assert!(address("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_without_a_secret_is_a_mistake() {
        assert!(Client::of("GOOGLE", Some("x"), None).is_err());
        assert!(Client::of("GOOGLE", None, Some("x")).is_err());
        assert!(Client::of("GOOGLE", None, None).is_ok_and(|client| client.is_none()));
    }
}
