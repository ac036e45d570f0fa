//! Who asks for things meanwhile: administrators who make and delete bindings, at any control process, and gateways that register
//! services, each at one. Whoever gets no answer, or a bad one, asks again until it is acknowledged; so while nobody waits it is
//! known what there must be.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use matchmaker::Uuid;
use proto::{
    admin::{CreateBindingRequest, DeleteBindingRequest, Policy},
    matchmaking::messages::{RegisterService, Security, answer::Answer, failure::Reason, request::Request},
};
use tokio::sync::RwLock;
use tonic::Code;

use super::{caller::Caller, control::Address, model::Model, presence::ACCOUNT, random::Random};

/// Between two changes of one administrator, and between two registrations of one gateway.
const PAUSE: Duration = Duration::from_millis(10);
const BETWEEN: Duration = Duration::from_millis(150);
/// After a failure.
const AGAIN: Duration = Duration::from_millis(20);
/// Bindings that one administrator keeps.
const FEW: usize = 20;
const MANY: usize = 80;
/// Services that one gateway registers, as many as one key may have; then it registers these again.
const REGISTERED: u64 = matchmaker::MAX_SERVICES as u64;
/// What bindings name; control has them in its configuration.
pub(super) const SERVICES: [&str; 2] =
    ["6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0001", "6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0002"];
/// The same.
const RADIOS: [&str; 3] = ["*", "02:aa:00:00:00:01", "02:aa:00:00:00:02"];

/// What clients share.
pub struct World {
    /// The control processes.
    pub controls: Vec<Address>,
    /// Held while something is asked for; who has it alone looks at what there is.
    pub gate: RwLock<()>,
    /// No more.
    pub stop: AtomicBool,
    model: Mutex<Model>,
    next: AtomicU64,
}

impl World {
    /// Nothing was asked for yet.
    pub fn new(controls: Vec<Address>) -> Arc<World> {
        let (gate, stop, model, next) = Default::default();
        Arc::new(World { controls, gate, stop, model, next })
    }

    /// What is known.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody is to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether it may work at the next attempt; if not, that is noted.
    fn transient(&self, status: &tonic::Status) -> bool {
        // A process that is killed breaks connections in several ways.
        let broken =
            matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal);
        if !broken {
            self.model().errors.push(status.to_string());
        }
        broken && !self.stopped()
    }
}

/// Makes and deletes bindings.
pub async fn administrator(world: Arc<World>, mut random: Random) {
    let mut own: Vec<u64> = Vec::new();
    while !world.stopped() {
        {
            let _gate = world.gate.read().await;
            if own.len() < FEW || own.len() < MANY && random.below(2) == 0 {
                own.extend(create(&world, &mut random).await);
            } else {
                let id = own.swap_remove(random.below(own.len()));
                delete(&world, &mut random, id).await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn create(world: &World, random: &mut Random) -> Option<u64> {
    let [.., a, b, c, d, e] = world.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let client = format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}");
    let asked = CreateBindingRequest {
        service: (*random.of(&SERVICES)).to_owned(),
        client,
        radio: (*random.of(&RADIOS)).to_owned(),
        policy: policy(random),
        ..CreateBindingRequest::default()
    };
    let began = Instant::now();
    loop {
        let mut admin = random.of(&world.controls).admin.clone();
        match admin.create_binding(asked.clone()).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let Some(binding) = answer.binding else {
                    world.model().errors.push("a binding was made, and is not in the answer".to_owned());
                    return None;
                };
                world.model().created(binding.id, asked.into(), began.elapsed());
                return Some(binding.id);
            }
            Err(status) if world.transient(&status) => {}
            Err(_) => return None,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Half of them say nothing, and of the others half of the fields.
fn policy(random: &mut Random) -> Option<Policy> {
    let says = |random: &mut Random| random.below(2) == 0;
    let dbm = |random: &mut Random| says(random).then(|| -(random.below(129) as i32));
    let number = |random: &mut Random| says(random).then(|| random.below(1 << 20) as u32);
    let flag = |random: &mut Random| says(random).then(|| says(random));
    says(random).then(|| Policy {
        min_rssi_dbm: dbm(random),
        min_up_kbps: number(random),
        min_down_kbps: number(random),
        delay_ms: number(random),
        // More are not taken.
        max_mobility: says(random).then(|| random.below(8) as u32),
        steer_delay_ms: number(random),
        dwell_seconds: number(random),
        kick_rssi_dbm: dbm(random),
        suppress_rssi_dbm: dbm(random),
        max_clients: number(random),
        hidden: flag(random),
        yields_to_home: flag(random),
    })
}

async fn delete(world: &World, random: &mut Random, id: u64) {
    let asked = DeleteBindingRequest { account: ACCOUNT.to_owned(), id };
    let (began, mut again) = (Instant::now(), false);
    loop {
        let mut admin = random.of(&world.controls).admin.clone();
        match admin.delete_binding(asked.clone()).await {
            Ok(_) => return world.model().deleted(id, began.elapsed()),
            // It was done the last time, and the answer got lost.
            Err(status) if status.code() == Code::NotFound && again => {
                return world.model().deleted(id, began.elapsed());
            }
            Err(status) if world.transient(&status) => again = true,
            Err(_) => return,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Registers services at one control process.
pub async fn gateway(world: Arc<World>, place: usize, mut random: Random) -> anyhow::Result<()> {
    let mut caller = Caller::new(world.controls[place].clone(), None).await?;
    let mut registered = 0;
    while !world.stopped() {
        {
            let _gate = world.gate.read().await;
            let number =
                if registered < REGISTERED { registered } else { random.below(REGISTERED as usize) as u64 };
            let service = Uuid::from_u64_pair(place as u64 + 1, number);
            let request = Request::RegisterService(RegisterService {
                service: service.as_bytes().to_vec(),
                instance: service.as_bytes().to_vec(),
                ssid: format!("network {number}"),
                security: Security::Open.into(),
                endpoints: vec!["192.0.2.1:5247".to_owned()],
                ..RegisterService::default()
            });
            let began = Instant::now();
            while !world.stopped() {
                match caller.ask(request.clone()).await? {
                    Some(Answer::Registered(_)) => {
                        world.model().registered(service, began.elapsed());
                        registered += 1;
                        break;
                    }
                    // The records are away.
                    Some(Answer::Failure(failure)) if failure.reason() == Reason::Rate => {}
                    Some(other) => {
                        world.model().errors.push(format!("{other:?}"));
                        return Ok(());
                    }
                    // As if the gateway had been started again.
                    None => caller.restart(),
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}
