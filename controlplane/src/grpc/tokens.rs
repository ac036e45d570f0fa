//! Operators' tokens: a file with a line for each, `NAME admin TOKEN` or `NAME read-only TOKEN`.

use std::{collections::BTreeSet, path::Path};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tls::files::{self, FileError};

/// What the bearer of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything.
    Admin,
    /// See everything, and change nothing.
    ReadOnly,
}

/// The tokens, as digests: all of one length, so that comparing takes the same time whatever they are.
#[derive(Debug)]
pub(super) struct Tokens(Vec<(String, Role, [u8; 32])>);

/// Shorter ones could be guessed.
const MIN: usize = 32;

impl Tokens {
    /// Reads the file, which not everybody may read.
    pub fn read(path: &Path) -> Result<Tokens, FileError> {
        let octets = files::secret("token file", path)?;
        Tokens::parse(&octets).map_err(|problem| FileError::Content {
            what: "token file",
            path: path.to_owned(),
            problem,
        })
    }

    /// What is wrong is said without repeating a token.
    fn parse(octets: &[u8]) -> Result<Tokens, String> {
        let text = std::str::from_utf8(octets).map_err(|_| "is not text".to_owned())?;
        let mut tokens = Vec::new();
        let mut names = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let wrong = |problem: &str| Err(format!("is wrong in line {}: {problem}", number + 1));
            let (name, role, token) = match words[..] {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                [name, "admin", token] => (name, Role::Admin, token),
                [name, "read-only", token] => (name, Role::ReadOnly, token),
                _ => return wrong("a line is `NAME admin TOKEN` or `NAME read-only TOKEN`"),
            };
            if token.len() < MIN {
                return wrong("a token has at least 32 characters; `openssl rand -hex 32` makes one");
            }
            if !names.insert(name) {
                return wrong("that name has a token already; give each its own");
            }
            tokens.push((name.to_owned(), role, Sha256::digest(token).into()));
        }
        if tokens.is_empty() {
            return Err("has no token in it: add a line `NAME admin TOKEN`".to_owned());
        }
        Ok(Tokens(tokens))
    }

    /// Whose token it is, and what that one may do.
    pub fn bearer(&self, token: &str) -> Option<(&str, Role)> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        // All of them, so that the time tells nothing of which.
        let mut found = None;
        for (name, role, known) in &self.0 {
            if bool::from(known.ct_eq(&digest)) {
                found = Some((name.as_str(), *role));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_roles_and_tokens() {
        let (a, b) = ("a".repeat(32), "b".repeat(64));
        let text = format!("# who\n\nanna admin {a}\n  board\tread-only {b}\n");
        let tokens = Tokens::parse(text.as_bytes()).unwrap();
        assert_eq!(tokens.bearer(&a), Some(("anna", Role::Admin)));
        assert_eq!(tokens.bearer(&b), Some(("board", Role::ReadOnly)));
        assert_eq!(tokens.bearer(&"a".repeat(31)), None);
        assert_eq!(tokens.bearer(""), None);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        let token = "c".repeat(32);
        let cases = [
            (String::new(), "no token in it"),
            (format!("anna {token}"), "line 1: a line is"),
            (format!("\nanna root {token}"), "line 2: a line is"),
            ("anna admin short".to_owned(), "line 1: a token has at least 32"),
            (format!("a admin {token}\na read-only {token}"), "line 2: that name"),
        ];
        for (text, said) in cases {
            let problem = Tokens::parse(text.as_bytes()).unwrap_err();
            assert!(
                problem.contains(said) && !problem.contains(&token) && !problem.contains("short"),
                "{problem}"
            );
        }
    }
}
