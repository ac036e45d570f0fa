//! How records behave, whatever store they are in. Each case gets a place of its own where a store can be opened.

mod accounting;
mod following;
mod history;
mod model;
mod objects;
pub mod samples;

use records::{Answer, Name, Object, Records, Version};

pub use accounting::*;
pub use following::*;
pub use history::*;
pub use objects::*;

/// Where a store is. It is empty when first opened, and keeps what was stored.
pub trait Place: Send + Sync {
    /// Opens it; at most one at a time.
    fn open(&self) -> Answer<'_, Box<dyn Records>>;
}

/// Everything in a store, sorted, and its version.
pub async fn all(store: &dyn Records) -> (Version, Vec<Object>) {
    let mut objects = Vec::new();
    let version = store.load(&mut |object| objects.push(object)).await.unwrap();
    let rank = |object: &Object| match Name::of(&object.change) {
        Name::Account(_) => 1,
        Name::Grant(_) => 2,
        Name::Radio(_) => 3,
        Name::Service(_) => 4,
        Name::Client(_) => 5,
        Name::Binding(..) => 6,
        Name::Contract(..) => 7,
        Name::Drained(_) => 8,
    };
    assert!(
        objects.is_sorted_by_key(|object| rank(object).min(6)),
        "bindings and what comes behind them come last"
    );
    objects.sort_by_key(|object| (rank(object), format!("{:?}", Name::of(&object.change))));
    (version, objects)
}

/// Runs every case as a test of its own. `$place` makes a place.
macro_rules! behaves {
    ($place:expr; $($case:ident)*) => {$(
        #[test]
        fn $case() {
            let place = $place;
            suite::block_on(suite::$case(&place));
        }
    )*};
}
pub(crate) use behaves;

/// Every case, for a kind of place.
macro_rules! behaves_as_records {
    ($place:expr) => {
        suite::behaves! { $place;
            new_objects_get_identifiers_that_are_never_reused
            saying_the_same_again_gives_what_is_there
            two_objects_cannot_say_the_same
            a_commit_is_all_or_nothing
            what_was_seen_guards_against_races
            of_two_who_saw_the_same_the_second_plans_again
            repeating_changes_nothing
            an_account_goes_with_its_grants
            objects_come_back_as_they_were
            owners_may_change
            what_is_too_large_is_refused
            followers_get_every_commit_once_in_order
            followers_of_the_unknown_load_again
            followers_see_no_gap_under_concurrent_commits
            larger_sequences_win
            sessions_are_found_page_by_page
            old_sessions_are_forgotten
            any_history_is_as_in_the_model
        }
    };
}
pub(crate) use behaves_as_records;

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
