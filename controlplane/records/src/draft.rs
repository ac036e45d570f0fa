//! What is to become durable, and what became of it.

use matchmaker::{
    Uuid,
    objects::{AccountId, Change, Contract, ContractId, ContractKind, NewBinding, Subscriber},
};

/// Counts the commits of a store that changed something; 0: none yet.
pub type Version = u64;

/// What is to become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Draft {
    /// As it is.
    Change(Change),
    /// Only if the object still is as it was seen when this was planned, or is already as wanted. Otherwise nothing of the commit
    /// happens: [`crate::RecordsError::Changed`].
    ChangeIf {
        /// What.
        change: Change,
        /// The change that puts what was seen; `None`: it was not there.
        seen: Option<Box<Change>>,
    },
    /// A binding that gets the next identifier of its account. If one is there with the same service, client and radio, that
    /// is the outcome, whatever its policy and origin.
    NewBinding {
        /// Whose it is; `None`: the pool's.
        account: Option<AccountId>,
        /// What it says.
        binding: NewBinding,
    },
    /// A contract that gets the next identifier of its account. If one is there with the same service and subscriber, that is
    /// the outcome, whatever its terms.
    NewContract {
        /// Whose it is; `None`: the pool's.
        account: Option<AccountId>,
        /// What it says.
        contract: NewContract,
    },
}

impl Draft {
    /// A change that was planned from what was seen of its object; `None`: it was not there.
    pub fn change_if(seen: Option<Change>, change: Change) -> Draft {
        Draft::ChangeIf { change, seen: seen.map(Box::new) }
    }
}

impl From<Change> for Draft {
    fn from(change: Change) -> Self {
        Draft::Change(change)
    }
}

/// A contract that has no identifier yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContract {
    /// For which service.
    pub service: Uuid,
    /// With whom.
    pub subscriber: Subscriber,
    /// What is charged.
    pub kind: ContractKind,
    /// Most from the device, in bit/s.
    pub max_bandwidth_up: Option<u64>,
    /// Most towards the device, in bit/s.
    pub max_bandwidth_down: Option<u64>,
    /// HTTP requests of the client are redirected to the service's capture URL.
    pub capture: bool,
}

impl NewContract {
    /// With its identifier.
    pub fn with_id(self, id: ContractId) -> Contract {
        let NewContract { service, subscriber, kind, max_bandwidth_up, max_bandwidth_down, capture } = self;
        Contract { id, service, subscriber, kind, max_bandwidth_up, max_bandwidth_down, capture }
    }
}

/// What became of the drafts of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The version of the store after it.
    pub version: Version,
    /// One for each draft.
    pub outcomes: Vec<Outcome>,
}

impl Committed {
    /// The changes, to be applied to whatever mirrors the store.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.outcomes.iter().map(|outcome| &outcome.change)
    }
}

/// What became of one draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// With its identifier, if the store gave one.
    pub change: Change,
    /// Whether it made a difference; if not, it was so before.
    pub made: bool,
}

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Of the commit that last changed it.
    pub version: Version,
    /// The change that puts it.
    pub change: Change,
}

/// What one commit changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Of the store after it.
    pub version: Version,
    /// In order; those without effect are left out.
    pub changes: Vec<Change>,
}
