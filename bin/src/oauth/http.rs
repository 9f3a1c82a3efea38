//! Asking providers by HTTP.

use std::future::Future;
use std::pin::Pin;

use oauth2::http::Response;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{Client, Request};

use super::PATIENCE;

/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 256 * 1024;

/// Why there is no answer. What the other side said is left out: it may repeat what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("it cannot be reached")]
    Unreachable,
    #[error("it says more than is read")]
    TooMuch,
}

/// Asks once, and follows nowhere: whoever a provider would lead us to must not get what we tell it.
pub(super) struct Http(Client);

impl Http {
    pub(super) fn new() -> anyhow::Result<Self> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent("echolog")
            .build()?;
        Ok(Self(client))
    }

    pub(super) async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let unreachable = |_| NoAnswer::Unreachable;
        let request = Request::try_from(request).map_err(unreachable)?;
        let mut answer = self.0.execute(request).await.map_err(unreachable)?;
        let mut whole = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            whole = whole.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(NoAnswer::TooMuch);
            }
            body.extend_from_slice(&chunk);
        }
        whole.body(body).map_err(|_| NoAnswer::Unreachable)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
