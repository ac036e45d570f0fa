//! Between what people write and the matchmaker's types. What is wrong is said with the field and an example.

use std::time::Duration;

use dot11::MacAddr;
use matchmaker::{
    Binding, Pattern, Uuid,
    objects::{AccountId, AccountKey, Grant, Grantee},
};
use proto::{admin, matchmaking::PublicKey};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use visibility::Policy;

use crate::config::no_limit;

/// INVALID_ARGUMENT for people, and for programs as `google.rpc.BadRequest` in its details.
pub(super) fn invalid(field: &str, why: impl std::fmt::Display) -> Status {
    refused(Code::InvalidArgument, field, why)
}

/// Another code, as much because of a field.
pub(super) fn refused(code: Code, field: &str, why: impl std::fmt::Display) -> Status {
    let why = why.to_string();
    let message = format!("{field}: {why}");
    Status::with_error_details(code, message, ErrorDetails::with_bad_request_violation(field, why))
}

pub(super) fn mac(field: &str, text: &str) -> Result<MacAddr, Status> {
    text.parse()
        .map_err(|_| invalid(field, format!("`{text}` is not a MAC address such as 02:aa:00:00:00:01")))
}

/// Of one device or radio, which there may be a record of.
pub(super) fn device(field: &str, text: &str) -> Result<MacAddr, Status> {
    let mac = mac(field, text)?;
    let what = match mac {
        mac if mac.is_group() => "a group's",
        MacAddr::ZERO => "nobody's",
        _ => return Ok(mac),
    };
    Err(invalid(field, format!("{mac} is no device's address, but {what}")))
}

pub(super) fn uuid(field: &str, text: &str) -> Result<Uuid, Status> {
    text.parse().map_err(|_| {
        invalid(field, format!("`{text}` is not a UUID such as 5e5d0125-15b6-4907-9d91-49613689a913"))
    })
}

/// Nothing is the wildcard.
pub(super) fn pattern(field: &str, text: &str) -> Result<Pattern, Status> {
    if text.is_empty() {
        return Ok(Pattern::Any);
    }
    match text.parse().map_err(|error| invalid(field, error))? {
        // Others are not patterns.
        Pattern::Exactly(MacAddr::ZERO) => device(field, text).map(Pattern::Exactly),
        pattern => Ok(pattern),
    }
}

pub(super) fn account(field: &str, text: &str) -> Result<AccountId, Status> {
    text.parse().map_err(|error| invalid(field, error))
}

/// Nothing is no account.
pub(super) fn account_or_none(field: &str, text: &str) -> Result<Option<AccountId>, Status> {
    (!text.is_empty()).then(|| account(field, text)).transpose()
}

/// Nothing is no key. It is not repeated if it is wrong.
pub(super) fn key(field: &str, text: &str) -> Result<Option<AccountKey>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<PublicKey>() {
        Ok(key) if key.0 != [0; 32] => Ok(Some(AccountKey(key.0))),
        _ => Err(invalid(
            field,
            "a key is 64 hexadecimal digits, not all of them 0; `openssl rand -hex 32` makes one",
        )),
    }
}

pub(super) fn grant(grant: Option<&admin::Grant>) -> Result<Grant, Status> {
    let grant = grant.ok_or_else(|| {
        invalid("grant", "it is missing; say on whose radios, and whose services, such as info@example.org")
    })?;
    let radios_of = account("grant.radios_of", &grant.radios_of)?;
    let services_of = match grant.services_of.as_str() {
        "*" => Grantee::Anybody,
        text => Grantee::Account(account("grant.services_of", text)?),
    };
    if services_of == Grantee::Account(radios_of.clone()) {
        let text = "an account's own services need no grant; name another account, or * for anybody's";
        return Err(invalid("grant.services_of", text));
    }
    Ok(Grant { radios_of, services_of })
}

pub(super) fn grant_message(grant: &Grant) -> admin::Grant {
    let services_of = match &grant.services_of {
        Grantee::Anybody => "*".to_owned(),
        Grantee::Account(account) => account.to_string(),
    };
    admin::Grant { radios_of: grant.radios_of.to_string(), services_of }
}

/// A signal.
pub(super) fn dbm(field: &str, dbm: Option<i32>) -> Result<Option<i8>, Status> {
    let read = |dbm: i32| i8::try_from(dbm).ok().filter(|&dbm| dbm <= 0).ok_or(dbm);
    dbm.map(read)
        .transpose()
        .map_err(|dbm| invalid(field, format!("{dbm} dBm is no signal such as -75; it is -128 to 0")))
}

