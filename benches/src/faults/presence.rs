//! What control processes know of each other through Redis. At each of them a gateway has registered a service of its own, and a radio
//! looks for those of all: it is to be offered each and no other, and to be introduced to each; who failed to authenticate at one is
//! refused at all.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use matchmaker::Uuid;
use proto::matchmaking::Key;
use proto::matchmaking::messages::{
    AuthenticationFailures, Connect, Device, Load, LookUp, RegisterRadio, RegisterService, Release, Security,
    answer::Answer, failure::Reason, push::Push, request::Request,
};
use tokio::sync::mpsc;

use super::{caller::Caller, clients::World, model::Violations};

/// A gateway says that often that it is there.
const LOAD: Duration = Duration::from_secs(1);
/// Between attempts of a radio; it may ask 50 times a second.
const AGAIN: Duration = Duration::from_millis(50);
/// An introduction that did not come until then is asked for again, as a device would.
const INTRODUCTION: Duration = Duration::from_secs(2);
/// What is not known everywhere after that long is lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same for refusals: control reads them all every 30 s.
const REFUSAL: Duration = Duration::from_secs(35);
/// So long a client is refused for its first failure.
const REFUSED: Duration = Duration::from_secs(60);

type Mac = [u8; 6];

/// That of a control process; nobody registers that of number 0.
fn service(number: usize) -> Uuid {
    Uuid::from_u64_pair(u64::from(u32::MAX), number as u64)
}

/// Whose everything is: what a gateway says of a device counts everywhere only if it proves whose it is.
pub(super) const ACCOUNT: &str = "faults@example.org";

fn account() -> (String, Key) {
    (ACCOUNT.to_owned(), Key([7; 32]))
}

/// For the configuration of the matchmaker: the account, and that all that is configured is its own.
pub fn owner() -> String {
    format!("account = \"{ACCOUNT}\"\n[[account]]\nid = \"{ACCOUNT}\"\nkey = \"{}\"\n", "07".repeat(32))
}

/// For the configuration: everybody may use the services of so many processes, and the one that is not there.
pub fn bindings(controls: u8) -> String {
    let binding = |number| format!("[[binding]]\nservice = \"{}\"\n", service(number));
    (0..=usize::from(controls)).map(binding).collect()
}

/// What gateways heard.
#[derive(Default)]
struct Heard {
    /// Who was to be introduced to the gateway of which process.
    asked: BTreeSet<(usize, Mac)>,
    /// Who was.
    introduced: BTreeSet<(usize, Mac)>,
}

/// Radios, one for each control process, and how to have the gateways say something.
pub struct Presence {
    radios: Vec<Radio>,
    failed: Vec<mpsc::Sender<(Mac, Mac)>>,
    heard: Arc<Mutex<Heard>>,
    /// Numbers clients, and virtual BSSes.
    next: u32,
    /// Refused everywhere, and since when.
    refused: Option<(Mac, Instant)>,
}

