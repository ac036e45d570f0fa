//! A MAC address or the wildcard, as bindings name clients and radios.

use std::{fmt, str::FromStr};

use dot11::MacAddr;

/// Matches one address, or with [`Pattern::Any`] every individual address. Written as the address, or as `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// `*`
    Any,
    /// One address.
    Exactly(MacAddr),
}

impl Pattern {
    /// Whether the pattern covers this address.
    pub fn matches(self, address: MacAddr) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exactly(one) => one == address,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Any => f.write_str("*"),
            Pattern::Exactly(address) => address.fmt(f),
        }
    }
}

/// Text that is neither a MAC address nor `*`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a MAC address such as 02:aa:00:00:00:01 nor *")]
pub struct PatternError(pub String);

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Pattern::Any);
        }
        match text.parse::<MacAddr>() {
            Ok(address) if !address.is_group() => Ok(Pattern::Exactly(address)),
            _ => Err(PatternError(text.to_owned())),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_what_people_write() {
        for text in ["*", "00:4a:71:55:9f:d4"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
        for bad in ["", "**", "00:4a:71:55:9f", "ff:ff:ff:ff:ff:ff", "00:4a:71:*"] {
            assert_eq!(bad.parse::<Pattern>(), Err(PatternError(bad.to_owned())));
        }
    }
}
