//! Replays the committed corpora of the fuzz targets, through the targets' own bodies.

#[path = "../../fuzz/src/dot11.rs"]
mod targets;

use std::fs;
use std::path::Path;

#[test]
fn every_corpus_replays() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let mut replayed = 0;
        for entry in fs::read_dir(corpora.join(name)).expect(name) {
            let path = entry.unwrap().path();
            let data = fs::read(&path).unwrap();
            // A panic below says what failed; this says on which file.
            println!("{}", path.display());
            target(&data);
            replayed += 1;
        }
        assert!(replayed > 0, "the corpus of {name} is empty");
    }
}

#[test]
fn short_inputs_are_harmless() {
    for (_, target) in targets::TARGETS {
        for len in 0..64 {
            for fill in [0x00, 0x08, 0x48, 0x88, 0xb0, 0xdd, 0xff] {
                target(&vec![fill; len]);
            }
        }
    }
}
