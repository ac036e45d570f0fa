//! Replays the committed fuzz corpora through the bodies of the fuzz targets.

use std::path::Path;

#[path = "../../fuzz/src/agent.rs"]
mod targets;

#[test]
fn corpora_hold() {
    for (name, body) in targets::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            body(&std::fs::read(path).unwrap());
            count += 1;
        }
        assert!(count >= 20, "{count} files in the corpus of {name}");
    }
}
