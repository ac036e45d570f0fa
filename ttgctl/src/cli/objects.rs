//! What can be done with objects of the matchmaker.

use std::path::PathBuf;

use clap::Subcommand;

use super::Show;

/// What can be done with radios.
#[derive(Debug, Subcommand)]
pub enum RadiosVerb {
    /// Says whose a radio is.
    Add {
        /// Its permanent MAC address.
        radio: String,
        /// Whose: an e-mail address.
        #[arg(long, value_name = "ACCOUNT")]
        account: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Forgets a radio; it may register again, as nobody's.
    Remove {
        /// Its permanent MAC address.
        radio: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Shows one that is registered, or that there is a record of.
    Show {
        /// Its permanent MAC address.
        radio: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
}

/// What can be done with networks, which gateways register.
#[derive(Debug, Subcommand)]
pub enum NetworksVerb {
    /// Says when it is shown, and where captured devices are sent.
    Set {
        /// Which.
        uuid: String,
        /// When it is shown.
        #[command(flatten)]
        policy: PolicyFlags,
        /// It is shown always, but for what else is said here.
        #[arg(long)]
        clear_policy: bool,
        /// Where HTTP requests of captured devices are sent; empty: nowhere.
        #[arg(long, value_name = "URL")]
        capture_url: Option<String>,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Forgets one that no gateway serves.
    Remove {
        /// Which.
        uuid: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Shows one.
    Show {
        /// Which.
        uuid: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
}

/// What can be done with devices.
#[derive(Debug, Subcommand)]
pub enum ClientsVerb {
    /// Gives a device a name. Bindings name it by its address all the same.
    Add {
        /// The address that it uses towards its network.
        client: String,
        /// How people call it.
        #[arg(long, value_name = "NAME", default_value = "")]
        name: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Forgets its name; whether it is refused is for `forgive`.
    Remove {
        /// The device.
        client: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Shows one.
    Show {
        /// The device.
        client: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
}

/// What can be done with bindings.
#[derive(Debug, Subcommand)]
pub enum BindingsVerb {
    /// Makes a service visible to a device, or to any, near a radio, or near any.
    Add(NewBinding),
    /// Says anew what it says differently from its service, without taking the network off the air.
    Set {
        /// Which, and whose.
        #[command(flatten)]
        which: Numbered,
        /// What it says from now on, instead of all that it says.
        #[command(flatten)]
        policy: PolicyFlags,
        /// It says nothing differently, but for what else is said here.
        #[arg(long)]
        clear_policy: bool,
    },
    /// Takes a binding back.
    Remove(Numbered),
    /// Shows one.
    Show(Numbered),
}

/// One of an account.
#[derive(Debug, clap::Args)]
pub struct Numbered {
    /// Its identifier.
    pub id: u64,
    /// Whose it is: an e-mail address; nobody's unless told.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Form of the answer.
    #[command(flatten)]
    pub show: Show,
}

/// What a new binding says.
#[derive(Debug, clap::Args)]
pub struct NewBinding {
    /// Which service.
    #[arg(long, value_name = "UUID")]
    pub service: String,
    /// Which device; * is any.
    #[arg(long, value_name = "MAC", default_value = "*")]
    pub client: String,
    /// Near which radio; * is any.
    #[arg(long, value_name = "MAC", default_value = "*")]
    pub radio: String,
    /// Whose it is: an e-mail address; the service's account unless told.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// What it says differently from its service.
    #[command(flatten)]
    pub policy: PolicyFlags,
    /// Form of the answer.
    #[command(flatten)]
    pub show: Show,
}

/// When a network is shown. What is not said is no condition.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Policy")]
pub struct PolicyFlags {
    /// Least signal of the device, in dBm.
    #[arg(long, value_name = "DBM", allow_negative_numbers = true)]
    pub min_rssi: Option<i32>,
    /// Least spare capacity from the device, in kbit/s.
    #[arg(long, value_name = "KBPS")]
    pub min_up: Option<u32>,
    /// Least spare capacity towards the device, in kbit/s.
    #[arg(long, value_name = "KBPS")]
    pub min_down: Option<u32>,
    /// How long the device must have been near, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub delay: Option<u32>,
    /// Radios that the device may have been near in the last ten minutes, at most 7; counts for devices that a binding names.
    #[arg(long, value_name = "N")]
    pub max_mobility: Option<u32>,
    /// More delay at 2.4 GHz for devices that can do another band, where a radio of one is near, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub steer_delay: Option<u32>,
    /// Shown at least so long once shown, in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub dwell: Option<u32>,
    /// A connected device is sent away below, in dBm.
    #[arg(long, value_name = "DBM", allow_negative_numbers = true)]
    pub kick_rssi: Option<i32>,
    /// Probe requests below are not answered, in dBm.
    #[arg(long, value_name = "DBM", allow_negative_numbers = true)]
    pub suppress_rssi: Option<i32>,
    /// Most clients on one radio.
    #[arg(long, value_name = "N")]
    pub max_clients: Option<u32>,
    /// The beacon does not name the network, or expressly does.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub hidden: Option<bool>,
    /// Not shown while the client's own network is heard, or expressly also then.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub yields_to_home: Option<bool>,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountsVerb {
    /// Makes an account.
    Add {
        /// Its e-mail address.
        id: String,
        /// File with the key that its radios and gateways prove to have, 64 hexadecimal digits; `-`: standard input. Without, they need none.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// If it is there with another key, it gets this one.
        #[arg(long, requires = "key_file")]
        replace_key: bool,
        /// It is there and has no key any more: whoever names it is believed.
        #[arg(long, conflicts_with = "key_file")]
        remove_key: bool,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Removes an account, with the grants by and to it.
    Remove {
        /// Its e-mail address.
        id: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Shows one.
    Show {
        /// Its e-mail address.
        id: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
}

/// What can be done with grants.
#[derive(Debug, Subcommand)]
pub enum GrantsVerb {
    /// Lets services of one account be shown on the radios of another.
    Add(OfGrant),
    /// Takes that back.
    Remove(OfGrant),
    /// Shows it, if it is in force.
    Show(OfGrant),
}

/// What a grant says.
#[derive(Debug, clap::Args)]
pub struct OfGrant {
    /// On whose radios.
    #[arg(long, value_name = "ACCOUNT")]
    pub radios_of: String,
    /// Whose services; * is anybody's.
    #[arg(long, value_name = "ACCOUNT")]
    pub services_of: String,
    /// Form of the answer.
    #[command(flatten)]
    pub show: Show,
}

/// What can be done with contracts.
#[derive(Debug, Subcommand)]
pub enum ContractsVerb {
    /// Makes a contract of a service with a device, or an EAP user.
    Add(NewContract),
    /// Ends one.
    Remove(Numbered),
    /// Shows one.
    Show(Numbered),
}

/// What a new contract says.
#[derive(Debug, clap::Args)]
pub struct NewContract {
    /// Which service.
    #[arg(long, value_name = "UUID")]
    pub service: String,
    /// With which device.
    #[arg(long, value_name = "MAC", required_unless_present = "identity", conflicts_with = "identity")]
    pub client: Option<String>,
    /// With which EAP user.
    #[arg(long, value_name = "NAME")]
    pub identity: Option<String>,
    /// Whose it is: an e-mail address; the service's account unless told.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Most from the device, in bit/s; 0: no limit.
    #[arg(long, value_name = "BPS", default_value_t = 0)]
    pub max_up: u64,
    /// Most towards the device, in bit/s; 0: no limit.
    #[arg(long, value_name = "BPS", default_value_t = 0)]
    pub max_down: u64,
    /// HTTP requests are redirected to the service's capture URL.
    #[arg(long)]
    pub capture: bool,
    /// Form of the answer.
    #[command(flatten)]
    pub show: Show,
}

macro_rules! shows {
    ($show:ident: $($verb:ident($pattern:pat);)*) => {$(
        impl $verb {
            /// The form of its answer.
            pub fn show(&self) -> &Show {
                match self {
                    $pattern => $show,
                }
            }
        }
    )*};
}

shows! { show:
    RadiosVerb(RadiosVerb::Add { show, .. } | RadiosVerb::Remove { show, .. } | RadiosVerb::Show { show, .. });
    ClientsVerb(ClientsVerb::Add { show, .. } | ClientsVerb::Remove { show, .. } | ClientsVerb::Show { show, .. });
    NetworksVerb(NetworksVerb::Set { show, .. } | NetworksVerb::Remove { show, .. } | NetworksVerb::Show { show, .. });
    BindingsVerb(BindingsVerb::Add(NewBinding { show, .. }) | BindingsVerb::Set { which: Numbered { show, .. }, .. } | BindingsVerb::Remove(Numbered { show, .. }) | BindingsVerb::Show(Numbered { show, .. }));
    AccountsVerb(AccountsVerb::Add { show, .. } | AccountsVerb::Remove { show, .. } | AccountsVerb::Show { show, .. });
    GrantsVerb(GrantsVerb::Add(OfGrant { show, .. }) | GrantsVerb::Remove(OfGrant { show, .. }) | GrantsVerb::Show(OfGrant { show, .. }));
    ContractsVerb(ContractsVerb::Add(NewContract { show, .. }) | ContractsVerb::Remove(Numbered { show, .. }) | ContractsVerb::Show(Numbered { show, .. }));
}
