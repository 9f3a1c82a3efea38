//! The values that command bodies are made of. Reading one is checking it.

use std::collections::BTreeMap;
use std::fmt;

use echolog_events::{DateTime, JsonMap, Time, Uuid};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The most bytes of a message's text.
pub const MAX_CONTENT: usize = 16 * 1024;

/// Marks an error of a value that is too large on its way through serde, which knows only texts.
pub(crate) const TOO_LARGE: &str = "\u{1}too large: ";

/// Reads a UUID in lower-case, hyphenated text: any other spelling would name another stream.
///
/// # Errors
/// Anything else.
pub fn parse_id(text: &str) -> Result<Uuid, &'static str> {
    match Uuid::try_parse(text) {
        Ok(id) if id.to_string() == text => Ok(id),
        _ => Err("This is no UUID in lower-case, hyphenated text."),
    }
}

/// When a UUIDv7 was made, as it says; `None` for any other id.
#[must_use]
pub fn made(id: Uuid) -> Option<Time> {
    if id.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Time::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}

/// Defines a text type whose values have passed a check.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, taken out.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let check: fn(String) -> Result<String, String> = $check;
                no_nul(&text)?;
                check(text).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
            }
        }
    };
}

/// PostgreSQL's texts cannot hold it, so nothing may.
fn no_nul(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err("The text contains a NUL.".to_owned()) } else { Ok(()) }
}

fn at_most(text: &str, max: usize) -> Result<(), String> {
    if text.len() > max {
        Err(format!("{TOO_LARGE}The text has {} bytes; at most {max} fit.", text.len()))
    } else {
        Ok(())
    }
}

fn length(text: &str, min: usize, max: usize) -> Result<(), String> {
    let count = text.chars().count();
    if count > max {
        Err(format!("{TOO_LARGE}The text has {count} characters; at most {max} fit."))
    } else if count < min || (min > 0 && text.trim().is_empty()) {
        Err(format!("The text needs at least {min} characters."))
    } else {
        Ok(())
    }
}

/// A UUID in lower-case, hyphenated text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Id(Uuid);

impl Id {
    /// The UUID.
    #[must_use]
    pub fn get(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for Id {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_id(&text).map(Self).map_err(D::Error::custom)
    }
}

/// The id of a thing that a client creates: a UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct NewId(Uuid);

impl NewId {
    /// The UUID.
    #[must_use]
    pub fn get(self) -> Uuid {
        self.0
    }
}

impl<'de> Deserialize<'de> for NewId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = Id::deserialize(deserializer)?.get();
        if id.get_version_num() == 7 {
            Ok(Self(id))
        } else {
            Err(D::Error::custom("The id of a new thing is a UUIDv7."))
        }
    }
}

checked! {
    /// 3 to 50 of `A-Z a-z 0-9 _ . -`, beginning with a letter or digit.
    Username, |text| {
        at_most(&text, 50)?;
        let good = text.len() >= 3
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if good { Ok(text) } else {
            Err("A user name has 3 to 50 letters, digits, `_`, `.` and `-`, and begins with a letter or digit.".to_owned())
        }
    }
}

impl Username {
    /// How it is compared: without regard to case.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

checked! {
    /// An e-mail address of at most 255 bytes, kept in lower case.
    Email, |text| {
        let text = text.to_lowercase();
        at_most(&text, 255)?;
        let good = text.matches('@').count() == 1
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
            && text.split_once('@').is_some_and(|(local, domain)| {
                (1..=64).contains(&local.len())
                    && !local.contains(['"', '\\', '(', ')', '<', '>', '[', ']', ',', ';', ':'])
                    && local.split('.').all(|part| !part.is_empty())
                    && domain.contains('.')
                    && domain.split('.').all(|label| {
                        !label.is_empty()
                            && !label.starts_with('-')
                            && !label.ends_with('-')
                            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                    })
            });
        if good { Ok(text) } else { Err("This is no e-mail address.".to_owned()) }
    }
}

checked! {
    /// A phone number in E.164, with the plus sign.
    PhoneNumber, |text| {
        let good = text.strip_prefix('+').is_some_and(|digits| {
            (7..=15).contains(&digits.len())
                && digits.bytes().all(|b| b.is_ascii_digit())
                && !digits.starts_with('0')
        });
        if good { Ok(text) } else {
            Err("A phone number is `+` and 7 to 15 digits, as in E.164.".to_owned())
        }
    }
}

checked! {
    /// An http or https address of at most 2,048 bytes.
    Url, |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        at_most(&text, 2048)?;
        let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "\"<>".contains(c));
        if good { Ok(text) } else { Err("This is no http or https address.".to_owned()) }
    }
}

