//! What messages must be beyond what Protocol Buffers ask: lengths, counts, ranges. `proto/README.md` says the same to people, which a test holds
//! it to.

use std::net::SocketAddr;

use dot11::element::Elements;

use super::messages::answer::Answer as Answers;
use super::messages::failure::Reason;
use super::messages::push::Push as Pushes;
use super::messages::request::Request as Requests;
use super::messages::{Answer, Failure, Location, Push, Request, Security};

/// The longest SSID (802.11-2020 §9.4.2.2).
pub const MAX_SSID: usize = 32;
/// The longest template of a beacon.
pub const MAX_TEMPLATE: usize = 400;
/// The most devices in a look-up.
pub const MAX_DEVICES: usize = 16;
/// The most items of other lists, but for those with a bound of their own.
pub const MAX_ITEMS: usize = 64;
/// The most radios that one says that it hears.
pub const MAX_NEIGHBOURS: usize = 8;
/// The most networks that a device asked for by name.
pub const MAX_SSIDS: usize = 4;
/// The most endpoints of an instance.
pub const MAX_ENDPOINTS: usize = 4;
/// The longest capture URL.
pub const MAX_CAPTURE_URL: usize = 256;
/// The longest words for where a radio is.
pub const MAX_CIVIC: usize = 120;
/// The pole, in degrees times 10^7.
pub const MAX_LATITUDE_E7: u32 = 900_000_000;
/// Half way around, in degrees times 10^7.
pub const MAX_LONGITUDE_E7: u32 = 1_800_000_000;

/// What is wrong with a message, as the sender is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Malformed {
    /// Which field.
    pub field: &'static str,
    /// What it is and what it must be.
    pub what: String,
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Failure {
        Failure { reason: Reason::Malformed.into(), text: malformed.to_string(), retry_seconds: 0 }
    }
}

type Checked = Result<(), Malformed>;

/// Whether a request says all that it must, in the form in which it must.
pub fn request(request: &Request) -> Checked {
    use Requests::*;
    let Some(request) = &request.request else {
        return wrong("request", "nothing is asked, or something that this version does not know");
    };
    match request {
        RegisterRadio(m) => {
            octets("radio", &m.radio, 6)?;
            list("neighbours", &m.neighbours, MAX_NEIGHBOURS, 6)?;
            m.location.as_ref().map_or(Ok(()), location)
        }
        LookUp(m) => {
            octets("radio", &m.radio, 6)?;
            list("shown", &m.shown, MAX_ITEMS, 16)?;
            count("devices", m.devices.len(), MAX_DEVICES)?;
            m.devices.iter().try_for_each(|device| {
                octets("devices.client", &device.client, 6)?;
                count("devices.ssids", device.ssids.len(), MAX_SSIDS)?;
                device.ssids.iter().try_for_each(|ssid| ssid_octets("devices.ssids", ssid))
            })
        }
        Connect(m) => {
            octets("radio", &m.radio, 6)?;
            octets("client", &m.client, 6)?;
            octets("service", &m.service, 16)?;
            octets("bssid", &m.bssid, 6)?;
            octets("session_id", &m.session_id, 16)?;
            if m.instance.is_empty() && m.key.is_empty() {
                return Ok(());
            }
            octets("instance", &m.instance, 16)?;
            octets("key", &m.key, 16)
        }
        Release(m) => {
            octets("radio", &m.radio, 6)?;
            octets("bssid", &m.bssid, 6)?;
            octets("service", &m.service, 16)
        }
        RegisterService(m) => {
            octets("service", &m.service, 16)?;
            octets("instance", &m.instance, 16)?;
            ssid_octets("ssid", m.ssid.as_bytes())?;
            if matches!(Security::try_from(m.security), Ok(Security::Unspecified) | Err(_)) {
                return wrong("security", "absent or not known; it must say open, personal or enterprise");
            }
            template("template", &m.template)?;
            text("capture_url", &m.capture_url, MAX_CAPTURE_URL)?;
            endpoints(&m.endpoints)
        }
        AutoBind(m) => {
            octets("service", &m.service, 16)?;
            octets("client", &m.client, 6)?;
            optional("radio", &m.radio, 6)
        }
        AuthenticationFailures(m) => {
            octets("service", &m.service, 16)?;
            octets("client", &m.client, 6)?;
            octets("radio", &m.radio, 6)
        }
        Load(m) => {
            octets("service", &m.service, 16)?;
            octets("instance", &m.instance, 16)
        }
        Accounting(m) => {
            octets("session_id", &m.session_id, 16)?;
            octets("client", &m.client, 6)?;
            octets("service", &m.service, 16)?;
            octets("radio", &m.radio, 6)
        }
        Acknowledge(m) => count("pushes", m.pushes.len(), MAX_ITEMS),
        Unregister(m) if m.radio.is_empty() => {
            octets("service", &m.service, 16)?;
            octets("instance", &m.instance, 16)
        }
        Unregister(m) => octets("radio", &m.radio, 6),
    }
}

