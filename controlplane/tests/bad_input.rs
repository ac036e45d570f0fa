//! What an operator can get wrong in the control daemon's configuration, and what it says to it.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

const HOME: &str = "[[service]]\nuuid = \"00000000-0000-4000-8000-000000000001\"\nssid = \"home\"\n";

fn controlplane(verb: &str, config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_controlplane")).arg(verb).arg("--config").arg(config).output().unwrap()
}

fn refused(verb: &str, text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("controlplane.toml");
    fs::write(&path, text).unwrap();
    let output = controlplane(verb, &path);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    let said = refused("check", text);
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

#[test]
fn what_is_fine_is_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("controlplane.toml");
    let text = format!(
        "{HOME}security = \"psk\"\npassphrases = [{{ name = \"a\", passphrase = \"12345678\" }}]\n\n[[binding]]\nservice = \"00000000-0000-4000-8000-000000000001\"\n"
    );
    fs::write(&path, text).unwrap();
    let output = controlplane("check", &path);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn unknown_keys_and_wrong_values_are_named_with_their_line() {
    says(&format!("{HOME}security = \"psk\"\npasphrases = []\n"), &["line 5", "unknown field `pasphrases`"]);
    says(&format!("{HOME}security = \"wep\"\n"), &["line 4", "unknown variant `wep`", "`psk`"]);
    says("[[service]]\nuuid = \"1234\"\n", &["line 2", "UUID"]);
    says(
        "[[binding]]\nservice = \"00000000-0000-4000-8000-000000000001\"\nradio = \"02:aa\"\n",
        &["line 3", "neither a MAC address"],
    );
    says("listen = 7400\n", &["line 1", "socket address"]);
}

#[test]
fn parts_that_do_not_go_together() {
    says(&format!("{HOME}security = \"psk\"\n"), &["service \"home\"", "at least one passphrase"]);
    says(&format!("{HOME}security = \"eap\"\n"), &["service \"home\"", "needs radius"]);
    says(&format!("{HOME}security = \"eap\"\nradius = \"aaa\"\n"), &["no [[radius]] group has that name"]);
    says(&format!("{HOME}security = \"open\"\nvlan = 5000\n"), &["vlan = 5000 does not exist"]);
    says(&format!("{HOME}security = \"open\"\n{HOME}security = \"open\"\n"), &["two services have the uuid"]);
    says(
        &format!("{HOME}security = \"psk\"\npassphrases = [{{ name = \"a\", passphrase = \"short\" }}]\n"),
        &["passphrase \"a\"", "8 to 63"],
    );
    says(
        "[[binding]]\nservice = \"00000000-0000-4000-8000-000000000009\"\n",
        &["no [[service]] has that uuid"],
    );
    says("[[radius]]\nname = \"a\"\nauth = []\nsecret = \"x\"\n", &["has no server"]);
    says("[[radius]]\nname = \"a\"\nauth = [\"127.0.0.1:1812\"]\nsecret = \"\"\n", &["empty secret"]);
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let said = refused("run", &format!("listen = \"{address}\"\n"));
    assert!(said.contains(&address.to_string()) && said.contains("change `listen`"), "{said}");
}

#[test]
fn a_state_directory_that_cannot_be_made() {
    let text = "listen = \"127.0.0.1:0\"\nstate = \"/proc/no\"\n[[radius]]\nname = \"a\"\nauth = [\"127.0.0.1:1\"]\nacct = [\"127.0.0.1:1\"]\nsecret = \"x\"\n";
    let said = refused("run", text);
    assert!(said.contains("/proc/no") && said.contains("Set `state`"), "{said}");
}
