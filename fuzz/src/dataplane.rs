//! What must hold for any octets that the parsers of `dataplane` are given. Each function is the body of one fuzz target;
//! `dataplane/tests/corpus.rs` replays the committed corpora through the same functions.

use std::sync::Arc;
use std::time::Duration;

use dataplane::capture::{CaptureReader, MAX_RECORD, PcapWriter, Resolution};
use dataplane::clock::Time;
use dataplane::crypto::{Kernel, OpenJob, SealJob, Suite};
use dataplane::io::PacketIo;
use dataplane::io::host::{Host, HostConfig, HostIo};
use dataplane::io::memory::MemoryIo;
use dataplane::packet::BURST;
use dataplane::packet::{Burst, Pool, PoolConfig};
use dot11::MacAddr;

/// A fuzz target: its name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] =
    &[("dataplane_capture", capture), ("dataplane_crypto", crypto), ("dataplane_host", host)];

/// A capture of either format: bounded records, numbered, nothing after an error; and what was read can be written and read again.
pub fn capture(data: &[u8]) {
    let Ok(mut reader) = CaptureReader::new(data) else { return };
    let (mut number, mut writer, mut records) = (0, None, Vec::new());
    loop {
        match reader.next_record() {
            Ok(Some(record)) => {
                number += 1;
                assert_eq!(record.number, number);
                assert!(record.data.len() <= data.len() && record.data.len() <= MAX_RECORD as usize);
                let writer = writer.get_or_insert_with(|| {
                    PcapWriter::new(Vec::new(), record.link_type, Resolution::Nanos)
                        .expect("writing to memory")
                });
                writer.write(record.timestamp.unwrap_or(0), record.data).expect("writing to memory");
                records.push(record.data.to_vec());
            }
            Ok(None) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(matches!(reader.next_record(), Ok(None)));
                break;
            }
        }
    }
    let Some(writer) = writer else { return };
    let file = writer.into_inner();
    let mut reader = CaptureReader::new(&file[..]).expect("what was written has a header");
    for expected in records {
        let record = reader.next_record().expect("what was written is whole").expect("every record is there");
        assert_eq!(record.data, expected);
    }
    assert!(matches!(reader.next_record(), Ok(None)));
}

/// A key, what to do under it, and a frame: every kernel does with a burst of it, cut off ever shorter, what the reference does.
pub fn crypto(data: &[u8]) {
    let Some((key, data)) = data.split_first_chunk::<32>() else { return };
    let Some((&[choice, header_len, spare], data)) = data.split_first_chunk::<3>() else { return };
    // Another suite for every frame, beginning with any.
    let suites = [Suite::Ccmp128, Suite::Gcmp256, Suite::Gcmp128, Suite::Ccmp256];
    let suite = |n: usize| suites[(usize::from(choice) + n) % 4];
    let (spp_amsdu, spare) = (choice & 4 != 0, usize::from(spare % 40));
    let header_len = usize::from(header_len % 40);
    let pn = u64::from(choice) << 40 | 7;
    let run = |kernel: Kernel| {
        let mut sealed: Vec<_> = (0..BURST).map(|n| data[..data.len().saturating_sub(n)].to_vec()).collect();
        let mut opened = sealed.clone();
        let mut jobs: Vec<_> = sealed
            .iter_mut()
            .enumerate()
            .map(|(n, buf)| {
                let (suite, key) = (suite(n), &key[..suite(n).key_len()]);
                SealJob {
                    suite,
                    key,
                    key_id: choice >> 3 & 3,
                    spp_amsdu,
                    pn,
                    header_len,
                    buf,
                    spare,
                    done: false,
                }
            })
            .collect();
        kernel.seal(&mut jobs);
        let done: Vec<_> = jobs.iter().map(|job| job.done).collect();
        let open = |frames: &mut [Vec<u8>]| {
            let jobs = frames.iter_mut().enumerate();
            let jobs = jobs.map(|(n, buf)| OpenJob {
                suite: suite(n),
                key: &key[..suite(n).key_len()],
                spp_amsdu,
                header_len,
                buf,
                spare,
                done: false,
            });
            let mut jobs: Vec<_> = jobs.collect();
            kernel.open(&mut jobs);
            jobs.iter().map(|job| job.done).collect::<Vec<_>>()
        };
        // What nobody sealed opens with a probability of 2^-64.
        assert!(!open(&mut opened).contains(&true));
        let frames = sealed.clone();
        assert_eq!(open(&mut sealed), done);
        // What is spare, and after opening the place of the MIC, may hold anything.
        let cut = |frames: &[Vec<u8>], behind: bool| -> Vec<Vec<u8>> {
            let cut = |(n, frame): (usize, &Vec<u8>)| {
                let mic = if behind { suite(n).mic_len() } else { 0 };
                frame[..frame.len().saturating_sub(spare + mic)].to_vec()
            };
            frames.iter().enumerate().map(cut).collect()
        };
        (done, cut(&frames, false), cut(&opened, true), cut(&sealed, true))
    };
    let expected = run(Kernel::Portable);
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        assert!(run(kernel) == expected, "{kernel:?} does otherwise");
    }
}

