//! The agent with matchmaking, under virtual time, against a scripted matchmaker and gateways.

mod bounds;
mod changing;
mod connecting;
mod leaving;
mod showing;
mod usage;
mod world;
