//! The radio's static key, which is who it is to the matchmaker: kept in a file, so that it is the same after a restart. Otherwise
//! the matchmaker takes the radio for another one and refuses it until its former registration is over.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dot11::MacAddr;
use proto::matchmaking::{PublicKey, StaticSecret};

use super::RunError;

/// Where it is kept if the configuration does not say. Each radio of a machine has its own.
pub(super) fn default_path(radio: MacAddr) -> PathBuf {
    PathBuf::from(format!("/var/lib/radio-agent/{}.key", radio.to_string().replace(':', "-")))
}

/// Reads the key, or keeps what was drawn if there is none yet. With what an operator should know of it, although the agent works.
pub(super) fn load_or_make(path: &Path, drawn: [u8; 32]) -> Result<(StaticSecret, Option<String>), RunError> {
    let at = path.display();
    let failed = |problem| Err(RunError::Secret { path: at.to_string(), problem });
    match read(path) {
        Ok((text, mode)) => match text.trim().parse::<PublicKey>() {
            Ok(octets) => {
                let warning = (mode & 0o077 != 0).then(|| {
                    format!(
                        "others may read the radio's key in {at} (mode {mode:03o}), and who has it can pose as this radio: \
                         chmod 600 {at}"
                    )
                });
                Ok((StaticSecret::new(octets.0), warning))
            }
            Err(_) => failed(DAMAGED.to_owned()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let warning = make(path, &drawn).err().map(|error| {
                format!(
                    "cannot keep the radio's key in {at}: {error}. It is good until the agent ends; if that is no clean end, the \
                     matchmaker refuses this radio for some minutes then. Have secret_file of [matchmaking] name a file that \
                     can be written"
                )
            });
            Ok((StaticSecret::new(drawn), warning))
        }
        Err(error) => failed(format!(
            "{error}. Make it readable, or have secret_file of [matchmaking] name another file"
        )),
    }
}

const DAMAGED: &str = "it must have 64 hexadecimal digits, and nothing else. Restore it from a copy; or remove it, then the \
                       radio gets a new key, and is another one to the matchmaker, which may refuse it until its former \
                       registration is over (some minutes)";

/// More than any key has: whatever else stands there is none.
const LONGEST: u64 = 256;

/// What stands there, and the permissions.
fn read(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    let mut octets = Vec::new();
    file.take(LONGEST).read_to_end(&mut octets)?;
    Ok((String::from_utf8_lossy(&octets).into_owned(), mode))
}

/// Whole or not at all, also if the power goes in between.
fn make(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        directory.parent().map_or(Ok(()), fs::create_dir_all)?;
        DirBuilder::new().mode(0o700).create(directory)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let _ = fs::remove_file(&temporary);
    if let Err(error) = write(&temporary, path, secret) {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    match File::open(directory)?.sync_all() {
        // Some file systems have no such thing for directories.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

fn write(temporary: &Path, path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(temporary)?;
    writeln!(file, "{}", PublicKey(*secret))?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn each_radio_has_a_file_of_its_own() {
        let path = default_path(MacAddr([0, 0xbb, 0, 0, 0, 7]));
        assert_eq!(path, Path::new("/var/lib/radio-agent/00-bb-00-00-00-07.key"));
    }

    #[test]
    fn the_key_is_kept_once_and_read_from_then_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some/where/radio.key");
        // Left over from a start that the power did not survive.
        DirBuilder::new().recursive(true).create(path.parent().unwrap()).unwrap();
        fs::write(path.with_file_name("radio.key.new"), "5").unwrap();
        let (secret, warning) = load_or_make(&path, [5; 32]).unwrap();
        assert_eq!((secret.public(), warning), (StaticSecret::new([5; 32]).public(), None));
        assert_eq!(fs::read_to_string(&path).unwrap(), "05".repeat(32) + "\n");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1, "and nothing else is left");
        let (again, warning) = load_or_make(&path, [6; 32]).unwrap();
        assert_eq!((again.public(), warning), (secret.public(), None));

        let deeper = directory.path().join("else/where/radio.key");
        load_or_make(&deeper, [7; 32]).unwrap();
        assert_eq!(mode(deeper.parent().unwrap()), 0o700);
        assert_ne!(mode(&directory.path().join("else")), 0o700, "which is not ours");
    }

    #[test]
    fn a_file_that_is_not_as_it_should_be_is_named_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("radio.key");
        load_or_make(&path, [5; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let (secret, warning) = load_or_make(&path, [6; 32]).unwrap();
        assert_eq!(secret.public(), StaticSecret::new([5; 32]).public());
        let warning = warning.unwrap();
        assert!(warning.contains("(mode 640)") && warning.contains("chmod 600 /"), "{warning}");

        for damaged in ["", "05", &"05".repeat(33), &"0x".repeat(32), &"\u{fffd}".repeat(64)] {
            fs::write(&path, damaged).unwrap();
            let Err(error) = load_or_make(&path, [6; 32]) else { panic!("{damaged}") };
            let message = error.to_string();
            for word in ["radio.key", "64 hexadecimal digits", "remove it", "some minutes"] {
                assert!(message.contains(word), "{message}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged, "it is left alone");
        }
        let message = load_or_make(directory.path(), [6; 32]).err().unwrap().to_string();
        assert!(message.contains("directory") && message.contains("secret_file"), "{message}");
    }

    #[test]
    fn without_a_place_to_keep_it_the_key_is_good_for_this_run() {
        let (secret, warning) = load_or_make(Path::new("/proc/radio-agent/radio.key"), [5; 32]).unwrap();
        assert_eq!(secret.public(), StaticSecret::new([5; 32]).public());
        let warning = warning.unwrap();
        for word in ["cannot keep the radio's key in /proc/", "refuses this radio", "secret_file"] {
            assert!(warning.contains(word), "{warning}");
        }
    }
}