pub(super) fn policy(said: Option<&admin::Policy>) -> Result<Policy, Status> {
    let Some(said) = said else { return Ok(Policy::default()) };
    let milliseconds = |time: u32| Duration::from_millis(time.into());
    if let Some(most) = said.max_mobility
        && let Some(why) = no_limit(most)
    {
        return Err(invalid("policy.max_mobility", format!("{most} {why}")));
    }
    Ok(Policy {
        min_rssi_dbm: dbm("policy.min_rssi_dbm", said.min_rssi_dbm)?,
        min_up_kbps: said.min_up_kbps,
        min_down_kbps: said.min_down_kbps,
        delay: said.delay_ms.map(milliseconds),
        max_mobility: said.max_mobility,
        steer_delay: said.steer_delay_ms.map(milliseconds),
        dwell: said.dwell_seconds.map(|seconds| Duration::from_secs(seconds.into())),
        kick_rssi_dbm: dbm("policy.kick_rssi_dbm", said.kick_rssi_dbm)?,
        suppress_rssi_dbm: dbm("policy.suppress_rssi_dbm", said.suppress_rssi_dbm)?,
        max_clients: said.max_clients,
        hidden: said.hidden,
        yields_to_home: said.yields_to_home,
    })
}

/// Nothing, if it says nothing.
pub(super) fn policy_message(policy: &Policy) -> Option<admin::Policy> {
    let number = |n: u128| u32::try_from(n).unwrap_or(u32::MAX);
    let milliseconds = |time: Option<Duration>| time.map(|time| number(time.as_millis()));
    (*policy != Policy::default()).then(|| admin::Policy {
        min_rssi_dbm: policy.min_rssi_dbm.map(Into::into),
        min_up_kbps: policy.min_up_kbps,
        min_down_kbps: policy.min_down_kbps,
        delay_ms: milliseconds(policy.delay),
        max_mobility: policy.max_mobility,
        steer_delay_ms: milliseconds(policy.steer_delay),
        dwell_seconds: policy.dwell.map(|time| number(time.as_secs().into())),
        kick_rssi_dbm: policy.kick_rssi_dbm.map(Into::into),
        suppress_rssi_dbm: policy.suppress_rssi_dbm.map(Into::into),
        max_clients: policy.max_clients,
        hidden: policy.hidden,
        yields_to_home: policy.yields_to_home,
    })
}

pub(super) fn binding_message(account: Option<&AccountId>, binding: &Binding) -> admin::Binding {
    admin::Binding {
        id: binding.id,
        service: binding.service.to_string(),
        client: binding.client.to_string(),
        radio: binding.radio.to_string(),
        account: account_text(account),
        origin: binding.origin.to_string(),
        policy: policy_message(&binding.policy),
    }
}

/// Nobody is nothing.
pub(super) fn account_text(account: Option<&AccountId>) -> String {
    account.map(ToString::to_string).unwrap_or_default()
}

/// The matchmaker's time, which is Unix time, as messages have it.
pub(super) fn unix_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_what_it_said() {
        let said = admin::Policy {
            min_rssi_dbm: Some(-75),
            delay_ms: Some(1500),
            dwell_seconds: Some(0),
            hidden: Some(false),
            max_clients: Some(7),
            ..admin::Policy::default()
        };
        assert_eq!(policy_message(&policy(Some(&said)).unwrap()), Some(said));
        assert_eq!(policy_message(&policy(None).unwrap()), None);
        let wrong = admin::Policy { kick_rssi_dbm: Some(20), ..admin::Policy::default() };
        let status = policy(Some(&wrong)).unwrap_err();
        assert_eq!(
            status.message(),
            "policy.kick_rssi_dbm: 20 dBm is no signal such as -75; it is -128 to 0"
        );
    }

    #[test]
    fn only_one_device_has_an_address() {
        assert_eq!(device("radio", "02-00-00-00-00-09").unwrap(), MacAddr([2, 0, 0, 0, 0, 9]));
        for nobody in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"] {
            let status = device("radio", nobody).unwrap_err();
            assert!(
                status.message().starts_with(&format!("radio: {nobody} is no device's address")),
                "{status}"
            );
            assert!(pattern("client", nobody).is_err());
        }
        assert_eq!(pattern("client", "").unwrap(), Pattern::Any);
    }

    #[test]
    fn a_wrong_key_is_not_repeated() {
        assert_eq!(key("key", "").unwrap(), None);
        assert_eq!(key("key", &"7f".repeat(32)).unwrap(), Some(AccountKey([0x7f; 32])));
        for wrong in ["secret", &"0".repeat(64)] {
            assert!(!key("key", wrong).unwrap_err().message().contains(wrong));
        }
    }
}