/// Frames on the wire of a gateway that is an IP host there, each behind its length: each ends in one counter, and nothing is kept.
pub fn host(data: &[u8]) {
    let addresses = ["192.0.2.10/24", "2001:db8::10/64"].map(|text| text.parse().expect("a prefix"));
    let config = HostConfig {
        gateways: vec!["192.0.2.1".parse().expect("an address")],
        neighbours: 16,
        learnt: 16,
        paths: 16,
        ..HostConfig::new(MacAddr([2, 0, 0, 0, 0, 0x10]), addresses.to_vec())
    };
    let pool = Pool::new(PoolConfig { packets: 128, buffer: 2048, headroom: 128 });
    let (port, mut wire) = MemoryIo::pair(64);
    let mut now = Time::from_nanos(1 << 40);
    let host = Arc::new(Host::new(config).expect("it makes sense"));
    let mut io = HostIo::new_at(port, host, 0, pool.clone(), now);
    let mut pass = |io: &mut HostIo<MemoryIo>, wire: &mut MemoryIo, seconds| {
        now = now + Duration::from_secs(seconds);
        let mut burst = Burst::new();
        io.rx_burst_at(now, &pool, &mut burst);
        for datagram in burst.drain() {
            assert!(datagram.meta.endpoint.is_some());
        }
        while wire.rx_burst(&pool, &mut burst) > 0 {
            assert!(
                burst.drain().all(|frame| frame.len() >= 42 && frame.data()[6..12] == [2, 0, 0, 0, 0, 0x10])
            );
        }
    };
    (0..3).for_each(|_| pass(&mut io, &mut wire, 1));
    // Somebody is asked for, and somebody's next hop is not known.
    let mut burst = Burst::new();
    for peer in ["192.0.2.77:9", "198.51.100.1:9", "[2001:db8::77]:9", "[2001:db8:1::1]:9"] {
        let Some(mut packet) = pool.alloc() else { unreachable!("the pool is large enough") };
        packet.copy_from(&[0; 1300]);
        packet.meta.endpoint = peer.parse().expect("an endpoint");
        assert!(burst.push(packet).is_ok());
    }
    io.tx_burst(&mut burst);
    let (mut rest, mut frames) = (data, 0);
    while let [high, low, after @ ..] = rest
        && frames < 64
    {
        let (frame, after) =
            after.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(after.len()).min(1900));
        rest = after;
        let Some(mut packet) = pool.alloc() else { unreachable!("the pool is large enough") };
        packet.copy_from(frame);
        assert!(burst.push(packet).is_ok());
        wire.tx_burst(&mut burst);
        frames += 1;
        pass(&mut io, &mut wire, 0);
    }
    assert_eq!(io.host_stats().rx_total(), frames);
    (0..10).for_each(|_| pass(&mut io, &mut wire, 2));
    assert_eq!(pool.in_use(), 0);
}