checked! {
    /// A BCP 47 tag such as `en` or `pt-BR`, at most 10 characters.
    LanguageCode, |text| {
        let mut parts = text.split('-');
        let language = parts.next().unwrap_or_default();
        let good = text.len() <= 10
            && (2..=3).contains(&language.len())
            && language.bytes().all(|b| b.is_ascii_lowercase())
            && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
        if good { Ok(text) } else { Err("This is no language tag such as `en` or `pt-BR`.".to_owned()) }
    }
}

checked! {
    /// An IANA time zone.
    Timezone, |text| {
        match text.parse::<chrono_tz::Tz>() {
            Ok(_) => Ok(text),
            Err(_) => Err("This is no IANA time zone such as `Europe/Berlin`.".to_owned()),
        }
    }
}

checked! {
    /// An emoji, or a short code such as `:wave:`; at most 64 bytes, no white space.
    Emoji, |text| {
        at_most(&text, 64)?;
        let code = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
        let code = code.is_some_and(|code| {
            !code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
        });
        let good = (code || !text.is_ascii())
            && !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if good { Ok(text) } else { Err("This is no emoji, nor a short code such as `:wave:`.".to_owned()) }
    }
}

checked! {
    /// The text of a message: at most 16 KiB.
    Content, |text| {
        at_most(&text, MAX_CONTENT).map(|()| text)
    }
}

/// A text of `MIN` to `MAX` characters. White space alone is no text: it reads as empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, taken out.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        no_nul(&text).and_then(|()| length(&text, MIN, MAX)).map_err(D::Error::custom)?;
        Ok(Self(if text.trim().is_empty() { String::new() } else { text }))
    }
}

/// An address, or an empty text to clear it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct UrlOrEmpty(String);

impl UrlOrEmpty {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for UrlOrEmpty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self(text));
        }
        Url::try_from(text).map(|url| Self(url.into_string())).map_err(D::Error::custom)
    }
}

/// Users, `MIN` to `MAX` of them, each once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct UserIds<const MIN: usize, const MAX: usize>(Vec<Id>);

impl<const MIN: usize, const MAX: usize> UserIds<MIN, MAX> {
    /// The users, in the order given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Uuid> + '_ {
        self.0.iter().map(|id| id.get())
    }
}

impl<const MIN: usize, const MAX: usize> Default for UserIds<MIN, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for UserIds<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ids = Vec::<Id>::deserialize(deserializer)?;
        if ids.len() > MAX {
            let message = format!("{TOO_LARGE}There are {} users; at most {MAX} fit.", ids.len());
            return Err(D::Error::custom(message));
        }
        if ids.len() < MIN {
            return Err(D::Error::custom(format!("There must be at least {MIN} users.")));
        }
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(D::Error::custom("A user is named twice."));
        }
        Ok(Self(ids))
    }
}

/// A JSON object without a NUL anywhere and not deeper than eight levels.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Metadata(JsonMap);

impl Metadata {
    /// The object.
    #[must_use]
    pub fn as_map(&self) -> &JsonMap {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = JsonMap::deserialize(deserializer)?;
        for (name, value) in &map {
            no_nul(name).and_then(|()| plain(value, 8)).map_err(D::Error::custom)?;
        }
        Ok(Self(map))
    }
}

/// What a client says about its device: at most 20 texts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DeviceMetadata(BTreeMap<String, Text<0, 255>>);

impl DeviceMetadata {
    /// The same as a JSON object.
    #[must_use]
    pub fn to_map(&self) -> JsonMap {
        let value = |text: &Text<0, 255>| Value::from(text.as_str());
        self.0.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }
}

impl<'de> Deserialize<'de> for DeviceMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, Text<0, 255>>::deserialize(deserializer)?;
        if map.len() > 20 {
            let message = format!("{TOO_LARGE}There are {} texts; at most 20 fit.", map.len());
            return Err(D::Error::custom(message));
        }
        for name in map.keys() {
            no_nul(name).and_then(|()| length(name, 1, 64)).map_err(D::Error::custom)?;
        }
        Ok(Self(map))
    }
}

fn plain(value: &Value, levels: usize) -> Result<(), String> {
    if levels == 0 {
        return Err("The object is nested too deeply.".to_owned());
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) => no_nul(text),
        Value::Array(items) => items.iter().try_for_each(|item| plain(item, levels - 1)),
        Value::Object(map) => map
            .iter()
            .try_for_each(|(name, item)| no_nul(name).and_then(|()| plain(item, levels - 1))),
    }
}

/// A point in time as RFC 3339 writes it; what is finer than a microsecond is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Moment(Time);

impl Moment {
    /// The time.
    #[must_use]
    pub fn get(self) -> Time {
        self.0
    }
}

