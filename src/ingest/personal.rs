//! Personal values: brought to a normal form, then replaced by a keyed hash at the door.

use crate::contract::input::Personal;
use crate::error::{Error, Result};
use crate::quarantine::Reason;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

/// The key of personal hashes. Equal values have equal hashes under one key, and without it a hash tells nothing.
#[derive(Clone)]
pub struct PersonalKey([u8; 32]);

impl std::fmt::Debug for PersonalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonalKey(…)")
    }
}

impl PersonalKey {
    /// A key from a secret of any length.
    pub fn from_secret(secret: &str) -> Self {
        Self(blake3::derive_key("ordersight personal data v1", secret.trim().as_bytes()))
    }

    /// The key kept in `path`, made at random on first use and readable by its owner only.
    ///
    /// # Errors
    /// [`Error::Environment`] if it can be neither read nor written.
    pub fn kept_at(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(secret) => return Ok(Self::from_secret(&secret)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("read", path)(e)),
        }
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|e| Error::io("make a key for", path)(std::io::Error::other(e.to_string())))?;
        let secret = blake3::Hash::from_bytes(bytes).to_hex().to_string();
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(Error::io("write", path))?;
        file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::io("write", path))?;
        Ok(Self::from_secret(&secret))
    }

    /// A fingerprint that tells two keys apart and gives neither away.
    pub fn fingerprint(&self) -> String {
        blake3::keyed_hash(&self.0, b"fingerprint").to_hex()[..16].to_owned()
    }

    fn hash(&self, kind: Personal, normal: &str) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // In one piece: a value is short, and what hashes pieces takes longer to be set up than it hashes.
        let mut keyed = Vec::with_capacity(normal.len() + 1);
        keyed.push(kind as u8);
        keyed.extend_from_slice(normal.as_bytes());
        let hash = blake3::keyed_hash(&self.0, &keyed);
        let mut digits = String::with_capacity(HASH_LEN);
        for byte in &hash.as_bytes()[..HASH_LEN / 2] {
            digits.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
        digits
    }
}

/// Length of a personal hash in hexadecimal digits: 128 bits, no collision within any shop's lifetime.
pub(super) const HASH_LEN: usize = 32;

/// Whether a text has the form of a personal hash.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == HASH_LEN && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What is kept of a personal value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Keyed hash of the normal form.
    pub hash: String,
    /// The part that features may use: the domain of an e-mail address in clear, the network of an IP address as a hash.
    pub part: Option<String>,
}

/// The suffix of the column that holds the part features may use, if the kind has one.
pub(super) fn part_suffix(kind: Personal) -> Option<&'static str> {
    match kind {
        Personal::Email => Some("domain"),
        Personal::Ip => Some("network"),
        Personal::Phone | Personal::Address | Personal::Payment => None,
    }
}

/// Normalises and hashes a value.
///
/// # Errors
/// The reason, if the value is not of its kind.
pub(super) fn keep(kind: Personal, text: &str, key: &PersonalKey) -> Result<Kept, Reason> {
    match kind {
        Personal::Email => {
            let normal = text.trim().to_lowercase();
            let (local, domain) = normal.rsplit_once('@').ok_or(Reason::NotAnEmail)?;
            let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
            let dotted = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
            if local.is_empty() || !dotted || !local.chars().all(plain) || !domain.chars().all(plain) {
                return Err(Reason::NotAnEmail);
            }
            Ok(Kept { hash: key.hash(kind, &normal), part: Some(domain.to_owned()) })
        }
        Personal::Phone => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            let allowed =
                text.chars().all(|c| c.is_ascii_digit() || " +-().\u{a0}/x#".contains(c) || c.is_whitespace());
            if !(4..=20).contains(&digits.len()) || !allowed {
                return Err(Reason::NotAPhone);
            }
            let normal = digits.trim_start_matches('0');
            Ok(Kept { hash: key.hash(kind, normal), part: None })
        }
        Personal::Ip => {
            let ip: IpAddr = text.trim().parse().map_err(|_| Reason::NotAnIp)?;
            let ip = ip.to_canonical();
            let network = match ip {
                IpAddr::V4(v4) => {
                    let [a, b, c, _] = v4.octets();
                    format!("[{a}, {b}, {c}]/24")
                }
                IpAddr::V6(v6) => format!("{:?}/48", &v6.octets()[..6]),
            };
            Ok(Kept { hash: key.hash(kind, &ip.to_string()), part: Some(key.hash(kind, &network)) })
        }
        Personal::Address => {
            let mut normal = text.to_lowercase();
            normal.retain(char::is_alphanumeric);
            Ok(Kept { hash: key.hash(kind, &normal), part: None })
        }
        Personal::Payment => Ok(Kept { hash: key.hash(kind, text.trim()), part: None }),
    }
}

/// What stands in the place of a personal value in records and messages.
pub(super) const MASK: &str = "[personal]";

