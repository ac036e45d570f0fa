//! A station table as another process sees it: the same memory, mapped elsewhere, for reading.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use dot11::MacAddr;

use super::index::Index;
use super::layout::{Header, Layout, LayoutError};
use super::{Hot, Key, StationId, index_seeds, segment_key};
use crate::memory::Region;

/// What a table that is [shared](super::StationTable::shared) holds. Read it when its writer has stopped: it is a picture of one moment.
pub struct Image {
    hot: NonNull<Hot>,
    header: Header,
    by_bss: Index,
    by_segment: Index,
    /// After what points into it.
    region: Arc<Region>,
}

impl Image {
    /// Maps the memory behind a descriptor and looks whether it is a table that this program can read.
    ///
    /// # Errors
    /// [`LayoutError`], which says what differs.
    pub fn open(file: BorrowedFd<'_>, seed: u64) -> Result<Self, LayoutError> {
        let region = Arc::new(Region::attach(file, false)?);
        let (layout, header) = Layout::read(&region, seed)?;
        let ([first, second], [first_head, second_head], seeds) =
            (layout.indexes, layout.heads(), index_seeds(seed));
        // SAFETY: the region is as long as the layout says, and its writer has stopped.
        let (hot, by_bss, by_segment) = unsafe {
            (
                region.start().add(layout.hot).cast(),
                Index::open(region.clone(), first, first_head, layout.most, seeds[0]),
                Index::open(region.clone(), second, second_head, layout.most, seeds[1]),
            )
        };
        let by_bss = by_bss.ok_or(LayoutError::Damaged("the index by BSSID has no such size"))?;
        let by_segment = by_segment.ok_or(LayoutError::Damaged("the index by VLAN has no such size"))?;
        Ok(Self { hot, header, by_bss, by_segment, region })
    }

    /// Live stations.
    pub fn len(&self) -> usize {
        self.by_bss.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// By BSSID and device address.
    pub fn find(&self, bssid: MacAddr, mac: MacAddr) -> Option<StationId> {
        self.by_bss.get(Key::new(bssid.0, mac.0)).filter(|id| id.0 < self.header.places)
    }

    /// By VLAN and device address: a station with an open port.
    pub fn find_in_segment(&self, vlan: u16, mac: MacAddr) -> Option<StationId> {
        self.by_segment.get(segment_key(vlan, mac)).filter(|id| id.0 < self.header.places)
    }

    /// Hot state of a place; `None` if no station lives there.
    pub fn hot(&self, id: StationId) -> Option<&Hot> {
        if id.0 >= self.header.places {
            return None;
        }
        // SAFETY: places in use are inside of the section, and hot state is plain numbers.
        let hot = unsafe { self.hot.add(id.0 as usize).as_ref() };
        hot.is_live().then_some(hot)
    }

    /// All stations.
    pub fn iter(&self) -> impl Iterator<Item = (StationId, &Hot)> {
        (0..self.header.places)
            .filter_map(|place| self.hot(StationId(place)).map(|hot| (StationId(place), hot)))
    }

    /// Octets that are mapped, used or not.
    pub fn octets(&self) -> usize {
        self.region.len()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;
    use crate::clock::Time;
    use crate::endpoint::Endpoint;
    use crate::station::{Cold, Flag, StationTable};
    use crate::tunnel::TunnelId;

    const STATIONS: u32 = 20_000;
    const SEED: u64 = 0xfeed_beef;

    fn mac(n: u32) -> MacAddr {
        let [a, b, c, d] = n.to_be_bytes();
        MacAddr([2, 0, a, b, c, d])
    }

    fn bssid(n: u32) -> MacAddr {
        MacAddr([2, 0xbb, 0, 0, 0, (n % 64) as u8])
    }

    fn vlan(n: u32) -> u16 {
        (n % 3) as u16
    }

    /// A table that grew and lost some, and the numbers of those that are left.
    fn table() -> (StationTable, Vec<u32>) {
        let mut table = StationTable::shared(1000, SEED).unwrap();
        let mut lists = vec![Vec::new(); 64];
        for n in 0..STATIONS {
            let endpoint = Endpoint::v4([192, 0, 2, 1], n as u16 | 1).at(3);
            let mut hot = Hot::new(mac(n), bssid(n), TunnelId(n % 64), endpoint, Time::ZERO);
            hot.install_key(0, &[n as u8; 16]);
            hot.set(Flag::PortOpen, true);
            hot.skip_to_pn(u64::from(n));
            let id = table.add(hot, Cold::default(), &mut lists[n as usize % 64]);
            table.join_segment(id, vlan(n));
        }
        for n in (0..STATIONS).step_by(5) {
            let id = table.find(bssid(n), mac(n)).unwrap();
            table.remove(id, &mut lists[n as usize % 64]);
        }
        (table, (0..STATIONS).filter(|n| n % 5 != 0).collect())
    }

    /// Whether an image holds exactly these stations, and all that is known of them.
    fn holds(image: &Image, stations: &[u32]) -> bool {
        image.len() == stations.len()
            && image.iter().count() == stations.len()
            && stations.iter().all(|&n| {
                let Some(id) = image.find(bssid(n), mac(n)) else { return false };
                image.find_in_segment(vlan(n), mac(n)) == Some(id)
                    && image.hot(id).is_some_and(|hot| {
                        hot.mac == mac(n)
                            && hot.key() == &[n as u8; 16]
                            && hot.tx_pn() == u64::from(n)
                            && hot.endpoint.local == 3
                            && hot.endpoint.port() == n as u16 | 1
                    })
            })
            && (0..STATIONS).step_by(5).all(|n| image.find(bssid(n), mac(n)).is_none())
    }

    #[test]
    fn another_mapping_finds_every_station_also_when_the_writer_is_gone() {
        let (table, left) = table();
        let file = table.file().unwrap().try_clone_to_owned().unwrap();
        let image = Image::open(file.as_fd(), SEED).unwrap();
        assert_ne!(image.region.start(), table.region.start());
        assert!(holds(&image, &left));
        drop(table);
        assert!(holds(&Image::open(file.as_fd(), SEED).unwrap(), &left));
    }

    /// Runs itself as another process, which knows no more than where the memory is.
    #[test]
    fn another_process_finds_every_station() {
        const VARIABLE: &str = "TTG_TEST_STATION_IMAGE";
        if let Some(path) = std::env::var_os(VARIABLE) {
            let left: Vec<_> = (0..STATIONS).filter(|n| n % 5 != 0).collect();
            let image = Image::open(File::open(path).unwrap().as_fd(), SEED).unwrap();
            assert!(holds(&image, &left));
            println!("all {} are there", left.len());
            return;
        }
        let (table, _) = table();
        let path = format!("/proc/{}/fd/{}", std::process::id(), table.file().unwrap().as_raw_fd());
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "station::image::tests::another_process_finds_every_station", "--nocapture"])
            .env(VARIABLE, path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("all 16000 are there"), "{child:?}");
    }