impl From<Time> for Moment {
    fn from(time: Time) -> Self {
        Self(time)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text)
            .ok()
            .and_then(|time| Time::from_timestamp_micros(time.timestamp_micros()))
            .map(Self)
            .ok_or_else(|| D::Error::custom("This is no time such as `2026-01-31T12:00:00Z`."))
    }
}

/// A password of 8 to 256 bytes. It cannot be printed, and it is never written anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The password itself, for the one who hashes it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What another system hashed a password to. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ImportedHash(String);

impl ImportedHash {
    /// The hash, to store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it can be checked against, and takes no more than it should.
    fn is_sound(text: &str) -> bool {
        let parts: Vec<&str> = text.split('$').collect();
        let number = |text: &str, most: u32| {
            text.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse().is_ok_and(|number: u32| (1..=most).contains(&number))
        };
        let letters = |text: &str, more: &str| {
            text.chars().all(|it| it.is_ascii_alphanumeric() || more.contains(it))
        };
        match parts.as_slice() {
            ["", "2a" | "2b" | "2y", cost, rest] => {
                let sane = cost.len() == 2 && number(cost, 14) && *cost >= "04";
                sane && rest.len() == 53 && letters(rest, "./")
            }
            ["", "argon2id", "v=19", parameters, salt, hash] => {
                let parameters: Vec<&str> = parameters.split(',').collect();
                let [m, t, p] = parameters.as_slice() else { return false };
                let is = |text: &str, name: &str, most| {
                    text.strip_prefix(name).is_some_and(|rest| number(rest, most))
                };
                let sane = is(m, "m=", 262_144) && is(t, "t=", 16) && is(p, "p=", 16);
                let long = (11..=64).contains(&salt.len()) && (22..=86).contains(&hash.len());
                sane && long && letters(salt, "+/") && letters(hash, "+/")
            }
            _ => false,
        }
    }
}

impl fmt::Debug for ImportedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImportedHash(…)")
    }
}

impl<'de> Deserialize<'de> for ImportedHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text =
            String::deserialize(deserializer).map_err(|_| D::Error::custom("A hash is a text."))?;
        if Self::is_sound(&text) {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(
                "This is no hash of Argon2id with up to 256 MiB, and none of bcrypt with cost 4 to 14.",
            ))
        }
    }
}

/// A token of ours, as a client shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token itself, for the one who checks it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)
            .map_err(|_| D::Error::custom("A token is a text."))?;
        at_most(&text, 512).map_err(D::Error::custom)?;
        Ok(Self(text))
    }
}

/// A code or a token of another provider, as it gave it to a client: at most 8 KiB. It cannot be
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderToken(String);

impl ProviderToken {
    /// The token itself, for the one who asks the provider.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProviderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderToken(…)")
    }
}

impl<'de> Deserialize<'de> for ProviderToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)
            .map_err(|_| D::Error::custom("A token is a text."))?;
        at_most(&text, 8 * 1024).map_err(D::Error::custom)?;
        Ok(Self(text))
    }
}

/// The verifier of RFC 7636: what only the client knows that began. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeVerifier(String);

impl CodeVerifier {
    /// The verifier itself, for the one who asks the provider.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier(…)")
    }
}

impl<'de> Deserialize<'de> for CodeVerifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("A verifier is 43 to 128 of `A-Z a-z 0-9 - . _ ~`.");
        let text = String::deserialize(deserializer).map_err(|_| wrong())?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let good = (43..=128).contains(&text.len()) && text.bytes().all(plain);
        if good { Ok(Self(text)) } else { Err(wrong()) }
    }
}

/// A code of six digits. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct OneTimeCode(String);

impl OneTimeCode {
    /// The code itself, for the one who checks it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCode(…)")
    }
}

impl<'de> Deserialize<'de> for OneTimeCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("A code is a text of six digits.");
        let text = String::deserialize(deserializer).map_err(|_| wrong())?;
        let six = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
        if six { Ok(Self(text)) } else { Err(wrong()) }
    }
}

