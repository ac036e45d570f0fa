//! What serde cannot see: whether the parts of a configuration go together.

use std::collections::BTreeSet;

use matchmaker::{MAX_MOBILITY, Pattern};

use super::{Config, Policy, Service};

impl Config {
    /// The first thing that does not fit, in words for the operator.
    pub fn check(&self) -> Result<(), String> {
        self.check_access()?;
        self.check_radius()?;
        let mut uuids = BTreeSet::new();
        for service in &self.services {
            if !uuids.insert(service.uuid) {
                return Err(format!(
                    "two services have the uuid {}: give each its own (uuidgen makes one)",
                    service.uuid
                ));
            }
            self.check_service(service)
                .and_then(|()| check_policy(&service.policy))
                .map_err(|message| format!("service \"{}\": {message}", service.ssid))?;
        }
        self.check_matchmaking()?;
        for binding in &self.bindings {
            // A matchmaker serves the services of others as well.
            if !uuids.contains(&binding.service) && (self.matchmaker.is_none() || binding.fixed) {
                return Err(format!(
                    "a [[binding]] names the service {}, but no [[service]] has that uuid",
                    binding.service
                ));
            }
            check_policy(&binding.policy)
                .map_err(|message| format!("the [[binding]] of service {}: {message}", binding.service))?;
            if binding.client == Pattern::Any && binding.policy.max_mobility.is_some_and(|most| most != 0) {
                return Err(format!(
                    "the [[binding]] of service {} has max_mobility, which counts for devices that a binding names: say which client, or leave it out",
                    binding.service
                ));
            }
        }
        Ok(())
    }

    fn check_matchmaking(&self) -> Result<(), String> {
        if let Some(presence) = &self.presence {
            presence.check()?;
            if self.matchmaker.is_none() {
                return Err(
                    "[presence] is shared by matchmakers: it needs [matchmaker] in the same file".to_owned()
                );
            }
        }
        self.matchmaker.as_ref().map_or(Ok(()), super::Matchmaker::check)?;
        if self.matchmaker.is_some() && self.matchmaking.is_some() {
            return Err(
                "[matchmaker] is one in this process and [matchmaking] one elsewhere: have only one of them"
                    .to_owned(),
            );
        }
        if self.records.is_some() && self.matchmaker.is_none() {
            return Err("[records] is where a matchmaker keeps what it must not forget, and there is no [matchmaker]: add that, or remove [records]".to_owned());
        }
        let mut ids = BTreeSet::new();
        for account in &self.accounts {
            if !ids.insert(account.id.as_str()) {
                return Err(format!("two [[account]] have the id \"{}\": remove one", account.id));
            }
        }
        if let Some(own) = self.matchmaker.as_ref().and_then(|matchmaker| matchmaker.account.as_ref())
            && !ids.contains(own.as_str())
        {
            return Err(format!("[matchmaker] has account = \"{own}\", but no [[account]] has that id"));
        }
        if self
            .matchmaking
            .as_ref()
            .is_some_and(|there| there.account.is_none() && there.account_key.is_some())
        {
            return Err("[matchmaking] has an account_key, but no account".to_owned());
        }
        if let Some(service) = self.services.iter().find(|service| service.policy != super::Policy::default())
            && self.matchmaker.is_none()
        {
            let uuid = service.uuid;
            return Err(match self.matchmaking {
                Some(_) => format!(
                    "[[service]] {uuid} has a policy, but the matchmaker is elsewhere and keeps the policies: remove it here, and set it there (`ttgctl networks set {uuid}`)"
                ),
                None => {
                    format!("[[service]] {uuid} has a policy, but without [matchmaker] no radio hears of it")
                }
            });
        }
        if self.matchmaker.is_none()
            && self.matchmaking.is_none()
            && self.bindings.iter().any(|binding| binding.policy != super::Policy::default())
        {
            return Err(
                "a [[binding]] has a policy, but without [matchmaker] no radio hears of it".to_owned()
            );
        }
        Ok(())
    }

    fn check_radius(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for group in &self.radius {
            let name = &group.name;
            if !names.insert(name) {
                return Err(format!("two [[radius]] groups are named \"{name}\": names must differ"));
            }
            if group.auth.is_empty() {
                return Err(format!("[[radius]] \"{name}\" has no server: add auth = [\"ADDRESS:1812\"]"));
            }
            if group.secret.is_empty() {
                return Err(format!(
                    "[[radius]] \"{name}\" has an empty secret: set the one the server has for this client"
                ));
            }
        }
        Ok(())
    }

