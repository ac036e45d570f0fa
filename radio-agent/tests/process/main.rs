//! The program itself: started, with simulated air, against gateways and a matchmaker made of UDP sockets in this process.

mod bench;
mod fixed;
mod matchmaking;
