//! Sizes and rates that a data plane is set up with.

/// Sizes and rates of a worker. Everything on the packet path is allocated from these at set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Stations expected per worker: the memory for them is set up at once. Four times as many, and always a million, are taken.
    pub stations: usize,
    /// MTU of the path to the radios, IP header included.
    pub path_mtu: usize,
    /// MSDUs of which only some fragments came, at a time.
    pub fragments: usize,
    /// Frames from devices that wait for their key, at a time.
    pub parked: usize,
    /// Packets to devices that wait for keys, at a time.
    pub held: usize,
    /// Of these for one station.
    pub held_per_station: usize,
    /// Group-addressed frames that are being copied to stations, at a time.
    pub fanout: usize,
    /// Copies made of them per pass.
    pub fanout_per_pass: usize,
    /// Packets that wait for each way out.
    pub tx_queue: usize,
    /// Events that wait for control.
    pub events: usize,
    /// Commands that wait for a worker; more wait at the sender.
    pub commands: usize,
    /// Octets of each hand-off ring.
    pub handoff_octets: usize,
    /// Tunnel requests given to control per second.
    pub requests_per_second: u32,
    /// Datagrams of matchmaking given to control per second.
    pub datagrams_per_second: u32,
    /// Deauthentications per second to devices that are not associated.
    pub class3_per_second: u32,
    /// Incomplete frames in CAPWAP fragments: number and octets.
    pub reassembly: (usize, usize),
    /// Any number nobody outside knows: makes the order in tables unpredictable.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stations: 4096,
            path_mtu: 1500,
            fragments: 256,
            parked: 256,
            held: 1024,
            held_per_station: 64,
            fanout: 64,
            fanout_per_pass: 64,
            tx_queue: 512,
            events: 4096,
            commands: 1024,
            handoff_octets: 1 << 20,
            requests_per_second: 500,
            datagrams_per_second: 2000,
            class3_per_second: 50,
            reassembly: (256, 1 << 20),
            seed: 0x5bd1_e995_9e37_79b9,
        }
    }
}
