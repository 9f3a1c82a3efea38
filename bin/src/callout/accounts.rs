//! The accounts of nats-server: the configuration and the secrets that go with it.

use argon2::password_hash::rand_core::{OsRng, RngCore as _};
use echolog_nats::{CalloutKeys, new_seeds};

use super::Options;

/// The account that keeps everything.
pub const CORE: &str = "CORE";

/// The user of that account.
pub const CORE_USER: &str = "echolog";

const TEMPLATE: &str = include_str!("../../../nats/accounts.conf");

/// Everything that nats-server and the processes of Echolog have to know of each other.
#[derive(Clone)]
pub struct Secrets {
    /// The password of all processes but the callout.
    pub core: String,
    /// The callout's password.
    pub callout: String,
    /// The system account's password.
    pub system: String,
    /// The seed of the key that the callout signs with.
    pub issuer: String,
    /// The seed of the key that requests to it are sealed for.
    pub xkey: String,
}

/// Nothing of them.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// New ones.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new() -> anyhow::Result<Self> {
        let [issuer, xkey] = new_seeds()?;
        Ok(Self { core: random(), callout: random(), system: random(), issuer, xkey })
    }

    /// The accounts, as nats-server reads them.
    ///
    /// # Errors
    /// A seed that is none.
    pub fn configuration(&self) -> anyhow::Result<String> {
        let keys = CalloutKeys::from_seeds(&self.issuer, &self.xkey)?;
        let values = [
            ("core_password", &self.core),
            ("callout_password", &self.callout),
            ("system_password", &self.system),
            ("issuer", &keys.issuer()),
            ("xkey", &keys.xkey()),
        ];
        // What looks like a number or a variable is neither.
        let fill = |text: String, (name, value): (&str, &String)| {
            text.replace(&format!("{{{{{name}}}}}"), &format!("\"{value}\""))
        };
        Ok(values.into_iter().fold(TEMPLATE.to_owned(), fill))
    }

    /// How the callout reaches servers of this configuration.
    #[must_use]
    pub fn callout(&self, server: &str) -> Options {
        let url = |user: &str, password: &str| Some(format!("nats://{user}:{password}@{server}"));
        Options {
            callout_url: url("callout", &self.callout),
            system_url: url("system", &self.system),
            callout_issuer: Some(self.issuer.clone()),
            callout_xkey: Some(self.xkey.clone()),
            ..Options::default()
        }
    }
}

/// 256 random bits.
pub(crate) fn random() -> String {
    let mut bytes = [0_u8; 32];
    OsRng.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_holds_no_seed_and_no_gap() {
        let secrets = Secrets::new().expect("randomness");
        let text = secrets.configuration().expect("good seeds");
        let filled = text.lines().filter(|line| !line.starts_with('#')).collect::<String>();
        assert!(!filled.contains("{{"), "{filled}");
        assert!(!text.contains(&secrets.issuer) && !text.contains(&secrets.xkey), "{text}");
        assert!(!format!("{secrets:?}").contains(&secrets.core));
    }
}
