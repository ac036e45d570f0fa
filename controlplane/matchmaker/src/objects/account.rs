//! Accounts, what belongs to whom, and what one account lets another do.

use std::{fmt, str::FromStr};

use zeroize::ZeroizeOnDrop;

/// A legal entity. Radios, services and bindings belong to one; those that belong to none form one common pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its e-mail address.
    pub id: AccountId,
    /// The key that its radios and services prove to have, if it demands one.
    pub key: Option<AccountKey>,
}

/// The e-mail address that identifies an account: one `@` with something on either side, no blanks, at most 254 octets (RFC
/// 5321 section 4.5.3.1.3). Capital letters do not distinguish accounts and become small ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Box<str>);

impl AccountId {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text that is no e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no e-mail address such as info@example.org")]
pub struct AccountIdError(pub String);

impl FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, AccountIdError> {
        let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        match text.split_once('@') {
            Some((local, domain))
                if plain
                    && text.len() <= 254
                    && !local.is_empty()
                    && !domain.is_empty()
                    && !domain.contains('@') =>
            {
                Ok(AccountId(text.to_lowercase().into()))
            }
            _ => Err(AccountIdError(text.to_owned())),
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pre-shared key.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct AccountKey(pub [u8; 32]);

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Names the static key of a peer: the first half of its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 16]);

impl KeyId {
    /// Of whoever speaks from within the matchmaker's own process: nobody else has it.
    pub const OWN: KeyId = KeyId([0; 16]);
}

/// Whose a radio or a service is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An account's. Any of its peers may register the object.
    Account(AccountId),
    /// Nobody's: the peer that has this key registered it, and no other may.
    Key(KeyId),
}

impl Owner {
    /// The account, if there is one.
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Owner::Account(account) => Some(account),
            Owner::Key(_) => None,
        }
    }
}

/// One account lets services of another be shown on its radios.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// On whose radios.
    pub radios_of: AccountId,
    /// Whose services.
    pub services_of: Grantee,
}

/// Whose services may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// One account's, by any of its bindings.
    Account(AccountId),
    /// Anybody's, the pool's included, by bindings that name the client or the radio. Broadcast bindings, which name neither,
    /// need a grant that names their account: otherwise every radio would show the broadcast networks of all accounts.
    Anybody,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_e_mail_addresses() {
        let id: AccountId = "Info@Example.org".parse().unwrap();
        assert_eq!(id.to_string(), "info@example.org");
        let long = format!("{}@example.org", "x".repeat(250));
        for bad in ["", "info", "@example.org", "info@", "a@b@c", "a b@c", "a@b\n", &long] {
            assert_eq!(bad.parse::<AccountId>(), Err(AccountIdError(bad.to_owned())));
        }
        assert_eq!(format!("{:?}", AccountKey([7; 32])), "…");
    }
}
