//! A device that authenticated by 802.1X at one control process is let in by another with the PMK of that time: a real Redis between them, a
//! real RADIUS server at the first, none at the second. The test is the gateways and the air; the device is that of the crate `station`.

mod common;
#[path = "common/redis.rs"]
mod redis;

use std::{
    collections::VecDeque,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use common::*;
use controlplane::{Control, Link, core::Query};
use dot11::{
    Akm, Frame, FrameKind, MacAddr, ManagementSubtype,
    beacon::BssTemplate,
    build,
    element::{Rsn, RsnCapabilities, Ssid},
    llc::{self, EtherType},
};
use proto::{
    gateway::{self as pb, command::Command as C, event::Event as Ev, frame::Kind},
    matchmaking::messages::answer::Answer,
    tunnel::{Hello, Proof, ServiceUuid, SessionId, TunnelKey},
};
use radius::testkit::{FreeRadius, FreeRadiusConfig, SERVER_NAME};
use station::{Command, Device, DeviceConfig, Event, Output, Profile, Time, eap};
use tokio::time::timeout;

/// Enterprise, for everybody; with these RADIUS servers.
fn text(radius: &str, secret: &str, redis: &str, keys: &Path) -> String {
    format!(
        "[[radius]]\nname = \"aaa\"\nauth = [\"{radius}\"]\nsecret = \"{secret}\"\n\
         [[service]]\nuuid = \"{UUID}\"\nssid = \"work\"\nsecurity = \"eap\"\nradius = \"aaa\"\n\
         [matchmaker]\nlisten = \"127.0.0.1:0\"\nkey_file = \"{}\"\n[presence]\nredis = [\"{redis}\"]\n\
         [[binding]]\nservice = \"{UUID}\"\n",
        keys.display()
    )
}

fn device(radius: &FreeRadius) -> Device {
    let ca = std::fs::read(radius.ca_certificate()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let trust = eap::Config::new(&ca, Some(SERVER_NAME), now).unwrap();
    let profile = Arc::new(Profile::enterprise("work", Akm::Ieee8021x, trust).unwrap());
    let credentials = Arc::new(eap::Credentials::new("alice", "wonderland"));
    Device::new(DeviceConfig::new(MacAddr(PHONE), profile).with_credentials(credentials), [7; 16])
}

/// A gateway of one control process, a radio, and the virtual BSS between them.
struct Place {
    control: Control,
    link: Link,
    radio: Radio,
    began: Instant,
    heard: VecDeque<C>,
    template: BssTemplate,
    bssid: MacAddr,
    _state: tempfile::TempDir,
}

impl Place {
    async fn new(text: &str, number: u8) -> Place {
        let (control, state) = control(text).await;
        let at = control.matchmaker().unwrap();
        let mut radio = Radio::new((at.listen, at.key)).await;
        radio.register().await;
        let link = attach(&control, &format!("gateway {number}")).await;
        registered(&control).await;
        let bssid = MacAddr([2, 0xaa, 0, 0, 0, number]);
        let capabilities = RsnCapabilities::default().with_16_ptksa_replay_counters();
        let rsn = Rsn { capabilities, ..Rsn::ccmp(&[Akm::Ieee8021x]) };
        let template = BssTemplate::new(bssid, Ssid::try_from("work").unwrap(), 6, Some(rsn));
        let (began, heard) = (Instant::now(), VecDeque::new());
        Place { control, link, radio, began, heard, template, bssid, _state: state }
    }

    async fn count(&self, name: &str) -> u64 {
        self.control.ask(Query::Stats).await.unwrap().control.get(name).copied().unwrap_or_default()
    }

    /// The device is introduced to this gateway. Gives the tunnel's key.
    async fn introduced(&mut self) -> TunnelKey {
        let began = Instant::now();
        loop {
            match self.radio.connect_on(self.bssid.0, PHONE).await {
                Answer::Connected(connected) => {
                    return TunnelKey::new(connected.key.try_into().unwrap());
                }
                other => assert!(began.elapsed() < PATIENCE, "{other:?}"),
            }
            self.heeds_nothing().await;
        }
    }

    async fn open_tunnel(&mut self, key: &TunnelKey) {
        let hello = Hello {
            bssid: self.bssid,
            radio: MacAddr(RADIO),
            service: ServiceUuid(uuid().try_into().unwrap()),
        };
        let proof = Proof::new(key, &SessionId(SESSION), &hello, 1);
        let tunnel = pb::Tunnel {
            session_id: SESSION.to_vec(),
            bssid: self.bssid.0.to_vec(),
            radio: RADIO.to_vec(),
            service: uuid(),
            endpoint: "192.0.2.77:7000".into(),
        };
        let request = pb::TunnelRequest { tunnel: Some(tunnel), counter: 1, proof: proof.mac.to_vec() };
        say(&self.link, vec![Ev::TunnelRequest(request)]).await;
        while !matches!(self.next(PATIENCE).await, Some(C::TunnelAccept(_))) {}
    }

    /// What control says next, if it does.
    async fn next(&mut self, wait: Duration) -> Option<C> {
        if self.heard.is_empty()
            && let Ok(batch) = timeout(wait, self.link.commands.recv()).await
        {
            self.heard
                .extend(batch.expect("control lives").into_iter().filter_map(|command| command.command));
        }
        self.heard.pop_front()
    }

    /// Takes what control says: a gateway that does not is one that hangs.
    async fn heeds_nothing(&mut self) {
        let _ = self.next(Duration::from_millis(20)).await;
        while self.link.commands.try_recv().is_ok() {}
        self.heard.clear();
    }

    /// The device connects here, until control opens its port.
    async fn connects(&mut self, device: &mut Device) {
        let began = Instant::now();
        let mut out = Vec::new();
        device.command(self.now(), Command::Connect, &mut out);
        let (mut open, mut online) = (false, false);
        while !(open && online) {
            assert!(began.elapsed() < PATIENCE, "the port is open: {open}, the device is online: {online}");
            for output in std::mem::take(&mut out) {
                match output {
                    Output::Frame(frame) => self.up(device, &frame, &mut out).await,
                    Output::Event(event) => online |= event == Event::Online,
                }
            }
            match self.next(Duration::from_millis(10)).await {
                Some(C::Transmit(transmit)) if transmit.mac == PHONE => {
                    let frame = match Kind::try_from(transmit.kind) {
                        Ok(Kind::Management) => transmit.data,
                        _ => {
                            let header =
                                build::DataHeader::from_ap(self.bssid, MacAddr(PHONE), self.bssid, None);
                            header.frame(&llc::msdu(EtherType::EAPOL, &transmit.data))
                        }
                    };
                    device.receive(self.now(), &frame, Some(-50), &mut out);
                }
                Some(C::PortOpen(port)) => open |= port.open && port.mac == PHONE,
                _ => {}
            }
            if device.next_timeout().is_some_and(|due| due <= self.now()) {
                device.timeout(self.now(), &mut out);
            }
        }
    }

    /// A frame of the device: the radio answers its probes, the gateway passes on what control is for.
    async fn up(&self, device: &mut Device, bytes: &[u8], out: &mut Vec<Output>) {
        let frame = Frame::parse(bytes).unwrap();
        let (kind, data) = match frame.kind() {
            FrameKind::Management(ManagementSubtype::ProbeRequest) => {
                let response = self.template.probe_response(device.mac(), 0);
                return device.receive(self.now(), &response, Some(-50), out);
            }
            FrameKind::Management(_) => (Kind::Management, bytes.to_vec()),
            FrameKind::Data(_) => match llc::parse(frame.body()) {
                Some((EtherType::EAPOL, pdu)) => (Kind::Eapol, pdu.to_vec()),
                _ => return,
            },
            _ => return,
        };
        let frame = pb::Frame {
            kind: kind.into(),
            bssid: self.bssid.0.to_vec(),
            mac: PHONE.to_vec(),
            data,
            ..Default::default()
        };
        say(&self.link, vec![Ev::Frame(frame)]).await;
    }

    fn now(&self) -> Time {
        Time::ZERO + self.began.elapsed()
    }
}

#[tokio::test]
async fn who_authenticated_at_one_process_is_let_in_by_another_without_radius() {
    let config = FreeRadiusConfig { default_eap: "ttls".to_owned(), ..FreeRadiusConfig::default() };
    let secret = config.secret.clone();
    let radius = tokio::task::spawn_blocking(move || FreeRadius::start(&config).unwrap()).await.unwrap();
    let redis = redis::Server::start(&[]);
    let keys = tempfile::tempdir().unwrap();
    let text = |radius: &str| text(radius, &secret, &redis.address(), &keys.path().join("matchmaker.key"));
    let mut device = device(&radius);

    let mut first = Place::new(&text(&radius.authentication().to_string()), 1).await;
    let key = first.introduced().await;
    first.open_tunnel(&key).await;
    first.connects(&mut device).await;
    assert!(first.count("radius_requests").await > 2, "EAP takes some");
    assert_eq!(first.count("pmks_from_others").await, 0, "nobody else has any");
    // Its gateway goes away, so that everybody is introduced to the other's.
    let Place { control: _first, link, .. } = first;
    drop(link);

    // Nobody answers there.
    let mut second = Place::new(&text("127.0.0.1:9"), 2).await;
    let began = Instant::now();
    let mut key = second.introduced().await;
    // That is what fetches it, before the device has sent a frame here; what the first process has to say may be on its way.
    while second.count("pmks_from_others").await == 0 {
        assert!(began.elapsed() < PATIENCE, "the PMK does not come");
        second.heeds_nothing().await;
        key = second.introduced().await;
    }
    second.open_tunnel(&key).await;
    second.connects(&mut device).await;
    assert_eq!(second.count("radius_requests").await, 0);
    assert_eq!(second.count("pmks_from_others").await, 1, "once");
    let sessions =
        second.control.ask(|reply| Query::Sessions { of: Default::default(), after: None, most: 10, reply });
    assert_eq!(sessions.await.unwrap().sessions[0].identity, "alice", "it is who it was");
}