/// A gateway to be run.
pub struct Gateway {
    place: usize,
    caller: Caller,
    /// Device and radio.
    failed: mpsc::Receiver<(Mac, Mac)>,
    heard: Arc<Mutex<Heard>>,
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Presence {
    /// The gateways are to be run.
    pub async fn new(world: &World) -> anyhow::Result<(Presence, Vec<Gateway>)> {
        let (heard, mut gateways) = (Arc::<Mutex<Heard>>::default(), Vec::new());
        let (mut radios, mut senders) = (Vec::new(), Vec::new());
        for (place, address) in world.controls.iter().enumerate() {
            let (sender, failed) = mpsc::channel(8);
            let caller = Caller::new(address.clone(), Some(account())).await?;
            gateways.push(Gateway { place, caller, failed, heard: Arc::clone(&heard) });
            let (caller, name) = (Caller::new(address.clone(), Some(account())).await?, address.name.clone());
            radios.push(Radio { caller, name, mac: [2, 0xfe, 0, 0, 0, place as u8] });
            senders.push(sender);
        }
        Ok((Presence { radios, failed: senders, heard, next: 0, refused: None }, gateways))
    }

    /// Whether every process knows what it must, and nothing else; it may still be hearing of it. How long that took at most.
    pub async fn check(&mut self) -> anyhow::Result<(Violations, Duration)> {
        let (began, mut violations) = (Instant::now(), Violations::default());
        let mut client = [0; 6];
        for n in 0..self.radios.len() {
            client = self.look_up(n, began, &mut violations).await?;
            for place in 0..self.radios.len() {
                client = self.introduce(n, place, began, &mut violations).await?;
            }
        }
        if let Some((refused, since)) = self.refused {
            self.is_refused(refused, since, &mut violations).await?;
        }
        let took = began.elapsed();
        // The one that was introduced last fails to authenticate there, of which everybody is to hear.
        if violations.is_empty() {
            let last = self.failed.last().zip(self.radios.last());
            let (last, radio) = last.context("there is no control process")?;
            let radio = radio.mac;
            last.send((client, radio)).await.context("a gateway ended")?;
            let now = Instant::now();
            self.is_refused(client, now, &mut violations).await?;
            self.refused = Some((client, now));
        }
        Ok((violations, took))
    }

    fn number(&mut self) -> [u8; 4] {
        self.next += 1;
        self.next.to_be_bytes()
    }

    /// Whether a radio is offered what is there.
    async fn look_up(
        &mut self,
        n: usize,
        began: Instant,
        violations: &mut Violations,
    ) -> anyhow::Result<Mac> {
        let [a, b, c, d] = self.number();
        let client = [2, 0xfc, a, b, c, d];
        let wanted: BTreeSet<Uuid> = (1..=self.failed.len()).map(service).collect();
        let radio = &mut self.radios[n];
        let said = loop {
            let device = Device { client: client.to_vec(), rssi_dbm: -60, ..Device::default() };
            let asked = LookUp { radio: radio.mac.to_vec(), devices: vec![device], shown: Vec::new() };
            let answer = radio.ask(Request::LookUp(asked)).await?;
            if let Some(Answer::Offers(said)) = &answer {
                let offered = said.offers.iter().filter_map(|offer| Uuid::from_slice(&offer.service).ok());
                let offered: BTreeSet<Uuid> = offered.collect();
                for other in offered.difference(&wanted) {
                    violations.unasked.insert(format!("service {other} is offered at {}", radio.name));
                }
                if wanted.is_subset(&offered) {
                    return Ok(client);
                }
            }
            if began.elapsed() > PATIENCE {
                break answer;
            }
            tokio::time::sleep(AGAIN).await;
        };
        violations.lost.insert(format!("not all services are offered at {}: {said:?}", radio.name));
        Ok(client)
    }

    /// Whether a radio meets the gateway of a control process.
    async fn introduce(
        &mut self,
        n: usize,
        place: usize,
        began: Instant,
        violations: &mut Violations,
    ) -> anyhow::Result<Mac> {
        let [a, b, c, d] = self.number();
        let (client, bssid) = ([2, 0xfc, a, b, c, d], [2, 0xfd, a, b, c, d]);
        let (radio, service) = (&mut self.radios[n], service(place + 1));
        lock(&self.heard).asked.insert((place, client));
        let mut connected = false;
        let connect = Connect {
            radio: radio.mac.to_vec(),
            client: client.to_vec(),
            service: service.as_bytes().to_vec(),
            bssid: bssid.to_vec(),
            session_id: [&[0; 12][..], &[a, b, c, d]].concat(),
            rssi_dbm: -60,
            ..Connect::default()
        };
        while began.elapsed() < PATIENCE {
            let answer = radio.ask(Request::Connect(connect.clone())).await?;
            let Some(Answer::Connected(_)) = answer else {
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            connected = true;
            let asked = Instant::now();
            while asked.elapsed() < INTRODUCTION {
                if lock(&self.heard).introduced.contains(&(place, client)) {
                    let release = Release {
                        radio: radio.mac.to_vec(),
                        bssid: bssid.to_vec(),
                        service: connect.service,
                        gateway_lost: false,
                    };
                    radio.ask(Request::Release(release)).await?;
                    return Ok(client);
                }
                tokio::time::sleep(AGAIN / 10).await;
            }
        }
        let name = &radio.name;
        violations.lost.insert(if connected {
            format!("introductions by {name} do not come to the gateway of service {service}")
        } else {
            format!("{name} does not introduce to service {service}")
        });
        Ok(client)
    }

    /// Whether a client that failed to authenticate is refused everywhere, while it is to be.
    async fn is_refused(
        &mut self,
        client: Mac,
        since: Instant,
        violations: &mut Violations,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        for radio in &mut self.radios {
            loop {
                let connect = Connect {
                    radio: radio.mac.to_vec(),
                    client: client.to_vec(),
                    service: service(1).as_bytes().to_vec(),
                    bssid: client.to_vec(),
                    session_id: vec![1; 16],
                    rssi_dbm: -60,
                    ..Connect::default()
                };
                lock(&self.heard).asked.insert((0, client));
                let answer = radio.ask(Request::Connect(connect)).await?;
                // It is let in again: nothing can be said.
                if is(&answer, Reason::Refused) || since.elapsed() > REFUSED - LOAD {
                    break;
                }
                if began.elapsed() > REFUSAL {
                    let text = format!("a client that is refused is not at {}: {answer:?}", radio.name);
                    violations.lost.insert(text);
                    break;
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
        Ok(())
    }
}

fn is(answer: &Option<Answer>, reason: Reason) -> bool {
    matches!(answer, Some(Answer::Failure(failure)) if failure.reason() == reason)
}

/// It knows one control process only.
struct Radio {
    caller: Caller,
    name: String,
    mac: Mac,
}

impl Radio {
    /// Registers if the process does not know it.
    async fn ask(&mut self, request: Request) -> anyhow::Result<Option<Answer>> {
        let answer = self.caller.ask(request.clone()).await?;
        if !is(&answer, Reason::NotRegistered) {
            return Ok(answer);
        }
        let radio = self.mac.to_vec();
        let register = RegisterRadio { radio, channel: 6, bssids: 4, ..RegisterRadio::default() };
        self.caller.ask(Request::RegisterRadio(register)).await?;
        self.caller.ask(request).await
    }
}

impl Gateway {
    /// Keeps its service registered, and takes introductions.
    pub async fn run(mut self, world: Arc<World>) -> anyhow::Result<()> {
        let uuid = service(self.place + 1);
        let (service, instance) = (uuid.as_bytes().to_vec(), uuid.as_bytes().to_vec());
        let register = Request::RegisterService(RegisterService {
            service: service.clone(),
            instance: instance.clone(),
            ssid: format!("of {}", world.controls[self.place].name),
            security: Security::Open.into(),
            endpoints: vec!["192.0.2.2:5247".to_owned()],
            ..RegisterService::default()
        });
        let load = Request::Load(Load { service: service.clone(), instance, ..Load::default() });
        let (mut registered, mut known) = (false, false);
        while !world.stopped() {
            let began = Instant::now();
            // While it is new nobody may look at what there is.
            let gate = if known { None } else { Some(world.gate.read().await) };
            registered &= !std::mem::take(&mut self.caller.forgotten);
            let answer = self.caller.ask(if registered { load.clone() } else { register.clone() }).await?;
            match answer {
                Some(Answer::Registered(_)) => {
                    registered = true;
                    if !std::mem::replace(&mut known, true) {
                        world.model().registered(uuid, began.elapsed());
                    }
                }
                Some(Answer::Done(_)) | None => {}
                other if is(&other, Reason::NotRegistered) => {
                    registered = false;
                    continue;
                }
                other if is(&other, Reason::Rate) => {}
                other => world.model().errors.push(format!("{other:?}")),
            }
            drop(gate);
            let next = began + LOAD;
            while Instant::now() < next && !self.caller.forgotten && !world.stopped() {
                tokio::select! {
                    () = self.caller.listen(next.saturating_duration_since(Instant::now())) => {}
                    Some((client, radio)) = self.failed.recv() => {
                        let failures = AuthenticationFailures {
                            service: service.clone(), client: client.to_vec(), radio: radio.to_vec(), failures: 5,
                        };
                        self.caller.ask(Request::AuthenticationFailures(failures)).await?;
                    }
                }
                self.introductions(&world);
            }
        }
        Ok(())
    }

    fn introductions(&mut self, world: &World) {
        for push in self.caller.pushed.drain(..) {
            let Push::Introduction(said) = push else { continue };
            let Ok(client) = Mac::try_from(&said.client[..]) else { continue };
            let mut heard = lock(&self.heard);
            if !heard.asked.contains(&(self.place, client)) {
                let text = format!("{} introduced {client:02x?}", world.controls[self.place].name);
                world.model().unasked(text);
            }
            heard.introduced.insert((self.place, client));
        }
    }
}
