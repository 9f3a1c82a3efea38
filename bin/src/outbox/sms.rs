//! Text messages, through a gateway that takes them by HTTP.

use anyhow::bail;
use reqwest::{Client, StatusCode, Url};
use serde_json::json;

use super::{Letter, Options, Undelivered};

/// A gateway.
pub(super) struct Sms {
    url: Url,
    token: Option<String>,
    client: Client,
}

impl Sms {
    /// The one of the configuration, if there is one.
    pub(super) fn new(options: &Options) -> anyhow::Result<Option<Self>> {
        let Some(url) = &options.sms_url else { return Ok(None) };
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = url else {
            bail!("ECHOLOG_SMS_URL is no address such as https://sms.example.org/messages");
        };
        // Whoever the gateway would lead us to must not get the token.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Some(Self { url, token: options.sms_token.clone(), client }))
    }

    pub(super) async fn carry(&self, letter: &Letter) -> Result<(), Undelivered> {
        let body = json!({ "to": letter.to, "text": letter.text, "id": letter.id });
        let request = self.client.post(self.url.clone());
        let mut request = request.header("Idempotency-Key", letter.id.to_string()).json(&body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await;
        let answer = answer.map_err(|_| Undelivered::Failed("the gateway cannot be reached"))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(Undelivered::Failed("the gateway wants to be asked later"))
            }
            status if status.is_server_error() => {
                Err(Undelivered::Failed("the gateway has trouble of its own"))
            }
            status => Err(Undelivered::Refused(status.as_u16())),
        }
    }
}