    #[test]
    fn one_in_the_midst_of_growing_is_whole_too() {
        let mut table = StationTable::shared(10, SEED).unwrap();
        let mut list = Vec::new();
        let mut n = 0;
        while n < 1000 || !table.index_stats()[0].resizing {
            let hot = Hot::new(mac(n), bssid(n), TunnelId(0), Endpoint::NONE, Time::ZERO);
            table.add(hot, Cold::default(), &mut list);
            n += 1;
        }
        let image = Image::open(table.file().unwrap(), SEED).unwrap();
        assert!((0..n).all(|n| image.find(bssid(n), mac(n)).is_some()));
        assert_eq!((image.len(), image.find(bssid(n), mac(n))), (n as usize, None));
    }

    #[test]
    fn what_differs_is_said() {
        let (table, _) = table();
        let file = table.file().unwrap();
        let open = || match Image::open(file, SEED) {
            Ok(_) => panic!("it was opened"),
            Err(error) => error,
        };
        let put = |at: usize, octets: &[u8]| {
            assert!(at + octets.len() <= 128);
            // SAFETY: the header is writable, and nobody reads it meanwhile.
            unsafe { table.region.start().add(at).as_ptr().copy_from(octets.as_ptr(), octets.len()) };
        };
        let mut good = [0; 128];
        // SAFETY: the header is that long.
        unsafe { good.as_mut_ptr().copy_from(table.region.start().as_ptr(), 128) };
        assert!(matches!(Image::open(file, SEED + 1), Err(LayoutError::Seed)));
        put(0, b"something");
        assert!(matches!(open(), LayoutError::NotATable { .. }));
        put(0, &good);
        put(8, &7u32.to_ne_bytes());
        assert!(matches!(open(), LayoutError::Version { found: 7 }));
        assert!(open().to_string().contains("layout 7"));
        put(0, &good);
        put(12, &320u32.to_ne_bytes());
        assert!(matches!(open(), LayoutError::Size { what: "hot states", found: 320, expected: 256 }));
        put(0, &good);
        put(16, &24u32.to_ne_bytes());
        assert!(matches!(open(), LayoutError::Size { what: "index entries", found: 24, expected: 16 }));
        put(0, &good);
        put(20, &9u32.to_ne_bytes());
        assert!(matches!(open(), LayoutError::Size { what: "all sections together", .. }));
        put(0, &good);
        put(40, &u32::MAX.to_ne_bytes());
        assert!(matches!(open(), LayoutError::Damaged(_)));
        put(0, &good);
        assert!(Image::open(file, SEED).is_ok());
        // What is shared cannot be cut; something else can be too short.
        let mut short = tempfile::tempfile().unwrap();
        assert!(matches!(Image::open(short.as_fd(), SEED), Err(LayoutError::Memory(_))));
        short.write_all(&good).unwrap();
        assert!(matches!(Image::open(short.as_fd(), SEED), Err(LayoutError::Truncated { found: 128, .. })));
        short.set_len(3 << 20).unwrap();
        let refused = Image::open(short.as_fd(), SEED);
        assert!(matches!(refused, Err(LayoutError::Truncated { found: 0x30_0000, .. })));
        let shared = File::from(file.try_clone_to_owned().unwrap());
        assert!(shared.set_len(3 << 20).is_err());
    }
}
