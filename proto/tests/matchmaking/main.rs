//! Matchmaking, from the octets of its datagrams to peers and servers on virtual time.

mod bounds;
mod checks;
mod datagrams;
mod drops;
mod pairs;
mod pushes;
mod sealing;
mod world;
