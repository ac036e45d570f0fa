//! Replays the committed corpora of the fuzz targets, through the targets' own bodies.

#[path = "../../fuzz/src/proto.rs"]
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
            // A panic below says what failed; this says on which file.
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "the corpus of {name} is empty");
    }
}

#[test]
fn cut_off_inputs_are_harmless() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        for entry in fs::read_dir(corpora.join(name)).expect(name) {
            let data = fs::read(entry.unwrap().path()).unwrap();
            for len in 0..data.len() {
                target(&data[..len]);
            }
        }
    }
}
