//! All records once more, for a desk that has missed some: what is gone from them must go from the desk. In pieces, between which the
//! desk answers: what it knows of the records is a mixture meanwhile, and look-ups go on.

use std::{collections::HashSet, sync::Arc};

use matchmaker::Change;
use records::{Name, Version};
use tokio::sync::{mpsc, oneshot};

use super::{
    CONFIGURED, Desk,
    run::{Message, Question},
};

/// Changes, or places that are gone through, before the desk does something else: about a millisecond.
const PIECE: u32 = 4096;

/// Everything is now as `changes` say, and nothing else is. `None`: the desk has ended.
pub(super) async fn replace(
    desk: &mpsc::Sender<Message>,
    version: Version,
    changes: Vec<Change>,
) -> Option<()> {
    // What is committed from now on is applied when it is acknowledged, and once more when it is followed.
    ask(desk, |desk| desk.loaded(0)).await?;
    let kept: Arc<HashSet<Name>> = Arc::new(changes.iter().map(Name::of).collect());
    // What is gone first: something else may say the same by now.
    let few = kept.clone();
    ask(desk, move |desk| forget(desk, few_names(desk), &few)).await?;
    let mut from = 0;
    loop {
        let kept = kept.clone();
        let piece = move |desk: &mut Desk| {
            forget(desk, bindings_within(desk, from..from + PIECE), &kept);
            forget(desk, radios_within(desk, from..from + PIECE), &kept);
            desk.matchmaker.bindings().places().max(desk.matchmaker.radio_places())
        };
        let places = ask(desk, piece).await?;
        from += PIECE;
        if from >= places {
            break;
        }
    }
    let mut changes = changes.into_iter();
    loop {
        let piece: Vec<Change> = changes.by_ref().take(PIECE as usize).collect();
        if piece.is_empty() {
            break;
        }
        ask(desk, move |desk| piece.iter().for_each(|change| desk.apply(change))).await?;
    }
    ask(desk, move |desk| desk.loaded(version)).await
}

async fn ask<T: Send + 'static>(
    desk: &mpsc::Sender<Message>,
    ask: impl FnOnce(&mut Desk) -> T + Send + 'static,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    let question = move |desk: &mut Desk, _| drop(reply.send(ask(desk)));
    desk.send(Message::Ask(Question::new(question))).await.ok()?;
    answer.await.ok()
}

fn forget(desk: &mut Desk, there: Vec<Name>, kept: &HashSet<Name>) {
    for name in there {
        if !kept.contains(&name) {
            desk.apply(&name.delete());
        }
    }
}

/// Of what there is little enough to go through at once.
fn few_names(desk: &Desk) -> Vec<Name> {
    let matchmaker = &desk.matchmaker;
    let accounts = matchmaker.accounts();
    let grants = accounts.grants().map(Name::Grant);
    let services = matchmaker.services().map(|(service, _)| Name::Service(service.uuid));
    let contracts =
        matchmaker.contracts().map(|(account, contract)| Name::Contract(account.cloned(), contract.id));
    let drained = matchmaker.drained().iter().cloned().map(Name::Drained);
    let clients = matchmaker.recorded_clients(None).map(Name::Client);
    let accounts = accounts.known().cloned().map(Name::Account);
    grants.chain(accounts).chain(services).chain(contracts).chain(clients).chain(drained).collect()
}

fn bindings_within(desk: &Desk, places: std::ops::Range<u32>) -> Vec<Name> {
    let accounts = desk.matchmaker.accounts();
    let bindings = desk.matchmaker.bindings().within(places);
    let recorded = bindings.filter(|(_, binding)| binding.id < CONFIGURED);
    recorded.map(|(account, binding)| Name::Binding(accounts.id(account).cloned(), binding.id)).collect()
}

fn radios_within(desk: &Desk, places: std::ops::Range<u32>) -> Vec<Name> {
    desk.matchmaker.recorded_radios_within(places).map(Name::Radio).collect()
}