/// Whether an answer is one that a peer can use.
pub fn answer(answer: &Answer) -> Checked {
    use Answers::*;
    match &answer.answer {
        None => wrong("answer", "nothing is answered, or something that this version does not know"),
        Some(Offers(m)) => {
            list("withdrawn", &m.withdrawn, MAX_ITEMS, 16)?;
            count("offers", m.offers.len(), MAX_ITEMS)?;
            m.offers.iter().try_for_each(|offer| {
                octets("offers.service", &offer.service, 16)?;
                optional("offers.client", &offer.client, 6)?;
                template("offers.template", &offer.template)
            })
        }
        Some(Connected(m)) => {
            octets("instance", &m.instance, 16)?;
            octets("key", &m.key, 16)?;
            endpoints(&m.endpoints)
        }
        Some(Registered(_) | Done(_) | Bound(_) | Failure(_)) => Ok(()),
    }
}

/// Whether a push is one that an instance can use.
pub fn push(push: &Push) -> Checked {
    use Pushes::*;
    match &push.push {
        None => wrong("push", "nothing is said, or something that this version does not know"),
        Some(Introduction(m)) => {
            octets("service", &m.service, 16)?;
            octets("instance", &m.instance, 16)?;
            octets("radio", &m.radio, 6)?;
            endpoint("endpoint", &m.endpoint)?;
            octets("client", &m.client, 6)?;
            octets("bssid", &m.bssid, 6)?;
            octets("session_id", &m.session_id, 16)?;
            octets("key", &m.key, 16)?;
            m.location.as_ref().map_or(Ok(()), location)
        }
        Some(Withdrawal(m)) => {
            octets("bssid", &m.bssid, 6)?;
            optional("client", &m.client, 6)
        }
        Some(Refusals(m)) => list("clients", &m.clients, MAX_ITEMS, 6),
    }
}

fn location(location: &Location) -> Checked {
    if location.latitude_e7.unsigned_abs() > MAX_LATITUDE_E7 {
        return wrong("location.latitude_e7", "more than 90 degrees from the equator");
    }
    if location.longitude_e7.unsigned_abs() > MAX_LONGITUDE_E7 {
        return wrong("location.longitude_e7", "more than 180 degrees from the meridian");
    }
    text("location.civic", &location.civic, MAX_CIVIC)
}

fn octets(field: &'static str, value: &[u8], length: usize) -> Checked {
    if value.len() == length { Ok(()) } else { lengths(field, value.len(), "octets, must be", length) }
}

fn optional(field: &'static str, value: &[u8], length: usize) -> Checked {
    if value.is_empty() { Ok(()) } else { octets(field, value, length) }
}

fn count(field: &'static str, have: usize, most: usize) -> Checked {
    if have <= most { Ok(()) } else { lengths(field, have, "of them, must be at most", most) }
}

fn list(field: &'static str, values: &[Vec<u8>], most: usize, length: usize) -> Checked {
    count(field, values.len(), most)?;
    values.iter().try_for_each(|value| octets(field, value, length))
}

fn ssid_octets(field: &'static str, value: &[u8]) -> Checked {
    if value.is_empty() {
        return wrong(field, "empty; an SSID has 1 to 32 octets");
    }
    at_most(field, value.len(), MAX_SSID)
}

fn at_most(field: &'static str, have: usize, most: usize) -> Checked {
    if have <= most { Ok(()) } else { lengths(field, have, "octets, must be at most", most) }
}

fn text(field: &'static str, value: &str, most: usize) -> Checked {
    at_most(field, value.len(), most)?;
    if value.chars().any(char::is_control) {
        return wrong(field, "has control characters; it must be a line of text");
    }
    Ok(())
}

fn template(field: &'static str, value: &[u8]) -> Checked {
    at_most(field, value.len(), MAX_TEMPLATE)?;
    match Elements::parse(value) {
        Ok(_) => Ok(()),
        Err(_) => {
            wrong(field, "not whole elements of 802.11, each an identifier, a length and so many octets")
        }
    }
}

fn endpoints(values: &[String]) -> Checked {
    count("endpoints", values.len(), MAX_ENDPOINTS)?;
    values.iter().try_for_each(|value| endpoint("endpoints", value))
}

fn endpoint(field: &'static str, value: &str) -> Checked {
    match value.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(()),
        _ => wrong(field, "not an IP address and a port, as in 192.0.2.1:5247 or [2001:db8::1]:5247"),
    }
}

fn wrong(field: &'static str, what: &str) -> Checked {
    Err(Malformed { field, what: what.to_owned() })
}

fn lengths(field: &'static str, have: usize, must: &str, want: usize) -> Checked {
    Err(Malformed { field, what: format!("{have} {must} {want}") })
}
