//! Mails, through an SMTP server.

use anyhow::{Context as _, bail};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Mailboxes};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::{Letter, Options, Undelivered};

/// A server that takes mails.
pub(super) struct Smtp {
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Smtp {
    /// The one of the configuration, if there is one.
    pub(super) fn new(options: &Options) -> anyhow::Result<Option<Self>> {
        let Some(url) = &options.smtp_url else { return Ok(None) };
        let Some(from) = &options.mail_from else {
            bail!("ECHOLOG_SMTP_URL is set but not ECHOLOG_MAIL_FROM: say whom mails are from");
        };
        let from = from
            .parse()
            .context("ECHOLOG_MAIL_FROM is no address such as Echolog <noreply@example.org>")?;
        // The error would repeat the URL, which has a password in it.
        let Ok(transport) = AsyncSmtpTransport::<Tokio1Executor>::from_url(url) else {
            bail!("ECHOLOG_SMTP_URL is no address such as smtps://user:password@mail.example.org");
        };
        Ok(Some(Self { from, transport: transport.build() }))
    }

    pub(super) async fn carry(&self, letter: &Letter) -> Result<(), Undelivered> {
        let to: Address = letter.to.parse().map_err(|_| Undelivered::Refused(553))?;
        let id = format!("<{}@{}>", letter.id, self.from.email.domain());
        let message = Message::builder()
            .from(self.from.clone())
            .mailbox(lettre::message::header::To::from(Mailboxes::from(Mailbox::new(None, to))))
            .subject(letter.subject)
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone())
            .map_err(|_| Undelivered::Refused(554))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.status() {
                Some(code) if error.is_permanent() => Undelivered::Refused(code.into()),
                Some(_) => Undelivered::Failed("the mail server refuses it for now"),
                None => Undelivered::Failed("the mail server cannot be reached"),
            }),
        }
    }
}