/// A one-time code that was sent to somebody, and which of them it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentCode {
    /// The id that it was asked for under.
    pub otp_id: Id,
    /// What it says.
    pub code: OneTimeCode,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)
            .map_err(|_| D::Error::custom("A password is a text."))?;
        no_nul(&text).and_then(|()| at_most(&text, 256)).map_err(D::Error::custom)?;
        if text.len() >= 8 {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("A password has at least 8 bytes."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads<T: serde::de::DeserializeOwned>(json: &str) -> bool {
        serde_json::from_str::<T>(json).is_ok()
    }

    #[test]
    fn ids_have_one_spelling() {
        assert!(parse_id("0192f3c4-aaaa-7bbb-8ccc-000000000001").is_ok());
        for other in [
            "0192F3C4-aaaa-7bbb-8ccc-000000000001",
            "0192f3c4aaaa7bbb8ccc000000000001",
            "{0192f3c4-aaaa-7bbb-8ccc-000000000001}",
            "urn:uuid:0192f3c4-aaaa-7bbb-8ccc-000000000001",
            "",
        ] {
            assert!(parse_id(other).is_err(), "{other}");
        }
    }

    #[test]
    fn texts_are_checked() {
        assert!(reads::<Username>(r#""ada.l-1_x""#));
        assert!(!reads::<Username>(r#""ab""#));
        assert!(!reads::<Username>(r#""_ada""#));
        assert!(reads::<Email>(r#""Ada@Example.org""#));
        assert!(!reads::<Email>(r#""ada@example""#));
        assert!(!reads::<Email>(r#""a b@example.org""#));
        assert!(reads::<PhoneNumber>(r#""+442071838750""#));
        assert!(!reads::<PhoneNumber>(r#""02071838750""#));
        assert!(reads::<Emoji>(r#""👍🏽""#));
        assert!(reads::<Emoji>(r#"":wave:""#));
        assert!(!reads::<Emoji>(r#""ok""#));
        assert!(!reads::<Text<1, 5>>(r#""   ""#));
        assert!(!reads::<Text<0, 5>>(r#""\u0000""#));
        assert!(reads::<Timezone>(r#""Asia/Kolkata""#));
        assert!(!reads::<Timezone>(r#""Asia/Atlantis""#));
        assert!(reads::<Moment>(r#""2026-01-31T12:00:00.123456789+01:00""#));
        assert!(!reads::<Moment>(r#""2026-01-31""#));
        assert!(!reads::<Moment>(r#""tomorrow""#));
        assert!(reads::<LanguageCode>(r#""pt-BR""#));
        assert!(!reads::<LanguageCode>(r#""english""#));
        assert!(!reads::<Metadata>(r#"{"a":["\u0000"]}"#));
        assert!(!reads::<Metadata>(r#"{"a":[[[[[[[[[1]]]]]]]]]}"#));
    }

    #[test]
    fn hashes_are_imported_that_can_be_checked() {
        let rest = "R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
        let argon2 = "v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA";
        for good in ["2a$04", "2b$12", "2y$14"] {
            assert!(reads::<ImportedHash>(&format!("\"${good}${rest}\"")), "{good}");
        }
        assert!(reads::<ImportedHash>(&format!("\"$argon2id${argon2}\"")));
        for bad in [
            format!("$2x$12${rest}"),
            format!("$2b$15${rest}"),
            format!("$2b$03${rest}"),
            format!("$2b$12${rest}a"),
            format!("$2b$+4${rest}"),
            format!("$argon2i${argon2}"),
            format!("$argon2id${}", argon2.replace("19456", "999999999")),
            format!("$argon2id${}", argon2.replace("t=2", "t=0")),
            format!("$argon2id${argon2}$"),
            "a password".to_owned(),
            String::new(),
        ] {
            assert!(!reads::<ImportedHash>(&json_text(&bad)), "{bad}");
        }
        let hash: ImportedHash =
            serde_json::from_str(&json_text(&format!("$2b$12${rest}"))).expect("a good one");
        assert_eq!(format!("{hash:?}"), "ImportedHash(…)");
    }

    fn json_text(text: &str) -> String {
        serde_json::to_string(text).expect("a text")
    }

    #[test]
    fn what_providers_give_is_not_printed() {
        let verifier = "a".repeat(43);
        let read: CodeVerifier = serde_json::from_str(&json_text(&verifier)).expect("long enough");
        let token: ProviderToken = serde_json::from_str(r#""4/0AY""#).expect("a token");
        assert_eq!(format!("{read:?} {token:?}"), "CodeVerifier(…) ProviderToken(…)");
        for wrong in ["a".repeat(42), "a".repeat(129), format!("{verifier}="), String::new()] {
            assert!(!reads::<CodeVerifier>(&json_text(&wrong)), "{wrong}");
        }
        assert!(!reads::<ProviderToken>(&json_text(&"a".repeat(8 * 1024 + 1))));
    }

    #[test]
    fn a_password_is_not_printed() {
        let password: Password = serde_json::from_str(r#""open sesame""#).expect("long enough");
        assert_eq!(format!("{password:?}"), "Password(…)");
        let code: OneTimeCode = serde_json::from_str(r#""012345""#).expect("six digits");
        assert_eq!(format!("{code:?}"), "OneTimeCode(…)");
        for wrong in [r#""12345""#, r#""1234567""#, r#""12345x""#, "123456"] {
            assert!(!reads::<OneTimeCode>(wrong), "{wrong}");
        }
    }
}
