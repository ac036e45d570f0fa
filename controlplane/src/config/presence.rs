//! What the configuration says of presence that several control processes share.

use std::path::PathBuf;

use serde::Deserialize;

/// Redis, or what speaks its protocol.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// `HOST:PORT`. Of one server: the first that takes connections is used; of a cluster: some of its nodes.
    pub redis: Vec<String>,
    /// They are a cluster.
    #[serde(default)]
    pub cluster: bool,
    /// Who logs in; absent: Redis's default user.
    pub user: Option<String>,
    /// A file with the password and nothing else.
    pub password_file: Option<PathBuf>,
}

/// Takes `HOST:PORT` apart; the host may be an IPv6 address in brackets.
pub fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("`{text}` is not HOST:PORT, such as redis1.example.net:6379");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().map_err(|_| wrong())?;
    if host.is_empty() || port == 0 { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

impl Presence {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.redis.is_empty() {
            return Err("[presence] has no server: redis = [\"HOST:6379\"]".to_owned());
        }
        if self.user.is_some() && self.password_file.is_none() {
            return Err("[presence] has a user, but no password_file".to_owned());
        }
        self.redis.iter().try_for_each(|text| {
            host_and_port(text).map(drop).map_err(|message| format!("[presence]: {message}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        assert_eq!(host_and_port("redis1:6379"), Ok(("redis1".to_owned(), 6379)));
        assert_eq!(host_and_port("[2001:db8::1]:7000"), Ok(("2001:db8::1".to_owned(), 7000)));
        for wrong in ["redis1", ":6379", "redis1:", "redis1:0", "redis1:66666", ""] {
            assert!(host_and_port(wrong).unwrap_err().contains("HOST:PORT"), "{wrong}");
        }
    }
}