/// Masks a value that looks personal although its column is not declared so: an e-mail address, an IP address, a phone
/// number with its country code or a card number that slipped into a neighbouring column of a broken row.
pub(super) fn mask_if_personal(text: &str) -> &str {
    let email =
        text.split_whitespace().any(|w| w.split_once('@').is_some_and(|(l, d)| !l.is_empty() && d.contains('.')));
    let ip = text.split(|c: char| c.is_whitespace() || ",;()[]<>\"'=".contains(c)).any(|w| w.parse::<IpAddr>().is_ok());
    if email || ip || holds_phone(text) || is_card(text) { MASK } else { text }
}

/// Whether a `+` begins a phone number. Without its country code a number cannot be told from an order's.
fn holds_phone(text: &str) -> bool {
    text.split('+').skip(1).any(|rest| {
        let number = rest.chars().take_while(|c| c.is_ascii_digit() || " -().\u{a0}/".contains(*c));
        (8..=15).contains(&number.filter(char::is_ascii_digit).count())
    })
}

/// Whether the text is a card number: 14 to 16 digits under a card network's first digit, with the right check digit.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter(|c| !" -".contains(*c)).map_while(|c| c.to_digit(10)).collect();
    let only = text.chars().all(|c| c.is_ascii_digit() || " -".contains(c));
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(at, &d)| if at % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { d }).sum();
    only && (14..=16).contains(&digits.len()) && (2..=6).contains(&digits[0]) && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(kind: Personal, text: &str) -> String {
        keep(kind, text, &PersonalKey::from_secret("k")).unwrap().hash
    }

    #[test]
    fn forms_of_one_value_have_one_hash_and_other_values_another() {
        assert_eq!(hash(Personal::Email, " Ann@Example.com "), hash(Personal::Email, "ann@example.com"));
        assert_eq!(hash(Personal::Phone, "+49 (30) 123-456"), hash(Personal::Phone, "004930123456"));
        assert_eq!(hash(Personal::Ip, "::ffff:10.1.2.3"), hash(Personal::Ip, "10.1.2.3"));
        assert_eq!(
            hash(Personal::Address, "Main St. 5,  Springfield"),
            hash(Personal::Address, "MAIN ST 5 springfield")
        );
        assert_ne!(hash(Personal::Payment, "4930123456"), hash(Personal::Phone, "4930123456"));
        let other = keep(Personal::Payment, "1", &PersonalKey::from_secret("other")).unwrap().hash;
        assert_ne!(hash(Personal::Payment, "1"), other);
        assert!(is_hash(&other));
    }

    /// Outputs of earlier days are joined by them.
    #[test]
    fn hashes_stay_what_they_were() {
        let key = PersonalKey::from_secret("k");
        for length in [0, 1, 30, 31, 32, 63, 64, 1_023, 1_024, 5_000] {
            let text = "7".repeat(length);
            let mut hasher = blake3::Hasher::new_keyed(&key.0);
            hasher.update(&[Personal::Payment as u8]).update(text.as_bytes());
            assert_eq!(hash(Personal::Payment, &text), hasher.finalize().to_hex()[..HASH_LEN]);
        }
        assert_eq!(hash(Personal::Payment, "4930123456"), "2c7ead4262c8b2ca5bca599995fd8169");
    }

    #[test]
    fn parts_that_features_use_are_kept() {
        let key = PersonalKey::from_secret("k");
        assert_eq!(keep(Personal::Email, "a@mail.example", &key).unwrap().part.as_deref(), Some("mail.example"));
        let (a, b) = (keep(Personal::Ip, "10.1.2.3", &key).unwrap(), keep(Personal::Ip, "10.1.2.9", &key).unwrap());
        assert!(a.part == b.part && a.hash != b.hash);
    }

    #[test]
    fn what_looks_personal_is_masked_wherever_it_stands() {
        for text in [
            "ann@x.example",
            "<ann@x.example>",
            "from 10.1.2.3, proxied",
            "[2001:db8::7]",
            "call +49 (30) 123-4567",
            "4111 1111 1111 1111",
        ] {
            assert_eq!(mask_if_personal(text), MASK, "{text}");
        }
        for text in [
            "",
            "A-17",
            "2024-03-02T09:11:00Z",
            "12:30",
            "1.5",
            "+12.50",
            "1711929600000",
            "4111111111111112",
            "a @ b",
            "C++ 11",
        ] {
            assert_eq!(mask_if_personal(text), text);
        }
    }

    #[test]
    fn what_is_not_of_its_kind_is_refused() {
        let key = PersonalKey::from_secret("k");
        for text in ["ann", "@x.de", "a@b", "a b@c.de", "a@@c.de"] {
            assert_eq!(keep(Personal::Email, text, &key), Err(Reason::NotAnEmail), "{text}");
        }
        assert_eq!(keep(Personal::Phone, "call me", &key), Err(Reason::NotAPhone));
        assert_eq!(keep(Personal::Ip, "999.1.1.1", &key), Err(Reason::NotAnIp));
    }
}
