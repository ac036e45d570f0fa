//! Replays the committed corpora of the fuzz targets, through the targets' own bodies.

#[path = "../../../fuzz/src/radius.rs"]
mod targets;

use std::{fs, path::Path};

use proptest::prelude::*;

#[test]
fn every_corpus_replays() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let mut replayed = 0;
        for entry in fs::read_dir(corpora.join(name)).expect(name) {
            let path = entry.expect("a directory that can be read").path();
            let data = fs::read(&path).expect("a file that can be read");
            // A panic below says what failed; this says on which file.
            println!("{}", path.display());
            target(&data);
            replayed += 1;
        }
        assert!(replayed > 0, "the corpus of {name} is empty");
    }
}

proptest! {
    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200), length_right: bool) {
        let mut octets = octets;
        if length_right && octets.len() >= 20 {
            let length = (octets.len() as u16).to_be_bytes();
            octets[2..4].copy_from_slice(&length);
        }
        for (_, target) in targets::TARGETS {
            target(&octets);
        }
    }
}
