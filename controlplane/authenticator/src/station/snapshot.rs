//! A station as octets, for the gateway to keep while control restarts.

use std::time::Duration;

use dot11::rsn::{Akm, Kck, Kek, Pmk, Ptk, Tk};

use super::session::{Credentials, Owner, Session, SessionId};
use super::timers::Timer;
use super::{Association, Keys, Station};
use crate::codec::{Reader, Writer};
use crate::{Bss, RestoreError, Security, Time};

const VERSION: u8 = 1;

/// More EAPOL-Key frames than can have been sent after the snapshot was made, up to the restart.
const REPLAY_COUNTER_JUMP: u64 = 1 << 16;

pub(super) fn write(station: &Station) -> Vec<u8> {
    let mut writer = Writer::new(VERSION);
    writer.bool(station.authenticated);
    writer.u64(station.replay_counter);
    writer.option(station.association.as_ref(), |w, association| {
        w.u16(association.aid);
        w.bool(association.qos);
        w.option(association.akm, |w, akm| w.raw(&akm.selector()));
        w.bytes(&association.rsne);
        w.bytes(&association.rsnx);
        w.time(association.since);
        w.option(association.pmk.as_ref(), |w, pmk| w.raw(pmk.as_bytes()));
        w.option(association.keys.as_ref(), |w, keys| {
            w.raw(keys.ptk.kck.as_bytes());
            w.raw(keys.ptk.kek.as_bytes());
            w.raw(keys.ptk.tk.as_bytes());
            w.option(keys.request_counter, Writer::u64);
        });
        w.bool(association.port_open);
        w.option(association.generation, Writer::u64);
    });
    writer.option(station.timers.get(Timer::PairwiseRekey), Writer::time);
    let credentials = &station.credentials;
    write_name(&mut writer, credentials.psk.as_deref());
    writer.option(credentials.identity.as_deref(), Writer::bytes);
    writer.u16(credentials.class.len().min(usize::from(u16::MAX)) as u16);
    credentials.class.iter().take(usize::from(u16::MAX)).for_each(|class| writer.bytes(class));
    writer.option(credentials.vlan, Writer::u16);
    writer.option(credentials.interim_interval, |w, interval| w.u64(interval.as_secs()));
    writer.option(credentials.session_end, |w, (at, again)| {
        w.time(at);
        w.bool(again);
    });
    writer.option(station.session.as_ref(), |w, session| {
        w.u64(session.id.0);
        w.time(session.since);
        write_name(w, session.owner.psk.as_deref());
        w.option(session.owner.identity.as_deref(), Writer::bytes);
        w.option(session.owner.vlan, Writer::u16);
    });
    writer.finish()
}

pub(super) fn restore(
    mut station: Station,
    bytes: &[u8],
    now: Time,
    bss: &mut Bss,
) -> Result<Station, RestoreError> {
    let mut reader = Reader::new(bytes, VERSION)?;
    station.authenticated = reader.bool()?;
    // One snapshot may be restored several times. The time in microseconds outruns whatever was sent between them.
    station.replay_counter = now.0.max(reader.counter()? + REPLAY_COUNTER_JUMP);
    station.association = reader.option(read_association)?;
    let rekey_at = reader.option(Reader::time)?;
    station.credentials = read_credentials(&mut reader)?;
    station.session = reader.option(read_session)?;
    reader.end()?;

    check_service(&station)?;
    let Some(association) = &station.association else {
        if station.authenticated {
            station.timers.set(Timer::Association, now + station.service.timings.authenticated);
        }
        return Ok(station);
    };
    if !station.authenticated {
        return Err(RestoreError::Malformed);
    }
    bss.adopt(station.mac, association.aid, association.generation)?;
    if !association.port_open {
        station.timers.set(Timer::Resume, now);
    } else {
        station.timers.set_or_stop(Timer::Session, station.credentials.session_end.map(|(at, _)| at));
    }
    if association.keys.is_some() {
        let interval = station.service.timings.ptk_rekey;
        let at = interval.map(|interval| rekey_at.unwrap_or(now + interval).min(now + interval));
        station.timers.set_or_stop(Timer::PairwiseRekey, at);
    }
    Ok(station)
}

/// A device stays only as long as it would be let in.
fn check_service(station: &Station) -> Result<(), RestoreError> {
    let Some(association) = &station.association else { return Ok(()) };
    let service = &station.service;
    let fits = match (&service.security, association.akm) {
        (Security::Open, None) => true,
        (Security::Eap, Some(akm)) => service.akms.contains(&akm),
        (Security::Psk { passphrases }, Some(akm)) => {
            let known = association.pmk.as_ref().is_none_or(|pmk| {
                passphrases.iter().any(|psk| {
                    psk.pmk == *pmk
                        && Some(&psk.name) == station.credentials.psk.as_ref()
                        && psk.client.is_none_or(|client| client == station.mac)
                })
            });
            known && service.akms.contains(&akm)
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(RestoreError::ServiceChanged) }
}

fn read_association(r: &mut Reader<'_>) -> Result<Association, RestoreError> {
    let association = Association {
        aid: r.u16()?,
        qos: r.bool()?,
        akm: r.option(|r| r.array().map(Akm::from_selector))?,
        rsne: r.bytes()?,
        rsnx: r.bytes()?,
        since: r.time()?,
        answered: None,
        pmk: r.option(|r| r.secret().map(|pmk| Pmk::new(*pmk)))?,
        keys: r.option(|r| {
            let ptk =
                Ptk { kck: Kck::new(*r.secret()?), kek: Kek::new(*r.secret()?), tk: Tk::new(*r.secret()?) };
            Ok(Keys { ptk, request_counter: r.option(Reader::u64)? })
        })?,
        port_open: r.bool()?,
        eap: None,
        pairwise: None,
        group: None,
        generation: r.option(Reader::counter)?,
    };
    // An open port of a protected service has a key behind it.
    if association.port_open && association.akm.is_some() != association.keys.is_some() {
        return Err(RestoreError::Malformed);
    }
    Ok(association)
}

fn read_credentials(r: &mut Reader<'_>) -> Result<Credentials, RestoreError> {
    let psk = r.option(read_name)?;
    let identity = r.option(Reader::bytes)?;
    let classes = r.u16()?;
    let class = (0..classes).map(|_| r.bytes()).collect::<Result<_, _>>()?;
    Ok(Credentials {
        psk,
        identity,
        class,
        vlan: r.option(Reader::u16)?,
        interim_interval: r.option(Reader::u64)?.map(Duration::from_secs),
        session_end: r.option(|r| Ok((r.time()?, r.bool()?)))?,
    })
}

fn read_session(r: &mut Reader<'_>) -> Result<Session, RestoreError> {
    Ok(Session {
        id: SessionId(r.u64()?),
        since: r.time()?,
        owner: Owner {
            psk: r.option(read_name)?,
            identity: r.option(Reader::bytes)?,
            vlan: r.option(Reader::u16)?,
        },
    })
}

fn write_name(writer: &mut Writer, name: Option<&str>) {
    writer.option(name, |w, name| w.bytes(name.as_bytes()));
}

fn read_name(r: &mut Reader<'_>) -> Result<std::sync::Arc<str>, RestoreError> {
    let name = String::from_utf8(r.bytes()?).map_err(|_| RestoreError::Malformed)?;
    Ok(name.into())
}
