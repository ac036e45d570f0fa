//! Reaches one of several addresses: attempts that overlap, as RFC 8305 section 5 has it, so that an address which says nothing keeps nobody
//! from the next.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// The next address is tried so long after the one before, or at once when that one failed (RFC 8305 section 8).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses of one name; which of more, chance says.
const MAX_ADDRESSES: usize = 16;

/// Why an address is of no use.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// What the attempt says.
    Said(E),
    /// It said nothing in time.
    Silent,
}

/// Has these addresses tried, in this order; the first that succeeds wins, and the others are dropped. Each has `patience`.
pub(crate) async fn first<T, E, F>(
    addresses: Vec<SocketAddr>,
    patience: Duration,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, Vec<(SocketAddr, Failure<E>)>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let mut left = addresses.into_iter();
    let mut running = JoinSet::new();
    let mut failed = Vec::new();
    loop {
        if let Some(address) = left.next() {
            let attempt = timeout(patience, attempt(address));
            running.spawn(async move { (address, attempt.await) });
        }
        tokio::select! {
            Some(ended) = running.join_next() => match ended {
                Ok((_, Ok(Ok(reached)))) => return Ok(reached),
                Ok((address, Ok(Err(error)))) => failed.push((address, Failure::Said(error))),
                Ok((address, Err(_))) => failed.push((address, Failure::Silent)),
                // They are dropped only together with this.
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            },
            () = sleep(STAGGER), if left.len() > 0 => {}
            else => return Err(failed),
        }
    }
}

/// In an order of its own each time, so that who comes is spread over all of them and no retry begins like the last.
pub(crate) fn shuffled(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let mut order: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !order.contains(&address) {
            order.push(address);
        }
    }
    // Fisher and Yates.
    for end in (1..order.len()).rev() {
        let place = getrandom::u64().map_err(io::Error::other)? % (end as u64 + 1);
        order.swap(end, place as usize);
    }
    order.truncate(MAX_ADDRESSES);
    Ok(order)
}

#[cfg(test)]
mod tests {
    use std::{future::pending, net::Ipv4Addr, time::Instant};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    /// What the host with this last octet does.
    #[derive(Clone, Copy)]
    enum Host {
        Silent,
        Refuses,
        /// After so many milliseconds.
        Answers(u64),
    }

    fn at(host: usize) -> SocketAddr {
        (Ipv4Addr::new(192, 0, 2, host as u8), 7400).into()
    }

    /// Who is reached of these, and when.
    async fn reached(hosts: &[Host]) -> (Result<SocketAddr, Vec<String>>, Duration) {
        let began = Instant::now();
        let attempt = |address: SocketAddr| {
            let index = (0..hosts.len()).find(|&host| at(host) == address).unwrap();
            let host = hosts[index];
            async move {
                match host {
                    Host::Silent => pending().await,
                    Host::Refuses => Err("refused"),
                    Host::Answers(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Ok(address)
                    }
                }
            }
        };
        let result = first((0..hosts.len()).map(at).collect(), PATIENCE, attempt).await;
        let result = result.map_err(|all| all.iter().map(|one| format!("{one:?}")).collect());
        (result, began.elapsed())
    }

    #[tokio::test]
    async fn who_says_nothing_keeps_nobody_from_the_next() {
        use Host::*;
        let ms = Duration::from_millis;
        let cases: [(&[Host], usize, u64); 6] = [
            (&[Answers(10), Answers(0)], 0, 10),
            (&[Silent, Answers(10)], 1, 260),
            (&[Refuses, Answers(10)], 1, 10),
            (&[Silent, Silent, Refuses, Answers(0)], 3, 500),
            // The first is late, and still good.
            (&[Answers(300), Silent], 0, 300),
            // After the first was given up.
            (&[Silent, Silent, Silent, Silent, Silent, Answers(5)], 5, 1255),
        ];
        for (hosts, who, when) in cases {
            let (result, took) = reached(hosts).await;
            assert_eq!(result.unwrap(), at(who));
            // Others compute, so it may take longer.
            assert!(took >= ms(when), "{took:?} instead of {when} ms");
        }
    }

    #[tokio::test]
    async fn all_of_them_are_heard_of_when_none_is_reached() {
        let (result, took) = reached(&[Host::Silent, Host::Refuses, Host::Silent]).await;
        let said = result.unwrap_err();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("refused"), "{said:?}");
        // The last address, too, was given its time.
        assert!(took >= PATIENCE + STAGGER, "{took:?}");
        assert!(reached(&[]).await.0.unwrap_err().is_empty());
    }

    #[test]
    fn each_is_the_first_now_and_then() {
        let all: Vec<SocketAddr> = (0..4).map(at).collect();
        let mut firsts = [0; 4];
        for _ in 0..400 {
            let order = shuffled(all.iter().chain(&all).copied()).unwrap();
            assert_eq!(order.len(), 4);
            firsts[all.iter().position(|address| *address == order[0]).unwrap()] += 1;
        }
        // 100 of each are to be expected; fewer than 40 come once in 10^12 runs.
        assert!(firsts.iter().all(|&times| times >= 40), "{firsts:?}");
        assert_eq!(shuffled((0..40).map(at)).unwrap().len(), MAX_ADDRESSES);
    }
}
