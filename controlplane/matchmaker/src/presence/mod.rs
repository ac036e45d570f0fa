//! What is there at the moment. All of it is forgotten when it is not said again; losing it costs a registration.

mod introductions;
mod lost;
mod places;
mod radios;
mod recent;
mod services;
mod sightings;

pub use introductions::{Introduced, SessionKey};
pub(crate) use introductions::{Introductions, Tunnel};
pub(crate) use lost::{Lost, Witness};
pub use places::Location;
pub(crate) use radios::Radios;
pub use radios::{Peer, RadioRegistration, RadioView, RadiosMemory};
pub use services::{Instance, InstanceId, Load, MAX_INSTANCES};
pub(crate) use services::{ServiceState, Services, owns};
pub use sightings::MAX_MOBILITY;
pub(crate) use sightings::Sightings;
