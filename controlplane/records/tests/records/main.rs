//! Both stores, with real files and servers.

mod crash;
mod embedded;
mod migrate;
mod postgres;
mod suite;