    fn check_service(&self, service: &Service) -> Result<(), String> {
        if service.ssid.is_empty() || service.ssid.len() > 32 {
            return Err(format!("the ssid is {} octets long, 1 to 32 are possible", service.ssid.len()));
        }
        if service.vlan > 4094 {
            return Err(format!("vlan = {} does not exist: 1 to 4094, or 0 for untagged", service.vlan));
        }
        if service.max_failures == 0 {
            return Err("max_failures = 0 would refuse every device: 1 or more".to_owned());
        }
        match &service.radius {
            Some(name) if !self.radius.iter().any(|group| group.name == *name) => {
                return Err(format!("radius = \"{name}\", but no [[radius]] group has that name"));
            }
            None if service.security.is_eap() => {
                return Err("security = \"eap\" needs radius = \"NAME\" and a [[radius]] group of that name"
                    .to_owned());
            }
            _ => {}
        }
        if service.security.is_psk() && service.passphrases.is_empty() {
            return Err(
                "security = \"psk\" needs at least one passphrase: passphrases = [{ name = \"home\", passphrase = \"…\" }]"
                    .to_owned(),
            );
        }
        if !service.security.is_psk() && !service.passphrases.is_empty() {
            return Err(format!(
                "passphrases have no meaning with security = \"{}\"",
                service.security.name()
            ));
        }
        for passphrase in &service.passphrases {
            let text = &passphrase.passphrase;
            let printable = (8..=63).contains(&text.len()) && text.bytes().all(|b| (32..=126).contains(&b));
            let key = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
            if !printable && !key {
                return Err(format!(
                    "passphrase \"{}\" must have 8 to 63 printable ASCII characters, or be 64 hexadecimal digits",
                    passphrase.name
                ));
            }
            if passphrase.vlan.is_some_and(|vlan| vlan == 0 || vlan > 4094) {
                return Err(format!("passphrase \"{}\": vlan must be 1 to 4094", passphrase.name));
            }
        }
        Ok(())
    }
}

fn check_policy(policy: &Policy) -> Result<(), String> {
    let too_much =
        policy.max_mobility.and_then(|most| Some(format!("max_mobility = {most} {}", no_limit(most)?)));
    too_much.map_or(Ok(()), Err)
}

/// Why this much mobility is no limit.
pub(crate) fn no_limit(max_mobility: u32) -> Option<String> {
    (max_mobility > MAX_MOBILITY).then(|| {
        format!(
            "would keep nobody out, because no more than {} radios of a device are counted: 1 to {MAX_MOBILITY}, or 0 for no condition",
            MAX_MOBILITY + 1
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mobility_that_nobody_exceeds_is_no_condition() {
        let service = "[[service]]\nuuid = \"6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0001\"\nssid = \"home\"\nsecurity = \"open\"\n";
        let binding = "[[binding]]\nservice = \"6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0001\"\nclient = \"02:00:00:00:00:07\"\n";
        let matchmaker = "[matchmaker]\n";
        let check = |of_service: u32, of_binding: u32| {
            let policy = |most| format!("policy = {{ max_mobility = {most} }}\n");
            let text = [service, &policy(of_service), binding, &policy(of_binding), matchmaker].concat();
            toml::from_str::<Config>(&text).unwrap().check()
        };
        assert_eq!((check(7, 1), check(0, 7)), (Ok(()), Ok(())));
        let refused = check(8, 1).unwrap_err();
        assert!(refused.starts_with("service \"home\": max_mobility = 8 would keep nobody out"), "{refused}");
        let refused = check(0, 9).unwrap_err();
        assert!(refused.contains("[[binding]]") && refused.contains("max_mobility = 9"), "{refused}");
    }

    #[test]
    fn there_is_room_for_some_devices_and_peers_but_not_for_all_memory() {
        let check = |more: &str| toml::from_str::<Config>(&format!("[matchmaker]\n{more}")).unwrap().check();
        assert_eq!(check(""), Ok(()));
        for (option, most) in [("sightings", 1 << 26), ("peers", 1 << 27)] {
            let said = |n: u32| check(&format!("{option} = {n}\n"));
            assert_eq!((said(1), said(most)), (Ok(()), Ok(())));
            for wrong in [0, most + 1] {
                let refused = said(wrong).unwrap_err();
                assert!(refused.starts_with(&format!("[matchmaker] has {option} = {wrong}: ")), "{refused}");
            }
        }
    }
}
